/* gaussian.c - see gaussian.h. Test: tests/shape/test_gaussian.c */
#include "shape/gaussian.h"

#include <cblas.h>
#include <errno.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
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

/* Right-looking: the diagonal tile, the tiles below it, then what they take from all tiles to their right. Every tile
 * is one thread's. */
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
            cblas_strsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, tile_rows(n, i), size, 1,
                        diagonal, stride, tile_at(matrix, n, i, k), stride);
#pragma omp parallel for schedule(static, 1)
        for (int64_t i = k + 1; i < n_tiles; i++) {
            for (int64_t j = k + 1; j < i; j++)
                cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, tile_rows(n, i), tile_rows(n, j), size, -1,
                            tile_at(matrix, n, i, k), stride, tile_at(matrix, n, j, k), stride, 1,
                            tile_at(matrix, n, i, j), stride);
            cblas_ssyrk(CblasRowMajor, CblasLower, CblasNoTrans, tile_rows(n, i), size, -1, tile_at(matrix, n, i, k),
                        stride, 1, tile_at(matrix, n, i, i), stride);
        }
    }
    return true;
}

void gaussian_forward(float *b, int64_t m, const float *factor, int64_t n)
{
    blas_one_thread();
#pragma omp parallel for schedule(static, 1)
    for (int64_t c = 0; c < m; c += STRIP)
        cblas_strsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, (int)n,
                    (int)(m - c < STRIP ? m - c : STRIP), 1, factor, (int)n, b + c, (int)m);
}

/* ---- principal rows ---- */

enum { SUBSPACE_ROUNDS = 4 };

/* columns (m x k, row by row) made orthonormal. */
static bool gaussian_orthonormal(float *columns, float *tau, int64_t m, int64_t k)
{
    return LAPACKE_sgeqrf(LAPACK_ROW_MAJOR, (int)m, (int)k, columns, (int)k, tau) == 0 &&
           LAPACKE_sorgqr(LAPACK_ROW_MAJOR, (int)m, (int)k, (int)k, columns, (int)k, tau) == 0;
}

/* out (m x k) = matrix times columns, strips of rows by one thread each. */
static void gaussian_product(float *out, const float *matrix, const float *columns, int64_t m, int64_t k)
{
    cblas_ssymm(CblasRowMajor, CblasLeft, CblasLower, (int)m, (int)k, 1, matrix, (int)m, columns, (int)k, 0, out,
                (int)k);
}

enum status gaussian_principal(float *rows, int64_t k, const float *matrix, int64_t m, struct error *error)
{
    float *columns = memory_alloc((size_t)(m * k), sizeof *columns),
          *product = memory_alloc((size_t)(m * k), sizeof *product);
    float *small = memory_alloc((size_t)(k * k + 2 * k), sizeof *small);
    enum status status = STATUS_OK;
    blas_one_thread();
    if (!columns || !product || !small)
        status = error_memory(error, (size_t)(2 * m * k) * sizeof *columns, "principal rows");
    else {
        float *tau = small + k * k, *values = small + k * k + k;
        struct rng rng = rng_make(1, (uint64_t)m);
        bool ok = true;
        errno = 0;
        for (int64_t i = 0; i < m * k; i++)
            columns[i] = (float)rng_normal(&rng, 0, 1);
        for (int round = 0; round < SUBSPACE_ROUNDS && ok; round++) {
            gaussian_product(product, matrix, columns, m, k);
            memcpy(columns, product, (size_t)(m * k) * sizeof *columns);
            ok = gaussian_orthonormal(columns, tau, m, k);
        }

        /* Rayleigh and Ritz: the matrix within the subspace, its eigenvectors, ascending */
        if (ok) {
            gaussian_product(product, matrix, columns, m, k);
            cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)k, (int)k, (int)m, 1, columns, (int)k, product,
                        (int)k, 0, small, (int)k);
            ok = LAPACKE_ssyev(LAPACK_ROW_MAJOR, 'V', 'L', (int)k, small, (int)k, values) == 0;
        }
        for (int64_t i = 0; i < k && ok; i++)
            for (int64_t j = 0; j < k; j++)
                small[j * k + i] *= sqrtf(fmaxf(values[i], 0));
        if (ok)
            cblas_sgemm(CblasRowMajor, CblasTrans, CblasTrans, (int)k, (int)m, (int)k, 1, small, (int)k, columns,
                        (int)k, 0, rows, (int)m);
        else if (errno == ENOMEM) /* LAPACKE's own */
            status = error_memory(error, 0, "principal rows");
        else
            status =
                error_set(error, STATUS_FAILED,
                          "shape model: a posterior covariance has no principal rows (values that are not finite?)");
    }
    memory_free(columns);
    memory_free(product);
    memory_free(small);
    return status;
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

