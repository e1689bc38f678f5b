/* average.c - Exponential moving average of the weights; see average.h. Test: tests/train/test_schemes.c */
#include "train/average.h"

#include <math.h>

void average_update(float *average, const struct params *params, double decay, int64_t step)
{
    double d = fmin(decay, (1 + (double)step) / (10 + (double)step));
    float keep = (float)d, take = (float)(1 - d);
    const float *value = params->value;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < params->n_floats; i++)
        average[i] = keep * average[i] + take * value[i];
}

void average_swap(float *average, struct params *params)
{
    float *value = params->value;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < params->n_floats; i++) {
        float old = value[i];
        value[i] = average[i];
        average[i] = old;
    }
}
