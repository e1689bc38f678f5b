/* Pooling against double loops: windows that tile, overlap and leave a rest. */
#include <math.h>

#include "tests/check.h"
#include "tests/nn/layer_harness.h"

struct window {
    int64_t kernel[3], stride[3]; /* z, y, x */
};

/* mean or max over a window whose corner is (z, y, x) */
static double pool_value(const double *src, struct shape shape, const struct window *window, const int64_t corner[3],
                         bool largest)
{
    double sum = 0, max = -INFINITY;
    for (int64_t z = corner[0]; z < corner[0] + window->kernel[0]; z++)
        for (int64_t y = corner[1]; y < corner[1] + window->kernel[1]; y++)
            for (int64_t x = corner[2]; x < corner[2] + window->kernel[2]; x++) {
                double value = src[(z * shape.h + y) * shape.w + x];
                sum += value;
                max = fmax(max, value);
            }
    return largest ? max : sum / (double)(window->kernel[0] * window->kernel[1] * window->kernel[2]);
}

static void pool_reference(const struct reference *reference, const struct window *window, bool largest)
{
    struct shape src = reference->layer->src[0].shape, dst = reference->layer->dst.shape;
    double *out = reference->dst;
    for (int64_t row = 0; row < dst.n * dst.c; row++)
        for (int64_t z = 0; z < dst.d; z++)
            for (int64_t y = 0; y < dst.h; y++)
                for (int64_t x = 0; x < dst.w; x++) {
                    const int64_t corner[3] = {z * window->stride[0], y * window->stride[1], x * window->stride[2]};
                    *out++ = pool_value(reference->src[0] + row * shape_voxels(src), src, window, corner, largest);
                }
}

static const struct window tiles = {{2, 2, 2}, {2, 2, 2}}, overlapping = {{2, 1, 3}, {1, 2, 2}};

static void max_tiles(const struct reference *reference)
{
    pool_reference(reference, &tiles, true);
}

static void max_overlapping(const struct reference *reference)
{
    pool_reference(reference, &overlapping, true);
}

static void mean_tiles(const struct reference *reference)
{
    pool_reference(reference, &tiles, false);
}

static void mean_overlapping(const struct reference *reference)
{
    pool_reference(reference, &overlapping, false);
}

static void mean_all(const struct reference *reference)
{
    struct shape src = reference->layer->src[0].shape;
    pool_reference(reference, &(struct window){{src.d, src.h, src.w}, {1, 1, 1}}, false);
}

static void check_shapes(const char *yaml, layer_reference *reference, int64_t terms, double max_zero_frac)
{
    const struct shape shapes[] = {{2, 17, 4, 6, 8}, {2, 2, 5, 3, 7}, {1, 33, 2, 3, 4}};
    for (int i = 0; i < 3; i++)
        check_layer(&(struct layer_case){.yaml = yaml,
                                         .reference = reference,
                                         .n_src = 1,
                                         .src = {shapes[i]},
                                         .terms = terms,
                                         .distinct = true,
                                         .max_zero_frac = max_zero_frac});
}

/* Of a window of 8 values 7 get no gradient. */
static void test_max_pool(void)
{
    check_shapes("{ type: max_pool, kernel: 2 }", max_tiles, 1, 0.96);
    check_shapes("{ type: max_pool, kernel: [3, 1, 2], stride: [2, 2, 1] }", max_overlapping, 4, 0.96);
}

static void test_avg_pool(void)
{
    check_shapes("{ type: avg_pool, kernel: 2 }", mean_tiles, 8, 0.6);
    check_shapes("{ type: avg_pool, kernel: [3, 1, 2], stride: [2, 2, 1] }", mean_overlapping, 6, 0.7);
}

static void test_global_pool(void)
{
    check_shapes("{ type: global_pool }", mean_all, 200, 0);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"max_pool", test_max_pool}, {"avg_pool", test_avg_pool}, {"global_pool", test_global_pool}, {0}};
    return check_main(argc, argv, tests);
}
