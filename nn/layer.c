/* layer.c - what every layer has: its base keys and its parameters. Test: tests/nn/test_harness.c */
#include "nn/layer.h"

#include <assert.h>
#include <stdio.h>

/* clang-format off */
static const struct config_field layer_base_fields[] = {
    {.key = "name", .type = CONFIG_STRING, .offset = offsetof(struct layer_config, name),
     .help = "name for `from` and for the weights; default: type and index"},
    {.key = "from", .type = CONFIG_STRINGS, .offset = offsetof(struct layer_config, from),
     .help = "names of the sources; default: the layer before; `input` is the network's input"},
    {0}};
/* clang-format on */

const struct config_table layer_base_table = {.size = sizeof(struct layer_config), .fields = layer_base_fields};

/* The values exist: look the entry up and check that it is the one the layer means. */
static struct param *layer_param_find(const struct layer *layer, const char *name, int n_dims, const int64_t *dim,
                                      struct error *error)
{
    struct param *param = params_find(layer->params, name);
    if (!param) {
        error_set(error, STATUS_FAILED, "%s: the parameters have no such entry (they were made for another network)",
                  name);
        return NULL;
    }
    if (!param_same_shape(param, n_dims, dim)) {
        char has[PARAM_SHAPE_TEXT], wants[PARAM_SHAPE_TEXT];
        yaml_error(error, layer->node,
                   "%s: its parameter is %s, here it would be %s (a dense layer fixes the patch size)", name,
                   param_shape_text(has, param->n_dims, param->dim), param_shape_text(wants, n_dims, dim));
        return NULL;
    }
    return param;
}

enum status layer_param(struct layer *layer, const char *suffix, int n_dims, const int64_t *dim, bool trainable,
                        enum param_init init, struct error *error)
{
    assert(layer->n_params < LAYER_MAX_PARAMS);
    char *name = memory_printf("%s.%s", layer->name, suffix);
    if (!name)
        return error_memory(error, 64, "parameter name");
    struct param *param;
    if (layer->params->value) {
        param = layer_param_find(layer, name, n_dims, dim, error);
    } else {
        param = params_add(layer->params, name, n_dims, dim, trainable, init);
        if (!param)
            error_memory(error, sizeof *param, "parameter table");
    }

    memory_free(name);
    if (!param)
        return error->status;
    layer->param[layer->n_params++] = param;
    return STATUS_OK;
}

bool layer_reads_src(const struct layer *layer)
{
    int keeps = layer->ops->keeps;
    return layer->training && ((keeps & LAYER_KEEPS_SRC) || ((keeps & LAYER_KEEPS_SRC_TO_LEARN) && !layer->frozen));
}

bool layer_reads_dst(const struct layer *layer)
{
    return layer->training && (layer->ops->keeps & LAYER_KEEPS_DST);
}

void layer_attach(struct layer *layer)
{
    const struct params *params = layer->params;
    for (int i = 0; i < layer->n_params; i++)
        layer->frozen |= layer->param[i]->frozen;
    for (int i = 0; i < layer->n_params; i++) {
        const struct param *param = layer->param[i];
        bool learns = params->grad && param->trainable && !layer->frozen;
        layer->value[i] = params->value ? params->value + param->offset : NULL;
        layer->grad[i] = learns ? params->grad + param->offset : NULL;
    }
}
