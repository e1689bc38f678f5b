/* conv.c - engine.h's convolution, put together from gather, scatter and weights (direct_conv.h).
 *
 *                        large grid   small grid   forward   backward-data   plain weights      taps
 *   convolution             src          dst        gather      scatter       [small][large]     as they are
 *   transposed              dst          src        scatter     gather        [small][large]     as they are
 *   x2, convolution         dst          src        scatter     gather        [large][small]     reversed, folded
 *   x2, transposed (s1)     dst          src        scatter     gather        [small][large]     folded
 *
 * Test: tests/nn/test_engine.c */
#include "nn/engine/engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "nn/engine/pairs.h"
#include "nn/engine/polyphase.h"
#include "nn/engine/space_to_depth.h"
#include "nn/engine/weight_gradient.h"

struct engine_conv {
    struct conv_shape shape;
    struct direct_conv grid;
    struct weights_view view;
    bool forward_scatters;
    struct polyphase *forward, *backward_data;
    struct weight_gradient *backward_weights;
    struct weights_target gradient[PARITIES]; /* how backward_weights leaves d_w */
    int64_t n_gradients;                      /* targets: PARITIES where the large grid is split for it, or 1 */
    float *packed;                            /* inference: forward's weights, prepared once */
    bool packed_valid, backward_packed_valid; /* where packed weights outlive a call */
    struct arena arena;
    char description[256];
};

/* ---- from the caller's shape to grid and view ---- */

static void conv_set_grid(struct engine_conv *conv)
{
    const struct conv_shape *shape = &conv->shape;
    bool fold = shape->scale == 2, small_is_src = shape->transposed || fold, swapped = fold && !shape->transposed;
    int64_t taps = shape->kernel[0] * shape->kernel[1] * shape->kernel[2];

    conv->forward_scatters = small_is_src;
    conv->grid.src = small_is_src ? shape->dst : shape->src;
    conv->grid.dst = small_is_src ? shape->src : shape->dst;
    conv->grid.winograd = shape->winograd;
    conv->grid.bfloat16 = shape->bfloat16;

    for (int a = 0; a < 3; a++) {
        conv->grid.kernel[a] = shape->kernel[a] + fold;
        conv->grid.stride[a] = fold ? 2 : shape->stride[a];
        /* Folding a convolution turns it round: its last tap comes first. */
        conv->grid.pad[a] = swapped ? shape->kernel[a] - 1 - shape->pad_before[a] : shape->pad_before[a];
    }

    conv->view = (struct weights_view){.n_small = conv->grid.dst.c,
                                       .n_large = conv->grid.src.c,
                                       .small_step = swapped ? taps : conv->grid.src.c * taps,
                                       .large_step = swapped ? conv->grid.dst.c * taps : taps,
                                       .kernel = {shape->kernel[0], shape->kernel[1], shape->kernel[2]},
                                       .flip = swapped,
                                       .fold = fold};
}

/* The size along one axis that the formula gives for the grid's small side. */
static bool conv_axis_fits(const struct conv_shape *shape, int axis)
{
    const int64_t src[3] = {shape->src.d, shape->src.h, shape->src.w},
                  dst[3] = {shape->dst.d, shape->dst.h, shape->dst.w};
    int64_t pads = shape->pad_before[axis] + shape->pad_after[axis];
    if (shape->transposed)
        return dst[axis] == (src[axis] * shape->scale - 1) * shape->stride[axis] + shape->kernel[axis] - pads;
    int64_t room = src[axis] * shape->scale + pads - shape->kernel[axis];
    return room >= 0 && dst[axis] == room / shape->stride[axis] + 1;
}

static enum status conv_refuse(const struct conv_shape *shape, const char *why, struct error *error)
{
    char src[SHAPE_TEXT], dst[SHAPE_TEXT];
    return error_set(error, STATUS_USAGE, "convolution %s -> %s, kernel %" PRId64 "x%" PRId64 "x%" PRId64 ": %s",
                     shape_text(src, shape->src), shape_text(dst, shape->dst), shape->kernel[0], shape->kernel[1],
                     shape->kernel[2], why);
}

