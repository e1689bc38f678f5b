/* sgd.c - stochastic gradient descent with momentum (PyTorch's form).
 *   g += decay * w      m = momentum * m + g      w -= lr * m,  nesterov: w -= lr * (g + momentum * m)
 *     Test: tests/nn/test_optimizer.c */
#include "nn/optimizer.h"

struct sgd_config {
    struct optimizer_config optimizer;
    double momentum, weight_decay;
    bool nesterov;
};

static void sgd_update(const struct sgd_config *config, float lr, int64_t n, const float *g, float *w, float *m)
{
    float momentum = (float)config->momentum, decay = (float)config->weight_decay;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; i++) {
        float gradient = g[i] + decay * w[i];
        m[i] = momentum * m[i] + gradient;
        w[i] -= lr * (config->nesterov ? gradient + momentum * m[i] : m[i]);
    }
}

static void sgd_step(const void *config, struct params *params, float *const *slots, double lr, int64_t step)
{
    (void)step;
    for (int64_t i = 0; i < params->n; i++) {
        const struct param *param = &params->items[i];
        if (param->trainable && !param->frozen)
            sgd_update(config, (float)lr, param->count, params->grad + param->offset, params->value + param->offset,
                       slots[0] + param->offset);
    }
}

/* clang-format off */
static const struct config_field sgd_fields[] = {
    {.key = "momentum", .type = CONFIG_DOUBLE, .offset = offsetof(struct sgd_config, momentum), .text = "0.9",
     .min = 0, .max = 0.9999, .help = "share of the last update that goes on"},
    {.key = "weight_decay", .type = CONFIG_DOUBLE, .offset = offsetof(struct sgd_config, weight_decay), .text = "0",
     .min = 0, .max = 10, .help = "share of each value added to its gradient"},
    {.key = "nesterov", .type = CONFIG_BOOL, .offset = offsetof(struct sgd_config, nesterov), .text = "false",
     .help = "look ahead along the momentum"},
    {0}};
/* clang-format on */

/* clang-format off */
const struct optimizer_ops optimizer_sgd = {
    .config = {.type = "sgd", .help = "stochastic gradient descent with momentum", .base = &optimizer_base_table,
               .size = sizeof(struct sgd_config), .fields = sgd_fields},
    .n_slots = 1,
    .step = sgd_step,
};
/* clang-format on */
