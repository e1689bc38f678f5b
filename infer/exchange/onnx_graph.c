/* onnx_graph.c - see onnx_graph.h. */
#include "infer/exchange/onnx_graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void *onnx_alloc(struct onnx_graph *graph, size_t n, size_t size)
{
    void *memory = graph->failed ? NULL : arena_alloc(&graph->arena, n ? n : 1, size);
    graph->failed |= memory == NULL;
    return memory;
}

char *onnx_name(struct onnx_graph *graph, const char *format, ...)
{
    static char nothing[1];
    va_list arguments, copy;
    va_start(arguments, format);
    va_copy(copy, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    char *name = length < 0 ? NULL : onnx_alloc(graph, (size_t)length + 1, 1);
    graph->failed |= length < 0 || (name && vsnprintf(name, (size_t)length + 1, format, copy) != length);
    va_end(copy);
    va_end(arguments);
    return name ? name : nothing;
}

/* A list of pointers grows by doubling: `n` in use, room for the next power of two. Returns the list with room for one
 * more. */
static void *onnx_graph_grown(struct onnx_graph *graph, void *list, size_t n)
{
    if (n & (n - 1))
        return list;
    void **larger = onnx_alloc(graph, n ? 2 * n : 1, sizeof *larger);
    if (larger && n)
        memcpy(larger, list, n * sizeof *larger);
    return larger;
}

Onnx__NodeProto *onnx_node(struct onnx_graph *graph, const char *op, const char *name, const char *dst, int n_src,
                           const char *const *src)
{
    Onnx__GraphProto *proto = &graph->proto;
    Onnx__NodeProto *node = onnx_alloc(graph, 1, sizeof *node);
    char **inputs = onnx_alloc(graph, (size_t)n_src, sizeof *inputs), **outputs = onnx_alloc(graph, 1, sizeof *outputs);
    Onnx__NodeProto **list = onnx_graph_grown(graph, proto->node, proto->n_node);
    char *op_type = onnx_name(graph, "%s", op), *name_copy = onnx_name(graph, "%s", name);

    if (graph->failed)
        return NULL;
    onnx__node_proto__init(node);
    for (int i = 0; i < n_src; i++)
        inputs[i] = onnx_name(graph, "%s", src[i]);
    outputs[0] = onnx_name(graph, "%s", dst);
    node->n_input = (size_t)n_src;
    node->input = inputs;
    node->n_output = 1;
    node->output = outputs;
    node->name = name_copy;
    node->op_type = op_type;
    proto->node = list;
    proto->node[proto->n_node++] = node;

    return node;
}

static Onnx__AttributeProto *onnx_graph_attribute(struct onnx_graph *graph, Onnx__NodeProto *node, const char *key,
                                                  Onnx__AttributeProto__AttributeType type)
{
    Onnx__AttributeProto *made = onnx_alloc(graph, 1, sizeof *made);
    char *name = onnx_name(graph, "%s", key);
    Onnx__AttributeProto **list = node ? onnx_graph_grown(graph, node->attribute, node->n_attribute) : NULL;
    if (graph->failed || !node)
        return NULL;
    onnx__attribute_proto__init(made);
    made->name = name;
    made->has_type = 1;
    made->type = type;
    node->attribute = list;
    node->attribute[node->n_attribute++] = made;
    return made;
}

void onnx_int(struct onnx_graph *graph, Onnx__NodeProto *node, const char *key, int64_t value)
{
    Onnx__AttributeProto *made = onnx_graph_attribute(graph, node, key, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (!made)
        return;
    made->has_i = 1;
    made->i = value;
}

void onnx_ints(struct onnx_graph *graph, Onnx__NodeProto *node, const char *key, int n, const int64_t *values)
{
    Onnx__AttributeProto *made = onnx_graph_attribute(graph, node, key, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    int64_t *copy = onnx_alloc(graph, (size_t)n, sizeof *copy);
    if (!made || !copy)
        return;
    memcpy(copy, values, (size_t)n * sizeof *copy);
    made->n_ints = (size_t)n;
    made->ints = copy;
}

void onnx_float(struct onnx_graph *graph, Onnx__NodeProto *node, const char *key, double value)
{
    Onnx__AttributeProto *made = onnx_graph_attribute(graph, node, key, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (!made)
        return;
    made->has_f = 1;
    made->f = (float)value;
}

void onnx_word(struct onnx_graph *graph, Onnx__NodeProto *node, const char *key, const char *value)
{
    Onnx__AttributeProto *made = onnx_graph_attribute(graph, node, key, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    if (!made)
        return;
    made->has_s = 1;
    made->s.data = (uint8_t *)onnx_name(graph, "%s", value);
    made->s.len = strlen(value);
}

static const char *onnx_graph_constant(struct onnx_graph *graph, const char *name, int n_dims, const int64_t *dim,
                                       int type, ProtobufCBinaryData raw)
{
    Onnx__GraphProto *proto = &graph->proto;
    Onnx__TensorProto *tensor = onnx_alloc(graph, 1, sizeof *tensor);
    int64_t *dims = onnx_alloc(graph, (size_t)n_dims, sizeof *dims);
    Onnx__TensorProto **list = onnx_graph_grown(graph, proto->initializer, proto->n_initializer);
    char *copy = onnx_name(graph, "%s", name);

    if (graph->failed)
        return copy;
    onnx__tensor_proto__init(tensor);
    memcpy(dims, dim, (size_t)n_dims * sizeof *dims);
    tensor->n_dims = (size_t)n_dims;
    tensor->dims = dims;
    tensor->has_data_type = 1;
    tensor->data_type = type;
    tensor->name = copy;
    tensor->has_raw_data = 1;
    tensor->raw_data = raw;
    proto->initializer = list;
    proto->initializer[proto->n_initializer++] = tensor;

    return copy;
}

const char *onnx_floats(struct onnx_graph *graph, const char *name, int n_dims, const int64_t *dim, const float *values)
{
    size_t bytes = sizeof *values;
    for (int i = 0; i < n_dims; i++)
        bytes *= (size_t)dim[i]; /* in memory already: no overflow */
    return onnx_graph_constant(graph, name, n_dims, dim, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
                               (ProtobufCBinaryData){bytes, (uint8_t *)values});
}

const char *onnx_integers(struct onnx_graph *graph, const char *name, int n, const int64_t *values)
{
    int64_t count = n, *copy = onnx_alloc(graph, (size_t)n, sizeof *copy);
    if (copy)
        memcpy(copy, values, (size_t)n * sizeof *copy);
    return onnx_graph_constant(graph, name, 1, &count, ONNX__TENSOR_PROTO__DATA_TYPE__INT64,
                               (ProtobufCBinaryData){(size_t)n * sizeof *copy, (uint8_t *)copy});
}

Onnx__ValueInfoProto *onnx_value(struct onnx_graph *graph, const char *name, const int64_t sizes[5],
                                 const char *const symbols[5], const char *doc)
{
    Onnx__ValueInfoProto *value = onnx_alloc(graph, 1, sizeof *value);
    Onnx__TypeProto *type = onnx_alloc(graph, 1, sizeof *type);
    Onnx__TypeProto__Tensor *tensor = onnx_alloc(graph, 1, sizeof *tensor);
    Onnx__TensorShapeProto *shape = onnx_alloc(graph, 1, sizeof *shape);
    Onnx__TensorShapeProto__Dimension *dims = onnx_alloc(graph, 5, sizeof *dims),
                                      **list = onnx_alloc(graph, 5, sizeof *list);

    if (graph->failed)
        return NULL;
    onnx__value_info_proto__init(value);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    onnx__tensor_shape_proto__init(shape);

    for (int i = 0; i < 5; i++) {
        onnx__tensor_shape_proto__dimension__init(&dims[i]);
        if (sizes[i] > 0) {
            dims[i].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            dims[i].dim_value = sizes[i];
        } else {
            dims[i].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            dims[i].dim_param = onnx_name(graph, "%s", symbols[i]);
        }
        list[i] = &dims[i];
    }

    shape->n_dim = 5;
    shape->dim = list;
    tensor->has_elem_type = 1;
    tensor->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor->shape = shape;
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    value->name = onnx_name(graph, "%s", name);
    value->doc_string = onnx_name(graph, "%s", doc);
    value->type = type;

    return value;
}
