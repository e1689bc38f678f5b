/* What a network refuses and how it says so; its cost and table; memory that runs out. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "tests/check.h"
#include "tests/nn/network_bench.h"

/* Describes the network, then asks what it would cost for src. */
static enum status try_network(const char *layers, struct shape src, struct error *error)
{
    struct network_bench bench = {0};
    struct network_cost cost;
    *error = (struct error){0};
    enum status status = network_bench_config(&bench, layers, 1, error);
    if (!status)
        status = network_cost(&cost, &bench.config, src, error);
    network_bench_close(&bench);
    return status;
}

static const struct shape small = {1, 1, 8, 8, 8};

static void test_graph_errors(void)
{
    struct error error;
    CHECK_FAILS(try_network("[ { type: conv, filters: 2, name: enc }, { type: relu, from: ecn } ]", small, &error),
                &error, STATUS_USAGE,
                "tiny.yaml:4:50: relu_1: from: no layer before it is called 'ecn' (did you mean 'enc'?)");
    CHECK_FAILS(try_network("[ { type: relu, name: a }, { type: relu, name: a } ]", small, &error), &error,
                STATUS_USAGE, "'a' is used twice");
    CHECK_FAILS(try_network("[ { type: relu, name: a/b } ]", small, &error), &error, STATUS_USAGE,
                "must be neither empty nor hold");
    CHECK_FAILS(try_network("[ { type: relu, name: input } ]", small, &error), &error, STATUS_USAGE,
                "'input' is used twice");
    CHECK_FAILS(try_network("[ { type: relu, name: a }, { type: tanh, from: input } ]", small, &error), &error,
                STATUS_USAGE, "a: no layer reads it");
    CHECK_FAILS(try_network("[ { type: add } ]", small, &error), &error, STATUS_USAGE,
                "from: 1 sources, add takes 2 to 8");
    CHECK_FAILS(try_network("[ { type: relu, from: [input, input] } ]", small, &error), &error, STATUS_USAGE,
                "from: 2 sources, relu takes 1 to 1");
    CHECK_FAILS(try_network("[ { type: rleu } ]", small, &error), &error, STATUS_USAGE, "did you mean 'relu'?");
    CHECK_FAILS(try_network("[ { type: relu, slope: 1 } ]", small, &error), &error, STATUS_USAGE, "slope: unknown key");
    CHECK_FAILS(try_network("[]", small, &error), &error, STATUS_USAGE, "it has no layers");
}

static void test_shape_errors(void)
{
    struct error error;
    CHECK_FAILS(try_network("[ { type: conv, filters: 2, kernel: 9, padding: valid } ]", small, &error), &error,
                STATUS_USAGE, "conv_0: kernel: 9");
    CHECK_FAILS(try_network("[ { type: max_pool, kernel: 16 } ]", small, &error), &error, STATUS_USAGE,
                "max_pool_0: kernel: 16 is larger");
    CHECK_FAILS(try_network("[ { type: group_norm, groups: 2 } ]", small, &error), &error, STATUS_USAGE,
                "groups: 2 does not divide the 1 channels");
    const char odd[] =
        "[ { name: a, type: conv, filters: 2 }, { type: conv, filters: 2, stride: 2 }, { name: b, type: upsample },"
        " { type: concat, from: [a, b] } ]";
    CHECK_OK(try_network(odd, small, &error), &error);
    CHECK_FAILS(try_network(odd, (struct shape){1, 1, 8, 7, 8}, &error), &error, STATUS_USAGE,
                "sizes must be equal but for the channels");
    CHECK_CONTAINS(error.text, "while planning network 'tiny'");
    CHECK_FAILS(try_network("[ { name: a, type: conv, filters: 2 }, { type: add, from: [a, input] } ]", small, &error),
                &error, STATUS_USAGE, "equal shapes are needed");
    CHECK_FAILS(try_network("[ { type: relu } ]", (struct shape){1, 2, 8, 8, 8}, &error), &error, STATUS_USAGE,
                "input of 2 channels, it takes 1");
    CHECK_FAILS(try_network("[ { type: relu } ]", (struct shape){1, 1, 0, 8, 8}, &error), &error, STATUS_USAGE,
                "is empty or overflows");
}

