/* replicas.h - one training run in several processes: each has a part of every batch, gradients are averaged, weights
 * stay the same in all.
 *
 *     struct replicas replicas;
 *     if (replicas_start(&replicas, &error)) ...       // n == 1 unless an MPI launcher started this process
 *     ... trainer_run with .replicas = &replicas
 *     error_print, where there is one: a launcher kills the rest as soon as the first process ends with an error
 *     if (!replicas.together) replicas_abort(&replicas, status);
 *     replicas_stop(&replicas);                            // waits for the others
 *
 * Built with MPI (CALVARIA_MPI) or without: then n is 1. With n == 1 nothing here does anything. All calls but the last
 * two are collective: every process must make them alike. While one waits for the others and a signal asks it to stop,
 * `interrupted` is called, once: when another process has died the launcher is about to end this one too. */
#ifndef CALVARIA_TRAIN_REPLICAS_H
#define CALVARIA_TRAIN_REPLICAS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct replicas {
    int64_t rank, n;
    int64_t n_local; /* processes on this machine */
    bool together;   /* they came to the same end, so that they can leave in order */
    void (*interrupted)(void *context);
    void *context;
    bool reported; /* `interrupted` was called */
};

/* What this build can do: "Open MPI 4.1.4" or NULL. In a static buffer of the library. */
const char *replicas_library(void);

/* STATUS_USAGE when a launcher started several processes and this build cannot join them. */
enum status replicas_start(struct replicas *ret, struct error *error);
void replicas_stop(struct replicas *replicas);
/* Ends every process of the run at once. Does not return where n > 1. */
void replicas_abort(struct replicas *replicas, enum status status);

/* Each value becomes its mean over the processes: the same bits in all of them, and in a rerun with as many. */
void replicas_average(struct replicas *replicas, float *values, int64_t n);
void replicas_average_doubles(struct replicas *replicas, double *values, int64_t n);
bool replicas_any(struct replicas *replicas, bool mine);
/* The first process' bytes, in all of them. */
void replicas_share(struct replicas *replicas, void *data, int64_t n_bytes);
/* The value is one and the same in all of them. */
bool replicas_same(struct replicas *replicas, uint64_t value);
/* The worst status; the first process that has it keeps its message, the others' are cleared, so that it is printed
 * once. */
enum status replicas_agree(struct replicas *replicas, enum status mine, struct error *error);

#endif
