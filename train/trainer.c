/* trainer.c - The loop around train_step_run: validation, checkpoints, the end of a run; see trainer.h. How a run
 * folder is made and reopened is in trainer_open.c.
 * Test: tests/train/test_trainer.c, tests/train/test_stop.c */
#include "train/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/file.h"
#include "base/log.h"
#include "train/stop.h"
#include "train/trainer_open.h"

static bool trainer_shared(const struct trainer *trainer)
{
    return trainer->replicas && trainer->replicas->n > 1;
}

static enum status trainer_status(struct trainer *trainer, const char *state, const char *note, struct error *error)
{
    if (!trainer_leads(trainer))
        return STATUS_OK;
    const struct run_status status = {.state = state,
                                      .step = trainer->train_step.step,
                                      .steps = trainer->recipe.train.steps,
                                      .best = trainer->recipe.train.best,
                                      .best_value = trainer->state.best,
                                      .best_step = trainer->state.best_step,
                                      .note = note};
    return run_write_status(&trainer->run, &status, error);
}

static bool trainer_due(int64_t every, int64_t step, int64_t steps)
{
    return every > 0 && (step % every == 0 || step == steps);
}

static bool trainer_validation_due(const struct trainer *trainer)
{
    const struct train_config *train = &trainer->recipe.train;
    int64_t step = trainer->train_step.step;
    return step > 0 && trainer->state.validated_step != step && trainer_due(train->validate_every, step, train->steps);
}

/* --- saving --- */

static enum status trainer_save(struct trainer *trainer, const char *name, struct error *error)
{
    const struct checkpoint_texts texts = {.metrics = *trainer->metrics ? trainer->metrics : NULL,
                                           .defects = trainer->defects};
    const char *path = run_path(&trainer->run, name);
    if (!path)
        return error_memory(error, 0, "a path");
    /* A checkpoint never outlives the rows of the steps before it. */
    if (metrics_table_sync(&trainer->history.table, error))
        return error->status;
    if (checkpoint_write(path, &trainer->train_step, &trainer->state, &texts, error)) {
        if (trainer->saved_step > 0)
            error_while(error, "training in %s; its last.h5 still holds step %" PRId64, trainer->run.folder,
                        trainer->saved_step);
        return error->status;
    }
    return STATUS_OK;
}

static enum status trainer_checkpoint(struct trainer *trainer, struct error *error)
{
    const struct params *params = &trainer->train_step.params;
    if (trainer_shared(trainer) &&
        !replicas_same(trainer->replicas, XXH64(params->value, (size_t)params->n_floats * sizeof(float),
                                                (uint64_t)trainer->train_step.step))) {
        trainer->replicas->together = true;
        return error_set(error, STATUS_FAILED,
                         "step %" PRId64 ": the processes' weights differ (another build or processor in one of them?)",
                         trainer->train_step.step);
    }
    if (trainer_leads(trainer) && trainer_save(trainer, "last.h5", error))
        return error->status;
    trainer->saved_step = trainer->train_step.step;
    trainer->dirty = false;
    return trainer_status(trainer, "running", NULL, error);
}

/* While waiting for the others, in the middle of a step: nobody may be left to finish it with. The state before the
 * step is saved now; if they are all alive, the step ends and is saved as usual. */
static void trainer_interrupted(void *context)
{
    struct trainer *trainer = context;
    struct train_step *train_step = &trainer->train_step;
    struct params *params = &train_step->params;
    struct error error = {0};
    int64_t n = params->n_floats - params->n_trainable;

    if (!trainer_leads(trainer) || !train_step->computing)
        return;

    /* The statistics of before the step go into the file, those of now come back afterwards. */
    for (int64_t i = 0; i < n; i++) {
        float now = params->value[params->n_trainable + i];
        params->value[params->n_trainable + i] = train_step->statistics[i];
        train_step->statistics[i] = now;
    }

    if (trainer_save(trainer, "last.h5", &error) == STATUS_OK &&
        trainer_status(trainer, "stopped",
                       "ended while waiting for the other processes: "
                       "did one die?",
                       &error) == STATUS_OK)
        log_warn("%s while waiting for the other processes: did one die? %s/last.h5 holds step %" PRId64
                 " (go on with --resume)",
                 stop_signal(), trainer->run.folder, train_step->step);
    else
        log_warn("%s", error.text);

    for (int64_t i = 0; i < n; i++) {
        float before = params->value[params->n_trainable + i];
        params->value[params->n_trainable + i] = train_step->statistics[i];
        train_step->statistics[i] = before;
    }
}

/* --- validation --- */

/* "step: 200\nloss: 0.01\ndsc: 0.8\n": kept in the model files. */
static void trainer_keep_metrics(struct trainer *trainer, const struct validation *validation)
{
    size_t capacity = sizeof trainer->metrics;
    size_t at =
        (size_t)snprintf(trainer->metrics, capacity, "step: %" PRId64 "\ncases: %" PRId64 "\nfailed: %" PRId64 "\n",
                         trainer->train_step.step, validation->n_cases, validation->n_failed);
    if (isfinite(validation->loss))
        at += (size_t)snprintf(trainer->metrics + at, capacity - at, "loss: %.6g\n", validation->loss);
    for (int k = 0; k < validation->n_columns && at < capacity; k++)
        if (isfinite(validation->mean[k]))
            at += (size_t)snprintf(trainer->metrics + at, capacity - at, "%s: %.6g\n", metrics_columns[k].name,
                                   validation->mean[k]);
}

