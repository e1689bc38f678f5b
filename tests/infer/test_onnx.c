/* test_onnx.c - exported files read back by protobuf: every layer type, weights to the bit, sizes, padding, metadata,
 * refusals. What the operators answer is compared with ONNX Runtime by scripts/check_onnx.py. */
#include "infer/exchange/onnx.h"

#include <string.h>

#include "base/file.h"
#include <onnx.pb-c.h>
#include "tests/check.h"
#include "tests/infer/fixture.h"

/* Every type of nn/registry.c. */
static const char *const EVERY =
    "{name: every, patch_vox: [16, 12, 8], layers: [{name: c1, type: conv, filters: 8, kernel: 5}, {name: bn, type: "
    "batch_norm},"
    "{name: live, type: batch_norm, batch_statistics_at_test: true}, {name: a1, type: relu}, {name: in, type: "
    "instance_norm},"
    "{name: plain, type: instance_norm, affine: false}, {name: gn, type: group_norm, groups: 4}, {name: a2, type: "
    "leaky_relu, slope: 0.2},"
    "{name: mp, type: max_pool}, {name: up, type: upsample, mode: trilinear}, {name: ap, type: avg_pool, kernel: 2, "
    "stride: 1},"
    "{name: t, type: conv_transpose, filters: 4, kernel: 2, stride: 3, bias: false}, {name: th, type: tanh}, {name: "
    "sg, type: sigmoid, from: t},"
    "{name: half, type: scale, factor: 0.5, offset: 1}, {name: sum, type: add, from: [th, half]}, {name: sum3, type: "
    "add, from: [th, sg, sum]}, {name: both, type: multiply, from: [th, sum]}, {name: cat, type: concat, from: [both, "
    "sum3]},"
    "{name: cut, type: slice, first: 1, channels: 6}, {name: drop, type: dropout, rate: 0.5}, {name: output, type: "
    "upsample}, {name: gp, type: global_pool}, {name: flat, type: flatten},"
    "{name: fc, type: dense, units: 3}, {name: sm, type: softmax}]}";

static const char *const SMALL =
    "{name: small, patch_vox: [16, 12, 8], layers: [{name: down, type: conv, filters: 2, kernel: 5, stride: 2},"
    "{name: up, type: conv_transpose, filters: 1, kernel: 2, stride: 3}]}";

static const char RESTORE[] = "task: implant\nthreshold: 0.25\npatch_vox: [16, 12, 8]\nworking_spacing_mm: [1, 1, "
                              "2]\npostprocess: [{open: 1}, {keep_largest: 2}]\n";

/* The network as a model; its weights stay the fixture's. */
static struct model model_of(const struct fixture_network *network, struct model_text *texts, int64_t n_texts)
{
    return (struct model){.network = network->config, .params = network->params, .texts = texts, .n_texts = n_texts};
}

static Onnx__ModelProto *read_back(const char *path)
{
    struct error error = {0};
    char *data = NULL;
    size_t bytes = 0;
    if (!CHECK_OK(file_read(&data, &bytes, path, 1 << 26, &error), &error))
        return NULL;
    Onnx__ModelProto *proto = onnx__model_proto__unpack(NULL, bytes, (const uint8_t *)data);
    memory_free(data);
    CHECK(proto != NULL && proto->graph != NULL);
    return proto;
}

static Onnx__ModelProto *export_yaml(const char *yaml, const struct onnx_options *options, struct model_text *texts,
                                     int64_t n_texts)
{
    struct fixture_network network;
    struct error error = {0};
    const char *path = check_path("model.onnx");
    fixture_network(&network, yaml, 3);
    struct model model = model_of(&network, texts, n_texts);
    enum status status = onnx_write(path, &model, options, &error);
    fixture_network_done(&network);
    return CHECK_OK(status, &error) ? read_back(path) : NULL;
}

static const Onnx__TensorProto *find_constant(const Onnx__GraphProto *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (strcmp(graph->initializer[i]->name, name) == 0)
            return graph->initializer[i];
    return NULL;
}

