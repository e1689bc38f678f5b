/* onnx.c - see onnx.h. Test: tests/infer/test_onnx.c; against ONNX Runtime: scripts/check_onnx.py */
#include "infer/exchange/onnx.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "infer/exchange/onnx_graph.h"
#include "infer/restore.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "ONNX weights are little-endian: on this machine they would have to be swapped"
#endif

static const char doc_input[] = "The defective skull: 1 where it has bone, else 0. Axes: sample, channel, z (up), y "
                                "(to the back), x (to the patient's left).";
static const char doc_input_fine[] =
    "Channel 0 as the input of a single stage: 1 where the defective skull has bone, else 0. Channel 1: the coarse "
    "stage's prediction there "
    "(exported with --stage coarse). Axes: sample, channel, z (up), y (to the back), x (to the patient's left).";
static const char doc_output[] =
    "The network's prediction, of the input's axes; its last channel is compared with calvaria.restore.threshold.";

/* ---- metadata ---- */

struct metadata {
    struct onnx_graph *graph;
    Onnx__ModelProto *proto;
};

static void onnx_put(struct metadata *metadata, const char *key, const char *value)
{
    struct onnx_graph *graph = metadata->graph;
    Onnx__ModelProto *proto = metadata->proto;
    Onnx__StringStringEntryProto *entry = onnx_alloc(graph, 1, sizeof *entry);
    Onnx__StringStringEntryProto **list = onnx_alloc(graph, proto->n_metadata_props + 1, sizeof *list);

    if (!entry || !list)
        return;
    onnx__string_string_entry_proto__init(entry);
    entry->key = onnx_name(graph, "calvaria.%s", key);
    entry->value = onnx_name(graph, "%s", value);
    if (proto->n_metadata_props)
        memcpy(list, proto->metadata_props, proto->n_metadata_props * sizeof *list);
    list[proto->n_metadata_props++] = entry;
    proto->metadata_props = list;
}

/* A YAML value on one line: 0.5, [128, 128, 64], [{open: 1}]. */
static const char *onnx_one_line(struct onnx_graph *graph, const struct yaml_node *node)
{
    if (node->kind == YAML_SCALAR)
        return node->text;
    const char *text = "";
    for (int i = 0; i < node->n_items; i++) {
        const char *comma = i ? ", " : "", *item = onnx_one_line(graph, node->items[i]);
        text = node->kind == YAML_MAP ? onnx_name(graph, "%s%s%s: %s", text, comma, node->keys[i]->text, item)
                                      : onnx_name(graph, "%s%s%s", text, comma, item);
    }
    return onnx_name(graph, node->kind == YAML_MAP ? "{%s}" : "[%s]", text);
}

/* The pipeline in words that need no knowledge of calvaria. */
static void onnx_put_words(struct metadata *metadata, const struct restore_config *config, const int64_t patch[3])
{
    static const char *const scans[] = {
        "side by side, the last one of an axis shifted inward; a later tile holds over an earlier one",
        "overlapping by restore.overlap_frac, blended with Gaussian weights (sigma = patch / 8)",
        "one tile: with a working spacing a frame on the skull (centred from left to right and from front to back on "
        "the voxels "
        "that are at least a quarter bone, its top two voxels above the highest of them), else the whole volume "
        "resized to it"};
    struct onnx_graph *graph = metadata->graph;

    onnx_put(
        metadata, "preprocessing",
        onnx_name(graph,
                  "A binary mask of the defective skull, axes permuted and flipped to LPS; resampled to "
                  "restore.working_spacing_mm where that is "
                  "not 0 (ceil(extent / spacing) voxels around the same middle, each the share of bone in its box); "
                  "its top restore.top_vox slices (0: all) cut into tiles of %" PRId64 " x %" PRId64 " x %" PRId64
                  " voxels (x, y, z), %s; zeros beyond the volume; values 0 to 1, fed as z, y, x with x fastest.",
                  patch[0], patch[1], patch[2], scans[config->window.scan]));
    onnx_put(
        metadata, "postprocessing",
        onnx_name(graph,
                  "%sThe predictions put back in place (and resampled back by the cubic B-spline); %s = prediction > "
                  "restore.threshold; implant = that and not bone of the "
                  "input; then the steps of restore.postprocess in order (6-connected).",
                  config->window.prior_weight > 0
                      ? "Each prediction p becomes (1 - restore.prior_weight) p + restore.prior_weight second channel. "
                      : "",
                  config->task == TASK_COMPLETION ? "completed skull" : "implant"));
}

