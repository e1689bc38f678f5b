/* ablate_measure.c - Restores the held-out skulls by one trained model and keeps the metrics in a table; see
 * ablate_measure.h. Test: tests/train/test_ablate.c */
#include "train/ablate_measure.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/file.h"
#include "base/log.h"

enum { MEASURE_MAX_BYTES = 1 << 30 };

enum status ablate_open_holdout(struct holdout *ret, const struct ablate_measure *measure,
                                const struct loader_config *data, struct error *error)
{
    const struct holdout_config config = {.set = measure->set ? measure->set : data->set,
                                          .fold = measure->set ? (struct fold){0} : data->fold,
                                          .defects = measure->defects,
                                          .n_cases = measure->cases,
                                          .seed = (uint64_t)measure->seed};
    return holdout_open(ret, &config, error);
}

/* "# measured: HASH of model, pipeline, skulls and defects": the same line, the same numbers. In arena. */
static char *ablate_measure_mark(const struct ablate_measure *measure, const struct holdout *holdout,
                                 const struct restorer *restorer, struct arena *arena)
{
    const struct model *model = restorer_model(restorer);
    char *pipeline = config_dump_text(&restore_table, restorer_config(restorer));
    char *defects = holdout->generated ? config_dump_text(&defects_table, &holdout->defects) : NULL;
    char *text =
        pipeline && (defects || !holdout->generated)
            ? arena_printf(arena, "%s\n%s\nseed %" PRId64 " cases %" PRId64 " set %016" PRIx64, pipeline,
                           defects ? defects : "stored", measure->seed, holdout->n_cases, dataset_hash(holdout->set))
            : NULL;
    XXH64_hash_t hash = text ? XXH64(text, strlen(text), 0) : 0;
    char *file = NULL;
    size_t bytes = 0;
    struct error ignored = {0};
    if (text && !model) { /* a shape model */
        if (file_read(&file, &bytes, restorer_path(restorer), MEASURE_MAX_BYTES, &ignored))
            text = NULL;
        else
            hash = XXH64(file, bytes, hash);
    }
    memory_free(file);
    if (text && model)
        hash = XXH64(model->params.value, (size_t)model->params.n_floats * sizeof(float), hash);
    memory_free(pipeline);
    memory_free(defects);
    return text ? arena_printf(arena, "# measured: %016" PRIx64, (uint64_t)hash) : NULL;
}

static enum status ablate_measure_cases(FILE *table, struct holdout *holdout, struct restorer *restorer,
                                        bool counts_failures, struct error *error)
{
    struct progress progress = {0};
    enum status status = STATUS_OK;

    progress_start(&progress, "measuring", "skulls", 0, holdout->n_cases);

    for (int64_t c = 0; !status && c < holdout->n_cases; c++) {
        struct trial trial = {0};
        status = trial_read(&trial, holdout, c, error);
        if (!status)
            status = trial_restore(&trial, restorer, error);
        if (status == STATUS_FAILED && counts_failures && trial.implant.data && !error->no_memory) {
            log_warn("%s counts as a failure: %.*s", trial.name, (int)strcspn(error->text, "\n"), error->text);
            *error = (struct error){0};
            status = trial_fail(&trial, error);
        }
        if (!status) {
            trial_print_row(table, &trial);
            progress_show(&progress, c + 1, trial.name);
        }
        trial_done(&trial);
    }

    progress_end(&progress);
    return status;
}

static enum status ablate_measure_write(const char *path, const char *mark, struct holdout *holdout,
                                        struct restorer *restorer, bool counts_failures, struct error *error)
{
    struct file_stream table;
    if (file_stream_open(&table, path, error))
        return error->status;
    fprintf(table.file, "%s\n", mark);
    trial_print_header(table.file);
    const enum status status = ablate_measure_cases(table.file, holdout, restorer, counts_failures, error);
    return file_stream_close(&table, status, error);
}

/* --- reading it back --- */

/* The next tab-separated cell of the line at *at, ended; NULL past the last. */
static char *ablate_next_cell(char **at)
{
    char *cell = *at;
    if (!cell)
        return NULL;
    char *tab = strchr(cell, '\t');
    if (tab)
        *tab = '\0';
    *at = tab ? tab + 1 : NULL;
    return cell;
}

