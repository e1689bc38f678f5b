/* Against plain loops that follow the definitions. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "data/mask/morphology.h"
#include "tests/check.h"

/* Word borders: below, at and above 64, and rows of one voxel. */
static const int64_t sizes[][3] = {{70, 13, 9}, {64, 5, 4}, {63, 6, 3}, {1, 7, 8}, {130, 3, 2}, {9, 1, 1}, {65, 8, 1}};
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
        mask[i] = rng_uniform(&rng, 0, 1) < share ? (uint8_t)(1 + rng_below(&rng, 255)) : 0;
    return mask;
}

static bool naive_at(const uint8_t *mask, const int64_t dim[3], int64_t x, int64_t y, int64_t z)
{
    return x >= 0 && x < dim[0] && y >= 0 && y < dim[1] && z >= 0 && z < dim[2] && mask[(z * dim[1] + y) * dim[0] + x];
}

static void naive_step(uint8_t *out, const uint8_t *in, const int64_t dim[3], bool dilate)
{
    int64_t i = 0;
    for (int64_t z = 0; z < dim[2]; z++)
        for (int64_t y = 0; y < dim[1]; y++)
            for (int64_t x = 0; x < dim[0]; x++, i++) {
                int set = naive_at(in, dim, x, y, z) + naive_at(in, dim, x - 1, y, z) + naive_at(in, dim, x + 1, y, z) +
                          naive_at(in, dim, x, y - 1, z) + naive_at(in, dim, x, y + 1, z) +
                          naive_at(in, dim, x, y, z - 1) + naive_at(in, dim, x, y, z + 1);
                out[i] = dilate ? set > 0 : set == 7;
            }
}

static void naive_steps(uint8_t *mask, const int64_t dim[3], int n, bool dilate)
{
    uint8_t *next = memory_alloc((size_t)voxels(dim), 1);
    for (int step = 0; step < n; step++) {
        naive_step(next, mask, dim, dilate);
        memcpy(mask, next, (size_t)voxels(dim));
    }
    memory_free(next);
}

static bool same(const uint8_t *a, const uint8_t *b, const int64_t dim[3])
{
    return memcmp(a, b, (size_t)voxels(dim)) == 0;
}

static void test_erode_dilate(void)
{
    struct error error = {0};
    for (int s = 0; s < N_SIZES; s++)
        for (int n = 1; n <= 3; n++)
            for (int dilate = 0; dilate < 2; dilate++) {
                uint8_t *mask = mask_random(sizes[s], dilate ? 0.02 : 0.97, (uint64_t)(10 * s + n));
                uint8_t *expected = memory_alloc((size_t)voxels(sizes[s]), 1);
                memcpy(expected, mask, (size_t)voxels(sizes[s]));
                naive_steps(expected, sizes[s], n, dilate);
                CHECK_OK(dilate ? mask_dilate(mask, sizes[s], n, &error) : mask_erode(mask, sizes[s], n, &error),
                         &error);
                CHECK(same(mask, expected, sizes[s]));
                memory_free(expected);
                memory_free(mask);
            }
}

static void test_open_close(void)
{
    struct error error = {0};
    const int64_t dim[3] = {70, 20, 15};

    for (int n = 1; n <= 2; n++) {
        uint8_t *mask = mask_random(dim, 0.9, (uint64_t)n), *opened = memory_alloc((size_t)voxels(dim), 1);
        memcpy(opened, mask, (size_t)voxels(dim));
        naive_steps(opened, dim, n, false);
        naive_steps(opened, dim, n, true);
        CHECK_OK(mask_open(mask, dim, n, &error), &error);
        CHECK(same(mask, opened, dim));
        memory_free(mask);

        /* closing: the naive way, on a larger volume whose border is out of reach */
        const int64_t wide[3] = {dim[0] + 8, dim[1] + 8, dim[2] + 8};
        mask = mask_random(dim, 0.2, (uint64_t)(n + 5));
        uint8_t *padded = memory_zalloc((size_t)voxels(wide), 1);
        for (int64_t row = 0; row < dim[1] * dim[2]; row++)
            for (int64_t x = 0; x < dim[0]; x++)
                padded[((row / dim[1] + 4) * wide[1] + row % dim[1] + 4) * wide[0] + x + 4] =
                    mask[row * dim[0] + x] != 0;
        naive_steps(padded, wide, n, true);
        naive_steps(padded, wide, n, false);
        CHECK_OK(mask_close(mask, dim, n, &error), &error);
        int64_t wrong = 0;
        for (int64_t row = 0; row < dim[1] * dim[2]; row++)
            for (int64_t x = 0; x < dim[0]; x++)
                wrong += mask[row * dim[0] + x] !=
                         padded[((row / dim[1] + 4) * wide[1] + row % dim[1] + 4) * wide[0] + x + 4];
        CHECK_INT(wrong, 0);
        memory_free(padded);
        memory_free(opened);
        memory_free(mask);
    }
}

