/* direct.c - one direct convolution: picks the kernel, copies where layouts differ.
 * Test: tests/nn/test_engine.c */
#include "nn/engine/direct.h"

#include <stdio.h>

#include "base/memory.h"
#include "nn/engine/cpu.h"
#include "nn/engine/kernels.h"
#include "nn/engine/onednn.h"
#include "nn/engine/pairs.h"
#include "nn/engine/weights_pack.h"
#include "nn/engine/winograd.h"

/* Up to this many plain input channels oneDNN reads as they lie (our kernel: one); more are blocked first. */
enum { DIRECT_PLAIN_MAX = 3 };

struct direct_forward {
    struct direct_conv conv;
    struct direct_layout layout;
    struct onednn_conv *onednn; /* NULL: one of our own kernels */
    struct winograd *winograd;
    bool pairs_winograd;            /* of bfloat16 tensors: else pairs.h */
    int64_t src_floats, dst_floats; /* copies in another layout; 0: none */
    char name[48];
};

static int64_t direct_round_up(int64_t n, int64_t step)
{
    return (n + step - 1) / step * step;
}

/* src blocked, dst plain: oneDNN would fill whole blocks of output channels. */
static bool direct_is_thin(const struct direct_conv *conv)
{
    return tensor_channel_block(conv->src.c) > 1 && tensor_channel_block(conv->dst.c) == 1;
}

/* With so many channels our kernel is as fast as oneDNN's, and its sums of two levels are more exact; with so few and a
 * stride it is faster (measured with AVX-512). */
enum { DIRECT_MANY_CHANNELS = 256, DIRECT_FEW_CHANNELS = 32 };

/* A single block of output channels leaves oneDNN's kernel waiting for its sums; without AVX2 it has nothing but its
 * reference. */
static bool direct_is_own(const struct direct_conv *conv)
{
    if (conv->dst.c <= tensor_block() || cpu_isa() == CPU_PLAIN)
        return true;
    const bool strided = conv->stride[0] * conv->stride[1] * conv->stride[2] > 1;
    return cpu_isa() == CPU_AVX512 && tensor_channel_block(conv->src.c) > 1 &&
           (conv->src.c >= DIRECT_MANY_CHANNELS || (strided && conv->src.c <= DIRECT_FEW_CHANNELS));
}

static struct direct_layout direct_layout_of(const struct direct_conv *conv)
{
    int64_t block_c = tensor_block();
    if (conv->bfloat16)
        return (struct direct_layout){direct_round_up(conv->src.c, block_c), direct_round_up(conv->dst.c, block_c),
                                      block_c, block_c};
    bool plain_src = conv->src.c <= (direct_is_own(conv) ? 1 : DIRECT_PLAIN_MAX), thin = direct_is_thin(conv);
    return (struct direct_layout){.src_c = plain_src ? conv->src.c : direct_round_up(conv->src.c, block_c),
                                  .dst_c = thin ? conv->dst.c : direct_round_up(conv->dst.c, block_c),
                                  .block_i = plain_src ? conv->src.c : block_c,
                                  .block_o = thin ? 1 : block_c};
}

/* Floats of a copy of a tensor blocked by `block_c`, or 0 when it lies like that (or is read as plain) already. */
static int64_t direct_copy_floats(struct shape shape, int64_t block_c)
{
    return tensor_channel_block(shape.c) == block_c || shape.c == block_c
               ? 0
               : shape.n * direct_round_up(shape.c, block_c) * shape_voxels(shape);
}

enum status direct_forward_new(struct direct_forward **ret, const struct direct_conv *conv, bool has_bias,
                               struct error *error)
{
    struct direct_forward *made = memory_zalloc(1, sizeof *made);
    if (!made)
        return error_memory(error, sizeof *made, "convolution");
    made->conv = *conv;
    made->layout = direct_layout_of(conv);
    made->src_floats = direct_copy_floats(conv->src, made->layout.block_i);
    made->dst_floats = direct_copy_floats(conv->dst, made->layout.block_o);

