/* softmax.c - softmax over the channels of every voxel.      dst[n,c] = exp(src[n,c]) / sum_k exp(src[n,k])
 *   src, dst (N,C,D,H,W)                                     d_src[c] = dst[c] * (d_dst[c] - sum_k d_dst[k] * dst[k])
 * Keeps for backward: dst. The largest value is taken off first, so that exp does not overflow. Test:
 * tests/nn/test_activation.c */
#include <math.h>

#include "nn/layer.h"
#include "nn/layers/rows.h"

static enum status softmax_shape(const struct layer *layer, struct shape *ret_dst, struct error *error)
{
    (void)error;
    *ret_dst = layer->src[0].shape;
    return STATUS_OK;
}

/* Where channel c of a sample's first voxel lies. */
static int64_t softmax_channel(const struct rows *rows, int64_t c)
{
    return c / rows->block_c * rows->floats + c % rows->block_c;
}

static void softmax_voxel(const struct rows *rows, int64_t channels, const float *src, float *dst)
{
    float largest = src[0], sum = 0;
    for (int64_t c = 1; c < channels; c++)
        largest = fmaxf(largest, src[softmax_channel(rows, c)]);
    for (int64_t c = 0; c < channels; c++) {
        int64_t at = softmax_channel(rows, c);
        dst[at] = expf(src[at] - largest);
        sum += dst[at];
    }
    for (int64_t c = 0; c < channels; c++)
        dst[softmax_channel(rows, c)] /= sum;
    for (int64_t c = channels; c < rows->blocks * rows->block_c; c++) /* padding */
        dst[softmax_channel(rows, c)] = 0;
}

static void softmax_forward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    struct shape shape = layer->dst.shape;
    struct rows rows = rows_of(shape);
#pragma omp parallel for schedule(static) collapse(2)
    for (int64_t n = 0; n < shape.n; n++)
        for (int64_t v = 0; v < rows.voxels; v++) {
            int64_t at = n * rows.blocks * rows.floats + v * rows.block_c;
            softmax_voxel(&rows, shape.c, layer->src[0].data + at, layer->dst.data + at);
        }
}

static void softmax_voxel_backward(const struct rows *rows, const float *dst, const float *d_dst, float *d_src)
{
    float sum = 0;
    for (int64_t c = 0; c < rows->blocks * rows->block_c; c++)
        sum += d_dst[softmax_channel(rows, c)] * dst[softmax_channel(rows, c)];
    for (int64_t c = 0; c < rows->blocks * rows->block_c; c++) {
        int64_t at = softmax_channel(rows, c);
        d_src[at] = dst[at] * (d_dst[at] - sum);
    }
}

static void softmax_backward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    struct rows rows = rows_of(layer->dst.shape);
    int64_t n_samples = layer->d_src[0].data ? layer->dst.shape.n : 0;
#pragma omp parallel for schedule(static) collapse(2)
    for (int64_t n = 0; n < n_samples; n++)
        for (int64_t v = 0; v < rows.voxels; v++) {
            int64_t at = n * rows.blocks * rows.floats + v * rows.block_c;
            softmax_voxel_backward(&rows, layer->dst.data + at, layer->d_dst.data + at, layer->d_src[0].data + at);
        }
}

/* clang-format off */
const struct layer_ops layer_softmax = {
    .config = {.type = "softmax", .help = "probabilities over the channels of each voxel", .base = &layer_base_table,
               .size = sizeof(struct layer_config)},
    .min_src = 1, .max_src = 1, .keeps = LAYER_KEEPS_DST, .in_place = LAYER_IN_PLACE_ALWAYS,
    .shape = softmax_shape, .forward = softmax_forward, .backward = softmax_backward,
};
/* clang-format on */
