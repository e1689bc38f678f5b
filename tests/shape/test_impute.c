/* test_impute.c - what is believed of a head, and gaps filled by expectation and maximisation against the data nobody
 * hid. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "field.h"
#include "shape/impute.h"
#include "tests/check.h"

enum { DISC_N = 33 }; /* a pixel is 8.5 mm wide */

static struct covariance_params params_default(void)
{
    struct covariance_params params;
    struct error error = {0};
    struct arena arena = {0};
    CHECK_OK(config_bind(&covariance_table, NULL, &params, &arena, &error), &error);
    arena_done(&arena);
    return params;
}

static float *radius_of(struct heads *heads, int64_t h, int64_t ray)
{
    return heads->map + (h * heads->n_rays + ray) * 2;
}

static void test_find(void)
{
    struct error error = {0};
    struct field field;
    field_make(&field, DISC_N, 12, 0.3, 3);
    struct heads *heads = &field.heads;
    const int64_t n_rays = heads->n_rays;
    uint8_t *missing = memory_zalloc((size_t)(heads->n * n_rays), 1), *good = memory_alloc((size_t)n_rays, 1);
    uint8_t complete[12], *hole = memory_alloc((size_t)n_rays, 1);
    const double side[3] = {-0.6, 0.3, 0.7};
    memset(complete, 1, sizeof complete);
    complete[11] = 0;
    field_cap(hole, &field.disc, side, 0.4);
    const int64_t odd = field.disc.ray_at[16 * DISC_N + 16], gone = field.disc.ray_at[16 * DISC_N + 20];
    const int64_t often = field.disc.ray_at[20 * DISC_N + 8], wide = field.disc.ray_at[10 * DISC_N + 24];
    radius_of(heads, 2, odd)[0] -= 40; /* the inner surface of one head alone */
    radius_of(heads, 3, gone)[0] = radius_of(heads, 3, gone)[1] = NAN;
    for (int64_t h = 0; h < 2; h++) /* two of eleven: more than 12 % */
        radius_of(heads, h, often)[0] = radius_of(heads, h, often)[1] = NAN;
    for (int64_t h = 0; h < 12; h++) /* the outer surface is anywhere */
        radius_of(heads, h, wide)[1] += (float)(h % 2 ? 15 : -15);
    for (int64_t ray = 0; ray < n_rays; ray++)
        if (hole[ray])
            radius_of(heads, 11, ray)[0] = radius_of(heads, 11, ray)[1] = NAN;

    CHECK_OK(impute_find(missing, good, heads, complete, &field.disc, &error), &error);
    CHECK(missing[2 * n_rays + odd] && missing[3 * n_rays + gone] && !missing[2 * n_rays + gone]);
    CHECK(good[odd] && good[gone] && !good[often] && !good[wide]);
    CHECK(!good[field.disc.mirror[often]]);              /* as good as the other side */
    CHECK(fabsf(radius_of(heads, 2, odd)[0] - 80) < 12); /* the median until it is filled */
    int64_t n_hole = 0, n_missing = 0, n_bad = 0;
    for (int64_t ray = 0; ray < n_rays; ray++) {
        n_hole += hole[ray];
        n_missing += missing[11 * n_rays + ray];
        n_bad += hole[ray] && (!missing[11 * n_rays + ray] || !good[ray]);
    }
    CHECK(n_hole > 40 && n_missing >= n_hole);
    CHECK_INT(n_bad, 0); /* the defective skull's hole is no reason to drop a ray */
    memory_free(missing);
    memory_free(good);
    memory_free(hole);
    field_done(&field);
}

/* Three heads are the centre, nine others stand 10 mm off: the centre alone is the mean, and says what is good. Three
 * heads show neither a pin nor the edge of the vault by their spread. */
