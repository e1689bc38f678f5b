/* training.c - Stages one after the other in one run folder; see training.h. Test: tests/train/test_stages.c */
#include "train/training.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/parallel.h"
#include "nn/model/model_file.h"
#include "train/folds.h"
#include "train/stages.h"

enum { FILE_MAX_BYTES = 1 << 30, FOLDER_TEXT = 4096 };

struct training {
    struct arena arena;
    const struct trainer_request *request;
    struct stages stages;
    struct run run; /* around the stages; empty in processes that do not lead */
    char folder[FOLDER_TEXT];
    int threads;
};

static bool training_leads(const struct training *training)
{
    return !training->request->replicas || training->request->replicas->rank == 0;
}

/* What only the first process does must end alike in all of them. */
static enum status training_agree(struct training *training, enum status status, struct error *error)
{
    struct replicas *replicas = training->request->replicas;
    if (!replicas || replicas->n == 1)
        return status;
    status = replicas_agree(replicas, status, error);
    replicas->together = status != STATUS_OK;
    return status;
}

static const char *training_path(struct training *training, const char *stage, const char *file)
{
    return file ? arena_printf(&training->arena, "%s/%s/%s", training->folder, stage, file)
                : arena_printf(&training->arena, "%s/%s", training->folder, stage);
}

/* A stage's result, as a later one takes it: a file, or a run folder. NULL when memory is out. */
static const char *training_result(struct training *training, int64_t stage)
{
    const struct stage *of = &training->stages.items[stage];
    return training_path(training, of->name, of->kind == STAGE_SHAPE ? "shape.h5" : NULL);
}

static enum status training_status(struct training *training, const char *state, int64_t done, const char *note,
                                   struct error *error)
{
    const struct run_status status = {
        .state = state, .step = done, .steps = training->stages.n, .best_value = NAN, .note = note};
    return training_leads(training) ? run_write_status(&training->run, &status, error) : STATUS_OK;
}

/* --- the folder around --- */

static enum status training_write_files(struct training *training, struct error *error)
{
    const struct trainer_request *request = training->request;
    char *text = stages_text(&training->stages);
    enum status status =
        text ? run_write(&training->run, "recipe.yaml", text, error) : error_memory(error, 0, "the resolved recipe");
    memory_free(text);
    const char *sets = arena_strdup(&training->arena, "");
    for (int i = 0; sets && i < request->n_sets; i++)
        sets = arena_printf(&training->arena, "%s--set %s\n", sets, request->sets[i]);
    if (!status)
        status =
            sets ? run_write(&training->run, "overrides.txt", sets, error) : error_memory(error, 0, "the overrides");
    return status;
}

static enum status training_make(struct training *training, struct error *error)
{
    const struct trainer_request *request = training->request;
    if (!training_leads(training))
        return STATUS_OK;
    if (request->resume)
        return run_open(&training->run, request->resume, error);
    if (run_create_around(&training->run, request->folder, training->stages.name, error))
        return error->status;
    return training_write_files(training, error);
}

/* The folder, made or opened by the first process, by its absolute path: stages write it down. */
static enum status training_open(struct training *training, struct error *error)
{
    struct replicas *replicas = training->request->replicas;
    enum status status = training_make(training, error);
    const char *folder = training->run.folder;
    if (!status && folder)
        status = recipe_absolute(&folder, &training->arena, error);
    if (!status && folder && strlen(folder) >= FOLDER_TEXT)
        status = error_set(error, STATUS_USAGE, "%s: the path of the run folder is too long", folder);
    if (!status && folder)
        memcpy(training->folder, folder, strlen(folder) + 1);
    status = training_agree(training, status, error);
    if (!status && replicas)
        replicas_share(replicas, training->folder, FOLDER_TEXT);
    return status;
}

/* --- one stage --- */

