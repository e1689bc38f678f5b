/* runs.c - `calvaria runs`: the state of the run folders below a folder. Test: tests/cli/test_runs_command.sh */
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/command.h"
#include "train/run.h"

struct runs_options {
    struct command_options common;
    bool json;
};

/* clang-format off */
static const struct config_field runs_fields[] = {
    {.key = "json", .type = CONFIG_BOOL, .offset = offsetof(struct runs_options, json), .text = "false",
     .help = "the list as JSON on stdout"},
    {0},
};
/* clang-format on */

enum { RUNS_MAX = 10000, RUNS_MAX_DEPTH = 3, N_COLUMNS = 7 };

struct entry {
    const char *name; /* below the folder that was named */
    struct run_status status;
    double age_s; /* since something was last written */
};

struct runs {
    struct arena arena;
    int64_t n;
    struct entry *entries;
};

/* Since STATUS or metrics.tsv was written, whichever was later; NaN: neither is there. */
static double runs_age_s(const char *status, const char *metrics)
{
    const char *const paths[] = {status, metrics};
    double age_s = NAN;
    for (int i = 0; i < 2; i++) {
        struct stat info;
        if (stat(paths[i], &info) == 0)
            age_s = fmin(age_s, difftime(time(NULL), info.st_mtime)); /* fmin ignores the NaN */
    }
    return age_s;
}

/* The last step in metrics.tsv, where it is further than the last checkpoint, which STATUS records. */
static int64_t runs_step(const char *metrics, int64_t step)
{
    char tail[4097];
    const int file = open(metrics, O_RDONLY | O_CLOEXEC);

    if (file < 0)
        return step;
    if (lseek(file, -4096, SEEK_END) < 0)
        lseek(file, 0, SEEK_SET);
    const ssize_t n = read(file, tail, sizeof tail - 1);
    tail[n > 0 ? n : 0] = '\0';
    close(file);

    for (const char *line = strchr(tail, '\n'); line && line[1]; line = strchr(line + 1, '\n')) {
        int64_t at = 0;
        if (strchr(line + 1, '\n') && sscanf(line + 1, "%" SCNd64, &at) == 1 && at > step)
            step = at;
    }

    return step;
}

static enum status runs_add(struct runs *runs, const char *folder, const char *name, struct error *error)
{
    struct error unreadable = {0};
    const char *status = file_join(&runs->arena, folder, "STATUS"),
               *metrics = file_join(&runs->arena, folder, "metrics.tsv");
    bool busy;
    if (!status || !metrics)
        return error_memory(error, strlen(folder), "a path");
    if (run_busy(&busy, folder, error))
        return error->status;
    struct entry entry = {.name = name, .age_s = runs_age_s(status, metrics)};

    if (runs->n == RUNS_MAX)
        return error_set(error, STATUS_FAILED, "%s: more than %d runs below one folder (name a deeper one)", folder,
                         RUNS_MAX);

    /* STATUS is written at checkpoints: whether the process lives shows in its lock. */
    const bool readable = !run_read_status(&entry.status, folder, &runs->arena, &unreadable);
    if (error_if_memory(error, &unreadable))
        return STATUS_FAILED;
    if (!readable)
        entry.status =
            (struct run_status){.state = busy ? "running" : "failed",
                                .best_value = NAN,
                                .note = busy ? NULL : "no STATUS that can be read: it ended before its first step"};
    else if (!busy && strcmp(entry.status.state, "running") == 0) {
        entry.status.state = "stopped";
        entry.status.note = "killed: no process holds it (calvaria train --resume goes on)";
    }

    if (busy)
        entry.status.step = runs_step(metrics, entry.status.step);
    runs->entries[runs->n++] = entry;

    return STATUS_OK;
}

static enum status runs_find(struct runs *runs, const char *folder, const char *name, int depth, struct error *error)
{
    struct config_strings names = {0};
    const char *recipe = file_join(&runs->arena, folder, "recipe.yaml"),
               *log = file_join(&runs->arena, folder, "log.txt");

    if (!recipe || !log)
        return error_memory(error, 0, "a path");

    /* A folder with recipe and log is a run; the runs of its stages stand below it. */
    if (file_exists(recipe) && file_exists(log) && runs_add(runs, folder, *name ? name : folder, error))
        return error->status;
    if (depth == RUNS_MAX_DEPTH)
        return STATUS_OK;
    enum status status = file_list(&names, folder, &runs->arena, error);

