/* memory_plan.c - when every buffer of a network lives, and where it lies.
 *
 * Steps of one pass, L layers: 0 input; 1 + i forward of layer i; L + 1 output; L + 2 gradient of the loss; L + 3 + k
 * move k of the backward pass (recompute.c); then the gradient by the input. A value that is computed again has two
 * buffers, one in each half. */
#include "nn/network/network_impl.h"
#include "nn/network/arena_plan.h"

/* The buffers, each with the pointer that is to hold its address. The first 3 (L + 1) are the values' data, their
 * gradients, and their data computed again, without a pointer: tensors and in-place partners share those. */
struct wishes {
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
    return network->n_layers + 3 + network->n_moves;
}

static void plan_wish(struct wishes *wishes, void **pointer, int64_t bytes, int64_t first, int64_t last)
{
    wishes->items[wishes->n] = (struct plan_item){.bytes = bytes, .first = first, .last = last};
    wishes->pointers[wishes->n++] = pointer;
}

/* A step below 0 is none. */
static void plan_extend(struct plan_item *item, int64_t step)
{
    if (step < 0)
        return;
    item->first = step < item->first ? step : item->first;
    item->last = step > item->last ? step : item->last;
}

/* Lives of the values' data: from their maker to their last reader, in training as long as backward reads them; what is
 * dropped lives in data while forward runs, and in again from its second making on. */
