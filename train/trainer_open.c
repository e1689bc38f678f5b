/* trainer_open.c - A run from its recipe, new or resumed; see trainer_open.h.
 * Test: tests/train/test_trainer.c */
#include "train/trainer_open.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/parallel.h"
#include "nn/engine/engine.h"
#include "train/budget.h"
#include "train/environment.h"

/* What --resume may change: nothing the weights depend on but the run's length. */
static const char *const resume_keys[] = {"train.steps",      "train.validate_every", "train.checkpoint_every",
                                          "train.plot_every", "train.patience",       "data.set",
                                          "data.workers",     "data.queue",           NULL};

/* --- the dataset --- */

struct set_facts {
    uint64_t hash;
    int64_t largest[3];
    int64_t n[SPLIT_N];
    char *split; /* case<TAB>split lines, in arena */
};

static char *trainer_split_text(const struct dataset *set, struct arena *arena)
{
    size_t bytes = 1, at = 0;
    for (int64_t i = 0; i < dataset_n_cases(set); i++)
        bytes += strlen(dataset_case(set, i)->name) + sizeof "\ttrain\n";
    char *text = arena_alloc(arena, bytes, 1);
    for (int64_t i = 0; text && i < dataset_n_cases(set); i++)
        at += (size_t)snprintf(text + at, bytes - at, "%s\t%s\n", dataset_case(set, i)->name,
                               dataset_split_names[dataset_case(set, i)->split]);
    return text;
}

static enum status trainer_read_set(struct set_facts *ret, struct trainer *trainer, struct error *error)
{
    const struct recipe *recipe = &trainer->recipe;
    struct set_facts facts = {0};
    struct dataset *set;

    if (!recipe->data.set)
        return yaml_error(error, recipe_key(recipe, "data"),
                          "data.set: not given (make one with `calvaria pack`, then --set data.set=FILE.h5)");

    if (recipe->data.fold.number > 0 && recipe->data.fold.held_out == 0)
        return yaml_error(error, recipe_key(recipe, "data.folds"),
                          "data.folds.held_out: not given (1 ... %" PRId64 "; `calvaria train` takes each in turn)",
                          recipe->data.fold.number);

    if (dataset_open_fold(&set, recipe->data.set, &recipe->data.fold, error))
        return error_while(error,
                           "opening data.set (make one with `calvaria pack`, name it with --set data.set=FILE.h5)");

    /* The hash ties checkpoints to the data, the largest skull bounds the memory. */
    facts.hash = dataset_hash(set);
    facts.split = trainer_split_text(set, &trainer->arena);

    for (int64_t i = 0; i < dataset_n_cases(set); i++) {
        const struct dataset_case *one = dataset_case(set, i);
        facts.n[one->split]++;
        for (int a = 0; a < 3; a++)
            facts.largest[a] = one->grid.dim[a] > facts.largest[a] ? one->grid.dim[a] : facts.largest[a];
    }

    dataset_close(set);
    if (!facts.split)
        return error_memory(error, 0, "the split");

    if (facts.n[SPLIT_TRAIN] == 0)
        return yaml_error(error, recipe_key(recipe, "data.set"),
                          "data.set: %s: no skull in its split 'train' (pack it with --split 0.8,0.1,0.1)",
                          recipe->data.set);

    log_info("data: %s: %" PRId64 " skulls to train on, %" PRId64 " to validate, %" PRId64 " to test", recipe->data.set,
             facts.n[SPLIT_TRAIN], facts.n[SPLIT_VAL], facts.n[SPLIT_TEST]);

    *ret = facts;
    return STATUS_OK;
}

/* The defects file, resolved: the run keeps its own copy, so that an edit of the original changes nothing on resume. */
static enum status trainer_read_defects(struct trainer *trainer, struct error *error)
{
    struct defects_config defects;
    if (!trainer->recipe.data.defects)
        return STATUS_OK;
    if (defects_read(&defects, trainer->recipe.data.defects, &trainer->arena, error))
        return error->status;
    char *text = config_dump_text(&defects_table, &defects);
    trainer->defects = text ? arena_strdup(&trainer->arena, text) : NULL;
    memory_free(text);
    return trainer->defects ? STATUS_OK : error_memory(error, 0, "the defects");
}

/* --- the machine --- */

bool trainer_leads(const struct trainer *trainer)
{
    return !trainer->replicas || trainer->replicas->rank == 0;
}

