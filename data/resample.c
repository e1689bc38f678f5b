/* resample.c - values between grids. Where the axes of both are parallel, which is nearly always, positions come from one table
 * per axis and the four source rows around a row are blended first; else every voxel goes its own way. */
#include <math.h>
#include <string.h>

#include <omp.h>

#include "base/memory.h"
#include "base/parallel.h"
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
static bool axis_inside(double at, int64_t n)
{
    const double edge = 0.5 + 1e-6;
    return at >= -edge && at <= (double)(n - 1) + edge;
}

static bool index_inside(const double at[3], const int64_t dim[3])
{
    return axis_inside(at[0], dim[0]) && axis_inside(at[1], dim[1]) && axis_inside(at[2], dim[2]);
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

static void oblique_slice(struct volume *dst, const struct volume *src, const struct index_map *map, int64_t z,
                          enum resample_order order)
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

/* --- parallel axes --- */

/* For index i on one axis of dst: the voxels of src below and above it, and how far it is towards the second; below < 0: outside.
 */
struct axis_table {
    int32_t *below, *above;
    float *part;
};

static bool map_is_parallel(const struct index_map *map, const int64_t dst_dim[3])
{
    for (int a = 0; a < 3; a++)
        for (int k = 0; k < 3; k++)
            if (k != a && fabs(map->step[a][k]) * (double)dst_dim[a] > 1e-6)
                return false;
    return true;
}

static void axis_table_fill(struct axis_table *table, double start, double step, int64_t n, int64_t src_n,
                            enum resample_order order)
{
    for (int64_t i = 0; i < n; i++) {
        double at = start + (double)i * step;
        double clamped = fmin(fmax(at, 0), (double)(src_n - 1));
        if (order == RESAMPLE_NEAREST)
            clamped = fmin(floor(clamped + 0.5), (double)(src_n - 1));
        int64_t below = (int64_t)clamped;
        table->below[i] = axis_inside(at, src_n) ? (int32_t)below : -1;
        table->above[i] = (int32_t)(below + 1 < src_n ? below + 1 : below);
        table->part[i] = (float)(clamped - (double)below);
    }
}

/* out (+)= weight * a source row */
static void row_blend(float *out, const struct volume *src, int64_t y, int64_t z, float weight, bool add)
{
    int64_t n = src->grid.dim[0], at = (z * src->grid.dim[1] + y) * n;
    const uint8_t *u8 = (const uint8_t *)src->data + at;
    const int16_t *i16 = (const int16_t *)src->data + at;
    const float *f32 = (const float *)src->data + at;
    if (!add)
        memset(out, 0, (size_t)n * sizeof *out);
    if (weight == 0)
        return;
    if (src->type == VOXEL_U8)
        for (int64_t i = 0; i < n; i++)
            out[i] += weight * (float)u8[i];
    else if (src->type == VOXEL_I16)
        for (int64_t i = 0; i < n; i++)
            out[i] += weight * (float)i16[i];
    else
        for (int64_t i = 0; i < n; i++)
            out[i] += weight * f32[i];
}

/* One row of dst by linear interpolation; `blend` holds a source row. */
static void parallel_row_linear(struct volume *dst, const struct volume *src, const struct axis_table table[3], int64_t y,
                                int64_t z, float *blend)
{
    const struct axis_table *x = &table[0];
    float *out = (float *)dst->data + (z * dst->grid.dim[1] + y) * dst->grid.dim[0];
    float py = table[1].part[y], pz = table[2].part[z];
    row_blend(blend, src, table[1].below[y], table[2].below[z], (1 - py) * (1 - pz), false);
    row_blend(blend, src, table[1].above[y], table[2].below[z], py * (1 - pz), true);
    row_blend(blend, src, table[1].below[y], table[2].above[z], (1 - py) * pz, true);
    row_blend(blend, src, table[1].above[y], table[2].above[z], py * pz, true);
    for (int64_t i = 0; i < dst->grid.dim[0]; i++)
        if (x->below[i] >= 0)
            out[i] = blend[x->below[i]] * (1 - x->part[i]) + blend[x->above[i]] * x->part[i];
}

static void parallel_row_nearest(struct volume *dst, const struct volume *src, const struct axis_table table[3], int64_t y,
                                 int64_t z)
{
    size_t size = voxel_bytes(src->type);
    const char *in =
        (const char *)src->data + (table[2].below[z] * src->grid.dim[1] + table[1].below[y]) * src->grid.dim[0] * (int64_t)size;
    char *out = (char *)dst->data + (z * dst->grid.dim[1] + y) * dst->grid.dim[0] * (int64_t)size;
    const int32_t *below = table[0].below;
    for (int64_t i = 0; i < dst->grid.dim[0]; i++)
        if (below[i] >= 0 && size == 1)
            out[i] = in[below[i]];
        else if (below[i] >= 0)
            memcpy(out + (size_t)i * size, in + (size_t)below[i] * size, size);
}

static enum status resample_parallel(struct volume *dst, const struct volume *src, const struct index_map *map,
                                     enum resample_order order, struct error *error)
{
    const int64_t *dim = dst->grid.dim;
    size_t entries = (size_t)(dim[0] + dim[1] + dim[2]), row = (size_t)(src->grid.dim[0] + 15) / 16 * 16;
    int32_t *voxels = memory_alloc(2 * entries, sizeof *voxels);
    float *parts = memory_alloc(entries + row * (size_t)parallel_threads() + 16, sizeof *parts);
    enum status status = voxels && parts ? STATUS_OK : error_memory(error, row * sizeof *parts, "resampling");
    struct axis_table table[3];
    size_t at = 0;
    for (int a = 0; a < 3 && !status; at += (size_t)dim[a], a++) {
        table[a] = (struct axis_table){voxels + at, voxels + entries + at, parts + at};
        axis_table_fill(&table[a], map->start[a], map->step[a][a], dim[a], src->grid.dim[a], order);
    }
    if (!status) {
        float *blends = parts + entries;
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < dim[1] * dim[2]; i++) {
            int64_t y = i % dim[1], z = i / dim[1];
            if (table[1].below[y] < 0 || table[2].below[z] < 0)
                continue;
            if (order == RESAMPLE_NEAREST)
                parallel_row_nearest(dst, src, table, y, z);
            else
                parallel_row_linear(dst, src, table, y, z, blends + row * (size_t)omp_get_thread_num());
        }
    }
    memory_free(parts);
    memory_free(voxels);
    return status;
}

/* --- all --- */

enum status resample_volume(struct volume *ret, const struct volume *src, const struct grid *dst_grid, enum resample_order order,
                            struct error *error)
{
    struct volume dst;
    if (volume_new(&dst, dst_grid, order == RESAMPLE_NEAREST ? src->type : VOXEL_F32, error))
        return STATUS_FAILED;
    const struct index_map map = index_map_make(&src->grid, dst_grid);
    if (map_is_parallel(&map, dst_grid->dim)) {
        if (resample_parallel(&dst, src, &map, order, error)) {
            volume_done(&dst);
            return STATUS_FAILED;
        }
    } else {
#pragma omp parallel for schedule(static)
        for (int64_t z = 0; z < dst_grid->dim[2]; z++)
            oblique_slice(&dst, src, &map, z, order);
    }
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
