/* box.h - an axis-aligned box of voxels. */
#ifndef CALVARIA_DATA_VOLUME_BOX_H
#define CALVARIA_DATA_VOLUME_BOX_H

#include <stdbool.h>
#include <stdint.h>

#include "data/volume/grid.h"

struct box {
    int64_t lo[3], hi[3]; /* lo <= i < hi, x, y, z */
};

int64_t box_size(struct box box, int a);
int64_t box_voxels(struct box box);
bool box_empty(struct box box);
struct box box_of_grid(const struct grid *grid);
/* The box of a mask's voxels other than 0, dim x, y, z with x fastest. An empty mask: lo = hi = 0. */
struct box box_of_mask(const uint8_t *mask, const int64_t dim[3]);
/* The common part; empty: lo = hi = 0. */
struct box box_meet(struct box a, struct box b);
/* The smallest box around both; an empty one adds nothing. */
struct box box_join(struct box a, struct box b);
/* Larger by `margin` voxels on each side, cut at the volume's borders. An empty one stays empty. */
struct box box_grow(struct box box, int64_t margin, const int64_t dim[3]);

#endif
