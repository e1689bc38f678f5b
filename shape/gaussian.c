/* gaussian.c - see gaussian.h. Test: tests/shape/test_gaussian.c */
#include "shape/gaussian.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "shape/blas.h"

/* ---- Cholesky, by tiles ---- */

enum { TILE = 192, STRIP = 128 };

/* Tile (i, j) of an n x n matrix: its rows and its start. */
static int tile_rows(int64_t n, int64_t i)
{
    return (int)(n - i * TILE < TILE ? n - i * TILE : TILE);
}

static float *tile_at(float *matrix, int64_t n, int64_t i, int64_t j)
{
    return matrix + i * TILE * n + j * TILE;
}

/* Right-looking: the diagonal tile, the tiles below it, then what they take from all tiles to their right. Every tile is one thread's. */
bool gaussian_cholesky(float *matrix, int64_t n)
{
    const int64_t n_tiles = (n + TILE - 1) / TILE;
    const int stride = (int)n;
    blas_one_thread();
    for (int64_t k = 0; k < n_tiles; k++) {
        const int size = tile_rows(n, k);
        float *diagonal = tile_at(matrix, n, k, k);
        /* a row-major lower triangle is LAPACK's upper one */
        if (LAPACKE_spotrf_work(LAPACK_COL_MAJOR, 'U', size, diagonal, stride) != 0)
            return false;
#pragma omp parallel for schedule(static, 1)
        for (int64_t i = k + 1; i < n_tiles; i++)
            cblas_strsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, tile_rows(n, i), size, 1, diagonal, stride,
                        tile_at(matrix, n, i, k), stride);
#pragma omp parallel for schedule(static, 1)
        for (int64_t i = k + 1; i < n_tiles; i++) {
            for (int64_t j = k + 1; j < i; j++)
                cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, tile_rows(n, i), tile_rows(n, j), size, -1, tile_at(matrix, n, i, k), stride,
                            tile_at(matrix, n, j, k), stride, 1, tile_at(matrix, n, i, j), stride);
            cblas_ssyrk(CblasRowMajor, CblasLower, CblasNoTrans, tile_rows(n, i), size, -1, tile_at(matrix, n, i, k), stride, 1,
                        tile_at(matrix, n, i, i), stride);
        }
    }
    return true;
}

void gaussian_forward(float *b, int64_t m, const float *factor, int64_t n)
{
    blas_one_thread();
#pragma omp parallel for schedule(static, 1)
    for (int64_t c = 0; c < m; c += STRIP)
        cblas_strsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, (int)n, (int)(m - c < STRIP ? m - c : STRIP), 1, factor, (int)n,
                    b + c, (int)m);
}

/* ---- the conditional ---- */

/* Everything of one call; n and m: values seen and unseen. */
struct gaussian_work {
    int64_t n, m;
    float *seen;     /* n x n: C_oo + n^2 I, then its Cholesky factor */
    float *between;  /* n x m: C_oh, then L^-1 C_oh */
    float *residual; /* n: r_o - mu_o, then L^-1 of it */
    float *weights;  /* n: C_oo^-1 (r_o - mu_o) */
};

static float gaussian_mean(const struct population *population, int32_t ray, int64_t surface)
{
    return (surface ? population->mean.outer : population->mean.inner)[ray];
}

static enum status gaussian_residuals(struct gaussian_work *work, const struct gaussian_given *given, const struct population *population,
                                      struct error *error)
{
    for (int64_t k = 0; k < work->n; k++) {
        const int32_t ray = given->seen[k / 2];
        const float value = (k & 1 ? given->map->outer : given->map->inner)[ray];
        work->residual[k] = value - gaussian_mean(population, ray, k & 1);
        if (!isfinite(work->residual[k]))
            return error_set(error, STATUS_FAILED, "shape model: ray %d: no radius, but it is counted as seen", (int)ray);
    }
    return STATUS_OK;
}

/* Factors C_oo, solves for the weights. *ret_evidence: log density of the residuals per value. */
static enum status gaussian_factor(struct gaussian_work *work, const struct gaussian_given *given, const struct population *population,
                                   const struct covariance_params *params, double *ret_evidence, struct error *error)
{
    const int64_t n = work->n;
    const struct covariance_block block = {.a = given->seen, .b = given->seen, .n_a = given->n_seen, .n_b = given->n_seen, .stride = n, .lower = true};
    if (covariance_fill(work->seen, &block, population, params, error))
        return error->status;
    for (int64_t i = 0; i < n; i++)
        work->seen[i * n + i] += (float)(params->noise_mm * params->noise_mm);
    if (!gaussian_cholesky(work->seen, n))
        return error_set(error, STATUS_FAILED,
                         "shape model: the covariance of %lld observed rays is not positive definite (a damaged model, or noise_mm too small?)",
                         (long long)given->n_seen);

    cblas_strsv(CblasRowMajor, CblasLower, CblasNoTrans, CblasNonUnit, (int)n, work->seen, (int)n, work->residual, 1);
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)work->residual[i] * work->residual[i] + 2 * log(work->seen[i * n + i]) + log(2 * 3.14159265358979323846);
    *ret_evidence = -sum / (2 * (double)n);
    memcpy(work->weights, work->residual, (size_t)n * sizeof *work->weights);
    cblas_strsv(CblasRowMajor, CblasLower, CblasTrans, CblasNonUnit, (int)n, work->seen, (int)n, work->weights, 1);
    return STATUS_OK;
}

