/* run.h - the run folder: resolved config, overrides, environment, split, log, metrics table, plots, checkpoints, STATUS. It alone tells which
 * code, data, split, config, seed and result, and can infer.
 *
 *   recipe.yaml        every key, resolved; loads back to the same bytes
 *   overrides.txt      --set lines as given          environment.txt   commit, compiler, libraries, CPU, threads
 *   split.tsv          case<TAB>split                log.txt           what stderr said
 *   metrics.tsv        one row per step/validation   plots/loss.gp loss.png metrics.gp metrics.png
 *   last.h5 best.h5    models with training state    STATUS            running | finished | stopped | failed, step, best */
#ifndef CALVARIA_TRAIN_RUN_H
#define CALVARIA_TRAIN_RUN_H

#include <stdio.h>

#include "base/error.h"
#include "base/memory.h"

struct run {
    char *folder;
    FILE *log, *metrics;
    struct arena arena;
};

enum status run_create(struct run *ret, const char *folder, const char *name, struct error *error); /* refuses an existing folder */
enum status run_open(struct run *ret, const char *folder, struct error *error);                    /* for resume: appends */
enum status run_write(struct run *run, const char *name, const char *text, struct error *error);   /* atomic */
enum status run_status(struct run *run, const char *state, int64_t step, const char *note, struct error *error);
const char *run_path(struct run *run, const char *name); /* FOLDER/name, in the run's arena */
void run_close(struct run *run);

#endif
