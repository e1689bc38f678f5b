/* recompute.c - which values are recomputed for backward instead of kept, and the order of the backward pass.
 *
 * Backward goes through the layers from last to first. Before a layer whose backward reads a dropped value, the layer
 * that makes that value runs forward once more, after those that make what it reads, as far back as the nearest value
 * that was kept (Chen et al., "Training deep nets with sublinear memory cost", 2016). Each layer runs at most twice;
 * the second run gives the same bits: dropout draws the same mask, norms keep their statistics. Test:
 *   tests/nn/test_recompute.c */
#include "nn/network/network_impl.h"

/* ---- the order of the backward pass ---- */

static void recompute_push(struct network *network, int64_t node, bool recompute)
{
    int64_t step = network->n_layers + 3 + network->n_backward_steps;
    network->backward_steps[network->n_backward_steps++] = (struct backward_step){node, recompute};
    *(recompute ? &network->nodes[node].recompute_step : &network->nodes[node].backward_step) = step;
}

static void recompute_value(struct network *network, int64_t index)
{
    struct value *value = &network->values[index];
    if (!network->values[value->shares].dropped || value->scheduled)
        return;
    value->scheduled = true;
    const struct node *maker = &network->nodes[index - 1];
    for (int k = 0; k < maker->layer.n_src; k++)
        recompute_value(network, maker->src[k].value);
    recompute_push(network, index - 1, true);
}

static void recompute_order(struct network *network)
{
    network->n_backward_steps = 0;
    for (int64_t i = 0; i <= network->n_layers; i++)
        network->values[i].scheduled = false;
    for (int64_t i = 0; i < network->n_layers; i++)
        network->nodes[i].recompute_step = network->nodes[i].backward_step = -1;
    for (int64_t i = network->n_layers - 1; i >= 0; i--) {
        const struct node *node = &network->nodes[i];
        if (node->skipped || !node->layer.training)
            continue;
        for (int k = 0; k < node->layer.n_src && layer_reads_src(&node->layer); k++)
            recompute_value(network, node->src[k].value);
        if (layer_reads_dst(&node->layer))
            recompute_value(network, i + 1);
        recompute_push(network, i, false);
    }
}

/* ---- what is dropped ---- */

/* A buffer may be dropped when every layer that writes it may run twice; the input and the output stay. */
static void recompute_drop(struct network *network, bool convolutions_too)
{
    for (int64_t i = 0; i <= network->n_layers; i++)
        network->values[i].dropped = i > 0 && network->values[i].shares == i;
    for (int64_t i = 0; i < network->n_layers; i++)
        if (network->nodes[i].layer.ops->macs && !convolutions_too)
            network->values[network->values[i + 1].shares].dropped = false;
    network->values[network->values[0].shares].dropped = false;
    network->values[network->values[network->n_layers].shares].dropped = false;
}

/* The arena's size with the values that are dropped now. */
static enum status recompute_measure(struct network *network, int64_t *ret_bytes, struct error *error)
{
    recompute_order(network);
    enum status status = network_plan(network, false, error);
    *ret_bytes = network->bytes;
    return status;
}

/* Plans that a search may make, so that a network of a thousand layers is not searched for hours. */
static int64_t recompute_budget(const struct network *network)
{
    int64_t budget = INT64_C(200000000) / (network->n_layers * network->n_layers + 1);
    return budget < 20000 ? budget : 20000;
}

/* Drops or keeps one more buffer at a time, always the one that helps most, until none does. */
static enum status recompute_search(struct network *network, const bool *may_drop, int64_t *ret_bytes,
                                    struct error *error)
{
    int64_t budget = recompute_budget(network), bytes, best = 0;
    if (recompute_measure(network, ret_bytes, error))
        return error->status;
    while (best >= 0) {
        best = -1;
        for (int64_t i = 0; i <= network->n_layers && budget > 0; i++) {
            struct value *value = &network->values[i];
            if (!may_drop[i])
                continue;
            budget--;
            value->dropped = !value->dropped;
            if (recompute_measure(network, &bytes, error))
                return error->status;
            value->dropped = !value->dropped;
            if (bytes < *ret_bytes) {
                best = i;
                *ret_bytes = bytes;
            }
        }
        if (best >= 0)
            network->values[best].dropped = !network->values[best].dropped;
    }

    return STATUS_OK;
}

/* Small buffers are not worth a search. */
static bool recompute_counts(const struct network *network, int64_t index)
{
    int64_t largest = 0;
    for (int64_t i = 0; i <= network->n_layers; i++) {
        int64_t floats = tensor_floats(network->values[i].data.shape);
        largest = floats > largest ? floats : largest;
    }
    return tensor_floats(network->values[index].data.shape) > largest / 32;
}

/* Two searches, from all that is cheap and from all there is; the better one stays. */
static enum status recompute_most(struct network *network, struct error *error)
{
    int64_t n = network->n_layers + 1, from_cheap, from_all;
    bool *may_drop = memory_alloc(2 * (size_t)n, sizeof *may_drop);
    if (!may_drop)
        return error_memory(error, 2 * (size_t)n, "memory plan");
    bool *found = may_drop + n;
    recompute_drop(network, true);
    for (int64_t i = 0; i < n; i++)
        may_drop[i] = network->values[i].dropped && recompute_counts(network, i);
    enum status status = recompute_search(network, may_drop, &from_all, error);
    for (int64_t i = 0; i < n; i++)
        found[i] = network->values[i].dropped;
    recompute_drop(network, false);
    if (!status)
        status = recompute_search(network, may_drop, &from_cheap, error);

    /* The better of the two: from all there is, or from all that is cheap. */
    for (int64_t i = 0; i < n && !status && from_all < from_cheap; i++)
        network->values[i].dropped = found[i];
    memory_free(may_drop);
    return status;
}

enum status network_recompute(struct network *network, enum network_recompute mode, struct error *error)
{
    enum status status = STATUS_OK;
    recompute_drop(network, false);
    for (int64_t i = 0; i <= network->n_layers && (mode == RECOMPUTE_NOTHING || network->mode == NETWORK_INFER); i++)
        network->values[i].dropped = false;
    if (mode == RECOMPUTE_MOST && network->mode != NETWORK_INFER)
        status = recompute_most(network, error);
    recompute_order(network);
    return status;
}
