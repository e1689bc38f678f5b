/* covariance.c - see covariance.h. Test: tests/shape/test_covariance.c
 *
 * The kernels depend on a chord alone: they are tabulated once per call and read by linear interpolation. The empirical
 * part is a product of factors, tile by tile, each tile by one thread. */
#include "shape/covariance.h"

#include <cblas.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/memory.h"
#include "shape/blas.h"

#define PARAM(name, standard, low, high, words)                                                                      \
    {                                                                                                                \
        .key = #name, .type = CONFIG_DOUBLE, .offset = offsetof(struct covariance_params, name), .text = (standard), \
        .min = (low), .max = (high), .help = (words)                                                                 \
    }

/* clang-format off */
static const struct config_field covariance_fields[] = {
    PARAM(empirical, "1", 0, 10, "weight of the empirical covariance"),
    PARAM(taper_mm, "60", 1, 1000, "half the reach of the taper on the empirical covariance, mm"),
    PARAM(taper_mirror, "0.6", 0, 1, "weight of the taper about the mirrored ray"),
    PARAM(taper_floor, "0.3", 0, 1, "share of the empirical covariance kept at any distance"),
    PARAM(fine, "0.3", 0, 10, "amplitude of the fine kernel (Matern 3/2), as a share of a radius's standard deviation"),
    PARAM(fine_mm, "8", 0.5, 1000, "its length, mm"),
    PARAM(fine_mirror, "0.7", 0, 1, "its share about the mirrored ray"),
    PARAM(fine_coupling, "0", 0, 1, "its coupling of the inner and the outer surface"),
    PARAM(coarse, "1", 0, 20, "amplitude of the coarse kernel (Matern 5/2), mm"),
    PARAM(coarse_mm, "80", 1, 1000, "its length, mm"),
    PARAM(coarse_mirror, "0.7", 0, 1, "its share about the mirrored ray"),
    PARAM(coarse_coupling, "0", 0, 1, "its coupling of the inner and the outer surface"),
    PARAM(noise_inner_mm, "1", 0.02, 5, "standard deviation of a measured inner radius, mm"),
    PARAM(noise_outer_mm, "0.5", 0.02, 5, "standard deviation of a measured outer radius, mm"),
    PARAM(roughness, "1.5", 0, 10, "times the roughness of the surface that is added to it, at most 4 mm"),
    PARAM(pose, "1", 0, 100, "weight of the pose modes"),
    {0},
};
/* clang-format on */

const struct config_table covariance_table = {
    .help = "covariance of the shape model", .size = sizeof(struct covariance_params), .fields = covariance_fields};

enum status covariance_set(struct covariance_params *params, const struct config_strings *set, struct arena *arena,
                           struct error *error)
{
    const char *keys[32] = {0};
    bool ok = true;
    for (int64_t i = 0; i < set->n; i++) {
        const char *text = set->items[i];
        const size_t length = strcspn(text, "=");
        const struct config_field *field = covariance_table.fields;
        size_t n = 0;
        for (; field->key && !(strlen(field->key) == length && strncmp(field->key, text, length) == 0); field++)
            keys[n++] = field->key;
        char *where = arena_printf(arena, "--set %.*s", (int)length, text);
        if (!where)
            return error_memory(error, length, "an option");
        if (field->key && text[length])
            ok = !config_set_text(field, params, text + length + 1, where, arena, error) && ok;
        else {
            ok = false;
            const char *near = field->key ? NULL : config_nearest(text, keys);
            error_add(error, STATUS_USAGE, "%s: %s%s%s%s", where,
                      field->key ? "no value (KEY=VALUE)" : "no such hyper-parameter", near ? " (did you mean '" : "",
                      near ? near : "", near ? "'?)" : "");
        }
    }
    return ok ? STATUS_OK : error->status;
}

/* ---- kernels ---- */

double covariance_gaspari_cohn(double r)
{
    /* Gaspari and Cohn (1999), eq. 4.10 */
    const double x = fabs(r);
    if (x <= 1)
        return 1 + x * x * (-5. / 3 + x * (5. / 8 + x * (1. / 2 - x / 4)));
    if (x < 2)
        return 4 - 5 * x + x * x * (5. / 3 + x * (5. / 8 + x * (-1. / 2 + x / 12))) - 2 / (3 * x);
    return 0;
}

double covariance_matern32(double r)
{
    const double x = sqrt(3) * r;
    return (1 + x) * exp(-x);
}

double covariance_matern52(double r)
{
    const double x = sqrt(5) * r;
    return (1 + x + x * x / 3) * exp(-x);
}

#define ROUGH_MAX_MM 4.0

double covariance_noise(const struct population *population, const struct covariance_params *params, int32_t ray,
                        int surface)
{
    const double noise = surface ? params->noise_outer_mm : params->noise_inner_mm;
    const double rough = fmin(params->roughness * population->rough[2 * (int64_t)ray + surface], ROUGH_MAX_MM);
    return noise * noise + rough * rough;
}

