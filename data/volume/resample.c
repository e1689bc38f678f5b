/* resample.c - values between grids. Where the axes of both are parallel, which is nearly always, weights come from one
 * table per axis and the source rows under a row are blended first; else every voxel goes its own way.
 * Test: tests/data/test_resample.c. */
#include <math.h>
#include <string.h>

#include <omp.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "data/volume/resample.h"

/* From index on dst to index on src: at = start + sum_a index[a] * step[a]. */
struct index_map {
    double start[3], step[3][3];
};

static struct index_map resample_index_map_make(const struct grid *src, const struct grid *dst)
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

static double resample_voxel_at(const struct volume *volume, int64_t i)
{
    return volume->type == VOXEL_U8    ? ((const uint8_t *)volume->data)[i]
           : volume->type == VOXEL_I16 ? ((const int16_t *)volume->data)[i]
                                       : (double)((const float *)volume->data)[i];
}

/* A voxel is a box: half a step beyond the outermost centres is still inside. Rounding of the map is forgiven. */
static bool resample_axis_inside(double at, int64_t n)
{
    const double edge = 0.5 + 1e-6;
    return at >= -edge && at <= (double)(n - 1) + edge;
}

static bool resample_index_inside(const double at[3], const int64_t dim[3])
{
    return resample_axis_inside(at[0], dim[0]) && resample_axis_inside(at[1], dim[1]) &&
           resample_axis_inside(at[2], dim[2]);
}

static int64_t resample_index_clamp(double at, int64_t dim)
{
    return at < 0 ? 0 : at > (double)(dim - 1) ? dim - 1 : (int64_t)at;
}

static int64_t resample_nearest_at(const struct volume *src, const double at[3])
{
    const int64_t *dim = src->grid.dim;
    return (resample_index_clamp(floor(at[2] + 0.5), dim[2]) * dim[1] +
            resample_index_clamp(floor(at[1] + 0.5), dim[1])) *
               dim[0] +
           resample_index_clamp(floor(at[0] + 0.5), dim[0]);
}

static double resample_linear_at(const struct volume *src, const double at[3])
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
        double low = resample_voxel_at(src, i) * (1 - part[0]) + resample_voxel_at(src, i + next[0]) * part[0];
        double high = resample_voxel_at(src, i + next[1]) * (1 - part[0]) +
                      resample_voxel_at(src, i + next[1] + next[0]) * part[0];
        plane[z] = low * (1 - part[1]) + high * part[1];
    }

    return plane[0] * (1 - part[2]) + plane[1] * part[2];
}

static void resample_store_nearest(struct volume *dst, int64_t to, const struct volume *src, const double at[3])
{
    int64_t from = resample_nearest_at(src, at);
    if (src->type == VOXEL_U8)
        ((uint8_t *)dst->data)[to] = ((const uint8_t *)src->data)[from];
    else if (src->type == VOXEL_I16)
        ((int16_t *)dst->data)[to] = ((const int16_t *)src->data)[from];
    else
        ((float *)dst->data)[to] = ((const float *)src->data)[from];
}

static void resample_oblique_slice(struct volume *dst, const struct volume *src, const struct index_map *map, int64_t z,
                                   enum resample_order order)
{
    const int64_t *dim = dst->grid.dim;
    for (int64_t y = 0; y < dim[1]; y++)
        for (int64_t x = 0; x < dim[0]; x++) {
            double at[3];
            for (int a = 0; a < 3; a++)
                at[a] = map->start[a] + (double)x * map->step[0][a] + (double)y * map->step[1][a] +
                        (double)z * map->step[2][a];
            int64_t to = (z * dim[1] + y) * dim[0] + x;
            if (!resample_index_inside(at, src->grid.dim))
                continue;
            if (order == RESAMPLE_NEAREST)
                resample_store_nearest(dst, to, src, at);
            else
                ((float *)dst->data)[to] = (float)resample_linear_at(src, at);
        }
}

/* --- parallel axes --- */

/* For index i on one axis of dst: the voxels first[i] .. first[i] + n[i] of src and their weights; they sum to 1, to
 * less where an area leaves src; n[i] = 0: outside. */
struct axis_taps {
    int32_t *first, *n;
    float *weight; /* [width] for each i */
    int64_t width;
};

static bool resample_map_is_parallel(const struct index_map *map, const int64_t dst_dim[3])
{
    for (int a = 0; a < 3; a++)
        for (int k = 0; k < 3; k++)
            if (k != a && fabs(map->step[a][k]) * (double)dst_dim[a] > 1e-6)
                return false;
    return true;
}

