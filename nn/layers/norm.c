/* norm.c - see norm.h. Test: tests/nn/test_norm.c */
#include "nn/layers/norm.h"

#include <math.h>
#include <string.h>

#include "nn/layers/rows.h"

/* Rows are summed in this many pieces whatever the number of threads, so that every run gives the same bits. */
enum { NORM_PIECES = 16 };
/* bfloat16 values converted at a time: a multiple of every block, small enough for the first cache. */
enum { NORM_CHUNK = 1024 };

/* Sums of a and of a * b, per channel of a block. */
struct norm_piece {
    double a[ROWS_MAX_BLOCK], ab[ROWS_MAX_BLOCK];
};

/* Everything one call needs, carved out of the scratch. */
struct norm_work {
    struct rows rows;
    int64_t channels;                /* samples * stored channels */
    struct norm_piece *pieces;       /* rows * NORM_PIECES */
    double *a, *ab;                  /* channels, one behind the other */
    double *stat_a, *stat_b;         /* norm_stats */
    float *coef_d, *coef_x, *offset; /* channels: out = coef_d * d + coef_x * x + offset */
    float *fwd_scale, *fwd_shift;    /* channels: forward's out was fwd_scale * x + fwd_shift, before the slope */
    float slope;
};

float norm_slope(const struct layer *layer)
{
    return layer->activation ? (float)layer->activation->ops->slope(layer->activation) : 1;
}

bool norm_can_fuse_activation(const struct layer *layer)
{
    return tensor_channel_block(layer->src[0].shape.c) > 1;
}

int64_t norm_stat(const struct norm *norm, int64_t n, int64_t c)
{
    int64_t group = c / (norm->shape.c / norm->groups);
    return norm->over_batch ? group : n * norm->groups + group;
}

int64_t norm_stats(const struct norm *norm)
{
    return norm->over_batch ? norm->groups : norm->shape.n * norm->groups;
}

int64_t norm_stat_values(const struct norm *norm)
{
    return shape_count(norm->shape) / norm_stats(norm);
}

size_t norm_scratch_bytes(const struct norm *norm)
{
    struct rows rows = rows_of(norm->shape);
    size_t channels = (size_t)(rows.n * rows.block_c);
    return (size_t)rows.n * NORM_PIECES * sizeof(struct norm_piece) +
           channels * (2 * sizeof(double) + 5 * sizeof(float)) + 2 * (size_t)norm_stats(norm) * sizeof(double);
}

static struct norm_work norm_work(const struct norm *norm, void *scratch)
{
    struct norm_work work = {.rows = rows_of(norm->shape), .pieces = scratch};
    work.channels = work.rows.n * work.rows.block_c;
    work.a = (double *)(work.pieces + work.rows.n * NORM_PIECES);
    work.ab = work.a + work.channels;
    work.stat_a = work.ab + work.channels;
    work.stat_b = work.stat_a + norm_stats(norm);
    work.coef_d = (float *)(work.stat_b + norm_stats(norm));
    work.coef_x = work.coef_d + work.channels;
    work.offset = work.coef_x + work.channels;
    work.fwd_scale = work.offset + work.channels;
    work.fwd_shift = work.fwd_scale + work.channels;
    work.slope = norm->slope;
    return work;
}

/* The gradient d before a slope that forward took on the negative side of fwd_scale * x + fwd_shift. */
static inline float norm_leaky_gradient(float d, float x, float fwd_scale, float fwd_shift, float slope)
{
    float lower = slope * d;
    return fwd_scale * x + fwd_shift > 0 ? d : lower;
}

/* n is a multiple of lanes. Inlined with lanes and has_leaky constants, so that it becomes vector code. has_leaky: a is
 * has_leaky by b; factors of row `row`. */
