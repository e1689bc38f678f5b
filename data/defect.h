/* defect.h - synthetic defects on healthy skulls. One generator per file in data/defects/, one const descriptor each.
 *
 * A generator draws a region; implant = skull and region. A draw that removes too little bone is drawn again, deterministically,
 * a bounded number of times. Same skull, configuration and seed: same bytes, on any thread count. */
#ifndef CALVARIA_DATA_DEFECT_H
#define CALVARIA_DATA_DEFECT_H

#include "base/config.h"
#include "base/rng.h"
#include "data/morphology.h"
#include "data/volume.h"

/* The first member of every generator's config struct. */
struct defect_config {
    double weight;        /* share in a mixture */
    double min_volume_ml; /* bone removed at least */
};
extern const struct config_table defect_base_table;

struct defect_ops {
    struct config_table config; /* .type: cube, sphere, craniotomy ... ; .base = &defect_base_table */
    /* Marks the region: region[i] = 1 inside, on skull's grid (cleared by the caller); *ret_box holds it. Draws from rng only. */
    enum status (*draw)(const void *config, const struct volume *skull, struct box skull_box, struct rng *rng, uint8_t *region,
                        struct box *ret_box, struct error *error);
};
const struct config_table *defect_table_at(int index);

/* A YAML file of configs/defects: a mixture, drawn by weight. */
struct defects_config {
    struct config_list defects;
    int64_t max_tries;
};
extern const struct config_table defects_table;
enum status defects_read(struct defects_config *ret, const char *path, struct arena *arena, struct error *error);

/* implant: u8 on skull's grid, written whole: 1 where skull and region. *ret_box: its box. *ret_type (may be NULL): the generator's
 * name. STATUS_FAILED after max_tries draws that removed too little. */
enum status defect_inject(uint8_t *implant, struct box *ret_box, const char **ret_type, const struct volume *skull,
                          const struct defects_config *config, struct rng rng, struct error *error);

#endif
