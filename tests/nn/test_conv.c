/* Convolution and its transpose as layers: paddings, strides, absorbed upsampling, channels off the block, against
 * double loops. */
#include <math.h>
#include <string.h>

#include "tests/check.h"
#include "tests/nn/layer_harness.h"
#include "tests/nn/network_bench.h"

/* What the YAML says, again, for the reference: kernel, stride and padding before along z, y, x. */
struct geometry {
    int64_t kernel[3], stride[3], before[3];
};

/* The current case; references get no context of their own. */
static struct geometry now;

static struct shape upscaled(const struct layer *layer)
{
    struct shape shape = layer->src[0].shape;
    shape.d *= layer->src_scale, shape.h *= layer->src_scale, shape.w *= layer->src_scale;
    return shape;
}

/* Value of src at a voxel of the upsampled grid; 0 outside. */
static double src_at(const struct reference *reference, int64_t n, int64_t c, int64_t z, int64_t y, int64_t x)
{
    struct shape shape = reference->layer->src[0].shape, up = upscaled(reference->layer);
    int64_t scale = reference->layer->src_scale;
    if (z < 0 || y < 0 || x < 0 || z >= up.d || y >= up.h || x >= up.w)
        return 0;
    return reference->src[0][(((n * shape.c + c) * shape.d + z / scale) * shape.h + y / scale) * shape.w + x / scale];
}

static double bias_at(const struct reference *reference, int64_t o)
{
    return reference->layer->n_params > 1 ? reference->param[1][o] : 0;
}

/* One output value of a convolution. */
static double conv_value(const struct reference *reference, int64_t n, int64_t o, int64_t z, int64_t y, int64_t x)
{
    int64_t channels = reference->layer->src[0].shape.c;
    const double *w = reference->param[0] + o * channels * now.kernel[0] * now.kernel[1] * now.kernel[2];
    double sum = bias_at(reference, o);
    for (int64_t c = 0; c < channels; c++)
        for (int64_t i = 0; i < now.kernel[0]; i++)
            for (int64_t j = 0; j < now.kernel[1]; j++)
                for (int64_t k = 0; k < now.kernel[2]; k++)
                    sum += *w++ * src_at(reference, n, c, z * now.stride[0] - now.before[0] + i,
                                         y * now.stride[1] - now.before[1] + j, x * now.stride[2] - now.before[2] + k);
    return sum;
}

static bool whole(int64_t at, int64_t stride)
{
    return at % stride == 0;
}

/* One output value of a transposed convolution: every src voxel that reaches it. Output z = s * stride - before + i. */
static double transposed_value(const struct reference *reference, int64_t n, int64_t o, int64_t z, int64_t y, int64_t x)
{
    int64_t channels = reference->layer->src[0].shape.c, filters = reference->layer->dst.shape.c;
    double sum = bias_at(reference, o);
    for (int64_t c = 0; c < channels; c++)
        for (int64_t i = 0; i < now.kernel[0]; i++)
            for (int64_t j = 0; j < now.kernel[1]; j++)
                for (int64_t k = 0; k < now.kernel[2]; k++) {
                    int64_t sz = z + now.before[0] - i, sy = y + now.before[1] - j, sx = x + now.before[2] - k;
                    if (!whole(sz, now.stride[0]) || !whole(sy, now.stride[1]) || !whole(sx, now.stride[2]))
                        continue;
                    double w =
                        reference
                            ->param[0]
                                   [(((c * filters + o) * now.kernel[0] + i) * now.kernel[1] + j) * now.kernel[2] + k];
                    sum += w * src_at(reference, n, c, sz / now.stride[0], sy / now.stride[1], sx / now.stride[2]);
                }
    return sum;
}

static void conv_reference(const struct reference *reference)
{
    struct shape dst = reference->layer->dst.shape;
    bool transposed = strcmp(reference->layer->ops->config.type, "conv_transpose") == 0;
    double *out = reference->dst;
    for (int64_t n = 0; n < dst.n; n++)
        for (int64_t o = 0; o < dst.c; o++)
            for (int64_t z = 0; z < dst.d; z++)
                for (int64_t y = 0; y < dst.h; y++)
                    for (int64_t x = 0; x < dst.w; x++)
                        *out++ = (transposed ? transposed_value : conv_value)(reference, n, o, z, y, x);
}

static void check_conv(const char *yaml, struct shape src, struct geometry geometry, int64_t scale)
{
    now = geometry;
    int64_t taps = geometry.kernel[0] * geometry.kernel[1] * geometry.kernel[2];
    check_layer(&(struct layer_case){.yaml = yaml,
                                     .reference = conv_reference,
                                     .n_src = 1,
                                     .src = {src},
                                     .src_scale = scale,
                                     .samples = 6,
                                     .terms = 33 * taps + src.n * shape_voxels(src) * scale * scale * scale,
                                     .max_zero_frac = geometry.kernel[0] < geometry.stride[0] ? 0.95 : 0.6});
}

#define CUBE(k) \
    {           \
        k, k, k \
    }

