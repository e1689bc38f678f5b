/* resample.h - values between grids: axis-aligned resizing and world-space resampling. */
#ifndef CALVARIA_DATA_RESAMPLE_H
#define CALVARIA_DATA_RESAMPLE_H

#include <stdint.h>

#include "base/error.h"
#include "data/volume.h"

enum resample_order { RESAMPLE_NEAREST, RESAMPLE_LINEAR };

/* dst on dst_grid from src by world position; outside src is 0. u8 masks stay masks with NEAREST; LINEAR gives VOXEL_F32. */
enum status resample_volume(struct volume *ret, const struct volume *src, const struct grid *dst_grid, enum resample_order order,
                            struct error *error);
/* The grid with this spacing over the same field of view. */
struct grid resample_grid(const struct grid *grid, const double spacing_mm[3]);

#endif
