/* resample.c - values between grids. */
#include <math.h>

#include "base/memory.h"
#include "data/resample.h"

/* From index on dst to index on src: at = start + sum_a index[a] * step[a]. */
struct index_map {
    double start[3], step[3][3];
};

static struct index_map index_map_make(const struct grid *src, const struct grid *dst)
{
    struct index_map map;
    double world[3];
    grid_to_index(src, dst->origin, map.start);
    for (int a = 0; a < 3; a++) {
        for (int k = 0; k < 3; k++)
            world[k] = dst->origin[k] + dst->axis[a][k];
        grid_to_index(src, world, map.step[a]);
        for (int k = 0; k < 3; k++)
            map.step[a][k] -= map.start[k];
    }
    return map;
}

static double voxel_at(const struct volume *volume, int64_t i)
{
    return volume->type == VOXEL_U8    ? ((const uint8_t *)volume->data)[i]
           : volume->type == VOXEL_I16 ? ((const int16_t *)volume->data)[i]
                                       : (double)((const float *)volume->data)[i];
}

/* A voxel is a box: half a step beyond the outermost centres is still inside. Rounding of the map is forgiven. */
static bool index_inside(const double at[3], const int64_t dim[3])
{
    const double edge = 0.5 + 1e-6;
    for (int a = 0; a < 3; a++)
        if (!(at[a] >= -edge && at[a] <= (double)(dim[a] - 1) + edge))
            return false;
    return true;
}

static int64_t index_clamp(double at, int64_t dim)
{
    return at < 0 ? 0 : at > (double)(dim - 1) ? dim - 1 : (int64_t)at;
}

static int64_t nearest_at(const struct volume *src, const double at[3])
{
    const int64_t *dim = src->grid.dim;
    return (index_clamp(floor(at[2] + 0.5), dim[2]) * dim[1] + index_clamp(floor(at[1] + 0.5), dim[1])) * dim[0] +
           index_clamp(floor(at[0] + 0.5), dim[0]);
}

static double linear_at(const struct volume *src, const double at[3])
{
    const int64_t stride[3] = {1, src->grid.dim[0], src->grid.dim[0] * src->grid.dim[1]};
    int64_t base = 0, next[3];
    double part[3];
    for (int a = 0; a < 3; a++) {
        double clamped = fmin(fmax(at[a], 0), (double)(src->grid.dim[a] - 1));
        int64_t lower = (int64_t)clamped;
        part[a] = clamped - (double)lower;
        next[a] = lower + 1 < src->grid.dim[a] ? stride[a] : 0;
        base += lower * stride[a];
    }
    double plane[2];
    for (int z = 0; z < 2; z++) {
        int64_t i = base + z * next[2];
        double low = voxel_at(src, i) * (1 - part[0]) + voxel_at(src, i + next[0]) * part[0];
        double high = voxel_at(src, i + next[1]) * (1 - part[0]) + voxel_at(src, i + next[1] + next[0]) * part[0];
        plane[z] = low * (1 - part[1]) + high * part[1];
    }
    return plane[0] * (1 - part[2]) + plane[1] * part[2];
}

static void store_nearest(struct volume *dst, int64_t to, const struct volume *src, const double at[3])
{
    int64_t from = nearest_at(src, at);
    if (src->type == VOXEL_U8)
        ((uint8_t *)dst->data)[to] = ((const uint8_t *)src->data)[from];
    else if (src->type == VOXEL_I16)
        ((int16_t *)dst->data)[to] = ((const int16_t *)src->data)[from];
    else
        ((float *)dst->data)[to] = ((const float *)src->data)[from];
}

static void resample_slice(struct volume *dst, const struct volume *src, const struct index_map *map, int64_t z, enum resample_order order)
{
    const int64_t *dim = dst->grid.dim;
    for (int64_t y = 0; y < dim[1]; y++)
        for (int64_t x = 0; x < dim[0]; x++) {
            double at[3];
            for (int a = 0; a < 3; a++)
                at[a] = map->start[a] + (double)x * map->step[0][a] + (double)y * map->step[1][a] + (double)z * map->step[2][a];
            int64_t to = (z * dim[1] + y) * dim[0] + x;
            if (!index_inside(at, src->grid.dim))
                continue;
            if (order == RESAMPLE_NEAREST)
                store_nearest(dst, to, src, at);
            else
                ((float *)dst->data)[to] = (float)linear_at(src, at);
        }
}

enum status resample_volume(struct volume *ret, const struct volume *src, const struct grid *dst_grid, enum resample_order order,
                            struct error *error)
{
    struct volume dst;
    if (volume_new(&dst, dst_grid, order == RESAMPLE_NEAREST ? src->type : VOXEL_F32, error))
        return STATUS_FAILED;
    const struct index_map map = index_map_make(&src->grid, dst_grid);
#pragma omp parallel for schedule(static)
    for (int64_t z = 0; z < dst_grid->dim[2]; z++)
        resample_slice(&dst, src, &map, z, order);
    *ret = dst;
    return STATUS_OK;
}

struct grid resample_grid(const struct grid *grid, const double spacing_mm[3])
{
    struct grid out = *grid;
    for (int a = 0; a < 3; a++) {
        double old = grid_spacing_mm(grid, a), extent = (double)grid->dim[a] * old;
        out.dim[a] = (int64_t)ceil(extent / spacing_mm[a] - 1e-3);
        out.dim[a] = out.dim[a] < 1 ? 1 : out.dim[a];
        for (int k = 0; k < 3; k++)
            out.axis[a][k] = grid->axis[a][k] * (spacing_mm[a] / old);
    }
    for (int k = 0; k < 3; k++) /* both centres at one place */
        for (int a = 0; a < 3; a++)
            out.origin[k] += 0.5 * ((double)(grid->dim[a] - 1) * grid->axis[a][k] - (double)(out.dim[a] - 1) * out.axis[a][k]);
    return out;
}
