/* conv_transpose_2x2x2.h - private: a scatter with kernel = stride = 2. */
#ifndef CALVARIA_NN_ENGINE_CONV_TRANSPOSE_2X2X2_H
#define CALVARIA_NN_ENGINE_CONV_TRANSPOSE_2X2X2_H

#include "nn/engine/direct_conv.h"

bool conv_transpose_2x2x2_supports(const struct direct_conv *grid);
/* packed: 8 phases in the layout of direct convolutions of 1x1x1; bias: room for dst's stored channels. */
void conv_transpose_2x2x2_run(const struct direct_conv *grid, const float *src, const float *packed, const float *b,
                              float *dst, float *bias);

#endif
