/* registry.c - the one list of layer types: a new layer adds its line here. Test: tests/nn/test_harness.c */
#include "nn/layer.h"

#include <string.h>

extern const struct layer_ops layer_conv, layer_conv_transpose, layer_upsample, layer_max_pool, layer_avg_pool,
    layer_global_pool, layer_batch_norm, layer_instance_norm, layer_group_norm, layer_relu, layer_leaky_relu,
    layer_tanh, layer_sigmoid, layer_scale, layer_softmax, layer_dropout, layer_add, layer_multiply, layer_concat,
    layer_slice, layer_dense, layer_flatten;

/* clang-format off */
static const struct layer_ops *const layer_types[] = {
    &layer_conv, &layer_conv_transpose, &layer_upsample, &layer_max_pool, &layer_avg_pool, &layer_global_pool,
    &layer_batch_norm, &layer_instance_norm, &layer_group_norm, &layer_relu, &layer_leaky_relu, &layer_tanh,
    &layer_sigmoid, &layer_scale, &layer_softmax, &layer_dropout, &layer_add, &layer_multiply, &layer_concat,
    &layer_slice, &layer_dense, &layer_flatten, NULL};
/* clang-format on */

const struct layer_ops *layer_ops_at(int index)
{
    return layer_types[index];
}

const struct layer_ops *layer_ops_find(const char *type)
{
    for (int i = 0; layer_types[i]; i++)
        if (strcmp(layer_types[i]->config.type, type) == 0)
            return layer_types[i];
    return NULL;
}
