/* test_gaussian.c - tiled Cholesky and solves against double, the conditional mean and sd of a known field, a head left
 * out, threads, bad input. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "field.h"
#include "shape/gaussian.h"
#include "shape/predict.h"
#include "tests/check.h"

/* ---- linear algebra ---- */

/* A = B B^T + I, exactly symmetric. */
static void positive_make(float *matrix, int64_t n, uint64_t seed)
{
    const struct rng rng = rng_make(seed, 0);
    float *b = memory_alloc((size_t)(n * n), sizeof *b);
    rng_fill_uniform(&rng, b, n * n);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = i == j;
            for (int64_t k = 0; k < n; k++)
                sum += ((double)b[i * n + k] - 0.5) * ((double)b[j * n + k] - 0.5);
            matrix[i * n + j] = (float)sum;
        }
    memory_free(b);
}

/* Sizes below, at and off the tiles. */
static void test_cholesky(void)
{
    const int64_t sizes[] = {1, 5, 192, 193, 421};
    for (int s = 0; s < 5; s++) {
        const int64_t n = sizes[s], m = 37;
        float *matrix = memory_alloc((size_t)(n * n), sizeof *matrix),
              *factor = memory_alloc((size_t)(n * n), sizeof *factor);
        float *b = memory_alloc((size_t)(n * m), sizeof *b), *x = memory_alloc((size_t)(n * m), sizeof *x);
        const struct rng rng = rng_make(3, 1);
        positive_make(matrix, n, (uint64_t)n);
        memcpy(factor, matrix, (size_t)(n * n) * sizeof *matrix);
        CHECK(gaussian_cholesky(factor, n));
        double worst = 0;
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j <= i; j++) {
                double sum = 0;
                for (int64_t k = 0; k <= j; k++)
                    sum += (double)factor[i * n + k] * factor[j * n + k];
                worst = fmax(worst, fabs(sum - matrix[i * n + j]));
            }
        CHECK_NEAR(worst, 0, 2e-4);

        rng_fill_uniform(&rng, b, n * m);
        memcpy(x, b, (size_t)(n * m) * sizeof *b);
        gaussian_forward(x, m, factor, n);
        worst = 0;
        for (int64_t i = 0; i < n; i++)
            for (int64_t c = 0; c < m; c++) {
                double sum = 0;
                for (int64_t k = 0; k <= i; k++)
                    sum += (double)factor[i * n + k] * x[k * m + c];
                worst = fmax(worst, fabs(sum - b[i * m + c]));
            }
        CHECK_NEAR(worst, 0, 2e-4);

        matrix[n * n - 1] = -1;
        CHECK(!gaussian_cholesky(matrix, n));
        memory_free(matrix);
        memory_free(factor);
        memory_free(b);
        memory_free(x);
    }
}

/* Of a matrix of known rank, its rows give it back. */
static void test_principal(void)
{
    enum { M = 90, K = 6 };
    struct error error = {0};
    float basis[K * M], matrix[M * M], rows[K * M];
    const struct rng rng = rng_make(11, 0);
    rng_fill_uniform(&rng, basis, K * M);
    for (int i = 0; i < M; i++)
        for (int j = 0; j < M; j++) {
            double sum = 0;
            for (int k = 0; k < K; k++)
                sum += (basis[k * M + i] - 0.5) * (basis[k * M + j] - 0.5);
            matrix[i * M + j] = (float)(j <= i ? sum : NAN); /* the lower triangle alone is read */
        }
    CHECK_OK(gaussian_principal(rows, K, matrix, M, &error), &error);
    double worst = 0;
    for (int i = 0; i < M; i++)
        for (int j = 0; j <= i; j++) {
            double sum = 0;
            for (int k = 0; k < K; k++)
                sum += (double)rows[k * M + i] * rows[k * M + j];
            worst = fmax(worst, fabs(sum - matrix[i * M + j]));
        }
    CHECK_NEAR(worst, 0, 1e-4);
}

/* ---- the field ---- */

