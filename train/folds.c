/* folds.c - see folds.h. Test: tests/train/test_folds.c */
#include "train/folds.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/claim.h"
#include "base/file.h"
#include "base/log.h"
#include "base/parallel.h"
#include "nn/model/ensemble_file.h"
#include "train/ablate_measure.h"
#include "train/stages.h"
#include "train/train_step.h"

enum { TABLE_MAX_BYTES = 1 << 24 };

/* What is tabled, as in an ablation. */
static const char *const folds_metrics[] = {"dsc", "bdsc_mm", "hd95_mm", "volume_error", "precision", "recall"};
enum { N_METRICS = sizeof folds_metrics / sizeof *folds_metrics };

struct folds {
    struct arena arena;
    const struct trainer_request *request;
    int64_t number;
    const char *folder, *recipe; /* of all folds; its recipe.yaml */
    struct ablate_measure measure;
    struct ablate_measured *measured; /* of each fold */
    int threads;
};

static const char *folds_path(struct folds *folds, const char *name)
{
    return file_join(&folds->arena, folds->folder, name);
}

static const char *folds_name(void *context, int64_t i)
{
    return arena_printf(&((struct folds *)context)->arena, "fold_%" PRId64, i + 1);
}

/* --- the folder --- */

/* The dataset holds enough heads: a mistake shows before the first fold. */
static enum status folds_check_set(const struct folds *folds, const char *path, struct fold fold, struct error *error)
{
    struct dataset *set;
    fold.number = folds->number;
    fold.held_out = 1;
    if (dataset_open_fold(&set, path, &fold, error))
        return error->status;
    dataset_close(set);
    return STATUS_OK;
}

/* Its recipe as text, every key resolved, no fold held out. Free with memory_free. */
static enum status folds_text(char **ret_text, const char **ret_name, struct folds *folds, struct error *error)
{
    const struct trainer_request *request = folds->request;
    struct stages stages;
    struct recipe recipe;
    *ret_text = NULL;
    if (stages_read(&stages, request->recipe, request->n_sets, request->sets, &folds->arena, error))
        return error->status;
    if (stages.n > 0) {
        if (request->init)
            return error_set(error, STATUS_USAGE,
                             "--init: the recipe lists stages (write it into one of them: train: { init: MODEL })");
        const struct stage *last = &stages.items[stages.n - 1];
        const bool shape = last->kind == STAGE_SHAPE;
        if (stages_check_files(&stages, error) ||
            folds_check_set(folds, shape ? last->shape.data.set : last->recipe.data.set,
                            shape ? last->shape.data.fold : last->recipe.data.fold, error))
            return error->status;
        *ret_text = stages_text(&stages);
        *ret_name = stages.name;
    } else {
        if (recipe_read(&recipe, request->recipe, request->n_sets, request->sets, &folds->arena, error))
            return error->status;
        if (request->init)
            recipe.train.init = request->init;
        if (recipe_absolute(&recipe.train.init, &folds->arena, error) ||
            folds_check_set(folds, recipe.data.set, recipe.data.fold, error))
            return error->status;
        *ret_text = config_dump_text(&recipe_table, &recipe);
        *ret_name = recipe.name;
    }
    return *ret_text ? STATUS_OK : error_memory(error, 0, "the resolved recipe");
}

/* A first process has made the folder: is it of the same recipe? */
static enum status folds_compare(struct folds *folds, const char *text, struct error *error)
{
    char *there = NULL;
    size_t bytes;
    if (file_read(&there, &bytes, folds->recipe, TABLE_MAX_BYTES, error))
        return error->status;
    const bool same = strcmp(there, text) == 0;
    memory_free(there);
    return same ? STATUS_OK
                : error_set(error, STATUS_USAGE,
                            "%s: holds folds of another recipe (another --run, or the recipe and --set of before)",
                            folds->folder);
}

/* A new folder; with --join also one that is there. */
static enum status folds_create(struct folds *folds, struct error *error)
{
    const struct trainer_request *request = folds->request;
    char *text;
    const char *name = NULL, *claims;
    struct run run = {0};
    struct claim claim = {.file = -1};
    bool taken = false;
    enum status status = folds_text(&text, &name, folds, error);

