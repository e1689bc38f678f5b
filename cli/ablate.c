/* ablate.c - `calvaria ablate`: a grid of recipes into one table.
 * Test: tests/train/test_ablate.c, tests/cli/test_front_door.sh */
#include "train/ablate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/command.h"

struct ablate_options {
    struct command_options common;
    struct config_strings set;
    const char *out;
    bool json;
};

#define OFFSET(member) offsetof(struct ablate_options, member)
/* clang-format off */
static const struct config_field ablate_option_fields[] = {
    {.key = "out", .type = CONFIG_PATH, .offset = OFFSET(out),
     .help = "folder of the runs, tables and plots (default runs/NAME); goes on there"},
    {.key = "set", .type = CONFIG_STRINGS, .offset = OFFSET(set),
     .help = "KEY=VALUE over the base recipe, for every run"},
    {.key = "json", .type = CONFIG_BOOL, .offset = OFFSET(json), .text = "false",
     .help = "the table as JSON on stdout"},
    {0},
};
/* clang-format on */

static enum status ablate_print_json(const struct ablate_result *result, const struct ablate_config *config,
                                     const char *out, struct error *error)
{
    struct json json = {.digits = 9};
    cJSON *root = json_root(&json), *points = json_list(&json, root, "points");

    json_text(&json, root, "name", config->name);
    json_text(&json, root, "out", out);
    json_number(&json, root, "failed_runs", (double)result->n_failed);
    json_number(&json, root, "runs_elsewhere", (double)result->n_elsewhere);

    /* An object for each point of the grid. */
    for (int64_t p = 0; p < result->n_points; p++) {
        const struct ablate_point_result *point = &result->points[p];
        cJSON *item = json_item(&json, points), *axes = json_object(&json, item, "axes"),
              *metrics = json_object(&json, item, "metrics");
        for (int a = 0; a < (int)config->axes.n; a++)
            json_text(&json, axes, ablate_axis_at(config, a)->name, ablate_value_at(config, p, a)->name);
        json_number(&json, item, "seeds", (double)point->n_seeds);
        json_number(&json, item, "empty", (double)point->n_empty);
        for (int64_t m = 0; m < config->measure.metrics.n; m++) {
            cJSON *metric = json_object(&json, metrics, config->measure.metrics.items[m]);
            json_number(&json, metric, "mean", point->mean[m]);
            json_number(&json, metric, "sd", point->sd[m]);
            json_number(&json, metric, "n", (double)point->n[m]);
        }
    }

    return json_print(stdout, &json, error);
}

static enum status ablate_print_file(const char *out, const char *name, struct arena *arena, struct error *error)
{
    char *path = file_join(arena, out, name), *text = NULL;
    size_t bytes;
    if (!path)
        return error_memory(error, 0, "a path");
    if (file_read(&text, &bytes, path, 1 << 24, error))
        return error->status;
    fputs(text, stdout);
    memory_free(text);
    return STATUS_OK;
}

static enum status ablate_command(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    const struct ablate_options *options = value;
    struct arena arena = {0};
    struct ablate_config config;
    struct ablate_result result;
    (void)n_inputs;
    enum status status =
        ablate_read(&config, inputs[0], (int)options->set.n, (char *const *)options->set.items, &arena, error);
    const char *out = status || options->out ? options->out : arena_printf(&arena, "runs/%s", config.name);

    if (!status && !out)
        status = error_memory(error, 0, "a path");
    if (!status)
        status = ablate_run(&result, &config, out, &arena, error);
    if (!status)
        status = options->json ? ablate_print_json(&result, &config, out, error)
                               : ablate_print_file(out, "table.md", &arena, error);
    if (!status && result.n_failed > 0)
        status = error_set(error, STATUS_FAILED,
                           "%s: %" PRId64
                           " of the runs failed and are not in the table (why is in %s/runs/*/STATUS; the same "
                           "command retries them)",
                           inputs[0], result.n_failed, out);

    arena_done(&arena);
    return status;
}

const struct command command_ablate = {
    .name = "ablate",
    .arguments = "ABLATION.yaml [--set KEY=VALUE]... [--out DIR] [--json]",
    .example = "calvaria ablate experiments/losses/ablation.yaml --set data.set=set.h5 --out runs/losses",
    .options =
        {
            .help = "train a grid of recipes, restore held-out skulls, make one table",
            .size = sizeof(struct ablate_options),
            .base = &command_base_table,
            .fields = ablate_option_fields,
        },
    .min_inputs = 1,
    .max_inputs = 1,
    .run = ablate_command,
};
