/* onnx_layers.c - what each layer type is in ONNX's operators (opset 17): one row per type of nn/registry.c.
 *
 * Tensors keep their 5 axes N, C, z, y, x throughout, as here. Weights need no transposing: conv O,I,z,y,x and
 * conv_transpose I,O,z,y,x are ONNX's own orders. Parameters are called as in the model file, "layer.w"; what a layer
 * needs in between is "layer/step": layer names hold neither '.' nor '/'. Keys are read through the layers' own tables.
 */
#include <assert.h>
#include <string.h>

#include "infer/exchange/onnx_graph.h"

/* ---- a layer's keys ---- */

static const void *onnx_key_value(const struct layer *layer, const char *key, const struct config_field **ret_field)
{
    const struct config_field *field = layer->ops->config.fields;
    while (field->key && strcmp(field->key, key) != 0)
        field++;
    assert(field->key); /* the layer's table and this file go together: tests/infer/test_onnx.c */
    *ret_field = field;
    return (const char *)layer->config + field->offset;
}

static int64_t onnx_key_int(const struct layer *layer, const char *key)
{
    const struct config_field *field;
    const int64_t *value = onnx_key_value(layer, key, &field);
    assert(field->type == CONFIG_INT);
    return *value;
}

static double onnx_key_double(const struct layer *layer, const char *key)
{
    const struct config_field *field;
    const double *value = onnx_key_value(layer, key, &field);
    assert(field->type == CONFIG_DOUBLE);
    return *value;
}

static bool onnx_key_bool(const struct layer *layer, const char *key)
{
    const struct config_field *field;
    const bool *value = onnx_key_value(layer, key, &field);
    assert(field->type == CONFIG_BOOL);
    return *value;
}

static bool onnx_key_is(const struct layer *layer, const char *key, const char *word)
{
    const struct config_field *field;
    const int *value = onnx_key_value(layer, key, &field);
    assert(field->type == CONFIG_ENUM);
    return strcmp(field->names[*value], word) == 0;
}

/* x, y, z in YAML, z, y, x here. */
static void onnx_key_axes(const struct layer *layer, const char *key, int64_t ret[3])
{
    const struct config_field *field;
    const int64_t *value = onnx_key_value(layer, key, &field);
    assert(field->type == CONFIG_INT3);
    for (int a = 0; a < 3; a++)
        ret[a] = value[2 - a];
}

/* ---- pieces ---- */

/* "layer/step" */
static const char *onnx_step(struct onnx_graph *graph, const struct layer *layer, const char *name)
{
    return onnx_name(graph, "%s/%s", layer->name, name);
}

/* Parameter i as it lies. */
static const char *onnx_param(struct onnx_graph *graph, const struct layer *layer, int i)
{
    return onnx_floats(graph, layer->param[i]->name, layer->param[i]->n_dims, layer->param[i]->dim, layer->value[i]);
}

/* A parameter with one value per channel, to be spread over N, C, z, y, x. */
static const char *onnx_channel_param(struct onnx_graph *graph, const struct layer *layer, int i)
{
    const int64_t dim[4] = {layer->param[i]->count, 1, 1, 1};
    return onnx_floats(graph, layer->param[i]->name, 4, dim, layer->value[i]);
}

static const char *onnx_constant(struct onnx_graph *graph, const struct layer *layer, const char *name, int64_t n,
                                 float value)
{
    float *values = onnx_alloc(graph, (size_t)n, sizeof *values);
    for (int64_t i = 0; values && i < n; i++)
        values[i] = value;
    return onnx_floats(graph, onnx_step(graph, layer, name), 1, &n, values);
}

static const char *onnx_binary(struct onnx_graph *graph, const char *op, const char *a, const char *b, const char *dst)
{
    const char *const src[2] = {a, b};
    onnx_node(graph, op, dst, dst, 2, src);
    return dst;
}

/* ---- convolutions ---- */

struct geometry {
    int64_t kernel[3], stride[3];
    int64_t pads[6]; /* z, y, x before, then after */
    int64_t extra[3];
    bool grid_decides; /* pads depend on a size that is left open */
};

