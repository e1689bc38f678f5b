/* winograd.h - private to nn/engine*.c: direct convolutions with stride 1 by Winograd's minimal filtering (Winograd
 * 1980; Lavin and Gray 2016), which multiplies 3.4 or 4.5 times per value and pair of channels instead of 27 (3x3x3).
 *
 *     dst tile = A' [ (G w G') * (B' src B) ] A          one product per point, summed over channels by small matrix
 *       products
 *
 * Points: 0, +-3/4, +-3/2, infinity along y and x (6 in, 7 - k out). Along z of cubes the same where the grid is deep
 * enough, else 0, +-1, infinity for k = 3 (4 in, 2 out); any other kernel is summed tap by tap along z. All factors of
 * A and B are exact in binary. space_to_depth.c brings kernels of 5 and 6 with stride 2 here. Error:
 * tests/nn/test_engine.c holds every pass to the bound of direct sums, 4 * FLT_EPSILON * sqrt(terms) * the largest
 * result, against sums in double; these points cost up to 3.4 times the root mean square error of direct sums, 2 times
 * with four along z
 * (+-1, +-2 would cost up to 4.8). */
#ifndef CALVARIA_NN_ENGINE_WINOGRAD_H
#define CALVARIA_NN_ENGINE_WINOGRAD_H

#include "nn/engine/direct_conv.h"

enum { WINOGRAD_POINTS = 6, WINOGRAD_KERNEL_MAX = 5 };

/* How a convolution is cut into tiles; what engine_kernels' transforms read. */
struct winograd_grid {
    struct direct_conv conv;
    int64_t blocks_i, blocks_o; /* of channels */
    int64_t out[3];             /* values of dst per tile: d, h, w */
    int64_t tiles[3];           /* of one sample */
    int64_t points_z;           /* 6 or 4: minimal along z too; 0: taps along z are summed */
    int64_t positions, sums;    /* products per tile and pair of channels: positions * sums */
};

bool winograd_supports(const struct direct_conv *conv);
struct winograd_grid winograd_grid_of(const struct direct_conv *conv, int64_t block_c);

/* ---- dst from src ---- */

struct winograd;
/* gradient: for winograd_weights_run, else for winograd_run. */
enum status winograd_new(struct winograd **ret, const struct direct_conv *conv, bool gradient, struct error *error);
void winograd_free(struct winograd *winograd);
int64_t winograd_packed_floats(const struct winograd *winograd);
int64_t winograd_macs(const struct winograd *winograd); /* the products alone */
size_t winograd_scratch_bytes(const struct winograd *winograd);
/* direct: weights in the direct layout, [o/block_c][i/block_c][tap][block_c][block_c]. */
void winograd_prepare(const struct winograd *winograd, const float *direct, float *packed);
/* direct, packed: as for winograd_prepare. */
void winograd_run(const struct winograd *winograd, const float *src, const float *direct, const float *packed,
                  const float *b, const struct conv_fusion *fusion, float *dst, void *scratch);
int64_t winograd_stats(const struct winograd *winograd); /* as engine_conv_stats */

/* ---- the gradient of the weights, in the direct layout ---- */

size_t winograd_weights_scratch_bytes(const struct winograd *winograd);
void winograd_weights_run(const struct winograd *winograd, const float *src, const float *d_dst, float *d_direct,
                          void *scratch);

#endif