static inline __attribute__((always_inline)) void norm_sum_lanes(const struct norm_work *work, struct norm_piece *piece,
                                                                 int64_t row, const float *a, const float *b, int64_t n,
                                                                 const int lanes, const bool has_leaky)
{
    double sum_a[ROWS_MAX_BLOCK] = {0}, sum_ab[ROWS_MAX_BLOCK] = {0};
    const float *fwd_scale = work->fwd_scale + row * lanes, *fwd_shift = work->fwd_shift + row * lanes;
    for (int64_t i = 0; i < n; i += lanes)
#pragma omp simd
        for (int l = 0; l < lanes; l++) {
            float value =
                has_leaky ? norm_leaky_gradient(a[i + l], b[i + l], fwd_scale[l], fwd_shift[l], work->slope) : a[i + l];
            sum_a[l] += (double)value;
            sum_ab[l] += (double)value * (double)b[i + l];
        }
    memcpy(piece->a, sum_a, sizeof sum_a);
    memcpy(piece->ab, sum_ab, sizeof sum_ab);
}

/* A piece of a plain row: eight sums side by side, then folded into one. */
static void norm_sum_plain(const struct norm_work *work, struct norm_piece *piece, const float *a, const float *b,
                           int64_t n)
{
    norm_sum_lanes(work, piece, 0, a, b, n / 8 * 8, 8, false);
    for (int l = 1; l < 8; l++) {
        piece->a[0] += piece->a[l];
        piece->ab[0] += piece->ab[l];
    }
    for (int64_t i = n / 8 * 8; i < n; i++) {
        piece->a[0] += (double)a[i];
        piece->ab[0] += (double)a[i] * (double)b[i];
    }
}

static void norm_sum_block(const struct norm_work *work, struct norm_piece *piece, int64_t row, const float *a,
                           const float *b, int64_t n, bool has_leaky)
{
    const int64_t block_c = work->rows.block_c;
    if (block_c == 1)
        norm_sum_plain(work, piece, a, b, n);
    else if (block_c == 8 && has_leaky)
        norm_sum_lanes(work, piece, row, a, b, n, 8, true);
    else if (block_c == 8)
        norm_sum_lanes(work, piece, row, a, b, n, 8, false);
    else if (has_leaky)
        norm_sum_lanes(work, piece, row, a, b, n, ROWS_MAX_BLOCK, true);
    else
        norm_sum_lanes(work, piece, row, a, b, n, ROWS_MAX_BLOCK, false);
}

/* n values of `tensor` from `at` on as float32: where they lie, or in `buffer`. */
static const float *norm_floats(struct tensor tensor, int64_t at, int64_t n, float *buffer)
{
    if (!tensor.bfloat16)
        return tensor.data + at;
    tensor_load(buffer, tensor, at, n);
    return buffer;
}

/* Values that are taken at a time: all, or a chunk where they must be converted. */
static int64_t norm_step(bool converts, int64_t left)
{
    return converts && left > NORM_CHUNK ? NORM_CHUNK : left;
}

/* Values at .. last - 1 of row `row`. */
static void norm_sum_piece(const struct norm_work *work, struct norm_piece *piece, int64_t row, struct tensor a,
                           struct tensor b, int64_t at, int64_t last, bool has_leaky)
{
    const bool converts = a.bfloat16 || b.bfloat16;
    float buffer_a[NORM_CHUNK], buffer_b[NORM_CHUNK];
    memset(piece, 0, sizeof *piece);
    for (int64_t n; at < last; at += n) {
        struct norm_piece part = {{0}, {0}};
        n = norm_step(converts, last - at);
        norm_sum_block(work, &part, row, norm_floats(a, at, n, buffer_a), norm_floats(b, at, n, buffer_b), n,
                       has_leaky);
        for (int64_t c = 0; c < work->rows.block_c; c++) {
            piece->a[c] += part.a[c];
            piece->ab[c] += part.ab[c];
        }
    }
}

/* work->a[n,c] = sum a, work->ab[n,c] = sum a * b, over the voxels. has_leaky: a is the gradient behind a slope, which
 * b decides. */
