/* plan.h - a recipe that suits a set of skulls, this machine and the hours there are.
 *
 * The set's fingerprint (heads, spacings, defects) and a few measured steps choose the network's spacing, patch, width,
 * batch and steps. The recipe gives each choice its reason as a comment, and says how long the training will take. */
#ifndef CALVARIA_TRAIN_PLAN_H
#define CALVARIA_TRAIN_PLAN_H

#include "data/dataset/dataset.h"
#include "train/recipe.h"

struct plan_request {
    const char *set;
    const char *recipe; /* of the standard network; NULL: the one that comes with the program */
    double hours;
    int64_t memory_bytes; /* at most; -1: what the machine has available */
    int64_t threads;      /* 0: all */
};

/* What a plan depends on, of a set. */
struct plan_set {
    int64_t n[SPLIT_N];  /* healthy heads of each split */
    int64_t n_defective; /* with a hole that nobody has filled */
    int64_t n_implants;  /* stored defects */
    int64_t largest[3];  /* voxels per axis */
    double spacing_mm;   /* median of the heads' coarsest axes */
    double implant_mm;   /* median of the longest sides of the stored defects' boxes; 0: none */
};

/* What a plan depends on, of this machine. */
struct plan_speed {
    double shape_head_s; /* of the shape model, for each head */
    double step_s;       /* of one training step of the standard network, with the wait for its batch */
    double small_step_s; /* of the smallest one; between and beyond the two, time is linear in the products */
    double validation_s; /* for each skull that is restored */
};

struct plan {
    struct plan_set set;
    bool has_network; /* false: the shape model alone */
    double spacing_mm, width;
    int64_t patch_vox, steps, validations, validation_cases;
    double step_s, shape_s, total_s; /* estimates */
    int64_t memory_bytes;            /* of the training, likewise */
};

/* With fewer training heads the shape model alone is planned (experiments/shape/few_heads.md). */
enum { PLAN_NETWORK_HEADS_MIN = 12 };

enum status plan_look(struct plan_set *ret, const char *path, struct error *error);

/* The recipe of the network stage with the plan's choices in it: `path` is the standard one, in width 1. */
enum status plan_recipe(struct recipe *ret, const struct plan *plan, const struct plan_request *request,
                        const char *path, struct arena *arena, struct error *error);

/* Fits a shape model of a few heads and trains a few steps of the plan's network and of `smallest` on it, in a folder
 * that it removes. `smallest` NULL: of the plan's alone. */
enum status plan_measure(struct plan_speed *ret, const struct plan *plan, const struct plan *smallest,
                         const struct plan_request *request, const char *path, struct error *error);

/* Pure arithmetic: what is chosen where the standard network has this speed. STATUS_USAGE: not even the smallest choice
 * fits the memory, or too few heads. */
enum status plan_choose(struct plan *ret, const struct plan_request *request, const struct plan_set *set,
                        const struct plan_speed *speed, const char *path, struct error *error);

/* The recipe as text. Free with memory_free; NULL: see error. */
char *plan_text(const struct plan *plan, const struct plan_request *request, const char *path, struct error *error);

/* All of it: looks, measures, chooses, writes `out`. */
enum status plan_write(struct plan *ret, const struct plan_request *request, const char *out, struct error *error);

#endif
