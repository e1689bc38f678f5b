/* conv.c - 3D convolution and its transpose.
 *
 * conv             dst[n,o,z] = b[o] + sum_{c,t} w[o,c,t] * src[n, c, z*s - p + t]      w (O,C,K,K,K)   b (O)
 * conv_transpose   dst[n,o, z*s - p + t] += w[c,o,t] * src[n,c,z], plus b[o]            w (C,O,K,K,K)   b (O)
 *
 * Size along an axis, n voxels in, kernel k, stride s:
 *   padding      conv                                                   conv_transpose
 *   same         ceil(n/s); P = max((out-1)s + k - n, 0)                n*s; P = max(k - s, 0)
 *     (Keras: P/2 before, the rest after)
 *   symmetric    floor((n + 2p - k)/s) + 1; p = floor(k/2)              (n-1)s + k - 2p; p = max(floor((k-s)/2), 0)
 *   valid        floor((n - k)/s) + 1                                   (n-1)s + k
 * A nearest upsampling x2 in front is absorbed at stride 1 (src_scale). Keeps for backward: src. Test:
 * tests/nn/test_conv.c */
#include <inttypes.h>
#include <string.h>

#include "nn/engine/engine.h"
#include "nn/engine/slab_conv.h"
#include "nn/layer.h"

enum conv_padding { CONV_SAME, CONV_SYMMETRIC, CONV_VALID };
static const char *const conv_padding_names[] = {"same", "symmetric", "valid", NULL};
static const char *const conv_init_names[] = {"glorot_uniform", "he_normal", "zeros", NULL};
static const enum param_init conv_inits[] = {PARAM_GLOROT_UNIFORM, PARAM_HE_NORMAL, PARAM_ZEROS};

struct conv_config {
    struct layer_config layer;
    int64_t filters, kernel[3], stride[3]; /* x, y, z */
    int padding, init;
    bool bias;
};

/* clang-format off */
static const struct config_field conv_fields[] = {
    {.key = "filters", .type = CONFIG_INT, .offset = offsetof(struct conv_config, filters), .min = 1, .max = 65536,
     .required = true, .help = "output channels"},
    {.key = "kernel", .type = CONFIG_INT3, .offset = offsetof(struct conv_config, kernel), .text = "3", .min = 1,
     .max = CONV_KERNEL_MAX, .unit = "voxels", .help = "kernel size (x, y, z)"},
    {.key = "stride", .type = CONFIG_INT3, .offset = offsetof(struct conv_config, stride), .text = "1", .min = 1,
     .max = CONV_STRIDE_MAX, .unit = "voxels", .help = "step of the convolution, or factor of the transposed one"},
    {.key = "padding", .type = CONFIG_ENUM, .offset = offsetof(struct conv_config, padding), .text = "same",
     .names = conv_padding_names, .help = "same: as TensorFlow and Keras; symmetric: half the kernel on both "
             "sides, as in PyTorch; valid: none"},
    {.key = "bias", .type = CONFIG_BOOL, .offset = offsetof(struct conv_config, bias), .text = "true",
     .help = "adds a learned constant per channel"},
    {.key = "init", .type = CONFIG_ENUM, .offset = offsetof(struct conv_config, init), .text = "glorot_uniform",
     .names = conv_init_names, .help = "how the weights are drawn; zeros: for a last convolution whose output begins "
             "as nothing"},
    {0}};
/* clang-format on */

/* One of the two: slabs where src or dst has bfloat16 values. */
struct conv_state {
    struct engine_conv *engine;
    struct slab_conv *slabs;
};

static bool conv_is_transposed(const struct layer *layer);

/* ---- shape ---- */

/* Size and padding along one axis; n: voxels in, upsampling included. Sizes below 1 mean that nothing fits. */
static int64_t conv_axis(enum conv_padding padding, bool transposed, int64_t n, int64_t k, int64_t s, int64_t pad[2])
{
    int64_t out, total = 0;
    if (padding == CONV_SAME)
        total = transposed ? k - s : ((n + s - 1) / s - 1) * s + k - n;
    else if (padding == CONV_SYMMETRIC)
        total = transposed ? (k - s) / 2 * 2 : k / 2 * 2;
    if (total < 0)
        total = 0;
    pad[0] = total / 2;
    pad[1] = total - pad[0];
    if (!transposed)
        return n + total < k ? 0 : (n + total - k) / s + 1;
    out = (n - 1) * s + k - total;
    if (padding == CONV_SAME && out < n * s) { /* kernel smaller than stride: Keras keeps n*s, the rest is bias alone */
        pad[1] -= n * s - out;
        out = n * s;
    }

    return out;
}

