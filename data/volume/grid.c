/* grid.c - where voxels stand in the world. Test: tests/data/test_volume.c. */
#include "data/volume/grid.h"

#include <math.h>

int64_t grid_voxels(const struct grid *grid)
{
    return grid->dim[0] * grid->dim[1] * grid->dim[2];
}

static double grid_length(const double v[3])
{
    return sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
}

double grid_spacing_mm(const struct grid *grid, int a)
{
    return grid_length(grid->axis[a]);
}

/* Of the matrix whose rows are the axes. */
static double grid_determinant(const struct grid *grid)
{
    const double(*m)[3] = grid->axis;
    return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
           m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
}

double grid_voxel_ml(const struct grid *grid)
{
    return fabs(grid_determinant(grid)) / 1000.0;
}

void grid_to_world(const struct grid *grid, const double index[3], double world[3])
{
    for (int k = 0; k < 3; k++)
        world[k] =
            grid->origin[k] + index[0] * grid->axis[0][k] + index[1] * grid->axis[1][k] + index[2] * grid->axis[2][k];
}

/* Cramer's rule: index[a] = det(axes with the a-th replaced by world - origin) / det(axes). */
void grid_to_index(const struct grid *grid, const double world[3], double index[3])
{
    double determinant = grid_determinant(grid);
    for (int a = 0; a < 3; a++) {
        struct grid replaced = *grid;
        for (int k = 0; k < 3; k++)
            replaced.axis[a][k] = world[k] - grid->origin[k];
        index[a] = grid_determinant(&replaced) / determinant;
    }
}

struct grid grid_make(const int64_t dim[3], const double spacing_mm[3])
{
    struct grid grid = {0};
    for (int a = 0; a < 3; a++) {
        grid.dim[a] = dim[a];
        grid.axis[a][a] = spacing_mm[a];
        grid.origin[a] = -0.5 * (double)(dim[a] - 1) * spacing_mm[a];
    }
    return grid;
}

/* The largest distance between the same corners of both. */
bool grid_same(const struct grid *a, const struct grid *b, double tolerance_mm)
{
    for (int k = 0; k < 3; k++)
        if (a->dim[k] != b->dim[k])
            return false;
    for (int corner = 0; corner < 8; corner++) {
        double index[3], at_a[3], at_b[3], apart[3];
        for (int k = 0; k < 3; k++)
            index[k] = corner >> k & 1 ? (double)(a->dim[k] - 1) : 0;
        grid_to_world(a, index, at_a);
        grid_to_world(b, index, at_b);
        for (int k = 0; k < 3; k++)
            apart[k] = at_a[k] - at_b[k];
        if (!(grid_length(apart) <= tolerance_mm))
            return false;
    }
    return true;
}

enum status grid_check(const struct grid *grid, const char *path, struct error *error)
{
    const int64_t most_voxels =
        INT64_C(1) << 40; /* 2^40 floats are 4 TiB: no machine's memory, and products below stay far from 2^63 */
    int64_t voxels = 1;

    for (int a = 0; a < 3; a++) {
        if (grid->dim[a] < 1)
            return error_set(error, STATUS_FAILED, "%s: dims: axis %d has %lld voxels (a damaged header?)", path, a,
                             (long long)grid->dim[a]);
        if (grid->dim[a] > most_voxels / voxels || grid->dim[a] > INT32_MAX)
            return error_set(
                error, STATUS_FAILED,
                "%s: dims: %lld x %lld x %lld is more than 2^40 voxels, or 2^31 on an axis (a damaged header?)", path,
                (long long)grid->dim[0], (long long)grid->dim[1], (long long)grid->dim[2]);
        voxels *= grid->dim[a];
    }

    double lengths = 1;

    for (int a = 0; a < 3; a++) {
        double spacing = grid_spacing_mm(grid, a);
        if (!isfinite(spacing) || spacing < 1e-6 || spacing > 1e6)
            return error_set(error, STATUS_FAILED,
                             "%s: spacing of axis %d: %g mm (expected a finite number above zero)", path, a,
                             isnan(spacing) ? NAN : spacing); /* not "-nan" */
        if (!isfinite(grid->origin[a]))
            return error_set(error, STATUS_FAILED, "%s: origin: component %d is not finite (a damaged header?)", path,
                             a);
        lengths *= spacing;
    }

    if (fabs(grid_determinant(grid)) < 1e-3 * lengths)
        return error_set(error, STATUS_FAILED,
                         "%s: affine is singular: its three axes lie in one plane (a damaged header?)", path);
    return STATUS_OK;
}
