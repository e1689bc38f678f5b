/* checkpoint.h - a model file with the whole state of a run: going on from it gives the bits of the run that never
 * stopped.
 *
 * In addition to weights and pipeline (texts `network`, `restore`) it holds the texts `recipe`, `defects`,
 * `dataset_hash`, `seed`, `versions`, `metrics`, `licence`, and in /state the optimizer's slots and the numbers of
 * struct run_state. With train.ema the weights are the averaged ones and /state/value holds those that learn; an
 * adversary is in /state/adversary_*. Written atomically: after a kill or on a full disk the earlier file stands. */
#ifndef CALVARIA_TRAIN_CHECKPOINT_H
#define CALVARIA_TRAIN_CHECKPOINT_H

#include "train/train_step.h"

/* The state of a run, without weights, optimizer and loader. */
struct run_state {
    int64_t validated_step; /* the last validation that was completed; 0: none */
    int64_t best_step;      /* 0: none */
    double best;            /* value of train.best there; NaN: none */
    double best_loss;       /* of the validation patches there, which decides between equal values; NaN, 0: unknown */
    bool best_is_empty;     /* no validation skull got an implant there: the network restores nothing yet */
    int64_t threads;        /* that the bits depend on */
    uint64_t dataset_hash;
    int64_t waited; /* validations since the best */
};

/* metrics, defects: texts for the file, may be NULL. */
struct checkpoint_texts {
    const char *metrics, *defects;
};

enum status checkpoint_write(const char *path, const struct train_step *train_step, const struct run_state *state,
                             const struct checkpoint_texts *texts, struct error *error);
/* Into a training opened from the same recipe: weights, optimizer, step and position, and *ret_state. */
enum status checkpoint_read(struct train_step *train_step, struct run_state *ret_state, const char *path,
                            struct error *error);

#endif
