/* norm.h - private: what batch, instance and group normalisation share.
 *
 *   dst[n,c] = gamma[c] * (src[n,c] - mean[s]) * inv[s] + beta[c],   inv = 1 / sqrt(var + eps),   s = norm_stat(n, c)
 * Behind it a leaky ReLU, where the network gave one to the layer (struct layer's activation): backward finds its side
 * from src again. Only which (n, c) share a statistic s tells the three apart. Sums run in double over chunks fixed by
 * the shape, or are those that the layer before left (src_stats). */
#ifndef CALVARIA_NN_LAYERS_NORM_H
#define CALVARIA_NN_LAYERS_NORM_H

#include "nn/layer.h"

struct norm {
    struct shape shape;
    int64_t groups;  /* groups of channels that share a statistic */
    bool over_batch; /* and so do the samples */
    float slope;     /* of a leaky ReLU on dst, done in the same pass; 1: none */
};

/* slope of the activation that the layer does too. */
float norm_slope(const struct layer *layer);
/* Where channels lie in blocks. */
bool norm_can_fuse_activation(const struct layer *layer);

/* Which statistic (n, c) uses, how many there are, and over how many values each is taken. */
int64_t norm_stat(const struct norm *norm, int64_t n, int64_t c);
int64_t norm_stats(const struct norm *norm);
int64_t norm_stat_values(const struct norm *norm);

/* Of every call below. */
size_t norm_scratch_bytes(const struct norm *norm);

/* mean and biased var of the layer's src: norm_stats doubles each. */
void norm_measure(const struct norm *norm, const struct layer *layer, double *mean, double *var);
/* dst, or what is to be made of it by its reader. gamma, beta may be NULL: 1 and 0. */
void norm_apply(const struct norm *norm, const struct layer *layer, const double *mean, const double *inv,
                const float *gamma, const float *beta);

struct norm_gradient {
    struct tensor src, d_dst;
    const float *gamma, *beta;
    const double *mean, *inv;
    bool constant;                        /* mean and inv do not depend on src (moving statistics) */
    const struct pass_replicas *replicas; /* they are of the whole batch, this is a part of it; NULL: it is all */
    struct tensor d_src;                  /* data NULL: not wanted */
    float *d_gamma, *d_beta;              /* each may be NULL */
};
void norm_backward(const struct norm *norm, const struct norm_gradient *gradient, void *scratch);

#endif