static enum status conv_check(const struct conv_shape *shape, struct error *error)
{
    if (shape->src.n < 1 || shape->src.c < 1 || shape->dst.c < 1 || shape->src.n != shape->dst.n)
        return conv_refuse(shape, "batch and channels must be at least 1, and the batch equal on both sides", error);

    if (tensor_floats(shape->src) <= 0 || tensor_floats(shape->dst) <= 0)
        return conv_refuse(shape, "an empty grid, or more values than 64 bits can count", error);
    if (shape->scale != 1 && shape->scale != 2)
        return conv_refuse(shape, "only an upsampling by 2 can be absorbed", error);

    for (int a = 0; a < 3; a++) {
        if (shape->kernel[a] < 1 || shape->kernel[a] > CONV_KERNEL_MAX || shape->stride[a] < 1 ||
            shape->stride[a] > CONV_STRIDE_MAX)
            return conv_refuse(shape, "kernel must be 1 to 15 and stride 1 to 8", error);
        if (shape->pad_before[a] < 0 || shape->pad_before[a] >= shape->kernel[a] ||
            shape->pad_after[a] >= shape->kernel[a])
            return conv_refuse(shape, "padding must be smaller than the kernel", error);
        if (shape->scale == 2 && shape->stride[a] != 1)
            return conv_refuse(shape, "a strided convolution cannot absorb an upsampling", error);
        if (!conv_axis_fits(shape, a))
            return conv_refuse(shape, "sizes, kernel, stride and padding do not fit together", error);
    }

    return STATUS_OK;
}

/* ---- building ---- */

static enum status conv_build_weights(struct engine_conv *conv, struct error *error)
{
    const bool split = space_to_depth_supports(&conv->grid);
    const struct direct_conv direct = split ? space_to_depth_conv(&conv->grid) : conv->grid;
    int64_t n_taps = direct.kernel[0] * direct.kernel[1] * direct.kernel[2];

    conv->n_gradients = split ? PARITIES : 1;
    int32_t *tap = arena_alloc(&conv->arena, (size_t)(conv->n_gradients * n_taps), sizeof *tap);
    if (!tap)
        return error_memory(error, (size_t)(conv->n_gradients * n_taps) * sizeof *tap, "convolution");

    if (weight_gradient_new(&conv->backward_weights, &direct, error))
        return error->status;
    for (int64_t q = 0; q < conv->n_gradients; q++, tap += n_taps) {
        for (int64_t i = 0; i < n_taps && !split; i++)
            tap[i] = (int32_t)i;
        if (split)
            space_to_depth_taps(&conv->grid, q, false, tap);
        conv->gradient[q] = (struct weights_target){.layout = weight_gradient_layout(conv->backward_weights),
                                                    .n_taps = n_taps,
                                                    .tap = tap,
                                                    .first_i = q * conv->grid.src.c};
    }

    return STATUS_OK;
}

static enum status conv_build(struct engine_conv *conv, struct error *error)
{
    const struct conv_shape *shape = &conv->shape;
    enum status (*forward)(struct polyphase **, const struct direct_conv *, bool, struct error *) =
        conv->forward_scatters ? polyphase_new_scatter : polyphase_new_gather;
    enum status (*backward)(struct polyphase **, const struct direct_conv *, bool, struct error *) =
        conv->forward_scatters ? polyphase_new_gather : polyphase_new_scatter;

    if (forward(&conv->forward, &conv->grid, shape->has_bias, error))
        return error->status;
    if (!shape->training) {
        conv->packed = memory_alloc((size_t)polyphase_packed_floats(conv->forward), sizeof *conv->packed);
        return conv->packed
                   ? STATUS_OK
                   : error_memory(error, (size_t)polyphase_packed_floats(conv->forward) * sizeof(float), "convolution");
    }

    if (shape->needs_d_src && backward(&conv->backward_data, &conv->grid, false, error))
        return error->status;
    return shape->frozen ? STATUS_OK : conv_build_weights(conv, error);
}

