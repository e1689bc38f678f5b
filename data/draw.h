/* draw.h - one drawn skull: read, given a defect, cut into patches. A pure function of (dataset, configuration, seed, number). */
#ifndef CALVARIA_DATA_DRAW_H
#define CALVARIA_DATA_DRAW_H

#include "data/loader.h"

struct draw_source {
    struct dataset *set;
    const struct loader_config *config;
    const struct defects_config *defects; /* NULL: the stored implants */
    const int64_t *cases;                 /* of the split */
    int64_t n_cases;
    uint64_t seed;
    enum loader_task task;
};

/* Patches as bytes, bit 0 bone, bit 1 missing bone: a quarter of the memory of one float volume. Where the whole skull had to be resampled:
 * `soft`, the skull and the implant as floats instead. */
struct draw {
    int64_t n_patches;
    uint8_t *codes; /* n_patches x patch */
    float *soft;    /* skull, implant */
    float *distance; /* n_patches x patch, from the surface of each target; NULL unless config->distance */
};

/* Skulls are drawn in epochs: every case once, in a new random order each time. */
int64_t draw_case(const struct draw_source *source, int64_t number);
enum status draw_make(struct draw *ret, const struct draw_source *source, int64_t number, struct error *error);
void draw_done(struct draw *draw);
/* Patch k as the network's source (the defective skull) and target, n voxels each. */
void draw_fill(const struct draw *draw, int64_t k, int64_t n, enum loader_task task, float *src, float *target);

#endif
