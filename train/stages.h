/* stages.h - a recipe that lists stages, each of which may build on an earlier one.
 *
 *     name: lab
 *     data: { set: lab.h5 }                 # keys beside `stages` hold for every stage
 *     stages:
 *       - { name: shape, type: shape, tune: false }               # a shape model; keys as of `calvaria shape`
 *       - name: fine                                              # a network; the rest is a recipe
 *         extends: restoration_fine.yaml
 *         coarse: shape                                           # the stage above, not a file
 *         train: { steps: 6000 }
 *
 * A stage's own keys win over those beside `stages`, and these over the files that the stage extends.
 * `coarse` and `train.init` name an earlier stage, else a file. training.h runs them. */
#ifndef CALVARIA_TRAIN_STAGES_H
#define CALVARIA_TRAIN_STAGES_H

#include "shape/fit.h"
#include "train/recipe.h"

enum stage_kind { STAGE_NETWORK, STAGE_SHAPE };

/* A stage that fits a shape model. */
struct stage_shape {
    struct fit_config fit; /* its sets are `set` below */
    const char *name, *type;
    struct stage_data {
        const char *set, *defects;
        struct fold fold;
    } data;
};
extern const struct config_table stage_shape_table;

struct stage {
    const char *name;
    int kind;             /* enum stage_kind */
    int64_t coarse, init; /* earlier stages whose results it takes; -1: none */
    struct recipe recipe; /* of a network; coarse and train.init are NULL where a stage stands for them */
    struct stage_shape shape;
    const struct yaml_node *node;
};

struct stages {
    const char *name; /* names the run folder */
    int64_t n;        /* 0: the recipe lists none */
    struct stage *items;
};

/* n_sets: "key=value" over every stage (a shape model's takes those of data.set, data.defects,
 * data.folds, seed and licence), or
 * "stages.NAME.key=value" over one. Names, keys, and whether a stage can be the coarse stage of another are checked:
 * STATUS_USAGE, with file, line and column. */
enum status stages_read(struct stages *ret, const char *path, int n_sets, char *const *sets, struct arena *arena,
                        struct error *error);
/* The datasets and defects that stages read are there: a mistake shows before the first stage, not after it. */
enum status stages_check_files(const struct stages *stages, struct error *error);
/* What a recipe wants, by a first look at its tree with the sets over it. All 0 where it cannot be read: its reader
 * says why. */
struct stages_look {
    bool stages;       /* it lists some */
    struct fold folds; /* of its data, or of its first stage's */
    bool no_memory;    /* it was not looked at */
};
struct stages_look stages_look(const char *path, int n_sets, char *const *sets);
/* Every key of every stage, written out; reading it back gives the same text. Free with memory_free; NULL when memory
 * is out. */
char *stages_text(const struct stages *stages);

#endif
