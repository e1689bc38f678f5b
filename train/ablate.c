/* ablate.c - Trains and measures the grid of an ablation, seed by seed, so that a first complete table comes early.
 * Test: tests/train/test_ablate.c */
#include "train/ablate.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/claim.h"
#include "base/file.h"
#include "base/log.h"
#include "base/parallel.h"
#include "train/ablate_measure.h"
#include "train/ablate_table.h"
#include "train/trainer.h"

struct ablation {
    const struct ablate_config *config;
    const char *out;
    struct arena *arena;
    struct holdout holdout;
    struct ablate_measured *measured; /* points x seeds */
    struct ablate_result *result;
    int threads;
};

/* One run of the grid: a point and one of the seeds. */
struct cell {
    int64_t point, seed;
    const char *name;   /* of the run folder */
    const char *folder; /* OUT/runs/NAME */
    struct config_strings sets;
};

/* --- does an existing run folder belong to this grid? --- */

/* The recipe as text, without what a run fills in by itself: its own copy of the defects, its threads. Free with
 * memory_free. */
static char *ablate_recipe_text(struct recipe recipe, bool any_threads)
{
    recipe.data.defects = NULL;
    if (any_threads)
        recipe.train.threads = 0;
    return config_dump_text(&recipe_table, &recipe);
}

/* The first line in which b differs from a. */
static void ablate_first_difference(const char *a, const char *b, char line_a[128], char line_b[128])
{
    while (*a && *b) {
        size_t n_a = strcspn(a, "\n"), n_b = strcspn(b, "\n");
        if (n_a != n_b || strncmp(a, b, n_a) != 0)
            break;
        a += n_a + (a[n_a] == '\n');
        b += n_b + (b[n_b] == '\n');
    }
    a += strspn(a, " ");
    b += strspn(b, " ");
    snprintf(line_a, 128, "%.*s", (int)strcspn(a, "\n"), a);
    snprintf(line_b, 128, "%.*s", (int)strcspn(b, "\n"), b);
}

static enum status ablate_compare_texts(const char *there, const char *here, const struct cell *cell,
                                        struct error *error)
{
    char line_there[128], line_here[128];
    if (!there || !here)
        return error_memory(error, 0, "a recipe's text");
    if (strcmp(there, here) == 0)
        return STATUS_OK;
    ablate_first_difference(there, here, line_there, line_here);
    return error_set(error, STATUS_USAGE,
                     "%s: was trained by another recipe: '%s' there, '%s' here (another --out, or remove that folder)",
                     cell->folder, line_there, line_here);
}

static enum status ablate_compare_defects(const struct recipe *recipe, const struct cell *cell, struct arena *arena,
                                          struct error *error)
{
    struct defects_config there, here;
    char *path = file_join(arena, cell->folder, "defects.yaml");
    if (!path)
        return error_memory(error, 0, "a path");
    if (!recipe->data.defects ||
        !file_exists(path)) /* the recipes' other keys say so too, or it was killed before it was written */
        return STATUS_OK;
    if (defects_read(&there, path, arena, error) || defects_read(&here, recipe->data.defects, arena, error))
        return error->status;
    char *text_there = config_dump_text(&defects_table, &there), *text_here = config_dump_text(&defects_table, &here);
    enum status status = ablate_compare_texts(text_there, text_here, cell, error);
    memory_free(text_there);
    memory_free(text_here);
    return status;
}

/* The run folder holds the very recipe of this cell. */
static enum status ablate_compare_recipes(const struct ablation *ablation, const struct cell *cell, struct error *error)
{
    struct arena arena = {0};
    struct recipe there, here;
    char *path = file_join(&arena, cell->folder, "recipe.yaml");
    enum status status = path ? recipe_read(&there, path, 0, NULL, &arena, error) : error_memory(error, 0, "a path");

    if (!status)
        status = recipe_read(&here, ablation->config->base, (int)cell->sets.n, (char *const *)cell->sets.items, &arena,
                             error);
    if (!status && !there.data.defects != !here.data.defects)
        status =
            error_set(error, STATUS_USAGE, "%s: was trained with %s defects (another --out, or remove that folder)",
                      cell->folder, there.data.defects ? "generated" : "stored");

    /* Compared as text, without what a run fills in by itself. */
    if (!status) {
        bool any_threads = here.train.threads == 0;
        char *text_there = ablate_recipe_text(there, any_threads), *text_here = ablate_recipe_text(here, any_threads);
        status = ablate_compare_texts(text_there, text_here, cell, error);
        memory_free(text_there);
        memory_free(text_here);
    }
    if (!status)
        status = ablate_compare_defects(&here, cell, &arena, error);

    arena_done(&arena);
    return status;
}

/* --- training --- */