static void norm_sums(struct norm_work *work, struct tensor a, struct tensor b, bool has_leaky)
{
    const struct rows *rows = &work->rows;
#pragma omp parallel for schedule(static) collapse(2)
    for (int64_t row = 0; row < rows->n; row++)
        for (int64_t k = 0; k < NORM_PIECES; k++) {
            const int64_t first = row * rows->floats + rows->voxels * k / NORM_PIECES * rows->block_c,
                          last = row * rows->floats + rows->voxels * (k + 1) / NORM_PIECES * rows->block_c;
            norm_sum_piece(work, &work->pieces[row * NORM_PIECES + k], row, a, b, first, last, has_leaky);
        }

    /* Each piece is one thread's: their sums are added in order, whatever the number of threads. */
    for (int64_t i = 0; i < work->channels; i++) {
        const struct norm_piece *piece = &work->pieces[i / rows->block_c * NORM_PIECES];
        work->a[i] = work->ab[i] = 0;
        for (int64_t k = 0; k < NORM_PIECES; k++) {
            work->a[i] += piece[k].a[i % rows->block_c];
            work->ab[i] += piece[k].ab[i % rows->block_c];
        }
    }
}

void norm_measure(const struct norm *norm, const struct layer *layer, double *mean, double *var)
{
    struct norm_work work = norm_work(norm, layer->scratch);
    int64_t stored = work.channels / norm->shape.n;
    double values = (double)norm_stat_values(norm);
    const double *a = layer->src_stats ? layer->src_stats : work.a, *ab = a + work.channels;
    if (!layer->src_stats)
        norm_sums(&work, layer->src[0], layer->src[0], false);
    memset(mean, 0, (size_t)norm_stats(norm) * sizeof *mean);
    memset(var, 0, (size_t)norm_stats(norm) * sizeof *var);
    for (int64_t n = 0; n < norm->shape.n; n++)
        for (int64_t c = 0; c < norm->shape.c; c++) {
            mean[norm_stat(norm, n, c)] += a[n * stored + c] / values;
            var[norm_stat(norm, n, c)] += ab[n * stored + c] / values;
        }
    for (int64_t s = 0; s < norm_stats(norm); s++)
        var[s] = fmax(var[s] - mean[s] * mean[s], 0);
}

/* What norm_combine does, see there. */
enum norm_way { NORM_TO, NORM_TO_LEAKY, NORM_BACK, NORM_BACK_LEAKY };

/* n values of row `row`. Inlined with block_c and way constants, so that it becomes vector code. */
static inline __attribute__((always_inline)) void norm_combine_lanes(const struct norm_work *work, int64_t row,
                                                                     const float *d, const float *x, float *dst,
                                                                     int64_t n, const int block_c,
                                                                     const enum norm_way way)
{
    const float *coef_d = work->coef_d + row * block_c, *coef_x = work->coef_x + row * block_c,
                *offset = work->offset + row * block_c;
    const float *fwd_scale = work->fwd_scale + row * block_c, *fwd_shift = work->fwd_shift + row * block_c,
                slope = work->slope;
    for (int64_t i = 0; i < n; i += block_c)
#pragma omp simd
        for (int l = 0; l < block_c; l++) {
            float value = way == NORM_BACK_LEAKY
                              ? norm_leaky_gradient(d[i + l], x[i + l], fwd_scale[l], fwd_shift[l], slope)
                              : d[i + l];
            value =
                coef_d[l] * value + (way == NORM_BACK || way == NORM_BACK_LEAKY ? coef_x[l] * x[i + l] : 0) + offset[l];
            float lower = slope * value;
            dst[i + l] = way != NORM_TO_LEAKY || value > 0 ? value : lower;
        }
}

static inline __attribute__((always_inline)) void norm_combine_way(const struct norm_work *work, int64_t row,
                                                                   const float *d, const float *x, float *dst,
                                                                   int64_t n, const int block_c, enum norm_way way)
{
    switch (way) {
    case NORM_TO:
        norm_combine_lanes(work, row, d, x, dst, n, block_c, NORM_TO);
        break;
    case NORM_TO_LEAKY:
        norm_combine_lanes(work, row, d, x, dst, n, block_c, NORM_TO_LEAKY);
        break;
    case NORM_BACK:
        norm_combine_lanes(work, row, d, x, dst, n, block_c, NORM_BACK);
        break;
    case NORM_BACK_LEAKY:
        norm_combine_lanes(work, row, d, x, dst, n, block_c, NORM_BACK_LEAKY);
        break;
    }
}

