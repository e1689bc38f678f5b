/* ablate.h - a grid of recipes from one YAML file: each point trained in a run folder of its own, once per seed,
 * restored skulls measured, one table and plots. Goes on where it stopped.
 *
 *     name: losses
 *     base: ../../configs/recipes/demo_completion.yaml
 *     set: [train.steps=300]                               # over the base, for every run
 *     seeds: [1, 2, 3]
 *     axes:
 *       - name: loss
 *         values:
 *           - { name: mse, set: ["loss=[{type: mse}]"] }
 *           - { name: dice, set: ["loss=[{type: dice}]"] }
 *     evaluate: { cases: 8, metrics: [dsc, volume_error] }
 *
 * An axis whose values change only `restore.` keys trains nothing: the same models restore once for each value. OUT
 * holds ablation.yaml, runs/POINT_sSEED (run folders), evaluations/POINT_sSEED.tsv, runs.tsv, table.tsv, table.md,
 * differences.tsv, and metrics with .gp, .png, .svg and .pdf. */
#ifndef CALVARIA_TRAIN_ABLATE_H
#define CALVARIA_TRAIN_ABLATE_H

#include "train/recipe.h"

enum { ABLATE_MAX_AXES = 6, ABLATE_MAX_METRICS = 12, ABLATE_MAX_POINTS = 4096 };

struct ablate_value {
    const char *name;
    struct config_strings set; /* key=value over the recipe */
};

struct ablate_axis {
    const char *name;
    struct config_list values; /* struct ablate_value */
};

enum ablate_model { ABLATE_LAST, ABLATE_BEST };

struct ablate_measure {
    bool counts_failures; /* not a key: a skull that cannot be restored counts as one restored by nothing */
    int model;            /* enum ablate_model: which checkpoint restores */
    int64_t cases, seed;
    const char *set, *defects; /* NULL: the base recipe's dataset; the implants stored in it */
    struct config_strings metrics;
};

struct ablate_config {
    const char *name, *base;
    struct config_strings set, seeds;
    struct config_list axes; /* struct ablate_axis */
    struct ablate_measure measure;
    const struct yaml_node *node;
};
extern const struct config_table ablate_table;

/* Reads and checks: names, seeds, metrics, and every point's recipe. n_sets: key=value over all of them. */
enum status ablate_read(struct ablate_config *ret, const char *path, int n_sets, char *const *sets, struct arena *arena,
                        struct error *error);

/* --- the grid --- */

/* A point: one value of each axis. They are counted with the last axis fastest. */
int64_t ablate_points(const struct ablate_config *config);
/* Index of the point's value along an axis. */
int64_t ablate_choice(const struct ablate_config *config, int64_t point, int axis);
const struct ablate_axis *ablate_axis_at(const struct ablate_config *config, int axis);
const struct ablate_value *ablate_value_at(const struct ablate_config *config, int64_t point, int axis);
/* All of the axis' overrides are of `restore.`. */
bool ablate_only_restores(const struct ablate_axis *axis);
/* "mse_64_s1"; `trained`: without the axes that only restore, the run folder's name. NULL when memory is out. */
char *ablate_run_name(const struct ablate_config *config, int64_t point, const char *seed, bool trained,
                      struct arena *arena);
/* The --set lines of a run; `trained` as above. False when memory is out. */
bool ablate_sets(struct config_strings *ret, const struct ablate_config *config, int64_t point, const char *seed,
                 bool trained, struct arena *arena);

/* --- running --- */

struct ablate_point_result {  /* of a point, over its seeds */
    int64_t n_seeds, n_empty; /* measured; restorations that gave nothing where something was missing (or the other
                                 way), all seeds together */
    double mean[ABLATE_MAX_METRICS], sd[ABLATE_MAX_METRICS]; /* of the seeds' means; NaN: none, or a single one */
    int64_t n[ABLATE_MAX_METRICS];                           /* seeds in which the metric existed */
};

struct ablate_result {
    int64_t n_elsewhere;        /* runs that other processes still held at the end */
    int64_t n_points, n_failed; /* runs that failed: said in the log, the others go on */
    struct ablate_point_result *points;
};

/* Trains what is not trained, measures what is not measured, and rewrites table and plots after every run. A run
 * that fails is logged and left out, one that another process holds is left to it (base/claim.h); STATUS_STOPPED on
 * SIGINT/SIGTERM, with how to go on. Refuses (STATUS_USAGE) run folders of another recipe. */
enum status ablate_run(struct ablate_result *ret, const struct ablate_config *config, const char *out,
                       struct arena *arena, struct error *error);

#endif