static enum status ablate_cell_make(struct cell *ret, const struct ablation *ablation, int64_t point, int64_t s,
                                    struct error *error)
{
    const char *seed = ablation->config->seeds.items[s];
    struct cell cell = {
        .point = point, .seed = s, .name = ablate_run_name(ablation->config, point, seed, true, ablation->arena)};
    cell.folder = cell.name ? arena_printf(ablation->arena, "%s/runs/%s", ablation->out, cell.name) : NULL;
    if (!cell.folder || !ablate_sets(&cell.sets, ablation->config, point, seed, true, ablation->arena))
        return error_memory(error, 0, "a run of the grid");
    *ret = cell;
    return STATUS_OK;
}

static enum status ablate_cell_train(const struct ablation *ablation, const struct cell *cell, struct error *error)
{
    parallel_set_threads(ablation->threads); /* an earlier run may have had its own number */
    if (run_set_aside(cell->folder, error))
        return error->status;

    if (!file_exists(cell->folder))
        return trainer_start(ablation->config->base, (int)cell->sets.n, (char *const *)cell->sets.items, cell->folder,
                             NULL, error);
    if (ablate_compare_recipes(ablation, cell, error))
        return error->status;

    bool finished;
    const enum status known = run_is_finished(&finished, cell->folder, error);
    if (known || finished)
        return known;
    return trainer_resume(cell->folder, 0, NULL, error);
}

/* --- measuring --- */

static enum status ablate_cell_measure(struct ablation *ablation, const struct cell *cell, struct error *error)
{
    static const char prefix[] = "restore.";
    const struct ablate_config *config = ablation->config;
    struct config_strings sets, restore = {0};
    const char *seed = config->seeds.items[cell->seed];
    char *name = ablate_run_name(config, cell->point, seed, false, ablation->arena);
    char *path = name ? arena_printf(ablation->arena, "%s/evaluations/%s.tsv", ablation->out, name) : NULL;
    char *model =
        file_join(ablation->arena, cell->folder, config->measure.model == ABLATE_BEST ? "best.h5" : "last.h5");

    if (!path || !model || !ablate_sets(&sets, config, cell->point, seed, false, ablation->arena))
        return error_memory(error, 0, "a run's measurement");

    /* Axes of `restore.` keys do not train; they apply to the trained model here. */
    restore.items = arena_alloc(ablation->arena, (size_t)sets.n + 1, sizeof *restore.items);

    for (int64_t i = 0; restore.items && i < sets.n; i++)
        if (strncmp(sets.items[i], prefix, sizeof prefix - 1) == 0)
            restore.items[restore.n++] = sets.items[i] + sizeof prefix - 1;
    if (!restore.items)
        return error_memory(error, 0, "a run's measurement");
    parallel_set_threads(ablation->threads);
    parallel_flush_denormals(); /* as in the run's own validations */
    struct ablate_measured *ret = &ablation->measured[cell->point * config->seeds.n + cell->seed];

    return ablate_measure_model(ret, &config->measure, &ablation->holdout, model, &restore, path, error);
}

/* --- the grid --- */

static enum status ablate_prepare(struct ablation *ablation, struct error *error)
{
    const struct ablate_config *config = ablation->config;
    struct recipe first;
    struct cell cell;
    const int64_t n_runs = ablate_points(config) * config->seeds.n;
    static const char *const folders[] = {"runs", "evaluations"};

    if (ablate_cell_make(&cell, ablation, 0, 0, error) ||
        recipe_read(&first, config->base, (int)cell.sets.n, (char *const *)cell.sets.items, ablation->arena, error))
        return error->status;

    if (!first.data.set && !config->measure.set)
        return error_set(error, STATUS_USAGE,
                         "data.set: not given (make one with `calvaria pack`, then --set data.set=FILE.h5)");

    /* One set of skulls for the whole grid. */
    if (ablate_open_holdout(&ablation->holdout, &config->measure, &first.data, error))
        return error->status;

    for (int64_t run = 0; run < n_runs; run++) {
        const int64_t n = ablation->holdout.n_cases, n_metrics = config->measure.metrics.n;
        double *values = arena_alloc(ablation->arena, (size_t)(n * n_metrics), sizeof *values);
        if (!values)
            return error_memory(error, (size_t)(n * n_metrics) * sizeof *values, "the measurements");
        ablation->measured[run].max_cases = n;
        ablation->measured[run].values = values;
    }
    for (int i = 0; i < 2; i++) {
        char *folder = file_join(ablation->arena, ablation->out, folders[i]);
        if (!folder || file_make_folders(folder, error))
            return folder ? error->status : error_memory(error, 0, "a path");
    }