/* Seen: every second ray outside a cap; unseen: those in it. */
struct split {
    int32_t *seen, *unseen;
    int64_t n_seen, n_unseen;
    uint8_t *hole;
};

static struct split split_make(const struct disc *disc)
{
    const double at[3] = {0.5, 0.5, 0.7};
    struct split split = {.seen = memory_alloc((size_t)disc->n_rays, sizeof(int32_t)),
                          .unseen = memory_alloc((size_t)disc->n_rays, sizeof(int32_t)),
                          .hole = memory_alloc((size_t)disc->n_rays, 1)};
    field_cap(split.hole, disc, at, 0.5);
    for (int64_t ray = 0; ray < disc->n_rays; ray++) {
        if (split.hole[ray])
            split.unseen[split.n_unseen++] = (int32_t)ray;
        else if (ray % 2)
            split.seen[split.n_seen++] = (int32_t)ray;
    }
    return split;
}

static void split_free(struct split *split)
{
    memory_free(split->seen);
    memory_free(split->unseen);
    memory_free(split->hole);
}

static struct covariance_params params_default(void)
{
    struct covariance_params params;
    struct error error = {0};
    struct arena arena = {0};
    CHECK_OK(config_bind(&covariance_table, NULL, &params, &arena, &error), &error);
    arena_done(&arena);
    return params;
}

/* Empirical covariance alone, with the field's own noise: what theory knows about. */
static struct covariance_params params_empirical(double noise_mm)
{
    struct covariance_params params = params_default();
    params.taper_floor = 1;
    params.fine = params.coarse = params.pose = 0;
    params.noise_inner_mm = params.noise_outer_mm = noise_mm;
    return params;
}

/* From many heads of a known field the posterior is the theoretical one: no bias, and its sd covers what it says. */
static void test_recovers_field(void)
{
    enum { HEADS = 160, NEW = 40 };
    const double noise = 0.3;
    struct error error = {0};
    struct field field, fresh;
    struct population population;
    field_make(&field, 15, HEADS, noise, 1);
    field_make(&fresh, 15, NEW, noise, 2);
    CHECK_OK(population_new(&population, &field.disc, &field.heads, -1, &error), &error);
    struct split split = split_make(&field.disc);
    const struct covariance_params params = params_empirical(noise);
    double sum = 0, squares = 0, prior = 0;
    int64_t n = 0, within_50 = 0, within_90 = 0;
    for (int64_t h = 0; h < NEW; h++) {
        struct radial_map map = field_map(&fresh, h);
        struct gaussian gaussian;
        const struct gaussian_given given = {.map = &map,
                                             .seen = split.seen,
                                             .unseen = split.unseen,
                                             .n_seen = split.n_seen,
                                             .n_unseen = split.n_unseen,
                                             .with_sd = true};
        CHECK_OK(gaussian_condition(&gaussian, &given, &population, &params, &error), &error);
        for (int64_t k = 0; k < 2 * split.n_unseen; k++) {
            const double truth = (k & 1 ? map.outer : map.inner)[split.unseen[k / 2]];
            const double miss = gaussian.mean[k] - truth;
            const double sd = gaussian.sd[k]; /* the heads' own noise is part of their covariance */
            sum += miss;
            squares += miss * miss;
            prior += (truth - field_mean(k & 1)) * (truth - field_mean(k & 1));
            within_50 += fabs(miss) < 0.6745 * sd;
            within_90 += fabs(miss) < 1.6449 * sd;
            n++;
        }
        gaussian_done(&gaussian);
        radial_map_done(&map);
    }
    CHECK_NEAR(sum / (double)n, 0, 0.03);
    CHECK(sqrt(prior / (double)n) > 3); /* what there was to be known */
    CHECK(sqrt(squares / (double)n) < 0.45);
    CHECK_NEAR((double)within_50 / (double)n, 0.5, 0.05);
    CHECK_NEAR((double)within_90 / (double)n, 0.9, 0.05);
    split_free(&split);
    population_done(&population);
    field_done(&field);
    field_done(&fresh);
}