static void onnx_conv_pads(const struct onnx_graph *graph, const struct layer *layer, struct geometry *g)
{
    const struct shape src = layer->src[0].shape, dst = layer->dst.shape;
    const int64_t in[3] = {src.d, src.h, src.w}, out[3] = {dst.d, dst.h, dst.w};
    for (int a = 0; a < 3; a++) {
        int64_t total = 0;
        if (onnx_key_is(layer, "padding", "symmetric"))
            total = g->kernel[a] / 2 * 2;
        else if (onnx_key_is(layer, "padding", "same"))
            total = (out[a] - 1) * g->stride[a] + g->kernel[a] - in[a];
        g->pads[a] = total > 0 ? total / 2 : 0;
        g->pads[3 + a] = total > 0 ? total - total / 2 : 0;
        g->grid_decides |=
            graph->symbolic && onnx_key_is(layer, "padding", "same") && g->stride[a] > 1 && g->kernel[a] > 1;
    }
}

static void onnx_conv_transpose_pads(const struct layer *layer, struct geometry *g)
{
    bool same = onnx_key_is(layer, "padding", "same"), symmetric = onnx_key_is(layer, "padding", "symmetric");
    for (int a = 0; a < 3; a++) {
        int64_t more = g->kernel[a] - g->stride[a], total = same ? more : symmetric ? more / 2 * 2 : 0;
        g->pads[a] = total > 0 ? total / 2 : 0;
        g->pads[3 + a] = total > 0 ? total - total / 2 : 0;
        g->extra[a] = same && more < 0 ? -more : 0; /* kernel smaller than stride: the rest is bias alone */
    }
}

static void onnx_emit_convolution(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                                  const char *dst, bool transposed)
{
    struct geometry g = {0};
    onnx_key_axes(layer, "kernel", g.kernel);
    onnx_key_axes(layer, "stride", g.stride);
    if (transposed)
        onnx_conv_transpose_pads(layer, &g);
    else
        onnx_conv_pads(graph, layer, &g);

    const char *inputs[3] = {src[0]};
    for (int i = 0; i < layer->n_params; i++)
        inputs[i + 1] = onnx_param(graph, layer, i);
    Onnx__NodeProto *node =
        onnx_node(graph, transposed ? "ConvTranspose" : "Conv", layer->name, dst, 1 + layer->n_params, inputs);
    onnx_ints(graph, node, "kernel_shape", 3, g.kernel);
    onnx_ints(graph, node, "strides", 3, g.stride);
    if (g.grid_decides)
        onnx_word(graph, node, "auto_pad", "SAME_UPPER"); /* TensorFlow's rule: ceil(n / s), the odd voxel behind */
    else
        onnx_ints(graph, node, "pads", 6, g.pads);
    if (transposed && (g.extra[0] || g.extra[1] || g.extra[2]))
        onnx_ints(graph, node, "output_padding", 3, g.extra);
}

static void onnx_emit_conv(struct onnx_graph *graph, const struct layer *layer, const char *const *src, const char *dst)
{
    onnx_emit_convolution(graph, layer, src, dst, false);
}

static void onnx_emit_conv_transpose(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                                     const char *dst)
{
    onnx_emit_convolution(graph, layer, src, dst, true);
}

/* ---- grids ---- */

/* nearest: floor(Z / f); trilinear: half-pixel centres, edges clamped. */
static void onnx_emit_upsample(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                               const char *dst)
{
    bool nearest = onnx_key_is(layer, "mode", "nearest");
    float *scales = onnx_alloc(graph, 5, sizeof *scales);
    const int64_t five = 5;
    for (int i = 0; scales && i < 5; i++)
        scales[i] = i < 2 ? 1 : (float)onnx_key_int(layer, "factor");
    const char *const inputs[3] = {src[0], "", onnx_floats(graph, onnx_step(graph, layer, "scales"), 1, &five, scales)};
    Onnx__NodeProto *node = onnx_node(graph, "Resize", layer->name, dst, 3, inputs);
    onnx_word(graph, node, "mode", nearest ? "nearest" : "linear");
    onnx_word(graph, node, "coordinate_transformation_mode", nearest ? "asymmetric" : "half_pixel");
    if (nearest)
        onnx_word(graph, node, "nearest_mode", "floor");
}

static void onnx_emit_pool(struct onnx_graph *graph, const struct layer *layer, const char *op, const char *src,
                           const char *dst)
{
    int64_t kernel[3], stride[3];
    onnx_key_axes(layer, "kernel", kernel);
    onnx_key_axes(layer, "stride", stride);
    for (int a = 0; a < 3; a++)
        stride[a] = stride[a] ? stride[a] : kernel[a];
    Onnx__NodeProto *node = onnx_node(graph, op, layer->name, dst, 1, &src);
    onnx_ints(graph, node, "kernel_shape", 3, kernel);
    onnx_ints(graph, node, "strides", 3, stride);
}

