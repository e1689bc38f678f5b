/* fit.h - a shape model from packed sets of skulls, healthy ones or defective ones. */
#ifndef CALVARIA_SHAPE_FIT_H
#define CALVARIA_SHAPE_FIT_H

#include "data/dataset/fold.h"
#include "shape/model.h"
#include "shape/tune.h"

enum { FIT_HEADS_MIN = 4 };

struct fit_config {
    struct config_strings sets; /* paths of set.h5 */
    struct fold fold;           /* of the sets */
    int split;                  /* enum dataset_split; SPLIT_N: all */
    int64_t few;                /* use this many heads alone, drawn with the seed; 0: all */
    int64_t seed;
    int64_t trials;               /* heads predicted without themselves; 0: up to 64, 24 at least (heads serve again) */
    bool tune;                    /* search hyper-parameters; else the reference's are kept */
    const char *licence;          /* a note, or NULL */
    struct config_strings centre; /* names of heads whose mean is the model's, two at least: the others add to the
                                     covariance alone (phantoms beside real heads). None: the mean of all */
    struct config_strings set;    /* hyper-parameters to start from, or to keep: KEY=VALUE over the standard ones */
    const char *from;             /* a model of skulls of these sets, or NULL: heads, template and poses are its; only
                                     hyper-parameters, intervals and the note are found anew */
};

extern const struct config_table fit_table; /* the keys of a fit: options of `calvaria shape`, keys of a stage */

struct fit_report {
    int64_t n_heads, n_defective, n_groups, n_good;
    double loss;                       /* mean Tukey loss of the poses */
    struct tune_score standard, tuned; /* on the tuning trials, with the reference's parameters and with those found */
    struct tune_score checked;         /* on other holes, with those found */
};

/* Shows bars. The same bits for any number of threads. STATUS_FAILED: fewer than FIT_HEADS_MIN heads of the split; a
 * skull that cannot be read. A skull on which no vault is found is left out with a warning. */
enum status shape_fit(struct shape_model *ret, struct fit_report *ret_report, const struct fit_config *config,
                      struct error *error);

#endif