/* Against the same formula in double, by elimination. */
static void test_against_double(void)
{
    struct error error = {0};
    struct field field;
    struct population population;
    struct gaussian gaussian;
    field_make(&field, 11, 12, 0.3, 4);
    CHECK_OK(population_new(&population, &field.disc, &field.heads, 3, &error), &error);
    const struct covariance_params params = params_default();
    struct split split = split_make(&field.disc);
    struct radial_map map = field_map(&field, 3);
    const struct gaussian_given given = {.map = &map,
                                         .seen = split.seen,
                                         .unseen = split.unseen,
                                         .n_seen = split.n_seen,
                                         .n_unseen = split.n_unseen,
                                         .with_sd = true};
    CHECK_OK(gaussian_condition(&gaussian, &given, &population, &params, &error), &error);

    const int64_t n = 2 * split.n_seen, m = 2 * split.n_unseen, width = n + m + 1;
    float *c = memory_alloc((size_t)(n * n), sizeof *c), *b = memory_alloc((size_t)(n * m), sizeof *b);
    double *system = memory_alloc((size_t)(n * width), sizeof *system);
    float *own = memory_alloc((size_t)(m * m), sizeof *own);
    const struct covariance_block seen = {
        .a = split.seen, .b = split.seen, .n_a = split.n_seen, .n_b = split.n_seen, .stride = n};
    const struct covariance_block cross = {
        .a = split.seen, .b = split.unseen, .n_a = split.n_seen, .n_b = split.n_unseen, .stride = m};
    const struct covariance_block unseen = {
        .a = split.unseen, .b = split.unseen, .n_a = split.n_unseen, .n_b = split.n_unseen, .stride = m};
    CHECK_OK(covariance_fill(c, &seen, &population, &params, &error), &error);
    CHECK_OK(covariance_fill(b, &cross, &population, &params, &error), &error);
    CHECK_OK(covariance_fill(own, &unseen, &population, &params, &error), &error);
    for (int64_t i = 0; i < n; i++) {
        const int32_t ray = split.seen[i / 2];
        for (int64_t j = 0; j < n; j++)
            system[i * width + j] =
                c[i * n + j] + (i == j ? covariance_noise(&population, &params, split.seen[i / 2], i & 1) : 0);
        for (int64_t j = 0; j < m; j++)
            system[i * width + n + j] = b[i * m + j];
        system[i * width + n + m] = i & 1 ? (double)map.outer[ray] - population.mean.outer[ray]
                                          : (double)map.inner[ray] - population.mean.inner[ray];
    }
    for (int64_t k = 0; k < n; k++) /* Gauss and Jordan; the matrix is positive definite: no pivots needed */
        for (int64_t i = 0; i < n; i++) {
            const double factor = system[i * width + k] / system[k * width + k];
            for (int64_t j = k; i != k && j < width; j++)
                system[i * width + j] -= factor * system[k * width + j];
        }
    double mean_off = 0, sd_off = 0;
    for (int64_t j = 0; j < m; j++) {
        const int32_t ray = split.unseen[j / 2];
        double mean = (j & 1 ? population.mean.outer : population.mean.inner)[ray], variance = own[j * m + j];
        for (int64_t i = 0; i < n; i++) {
            mean += b[i * m + j] * system[i * width + n + m] / system[i * width + i];
            variance -= b[i * m + j] * system[i * width + n + j] / system[i * width + i];
        }
        mean_off = fmax(mean_off, fabs(mean - gaussian.mean[j]));
        sd_off = fmax(sd_off, fabs(sqrt(variance) - gaussian.sd[j]));
    }
    CHECK_NEAR(mean_off, 0, 2e-3);
    CHECK_NEAR(sd_off, 0, 2e-3);
    memory_free(c);
    memory_free(b);
    memory_free(own);
    memory_free(system);
    gaussian_done(&gaussian);
    radial_map_done(&map);
    split_free(&split);
    population_done(&population);
    field_done(&field);
}

