/* window.c - see window.h. Test: tests/infer/test_window.c
 *
 * Blending weights are whole numbers (1 to 63, a Gaussian of sigma = patch / 8 along each axis): up to 64 tiles over a
 * voxel their weighted sums of zeros and ones are exact in float, so blending binary values that agree gives exactly
 * that value back. The weights are a product over the axes and so is the lattice of tiles: the divisor is a product of
 * three sums, and needs no volume of its own. */
#include "infer/window.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/watch.h"
#include "data/volume/resample.h"

const char *const scan_names[] = {"grid", "overlap", "whole", NULL};
static const float MIN_BLEND_SHARE = 0.1F; /* of a voxel's blending weight: below, a tile does not decide the voxel */

/* The tiles along one axis. */
struct window_axis {
    int64_t n, size, patch, *start;
    float *weight; /* [patch]: of a tile's voxel */
    float *sum;    /* [size]: of all tiles over a voxel */
};

/* A tile waiting for its turn: slot is its place in the batch, -1 for an empty one. */
struct window_tile {
    int64_t at[3], slot;
};

struct window {
    struct network *network;
    const struct window_config *config;
    const struct volume *src, *prior;
    bool keep;
    double prior_at[3], prior_step[3]; /* of the skull's voxel 0, and from one to the next, in the prior's voxels */
    struct window_axis axis[3];
    int64_t z_base;                          /* the lowest scanned slice */
    int64_t patch_voxels, sources, channels; /* channels in and out */
    float *batch;                            /* config->batch patches in */
    float *outputs;                          /* where more than the network goes into them (window_mixes) */
    float *empty;                            /* the prediction for an empty patch, one channel */
    bool empty_known;
    struct window_tile *queue; /* tiles of one z row, in order */
    int64_t n_queue, n_slots;
    float *slab; /* overlap: weighted sums of the rows from axis[2].start[...] on */
    window_sink *sink;
    void *context;
    struct progress *progress;
    struct window_stats stats;
};

enum status window_starts(int64_t **ret_starts, int64_t *ret_n, int64_t size, int64_t patch, int64_t step,
                          struct error *error)
{
    if (size < 1 || patch < 1 || step < 1)
        return error_set(error, STATUS_USAGE,
                         "scan: size %" PRId64 ", patch %" PRId64 ", step %" PRId64 ": all must be 1 or more", size,
                         patch, step);
    int64_t n = size <= patch ? 1 : (size - patch + step - 1) / step + 1;
    int64_t *starts = memory_alloc((size_t)n, sizeof *starts);
    if (!starts)
        return error_memory(error, (size_t)n * sizeof *starts, "the tiles of the scan");
    for (int64_t i = 0; i < n; i++)
        starts[i] = i + 1 < n || n == 1 ? i * step : size - patch;
    *ret_starts = starts;
    *ret_n = n;

    return STATUS_OK;
}

static void window_axis_done(struct window_axis *axis)
{
    memory_free(axis->start);
    memory_free(axis->weight);
    memory_free(axis->sum);
}

static int64_t window_step(const struct window_config *config, int64_t patch)
{
    int64_t step = config->scan == SCAN_OVERLAP ? llround((double)patch * (1 - config->overlap_frac)) : patch;
    return step < 1 ? 1 : step;
}

static enum status window_axis_init(struct window_axis *axis, const struct window_config *config, int64_t size,
                                    int64_t patch, struct error *error)
{
    *axis = (struct window_axis){.size = size, .patch = patch};
    if (window_starts(&axis->start, &axis->n, size, patch, window_step(config, patch), error))
        return error->status;
    if (config->scan != SCAN_OVERLAP)
        return STATUS_OK;
    axis->weight = memory_alloc((size_t)patch, sizeof *axis->weight);
    axis->sum = memory_zalloc((size_t)size, sizeof *axis->sum);
    if (!axis->weight || !axis->sum)
        return error_memory(error, (size_t)(size + patch) * sizeof *axis->sum, "the weights of the scan");

    for (int64_t i = 0; i < patch; i++) {
        double from_middle = ((double)i - 0.5 * (double)(patch - 1)) / ((double)patch / 8);

        /* Gaussian of sigma = patch / 8, as whole numbers from 1 to 63 (see above). */
        axis->weight[i] = (float)fmax(1, round(63 * exp(-0.5 * from_middle * from_middle)));
    }

    for (int64_t t = 0; t < axis->n; t++)
        for (int64_t i = 0; i < patch && axis->start[t] + i < size; i++)
            axis->sum[axis->start[t] + i] += axis->weight[i];

    return STATUS_OK;
}

