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

static const void *key_value(const struct layer *layer, const char *key, const struct config_field **ret_field)
{
    const struct config_field *field = layer->ops->config.fields;
    while (field->key && strcmp(field->key, key) != 0)
        field++;
    assert(field->key); /* the layer's table and this file go together: tests/infer/test_onnx.c */
    *ret_field = field;
    return (const char *)layer->config + field->offset;
}

static int64_t key_int(const struct layer *layer, const char *key)
{
    const struct config_field *field;
    const int64_t *value = key_value(layer, key, &field);
    assert(field->type == CONFIG_INT);
    return *value;
}

static double key_double(const struct layer *layer, const char *key)
{
    const struct config_field *field;
    const double *value = key_value(layer, key, &field);
    assert(field->type == CONFIG_DOUBLE);
    return *value;
}

static bool key_bool(const struct layer *layer, const char *key)
{
    const struct config_field *field;
    const bool *value = key_value(layer, key, &field);
    assert(field->type == CONFIG_BOOL);
    return *value;
}

static bool key_is(const struct layer *layer, const char *key, const char *word)
{
    const struct config_field *field;
    const int *value = key_value(layer, key, &field);
    assert(field->type == CONFIG_ENUM);
    return strcmp(field->names[*value], word) == 0;
}

/* x, y, z in YAML, z, y, x here. */
static void key_axes(const struct layer *layer, const char *key, int64_t ret[3])
{
    const struct config_field *field;
    const int64_t *value = key_value(layer, key, &field);
    assert(field->type == CONFIG_INT3);
    for (int a = 0; a < 3; a++)
        ret[a] = value[2 - a];
}

/* ---- pieces ---- */

/* "layer/step" */
static const char *step(struct onnx_graph *graph, const struct layer *layer, const char *name)
{
    return onnx_name(graph, "%s/%s", layer->name, name);
}

/* Parameter i as it lies. */
static const char *param(struct onnx_graph *graph, const struct layer *layer, int i)
{
    return onnx_floats(graph, layer->param[i]->name, layer->param[i]->n_dims, layer->param[i]->dim, layer->value[i]);
}

/* A parameter with one value per channel, to be spread over N, C, z, y, x. */
static const char *channel_param(struct onnx_graph *graph, const struct layer *layer, int i)
{
    const int64_t dim[4] = {layer->param[i]->count, 1, 1, 1};
    return onnx_floats(graph, layer->param[i]->name, 4, dim, layer->value[i]);
}

static const char *constant(struct onnx_graph *graph, const struct layer *layer, const char *name, int64_t n,
                            float value)
{
    float *values = onnx_alloc(graph, (size_t)n, sizeof *values);
    for (int64_t i = 0; values && i < n; i++)
        values[i] = value;
    return onnx_floats(graph, step(graph, layer, name), 1, &n, values);
}

static const char *binary(struct onnx_graph *graph, const char *op, const char *a, const char *b, const char *dst)
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

static void conv_pads(const struct onnx_graph *graph, const struct layer *layer, struct geometry *g)
{
    const struct shape src = layer->src[0].shape, dst = layer->dst.shape;
    const int64_t in[3] = {src.d, src.h, src.w}, out[3] = {dst.d, dst.h, dst.w};
    for (int a = 0; a < 3; a++) {
        int64_t total = 0;
        if (key_is(layer, "padding", "symmetric"))
            total = g->kernel[a] / 2 * 2;
        else if (key_is(layer, "padding", "same"))
            total = (out[a] - 1) * g->stride[a] + g->kernel[a] - in[a];
        g->pads[a] = total > 0 ? total / 2 : 0;
        g->pads[3 + a] = total > 0 ? total - total / 2 : 0;
        g->grid_decides |= graph->symbolic && key_is(layer, "padding", "same") && g->stride[a] > 1 && g->kernel[a] > 1;
    }
}

static void conv_transpose_pads(const struct layer *layer, struct geometry *g)
{
    bool same = key_is(layer, "padding", "same"), symmetric = key_is(layer, "padding", "symmetric");
    for (int a = 0; a < 3; a++) {
        int64_t more = g->kernel[a] - g->stride[a], total = same ? more : symmetric ? more / 2 * 2 : 0;
        g->pads[a] = total > 0 ? total / 2 : 0;
        g->pads[3 + a] = total > 0 ? total - total / 2 : 0;
        g->extra[a] = same && more < 0 ? -more : 0; /* kernel smaller than stride: the rest is bias alone */
    }
}