static void check_same(const struct gaussian *a, const struct gaussian *b)
{
    double mean_off = 0, sd_off = 0;
    CHECK_INT(a->n, b->n);
    for (int64_t k = 0; k < 2 * a->n; k++) {
        mean_off = fmax(mean_off, fabs((double)a->mean[k] - b->mean[k]));
        sd_off = fmax(sd_off, fabs((double)a->sd[k] - b->sd[k]));
    }
    CHECK_NEAR(mean_off, 0, 2e-3);
    CHECK_NEAR(sd_off, 0, 2e-3);
}

/* Rays too far from the first prediction are near enough to a later one, until all n are believed. */
static void check_passes(const struct gaussian *at_once, struct gaussian_given given,
                         const struct population *population, const struct covariance_params *params, int64_t n)
{
    struct error error = {0};
    struct gaussian_rim rim = {.jump_mm = {50, 50}, .neighbours = 1, .rounds = 30};
    bool found = false;
    given.rim = &rim;
    for (double within = 0.4; within < 4 && !found; within += 0.1) {
        int64_t n_believed[2];
        rim.within_mm[0] = rim.within_mm[1] = within;
        for (int i = 0; i < 2; i++) {
            struct gaussian later;
            rim.passes = i ? 6 : 1;
            CHECK_OK(gaussian_condition(&later, &given, population, params, &error), &error);
            n_believed[i] = later.n_believed;
            found = i == 1 && n_believed[0] < n && n_believed[1] == n;
            if (found)
                check_same(at_once, &later);
            gaussian_done(&later);
        }
    }
    CHECK(found);
}

/* Rays of the rim believed after all: the same as if they had been seen from the start; unsound ones are not believed.
 */
static void test_rim(void)
{
    struct error error = {0};
    struct field field;
    struct population population;
    struct gaussian at_once, later;
    field_make(&field, 25, 20, 0.3, 6);
    const struct disc *disc = &field.disc;
    const struct covariance_params params = params_default();
    const double at[3] = {0.5, 0.5, 0.7};
    uint8_t *hole = memory_alloc((size_t)disc->n_rays, 1), *core = memory_alloc((size_t)disc->n_rays, 1);
    int32_t *rays[3]; /* outside, with the rim, the hole */
    int64_t n[3] = {0}, n_core = 0;
    for (int i = 0; i < 3; i++)
        rays[i] = memory_alloc((size_t)disc->n_rays, sizeof(int32_t));
    CHECK_OK(population_new(&population, disc, &field.heads, 0, &error), &error);
    struct radial_map map = field_map(&field, 0);
    field_cap(hole, disc, at, 0.6);
    field_cap(core, disc, at, 0.4);
    for (int64_t ray = 0; ray < disc->n_rays; ray++) {
        if (core[ray])
            map.inner[ray] = map.outer[ray] = NAN;
        n_core += core[ray];
        if (hole[ray])
            rays[2][n[2]++] = (int32_t)ray;
        else if (ray % 2)
            rays[0][n[0]++] = (int32_t)ray;
        if ((hole[ray] && !core[ray]) || (!hole[ray] && ray % 2))
            rays[1][n[1]++] = (int32_t)ray;
    }
    struct gaussian_rim rim = {.within_mm = {50, 50}, .jump_mm = {50, 50}, .neighbours = 1, .rounds = 30, .passes = 1};
    struct gaussian_given given = {.map = &map,
                                   .seen = rays[0],
                                   .unseen = rays[2],
                                   .n_seen = n[0],
                                   .n_unseen = n[2],
                                   .with_sd = true,
                                   .rim = &rim};
    CHECK_OK(gaussian_condition(&later, &given, &population, &params, &error), &error);
    CHECK_INT(later.n_believed, n[2] - n_core);
    CHECK(n_core > 10 && later.n_believed > 10);
    given.rim = NULL;
    given.seen = rays[1];
    given.n_seen = n[1];
    CHECK_OK(gaussian_condition(&at_once, &given, &population, &params, &error), &error);
    check_same(&at_once, &later);
    gaussian_done(&later);

    given.seen = rays[0];
    given.n_seen = n[0];
    check_passes(&at_once, given, &population, &params, n[2] - n_core);

    /* a ray that crosses the wall of the hole, and one beside the hole */
    int32_t crossing = -1;
    for (int64_t k = 0; k < n[2] && crossing < 0; k++)
        crossing = core[rays[2][k]] ? -1 : rays[2][k];
    map.outer[crossing] -= 6;
    rim = gaussian_rim_default;
    rim.within_mm[0] = rim.within_mm[1] = 3;
    rim.jump_mm[0] = rim.jump_mm[1] = 2;
    given.rim = &rim;
    given.seen = rays[0];
    given.n_seen = n[0];
    CHECK_OK(gaussian_condition(&later, &given, &population, &params, &error), &error);
    CHECK(later.n_believed < n[2] - n_core && later.n_believed > 0);
    rim.neighbours = 100;
    gaussian_done(&later);
    CHECK_OK(gaussian_condition(&later, &given, &population, &params, &error), &error);
    CHECK_INT(later.n_believed, 0);
    gaussian_done(&later);
    gaussian_done(&at_once);
    for (int i = 0; i < 3; i++)
        memory_free(rays[i]);
    memory_free(hole);
    memory_free(core);
    radial_map_done(&map);
    population_done(&population);
    field_done(&field);
}