static void test_box(void)
{
    const int64_t dim[3] = {70, 13, 9};
    uint8_t *mask = memory_zalloc((size_t)voxels(dim), 1);
    CHECK(box_empty(box_of_mask(mask, dim)));
    CHECK(box_empty(box_grow(box_of_mask(mask, dim), 4, dim)));
    mask[(2 * 13 + 5) * 70 + 66] = 7;
    mask[(8 * 13 + 1) * 70 + 68] = 1;
    struct box box = box_of_mask(mask, dim);
    const int64_t lo[3] = {66, 1, 2}, hi[3] = {69, 6, 9};
    CHECK(memcmp(box.lo, lo, sizeof lo) == 0 && memcmp(box.hi, hi, sizeof hi) == 0);
    box = box_grow(box, 2, dim);
    const int64_t grown_lo[3] = {64, 0, 0}, grown_hi[3] = {70, 8, 9};
    CHECK(memcmp(box.lo, grown_lo, sizeof lo) == 0 && memcmp(box.hi, grown_hi, sizeof hi) == 0);
    CHECK_INT(mask_count(mask, voxels(dim)), 2);
    memory_free(mask);
}

/* Labels in scan order by repeated flooding. */
static int64_t naive_components(int32_t *labels, const uint8_t *mask, const int64_t dim[3], int connectivity)
{
    int64_t n = 0, *stack = memory_alloc((size_t)voxels(dim), sizeof *stack);

    memset(labels, 0, (size_t)voxels(dim) * sizeof *labels);

    for (int64_t seed = 0; seed < voxels(dim); seed++) {
        if (!mask[seed] || labels[seed])
            continue;
        int64_t depth = 0;
        stack[depth++] = seed;
        labels[seed] = (int32_t)++n;
        while (depth > 0) {
            int64_t i = stack[--depth], x = i % dim[0], y = i / dim[0] % dim[1], z = i / dim[0] / dim[1];
            for (int64_t k = 0; k < 27; k++) {
                int64_t dx = k % 3 - 1, dy = k / 3 % 3 - 1, dz = k / 9 - 1;
                int64_t j = ((z + dz) * dim[1] + y + dy) * dim[0] + x + dx;
                if ((connectivity == 6 && dx * dx + dy * dy + dz * dz > 1) ||
                    !naive_at(mask, dim, x + dx, y + dy, z + dz) || labels[j])
                    continue;
                labels[j] = (int32_t)n;
                stack[depth++] = j;
            }
        }
    }

    memory_free(stack);
    return n;
}

static void test_components(void)
{
    int threads = parallel_threads();

    for (int s = 0; s < N_SIZES; s++)
        for (int c = 0; c < 4; c++) {
            struct error error = {0};
            int connectivity = c % 2 ? 26 : 6;
            const int64_t *dim = sizes[s];
            uint8_t *mask = mask_random(dim, c < 2 ? 0.25 : 0.6, (uint64_t)(100 + s));
            int32_t *labels = memory_alloc((size_t)voxels(dim), sizeof *labels),
                    *expected = memory_alloc((size_t)voxels(dim), sizeof *labels);
            int64_t *component_sizes = NULL, n = 0, sum = 0;
            parallel_set_threads(1 + s % 3);
            CHECK_OK(mask_components(labels, &component_sizes, &n, mask, dim, connectivity, &error), &error);
            CHECK_INT(n, naive_components(expected, mask, dim, connectivity));
            CHECK_INT(memcmp(labels, expected, (size_t)voxels(dim) * sizeof *labels), 0);
            for (int64_t i = 0; i < n; i++)
                sum += component_sizes[i];
            CHECK_INT(sum, mask_count(mask, voxels(dim)));
            memory_free(component_sizes);
            memory_free(expected);
            memory_free(labels);
            memory_free(mask);
        }
    parallel_set_threads(threads);
}

