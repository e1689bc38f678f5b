/* test_covariance.c - mean, spread, pose modes, covariance, conditional mean and sd against the Python reference
 * (scripts/golden/shape.py), and kernels against their definitions. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "shape/gaussian.h"
#include "tests/check.h"

/* tests/shape/golden/statistics.bin */
struct golden {
    char *data;
    int32_t n_heads, disc_n, n_rays, n_seen, n_unseen;
    double reach;
    float *map;
    int32_t *seen, *unseen;
    float *mean, *sd, *mode, *between, *conditional_mean, *conditional_sd;
};

/* The next n values of `size` bytes, aligned. */
static void *golden_take(const char **at, int64_t n, size_t size)
{
    void *values = memory_alloc((size_t)n, size);
    memcpy(values, *at, (size_t)n * size);
    *at += (size_t)n * size;
    return values;
}

static void golden_read(struct golden *golden)
{
    struct error error = {0};
    size_t bytes;
    CHECK_OK(file_read(&golden->data, &bytes, "tests/shape/golden/statistics.bin", 1 << 20, &error), &error);
    const char *at = golden->data;
    memcpy(&golden->n_heads, at, 5 * sizeof(int32_t));
    memcpy(&golden->reach, at + 20, sizeof golden->reach);
    at += 28;
    const int64_t rays = golden->n_rays, seen = golden->n_seen, unseen = golden->n_unseen;
    golden->map = golden_take(&at, golden->n_heads * rays * 2, 4);
    golden->seen = golden_take(&at, seen, 4);
    golden->unseen = golden_take(&at, unseen, 4);
    golden->mean = golden_take(&at, rays * 2, 4);
    golden->sd = golden_take(&at, rays * 2, 4);
    golden->mode = golden_take(&at, rays * 2 * POSE_MODES, 4);
    golden->between = golden_take(&at, 4 * seen * unseen, 4);
    golden->conditional_mean = golden_take(&at, 2 * unseen, 4);
    golden->conditional_sd = golden_take(&at, 2 * unseen, 4);
    CHECK_INT((int64_t)(at - golden->data), (int64_t)bytes);
}

static void golden_free(struct golden *golden)
{
    void *const all[] = {golden->data, golden->map,  golden->seen,    golden->unseen,           golden->mean,
                         golden->sd,   golden->mode, golden->between, golden->conditional_mean, golden->conditional_sd};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        memory_free(all[i]);
}

/* The largest difference. */
static double worst(const float *got, const float *expected, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)got[i] - expected[i]));
    return most;
}

/* Head 0 is left out by its group, as the reference left it out by hand. */
static void test_golden(void)
{
    struct golden golden = {0};
    struct error error = {0};
    struct disc disc;
    struct population population;
    struct covariance_params params;
    struct arena arena = {0};
    int32_t groups[6] = {4, 0, 1, 2, 3, 5};
    golden_read(&golden);
    CHECK_OK(disc_init(&disc, golden.disc_n, golden.reach, &error), &error);
    CHECK_INT(disc.n_rays, golden.n_rays);
    CHECK_OK(config_bind(&covariance_table, NULL, &params, &arena, &error), &error);
    params = (struct covariance_params){.empirical = 1, /* the reference's */
                                        .taper_mm = 90,
                                        .taper_mirror = 0.6,
                                        .taper_floor = 0.5,
                                        .fine = 0.2,
                                        .fine_mm = 8,
                                        .fine_mirror = 0.7,
                                        .fine_coupling = 0.6,
                                        .coarse = 1.5,
                                        .coarse_mm = 80,
                                        .coarse_mirror = 0.7,
                                        .coarse_coupling = 0.8,
                                        .noise_inner_mm = 0.4,
                                        .noise_outer_mm = 0.4,
                                        .pose = 1};
    const struct heads heads = {.n = golden.n_heads, .n_rays = golden.n_rays, .map = golden.map, .group = groups};
    CHECK_OK(population_new(&population, &disc, &heads, 4, &error), &error);
    for (int64_t ray = 0; ray < disc.n_rays; ray++) {
        const float mean[2] = {population.mean.inner[ray], population.mean.outer[ray]};
        const float sd[2] = {population.sd.inner[ray], population.sd.outer[ray]};
        CHECK(worst(mean, golden.mean + 2 * ray, 2) < 1e-4);
        CHECK(worst(sd, golden.sd + 2 * ray, 2) < 1e-4);
    }
    for (int64_t k = 0; k < golden.n_seen + golden.n_unseen; k++) {
        const int64_t ray = k < golden.n_seen ? golden.seen[k] : golden.unseen[k - golden.n_seen];
        const int64_t at = ray * 2 * POSE_MODES;
        CHECK_NEAR(worst(population.mode + at, golden.mode + at, 2 * POSE_MODES), 0, 2e-4);
    }

    const int64_t n_seen = golden.n_seen, n_unseen = golden.n_unseen;
    float *between = memory_alloc((size_t)(4 * n_seen * n_unseen), sizeof *between);
    const struct covariance_block block = {
        .a = golden.unseen, .b = golden.seen, .n_a = n_unseen, .n_b = n_seen, .stride = 2 * n_seen};
    CHECK_OK(covariance_fill(between, &block, &population, &params, &error), &error);
    CHECK_NEAR(worst(between, golden.between, 4 * n_seen * n_unseen), 0, 1e-3); /* values up to 20 mm^2 */

    struct radial_map map;
    struct gaussian gaussian;
    CHECK_OK(radial_map_new(&map, disc.n_rays, &error), &error);
    for (int64_t ray = 0; ray < disc.n_rays; ray++) {
        map.inner[ray] = golden.map[2 * ray];
        map.outer[ray] = golden.map[2 * ray + 1];
    }
    const struct gaussian_given given = {.map = &map,
                                         .seen = golden.seen,
                                         .unseen = golden.unseen,
                                         .n_seen = n_seen,
                                         .n_unseen = n_unseen,
                                         .with_sd = true};
    CHECK_OK(gaussian_condition(&gaussian, &given, &population, &params, &error), &error);
    CHECK_NEAR(worst(gaussian.mean, golden.conditional_mean, 2 * n_unseen), 0, 2e-3);
    CHECK_NEAR(worst(gaussian.sd, golden.conditional_sd, 2 * n_unseen), 0, 2e-3);
    CHECK(golden.conditional_sd[0] > 0.3 && worst(golden.conditional_mean, golden.mean, 2) > 0.01);
    gaussian_done(&gaussian);
    radial_map_done(&map);
    memory_free(between);
    population_done(&population);
    disc_done(&disc);
    arena_done(&arena);
    golden_free(&golden);
}