    for (int64_t i = 0; !status && i < names.n; i++) {
        const char *below = file_join(&runs->arena, folder, names.items[i]),
                   *full = file_join(&runs->arena, name, names.items[i]);
        if (!below || !full)
            status = error_memory(error, 0, "a path");
        else if (file_is_folder(below))
            status = runs_find(runs, below, full, depth + 1, error);
    }

    return status;
}

static const char *runs_age_text(struct arena *arena, double age_s)
{
    if (!isfinite(age_s))
        return "";
    if (age_s < 120)
        return arena_printf(arena, "%.0f s", age_s);
    if (age_s < 7200)
        return arena_printf(arena, "%.0f min", age_s / 60);
    return age_s < 172800 ? arena_printf(arena, "%.0f h", age_s / 3600) : arena_printf(arena, "%.0f d", age_s / 86400);
}

static enum status runs_print_text(struct runs *runs, struct error *error)
{
    static const char *const titles[N_COLUMNS] = {"run", "status", "step", "best", "at step", "age", "note"};
    struct arena *arena = &runs->arena;
    const char **cells = arena_alloc(arena, (size_t)(runs->n + 1) * N_COLUMNS, sizeof *cells), **cell = cells;

    if (!cells)
        return error_memory(error, 0, "the table");
    for (int c = 0; c < N_COLUMNS; c++)
        *cell++ = titles[c];

    for (int64_t i = 0; i < runs->n; i++) {
        const struct entry *entry = &runs->entries[i];
        const struct run_status *status = &entry->status;
        bool best = status->best && isfinite(status->best_value);
        *cell++ = entry->name;
        *cell++ = status->state;
        *cell++ = arena_printf(arena, "%" PRId64 "/%" PRId64, status->step, status->steps);
        *cell++ = best ? arena_printf(arena, "%s %.4g", status->best, status->best_value) : "";
        *cell++ = best ? arena_printf(arena, "%" PRId64, status->best_step) : "";
        *cell++ = runs_age_text(arena, entry->age_s);
        *cell++ = status->note ? status->note : "";
    }

    for (const char **at = cells; at < cell; at++)
        if (!*at)
            return error_memory(error, 0, "the table");
    table_print(stdout, runs->n + 1, N_COLUMNS, cells);

    return STATUS_OK;
}

static enum status runs_print_json(const struct runs *runs, struct error *error)
{
    struct json json = {.digits = 9};
    cJSON *list = json_list(&json, json_root(&json), "runs");

    for (int64_t i = 0; i < runs->n; i++) {
        const struct run_status *status = &runs->entries[i].status;
        cJSON *item = json_item(&json, list);
        json_text(&json, item, "run", runs->entries[i].name);
        json_text(&json, item, "status", status->state);
        json_number(&json, item, "step", (double)status->step);
        json_number(&json, item, "steps", (double)status->steps);
        if (status->best)
            json_text(&json, item, "best_metric", status->best);
        json_number(&json, item, "best", status->best_value);
        json_number(&json, item, "best_step", (double)status->best_step);
        json_number(&json, item, "age_s", runs->entries[i].age_s);
        if (status->note)
            json_text(&json, item, "note", status->note);
    }

    return json_print(stdout, &json, error);
}

static enum status runs_command(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    const struct runs_options *options = value;
    struct runs runs = {0};
    const char *folder = n_inputs ? inputs[0] : "runs";

    runs.entries = arena_alloc(&runs.arena, RUNS_MAX, sizeof *runs.entries);
    enum status status = STATUS_OK;
    if (!runs.entries)
        status = error_memory(error, RUNS_MAX * sizeof *runs.entries, "the list of runs");
    else if (!file_is_folder(folder))
        status = error_set(error, STATUS_USAGE, "%s: no such folder (calvaria runs DIR, where DIR holds run folders)",
                           folder);
    if (!status)
        status = runs_find(&runs, folder, "", 0, error);
    if (!status && options->json)
        status = runs_print_json(&runs, error);
    else if (!status && runs.n == 0)
        log_info("%s: no run folder here", folder);
    else if (!status)
        status = runs_print_text(&runs, error);

    arena_done(&runs.arena);
    return status;
}

const struct command command_runs = {
    .name = "runs",
    .arguments = "[DIR] [--json]",
    .example = "calvaria runs runs",
    .options =
        {
            .help = "list run folders: status, step, best metric, age",
            .size = sizeof(struct runs_options),
            .base = &command_base_table,
            .fields = runs_fields,
        },
    .max_inputs = 1,
    .run = runs_command,
};
