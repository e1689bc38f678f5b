/* command.h - one command of the front door: a descriptor at the end of its file, one line in cli/main.c. */
#ifndef CALVARIA_CLI_COMMAND_H
#define CALVARIA_CLI_COMMAND_H

#include "base/config.h"
#include "base/error.h"
#include "base/options.h"

/* The options every command has; the first member of every command's options struct. */
struct command_options {
    int64_t threads; /* 0: all processors */
    bool quiet;
};
extern const struct config_table command_base_table;

struct command {
    const char *name;
    bool hidden;           /* not in the list: other commands start it */
    const char *arguments; /* "SKULL... --defects FILE.yaml --out DIR" */
    const char *example;   /* a line that works */
    struct config_table options;
    int min_inputs, max_inputs; /* max -1: any number */
    enum status (*run)(const void *options, int n_inputs, char *const *inputs, struct error *error);
};

extern const struct command command_phantom, command_segment, command_inject, command_pack, command_unpack,
    command_check, command_resample, command_view, command_shape, command_plan, command_recipes, command_train,
    command_ablate, command_runs, command_infer, command_mesh, command_features, command_export, command_import_keras,
    command_evaluate, command_info, command_reference, command_serve, command_serve_job;

#endif
