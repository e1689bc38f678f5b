/* memory_plan.c - when every buffer of a network lives, and where it lies.
 *
 * Steps of one pass, L layers: 0 input; 1 + i forward of layer i; L + 1 output; L + 2 gradient of the loss; L + 3 + k
 * step k of the backward pass (recompute.c); then the gradient by the input. A value that is recomputed has two
 * buffers, one in each half. Tests: tests/nn/test_plan.c, tests/nn/test_recompute.c */
#include "nn/network/network_impl.h"
#include "nn/network/arena_plan.h"

/* The buffers, each with the pointer that is to hold its address. The first 3 (L + 1) are the values' data, their
 * gradients and their recomputed data. Those have no pointer here: tensors and in-place partners share them. */
struct plan_requests {
    int64_t n;
    struct plan_item *items;
    void ***pointers;
};

static int64_t plan_forward_step(int64_t layer)
{
    return 1 + layer;
}

static int64_t plan_last_step(const struct network *network)
{
    return network->n_layers + 3 + network->n_backward_steps;
}

static void plan_request(struct plan_requests *requests, void **pointer, int64_t bytes, int64_t first, int64_t last)
{
    requests->items[requests->n] = (struct plan_item){.bytes = bytes, .first = first, .last = last};
    requests->pointers[requests->n++] = pointer;
}

/* A step below 0 is none. */
static void plan_extend(struct plan_item *item, int64_t step)
{
    if (step < 0)
        return;
    item->first = step < item->first ? step : item->first;
    item->last = step > item->last ? step : item->last;
}

/* Lives of the values' data: from their maker to their last reader, in training as long as backward reads them. A
 * dropped value lives in data while forward runs, and in recompute from its recomputation on. */
static void plan_data(const struct network *network, struct plan_item *data, struct plan_item *recompute)
{
    int64_t n = network->n_layers;
    for (int64_t i = 0; i < n; i++) {
        const struct node *node = &network->nodes[i];
        const struct layer *layer = &node->layer;
        int64_t dst = network->values[i + 1].shares;
        if (node->skipped)
            continue;
        plan_extend(&data[dst], plan_forward_step(i));
        plan_extend(&recompute[dst], node->recompute_step);
        if (layer_reads_dst(layer))
            plan_extend(network->values[dst].dropped ? &recompute[dst] : &data[dst], node->backward_step);
        for (int k = 0; k < layer->n_src; k++) {
            int64_t src = network->values[node->src[k].value].shares;
            struct plan_item *backward = network->values[src].dropped ? &recompute[src] : &data[src];
            plan_extend(&data[src], plan_forward_step(i));
            plan_extend(backward, node->recompute_step);
            if (layer_reads_src(layer))
                plan_extend(backward, node->backward_step);
        }
    }

    plan_extend(&data[network->values[0].shares], 0);
    /* The caller reads the output until the next pass; one that must be copied to lie plain only until then. */
    plan_extend(&data[network->values[n].shares],
                tensor_channel_block(network->values[n].data.shape.c) == 1 ? plan_last_step(network) : n + 1);
}

/* Lives of the gradients: from their first writer (the last reader of the value) to the backward of the value's maker.
 */
static void plan_grad(const struct network *network, struct plan_item *grad)
{
    int64_t n = network->n_layers;
    for (int64_t i = 0; i < n; i++) {
        const struct node *node = &network->nodes[i];
        if (!node->layer.training || node->skipped)
            continue;
        plan_extend(&grad[network->values[i + 1].shares], node->backward_step);
        for (int k = 0; k < node->layer.n_src; k++)
            if (node->layer.needs_d_src[k])
                plan_extend(&grad[network->values[node->src[k].value].shares], node->backward_step);
    }
    if (network->values[n].wants_grad)
        plan_extend(&grad[network->values[n].shares], n + 2);
    if (network->values[0].wants_grad)
        plan_extend(&grad[network->values[0].shares], plan_last_step(network));
}

static int64_t plan_tensor_bytes(struct tensor tensor)
{
    return (int64_t)tensor_bytes(tensor); /* checked by network_graph */
}

