/* Recomputation: the same bits in less memory, with dropout, batch norm, skips, in-place layers and frozen layers; what
 * `info` says is what a network takes. */
#include <stdio.h>
#include <string.h>

#include "tests/check.h"
#include "tests/nn/network_bench.h"

static const struct network_options as_is = {0};
static const struct shape src_shape = {2, 1, 8, 12, 16};

/* Two levels with all that makes recomputation hard: a fan-out, a residual sum in place, dropout, moving statistics,
 * the input as a skip. */
static const char layers[] = "\n"
                             "  - { name: a, type: conv, filters: 9 }\n"
                             "  - { name: a_norm, type: batch_norm }\n"
                             "  - { name: a_act, type: leaky_relu }\n"
                             "  - { name: a_drop, type: dropout, rate: 0.3 }\n"
                             "  - { name: pool, type: max_pool }\n"
                             "  - { name: b, type: conv, filters: 17 }\n"
                             "  - { name: b_norm, type: group_norm, groups: 17 }\n"
                             "  - { name: b_act, type: tanh }\n"
                             "  - { name: c, type: conv, filters: 17 }\n"
                             "  - { name: c_norm, type: instance_norm }\n"
                             "  - { name: sum, type: add, from: [c_norm, b_act] }\n"
                             "  - { name: sum_act, type: relu }\n"
                             "  - { name: up, type: upsample, mode: trilinear }\n"
                             "  - { name: cat, type: concat, from: [up, a_drop, input] }\n"
                             "  - { name: d, type: conv, filters: 8 }\n"
                             "  - { name: d_norm, type: batch_norm, batch_statistics_at_test: true }\n"
                             "  - { name: d_act, type: sigmoid }\n"
                             "  - { name: near, type: upsample }\n"
                             "  - { name: e, type: conv_transpose, filters: 2, kernel: 5 }\n"
                             "  - { type: softmax }\n";

/* Three training steps of plain descent, so that wrong moving statistics or gradients would show in what follows. */
static bool run_steps(struct network_bench *bench, float *last_dst)
{
    struct params *params = &bench->params;
    for (uint64_t step = 1; step <= 3; step++) {
        const struct pass pass = {.training = true, .seed = 3, .step = step};
        const float *dst = network_forward(bench->network, bench->src, &pass);
        memcpy(last_dst, dst, (size_t)shape_count(bench->dst_shape) * sizeof *dst);
        network_backward(bench->network, bench->d_dst, NULL, &pass);
        for (int64_t i = 0; i < params->n_trainable; i++)
            params->value[i] -= 0.01F * params->grad[i];
    }
    return last_dst[0] > 0;
}

static void freeze(struct params *params, const char *const *names)
{
    for (; names && *names; names++)
        params_find(params, *names)->frozen = true;
}

static bool open_with(struct network_bench *bench, enum network_recompute mode, const char *const *frozen)
{
    struct error error = {0};
    if (!network_bench_open(bench, layers, src_shape, NETWORK_TRAIN, &as_is))
        return false;
    network_free(bench->network);
    bench->network = NULL;
    bench->config.recompute = (int)mode;
    freeze(&bench->params, frozen);
    return CHECK_OK(network_new(&bench->network, &bench->config, &bench->params, src_shape, NETWORK_TRAIN, &error),
                    &error);
}

static void check_same(enum network_recompute mode, const char *const *frozen)
{
    struct network_bench kept, recomputed;
    if (!open_with(&kept, RECOMPUTE_NOTHING, frozen) || !open_with(&recomputed, mode, frozen))
        return;
    size_t bytes = (size_t)shape_count(kept.dst_shape) * sizeof(float);
    float *a = memory_alloc(1, bytes), *b = memory_alloc(1, bytes);
    if (CHECK(a && b) && CHECK(run_steps(&kept, a)) && CHECK(run_steps(&recomputed, b))) {
        CHECK(memcmp(a, b, bytes) == 0);
        CHECK(memcmp(kept.params.grad, recomputed.params.grad, (size_t)kept.params.n_trainable * sizeof(float)) == 0);
        CHECK(memcmp(kept.params.value, recomputed.params.value, (size_t)kept.params.n_floats * sizeof(float)) == 0);
    }
    CHECK(recomputed.network->n_backward_steps > kept.network->n_backward_steps);
    CHECK(network_bytes(recomputed.network) < network_bytes(kept.network));
    memory_free(a);
    memory_free(b);
    network_bench_close(&kept);
    network_bench_close(&recomputed);
}

static void test_same_bits(void)
{
    check_same(RECOMPUTE_CHEAP, NULL);
    check_same(RECOMPUTE_MOST, NULL);
}

static void test_same_bits_frozen(void)
{
    const char *const encoder[] = {"a.w", "a.b", "a_norm.gamma", "a_norm.beta", "b.w", "b.b", NULL};
    const char *const middle[] = {"c.w", "c.b", "d_norm.gamma", "d_norm.beta", NULL};
    const char *const decoder[] = {"d.w", "d.b",
                                   NULL}; /* what it reads is recomputed for sum_act's own backward alone */
    check_same(RECOMPUTE_CHEAP, encoder);
    check_same(RECOMPUTE_MOST, encoder);
    check_same(RECOMPUTE_MOST, middle);
    check_same(RECOMPUTE_CHEAP, decoder);
}

