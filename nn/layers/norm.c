/* norm.c - see norm.h. Test: tests/nn/test_norm.c */
#include "nn/layers/norm.h"

#include <math.h>
#include <string.h>

#include "nn/layers/rows.h"

/* Rows are summed in this many pieces whatever the number of threads, so that every run gives the same bits. */
enum { NORM_PIECES = 16 };

/* Sums of a and of a * b, per channel of a block. */
struct norm_piece {
    double a[ROWS_MAX_LANE], ab[ROWS_MAX_LANE];
};

/* Everything one call needs, carved out of the scratch. */
struct norm_work {
    struct rows rows;
    int64_t channels;         /* samples * stored channels */
    struct norm_piece *pieces; /* rows * NORM_PIECES */
    double *a, *ab;           /* channels */
    double *stat_a, *stat_b;  /* norm_stats */
    float *by_d, *by_x, *one; /* channels: out = by_d * d + by_x * x + one */
};

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
    size_t channels = (size_t)(rows.n * rows.lane);
    return (size_t)rows.n * NORM_PIECES * sizeof(struct norm_piece) + channels * (2 * sizeof(double) + 3 * sizeof(float)) +
           2 * (size_t)norm_stats(norm) * sizeof(double);
}

static struct norm_work norm_work(const struct norm *norm, void *scratch)
{
    struct norm_work work = {.rows = rows_of(norm->shape), .pieces = scratch};
    work.channels = work.rows.n * work.rows.lane;
    work.a = (double *)(work.pieces + work.rows.n * NORM_PIECES);
    work.ab = work.a + work.channels;
    work.stat_a = work.ab + work.channels;
    work.stat_b = work.stat_a + norm_stats(norm);
    work.by_d = (float *)(work.stat_b + norm_stats(norm));
    work.by_x = work.by_d + work.channels;
    work.one = work.by_x + work.channels;
    return work;
}

/* n is a multiple of lanes. Inlined with lanes a constant, so that it becomes vector code. */
static inline void norm_sum_lanes(struct norm_piece *piece, const float *a, const float *b, int64_t n, const int lanes)
{
    double sum_a[ROWS_MAX_LANE] = {0}, sum_ab[ROWS_MAX_LANE] = {0};
    for (int64_t i = 0; i < n; i += lanes)
        for (int l = 0; l < lanes; l++) {
            sum_a[l] += (double)a[i + l];
            sum_ab[l] += (double)a[i + l] * (double)b[i + l];
        }
    memcpy(piece->a, sum_a, sizeof sum_a);
    memcpy(piece->ab, sum_ab, sizeof sum_ab);
}

/* A piece of a plain row: eight sums side by side, then folded into one. */
static void norm_sum_plain(struct norm_piece *piece, const float *a, const float *b, int64_t n)
{
    norm_sum_lanes(piece, a, b, n / 8 * 8, 8);
    for (int l = 1; l < 8; l++) {
        piece->a[0] += piece->a[l];
        piece->ab[0] += piece->ab[l];
    }
    for (int64_t i = n / 8 * 8; i < n; i++) {
        piece->a[0] += (double)a[i];
        piece->ab[0] += (double)a[i] * (double)b[i];
    }
}

/* work->a[n,c] = sum a, work->ab[n,c] = sum a * b, over the voxels. */
static void norm_sums(struct norm_work *work, const float *a, const float *b)
{
    const struct rows *rows = &work->rows;
#pragma omp parallel for schedule(static) collapse(2)
    for (int64_t row = 0; row < rows->n; row++)
        for (int64_t k = 0; k < NORM_PIECES; k++) {
            int64_t first = rows->voxels * k / NORM_PIECES * rows->lane, last = rows->voxels * (k + 1) / NORM_PIECES * rows->lane;
            int64_t at = row * rows->floats + first;
            struct norm_piece *piece = &work->pieces[row * NORM_PIECES + k];
            if (rows->lane == 1)
                norm_sum_plain(piece, a + at, b + at, last - first);
            else if (rows->lane == 8)
                norm_sum_lanes(piece, a + at, b + at, last - first, 8);
            else
                norm_sum_lanes(piece, a + at, b + at, last - first, ROWS_MAX_LANE);
        }
    for (int64_t i = 0; i < work->channels; i++) {
        const struct norm_piece *piece = &work->pieces[i / rows->lane * NORM_PIECES];
        work->a[i] = work->ab[i] = 0;
        for (int64_t k = 0; k < NORM_PIECES; k++) {
            work->a[i] += piece[k].a[i % rows->lane];
            work->ab[i] += piece[k].ab[i % rows->lane];
        }
    }
}

void norm_measure(const struct norm *norm, const float *src, double *mean, double *var, void *scratch)
{
    struct norm_work work = norm_work(norm, scratch);
    int64_t stored = work.channels / norm->shape.n;
    double values = (double)norm_stat_values(norm);
    norm_sums(&work, src, src);
    memset(mean, 0, (size_t)norm_stats(norm) * sizeof *mean);
    memset(var, 0, (size_t)norm_stats(norm) * sizeof *var);
    for (int64_t n = 0; n < norm->shape.n; n++)
        for (int64_t c = 0; c < norm->shape.c; c++) {
            mean[norm_stat(norm, n, c)] += work.a[n * stored + c] / values;
            var[norm_stat(norm, n, c)] += work.ab[n * stored + c] / values;
        }
    for (int64_t s = 0; s < norm_stats(norm); s++)
        var[s] = fmax(var[s] - mean[s] * mean[s], 0);
}

