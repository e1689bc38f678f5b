/* activation.c - elementwise activations.
 *   relu        dst = max(src, 0)                    d_src = d_dst where dst > 0
 *   leaky_relu  dst = src > 0 ? src : slope * src    d_src = d_dst where dst > 0, slope * d_dst elsewhere
 *   tanh        dst = tanh(src)                      d_src = d_dst * (1 - dst^2)
 *   sigmoid     dst = 1 / (1 + exp(-src))            d_src = d_dst * dst * (1 - dst)
 *   scale       dst = factor * src + offset          d_src = factor * d_dst
 * Keeps for backward: dst (scale: nothing), so all of them work in place.                     Test:
 * tests/nn/test_activation.c */
#include <math.h>
#include <string.h>

#include "nn/layer.h"
#include "nn/layers/rows.h"

struct leaky_relu_config {
    struct layer_config layer;
    double slope;
};

static enum status activation_shape(const struct layer *layer, struct shape *ret_dst, struct error *error)
{
    (void)error;
    *ret_dst = layer->src[0].shape;
    return STATUS_OK;
}

static void leaky_relu_apply(const struct layer *layer, float slope)
{
    const float *src = layer->src[0].data;
    float *dst = layer->dst.data;
    int64_t n = tensor_floats(layer->dst.shape);
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; i++)
        dst[i] = src[i] > 0 ? src[i] : slope * src[i];
}

static void leaky_relu_apply_backward(const struct layer *layer, float slope)
{
    const float *dst = layer->dst.data, *d_dst = layer->d_dst.data;
    float *d_src = layer->d_src[0].data;
    int64_t n = d_src ? tensor_floats(layer->dst.shape) : 0;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; i++)
        d_src[i] = dst[i] > 0 ? d_dst[i] : slope * d_dst[i];
}

static void relu_forward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    leaky_relu_apply(layer, 0);
}

static void relu_backward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    leaky_relu_apply_backward(layer, 0);
}

static double relu_slope(const struct layer *layer)
{
    (void)layer;
    return 0;
}

/* clang-format off */
const struct layer_ops layer_relu = {
    .config = {.type = "relu", .help = "max(x, 0)", .base = &layer_base_table, .size = sizeof(struct layer_config)},
    .min_src = 1, .max_src = 1, .keeps = LAYER_KEEPS_DST, .in_place = LAYER_IN_PLACE_ALWAYS,
    .bfloat16 = LAYER_BFLOAT16_ELEMENTWISE,
    .slope = relu_slope, .shape = activation_shape, .forward = relu_forward, .backward = relu_backward,
};
/* clang-format on */

static double leaky_relu_slope(const struct layer *layer)
{
    return ((const struct leaky_relu_config *)layer->config)->slope;
}

static void leaky_relu_forward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    leaky_relu_apply(layer, (float)leaky_relu_slope(layer));
}

static void leaky_relu_backward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    leaky_relu_apply_backward(layer, (float)leaky_relu_slope(layer));
}

/* clang-format off */
static const struct config_field leaky_relu_fields[] = {
    {.key = "slope", .type = CONFIG_DOUBLE, .offset = offsetof(struct leaky_relu_config, slope), .text = "0.01",
     .min = 0, .max = 1, .help = "factor of negative values"},
    {0}};
/* clang-format on */

/* clang-format off */
const struct layer_ops layer_leaky_relu = {
    .config = {.type = "leaky_relu", .help = "x, or slope * x where x is negative", .base = &layer_base_table,
               .size = sizeof(struct leaky_relu_config), .fields = leaky_relu_fields},
    .min_src = 1, .max_src = 1, .keeps = LAYER_KEEPS_DST, .in_place = LAYER_IN_PLACE_ALWAYS,
    .bfloat16 = LAYER_BFLOAT16_ELEMENTWISE,
    .slope = leaky_relu_slope, .shape = activation_shape, .forward = leaky_relu_forward,
    .backward = leaky_relu_backward,
};
/* clang-format on */

/* exp and tanh after Moshier's Cephes (expf.c, tanhf.c), without branches, so that loops over them become vector code:
 * within 1.3 units in the last place. exp stops at about 2^-126 and 2^127. */
static inline float activation_exp(float x)
{
    const float shift = 0x1.8p23f; /* pushes the fraction out: the nearest whole number */
    x = x < -87.3f ? -87.3f : x > 88.3f ? 88.3f : x;
    float shifted = x * 1.44269504f + shift, n = shifted - shift, r = x - n * 0.693359375f + n * 2.12194440e-4f, scale;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127) << 23; /* 2^n */
    memcpy(&scale, &bits, sizeof scale);
    return (p * r * r + r + 1) * scale;
}