    if (conv->bfloat16) {
        made->pairs_winograd = pairs_winograd_supports(conv);
        snprintf(made->name, sizeof made->name, "%s:%s", made->pairs_winograd ? "pairs_winograd" : "pairs",
                 pairs_kernels()->name);
    } else if (direct_is_thin(conv)) {
        snprintf(made->name, sizeof made->name, "thin:%s", engine_kernels()->name);
    } else if (conv->winograd && winograd_supports(conv)) {
        snprintf(made->name, sizeof made->name, "winograd:%s", engine_kernels()->name);
        if (winograd_new(&made->winograd, conv, false, error)) {
            direct_forward_free(made);
            return error->status;
        }
    } else if (direct_is_own(conv)) {
        snprintf(made->name, sizeof made->name, "own:%s", engine_kernels()->name);
    } else if (onednn_conv_new(&made->onednn, conv, &made->layout, has_bias, error)) {
        direct_forward_free(made);
        return error->status;
    } else {
        snprintf(made->name, sizeof made->name, "%s", onednn_conv_name(made->onednn));
    }

    *ret = made;
    return STATUS_OK;
}

void direct_forward_free(struct direct_forward *forward)
{
    if (!forward)
        return;
    onednn_conv_free(forward->onednn);
    winograd_free(forward->winograd);
    memory_free(forward);
}

size_t direct_forward_scratch_bytes(const struct direct_forward *forward)
{
    if (forward->conv.bfloat16)
        return forward->pairs_winograd ? pairs_winograd_scratch_bytes(&forward->conv)
                                       : pairs_scratch_bytes(&forward->conv);
    size_t bytes = scratch_bytes(forward->src_floats) + scratch_bytes(forward->dst_floats);
    bytes += forward->onednn ? onednn_conv_scratch_bytes(forward->onednn) : 0;
    return bytes + (forward->winograd ? winograd_scratch_bytes(forward->winograd) : 0);
}

bool direct_forward_packs_pairs(const struct direct_forward *forward)
{
    return forward->conv.bfloat16 && !forward->pairs_winograd;
}

static int64_t direct_weights_end(const struct direct_forward *forward)
{
    const int64_t *kernel = forward->conv.kernel;
    return weights_floats(&forward->layout, kernel[0] * kernel[1] * kernel[2]) /
           (direct_forward_packs_pairs(forward) ? 2 : 1);
}

int64_t direct_forward_packed_floats(const struct direct_forward *forward)
{
    return direct_weights_end(forward) + (forward->winograd ? winograd_packed_floats(forward->winograd) : 0) +
           (forward->pairs_winograd ? pairs_winograd_words(&forward->conv) : 0);
}

void direct_forward_prepare(const struct direct_forward *forward, float *packed)
{
    if (forward->winograd)
        winograd_prepare(forward->winograd, packed, packed + direct_weights_end(forward));
    if (forward->pairs_winograd)
        pairs_winograd_prepare(&forward->conv, packed, (uint32_t *)(void *)(packed + direct_weights_end(forward)));
}

struct direct_layout direct_forward_layout(const struct direct_forward *forward)
{
    return forward->layout;
}

int64_t direct_conv_macs(const struct direct_conv *conv)
{
    return shape_count(conv->dst) * conv->src.c * conv->kernel[0] * conv->kernel[1] * conv->kernel[2];
}

int64_t direct_forward_macs(const struct direct_forward *forward)
{
    if (forward->pairs_winograd)
        return pairs_winograd_macs(&forward->conv);
    return forward->winograd ? winograd_macs(forward->winograd) : direct_conv_macs(&forward->conv);
}

const char *direct_forward_name(const struct direct_forward *forward)
{
    return forward->name;
}

enum status direct_forward_status(const struct direct_forward *forward, struct error *error)
{
    return forward->onednn ? onednn_conv_status(forward->onednn, error) : STATUS_OK;
}

/* Whether all of a kernel's reads of src pass where an affine can be fused: own blocked source, no copy. */
bool direct_forward_can_fuse_norm(const struct direct_forward *forward)
{
    const bool fuses = forward->winograd || (direct_is_thin(&forward->conv) && !forward->conv.bfloat16);
    return fuses && !forward->src_floats;
}

int64_t direct_forward_stats(const struct direct_forward *forward)
{
    if (forward->pairs_winograd)
        return pairs_winograd_stats(&forward->conv);
    return forward->winograd ? winograd_stats(forward->winograd) : 0;
}