/* Where tile t's own voxels end: the later tile holds from its start on. */
static int64_t window_axis_end(const struct window_axis *axis, int64_t t)
{
    return t + 1 < axis->n ? axis->start[t + 1] : axis->size;
}

static int64_t window_scanned_slices(const struct window_config *config, int64_t dim_z)
{
    return config->top_vox > 0 && config->top_vox < dim_z ? config->top_vox : dim_z;
}

static enum status window_check(struct window *w, struct error *error)
{
    const struct window_config *config = w->config;
    const int64_t *patch = config->patch_vox;
    struct shape src = network_src_shape(w->network), dst = network_dst_shape(w->network);
    char text[SHAPE_TEXT];
    struct shape expected = {config->batch, w->sources, patch[2], patch[1], patch[0]};

    if (!shape_equal(src, expected))
        return error_set(error, STATUS_USAGE,
                         "scan: the network takes %s, the scan's patch is %" PRId64 "x%" PRId64 "x%" PRId64
                         " in batches of %" PRId64 " (of %s)",
                         shape_text(text, src), patch[0], patch[1], patch[2], config->batch,
                         w->prior ? "several channels: the skull and its prior" : "one channel");

    if (dst.n != src.n || dst.d != src.d || dst.h != src.h || dst.w != src.w)
        return error_set(error, STATUS_USAGE,
                         "scan: the network's output is %s for patches of %" PRId64 "x%" PRId64 "x%" PRId64
                         " (x,y,z): it must have the patch's size",
                         shape_text(text, dst), patch[0], patch[1], patch[2]);

    for (int a = 0; a < 3; a++)
        if (config->scan == SCAN_WHOLE && w->src->grid.dim[a] != patch[a])
            return error_set(error, STATUS_USAGE,
                             "scan: whole: the volume has %" PRId64 " voxels along axis %d, the patch %" PRId64,
                             w->src->grid.dim[a], a, patch[a]);

    w->channels = dst.c;

    return STATUS_OK;
}

static bool window_mixes(const struct window_config *config)
{
    return config->flip_average || config->prior_weight > 0;
}

/* Axes are parallel: each index of the prior follows from one of the skull. */
static void window_place_prior(struct window *w)
{
    const struct grid *grid = &w->src->grid;
    grid_to_index(&w->prior->grid, grid->origin, w->prior_at);
    for (int a = 0; a < 3; a++)
        w->prior_step[a] = grid_spacing_mm(grid, a) / grid_spacing_mm(&w->prior->grid, a);
}

static enum status window_init(struct window *w, struct error *error)
{
    const struct window_config *config = w->config;
    if (window_check(w, error))
        return error->status;
    const int64_t *dim = w->src->grid.dim;
    if (w->prior)
        window_place_prior(w);
    w->patch_voxels = config->patch_vox[0] * config->patch_vox[1] * config->patch_vox[2];

    int64_t depth = window_scanned_slices(config, dim[2]);
    w->z_base = dim[2] - depth;
    for (int a = 0; a < 3; a++)
        if (window_axis_init(&w->axis[a], config, a == 2 ? depth : dim[a], config->patch_vox[a], error))
            return error->status;

