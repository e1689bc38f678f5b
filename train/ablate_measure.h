/* ablate_measure.h - for ablations and cross-validation (folds.h): one trained model on the held-out skulls. */
#ifndef CALVARIA_TRAIN_ABLATE_MEASURE_H
#define CALVARIA_TRAIN_ABLATE_MEASURE_H

#include "train/ablate.h"
#include "train/holdout.h"

struct ablate_measured {
    bool done;
    int64_t n_cases, n_empty;
    double mean[ABLATE_MAX_METRICS]; /* over the skulls where the metric exists; NaN: none */
    int64_t max_cases;
    double *values; /* max_cases x metrics, of each skull; NaN where the metric does not exist */
};

/* Opens the skulls that every run is measured on. data: the recipe's. */
enum status ablate_open_holdout(struct holdout *ret, const struct ablate_measure *measure,
                                const struct loader_config *data, struct error *error);

/* ret->max_cases and ret->values are the caller's. Restores every skull by the model (with restore_sets over its
 * pipeline) and writes the table at `path`, whose first line identifies its inputs. A table of the same inputs is read,
 * not made. */
enum status ablate_measure_model(struct ablate_measured *ret, const struct ablate_measure *measure,
                                 struct holdout *holdout, const char *model, const struct config_strings *restore_sets,
                                 const char *path, struct error *error);

#endif
