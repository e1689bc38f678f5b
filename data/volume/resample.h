/* resample.h - values between grids: axis-aligned resizing and world-space resampling. */
#ifndef CALVARIA_DATA_VOLUME_RESAMPLE_H
#define CALVARIA_DATA_VOLUME_RESAMPLE_H

#include <stdint.h>

#include "base/error.h"
#include "data/volume/volume.h"

/* AREA: the mean over the voxel's own box where it is larger than src's voxels (no aliasing), LINEAR where it is not;
 * LINEAR as well where the axes of both grids are not parallel. */
enum resample_order { RESAMPLE_NEAREST, RESAMPLE_LINEAR, RESAMPLE_AREA };

/* dst on dst_grid from src by world position; outside src is 0. u8 masks stay masks with NEAREST; the others give
 * VOXEL_F32. */
enum status resample_volume(struct volume *ret, const struct volume *src, const struct grid *dst_grid,
                            enum resample_order order, struct error *error);
/* The grid with this spacing over the same field of view. */
struct grid resample_grid(const struct grid *grid, const double spacing_mm[3]);
/* The grid of this spacing with axes at right angles that holds the whole of grid: its x axis and its plane of x and y
 * stay. Of a grid that has right angles: resample_grid. */
struct grid resample_right_angles(const struct grid *grid, const double spacing_mm[3]);
/* The same field of view in dim voxels. */
struct grid resample_fit(const struct grid *grid, const int64_t dim[3]);
/* A mask on another grid: what is bone by more than half. */
enum status resample_mask(struct volume *ret, const struct volume *src, const struct grid *dst_grid,
                          struct error *error);
/* Values of src (dim, x fastest), linear between its voxels and 0 beyond them, at a box of voxels: voxel i of `size`
 * stands at at + i * step, in src's voxels. */
void resample_lattice(float *out, const int64_t size[3], const float *src, const int64_t dim[3], const double at[3],
                      const double step[3]);
/* The same by the cubic B-spline, whose weights are never negative: smooth to the second derivative, as if src were
 * blurred by 0.58 of its voxels (Unser, "Splines: a perfect fit for signal and image processing", 1999). */
enum status resample_lattice_smooth(float *out, const int64_t size[3], const float *src, const int64_t dim[3],
                                    const double at[3], const double step[3], struct error *error);
/* Where a crop of this size of a whole skull begins on the skull's volume (shares of bone, x fastest), in
 * voxels. Centred on the bone (voxels at least a quarter bone) from left to right and from front to back, its top two
 * voxels above the bone's: there the vault is. It may leave the volume, where nothing is. */
void skull_crop(int64_t lo[3], const float *bone, const int64_t dim[3], const int64_t crop[3]);
/* out (of size `crop`) = src (dim) from lo on; beyond it is 0. */
void resample_crop(float *out, const int64_t crop[3], const float *src, const int64_t dim[3], const int64_t lo[3]);

#endif
