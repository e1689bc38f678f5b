/* sampler.h - where the patches of a drawn skull are cut. Boxes may leave the volume: outside is 0. */
#ifndef CALVARIA_DATA_SAMPLER_H
#define CALVARIA_DATA_SAMPLER_H

#include "data/loader.h"

/* How many patches one drawn skull gives: known from its size alone, so that any position can be resumed without reading. */
int64_t sampler_count(const struct loader_config *config, const int64_t dim[3]);
/* The box of patch k. bone: the skull's box; implant: its missing part; both are looked up where `augment` shows them (NULL: as they are).
 * Pure functions of the arguments.
 * grid: tile k, x slowest and z fastest (the published order), as infer/window.c scans: the last tile of an axis shifted inward.
 * random: the centre uniform in the bone's box. defect: a share of defect_ratio centred on a random implant voxel, the rest as random.
 * whole: the volume. */
struct box sampler_box(const struct loader_config *config, const struct augment *augment, const int64_t dim[3], struct box bone,
                       const struct region *implant, struct rng rng, int64_t k);

#endif
