/* budget.h - the memory a run will take, from arithmetic alone, before anything large is allocated. */
#ifndef CALVARIA_TRAIN_BUDGET_H
#define CALVARIA_TRAIN_BUDGET_H

#include "train/recipe.h"

struct budget {
    int64_t params_bytes;      /* values, gradients, the optimizer's slots */
    int64_t activations_bytes; /* of a step, with scratch */
    int64_t batch_bytes;       /* the batch, its gradient, the loader's queue and the skulls it holds */
    int64_t validation_bytes;  /* the restoring network, a whole skull and its masks, the fixed patches */
    int64_t total_bytes;
};

/* For skulls of at most `largest` voxels per axis. */
enum status budget_estimate(struct budget *ret, const struct recipe *recipe, const int64_t largest[3],
                            struct error *error);

/* Logs the estimate. STATUS_USAGE when it is more than `available_bytes` (-1: unknown, never refused); the message
 * names a batch or patch that would fit. */
enum status budget_check(const struct recipe *recipe, const int64_t largest[3], int64_t available_bytes,
                         struct error *error);

#endif