    /* overlap keeps the sums of one row of tiles; grid and whole keep none. */
    int64_t slab_rows = depth < config->patch_vox[2] ? depth : config->patch_vox[2];
    int64_t slab_voxels = config->scan == SCAN_OVERLAP ? dim[0] * dim[1] * slab_rows : 0;
    w->batch = memory_alloc((size_t)(w->patch_voxels * w->sources * config->batch), sizeof(float));
    w->outputs = memory_alloc((size_t)(window_mixes(config) ? w->patch_voxels * config->batch : 0), sizeof(float));
    w->empty = memory_alloc((size_t)w->patch_voxels, sizeof(float));
    w->slab = memory_zalloc((size_t)slab_voxels, sizeof(float));
    w->queue = memory_alloc((size_t)(w->axis[0].n * w->axis[1].n), sizeof *w->queue);
    if (!w->batch || !w->outputs || !w->empty || !w->slab || !w->queue)
        return error_memory(error, (size_t)window_bytes(config, dim), "the scan");
    w->stats.n_tiles = w->axis[0].n * w->axis[1].n * w->axis[2].n;

    return STATUS_OK;
}

static void window_done(struct window *w)
{
    for (int a = 0; a < 3; a++)
        window_axis_done(&w->axis[a]);
    memory_free(w->batch);
    memory_free(w->outputs);
    memory_free(w->empty);
    memory_free(w->slab);
    memory_free(w->queue);
}

/* One row of the source as floats; returns whether anything is in it. */
static bool window_load_row(float *out, const struct volume *src, int64_t from, int64_t n)
{
    bool any = false;
    if (src->type == VOXEL_F32) {
        const float *row = (const float *)src->data + from;
        for (int64_t i = 0; i < n; i++) {
            out[i] = row[i];
            any |= row[i] != 0;
        }
    } else {
        const uint8_t *row = (const uint8_t *)src->data + from;
        for (int64_t i = 0; i < n; i++) {
            out[i] = (float)row[i];
            any |= row[i] != 0;
        }
    }

    return any;
}

/* The tile's patch, zero beyond the volume, into a slot of the batch. Returns whether anything is in it. */
static bool window_load(const struct window *w, const struct window_tile *tile, float *out)
{
    const int64_t *dim = w->src->grid.dim, *patch = w->config->patch_vox;
    int64_t start[3], n[3];

    for (int a = 0; a < 3; a++) {
        start[a] = w->axis[a].start[tile->at[a]];
        n[a] = patch[a] < w->axis[a].size - start[a] ? patch[a] : w->axis[a].size - start[a];
    }

    int any = 0;
#pragma omp parallel for schedule(static) reduction(| : any)
    for (int64_t z = 0; z < patch[2]; z++)
        for (int64_t y = 0; y < patch[1]; y++) {
            float *row = out + (z * patch[1] + y) * patch[0];
            int64_t in_row = z < n[2] && y < n[1] ? n[0] : 0;
            memset(row + in_row, 0, (size_t)(patch[0] - in_row) * sizeof *row);
            if (in_row)
                any |= window_load_row(
                    row, w->src, ((w->z_base + start[2] + z) * dim[1] + start[1] + y) * dim[0] + start[0], in_row);
        }

    return any != 0;
}

/* Along axis a, the part of the tile that its prediction decides: from the first to the last voxel of which it has a
 * tenth of the say. */
static void window_core(const struct window *w, int a, int64_t t, int64_t ret[2])
{
    const struct window_axis *axis = &w->axis[a];
    const int64_t start = axis->start[t];
    ret[0] = 0;
    ret[1] = w->config->scan == SCAN_OVERLAP ? (axis->patch < axis->size ? axis->patch : axis->size)
                                             : window_axis_end(axis, t) - start;
    if (w->config->scan != SCAN_OVERLAP)
        return;
    while (axis->weight[ret[0]] < MIN_BLEND_SHARE * axis->sum[start + ret[0]])
        ret[0]++;
    while (axis->weight[ret[1] - 1] < MIN_BLEND_SHARE * axis->sum[start + ret[1] - 1])
        ret[1]--;
}

