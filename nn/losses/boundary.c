/* boundary.c - boundary loss (Kervadec et al., Medical Image Analysis 2021).     L = sum(p D) / count
 *   dL/dp = D / count
 *   D: signed distance from the target's surface in voxels, as their code takes it: the distance to the target
 *     outside it, 1 - the distance
 *   to the nearest voxel outside it inside; 0 everywhere for an empty target
 *     Test: tests/nn/test_loss.c */
#include "nn/loss.h"
#include "nn/losses/sums.h"

struct boundary_values {
    const float *p, *distance;
};

static void boundary_piece(const void *context, int64_t first, int64_t last, double *sums)
{
    const struct boundary_values *values = context;
    for (int64_t i = first; i < last; i++)
        sums[0] += (double)values->p[i] * (double)values->distance[i];
}

static double boundary_run(const void *config, const struct loss_batch *batch, double weight, float *d_p,
                           bool accumulate)
{
    (void)config;
    const float *distance = batch->distance;
    int64_t n = shape_count(batch->shape);
    double sum;
    sums_run(n, 1, boundary_piece, &(struct boundary_values){batch->p, distance}, &sum);
    float factor = (float)(weight / (double)n);
#pragma omp parallel for simd schedule(static) if (d_p != NULL)
    for (int64_t i = 0; i < (d_p ? n : 0); i++)
        d_p[i] = factor * distance[i] + (accumulate ? d_p[i] : 0);
    return sum / (double)n;
}

/* clang-format off */
const struct loss_ops loss_boundary = {
    .config = {.type = "boundary", .help = "mean of the prediction times the signed distance from the target's "
            "surface (Kervadec et al. 2021); alone it is "
                                           "at its best with a network that ends in tanh and restore.threshold: 0",
               .base = &loss_base_table, .size = sizeof(struct loss_config)},
    .needs = LOSS_NEEDS_DISTANCE,
    .run = boundary_run,
};
/* clang-format on */