/* The restoration pipeline: verbatim, key by key, and in words. */
static enum status onnx_put_restore(struct metadata *metadata, const char *text, const struct model *model,
                                    struct error *error)
{
    struct arena *arena = &metadata->graph->arena;
    struct yaml_node *root;
    struct restore_config config;

    if (yaml_read_text(&root, text, "restore", arena, error) ||
        config_bind(&restore_table, root, &config, arena, error)) {
        error->status = STATUS_FAILED; /* a damaged model, not a user's configuration */
        return error_while(error, "reading how the model restores");
    }

    onnx_put(metadata, "restore", text);
    for (int i = 0; i < root->n_items; i++)
        onnx_put(metadata, onnx_name(metadata->graph, "restore.%s", root->keys[i]->text),
                 onnx_one_line(metadata->graph, root->items[i]));
    onnx_put_words(metadata, &config, config.window.patch_vox[0] ? config.window.patch_vox : model->network.patch_vox);

    return STATUS_OK;
}

static enum status onnx_put_metadata(struct onnx_graph *graph, Onnx__ModelProto *proto, const struct model *model,
                                     struct error *error)
{
    static const char *const copied[] = {"name",    "seed",    "step",    "dataset_hash", "versions",
                                         "metrics", "licence", "defects", "source"};
    struct metadata metadata = {.graph = graph, .proto = proto};
    const char *restore = model_text(model, "restore");
    char *network = config_dump_text(&network_table, &model->network);

    if (!network)
        return error_memory(error, 4096, "the network's YAML");
    onnx_put(&metadata, "version", CALVARIA_VERSION);
    onnx_put(&metadata, "network", network);
    memory_free(network);
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++)
        if (model_text(model, copied[i]))
            onnx_put(&metadata, copied[i], model_text(model, copied[i]));
    onnx_put(&metadata, "notice", "Research software, not for clinical use.");

    return restore ? onnx_put_restore(&metadata, restore, model, error) : STATUS_OK;
}

/* ---- the graph ---- */

static enum status onnx_put_layers(struct onnx_graph *graph, const struct network *network, struct error *error)
{
    int64_t n = network_n_layers(network);
    const char **values = onnx_alloc(graph, (size_t)n, sizeof *values);

    for (int64_t i = 0; values && i < n; i++) {
        const struct layer *layer = network_layer(network, i);
        const char *src[LAYER_MAX_SRC];
        for (int k = 0; k < layer->n_src; k++) {
            int64_t from = network_layer_src(network, i, k);
            src[k] = from < 0 ? "input" : values[from];
        }
        bool taken = strcmp(layer->name, "output") == 0;
        values[i] = i + 1 == n ? "output" : taken ? "output/hidden" : layer->name;
        if (!onnx_layer(graph, layer, src, values[i]))
            return error_set(error, STATUS_FAILED,
                             "layer '%s': type %s: has no counterpart in ONNX here (infer/exchange/onnx_layers.c lists "
                             "those that have)",
                             layer->name, layer->ops->config.type);
    }

    return STATUS_OK;
}

static void onnx_put_ends(struct onnx_graph *graph, const struct network *network)
{
    static const char *const from[5] = {"batch", "", "z", "y", "x"}, *const to[5] = {"batch", "", "output_z",
                                                                                     "output_y", "output_x"};
    const struct shape src = network_src_shape(network), dst = network_dst_shape(network);
    int64_t open = graph->symbolic ? 0 : 1;
    const int64_t src_sizes[5] = {0, src.c, open * src.d, open * src.h, open * src.w};
    const int64_t dst_sizes[5] = {0, dst.c, open * dst.d, open * dst.h, open * dst.w};
    Onnx__ValueInfoProto **ends = onnx_alloc(graph, 2, sizeof *ends);

    if (!ends)
        return;
    ends[0] = onnx_value(graph, "input", src_sizes, from, src.c > 1 ? doc_input_fine : doc_input);
    ends[1] = onnx_value(graph, "output", dst_sizes, to, doc_output);
    graph->proto.input = &ends[0];
    graph->proto.output = &ends[1];
    graph->proto.n_input = graph->proto.n_output = 1;
}

