/* focal.c - focal loss (Lin et al. 2017) of probabilities, p clipped to [clip, 1 - clip].
 *   L = -mean(alpha t (1 - p)^gamma log p + (1 - alpha) (1 - t) p^gamma log(1 - p))
 *   dL/dp = alpha t (gamma (1-p)^(gamma-1) log p - (1-p)^gamma / p)
 *         - (1-alpha) (1-t) (gamma p^(gamma-1) log(1-p) - p^gamma / (1-p)),  / count, 0 where clipped
 *           Test: tests/nn/test_loss.c */
#include <math.h>

#include "nn/loss.h"
#include "nn/losses/sums.h"

struct focal_config {
    struct loss_config loss;
    double gamma, alpha, clip;
};

struct focal_values {
    const float *p, *t;
    const struct focal_config *config;
};

static double focal_clip(double p, double clip)
{
    return p < clip ? clip : p > 1 - clip ? 1 - clip : p;
}

static void focal_piece(const void *context, int64_t first, int64_t last, double *sums)
{
    const struct focal_values *values = context;
    double gamma = values->config->gamma, alpha = values->config->alpha;
    for (int64_t i = first; i < last; i++) {
        double p = focal_clip((double)values->p[i], values->config->clip), t = (double)values->t[i];
        sums[0] -= alpha * t * pow(1 - p, gamma) * log(p) + (1 - alpha) * (1 - t) * pow(p, gamma) * log(1 - p);
    }
}

static double focal_slope(const struct focal_config *config, double p, double t)
{
    double gamma = config->gamma, q = 1 - p;
    double bone = gamma * pow(q, gamma - 1) * log(p) - pow(q, gamma) / p;
    double empty = gamma * pow(p, gamma - 1) * log(q) - pow(p, gamma) / q;
    return config->alpha * t * bone - (1 - config->alpha) * (1 - t) * empty;
}

static double focal_run(const void *config, const struct loss_batch *batch, double weight, float *d_p, bool accumulate)
{
    const float *p = batch->p, *t = batch->t;
    const struct focal_config *focal = config;
    int64_t n = shape_count(batch->shape);
    double sum, factor = weight / (double)n;
    sums_run(n, 1, focal_piece, &(struct focal_values){p, t, focal}, &sum);
#pragma omp parallel for schedule(static) if (d_p != NULL)
    for (int64_t i = 0; i < (d_p ? n : 0); i++) {
        double q = (double)p[i];
        bool clipped = q < focal->clip || q > 1 - focal->clip;
        d_p[i] = (clipped ? 0 : (float)(factor * focal_slope(focal, q, (double)t[i]))) + (accumulate ? d_p[i] : 0);
    }
    return sum / (double)n;
}

/* clang-format off */
static const struct config_field focal_fields[] = {
    {.key = "gamma", .type = CONFIG_DOUBLE, .offset = offsetof(struct focal_config, gamma), .text = "2", .min = 0,
     .max = 10, .help = "how much well-classified voxels are left out"},
    {.key = "alpha", .type = CONFIG_DOUBLE, .offset = offsetof(struct focal_config, alpha), .text = "0.25", .min = 0,
     .max = 1, .help = "share of the foreground"},
    {.key = "clip", .type = CONFIG_DOUBLE, .offset = offsetof(struct focal_config, clip), .text = "1e-7",
     .min = 1e-12, .max = 0.1, .help = "probabilities are kept this far from 0 and 1"},
    {0}};
/* clang-format on */

/* clang-format off */
const struct loss_ops loss_focal = {
    .config = {.type = "focal", .help = "focal loss; the network must end in probabilities (sigmoid, softmax)",
    .base = &loss_base_table,
               .size = sizeof(struct focal_config), .fields = focal_fields},
    .run = focal_run,
};
/* clang-format on */
