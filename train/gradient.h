/* gradient.h - the gradient of everything that learns, as one vector. */
#ifndef CALVARIA_TRAIN_GRADIENT_H
#define CALVARIA_TRAIN_GRADIENT_H

#include <stdbool.h>

#include "nn/params.h"

size_t gradient_n_partials(const struct params *params);
/* Euclidean norm over the trainable, unfrozen entries, summed in double over fixed chunks: the same bits on any thread
 * count. partials: gradient_n_partials doubles. NaN or infinite when an element is. */
double gradient_norm(const struct params *params, double *partials);
/* Over the batches of one step: sum (n_trainable floats) = or += the gradient; then the gradient = sum * factor. */
void gradient_gather(const struct params *params, float *sum, bool first);
void gradient_take(struct params *params, const float *sum, float factor);
void gradient_scale(struct params *params, float factor);

#endif
