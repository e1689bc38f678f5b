/* network_plan.c - when every buffer of a network lives, and where it lies.
 *
 * Steps of one pass, L layers: 0 input; 1 + i forward of layer i; L + 1 output; L + 2 gradient of the loss;
 * 2L + 2 - i backward of layer i; 2L + 3 gradient by the input. */
#include "nn/network_impl.h"
#include "nn/plan.h"

/* The buffers, each with the pointer that is to hold its address. The first 2 (L + 1) are the data and the gradients of the
 * values, without a pointer: tensors and in-place partners share those. */
struct wishes {
    int64_t n;
    struct plan_item *items;
    void ***pointers;
};

static int64_t plan_forward_step(int64_t layer)
{
    return 1 + layer;
}

static int64_t plan_backward_step(const struct network *network, int64_t layer)
{
    return 2 * network->n_layers + 2 - layer;
}

static void plan_wish(struct wishes *wishes, void **pointer, int64_t bytes, int64_t first, int64_t last)
{
    wishes->items[wishes->n] = (struct plan_item){.bytes = bytes, .first = first, .last = last};
    wishes->pointers[wishes->n++] = pointer;
}

static void plan_extend(struct plan_item *item, int64_t step)
{
    item->first = step < item->first ? step : item->first;
    item->last = step > item->last ? step : item->last;
}

/* Lives of the values' data: from their maker to their last reader, in training as long as backward reads them. */
static void plan_data(const struct network *network, struct plan_item *data)
{
    int64_t n = network->n_layers;
    for (int64_t i = 0; i < n; i++) {
        const struct node *node = &network->nodes[i];
        const struct layer *layer = &node->layer;
        if (node->skipped)
            continue;
        plan_extend(&data[network->values[i + 1].shares], plan_forward_step(i));
        if (layer->training && (layer->ops->keeps & LAYER_KEEPS_DST))
            plan_extend(&data[network->values[i + 1].shares], plan_backward_step(network, i));
        for (int k = 0; k < layer->n_src; k++) {
            struct plan_item *source = &data[network->values[node->src[k].value].shares];
            plan_extend(source, plan_forward_step(i));
            if (layer->training && (layer->ops->keeps & LAYER_KEEPS_SRC))
                plan_extend(source, plan_backward_step(network, i));
        }
    }
    plan_extend(&data[network->values[0].shares], 0);
    /* The caller reads the output until the next pass; one that must be copied to lie plain only until then. */
    plan_extend(&data[network->values[n].shares], tensor_lane(network->values[n].data.shape.c) == 1 ? 2 * n + 3 : n + 1);
}

/* Lives of the gradients: from their first writer (the last reader of the value) to the backward of the value's maker. */
static void plan_grad(const struct network *network, struct plan_item *grad)
{
    int64_t n = network->n_layers;
    for (int64_t i = 0; i < n; i++) {
        const struct node *node = &network->nodes[i];
        if (!node->layer.training || node->skipped)
            continue;
        plan_extend(&grad[network->values[i + 1].shares], plan_backward_step(network, i));
        for (int k = 0; k < node->layer.n_src; k++)
            if (node->layer.needs_d_src[k])
                plan_extend(&grad[network->values[node->src[k].value].shares], plan_backward_step(network, i));
    }
    if (network->values[n].wants_grad)
        plan_extend(&grad[network->values[n].shares], n + 2);
    if (network->values[0].wants_grad)
        plan_extend(&grad[network->values[0].shares], 2 * n + 3);
}

static int64_t plan_tensor_bytes(struct shape shape)
{
    return tensor_floats(shape) * (int64_t)sizeof(float); /* checked by network_graph */
}

/* The last reader of a value writes its gradient; the readers before it, and further reads by the same layer, write beside. */
static void plan_sums(struct network *network, struct wishes *wishes)
{
    for (int64_t i = network->n_layers - 1; i >= 0; i--) {
        struct node *node = &network->nodes[i];
        for (int k = 0; k < node->layer.n_src && node->layer.training && !node->skipped; k++) {
            struct value *value = &network->values[node->src[k].value];
            if (!node->layer.needs_d_src[k])
                continue;
            if (value->has_writer)
                plan_wish(wishes, &node->src[k].sum, plan_tensor_bytes(value->grad.shape), plan_backward_step(network, i),
                          plan_backward_step(network, i));
            value->has_writer = true;
        }
    }
}