    if (status)
        return status;
    assert(text);
    if (!request->join || !request->folder) {
        status = run_create_around(&run, request->folder, name, error);
        folds->folder = status ? NULL : arena_strdup(&folds->arena, run.folder);
    } else {
        folds->folder = request->folder;
    }
    if (!status && !folds->folder)
        status = error_memory(error, 0, "a path");
    run_close(&run);

    /* Whoever comes first writes the recipe; the others compare theirs. */
    claims = status ? NULL : folds_path(folds, "claims");
    folds->recipe = status ? NULL : folds_path(folds, "recipe.yaml");
    const char *lock = claims ? file_join(&folds->arena, claims, "folder") : NULL;
    if (!status && (!lock || !folds->recipe))
        status = error_memory(error, 0, "a path");
    if (!status)
        status = file_make_folders(claims, error);
    if (!status)
        status = claim_take(&claim, &taken, lock, true, error);
    if (!status)
        status = file_exists(folds->recipe) ? folds_compare(folds, text, error)
                                            : file_write(folds->recipe, text, strlen(text), error);
    claim_drop(&claim);
    memory_free(text);
    return status;
}

static enum status folds_open(struct folds *folds, struct error *error)
{
    const struct trainer_request *request = folds->request;
    enum status status = STATUS_OK;
    if (request->resume) {
        folds->folder = request->resume;
        folds->recipe = folds_path(folds, "recipe.yaml");
    } else {
        status = folds_create(folds, error);
    }
    const char *evaluations = status ? NULL : folds_path(folds, "evaluations");
    if (!status && (!evaluations || !folds->recipe))
        status = error_memory(error, 0, "a path");
    return status ? status : file_make_folders(evaluations, error);
}

/* As of a run folder: for `calvaria runs` and `calvaria info`. */
static enum status folds_status(struct folds *folds, const char *state, int64_t done, const char *note,
                                struct error *error)
{
    struct run run = {.folder = (char *)(uintptr_t)folds->folder};
    const struct run_status status = {
        .state = state, .step = done, .steps = folds->number, .best_value = NAN, .note = note};
    const enum status written = run_write_status(&run, &status, error);
    arena_done(&run.arena);
    return written;
}

/* --- one fold --- */

/* What restores a fold's heads: its last model, not the best, which validation chose on these very heads. */
struct folds_model {
    const char *path, *set, *defects;
    const struct stage *shape; /* of a shape model: its stage; else NULL */
    struct fold fold;
    uint64_t seed;
};

static enum status folds_network_model(struct folds_model *ret, struct folds *folds, const char *folder,
                                       struct error *error)
{
    struct recipe recipe;
    const char *path = file_join(&folds->arena, folder, "recipe.yaml"),
               *defects = file_join(&folds->arena, folder, "defects.yaml"),
               *model = file_join(&folds->arena, folder, "last.h5");
    if (!path || !defects || !model)
        return error_memory(error, 0, "a path");
    if (recipe_read(&recipe, path, 0, NULL, &folds->arena, error))
        return error->status;
    *ret = (struct folds_model){.path = model,
                                .set = recipe.data.set,
                                .defects = recipe.data.defects ? defects : NULL,
                                .fold = recipe.data.fold,
                                .seed = train_step_seed(&recipe, STREAM_VALIDATION)};
    return STATUS_OK;
}

static enum status folds_model(struct folds_model *ret, struct folds *folds, int64_t i, struct error *error)
{
    struct stages stages;
    const char *folder = folds_path(folds, folds_name(folds, i)),
               *recipe = folder ? file_join(&folds->arena, folder, "recipe.yaml") : NULL;
    if (!recipe)
        return error_memory(error, 0, "a path");
    if (stages_read(&stages, recipe, 0, NULL, &folds->arena, error))
        return error->status;
    if (stages.n == 0)
        return folds_network_model(ret, folds, folder, error);

