/* defect.h - synthetic defects on healthy skulls. One generator per file in data/defects/, one const descriptor each.
 *
 * A generator draws a region; implant = skull and region. A draw that removes too little bone is drawn again,
 * deterministically, a bounded number of times. Same skull, configuration and seed: same bytes, on any thread count.
 *
 *     struct defects_config defects;
 *     defects_read(&defects, "configs/defects/mixed.yaml", &arena, error);
 *     defect_inject(implant, &box, &type, &skull, &defects, rng_make(seed, number), error); */
#ifndef CALVARIA_DATA_DEFECTS_DEFECT_H
#define CALVARIA_DATA_DEFECTS_DEFECT_H

#include "base/config.h"
#include "base/rng.h"
#include "data/mask/morphology.h"
#include "data/volume/volume.h"

/* The first member of every generator's config struct. */
struct defect_config {
    double weight;        /* share in a mixture */
    double min_volume_ml; /* bone removed at least */
};
extern const struct config_table defect_base_table;

/* A mask that covers a box of a grid only, x fastest: mask[((z-lo)*h + (y-lo))*w + (x-lo)]. Empty: mask NULL, box
 * empty. */
struct region {
    struct box box;
    uint8_t *mask; /* memory_free */
};

struct defect_ops {
    struct config_table config; /* .type: cube, sphere, craniotomy ... ; .base = &defect_base_table */
    /* Marks a region of skull's grid in *ret. Draws from rng only. A draw that found no place returns OK with an empty
     * region: it is drawn again. skull_box holds the bone. */
    enum status (*draw)(const void *config, const struct volume *skull, struct box skull_box, struct rng *rng,
                        struct region *ret, struct error *error);
};
const struct config_table *defect_table_at(int index);

/* A YAML file of configs/defects: a mixture, drawn by weight. */
struct defects_config {
    struct config_list defects;
    int64_t max_tries;
};
extern const struct config_table defects_table;
enum status defects_read(struct defects_config *ret, const char *path, struct arena *arena, struct error *error);

/* *ret: the implant = skull and region, its box tight. skull: u8 mask; skull_box holds its bone. *ret_type (may be
 * NULL): the generator's name. STATUS_FAILED after max_tries draws that removed too little. */
enum status defect_draw(struct region *ret, const char **ret_type, const struct volume *skull, struct box skull_box,
                        const struct defects_config *config, struct rng rng, struct error *error);
/* The same on the whole grid. implant: u8 on skull's grid, written whole. *ret_box: its box. */
enum status defect_inject(uint8_t *implant, struct box *ret_box, const char **ret_type, const struct volume *skull,
                          const struct defects_config *config, struct rng rng, struct error *error);
void region_done(struct region *region);

#endif
