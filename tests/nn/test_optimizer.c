/* Optimizers against their formulas in double, ten steps; frozen entries and statistics stay. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "nn/optimizer.h"
#include "tests/check.h"

enum { STEPS = 10, VALUES = 37 };

struct bound {
    struct arena arena;
    struct params params;
    struct config_item item;
    struct optimizer optimizer;
};

/* Entries: a (VALUES, trainable), frozen (5, trainable but frozen), moving (4, a statistic). */
static bool bind(struct bound *bound, const char *yaml)
{
    static const struct config_field fields[] = {
        {.key = "optimizer", .type = CONFIG_CHOICE, .variant = optimizer_table_at}, {0}};
    static const struct config_table table = {.size = sizeof(struct config_item), .fields = fields};
    struct error error = {0};
    struct yaml_node *node;
    const int64_t a = VALUES, frozen = 5, moving = 4;
    *bound = (struct bound){0};
    params_add(&bound->params, "moving", 1, &moving, false, PARAM_ONES);
    params_add(&bound->params, "a", 1, &a, true, PARAM_GLOROT_UNIFORM);
    params_add(&bound->params, "frozen", 1, &frozen, true, PARAM_GLOROT_UNIFORM);
    if (!CHECK_OK(params_allocate(&bound->params, true, &error), &error))
        return false;
    params_find(&bound->params, "frozen")->frozen = true;
    params_initialise(&bound->params, 1);
    if (!CHECK_OK(yaml_read_text(&node, yaml, "case", &bound->arena, &error), &error) ||
        !CHECK_OK(config_bind(&table, node, &bound->item, &bound->arena, &error), &error))
        return false;
    return CHECK_OK(optimizer_init(&bound->optimizer, &bound->item, &bound->params, &error), &error);
}

static void unbind(struct bound *bound)
{
    optimizer_done(&bound->optimizer);
    params_done(&bound->params);
    arena_done(&bound->arena);
}

/* One value's state in double. */
struct state {
    double w, m, v;
};
typedef void optimizer_reference(struct state *state, double g, double lr, int step);

static void adam_keras(struct state *state, double g, double lr, int step)
{
    state->m = 0.5 * state->m + 0.5 * g;
    state->v = 0.999 * state->v + 0.001 * g * g;
    double rate = lr * sqrt(1 - pow(0.999, step)) / (1 - pow(0.5, step));
    state->w -= rate * state->m / (sqrt(state->v) + 1e-3);
}

static void adam_pytorch(struct state *state, double g, double lr, int step)
{
    state->m = 0.9 * state->m + 0.1 * g;
    state->v = 0.99 * state->v + 0.01 * g * g;
    double m = state->m / (1 - pow(0.9, step)), v = state->v / (1 - pow(0.99, step));
    state->w -= lr * m / (sqrt(v) + 1e-3);
}

static void adamw_pytorch(struct state *state, double g, double lr, int step)
{
    state->w -= lr * 0.1 * state->w;
    adam_pytorch(state, g, lr, step);
}

static void sgd_plain(struct state *state, double g, double lr, int step)
{
    (void)step;
    g += 0.01 * state->w;
    state->m = 0.8 * state->m + g;
    state->w -= lr * state->m;
}

static void sgd_nesterov(struct state *state, double g, double lr, int step)
{
    (void)step;
    state->m = 0.8 * state->m + g;
    state->w -= lr * (g + 0.8 * state->m);
}

static void check_optimizer(const char *yaml, optimizer_reference *reference)
{
    struct bound bound;
    if (!bind(&bound, yaml))
        return;
    struct params *params = &bound.params;
    const struct param *a = params_find(params, "a");
    float before[64], *value = params->value + a->offset, *grad = params->grad + a->offset;
    struct state states[VALUES] = {{0}};
    CHECK(params->n_floats <= 64);
    memcpy(before, params->value, (size_t)params->n_floats * sizeof(float));
    for (int i = 0; i < VALUES; i++)
        states[i].w = (double)value[i];
    for (int step = 1; step <= STEPS; step++) {
        double lr = 0.05 / step; /* a schedule */
        for (int64_t i = 0; i < params->n_trainable; i++)
            params->grad[i] = 1;
        for (int i = 0; i < VALUES; i++) {
            grad[i] = sinf((float)(i + 1) * (float)step);
            reference(&states[i], (double)grad[i], lr, step);
        }
        optimizer_step(&bound.optimizer, params, lr);
    }
    for (int i = 0; i < VALUES; i++)
        CHECK_NEAR((double)value[i], states[i].w, 4 * STEPS * (double)FLT_EPSILON);
    const struct param *frozen = params_find(params, "frozen"), *moving = params_find(params, "moving");
    CHECK(memcmp(before + frozen->offset, params->value + frozen->offset, 5 * sizeof(float)) == 0);
    CHECK(memcmp(before + moving->offset, params->value + moving->offset, 4 * sizeof(float)) == 0);
    CHECK_INT(bound.optimizer.n_steps, STEPS);
    unbind(&bound);
}

static void test_adam(void)
{
    check_optimizer("optimizer: { type: adam, lr: 0.05, beta1: 0.5, epsilon: 1e-3 }", adam_keras);
    check_optimizer("optimizer: { type: adam, beta2: 0.99, epsilon: 1e-3, form: pytorch }", adam_pytorch);
}

static void test_adamw(void)
{
    check_optimizer("optimizer: { type: adamw, beta2: 0.99, epsilon: 1e-3, form: pytorch, weight_decay: 0.1 }",
                    adamw_pytorch);
}

static void test_sgd(void)
{
    check_optimizer("optimizer: { type: sgd, momentum: 0.8, weight_decay: 0.01 }", sgd_plain);
    check_optimizer("optimizer: { type: sgd, momentum: 0.8, nesterov: true }", sgd_nesterov);
}

static void test_lr(void)
{
    struct bound bound;
    if (bind(&bound, "optimizer: { type: adam, lr: 2.0e-4 }"))
        CHECK_NEAR(optimizer_lr(&bound.optimizer), 2e-4, 0);
    unbind(&bound);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"adam", test_adam}, {"adamw", test_adamw}, {"sgd", test_sgd}, {"lr", test_lr}, {0}};
    return check_main(argc, argv, tests);
}
