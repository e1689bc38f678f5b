/* network.c - builds a network and runs it. Test: tests/nn/test_network.c */
#include "nn/network/network_impl.h"

#include <assert.h>
#include <string.h>

static enum status network_init_layers(struct network *network, struct error *error)
{
    for (int64_t i = 0; i < network->n_layers; i++) {
        struct node *node = &network->nodes[i];
        if (!node->skipped && node->layer.ops->init && node->layer.ops->init(&node->layer, error))
            return error_while(error, "preparing layer '%s' of network '%s'", node->layer.name, network->config->name);
    }
    return STATUS_OK;
}

enum status network_build(struct network *network, const struct network_config *config, struct params *params,
                          struct shape src, enum network_mode mode, bool allocate, struct error *error)
{
    if (network_graph(network, config, params, src, mode, error))
        return error->status;
    network_graph_simplify(network);
    if (network_init_layers(network, error))
        return error->status;
    network_graph_pair(network);
    if (network_recompute(network, (enum network_recompute)config->recompute, error) ||
        network_plan(network, allocate, error))
        return error_while(error, "planning the memory of network '%s'", config->name);
    return STATUS_OK;
}

void network_done(struct network *network)
{
    for (int64_t i = 0; i < network->n_layers; i++) {
        struct layer *layer = &network->nodes[i].layer;
        if (layer->ops->done && layer->state)
            layer->ops->done(layer);
    }
    memory_free(network->memory);
    arena_done(&network->arena);
}

enum status network_new_with(struct network **ret, const struct network_config *config, struct params *params,
                             struct shape src, enum network_mode mode, const struct network_options *options,
                             struct error *error)
{
    assert(params->value && (mode == NETWORK_INFER || params->grad));
    struct network *network = memory_zalloc(1, sizeof *network);
    if (!network)
        return error_memory(error, sizeof *network, "network");
    network->options = *options;
    if (network_build(network, config, params, src, mode, true, error)) {
        network_free(network);
        return error->status;
    }
    *ret = network;
    return STATUS_OK;
}

enum status network_new(struct network **ret, const struct network_config *config, struct params *params,
                        struct shape src, enum network_mode mode, struct error *error)
{
    return network_new_with(ret, config, params, src, mode, &(struct network_options){0}, error);
}

enum status network_trace(struct network **ret, const struct network_config *config, struct params *params,
                          struct shape src, struct error *error)
{
    struct network *network = memory_zalloc(1, sizeof *network);
    if (!network)
        return error_memory(error, sizeof *network, "network");
    if (network_graph(network, config, params, src, NETWORK_INFER, error)) {
        network_free(network);
        return error->status;
    }
    for (int64_t i = 0; i < network->n_layers; i++)
        layer_attach(&network->nodes[i].layer);
    *ret = network;
    return STATUS_OK;
}

void network_free(struct network *network)
{
    if (!network)
        return;
    network_done(network);
    memory_free(network);
}

const float *network_forward(struct network *network, const float *src, const struct pass *pass)
{
    assert(!pass->training || network->mode != NETWORK_INFER);
    tensor_from_plain(network->values[0].data, src);
    for (int64_t i = 0; i < network->n_layers; i++) {
        struct node *node = &network->nodes[i];
        if (node->skipped)
            continue;
        node->layer.scratch = node->scratch_forward;
        network_point(network, node, false);
        network_run_layer(&node->layer, pass, false);
    }
    struct tensor dst = network->values[network->n_layers].data;
    if (!network->dst_plain)
        return dst.data;
    tensor_to_plain(network->dst_plain, dst);
    return network->dst_plain;
}

static void network_recompute_node(struct network *network, struct node *node, const struct pass *pass)
{
    struct pass recompute = *pass;
    recompute.recompute = true;
    node->layer.scratch = node->scratch_recompute;
    network_point(network, node, true);
    network_run_layer(&node->layer, &recompute, false);
}

static void network_backward_node(struct network *network, struct node *node, const struct pass *pass)
{
    node->layer.scratch = node->scratch_backward;
    network_point(network, node, true);
    network_run_layer(&node->layer, pass, true);
    for (int k = 0; k < node->layer.n_src; k++) {
        struct tensor grad = network->values[node->src[k].value].grad;
        if (node->src[k].sum)
            network_add_tensor(grad, node->layer.d_src[k]);
    }
}

void network_backward(struct network *network, const float *d_dst, float *d_src, const struct pass *pass)
{
    assert(network->mode != NETWORK_INFER && (!d_src || network->mode == NETWORK_TRAIN_SRC));
    struct params *params = network->params;
    for (int64_t i = 0; i < params->n; i++)
        if (params->items[i].trainable && params->items[i].frozen)
            memset(params->grad + params->items[i].offset, 0, (size_t)params->items[i].count * sizeof *params->grad);
    const struct value *dst = &network->values[network->n_layers];
    if (!dst->wants_grad)
        return;
    tensor_from_plain(dst->grad, d_dst);
    for (const struct backward_step *step = network->backward_steps;
         step < network->backward_steps + network->n_backward_steps; step++)
        (step->recompute ? network_recompute_node : network_backward_node)(network, &network->nodes[step->node], pass);
    if (d_src)
        tensor_to_plain(d_src, network->values[0].grad);
}

enum status network_status(const struct network *network, struct error *error)
{
    for (int64_t i = 0; i < network->n_layers; i++) {
        const struct layer *layer = &network->nodes[i].layer;
        if (!network->nodes[i].skipped && layer->ops->status && layer->ops->status(layer, error))
            return error_while(error, "running layer '%s'", layer->name);
    }
    return STATUS_OK;
}

void network_params_changed(struct network *network)
{
    for (int64_t i = 0; i < network->n_layers; i++) {
        struct node *node = &network->nodes[i];
        if (!node->skipped && node->layer.ops->params_changed)
            node->layer.ops->params_changed(&node->layer);
    }
}

struct shape network_src_shape(const struct network *network)
{
    return network->values[0].data.shape;
}

struct shape network_dst_shape(const struct network *network)
{
    return network->values[network->n_layers].data.shape;
}

int64_t network_n_layers(const struct network *network)
{
    return network->n_layers;
}

const struct layer *network_layer(const struct network *network, int64_t index)
{
    return &network->nodes[index].layer;
}

int64_t network_layer_src(const struct network *network, int64_t index, int k)
{
    return network->nodes[index].src[k].value - 1;
}

int64_t network_bytes(const struct network *network)
{
    return network->bytes;
}
