/* gradient.c - Norm, scaling and accumulation of the whole gradient; see gradient.h.
 * Test: tests/train/test_schemes.c */
#include "train/gradient.h"

#include <math.h>

enum { GRADIENT_CHUNK = 1 << 15 };

static int64_t gradient_chunks(const struct param *param)
{
    return param->trainable && !param->frozen ? (param->count + GRADIENT_CHUNK - 1) / GRADIENT_CHUNK : 0;
}

size_t gradient_n_partials(const struct params *params)
{
    size_t n = 0;
    for (int64_t i = 0; i < params->n; i++)
        n += (size_t)gradient_chunks(&params->items[i]);
    return n;
}

static double gradient_square(const float *d_w, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)d_w[i] * (double)d_w[i];
    return sum;
}

double gradient_norm(const struct params *params, double *partials)
{
    int64_t n = 0;

    for (int64_t i = 0; i < params->n; i++) {
        const struct param *param = &params->items[i];
        const float *d_w = params->grad + param->offset;
        int64_t chunks = gradient_chunks(param);
#pragma omp parallel for schedule(static)
        for (int64_t c = 0; c < chunks; c++) {
            int64_t at = c * GRADIENT_CHUNK, left = param->count - at;
            partials[n + c] = gradient_square(d_w + at, left < GRADIENT_CHUNK ? left : GRADIENT_CHUNK);
        }
        n += chunks;
    }

    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += partials[i];

    return sqrt(sum);
}

void gradient_scale(struct params *params, float factor)
{
    for (int64_t i = 0; i < params->n; i++) {
        const struct param *param = &params->items[i];
        float *d_w = params->grad + param->offset;
        int64_t n = param->trainable && !param->frozen ? param->count : 0;
#pragma omp parallel for schedule(static)
        for (int64_t j = 0; j < n; j++)
            d_w[j] *= factor;
    }
}

void gradient_gather(const struct params *params, float *sum, bool first)
{
    const float *d_w = params->grad;
#pragma omp parallel for simd schedule(static)
    for (int64_t j = 0; j < params->n_trainable; j++)
        sum[j] = first ? d_w[j] : sum[j] + d_w[j];
}

void gradient_take(struct params *params, const float *sum, float factor)
{
    float *d_w = params->grad;
#pragma omp parallel for simd schedule(static)
    for (int64_t j = 0; j < params->n_trainable; j++)
        d_w[j] = factor * sum[j];
}
