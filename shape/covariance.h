/* covariance.h - the covariance of the field between two sets of rays: empirical where heads are enough to know it,
 * kernels where they are not.
 *
 *   C = a E [g0 + (1 - g0)(G(D/L) + rho G(D'/L))]
 *     + b_f delta^2 sigma_i sigma_j [m32(D/l) + kappa_f m32(D'/l)]
 *     + b_c delta2^2                [m52(D/l2) + kappa_c m52(D'/l2)]
 *     + w sum_k P_k P_k^T
 *
 * E: empirical covariance; D: chord between two rays on a head of 85 mm, D': to the mirrored ray; G: Gaspari and Cohn
 * (1999), eq. 4.10; m32, m52: Matern of order 3/2, 5/2; sigma: standard deviation of a radius; P_k: pose modes; b: 1
 * within a surface, the coupling between the two. */
#ifndef CALVARIA_SHAPE_COVARIANCE_H
#define CALVARIA_SHAPE_COVARIANCE_H

#include "base/config.h"
#include "shape/population.h"

struct covariance_params {
    double empirical;                                         /* a */
    double taper_mm, taper_mirror, taper_floor;               /* L, rho, g0 */
    double fine, fine_mm, fine_mirror, fine_coupling;         /* delta (of sigma), l, kappa_f, b_f */
    double coarse, coarse_mm, coarse_mirror, coarse_coupling; /* delta2 (mm), l2, kappa_c, b_c */
    double noise_inner_mm, noise_outer_mm, roughness;         /* n: of a measured radius, see covariance_noise */
    double pose;                                              /* w */
};
extern const struct config_table covariance_table; /* their names, defaults and limits */

/* KEY=VALUE each, over what params hold. Mistakes are collected, STATUS_USAGE. */
enum status covariance_set(struct covariance_params *params, const struct config_strings *set, struct arena *arena,
                           struct error *error);

double covariance_gaspari_cohn(double r); /* 1 at 0, 0 from 2 on */
double covariance_matern32(double r);
double covariance_matern52(double r);

/* out: (2 n_a) x (2 n_b), row by row, `stride` floats from row to row, mm^2, without noise. a and b: rays. lower: of a
 * square (b is a) only the lower triangle is needed; what is above it is undefined. */
struct covariance_block {
    const int32_t *a, *b;
    int64_t n_a, n_b, stride;
    bool lower;
};
enum status covariance_fill(float *out, const struct covariance_block *block, const struct population *population,
                            const struct covariance_params *params, struct error *error);
/* Variance of a measured radius: n^2 + min(k rough(d), 4 mm)^2. rough: what a smooth surface cannot follow, learnt from
 * the heads (grooves of the inner table, brows); k: roughness. */
double covariance_noise(const struct population *population, const struct covariance_params *params, int32_t ray,
                        int surface);
/* The diagonal alone: 2 n_a values. */
void covariance_diagonal(float *out, const int32_t *a, int64_t n_a, const struct population *population,
                         const struct covariance_params *params);

#endif
