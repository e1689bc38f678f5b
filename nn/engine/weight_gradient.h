/* weight_gradient.h - private: the gradient of a direct convolution's weights. */
#ifndef CALVARIA_NN_ENGINE_WEIGHT_GRADIENT_H
#define CALVARIA_NN_ENGINE_WEIGHT_GRADIENT_H

#include "nn/engine/direct_conv.h"

/* The gradient of the weights, in layout order. */
struct weight_gradient;
enum status weight_gradient_new(struct weight_gradient **ret, const struct direct_conv *conv, struct error *error);
void weight_gradient_free(struct weight_gradient *weights);
size_t weight_gradient_scratch_bytes(const struct weight_gradient *weights);
struct direct_layout weight_gradient_layout(const struct weight_gradient *weights);
const char *weight_gradient_name(const struct weight_gradient *weights);
int64_t weight_gradient_macs(const struct weight_gradient *weights);
void weight_gradient_run(struct weight_gradient *weights, const float *src, const float *d_dst, float *d_packed,
                         void *scratch);

#endif