/* Inlined with lane and with_x constants, so that it becomes vector code. */
static inline void norm_combine_lanes(const struct norm_work *work, int64_t row, int64_t piece, const float *d, const float *x, float *dst,
                                      const int lane, const bool with_x)
{
    const struct rows *rows = &work->rows;
    const float *by_d = work->by_d + row * lane, *by_x = work->by_x + row * lane, *one = work->one + row * lane;
    int64_t first = row * rows->floats + rows->voxels * piece / NORM_PIECES * lane;
    int64_t last = row * rows->floats + rows->voxels * (piece + 1) / NORM_PIECES * lane;
    for (int64_t i = first; i < last; i += lane)
        for (int l = 0; l < lane; l++)
            dst[i + l] = by_d[l] * d[i + l] + (with_x ? by_x[l] * x[i + l] : 0) + one[l];
}

/* dst = by_d * d + by_x * x + one, channel by channel; x NULL: without it. Padding channels have zero factors. */
static void norm_combine(const struct norm_work *work, const float *d, const float *x, float *dst)
{
    const struct rows *rows = &work->rows;
#pragma omp parallel for schedule(static) collapse(2)
    for (int64_t row = 0; row < rows->n; row++)
        for (int64_t piece = 0; piece < NORM_PIECES; piece++) {
            if (rows->lane == 8 && x)
                norm_combine_lanes(work, row, piece, d, x, dst, 8, true);
            else if (rows->lane == 8)
                norm_combine_lanes(work, row, piece, d, x, dst, 8, false);
            else if (rows->lane == ROWS_MAX_LANE)
                norm_combine_lanes(work, row, piece, d, x ? x : d, dst, ROWS_MAX_LANE, x != NULL);
            else
                norm_combine_lanes(work, row, piece, d, x ? x : d, dst, 1, x != NULL);
        }
}

void norm_apply(const struct norm *norm, const float *src, const double *mean, const double *inv, const float *gamma, const float *beta,
                float *dst, void *scratch)
{
    struct norm_work work = norm_work(norm, scratch);
    int64_t stored = work.channels / norm->shape.n;
    memset(work.by_d, 0, 3 * (size_t)work.channels * sizeof *work.by_d);
    for (int64_t n = 0; n < norm->shape.n; n++)
        for (int64_t c = 0; c < norm->shape.c; c++) {
            int64_t s = norm_stat(norm, n, c);
            double scale = (gamma ? (double)gamma[c] : 1) * inv[s];
            work.by_d[n * stored + c] = (float)scale;
            work.one[n * stored + c] = (float)((beta ? (double)beta[c] : 0) - mean[s] * scale);
        }
    norm_combine(&work, src, NULL, dst);
}

/* d_gamma = sum d * (x - mean) * inv, d_beta = sum d, over samples and voxels. */
static void norm_backward_affine(const struct norm *norm, const struct norm_gradient *gradient, const struct norm_work *work)
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
    memset(work->stat_a, 0, 2 * (size_t)norm_stats(norm) * sizeof *work->stat_a);
    memset(work->by_d, 0, 3 * (size_t)work->channels * sizeof *work->by_d);
    for (int64_t n = 0; n < norm->shape.n && !gradient->constant; n++)
        for (int64_t c = 0; c < norm->shape.c; c++) {
            int64_t i = n * stored + c, s = norm_stat(norm, n, c);
            double gamma = gradient->gamma ? (double)gradient->gamma[c] : 1;
            work->stat_a[s] += gamma * work->a[i] / values;
            work->stat_b[s] += gamma * (work->ab[i] - gradient->mean[s] * work->a[i]) * gradient->inv[s] / values;
        }
    if (gradient->replicas && !gradient->constant) /* each loss is a mean over its own part, the whole's the mean of them */
        gradient->replicas->average(gradient->replicas->context, work->stat_a, 2 * norm_stats(norm)); /* stat_b lies behind stat_a */
    for (int64_t n = 0; n < norm->shape.n; n++)
        for (int64_t c = 0; c < norm->shape.c; c++) {
            int64_t i = n * stored + c, s = norm_stat(norm, n, c);
            double inv = gradient->inv[s];
            work->by_d[i] = (float)((gradient->gamma ? (double)gradient->gamma[c] : 1) * inv);
            if (gradient->constant)
                continue;
            work->by_x[i] = (float)(-inv * inv * work->stat_b[s]);
            work->one[i] = (float)(-inv * work->stat_a[s] + inv * inv * gradient->mean[s] * work->stat_b[s]);
        }
}

void norm_backward(const struct norm *norm, const struct norm_gradient *gradient, void *scratch)
{
    struct norm_work work = norm_work(norm, scratch);
    bool learns = gradient->d_gamma || gradient->d_beta;
    if (learns || !gradient->constant)
        norm_sums(&work, gradient->d_dst, gradient->src);
    if (learns)
        norm_backward_affine(norm, gradient, &work);
    if (!gradient->d_src)
        return;
    norm_backward_factors(norm, gradient, &work);
    norm_combine(&work, gradient->d_dst, gradient->constant ? NULL : gradient->src, gradient->d_src);
}
