/* Networks: sums where tensors fan out, skips, absorbed upsampling, memory reuse and in-place layers change no bit, a
 * tiny U-Net learns. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "nn/loss.h"
#include "nn/optimizer.h"
#include "tests/check.h"
#include "tests/nn/network_bench.h"

static const struct pass training = {.training = true, .seed = 1, .step = 2};
static const struct network_options as_is = {0};

/* A U-Net in miniature: two levels, skip, fan-out, batch norm, dropout, absorbed upsampling, residual sum. */
static const char unet[] = "\n"
                           "  - { name: a, type: conv, filters: 9 }\n"
                           "  - { type: leaky_relu, slope: 0.1 }\n"
                           "  - { name: a_out, type: instance_norm }\n"
                           "  - { name: down, type: conv, filters: 17, stride: 2 }\n"
                           "  - { name: down_norm, type: batch_norm }\n"
                           "  - { name: down_act, type: relu }\n"
                           "  - { name: b, type: conv, filters: 17 }\n"
                           "  - { name: res, type: add, from: [b, down_act] }\n"
                           "  - { name: drop, type: dropout, rate: 0.3 }\n"
                           "  - { type: upsample }\n"
                           "  - { name: up, type: conv_transpose, filters: 5, kernel: 5 }\n"
                           "  - { name: cat, type: concat, from: [up, a_out] }\n"
                           "  - { name: c, type: conv, filters: 8 }\n"
                           "  - { type: tanh }\n"
                           "  - { type: sigmoid }\n" /* tanh's backward reads what this would overwrite */
                           "  - { name: head, type: conv, filters: 2, kernel: 1 }\n"
                           "  - { type: softmax }\n";

/* dst and every gradient of one step, copied. */
struct result {
    float *dst, *grad, *d_src;
    int64_t n_dst, n_grad, n_src;
};

static float *copy(const float *values, int64_t n)
{
    float *copied = memory_alloc((size_t)n, sizeof *copied);
    if (!CHECK(copied != NULL))
        return NULL;
    return memcpy(copied, values, (size_t)n * sizeof *copied);
}

static struct result step(struct network_bench *bench)
{
    struct result result = {.n_dst = shape_count(bench->dst_shape),
                            .n_grad = bench->params.n_trainable,
                            .n_src = shape_count(bench->src_shape)};
    result.d_src = memory_zalloc((size_t)result.n_src, sizeof(float));
    result.dst = copy(network_forward(bench->network, bench->src, &training), result.n_dst);
    network_backward(bench->network, bench->d_dst, bench->network->mode == NETWORK_TRAIN_SRC ? result.d_src : NULL,
                     &training);
    result.grad = copy(bench->params.grad, result.n_grad);
    return result;
}

static void result_done(struct result *result)
{
    memory_free(result->dst);
    memory_free(result->grad);
    memory_free(result->d_src);
}

static double farthest(const float *a, const float *b, int64_t n)
{
    double distance = 0;
    for (int64_t i = 0; i < n; i++)
        distance = fmax(distance, fabs((double)a[i] - (double)b[i]));
    return distance;
}

/* One step with the options against one without reuse, in-place layers and absorption. */
static void check_network(const char *layers, struct shape src, const struct network_options *options, double tolerance)
{
    const struct network_options apart = {.no_reuse = true, .no_in_place = true, .no_absorb = true};
    struct network_bench a, b;
    if (!network_bench_open(&a, layers, src, NETWORK_TRAIN_SRC, &apart) ||
        !network_bench_open(&b, layers, src, NETWORK_TRAIN_SRC, options))
        return;
    struct result x = step(&a), y = step(&b);
    CHECK_NEAR(farthest(x.dst, y.dst, x.n_dst), 0, tolerance);
    CHECK_NEAR(farthest(x.grad, y.grad, x.n_grad), 0, tolerance);
    CHECK_NEAR(farthest(x.d_src, y.d_src, x.n_src), 0, tolerance);
    CHECK(network_bytes(b.network) < network_bytes(a.network));
    struct result again = step(&b); /* moving statistics have moved, but training does not read them */
    CHECK(memcmp(y.grad, again.grad, (size_t)y.n_grad * sizeof(float)) == 0);
    result_done(&again);
    result_done(&x);
    result_done(&y);
    network_bench_close(&a);
    network_bench_close(&b);
}