static int64_t resample_axis_width(double step, enum resample_order order)
{
    return order == RESAMPLE_AREA && step > 1 ? (int64_t)ceil(step) + 1 : 2;
}

/* The shares of src's voxels in the box of width step around `at`. */
static void resample_taps_area(struct axis_taps *taps, int64_t i, double at, double step, int64_t src_n)
{
    const double lo = fmax(at - 0.5 * step, -0.5), hi = fmin(at + 0.5 * step, (double)src_n - 0.5);
    const int64_t first = (int64_t)floor(lo + 0.5);
    int64_t n = 0;
    for (int64_t v = first; n < taps->width && v < src_n && (double)v - 0.5 < hi; v++, n++)
        taps->weight[i * taps->width + n] = (float)((fmin((double)v + 0.5, hi) - fmax((double)v - 0.5, lo)) / step);
    taps->first[i] = (int32_t)first;
    taps->n[i] = (int32_t)n;
}

static void resample_taps_point(struct axis_taps *taps, int64_t i, double at, int64_t src_n, enum resample_order order)
{
    double clamped = fmin(fmax(at, 0), (double)(src_n - 1));
    if (order == RESAMPLE_NEAREST)
        clamped = fmin(floor(clamped + 0.5), (double)(src_n - 1));
    const int64_t below = (int64_t)clamped;
    const float part = (float)(clamped - (double)below);
    taps->first[i] = (int32_t)below;
    taps->n[i] = resample_axis_inside(at, src_n) ? below + 1 < src_n ? 2 : 1 : 0;
    taps->weight[2 * i] = 1 - part;
    taps->weight[2 * i + 1] = part;
}

static void resample_taps_fill(struct axis_taps *taps, double start, double step, int64_t n, int64_t src_n,
                               enum resample_order order)
{
    for (int64_t i = 0; i < n; i++) {
        const double at = start + (double)i * step;
        taps->n[i] = 0;
        if (order != RESAMPLE_AREA || step <= 1)
            resample_taps_point(taps, i, at, src_n, order);
        else if (at + 0.5 * step > -0.5 && at - 0.5 * step < (double)src_n - 0.5)
            resample_taps_area(taps, i, at, step, src_n);
    }
}

/* out += weight * a source row */
static void resample_row_blend(float *out, const struct volume *src, int64_t y, int64_t z, float weight)
{
    int64_t n = src->grid.dim[0], at = (z * src->grid.dim[1] + y) * n;
    const uint8_t *u8 = (const uint8_t *)src->data + at;
    const int16_t *i16 = (const int16_t *)src->data + at;
    const float *f32 = (const float *)src->data + at;
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

/* One row of dst; `blend` holds a source row. */
static void resample_parallel_row(struct volume *dst, const struct volume *src, const struct axis_taps taps[3],
                                  int64_t y, int64_t z, float *blend)
{
    const struct axis_taps *tx = &taps[0], *ty = &taps[1], *tz = &taps[2];
    float *out = (float *)dst->data + (z * dst->grid.dim[1] + y) * dst->grid.dim[0];
    memset(blend, 0, (size_t)src->grid.dim[0] * sizeof *blend);
    for (int32_t k = 0; k < tz->n[z]; k++)
        for (int32_t j = 0; j < ty->n[y]; j++)
            resample_row_blend(blend, src, ty->first[y] + j, tz->first[z] + k,
                               ty->weight[y * ty->width + j] * tz->weight[z * tz->width + k]);
    for (int64_t i = 0; i < dst->grid.dim[0]; i++) {
        const float *from = blend + tx->first[i], *weight = tx->weight + i * tx->width;
        float sum = 0;
        for (int32_t k = 0; k < tx->n[i]; k++)
            sum += from[k] * weight[k];
        out[i] = sum;
    }
}

static void resample_parallel_row_nearest(struct volume *dst, const struct volume *src, const struct axis_taps taps[3],
                                          int64_t y, int64_t z)
{
    size_t size = voxel_bytes(src->type);
    const char *in = (const char *)src->data +
                     (taps[2].first[z] * src->grid.dim[1] + taps[1].first[y]) * src->grid.dim[0] * (int64_t)size;
    char *out = (char *)dst->data + (z * dst->grid.dim[1] + y) * dst->grid.dim[0] * (int64_t)size;
    for (int64_t i = 0; i < dst->grid.dim[0]; i++)
        if (taps[0].n[i] && size == 1)
            out[i] = in[taps[0].first[i]];
        else if (taps[0].n[i])
            memcpy(out + (size_t)i * size, in + (size_t)taps[0].first[i] * size, size);
}

static enum status resample_parallel(struct volume *dst, const struct volume *src, const struct index_map *map,
                                     enum resample_order order, struct error *error)
{
    const int64_t *dim = dst->grid.dim;
    size_t entries = (size_t)(dim[0] + dim[1] + dim[2]), row = (size_t)(src->grid.dim[0] + 15) / 16 * 16, weights = 0;

    for (int a = 0; a < 3; a++)
        weights += (size_t)(dim[a] * resample_axis_width(map->step[a][a], order));
    int32_t *voxels = memory_alloc(2 * entries, sizeof *voxels);
    float *floats = memory_alloc(weights + row * (size_t)parallel_threads() + 16, sizeof *floats);
    enum status status = voxels && floats ? STATUS_OK : error_memory(error, row * sizeof *floats, "resampling");

    /* One table of taps per axis: which source voxels, with which weights */
    struct axis_taps taps[3];
    int32_t *entry = voxels;
    float *weight = floats;
    for (int a = 0; a < 3 && !status; a++) {
        taps[a] = (struct axis_taps){entry, entry + dim[a], weight, resample_axis_width(map->step[a][a], order)};
        entry += 2 * dim[a];
        weight += dim[a] * taps[a].width;
        resample_taps_fill(&taps[a], map->start[a], map->step[a][a], dim[a], src->grid.dim[a], order);
    }
    /* A row of the result at a time; rows that lie outside the source stay 0 */
    if (!status) {
        float *blends = floats + weights;
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < dim[1] * dim[2]; i++) {
            int64_t y = i % dim[1], z = i / dim[1];
            if (taps[1].n[y] == 0 || taps[2].n[z] == 0)
                continue;
            if (order == RESAMPLE_NEAREST)
                resample_parallel_row_nearest(dst, src, taps, y, z);
            else
                resample_parallel_row(dst, src, taps, y, z, blends + row * (size_t)omp_get_thread_num());
        }
    }

    memory_free(floats);
    memory_free(voxels);
    return status;
}