/* Values that fit into 63 bits, multiply-adds that do not. */
static void test_many_products(void)
{
    const int64_t edge = 1 << 15;
    struct network_bench bench = {0};
    struct network_cost cost;
    struct error error = {0};
    CHECK_OK(network_bench_config(
                 &bench, "[ { type: conv, filters: 1024, kernel: 15 }, { type: conv, filters: 1024, kernel: 15 } ]", 1,
                 &error),
             &error);
    if (CHECK_OK(network_cost(&cost, &bench.config, (struct shape){1, 1, edge, edge, edge}, &error), &error))
        CHECK_NEAR(cost.macs, 0x1p45 * 3375 * (1024 + 1024 * 1024), 0x1p30);
    network_bench_close(&bench);
}

/* More than 2^31 values, then more than 2^63. */
static void test_huge(void)
{
    const char layers[] =
        "[ { type: conv, filters: 32 }, { type: relu }, { type: batch_norm }, { type: conv, filters: 1 } ]";
    const int64_t edge = 2048, voxels = edge * edge * edge;
    struct network_bench bench = {0};
    struct network_cost cost;
    struct error error = {0};
    CHECK_OK(network_bench_config(&bench, layers, 1, &error), &error);
    if (CHECK_OK(network_cost(&cost, &bench.config, (struct shape){1, 1, edge, edge, edge}, &error), &error)) {
        CHECK_NEAR(cost.macs, (double)(2 * 27 * 32 * voxels), 0);
        CHECK(cost.infer_bytes >= 4 * 32 * voxels && cost.train_bytes >= 3 * 4 * 32 * voxels);
        CHECK_INT(shape_count(cost.dst), voxels);
    }
    network_bench_close(&bench);
    CHECK_FAILS(try_network(layers, (struct shape){1, 1, INT64_C(1) << 21, INT64_C(1) << 20, INT64_C(1) << 20}, &error),
                &error, STATUS_USAGE, "overflows 64 bits");
    CHECK_FAILS(try_network(layers, (struct shape){1, 1, INT64_C(1) << 19, INT64_C(1) << 19, INT64_C(1) << 19}, &error),
                &error, STATUS_USAGE, "overflows 64 bits");
}

/* Memory that neither kernels nor scratch blur: 2048^3 values of one channel are 32 GiB, side by side with their
 * copies 96. */
static void test_huge_plan(void)
{
    const int64_t edge = 2048, floats = edge * edge * edge;
    struct network_bench bench = {0};
    struct network_cost cost;
    struct error error = {0};
    CHECK_OK(network_bench_config(&bench, "[ { type: concat, from: [input, input] }, { type: tanh } ]", 1, &error),
             &error);
    if (CHECK_OK(network_cost(&cost, &bench.config, (struct shape){1, 1, edge, edge, edge}, &error), &error)) {
        CHECK_INT(cost.infer_bytes, 3 * floats * 4);
        CHECK_INT(shape_count(cost.dst), 2 * floats);
        CHECK(floats > INT64_C(1) << 31);
    }
    network_bench_close(&bench);
}

/* An unknown precision is refused by name; tests/nn/test_bfloat16.c has the known ones. */
static void test_precision(void)
{
    struct network_bench bench = {0};
    struct yaml_node *node;
    struct error error = {0};
    CHECK_OK(network_bench_config(&bench, "[ { type: relu } ]", 1, &error), &error);
    CHECK_INT(bench.config.precision, PRECISION_FLOAT32);
    CHECK_OK(yaml_read_text(&node, "precision: float16\nlayers: [ relu ]\n", "n.yaml", &bench.arena, &error), &error);
    CHECK_FAILS(config_bind(&network_table, node, &bench.config, &bench.arena, &error), &error, STATUS_USAGE,
                "precision");
    network_bench_close(&bench);
}

static void read_config(struct network_config *config, const char *path, struct arena *arena)
{
    struct yaml_node *root;
    struct error error = {0};
    if (CHECK_OK(yaml_read_file(&root, path, arena, &error), &error))
        CHECK_OK(config_bind(&network_table, yaml_get(root, "network"), config, arena, &error), &error);
}