static enum status gaussian_residuals(struct gaussian_work *work, const struct gaussian_given *given,
                                      const struct population *population, struct error *error)
{
    for (int64_t k = 0; k < work->n; k++) {
        const int32_t ray = given->seen[k / 2];
        const float value = (k & 1 ? given->map->outer : given->map->inner)[ray];
        work->residual[k] = value - gaussian_mean(population, ray, k & 1);
        if (!isfinite(work->residual[k]))
            return error_set(error, STATUS_FAILED, "shape model: ray %d: no radius, but it is counted as seen",
                             (int)ray);
    }
    return STATUS_OK;
}

/* Factors C_oo, solves for the weights. *ret_evidence: log density of the residuals per value. */
static enum status gaussian_factor(struct gaussian_work *work, const struct gaussian_given *given,
                                   const struct population *population, const struct covariance_params *params,
                                   double *ret_evidence, struct error *error)
{
    const int64_t n = work->n;
    const struct covariance_block block = {
        .a = given->seen, .b = given->seen, .n_a = given->n_seen, .n_b = given->n_seen, .stride = n, .lower = true};
    if (covariance_fill(work->seen, &block, population, params, error))
        return error->status;
    for (int64_t i = 0; i < n; i++)
        work->seen[i * n + i] += (float)covariance_noise(population, params, given->seen[i / 2], i & 1);
    if (!gaussian_cholesky(work->seen, n))
        return error_set(error, STATUS_FAILED,
                         "shape model: the covariance of %lld observed rays is not positive definite (a damaged model, "
                         "or too little noise?)",
                         (long long)given->n_seen);

    cblas_strsv(CblasRowMajor, CblasLower, CblasNoTrans, CblasNonUnit, (int)n, work->seen, (int)n, work->residual, 1);
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)work->residual[i] * work->residual[i] + 2 * log(work->seen[i * n + i]) +
               log(2 * 3.14159265358979323846);
    *ret_evidence = -sum / (2 * (double)n);
    memcpy(work->weights, work->residual, (size_t)n * sizeof *work->weights);
    cblas_strsv(CblasRowMajor, CblasLower, CblasTrans, CblasNonUnit, (int)n, work->seen, (int)n, work->weights, 1);
    return STATUS_OK;
}

