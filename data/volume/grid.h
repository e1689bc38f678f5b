/* grid.h - where voxels stand in the world (LPS millimetres). */
#ifndef CALVARIA_DATA_VOLUME_GRID_H
#define CALVARIA_DATA_VOLUME_GRID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Where voxels stand: world = origin + sum_a index[a] * axis[a]. Axes are x, y, z. */
struct grid {
    int64_t dim[3];
    double axis[3][3]; /* axis[a] = LPS vector of one step along axis a, mm (spacing times direction) */
    double origin[3];  /* LPS mm of the centre of voxel 0,0,0 */
};

int64_t grid_voxels(const struct grid *grid);
double grid_spacing_mm(const struct grid *grid, int a); /* length of axis[a] */
double grid_voxel_ml(const struct grid *grid);          /* |det| / 1000 */
void grid_to_world(const struct grid *grid, const double index[3], double world[3]);
void grid_to_index(const struct grid *grid, const double world[3], double index[3]);
/* An axis-aligned grid of the given dims and spacing with its centre at the world's origin. */
struct grid grid_make(const int64_t dim[3], const double spacing_mm[3]);
bool grid_same(const struct grid *a, const struct grid *b, double tolerance_mm);
/* STATUS_FAILED where no volume can stand on it: dims below 1 or too many voxels to count, spacing that is zero or not
 * finite, axes that do not span space. `path` starts the message. */
enum status grid_check(const struct grid *grid, const char *path, struct error *error);

#endif