/* The counts their authors give. */
static void test_published_counts(void)
{
    const struct {
        const char *path;
        int64_t n_params, n_trainable;
    } published[] = {{"configs/networks/mia_ae_patch.yaml", 22865539, 22864193},
                     {"configs/networks/mia_ae.yaml", 22865539, 22864193},
                     {"configs/networks/mia_discriminator.yaml", 5304193, 5303297},
                     {"configs/networks/n1.yaml", 82081612, 82076616},
                     {"configs/networks/n2.yaml", 647812, 646816}};
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        struct arena arena = {0};
        struct network_config config = {0};
        struct network_cost cost = {0};
        struct error error = {0};
        read_config(&config, published[i].path, &arena);
        const int64_t *patch = config.patch_vox;
        CHECK_OK(network_cost(&cost, &config, (struct shape){1, 1, patch[2], patch[1], patch[0]}, &error), &error);
        CHECK_INT(cost.n_params, published[i].n_params);
        CHECK_INT(cost.n_trainable, published[i].n_trainable);
        if (i == 0)
            CHECK_NEAR(cost.macs, 133.5e9, 0.05e9);
        arena_done(&arena);
    }
}

static void test_print(void)
{
    struct arena arena = {0};
    struct network_config config = {0};
    struct error error = {0};
    static char text[16384];
    FILE *file = tmpfile();
    read_config(&config, "configs/networks/mia_ae_patch.yaml", &arena);
    if (!CHECK(file != NULL))
        return;
    CHECK_OK(network_print(file, &config, (struct shape){1, 1, 128, 128, 128}, &error), &error);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    CHECK_CONTAINS(text, "parameters: 22,865,539, of which trainable: 22,864,193");
    CHECK_CONTAINS(text, "forward: 133.5 GMAC (266.9 GFLOP) as written");
    CHECK_CONTAINS(text, "deconv9");
    arena_done(&arena);
}

/* Another network's parameters. */
static void test_wrong_params(void)
{
    struct network_bench bench = {0}, other;
    struct network *network = NULL;
    struct error error = {0};
    if (!network_bench_open(&other, "[ { name: a, type: conv, filters: 2 } ]", small, NETWORK_TRAIN,
                            &(struct network_options){0}))
        return;
    CHECK_OK(network_bench_config(&bench, "[ { name: b, type: conv, filters: 2 } ]", 1, &error), &error);
    CHECK_FAILS(network_new(&network, &bench.config, &other.params, small, NETWORK_TRAIN, &error), &error,
                STATUS_FAILED, "b.w: the parameters have no such entry");
    CHECK(network == NULL);
    network_bench_close(&bench);
    bench = (struct network_bench){0};
    CHECK_OK(network_bench_config(&bench, "[ { name: a, type: conv, filters: 3 } ]", 1, &error), &error);
    error = (struct error){0};
    CHECK_FAILS(network_new(&network, &bench.config, &other.params, small, NETWORK_TRAIN, &error), &error, STATUS_USAGE,
                "a.w: its parameter is 2x1x3x3x3");
    network_bench_close(&bench);
    network_bench_close(&other);
}

/* Every allocation on the way to a first step fails once: an error each time, nothing lost, and success at the end. */
static enum status build_and_free(void *config, struct error *error)
{
    struct params params = {0};
    struct network *network = NULL;
    enum status status = network_describe(&params, config, error);
    if (!status)
        status = params_allocate(&params, true, error);
    if (!status)
        status = network_new(&network, config, &params, small, NETWORK_TRAIN, error);
    CHECK(!status || network == NULL);
    network_free(network);
    params_done(&params);
    return status;
}

static void test_memory_runs_out(void)
{
    const char layers[] = "[ { name: a, type: conv, filters: 9 }, { type: batch_norm }, { type: relu }, { name: d, "
                          "type: conv, filters: 9, stride: 2 },"
                          " { name: u, type: conv_transpose, filters: 9, kernel: 2, stride: 2 }, { type: concat, from: "
                          "[u, a] }, { type: flatten },"
                          " { type: dense, units: 2 } ]";
    struct network_bench bench = {0};
    struct error error = {0};
    CHECK_OK(network_bench_config(&bench, layers, 1, &error), &error);
    check_allocation_failures(build_and_free, &bench.config, 50);
    network_bench_close(&bench);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"graph_errors", test_graph_errors},
                                       {"shape_errors", test_shape_errors},
                                       {"many_products", test_many_products},
                                       {"huge", test_huge},
                                       {"huge_plan", test_huge_plan},
                                       {"precision", test_precision},
                                       {"published_counts", test_published_counts},
                                       {"print", test_print},
                                       {"wrong_params", test_wrong_params},
                                       {"memory_runs_out", test_memory_runs_out},
                                       {0}};
    return check_main(argc, argv, tests);
}
