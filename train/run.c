/* run.c - The run folder: its files, its lock, its STATUS; see run.h. Test: tests/train/test_run.c */
#include "train/run.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"

const char *run_path(struct run *run, const char *name)
{
    return file_join(&run->arena, run->folder, name);
}

static enum status run_make(const char *folder, struct error *error)
{
    if (file_make_folder(folder) == 0)
        return STATUS_OK;
    if (errno == EEXIST)
        return error_set(
            error, STATUS_USAGE,
            "%s: exists already: a new run never writes into an old folder (another --run, or --resume %s)", folder,
            folder);
    return error_system(error, errno, "%s: cannot make the run folder", folder);
}

/* runs/NAME-YYYYmmdd-HHMMSS[-2 ...]: the first of them that can be made. */
static enum status run_make_dated(struct run *run, const char *name, struct error *error)
{
    char date[32] = "";

    time_t now = time(NULL);
    struct tm tm;
    if (!localtime_r(&now, &tm) || strftime(date, sizeof date, "%Y%m%d-%H%M%S", &tm) == 0)
        return error_set(error, STATUS_FAILED, "the clock: the date is not available");
    if (file_make_folders("runs", error))
        return error->status;

    /* Two runs of the same second get different folders: mkdir decides. */
    for (int i = 1; i <= 100; i++) {
        run->folder = i == 1 ? arena_printf(&run->arena, "runs/%s-%s", name, date)
                             : arena_printf(&run->arena, "runs/%s-%s-%d", name, date, i);
        if (!run->folder)
            return error_memory(error, 0, "the run folder's name");
        if (file_make_folder(run->folder) == 0)
            return STATUS_OK;
        if (errno != EEXIST)
            return error_system(error, errno, "%s: cannot make the run folder", run->folder);
    }

    return error_set(error, STATUS_FAILED, "%s: exists already, as do 99 after it", run->folder);
}

static enum status run_open_log(struct run *run, struct error *error)
{
    const char *path = run_path(run, "log.txt");
    run->log = path ? fopen(path, "ae") : NULL;
    if (!run->log)
        return error_system(error, errno, "%s/log.txt: cannot open", run->folder);
    setvbuf(run->log, NULL, _IOLBF, BUFSIZ);
    if (flock(fileno(run->log), LOCK_EX | LOCK_NB) != 0)
        return error_set(error, STATUS_USAGE,
                         "%s: another process is training in this folder (wait for it, or stop it)", run->folder);
    log_set_file(run->log);
    return STATUS_OK;
}

/* What a kill left of files that were being written. The lock is held: nobody is writing now. */
static void run_remove_parts(struct run *run)
{
    struct error ignored = {0};
    struct config_strings names = {0};
    if (file_list(&names, run->folder, &run->arena, &ignored))
        return;
    for (int64_t i = 0; i < names.n; i++) {
        const char *path = run_path(run, names.items[i]);
        if (path && names.items[i][0] == '.' && file_has_suffix(names.items[i], ".part"))
            unlink(path);
    }
}

enum status run_create_around(struct run *ret, const char *folder, const char *name, struct error *error)
{
    struct run run = {0};
    enum status status;

    if (folder) {
        run.folder = arena_strdup(&run.arena, folder);
        char *parent = file_folder(&run.arena, folder);
        if (!run.folder || !parent)
            status = error_memory(error, strlen(folder), "the run folder's name");
        else if ((status = file_make_folders(parent, error)) == STATUS_OK)
            status = run_make(run.folder, error);
    } else {
        status = run_make_dated(&run, name, error);
    }

    /* The lock comes with the log: from here on the folder is this process' own. */
    if (!status)
        status = run_open_log(&run, error);
    if (status)
        run_close(&run);
    else
        *ret = run;

    return status;
}

enum status run_create(struct run *ret, const char *folder, const char *name, struct error *error)
{
    struct run run;
    enum status status = run_create_around(&run, folder, name, error);
    if (status)
        return status;
    const char *plots = run_path(&run, "plots"), *validation = run_path(&run, "validation");
    status = plots && validation ? file_make_folders(plots, error) : error_memory(error, 0, "a path");
    if (!status)
        status = file_make_folders(validation, error);
    if (status)
        run_close(&run);
    else
        *ret = run;

    return status;
}

enum status run_look(struct run *ret, const char *folder, struct error *error)
{
    struct run run = {0};
    enum status status = STATUS_OK;

    run.folder = arena_strdup(&run.arena, folder);
    const char *recipe = run.folder ? run_path(&run, "recipe.yaml") : NULL;
    if (!recipe)
        status = error_memory(error, strlen(folder), "the run folder's name");
    else if (!file_is_folder(folder))
        status = error_set(error, STATUS_USAGE, "%s: no such run folder", folder);
    else if (!file_exists(recipe))
        status = error_set(error, STATUS_USAGE, "%s: no run folder: it has no recipe.yaml", folder);
    if (status)
        run_close(&run);
    else
        *ret = run;

    return status;
}

enum status run_open(struct run *ret, const char *folder, struct error *error)
{
    struct run run;
    if (run_look(&run, folder, error))
        return error->status;
    if (run_open_log(&run, error)) {
        run_close(&run);
        return error->status;
    }
    run_remove_parts(&run);
    *ret = run;
    return STATUS_OK;
}

enum status run_write(struct run *run, const char *name, const char *text, struct error *error)
{
    const char *path = run_path(run, name);
    if (!path)
        return error_memory(error, strlen(name), "a path in the run folder");
    return file_write(path, text, strlen(text), error);
}

