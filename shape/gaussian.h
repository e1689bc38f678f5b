/* gaussian.h - what the field is at some rays, given what it is at others: the conditional mean and standard deviation
 * of a Gaussian.
 *
 *     r_h = mu_h + C_ho (C_oo + n^2 I)^-1 (r_o - mu_o)
 *     var_h = diag(C_hh - C_ho (C_oo + n^2 I)^-1 C_oh)
 *
 * Cholesky and triangular solves are LAPACK's and BLAS's, tile by tile on one thread each, so that any number of
 * threads gives the same bits. */
#ifndef CALVARIA_SHAPE_GAUSSIAN_H
#define CALVARIA_SHAPE_GAUSSIAN_H

#include "shape/covariance.h"

/* Around a hole some rays cross its wall; most are sound. Where a sound ray and one that crosses meet, the residual
 * (measured minus predicted without the rim) jumps by about a pixel; on a true surface it varies slowly. So the rays
 * believed grow inwards: an unseen ray that the map has joins where its residual is within within_mm, and within
 * jump_mm of the mean residual of those of its 5 x 5 pixels that are believed (seen rays: 0), at least `neighbours` of
 * them. The prediction is then conditioned on those that joined too. */
struct gaussian_rim {
    double within_mm[2], jump_mm[2]; /* inner, outer */
    int64_t neighbours, rounds;
    int64_t passes; /* the rim grows so often, each time from the prediction of the time before */
};
extern const struct gaussian_rim gaussian_rim_default; /* 1.5, 1.2; .5, .35; 3; 8; 2 */

struct gaussian_given {
    const struct radial_map *map; /* finite on both surfaces at the rays seen */
    const int32_t *seen, *unseen; /* rays, ascending */
    int64_t n_seen, n_unseen;
    bool with_sd;
    const struct gaussian_rim *rim; /* NULL: unseen rays stay unseen */
    int64_t n_rows;                 /* principal rows of the posterior covariance wanted, at most 2 n_unseen; 0: none */
};

/* The posterior at the unseen rays. */
struct gaussian {
    int64_t n;
    int64_t n_believed; /* rays of the rim */
    float *mean;        /* n x 2: inner, outer, mm */
    float *sd;          /* n x 2, mm; NULL where not wanted */
    float *rows; /* n_rows x n x 2, mm: the sum of their outer products is nearest to the posterior covariance; NULL
                    where not wanted */
    int64_t n_rows;
    double evidence; /* log density of what is seen, per value; NaN where nothing is seen */
};

/* Without rays seen: the population's mean and spread. STATUS_FAILED: memory, a value seen that is not finite, C_oo not
 * positive definite. */
enum status gaussian_condition(struct gaussian *ret, const struct gaussian_given *given,
                               const struct population *population, const struct covariance_params *params,
                               struct error *error);
void gaussian_done(struct gaussian *gaussian);

/* rows (k x m): sqrt(eigenvalue) * eigenvector of the k largest of a symmetric m x m matrix (its lower triangle is
 * read), by subspace iteration. */
enum status gaussian_principal(float *rows, int64_t k, const float *matrix, int64_t m, struct error *error);

/* Symmetric n x n, row by row, lower triangle: in place its Cholesky factor L. False: not positive definite. n >= 0. */
bool gaussian_cholesky(float *matrix, int64_t n);
/* In place X = L^-1 B, B n x m row by row. */
void gaussian_forward(float *b, int64_t m, const float *factor, int64_t n);

#endif
