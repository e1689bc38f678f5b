/* mse.c - mean squared error.     L = sum (p - t)^2 / count     dL/dp = 2 (p - t) / count
 *   Test: tests/nn/test_loss.c */
#include "nn/loss.h"
#include "nn/losses/sums.h"

struct mse_values {
    const float *p, *t;
};

static void mse_piece(const void *context, int64_t first, int64_t last, double *sums)
{
    const struct mse_values *values = context;
    for (int64_t i = first; i < last; i++) {
        double difference = (double)values->p[i] - (double)values->t[i];
        sums[0] += difference * difference;
    }
}

static double mse_run(const void *config, const struct loss_batch *batch, double weight, float *d_p, bool accumulate)
{
    (void)config;
    const float *p = batch->p, *t = batch->t;
    int64_t n = shape_count(batch->shape);
    double sum;
    sums_run(n, 1, mse_piece, &(struct mse_values){p, t}, &sum);
    float factor = (float)(weight * 2 / (double)n);
#pragma omp parallel for simd schedule(static) if (d_p != NULL)
    for (int64_t i = 0; i < (d_p ? n : 0); i++)
        d_p[i] = factor * (p[i] - t[i]) + (accumulate ? d_p[i] : 0);
    return sum / (double)n;
}

/* clang-format off */
const struct loss_ops loss_mse = {
    .config = {.type = "mse", .help = "mean squared error", .base = &loss_base_table,
    .size = sizeof(struct loss_config)},
    .run = mse_run,
};
/* clang-format on */