/* ---- a head left out ---- */

/* Predicts head h's hole without its group; the map is read where it is seen alone. */
static void predict_without(struct gaussian *ret, const struct field *field, const struct radial_map *map,
                            const struct split *split, int32_t group)
{
    struct error error = {0};
    struct population population;
    const struct covariance_params params = params_default();
    CHECK_OK(population_new(&population, &field->disc, &field->heads, group, &error), &error);
    const struct gaussian_given given = {.map = map,
                                         .seen = split->seen,
                                         .unseen = split->unseen,
                                         .n_seen = split->n_seen,
                                         .n_unseen = split->n_unseen,
                                         .with_sd = true};
    CHECK_OK(gaussian_condition(ret, &given, &population, &params, &error), &error);
    population_done(&population);
}

/* The prediction for a head of the model is the same bits whatever its own truth, its mirrored copy's and its group's
 * are; with the head left in, it is not. */
static void test_left_out(void)
{
    struct field field;
    struct gaussian before, after, with_before, with_after;
    field_make(&field, 15, 10, 0.3, 5);
    field.heads.group[7] = field.heads.group[2]; /* another scan of head 2 */
    struct split split = split_make(&field.disc);
    struct radial_map map = field_map(&field, 2);
    const int64_t n_rays = field.disc.n_rays;
    predict_without(&before, &field, &map, &split, 2);
    predict_without(&with_before, &field, &map, &split, -1);
    for (int64_t ray = 0; ray < n_rays; ray++)
        for (int64_t k = 0; k < 4; k++) {
            const int64_t h = k < 2 ? 2 : 7;
            if (split.hole[ray] || h == 7) /* the truth of head 2; all of head 7 */
                field.heads.map[(h * n_rays + ray) * 2 + (k & 1)] += (float)(5 + 0.01 * (double)ray);
        }
    predict_without(&after, &field, &map, &split, 2);
    predict_without(&with_after, &field, &map, &split, -1);
    CHECK(memcmp(before.mean, after.mean, (size_t)(2 * split.n_unseen) * sizeof(float)) == 0);
    CHECK(memcmp(before.sd, after.sd, (size_t)(2 * split.n_unseen) * sizeof(float)) == 0);
    double moved = 0;
    for (int64_t k = 0; k < 2 * split.n_unseen; k++)
        moved = fmax(moved, fabs((double)with_before.mean[k] - with_after.mean[k]));
    CHECK(moved > 0.1); /* the test would see a leak */
    struct gaussian *const all[] = {&before, &after, &with_before, &with_after};
    for (int i = 0; i < 4; i++)
        gaussian_done(all[i]);
    radial_map_done(&map);
    split_free(&split);
    field_done(&field);
}

