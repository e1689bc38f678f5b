/* train_step.h - one optimizer step: [loader -> forward -> loss -> backward] per batch -> clip -> update. Everything a
 * step needs is made once, by train_step_open; a step allocates nothing.
 *
 *     train_step_open(&train_step, &recipe, true, &error);
 *     train_step_start(&train_step, &error);
 *     while (train_step.step < recipe.train.steps)
 *         if (train_step_run(&train_step, &result, &error)) ...            // result.loss, result.grad_norm ...
 *     train_step_close(&train_step);
 *
 * The bits after step n are a pure function of recipe, dataset, seed, thread count and number of processes. */
#ifndef CALVARIA_TRAIN_TRAIN_STEP_H
#define CALVARIA_TRAIN_TRAIN_STEP_H

#include "shape/model.h"
#include "train/recipe.h"
#include "train/replicas.h"

enum { TRAIN_STEP_MAX_LOSSES = 16 };

struct train_step {
    const struct recipe *recipe;
    struct params params;
    struct network *network;
    struct restorer *coarse;       /* the coarse stage; NULL: none */
    struct shape_model warp_model; /* whose heads' shapes drawn skulls get; empty: none */
    struct optimizer optimizer;
    struct loader *loader;
    float *src, *target, *d_p;   /* batch x channels x patch, plain; target and d_p use one channel */
    float *distance;             /* likewise, of the target; NULL: no loss needs it */
    float *sum;                  /* of the batches' gradients, n_trainable; NULL: a step has one batch */
    float *average;              /* of the weights over the steps, n_floats; NULL: none */
    struct adversary *adversary; /* NULL: none */
    double *partials;            /* of the gradient's norm */
    float *statistics;           /* what does not learn (batch norm's), as before the step, should it fail */
    struct replicas *replicas;   /* the processes that train together; NULL: alone. Set it between open and start */
    struct pass_replicas pass_replicas;
    bool computing; /* in a step, before its update: weights are those of `step`, statistics lie in `statistics` */
    bool stop;      /* some process had a request to stop when the last step was made */
    int64_t step;   /* done so far */
    struct loader_position position; /* where the next batch begins */
};

struct train_step_result {
    double loss;                         /* the weighted sum, with the adversary's term; mean over the batches */
    double terms[TRAIN_STEP_MAX_LOSSES]; /* each term, unweighted; likewise */
    struct adversary_result adversary;
    double grad_norm; /* before clipping */
    double lr;
    double step_s, wait_s; /* the whole step; of it, waiting for the loader */
};

/* Independent random numbers for each purpose, all from the recipe's seed. */
enum train_step_stream { STREAM_WEIGHTS, STREAM_SAMPLES, STREAM_DROPOUT, STREAM_VALIDATION, STREAM_ADVERSARY };
uint64_t train_step_seed(const struct recipe *recipe, enum train_step_stream stream);

/* fresh: random weights, or those of recipe.train.init; else a checkpoint fills them in. Freezes recipe.train.freeze.
 * In place: the network points into *train_step, which must not be moved until train_step_close. */
enum status train_step_open(struct train_step *train_step, const struct recipe *recipe, bool fresh,
                            struct error *error);
/* The recipe's data, with what training knows of them: the distances its losses need, the coarse stage. */
void train_step_loader(struct loader_config *ret, const struct train_step *train_step);
/* Starts the loader at train_step.position; with several processes, at this one's share of the sequence. */
enum status train_step_start(struct train_step *train_step, struct error *error);
/* One step, in all processes together: loss and gradient are means over their parts of it. A loss or gradient that is
 * not finite is STATUS_FAILED with a message that names its source, and leaves weights, step and position as they were
 * before the step. */
enum status train_step_run(struct train_step *train_step, struct train_step_result *ret, struct error *error);
/* The weighted sum of the losses of prediction p on the batch in target and distance, at a step of the run. d_p and
 * terms may be NULL. */
double train_step_loss(const struct train_step *train_step, const float *p, int64_t step, float *d_p, double *terms);
void train_step_close(struct train_step *train_step);

#endif