/* Processes that share a machine and were not bound to processors of their own by the launcher share its threads. */
static void trainer_set_threads(struct trainer *trainer)
{
    struct recipe *recipe = &trainer->recipe;
    int64_t n_local = trainer->replicas ? trainer->replicas->n_local : 1, all = parallel_threads();
    if (recipe->train.threads > 0)
        parallel_set_threads((int)recipe->train.threads);
    else if (n_local > 1 && all >= parallel_machine_threads())
        parallel_set_threads((int)(all > n_local ? all / n_local : 1));
    recipe->train.threads = parallel_threads();
    parallel_flush_denormals();
}

/* What this process may take: its part of the machine's memory. */
static int64_t trainer_available_bytes(const struct trainer *trainer)
{
    int64_t bytes = environment_available_bytes();
    return bytes > 0 && trainer->replicas ? bytes / trainer->replicas->n_local : bytes;
}

/* --- the run folder's first files --- */

static enum status trainer_write_recipe(struct trainer *trainer, struct error *error)
{
    char *text = config_dump_text(&recipe_table, &trainer->recipe);
    enum status status =
        text ? run_write(&trainer->run, "recipe.yaml", text, error) : error_memory(error, 0, "the resolved recipe");
    memory_free(text);
    return status;
}

static enum status trainer_write_overrides(struct trainer *trainer, const char *before, int n_sets, char *const *sets,
                                           const char *init, struct error *error)
{
    const char *text = before;
    for (int i = 0; text && i < n_sets; i++)
        text = arena_printf(&trainer->arena, "%s--set %s\n", text, sets[i]);
    if (text && init)
        text = arena_printf(&trainer->arena, "%s--init %s\n", text, init);
    return text ? run_write(&trainer->run, "overrides.txt", text, error) : error_memory(error, 0, "the overrides");
}

static enum status trainer_write_network(struct trainer *trainer, struct error *error)
{
    const char *path = run_path(&trainer->run, "network.txt");
    const struct shape shape = recipe_shape(&trainer->recipe, trainer->recipe.train.batch);
    struct file_stream stream;
    if (!path)
        return error_memory(error, 0, "a path");
    if (file_stream_open(&stream, path, error))
        return error->status;
    return file_stream_close(&stream, network_print(stream.file, &trainer->recipe.network, shape, error), error);
}

static enum status trainer_write_files(struct trainer *trainer, const struct set_facts *facts, struct error *error)
{
    const char *environment = environment_text(&trainer->arena);

    if (!environment)
        return error_memory(error, 0, "the environment's description");

    if (trainer->defects) {
        const char *path = run_path(&trainer->run, "defects.yaml");
        if (!path || run_write(&trainer->run, "defects.yaml", trainer->defects, error))
            return path ? error->status : error_memory(error, 0, "a path");
        trainer->recipe.data.defects = path;
        if (recipe_absolute(&trainer->recipe.data.defects, &trainer->arena, error))
            return error->status;
    }

    if (trainer_write_recipe(trainer, error) || run_write(&trainer->run, "environment.txt", environment, error) ||
        run_write(&trainer->run, "split.tsv", facts->split, error))
        return error->status;

    return trainer_write_network(trainer, error);
}

/* --- starting and going on --- */

static void trainer_announce(const struct trainer *trainer)
{
    const struct recipe *recipe = &trainer->recipe;
    log_info("run: %s: %s, network '%s' with %" PRId64 " trainable parameters, %s, %d threads", trainer->run.folder,
             task_names[recipe->task], recipe->network.name, trainer->train_step.params.n_trainable, engine_version(),
             parallel_threads());
    if (trainer->replicas && trainer->replicas->n > 1)
        log_info("%" PRId64 " processes (%" PRId64 " on this machine), a batch of %" PRId64 " each, %s",
                 trainer->replicas->n, trainer->replicas->n_local, recipe->train.batch, replicas_library());
}

static enum status trainer_open_validator(struct trainer *trainer, struct error *error)
{
    if (trainer->recipe.train.validate_every == 0 || !trainer_leads(trainer))
        return STATUS_OK;
    return validator_open(&trainer->validator, &trainer->train_step, error);
}

static enum status trainer_read_recipe(struct trainer *trainer, const struct trainer_request *request,
                                       struct error *error)
{
    if (request->read) {
        trainer->recipe = *request->read;
        return STATUS_OK;
    }
    return recipe_read(&trainer->recipe, request->recipe, request->n_sets, request->sets, &trainer->arena, error);
}

enum status trainer_create(struct trainer *trainer, const struct trainer_request *request, struct error *error)
{
    struct recipe *recipe = &trainer->recipe;
    const char *init = request->init;
    struct set_facts facts = {0};