static void check_options(const struct network_options *options, double tolerance)
{
    check_network(unet, (struct shape){2, 1, 6, 4, 8}, options, tolerance);
}

static void test_memory_reuse(void)
{
    check_options(&(struct network_options){.no_in_place = true, .no_absorb = true}, 0);
}

static void test_in_place(void)
{
    check_options(&(struct network_options){.no_reuse = true, .no_absorb = true}, 0);
    check_options(&(struct network_options){.no_absorb = true}, 0);
}

static void test_absorbed_upsampling(void)
{
    check_options(&as_is, 1e-4); /* other sums: rounding differs */
}

/* Skips that are made inside their concat, one of them nested; activations done by the norms before them; sources that
 * cannot: an input's copy, one that is read later, one twice, one behind channels that fill no block. */
static const char joined[] = "\n"
                             "  - { name: a, type: conv, filters: 16 }\n"
                             "  - { name: a_norm, type: instance_norm }\n"
                             "  - { name: a_act, type: leaky_relu, slope: 0.1 }\n"
                             "  - { name: b, type: conv, filters: 16 }\n"
                             "  - { name: b_norm, type: batch_norm }\n"
                             "  - { name: b_act, type: relu }\n"
                             "  - { name: odd, type: conv, filters: 3 }\n"
                             "  - { name: c, from: b_act, type: conv, filters: 16 }\n"
                             "  - { type: tanh }\n"
                             "  - { name: inner, type: concat, from: [tanh_8, a_act] }\n"
                             "  - { name: d, type: conv, filters: 16 }\n"
                             "  - { name: d_norm, type: group_norm, groups: 4 }\n"
                             "  - { name: d_act, type: leaky_relu, slope: 0.2 }\n"
                             "  - { name: outer, type: concat, from: [d_act, inner, b_act, odd] }\n"
                             "  - { name: twice, type: concat, from: [odd, b_act, d_act, d_act] }\n"
                             "  - { name: e, from: outer, type: conv, filters: 16, kernel: 1 }\n"
                             "  - { name: f, from: twice, type: conv, filters: 16, kernel: 1 }\n"
                             "  - { name: sum, type: add, from: [e, f] }\n"
                             "  - { name: head, type: conv, filters: 1 }\n";

static void test_joined(void)
{
    const struct shape src = {1, 2, 5, 4, 7};
    check_network(joined, src, &as_is, 0);
    check_network(joined, (struct shape){2, 2, 5, 4, 7}, &as_is, 0);
    struct network_bench bench;
    if (!network_bench_open(&bench, joined, src, NETWORK_TRAIN, &as_is))
        return;
    static const char *const inside[] = {"tanh_8", "a_norm", "inner"};
    const struct network *network = bench.network;
    for (int64_t i = 0; i < network->n_layers; i++) {
        const struct value *value = &network->values[i + 1];
        const char *name = network_layer(network, i)->name;
        bool joins = false;
        for (size_t k = 0; k < sizeof inside / sizeof *inside; k++)
            joins |= strcmp(inside[k], name) == 0;
        if (joins)
            CHECK(value->shares > i + 1);
        else if (strcmp(name, "b_norm") == 0 || strcmp(name, "odd") == 0 || strcmp(name, "d_norm") == 0)
            CHECK_INT(value->shares, i + 1);
    }
    network_bench_close(&bench);
}

/* Norms between convolutions large enough to sum for the one before and to apply the factors of the one before. */
static const char normed[] = "\n"
                             "  - { name: a, type: conv, filters: 32 }\n"
                             "  - { name: a_norm, type: instance_norm }\n"
                             "  - { name: a_act, type: leaky_relu, slope: 0.1 }\n"
                             "  - { name: b, type: conv, filters: 32 }\n"
                             "  - { name: b_norm, type: batch_norm, batch_statistics_at_test: true }\n"
                             "  - { name: b_act, type: relu }\n"
                             "  - { name: c, type: conv, filters: 32 }\n"
                             "  - { name: c_norm, type: group_norm, groups: 4 }\n"
                             "  - { name: d, type: conv, filters: 32 }\n"
                             "  - { name: d_norm, type: instance_norm }\n"
                             "  - { name: both, type: add, from: [d_norm, d, c_norm] }\n"
                             "  - { name: e, type: conv, filters: 32 }\n"
                             "  - { name: e_norm, type: batch_norm }\n"
                             "  - { name: e_act, type: leaky_relu, slope: 0.2 }\n"
                             "  - { name: head, type: conv, filters: 2, kernel: 1 }\n";