/* sd: of each unseen value; what the values seen explain of its variance is the square of its column of L^-1 C_oh. */
static void gaussian_spread(float *sd, const struct gaussian_work *work, const struct gaussian_given *given,
                            const struct population *population, const struct covariance_params *params)
{
    covariance_diagonal(sd, given->unseen, given->n_unseen, population, params);
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

static void gaussian_means(float *mean, const struct gaussian_work *work, const struct gaussian_given *given,
                           const struct population *population)
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

/* The posterior covariance C_hh - (L^-1 C_oh)^T (L^-1 C_oh), then its principal rows. `between` is L^-1 C_oh already.
 */
static enum status gaussian_posterior(struct gaussian *gaussian, const struct gaussian_work *work,
                                      const struct gaussian_given *given, const struct population *population,
                                      const struct covariance_params *params, struct error *error)
{
    const int64_t n = work->n, m = work->m;
    float *matrix = memory_alloc((size_t)m, (size_t)m * sizeof *matrix);
    if (!matrix)
        return error_memory(error, (size_t)(m * m) * sizeof *matrix, "a posterior covariance");
    const struct covariance_block block = {.a = given->unseen,
                                           .b = given->unseen,
                                           .n_a = given->n_unseen,
                                           .n_b = given->n_unseen,
                                           .stride = m,
                                           .lower = true};
    enum status status = covariance_fill(matrix, &block, population, params, error);
    if (!status && n) {
#pragma omp parallel for schedule(static, 1)
        for (int64_t i = 0; i < m; i += STRIP)
            for (int64_t j = 0; j <= i; j += STRIP)
                cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)(m - i < STRIP ? m - i : STRIP),
                            (int)(m - j < STRIP ? m - j : STRIP), (int)n, -1, work->between + i, (int)m,
                            work->between + j, (int)m, 1, matrix + i * m + j, (int)m);
    }
    if (!status)
        status = gaussian_principal(gaussian->rows, gaussian->n_rows, matrix, m, error);
    memory_free(matrix);
    return status;
}

/* ---- the rim ---- */

const struct gaussian_rim gaussian_rim_default = {
    .within_mm = {1.5, 1.2}, .jump_mm = {0.5, 0.35}, .neighbours = 3, .rounds = 8, .passes = 2};

enum {
    RIM_REACH = 2,
    RIM_NOBODY = -1,
    RIM_SEEN = -2
}; /* pixels to each side; what a pixel may hold beside an unseen ray */

/* The raster about the hole. */
struct rim_raster {
    const struct gaussian_given *given;
    const struct disc *disc;
    int32_t *at;     /* n x n: number of an unseen ray, or one of the above */
    float *residual; /* unseen x 2: measured minus predicted; NaN: no candidate */
    uint8_t *joined; /* unseen: the round in which it was believed, 0: not */
};

static enum status rim_raster_new(struct rim_raster *ret, const struct gaussian *gaussian,
                                  const struct gaussian_given *given, const struct disc *disc, struct arena *arena,
                                  struct error *error)
{
    const struct gaussian_rim *rim = given->rim;
    const int64_t n = disc->n;
    struct rim_raster raster = {.given = given, .disc = disc};
    raster.at = arena_alloc(arena, (size_t)(n * n), sizeof *raster.at);
    raster.residual = arena_alloc(arena, (size_t)given->n_unseen, 2 * sizeof *raster.residual);
    raster.joined = arena_alloc(arena, (size_t)given->n_unseen, 1);
    if (!raster.at || !raster.residual || !raster.joined)
        return error_memory(error, (size_t)(n * n) * sizeof *raster.at, "the rim of the hole");
    for (int64_t p = 0; p < n * n; p++)
        raster.at[p] = RIM_NOBODY;
    for (int64_t k = 0; k < given->n_seen; k++)
        raster.at[disc->pixel[given->seen[k]]] = RIM_SEEN;
    for (int64_t k = 0; k < given->n_unseen; k++) {
        const int32_t ray = given->unseen[k];
        float *residual = raster.residual + 2 * k;
        raster.at[disc->pixel[ray]] = (int32_t)k;
        residual[0] = given->map->inner[ray] - gaussian->mean[2 * k];
        residual[1] = given->map->outer[ray] - gaussian->mean[2 * k + 1];
        if (!(fabsf(residual[0]) < rim->within_mm[0] && fabsf(residual[1]) < rim->within_mm[1]))
            residual[0] = residual[1] = NAN;
    }
    *ret = raster;
    return STATUS_OK;
}