    char *text = config_dump_text(&ablate_table, config),
         *path = file_join(ablation->arena, ablation->out, "ablation.yaml");
    enum status status =
        text && path ? file_write(path, text, strlen(text), error) : error_memory(error, 0, "ablation.yaml");

    memory_free(text);
    return status;
}

/* A run that fails is logged and left out. Only a request to stop or a folder of another recipe ends the grid. */
static enum status ablate_cell(struct ablation *ablation, struct ablate_result *ret, int64_t point, int64_t s,
                               struct error *error)
{
    struct cell cell;
    if (ablate_cell_make(&cell, ablation, point, s, error))
        return error->status;
    enum status status = ablate_cell_train(ablation, &cell, error);
    if (!status)
        status = ablate_cell_measure(ablation, &cell, error);
    if (status != STATUS_FAILED)
        return status;
    log_warn("%s: left out: %.*s", cell.name, (int)strcspn(error->text, "\n"), error->text);
    *error = (struct error){0};
    ret->n_failed++;
    return STATUS_OK;
}

/* Piece i of the work: seed by seed, so that a first complete table comes early. */
static void ablate_locate(const struct ablation *ablation, int64_t i, int64_t *ret_point, int64_t *ret_seed)
{
    *ret_point = i % ablation->result->n_points;
    *ret_seed = i / ablation->result->n_points;
}

/* What a process claims: points that restore by the same training have one name. */
static const char *ablate_claim_name(void *context, int64_t i)
{
    const struct ablation *ablation = context;
    int64_t point, s;
    ablate_locate(ablation, i, &point, &s);
    return ablate_run_name(ablation->config, point, ablation->config->seeds.items[s], true, ablation->arena);
}

/* Tables of what this process has seen. The last one to end has seen everything. */
static enum status ablate_write(struct ablation *ablation, struct error *error)
{
    struct claim claim = {.file = -1};
    bool taken = false;
    const char *lock = file_join(ablation->arena, ablation->out, "claims/tables");
    enum status status = lock ? claim_take(&claim, &taken, lock, true, error) : error_memory(error, 0, "a path");
    ablate_summarise(ablation->result, ablation->config, ablation->measured);
    if (!status)
        status = ablate_write_tables(ablation->result, ablation->config, ablation->measured, ablation->out, error);
    claim_drop(&claim);
    return status;
}

static enum status ablate_piece(void *context, int64_t i, struct error *error)
{
    struct ablation *ablation = context;
    const struct ablate_config *config = ablation->config;
    struct error ignored = {0};
    int64_t point, s;
    ablate_locate(ablation, i, &point, &s);
    const char *name = ablate_run_name(config, point, config->seeds.items[s], false, ablation->arena);
    log_info("ablation %s: %" PRId64 " of %" PRId64 ": %s", config->name, i + 1,
             ablation->result->n_points * config->seeds.n, name ? name : "");
    const enum status status = ablate_cell(ablation, ablation->result, point, s, error);
    const enum status written = ablate_write(ablation, status ? &ignored : error);
    return status ? status : written;
}

static enum status ablate_grid(struct ablation *ablation, struct ablate_result *ret, struct error *error)
{
    const struct ablate_config *config = ablation->config;
    const struct claim_work work = {
        .n = ret->n_points * config->seeds.n, .name = ablate_claim_name, .run = ablate_piece, .context = ablation};
    const char *claims = file_join(ablation->arena, ablation->out, "claims");
    ablation->result = ret;
    enum status status =
        claims ? claim_each(&work, claims, &ret->n_elsewhere, error) : error_memory(error, 0, "a path");
    if (!status && ret->n_elsewhere > 0)
        log_info("%" PRId64 " of %" PRId64 " runs are in the hands of other processes, whose tables will hold them too",
                 ret->n_elsewhere, work.n);
    ablate_plot(config, ablation->out);
    return status;
}

enum status ablate_run(struct ablate_result *ret, const struct ablate_config *config, const char *out,
                       struct arena *arena, struct error *error)
{
    struct ablation ablation = {.config = config, .out = out, .arena = arena, .threads = parallel_threads()};
    struct ablate_result result = {.n_points = ablate_points(config)};

    result.points = arena_alloc(arena, (size_t)result.n_points, sizeof *result.points);
    ablation.measured = arena_alloc(arena, (size_t)(result.n_points * config->seeds.n), sizeof *ablation.measured);
    enum status status =
        result.points && ablation.measured ? ablate_prepare(&ablation, error) : error_memory(error, 0, "the grid");
    if (!status)
        status = ablate_grid(&ablation, &result, error);
    holdout_close(&ablation.holdout);

    if (status == STATUS_STOPPED)
        error_while(error, "running ablation %s in %s (the same command continues where it stopped)", config->name,
                    out);
    if (!status)
        *ret = result;

    return status;
}
