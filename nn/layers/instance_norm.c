/* instance_norm.c - instance normalisation (Ulyanov et al. 2016) and group normalisation (Wu and He 2018).
 *   src, dst (N,C,D,H,W)   gamma, beta (C)     dst = gamma * (src - mean) / sqrt(var + eps) + beta
 *   one biased statistic per sample and channel (instance), or per sample and group of C / groups channels (group)
 * Keeps for backward: src, mean and 1 / sqrt(var + eps).                   Test: tests/nn/test_norm.c */
#include <inttypes.h>
#include <math.h>

#include "nn/layers/norm.h"

struct instance_norm_config {
    struct layer_config layer;
    double eps;
    bool affine;
};

struct group_norm_config {
    struct instance_norm_config instance;
    int64_t groups;
};

struct instance_norm_state {
    struct norm norm;
};

static enum status instance_norm_shape(const struct layer *layer, struct shape *ret_dst, struct error *error)
{
    (void)error;
    *ret_dst = layer->src[0].shape;
    return STATUS_OK;
}

static enum status instance_norm_declare(struct layer *layer, struct error *error)
{
    const struct instance_norm_config *config = layer->config;
    int64_t c = layer->src[0].shape.c;
    if (config->affine && (layer_param(layer, "gamma", 1, &c, true, PARAM_ONES, error) ||
                           layer_param(layer, "beta", 1, &c, true, PARAM_ZEROS, error)))
        return error->status;
    return STATUS_OK;
}

static enum status instance_norm_init_groups(struct layer *layer, int64_t groups)
{
    struct instance_norm_state *state = layer->state;
    state->norm = (struct norm){.shape = layer->src[0].shape, .groups = groups, .slope = norm_slope(layer)};
    layer->kept_bytes = 2 * (size_t)norm_stats(&state->norm) * sizeof(double);
    layer->scratch_bytes = norm_scratch_bytes(&state->norm);
    return STATUS_OK;
}

static enum status instance_norm_init(struct layer *layer, struct error *error)
{
    (void)error;
    return instance_norm_init_groups(layer, layer->src[0].shape.c);
}

static bool instance_norm_needs_src_stats(const struct layer *layer)
{
    (void)layer;
    return true;
}

static void instance_norm_forward(struct layer *layer, const struct pass *pass)
{
    const struct instance_norm_config *config = layer->config;
    const struct instance_norm_state *state = layer->state;
    int64_t n_stats = norm_stats(&state->norm);
    double *mean = layer->kept, *inv = mean + n_stats;
    if (!pass->recompute)
        norm_measure(&state->norm, layer, mean, inv);
    for (int64_t s = 0; s < n_stats && !pass->recompute; s++)
        inv[s] = 1 / sqrt(inv[s] + config->eps);
    norm_apply(&state->norm, layer, mean, inv, layer->value[0], layer->value[1]);
}

static void instance_norm_backward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    const struct instance_norm_state *state = layer->state;
    const double *mean = layer->kept;
    norm_backward(&state->norm,
                  &(struct norm_gradient){.src = layer->src[0],
                                          .d_dst = layer->d_dst,
                                          .gamma = layer->value[0],
                                          .beta = layer->value[1],
                                          .mean = mean,
                                          .inv = mean + norm_stats(&state->norm),
                                          .d_src = layer->d_src[0],
                                          .d_gamma = layer->grad[0],
                                          .d_beta = layer->grad[1]},
                  layer->scratch);
}

/* clang-format off */
static const struct config_field instance_norm_fields[] = {
    {.key = "eps", .type = CONFIG_DOUBLE, .offset = offsetof(struct instance_norm_config, eps), .text = "1e-5",
     .min = 1e-12, .max = 1, .help = "added to the variance"},
    {.key = "affine", .type = CONFIG_BOOL, .offset = offsetof(struct instance_norm_config, affine), .text = "true",
     .help = "learn a scale (gamma) and a shift (beta) per channel"},
    {0}};
/* clang-format on */

/* clang-format off */
const struct layer_ops layer_instance_norm = {
    .config = {.type = "instance_norm", .help = "instance normalisation: per sample and channel",
    .base = &layer_base_table,
               .size = sizeof(struct instance_norm_config), .fields = instance_norm_fields},
    .state_size = sizeof(struct instance_norm_state),
    .min_src = 1, .max_src = 1, .keeps = LAYER_KEEPS_SRC, .in_place = LAYER_IN_PLACE_INFER,
    .bfloat16 = LAYER_BFLOAT16_NATIVE,
    .can_fuse_activation = norm_can_fuse_activation,
    .needs_src_stats = instance_norm_needs_src_stats,
    .shape = instance_norm_shape, .declare = instance_norm_declare, .init = instance_norm_init,
    .forward = instance_norm_forward, .backward = instance_norm_backward,
};
/* clang-format on */

static enum status group_norm_shape(const struct layer *layer, struct shape *ret_dst, struct error *error)
{
    const struct group_norm_config *config = layer->config;
    if (layer->src[0].shape.c % config->groups)
        return yaml_error(error, layer->node, "%s: groups: %" PRId64 " does not divide the %" PRId64 " channels",
                          layer->name, config->groups, layer->src[0].shape.c);
    return instance_norm_shape(layer, ret_dst, error);
}

static enum status group_norm_init(struct layer *layer, struct error *error)
{
    (void)error;
    return instance_norm_init_groups(layer, ((const struct group_norm_config *)layer->config)->groups);
}

/* clang-format off */
static const struct config_field group_norm_fields[] = {
    {.key = "eps", .type = CONFIG_DOUBLE, .offset = offsetof(struct group_norm_config, instance.eps), .text = "1e-5",
     .min = 1e-12, .max = 1, .help = "added to the variance"},
    {.key = "affine", .type = CONFIG_BOOL, .offset = offsetof(struct group_norm_config, instance.affine),
     .text = "true", .help = "learn a scale (gamma) and a shift (beta) per channel"},
    {.key = "groups", .type = CONFIG_INT, .offset = offsetof(struct group_norm_config, groups), .text = "8", .min = 1,
     .max = 4096, .help = "groups of channels; must divide their number"},
    {0}};
/* clang-format on */

/* clang-format off */
const struct layer_ops layer_group_norm = {
    .config = {.type = "group_norm", .help = "group normalisation: per sample and group of channels",
    .base = &layer_base_table,
               .size = sizeof(struct group_norm_config), .fields = group_norm_fields},
    .state_size = sizeof(struct instance_norm_state),
    .min_src = 1, .max_src = 1, .keeps = LAYER_KEEPS_SRC, .in_place = LAYER_IN_PLACE_INFER,
    .bfloat16 = LAYER_BFLOAT16_NATIVE,
    .can_fuse_activation = norm_can_fuse_activation,
    .needs_src_stats = instance_norm_needs_src_stats,
    .shape = group_norm_shape, .declare = instance_norm_declare, .init = group_norm_init,
    .forward = instance_norm_forward, .backward = instance_norm_backward,
};
/* clang-format on */