/* May unseen ray k join those believed before this round? */
static bool rim_joins(const struct rim_raster *raster, int64_t k, int round)
{
    const struct gaussian_rim *rim = raster->given->rim;
    const int64_t n = raster->disc->n, pixel = raster->disc->pixel[raster->given->unseen[k]];
    const int64_t u = pixel / n, v = pixel % n;
    const float *residual = raster->residual + 2 * k;
    double sum[2] = {0};
    int64_t count = 0;
    if (raster->joined[k] || isnan(residual[0]))
        return false;
    for (int64_t i = u - RIM_REACH; i <= u + RIM_REACH; i++)
        for (int64_t j = v - RIM_REACH; j <= v + RIM_REACH; j++) {
            const int32_t who = i < 0 || i >= n || j < 0 || j >= n ? RIM_NOBODY : raster->at[i * n + j];
            if (who == RIM_NOBODY || (who >= 0 && (!raster->joined[who] || raster->joined[who] >= round)))
                continue;
            count++;
            for (int s = 0; s < 2 && who >= 0; s++)
                sum[s] += raster->residual[2 * who + s];
        }
    if (count < rim->neighbours)
        return false;
    return fabs(residual[0] - sum[0] / (double)count) < rim->jump_mm[0] &&
           fabs(residual[1] - sum[1] / (double)count) < rim->jump_mm[1];
}

/* Grows inwards, all candidates of a round at once. */
static void rim_grow(struct rim_raster *raster)
{
    bool any = true;
    for (int round = 1; round <= raster->given->rim->rounds && any; round++) {
        any = false;
        for (int64_t k = 0; k < raster->given->n_unseen; k++)
            if (rim_joins(raster, k, round)) {
                raster->joined[k] = (uint8_t)round;
                any = true;
            }
    }
}

/* Rays believed after all; a: their numbers among the unseen, then as rays. */
struct rim_work {
    int64_t n;
    int32_t *number, *ray;
    float *rows;     /* 2 n x m: their posterior covariance with all unseen values, then L^-1 of it */
    float *own;      /* 2 n x 2 n: among themselves, with noise, then its Cholesky factor L */
    float *columns;  /* seen values x 2 n: theirs of L^-1 C_oh */
    float *residual; /* 2 n: measured minus predicted, then L^-1 of it */
};

/* The posterior covariance of the believed values with all unseen ones: C_ah - (L^-1 C_oa)^T (L^-1 C_oh). */
static enum status rim_covariance(struct rim_work *rim, const struct gaussian_work *work,
                                  const struct gaussian_given *given, const struct population *population,
                                  const struct covariance_params *params, struct error *error)
{
    const int64_t n = 2 * rim->n, m = work->m;
    const struct covariance_block block = {
        .a = rim->ray, .b = given->unseen, .n_a = rim->n, .n_b = given->n_unseen, .stride = m};
    if (covariance_fill(rim->rows, &block, population, params, error))
        return error->status;
    for (int64_t i = 0; i < work->n; i++)
        for (int64_t k = 0; k < n; k++)
            rim->columns[i * n + k] = work->between[i * m + 2 * rim->number[k / 2] + (k & 1)];
#pragma omp parallel for schedule(static, 1)
    for (int64_t c = 0; c < m; c += STRIP)
        if (work->n)
            cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)n, (int)(m - c < STRIP ? m - c : STRIP),
                        (int)work->n, -1, rim->columns, (int)n, work->between + c, (int)m, 1, rim->rows + c, (int)m);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < n; k++)
            rim->own[i * n + k] = rim->rows[i * m + 2 * rim->number[k / 2] + (k & 1)];
    for (int64_t i = 0; i < n; i++)
        rim->own[i * n + i] += (float)covariance_noise(population, params, rim->ray[i / 2], i & 1);
    return STATUS_OK;
}

/* mean += P_ha (P_aa + n^2)^-1 (r_a - mean_a), the variance shrinks likewise: the same as if these rays had been seen.
 */