static void test_centre(void)
{
    struct error error = {0};
    struct field field;
    struct population population;
    field_make(&field, DISC_N, 12, 0.3, 3);
    struct heads *heads = &field.heads;
    const int64_t n_rays = heads->n_rays;
    uint8_t *missing = memory_zalloc((size_t)(heads->n * n_rays), 1), *good = memory_alloc((size_t)n_rays, 1);
    uint8_t complete[12], *orbit = memory_alloc((size_t)n_rays, 1), *margin = memory_alloc((size_t)n_rays, 1);
    const double front[3] = {0.5, -0.8, 0.2};
    memset(complete, 1, sizeof complete);
    heads->centre = memory_zalloc(12, 1);
    memset(heads->centre, 1, 3);
    for (int64_t k = 3 * n_rays * 2; k < 12 * n_rays * 2; k++)
        heads->map[k] += 10;
    field_cap(orbit, &field.disc, front, 0.25);
    for (int64_t ray = 0; ray < n_rays; ray++)
        if (orbit[ray])
            radius_of(heads, 1, ray)[0] = radius_of(heads, 1, ray)[1] = NAN;
    const int64_t pin = field.disc.ray_at[16 * DISC_N + 20];
    int64_t end = field.disc.ray_at[16 * DISC_N + 12]; /* where the other two agree */
    while (fabsf(radius_of(heads, 1, end)[1] - radius_of(heads, 2, end)[1]) > 4)
        end++;
    radius_of(heads, 2, pin)[1] += 25;
    radius_of(heads, 0, end)[0] = radius_of(heads, 0, end)[1] = NAN;
    missing[end] = 1; /* the volume ends there */

    CHECK_INT(heads_n_centre(heads), 3);
    CHECK_OK(impute_find(missing, good, heads, complete, &field.disc, &error), &error);
    CHECK(missing[2 * n_rays + pin] && radius_of(heads, 2, pin)[1] < 105);
    CHECK(missing[end] && good[end]);
    CHECK_OK(disc_grow(margin, &field.disc, orbit, 7, &error), &error); /* 2.5 log(64 / 3) = 7.6 mm */
    int64_t n_good = 0, n_margin = 0, n_odd = 0;
    for (int64_t ray = 0; ray < n_rays; ray++) {
        n_good += good[ray];
        n_margin += margin[ray] && good[ray];
        n_odd += missing[5 * n_rays + ray]; /* is not measured by the centre's median */
    }
    CHECK(n_good > n_rays / 2);
    CHECK_INT(n_margin, 0);
    CHECK(n_odd < n_rays / 20);

    CHECK_OK(population_new(&population, &field.disc, heads, -1, &error), &error);
    CHECK_INT(population.n_mean, 3);
    double mean = 0, sum = 0;
    for (int64_t h = 0; h < 3; h++)
        mean += (radius_of(heads, h, pin)[1] + radius_of(heads, h, field.disc.mirror[pin])[1]) / 6;
    CHECK_NEAR(population.mean.outer[pin], mean, 1e-3);
    for (int64_t k = 6; k < 24; k++) /* the others deviate from their own mean */
        sum += population.factor[(2 * pin + 1) * population.n_factors + k];
    CHECK_NEAR(sum, 0, 1e-3);
    CHECK(population.sd.outer[pin] < 6 && population.predictive.outer[pin] > population.sd.outer[pin] / 2);
    population_done(&population);

    memset(heads->group, 0, 3 * sizeof *heads->group); /* without the centre there is no mean */
    CHECK_FAILS(population_new(&population, &field.disc, heads, 0, &error), &error, STATUS_FAILED, "0 of the centre");
    memory_free(heads->centre);
    heads->centre = NULL;
    memory_free(missing);
    memory_free(good);
    memory_free(orbit);
    memory_free(margin);
    field_done(&field);
}