    if (trainer_read_recipe(trainer, request, error))
        return error->status;
    if (init)
        recipe->train.init = init;
    if (recipe_absolute(&recipe->train.init, &trainer->arena, error))
        return error->status;

    /* Everything is checked before the run folder is made: a mistake leaves no folder. */
    trainer_set_threads(trainer);

    if (trainer_read_set(&facts, trainer, error) || trainer_read_defects(trainer, error) ||
        budget_check(recipe, facts.largest, trainer_available_bytes(trainer), error))
        return error->status;
    if (train_step_open(&trainer->train_step, recipe, true, error) || trainer_open_validator(trainer, error))
        return error->status;
    trainer->state =
        (struct run_state){.best = NAN, .best_loss = NAN, .threads = recipe->train.threads, .dataset_hash = facts.hash};
    trainer->train_step.replicas = trainer->replicas;
    if (!trainer_leads(trainer))
        return train_step_start(&trainer->train_step, error);

    /* The first process alone writes the folder. */
    if (run_create(&trainer->run, request->folder, recipe->name, error) ||
        trainer_write_files(trainer, &facts, error) ||
        trainer_write_overrides(trainer, "", request->n_sets, request->sets, init, error) ||
        history_open(&trainer->history, &trainer->run, recipe, NULL, 0, error))
        return error->status;

    trainer_announce(trainer);

    return train_step_start(&trainer->train_step, error);
}

static enum status trainer_check_sets(int n_sets, char *const *sets, struct error *error)
{
    for (int i = 0; i < n_sets; i++) {
        bool allowed = false;
        for (int k = 0; resume_keys[k] && !allowed; k++)
            allowed =
                strncmp(sets[i], resume_keys[k], strlen(resume_keys[k])) == 0 && sets[i][strlen(resume_keys[k])] == '=';
        if (!allowed)
            error_add(error, STATUS_USAGE,
                      "--set %s: cannot change on resume (train.steps, train.validate_every, train.checkpoint_every, "
                      "train.plot_every, train.patience, data.set, data.workers and data.queue can; else start a new "
                      "run with --init)",
                      sets[i]);
    }
    return error->status;
}

static enum status trainer_take_checkpoint(struct trainer *trainer, const struct set_facts *facts, struct error *error)
{
    const struct recipe *recipe = &trainer->recipe;
    const char *path = run_path(&trainer->run, "last.h5");

    if (!path)
        return error_memory(error, 0, "a path");

    if (!file_exists(path)) { /* it ended before its first checkpoint: from the beginning, with the same bits */
        log_warn("%s: no last.h5: the run ended before its first checkpoint and starts from the beginning",
                 trainer->run.folder);
        trainer->state = (struct run_state){
            .best = NAN, .best_loss = NAN, .threads = recipe->train.threads, .dataset_hash = facts->hash};
        train_step_close(&trainer->train_step);
        return train_step_open(&trainer->train_step, recipe, true, error);
    }

    if (checkpoint_read(&trainer->train_step, &trainer->state, path, error))
        return error->status;

    /* Another dataset, or fewer steps than done, would not be the same run. */
    if (trainer->state.dataset_hash != facts->hash)
        return error_set(error, STATUS_FAILED, "%s: is not the dataset this run was trained on (its contents changed)",
                         recipe->data.set);

    if (recipe->train.steps < trainer->train_step.step)
        return error_set(error, STATUS_USAGE, "train.steps: %" PRId64 ", but %s is at step %" PRId64 " already",
                         recipe->train.steps, trainer->run.folder, trainer->train_step.step);

    if (trainer->state.threads != recipe->train.threads)
        log_warn("%" PRId64 " threads, the run began with %" PRId64 ": the results will differ in the last bits",
                 recipe->train.threads, trainer->state.threads);
    trainer->saved_step = trainer->train_step.step;

    return STATUS_OK;
}

/* Where the run goes on by another program, instruction set or number of threads, environment.txt gets a line. */
static enum status trainer_record_machine(struct trainer *trainer, struct error *error)
{
    struct arena *arena = &trainer->arena;
    const char *path = run_path(&trainer->run, "environment.txt"), *versions = environment_versions(arena);
    const char *here = versions ? arena_printf(arena, "%s, %d threads", versions, parallel_threads()) : NULL;
    char *text = NULL;
    size_t bytes;
    const char *own = environment_text(arena);
    if (!path || !here || !own)
        return error_memory(error, 0, "the environment's description");
    if (!file_exists(path)) /* of an early version */
        return STATUS_OK;
    if (file_read(&text, &bytes, path, 1 << 20, error))
        return error->status;