    const struct stage *last = &stages.items[stages.n - 1];
    const char *below = file_join(&folds->arena, folder, last->name);
    if (!below)
        return error_memory(error, 0, "a path");
    if (last->kind == STAGE_NETWORK)
        return folds_network_model(ret, folds, below, error);
    *ret = (struct folds_model){.path = file_join(&folds->arena, below, "shape.h5"),
                                .set = last->shape.data.set,
                                .defects = last->shape.data.defects,
                                .shape = last,
                                .fold = last->shape.data.fold,
                                .seed = (uint64_t)last->shape.fit.seed};
    return ret->path ? STATUS_OK : error_memory(error, 0, "a path");
}

static enum status folds_train(struct folds *folds, int64_t i, struct error *error)
{
    const char *folder = folds_path(folds, folds_name(folds, i));
    char *held_out = arena_printf(&folds->arena, "data.folds.held_out=%" PRId64, i + 1);
    struct trainer_request request = {.table = NULL};
    if (!folder || !held_out)
        return error_memory(error, 0, "a path");
    parallel_set_threads(folds->threads); /* an earlier fold may have had its own number */
    if (run_set_aside(folder, error))
        return error->status;
    bool finished;
    const enum status known = run_is_finished(&finished, folder, error);
    if (known || finished)
        return known;
    if (file_exists(folder)) {
        request.resume = folder;
        request.n_sets = folds->request->resume ? folds->request->n_sets : 0;
        request.sets = folds->request->sets;
    } else {
        request.recipe = folds->recipe;
        request.folder = folder;
        request.n_sets = 1;
        request.sets = &held_out;
    }
    return training_run(&request, error);
}

static enum status folds_measure(struct folds *folds, int64_t i, struct error *error)
{
    struct folds_model model = {0};
    struct holdout holdout;
    const char *table = arena_printf(&folds->arena, "%s/evaluations/fold_%" PRId64 ".tsv", folds->folder, i + 1);
    if (!table)
        return error_memory(error, 0, "a path");
    if (folds_model(&model, folds, i, error))
        return error->status;
    const struct holdout_config config = {
        .set = model.set, .fold = model.fold, .defects = model.defects, .n_cases = INT64_MAX, .seed = model.seed};
    if (holdout_open(&holdout, &config, error))
        return error->status;

    folds->measure.seed = (int64_t)model.seed;
    struct ablate_measured *measured = &folds->measured[i];
    measured->max_cases = holdout.n_cases;
    measured->values = arena_alloc(&folds->arena, (size_t)holdout.n_cases * N_METRICS, sizeof *measured->values);
    parallel_set_threads(folds->threads);
    parallel_flush_denormals(); /* as in the run's own validations */
    enum status status = measured->values
                             ? ablate_measure_model(measured, &folds->measure, &holdout, model.path, NULL, table, error)
                             : error_memory(error, 0, "the measurements");
    holdout_close(&holdout);
    return status;
}

static enum status folds_one(void *context, int64_t i, struct error *error)
{
    struct folds *folds = context;
    struct error ignored = {0};
    int64_t done = 0;
    if (folds->measured[i].done)
        return STATUS_OK;
    log_info("fold %" PRId64 " of %" PRId64, i + 1, folds->number);
    for (int64_t k = 0; k < folds->number; k++)
        done += folds->measured[k].done;
    folds_status(folds, "running", done, NULL, &ignored);
    if (folds_train(folds, i, error) || folds_measure(folds, i, error))
        return error_while(error, "training fold %" PRId64 " of %s", i + 1, folds->folder);
    return STATUS_OK;
}

/* --- tables --- */

struct folds_summary {
    int64_t n_heads, n_failed;
    double mean[N_METRICS], sd[N_METRICS]; /* over heads; NaN: none, or a single one */
};