static void norm_combine_block(const struct norm_work *work, int64_t row, const float *d, const float *x, float *dst,
                               int64_t n, enum norm_way way)
{
    if (work->rows.block_c == 8)
        norm_combine_way(work, row, d, x, dst, n, 8, way);
    else if (work->rows.block_c == ROWS_MAX_BLOCK)
        norm_combine_way(work, row, d, x, dst, n, ROWS_MAX_BLOCK, way);
    else
        norm_combine_way(work, row, d, x, dst, n, 1, way);
}

/* Values at .. last - 1 of row `row`. */
static void norm_combine_piece(const struct norm_work *work, int64_t row, struct tensor d, struct tensor x,
                               struct tensor dst, int64_t at, int64_t last, enum norm_way way)
{
    const bool converts = d.bfloat16 || x.bfloat16 || dst.bfloat16;
    float buffer_d[NORM_CHUNK], buffer_x[NORM_CHUNK], buffer_dst[NORM_CHUNK];
    for (int64_t n; at < last; at += n) {
        n = norm_step(converts, last - at);
        const float *d_at = norm_floats(d, at, n, buffer_d), *x_at = x.data ? norm_floats(x, at, n, buffer_x) : NULL;
        norm_combine_block(work, row, d_at, x_at, dst.bfloat16 ? buffer_dst : dst.data + at, n, way);
        if (dst.bfloat16)
            tensor_store(dst, at, buffer_dst, n);
    }
}

/* dst = coef_d * d + coef_x * x + offset, channel by channel; x only on the way back. *_LEAKY: a slope on the result
 * (forward), or on d (back). Padding channels have zero factors. */
static void norm_combine(const struct norm_work *work, struct tensor d, struct tensor x, struct tensor dst,
                         enum norm_way way)
{
    const struct rows *rows = &work->rows;
#pragma omp parallel for schedule(static) collapse(2)
    for (int64_t row = 0; row < rows->n; row++)
        for (int64_t piece = 0; piece < NORM_PIECES; piece++) {
            const int64_t first = row * rows->floats + rows->voxels * piece / NORM_PIECES * rows->block_c,
                          last = row * rows->floats + rows->voxels * (piece + 1) / NORM_PIECES * rows->block_c;
            norm_combine_piece(work, row, d, x, dst, first, last, way);
        }
}

/* dst = by * src + offset: forward's factors. */
static void norm_factors(const struct norm *norm, const double *mean, const double *inv, const float *gamma,
                         const float *beta, float *by, float *offset)
{
    int64_t stored = tensor_stored_channels(norm->shape.c);
    memset(by, 0, (size_t)(norm->shape.n * stored) * sizeof *by);
    memset(offset, 0, (size_t)(norm->shape.n * stored) * sizeof *offset);
    for (int64_t n = 0; n < norm->shape.n; n++)
        for (int64_t c = 0; c < norm->shape.c; c++) {
            int64_t s = norm_stat(norm, n, c);
            double scale = (gamma ? (double)gamma[c] : 1) * inv[s];
            by[n * stored + c] = (float)scale;
            offset[n * stored + c] = (float)((beta ? (double)beta[c] : 0) - mean[s] * scale);
        }
}

void norm_apply(const struct norm *norm, const struct layer *layer, const double *mean, const double *inv,
                const float *gamma, const float *beta)
{
    if (layer->dst_affine.scale) {
        norm_factors(norm, mean, inv, gamma, beta, layer->dst_affine.scale, layer->dst_affine.shift);
        return;
    }
    struct norm_work work = norm_work(norm, layer->scratch);
    norm_factors(norm, mean, inv, gamma, beta, work.coef_d, work.offset);
    norm_combine(&work, layer->src[0], (struct tensor){0}, layer->dst, norm->slope == 1 ? NORM_TO : NORM_TO_LEAKY);
}