/* Whether layer `name` leaves sums, or factors, for another. */
static bool leaves(const struct network *network, const char *name, bool factors)
{
    for (int64_t i = 0; i < network->n_layers; i++)
        if (strcmp(network_layer(network, i)->name, name) == 0)
            return factors ? network->nodes[i].affine_reader > 0 : network->nodes[i].stats_reader > 0;
    return false;
}

static void check_inference(const char *layers, struct shape src)
{
    const struct network_options apart = {.no_reuse = true, .no_in_place = true, .no_absorb = true};
    const struct pass testing = {0};
    struct network_bench a, b;
    if (!network_bench_open(&a, layers, src, NETWORK_INFER, &apart) ||
        !network_bench_open(&b, layers, src, NETWORK_INFER, &as_is))
        return;
    int64_t n = shape_count(a.dst_shape);
    float *first = copy(network_forward(a.network, a.src, &testing), n),
          *second = copy(network_forward(b.network, b.src, &testing), n);
    CHECK_NEAR(farthest(first, second, n), 0, 1e-4);
    CHECK(memcmp(second, network_forward(b.network, b.src, &testing), (size_t)n * sizeof(float)) == 0);
    memory_free(first);
    memory_free(second);
    network_bench_close(&a);
    network_bench_close(&b);
}

static void test_norms_pair(void)
{
    const struct shape src = {2, 1, 12, 13, 14};
    struct network_bench train, infer;
    check_inference(normed, src);
    check_inference(unet, (struct shape){2, 1, 6, 4, 8});
    check_inference(joined, (struct shape){1, 2, 5, 4, 7});
    check_network(normed, src, &as_is, 1e-3);
    if (!network_bench_open(&train, normed, src, NETWORK_TRAIN, &as_is) ||
        !network_bench_open(&infer, normed, src, NETWORK_INFER, &as_is))
        return;
    CHECK(leaves(train.network, "b", false) && leaves(train.network, "c", false) && leaves(train.network, "e", false));
    CHECK(leaves(infer.network, "b", false) && leaves(infer.network, "d", false));
    CHECK(!leaves(train.network, "a", false) &&
          !leaves(infer.network, "e", false)); /* not Winograd's; read by no norm that measures */
    CHECK(leaves(infer.network, "a_norm", true) && leaves(infer.network, "b_norm", true) &&
          leaves(infer.network, "e_norm", true));
    CHECK(!leaves(train.network, "a_norm", true) &&
          !leaves(infer.network, "c_norm", true)); /* inference's alone; read twice */
    network_bench_close(&train);
    network_bench_close(&infer);
}

static void test_absorbs_and_shares(void)
{
    struct network_bench bench;
    if (!network_bench_open(&bench, unet, (struct shape){1, 1, 4, 4, 4}, NETWORK_TRAIN, &as_is))
        return;
    const struct network *network = bench.network;
    for (int64_t i = 0; i < network->n_layers; i++) {
        const struct layer *layer = network_layer(network, i);
        const char *type = layer->ops->config.type;
        CHECK_INT(network->nodes[i].skipped, strcmp(type, "upsample") == 0 || strcmp(layer->name, "down_act") == 0);
        if (strcmp(layer->name, "up") == 0)
            CHECK_INT(layer->src_scale, 2);
        if (strcmp(type, "leaky_relu") == 0 || strcmp(type, "tanh") == 0 || strcmp(type, "softmax") == 0)
            CHECK(layer->dst.data == layer->src[0].data); /* in place */
        if (strcmp(type, "sigmoid") == 0)
            CHECK(layer->dst.data != layer->src[0].data);
        if (strcmp(layer->name, "res") == 0)
            CHECK(layer->dst.data == layer->src[0].data && layer->dst.data != layer->src[1].data);
    }
    network_bench_close(&bench);
}