/* The last reader of a value writes its gradient; the readers before it, and further reads by the same layer, write
 * beside. */
static void plan_stats(struct network *network, struct plan_requests *requests)
{
    for (int64_t i = network->n_layers - 1; i >= 0; i--) {
        struct node *node = &network->nodes[i];
        for (int k = 0; k < node->layer.n_src && node->layer.training && !node->skipped; k++) {
            struct value *value = &network->values[node->src[k].value];
            if (!node->layer.needs_d_src[k])
                continue;
            if (value->has_writer)
                plan_request(requests, &node->src[k].sum, plan_tensor_bytes(value->grad), node->backward_step,
                             node->backward_step);
            value->has_writer = true;
        }
    }
}

static int64_t plan_factors(const struct layer *layer)
{
    return layer->dst.shape.n * tensor_stored_channels(layer->dst.shape.c);
}

/* Of one call: the layer's own, and behind it float32 copies of what it does not read as it lies. */
static int64_t plan_scratch_bytes(const struct layer *layer, bool backward)
{
    const size_t staging = network_staging_bytes(layer, backward);
    return (int64_t)(staging ? (layer->scratch_bytes + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN + staging
                             : layer->scratch_bytes);
}

static void plan_layers(struct network *network, struct plan_requests *requests)
{
    for (int64_t i = 0; i < network->n_layers; i++) {
        struct node *node = &network->nodes[i];
        struct layer *layer = &node->layer;
        const int64_t forward = plan_forward_step(i), recompute = node->recompute_step, backward = node->backward_step;
        const int64_t bytes = plan_scratch_bytes(layer, false);
        if (node->skipped)
            continue;
        if (node->stats_reader)
            plan_request(requests, (void **)&layer->dst_stats, (int64_t)layer->ops->stats_bytes(layer), forward,
                         plan_forward_step(node->stats_reader));
        if (node->affine_reader)
            plan_request(requests, (void **)&layer->dst_affine.scale, 2 * plan_factors(layer) * (int64_t)sizeof(float),
                         forward, plan_forward_step(node->affine_reader));
        plan_request(requests, &layer->kept, (int64_t)layer->kept_bytes, forward,
                     backward > recompute ? backward
                     : recompute > 0      ? recompute
                                          : forward);
        plan_request(requests, &node->scratch_forward, bytes, forward, forward);
        if (recompute > 0)
            plan_request(requests, &node->scratch_recompute, bytes, recompute, recompute);
        if (backward > 0)
            plan_request(requests, &node->scratch_backward, plan_scratch_bytes(layer, true), backward, backward);
    }
}

/* Data, gradients and recomputed data of all values: items 0 .. L, L + 1 .. 2 L + 1, 2 L + 2 .. 3 L + 2. */
static void plan_values(struct network *network, struct plan_requests *requests)
{
    int64_t n = network->n_layers + 1;
    for (int64_t i = 0; i < 3 * n; i++)
        plan_request(requests, NULL, 0, INT64_MAX, INT64_MIN);
    plan_data(network, requests->items, requests->items + 2 * n);
    plan_grad(network, requests->items + n);
    for (int64_t i = 0; i < 3 * n; i++)
        if (requests->items[i].last >= 0)
            requests->items[i].bytes = plan_tensor_bytes(network->values[i % n].data);
}

void network_point(struct network *network, struct node *node, bool backward)
{
    struct layer *layer = &node->layer;
    const struct value *dst = &network->values[layer->index + 1];
    layer->dst.data = backward ? dst->backward_data : dst->data.data;
    for (int k = 0; k < layer->n_src; k++) {
        const struct value *src = &network->values[node->src[k].value];
        layer->src[k].data = backward ? src->backward_data : src->data.data;
    }
}

/* What the layers leave beside their values. */
static void plan_attach_beside(struct network *network, struct node *node)
{
    struct layer *layer = &node->layer;
    if (layer->dst_affine.scale) {
        layer->dst_affine.shift = layer->dst_affine.scale + plan_factors(layer);
        layer->dst_affine.slope = layer->activation ? (float)layer->activation->ops->slope(layer->activation) : 1;
    }
    if (node->src[0].value > 0) {
        const struct layer *maker = &network->nodes[node->src[0].value - 1].layer;
        layer->src_stats = maker->dst_stats;
        layer->src_affine = maker->dst_affine;
    }
}

static void plan_attach_layer(struct network *network, struct node *node)
{
    struct layer *layer = &node->layer;
    network_point(network, node, false);
    layer->d_dst.data = network->values[layer->index + 1].grad.data;
    for (int k = 0; k < layer->n_src; k++)
        layer->d_src[k].data = !layer->needs_d_src[k] ? NULL
                               : node->src[k].sum     ? node->src[k].sum
                                                      : network->values[node->src[k].value].grad.data;
}

/* The values from `part` on of the buffer that `item` is. */
static float *plan_address(const struct network *network, const struct plan_item *item, const struct value *value)
{
    struct tensor tensor = value->data;
    if (!item->bytes)
        return NULL;
    tensor.data = (float *)(void *)(network->memory + item->offset);
    return tensor_offset(tensor, value->part).data;
}

/* Takes the arena and sets every pointer into it. */
static enum status plan_attach(struct network *network, const struct plan_requests *requests, struct error *error)
{
    int64_t n = network->n_layers + 1;
    network->memory = memory_alloc(1, (size_t)network->bytes);
    if (!network->memory)
        return error_memory(error, (size_t)network->bytes, "activations (a smaller patch or batch would fit)");
    for (int64_t i = 3 * n; i < requests->n; i++)
        *requests->pointers[i] = network->memory + requests->items[i].offset;

    /* Values that share buffers point at their owner's, from their part on. */
    for (int64_t i = 0; i < n; i++) {
        struct value *value = &network->values[i];
        const struct plan_item *data = &requests->items[value->shares];
        value->data.data = plan_address(network, &data[0], value);
        value->grad.data = value->wants_grad ? plan_address(network, &data[n], value) : NULL;
        value->backward_data =
            network->values[value->shares].dropped ? plan_address(network, &data[2 * n], value) : value->data.data;
    }

    for (int64_t i = 0; i < network->n_layers; i++) {
        plan_attach_layer(network, &network->nodes[i]);
        plan_attach_beside(network, &network->nodes[i]);
    }

    return STATUS_OK;
}

enum status network_plan(struct network *network, bool allocate, struct error *error)
{
    int64_t n = network->n_layers, capacity = 3 * (n + 1) + (6 + LAYER_MAX_SRC) * n + 1;
    struct plan_requests requests = {.items = memory_alloc((size_t)capacity, sizeof *requests.items),
                                     .pointers = memory_alloc((size_t)capacity, sizeof *requests.pointers)};
    enum status status = STATUS_OK;
    if (!requests.items || !requests.pointers) {
        status = error_memory(error, (size_t)capacity * sizeof *requests.items, "memory plan");
        goto done;
    }

    for (int64_t i = 0; i <= n; i++)
        network->values[i].has_writer = false;
    plan_values(network, &requests);
    plan_stats(network, &requests);
    plan_layers(network, &requests);

    /* A blocked output is copied for the caller, who wants it plain. */
    struct shape dst = network->values[n].data.shape;
    if (tensor_channel_block(dst.c) > 1)
        plan_request(&requests, &network->dst_plain, shape_count(dst) * (int64_t)sizeof(float), n + 1,
                     plan_last_step(network));

    /* Where buffers may not be shared (tests), every one lives all the time. */
    for (int64_t i = 0; i < requests.n && network->options.no_reuse; i++) {
        requests.items[i].first = 0;
        requests.items[i].last = plan_last_step(network);
    }

    status = plan_place(requests.items, requests.n, &network->bytes, error);
    if (!status && allocate)
        status = plan_attach(network, &requests, error);
done:
    memory_free(requests.items);
    memory_free(requests.pointers);

    return status;
}