/* ---- tables over the chord ---- */

#define TABLE_STEP_MM 0.05
enum { TABLE_N = 3402 }; /* up to the head's diameter of 170 mm, and one more to interpolate to */

/* At each distance: the taper, the fine and the coarse kernel, each without and with its mirrored weight. */
struct covariance_tables {
    float direct[TABLE_N][3], mirrored[TABLE_N][3];
};

static void covariance_tables_fill(struct covariance_tables *tables, const struct covariance_params *params)
{
    for (int i = 0; i < TABLE_N; i++) {
        const double d = i * TABLE_STEP_MM;
        const double taper =
            params->empirical * (1 - params->taper_floor) * covariance_gaspari_cohn(d / params->taper_mm);
        const double fine = params->fine * params->fine * covariance_matern32(d / params->fine_mm);
        const double coarse = params->coarse * params->coarse * covariance_matern52(d / params->coarse_mm);
        const float direct[3] = {(float)taper, (float)fine, (float)coarse};
        const float mirrored[3] = {(float)(params->taper_mirror * taper), (float)(params->fine_mirror * fine),
                                   (float)(params->coarse_mirror * coarse)};
        memcpy(tables->direct[i], direct, sizeof direct);
        memcpy(tables->mirrored[i], mirrored, sizeof mirrored);
    }
}

static inline void covariance_look_up(float sum[3], const float table[TABLE_N][3], double cosine)
{
    const double d = DISC_HEAD_RADIUS_MM * sqrt(fmax(2 - 2 * cosine, 0)) / TABLE_STEP_MM;
    const int i = (int)d;
    const float t = (float)(d - i);
    for (int k = 0; k < 3; k++)
        sum[k] += table[i][k] + t * (table[i + 1][k] - table[i][k]);
}

/* kernel: taper (with its floor), fine, coarse for a pair of rays. */
static inline void covariance_kernels(float kernel[3], const struct covariance_tables *tables, const double a[3],
                                      const double b[3])
{
    const double x = a[0] * b[0], yz = a[1] * b[1] + a[2] * b[2];
    covariance_look_up(kernel, tables->direct, yz + x);
    covariance_look_up(kernel, tables->mirrored, yz - x);
}

/* ---- a tile ---- */

enum { TILE_RAYS = 64, TILE = 2 * TILE_RAYS };

struct covariance_work {
    const struct covariance_block *block;
    const struct population *population;
    const struct covariance_params *params;
    const struct covariance_tables *tables;
    const float *factor_a, *factor_b; /* gathered rows: factors, then weighted pose modes */
    int64_t n_factors;
};

/* The 2 x 2 values of a pair of rays: the products of factors become the covariance. */
static inline void covariance_pair(float *pair, int64_t stride, const float *modes, int64_t modes_stride,
                                   const struct covariance_work *work, int32_t a, int32_t b)
{
    const struct population *population = work->population;
    const struct covariance_params *params = work->params;
    float kernel[3] = {(float)(params->empirical * params->taper_floor), 0, 0};
    covariance_kernels(kernel, work->tables, population->disc->ray[a], population->disc->ray[b]);
    const float sd_a[2] = {population->sd.inner[a], population->sd.outer[a]};
    const float sd_b[2] = {population->sd.inner[b], population->sd.outer[b]};
    const float fine_between = (float)params->fine_coupling, coarse_between = (float)params->coarse_coupling;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            float *value = pair + i * stride + j;
            const float fine = (i == j ? 1 : fine_between) * kernel[1] * sd_a[i] * sd_b[j];
            const float coarse = (i == j ? 1 : coarse_between) * kernel[2];
            *value = *value * kernel[0] + fine + coarse + modes[i * modes_stride + j];
        }
}

/* Rays [a0, a1) with [b0, b1) of the block. scratch: TILE x TILE. */
static void covariance_tile(float *out, const struct covariance_work *work, int64_t a0, int64_t b0, float *scratch)
{
    const struct covariance_block *block = work->block;
    const int64_t a1 = a0 + TILE_RAYS < block->n_a ? a0 + TILE_RAYS : block->n_a;
    const int64_t b1 = b0 + TILE_RAYS < block->n_b ? b0 + TILE_RAYS : block->n_b;
    const int m = (int)work->n_factors, width = m + POSE_MODES, rows = (int)(2 * (a1 - a0)),
              columns = (int)(2 * (b1 - b0));
    float *tile = out + 2 * a0 * block->stride + 2 * b0;
    const float *fa = work->factor_a + 2 * a0 * width, *fb = work->factor_b + 2 * b0 * width;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, columns, m, 1, fa, width, fb, width, 0, tile,
                (int)block->stride);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, columns, POSE_MODES, (float)work->params->pose, fa + m,
                width, fb + m, width, 0, scratch, TILE);
    for (int64_t a = a0; a < a1; a++)
        for (int64_t b = b0; b < b1; b++)
            covariance_pair(tile + 2 * (a - a0) * block->stride + 2 * (b - b0), block->stride,
                            scratch + 2 * (a - a0) * TILE + 2 * (b - b0), TILE, work, block->a[a], block->b[b]);
}

