/* dropout.c - inverted dropout (Srivastava et al. 2014).     training: dst = src * mask / (1 - rate); testing: dst =
 *   src
 *   src, dst (N,C,D,H,W)                                     d_src = d_dst * mask / (1 - rate)
 * Keeps nothing: the mask of value v of channel c of the step's sample n is the v-th number of the stream (seed,
 *   step, layer index, n * C + c),
 * drawn again in backward; it does not depend on layout or threads.       Test: tests/nn/test_dropout.c */
#include <string.h>

#include "nn/layer.h"
#include "nn/layers/rows.h"

struct dropout_config {
    struct layer_config layer;
    double rate;
};

static enum status dropout_shape(const struct layer *layer, struct shape *ret_dst, struct error *error)
{
    (void)error;
    *ret_dst = layer->src[0].shape;
    return STATUS_OK;
}

static void dropout_row(const struct layer *layer, const struct pass *pass, const struct rng *base,
                        const struct rows *rows, int64_t row, const float *src, float *dst)
{
    double rate = ((const struct dropout_config *)layer->config)->rate;
    uint32_t below = (uint32_t)(rate * 0x1p32); /* rate < 1 */
    float scale = (float)(1 / (1 - rate));
    struct shape shape = layer->dst.shape;
    int64_t used = rows_used(rows, shape, row);
    int64_t first =
        pass_sample(pass, row / rows->blocks) * shape.c + row % rows->blocks * rows->block_c; /* n * C + c */
    struct rng rng[ROWS_MAX_BLOCK];
    for (int64_t c = 0; c < used; c++)
        rng[c] = rng_child(base, (uint64_t)(first + c));
    for (int64_t v = 0; v < rows->voxels; v++)
        for (int64_t c = 0; c < rows->block_c; c++) {
            int64_t at = v * rows->block_c + c;
            dst[at] = c < used && rng_u32(&rng[c]) >= below ? src[at] * scale : 0;
        }
}

static void dropout_apply(const struct layer *layer, const struct pass *pass, const float *src, float *dst)
{
    struct rows rows = rows_of(layer->dst.shape);
    if (!pass->training) {
        if (dst != src)
            memcpy(dst, src, (size_t)(rows.n * rows.floats) * sizeof *dst);
        return;
    }
    struct rng step = rng_make(pass->seed, pass->step);
    struct rng base = rng_child(&step, (uint64_t)layer->index);
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < rows.n; row++)
        dropout_row(layer, pass, &base, &rows, row, src + row * rows.floats, dst + row * rows.floats);
}

static void dropout_forward(struct layer *layer, const struct pass *pass)
{
    dropout_apply(layer, pass, layer->src[0].data, layer->dst.data);
}

static void dropout_backward(struct layer *layer, const struct pass *pass)
{
    if (layer->d_src[0].data)
        dropout_apply(layer, pass, layer->d_dst.data, layer->d_src[0].data);
}

/* clang-format off */
static const struct config_field dropout_fields[] = {
    {.key = "rate", .type = CONFIG_DOUBLE, .offset = offsetof(struct dropout_config, rate), .text = "0.5", .min = 0,
     .max = 0.99, .help = "share of values set to zero"},
    {0}};
/* clang-format on */

/* clang-format off */
const struct layer_ops layer_dropout = {
    .config = {.type = "dropout", .help = "sets a random share of the values to zero while training",
    .base = &layer_base_table,
               .size = sizeof(struct dropout_config), .fields = dropout_fields},
    .min_src = 1, .max_src = 1, .keeps = LAYER_KEEPS_NOTHING, .in_place = LAYER_IN_PLACE_ALWAYS,
    .shape = dropout_shape, .forward = dropout_forward, .backward = dropout_backward,
};
/* clang-format on */