/* Better than the best so far. Equal values, as the DSC 0 of a network that restores nothing yet, go by the loss. */
static bool trainer_is_better(const struct trainer *trainer, double value, double loss)
{
    const struct run_state *state = &trainer->state;
    if (!isfinite(value) || !isfinite(state->best))
        return isfinite(value);
    double gain = (value - state->best) * recipe_metric_sign(trainer->recipe.train.best);
    return gain > 0 || (gain >= 0 && loss < state->best_loss);
}

static enum status trainer_validate(struct trainer *trainer, struct error *error)
{
    struct validation validation;
    struct run_state *state = &trainer->state;
    const char *best = trainer->recipe.train.best;

    if (validator_run(&validation, trainer->validator, &trainer->run, error))
        return error->status;
    if (validation.stopped) /* the checkpoint records that it is still due */
        return STATUS_OK;
    int64_t step = trainer->train_step.step;
    double value = validation_value(&validation, best);
    bool better = trainer_is_better(trainer, value, validation.loss);

    log_info("step %" PRId64 ": validation: loss %.5g, DSC %.4f, %" PRId64 " of %" PRId64
             " failed (DSC below %.1f), %.1f s%s",
             step, validation.loss, validation_value(&validation, "dsc"), validation.n_failed, validation.n_cases,
             METRICS_FAILURE_DSC, validation.total_s, better ? ", the best so far" : "");

    /* Recorded at once, in state, model texts and metrics.tsv: a resumed run does not validate this step twice. */
    state->validated_step = step;
    trainer->dirty = true;
    trainer_keep_metrics(trainer, &validation);
    if (history_validation(&trainer->history, step, &validation, error))
        return error->status;

    /* Patience counts validations since the best one. */
    state->waited = better ? 0 : state->waited + 1;

    if (better) {
        state->best = value;
        state->best_loss = validation.loss;
        state->best_step = step;
        state->best_is_empty = validation.n_cases > 0 && validation.n_empty == validation.n_cases;
        if (trainer_save(trainer, "best.h5", error))
            return error->status;
    }

    if (trainer->recipe.train.plot_every > 0)
        history_plot(&trainer->history, true);

    return STATUS_OK;
}

static bool trainer_out_of_patience(const struct trainer *trainer)
{
    int64_t patience = trainer->recipe.train.patience;
    return patience > 0 && trainer->state.waited >= patience;
}

/* The first process validates; the others wait for its result. */
static enum status trainer_validate_together(struct trainer *trainer, struct error *error)
{
    if (trainer_leads(trainer) && trainer_validate(trainer, error))
        return error->status;
    if (!trainer_shared(trainer))
        return STATUS_OK;
    struct {
        struct run_state state;
        bool stop, dirty;
    } shared = {trainer->state, stop_requested(), trainer->dirty};
    replicas_share(trainer->replicas, &shared, sizeof shared);
    trainer->state = shared.state;
    trainer->stop = shared.stop;
    trainer->dirty = shared.dirty;
    return STATUS_OK;
}

static const char *trainer_folder(const struct trainer *trainer)
{
    return trainer->run.folder ? trainer->run.folder : "the run";
}

static bool trainer_stopping(const struct trainer *trainer)
{
    return trainer_shared(trainer) ? trainer->stop || trainer->train_step.stop : stop_requested();
}

/* --- the loop --- */

static enum status trainer_step(struct trainer *trainer, struct progress *progress, struct error *error)
{
    struct train_step *train_step = &trainer->train_step;
    const struct train_config *train = &trainer->recipe.train;
    struct train_step_result result;
    char note[64];

    /* A step that is not finite leaves the state before it in failed.h5, for a look at the cause. */
    if (train_step_run(train_step, &result, error)) {
        struct error saving = {0};
        if (trainer_leads(trainer) && trainer_save(trainer, "failed.h5", &saving) == STATUS_OK)
            error_while(error, "training in %s; failed.h5 there holds the state before this step",
                        trainer_folder(trainer));
        return error->status;
    }

    trainer->dirty = true;
    if (trainer_leads(trainer) && history_step(&trainer->history, train_step, &result, error))
        return error->status;
    snprintf(note, sizeof note, "loss %.5g", result.loss);
    progress_show(progress, train_step->step, note);

    /* Validation before the checkpoint, so that the checkpoint holds its result. */
    if (trainer_validation_due(trainer) && trainer_validate_together(trainer, error))
        return error->status;
    if (trainer_due(train->checkpoint_every, train_step->step, train->steps) && trainer_checkpoint(trainer, error))
        return error->status;
    if (trainer_leads(trainer) && trainer_due(train->plot_every, train_step->step, train->steps))
        history_plot(&trainer->history, train_step->step == train->steps);