/* --- all --- */

enum status resample_volume(struct volume *ret, const struct volume *src, const struct grid *dst_grid,
                            enum resample_order order, struct error *error)
{
    struct volume dst;
    if (volume_new(&dst, dst_grid, order == RESAMPLE_NEAREST ? src->type : VOXEL_F32, error))
        return STATUS_FAILED;
    const struct index_map map = resample_index_map_make(&src->grid, dst_grid);
    if (resample_map_is_parallel(&map, dst_grid->dim)) {
        if (resample_parallel(&dst, src, &map, order, error)) {
            volume_done(&dst);
            return STATUS_FAILED;
        }
    } else {
#pragma omp parallel for schedule(static)
        for (int64_t z = 0; z < dst_grid->dim[2]; z++)
            resample_oblique_slice(&dst, src, &map, z, order);
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
            out.origin[k] +=
                0.5 * ((double)(grid->dim[a] - 1) * grid->axis[a][k] - (double)(out.dim[a] - 1) * out.axis[a][k]);
    return out;
}

/* Gram and Schmidt: unit vectors along x, y without its part along x, and across both, on z's side. */
static void resample_right_axes(double unit[3][3], const struct grid *grid)
{
    for (int a = 0; a < 3; a++) {
        double along[3] = {grid->axis[a][0], grid->axis[a][1], grid->axis[a][2]};
        for (int b = 0; b < a; b++) {
            const double dot = along[0] * unit[b][0] + along[1] * unit[b][1] + along[2] * unit[b][2];
            for (int k = 0; k < 3; k++)
                along[k] -= dot * unit[b][k];
        }
        const double length = sqrt(along[0] * along[0] + along[1] * along[1] + along[2] * along[2]);
        for (int k = 0; k < 3; k++)
            unit[a][k] = along[k] / length;
    }
}

struct grid resample_right_angles(const struct grid *grid, const double spacing_mm[3])
{
    double unit[3][3], low[3] = {INFINITY, INFINITY, INFINITY}, high[3] = {-INFINITY, -INFINITY, -INFINITY};
    bool right = true;
    struct grid ret = {0};
    resample_right_axes(unit, grid);
    for (int a = 0; a < 3; a++)
        for (int k = 0; k < 3; k++)
            right &= fabs(unit[a][k] * grid_spacing_mm(grid, a) - grid->axis[a][k]) < 1e-4 * grid_spacing_mm(grid, a);
    if (right)
        return resample_grid(grid, spacing_mm);