static enum status rim_update(struct gaussian *gaussian, struct rim_work *rim, const struct gaussian_given *given,
                              struct error *error)
{
    const int64_t n = 2 * rim->n, m = 2 * given->n_unseen;
    for (int64_t k = 0; k < n; k++)
        rim->residual[k] = (k & 1 ? given->map->outer : given->map->inner)[rim->ray[k / 2]] -
                           gaussian->mean[2 * rim->number[k / 2] + (k & 1)];
    if (!gaussian_cholesky(rim->own, n))
        return error_set(error, STATUS_FAILED,
                         "shape model: the covariance of the hole's rim is not positive definite");
    cblas_strsv(CblasRowMajor, CblasLower, CblasNoTrans, CblasNonUnit, (int)n, rim->own, (int)n, rim->residual, 1);
    gaussian_forward(rim->rows, m, rim->own, n);
    for (int64_t k = 0; k < m; k++) {
        double mean = gaussian->mean[k], variance = (double)gaussian->sd[k] * gaussian->sd[k];
        for (int64_t i = 0; i < n; i++) {
            mean += (double)rim->rows[i * m + k] * rim->residual[i];
            variance -= (double)rim->rows[i * m + k] * rim->rows[i * m + k];
        }
        gaussian->mean[k] = (float)mean;
        gaussian->sd[k] = (float)sqrt(fmax(variance, 0));
    }
    return STATUS_OK;
}

/* Whose residuals are of the prediction at hand: *ret_same: they are the same rays as before. */
static enum status rim_choose(struct rim_work *rim, bool *ret_same, const struct gaussian *gaussian,
                              const struct gaussian_given *given, const struct disc *disc, struct arena *arena,
                              struct error *error)
{
    struct rim_raster raster = {0};
    const int64_t before = rim->n;
    bool same = true;
    if (rim_raster_new(&raster, gaussian, given, disc, arena, error))
        return error->status;
    rim_grow(&raster);
    rim->n = 0;
    for (int64_t k = 0; k < given->n_unseen; k++)
        if (raster.joined[k]) {
            same = same && rim->n < before && rim->number[rim->n] == k;
            rim->number[rim->n] = (int32_t)k;
            rim->ray[rim->n++] = given->unseen[k];
        }
    *ret_same = same && rim->n == before;
    return STATUS_OK;
}

/* The prediction conditioned on the rays of the rim as well. */
static enum status rim_condition(struct gaussian *gaussian, struct rim_work *rim, const struct gaussian_work *work,
                                 const struct gaussian_given *given, const struct population *population,
                                 const struct covariance_params *params, struct error *error)
{
    const size_t n = (size_t)(2 * rim->n);
    enum status status = STATUS_OK;
    rim->rows = memory_alloc(n, (size_t)work->m * sizeof *rim->rows);
    rim->own = memory_alloc(n, n * sizeof *rim->own);
    rim->columns = memory_alloc(n, (size_t)work->n * sizeof *rim->columns);
    rim->residual = memory_alloc(n, sizeof *rim->residual);
    if (!rim->rows || !rim->own || !rim->columns || !rim->residual)
        status = error_memory(error, n * (size_t)work->m * sizeof *rim->rows, "the rim of the hole");
    else
        status = rim_covariance(rim, work, given, population, params, error);
    if (!status)
        status = rim_update(gaussian, rim, given, error);
    memory_free(rim->rows);
    memory_free(rim->own);
    memory_free(rim->columns);
    memory_free(rim->residual);
    return status;
}

