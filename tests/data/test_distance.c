/* Against every pair of voxels. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "data/mask/distance.h"
#include "data/mask/morphology.h"
#include "tests/check.h"

static const int64_t sizes[][3] = {{19, 23, 17}, {40, 3, 5}, {1, 30, 9}, {33, 1, 1}, {1, 1, 1}, {5, 6, 41}};
enum { N_SIZES = sizeof sizes / sizeof sizes[0] };

static int64_t voxels(const int64_t dim[3])
{
    return dim[0] * dim[1] * dim[2];
}

static uint8_t *mask_random(const int64_t dim[3], double share, uint64_t seed)
{
    struct rng rng = rng_make(seed, 0);
    uint8_t *mask = memory_alloc((size_t)voxels(dim), 1);
    for (int64_t i = 0; i < voxels(dim); i++)
        mask[i] = rng_uniform(&rng, 0, 1) < share ? 9 : 0;
    mask[voxels(dim) / 2] = 1;
    return mask;
}

static double naive_distance(const uint8_t *mask, const int64_t dim[3], const double spacing[3], int64_t i)
{
    double nearest = INFINITY;
    for (int64_t j = 0; j < voxels(dim); j++) {
        if (!mask[j])
            continue;
        double x = (double)(i % dim[0] - j % dim[0]) * spacing[0],
               y = (double)(i / dim[0] % dim[1] - j / dim[0] % dim[1]) * spacing[1],
               z = (double)(i / dim[0] / dim[1] - j / dim[0] / dim[1]) * spacing[2];
        nearest = fmin(nearest, x * x + y * y + z * z);
    }
    return sqrt(nearest);
}

static void test_exact(void)
{
    static const double spacings[][3] = {{1, 1, 1}, {0.45, 0.43, 1.25}, {3, 0.1, 0.7}};

    for (int s = 0; s < N_SIZES; s++)
        for (int k = 0; k < 3; k++) {
            struct error error = {0};
            const int64_t *dim = sizes[s];
            uint8_t *mask = mask_random(dim, k == 0 ? 0.2 : 0.004, (uint64_t)s),
                    *within = memory_alloc((size_t)voxels(dim), 1);
            float *distance = memory_alloc((size_t)voxels(dim), sizeof *distance);
            double limit = 2.25;
            int64_t wrong = 0, wrong_within = 0;
            CHECK_OK(distance_to_mask(distance, mask, dim, spacings[k], &error), &error);
            CHECK_OK(distance_within(within, mask, dim, spacings[k], limit, &error), &error);
            for (int64_t i = 0; i < voxels(dim); i++) {
                double expected = naive_distance(mask, dim, spacings[k], i);
                wrong += distance[i] != (float)expected;
                wrong_within += within[i] != (expected <= limit);
            }
            CHECK_INT(wrong, 0);
            CHECK_INT(wrong_within, 0);
            memory_free(distance);
            memory_free(within);
            memory_free(mask);
        }
}

static void test_at(void)
{
    struct error error = {0};
    const double spacing[3] = {0.5, 0.7, 1.1};
    const int64_t *dim = sizes[0];
    uint8_t *mask = mask_random(dim, 0.01, 1), *query = mask_random(dim, 0.05, 2);
    double *values = NULL;
    int64_t n = 0, at = 0, wrong = 0;

    if (CHECK_OK(distance_at(&values, &n, query, mask, dim, spacing, &error), &error)) {
        CHECK_INT(n, mask_count(query, voxels(dim)));
        for (int64_t column = 0; column < dim[0] * dim[1]; column++)
            for (int64_t z = 0; z < dim[2]; z++)
                if (query[z * dim[0] * dim[1] + column])
                    wrong +=
                        fabs(values[at++] - naive_distance(mask, dim, spacing, z * dim[0] * dim[1] + column)) > 1e-14;
        CHECK_INT(at, n);
        CHECK_INT(wrong, 0);
    }

    memory_free(values);
    memory_free(query);
    memory_free(mask);
}

static void test_signed(void)
{
    struct error error = {0};
    const double unit[3] = {1, 1, 1};
    const int64_t *dim = sizes[0];
    int64_t n = voxels(dim), wrong = 0, inside = 0;
    uint8_t *mask = mask_random(dim, 0.9, 4), *outside = memory_alloc((size_t)n, 1);
    float *distance = memory_alloc((size_t)n, sizeof *distance);

    CHECK_OK(distance_signed(distance, mask, dim, &error), &error);
    for (int64_t i = 0; i < n; i++)
        outside[i] = !mask[i];

    for (int64_t i = 0; i < n; i++) {
        double expected = mask[i] ? -(naive_distance(outside, dim, unit, i) - 1) : naive_distance(mask, dim, unit, i);
        wrong += fabs(distance[i] - expected) > 1e-6;
        inside += expected < 0;
    }

    CHECK_INT(wrong, 0);
    CHECK(inside > 10);

    for (int full = 0; full < 2; full++) { /* no border at all */
        memset(mask, full, (size_t)n);
        CHECK_OK(distance_signed(distance, mask, dim, &error), &error);
        CHECK(distance[0] == 0 && distance[n / 2] == 0);
    }

    memory_free(distance);
    memory_free(outside);
    memory_free(mask);
}

static void test_empty(void)
{
    struct error error = {0};
    const double unit[3] = {1, 1, 1};
    const int64_t dim[3] = {18, 3, 2};
    uint8_t mask[108] = {0}, within[108];
    float distance[108];
    CHECK_OK(distance_to_mask(distance, mask, dim, unit, &error), &error);
    CHECK_OK(distance_within(within, mask, dim, unit, 1e30, &error), &error);
    CHECK(isinf(distance[0]) && isinf(distance[107]) && within[50] == 0);
    const int64_t long_dim[3] = {70000, 1, 1};
    CHECK_FAILS(distance_to_mask(distance, mask, long_dim, unit, &error), &error, STATUS_FAILED, "70000 voxels");
}

static void test_threads(void)
{
    struct error error = {0};
    const double spacing[3] = {0.45, 0.43, 1.25};
    const int64_t dim[3] = {61, 47, 53};
    size_t bytes = (size_t)voxels(dim) * sizeof(float);
    uint8_t *mask = mask_random(dim, 0.001, 8);
    float *one = memory_alloc(bytes, 1), *many = memory_alloc(bytes, 1);
    int threads = parallel_threads();

    parallel_set_threads(1);
    CHECK_OK(distance_to_mask(one, mask, dim, spacing, &error), &error);
    parallel_set_threads(5);
    CHECK_OK(distance_to_mask(many, mask, dim, spacing, &error), &error);
    parallel_set_threads(threads);
    CHECK_INT(memcmp(one, many, bytes), 0);
    memory_free(many);
    memory_free(one);
    memory_free(mask);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"exact", test_exact}, {"at", test_at},           {"signed", test_signed},
                                       {"empty", test_empty}, {"threads", test_threads}, {0}};
    return check_main(argc, argv, tests);
}
