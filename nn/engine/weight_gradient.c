/* weight_gradient.c - the gradient of a direct convolution's weights, by our own kernels:
 *
 *     d_w[o,i,t] = sum_{n,z} d_dst[n,o,z] * src[n, i, z*stride - pad + t]
 *
 * Work is cut into tasks (pairs of channel blocks) times splits (runs of rows). Each split sums into its own copy, and
 * the copies are added in order: how a shape is cut depends on the shape alone, so any number of threads gives the same
 * bits. Test: tests/nn/test_engine.c */
#include "nn/engine/weight_gradient.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "nn/engine/kernels.h"
#include "nn/engine/pairs.h"
#include "nn/engine/weights_pack.h"
#include "nn/engine/winograd.h"

/* Enough pieces for the threads of one socket; more would cost memory for the copies. */
enum { GRADIENT_PIECES = 32 };

struct weight_gradient {
    struct direct_conv conv; /* of the kernel: with a border in memory, src is that */
    struct direct_layout layout;
    struct shape src;          /* the caller's */
    struct winograd *winograd; /* NULL: direct */
    bool pairs_winograd;       /* of bfloat16 tensors: else pairs.h */
    bool src_is_plain, dst_is_plain;
    int64_t halo_floats, dst_floats; /* copies */
    int64_t n_taps, tasks, splits;
    char name[32];
};

static int64_t weight_gradient_blocks(int64_t c, int64_t block_c)
{
    return (c + block_c - 1) / block_c;
}

/* Tasks of a plain small side are (output channel, block of src); else (pair of blocks of dst, block or channel of
 * src). */
static void weight_gradient_cut(struct weight_gradient *weights)
{
    const struct direct_layout *layout = &weights->layout;
    int64_t rows = weights->conv.dst.d * weights->conv.dst.h;
    if (weights->dst_is_plain)
        weights->tasks = layout->dst_c * (layout->src_c / layout->block_i);
    else
        weights->tasks = (layout->dst_c / layout->block_o + 1) / 2 *
                         (weights->src_is_plain ? layout->src_c : layout->src_c / layout->block_i);
    weights->splits = (GRADIENT_PIECES + weights->tasks - 1) / weights->tasks;
    if (weights->splits > rows)
        weights->splits = rows;
}

enum status weight_gradient_new(struct weight_gradient **ret, const struct direct_conv *conv, struct error *error)
{
    struct weight_gradient *made = memory_zalloc(1, sizeof *made);
    int64_t block_c = tensor_block();

    if (!made)
        return error_memory(error, sizeof *made, "convolution");
    made->conv = *conv;
    made->src = conv->src;
    made->src_is_plain = tensor_channel_block(conv->src.c) == 1;
    made->dst_is_plain = tensor_channel_block(conv->dst.c) == 1 && !made->src_is_plain;
    made->n_taps = conv->kernel[0] * conv->kernel[1] * conv->kernel[2];
    made->layout = (struct direct_layout){
        .src_c = tensor_stored_channels(conv->src.c),
        .block_i = made->src_is_plain ? conv->src.c : block_c,
        .dst_c = made->dst_is_plain ? conv->dst.c : weight_gradient_blocks(conv->dst.c, block_c) * block_c,
        .block_o = made->dst_is_plain ? 1 : block_c};

    if (conv->bfloat16) {
        made->pairs_winograd = pairs_winograd_supports(conv);
        snprintf(made->name, sizeof made->name, "%s:%s", made->pairs_winograd ? "pairs_winograd" : "pairs",
                 pairs_kernels()->name);
        *ret = made;
        return STATUS_OK;
    }

    if (made->src_is_plain) {
        struct shape *halo = &made->conv.src;
        halo->d = (conv->dst.d - 1) * conv->stride[0] + conv->kernel[0];
        halo->h = (conv->dst.h - 1) * conv->stride[1] + conv->kernel[1];
        halo->w = (conv->dst.w - 1) * conv->stride[2] + conv->kernel[2];
        made->halo_floats = halo->n * halo->c * shape_voxels(*halo);
        if (tensor_channel_block(conv->dst.c) == 1)
            made->dst_floats = conv->dst.n * made->layout.dst_c * shape_voxels(conv->dst);
    }

    weight_gradient_cut(made);
    if (conv->winograd && winograd_supports(conv) && winograd_new(&made->winograd, conv, true, error)) {
        weight_gradient_free(made);
        return error->status;
    }

    snprintf(made->name, sizeof made->name, "%s:%s",
             made->winograd       ? "winograd"
             : made->src_is_plain ? "plain_src"
             : made->dst_is_plain ? "plain_dst"
                                  : "own",
             engine_kernels()->name);
    *ret = made;
    return STATUS_OK;
}

void weight_gradient_free(struct weight_gradient *weights)
{
    if (!weights)
        return;
    winograd_free(weights->winograd);
    memory_free(weights);
}

static int64_t weight_gradient_floats(const struct weight_gradient *weights)
{
    return weights_floats(&weights->layout, weights->n_taps);
}

size_t weight_gradient_scratch_bytes(const struct weight_gradient *weights)
{
    if (weights->conv.bfloat16)
        return weights->pairs_winograd ? pairs_winograd_gradient_scratch_bytes(&weights->conv)
                                       : pairs_gradient_scratch_bytes(&weights->conv);
    if (weights->winograd)
        return winograd_weights_scratch_bytes(weights->winograd);
    return scratch_bytes(weights->halo_floats) + scratch_bytes(weights->dst_floats) +
           scratch_bytes((weights->splits - 1) * weight_gradient_floats(weights));
}

struct direct_layout weight_gradient_layout(const struct weight_gradient *weights)
{
    return weights->layout;
}

