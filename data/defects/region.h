/* region.h - drawing shapes into a region: what the generators share. Coordinates are voxel indices of the skull's
 * grid. */
#ifndef CALVARIA_DATA_DEFECTS_REGION_H
#define CALVARIA_DATA_DEFECTS_REGION_H

#include <stdbool.h>

#include "data/defects/defect.h"

extern const struct defect_ops defect_cube, defect_sphere, defect_craniotomy, defect_blobs, defect_region;

/* What the published fractions are fractions of. */
enum frame { FRAME_VOLUME, FRAME_SKULL };
extern const char *const frame_names[]; /* "volume" (as published), "skull" (the bone's box), NULL */
#define FRAME_HELP "the box whose fractions place the defect: the whole volume (as published) or the bone's own box"
struct box frame_box(int frame, const struct volume *skull, struct box skull_box);

int64_t box_size(struct box box, int a);
int64_t box_voxels(struct box box);
struct box box_of_grid(const struct grid *grid);
struct box box_meet(struct box a, struct box b); /* the common part; empty: lo = hi = 0 */

/* A cleared mask over box; an empty box gives an empty region. */
enum status region_new(struct region *ret, struct box box, struct error *error);
void region_fill(struct region *region, struct box part);
/* Voxels with sum(((i - centre) / radius)^2) <= 1. */
void region_add_ball(struct region *region, const double centre[3], const double radius[3]);
/* The same in x and y, through the whole height of `part`. */
void region_add_cylinder(struct region *region, struct box part, const double centre[2], const double radius[2]);
/* region = skull and region, the box made tight. Returns the voxels left. */
enum status region_cut(struct region *region, const struct volume *skull, int64_t *ret_n, struct error *error);

/* A number from [low, high]; a whole one, both ends included. */
double range_draw(const double range[2], struct rng *rng);
int64_t range_draw_int(const double range[2], struct rng *rng);
bool range_given(const double range[2]); /* not [0, 0] */

#endif