    /* The eight outer corners along the new axes. */
    for (int corner = 0; corner < 8; corner++) {
        double index[3], world[3];
        for (int a = 0; a < 3; a++)
            index[a] = corner >> a & 1 ? (double)grid->dim[a] - 0.5 : -0.5;
        grid_to_world(grid, index, world);
        for (int a = 0; a < 3; a++) {
            const double at = world[0] * unit[a][0] + world[1] * unit[a][1] + world[2] * unit[a][2];
            low[a] = fmin(low[a], at);
            high[a] = fmax(high[a], at);
        }
    }
    for (int a = 0; a < 3; a++) {
        ret.dim[a] = (int64_t)ceil((high[a] - low[a]) / spacing_mm[a] - 1e-6);
        for (int k = 0; k < 3; k++) {
            ret.axis[a][k] = spacing_mm[a] * unit[a][k];
            ret.origin[k] += (low[a] + spacing_mm[a] / 2) * unit[a][k];
        }
    }
    return ret;
}

struct grid resample_fit(const struct grid *grid, const int64_t dim[3])
{
    struct grid out = *grid;
    for (int a = 0; a < 3; a++) {
        const double scale = (double)grid->dim[a] / (double)dim[a];
        out.dim[a] = dim[a];
        for (int k = 0; k < 3; k++) {
            out.origin[k] += 0.5 * (scale - 1) * grid->axis[a][k];
            out.axis[a][k] *= scale;
        }
    }
    return out;
}

enum status resample_mask(struct volume *ret, const struct volume *src, const struct grid *dst_grid,
                          struct error *error)
{
    struct volume shares, mask;
    if (resample_volume(&shares, src, dst_grid, RESAMPLE_AREA, error))
        return error->status;
    enum status status = volume_new(&mask, dst_grid, VOXEL_U8, error);
    for (int64_t i = 0; !status && i < grid_voxels(dst_grid); i++)
        ((uint8_t *)mask.data)[i] = ((const float *)shares.data)[i] > 0.5F;
    volume_done(&shares);
    if (status)
        return status;
    mask.storage = src->storage;
    *ret = mask;
    return STATUS_OK;
}

void skull_crop(int64_t lo[3], const float *bone, const int64_t dim[3], const int64_t crop[3])
{
    enum { TOP_MARGIN = 2 };
    int64_t from[3] = {dim[0], dim[1], dim[2]}, to[3] = {0};

    for (int64_t z = 0; z < dim[2]; z++)
        for (int64_t y = 0; y < dim[1]; y++)
            for (int64_t x = 0; x < dim[0]; x++) {
                const int64_t at[3] = {x, y, z};
                for (int a = 0; a < 3 && bone[(z * dim[1] + y) * dim[0] + x] >= 0.25F; a++) {
                    from[a] = at[a] < from[a] ? at[a] : from[a];
                    to[a] = at[a] >= to[a] ? at[a] + 1 : to[a];
                }
            }

    for (int a = 0; a < 3; a++) {
        const int64_t twice = to[a] > 0 ? from[a] + to[a] : dim[a]; /* no bone: the volume's middle */
        lo[a] = (twice - crop[a] + (twice < crop[a] ? -1 : 0)) / 2;
    }

    if (to[2] > 0)
        lo[2] = to[2] + TOP_MARGIN - crop[2];
}

void resample_crop(float *out, const int64_t crop[3], const float *src, const int64_t dim[3], const int64_t lo[3])
{
    const int64_t first = lo[0] < 0 ? -lo[0] : 0, end = lo[0] + crop[0] > dim[0] ? dim[0] - lo[0] : crop[0];
    memset(out, 0, (size_t)(crop[0] * crop[1] * crop[2]) * sizeof *out);
    for (int64_t z = 0; z < crop[2] && end > first; z++)
        for (int64_t y = 0; y < crop[1]; y++)
            if (z + lo[2] >= 0 && z + lo[2] < dim[2] && y + lo[1] >= 0 && y + lo[1] < dim[1])
                memcpy(out + (z * crop[1] + y) * crop[0] + first,
                       src + ((z + lo[2]) * dim[1] + y + lo[1]) * dim[0] + lo[0] + first,
                       (size_t)(end - first) * sizeof *out);
}

/* The sum over the corners of a cell that lie in src. */
static float resample_lattice_value(const float *src, const int64_t dim[3], const double at[3])
{
    int64_t lower[3];
    float part[3], sum = 0;

    for (int a = 0; a < 3; a++) {
        const double below = floor(at[a]);
        if (!(below >= -1 && below < (double)dim[a]))
            return 0;
        lower[a] = (int64_t)below;
        part[a] = (float)(at[a] - below);
    }

    for (int corner = 0; corner < 8; corner++) {
        const int64_t x = lower[0] + (corner & 1), y = lower[1] + (corner >> 1 & 1), z = lower[2] + (corner >> 2);
        if (x < 0 || x >= dim[0] || y < 0 || y >= dim[1] || z < 0 || z >= dim[2])
            continue;
        sum += src[(z * dim[1] + y) * dim[0] + x] * (corner & 1 ? part[0] : 1 - part[0]) *
               (corner & 2 ? part[1] : 1 - part[1]) * (corner & 4 ? part[2] : 1 - part[2]);
    }

    return sum;
}

void resample_lattice(float *out, const int64_t size[3], const float *src, const int64_t dim[3], const double at[3],
                      const double step[3])
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < size[1] * size[2]; i++) {
        const int64_t y = i % size[1], z = i / size[1];
        for (int64_t x = 0; x < size[0]; x++) {
            const double place[3] = {at[0] + (double)x * step[0], at[1] + (double)y * step[1],
                                     at[2] + (double)z * step[2]};
            out[i * size[0] + x] = resample_lattice_value(src, dim, place);
        }
    }
}

