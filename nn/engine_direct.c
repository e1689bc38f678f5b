/* engine_direct.c - one direct convolution and the gradient of its weights: picks the kernel, copies where layouts differ. */
#include <string.h>

#include "base/memory.h"
#include "nn/engine_onednn.h"

/* Up to this many plain input channels oneDNN's forward convolution reads as they lie; more are blocked first. */
enum { DIRECT_PLAIN_MAX = 3 };

struct direct_forward {
    struct direct_conv conv;
    struct direct_layout layout;
    struct onednn_conv *onednn;
    int64_t src_floats, dst_floats; /* copies in another layout; 0: none */
};

static int64_t round_up(int64_t n, int64_t step)
{
    return (n + step - 1) / step * step;
}

static struct direct_layout direct_layout_of(const struct direct_conv *conv, int64_t plain_max)
{
    int64_t lane = tensor_block();
    bool plain_src = conv->src.c <= plain_max;
    return (struct direct_layout){.src_c = plain_src ? conv->src.c : round_up(conv->src.c, lane),
                                  .dst_c = round_up(conv->dst.c, lane),
                                  .lane_i = plain_src ? conv->src.c : lane,
                                  .lane_o = lane};
}

/* Floats of a copy of `shape` with `stored_c` channels, or 0 when the tensor already lies like that. */
static int64_t direct_copy_floats(struct shape shape, int64_t lane)
{
    return tensor_lane(shape.c) == lane || shape.c == lane ? 0 : shape.n * round_up(shape.c, lane) * shape_voxels(shape);
}

enum status direct_forward_new(struct direct_forward **ret, const struct direct_conv *conv, bool has_bias, struct error *error)
{
    struct direct_forward *made = memory_zalloc(1, sizeof *made);
    if (!made)
        return error_memory(error, sizeof *made, "convolution");
    made->conv = *conv;
    made->layout = direct_layout_of(conv, DIRECT_PLAIN_MAX);
    made->src_floats = direct_copy_floats(conv->src, made->layout.lane_i);
    made->dst_floats = direct_copy_floats(conv->dst, made->layout.lane_o);
    if (onednn_conv_new(&made->onednn, ONEDNN_FORWARD, conv, &made->layout, has_bias, error)) {
        direct_forward_free(made);
        return error->status;
    }
    *ret = made;
    return STATUS_OK;
}

void direct_forward_free(struct direct_forward *forward)
{
    if (!forward)
        return;
    onednn_conv_free(forward->onednn);
    memory_free(forward);
}

size_t direct_forward_scratch_bytes(const struct direct_forward *forward)
{
    return scratch_bytes(forward->src_floats) + scratch_bytes(forward->dst_floats) + onednn_conv_scratch_bytes(forward->onednn);
}

struct direct_layout direct_forward_layout(const struct direct_forward *forward)
{
    return forward->layout;
}

const char *direct_forward_name(const struct direct_forward *forward)
{
    return onednn_conv_name(forward->onednn);
}

void direct_forward_run(struct direct_forward *forward, const float *src, const float *packed, const float *b, float *dst, void *scratch)
{
    char *at = scratch;
    float *src_copy = scratch_take(&at, forward->src_floats), *dst_copy = scratch_take(&at, forward->dst_floats);
    if (forward->src_floats)
        tensor_pack_lanes(src_copy, src, forward->conv.src, forward->layout.lane_i);
    onednn_conv_run(forward->onednn, forward->src_floats ? src_copy : src, packed, b, forward->dst_floats ? dst_copy : dst, at);
    if (forward->dst_floats)
        tensor_unpack_lanes(dst, dst_copy, forward->conv.dst, forward->layout.lane_o);
}

/* ---- the gradient of the weights ---- */

struct direct_weights {
    struct direct_conv conv;
    struct direct_layout layout;
    struct onednn_conv *onednn;
    struct shape halo; /* src with its border of zeros in memory: oneDNN's fast kernel takes no padding */
    int64_t src_floats, dst_floats, halo_floats;
};

/* The part of src that the convolution reads, padding included. */
static struct shape direct_halo(const struct direct_conv *conv)
{
    struct shape halo = conv->src;
    halo.d = (conv->dst.d - 1) * conv->stride[0] + conv->kernel[0];
    halo.h = (conv->dst.h - 1) * conv->stride[1] + conv->kernel[1];
    halo.w = (conv->dst.w - 1) * conv->stride[2] + conv->kernel[2];
    return halo;
}

