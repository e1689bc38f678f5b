/* precision.c - which values are stored as bfloat16, and how layers that compute in float32 meet them.
 * Test: tests/nn/test_bfloat16.c
 *
 * With `precision: bfloat16` every value between the network's input and its output, and every gradient by one, has 16
 * bits. Parameters, their gradients, statistics, the input and the output stay float32. Layers convert on their way
 * where they can (enum layer_bfloat16); for the others the network converts whole tensors in the call's scratch. */
#include <string.h>

#include "nn/layers/rows.h"
#include "nn/network/network_impl.h"

/* Values of an elementwise layer that are converted at a time: its buffers stay in the second cache. The layer opens a
 * parallel region for each, which costs as much as a few hundred values. */
enum { PRECISION_CHUNK = 4096 };

void network_precision_assign(struct network *network)
{
    const int64_t n = network->n_layers;
    const int64_t input = network->values[0].shares, output = network->values[n].shares;
    for (int64_t i = 0; i <= n; i++) {
        struct value *value = &network->values[i];
        const bool inner = value->shares != input && value->shares != output;
        value->data.bfloat16 = value->grad.bfloat16 = inner && network->config->precision == PRECISION_BFLOAT16;
    }

    for (int64_t i = 0; i < n; i++) {
        struct node *node = &network->nodes[i];
        struct layer *layer = &node->layer;
        layer->dst.bfloat16 = layer->d_dst.bfloat16 = network->values[i + 1].data.bfloat16;
        bool any = layer->dst.bfloat16;
        for (int k = 0; k < layer->n_src; k++) {
            layer->src[k].bfloat16 = layer->d_src[k].bfloat16 = network->values[node->src[k].value].data.bfloat16;
            any = any || layer->src[k].bfloat16;
        }
        layer->staged = any && layer->ops->bfloat16 == LAYER_BFLOAT16_STAGED;
    }
}

/* ---- whole tensors, for layers that know only float32 ---- */

static size_t precision_copy_bytes(struct tensor tensor)
{
    const size_t bytes = (size_t)tensor_floats(tensor.shape) * sizeof(float);
    return tensor.bfloat16 ? (bytes + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN : 0;
}

size_t network_staging_bytes(const struct layer *layer, bool backward)
{
    size_t bytes = 0;
    if (!layer->staged)
        return 0;
    for (int k = 0; k < layer->n_src; k++) {
        if (!backward || layer_reads_src(layer))
            bytes += precision_copy_bytes(layer->src[k]);
        if (backward && layer->needs_d_src[k])
            bytes += precision_copy_bytes(layer->d_src[k]);
    }
    if (!backward || layer_reads_dst(layer))
        bytes += precision_copy_bytes(layer->dst);
    return bytes + (backward ? precision_copy_bytes(layer->d_dst) : 0);
}

static void precision_convert(struct tensor dst, struct tensor src)
{
    const int64_t floats = tensor_floats(src.shape), chunks = (floats + PRECISION_CHUNK - 1) / PRECISION_CHUNK;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < chunks; i++) {
        const int64_t at = i * PRECISION_CHUNK, left = floats - at, n = left < PRECISION_CHUNK ? left : PRECISION_CHUNK;
        if (src.bfloat16)
            tensor_load(dst.data + at, src, at, n);
        else
            tensor_store(dst, at, src.data + at, n);
    }
}

/* A float32 copy of *tensor, at *at, in its place. with_values: of what it holds. */
static void precision_stage(struct tensor *tensor, char **at, bool with_values)
{
    const struct tensor stored = *tensor;
    if (!stored.bfloat16 || !stored.data)
        return;
    *tensor = (struct tensor){.shape = stored.shape, .data = (float *)(void *)*at};
    *at += precision_copy_bytes(stored);
    if (with_values)
        precision_convert(*tensor, stored);
}

static void precision_unstage(struct tensor stored, struct tensor copy)
{
    if (stored.bfloat16 && stored.data)
        precision_convert(stored, copy);
}