enum { SPLINE_TAPS = 4 };

/* The four voxels around `at`, from *ret_first on, and their weights. */
static void resample_spline(double at, int64_t *ret_first, float weight[SPLINE_TAPS])
{
    const double below = floor(at), t = at - below, u = 1 - t;
    *ret_first = (int64_t)below - 1;
    weight[0] = (float)(u * u * u / 6);
    weight[1] = (float)((4 - 6 * t * t + 3 * t * t * t) / 6);
    weight[2] = (float)((4 - 6 * u * u + 3 * u * u * u) / 6);
    weight[3] = (float)(t * t * t / 6);
}

/* The rows of src around a row of the lattice, weighted: one row of src's width. */
static void resample_spline_row(float *row, const float *src, const int64_t dim[3], double y, double z)
{
    int64_t first_y, first_z;
    float weight_y[SPLINE_TAPS], weight_z[SPLINE_TAPS];
    resample_spline(y, &first_y, weight_y);
    resample_spline(z, &first_z, weight_z);
    memset(row, 0, (size_t)dim[0] * sizeof *row);
    for (int k = 0; k < SPLINE_TAPS * SPLINE_TAPS; k++) {
        const int64_t from_y = first_y + k % SPLINE_TAPS, from_z = first_z + k / SPLINE_TAPS;
        if (from_y < 0 || from_y >= dim[1] || from_z < 0 || from_z >= dim[2])
            continue;
        const float weight = weight_y[k % SPLINE_TAPS] * weight_z[k / SPLINE_TAPS];
        const float *from = src + (from_z * dim[1] + from_y) * dim[0];
        for (int64_t x = 0; x < dim[0]; x++)
            row[x] += weight * from[x];
    }
}

enum status resample_lattice_smooth(float *out, const int64_t size[3], const float *src, const int64_t dim[3],
                                    const double at[3], const double step[3], struct error *error)
{
    int failed = 0;

#pragma omp parallel
    {
        float *row = memory_alloc((size_t)dim[0], sizeof *row);
        if (!row) {
#pragma omp atomic write
            failed = 1;
        }

#pragma omp for schedule(static)
        for (int64_t i = 0; i < size[1] * size[2]; i++) {
            if (!row)
                continue;
            const int64_t y = i % size[1], z = i / size[1];
            resample_spline_row(row, src, dim, at[1] + (double)y * step[1], at[2] + (double)z * step[2]);
            for (int64_t x = 0; x < size[0]; x++) {
                int64_t first;
                float weight[SPLINE_TAPS], sum = 0;
                resample_spline(at[0] + (double)x * step[0], &first, weight);
                for (int k = 0; k < SPLINE_TAPS; k++)
                    sum += first + k >= 0 && first + k < dim[0] ? weight[k] * row[first + k] : 0;
                out[i * size[0] + x] = sum;
            }
        }
        memory_free(row);
    }

    return failed ? error_memory(error, (size_t)dim[0] * sizeof *out, "values between voxels") : STATUS_OK;
}