/* The first line of `text` as a YAML scalar in single quotes. */
static void run_quote(FILE *file, const char *text)
{
    fputc('\'', file);
    for (; *text && *text != '\n'; text++)
        fputs((const char[]){*text, *text == '\'' ? '\'' : '\0', '\0'}, file);
    fputc('\'', file);
}

enum status run_write_status(struct run *run, const struct run_status *status, struct error *error)
{
    char date[32] = "", text[2048] = "";

    time_t now = time(NULL);
    struct tm tm;
    if (localtime_r(&now, &tm))
        strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &tm);
    FILE *file = fmemopen(text, sizeof text - 1, "w");
    if (!file)
        return error_memory(error, sizeof text, "STATUS");
    fprintf(file, "state: %s\nstep: %" PRId64 "\nsteps: %" PRId64 "\nupdated: '%s'\n", status->state, status->step,
            status->steps, date);

    /* Flow style keeps the file at one line for each fact. */
    if (isfinite(status->best_value))
        fprintf(file, "best: { metric: %s, value: %.6g, step: %" PRId64 " }\n", status->best, status->best_value,
                status->best_step);

    if (status->note) {
        fputs("note: ", file);
        run_quote(file, status->note);
        fputc('\n', file);
    }

    fclose(file);

    return run_write(run, "STATUS", text, error);
}

/* As run_write_status writes it. */
struct status_text {
    const char *state, *updated, *note;
    int64_t step, steps;
    struct status_best {
        const char *metric;
        double value;
        int64_t step;
    } best;
};

#define BEST(member) offsetof(struct status_best, member)
static const struct config_field best_fields[] = {
    {.key = "metric", .type = CONFIG_STRING, .offset = BEST(metric)},
    {.key = "value", .type = CONFIG_DOUBLE, .offset = BEST(value), .text = "0"},
    {.key = "step", .type = CONFIG_INT, .offset = BEST(step), .text = "0"},
    {0}};
static const struct config_table best_table = {.size = sizeof(struct status_best), .fields = best_fields};

#define STATUS(member) offsetof(struct status_text, member)
static const struct config_field status_fields[] = {
    {.key = "state", .type = CONFIG_STRING, .offset = STATUS(state), .required = true},
    {.key = "step", .type = CONFIG_INT, .offset = STATUS(step), .text = "0"},
    {.key = "steps", .type = CONFIG_INT, .offset = STATUS(steps), .text = "0"},
    {.key = "updated", .type = CONFIG_STRING, .offset = STATUS(updated)},
    {.key = "best", .type = CONFIG_TABLE, .offset = STATUS(best), .table = &best_table},
    {.key = "note", .type = CONFIG_STRING, .offset = STATUS(note)},
    {0}};
static const struct config_table status_table = {.size = sizeof(struct status_text), .fields = status_fields};

enum status run_read_status(struct run_status *ret, const char *folder, struct arena *arena, struct error *error)
{
    struct yaml_node *root;
    struct status_text text;
    char *path = file_join(arena, folder, "STATUS");

    if (!path)
        return error_memory(error, strlen(folder), "a path");
    enum status status = yaml_read_file(&root, path, arena, error);
    if (!status)
        status = config_bind(&status_table, root, &text, arena, error);
    if (status)
        return status;

    *ret = (struct run_status){.state = text.state,
                               .step = text.step,
                               .steps = text.steps,
                               .best = text.best.metric,
                               .best_value = text.best.metric ? text.best.value : NAN,
                               .best_step = text.best.step,
                               .note = text.note};

    return STATUS_OK;
}

enum status run_is_finished(bool *ret, const char *folder, struct error *error)
{
    struct arena arena = {0};
    struct run_status there = {0};
    struct error unreadable = {0}; /* killed before it had a status */
    *ret = !run_read_status(&there, folder, &arena, &unreadable) && strcmp(there.state, "finished") == 0;
    arena_done(&arena);
    return error_if_memory(error, &unreadable);
}

static enum status run_rename_aside(const char *folder, struct arena *arena, struct error *error)
{
    for (int i = 1; i < 1000; i++) {
        char *aside = arena_printf(arena, "%s.unborn%d", folder, i);
        if (!aside)
            return error_memory(error, 0, "a path");
        if (file_exists(aside))
            continue;
        if (rename(folder, aside) == 0)
            return STATUS_OK;
        break;
    }
    return error_set(error, STATUS_FAILED, "%s: holds no recipe.yaml and cannot be set aside (remove it)", folder);
}

enum status run_set_aside(const char *folder, struct error *error)
{
    struct arena arena = {0};
    const char *recipe = file_join(&arena, folder, "recipe.yaml");
    enum status status = recipe ? STATUS_OK : error_memory(error, 0, "a path");
    if (!status && file_exists(folder) && !file_exists(recipe))
        status = run_rename_aside(folder, &arena, error);
    arena_done(&arena);
    return status;
}

enum status run_busy(bool *ret, const char *folder, struct error *error)
{
    struct arena arena = {0};
    char *path = file_join(&arena, folder, "log.txt");
    if (!path)
        return error_memory(error, strlen(folder), "a path");
    const int log = open(path, O_RDONLY | O_CLOEXEC);
    *ret = log >= 0 && flock(log, LOCK_SH | LOCK_NB) != 0;
    if (log >= 0)
        close(log);
    arena_done(&arena);
    return STATUS_OK;
}

void run_close(struct run *run)
{
    if (run->log) {
        log_set_file(NULL);
        fclose(run->log);
    }
    arena_done(&run->arena);
    *run = (struct run){0};
}