static void precision_run_staged(struct layer *layer, const struct pass *pass, bool backward)
{
    const struct layer stored = *layer;
    const bool reads_src = !backward || layer_reads_src(layer), reads_dst = backward && layer_reads_dst(layer);
    char *at = (char *)layer->scratch + (layer->scratch_bytes + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN;

    for (int k = 0; k < layer->n_src; k++)
        if (reads_src)
            precision_stage(&layer->src[k], &at, true);
    if (stored.dst.data == stored.src[0].data && shape_equal(stored.dst.shape, stored.src[0].shape) && reads_src)
        layer->dst = layer->src[0];
    else if (!backward || reads_dst)
        precision_stage(&layer->dst, &at, reads_dst);
    if (backward)
        precision_stage(&layer->d_dst, &at, true);
    for (int k = 0; k < layer->n_src && backward; k++) {
        if (stored.d_src[k].data == stored.d_dst.data && shape_equal(stored.d_src[k].shape, stored.d_dst.shape))
            layer->d_src[k] = layer->d_dst;
        else
            precision_stage(&layer->d_src[k], &at, false);
    }

    (backward ? layer->ops->backward : layer->ops->forward)(layer, pass);

    if (!backward)
        precision_unstage(stored.dst, layer->dst);
    for (int k = 0; k < layer->n_src && backward; k++)
        precision_unstage(stored.d_src[k], layer->d_src[k]);
    memcpy(layer->src, stored.src, sizeof stored.src);
    memcpy(layer->d_src, stored.d_src, sizeof stored.d_src);
    layer->dst = stored.dst;
    layer->d_dst = stored.d_dst;
}

/* ---- a chunk at a time, for elementwise layers ---- */

enum { PRECISION_BUFFERS = 2 * LAYER_MAX_SRC + 2 };

/* n values of `tensor` from `at` on, in a buffer. */
static struct tensor precision_chunk(struct tensor tensor, int64_t at, int64_t n, float *buffer, bool with_values)
{
    if (tensor.data && with_values)
        tensor_load(buffer, tensor, at, n);
    return (struct tensor){.shape = {1, 1, 1, 1, n}, .data = tensor.data ? buffer : NULL};
}

static void precision_run_chunk(const struct layer *layer, const struct pass *pass, bool backward, int64_t at,
                                int64_t n)
{
    float buffers[PRECISION_BUFFERS][PRECISION_CHUNK];
    struct layer part = *layer;
    int used = 0;
    for (int k = 0; k < layer->n_src; k++)
        part.src[k] =
            precision_chunk(layer->src[k], at, n, buffers[used++], !backward || layer->dst.data != layer->src[k].data);
    part.dst = !backward && layer->dst.data == layer->src[0].data
                   ? part.src[0]
                   : precision_chunk(layer->dst, at, n, buffers[used++], backward);
    if (backward)
        part.d_dst = precision_chunk(layer->d_dst, at, n, buffers[used++], true);
    for (int k = 0; k < layer->n_src && backward; k++)
        part.d_src[k] = layer->d_src[k].data == layer->d_dst.data
                            ? part.d_dst
                            : precision_chunk(layer->d_src[k], at, n, buffers[used++], false);

    (backward ? layer->ops->backward : layer->ops->forward)(&part, pass);

    if (!backward)
        tensor_store(layer->dst, at, part.dst.data, n);
    for (int k = 0; k < layer->n_src && backward; k++)
        if (layer->d_src[k].data)
            tensor_store(layer->d_src[k], at, part.d_src[k].data, n);
}

static void precision_run_elementwise(const struct layer *layer, const struct pass *pass, bool backward)
{
    const int64_t floats = tensor_floats(layer->dst.shape), chunks = (floats + PRECISION_CHUNK - 1) / PRECISION_CHUNK;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < chunks; i++) {
        const int64_t at = i * PRECISION_CHUNK, left = floats - at;
        precision_run_chunk(layer, pass, backward, at, left < PRECISION_CHUNK ? left : PRECISION_CHUNK);
    }
    if (!backward)
        rows_clear_padding(layer->dst);
}

void network_run_layer(struct layer *layer, const struct pass *pass, bool backward)
{
    bool any = layer->dst.bfloat16;
    for (int k = 0; k < layer->n_src; k++)
        any = any || layer->src[k].bfloat16;

    if (layer->staged)
        precision_run_staged(layer, pass, backward);
    else if (any && layer->ops->bfloat16 == LAYER_BFLOAT16_ELEMENTWISE)
        precision_run_elementwise(layer, pass, backward);
    else
        (backward ? layer->ops->backward : layer->ops->forward)(layer, pass);
}

void network_add_tensor(struct tensor dst, struct tensor src)
{
    const int64_t floats = tensor_floats(dst.shape), chunks = (floats + PRECISION_CHUNK - 1) / PRECISION_CHUNK;
    if (!dst.bfloat16) {
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < floats; i++)
            dst.data[i] += src.data[i];
        return;
    }
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < chunks; i++) {
        const int64_t at = i * PRECISION_CHUNK, left = floats - at, n = left < PRECISION_CHUNK ? left : PRECISION_CHUNK;
        float a[PRECISION_CHUNK], b[PRECISION_CHUNK];
        tensor_load(a, dst, at, n);
        tensor_load(b, src, at, n);
        for (int64_t k = 0; k < n; k++)
            a[k] += b[k];
        tensor_store(dst, at, a, n);
    }
}