    /* What it ran on last: the file's last such line, else its own keys. */
    const char *last = NULL;
    for (const char *at = text; (at = strstr(at, "# resumed at step ")); at++)
        last = at;
    const size_t n = last ? strcspn(last, "\n") : 0;
    const bool same =
        last ? n > strlen(here) && strncmp(last + n - strlen(here), here, strlen(here)) == 0 : strcmp(own, text) == 0;
    enum status status = STATUS_OK;
    if (!same) {
        const char *longer =
            arena_printf(arena, "%s# resumed at step %" PRId64 ": %s\n", text, trainer->train_step.step, here);
        status = longer ? run_write(&trainer->run, "environment.txt", longer, error)
                        : error_memory(error, bytes, "the environment's description");
    }
    memory_free(text);
    return status;
}

/* New --set values are part of the run's record. */
static enum status trainer_record_sets(struct trainer *trainer, int n_sets, char *const *sets, struct error *error)
{
    char *before = NULL;
    size_t bytes;
    const char *path = run_path(&trainer->run, "overrides.txt");

    if (n_sets == 0)
        return STATUS_OK;
    if (!path)
        return error_memory(error, 0, "a path");
    enum status status = file_read(&before, &bytes, path, 1 << 20, error);

    const char *text =
        status ? NULL
               : arena_printf(&trainer->arena, "%s# resumed at step %" PRId64 "\n", before, trainer->train_step.step);
    if (!status)
        status = trainer_write_overrides(trainer, text, n_sets, sets, NULL, error);

    memory_free(before);
    return status ? status : trainer_write_recipe(trainer, error);
}

static enum status trainer_reread(struct trainer *trainer, int n_sets, char *const *sets, struct set_facts *facts,
                                  struct error *error)
{
    struct recipe *recipe = &trainer->recipe;
    const char *path = run_path(&trainer->run, "recipe.yaml"), *defects = run_path(&trainer->run, "defects.yaml");

    if (!path || !defects)
        return error_memory(error, 0, "a path");
    if (recipe_read(recipe, path, n_sets, sets, &trainer->arena, error))
        return error->status;
    if (recipe->data.defects) /* the run folder may have moved */
        recipe->data.defects = defects;
    if (recipe_absolute(&recipe->data.defects, &trainer->arena, error))
        return error->status;
    trainer_set_threads(trainer);
    if (trainer_read_set(facts, trainer, error) || trainer_read_defects(trainer, error))
        return error->status;

    return budget_check(recipe, facts->largest, trainer_available_bytes(trainer), error);
}

/* The coarse stage is a part of last.h5 since the first checkpoint, and is opened from there. The recipe, which models
 * record, keeps the name it was given. */
static enum status trainer_reopen_step(struct trainer *trainer, struct error *error)
{
    struct recipe *recipe = &trainer->recipe;
    const char *named = recipe->coarse, *last = run_path(&trainer->run, "last.h5");
    if (!last)
        return error_memory(error, 0, "a path");
    if (named && file_exists(last))
        recipe->coarse = last;
    const enum status status = train_step_open(&trainer->train_step, recipe, false, error);
    recipe->coarse = named;
    return status;
}

enum status trainer_reopen(struct trainer *trainer, const char *folder, int n_sets, char *const *sets,
                           struct error *error)
{
    struct set_facts facts = {0};

    trainer->state.best = trainer->state.best_loss = NAN;

    if (trainer_check_sets(n_sets, sets, error) ||
        (trainer_leads(trainer) ? run_open(&trainer->run, folder, error) : run_look(&trainer->run, folder, error)) ||
        trainer_reread(trainer, n_sets, sets, &facts, error) || trainer_reopen_step(trainer, error) ||
        trainer_take_checkpoint(trainer, &facts, error))
        return error->status;

    /* Only the first process validates and writes. */
    trainer->train_step.replicas = trainer->replicas;
    if (!trainer_leads(trainer))
        return train_step_start(&trainer->train_step, error);

    if (trainer_open_validator(trainer, error) || trainer_record_sets(trainer, n_sets, sets, error) ||
        trainer_record_machine(trainer, error) ||
        history_open(&trainer->history, &trainer->run, &trainer->recipe, &trainer->state, trainer->train_step.step,
                     error))
        return error->status;

    trainer_announce(trainer);
    log_info("resumed after step %" PRId64 " of %" PRId64, trainer->train_step.step, trainer->recipe.train.steps);

    return train_step_start(&trainer->train_step, error);
}

void trainer_close(struct trainer *trainer)
{
    history_close(&trainer->history);
    validator_close(trainer->validator);
    train_step_close(&trainer->train_step);
    run_close(&trainer->run);
    arena_done(&trainer->arena);
}
