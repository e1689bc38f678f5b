/* head_trial.h - a head of the model as if it were new: a hole is cut into its maps, its pose is found anew without the
 * hole, and it is predicted from the other heads. Hyper-parameters and the calibration of the uncertainty are chosen by
 * such trials. */
#ifndef CALVARIA_SHAPE_HEAD_TRIAL_H
#define CALVARIA_SHAPE_HEAD_TRIAL_H

#include "shape/gaussian.h"
#include "shape/hole.h"

/* A population restricted to the rays of the trial, numbered anew: what a prediction needs and no more. */
struct head_trial {
    struct disc disc;             /* ray and pixel alone */
    struct population population; /* without the head's group */
    struct radial_map map;
    int32_t *seen, *unseen, *ray; /* ray: of each unseen one, its number on the whole disc */
    int64_t n_seen, n_unseen;
    float *truth; /* n_unseen x 2; NaN where the head has none */
};

/* A hole on the disc, for `number` of `seed`: one to three overlapping ellipses of 25 to 60 mm on the vault, good rays
 * alone. Marks rays. */
enum status head_trial_hole(uint8_t *hole, const struct disc *disc, const uint8_t *good, uint64_t seed, int64_t number,
                            struct error *error);

/* map: both surfaces under the pose found without the hole, whole; `without`: the head's group. hole: rays cut out. */
struct head_trial_head {
    const struct radial_map *map;
    const uint8_t *hole, *good;
    int32_t without;
};
enum status head_trial_new(struct head_trial *ret, const struct head_trial_head *head, const struct disc *disc,
                           const struct heads *heads, const struct hole_config *rules, struct error *error);
void head_trial_done(struct head_trial *trial);

struct head_trial_score {
    double overlap;     /* Dice of the predicted and the true shell over the hole, by rays */
    double error_mm[2]; /* mean absolute error of the inner and outer radius */
    double log_density; /* mean log density of the true radii under the predicted mean and sd; NaN without sd */
    int64_t n;          /* radii compared */
};
/* z (NULL: not wanted): 2 n_unseen values, error over sd, NaN where there is no truth. */
enum status head_trial_run(struct head_trial_score *ret, float *z, const struct head_trial *trial,
                           const struct covariance_params *params, bool with_sd, struct error *error);

#endif
