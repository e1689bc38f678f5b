/* dense.c - fully connected layer.        dst[n,o] = b[o] + sum_i w[o,i] * src[n,i]
 *   src (N,I,1,1,1)   w (O,I)   b (O)   dst (N,O,1,1,1)
 * Keeps for backward: src.                Test: tests/nn/test_upsample.c */
#include "nn/engine/engine.h"
#include "nn/layer.h"

static const char *const dense_init_names[] = {"glorot_uniform", "he_normal", NULL};
static const enum param_init dense_inits[] = {PARAM_GLOROT_UNIFORM, PARAM_HE_NORMAL};

struct dense_config {
    struct layer_config layer;
    int64_t units;
    bool bias;
    int init;
};

/* clang-format off */
static const struct config_field dense_fields[] = {
    {.key = "units", .type = CONFIG_INT, .offset = offsetof(struct dense_config, units), .min = 1, .max = 1 << 20,
     .required = true, .help = "outputs"},
    {.key = "bias", .type = CONFIG_BOOL, .offset = offsetof(struct dense_config, bias), .text = "true",
     .help = "adds a learned constant per output"},
    {.key = "init", .type = CONFIG_ENUM, .offset = offsetof(struct dense_config, init), .text = "glorot_uniform",
     .names = dense_init_names, .help = "how the weights are drawn"},
    {0}};
/* clang-format on */

static enum status dense_shape(const struct layer *layer, struct shape *ret_dst, struct error *error)
{
    const struct dense_config *config = layer->config;
    struct shape src = layer->src[0].shape;
    char text[SHAPE_TEXT];
    if (shape_voxels(src) != 1)
        return yaml_error(error, layer->node,
                          "%s: its source is %s, a grid (a flatten or global_pool layer in front would fit)",
                          layer->name, shape_text(text, src));
    *ret_dst = (struct shape){src.n, config->units, 1, 1, 1};
    return STATUS_OK;
}

static enum status dense_declare(struct layer *layer, struct error *error)
{
    const struct dense_config *config = layer->config;
    const int64_t w[2] = {config->units, layer->src[0].shape.c};
    if (layer_param(layer, "w", 2, w, true, dense_inits[config->init], error))
        return error->status;
    return config->bias ? layer_param(layer, "b", 1, &config->units, true, PARAM_ZEROS, error) : STATUS_OK;
}

/* Scratch: src and dst (or their gradients) as plain rows, without padding channels. */
static enum status dense_init(struct layer *layer, struct error *error)
{
    (void)error;
    layer->scratch_bytes = (size_t)(shape_count(layer->src[0].shape) + shape_count(layer->dst.shape)) * sizeof(float);
    return STATUS_OK;
}

static void dense_forward(struct layer *layer, const struct pass *pass)
{
    struct shape shape = layer->dst.shape;
    int64_t inputs = layer->src[0].shape.c;
    float *src = layer->scratch, *dst = src + shape_count(layer->src[0].shape);
    (void)pass;
    tensor_to_plain(src, layer->src[0]);
    engine_matmul(shape.n, shape.c, inputs, (struct matrix){src, false}, (struct matrix){layer->value[0], true}, dst,
                  false);
    for (int64_t i = 0; layer->n_params > 1 && i < shape_count(shape); i++)
        dst[i] += layer->value[1][i % shape.c];
    tensor_from_plain(layer->dst, dst);
}

static void dense_backward(struct layer *layer, const struct pass *pass)
{
    struct shape shape = layer->d_dst.shape;
    int64_t inputs = layer->src[0].shape.c;
    float *src = layer->scratch, *d_dst = src + shape_count(layer->src[0].shape),
          *d_src = src; /* src is done with by then */

    (void)pass;
    tensor_to_plain(d_dst, layer->d_dst);

    /* d_w[o,i] = sum_n d_dst[n,o] * src[n,i] */
    if (layer->grad[0]) {
        tensor_to_plain(src, layer->src[0]);
        engine_matmul(shape.c, inputs, shape.n, (struct matrix){d_dst, true}, (struct matrix){src, false},
                      layer->grad[0], false);
    }

    /* d_b[o] = sum_n d_dst[n,o], in double */
    for (int64_t o = 0; layer->n_params > 1 && layer->grad[1] && o < shape.c; o++) {
        double sum = 0;
        for (int64_t n = 0; n < shape.n; n++)
            sum += (double)d_dst[n * shape.c + o];
        layer->grad[1][o] = (float)sum;
    }

    /* d_src[n,i] = sum_o d_dst[n,o] * w[o,i] */
    if (layer->d_src[0].data) {
        engine_matmul(shape.n, inputs, shape.c, (struct matrix){d_dst, false}, (struct matrix){layer->value[0], false},
                      d_src, false);
        tensor_from_plain(layer->d_src[0], d_src);
    }
}

static double dense_macs(const struct layer *layer)
{
    const struct dense_config *config = layer->config;
    return (double)shape_count(layer->src[0].shape) * (double)config->units;
}

/* clang-format off */
const struct layer_ops layer_dense = {
    .config = {.type = "dense", .help = "fully connected layer, after flatten or global_pool",
    .base = &layer_base_table,
               .size = sizeof(struct dense_config), .fields = dense_fields},
    .min_src = 1, .max_src = 1, .keeps = LAYER_KEEPS_SRC_TO_LEARN,
    .shape = dense_shape, .declare = dense_declare, .init = dense_init,
    .forward = dense_forward, .backward = dense_backward, .macs = dense_macs,
};
/* clang-format on */
