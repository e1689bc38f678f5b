/* patch_sampler.h - where the patches of a drawn skull are cut. Boxes may leave the volume: outside is 0. */
#ifndef CALVARIA_DATA_SAMPLE_PATCH_SAMPLER_H
#define CALVARIA_DATA_SAMPLE_PATCH_SAMPLER_H

#include "data/sample/loader.h"

/* How many patches a volume of these dims gives. */
int64_t sampler_count(const struct loader_config *config, const int64_t dim[3]);
/* The grid that patches are cut on: dim voxels, voxel i at lo + i * step on the skull's own. */
struct sampler_grid {
    int64_t dim[3];
    double lo[3], step[3];
};
struct sampler_grid sampler_grid_of(const struct grid *grid, double spacing_mm); /* 0: the skull's own */
/* The box of patch k on `on`. bone: the skull's box; implant: its missing part, on the skull's own grid; both are
 * placed where `augment` moves them (NULL: as they are). Pure functions of the arguments. grid: tile k, x slowest
 * and z fastest (the published order), as infer/window.c scans: the last tile of an axis shifted inward. random: the
 * centre uniform in the bone's box. defect: a share of defect_ratio centred on a random implant voxel, the rest as
 * random. whole: the volume. */
struct box sampler_box(const struct loader_config *config, const struct augment *augment, const struct sampler_grid *on,
                       struct box bone, const struct region *implant, struct rng rng, int64_t k);

#endif