static inline float activation_tanh(float x)
{
    float square = x * x, size = fabsf(x), large = copysignf(1 - 2 / (activation_exp(2 * size) + 1), x);
    float p = -5.70498872745e-3f;
    p = p * square + 2.06390887954e-2f;
    p = p * square - 5.37397155531e-2f;
    p = p * square + 1.33314422036e-1f;
    p = p * square - 3.33332819422e-1f;
    float small = p * square * x + x;
    return size < 0.625f ? small : large;
}

static void tanh_forward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    const float *src = layer->src[0].data;
    float *dst = layer->dst.data;
    int64_t n = tensor_floats(layer->dst.shape);
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; i++)
        dst[i] = activation_tanh(src[i]);
}

static void tanh_backward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    const float *dst = layer->dst.data, *d_dst = layer->d_dst.data;
    float *d_src = layer->d_src[0].data;
    int64_t n = d_src ? tensor_floats(layer->dst.shape) : 0;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; i++)
        d_src[i] = d_dst[i] * (1 - dst[i] * dst[i]);
}

/* clang-format off */
const struct layer_ops layer_tanh = {
    .config = {.type = "tanh", .help = "hyperbolic tangent", .base = &layer_base_table,
    .size = sizeof(struct layer_config)},
    .min_src = 1, .max_src = 1, .keeps = LAYER_KEEPS_DST, .in_place = LAYER_IN_PLACE_ALWAYS,
    .bfloat16 = LAYER_BFLOAT16_ELEMENTWISE,
    .shape = activation_shape, .forward = tanh_forward, .backward = tanh_backward,
};
/* clang-format on */

static inline float activation_sigmoid(float x)
{
    float e = activation_exp(-fabsf(x));
    return (x < 0 ? e : 1) / (1 + e);
}

static void sigmoid_forward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    const float *src = layer->src[0].data;
    float *dst = layer->dst.data;
    int64_t n = tensor_floats(layer->dst.shape);
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; i++)
        dst[i] = activation_sigmoid(src[i]);
    rows_clear_padding(layer->dst); /* not 1/2 */
}

static void sigmoid_backward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    const float *dst = layer->dst.data, *d_dst = layer->d_dst.data;
    float *d_src = layer->d_src[0].data;
    int64_t n = d_src ? tensor_floats(layer->dst.shape) : 0;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; i++)
        d_src[i] = d_dst[i] * dst[i] * (1 - dst[i]);
}

/* clang-format off */
const struct layer_ops layer_sigmoid = {
    .config = {.type = "sigmoid", .help = "1 / (1 + exp(-x))", .base = &layer_base_table,
    .size = sizeof(struct layer_config)},
    .min_src = 1, .max_src = 1, .keeps = LAYER_KEEPS_DST, .in_place = LAYER_IN_PLACE_ALWAYS,
    .bfloat16 = LAYER_BFLOAT16_ELEMENTWISE,
    .shape = activation_shape, .forward = sigmoid_forward, .backward = sigmoid_backward,
};
/* clang-format on */

/* --- scale --- */

struct scale_config {
    struct layer_config layer;
    double factor, offset;
};

static void scale_forward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    const struct scale_config *config = layer->config;
    const float *src = layer->src[0].data, factor = (float)config->factor, offset = (float)config->offset;
    float *dst = layer->dst.data;
    int64_t n = tensor_floats(layer->dst.shape);
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; i++)
        dst[i] = factor * src[i] + offset;
    rows_clear_padding(layer->dst); /* not the offset */
}

static void scale_backward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    const float *d_dst = layer->d_dst.data, factor = (float)((const struct scale_config *)layer->config)->factor;
    float *d_src = layer->d_src[0].data;
    int64_t n = d_src ? tensor_floats(layer->dst.shape) : 0;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; i++)
        d_src[i] = factor * d_dst[i];
}

/* clang-format off */
static const struct config_field scale_fields[] = {
    {.key = "factor", .type = CONFIG_DOUBLE, .offset = offsetof(struct scale_config, factor), .text = "1",
     .min = -1e6, .max = 1e6, .help = "what each value is multiplied by"},
    {.key = "offset", .type = CONFIG_DOUBLE, .offset = offsetof(struct scale_config, offset), .text = "0",
     .min = -1e6, .max = 1e6, .help = "what is added then"},
    {0}};
/* clang-format on */

/* clang-format off */
const struct layer_ops layer_scale = {
    .config = {.type = "scale", .help = "factor * x + offset, both fixed", .base = &layer_base_table,
               .size = sizeof(struct scale_config), .fields = scale_fields},
    .min_src = 1, .max_src = 1, .keeps = LAYER_KEEPS_NOTHING, .in_place = LAYER_IN_PLACE_ALWAYS,
    .bfloat16 = LAYER_BFLOAT16_ELEMENTWISE,
    .shape = activation_shape, .forward = scale_forward, .backward = scale_backward,
};
/* clang-format on */