/* No value in the core is above the largest of the coarse voxels around it. */
static bool window_prior_may_exceed(const struct window *w, const double at[3], int64_t core[3][2])
{
    const int64_t *dim = w->prior->grid.dim;
    int64_t lo[3], hi[3];
    for (int a = 0; a < 3; a++) {
        lo[a] = (int64_t)fmax(floor(at[a] + (double)core[a][0] * w->prior_step[a]), 0);
        hi[a] = (int64_t)fmin(floor(at[a] + (double)(core[a][1] - 1) * w->prior_step[a]) + 2, (double)dim[a]);
    }

    /* Linear interpolation never exceeds its corners. */
    for (int64_t z = lo[2]; z < hi[2]; z++)
        for (int64_t y = lo[1]; y < hi[1]; y++)
            for (int64_t x = lo[0]; x < hi[0]; x++)
                if ((double)((const float *)w->prior->data)[(z * dim[1] + y) * dim[0] + x] > w->config->min_prior)
                    return true;
    return false;
}

/* Is the coarse prediction above min_prior in the tile's core? If so it is written to `out`, at the tile's voxels. */
static bool window_load_prior(const struct window *w, const struct window_tile *tile, float *out)
{
    const int64_t *patch = w->config->patch_vox;
    double at[3];
    int64_t core[3][2];
    float most = 0;

    for (int a = 0; a < 3; a++) {
        const int64_t first = w->axis[a].start[tile->at[a]] + (a == 2 ? w->z_base : 0);
        at[a] = w->prior_at[a] + (double)first * w->prior_step[a];
        window_core(w, a, tile->at[a], core[a]);
    }

    /* A cheap bound first: most tiles are far from the defect. */
    if (!window_prior_may_exceed(w, at, core))
        return false;
    for (int64_t c = 0; c < w->sources - 1; c++)
        resample_lattice(out + c * w->patch_voxels, patch,
                         (const float *)w->prior->data + c * grid_voxels(&w->prior->grid), w->prior->grid.dim, at,
                         w->prior_step);
#pragma omp parallel for schedule(static) reduction(max : most)
    for (int64_t z = core[2][0]; z < core[2][1]; z++)
        for (int64_t y = core[1][0]; y < core[1][1]; y++)
            for (int64_t x = core[0][0]; x < core[0][1]; x++)
                most = fmaxf(most, out[(z * patch[1] + y) * patch[0] + x]);

    return (double)most > w->config->min_prior;
}

/* Left becomes right in n_rows rows. */
static void window_mirror_rows(float *rows, int64_t n_rows, int64_t n)
{
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < n_rows; r++)
        for (int64_t i = 0; i < n / 2; i++) {
            float *low = rows + r * n + i, *high = rows + r * n + n - 1 - i, kept = *low;
            *low = *high;
            *high = kept;
        }
}

/* Each prediction becomes its mean with that of the mirrored patch, mirrored back. */
static void window_average_mirrored(struct window *w)
{
    const struct pass pass = {.training = false};
    const int64_t *patch = w->config->patch_vox, rows = patch[1] * patch[2], width = patch[0];

    window_mirror_rows(w->batch, rows * w->sources * w->n_slots, width);
    const float *out = network_forward(w->network, w->batch, &pass) + (w->channels - 1) * w->patch_voxels;
    window_mirror_rows(w->batch, rows * w->sources * w->n_slots, width);
    for (int64_t b = 0; b < w->config->batch; b++) {
        float *output = w->outputs + b * w->patch_voxels;
        const float *mirrored = out + b * w->channels * w->patch_voxels;
#pragma omp parallel for schedule(static)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < width; i++)
                output[r * width + i] = 0.5F * (output[r * width + i] + mirrored[r * width + width - 1 - i]);
    }
}

static void window_mix_prior(float *output, const float *prior, float weight, int64_t n)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++)
        output[i] += weight * (prior[i] - output[i]);
}

/* The last channel of every patch in the batch: *ret_stride floats from one to the next. */
static const float *window_forward(struct window *w, int64_t *ret_stride)
{
    const struct pass pass = {.training = false};
    const int64_t n = w->patch_voxels;
    double begin = log_clock_s();
    const float *out = network_forward(w->network, w->batch, &pass) + (w->channels - 1) * n;

    *ret_stride = w->channels * n;
    if (window_mixes(w->config)) {
        for (int64_t b = 0; b < w->config->batch; b++)
            memcpy(w->outputs + b * n, out + b * *ret_stride, (size_t)n * sizeof *out);
        if (w->config->flip_average)
            window_average_mirrored(w);
        for (int64_t b = 0; b < w->config->batch && w->prior; b++)
            window_mix_prior(w->outputs + b * n, w->batch + (w->sources * b + 1) * n, (float)w->config->prior_weight,
                             n);
        out = w->outputs;
        *ret_stride = n;
    }

    w->stats.network_s += log_clock_s() - begin;
    return out;
}

