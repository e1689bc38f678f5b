/* average.h - an exponential moving average of all that a network learned, batch norm's statistics included.
 *     average = d average + (1 - d) value,   d = min(decay, (1 + step) / (10 + step)), so that the random start is
 *       soon forgotten */
#ifndef CALVARIA_TRAIN_AVERAGE_H
#define CALVARIA_TRAIN_AVERAGE_H

#include "nn/params.h"

/* After step `step`, counted from 1. average: n_floats. */
void average_update(float *average, const struct params *params, double decay, int64_t step);
/* Exchanges the average with the values: once to use the average, once more to restore the values. */
void average_swap(float *average, struct params *params);

#endif
