/* batch_norm.c - batch normalisation (Ioffe and Szegedy 2015), one statistic per channel over samples and voxels.
 *   src, dst (N,C,D,H,W)   gamma, beta, moving_mean, moving_variance (C)
 *     dst = gamma * (src - mean) / sqrt(var + eps) + beta
 *   training: mean and biased variance of the batch;  moving = momentum * moving + (1 - momentum) * batch
 *   testing, or frozen: the moving statistics
 *   several processes: of the part of the batch that each has, or of the whole (struct pass_replicas)
 * Keeps for backward: src, mean and 1 / sqrt(var + eps).                   Test: tests/nn/test_norm.c */
#include <math.h>

#include "nn/layers/norm.h"

enum moving_variance { MOVING_KERAS2, MOVING_BIASED, MOVING_UNBIASED };
static const char *const moving_variance_names[] = {"keras2", "biased", "unbiased", NULL};

struct batch_norm_config {
    struct layer_config layer;
    double momentum, eps;
    int moving_variance;
    bool batch_statistics_at_test;
};

enum { BATCH_NORM_GAMMA, BATCH_NORM_BETA, BATCH_NORM_MEAN, BATCH_NORM_VARIANCE };

struct batch_norm_state {
    struct norm norm;
    bool of_batch; /* the last forward used the batch's statistics */
    const struct pass_replicas
        *shares; /* of the last forward, where its statistics were the whole batch's; else NULL */
};

static enum status batch_norm_shape(const struct layer *layer, struct shape *ret_dst, struct error *error)
{
    (void)error;
    *ret_dst = layer->src[0].shape;
    return STATUS_OK;
}

static enum status batch_norm_declare(struct layer *layer, struct error *error)
{
    int64_t c = layer->src[0].shape.c;
    if (layer_param(layer, "gamma", 1, &c, true, PARAM_ONES, error) ||
        layer_param(layer, "beta", 1, &c, true, PARAM_ZEROS, error) ||
        layer_param(layer, "moving_mean", 1, &c, false, PARAM_ZEROS, error) ||
        layer_param(layer, "moving_variance", 1, &c, false, PARAM_ONES, error))
        return error->status;
    return STATUS_OK;
}

static enum status batch_norm_init(struct layer *layer, struct error *error)
{
    (void)error;
    struct batch_norm_state *state = layer->state;
    state->norm = (struct norm){
        .shape = layer->src[0].shape, .groups = layer->src[0].shape.c, .over_batch = true, .slope = norm_slope(layer)};
    layer->kept_bytes = 2 * (size_t)norm_stats(&state->norm) * sizeof(double);
    layer->scratch_bytes = norm_scratch_bytes(&state->norm);
    return STATUS_OK;
}

/* What the variance of n values becomes before it enters the moving average: Keras 2 writes n / (n - (1 + eps)), Keras
 * 3 leaves the biased one, PyTorch takes n / (n - 1). */
static double batch_norm_correction(const struct batch_norm_config *config, double n)
{
    double less = config->moving_variance == MOVING_KERAS2     ? 1 + config->eps
                  : config->moving_variance == MOVING_UNBIASED ? 1
                                                               : 0;
    return n > less ? n / (n - less) : 1;
}

static void batch_norm_move(struct layer *layer, const double *mean, const double *var)
{
    const struct batch_norm_config *config = layer->config;
    const struct batch_norm_state *state = layer->state;
    float *moving_mean = layer->value[BATCH_NORM_MEAN], *moving_variance = layer->value[BATCH_NORM_VARIANCE];
    double parts = state->shares ? (double)state->shares->n : 1;
    double correction = batch_norm_correction(config, parts * (double)norm_stat_values(&state->norm));
    for (int64_t c = 0; c < layer->src[0].shape.c; c++) {
        moving_mean[c] = (float)(config->momentum * (double)moving_mean[c] + (1 - config->momentum) * mean[c]);
        moving_variance[c] =
            (float)(config->momentum * (double)moving_variance[c] + (1 - config->momentum) * var[c] * correction);
    }
}

/* mean and var of this process' part become those of the whole batch, all parts being of one size: var = mean of (var +
 * mean^2) - mean^2. */
static void batch_norm_share(const struct pass_replicas *replicas, double *mean, double *var, int64_t channels)
{
    for (int64_t c = 0; c < channels; c++)
        var[c] += mean[c] * mean[c];
    replicas->average(replicas->context, mean, 2 * channels); /* var lies behind mean */
    for (int64_t c = 0; c < channels; c++)
        var[c] = fmax(var[c] - mean[c] * mean[c], 0);
}

static bool batch_norm_needs_src_stats(const struct layer *layer)
{
    const struct batch_norm_config *config = layer->config;
    return (layer->training && !layer->frozen) || config->batch_statistics_at_test;
}

