/* run.h - the run folder: resolved config, overrides, environment, split, log, metrics table, plots, checkpoints,
 * STATUS. It alone records code, data, split, configuration, seed and result, and is a model for inference.
 *
 *   recipe.yaml        every key, resolved; loads back to the same bytes
 *   overrides.txt      --set lines as given          environment.txt   commit, compiler, libraries, CPU, threads
 *   defects.yaml       the defects file, if any      network.txt       the layer table
 *   split.tsv          case<TAB>split                log.txt           what stderr said
 *   metrics.tsv        one row per step/validation   plots/loss, metrics: .gp .png .svg .pdf
 *   validation/        step_N.tsv: metrics of each case, step_N.png: a picture
 *   last.h5 best.h5    models with training state    STATUS            running | finished | stopped | failed, step,
 *     best
 *   failed.h5          after a step that was not finite: the state that led there */
#ifndef CALVARIA_TRAIN_RUN_H
#define CALVARIA_TRAIN_RUN_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "base/memory.h"

struct run {
    char *folder; /* in arena */
    FILE *log;    /* log.txt, line buffered; also the run's lock: one process at a time */
    struct arena arena;
};

struct run_status {
    const char *state; /* running, finished, stopped, failed */
    int64_t step, steps;
    const char *best;  /* the metric's name */
    double best_value; /* NaN: none yet */
    int64_t best_step;
    const char *note; /* may be NULL */
};

/* A fresh folder; folder NULL: runs/NAME-YYYYmmdd-HHMMSS. Refuses one that exists (STATUS_USAGE), so that no run writes
 * into another's. */
enum status run_create(struct run *ret, const char *folder, const char *name, struct error *error);
/* The same without the folders of plots and validations: for a run that consists of others (training.h). */
enum status run_create_around(struct run *ret, const char *folder, const char *name, struct error *error);
/* An existing one, for resume: the log is appended to. Refuses what is no run folder and one another process is
 * writing. */
enum status run_open(struct run *ret, const char *folder, struct error *error);
/* An existing one, only to read in, while another process goes on with it: no log, no lock. */
enum status run_look(struct run *ret, const char *folder, struct error *error);
/* FOLDER/name, atomically. */
enum status run_write(struct run *run, const char *name, const char *text, struct error *error);
enum status run_read_status(struct run_status *ret, const char *folder, struct arena *arena, struct error *error);
/* STATUS says that the run is over and well. */
enum status run_is_finished(bool *ret, const char *folder, struct error *error);
/* A folder without a recipe was killed while it was made: nothing to go on with. It is renamed, not removed. Nothing
 * happens to a folder that has one, or is not there. */
enum status run_set_aside(const char *folder, struct error *error);
/* *ret: another process holds the folder's lock, the run goes on at this moment. STATUS_FAILED: it could not be told.
 */
enum status run_busy(bool *ret, const char *folder, struct error *error);
enum status run_write_status(struct run *run, const struct run_status *status, struct error *error);
const char *run_path(struct run *run, const char *name); /* FOLDER/name, in the run's arena; NULL when memory is out */
void run_close(struct run *run);

#endif