static const Onnx__NodeProto *find_node(const Onnx__GraphProto *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_node; i++)
        if (strcmp(graph->node[i]->name, name) == 0)
            return graph->node[i];
    return NULL;
}

static const Onnx__AttributeProto *find_attribute(const Onnx__GraphProto *graph, const char *node_name, const char *key)
{
    const Onnx__NodeProto *node = find_node(graph, node_name);
    for (size_t i = 0; node && i < node->n_attribute; i++)
        if (strcmp(node->attribute[i]->name, key) == 0)
            return node->attribute[i];
    return NULL;
}

static void check_ints(const Onnx__AttributeProto *attribute, int n, const int64_t *expected)
{
    if (!CHECK(attribute != NULL) || !CHECK_INT((int64_t)attribute->n_ints, n))
        return;
    CHECK_INT(attribute->type, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    for (int i = 0; i < n; i++)
        CHECK_INT(attribute->ints[i], expected[i]);
}

/* Each node reads only what stands before it, writes one new name, and has a name of its own. */
static void check_order(const Onnx__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_node; i++) {
        const Onnx__NodeProto *node = graph->node[i];
        CHECK_INT((int64_t)node->n_output, 1);
        for (size_t k = 0; k < node->n_input; k++) {
            const char *input = node->input[k];
            bool known = !*input || strcmp(input, "input") == 0 || find_constant(graph, input);
            for (size_t before = 0; before < i; before++)
                known |= strcmp(graph->node[before]->output[0], input) == 0;
            if (!CHECK(known))
                printf("    node %s reads %s\n", node->name, input);
        }
        for (size_t before = 0; before < i; before++)
            CHECK(strcmp(graph->node[before]->output[0], node->output[0]) != 0 &&
                  strcmp(graph->node[before]->name, node->name) != 0);
    }
    CHECK_TEXT(graph->node[graph->n_node - 1]->output[0], "output");
}

static void test_every_layer_type(void)
{
    for (int i = 0; layer_ops_at(i); i++) {
        char type[64];
        snprintf(type, sizeof type, "type: %s", layer_ops_at(i)->config.type);
        CHECK_CONTAINS(EVERY,
                       type); /* a new layer type needs its row in infer/exchange/onnx_layers.c, and its place above */
    }
    Onnx__ModelProto *proto = export_yaml(EVERY, &(struct onnx_options){0}, NULL, 0);
    if (!proto)
        return;
    CHECK_INT(proto->ir_version, ONNX_IR);
    CHECK_INT((int64_t)proto->n_opset_import, 1);
    CHECK_INT(proto->opset_import[0]->version, ONNX_OPSET);
    CHECK_TEXT(proto->producer_name, "calvaria");
    CHECK_TEXT(proto->graph->name, "every");
    check_order(proto->graph);
    CHECK(find_node(proto->graph, "drop") && strcmp(find_node(proto->graph, "drop")->op_type, "Identity") == 0);
    CHECK(find_node(proto->graph, "fc") && find_node(proto->graph, "output"));
    onnx__model_proto__free_unpacked(proto, NULL);
}

