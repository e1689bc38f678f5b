/* concat.c - the sources' channels behind each other, and the way back: some of a source's channels.
 *   src[k] (N,Ck,D,H,W)   dst (N,C0+C1+..,D,H,W)     dst[n, first(k) + c] = src[k][n, c]
 *     d_src[k][n, c] = d_dst[n, first(k) + c]
 * slice:
 *   src (N,C,D,H,W)       dst (N,channels,D,H,W)     dst[n, c] = src[n, first + c]
 *     d_src[n, first + c] = d_dst[n, c], 0 elsewhere
 * Both keep nothing.                                 Test: tests/nn/test_join.c */
#include <inttypes.h>
#include <string.h>

#include "nn/layer.h"
#include "nn/layers/rows.h"

static enum status concat_shape(const struct layer *layer, struct shape *ret_dst, struct error *error)
{
    struct shape dst = layer->src[0].shape;
    for (int k = 1; k < layer->n_src; k++) {
        struct shape with = layer->src[k].shape;
        dst.c += with.c;
        with.c = dst.c;
        if (!shape_equal(with, dst)) {
            char a[SHAPE_TEXT], b[SHAPE_TEXT];
            return yaml_error(error, layer->node,
                              "%s: from: source 1 is %s, source %d is %s: sizes must be equal but for the channels "
                              "(a patch divisible by all "
                              "strides would fit)",
                              layer->name, shape_text(a, layer->src[0].shape), k + 1,
                              shape_text(b, layer->src[k].shape));
        }
    }

    *ret_dst = dst;
    return STATUS_OK;
}

/* Copies values as they lie, so that all its tensors must be of one kind. */
static enum status concat_init(struct layer *layer, struct error *error)
{
    (void)error;
    for (int k = 0; k < layer->n_src; k++)
        layer->staged = layer->staged || layer->src[k].bfloat16 != layer->dst.bfloat16;
    return STATUS_OK;
}

/* From channel c of sample n on; *ret_step: the distance to its next voxel's value. */
static struct tensor concat_channel(struct tensor tensor, int64_t n, int64_t c, int64_t *ret_step)
{
    *ret_step = tensor_channel_block(tensor.shape.c);
    return tensor_offset(tensor, tensor_at(tensor.shape, n, c, 0, 0, 0));
}

/* One channel. */
static void concat_copy_voxels(struct tensor to, int64_t to_step, struct tensor from, int64_t from_step, int64_t voxels)
{
    uint16_t *to_half = (uint16_t *)(void *)to.data;
    const uint16_t *from_half = (const uint16_t *)(const void *)from.data;
    for (int64_t v = 0; v < voxels && to.bfloat16; v++)
        to_half[v * to_step] = from_half[v * from_step];
    for (int64_t v = 0; v < voxels && !to.bfloat16; v++)
        to.data[v * to_step] = from.data[v * from_step];
}

/* Copies `channels` channels of sample n from src (from channel src_c) to dst (from dst_c). */
static void concat_copy(struct tensor dst, int64_t dst_c, struct tensor src, int64_t src_c, int64_t channels, int64_t n)
{
    int64_t voxels = shape_voxels(dst.shape), dst_step, src_step;
    struct tensor to = concat_channel(dst, n, dst_c, &dst_step), from = concat_channel(src, n, src_c, &src_step);
    if (to.data == from.data) /* made there */
        return;
    if (dst_step == src_step && dst_c % dst_step == 0 && src_c % dst_step == 0 &&
        channels % dst_step == 0) { /* whole blocks */
        memcpy(to.data, from.data, (size_t)(channels * voxels) * (to.bfloat16 ? sizeof(uint16_t) : sizeof(float)));
        return;
    }
    for (int64_t c = 0; c < channels; c++) {
        to = concat_channel(dst, n, dst_c + c, &dst_step);
        from = concat_channel(src, n, src_c + c, &src_step);
        concat_copy_voxels(to, dst_step, from, src_step, voxels);
    }
}