static void test_keep(void)
{
    struct error error = {0};
    const int64_t dim[3] = {12, 1, 1};
    const uint8_t three[12] = {1, 0, 2, 2, 0, 1, 1, 0, 3, 3, 3, 0};
    uint8_t mask[12];

    memcpy(mask, three, sizeof mask);
    CHECK_OK(mask_keep_largest(mask, dim, 2, 26, &error), &error); /* of the two twos the first */
    const uint8_t largest[12] = {0, 0, 2, 2, 0, 0, 0, 0, 3, 3, 3, 0};
    CHECK_INT(memcmp(mask, largest, sizeof mask), 0);
    memcpy(mask, three, sizeof mask);
    CHECK_OK(mask_remove_small(mask, dim, 2, 6, &error), &error);
    const uint8_t not_small[12] = {0, 0, 2, 2, 0, 1, 1, 0, 3, 3, 3, 0};
    CHECK_INT(memcmp(mask, not_small, sizeof mask), 0);
    memset(mask, 0, sizeof mask);
    CHECK_OK(mask_keep_largest(mask, dim, 1, 6, &error), &error);
    CHECK_INT(mask_count(mask, 12), 0);
    CHECK_FAILS(mask_keep_largest(mask, dim, 1, 18, &error), &error, STATUS_FAILED, "connectivity 18");
}

static void test_fill_holes(void)
{
    struct error error = {0};
    const int64_t dim[3] = {7, 7, 7};
    uint8_t mask[343];

    for (int i = 0; i < 343; i++) {
        int x = i % 7, y = i / 7 % 7, z = i / 49;
        bool shell = x >= 1 && x <= 5 && y >= 1 && y <= 5 && z >= 1 && z <= 5;
        bool core = x >= 2 && x <= 4 && y >= 2 && y <= 4 && z >= 2 && z <= 4;
        mask[i] = shell && !core;
    }

    mask[(1 * 7 + 1) * 7 + 1] = 0; /* a corner: not 6-connected with the core */
    CHECK_INT(mask_count(mask, 343), 125 - 27 - 1);
    CHECK_OK(mask_fill_holes(mask, dim, &error), &error);
    CHECK_INT(mask_count(mask, 343), 125 - 1);
    mask[(3 * 7 + 3) * 7 + 3] = 0;
    mask[(3 * 7 + 3) * 7 + 2] = mask[(3 * 7 + 3) * 7 + 1] = 0; /* a tunnel to the outside: no hole */
    CHECK_OK(mask_fill_holes(mask, dim, &error), &error);
    CHECK_INT(mask_count(mask, 343), 125 - 4);
}

static enum status all_of_them(uint8_t *mask, const int64_t dim[3], struct error *error)
{
    int32_t labels[70 * 13 * 9];
    int64_t *component_sizes, n;
    if (mask_close(mask, dim, 1, error) || mask_keep_largest(mask, dim, 2, 6, error) ||
        mask_remove_small(mask, dim, 2, 6, error) || mask_fill_holes(mask, dim, error) ||
        mask_components(labels, &component_sizes, &n, mask, dim, 26, error))
        return STATUS_FAILED;
    memory_free(component_sizes);
    return STATUS_OK;
}

static enum status filter_and_free(void *from, struct error *error)
{
    uint8_t *mask = malloc((size_t)(sizes[0][0] * sizes[0][1] * sizes[0][2]));
    memcpy(mask, from, (size_t)(sizes[0][0] * sizes[0][1] * sizes[0][2]));
    const enum status status = all_of_them(mask, sizes[0], error);
    free(mask);
    return status;
}

static void test_memory_out(void)
{
    uint8_t *mask = mask_random(sizes[0], 0.4, 3);
    check_allocation_failures(filter_and_free, mask, 16);
    memory_free(mask);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"erode_dilate", test_erode_dilate},
                                       {"open_close", test_open_close},
                                       {"box", test_box},
                                       {"components", test_components},
                                       {"keep", test_keep},
                                       {"fill_holes", test_fill_holes},
                                       {"memory_out", test_memory_out},
                                       {0}};
    return check_main(argc, argv, tests);
}