static void test_kernels(void)
{
    /* the taper: 1 at 0, smooth where its two pieces meet, 0 from 2 on, never negative */
    CHECK_NEAR(covariance_gaspari_cohn(0), 1, 1e-15);
    CHECK_NEAR(covariance_gaspari_cohn(1), 5. / 24, 1e-12);
    CHECK_NEAR(covariance_gaspari_cohn(1 + 1e-9), 5. / 24, 1e-8);
    CHECK_NEAR(covariance_gaspari_cohn(2 - 1e-9), 0, 1e-12);
    CHECK_NEAR(covariance_gaspari_cohn(2.5), 0, 0);
    const double slope[2] = {covariance_gaspari_cohn(1) - covariance_gaspari_cohn(1 - 1e-5),
                             covariance_gaspari_cohn(1 + 1e-5) - covariance_gaspari_cohn(1)};
    CHECK_NEAR(slope[0] / 1e-5, slope[1] / 1e-5, 1e-3);
    for (double r = 0; r < 2; r += 0.01)
        CHECK(covariance_gaspari_cohn(r) >= covariance_gaspari_cohn(r + 0.01));
    CHECK_NEAR(covariance_matern32(0), 1, 0);
    CHECK_NEAR(covariance_matern32(1), (1 + sqrt(3)) * exp(-sqrt(3)), 1e-15);
    CHECK_NEAR(covariance_matern52(1), (1 + sqrt(5) + 5. / 3) * exp(-sqrt(5)), 1e-15);
}

/* Shares over both sides of the heads that were measured; few of them say nothing. */
static void test_occupancy(void)
{
    struct error error = {0};
    struct disc disc;
    CHECK_OK(disc_init(&disc, 9, 1.5, &error), &error);
    const size_t n = (size_t)disc.n_rays;
    struct heads heads = {.n = 10, .n_rays = disc.n_rays};
    uint16_t *bone = memory_alloc(10 * n, sizeof *bone);
    uint8_t *missing = memory_zalloc(10 * n, 1);
    int64_t side = 0;
    while (disc.mirror[side] == side)
        side++;
    for (size_t i = 0; i < 10 * n; i++)
        bone[i] = 0xFFFF;
    for (size_t h = 0; h < 6; h++) /* step 3 is empty in six heads on one side alone: in six of twenty: 255 x .7 */
        bone[h * n + (size_t)side] = 0xFFF7;
    CHECK_OK(heads_measure_occupancy(&heads, bone, missing, &disc, &error), &error);
    CHECK_INT(heads.occupancy[side * OCCUPANCY_STEPS + 3], 179);
    CHECK_INT(heads.occupancy[disc.mirror[side] * OCCUPANCY_STEPS + 3], 179);
    CHECK_INT(heads.occupancy[side * OCCUPANCY_STEPS + 2], 255);

    for (size_t h = 0; h < 10; h++) /* all but three heads' rays are missing on both sides: nothing is known */
        missing[h * n + (size_t)side] = missing[h * n + (size_t)disc.mirror[side]] = h >= 3;
    CHECK_OK(heads_measure_occupancy(&heads, bone, missing, &disc, &error), &error);
    CHECK_INT(heads.occupancy[side * OCCUPANCY_STEPS + 3], 255);
    memory_free(heads.occupancy);

    heads.occupancy = NULL;
    heads.n = 7;
    CHECK_OK(heads_measure_occupancy(&heads, bone, missing, &disc, &error), &error);
    CHECK(heads.occupancy == NULL);
    memory_free(bone);
    memory_free(missing);
    disc_done(&disc);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"golden", test_golden}, {"kernels", test_kernels}, {"occupancy", test_occupancy}, {0}};
    return check_main(argc, argv, tests);
}
