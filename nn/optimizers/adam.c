/* adam.c - Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019).
 *   m = b1 m + (1 - b1) g      v = b2 v + (1 - b2) g^2      at step k
 *   keras    w -= lr sqrt(1 - b2^k) / (1 - b1^k) * m / (sqrt(v) + eps)
 *     (eps beside the uncorrected v, as Keras 2 and 3 write it)
 *   pytorch  w -= lr / (1 - b1^k) * m / (sqrt(v) / sqrt(1 - b2^k) + eps)
 *   adamw    first w -= lr * decay * w                                           Test: tests/nn/test_optimizer.c */
#include <math.h>

#include "nn/optimizer.h"

enum adam_form { ADAM_KERAS, ADAM_PYTORCH };
static const char *const adam_form_names[] = {"keras", "pytorch", NULL};

struct adam_config {
    struct optimizer_config optimizer;
    double beta1, beta2, epsilon;
    int form;
};

struct adamw_config {
    struct adam_config adam;
    double weight_decay;
};

/* The factors of one step; every entry shares them. */
struct adam_step {
    float beta1, rest1, beta2, rest2, scale, root_scale, epsilon, keep; /* rest = 1 - beta, taken in double */
};

static struct adam_step adam_factors(const struct adam_config *config, double lr, double decay, int64_t step)
{
    double correct1 = 1 - pow(config->beta1, (double)step), correct2 = 1 - pow(config->beta2, (double)step);
    bool keras = config->form == ADAM_KERAS;
    return (struct adam_step){.beta1 = (float)config->beta1,
                              .rest1 = (float)(1 - config->beta1),
                              .beta2 = (float)config->beta2,
                              .rest2 = (float)(1 - config->beta2),
                              .scale = (float)(lr * (keras ? sqrt(correct2) : 1) / correct1),
                              .root_scale = (float)(keras ? 1 : 1 / sqrt(correct2)),
                              .epsilon = (float)config->epsilon,
                              .keep = (float)(1 - lr * decay)};
}

static void adam_update(const struct adam_step *factors, int64_t n, const float *g, float *w, float *m, float *v)
{
    const struct adam_step by = *factors;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; i++) {
        m[i] = by.beta1 * m[i] + by.rest1 * g[i];
        v[i] = by.beta2 * v[i] + by.rest2 * g[i] * g[i];
        w[i] = by.keep * w[i] - by.scale * m[i] / (sqrtf(v[i]) * by.root_scale + by.epsilon);
    }
}

static void adam_run(const struct adam_config *config, double decay, struct params *params, float *const *slots,
                     double lr, int64_t step)
{
    struct adam_step factors = adam_factors(config, lr, decay, step);
    for (int64_t i = 0; i < params->n; i++) {
        const struct param *param = &params->items[i];
        if (param->trainable && !param->frozen)
            adam_update(&factors, param->count, params->grad + param->offset, params->value + param->offset,
                        slots[0] + param->offset, slots[1] + param->offset);
    }
}

static void adam_step(const void *config, struct params *params, float *const *slots, double lr, int64_t step)
{
    adam_run(config, 0, params, slots, lr, step);
}

static void adamw_step(const void *config, struct params *params, float *const *slots, double lr, int64_t step)
{
    adam_run(config, ((const struct adamw_config *)config)->weight_decay, params, slots, lr, step);
}

/* clang-format off */
static const struct config_field adam_fields[] = {
    {.key = "beta1", .type = CONFIG_DOUBLE, .offset = offsetof(struct adam_config, beta1), .text = "0.9", .min = 0,
     .max = 0.999999, .help = "decay of the first moment"},
    {.key = "beta2", .type = CONFIG_DOUBLE, .offset = offsetof(struct adam_config, beta2), .text = "0.999", .min = 0,
     .max = 0.999999, .help = "decay of the second moment"},
    {.key = "epsilon", .type = CONFIG_DOUBLE, .offset = offsetof(struct adam_config, epsilon), .text = "1e-7",
     .min = 0, .max = 1, .help = "added to the root of the second moment (Keras: 1e-7, PyTorch: 1e-8)"},
    {.key = "form", .type = CONFIG_ENUM, .offset = offsetof(struct adam_config, form), .text = "keras",
     .names = adam_form_names, .help = "where epsilon stands: beside the uncorrected root (keras) or the "
             "corrected one (pytorch)"},
    {0}};
/* clang-format on */

static const struct config_table adam_keys = {
    .base = &optimizer_base_table, .size = sizeof(struct adam_config), .fields = adam_fields};

/* clang-format off */
const struct optimizer_ops optimizer_adam = {
    .config = {.type = "adam", .help = "Adam (Kingma and Ba 2015)", .base = &optimizer_base_table,
    .size = sizeof(struct adam_config),
               .fields = adam_fields},
    .n_slots = 2,
    .step = adam_step,
};
/* clang-format on */

/* clang-format off */
static const struct config_field adamw_fields[] = {
    {.key = "weight_decay", .type = CONFIG_DOUBLE, .offset = offsetof(struct adamw_config, weight_decay),
     .text = "0.01", .min = 0, .max = 10, .help = "every step takes off lr times this share of each value"},
    {0}};
/* clang-format on */

/* clang-format off */
const struct optimizer_ops optimizer_adamw = {
    .config = {.type = "adamw", .help = "Adam with decoupled weight decay (Loshchilov and Hutter 2019)",
    .base = &adam_keys,
               .size = sizeof(struct adamw_config), .fields = adamw_fields},
    .n_slots = 2,
    .step = adamw_step,
};
/* clang-format on */