static void emit_convolution(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                             const char *dst, bool transposed)
{
    struct geometry g = {0};
    key_axes(layer, "kernel", g.kernel);
    key_axes(layer, "stride", g.stride);
    if (transposed)
        conv_transpose_pads(layer, &g);
    else
        conv_pads(graph, layer, &g);
    const char *inputs[3] = {src[0]};
    for (int i = 0; i < layer->n_params; i++)
        inputs[i + 1] = param(graph, layer, i);
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

static void emit_conv(struct onnx_graph *graph, const struct layer *layer, const char *const *src, const char *dst)
{
    emit_convolution(graph, layer, src, dst, false);
}

static void emit_conv_transpose(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                                const char *dst)
{
    emit_convolution(graph, layer, src, dst, true);
}

/* ---- grids ---- */

/* nearest: floor(Z / f); trilinear: half-pixel centres, edges clamped. */
static void emit_upsample(struct onnx_graph *graph, const struct layer *layer, const char *const *src, const char *dst)
{
    bool nearest = key_is(layer, "mode", "nearest");
    float *scales = onnx_alloc(graph, 5, sizeof *scales);
    const int64_t five = 5;
    for (int i = 0; scales && i < 5; i++)
        scales[i] = i < 2 ? 1 : (float)key_int(layer, "factor");
    const char *const inputs[3] = {src[0], "", onnx_floats(graph, step(graph, layer, "scales"), 1, &five, scales)};
    Onnx__NodeProto *node = onnx_node(graph, "Resize", layer->name, dst, 3, inputs);
    onnx_word(graph, node, "mode", nearest ? "nearest" : "linear");
    onnx_word(graph, node, "coordinate_transformation_mode", nearest ? "asymmetric" : "half_pixel");
    if (nearest)
        onnx_word(graph, node, "nearest_mode", "floor");
}

static void emit_pool(struct onnx_graph *graph, const struct layer *layer, const char *op, const char *src,
                      const char *dst)
{
    int64_t kernel[3], stride[3];
    key_axes(layer, "kernel", kernel);
    key_axes(layer, "stride", stride);
    for (int a = 0; a < 3; a++)
        stride[a] = stride[a] ? stride[a] : kernel[a];
    Onnx__NodeProto *node = onnx_node(graph, op, layer->name, dst, 1, &src);
    onnx_ints(graph, node, "kernel_shape", 3, kernel);
    onnx_ints(graph, node, "strides", 3, stride);
}

static void emit_max_pool(struct onnx_graph *graph, const struct layer *layer, const char *const *src, const char *dst)
{
    emit_pool(graph, layer, "MaxPool", src[0], dst);
}

static void emit_avg_pool(struct onnx_graph *graph, const struct layer *layer, const char *const *src, const char *dst)
{
    emit_pool(graph, layer, "AveragePool", src[0], dst);
}

static void emit_global_pool(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                             const char *dst)
{
    onnx_node(graph, "GlobalAveragePool", layer->name, dst, 1, src);
}

/* ---- norms ---- */

enum { GAMMA, BETA, MOVING_MEAN, MOVING_VARIANCE };

/* Over x, then y, then z (then N), not at once: ONNX Runtime adds up all that one node reduces in float32, its
 * InstanceNormalization too, and over the many equal values of a skull's background that is off by 5e-4
 * (scripts/check_onnx.py). */
static const char *emit_mean(struct onnx_graph *graph, const struct layer *layer, const char *src, const char *name,
                             bool batch)
{
    static const int64_t axes[4] = {4, 3, 2, 0};
    static const char *const letters[4] = {"x", "y", "z", "n"};
    for (int i = 0; i < (batch ? 4 : 3); i++) {
        const char *mean = step(graph, layer, onnx_name(graph, "%s_%s", name, letters[i]));
        onnx_ints(graph, onnx_node(graph, "ReduceMean", mean, mean, 1, &src), "axes", 1, &axes[i]);
        src = mean;
    }
    return src;
}

/* dst = gamma * (src - mean) / sqrt(var + eps) + beta with the statistics of what is at hand: of each sample, or of the
 * batch. */
static void emit_statistics(struct onnx_graph *graph, const struct layer *layer, const char *src, const char *dst,
                            bool batch)
{
    const bool affine = layer->n_params > 0;
    const char *away =
        binary(graph, "Sub", src, emit_mean(graph, layer, src, "mean", batch), step(graph, layer, "away"));
    const char *square = binary(graph, "Mul", away, away, step(graph, layer, "square"));
    const char *variance = emit_mean(graph, layer, square, "variance", batch),
               *deviation = step(graph, layer, "deviation");
    const char *eps = constant(graph, layer, "eps", 1, (float)key_double(layer, "eps"));
    const char *sum = binary(graph, "Add", variance, eps, step(graph, layer, "variance_eps"));
    onnx_node(graph, "Sqrt", deviation, deviation, 1, &sum);
    if (!affine) {
        binary(graph, "Div", away, deviation, dst);
        return;
    }
    const char *scale =
        binary(graph, "Div", channel_param(graph, layer, GAMMA), deviation, step(graph, layer, "scale"));
    const char *scaled = binary(graph, "Mul", away, scale, step(graph, layer, "scaled"));
    binary(graph, "Add", scaled, channel_param(graph, layer, BETA), dst);
}

static void emit_batch_norm(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                            const char *dst)
{
    if (key_bool(layer, "batch_statistics_at_test")) {
        emit_statistics(graph, layer, src[0], dst, true);
        return;
    }
    const char *const inputs[5] = {src[0], param(graph, layer, GAMMA), param(graph, layer, BETA),
                                   param(graph, layer, MOVING_MEAN), param(graph, layer, MOVING_VARIANCE)};
    onnx_float(graph, onnx_node(graph, "BatchNormalization", layer->name, dst, 5, inputs), "epsilon",
               key_double(layer, "eps"));
}

static void emit_instance_norm(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                               const char *dst)
{
    emit_statistics(graph, layer, src[0], dst, false);
}

/* Of the channels of a group, from their own means: N, groups, 1. */
static const char *emit_group_mean(struct onnx_graph *graph, const struct layer *layer, const char *src,
                                   const char *name, const char *merged)
{
    static const int64_t axis = 2;
    const char *channels = emit_mean(graph, layer, src, name, false), *mean = step(graph, layer, name);
    const char *rows =
        binary(graph, "Reshape", channels, merged, step(graph, layer, onnx_name(graph, "%s_channels", name)));
    onnx_ints(graph, onnx_node(graph, "ReduceMean", mean, mean, 1, &rows), "axes", 1, &axis);
    return mean;
}

/* Over rows N, groups, values; then gamma and beta per channel. */
static void emit_group_norm(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                            const char *dst)
{
    const bool affine = layer->n_params > 0;
    const int64_t dim[3] = {0, key_int(layer, "groups"), -1};
    const char *merged = onnx_integers(graph, step(graph, layer, "merged"), 3, dim);
    const char *shape = step(graph, layer, "shape"), *deviation = step(graph, layer, "deviation");
    onnx_node(graph, "Shape", shape, shape, 1, src);
    const char *rows = binary(graph, "Reshape", src[0], merged, step(graph, layer, "rows"));
    const char *away =
        binary(graph, "Sub", rows, emit_group_mean(graph, layer, src[0], "mean", merged), step(graph, layer, "away"));
    const char *square = binary(graph, "Reshape", binary(graph, "Mul", away, away, step(graph, layer, "square")), shape,
                                step(graph, layer, "square_grid"));
    const char *variance = emit_group_mean(graph, layer, square, "variance", merged);
    const char *sum = binary(graph, "Add", variance, constant(graph, layer, "eps", 1, (float)key_double(layer, "eps")),
                             step(graph, layer, "variance_eps"));
    onnx_node(graph, "Sqrt", deviation, deviation, 1, &sum);
    const char *norm = binary(graph, "Div", away, deviation, step(graph, layer, "norm"));
    const char *grid = binary(graph, "Reshape", norm, shape, affine ? step(graph, layer, "grid") : dst);
    if (!affine)
        return;
    const char *scaled = binary(graph, "Mul", grid, channel_param(graph, layer, GAMMA), step(graph, layer, "scaled"));
    binary(graph, "Add", scaled, channel_param(graph, layer, BETA), dst);
}

/* ---- values ---- */

static void emit_relu(struct onnx_graph *graph, const struct layer *layer, const char *const *src, const char *dst)
{
    onnx_node(graph, "Relu", layer->name, dst, 1, src);
}

static void emit_leaky_relu(struct onnx_graph *graph, const struct layer *layer, const char *const *src,
                            const char *dst)
{
    onnx_float(graph, onnx_node(graph, "LeakyRelu", layer->name, dst, 1, src), "alpha", key_double(layer, "slope"));
}

static void emit_tanh(struct onnx_graph *graph, const struct layer *layer, const char *const *src, const char *dst)
{
    onnx_node(graph, "Tanh", layer->name, dst, 1, src);
}

static void emit_sigmoid(struct onnx_graph *graph, const struct layer *layer, const char *const *src, const char *dst)
{
    onnx_node(graph, "Sigmoid", layer->name, dst, 1, src);
}

static void emit_softmax(struct onnx_graph *graph, const struct layer *layer, const char *const *src, const char *dst)
{
    onnx_int(graph, onnx_node(graph, "Softmax", layer->name, dst, 1, src), "axis", 1);
}

/* At test a dropout passes its values on. */
static void emit_dropout(struct onnx_graph *graph, const struct layer *layer, const char *const *src, const char *dst)
{
    onnx_node(graph, "Identity", layer->name, dst, 1, src);
}

/* ---- joints ---- */

static void emit_add(struct onnx_graph *graph, const struct layer *layer, const char *const *src, const char *dst)
{
    onnx_node(graph, layer->n_src == 2 ? "Add" : "Sum", layer->name, dst, layer->n_src, src);
}

static void emit_concat(struct onnx_graph *graph, const struct layer *layer, const char *const *src, const char *dst)
{
    onnx_int(graph, onnx_node(graph, "Concat", layer->name, dst, layer->n_src, src), "axis", 1);
}

static void emit_slice(struct onnx_graph *graph, const struct layer *layer, const char *const *src, const char *dst)
{
    const int64_t first = key_int(layer, "first"), end = first + key_int(layer, "channels"), axis = 1;
    const char *const inputs[4] = {src[0], onnx_integers(graph, step(graph, layer, "first"), 1, &first),
                                   onnx_integers(graph, step(graph, layer, "end"), 1, &end),
                                   onnx_integers(graph, step(graph, layer, "axis"), 1, &axis)};
    onnx_node(graph, "Slice", layer->name, dst, 4, inputs);
}

/* All values as channels of one voxel, in the order c, z, y, x. */
static void emit_flatten(struct onnx_graph *graph, const struct layer *layer, const char *const *src, const char *dst)
{
    const int64_t one_voxel[5] = {0, -1, 1, 1, 1};
    const char *const inputs[2] = {src[0], onnx_integers(graph, step(graph, layer, "one_voxel"), 5, one_voxel)};
    onnx_node(graph, "Reshape", layer->name, dst, 2, inputs);
}

/* Rows N x I times w (O, I) transposed, plus b. */
static void emit_dense(struct onnx_graph *graph, const struct layer *layer, const char *const *src, const char *dst)
{
    const int64_t one_voxel[5] = {0, layer->dst.shape.c, 1, 1, 1};
    const char *rows = step(graph, layer, "rows"), *product = step(graph, layer, "product");
    onnx_int(graph, onnx_node(graph, "Flatten", rows, rows, 1, src), "axis", 1);
    const char *inputs[3] = {rows};
    for (int i = 0; i < layer->n_params; i++)
        inputs[i + 1] = param(graph, layer, i);
    onnx_int(graph, onnx_node(graph, "Gemm", product, product, 1 + layer->n_params, inputs), "transB", 1);
    binary(graph, "Reshape", product, onnx_integers(graph, step(graph, layer, "one_voxel"), 5, one_voxel), dst);
}

/* ---- the table ---- */

static const struct onnx_row {
    const char *type;
    void (*emit)(struct onnx_graph *graph, const struct layer *layer, const char *const *src, const char *dst);
    bool fixes_size;
} rows[] = {
    {"conv", emit_conv, false},
    {"conv_transpose", emit_conv_transpose, false},
    {"upsample", emit_upsample, false},
    {"max_pool", emit_max_pool, false},
    {"avg_pool", emit_avg_pool, false},
    {"global_pool", emit_global_pool, false},
    {"batch_norm", emit_batch_norm, false},
    {"instance_norm", emit_instance_norm, false},
    {"group_norm", emit_group_norm, false},
    {"relu", emit_relu, false},
    {"leaky_relu", emit_leaky_relu, false},
    {"tanh", emit_tanh, false},
    {"sigmoid", emit_sigmoid, false},
    {"softmax", emit_softmax, false},
    {"dropout", emit_dropout, false},
    {"add", emit_add, false},
    {"concat", emit_concat, false},
    {"slice", emit_slice, false},
    {"flatten", emit_flatten, true}, /* a dense layer's weights count voxels */
    {"dense", emit_dense, false},
};
enum { N_ROWS = sizeof rows / sizeof *rows };

static const struct onnx_row *row_of(const struct layer *layer)
{
    for (int i = 0; i < N_ROWS; i++)
        if (strcmp(rows[i].type, layer->ops->config.type) == 0)
            return &rows[i];
    return NULL;
}

bool onnx_layer(struct onnx_graph *graph, const struct layer *layer, const char *const *src, const char *dst)
{
    const struct onnx_row *row = row_of(layer);
    if (row)
        row->emit(graph, layer, src, dst);
    return row != NULL;
}

bool onnx_layer_fixes_size(const struct layer *layer)
{
    const struct onnx_row *row = row_of(layer);
    return row && row->fixes_size;
}