/* One plane of one output channel at a time. */
static void direct_run_thin(const struct direct_forward *forward, const float *src, const float *packed, const float *b,
                            const struct tensor_affine *affine, float *dst)
{
    const struct direct_conv *conv = &forward->conv;
    const struct engine_kernels *kernels = engine_kernels();
    int64_t blocks = forward->layout.src_c / forward->layout.block_i,
            taps = conv->kernel[0] * conv->kernel[1] * conv->kernel[2];

#pragma omp parallel for collapse(3) schedule(static)
    for (int64_t n = 0; n < conv->dst.n; n++)
        for (int64_t o = 0; o < conv->dst.c; o++)
            for (int64_t z = 0; z < conv->dst.d; z++) {
                struct thin_tile tile = {.conv = conv,
                                         .src = src + n * forward->layout.src_c * shape_voxels(conv->src),
                                         .w = packed + o * forward->layout.src_c * taps,
                                         .dst = dst + (n * conv->dst.c + o) * shape_voxels(conv->dst),
                                         .b = b ? b[o] : 0.0f,
                                         .affine = affine_of_sample(affine, n, forward->layout.src_c),
                                         .blocks = blocks,
                                         .first = z * conv->dst.h,
                                         .last = (z + 1) * conv->dst.h};
                kernels->thin_forward(&tile);
            }
}

/* One plane of two blocks of output channels at a time. */
static void direct_run_blocked(const struct direct_forward *forward, const float *src, const float *packed,
                               const float *b, float *dst)
{
    const struct direct_conv *conv = &forward->conv;
    const struct direct_layout *layout = &forward->layout;
    const struct engine_kernels *kernels = engine_kernels();
    int64_t blocks = layout->dst_c / layout->block_o, taps = conv->kernel[0] * conv->kernel[1] * conv->kernel[2];

#pragma omp parallel for collapse(3) schedule(static)
    for (int64_t n = 0; n < conv->dst.n; n++)
        for (int64_t block = 0; block < blocks; block += 2)
            for (int64_t z = 0; z < conv->dst.d; z++) {
                struct forward_tile tile = {.conv = conv,
                                            .src = src + n * layout->src_c * shape_voxels(conv->src),
                                            .w = packed + block * layout->src_c * taps * layout->block_o,
                                            .b = b ? b + block * layout->block_o : NULL,
                                            .dst =
                                                dst + (n * blocks + block) * shape_voxels(conv->dst) * layout->block_o,
                                            .blocks = blocks - block < 2 ? 1 : 2,
                                            .units = layout->src_c / layout->block_i,
                                            .block_i = layout->block_i,
                                            .first = z * conv->dst.h,
                                            .last = (z + 1) * conv->dst.h};
                kernels->forward_blocked(&tile);
            }
}

static void direct_run_bfloat16(const struct direct_forward *forward, const float *src, const float *packed,
                                const float *b, double *stats, float *dst, void *scratch)
{
    const struct direct_conv *conv = &forward->conv;
    const uint16_t *from = (const uint16_t *)(const void *)src;
    const uint32_t *words = (const uint32_t *)(const void *)packed;
    if (forward->pairs_winograd)
        pairs_winograd_run(conv, from, words + direct_weights_end(forward), b, stats, (uint16_t *)(void *)dst, scratch);
    else
        pairs_run(conv, from, words, b, (uint16_t *)(void *)dst, scratch);
}

void direct_forward_run(struct direct_forward *forward, const float *src, const float *packed, const float *b,
                        const struct conv_fusion *fusion, float *dst, void *scratch)
{
    if (forward->conv.bfloat16) {
        direct_run_bfloat16(forward, src, packed, b, fusion->stats, dst, scratch);
        return;
    }

    char *at = scratch;
    float *src_copy = scratch_take(&at, forward->src_floats), *dst_copy = scratch_take(&at, forward->dst_floats);

    if (forward->layout.block_o == 1) {
        direct_run_thin(forward, src, packed, b, fusion->affine, dst);
        return;
    }

    if (forward->src_floats)
        tensor_pack_blocks(src_copy, src, forward->conv.src, forward->layout.block_i);
    src = forward->src_floats ? src_copy : src;
    if (forward->winograd)
        winograd_run(forward->winograd, src, packed, packed + direct_weights_end(forward), b, fusion, dst, at);
    else if (forward->onednn)
        onednn_conv_run(forward->onednn, src, packed, b, forward->dst_floats ? dst_copy : dst, at);
    else
        direct_run_blocked(forward, src, packed, b, forward->dst_floats ? dst_copy : dst);

    if (forward->dst_floats)
        tensor_unpack_blocks(dst, dst_copy, forward->conv.dst, forward->layout.block_o);
}