/* sd: of each unseen value; what the values seen explain of its variance is the square of its column of L^-1 C_oh. */
static void gaussian_spread(float *sd, struct gaussian_work *work, const struct gaussian_given *given, const struct population *population,
                            const struct covariance_params *params)
{
    covariance_diagonal(sd, given->unseen, given->n_unseen, population, params);
    if (work->n)
        gaussian_forward(work->between, work->m, work->seen, work->n);
#pragma omp parallel for schedule(static)
    for (int64_t c = 0; c < work->m; c += STRIP) {
        const int64_t end = c + STRIP < work->m ? c + STRIP : work->m;
        double explained[STRIP] = {0};
        for (int64_t i = 0; i < work->n; i++)
            for (int64_t k = c; k < end; k++)
                explained[k - c] += (double)work->between[i * work->m + k] * work->between[i * work->m + k];
        for (int64_t k = c; k < end; k++)
            sd[k] = (float)sqrt(fmax(sd[k] - explained[k - c], 0));
    }
}

static void gaussian_means(float *mean, const struct gaussian_work *work, const struct gaussian_given *given, const struct population *population)
{
#pragma omp parallel for schedule(static)
    for (int64_t c = 0; c < work->m; c += STRIP) {
        const int64_t width = c + STRIP < work->m ? STRIP : work->m - c;
        double sum[STRIP] = {0};
        for (int64_t i = 0; i < work->n; i++)
            for (int64_t k = 0; k < width; k++)
                sum[k] += (double)work->between[i * work->m + c + k] * work->weights[i];
        for (int64_t k = 0; k < width; k++)
            mean[c + k] = (float)(sum[k] + gaussian_mean(population, given->unseen[(c + k) / 2], (c + k) & 1));
    }
}

static enum status gaussian_run(struct gaussian *gaussian, struct gaussian_work *work, const struct gaussian_given *given,
                                const struct population *population, const struct covariance_params *params, struct error *error)
{
    gaussian->evidence = NAN;
    if (work->n) {
        if (gaussian_residuals(work, given, population, error) || gaussian_factor(work, given, population, params, &gaussian->evidence, error))
            return error->status;
        const struct covariance_block block = {.a = given->seen, .b = given->unseen, .n_a = given->n_seen, .n_b = given->n_unseen, .stride = work->m};
        if (covariance_fill(work->between, &block, population, params, error))
            return error->status;
    }
    gaussian_means(gaussian->mean, work, given, population);
    if (gaussian->sd)
        gaussian_spread(gaussian->sd, work, given, population, params);
    return STATUS_OK;
}

enum status gaussian_condition(struct gaussian *ret, const struct gaussian_given *given, const struct population *population,
                               const struct covariance_params *params, struct error *error)
{
    const int64_t n = 2 * given->n_seen, m = 2 * given->n_unseen;
    struct gaussian gaussian = {.n = given->n_unseen, .mean = memory_alloc((size_t)m, sizeof *gaussian.mean)};
    struct gaussian_work work = {.n = n,
                                 .m = m,
                                 .seen = memory_alloc((size_t)n, (size_t)n * sizeof *work.seen),
                                 .between = memory_alloc((size_t)n, (size_t)m * sizeof *work.between),
                                 .residual = memory_alloc((size_t)n, sizeof *work.residual),
                                 .weights = memory_alloc((size_t)n, sizeof *work.weights)};
    if (given->with_sd)
        gaussian.sd = memory_alloc((size_t)m, sizeof *gaussian.sd);
    enum status status;
    if (!gaussian.mean || !work.seen || !work.between || !work.residual || !work.weights || (given->with_sd && !gaussian.sd))
        status = error_memory(error, (size_t)n * (size_t)(n + m) * sizeof *work.seen, "the covariance of the rays");
    else
        status = gaussian_run(&gaussian, &work, given, population, params, error);
    memory_free(work.seen);
    memory_free(work.between);
    memory_free(work.residual);
    memory_free(work.weights);
    if (status)
        gaussian_done(&gaussian);
    else
        *ret = gaussian;
    return status;
}

void gaussian_done(struct gaussian *gaussian)
{
    memory_free(gaussian->mean);
    memory_free(gaussian->sd);
    gaussian->mean = gaussian->sd = NULL;
}
