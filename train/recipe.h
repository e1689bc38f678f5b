/* recipe.h - everything a training run is told, from one YAML file (and what it extends). One table of rows; see docs/reference.md. */
#ifndef CALVARIA_TRAIN_RECIPE_H
#define CALVARIA_TRAIN_RECIPE_H

#include "base/config.h"
#include "data/loader.h"
#include "infer/restore.h"
#include "nn/loss.h"
#include "nn/network.h"
#include "nn/optimizer.h"

enum schedule_type { SCHEDULE_CONSTANT, SCHEDULE_STEP, SCHEDULE_COSINE, SCHEDULE_POLYNOMIAL };

struct schedule_config {
    int type;
    int64_t warmup_steps, every_steps; /* every_steps: step */
    double gamma, power;               /* step, polynomial */
};

struct train_config {
    int64_t steps, batch, validate_every, validate_cases, checkpoint_every, plot_every;
    const char *best;             /* the metric that chooses best.h5: loss, dsc, bdsc ... */
    double clip_norm;             /* 0: no clipping */
    struct config_strings freeze; /* layer names that do not learn; a trailing * matches the rest */
    int64_t threads;
};

struct recipe {
    const char *name, *licence;
    int64_t seed;
    int task; /* enum loader_task == enum restore_task */
    struct network_config network;
    struct loader_config data;
    struct config_list loss;
    struct config_item optimizer;
    struct schedule_config schedule;
    struct train_config train;
    struct restore_config restore;
};
extern const struct config_table recipe_table;

/* Reads, applies n_sets `key=value` overrides, binds, checks rules that span keys (patch and network, task and losses). */
enum status recipe_read(struct recipe *ret, const char *path, int n_sets, char *const *sets, struct arena *arena, struct error *error);

/* Learning rate at `step` (from 1) of `steps`, as a factor of the optimizer's lr. */
double schedule_factor(const struct schedule_config *schedule, int64_t step, int64_t steps);

#endif