/* y = a x + b x through two branches of one value: the gradients add up. */
static void test_fan_out(void)
{
    const char three[] = "\n  - { name: x, type: conv, filters: 1, kernel: 1, bias: false }\n"
                         "  - { name: a, type: conv, filters: 1, kernel: 1, bias: false }\n"
                         "  - { name: b, from: x, type: conv, filters: 1, kernel: 1, bias: false }\n"
                         "  - { name: y, type: add, from: [a, b, x, x] }\n";
    struct network_bench bench;
    if (!network_bench_open(&bench, three, (struct shape){1, 1, 2, 3, 4}, NETWORK_TRAIN_SRC, &as_is))
        return;
    float *value = bench.params.value;
    const struct params *params = &bench.params;
    double w = 2, a = 3, b = -5, along = 0;
    value[params_find(params, "x.w")->offset] = (float)w;
    value[params_find(params, "a.w")->offset] = (float)a;
    value[params_find(params, "b.w")->offset] = (float)b;
    struct result result = step(&bench);
    for (int64_t i = 0; i < result.n_dst; i++) {
        along += (double)bench.d_dst[i] * (double)bench.src[i];
        CHECK_NEAR((double)result.dst[i], w * (a + b + 2) * (double)bench.src[i], 1e-5);
        CHECK_NEAR((double)result.d_src[i], w * (a + b + 2) * (double)bench.d_dst[i], 1e-5);
    }
    CHECK_NEAR((double)result.grad[params_find(params, "x.w")->offset], (a + b + 2) * along, 1e-4);
    CHECK_NEAR((double)result.grad[params_find(params, "a.w")->offset], w * along, 1e-4);
    CHECK_NEAR((double)result.grad[params_find(params, "b.w")->offset], w * along, 1e-4);
    result_done(&result);
    network_bench_close(&bench);
}

/* The input itself as a skip: concat offsets in forward and backward. */
static void test_input_skip(void)
{
    struct network_bench bench;
    if (!network_bench_open(&bench, "\n  - { name: t, type: tanh }\n  - { type: concat, from: [input, t, input] }\n",
                            (struct shape){2, 3, 2, 3, 4}, NETWORK_TRAIN_SRC, &as_is))
        return;
    struct result result = step(&bench);
    for (int64_t n = 0; n < 2; n++)
        for (int64_t i = 0; i < 72; i++) {
            double x = (double)bench.src[n * 72 + i], t = tanh(x);
            const float *d = bench.d_dst + n * 216 + i;
            CHECK_NEAR((double)result.dst[n * 216 + i], x, 0);
            CHECK_NEAR((double)result.dst[n * 216 + 72 + i], t, 1e-6);
            CHECK_NEAR((double)result.dst[n * 216 + 144 + i], x, 0);
            CHECK_NEAR((double)result.d_src[n * 72 + i], (double)d[0] + (double)d[72] * (1 - t * t) + (double)d[144],
                       1e-5);
        }
    result_done(&result);
    network_bench_close(&bench);
}

/* Frozen layers: zero gradients for them, the same gradients for the others, moving statistics stand still. */
static void test_frozen(void)
{
    struct network_bench free_bench, bench;
    const struct shape src = {1, 1, 4, 4, 4};
    struct error error = {0};
    if (!network_bench_open(&free_bench, unet, src, NETWORK_TRAIN, &as_is) ||
        !network_bench_open(&bench, unet, src, NETWORK_TRAIN, &as_is))
        return;
    const char *const names[] = {"a.w", "a.b", "up.w", "down_norm.gamma"};
    for (int i = 0; i < 4; i++)
        params_find(&bench.params, names[i])->frozen = true;
    network_free(bench.network);
    bench.network = NULL;
    if (!CHECK_OK(network_new(&bench.network, &bench.config, &bench.params, src, NETWORK_TRAIN, &error), &error))
        return;
    struct result a = step(&free_bench), b = step(&bench);
    const struct param *frozen = params_find(&bench.params, "a.w"), *head = params_find(&bench.params, "head.w");
    const struct param *moving = params_find(&bench.params, "down_norm.moving_mean");
    for (int64_t i = 0; i < frozen->count; i++)
        CHECK_NEAR((double)b.grad[frozen->offset + i], 0, 0);
    CHECK(a.grad[frozen->offset] != 0);
    CHECK(b.grad[head->offset] != 0);
    CHECK_NEAR((double)bench.params.value[moving->offset], 0, 0);
    CHECK(free_bench.params.value[moving->offset] != 0);
    result_done(&a);
    result_done(&b);
    network_bench_close(&free_bench);
    network_bench_close(&bench);
}