static enum status gaussian_believe(struct gaussian *gaussian, const struct gaussian_work *work,
                                    const struct gaussian_given *given, const struct population *population,
                                    const struct covariance_params *params, struct error *error)
{
    const size_t bytes = (size_t)work->m * sizeof *gaussian->mean;
    struct rim_work rim = {0};
    struct arena arena = {0};
    rim.number = arena_alloc(&arena, (size_t)given->n_unseen, sizeof *rim.number);
    rim.ray = arena_alloc(&arena, (size_t)given->n_unseen, sizeof *rim.ray);
    float *first = arena_alloc(&arena, 2 * (size_t)work->m, sizeof *first);
    enum status status = STATUS_OK;
    if (!rim.number || !rim.ray || !first)
        status = error_memory(error, bytes, "the rim of the hole");
    else { /* every pass updates the prediction without the rim */
        memcpy(first, gaussian->mean, bytes);
        memcpy(first + work->m, gaussian->sd, bytes);
    }

    bool same = false;
    for (int64_t pass = 0; pass < given->rim->passes && !same && !status; pass++) {
        status = rim_choose(&rim, &same, gaussian, given, population->disc, &arena, error);
        if (status || same)
            break;
        memcpy(gaussian->mean, first, bytes);
        memcpy(gaussian->sd, first + work->m, bytes);
        if (rim.n > 0)
            status = rim_condition(gaussian, &rim, work, given, population, params, error);
    }
    gaussian->n_believed = rim.n;
    arena_done(&arena);
    return status;
}

/* ---- all ---- */

static enum status gaussian_run(struct gaussian *gaussian, struct gaussian_work *work,
                                const struct gaussian_given *given, const struct population *population,
                                const struct covariance_params *params, struct error *error)
{
    gaussian->evidence = NAN;
    if (work->n) {
        if (gaussian_residuals(work, given, population, error) ||
            gaussian_factor(work, given, population, params, &gaussian->evidence, error))
            return error->status;
        const struct covariance_block block = {
            .a = given->seen, .b = given->unseen, .n_a = given->n_seen, .n_b = given->n_unseen, .stride = work->m};
        if (covariance_fill(work->between, &block, population, params, error))
            return error->status;
    }
    gaussian_means(gaussian->mean, work, given, population);
    if ((gaussian->sd || gaussian->rows) && work->n)
        gaussian_forward(work->between, work->m, work->seen, work->n);
    if (gaussian->sd)
        gaussian_spread(gaussian->sd, work, given, population, params);
    if (given->rim && gaussian_believe(gaussian, work, given, population, params, error))
        return error->status;
    return gaussian->rows ? gaussian_posterior(gaussian, work, given, population, params, error) : STATUS_OK;
}

enum status gaussian_condition(struct gaussian *ret, const struct gaussian_given *given,
                               const struct population *population, const struct covariance_params *params,
                               struct error *error)
{
    const int64_t n = 2 * given->n_seen, m = 2 * given->n_unseen;
    struct gaussian gaussian = {.n = given->n_unseen, .mean = memory_alloc((size_t)m, sizeof *gaussian.mean)};
    struct gaussian_work work = {.n = n,
                                 .m = m,
                                 .seen = memory_alloc((size_t)n, (size_t)n * sizeof *work.seen),
                                 .between = memory_alloc((size_t)n, (size_t)m * sizeof *work.between),
                                 .residual = memory_alloc((size_t)n, sizeof *work.residual),
                                 .weights = memory_alloc((size_t)n, sizeof *work.weights)};
    if (given->with_sd || given->rim)
        gaussian.sd = memory_alloc((size_t)m, sizeof *gaussian.sd);
    gaussian.n_rows = given->n_rows < m ? given->n_rows : m;
    if (gaussian.n_rows > 0)
        gaussian.rows = memory_alloc((size_t)(gaussian.n_rows * m), sizeof *gaussian.rows);
    enum status status;
    if (!gaussian.mean || !work.seen || !work.between || !work.residual || !work.weights ||
        ((given->with_sd || given->rim) && !gaussian.sd) || (gaussian.n_rows > 0 && !gaussian.rows))
        status = error_memory(error, (size_t)n * (size_t)(n + m) * sizeof *work.seen, "the covariance of the rays");
    else
        status = gaussian_run(&gaussian, &work, given, population, params, error);
    memory_free(work.seen);
    memory_free(work.between);
    memory_free(work.residual);
    memory_free(work.weights);
    if (!given->with_sd) {
        memory_free(gaussian.sd);
        gaussian.sd = NULL;
    }
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
    memory_free(gaussian->rows);
    gaussian->mean = gaussian->sd = gaussian->rows = NULL;
}