static void test_conv_same(void)
{
    check_conv("{ type: conv, filters: 17, kernel: 3 }", (struct shape){2, 5, 3, 4, 5},
               (struct geometry){CUBE(3), CUBE(1), CUBE(1)}, 1);
    check_conv("{ type: conv, filters: 33, kernel: 1 }", (struct shape){2, 17, 3, 4, 5},
               (struct geometry){CUBE(1), CUBE(1), CUBE(0)}, 1);
    check_conv("{ type: conv, filters: 9, kernel: [5, 3, 1], bias: false }", (struct shape){1, 17, 2, 4, 6},
               (struct geometry){{1, 3, 5}, CUBE(1), {0, 1, 2}}, 1);
    check_conv("{ type: conv, filters: 2, kernel: 4 }", (struct shape){1, 3, 5, 4, 6},
               (struct geometry){CUBE(4), CUBE(1), CUBE(1)}, 1);
}

/* Even sizes: TensorFlow pads 1 before and 2 after for k5, 0 and 1 for k3, 0 and 0 for k1, 1 and 1 for k4; odd ones
 * evenly. */
static void test_conv_stride(void)
{
    check_conv("{ type: conv, filters: 9, kernel: 5, stride: 2 }", (struct shape){1, 1, 4, 6, 8},
               (struct geometry){CUBE(5), CUBE(2), CUBE(1)}, 1);
    check_conv("{ type: conv, filters: 9, kernel: 5, stride: 2 }", (struct shape){1, 9, 5, 7, 3},
               (struct geometry){CUBE(5), CUBE(2), CUBE(2)}, 1);
    check_conv("{ type: conv, filters: 16, kernel: 3, stride: 2 }", (struct shape){2, 8, 4, 6, 8},
               (struct geometry){CUBE(3), CUBE(2), CUBE(0)}, 1);
    check_conv("{ type: conv, filters: 17, kernel: 1, stride: 2 }", (struct shape){2, 17, 4, 6, 3},
               (struct geometry){CUBE(1), CUBE(2), CUBE(0)}, 1);
    check_conv("{ type: conv, filters: 8, kernel: 4, stride: 2 }", (struct shape){1, 8, 4, 6, 8},
               (struct geometry){CUBE(4), CUBE(2), CUBE(1)}, 1);
    check_conv("{ type: conv, filters: 9, kernel: 3, stride: 2 }", (struct shape){1, 9, 5, 7, 3},
               (struct geometry){CUBE(3), CUBE(2), CUBE(1)}, 1);
    check_conv("{ type: conv, filters: 9, kernel: 4, stride: 2 }", (struct shape){1, 5, 5, 7, 3},
               (struct geometry){CUBE(4), CUBE(2), CUBE(1)}, 1);
    check_conv("{ type: conv, filters: 4, kernel: [3, 2, 5], stride: [2, 1, 3] }", (struct shape){1, 5, 6, 4, 8},
               (struct geometry){{5, 2, 3}, {3, 1, 2}, {1, 0, 0}}, 1);
}

static void test_conv_other_padding(void)
{
    check_conv("{ type: conv, filters: 17, kernel: 3, stride: 2, padding: symmetric }", (struct shape){2, 5, 4, 6, 8},
               (struct geometry){CUBE(3), CUBE(2), CUBE(1)}, 1);
    check_conv("{ type: conv, filters: 8, kernel: 3, padding: valid }", (struct shape){2, 9, 4, 5, 6},
               (struct geometry){CUBE(3), CUBE(1), CUBE(0)}, 1);
}

static void test_conv_absorbed(void)
{
    check_conv("{ type: conv, filters: 9, kernel: 4 }", (struct shape){1, 9, 3, 1, 5},
               (struct geometry){CUBE(4), CUBE(1), CUBE(1)}, 2);
    check_conv("{ type: conv, filters: 9, kernel: 5 }", (struct shape){1, 9, 2, 3, 2},
               (struct geometry){CUBE(5), CUBE(1), CUBE(2)}, 2);
    check_conv("{ type: conv, filters: 2, kernel: 3 }", (struct shape){2, 17, 2, 3, 4},
               (struct geometry){CUBE(3), CUBE(1), CUBE(1)}, 2);
    check_conv("{ type: conv, filters: 1, kernel: 5 }", (struct shape){1, 1, 4, 3, 5},
               (struct geometry){CUBE(5), CUBE(1), CUBE(2)}, 2);
}