static void onnx_emit_max_pool(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                               const char *dst)
{
    onnx_emit_pool(graph, layer, "MaxPool", src[0], dst);
}

static void onnx_emit_avg_pool(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                               const char *dst)
{
    onnx_emit_pool(graph, layer, "AveragePool", src[0], dst);
}

static void onnx_emit_global_pool(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                                  const char *dst)
{
    onnx_node(graph, "GlobalAveragePool", layer->name, dst, 1, src);
}

/* ---- norms ---- */

enum { GAMMA, BETA, MOVING_MEAN, MOVING_VARIANCE };

/* Over x, then y, then z (then N), not at once: ONNX Runtime adds up all that one node reduces in float32, its
 * InstanceNormalization too, and over the many equal values of a skull's background that is off by 5e-4
 * (scripts/check_onnx.py). */
static const char *onnx_emit_mean(struct onnx_graph *graph, const struct layer *layer, const char *src,
                                  const char *name, bool batch)
{
    static const int64_t axes[4] = {4, 3, 2, 0};
    static const char *const letters[4] = {"x", "y", "z", "n"};
    for (int i = 0; i < (batch ? 4 : 3); i++) {
        const char *mean = onnx_step(graph, layer, onnx_name(graph, "%s_%s", name, letters[i]));
        onnx_ints(graph, onnx_node(graph, "ReduceMean", mean, mean, 1, &src), "axes", 1, &axes[i]);
        src = mean;
    }
    return src;
}

/* dst = gamma * (src - mean) / sqrt(var + eps) + beta with the statistics of what is at hand: of each sample, or of the
 * batch. */
static void onnx_emit_statistics(struct onnx_graph *graph, const struct layer *layer, const char *src, const char *dst,
                                 bool batch)
{
    const bool affine = layer->n_params > 0;
    const char *away = onnx_binary(graph, "Sub", src, onnx_emit_mean(graph, layer, src, "mean", batch),
                                   onnx_step(graph, layer, "away"));
    const char *square = onnx_binary(graph, "Mul", away, away, onnx_step(graph, layer, "square"));
    const char *variance = onnx_emit_mean(graph, layer, square, "variance", batch),
               *deviation = onnx_step(graph, layer, "deviation");
    const char *eps = onnx_constant(graph, layer, "eps", 1, (float)onnx_key_double(layer, "eps"));
    const char *sum = onnx_binary(graph, "Add", variance, eps, onnx_step(graph, layer, "variance_eps"));

    onnx_node(graph, "Sqrt", deviation, deviation, 1, &sum);
    if (!affine) {
        onnx_binary(graph, "Div", away, deviation, dst);
        return;
    }
    const char *scale =
        onnx_binary(graph, "Div", onnx_channel_param(graph, layer, GAMMA), deviation, onnx_step(graph, layer, "scale"));
    const char *scaled = onnx_binary(graph, "Mul", away, scale, onnx_step(graph, layer, "scaled"));
    onnx_binary(graph, "Add", scaled, onnx_channel_param(graph, layer, BETA), dst);
}

static void onnx_emit_batch_norm(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                                 const char *dst)
{
    if (onnx_key_bool(layer, "batch_statistics_at_test")) {
        onnx_emit_statistics(graph, layer, src[0], dst, true);
        return;
    }
    const char *const inputs[5] = {src[0], onnx_param(graph, layer, GAMMA), onnx_param(graph, layer, BETA),
                                   onnx_param(graph, layer, MOVING_MEAN), onnx_param(graph, layer, MOVING_VARIANCE)};
    onnx_float(graph, onnx_node(graph, "BatchNormalization", layer->name, dst, 5, inputs), "epsilon",
               onnx_key_double(layer, "eps"));
}

static void onnx_emit_instance_norm(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                                    const char *dst)
{
    onnx_emit_statistics(graph, layer, src[0], dst, false);
}

