/* schedule.h - the learning rate over the steps of a run, as a factor of the optimizer's own. */
#ifndef CALVARIA_TRAIN_SCHEDULE_H
#define CALVARIA_TRAIN_SCHEDULE_H

#include "base/config.h"

enum schedule_type { SCHEDULE_CONSTANT, SCHEDULE_STEP, SCHEDULE_COSINE, SCHEDULE_POLYNOMIAL };

struct schedule_config {
    int type;
    int64_t warmup_steps; /* linear from 1/warmup_steps to 1 */
    int64_t every_steps;  /* step: a drop each so many steps */
    double gamma;         /* step: factor of a drop */
    double power;         /* polynomial: exponent */
    double floor;         /* cosine and polynomial: the last value */
};
extern const struct config_table schedule_table;

/* The factor at `step`, counted from 1, of a run of `steps`. With r = progress after the warm-up, in 0..1:
 *   constant 1,  step gamma^floor((step - 1 - warmup) / every),  cosine floor + (1 - floor) (1 + cos(pi r)) / 2
 *     (Loshchilov and Hutter, ICLR 2017),
 *   polynomial floor + (1 - floor) (1 - r)^power. */
double schedule_factor(const struct schedule_config *schedule, int64_t step, int64_t steps);

#endif
