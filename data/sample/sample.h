/* sample.h - one training sample: a skull, its defect, its patches. A pure function of (dataset, configuration, seed,
 * number). */
#ifndef CALVARIA_DATA_SAMPLE_SAMPLE_H
#define CALVARIA_DATA_SAMPLE_SAMPLE_H

#include "data/sample/loader.h"

struct sample_source {
    struct dataset *set;
    const struct loader_config *config;
    const struct defects_config *defects; /* NULL: the stored implants */
    const int64_t *cases;                 /* of the split */
    int64_t n_cases;
    uint64_t seed;
    enum task task;
};

/* Patches as bytes, bit 0 bone, bit 1 missing bone: a quarter of the memory of one float volume. At another spacing:
 * `fraction`, their shares in each voxel's box. */
struct sample {
    int64_t n_patches;
    uint8_t *codes;  /* n_patches x patch */
    float *fraction; /* n_patches x (skull, implant) x patch */
    float *crop;     /* for the coarse prediction: the defective skull, prior.patch_vox */
    double *at;      /* n_patches x 3: where on the crop voxel 0 of a patch lies */
    double step[3];  /* from a patch's voxel to the next, in voxels of the crop */
    float *prior;    /* n_patches x prior.field_channels x patch; NULL without prior.field */
    float *distance; /* n_patches x patch, from the surface of each target; NULL unless config->distance */
};

/* How many patches a drawn skull gives: known from its grid alone, so that any position can be resumed without reading.
 */
int64_t sample_count(const struct loader_config *config, const struct grid *grid);

/* Skulls are drawn in epochs: every case once, in a new random order each time. */
int64_t sample_case(const struct sample_source *source, int64_t number);
enum status sample_make(struct sample *ret, const struct sample_source *source, int64_t number, struct error *error);
void sample_done(struct sample *sample);
/* The coarse prediction p at the voxels of patch k, trilinear; 0 beyond its crop. */
void sample_prior(float *out, const struct sample *sample, int64_t k, const struct loader_config *config,
                  const float *p);
/* Patch k as the network's source (the defective skull) and target, n voxels each. */
void sample_fill(const struct sample *sample, int64_t k, int64_t n, enum task task, float *src, float *target);

#endif