static bool direct_is_padded(const struct direct_conv *conv, struct shape halo)
{
    return conv->pad[0] || conv->pad[1] || conv->pad[2] || halo.d > conv->src.d || halo.h > conv->src.h || halo.w > conv->src.w;
}

enum status direct_weights_new(struct direct_weights **ret, const struct direct_conv *conv, struct error *error)
{
    struct direct_weights *made = memory_zalloc(1, sizeof *made);
    struct direct_conv inner = *conv;
    if (!made)
        return error_memory(error, sizeof *made, "convolution");
    made->conv = *conv;
    made->layout = direct_layout_of(conv, 0);
    made->halo = direct_halo(conv);
    made->src_floats = direct_copy_floats(conv->src, made->layout.lane_i);
    made->dst_floats = direct_copy_floats(conv->dst, made->layout.lane_o);
    if (made->layout.lane_i == made->layout.lane_o && direct_is_padded(conv, made->halo)) {
        made->halo_floats = made->halo.n * made->layout.src_c * shape_voxels(made->halo);
        inner.src = made->halo;
        memset(inner.pad, 0, sizeof inner.pad);
    }
    if (onednn_conv_new(&made->onednn, ONEDNN_WEIGHTS, &inner, &made->layout, false, error)) {
        direct_weights_free(made);
        return error->status;
    }
    *ret = made;
    return STATUS_OK;
}

void direct_weights_free(struct direct_weights *weights)
{
    if (!weights)
        return;
    onednn_conv_free(weights->onednn);
    memory_free(weights);
}

size_t direct_weights_scratch_bytes(const struct direct_weights *weights)
{
    return scratch_bytes(weights->src_floats) + scratch_bytes(weights->dst_floats) + scratch_bytes(weights->halo_floats) +
           onednn_conv_scratch_bytes(weights->onednn);
}

struct direct_layout direct_weights_layout(const struct direct_weights *weights)
{
    return weights->layout;
}

const char *direct_weights_name(const struct direct_weights *weights)
{
    return onednn_conv_name(weights->onednn);
}

/* Copies src into the middle of the halo; what src has beyond it is dropped, the rest is zero. */
static void direct_fill_halo(const struct direct_weights *weights, float *halo, const float *src)
{
    const struct shape from = weights->conv.src, to = weights->halo;
    const int64_t *pad = weights->conv.pad, lane = weights->layout.lane_i, planes = to.n * (weights->layout.src_c / lane);
    int64_t width = from.w < to.w - pad[2] ? from.w : to.w - pad[2];
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t p = 0; p < planes; p++)
        for (int64_t z = 0; z < to.d; z++)
            for (int64_t y = 0; y < to.h; y++) {
                float *row = halo + ((p * to.d + z) * to.h + y) * to.w * lane;
                int64_t from_z = z - pad[0], from_y = y - pad[1];
                bool inside = from_z >= 0 && from_z < from.d && from_y >= 0 && from_y < from.h && width > 0;
                if (!inside) {
                    memset(row, 0, (size_t)(to.w * lane) * sizeof *row);
                    continue;
                }
                memset(row, 0, (size_t)(pad[2] * lane) * sizeof *row);
                memcpy(row + pad[2] * lane, src + ((p * from.d + from_z) * from.h + from_y) * from.w * lane,
                       (size_t)(width * lane) * sizeof *row);
                memset(row + (pad[2] + width) * lane, 0, (size_t)((to.w - pad[2] - width) * lane) * sizeof *row);
            }
}

void direct_weights_run(struct direct_weights *weights, const float *src, const float *d_dst, float *d_packed, void *scratch)
{
    char *at = scratch;
    float *src_copy = scratch_take(&at, weights->src_floats), *dst_copy = scratch_take(&at, weights->dst_floats);
    float *halo = scratch_take(&at, weights->halo_floats);
    if (weights->src_floats) {
        tensor_pack_lanes(src_copy, src, weights->conv.src, weights->layout.lane_i);
        src = src_copy;
    }
    if (weights->dst_floats) {
        tensor_pack_lanes(dst_copy, d_dst, weights->conv.dst, weights->layout.lane_o);
        d_dst = dst_copy;
    }
    if (weights->halo_floats) {
        direct_fill_halo(weights, halo, src);
        src = halo;
    }
    onednn_conv_run(weights->onednn, src, d_packed, NULL, d_dst, at);
}