static void concat_forward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    int64_t first = 0;
    for (int k = 0; k < layer->n_src; k++) {
        for (int64_t n = 0; n < layer->dst.shape.n; n++)
            concat_copy(layer->dst, first, layer->src[k], 0, layer->src[k].shape.c, n);
        first += layer->src[k].shape.c;
    }
    rows_clear_padding(layer->dst);
}

static void concat_backward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    int64_t first = 0;
    for (int k = 0; k < layer->n_src; k++) {
        for (int64_t n = 0; n < layer->dst.shape.n && layer->d_src[k].data; n++)
            concat_copy(layer->d_src[k], 0, layer->d_dst, first, layer->src[k].shape.c, n);
        if (layer->d_src[k].data)
            rows_clear_padding(layer->d_src[k]);
        first += layer->src[k].shape.c;
    }
}

/* clang-format off */
const struct layer_ops layer_concat = {
    .config = {.type = "concat", .help = "the sources' channels behind each other (skip connections)",
    .base = &layer_base_table,
               .size = sizeof(struct layer_config)},
    .min_src = 2, .max_src = LAYER_MAX_SRC, .keeps = LAYER_KEEPS_NOTHING, .in_place = LAYER_IN_PLACE_NEVER,
    .concat_in_place = true, .bfloat16 = LAYER_BFLOAT16_NATIVE,
    .shape = concat_shape, .init = concat_init, .forward = concat_forward, .backward = concat_backward,
};
/* clang-format on */

/* --- slice --- */

struct slice_config {
    struct layer_config layer;
    int64_t first, channels;
};

static enum status slice_shape(const struct layer *layer, struct shape *ret_dst, struct error *error)
{
    const struct slice_config *config = layer->config;
    struct shape dst = layer->src[0].shape;
    if (config->first + config->channels > dst.c)
        return yaml_error(error, layer->node,
                          "%s: channels %" PRId64 " to %" PRId64 " of a source that has %" PRId64 " (numbered from 0)",
                          layer->name, config->first, config->first + config->channels - 1, dst.c);
    dst.c = config->channels;
    *ret_dst = dst;
    return STATUS_OK;
}

static void slice_forward(struct layer *layer, const struct pass *pass)
{
    const struct slice_config *config = layer->config;
    (void)pass;
    for (int64_t n = 0; n < layer->dst.shape.n; n++)
        concat_copy(layer->dst, 0, layer->src[0], config->first, config->channels, n);
    rows_clear_padding(layer->dst);
}

static void slice_backward(struct layer *layer, const struct pass *pass)
{
    const struct slice_config *config = layer->config;
    struct tensor d_src = layer->d_src[0];
    (void)pass;
    if (!d_src.data)
        return;
    const struct rows rows = rows_of(d_src.shape);
    memset(d_src.data, 0, (size_t)(rows.n * rows.floats) * sizeof *d_src.data);
    for (int64_t n = 0; n < d_src.shape.n; n++)
        concat_copy(d_src, config->first, layer->d_dst, 0, config->channels, n);
}

/* clang-format off */
static const struct config_field slice_fields[] = {
    {.key = "first", .type = CONFIG_INT, .offset = offsetof(struct slice_config, first), .text = "0", .min = 0,
     .max = 1e6, .help = "the first channel, numbered from 0"},
    {.key = "channels", .type = CONFIG_INT, .offset = offsetof(struct slice_config, channels), .text = "1", .min = 1,
     .max = 1e6, .help = "how many"},
    {0}};
/* clang-format on */

/* clang-format off */
const struct layer_ops layer_slice = {
    .config = {.type = "slice", .help = "some of the source's channels, as the class 'bone' of a softmax over two",
    .base = &layer_base_table,
               .size = sizeof(struct slice_config), .fields = slice_fields},
    .min_src = 1, .max_src = 1, .keeps = LAYER_KEEPS_NOTHING, .in_place = LAYER_IN_PLACE_NEVER,
    .shape = slice_shape, .forward = slice_forward, .backward = slice_backward,
};
/* clang-format on */
