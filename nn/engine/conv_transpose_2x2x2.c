/* conv_transpose_2x2x2.c - a scatter with kernel = stride = 2: each voxel of the large grid is one tap of one voxel of
 * the small one, so that all eight phases are small matrix products, written where they belong. Weights: one phase
 * after the other, each as a 1x1x1 convolution's. Test: tests/nn/test_engine.c */
#include "nn/engine/conv_transpose_2x2x2.h"

#include <string.h>

#include "nn/engine/kernels.h"
#include "nn/engine/pairs.h"

bool conv_transpose_2x2x2_supports(const struct direct_conv *grid)
{
    const struct shape large = grid->src, small = grid->dst;
    for (int a = 0; a < 3; a++)
        if (grid->stride[a] != 2 || grid->kernel[a] != 2 || grid->pad[a])
            return false;
    return large.d == 2 * small.d && large.h == 2 * small.h && large.w == 2 * small.w &&
           small.w >= engine_kernels()->transpose_min_width && tensor_channel_block(large.c) == tensor_block() &&
           tensor_channel_block(small.c) == tensor_block();
}

void conv_transpose_2x2x2_run(const struct direct_conv *grid, const float *src, const float *packed, const float *b,
                              float *dst, float *bias)
{
    const struct shape large = grid->src, small = grid->dst;
    const struct engine_kernels *kernels = engine_kernels();
    const int64_t block_c = tensor_block(), blocks = tensor_stored_channels(large.c) / block_c,
                  units = tensor_stored_channels(small.c) / block_c;

    if (b) {
        memset(bias, 0, (size_t)(blocks * block_c) * sizeof *bias);
        memcpy(bias, b, (size_t)large.c * sizeof *bias);
    }

    if (grid->bfloat16) {
        pairs_transpose_run(grid, (const uint16_t *)(const void *)src, (const uint32_t *)(const void *)packed,
                            b ? bias : NULL, (uint16_t *)(void *)dst);
        return;
    }

#pragma omp parallel for collapse(3) schedule(static)
    for (int64_t n = 0; n < small.n; n++)
        for (int64_t z = 0; z < small.d; z++)
            for (int64_t block = 0; block < blocks; block++) {
                struct transpose_tile tile = {.src = small,
                                              .dst = large,
                                              .from = src + tensor_at(small, n, 0, z, 0, 0),
                                              .w = packed + block * units * block_c * block_c,
                                              .b = b ? bias + block * block_c : NULL,
                                              .to = dst + tensor_at(large, n, block * block_c, 2 * z, 0, 0),
                                              .units = units,
                                              .w_phase = units * blocks * block_c * block_c};
                kernels->transpose(&tile);
            }
}