/* Every layer runs at most once more, and only in order: what it reads is there. */
static void test_order(void)
{
    struct network_bench bench;
    if (!open_with(&bench, RECOMPUTE_MOST, NULL))
        return;
    const struct network *network = bench.network;
    bool recomputed[32] = {false};
    for (int64_t m = 0; m < network->n_backward_steps; m++) {
        const struct backward_step *step = &network->backward_steps[m];
        const struct node *node = &network->nodes[step->node];
        if (!step->recompute)
            continue;
        CHECK(!recomputed[step->node]);
        recomputed[step->node] = true;
        for (int k = 0; k < node->layer.n_src; k++) {
            int64_t src = node->src[k].value;
            CHECK(!network->values[network->values[src].shares].dropped || recomputed[src - 1]);
        }
    }
    CHECK(recomputed[1]); /* a_norm with its activation: cheap, and read by a convolution's backward */
    network_bench_close(&bench);
}

static void test_no_allocation(void)
{
    struct network_bench bench;
    if (!open_with(&bench, RECOMPUTE_MOST, NULL))
        return;
    const struct pass pass = {.training = true};
    network_forward(bench.network, bench.src, &pass);
    int64_t count = memory_alloc_count();
    network_forward(bench.network, bench.src, &pass);
    network_backward(bench.network, bench.d_dst, NULL, &pass);
    CHECK_INT(memory_alloc_count(), count);
    network_bench_close(&bench);
}

/* The arena of a network, and the text that `info` prints, against network_cost, in each mode; inference is not touched
 * by it. */
static void test_info_keeps_its_word(void)
{
    int64_t infer_bytes = 0, last = INT64_MAX;
    for (int mode = 0; mode < RECOMPUTE_MODES; mode++) {
        struct network_bench bench;
        struct network_cost cost;
        int64_t recompute_bytes[RECOMPUTE_MODES];
        struct network *infer = NULL;
        struct error error = {0};
        char text[8192], line[64];
        FILE *file = tmpfile();
        if (!open_with(&bench, (enum network_recompute)mode, NULL) || !CHECK(file != NULL) ||
            !CHECK_OK(network_cost(&cost, &bench.config, src_shape, &error), &error) ||
            !CHECK_OK(network_cost_recompute(recompute_bytes, &bench.config, src_shape, &error), &error) ||
            !CHECK_OK(network_new(&infer, &bench.config, &bench.params, src_shape, NETWORK_INFER, &error), &error))
            return;
        CHECK_INT(network_bytes(bench.network), cost.train_bytes);
        CHECK_INT(network_bytes(bench.network), recompute_bytes[mode]);
        CHECK_INT(network_bytes(infer), cost.infer_bytes);
        CHECK(cost.train_bytes < last);
        CHECK(mode == 0 || cost.infer_bytes == infer_bytes);
        last = cost.train_bytes;
        infer_bytes = cost.infer_bytes;
        CHECK_OK(network_print(file, &bench.config, src_shape, &error), &error);
        rewind(file);
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        fclose(file);
        snprintf(line, sizeof line, "training %.1f MB", 1e-6 * (double)network_bytes(bench.network));
        CHECK_CONTAINS(text, line);
        snprintf(line, sizeof line, "%.1f MB (chosen)", 1e-6 * (double)network_bytes(bench.network));
        CHECK_CONTAINS(text, line);
        network_free(infer);
        network_bench_close(&bench);
    }
}

/* Halves a 3D U-Net's memory at its published size; a key of the YAML. */
static void test_unet3d(void)
{
    struct arena arena = {0};
    struct yaml_node *root;
    struct network_config config;
    struct network_cost cost;
    int64_t bytes[RECOMPUTE_MODES];
    struct error error = {0};
    CHECK_OK(yaml_read_file(&root, "configs/networks/unet3d.yaml", &arena, &error), &error);
    CHECK_OK(yaml_set(root, "network.recompute=most", &arena, &error), &error);
    CHECK_OK(config_bind(&network_table, yaml_get(root, "network"), &config, &arena, &error), &error);
    const struct shape src = {1, 1, 128, 128, 128};
    if (CHECK_OK(network_cost(&cost, &config, src, &error), &error) &&
        CHECK_OK(network_cost_recompute(bytes, &config, src, &error), &error)) {
        CHECK_INT(cost.train_bytes, bytes[RECOMPUTE_MOST]);
        CHECK((double)bytes[RECOMPUTE_CHEAP] < 0.8 * (double)bytes[RECOMPUTE_NOTHING]);
        CHECK((double)bytes[RECOMPUTE_MOST] < 0.5 * (double)bytes[RECOMPUTE_NOTHING]);
    }
    arena_done(&arena);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"same_bits", test_same_bits},
                                       {"same_bits_frozen", test_same_bits_frozen},
                                       {"order", test_order},
                                       {"no_allocation", test_no_allocation},
                                       {"info_keeps_its_word", test_info_keeps_its_word},
                                       {"unet3d", test_unet3d},
                                       {0}};
    return check_main(argc, argv, tests);
}
