/* flatten.c - every value a channel of one voxel, in the order c, z, y, x (as PyTorch).
 *   src (N,C,D,H,W)   dst (N,C*D*H*W,1,1,1)          Keeps nothing.          Test: tests/nn/test_join.c */
#include <string.h>

#include "nn/layer.h"

static enum status flatten_shape(const struct layer *layer, struct shape *ret_dst, struct error *error)
{
    (void)error;
    struct shape src = layer->src[0].shape;
    *ret_dst = (struct shape){src.n, src.c * shape_voxels(src), 1, 1, 1};
    return STATUS_OK;
}

/* Sample n of a tensor. */
static struct tensor flatten_sample(struct tensor tensor, int64_t n)
{
    tensor.data += n * (tensor_floats(tensor.shape) / tensor.shape.n);
    tensor.shape.n = 1;
    return tensor;
}

static void flatten_forward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    int64_t count = layer->dst.shape.c, stored = tensor_stored_channels(count);
    for (int64_t n = 0; n < layer->dst.shape.n; n++) {
        float *dst = flatten_sample(layer->dst, n).data; /* one voxel: blocks of channels lie plain */
        tensor_to_plain(dst, flatten_sample(layer->src[0], n));
        memset(dst + count, 0, (size_t)(stored - count) * sizeof *dst);
    }
}

static void flatten_backward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    for (int64_t n = 0; n < layer->dst.shape.n && layer->d_src[0].data; n++)
        tensor_from_plain(flatten_sample(layer->d_src[0], n), flatten_sample(layer->d_dst, n).data);
}

/* clang-format off */
const struct layer_ops layer_flatten = {
    .config = {.type = "flatten", .help = "all values as channels of one voxel, for dense", .base = &layer_base_table,
               .size = sizeof(struct layer_config)},
    .min_src = 1, .max_src = 1, .keeps = LAYER_KEEPS_NOTHING, .in_place = LAYER_IN_PLACE_NEVER,
    .shape = flatten_shape, .forward = flatten_forward, .backward = flatten_backward,
};
/* clang-format on */
