/* holdout.h - the validation skulls of a dataset, each with one known defect, always the same ones: what a restoration
 * is measured on, in training and in ablations alike. */
#ifndef CALVARIA_TRAIN_HOLDOUT_H
#define CALVARIA_TRAIN_HOLDOUT_H

#include "data/dataset/fold.h"
#include "data/defects/defect.h"
#include "data/metrics.h"
#include "infer/restore.h"

struct holdout {
    struct dataset *set;
    struct defects_config defects;
    bool generated; /* defects from `defects`, else the stored implants */
    uint64_t seed;
    int64_t n_cases, *cases; /* indices into the dataset */
    struct arena arena;
};

struct holdout_config {
    struct fold fold;             /* of the set */
    const char *set, *defects;    /* defects NULL: the first stored implant of each skull */
    int64_t n_cases;              /* at most; spread evenly over the split */
    uint64_t seed;                /* of generated defects */
    const struct yaml_node *node; /* where data.set was written, for messages; may be NULL */
};

/* STATUS_USAGE when the split 'val' has no case, or none with a defect. */
enum status holdout_open(struct holdout *ret, const struct holdout_config *config, struct error *error);
void holdout_close(struct holdout *holdout);

/* One skull on its way through. */
struct trial {
    struct volume skull, implant; /* the defective skull; what is missing */
    struct restoration restoration;
    struct metrics metrics;
    const char *name; /* the holdout's */
};

/* Case c of the holdout: skull and implant. */
enum status trial_read(struct trial *ret, struct holdout *holdout, int64_t c, struct error *error);
/* Restores (an earlier restoration is freed) and measures. */
enum status trial_restore(struct trial *trial, struct restorer *restorer, struct error *error);
/* As if the restorer had given nothing: it failed on this skull. */
enum status trial_fail(struct trial *trial, struct error *error);
void trial_done(struct trial *trial);

/* Tables of trials: "case<TAB>dsc<TAB>...", "nan" where a metric does not exist. */
void trial_print_header(FILE *table);
void trial_print_row(FILE *table, const struct trial *trial);

#endif