/* All that the configuration and src say. */
static struct conv_shape conv_describe(const struct layer *layer)
{
    const struct conv_config *config = layer->config;
    const struct shape src = layer->src[0].shape;
    struct conv_shape shape = {.src = src,
                               .dst = {.n = src.n, .c = config->filters},
                               .scale = layer->src_scale > 1 ? layer->src_scale : 1,
                               .has_bias = config->bias,
                               .transposed = conv_is_transposed(layer),
                               .training = layer->training,
                               .winograd = layer->winograd,
                               .needs_d_src = layer->needs_d_src[0],
                               .frozen = layer->frozen};
    const int64_t size[3] = {src.d, src.h, src.w};
    int64_t *const out[3] = {&shape.dst.d, &shape.dst.h, &shape.dst.w};

    for (int a = 0; a < 3; a++) {
        int64_t pad[2];
        shape.kernel[a] = config->kernel[2 - a];
        shape.stride[a] = config->stride[2 - a];
        *out[a] = conv_axis((enum conv_padding)config->padding, shape.transposed, size[a] * shape.scale,
                            shape.kernel[a], shape.stride[a], pad);
        shape.pad_before[a] = pad[0];
        shape.pad_after[a] = pad[1];
    }

    return shape;
}

static enum status conv_shape_of(const struct layer *layer, struct shape *ret_dst, struct error *error)
{
    struct conv_shape shape = conv_describe(layer);
    char src[SHAPE_TEXT];
    for (int a = 0; a < 3; a++) {
        int64_t size = a == 0 ? shape.dst.d : a == 1 ? shape.dst.h : shape.dst.w;
        if (size < 1)
            return yaml_error(
                error, layer->node,
                "%s: kernel: %" PRId64
                " along %c does not fit into %s (a larger patch, a smaller kernel or padding: same would)",
                layer->name, shape.kernel[a], "zyx"[a], shape_text(src, shape.src));
    }
    *ret_dst = shape.dst;
    return STATUS_OK;
}

static bool conv_can_fuse_upsample(const struct layer *layer, int64_t scale)
{
    const struct conv_config *config = layer->config;
    return scale == 2 && config->stride[0] == 1 && config->stride[1] == 1 && config->stride[2] == 1;
}

/* As written: the upsampling's copies are multiplied like any other value. */
static double conv_macs(const struct layer *layer)
{
    struct conv_shape shape = conv_describe(layer);
    int64_t scale = shape.scale * shape.scale * shape.scale, taps = shape.kernel[0] * shape.kernel[1] * shape.kernel[2];
    int64_t positions = shape.transposed ? shape_voxels(shape.src) * scale : shape_voxels(shape.dst);
    return (double)(positions * shape.src.n) * (double)shape.src.c * (double)shape.dst.c * (double)taps;
}

/* ---- life ---- */

/* Products behind one output value of a transposed convolution, on average: its kernel voxels are shared out over
 * stride^3 phases. */
static int64_t conv_transpose_terms(const struct conv_config *config, int64_t channels)
{
    const int64_t *k = config->kernel, *s = config->stride;
    int64_t terms = channels * k[0] * k[1] * k[2] / (s[0] * s[1] * s[2]);
    return terms > channels ? terms : channels;
}

static enum status conv_declare(struct layer *layer, struct error *error)
{
    const struct conv_config *config = layer->config;
    bool transposed = conv_is_transposed(layer);
    int64_t channels = layer->src[0].shape.c;
    const int64_t w[5] = {transposed ? channels : config->filters, transposed ? config->filters : channels,
                          config->kernel[2], config->kernel[1], config->kernel[0]};
    if (layer_param(layer, "w", 5, w, true, conv_inits[config->init], error))
        return error->status;
    if (transposed)
        layer->param[0]->terms = conv_transpose_terms(config, channels);
    return config->bias ? layer_param(layer, "b", 1, &config->filters, true, PARAM_ZEROS, error) : STATUS_OK;
}

static enum status conv_init(struct layer *layer, struct error *error)
{
    struct conv_state *state = layer->state;
    struct conv_shape shape = conv_describe(layer);
    const bool bfloat16 = layer->src[0].bfloat16 || layer->dst.bfloat16;
    shape.bfloat16 = layer->src[0].bfloat16 && layer->dst.bfloat16 && engine_conv_supports_bfloat16(&shape);
    if (shape.bfloat16)
        return engine_conv_new(&state->engine, &shape, &layer->scratch_bytes, error);
    if (bfloat16 && slab_conv_supports(&shape))
        return slab_conv_new(&state->slabs, &shape, SLAB_CONV_BYTES, &layer->scratch_bytes, error);
    layer->staged = bfloat16;
    return engine_conv_new(&state->engine, &shape, &layer->scratch_bytes, error);
}

static void conv_done(struct layer *layer)
{
    struct conv_state *state = layer->state;
    engine_conv_free(state->engine);
    slab_conv_free(state->slabs);
    *state = (struct conv_state){0};
}