static void plan_data(const struct network *network, struct plan_item *data, struct plan_item *again)
{
    int64_t n = network->n_layers;
    for (int64_t i = 0; i < n; i++) {
        const struct node *node = &network->nodes[i];
        const struct layer *layer = &node->layer;
        int64_t dst = network->values[i + 1].shares;
        if (node->skipped)
            continue;
        plan_extend(&data[dst], plan_forward_step(i));
        plan_extend(&again[dst], node->again_step);
        if (layer_reads_dst(layer))
            plan_extend(network->values[dst].dropped ? &again[dst] : &data[dst], node->backward_step);
        for (int k = 0; k < layer->n_src; k++) {
            int64_t src = network->values[node->src[k].value].shares;
            struct plan_item *backward = network->values[src].dropped ? &again[src] : &data[src];
            plan_extend(&data[src], plan_forward_step(i));
            plan_extend(backward, node->again_step);
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

static int64_t plan_tensor_bytes(struct shape shape)
{
    return tensor_floats(shape) * (int64_t)sizeof(float); /* checked by network_graph */
}

/* The last reader of a value writes its gradient; the readers before it, and further reads by the same layer, write
 * beside. */
static void plan_stats(struct network *network, struct wishes *wishes)
{
    for (int64_t i = network->n_layers - 1; i >= 0; i--) {
        struct node *node = &network->nodes[i];
        for (int k = 0; k < node->layer.n_src && node->layer.training && !node->skipped; k++) {
            struct value *value = &network->values[node->src[k].value];
            if (!node->layer.needs_d_src[k])
                continue;
            if (value->has_writer)
                plan_wish(wishes, &node->src[k].sum, plan_tensor_bytes(value->grad.shape), node->backward_step,
                          node->backward_step);
            value->has_writer = true;
        }
    }
}

static int64_t plan_factors(const struct layer *layer)
{
    return layer->dst.shape.n * tensor_stored_channels(layer->dst.shape.c);
}

static void plan_layers(struct network *network, struct wishes *wishes)
{
    for (int64_t i = 0; i < network->n_layers; i++) {
        struct node *node = &network->nodes[i];
        struct layer *layer = &node->layer;
        int64_t bytes = (int64_t)layer->scratch_bytes, forward = plan_forward_step(i), again = node->again_step,
                backward = node->backward_step;
        if (node->skipped)
            continue;
        if (node->stats_reader)
            plan_wish(wishes, (void **)&layer->dst_stats, (int64_t)layer->ops->stats_bytes(layer), forward,
                      plan_forward_step(node->stats_reader));
        if (node->affine_reader)
            plan_wish(wishes, (void **)&layer->dst_affine.scale, 2 * plan_factors(layer) * (int64_t)sizeof(float),
                      forward, plan_forward_step(node->affine_reader));
        plan_wish(wishes, &layer->kept, (int64_t)layer->kept_bytes, forward,
                  backward > again ? backward
                  : again > 0      ? again
                                   : forward);
        plan_wish(wishes, &node->scratch_forward, bytes, forward, forward);
        if (again > 0)
            plan_wish(wishes, &node->scratch_again, bytes, again, again);
        if (backward > 0)
            plan_wish(wishes, &node->scratch_backward, bytes, backward, backward);
    }
}

/* Data, gradients, and data again of all values: items 0 .. L, L + 1 .. 2 L + 1, 2 L + 2 .. 3 L + 2. */
static void plan_values(struct network *network, struct wishes *wishes)
{
    int64_t n = network->n_layers + 1;
    for (int64_t i = 0; i < 3 * n; i++)
        plan_wish(wishes, NULL, 0, INT64_MAX, INT64_MIN);
    plan_data(network, wishes->items, wishes->items + 2 * n);
    plan_grad(network, wishes->items + n);
    for (int64_t i = 0; i < 3 * n; i++)
        if (wishes->items[i].last >= 0)
            wishes->items[i].bytes = plan_tensor_bytes(network->values[i % n].data.shape);
}

void network_point(struct network *network, struct node *node, bool backward)
{
    struct layer *layer = &node->layer;
    const struct value *dst = &network->values[layer->index + 1];
    layer->dst.data = backward ? dst->again : dst->data.data;
    for (int k = 0; k < layer->n_src; k++) {
        const struct value *src = &network->values[node->src[k].value];
        layer->src[k].data = backward ? src->again : src->data.data;
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

static float *plan_address(const struct network *network, const struct plan_item *item, int64_t part)
{
    return item->bytes ? (float *)(void *)(network->memory + item->offset) + part : NULL;
}

/* Takes the arena and sets every pointer into it. */
static enum status plan_attach(struct network *network, const struct wishes *wishes, struct error *error)
{
    int64_t n = network->n_layers + 1;
    network->memory = memory_alloc(1, (size_t)network->bytes);
    if (!network->memory)
        return error_memory(error, (size_t)network->bytes, "activations (a smaller patch or batch would fit)");
    for (int64_t i = 3 * n; i < wishes->n; i++)
        *wishes->pointers[i] = network->memory + wishes->items[i].offset;
    for (int64_t i = 0; i < n; i++) {
        struct value *value = &network->values[i];
        const struct plan_item *data = &wishes->items[value->shares];
        value->data.data = plan_address(network, &data[0], value->part);
        value->grad.data = value->wants_grad ? plan_address(network, &data[n], value->part) : NULL;
        value->again = network->values[value->shares].dropped ? plan_address(network, &data[2 * n], value->part)
                                                              : value->data.data;
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
    struct wishes wishes = {.items = memory_alloc((size_t)capacity, sizeof *wishes.items),
                            .pointers = memory_alloc((size_t)capacity, sizeof *wishes.pointers)};
    enum status status = STATUS_OK;
    if (!wishes.items || !wishes.pointers) {
        status = error_memory(error, (size_t)capacity * sizeof *wishes.items, "memory plan");
        goto done;
    }
    for (int64_t i = 0; i <= n; i++)
        network->values[i].has_writer = false;
    plan_values(network, &wishes);
    plan_stats(network, &wishes);
    plan_layers(network, &wishes);
    struct shape dst = network->values[n].data.shape;
    if (tensor_channel_block(dst.c) > 1)
        plan_wish(&wishes, &network->dst_plain, shape_count(dst) * (int64_t)sizeof(float), n + 1,
                  plan_last_step(network));
    for (int64_t i = 0; i < wishes.n && network->options.no_reuse; i++) {
        wishes.items[i].first = 0;
        wishes.items[i].last = plan_last_step(network);
    }
    status = plan_place(wishes.items, wishes.n, &network->bytes, error);
    if (!status && allocate)
        status = plan_attach(network, &wishes, error);
done:
    memory_free(wishes.items);
    memory_free(wishes.pointers);
    return status;
}