/* Ends the line at *at and moves on; NULL past the last. */
static char *ablate_next_line(char **at)
{
    char *line = *at, *end = line ? strchr(line, '\n') : NULL;
    if (!end)
        return NULL;
    *end = '\0';
    *at = end + 1;
    return line;
}

enum { MEASURE_MAX_COLUMNS = 64 };

/* Which of the wanted metrics each column is; -1: none. False when one is missing. */
static bool ablate_measure_columns(int column_of[MEASURE_MAX_COLUMNS], char *header,
                                   const struct config_strings *metrics)
{
    int64_t n_found = 0;
    for (int c = 0; c < MEASURE_MAX_COLUMNS; c++) {
        const char *name = ablate_next_cell(&header);
        column_of[c] = -1;
        for (int64_t m = 0; name && m < metrics->n; m++)
            if (strcmp(metrics->items[m], name) == 0) {
                column_of[c] = (int)m;
                n_found++;
            }
    }
    return n_found == metrics->n;
}

static void ablate_measure_sum(struct ablate_measured *ret, char *rows, const int column_of[MEASURE_MAX_COLUMNS],
                               int64_t n_metrics)
{
    int64_t count[ABLATE_MAX_METRICS] = {0};
    char *line;

    for (int64_t i = 0; i < ret->max_cases * n_metrics; i++)
        ret->values[i] = NAN;

    while ((line = ablate_next_line(&rows)) != NULL) {
        bool has_nan = false;
        ablate_next_cell(&line);
        for (int c = 1; c < MEASURE_MAX_COLUMNS && line; c++) {
            double value = strtod(ablate_next_cell(&line), NULL);
            has_nan |= !isfinite(value); /* distances to an empty mask */
            if (column_of[c] >= 0 && ret->n_cases < ret->max_cases)
                ret->values[ret->n_cases * n_metrics + column_of[c]] = value;
            if (column_of[c] >= 0 && isfinite(value)) {
                ret->mean[column_of[c]] += value;
                count[column_of[c]]++;
            }
        }
        ret->n_cases++;
        ret->n_empty += has_nan;
    }

    for (int64_t m = 0; m < n_metrics; m++)
        ret->mean[m] = count[m] ? ret->mean[m] / (double)count[m] : NAN;
}

/* False when the table is another's or not whole. */
static bool ablate_measure_read(struct ablate_measured *ret, const char *path, const char *mark,
                                const struct config_strings *metrics)
{
    struct error error = {0};
    struct ablate_measured measured = {.done = true, .max_cases = ret->max_cases, .values = ret->values};
    int column_of[MEASURE_MAX_COLUMNS];
    char *text = NULL;
    size_t bytes;

    if (!file_exists(path) || file_read(&text, &bytes, path, 1 << 24, &error))
        return false;
    char *at = text, *first = ablate_next_line(&at), *header = ablate_next_line(&at);
    bool same = first && header && strcmp(first, mark) == 0 && ablate_measure_columns(column_of, header, metrics);

    if (same) {
        ablate_measure_sum(&measured, at, column_of, metrics->n);
        *ret = measured;
    }

    memory_free(text);
    return same;
}

enum status ablate_measure_model(struct ablate_measured *ret, const struct ablate_measure *measure,
                                 struct holdout *holdout, const char *model, const struct config_strings *restore_sets,
                                 const char *path, struct error *error)
{
    struct arena arena = {0};
    struct restorer *restorer = NULL;
    enum status status = restorer_open(&restorer, model, restore_sets, error);
    char *mark = status ? NULL : ablate_measure_mark(measure, holdout, restorer, &arena);
    if (!status && !mark)
        status = error_memory(error, 0, "a table of measurements");
    if (!status && !ablate_measure_read(ret, path, mark, &measure->metrics)) {
        status = ablate_measure_write(path, mark, holdout, restorer, measure->counts_failures, error);
        if (!status && !ablate_measure_read(ret, path, mark, &measure->metrics))
            status = error_set(error, STATUS_FAILED, "%s: cannot be read back", path);
    }
    restorer_free(restorer);
    arena_done(&arena);
    return status;
}