/* Nothing is computed for what does not learn: no weights' gradients, no backward below the lowest layer that learns,
 * less memory; the layers that learn get the same bits. */
static void test_frozen_costs_nothing(void)
{
    struct network_bench whole, bench;
    const struct shape src = {2, 1, 6, 4, 8};
    struct error error = {0};
    if (!network_bench_open(&whole, unet, src, NETWORK_TRAIN, &as_is) ||
        !network_bench_open(&bench, unet, src, NETWORK_TRAIN, &as_is))
        return;
    const char *const names[] = {"a.w", "a.b", "a_out.gamma", "a_out.beta", "down.w", "down.b", "c.w", "c.b"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        params_find(&bench.params, names[i])->frozen = true;
    network_free(bench.network);
    bench.network = NULL;
    if (!CHECK_OK(network_new(&bench.network, &bench.config, &bench.params, src, NETWORK_TRAIN, &error), &error))
        return;
    struct result a = step(&whole), b = step(&bench);
    for (int64_t i = 0; i < bench.params.n; i++) {
        const struct param *param = &bench.params.items[i];
        size_t bytes = (size_t)param->count * sizeof(float);
        if (param->trainable && !param->frozen &&
            !CHECK(memcmp(a.grad + param->offset, b.grad + param->offset, bytes) == 0))
            fprintf(stderr, "%s: other bits beside frozen layers\n", param->name);
    }
    for (int64_t m = 0; m < bench.network->n_backward_steps; m++)
        CHECK(bench.network->backward_steps[m].node >
              3); /* a, its activation, its norm and down lie below what learns */
    const struct layer *c = NULL;
    for (int64_t i = 0; i < network_n_layers(bench.network); i++)
        if (strcmp(network_layer(bench.network, i)->name, "c") == 0)
            c = network_layer(bench.network, i);
    if (CHECK(c != NULL)) {
        CHECK(c->training && !c->grad[0] && !c->grad[1] && c->d_src[0].data);
        CHECK(!layer_reads_src(c));
    }
    CHECK(network_bytes(bench.network) < network_bytes(whole.network));
    result_done(&a);
    result_done(&b);
    network_bench_close(&whole);
    network_bench_close(&bench);
}

static void test_no_allocation(void)
{
    struct network_bench bench;
    if (!network_bench_open(&bench, unet, (struct shape){1, 1, 4, 4, 8}, NETWORK_TRAIN, &as_is))
        return;
    network_forward(bench.network, bench.src, &training);
    network_backward(bench.network, bench.d_dst, NULL, &training);
    int64_t count = memory_alloc_count();
    network_forward(bench.network, bench.src, &training);
    network_backward(bench.network, bench.d_dst, NULL, &training);
    CHECK_INT(memory_alloc_count(), count);
    network_bench_close(&bench);
}

/* Inference and training share one block of parameters; told of a change, inference sees the new values. */
static void test_shared_params(void)
{
    struct network_bench bench;
    struct network *infer = NULL;
    struct error error = {0};
    const struct shape src = {1, 1, 4, 6, 8};
    const struct pass testing = {0};
    if (!network_bench_open(&bench, unet, src, NETWORK_TRAIN, &as_is) ||
        !CHECK_OK(network_new(&infer, &bench.config, &bench.params, src, NETWORK_INFER, &error), &error))
        return;
    int64_t n = shape_count(bench.dst_shape);
    for (int round = 0; round < 2; round++) {
        float *expected = copy(network_forward(bench.network, bench.src, &testing), n);
        CHECK_NEAR(farthest(expected, network_forward(infer, bench.src, &testing), n), 0, 1e-5);
        memory_free(expected);
        for (int64_t i = 0; i < bench.params.n_floats; i++)
            bench.params.value[i] *= 1.5F;
        network_params_changed(infer);
    }
    CHECK(network_bytes(infer) < network_bytes(bench.network));
    network_free(infer);
    network_bench_close(&bench);
}

static double soft_dice(const float *p, const float *t, int64_t n)
{
    double both = 0, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double bone = p[i] > 0.5F ? 1 : 0;
        both += 2 * bone * (double)t[i];
        sum += bone + (double)t[i];
    }
    return both / sum;
}