/* Scratch of one pass: packed weights (training) and what the kernels take. */
static size_t conv_pass_bytes(const struct engine_conv *conv, const struct polyphase *phases)
{
    if (!phases)
        return 0;
    return polyphase_scratch_bytes(phases) + (conv->packed ? 0 : scratch_bytes(polyphase_packed_floats(phases)));
}

static int64_t conv_gradient_floats(const struct engine_conv *conv)
{
    return weights_floats(&conv->gradient[0].layout, conv->gradient[0].n_taps);
}

/* Of the large grid split by parity. */
static int64_t conv_split_floats(const struct engine_conv *conv)
{
    return conv->n_gradients > 1 ? space_to_depth_floats(&conv->grid) : 0;
}

static size_t conv_scratch_bytes(const struct engine_conv *conv)
{
    size_t bytes = conv_pass_bytes(conv, conv->forward), other = conv_pass_bytes(conv, conv->backward_data);
    if (other > bytes)
        bytes = other;
    if (conv->backward_weights) {
        other = scratch_bytes(conv_gradient_floats(conv)) + scratch_bytes(conv_split_floats(conv)) +
                weight_gradient_scratch_bytes(conv->backward_weights);
        bytes = other > bytes ? other : bytes;
    }
    return bytes;
}

enum status engine_conv_new(struct engine_conv **ret, const struct conv_shape *shape, size_t *ret_scratch_bytes,
                            struct error *error)
{
    struct engine_conv *conv;

    if (conv_check(shape, error))
        return error->status;
    conv = memory_zalloc(1, sizeof *conv);
    if (!conv)
        return error_memory(error, sizeof *conv, "convolution");
    conv->shape = *shape;
    conv_set_grid(conv);

    if (conv_build(conv, error)) {
        engine_conv_free(conv);
        return error->status;
    }

    snprintf(conv->description, sizeof conv->description, "%s | %s | %s", polyphase_name(conv->forward),
             conv->backward_data ? polyphase_name(conv->backward_data) : "-",
             conv->backward_weights ? weight_gradient_name(conv->backward_weights) : "-");
    *ret_scratch_bytes = conv_scratch_bytes(conv);
    *ret = conv;

    return STATUS_OK;
}

void engine_conv_free(struct engine_conv *conv)
{
    if (!conv)
        return;
    polyphase_free(conv->forward);
    polyphase_free(conv->backward_data);
    weight_gradient_free(conv->backward_weights);
    memory_free(conv->packed);
    arena_done(&conv->arena);
    memory_free(conv);
}

bool engine_conv_supports_bfloat16(const struct conv_shape *shape)
{
    struct engine_conv conv = {.shape = *shape};
    conv.shape.bfloat16 = true;
    conv_set_grid(&conv);
    return pairs_supports(&conv.grid);
}

/* ---- running ---- */

void engine_conv_forward(struct engine_conv *conv, const float *src, const float *w, const float *b,
                         const struct conv_fusion *fusion, float *dst, void *scratch)
{
    char *at = scratch;
    float *packed = conv->packed ? conv->packed : scratch_take(&at, polyphase_packed_floats(conv->forward));
    if (!conv->packed_valid)
        polyphase_pack(conv->forward, &conv->view, w, packed);
    conv->packed_valid = conv->packed != NULL || conv->shape.slabs;
    polyphase_run(conv->forward, src, packed, b, fusion ? fusion : &(struct conv_fusion){0}, dst, at);
}

void engine_conv_backward_data(struct engine_conv *conv, const float *d_dst, const float *w, float *d_src,
                               void *scratch)
{
    char *at = scratch;
    float *packed = scratch_take(&at, polyphase_packed_floats(conv->backward_data));
    if (!conv->backward_packed_valid)
        polyphase_pack(conv->backward_data, &conv->view, w, packed);
    conv->backward_packed_valid = conv->shape.slabs;
    polyphase_run(conv->backward_data, d_dst, packed, NULL, &(struct conv_fusion){0}, d_src, at);
}