/* Of folds first ... end - 1. */
static struct folds_summary folds_summarise(const struct folds *folds, int64_t first, int64_t end)
{
    struct folds_summary ret = {0};
    for (int m = 0; m < N_METRICS; m++) {
        double sum = 0, squares = 0;
        int64_t n = 0;
        for (int pass = 0; pass < 2; pass++)
            for (int64_t f = first; f < end; f++)
                for (int64_t c = 0; c < folds->measured[f].n_cases; c++) {
                    const double value = folds->measured[f].values[c * N_METRICS + m];
                    if (!isfinite(value))
                        continue;
                    if (pass == 0) {
                        sum += value;
                        n++;
                    } else {
                        squares += (value - sum / (double)n) * (value - sum / (double)n);
                    }
                }
        ret.mean[m] = n > 0 ? sum / (double)n : NAN;
        ret.sd[m] = n > 1 ? sqrt(squares / (double)(n - 1)) : NAN;
    }
    for (int64_t f = first; f < end; f++) {
        ret.n_heads += folds->measured[f].n_cases;
        for (int64_t c = 0; c < folds->measured[f].n_cases; c++) /* DSC, the first; NaN where both are empty: right */
            ret.n_failed += folds->measured[f].values[c * N_METRICS] < METRICS_FAILURE_DSC;
    }
    return ret;
}

/* The sd of the folds' means: how much a result depends on which heads were learnt. */
static double folds_sd(const struct folds *folds, int m)
{
    double sum = 0, squares = 0;
    for (int64_t f = 0; f < folds->number; f++)
        sum += folds->measured[f].mean[m] / (double)folds->number;
    for (int64_t f = 0; f < folds->number; f++)
        squares += (folds->measured[f].mean[m] - sum) * (folds->measured[f].mean[m] - sum);
    return sqrt(squares / (double)(folds->number - 1));
}

static void folds_print_value(FILE *file, double value)
{
    if (isfinite(value))
        fprintf(file, "\t%.6g", value);
    else
        fputs("\tnan", file);
}

static void folds_print_tsv(FILE *file, const struct folds *folds)
{
    const struct folds_summary all = folds_summarise(folds, 0, folds->number);
    fputs("fold\theads\tfailed", file);
    for (int m = 0; m < N_METRICS; m++)
        fprintf(file, "\t%s", folds_metrics[m]);
    for (int64_t f = 0; f < folds->number; f++) {
        const struct folds_summary one = folds_summarise(folds, f, f + 1);
        fprintf(file, "\n%" PRId64 "\t%" PRId64 "\t%" PRId64, f + 1, one.n_heads, one.n_failed);
        for (int m = 0; m < N_METRICS; m++)
            folds_print_value(file, one.mean[m]);
    }
    fprintf(file, "\nmean\t%" PRId64 "\t%" PRId64, all.n_heads, all.n_failed);
    for (int m = 0; m < N_METRICS; m++)
        folds_print_value(file, all.mean[m]);
    fprintf(file, "\nsd_heads\t%" PRId64 "\t%" PRId64, all.n_heads, all.n_failed);
    for (int m = 0; m < N_METRICS; m++)
        folds_print_value(file, all.sd[m]);
    fprintf(file, "\nsd_folds\t%" PRId64 "\t%" PRId64, all.n_heads, all.n_failed);
    for (int m = 0; m < N_METRICS; m++)
        folds_print_value(file, folds_sd(folds, m));
    fputc('\n', file);
}

/* For people: a row for each fold, then the mean and the standard deviation over all heads. */
static enum status folds_print_table(FILE *file, struct folds *folds, struct error *error)
{
    enum { COLUMNS = N_METRICS + 3 };
    struct arena *arena = &folds->arena;
    const char **cells = arena_alloc(arena, (size_t)(folds->number + 2) * COLUMNS, sizeof *cells), **cell = cells;
    if (!cells)
        return error_memory(error, 0, "the table");
    *cell++ = "fold";
    *cell++ = "heads";
    *cell++ = "failed";
    for (int m = 0; m < N_METRICS; m++)
        *cell++ = folds_metrics[m];
    for (int64_t f = 0; f <= folds->number; f++) {
        const bool whole = f == folds->number;
        const struct folds_summary one = folds_summarise(folds, whole ? 0 : f, whole ? f : f + 1);
        *cell++ = whole ? "all" : arena_printf(arena, "%" PRId64, f + 1);
        *cell++ = arena_printf(arena, "%" PRId64, one.n_heads);
        *cell++ = arena_printf(arena, "%" PRId64, one.n_failed);
        for (int m = 0; m < N_METRICS; m++)
            *cell++ = whole ? arena_printf(arena, "%.3f ± %.3f", one.mean[m], one.sd[m])
                            : arena_printf(arena, "%.3f", one.mean[m]);
    }
    for (const char **at = cells; at < cell; at++)
        if (!*at)
            return error_memory(error, 0, "the table");
    table_print(file, folds->number + 2, COLUMNS, cells);
    return STATUS_OK;
}

