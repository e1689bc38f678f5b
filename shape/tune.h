/* tune.h - hyper-parameters of the covariance and the calibration of its uncertainty, from trials: heads predicted
 * without themselves. */
#ifndef CALVARIA_SHAPE_TUNE_H
#define CALVARIA_SHAPE_TUNE_H

#include "base/log.h"
#include "shape/model.h"
#include "shape/head_trial.h"

/* Means over trials. */
struct tune_score {
    double overlap, error_mm[2], log_density;
    int64_t n_trials;
};
enum status tune_evaluate(struct tune_score *ret, const struct head_trial *trials, int64_t n,
                          const struct covariance_params *params, bool with_sd, struct error *error);

struct tune_trials {
    const struct head_trial *item;
    int64_t n;
    const struct disc *disc; /* of the maps */
};

/* The noise is not searched: the rims of trials are sharper than those of holes.
 * Coordinate search in place, from the parameters given: each is stepped up and down while the mean overlap grows.
 * progress, if not NULL, counts TUNE_STEPS. */
enum { TUNE_PARAMS = 8, TUNE_ROUNDS = 1, TUNE_STEPS = TUNE_PARAMS * TUNE_ROUNDS };
enum status tune_search(struct covariance_params *params, struct tune_score *ret_score, const struct head_trial *trials,
                        int64_t n, struct progress *progress, struct error *error);

/* Where the prediction is less sure, or surer, than it claims: heads->scale is set (memory_free), the mean of |error| /
 * sd of the trials there, smoothed over the disc and both sides of the head, over what a Gaussian has. Then the factors
 * of this scaled sd within which half and 90 % of the true radii lie. */
enum status tune_calibrate(struct shape_calibration *ret, struct heads *heads, struct tune_score *ret_score,
                           const struct tune_trials *trials, const struct covariance_params *params,
                           struct error *error);

#endif