/* The overrides of a resumed run that are for this stage. */
static enum status training_sets(struct config_strings *ret, struct training *training, const struct stage *stage,
                                 struct error *error)
{
    const struct trainer_request *request = training->request;
    const char *own = arena_printf(&training->arena, "stages.%s.", stage->name);
    ret->n = 0;
    ret->items = arena_alloc(&training->arena, (size_t)request->n_sets + 1, sizeof *ret->items);
    if (!own || !ret->items)
        return error_memory(error, 0, "the overrides");
    for (int i = 0; i < request->n_sets; i++)
        if (strncmp(request->sets[i], own, strlen(own)) == 0)
            ret->items[ret->n++] = request->sets[i] + strlen(own);
        else if (strncmp(request->sets[i], "stages.", 7) != 0)
            ret->items[ret->n++] = request->sets[i];
    return STATUS_OK;
}

static enum status training_network(struct training *training, const struct stage *stage, struct error *error)
{
    const char *folder = training_path(training, stage->name, NULL);
    struct trainer_request request = {.replicas = training->request->replicas, .watch = training->request->watch};
    struct recipe recipe = stage->recipe;
    struct config_strings sets;
    bool begun = false;

    /* Whether it has begun is seen by the first process, and is the same for all. */
    enum status status = folder ? STATUS_OK : error_memory(error, 0, "a path");
    if (!status && training_leads(training)) {
        status = run_set_aside(folder, error);
        begun = file_exists(folder);
    }
    status = training_agree(training, status, error);
    if (!status && request.replicas)
        replicas_share(request.replicas, &begun, sizeof begun);

    /* On with its folder, or a new one on the stages before it. */
    if (!status && begun) {
        status = training_sets(&sets, training, stage, error);
        request.resume = folder;
        request.n_sets = (int)sets.n;
        request.sets = (char *const *)sets.items;
    } else if (!status) {
        request.folder = folder;
        request.read = &recipe;
        if (stage->coarse >= 0 && !(recipe.coarse = training_result(training, stage->coarse)))
            status = error_memory(error, 0, "a path");
        if (stage->init >= 0 && !(recipe.train.init = training_result(training, stage->init)))
            status = error_memory(error, 0, "a path");
    }
    if (!status)
        status = trainer_run(&request, error);
    if (training_leads(training))
        log_set_file(training->run.log); /* the stage's own log is closed */
    return status;
}

static enum status training_shape(struct training *training, const struct stage *stage, struct error *error)
{
    const char *path = training_path(training, stage->name, "shape.h5"),
               *folder = training_path(training, stage->name, NULL);
    struct shape_model model;
    struct fit_report report;
    if (!path || !folder)
        return error_memory(error, 0, "a path");
    parallel_flush_denormals(); /* as after a network's stage: the same bits in any order, also resumed */
    if (file_make_folders(folder, error) || shape_fit(&model, &report, &stage->shape.fit, error))
        return error->status;
    const enum status status = shape_model_write(path, &model, error);
    shape_model_done(&model);
    if (!status)
        log_info("shape model: %" PRId64 " heads (%" PRId64 " groups), overlap of heads left out %.4f, %s",
                 report.n_heads, report.n_groups, report.checked.overlap, path);
    return status;
}

static enum status training_is_done(bool *ret, struct training *training, const struct stage *stage,
                                    struct error *error)
{
    const char *result = training_result(training, stage - training->stages.items);
    if (!result)
        return error_memory(error, strlen(training->folder), "a path");
    *ret = stage->kind == STAGE_SHAPE && file_exists(result);
    return stage->kind == STAGE_SHAPE ? STATUS_OK : run_is_finished(ret, result, error);
}

static enum status training_stage(struct training *training, int64_t i, struct error *error)
{
    const struct stage *stage = &training->stages.items[i];
    struct replicas *replicas = training->request->replicas;
    bool done = false;
    enum status status = training_leads(training) ? training_is_done(&done, training, stage, error) : STATUS_OK;

    if ((status = training_agree(training, status, error)))
        return status;
    if (replicas)
        replicas_share(replicas, &done, sizeof done);
    log_info("stage %" PRId64 " of %" PRId64 ": %s%s", i + 1, training->stages.n, stage->name,
             done ? ": finished before" : "");
    if (done)
        return STATUS_OK;
    parallel_set_threads(training->threads); /* an earlier stage may have had its own number */
    status = training_status(training, "running", i, NULL, error);
    if (stage->kind == STAGE_SHAPE) {
        if (!status && training_leads(training))
            status = training_shape(training, stage, error);
        status = training_agree(training, status, error);
    } else if (!status)
        status = training_network(training, stage, error);
    return status ? error_while(error, "training stage '%s' of %s", stage->name, training->folder) : STATUS_OK;
}