static struct layer_work conv_work(const struct layer *layer)
{
    const struct conv_state *state = layer->state;
    if (state->slabs)
        return (struct layer_work){.forward = slab_conv_forward_macs(state->slabs),
                                   .backward = slab_conv_backward_macs(state->slabs),
                                   .kernels = slab_conv_describe(state->slabs)};
    return (struct layer_work){.forward = engine_conv_forward_macs(state->engine),
                               .backward = engine_conv_backward_macs(state->engine),
                               .kernels = engine_conv_describe(state->engine)};
}

static void conv_params_changed(struct layer *layer)
{
    struct conv_state *state = layer->state;
    if (state->slabs)
        slab_conv_weights_changed(state->slabs);
    else
        engine_conv_weights_changed(state->engine);
}

static enum status conv_status(const struct layer *layer, struct error *error)
{
    const struct conv_state *state = layer->state;
    return state->slabs ? slab_conv_status(state->slabs, error) : engine_conv_status(state->engine, error);
}

static size_t conv_stats_bytes(const struct layer *layer)
{
    const struct conv_state *state = layer->state;
    const int64_t stats = state->slabs ? slab_conv_stats(state->slabs) : engine_conv_stats(state->engine);
    return (size_t)stats * sizeof(double);
}

static bool conv_can_fuse_norm(const struct layer *layer)
{
    const struct conv_state *state = layer->state;
    return state->slabs || engine_conv_can_fuse_norm(state->engine);
}

/* ---- forward and backward ---- */

static void conv_forward(struct layer *layer, const struct pass *pass)
{
    struct conv_state *state = layer->state;
    const float *w = layer->value[0], *b = layer->n_params > 1 ? layer->value[1] : NULL;
    const struct conv_fusion fusion = {.affine = &layer->src_affine,
                                       .stats = pass->recompute ? NULL : layer->dst_stats};
    if (state->slabs)
        slab_conv_forward(state->slabs, layer->src[0], w, b, &fusion, layer->dst, layer->scratch);
    else
        engine_conv_forward(state->engine, layer->src[0].data, w, b, &fusion, layer->dst.data, layer->scratch);
}

static void conv_backward(struct layer *layer, const struct pass *pass)
{
    struct conv_state *state = layer->state;
    float *d_w = layer->grad[0], *d_b = layer->n_params > 1 ? layer->grad[1] : NULL;
    (void)pass;
    if (state->slabs) {
        if (d_w)
            slab_conv_backward_weights(state->slabs, layer->src[0], layer->d_dst, d_w, d_b, layer->scratch);
        if (layer->d_src[0].data)
            slab_conv_backward_data(state->slabs, layer->d_dst, layer->value[0], layer->d_src[0], layer->scratch);
        return;
    }
    if (d_w)
        engine_conv_backward_weights(state->engine, layer->src[0].data, layer->d_dst.data, d_w, d_b, layer->scratch);
    if (layer->d_src[0].data)
        engine_conv_backward_data(state->engine, layer->d_dst.data, layer->value[0], layer->d_src[0].data,
                                  layer->scratch);
}

/* clang-format off */
const struct layer_ops layer_conv = {
    .config = {.type = "conv", .help = "3D convolution", .base = &layer_base_table,
    .size = sizeof(struct conv_config), .fields = conv_fields},
    .state_size = sizeof(struct conv_state),
    .min_src = 1, .max_src = 1, .keeps = LAYER_KEEPS_SRC_TO_LEARN, .bfloat16 = LAYER_BFLOAT16_NATIVE,
    .can_fuse_upsample = conv_can_fuse_upsample, .shape = conv_shape_of, .declare = conv_declare, .init = conv_init,
    .forward = conv_forward, .backward = conv_backward, .status = conv_status,
    .params_changed = conv_params_changed, .done = conv_done, .macs = conv_macs, .work = conv_work,
    .stats_bytes = conv_stats_bytes, .can_fuse_norm = conv_can_fuse_norm,
};
/* clang-format on */

/* clang-format off */
const struct layer_ops layer_conv_transpose = {
    .config = {.type = "conv_transpose", .help = "transposed 3D convolution (enlarges by its stride)",
    .base = &layer_base_table,
               .size = sizeof(struct conv_config), .fields = conv_fields},
    .state_size = sizeof(struct conv_state),
    .min_src = 1, .max_src = 1, .keeps = LAYER_KEEPS_SRC_TO_LEARN, .bfloat16 = LAYER_BFLOAT16_NATIVE,
    .can_fuse_upsample = conv_can_fuse_upsample, .shape = conv_shape_of, .declare = conv_declare, .init = conv_init,
    .forward = conv_forward, .backward = conv_backward, .status = conv_status,
    .params_changed = conv_params_changed, .done = conv_done, .macs = conv_macs, .work = conv_work,
    .stats_bytes = conv_stats_bytes, .can_fuse_norm = conv_can_fuse_norm,
};
/* clang-format on */

static bool conv_is_transposed(const struct layer *layer)
{
    return layer->ops == &layer_conv_transpose;
}
