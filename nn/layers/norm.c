/* norm.c - see norm.h. Test: tests/nn/test_norm.c */
#include "nn/layers/norm.h"

#include <math.h>
#include <string.h>

#include "nn/engine/cpu.h"
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

/* What norm_combine does, see there. */
enum norm_way { NORM_TO, NORM_TO_LEAKY, NORM_BACK, NORM_BACK_LEAKY };

/* The loops over values, once per instruction set: none changes the order of a sum, so all give the same bits. */
struct norm_loops {
    void (*sum)(const struct norm_work *work, struct norm_piece *piece, int64_t row, const float *a, const float *b,
                int64_t n, bool has_leaky);
    void (*combine)(const struct norm_work *work, int64_t row, const float *d, const float *x, float *dst, int64_t n,
                    enum norm_way way);
};

#define NORM_LOOPS(name) norm_##name##_plain
#include "nn/layers/norm_loops.inc"
#undef NORM_LOOPS

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2")
#define NORM_LOOPS(name) norm_##name##_avx2
#include "nn/layers/norm_loops.inc"
#undef NORM_LOOPS
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")
#define NORM_LOOPS(name) norm_##name##_avx512
#include "nn/layers/norm_loops.inc"
#undef NORM_LOOPS
#pragma GCC pop_options
#endif

static const struct norm_loops *norm_loops(void)
{
#if defined(__x86_64__)
    switch (cpu_isa()) {
    case CPU_AVX512:
        return &norm_table_avx512;
    case CPU_AVX2:
        return &norm_table_avx2;
    case CPU_PLAIN:
        break;
    }
#endif
    return &norm_table_plain;
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
        norm_loops()->sum(work, &part, row, norm_floats(a, at, n, buffer_a), norm_floats(b, at, n, buffer_b), n,
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

/* Values at .. last - 1 of row `row`. */
static void norm_combine_piece(const struct norm_work *work, int64_t row, struct tensor d, struct tensor x,
                               struct tensor dst, int64_t at, int64_t last, enum norm_way way)
{
    const bool converts = d.bfloat16 || x.bfloat16 || dst.bfloat16;
    float buffer_d[NORM_CHUNK], buffer_x[NORM_CHUNK], buffer_dst[NORM_CHUNK];
    for (int64_t n; at < last; at += n) {
        n = norm_step(converts, last - at);
        const float *d_at = norm_floats(d, at, n, buffer_d), *x_at = x.data ? norm_floats(x, at, n, buffer_x) : NULL;
        norm_loops()->combine(work, row, d_at, x_at, dst.bfloat16 ? buffer_dst : dst.data + at, n, way);
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