static enum status onnx_trace(struct network **ret, const struct model *model, struct params *params,
                              const struct onnx_options *options, bool *ret_symbolic, struct error *error)
{
    const int64_t *patch = options->patch_vox[0] ? options->patch_vox : model->network.patch_vox;
    if (network_trace(ret, &model->network, params,
                      (struct shape){1, model->network.input_channels, patch[2], patch[1], patch[0]}, error))
        return error->status;
    *ret_symbolic = options->patch_vox[0] == 0;
    for (int64_t i = 0; i < network_n_layers(*ret); i++)
        if (onnx_layer_fixes_size(network_layer(*ret, i)))
            *ret_symbolic = false;
    return STATUS_OK;
}

/* ---- the file ---- */

struct sink {
    ProtobufCBuffer base;
    FILE *file;
    bool failed;
};

static void onnx_sink_append(ProtobufCBuffer *buffer, size_t n, const uint8_t *data)
{
    struct sink *sink = (struct sink *)buffer;
    sink->failed |= fwrite(data, 1, n, sink->file) != n;
}

static enum status onnx_write_file(const char *path, const Onnx__ModelProto *proto, struct error *error)
{
    size_t bytes = onnx__model_proto__get_packed_size(proto);
    if (bytes > INT32_MAX)
        return error_set(error, STATUS_FAILED,
                         "%s: the file would have %zu bytes: ONNX files end at 2 GB (a narrower network would fit)",
                         path, bytes);
    struct file_stream stream;
    if (file_stream_open(&stream, path, error))
        return error->status;

    struct sink sink = {.base.append = onnx_sink_append, .file = stream.file};
    onnx__model_proto__pack_to_buffer(proto, &sink.base);
    enum status status = STATUS_OK;
    if (sink.failed)
        status = error_set(error, STATUS_FAILED, "%s: cannot be written (a full disk, or no right to?)", path);
    return file_stream_close(&stream, status, error);
}

static enum status onnx_put_model(struct onnx_graph *graph, Onnx__ModelProto *proto, const struct model *model,
                                  const struct network *network, struct error *error)
{
    Onnx__OperatorSetIdProto **sets = onnx_alloc(graph, 1, sizeof *sets), *set = onnx_alloc(graph, 1, sizeof *set);
    onnx__graph_proto__init(&graph->proto);
    graph->proto.name = onnx_name(graph, "%s", model->network.name);
    if (onnx_put_layers(graph, network, error) || onnx_put_metadata(graph, proto, model, error))
        return error->status;
    onnx_put_ends(graph, network);
    if (graph->failed || !set || !sets)
        return error_memory(error, 0, "the ONNX graph");
    onnx__operator_set_id_proto__init(set);
    set->has_version = 1;
    set->version = ONNX_OPSET;
    sets[0] = set;
    proto->has_ir_version = 1;
    proto->ir_version = ONNX_IR;
    proto->n_opset_import = 1;
    proto->opset_import = sets;
    proto->producer_name = onnx_name(graph, "calvaria");
    proto->producer_version = onnx_name(graph, "%s", CALVARIA_VERSION);
    proto->graph = &graph->proto;

    return graph->failed ? error_memory(error, 0, "the ONNX graph") : STATUS_OK;
}

enum status onnx_write(const char *path, const struct model *model, const struct onnx_options *options,
                       struct error *error)
{
    struct onnx_graph graph = {0};
    struct network *network = NULL;
    struct params params = model->params; /* read alone */
    Onnx__ModelProto proto = ONNX__MODEL_PROTO__INIT;
    enum status status = onnx_trace(&network, model, &params, options, &graph.symbolic, error);
    if (!status)
        status = onnx_put_model(&graph, &proto, model, network, error);
    if (!status)
        status = onnx_write_file(path, &proto, error);
    network_free(network);
    arena_done(&graph.arena);
    return status;
}