static void window_predict_empty(struct window *w)
{
    int64_t stride;
    memset(w->batch, 0, (size_t)(w->patch_voxels * w->sources * w->config->batch) * sizeof *w->batch);
    memcpy(w->empty, window_forward(w, &stride), (size_t)w->patch_voxels * sizeof *w->empty);
    w->empty_known = true;
}

/* grid, whole: the tile's own voxels are finished. */
static void window_emit(struct window *w, const struct window_tile *tile, const float *p)
{
    const int64_t *patch = w->config->patch_vox;
    struct window_block block = {.p = p, .stride_y = patch[0], .stride_z = patch[0] * patch[1]};
    for (int a = 0; a < 3; a++) {
        int64_t base = a == 2 ? w->z_base : 0;
        block.box.lo[a] = base + w->axis[a].start[tile->at[a]];
        block.box.hi[a] = base + window_axis_end(&w->axis[a], tile->at[a]);
    }
    w->sink(w->context, &block);
}

/* overlap: adds the weighted tile to the slab. */
static void window_blend(struct window *w, const struct window_tile *tile, const float *p)
{
    const struct window_axis *x_axis = &w->axis[0], *y_axis = &w->axis[1], *z_axis = &w->axis[2];
    int64_t x0 = x_axis->start[tile->at[0]], y0 = y_axis->start[tile->at[1]], z0 = z_axis->start[tile->at[2]];
    int64_t nx = x_axis->patch < x_axis->size - x0 ? x_axis->patch : x_axis->size - x0;
    int64_t ny = y_axis->patch < y_axis->size - y0 ? y_axis->patch : y_axis->size - y0;
    int64_t nz = z_axis->patch < z_axis->size - z0 ? z_axis->patch : z_axis->size - z0;

#pragma omp parallel for schedule(static)
    for (int64_t z = 0; z < nz; z++)
        for (int64_t y = 0; y < ny; y++) {
            float weight = z_axis->weight[z] * y_axis->weight[y];
            float *sum = w->slab + (z * y_axis->size + y0 + y) * x_axis->size + x0;
            const float *row = p + (z * y_axis->patch + y) * x_axis->patch;
            for (int64_t x = 0; x < nx; x++)
                sum[x] += weight * x_axis->weight[x] * row[x];
        }
}

static void window_emit_or_blend(struct window *w, const struct window_tile *tile, const float *values)
{
    if (w->config->scan == SCAN_OVERLAP)
        window_blend(w, tile, values);
    else
        window_emit(w, tile, values);
}

/* Runs what is queued and passes every tile on, in order. */
static void window_flush(struct window *w)
{
    int64_t stride = 0;
    const float *p = w->n_slots ? window_forward(w, &stride) : NULL;
    for (int64_t i = 0; i < w->n_queue; i++) {
        const struct window_tile *tile = &w->queue[i];
        const float *values = tile->slot < 0 ? w->empty : p + tile->slot * stride;
        window_emit_or_blend(w, tile, values);
    }
    if (w->progress && w->n_queue)
        progress_show(w->progress, w->progress->done + w->n_queue, NULL);
    w->n_queue = w->n_slots = 0;
}

/* A tile below min_prior: its values are its input, or 0, which adds nothing to a blend. */
static void window_skip(struct window *w, const struct window_tile *tile, float *values)
{
    w->stats.n_skipped++;
    if (w->keep)
        window_load(w, tile, values);
    else
        memset(values, 0, (size_t)w->patch_voxels * sizeof *values);
    if (w->keep || w->config->scan != SCAN_OVERLAP) {
        window_flush(w); /* tiles are handed on in order */
        window_emit_or_blend(w, tile, values);
    }
    if (w->progress)
        progress_show(w->progress, w->progress->done + 1, NULL);
}

