/* validate.h - how good the network is on the validation split: the loss of fixed patches, and whole skulls restored by
 * the very code that is deployed (infer/restore.h), measured as `calvaria evaluate` measures. */
#ifndef CALVARIA_TRAIN_VALIDATE_H
#define CALVARIA_TRAIN_VALIDATE_H

#include "data/metrics.h"
#include "train/run.h"
#include "train/train_step.h"

enum { VALIDATION_MAX_COLUMNS = 24 };

struct validation {
    double loss;                         /* mean over the patches; NaN: none */
    int n_columns;                       /* of metrics_columns */
    double mean[VALIDATION_MAX_COLUMNS]; /* each over its finite values; NaN: none */
    int64_t n_cases;                     /* restored */
    int64_t n_failed, n_empty;           /* metrics_is_failure; of them, implant or truth is empty, not both */
    double total_s;
    bool stopped; /* on request, before it was complete: the numbers are incomplete */
};

struct validator;

/* Reads the patches, chooses the skulls: always the same ones for a dataset and seed. Skulls take fixed defects from
 * recipe.data.defects, or their stored implant; STATUS_USAGE when the split has no case, or none with a defect. */
enum status validator_open(struct validator **ret, struct train_step *train_step, struct error *error);
/* At train_step->step: writes validation/step_N.tsv and .png into the run folder. */
enum status validator_run(struct validation *ret, struct validator *validator, struct run *run, struct error *error);
/* validation/step_N.ENDING in the run's arena; NULL when memory is out. */
const char *validation_path(struct run *run, int64_t step, const char *ending);
void validator_close(struct validator *validator);

/* The value of a metric by name ("loss", "dsc"); NaN when it was not measured. */
double validation_value(const struct validation *validation, const char *name);

#endif