/* Holes in half of the heads: the completed heads' mean and covariance are near those of the whole ones. */
static void test_against_full_data(void)
{
    enum { HEADS = 40 };
    struct error error = {0};
    struct field field, cut;
    struct population full, filled, halved;
    struct impute_result result;
    field_make(&field, DISC_N, HEADS, 0.2, 9);
    field_make(&cut, DISC_N, HEADS, 0.2, 9);
    const int64_t n_rays = field.disc.n_rays;
    uint8_t *missing = memory_zalloc((size_t)(HEADS * n_rays), 1), *good = memory_alloc((size_t)n_rays, 1);
    uint8_t *hole = memory_alloc((size_t)n_rays, 1);
    const double back[3] = {0.3, 0.6, 0.6};
    memset(good, 1, (size_t)n_rays);
    field_cap(hole, &field.disc, back, 0.45);
    for (int64_t h = 0; h < HEADS / 2; h++)
        for (int64_t ray = 0; ray < n_rays; ray++)
            if (hole[ray]) {
                missing[h * n_rays + ray] = 1;
                radius_of(&cut.heads, h, ray)[0] = 80;
                radius_of(&cut.heads, h, ray)[1] = 87;
            }
    const struct covariance_params params = params_default();
    CHECK_OK(population_new(&halved, &cut.disc, &cut.heads, -1, &error), &error);
    CHECK_OK(impute_fill(&cut.heads, missing, good, &cut.disc, &params, &result, NULL, &error), &error);
    CHECK_INT(result.rounds, IMPUTE_ROUNDS);
    CHECK(cut.heads.n_spread > 0);

    double wrong = 0, prior = 0;
    int64_t n = 0;
    for (int64_t h = 0; h < HEADS / 2; h++)
        for (int64_t ray = 0; ray < n_rays; ray++)
            for (int s = 0; s < 2 && hole[ray]; s++, n++) {
                const double truth = radius_of(&field.heads, h, ray)[s], got = radius_of(&cut.heads, h, ray)[s];
                wrong += (got - truth) * (got - truth);
                prior += (truth - field_mean(s)) * (truth - field_mean(s));
            }
    CHECK_INT(result.n_filled, n);
    CHECK(sqrt(prior / (double)n) > 3);
    CHECK(sqrt(wrong / (double)n) < 0.5);

    CHECK_OK(population_new(&full, &field.disc, &field.heads, -1, &error), &error);
    CHECK_OK(population_new(&filled, &cut.disc, &cut.heads, -1, &error), &error);
    double mean_off = 0, ratio = 0, shrunk = 0;
    n = 0;
    for (int64_t ray = 0; ray < n_rays; ray++)
        if (hole[ray]) {
            mean_off = fmax(mean_off, fabs((double)full.mean.outer[ray] - filled.mean.outer[ray]));
            ratio += (double)filled.sd.outer[ray] / full.sd.outer[ray];
            shrunk += (double)halved.sd.outer[ray] / full.sd.outer[ray];
            n++;
        }
    CHECK_NEAR(mean_off, 0, 0.25);
    CHECK_NEAR(ratio / (double)n, 1, 0.04);
    CHECK(shrunk / (double)n < 0.9); /* what happens without */

    /* what is not missing is untouched */
    int64_t changed = 0;
    for (int64_t k = 0; k < HEADS * n_rays * 2; k++)
        changed += !missing[k / 2] && field.heads.map[k] != cut.heads.map[k];
    CHECK_INT(changed, 0);
    population_done(&full);
    population_done(&filled);
    population_done(&halved);
    memory_free(missing);
    memory_free(good);
    memory_free(hole);
    field_done(&field);
    field_done(&cut);
}

/* Nothing missing: nothing to do. */
static void test_whole(void)
{
    struct error error = {0};
    struct field field;
    struct impute_result result;
    field_make(&field, 11, 5, 0.2, 2);
    uint8_t *missing = memory_zalloc((size_t)(5 * field.disc.n_rays), 1),
            *good = memory_alloc((size_t)field.disc.n_rays, 1);
    memset(good, 1, (size_t)field.disc.n_rays);
    const struct covariance_params params = params_default();
    CHECK_OK(impute_fill(&field.heads, missing, good, &field.disc, &params, &result, NULL, &error), &error);
    CHECK_INT(result.n_filled, 0);
    CHECK_INT(field.heads.n_spread, 0);
    memory_free(missing);
    memory_free(good);
    field_done(&field);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"find", test_find},
                                       {"centre", test_centre},
                                       {"against_full_data", test_against_full_data},
                                       {"whole", test_whole},
                                       {0}};
    return check_main(argc, argv, tests);
}
