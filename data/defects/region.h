/* region.h - drawing shapes into a region: what the generators share. Coordinates are voxel indices of the skull's
 * grid. */
#ifndef CALVARIA_DATA_DEFECTS_REGION_H
#define CALVARIA_DATA_DEFECTS_REGION_H

#include <stdbool.h>

#include "data/defects/defect.h"

extern const struct defect_ops defect_cube, defect_sphere, defect_craniotomy, defect_blobs, defect_region;

/* What the published fractions are fractions of. */
enum placement_box { PLACEMENT_VOLUME, PLACEMENT_SKULL };
extern const char *const placement_box_names[]; /* "volume" (as published), "skull" (the bone's box), NULL */
#define PLACEMENT_BOX_HELP \
    "the box whose fractions place the defect: the whole volume (as published) or the bone's own box"
struct box placement_box_of(int placement_box, const struct volume *skull, struct box skull_box);

/* A cleared mask over box; an empty box gives an empty region. */
enum status region_new(struct region *ret, struct box box, struct error *error);
void region_fill(struct region *region, struct box part);
/* Voxels with sum(((i - centre) / radius)^2) <= 1. */
void region_add_ball(struct region *region, const double centre[3], const double radius[3]);
/* The same in x and y, through the whole height of `part`. */
void region_add_cylinder(struct region *region, struct box part, const double centre[2], const double radius[2]);
/* region = skull and region, the box made tight. Returns the voxels left. */
enum status region_cut(struct region *region, const struct volume *skull, int64_t *ret_n, struct error *error);

bool range_given(const double range[2]); /* not [0, 0] */

#endif