/* d_gamma = sum d * (x - mean) * inv, d_beta = sum d, over samples and voxels. */
static void norm_backward_affine(const struct norm *norm, const struct norm_gradient *gradient,
                                 const struct norm_work *work)
{
    int64_t stored = work->channels / norm->shape.n;
    for (int64_t c = 0; c < norm->shape.c; c++) {
        double d_gamma = 0, d_beta = 0;
        for (int64_t n = 0; n < norm->shape.n; n++) {
            int64_t i = n * stored + c, s = norm_stat(norm, n, c);
            d_beta += work->a[i];
            d_gamma += (work->ab[i] - gradient->mean[s] * work->a[i]) * gradient->inv[s];
        }
        if (gradient->d_gamma)
            gradient->d_gamma[c] = (float)d_gamma;
        if (gradient->d_beta)
            gradient->d_beta[c] = (float)d_beta;
    }
}

/* With xh = (x - mean) * inv, M values per statistic and g = gamma * d:
 *   d_src = inv * (g - sum(g) / M - xh * sum(g * xh) / M), the sums over the values that share the statistic,
 * here or in any process. */
static void norm_backward_factors(const struct norm *norm, const struct norm_gradient *gradient, struct norm_work *work)
{
    int64_t stored = work->channels / norm->shape.n;
    double values = (double)norm_stat_values(norm);

    /* stat_a = sum(g) / M, stat_b = sum(g * xh) / M */
    memset(work->stat_a, 0, 2 * (size_t)norm_stats(norm) * sizeof *work->stat_a);
    memset(work->coef_d, 0, 3 * (size_t)work->channels * sizeof *work->coef_d);
    for (int64_t n = 0; n < norm->shape.n && !gradient->constant; n++)
        for (int64_t c = 0; c < norm->shape.c; c++) {
            int64_t i = n * stored + c, s = norm_stat(norm, n, c);
            double gamma = gradient->gamma ? (double)gradient->gamma[c] : 1;
            work->stat_a[s] += gamma * work->a[i] / values;
            work->stat_b[s] += gamma * (work->ab[i] - gradient->mean[s] * work->a[i]) * gradient->inv[s] / values;
        }
    if (gradient->replicas &&
        !gradient->constant) /* each loss is a mean over its own part, the whole's the mean of them */
        gradient->replicas->average(gradient->replicas->context, work->stat_a,
                                    2 * norm_stats(norm)); /* stat_b lies behind stat_a */

    /* The formula above sorted by d, x and 1: d_src = coef_d * d + coef_x * x + offset */
    for (int64_t n = 0; n < norm->shape.n; n++)
        for (int64_t c = 0; c < norm->shape.c; c++) {
            int64_t i = n * stored + c, s = norm_stat(norm, n, c);
            double inv = gradient->inv[s];
            work->coef_d[i] = (float)((gradient->gamma ? (double)gradient->gamma[c] : 1) * inv);
            if (gradient->constant)
                continue;
            work->coef_x[i] = (float)(-inv * inv * work->stat_b[s]);
            work->offset[i] = (float)(-inv * work->stat_a[s] + inv * inv * gradient->mean[s] * work->stat_b[s]);
        }
}

void norm_backward(const struct norm *norm, const struct norm_gradient *gradient, void *scratch)
{
    struct norm_work work = norm_work(norm, scratch);
    bool learns = gradient->d_gamma || gradient->d_beta, has_leaky = norm->slope != 1;
    if (has_leaky)
        norm_factors(norm, gradient->mean, gradient->inv, gradient->gamma, gradient->beta, work.fwd_scale,
                     work.fwd_shift);
    if (learns || !gradient->constant)
        norm_sums(&work, gradient->d_dst, gradient->src, has_leaky);
    if (learns)
        norm_backward_affine(norm, gradient, &work);
    if (!gradient->d_src.data)
        return;
    norm_backward_factors(norm, gradient, &work);
    norm_combine(&work, gradient->d_dst, gradient->src, gradient->d_src,
                 has_leaky            ? NORM_BACK_LEAKY
                 : gradient->constant ? NORM_TO
                                      : NORM_BACK);
}
