/* onnx_graph.h - private to infer/onnx*: an ONNX graph while it is built, in the messages that protobuf-c made of
 * onnx.proto.
 *
 * Everything lives in the graph's arena, names included; weights are pointed at, never copied. When memory runs out the
 * graph says `failed`, and whatever is added afterwards is dropped: check it once, at the end. */
#ifndef CALVARIA_INFER_EXCHANGE_ONNX_GRAPH_H
#define CALVARIA_INFER_EXCHANGE_ONNX_GRAPH_H

#include <stdbool.h>

#include "base/memory.h"
#include "nn/layer.h"
#include <onnx.pb-c.h>

struct onnx_graph {
    struct arena arena;
    Onnx__GraphProto proto;
    bool symbolic; /* the grid's size is left open: nothing may depend on it */
    bool failed;
};

char *onnx_name(struct onnx_graph *graph, const char *format, ...) ERROR_PRINTF(2, 3); /* never NULL */
void *onnx_alloc(struct onnx_graph *graph, size_t n, size_t size);                     /* cleared; NULL once failed */

/* Adds the node `name`: dst = op(src...). Its attributes follow, each a call on what this returns (NULL once failed).
 */
Onnx__NodeProto *onnx_node(struct onnx_graph *graph, const char *op, const char *name, const char *dst, int n_src,
                           const char *const *src);
void onnx_int(struct onnx_graph *graph, Onnx__NodeProto *node, const char *key, int64_t value);
void onnx_ints(struct onnx_graph *graph, Onnx__NodeProto *node, const char *key, int n, const int64_t *values);
void onnx_float(struct onnx_graph *graph, Onnx__NodeProto *node, const char *key, double value);
void onnx_word(struct onnx_graph *graph, Onnx__NodeProto *node, const char *key, const char *value);

/* Constants; they return `name`. The floats are the caller's and must live as long as the graph. */
const char *onnx_floats(struct onnx_graph *graph, const char *name, int n_dims, const int64_t *dim,
                        const float *values);
const char *onnx_integers(struct onnx_graph *graph, const char *name, int n, const int64_t *values);

/* An input or output of 5 axes: sizes[i] > 0, or the symbol symbols[i]. */
Onnx__ValueInfoProto *onnx_value(struct onnx_graph *graph, const char *name, const int64_t sizes[5],
                                 const char *const symbols[5], const char *doc);

/* onnx_layers.c: the nodes of one layer, reading src[] and giving dst. False: no such type is known. */
bool onnx_layer(struct onnx_graph *graph, const struct layer *layer, const char *const *src, const char *dst);
/* Its output depends on the grid's size being the one of the weights. */
bool onnx_layer_fixes_size(const struct layer *layer);

#endif
