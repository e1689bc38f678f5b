/* conv_transpose_2x2x2.c - a scatter with kernel = stride = 2: each voxel of the fine grid is one tap of one voxel of
 * the coarse one, so that all eight phases are small matrix products, written where they belong. Weights: one phase
 * after the other, each as a 1x1x1 convolution's. */
#include <string.h>

#include "nn/engine/direct.h"
#include "nn/engine/kernels.h"

bool doubling_takes(const struct direct_conv *grid)
{
    const struct shape fine = grid->src, coarse = grid->dst;
    for (int a = 0; a < 3; a++)
        if (grid->stride[a] != 2 || grid->kernel[a] != 2 || grid->pad[a])
            return false;
    return fine.d == 2 * coarse.d && fine.h == 2 * coarse.h && fine.w == 2 * coarse.w &&
           coarse.w >= engine_kernels()->doubling_width && tensor_lane(fine.c) == tensor_block() &&
           tensor_lane(coarse.c) == tensor_block();
}

void doubling_run(const struct direct_conv *grid, const float *src, const float *packed, const float *b, float *dst,
                  float *bias)
{
    const struct shape fine = grid->src, coarse = grid->dst;
    const struct engine_kernels *kernels = engine_kernels();
    const int64_t lane = tensor_block(), blocks = tensor_stored_channels(fine.c) / lane,
                  units = tensor_stored_channels(coarse.c) / lane;
    if (b) {
        memset(bias, 0, (size_t)(blocks * lane) * sizeof *bias);
        memcpy(bias, b, (size_t)fine.c * sizeof *bias);
    }
#pragma omp parallel for collapse(3) schedule(static)
    for (int64_t n = 0; n < coarse.n; n++)
        for (int64_t z = 0; z < coarse.d; z++)
            for (int64_t block = 0; block < blocks; block++) {
                struct doubling_tile tile = {.src = coarse,
                                             .dst = fine,
                                             .from = src + tensor_at(coarse, n, 0, z, 0, 0),
                                             .w = packed + block * units * lane * lane,
                                             .b = b ? bias + block * lane : NULL,
                                             .to = dst + tensor_at(fine, n, block * lane, 2 * z, 0, 0),
                                             .units = units,
                                             .w_phase = units * blocks * lane * lane};
                kernels->doubling(&tile);
            }
}