/* A tiny U-Net learns one patch by heart: a ball's shell with a hole, whole again. */
static void test_overfits(void)
{
    const char tiny[] =
        "\n"
        "  - { name: a, type: conv, filters: 8 }\n  - { type: instance_norm }\n  - { name: a_out, type: leaky_relu }\n"
        "  - { type: conv, filters: 16, stride: 2 }\n  - { type: instance_norm }\n  - { type: leaky_relu }\n"
        "  - { type: conv, filters: 16 }\n  - { type: instance_norm }\n  - { type: leaky_relu }\n"
        "  - { name: up, type: conv_transpose, filters: 8, kernel: 2, stride: 2 }\n"
        "  - { type: concat, from: [up, a_out] }\n"
        "  - { type: conv, filters: 8 }\n  - { type: instance_norm }\n  - { type: leaky_relu }\n"
        "  - { type: conv, filters: 1, kernel: 1 }\n  - { type: sigmoid }\n";
    enum { EDGE = 16, N = EDGE * EDGE * EDGE };
    static float target[N], d_p[N];
    struct network_bench bench;
    struct optimizer optimizer;
    struct error error = {0};
    if (!network_bench_open(&bench, tiny, (struct shape){1, 1, EDGE, EDGE, EDGE}, NETWORK_TRAIN, &as_is))
        return;
    for (int i = 0; i < N; i++) {
        double z = i / EDGE / EDGE - 7.5, y = i / EDGE % EDGE - 7.5, x = i % EDGE - 7.5,
               r = sqrt(x * x + y * y + z * z);
        target[i] = r > 4.5 && r < 7 ? 1 : 0;
        bench.src[i] = z > 2 && x > 0 ? 0 : target[i];
    }
    struct config_item items[1];
    struct config_list losses = {.n = 1, .items = items};
    struct yaml_node *node;
    struct config_item adam = {.table = optimizer_table_at(0)};
    items[0] = (struct config_item){.table = loss_table_at(1)};
    items[0].value = arena_alloc(&bench.arena, 1, items[0].table->size);
    adam.value = arena_alloc(&bench.arena, 1, adam.table->size);
    CHECK_OK(yaml_read_text(&node, "lr: 0.01", "adam", &bench.arena, &error), &error);
    CHECK_OK(config_bind(items[0].table, NULL, items[0].value, &bench.arena, &error), &error);
    CHECK_OK(config_bind(adam.table, node, adam.value, &bench.arena, &error), &error);
    CHECK_OK(optimizer_init(&optimizer, &adam, &bench.params, &error), &error);
    double dice = 0;
    for (uint64_t k = 1; k <= 150 && dice <= 0.99; k++) {
        struct pass pass = {.training = true, .step = k};
        const float *p = network_forward(bench.network, bench.src, &pass);
        dice = soft_dice(p, target, N);
        loss_sum(&losses, &(struct loss_batch){.shape = bench.dst_shape, .p = p, .t = target}, d_p, NULL);
        network_backward(bench.network, d_p, NULL, &pass);
        optimizer_step(&optimizer, &bench.params, optimizer_lr(&optimizer));
    }
    CHECK(dice > 0.99);
    optimizer_done(&optimizer);
    network_bench_close(&bench);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"memory_reuse", test_memory_reuse},
                                       {"in_place", test_in_place},
                                       {"absorbed_upsampling", test_absorbed_upsampling},
                                       {"joined", test_joined},
                                       {"norms_pair", test_norms_pair},
                                       {"absorbs_and_shares", test_absorbs_and_shares},
                                       {"fan_out", test_fan_out},
                                       {"input_skip", test_input_skip},
                                       {"frozen", test_frozen},
                                       {"frozen_costs_nothing", test_frozen_costs_nothing},
                                       {"no_allocation", test_no_allocation},
                                       {"shared_params", test_shared_params},
                                       {"overfits", test_overfits},
                                       {0}};
    return check_main(argc, argv, tests);
}
