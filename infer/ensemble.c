/* ensemble.c - see ensemble.h. Test: tests/infer/test_ensemble.c */
#include "infer/ensemble.h"

#include <math.h>
#include <string.h>

enum status ensemble_add(struct ensemble_field *field, const struct volume *p, struct error *error)
{
    const int64_t n = grid_voxels(&p->grid);
    if (!field->n && (volume_new(&field->mean, &p->grid, VOXEL_F32, error) ||
                      volume_new(&field->spread, &p->grid, VOXEL_F32, error)))
        return error->status;
    if (memcmp(field->mean.grid.dim, p->grid.dim, sizeof p->grid.dim) != 0)
        return error_set(error, STATUS_FAILED, "the members of an ensemble work on different grids");

    float *mean = field->mean.data, *squares = field->spread.data;
    const float *value = p->data, count = (float)++field->n;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        const float before = value[i] - mean[i];
        mean[i] += before / count;
        squares[i] += before * (value[i] - mean[i]);
    }
    return STATUS_OK;
}

/* One voxel and its neighbours along one axis. */
struct ensemble_line {
    double slope; /* of the mean, per mm: central differences, one-sided at the ends */
    bool crosses;
};

static struct ensemble_line ensemble_look(const float *mean, const struct grid *grid, const int64_t at[3], int axis,
                                          float threshold)
{
    const int64_t *dim = grid->dim, step = axis == 0 ? 1 : axis == 1 ? dim[0] : dim[0] * dim[1];
    const int64_t i = (at[2] * dim[1] + at[1]) * dim[0] + at[0];
    const int64_t below = at[axis] > 0 ? i - step : i, above = at[axis] + 1 < dim[axis] ? i + step : i;
    const double steps = (double)((below < i) + (above > i)), rise = (double)mean[above] - (double)mean[below];
    const bool in = mean[i] > threshold;
    return (struct ensemble_line){.slope = steps > 0 ? rise / (steps * grid_spacing_mm(grid, axis)) : 0,
                                  .crosses = in != (mean[below] > threshold) || in != (mean[above] > threshold)};
}

void ensemble_spread(struct ensemble_field *field, float threshold)
{
    static const double INTERVAL_90 = 1.645, MOST_MM = 20, LEAST_SLOPE = 1e-6;
    const struct grid *grid = &field->mean.grid;
    const int64_t *dim = grid->dim, n = grid_voxels(grid);
    const float *mean = field->mean.data;
    float *spread = field->spread.data;

#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        const int64_t at[3] = {i % dim[0], i / dim[0] % dim[1], i / dim[0] / dim[1]};
        const double sd = field->n > 1 ? sqrt((double)spread[i] / (double)(field->n - 1)) : 0;
        double slope = 0;
        bool crosses = false;
        for (int a = 0; a < 3; a++) {
            const struct ensemble_line line = ensemble_look(mean, grid, at, a, threshold);
            slope += line.slope * line.slope;
            crosses |= line.crosses;
        }
        spread[i] = crosses ? (float)fmin(MOST_MM, INTERVAL_90 * sd / fmax(LEAST_SLOPE, sqrt(slope))) : NAN;
    }
}

void ensemble_done(struct ensemble_field *field)
{
    volume_done(&field->mean);
    volume_done(&field->spread);
    *field = (struct ensemble_field){0};
}