static void test_conv_transpose(void)
{
    check_conv("{ type: conv_transpose, filters: 17, kernel: 2, stride: 2, bias: false }",
               (struct shape){2, 33, 2, 3, 1}, (struct geometry){CUBE(2), CUBE(2), CUBE(0)}, 1);
    check_conv("{ type: conv_transpose, filters: 9, kernel: 4, stride: 2 }", (struct shape){2, 8, 2, 3, 4},
               (struct geometry){CUBE(4), CUBE(2), CUBE(1)}, 1);
    check_conv("{ type: conv_transpose, filters: 9, kernel: 5 }", (struct shape){1, 9, 3, 4, 2},
               (struct geometry){CUBE(5), CUBE(1), CUBE(2)}, 1);
    check_conv("{ type: conv_transpose, filters: 1, kernel: 5 }", (struct shape){1, 1, 6, 4, 5},
               (struct geometry){CUBE(5), CUBE(1), CUBE(2)}, 1);
    check_conv("{ type: conv_transpose, filters: 3, kernel: 3, stride: 2 }", (struct shape){2, 17, 2, 3, 4},
               (struct geometry){CUBE(3), CUBE(2), CUBE(0)}, 1);
}

static void test_conv_transpose_absorbed(void)
{
    check_conv("{ type: conv_transpose, filters: 8, kernel: 5 }", (struct shape){1, 9, 3, 1, 5},
               (struct geometry){CUBE(5), CUBE(1), CUBE(2)}, 2);
    check_conv("{ type: conv_transpose, filters: 3, kernel: 3 }", (struct shape){1, 9, 3, 2, 5},
               (struct geometry){CUBE(3), CUBE(1), CUBE(1)}, 2);
    check_conv("{ type: conv_transpose, filters: 3, kernel: 4 }", (struct shape){1, 9, 3, 2, 5},
               (struct geometry){CUBE(4), CUBE(1), CUBE(1)}, 2);
    check_conv("{ type: conv_transpose, filters: 9, kernel: 5 }", (struct shape){1, 9, 2, 3, 2},
               (struct geometry){CUBE(5), CUBE(1), CUBE(2)}, 2);
    check_conv("{ type: conv_transpose, filters: 1, kernel: 5 }", (struct shape){1, 16, 2, 3, 2},
               (struct geometry){CUBE(5), CUBE(1), CUBE(2)}, 2);
    check_conv("{ type: conv_transpose, filters: 1, kernel: 5 }", (struct shape){1, 1, 2, 3, 4},
               (struct geometry){CUBE(5), CUBE(1), CUBE(2)}, 2);
}

static void test_conv_frozen(void)
{
    now = (struct geometry){CUBE(3), CUBE(1), CUBE(1)};
    check_layer(&(struct layer_case){.yaml = "{ type: conv, filters: 17, kernel: 3 }",
                                     .reference = conv_reference,
                                     .n_src = 1,
                                     .src = {{1, 9, 3, 4, 5}},
                                     .terms = 900,
                                     .frozen = true});
}

static double drawn_sd(const char *layers, int64_t channels)
{
    struct network_bench bench = {0};
    struct error error = {0};
    double sum = 0;
    CHECK_OK(network_bench_config(&bench, layers, channels, &error), &error);
    CHECK_OK(network_describe(&bench.params, &bench.config, &error), &error);
    CHECK_OK(params_allocate(&bench.params, false, &error), &error);
    params_initialise(&bench.params, 1);
    const struct param *w = params_find(&bench.params, "w.w");
    for (int64_t i = 0; w && i < w->count; i++)
        sum += (double)bench.params.value[w->offset + i] * (double)bench.params.value[w->offset + i];
    double sd = w ? sqrt(sum / (double)w->count) : 0;
    network_bench_close(&bench);
    return sd;
}

/* He's variance is 2 / (products behind one output value). Of a transposed convolution these are the source's channels,
 * and of its kernel what one phase sees; Glorot's counts the whole kernel, as Keras does. */
static void test_he_normal(void)
{
    CHECK_NEAR(drawn_sd("[ { name: w, type: conv, filters: 64, init: he_normal } ]", 32), sqrt(2.0 / (27 * 32)), 5e-4);
    CHECK_NEAR(
        drawn_sd("[ { name: w, type: conv_transpose, filters: 64, kernel: 2, stride: 2, init: he_normal } ]", 32),
        sqrt(2.0 / 32), 5e-3);
    CHECK_NEAR(drawn_sd("[ { name: w, type: conv_transpose, filters: 8, kernel: 4, stride: 2, init: he_normal } ]", 32),
               sqrt(2.0 / 256), 2e-3);
    CHECK_NEAR(drawn_sd("[ { name: w, type: conv_transpose, filters: 8, kernel: 5, init: he_normal } ]", 32),
               sqrt(2.0 / (125 * 32)), 5e-4);
    CHECK_NEAR(drawn_sd("[ { name: w, type: conv_transpose, filters: 8, kernel: 4, stride: 2 } ]", 32),
               sqrt(2.0 / (64 * 40)), 5e-4);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"conv_same", test_conv_same},
                                       {"conv_stride", test_conv_stride},
                                       {"conv_other_padding", test_conv_other_padding},
                                       {"conv_absorbed", test_conv_absorbed},
                                       {"conv_transpose", test_conv_transpose},
                                       {"conv_transpose_absorbed", test_conv_transpose_absorbed},
                                       {"conv_frozen", test_conv_frozen},
                                       {"he_normal", test_he_normal},
                                       {0}};
    return check_main(argc, argv, tests);
}
