/* Nearest and trilinear enlargement, and dense, against double loops. */
#include <math.h>

#include "tests/check.h"
#include "tests/nn/layer_harness.h"

static double src_at(const struct reference *reference, int64_t row, int64_t z, int64_t y, int64_t x)
{
    struct shape shape = reference->layer->src[0].shape;
    return reference->src[0][((row * shape.d + z) * shape.h + y) * shape.w + x];
}

static void nearest(const struct reference *reference, int64_t factor)
{
    struct shape dst = reference->layer->dst.shape;
    double *out = reference->dst;
    for (int64_t row = 0; row < dst.n * dst.c; row++)
        for (int64_t z = 0; z < dst.d; z++)
            for (int64_t y = 0; y < dst.h; y++)
                for (int64_t x = 0; x < dst.w; x++)
                    *out++ = src_at(reference, row, z / factor, y / factor, x / factor);
}

static void nearest_2(const struct reference *reference)
{
    nearest(reference, 2);
}

static void nearest_3(const struct reference *reference)
{
    nearest(reference, 3);
}

/* Half-pixel centres, clamped: the two voxels around a place, and the second one's weight. */
static double around(int64_t at, int64_t size, int64_t pair[2])
{
    double place = fmin(fmax(((double)at + 0.5) / 2 - 0.5, 0), (double)(size - 1));
    pair[0] = (int64_t)floor(place);
    pair[1] = pair[0] + 1 < size ? pair[0] + 1 : pair[0];
    return place - floor(place);
}

static double trilinear_value(const struct reference *reference, int64_t row, int64_t z, int64_t y, int64_t x)
{
    struct shape src = reference->layer->src[0].shape;
    int64_t pz[2], py[2], px[2];
    double wz = around(z, src.d, pz), wy = around(y, src.h, py), wx = around(x, src.w, px), sum = 0;
    for (int corner = 0; corner < 8; corner++) {
        int i = corner >> 2 & 1, j = corner >> 1 & 1, k = corner & 1;
        sum += (i ? wz : 1 - wz) * (j ? wy : 1 - wy) * (k ? wx : 1 - wx) * src_at(reference, row, pz[i], py[j], px[k]);
    }
    return sum;
}

static void trilinear(const struct reference *reference)
{
    struct shape dst = reference->layer->dst.shape;
    double *out = reference->dst;
    for (int64_t row = 0; row < dst.n * dst.c; row++)
        for (int64_t z = 0; z < dst.d; z++)
            for (int64_t y = 0; y < dst.h; y++)
                for (int64_t x = 0; x < dst.w; x++)
                    *out++ = trilinear_value(reference, row, z, y, x);
}

static void check_shapes(const char *yaml, layer_reference *reference)
{
    const struct shape shapes[] = {{2, 17, 2, 3, 4}, {2, 2, 3, 1, 4}, {1, 33, 2, 3, 2}, {1, 1, 5, 4, 3}};
    for (int i = 0; i < 4; i++)
        check_layer(
            &(struct layer_case){.yaml = yaml, .reference = reference, .n_src = 1, .src = {shapes[i]}, .terms = 64});
}

static void test_nearest(void)
{
    check_shapes("{ type: upsample }", nearest_2);
    check_shapes("{ type: upsample, factor: 3 }", nearest_3);
}

static void test_trilinear(void)
{
    check_shapes("{ type: upsample, mode: trilinear, factor: 2 }", trilinear);
}

/* dst[n,o] = b[o] + sum_i w[o,i] * src[n,i] */
static void dense_reference(const struct reference *reference)
{
    struct shape dst = reference->layer->dst.shape;
    int64_t inputs = reference->layer->src[0].shape.c;
    for (int64_t n = 0; n < dst.n; n++)
        for (int64_t o = 0; o < dst.c; o++) {
            double sum = reference->layer->n_params > 1 ? reference->param[1][o] : 0;
            for (int64_t i = 0; i < inputs; i++)
                sum += reference->param[0][o * inputs + i] * reference->src[0][n * inputs + i];
            reference->dst[n * dst.c + o] = sum;
        }
}

static void test_dense(void)
{
    check_layer(&(struct layer_case){.yaml = "{ type: dense, units: 17 }",
                                     .reference = dense_reference,
                                     .n_src = 1,
                                     .src = {{2, 33, 1, 1, 1}},
                                     .terms = 33});
    check_layer(&(struct layer_case){.yaml = "{ type: dense, units: 1 }",
                                     .reference = dense_reference,
                                     .n_src = 1,
                                     .src = {{3, 100, 1, 1, 1}},
                                     .terms = 100});
    check_layer(&(struct layer_case){.yaml = "{ type: dense, units: 33, bias: false }",
                                     .reference = dense_reference,
                                     .n_src = 1,
                                     .src = {{2, 5, 1, 1, 1}},
                                     .terms = 33});
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"nearest", test_nearest}, {"trilinear", test_trilinear}, {"dense", test_dense}, {0}};
    return check_main(argc, argv, tests);
}
