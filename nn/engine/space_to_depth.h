/* space_to_depth.h - private: a gather with stride 2 as a convolution with stride 1 of eight times the channels. */
#ifndef CALVARIA_NN_ENGINE_SPACE_TO_DEPTH_H
#define CALVARIA_NN_ENGINE_SPACE_TO_DEPTH_H

#include "nn/engine/direct_conv.h"

enum { PARITIES = 8 };
bool space_to_depth_supports(const struct direct_conv *grid);
struct direct_conv space_to_depth_conv(
    const struct direct_conv *grid); /* its src: channel f of parity q is q * C + f */
/* Tap j of that for the channels of one parity: a tap of the grid, or -1. reversed: of its adjoint. */
void space_to_depth_taps(const struct direct_conv *grid, int64_t parity, bool reversed, int32_t *tap);
int64_t space_to_depth_floats(const struct direct_conv *grid);
void space_to_depth_split(const struct direct_conv *grid, const float *src, float *dst);

#endif