/* Of the channels of a group, from their own means: N, groups, 1. */
static const char *onnx_emit_group_mean(struct onnx_graph *graph, const struct layer *layer, const char *src,
                                        const char *name, const char *merged)
{
    static const int64_t axis = 2;
    const char *channels = onnx_emit_mean(graph, layer, src, name, false), *mean = onnx_step(graph, layer, name);
    const char *rows =
        onnx_binary(graph, "Reshape", channels, merged, onnx_step(graph, layer, onnx_name(graph, "%s_channels", name)));
    onnx_ints(graph, onnx_node(graph, "ReduceMean", mean, mean, 1, &rows), "axes", 1, &axis);
    return mean;
}

/* Over rows N, groups, values; then gamma and beta per channel. */
static void onnx_emit_group_norm(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                                 const char *dst)
{
    const bool affine = layer->n_params > 0;
    const int64_t dim[3] = {0, onnx_key_int(layer, "groups"), -1};
    const char *merged = onnx_integers(graph, onnx_step(graph, layer, "merged"), 3, dim);
    const char *shape = onnx_step(graph, layer, "shape"), *deviation = onnx_step(graph, layer, "deviation");

    onnx_node(graph, "Shape", shape, shape, 1, src);
    const char *rows = onnx_binary(graph, "Reshape", src[0], merged, onnx_step(graph, layer, "rows"));
    const char *away = onnx_binary(graph, "Sub", rows, onnx_emit_group_mean(graph, layer, src[0], "mean", merged),
                                   onnx_step(graph, layer, "away"));
    const char *square =
        onnx_binary(graph, "Reshape", onnx_binary(graph, "Mul", away, away, onnx_step(graph, layer, "square")), shape,
                    onnx_step(graph, layer, "square_grid"));
    const char *variance = onnx_emit_group_mean(graph, layer, square, "variance", merged);
    const char *sum =
        onnx_binary(graph, "Add", variance, onnx_constant(graph, layer, "eps", 1, (float)onnx_key_double(layer, "eps")),
                    onnx_step(graph, layer, "variance_eps"));
    onnx_node(graph, "Sqrt", deviation, deviation, 1, &sum);

    const char *norm = onnx_binary(graph, "Div", away, deviation, onnx_step(graph, layer, "norm"));
    const char *grid = onnx_binary(graph, "Reshape", norm, shape, affine ? onnx_step(graph, layer, "grid") : dst);
    if (!affine)
        return;
    const char *scaled =
        onnx_binary(graph, "Mul", grid, onnx_channel_param(graph, layer, GAMMA), onnx_step(graph, layer, "scaled"));
    onnx_binary(graph, "Add", scaled, onnx_channel_param(graph, layer, BETA), dst);
}

/* ---- values ---- */

static void onnx_emit_relu(struct onnx_graph *graph, const struct layer *layer, const char *const *src, const char *dst)
{
    onnx_node(graph, "Relu", layer->name, dst, 1, src);
}

static void onnx_emit_leaky_relu(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                                 const char *dst)
{
    onnx_float(graph, onnx_node(graph, "LeakyRelu", layer->name, dst, 1, src), "alpha",
               onnx_key_double(layer, "slope"));
}

static void onnx_emit_tanh(struct onnx_graph *graph, const struct layer *layer, const char *const *src, const char *dst)
{
    onnx_node(graph, "Tanh", layer->name, dst, 1, src);
}

static void onnx_emit_sigmoid(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                              const char *dst)
{
    onnx_node(graph, "Sigmoid", layer->name, dst, 1, src);
}

static void onnx_emit_scale(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                            const char *dst)
{
    const char *factor = onnx_constant(graph, layer, "factor", 1, (float)onnx_key_double(layer, "factor")),
               *offset = onnx_constant(graph, layer, "offset", 1, (float)onnx_key_double(layer, "offset"));
    onnx_binary(graph, "Add", onnx_binary(graph, "Mul", src[0], factor, onnx_step(graph, layer, "scaled")), offset,
                dst);
}

static void onnx_emit_softmax(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                              const char *dst)
{
    onnx_int(graph, onnx_node(graph, "Softmax", layer->name, dst, 1, src), "axis", 1);
}

/* At test a dropout passes its values on. */
static void onnx_emit_dropout(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                              const char *dst)
{
    onnx_node(graph, "Identity", layer->name, dst, 1, src);
}

/* ---- joints ---- */

static void onnx_emit_add(struct onnx_graph *graph, const struct layer *layer, const char *const *src, const char *dst)
{
    onnx_node(graph, layer->n_src == 2 ? "Add" : "Sum", layer->name, dst, layer->n_src, src);
}

static void onnx_emit_multiply(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                               const char *dst)
{
    onnx_node(graph, "Mul", layer->name, dst, 2, src);
}