/* ---- threads, bad input ---- */

static void test_threads(void)
{
    struct field field;
    struct gaussian one, three;
    field_make(&field, 25, 20, 0.3, 6);
    struct split split = split_make(&field.disc);
    struct radial_map map = field_map(&field, 0);
    const int threads = parallel_threads();
    parallel_set_threads(1);
    predict_without(&one, &field, &map, &split, 0);
    parallel_set_threads(3);
    predict_without(&three, &field, &map, &split, 0);
    parallel_set_threads(threads);
    CHECK(split.n_seen * 2 > 2 * 192); /* more than one tile */
    CHECK(memcmp(one.mean, three.mean, (size_t)(2 * split.n_unseen) * sizeof(float)) == 0);
    CHECK(memcmp(one.sd, three.sd, (size_t)(2 * split.n_unseen) * sizeof(float)) == 0);
    CHECK(one.evidence == three.evidence);
    gaussian_done(&one);
    gaussian_done(&three);
    radial_map_done(&map);
    split_free(&split);
    field_done(&field);
}

static void test_bad_input(void)
{
    struct error error = {0};
    struct field field;
    struct population population;
    struct gaussian gaussian;
    field_make(&field, 11, 4, 0.3, 7);
    struct covariance_params params = params_default();
    struct split split = split_make(&field.disc);
    struct radial_map map = field_map(&field, 0);
    struct gaussian_given given = {.map = &map,
                                   .seen = split.seen,
                                   .unseen = split.unseen,
                                   .n_seen = split.n_seen,
                                   .n_unseen = split.n_unseen,
                                   .with_sd = true};
    CHECK_OK(population_new(&population, &field.disc, &field.heads, -1, &error), &error);
    map.outer[split.seen[3]] = NAN;
    CHECK_FAILS(gaussian_condition(&gaussian, &given, &population, &params, &error), &error, STATUS_FAILED,
                "no radius");
    map.outer[split.seen[3]] = 87;

    /* nothing seen: the mean head, as spread as heads are */
    given.n_seen = 0;
    CHECK_OK(gaussian_condition(&gaussian, &given, &population, &params, &error), &error);
    CHECK_NEAR(gaussian.mean[1], population.mean.outer[split.unseen[0]], 0);
    CHECK(gaussian.sd[1] >= population.sd.outer[split.unseen[0]] && isnan(gaussian.evidence));
    gaussian_done(&gaussian);
    given.n_seen = split.n_seen;

    /* nothing to predict */
    given.n_unseen = 0;
    CHECK_OK(gaussian_condition(&gaussian, &given, &population, &params, &error), &error);
    CHECK_INT(gaussian.n, 0);
    gaussian_done(&gaussian);
    given.n_unseen = split.n_unseen;

    for (int64_t nth = 1; nth < 12; nth++) {
        memory_fail_at(nth);
        const enum status status = gaussian_condition(&gaussian, &given, &population, &params, &error);
        memory_fail_at(0);
        if (!status)
            gaussian_done(&gaussian);
        else
            CHECK_CONTAINS(error.text, "memory");
    }
    struct population other;
    for (int64_t nth = 1; nth < 8; nth++) {
        memory_fail_at(nth);
        if (!population_new(&other, &field.disc, &field.heads, -1, &error))
            population_done(&other);
        memory_fail_at(0);
    }
    population_done(&population);
    for (int h = 0; h < 4; h++)
        field.heads.group[h] = h / 3;
    CHECK_FAILS(population_new(&population, &field.disc, &field.heads, 0, &error), &error, STATUS_FAILED, "too few");
    radial_map_done(&map);
    split_free(&split);
    field_done(&field);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"cholesky", test_cholesky},
                                       {"principal", test_principal},
                                       {"recovers_field", test_recovers_field},
                                       {"against_double", test_against_double},
                                       {"rim", test_rim},
                                       {"left_out", test_left_out},
                                       {"threads", test_threads},
                                       {"bad_input", test_bad_input},
                                       {0}};
    return check_main(argc, argv, tests);
}