static void plan_layers(struct network *network, struct wishes *wishes)
{
    for (int64_t i = 0; i < network->n_layers; i++) {
        struct node *node = &network->nodes[i];
        struct layer *layer = &node->layer;
        int64_t forward = plan_forward_step(i), backward = plan_backward_step(network, i);
        if (node->skipped)
            continue;
        plan_wish(wishes, &layer->kept, (int64_t)layer->kept_bytes, forward, layer->training ? backward : forward);
        plan_wish(wishes, &node->scratch_forward, (int64_t)layer->scratch_bytes, forward, forward);
        if (layer->training)
            plan_wish(wishes, &node->scratch_backward, (int64_t)layer->scratch_bytes, backward, backward);
    }
}

/* Data and gradients of all values, as items 0 .. L and L + 1 .. 2 L + 1. */
static void plan_values(struct network *network, struct wishes *wishes)
{
    int64_t n = network->n_layers + 1;
    for (int64_t i = 0; i < 2 * n; i++)
        plan_wish(wishes, NULL, 0, INT64_MAX, INT64_MIN);
    plan_data(network, wishes->items);
    plan_grad(network, wishes->items + n);
    for (int64_t i = 0; i < 2 * n; i++)
        if (wishes->items[i].last >= 0)
            wishes->items[i].bytes = plan_tensor_bytes(network->values[i % n].data.shape);
}

static void plan_attach_layer(struct network *network, struct node *node)
{
    struct layer *layer = &node->layer;
    struct value *dst = &network->values[layer->index + 1];
    layer->dst.data = dst->data.data;
    layer->d_dst.data = dst->grad.data;
    for (int k = 0; k < layer->n_src; k++) {
        struct value *src = &network->values[node->src[k].value];
        layer->src[k].data = src->data.data;
        layer->d_src[k].data = !layer->needs_d_src[k] ? NULL : node->src[k].sum ? node->src[k].sum : src->grad.data;
    }
}

/* Takes the arena and sets every pointer into it. */
static enum status plan_attach(struct network *network, const struct wishes *wishes, struct error *error)
{
    int64_t n = network->n_layers + 1;
    network->memory = memory_alloc(1, (size_t)network->bytes);
    if (!network->memory)
        return error_memory(error, (size_t)network->bytes, "activations (a smaller patch or batch would fit)");
    for (int64_t i = 2 * n; i < wishes->n; i++)
        *wishes->pointers[i] = network->memory + wishes->items[i].offset;
    for (int64_t i = 0; i < n; i++) {
        struct value *value = &network->values[i];
        const struct plan_item *data = &wishes->items[value->shares], *grad = &wishes->items[n + value->shares];
        value->data.data = data->bytes ? (void *)(network->memory + data->offset) : NULL;
        value->grad.data = grad->bytes && value->wants_grad ? (void *)(network->memory + grad->offset) : NULL;
    }
    for (int64_t i = 0; i < network->n_layers; i++)
        plan_attach_layer(network, &network->nodes[i]);
    return STATUS_OK;
}

enum status network_plan(struct network *network, bool allocate, struct error *error)
{
    int64_t n = network->n_layers, capacity = 2 * (n + 1) + (3 + LAYER_MAX_SRC) * n + 1;
    struct wishes wishes = {.items = memory_alloc((size_t)capacity, sizeof *wishes.items),
                            .pointers = memory_alloc((size_t)capacity, sizeof *wishes.pointers)};
    enum status status = STATUS_OK;
    if (!wishes.items || !wishes.pointers) {
        status = error_memory(error, (size_t)capacity * sizeof *wishes.items, "memory plan");
        goto done;
    }
    plan_values(network, &wishes);
    plan_sums(network, &wishes);
    plan_layers(network, &wishes);
    struct shape dst = network->values[n].data.shape;
    if (tensor_lane(dst.c) > 1)
        plan_wish(&wishes, &network->dst_plain, shape_count(dst) * (int64_t)sizeof(float), n + 1, 2 * n + 3);
    for (int64_t i = 0; i < wishes.n && network->options.no_reuse; i++) {
        wishes.items[i].first = 0;
        wishes.items[i].last = 2 * n + 3;
    }
    status = plan_place(wishes.items, wishes.n, &network->bytes, error);
    if (!status && allocate)
        status = plan_attach(network, &wishes, error);
done:
    memory_free(wishes.items);
    memory_free(wishes.pointers);
    return status;
}