static void onnx_emit_concat(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                             const char *dst)
{
    onnx_int(graph, onnx_node(graph, "Concat", layer->name, dst, layer->n_src, src), "axis", 1);
}

static void onnx_emit_slice(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                            const char *dst)
{
    const int64_t first = onnx_key_int(layer, "first"), end = first + onnx_key_int(layer, "channels"), axis = 1;
    const char *const inputs[4] = {src[0], onnx_integers(graph, onnx_step(graph, layer, "first"), 1, &first),
                                   onnx_integers(graph, onnx_step(graph, layer, "end"), 1, &end),
                                   onnx_integers(graph, onnx_step(graph, layer, "axis"), 1, &axis)};
    onnx_node(graph, "Slice", layer->name, dst, 4, inputs);
}

/* All values as channels of one voxel, in the order c, z, y, x. */
static void onnx_emit_flatten(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                              const char *dst)
{
    const int64_t one_voxel[5] = {0, -1, 1, 1, 1};
    const char *const inputs[2] = {src[0], onnx_integers(graph, onnx_step(graph, layer, "one_voxel"), 5, one_voxel)};
    onnx_node(graph, "Reshape", layer->name, dst, 2, inputs);
}

/* Rows N x I times w (O, I) transposed, plus b. */
static void onnx_emit_dense(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                            const char *dst)
{
    const int64_t one_voxel[5] = {0, layer->dst.shape.c, 1, 1, 1};
    const char *rows = onnx_step(graph, layer, "rows"), *product = onnx_step(graph, layer, "product");
    onnx_int(graph, onnx_node(graph, "Flatten", rows, rows, 1, src), "axis", 1);
    const char *inputs[3] = {rows};
    for (int i = 0; i < layer->n_params; i++)
        inputs[i + 1] = onnx_param(graph, layer, i);
    onnx_int(graph, onnx_node(graph, "Gemm", product, product, 1 + layer->n_params, inputs), "transB", 1);
    onnx_binary(graph, "Reshape", product, onnx_integers(graph, onnx_step(graph, layer, "one_voxel"), 5, one_voxel),
                dst);
}

/* ---- the table ---- */

static const struct onnx_row {
    const char *type;
    void (*emit)(struct onnx_graph *graph, const struct layer *layer, const char *const *src, const char *dst);
    bool fixes_size;
} rows[] = {
    {"conv", onnx_emit_conv, false},
    {"conv_transpose", onnx_emit_conv_transpose, false},
    {"upsample", onnx_emit_upsample, false},
    {"max_pool", onnx_emit_max_pool, false},
    {"avg_pool", onnx_emit_avg_pool, false},
    {"global_pool", onnx_emit_global_pool, false},
    {"batch_norm", onnx_emit_batch_norm, false},
    {"instance_norm", onnx_emit_instance_norm, false},
    {"group_norm", onnx_emit_group_norm, false},
    {"relu", onnx_emit_relu, false},
    {"leaky_relu", onnx_emit_leaky_relu, false},
    {"tanh", onnx_emit_tanh, false},
    {"sigmoid", onnx_emit_sigmoid, false},
    {"scale", onnx_emit_scale, false},
    {"softmax", onnx_emit_softmax, false},
    {"dropout", onnx_emit_dropout, false},
    {"add", onnx_emit_add, false},
    {"multiply", onnx_emit_multiply, false},
    {"concat", onnx_emit_concat, false},
    {"slice", onnx_emit_slice, false},
    {"flatten", onnx_emit_flatten, true}, /* a dense layer's weights count voxels */
    {"dense", onnx_emit_dense, false},
};
enum { N_ROWS = sizeof rows / sizeof *rows };

static const struct onnx_row *onnx_row_of(const struct layer *layer)
{
    for (int i = 0; i < N_ROWS; i++)
        if (strcmp(rows[i].type, layer->ops->config.type) == 0)
            return &rows[i];
    return NULL;
}

bool onnx_layer(struct onnx_graph *graph, const struct layer *layer, const char *const *src, const char *dst)
{
    const struct onnx_row *row = onnx_row_of(layer);
    if (row)
        row->emit(graph, layer, src, dst);
    return row != NULL;
}

bool onnx_layer_fixes_size(const struct layer *layer)
{
    const struct onnx_row *row = onnx_row_of(layer);
    return row && row->fixes_size;
}