/* The folds' tables below each other, a column with the fold before them. */
static enum status folds_print_heads(FILE *file, struct folds *folds, struct error *error)
{
    for (int64_t f = 0; f < folds->number; f++) {
        const char *path = arena_printf(&folds->arena, "%s/evaluations/fold_%" PRId64 ".tsv", folds->folder, f + 1);
        char *text = NULL;
        size_t bytes;
        if (!path)
            return error_memory(error, 0, "a path");
        if (file_read(&text, &bytes, path, TABLE_MAX_BYTES, error))
            return error->status;
        int number = 0;
        for (const char *line = text; *line; number++) { /* the first identifies the inputs, the second is the header */
            const int length = (int)strcspn(line, "\n");
            if (number == 1 && f == 0)
                fprintf(file, "fold\t%.*s\n", length, line);
            if (number > 1)
                fprintf(file, "%" PRId64 "\t%.*s\n", f + 1, length, line);
            line += length + (line[length] == '\n');
        }
        memory_free(text);
    }
    return STATUS_OK;
}

static enum status folds_write(struct folds *folds, const char *name, bool heads, struct error *error)
{
    struct file_stream table;
    const char *path = folds_path(folds, name);
    enum status status = STATUS_OK;
    if (!path)
        return error_memory(error, 0, "a path");
    if (file_stream_open(&table, path, error))
        return error->status;
    if (heads)
        status = folds_print_heads(table.file, folds, error);
    else
        folds_print_tsv(table.file, folds);
    return file_stream_close(&table, status, error);
}

/* --- the model --- */

static enum status folds_read_member(void *context, int64_t member, struct model *ret, struct error *error)
{
    struct folds *folds = context;
    struct folds_model model = {0};
    if (folds_model(&model, folds, member - 1, error))
        return error->status;
    return model_read(ret, model.path, false, error);
}

static enum status folds_write_ensemble(struct folds *folds, const char *path, struct error *error)
{
    static const char *const kept[] = {"name", "recipe", "seed", "step", "versions", "defects", "licence"};
    const struct ensemble_source source = {.read = folds_read_member, .context = folds};
    const struct folds_summary all = folds_summarise(folds, 0, folds->number);
    struct model_text texts[sizeof kept / sizeof *kept + 1];
    struct model first, out;
    struct arena arena = {0};
    int64_t n = 0;
    if (folds_read_member(folds, 1, &first, error))
        return error->status;
    enum status status = model_portable(&out, &first, NULL, &arena, error);
    for (size_t i = 0; !status && i < sizeof kept / sizeof *kept; i++)
        if (model_text(&out, kept[i]))
            texts[n++] = (struct model_text){kept[i], model_text(&out, kept[i])};

    /* What no member alone can state: how good each was on heads that it had not seen. */
    char *metrics =
        arena_printf(&arena, "out_of_fold: true\nfolds: %" PRId64 "\ncases: %" PRId64 "\nfailed: %" PRId64 "\n",
                     folds->number, all.n_heads, all.n_failed);
    for (int m = 0; metrics && m < N_METRICS; m++)
        if (isfinite(all.mean[m]))
            metrics = arena_printf(&arena, "%s%s: %.6g\n", metrics, folds_metrics[m], all.mean[m]);
    texts[n++] = (struct model_text){"metrics", metrics};
    if (!status)
        status = metrics ? ensemble_write(path, folds->number, &source, texts, n, error)
                         : error_memory(error, 0, "the ensemble's texts");
    model_done(&first);
    arena_done(&arena);
    return status;
}

