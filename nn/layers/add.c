/* add.c - sum and product of tensors of one shape.
 *   add        dst = src[0] + src[1] + ...    d_src[k] = d_dst              Keeps nothing; dst may be src[0].
 *   multiply   dst = src[0] * src[1]          d_src[0] = d_dst * src[1]     Keeps both sources.
 *                                             d_src[1] = d_dst * src[0]     Test: tests/nn/test_join.c */
#include <string.h>

#include "nn/layer.h"

static enum status add_shape(const struct layer *layer, struct shape *ret_dst, struct error *error)
{
    for (int k = 1; k < layer->n_src; k++)
        if (!shape_equal(layer->src[k].shape, layer->src[0].shape)) {
            char a[SHAPE_TEXT], b[SHAPE_TEXT];
            return yaml_error(error, layer->node, "%s: from: source 1 is %s, source %d is %s (equal shapes are needed)",
                              layer->name, shape_text(a, layer->src[0].shape), k + 1,
                              shape_text(b, layer->src[k].shape));
        }
    *ret_dst = layer->src[0].shape;
    return STATUS_OK;
}

static void add_forward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    int64_t n = tensor_floats(layer->dst.shape);
    for (int k = 1; k < layer->n_src; k++) {
        const float *a = k == 1 ? layer->src[0].data : layer->dst.data, *b = layer->src[k].data;
        float *dst = layer->dst.data;
#pragma omp parallel for simd schedule(static)
        for (int64_t i = 0; i < n; i++)
            dst[i] = a[i] + b[i];
    }
}

static void add_backward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    size_t bytes = (size_t)tensor_floats(layer->dst.shape) * sizeof(float);
    for (int k = 0; k < layer->n_src; k++)
        if (layer->d_src[k].data && layer->d_src[k].data != layer->d_dst.data)
            memcpy(layer->d_src[k].data, layer->d_dst.data, bytes);
}

/* clang-format off */
const struct layer_ops layer_add = {
    .config = {.type = "add", .help = "sum of its sources", .base = &layer_base_table,
    .size = sizeof(struct layer_config)},
    .min_src = 2, .max_src = LAYER_MAX_SRC, .keeps = LAYER_KEEPS_NOTHING, .in_place = LAYER_IN_PLACE_ALWAYS,
    .bfloat16 = LAYER_BFLOAT16_ELEMENTWISE,
    .shape = add_shape, .forward = add_forward, .backward = add_backward,
};
/* clang-format on */

/* --- multiply --- */

/* dst = a * b, over n values. */
static void multiply_values(float *dst, const float *a, const float *b, int64_t n)
{
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; i++)
        dst[i] = a[i] * b[i];
}

static void multiply_forward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    multiply_values(layer->dst.data, layer->src[0].data, layer->src[1].data, tensor_floats(layer->dst.shape));
}

static void multiply_backward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    for (int k = 0; k < 2; k++)
        if (layer->d_src[k].data)
            multiply_values(layer->d_src[k].data, layer->d_dst.data, layer->src[1 - k].data,
                            tensor_floats(layer->dst.shape));
}

/* clang-format off */
const struct layer_ops layer_multiply = {
    .config = {.type = "multiply", .help = "product of its two sources (a gate)", .base = &layer_base_table,
    .size = sizeof(struct layer_config)},
    .min_src = 2, .max_src = 2, .keeps = LAYER_KEEPS_SRC, .in_place = LAYER_IN_PLACE_NEVER,
    .bfloat16 = LAYER_BFLOAT16_ELEMENTWISE,
    .shape = add_shape, .forward = multiply_forward, .backward = multiply_backward,
};
/* clang-format on */