/* --- the result --- */

static enum status training_copy_shape(const char *from, const char *to, struct error *error)
{
    char *bytes = NULL;
    size_t n;
    if (file_read(&bytes, &n, from, FILE_MAX_BYTES, error))
        return error->status;
    const enum status status = file_write(to, bytes, n, error);
    memory_free(bytes);
    return status;
}

static enum status training_copy_model(const char *folder, const char *to, struct error *error)
{
    struct arena arena = {0};
    struct model model = {0}, out;
    const char *from;
    enum status status = restorer_find(&from, folder, &arena, error);
    if (!status)
        status = model_read(&model, from, false, error);
    if (!status)
        status = model_portable(&out, &model, NULL, &arena, error);
    if (!status)
        status = model_write(to, &out, error);
    model_done(&model);
    arena_done(&arena);
    return status;
}

static enum status training_finish(struct training *training, struct error *error)
{
    const int64_t last = training->stages.n - 1;
    const char *from = training_result(training, last), *to = run_path(&training->run, "model.h5");
    if (!from || !to)
        return error_memory(error, 0, "a path");
    if (training->stages.items[last].kind == STAGE_SHAPE ? training_copy_shape(from, to, error)
                                                         : training_copy_model(from, to, error))
        return error_while(error, "writing the model of all stages");
    log_info("finished: %" PRId64 " stages; the model is %s", training->stages.n, to);
    return training_status(training, "finished", training->stages.n, NULL, error);
}

static enum status training_all(struct training *training, struct error *error)
{
    static const char *const states[] = {"finished", "failed", "failed", "stopped"};
    int64_t done = 0;
    enum status status = training_open(training, error);
    for (; !status && done < training->stages.n; done += !status)
        status = training_stage(training, done, error);
    if (!status)
        status =
            training_agree(training, training_leads(training) ? training_finish(training, error) : STATUS_OK, error);
    if (status && training->run.log) {
        struct error ignored = {0};
        error_print(training->run.log, error);
        training_status(training, states[status], done, error->text, &ignored);
    }
    if (status == STATUS_STOPPED)
        error_while(error, "running the stages of %s (go on with: calvaria train --resume %s)", training->folder,
                    training->folder);
    run_close(&training->run);
    return status;
}

static enum status training_of_stages(const struct trainer_request *request, const char *recipe, struct error *error)
{
    struct training training = {.request = request, .threads = parallel_threads()};
    const bool resumed = request->resume != NULL;
    enum status status = STATUS_OK;

    if (request->init)
        status = error_set(error, STATUS_USAGE,
                           "--init: the recipe lists stages (write it into one of them: train: { init: MODEL })");
    if (!status)
        status =
            stages_read(&training.stages, recipe, resumed ? 0 : request->n_sets, request->sets, &training.arena, error);
    if (!status)
        status = training_all(&training, error);
    arena_done(&training.arena);
    return status;
}

enum status training_run(const struct trainer_request *request, struct error *error)
{
    struct arena arena = {0};
    const char *recipe = request->resume ? file_join(&arena, request->resume, "recipe.yaml") : request->recipe;
    const struct stages_look look =
        recipe ? stages_look(recipe, request->resume ? 0 : request->n_sets, request->sets) : (struct stages_look){0};
    const bool folds = look.folds.number > 0 && look.folds.held_out == 0;
    enum status status = STATUS_OK;

    if (!recipe || look.no_memory)
        status = error_memory(error, 0, "the recipe");
    else if (request->join && !folds)
        status = error_set(error, STATUS_USAGE, "--join: nothing to share: the recipe has no folds (--folds 5)");
    else if (folds)
        status = folds_run(request, recipe, look.folds.number, error);
    else if (look.stages)
        status = training_of_stages(request, recipe, error);
    else
        status = trainer_run(request, error);
    arena_done(&arena);
    return status;
}