static void test_weights_to_the_bit(void)
{
    struct fixture_network network;
    struct error error = {0};
    const char *path = check_path("weights.onnx");
    fixture_network(&network, EVERY, 3);
    struct model model = model_of(&network, NULL, 0);
    CHECK_OK(onnx_write(path, &model, &(struct onnx_options){0}, &error), &error);
    Onnx__ModelProto *proto = read_back(path);
    for (int64_t i = 0; proto && i < network.params.n; i++) {
        const struct param *param = &network.params.items[i];
        if (strncmp(param->name, "live.moving", 11) == 0)
            continue; /* batch statistics at test: the moving ones are not read */
        const Onnx__TensorProto *tensor = find_constant(proto->graph, param->name);
        if (!CHECK(tensor != NULL))
            continue;
        int64_t count = 1;
        for (size_t k = 0; k < tensor->n_dims; k++)
            count *= tensor->dims[k];
        CHECK_INT(count, param->count);
        CHECK_INT((int64_t)tensor->dims[0], param->dim[0]);
        CHECK_INT(tensor->data_type, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
        CHECK_INT((int64_t)tensor->raw_data.len, param->count * (int64_t)sizeof(float));
        CHECK(memcmp(tensor->raw_data.data, network.params.value + param->offset, tensor->raw_data.len) == 0);
    }
    onnx__model_proto__free_unpacked(proto, NULL);
    fixture_network_done(&network);
}

/* sizes[i] 0: symbolic */
static void check_sizes(const Onnx__ValueInfoProto *value, const int64_t sizes[5])
{
    const Onnx__TensorShapeProto *shape = value->type->tensor_type->shape;
    if (!CHECK_INT((int64_t)shape->n_dim, 5))
        return;
    for (int i = 0; i < 5; i++)
        if (sizes[i])
            CHECK_INT(shape->dim[i]->dim_value, sizes[i]);
        else
            CHECK_INT(shape->dim[i]->value_case, ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM);
}

static void test_sizes_and_padding(void)
{
    const int64_t open[5] = {0, 1}, in[5] = {0, 1, 7, 12, 16}, out[5] = {0, 1, 12, 18, 24},
                  pads[6] = {2, 1, 1, 2, 2, 2}, extra[3] = {1, 1, 1};
    Onnx__ModelProto *proto = export_yaml(SMALL, &(struct onnx_options){0}, NULL, 0);
    if (proto) { /* left open: TensorFlow's padding depends on the size */
        check_sizes(proto->graph->input[0], open);
        check_sizes(proto->graph->output[0], open);
        const Onnx__AttributeProto *rule = find_attribute(proto->graph, "down", "auto_pad");
        CHECK(rule && rule->s.len == 10 && memcmp(rule->s.data, "SAME_UPPER", 10) == 0);
        CHECK(find_attribute(proto->graph, "down", "pads") == NULL);
        check_ints(find_attribute(proto->graph, "up", "output_padding"), 3, extra);
        onnx__model_proto__free_unpacked(proto, NULL);
    }
    proto = export_yaml(SMALL, &(struct onnx_options){.patch_vox = {16, 12, 7}}, NULL, 0);
    if (proto) { /* fixed: 7 along z is padded 2 and 2, even sizes 1 and 2 */
        check_sizes(proto->graph->input[0], in);
        check_sizes(proto->graph->output[0], out);
        check_ints(find_attribute(proto->graph, "down", "pads"), 6, pads);
        CHECK(find_attribute(proto->graph, "down", "auto_pad") == NULL);
        onnx__model_proto__free_unpacked(proto, NULL);
    }
    const int64_t flat[5] = {0, 1, 4, 4, 4};
    proto = export_yaml("{patch_vox: 4, layers: [{type: flatten}, {type: dense, units: 1}]}", &(struct onnx_options){0},
                        NULL, 0);
    if (proto) { /* a dense layer's weights count voxels */
        check_sizes(proto->graph->input[0], flat);
        onnx__model_proto__free_unpacked(proto, NULL);
    }
}

static const char *metadata(const Onnx__ModelProto *proto, const char *key)
{
    for (size_t i = 0; i < proto->n_metadata_props; i++)
        if (strcmp(proto->metadata_props[i]->key, key) == 0)
            return proto->metadata_props[i]->value;
    return "(absent)";
}

static void test_metadata(void)
{
    struct model_text texts[] = {{"restore", RESTORE}, {"licence", "CC-BY-4.0"}};
    Onnx__ModelProto *proto = export_yaml(SMALL, &(struct onnx_options){0}, texts, 2);
    if (!proto)
        return;
    CHECK_TEXT(metadata(proto, "calvaria.version"), CALVARIA_VERSION);
    CHECK_TEXT(metadata(proto, "calvaria.licence"), "CC-BY-4.0");
    CHECK_TEXT(metadata(proto, "calvaria.restore"), RESTORE);
    CHECK_TEXT(metadata(proto, "calvaria.restore.task"), "implant");
    CHECK_TEXT(metadata(proto, "calvaria.restore.threshold"), "0.25");
    CHECK_TEXT(metadata(proto, "calvaria.restore.working_spacing_mm"), "[1, 1, 2]");
    CHECK_TEXT(metadata(proto, "calvaria.restore.postprocess"), "[{open: 1}, {keep_largest: 2}]");
    CHECK_CONTAINS(metadata(proto, "calvaria.network"), "filters: 2");
    CHECK_CONTAINS(metadata(proto, "calvaria.preprocessing"), "16 x 12 x 8");
    CHECK_CONTAINS(metadata(proto, "calvaria.postprocessing"), "implant = prediction > restore.threshold");
    onnx__model_proto__free_unpacked(proto, NULL);
}

static void check_refused(const char *yaml, struct model_text *text, const struct onnx_options *options,
                          const char *path, const char *says)
{
    struct fixture_network network;
    struct error error = {0};
    fixture_network(&network, yaml, 3);
    struct model model = model_of(&network, text, text ? 1 : 0);
    CHECK(onnx_write(path, &model, options, &error) != STATUS_OK);
    CHECK_CONTAINS(error.text, says);
    CHECK(!file_exists(path));
    fixture_network_done(&network);
}

static void test_refusals(void)
{
    const struct onnx_options open = {0}, small = {.patch_vox = {4, 4, 4}}, tiny = {.patch_vox = {1, 1, 1}};
    struct model_text damaged = {"restore", "threshold: high"};
    const char *path = check_path("refused.onnx");
    check_refused(SMALL, NULL, &open, check_path("no/such/folder/model.onnx"), "no/such/folder");
    check_refused(SMALL, &damaged, &open, path, "restore:1:12: threshold");
    check_refused("{patch_vox: 8, layers: [{type: flatten}, {type: dense, units: 1}]}", NULL, &small, path,
                  "a dense layer fixes the patch size");
    check_refused("{patch_vox: 8, layers: [{type: conv, filters: 1, padding: valid}]}", NULL, &tiny, path,
                  "does not fit");
}

/* 2.5 GB of weights: refused by their size, before a byte is read or written. */
static void test_too_large(void)
{
    struct error error = {0};
    struct arena arena = {0};
    struct yaml_node *root;
    struct model model = {0};
    const char *path = check_path("large.onnx");
    const char *yaml =
        "{patch_vox: 2, layers: [{type: conv, filters: 25000, kernel: 1}, {type: conv, filters: 25000, kernel: 1}]}";
    CHECK_OK(yaml_read_text(&root, yaml, "large.yaml", &arena, &error), &error);
    CHECK_OK(config_bind(&network_table, root, &model.network, &arena, &error), &error);
    CHECK_OK(network_describe(&model.params, &model.network, &error), &error);
    float value = 0;
    model.params.value = &value; /* that nobody reads */
    CHECK_FAILS(onnx_write(path, &model, &(struct onnx_options){0}, &error), &error, STATUS_FAILED,
                "ONNX files end at 2 GB");
    CHECK(!file_exists(path));
    model.params.value = NULL;
    params_done(&model.params);
    arena_done(&arena);
}

static void test_memory_runs_out(void)
{
    struct fixture_network network;
    struct model_text texts[] = {{"restore", RESTORE}};
    const char *path = check_path("memory.onnx");
    bool done = false;
    fixture_network(&network, EVERY, 3);
    struct model model = model_of(&network, texts, 1);
    for (int64_t nth = 1; !done && nth < 2000; nth++) {
        struct error error = {0};
        memory_fail_at(nth);
        done = onnx_write(path, &model, &(struct onnx_options){0}, &error) == STATUS_OK;
        memory_fail_at(0);
        if (file_exists(path)) /* done, or only its folder's entry may not last: whole either way */
            onnx__model_proto__free_unpacked(read_back(path), NULL);
    }
    CHECK(done && file_exists(path));
    fixture_network_done(&network);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"every_layer_type", test_every_layer_type},
                                       {"weights_to_the_bit", test_weights_to_the_bit},
                                       {"sizes_and_padding", test_sizes_and_padding},
                                       {"metadata", test_metadata},
                                       {"refusals", test_refusals},
                                       {"too_large", test_too_large},
                                       {"memory_runs_out", test_memory_runs_out},
                                       {0}};
    return check_main(argc, argv, tests);
}