static void window_add_tile(struct window *w, struct window_tile tile)
{
    float *slot = w->batch + w->n_slots * w->sources * w->patch_voxels;
    if (w->prior && !window_load_prior(w, &tile, slot + w->patch_voxels)) {
        window_skip(w, &tile, slot);
        return;
    }

    /* The prediction for an empty patch is computed once and reused. */
    const bool any = window_load(w, &tile, slot);
    tile.slot = -1;

    if (any || w->prior) { /* a tile that got here has a prior above 0 */
        tile.slot = w->n_slots++;
    } else {
        w->stats.n_empty++;
        if (!w->empty_known) {
            window_flush(w);
            window_predict_empty(w);
        }
    }

    w->queue[w->n_queue++] = tile;
    if (w->n_slots == w->config->batch)
        window_flush(w);
}

/* overlap: the slab's rows up to the next row of tiles are finished. */
static void window_pass_rows(struct window *w, int64_t t)
{
    const struct window_axis *x_axis = &w->axis[0], *y_axis = &w->axis[1], *z_axis = &w->axis[2];
    int64_t z0 = z_axis->start[t], n = window_axis_end(z_axis, t) - z0, slice = x_axis->size * y_axis->size;

#pragma omp parallel for schedule(static)
    for (int64_t z = 0; z < n; z++)
        for (int64_t y = 0; y < y_axis->size; y++) {
            float *row = w->slab + z * slice + y * x_axis->size, sum = z_axis->sum[z0 + z] * y_axis->sum[y];
            for (int64_t x = 0; x < x_axis->size; x++)
                row[x] /= sum * x_axis->sum[x];
        }

    /* Rows above the next row of tiles are final; the rest moves to the front of the slab. */
    w->sink(w->context,
            &(struct window_block){.box = {{0, 0, w->z_base + z0}, {x_axis->size, y_axis->size, w->z_base + z0 + n}},
                                   .p = w->slab,
                                   .stride_y = x_axis->size,
                                   .stride_z = slice});
    int64_t kept = (z_axis->patch < z_axis->size ? z_axis->patch : z_axis->size) - n;
    memmove(w->slab, w->slab + n * slice, (size_t)(kept * slice) * sizeof *w->slab);
    memset(w->slab + kept * slice, 0, (size_t)(n * slice) * sizeof *w->slab);
}

enum status window_scan(struct window_stats *ret, struct network *network, const struct window_config *config,
                        const struct window_source *src, window_sink *sink, void *context, struct progress *progress,
                        struct error *error)
{
    struct window w = {.network = network,
                       .config = config,
                       .src = src->skull,
                       .prior = src->prior,
                       .keep = src->keep,
                       .sources = 1 + (src->prior ? src->prior_channels : 0),
                       .sink = sink,
                       .context = context,
                       .progress = progress};
    enum status status = window_init(&w, error);

    if (!status && progress)
        progress_start(progress, progress->label, "tiles", 0, w.stats.n_tiles);
    for (int64_t z = 0; !status && z < w.axis[2].n; z++) {
        for (int64_t y = 0; !status && y < w.axis[1].n; y++)
            for (int64_t x = 0; !status && x < w.axis[0].n; x++) {
                window_add_tile(&w, (struct window_tile){.at = {x, y, z}});
                status = watch_check(error);
            }
        if (status)
            break;
        window_flush(&w);
        if (config->scan == SCAN_OVERLAP)
            window_pass_rows(&w, z);
        status = network_status(network, error);
    }

    if (!status && progress)
        progress_end(progress);
    window_done(&w);
    if (!status)
        *ret = w.stats;
    return status;
}

int64_t window_bytes(const struct window_config *config, const int64_t dim[3])
{
    int64_t patch = config->patch_vox[0] * config->patch_vox[1] * config->patch_vox[2],
            depth = window_scanned_slices(config, dim[2]);
    int64_t rows = depth < config->patch_vox[2] ? depth : config->patch_vox[2];
    int64_t slab = config->scan == SCAN_OVERLAP ? dim[0] * dim[1] * rows : 0;
    return (patch * (config->batch * (2 + window_mixes(config)) + 1) + slab) * (int64_t)sizeof(float);
}