/* mean and 1 / sqrt(var + eps) of this pass, into what backward keeps. */
static void batch_norm_measure(struct layer *layer, const struct pass *pass)
{
    const struct batch_norm_config *config = layer->config;
    struct batch_norm_state *state = layer->state;
    int64_t channels = layer->src[0].shape.c;
    double *mean = layer->kept, *inv = mean + channels;
    bool learning = pass->training && !layer->frozen;

    state->of_batch = learning || config->batch_statistics_at_test;
    if (state->of_batch)
        norm_measure(&state->norm, layer, mean, inv);

    /* With processes that hold a part of the batch each, the statistics are those of all parts. */
    state->shares = learning && pass->replicas && pass->replicas->average ? pass->replicas : NULL;
    if (state->shares)
        batch_norm_share(state->shares, mean, inv, channels);

    /* Testing and frozen layers use the moving statistics. */
    for (int64_t c = 0; c < channels && !state->of_batch; c++) {
        mean[c] = (double)layer->value[BATCH_NORM_MEAN][c];
        inv[c] = (double)layer->value[BATCH_NORM_VARIANCE][c];
    }

    if (learning)
        batch_norm_move(layer, mean, inv);
    for (int64_t c = 0; c < channels; c++)
        inv[c] = 1 / sqrt(inv[c] + config->eps);
}

static void batch_norm_forward(struct layer *layer, const struct pass *pass)
{
    const struct batch_norm_state *state = layer->state;
    const double *mean = layer->kept, *inv = mean + layer->src[0].shape.c;
    if (!pass->recompute)
        batch_norm_measure(layer, pass);
    norm_apply(&state->norm, layer, mean, inv, layer->value[BATCH_NORM_GAMMA], layer->value[BATCH_NORM_BETA]);
}

static void batch_norm_backward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    const struct batch_norm_state *state = layer->state;
    const double *mean = layer->kept;
    norm_backward(&state->norm,
                  &(struct norm_gradient){.src = layer->src[0],
                                          .d_dst = layer->d_dst,
                                          .gamma = layer->value[BATCH_NORM_GAMMA],
                                          .beta = layer->value[BATCH_NORM_BETA],
                                          .mean = mean,
                                          .inv = mean + layer->src[0].shape.c,
                                          .constant = !state->of_batch,
                                          .replicas = state->shares,
                                          .d_src = layer->d_src[0],
                                          .d_gamma = layer->grad[BATCH_NORM_GAMMA],
                                          .d_beta = layer->grad[BATCH_NORM_BETA]},
                  layer->scratch);
}

/* clang-format off */
static const struct config_field batch_norm_fields[] = {
    {.key = "momentum", .type = CONFIG_DOUBLE, .offset = offsetof(struct batch_norm_config, momentum), .text = "0.99",
     .min = 0, .max = 1, .help = "share of the old moving statistics that is kept at each step (PyTorch's "
             "momentum is 1 minus this)"},
    {.key = "eps", .type = CONFIG_DOUBLE, .offset = offsetof(struct batch_norm_config, eps), .text = "1e-3",
     .min = 1e-12, .max = 1, .help = "added to the variance"},
    {.key = "moving_variance", .type = CONFIG_ENUM, .offset = offsetof(struct batch_norm_config, moving_variance),
     .text = "biased", .names = moving_variance_names,
     .help = "variance of n values that enters the moving one: keras2: var * n / (n - 1 - eps), biased (Keras 3), "
             "unbiased (PyTorch)"},
    {.key = "batch_statistics_at_test", .type = CONFIG_BOOL, .offset = offsetof(struct batch_norm_config,
     batch_statistics_at_test), .text = "false", .help = "never use the moving statistics"},
    {0}};
/* clang-format on */

/* clang-format off */
const struct layer_ops layer_batch_norm = {
    .config = {.type = "batch_norm", .help = "batch normalisation: per channel, over samples and voxels",
    .base = &layer_base_table,
               .size = sizeof(struct batch_norm_config), .fields = batch_norm_fields},
    .state_size = sizeof(struct batch_norm_state),
    .min_src = 1, .max_src = 1, .keeps = LAYER_KEEPS_SRC, .in_place = LAYER_IN_PLACE_INFER,
    .bfloat16 = LAYER_BFLOAT16_NATIVE,
    .can_fuse_activation = norm_can_fuse_activation,
    .needs_src_stats = batch_norm_needs_src_stats,
    .shape = batch_norm_shape, .declare = batch_norm_declare, .init = batch_norm_init,
    .forward = batch_norm_forward, .backward = batch_norm_backward,
};
/* clang-format on */