/* A mean of shape models would be the shape model of fewer heads: the one of all heads is the better one. */
static enum status folds_write_shape(const struct stage *stage, const char *path, struct error *error)
{
    struct fit_config config = stage->shape.fit;
    struct shape_model model;
    struct fit_report report;
    config.fold.held_out = 0;
    if (shape_fit(&model, &report, &config, error))
        return error->status;
    const enum status status = shape_model_write(path, &model, error);
    shape_model_done(&model);
    return status;
}

static enum status folds_write_model(struct folds *folds, struct error *error)
{
    struct folds_model first = {0};
    const char *path = folds_path(folds, "model.h5");
    if (!path)
        return error_memory(error, 0, "a path");
    if (folds_model(&first, folds, 0, error))
        return error->status;
    if (first.shape ? folds_write_shape(first.shape, path, error) : folds_write_ensemble(folds, path, error))
        return error_while(error, "writing the model of all folds");
    log_info("finished: %" PRId64 " folds; %s is %s", folds->number, path,
             first.shape ? "a shape model of all their heads" : "their ensemble");
    return STATUS_OK;
}

/* All folds are measured. Two processes may come here together: one after the other, with the same bytes. */
static enum status folds_finish(struct folds *folds, struct error *error)
{
    struct claim claim = {.file = -1};
    bool taken = false;
    const char *lock = folds_path(folds, "claims/folder");
    enum status status = lock ? claim_take(&claim, &taken, lock, true, error) : error_memory(error, 0, "a path");
    if (!status)
        status = folds_write(folds, "folds.tsv", false, error);
    if (!status)
        status = folds_write(folds, "out_of_fold.tsv", true, error);
    if (!status)
        status = folds_write_model(folds, error);
    if (!status)
        status = folds_status(folds, "finished", folds->number, NULL, error);
    claim_drop(&claim);
    if (!status && folds->request->table)
        status = folds_print_table(folds->request->table, folds, error);
    return status;
}

static enum status folds_all(struct folds *folds, struct error *error)
{
    static const char *const states[] = {"finished", "failed", "failed", "stopped"};
    const struct claim_work work = {.n = folds->number, .name = folds_name, .run = folds_one, .context = folds};
    int64_t elsewhere = 0, done = 0;
    struct error ignored = {0};

    if (folds_open(folds, error))
        return error->status;
    const char *claims = folds_path(folds, "claims");
    enum status status = claims ? claim_each(&work, claims, &elsewhere, error) : error_memory(error, 0, "a path");
    for (int64_t f = 0; f < folds->number; f++)
        done += folds->measured[f].done;
    if (!status && elsewhere > 0)
        log_info("%" PRId64 " of %" PRId64
                 " folds are in the hands of other processes; the last one to end makes tables "
                 "and model",
                 elsewhere, folds->number);
    else if (!status)
        status = folds_finish(folds, error);
    if (status)
        folds_status(folds, states[status], done, error->text, &ignored);
    if (status == STATUS_STOPPED)
        error_while(error, "training %" PRId64 " folds (go on with: calvaria train --resume %s)", folds->number,
                    folds->folder);
    return status;
}

enum status folds_run(const struct trainer_request *request, const char *recipe, int64_t number, struct error *error)
{
    const char *metrics[N_METRICS];
    struct folds folds = {.request = request, .number = number, .threads = parallel_threads(), .recipe = recipe};
    for (int m = 0; m < N_METRICS; m++)
        metrics[m] = folds_metrics[m];
    folds.measure = (struct ablate_measure){.counts_failures = true, .metrics = {N_METRICS, metrics}};
    folds.measured = arena_alloc(&folds.arena, (size_t)number, sizeof *folds.measured);
    enum status status = STATUS_OK;
    if (request->replicas && request->replicas->n > 1)
        status = error_set(error, STATUS_USAGE,
                           "data.folds: under mpirun (start each process alone, with --join: they share the folds)");
    else if (!folds.measured)
        status = error_memory(error, 0, "the folds");
    else
        status = folds_all(&folds, error);
    arena_done(&folds.arena);
    return status;
}