int64_t weight_gradient_macs(const struct weight_gradient *weights)
{
    if (weights->pairs_winograd)
        return pairs_winograd_macs(&weights->conv);
    return weights->winograd ? winograd_macs(weights->winograd) : direct_conv_macs(&weights->conv);
}

const char *weight_gradient_name(const struct weight_gradient *weights)
{
    return weights->name;
}

/* ---- running ---- */

/* Copies a plain src into the middle of its halo; what src has beyond it is dropped, the rest is zero. */
static void weight_gradient_fill_halo(const struct weight_gradient *weights, float *halo, const float *src)
{
    const struct shape from = weights->src, to = weights->conv.src;
    const int64_t *pad = weights->conv.pad;
    int64_t width = from.w < to.w - pad[2] ? from.w : to.w - pad[2];
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t p = 0; p < to.n * to.c; p++)
        for (int64_t z = 0; z < to.d; z++)
            for (int64_t y = 0; y < to.h; y++) {
                float *row = halo + ((p * to.d + z) * to.h + y) * to.w;
                int64_t from_z = z - pad[0], from_y = y - pad[1];
                memset(row, 0, (size_t)to.w * sizeof *row);
                if (from_z >= 0 && from_z < from.d && from_y >= 0 && from_y < from.h && width > 0)
                    memcpy(row + pad[2], src + ((p * from.d + from_z) * from.h + from_y) * from.w,
                           (size_t)width * sizeof *row);
            }
}

/* The tile of one task for sample n; d_w: this split's copy. */
static struct gradient_tile weight_gradient_tile_of(const struct weight_gradient *weights, int64_t task, int64_t n,
                                                    const float *src, const float *d_dst, float *d_w)
{
    const struct direct_layout *layout = &weights->layout;
    const struct direct_conv *conv = &weights->conv;
    int64_t src_units = weights->src_is_plain ? layout->src_c : layout->src_c / layout->block_i,
            unit = task % src_units;
    int64_t src_block = weights->src_is_plain ? 1 : layout->block_i, dst_units = layout->dst_c / layout->block_o;
    int64_t first = task / src_units * (weights->dst_is_plain ? 1 : 2),
            block_floats = weights->n_taps * layout->block_i * layout->block_o;
    struct gradient_tile tile = {.conv = conv, .tap_step = layout->block_i * layout->block_o};
    tile.large = src + (n * src_units + unit) * shape_voxels(conv->src) * src_block;
    for (int64_t b = 0; b < (weights->dst_is_plain ? 1 : 2) && first + b < dst_units; b++) {
        tile.small[b] = d_dst + (n * dst_units + first + b) * shape_voxels(conv->dst) * layout->block_o;
        tile.d_w[b] = weights->src_is_plain ? d_w + (first + b) * block_floats + unit * layout->block_o
                                            : d_w + ((first + b) * src_units + unit) * block_floats;
    }
    return tile;
}

static void weight_gradient_run_piece(const struct weight_gradient *weights, int64_t task, int64_t split,
                                      const float *src, const float *d_dst, float *d_w)
{
    const struct engine_kernels *kernels = engine_kernels();
    int64_t rows = weights->conv.dst.d * weights->conv.dst.h;
    for (int64_t n = 0; n < weights->conv.dst.n; n++) {
        struct gradient_tile tile = weight_gradient_tile_of(weights, task, n, src, d_dst, d_w);
        tile.first = rows * split / weights->splits;
        tile.last = rows * (split + 1) / weights->splits;
        if (weights->src_is_plain)
            kernels->gradient_plain_large(&tile);
        else if (weights->dst_is_plain)
            kernels->gradient_plain_small(&tile);
        else
            kernels->gradient_blocked(&tile);
    }
}

static void weight_gradient_add_copies(float *d_w, const float *copies, int64_t n_copies, int64_t floats)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < floats; i++)
        for (int64_t copy = 0; copy < n_copies; copy++)
            d_w[i] += copies[copy * floats + i];
}

void weight_gradient_run(struct weight_gradient *weights, const float *src, const float *d_dst, float *d_packed,
                         void *scratch)
{
    if (weights->conv.bfloat16) {
        (weights->pairs_winograd ? pairs_winograd_gradient_run
                                 : pairs_gradient_run)(&weights->conv, (const uint16_t *)(const void *)src,
                                                       (const uint16_t *)(const void *)d_dst, d_packed, scratch);
        return;
    }
    if (weights->winograd) {
        winograd_weights_run(weights->winograd, src, d_dst, d_packed, scratch);
        return;
    }

    char *at = scratch;
    float *halo = scratch_take(&at, weights->halo_floats), *dst_copy = scratch_take(&at, weights->dst_floats);
    int64_t floats = weight_gradient_floats(weights), splits = weights->splits;
    float *copies = scratch_take(&at, (splits - 1) * floats);

    if (weights->halo_floats) {
        weight_gradient_fill_halo(weights, halo, src);
        src = halo;
    }

    if (weights->dst_floats) {
        tensor_pack_blocks(dst_copy, d_dst, weights->conv.dst, weights->layout.block_o);
        d_dst = dst_copy;
    }

    memset(d_packed, 0, (size_t)floats * sizeof *d_packed);
    memset(copies, 0, (size_t)((splits - 1) * floats) * sizeof *copies);
#pragma omp parallel for collapse(2) schedule(dynamic)
    for (int64_t task = 0; task < weights->tasks; task++)
        for (int64_t split = 0; split < splits; split++)
            weight_gradient_run_piece(weights, task, split, src, d_dst,
                                      split ? copies + (split - 1) * floats : d_packed);
    weight_gradient_add_copies(d_packed, copies, splits - 1, floats);
}