    return STATUS_OK;
}

static enum status trainer_loop(struct trainer *trainer, struct error *error)
{
    struct train_step *train_step = &trainer->train_step;
    int64_t steps = trainer->recipe.train.steps;
    struct progress progress = {0};

    if (trainer_status(trainer, "running", NULL, error))
        return error->status;
    if (trainer_validation_due(trainer) && trainer_validate_together(trainer, error)) /* a stop had cut it short */
        return error->status;

    /* Until the last step, the end of patience, or a request to stop. */
    progress_start(&progress, "training", "steps", train_step->step, steps);
    enum status status = STATUS_OK;
    while (!status && train_step->step < steps && !trainer_out_of_patience(trainer) && !trainer_stopping(trainer))
        status = trainer_step(trainer, &progress, error);
    progress_end(&progress);

    /* All processes left the loop at the same step. */
    if (!status && trainer->replicas)
        trainer->replicas->together = true;
    if (!status && trainer->dirty)
        status = trainer_checkpoint(trainer, error);
    if (status)
        return status;

    /* How it ended: early, stopped, or complete. */
    if (trainer_out_of_patience(trainer)) {
        log_info("finished early, after step %" PRId64 " of %" PRId64 ": no better %s in %" PRId64
                 " validations (train.patience); the best, at step %" PRId64 ", is %s/best.h5",
                 train_step->step, steps, trainer->recipe.train.best, trainer->state.waited, trainer->state.best_step,
                 trainer_folder(trainer));
        return STATUS_OK;
    }

    if (train_step->step < steps || trainer_validation_due(trainer))
        return error_set(error, STATUS_STOPPED,
                         "%s: stopped by %s after step %" PRId64 " of %" PRId64
                         ", everything is saved (go on with: calvaria train --resume %s)",
                         trainer_folder(trainer), stop_signal() ? stop_signal() : "request", train_step->step, steps,
                         trainer_folder(trainer));

    log_info("finished: %" PRId64 " steps in %s", steps, trainer_folder(trainer));

    return STATUS_OK;
}

/* The end of a run, good or bad, is in its log and its STATUS. */
static enum status trainer_finish(struct trainer *trainer, enum status status, struct error *error)
{
    static const char *const states[] = {"finished", "failed", "failed", "stopped"};
    static const char empty[] = "best.h5 restores none of the validation skulls: the network needs more training";
    struct error ignored = {0};
    const char *note = status ? error->text : NULL;

    if (status && trainer->run.log)
        error_print(trainer->run.log, error);
    if (!status && trainer->state.best_is_empty && trainer_leads(trainer)) {
        log_warn("step %" PRId64 ": %s (train.steps)", trainer->state.best_step, empty);
        note = empty;
    }
    enum status written = trainer_status(trainer, states[status], note, status ? &ignored : error);
    return status ? status : written;
}

static enum status trainer_open(struct trainer *trainer, const struct trainer_request *request, struct error *error)
{
    if (request->resume)
        return trainer_reopen(trainer, request->resume, request->n_sets, request->sets, error);
    return trainer_create(trainer, request, error);
}

/* A new run that failed records it in its STATUS. A resumed one keeps its STATUS; only its log gets the error. */
static void trainer_refused(struct trainer *trainer, const struct trainer_request *request, enum status status,
                            struct error *error)
{
    if (!request->resume && trainer->run.folder)
        trainer_finish(trainer, status, error);
    else if (trainer->run.log)
        error_print(trainer->run.log, error);
}

enum status trainer_run(const struct trainer_request *request, struct error *error)
{
    struct trainer trainer = {.replicas = request->replicas};
    bool shared = trainer_shared(&trainer);

    stop_install();
    enum status status = trainer_open(&trainer, request, error);
    if (status)
        trainer_refused(&trainer, request, status, error);

    /* From here on the processes end together, or one of them aborts the rest. */
    if (shared) {
        status = replicas_agree(trainer.replicas, status, error);
        trainer.replicas->together = status != STATUS_OK;
        trainer.replicas->interrupted = trainer_interrupted;
        trainer.replicas->context = &trainer;
    }
    if (!status && request->watch && trainer_leads(&trainer))
        history_watch(&trainer.history);
    if (!status)
        status = trainer_finish(&trainer, trainer_loop(&trainer, error), error);
    if (shared && trainer.replicas->together)
        status = replicas_agree(trainer.replicas, status, error);
    if (shared)
        trainer.replicas->interrupted = NULL;
    trainer_close(&trainer);
    stop_uninstall();

    return status;
}

enum status trainer_start(const char *recipe_path, int n_sets, char *const *sets, const char *folder, const char *init,
                          struct error *error)
{
    return trainer_run(
        &(struct trainer_request){
            .recipe = recipe_path, .n_sets = n_sets, .sets = sets, .folder = folder, .init = init},
        error);
}

enum status trainer_resume(const char *folder, int n_sets, char *const *sets, struct error *error)
{
    return trainer_run(&(struct trainer_request){.resume = folder, .n_sets = n_sets, .sets = sets}, error);
}