/* ---- all ---- */

/* The rows of these rays, factors and modes together. */
static float *covariance_gather(const struct population *population, const int32_t *rays, int64_t n)
{
    const int64_t m = population->n_factors, width = m + POSE_MODES;
    float *rows = memory_alloc((size_t)(2 * n * width), sizeof *rows);
    for (int64_t k = 0; rows && k < 2 * n; k++) {
        const int64_t from = 2 * (int64_t)rays[k / 2] + (k & 1);
        memcpy(rows + k * width, population->factor + from * m, (size_t)m * sizeof *rows);
        memcpy(rows + k * width + m, population->mode + from * POSE_MODES, POSE_MODES * sizeof *rows);
    }
    return rows;
}

static void covariance_tiles(float *out, const struct covariance_work *work, float *scratch)
{
    const struct covariance_block *block = work->block;
    const int64_t n_down = (block->n_a + TILE_RAYS - 1) / TILE_RAYS,
                  n_across = (block->n_b + TILE_RAYS - 1) / TILE_RAYS;
#pragma omp parallel for schedule(static, 1)
    for (int64_t i = 0; i < n_down; i++)
        for (int64_t j = 0; j < n_across && (!block->lower || j <= i); j++)
            covariance_tile(out, work, i * TILE_RAYS, j * TILE_RAYS, scratch + i * TILE * TILE);
}

enum status covariance_fill(float *out, const struct covariance_block *block, const struct population *population,
                            const struct covariance_params *params, struct error *error)
{
    if (block->n_a == 0 || block->n_b == 0)
        return STATUS_OK;
    blas_one_thread();
    const int64_t n_down = (block->n_a + TILE_RAYS - 1) / TILE_RAYS;
    const bool lower = block->lower;
    struct covariance_tables *tables = memory_alloc(1, sizeof *tables);
    float *a = covariance_gather(population, block->a, block->n_a);
    float *b = lower ? a : covariance_gather(population, block->b, block->n_b);
    float *scratch = memory_alloc((size_t)(n_down * TILE * TILE), sizeof *scratch);
    enum status status = STATUS_OK;
    if (!tables || !a || !b || !scratch)
        status = error_memory(error, (size_t)(2 * block->n_a * population->n_factors) * sizeof *a, "a covariance");
    else {
        covariance_tables_fill(tables, params);
        const struct covariance_work work = {.block = block,
                                             .population = population,
                                             .params = params,
                                             .tables = tables,
                                             .factor_a = a,
                                             .factor_b = b,
                                             .n_factors = population->n_factors};
        covariance_tiles(out, &work, scratch);
    }
    memory_free(scratch);
    if (!lower)
        memory_free(b);
    memory_free(a);
    memory_free(tables);
    return status;
}

void covariance_diagonal(float *out, const int32_t *a, int64_t n_a, const struct population *population,
                         const struct covariance_params *params)
{
    const int64_t m = population->n_factors;
#pragma omp parallel for schedule(static)
    for (int64_t k = 0; k < 2 * n_a; k++) {
        const int32_t ray = a[k / 2];
        const double *d = population->disc->ray[ray];
        const double across = 2 * DISC_HEAD_RADIUS_MM * fabs(d[0]); /* chord to the mirrored ray */
        const float *factor = population->factor + (2 * (int64_t)ray + (k & 1)) * m;
        const float *mode = population->mode + (2 * (int64_t)ray + (k & 1)) * POSE_MODES;
        const double sd = (k & 1 ? population->sd.outer : population->sd.inner)[ray];
        double empirical = 0, pose = 0;
        for (int64_t i = 0; i < m; i++)
            empirical += (double)factor[i] * factor[i];
        for (int i = 0; i < POSE_MODES; i++)
            pose += (double)mode[i] * mode[i];
        const double taper =
            params->taper_floor +
            (1 - params->taper_floor) * (1 + params->taper_mirror * covariance_gaspari_cohn(across / params->taper_mm));
        const double fine =
            params->fine * params->fine * (1 + params->fine_mirror * covariance_matern32(across / params->fine_mm));
        const double coarse = params->coarse * params->coarse *
                              (1 + params->coarse_mirror * covariance_matern52(across / params->coarse_mm));
        out[k] = (float)(params->empirical * empirical * taper + fine * sd * sd + coarse + params->pose * pose);
    }
}