int64_t engine_conv_stats(const struct engine_conv *conv)
{
    return polyphase_stats(conv->forward);
}

bool engine_conv_can_fuse_norm(const struct engine_conv *conv)
{
    return polyphase_can_fuse_norm(conv->forward);
}

/* row[c] += values of n voxels from offset `at` on. */
static void conv_add_row(struct tensor d_dst, int64_t at, int64_t n, float *row)
{
    enum { VOXELS = 64 };
    const int64_t block_c = tensor_channel_block(d_dst.shape.c);
    float buffer[VOXELS * 16];
    for (int64_t x = 0; x < n; x += VOXELS) {
        const int64_t voxels = n - x < VOXELS ? n - x : VOXELS, from = at + x * block_c;
        const float *values = d_dst.bfloat16 ? buffer : d_dst.data + from;
        if (d_dst.bfloat16)
            tensor_load(buffer, d_dst, from, voxels * block_c);
        for (int64_t i = 0; i < voxels; i++, values += block_c)
            for (int64_t c = 0; c < block_c; c++)
                row[c] += values[c];
    }
}

/* d_b[c] = sum of d_dst over batch and voxels, in an order that threads do not change. */
static void conv_backward_bias(struct tensor d_dst, float *d_b)
{
    const struct shape shape = d_dst.shape;
    int64_t block_c = tensor_channel_block(shape.c), blocks = tensor_stored_channels(shape.c) / block_c;

#pragma omp parallel for schedule(static)
    for (int64_t block = 0; block < blocks; block++) {
        double sum[16] = {0};
        for (int64_t n = 0; n < shape.n; n++)
            for (int64_t z = 0; z < shape.d; z++) {
                float part[16] = {0};
                for (int64_t y = 0; y < shape.h; y++) {
                    float row[16] = {0};
                    conv_add_row(d_dst, tensor_at(shape, n, block * block_c, z, y, 0), shape.w, row);
                    for (int64_t c = 0; c < block_c; c++)
                        part[c] += row[c];
                }
                for (int64_t c = 0; c < block_c; c++)
                    sum[c] += (double)part[c];
            }
        for (int64_t c = 0; c < block_c && block * block_c + c < shape.c; c++)
            d_b[block * block_c + c] = (float)sum[c];
    }
}

void engine_conv_backward_weights(struct engine_conv *conv, const float *src, const float *d_dst, float *d_w,
                                  float *d_b, void *scratch)
{
    char *at = scratch;
    float *packed = scratch_take(&at, conv_gradient_floats(conv)), *split = scratch_take(&at, conv_split_floats(conv));
    const float *large = conv->forward_scatters ? d_dst : src, *small = conv->forward_scatters ? src : d_dst;
    if (conv->n_gradients > 1) {
        space_to_depth_split(&conv->grid, large, split);
        large = split;
    }
    weight_gradient_run(conv->backward_weights, large, small, packed, at);
    weights_unpack(&conv->view, conv->n_gradients, conv->gradient, packed, d_w);
    if (d_b)
        conv_backward_bias((struct tensor){conv->shape.dst, (float *)(uintptr_t)d_dst, conv->shape.bfloat16}, d_b);
}

enum status engine_conv_status(const struct engine_conv *conv, struct error *error)
{
    if (polyphase_status(conv->forward, error))
        return error->status;
    return conv->backward_data ? polyphase_status(conv->backward_data, error) : STATUS_OK;
}

void engine_conv_weights_changed(struct engine_conv *conv)
{
    conv->packed_valid = conv->backward_packed_valid = false;
}

const char *engine_conv_describe(const struct engine_conv *conv)
{
    return conv->description;
}

int64_t engine_conv_forward_macs(const struct engine_conv *conv)
{
    return polyphase_macs(conv->forward);
}

int64_t engine_conv_backward_macs(const struct engine_conv *conv)
{
    int64_t macs = conv->backward_weights ? weight_gradient_macs(conv->backward_weights) : 0;
    return macs + (conv->backward_data ? polyphase_macs(conv->backward_data) : 0);
}
