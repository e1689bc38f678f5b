/* recipe.h - the whole configuration of a training run, from one YAML file (and what it extends). One table of rows;
 * see docs/reference.md. */
#ifndef CALVARIA_TRAIN_RECIPE_H
#define CALVARIA_TRAIN_RECIPE_H

#include "base/config.h"
#include "data/sample/loader.h"
#include "infer/restore.h"
#include "nn/loss.h"
#include "nn/network/network.h"
#include "nn/optimizer.h"
#include "train/adversary.h"
#include "train/schedule.h"

enum norm_statistics { NORM_LOCAL, NORM_SYNCHRONISED };

struct train_config {
    int64_t steps, batch, checkpoint_every, plot_every;
    bool tensorboard;
    int64_t validate_every, validate_patches, validate_cases;
    const char *best;   /* the validation metric that chooses best.h5: loss, dsc, bdsc ... */
    bool pictures;      /* a picture of the first skull at each validation */
    double clip_norm;   /* 0: no clipping */
    int64_t accumulate; /* batches of a step, one after the other */
    double ema;         /* decay of the averaged weights; 0: none */
    int64_t patience;   /* validations without a better one before the run ends; 0: all its steps */
    const char *init;   /* a model or run folder to start from; NULL: random weights */
    struct config_strings
        init_skip; /* parameters or layers that stay random although `init` has them; a trailing * matches the rest */
    struct config_strings freeze; /* layers that do not learn, likewise */
    int64_t threads;              /* 0: all the machine's */
    int norm_statistics;          /* enum norm_statistics: of batch norm, where several processes train */
};

struct recipe {
    const char *name, *licence;
    int64_t seed;
    int task;           /* enum task */
    const char *coarse; /* the coarse stage: a model or a run folder; NULL: one stage */
    struct network_config network;
    struct loader_config data;
    struct config_list loss;
    struct config_item optimizer;
    struct config_item adversary; /* see recipe_adversary */
    struct schedule_config schedule;
    struct train_config train;
    struct restore_config restore;
    const struct yaml_node *node; /* the tree it was read from, for later messages */
};
extern const struct config_table recipe_table;

/* Reads, applies n_sets `key=value` overrides, binds, fills what follows from other keys (the scan's patch, absolute
 * paths) and checks the rules that span keys. */
enum status recipe_read(struct recipe *ret, const char *path, int n_sets, char *const *sets, struct arena *arena,
                        struct error *error);

/* The same of a tree that is read already, and lives as long as the recipe. */
enum status recipe_bind(struct recipe *ret, const struct yaml_node *root, struct arena *arena, struct error *error);

/* The rules that span keys, all of them pure arithmetic: patch and network, task and pipeline, metric and validation.
 * Every message names file, line, column, key and what would work. */
enum status recipe_check(const struct recipe *recipe, struct error *error);

/* An override written in a file: where its key is a path, a relative value starts at the file's folder, as the paths of
 * the file itself do. Others are left as they are. */
enum status recipe_override_from(const char **assignment, const char *file, struct arena *arena, struct error *error);

/* The node of a dotted key ("data.patch_vox"), or of the nearest map around it that was written; NULL: none. */
const struct yaml_node *recipe_key(const struct recipe *recipe, const char *dotted);

/* Makes a path mean the same from any folder; the file need not exist. NULL stays NULL. */
enum status recipe_absolute(const char **path, struct arena *arena, struct error *error);

/* The network's source for `batch` training patches. */
struct shape recipe_shape(const struct recipe *recipe, int64_t batch);

/* The network takes patches of this size and gives their size back; the error gives the reason. */
bool recipe_patch_fits(const struct recipe *recipe, const int64_t patch[3], struct error *error);

/* NULL: there is none. */
const struct adversary_config *recipe_adversary(const struct recipe *recipe);

/* name is matched by one of the patterns: equal, or equal up to a pattern's trailing *. */
bool recipe_matches(const struct config_strings *patterns, const char *name);

/* +1: larger is better, -1: smaller is, 0: no metric of validation is called `name`. */
int recipe_metric_sign(const char *name);

#endif
