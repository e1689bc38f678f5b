/* bce.c - binary cross entropy of probabilities.     L = -mean(t log p + (1 - t) log(1 - p)),  p clipped to [eps, 1
 *   - eps]
 *   dL/dp = (p - t) / (p (1 - p)) / count, 0 where clipped (as Keras)
 *     Test: tests/nn/test_loss.c */
#include <math.h>

#include "nn/loss.h"
#include "nn/losses/sums.h"

struct bce_config {
    struct loss_config loss;
    double clip;
};

struct bce_values {
    const float *p, *t;
    double clip;
};

static double bce_clip(double p, double clip)
{
    return p < clip ? clip : p > 1 - clip ? 1 - clip : p;
}

static void bce_piece(const void *context, int64_t first, int64_t last, double *sums)
{
    const struct bce_values *values = context;
    for (int64_t i = first; i < last; i++) {
        double p = bce_clip((double)values->p[i], values->clip), t = (double)values->t[i];
        sums[0] -= t * log(p) + (1 - t) * log(1 - p);
    }
}

static double bce_run(const void *config, const struct loss_batch *batch, double weight, float *d_p, bool accumulate)
{
    const float *p = batch->p, *t = batch->t;
    double clip = ((const struct bce_config *)config)->clip, sum;
    int64_t n = shape_count(batch->shape);
    sums_run(n, 1, bce_piece, &(struct bce_values){p, t, clip}, &sum);
    double factor = weight / (double)n;
#pragma omp parallel for schedule(static) if (d_p != NULL)
    for (int64_t i = 0; i < (d_p ? n : 0); i++) {
        double q = (double)p[i];
        bool clipped = q < clip || q > 1 - clip;
        double d = clipped ? 0 : factor * (q - (double)t[i]) / (q * (1 - q));
        d_p[i] = (float)d + (accumulate ? d_p[i] : 0);
    }
    return sum / (double)n;
}

/* clang-format off */
static const struct config_field bce_fields[] = {
    {.key = "clip", .type = CONFIG_DOUBLE, .offset = offsetof(struct bce_config, clip), .text = "1e-7", .min = 1e-12,
     .max = 0.1, .help = "probabilities are kept this far from 0 and 1"},
    {0}};
/* clang-format on */

/* clang-format off */
const struct loss_ops loss_bce = {
    .config = {.type = "bce", .help = "binary cross entropy; the network must end in probabilities (sigmoid, softmax)",
               .base = &loss_base_table, .size = sizeof(struct bce_config), .fields = bce_fields},
    .run = bce_run,
};
/* clang-format on */
