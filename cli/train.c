/* train.c - `calvaria train`: a recipe, or the stages it lists, into a new run folder, or a run folder resumed.
 * Test: tests/cli/test_runs_command.sh, tests/train/test_trainer.c */
#include "train/training.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/configs.h"
#include "base/log.h"
#include "cli/command.h"

struct train_options {
    struct command_options common;
    struct config_strings set;
    const char *run, *init, *resume;
    int64_t folds;
    bool join, watch;
};

#define OFFSET(member) offsetof(struct train_options, member)
/* clang-format off */
static const struct config_field train_fields[] = {
    {.key = "set", .type = CONFIG_STRINGS, .offset = OFFSET(set),
     .help = "KEY=VALUE over the recipe's, as train.steps=100 or stages.fine.train.steps=100"},
    {.key = "run", .type = CONFIG_PATH, .offset = OFFSET(run),
     .help = "the run folder to make (default runs/NAME-DATE-TIME)"},
    {.key = "init", .type = CONFIG_PATH, .offset = OFFSET(init),
     .help = "start from this model's weights, matched by layer name"},
    {.key = "resume", .type = CONFIG_PATH, .offset = OFFSET(resume), .help = "go on in this run folder, exactly"},
    {.key = "folds", .type = CONFIG_INT, .offset = OFFSET(folds), .text = "0", .min = 0, .max = 1000, .unit = "folds",
     .help = "cross-validation by head, then an ensemble: as --set data.folds.number=N; 0: none"},
    {.key = "join", .type = CONFIG_BOOL, .offset = OFFSET(join), .text = "false",
     .help = "with folds: share them with other processes that run the same command with the same --run"},
    {.key = "watch", .type = CONFIG_BOOL, .offset = OFFSET(watch), .text = "false",
     .help = "a window with the curves as they grow (gnuplot, a display)"},
    {0},
};
/* clang-format on */

/* --set as given, and --folds as one more of them. */
static enum status train_sets(struct config_strings *ret, const struct train_options *options, struct arena *arena,
                              struct error *error)
{
    ret->n = 0;
    ret->items = arena_alloc(arena, (size_t)options->set.n + 1, sizeof *ret->items);
    if (!ret->items)
        return error_memory(error, 0, "the overrides");
    for (int64_t i = 0; i < options->set.n; i++)
        ret->items[ret->n++] = options->set.items[i];
    if (options->folds > 0 &&
        !(ret->items[ret->n++] = arena_printf(arena, "data.folds.number=%" PRId64, options->folds)))
        return error_memory(error, 0, "the overrides");
    return STATUS_OK;
}

static enum status train_request(const struct train_options *options, const char *recipe, struct replicas *replicas,
                                 struct error *error)
{
    struct arena arena = {0};
    struct config_strings sets;
    struct trainer_request request = {.recipe = recipe,
                                      .resume = options->resume,
                                      .folder = options->run,
                                      .init = options->init,
                                      .replicas = replicas,
                                      .join = options->join,
                                      .table = stdout,
                                      .watch = options->watch};

    /* A run is new or resumed, never both. */
    if (options->resume && (recipe || options->run || options->init || options->folds))
        return error_set(
            error, STATUS_USAGE,
            "--resume: takes the run folder's own recipe, weights, folds and place (leave out RECIPE.yaml, "
            "--run, --init and --folds)");

    if (!options->resume && !recipe)
        return error_set(error, STATUS_USAGE,
                         "calvaria train: no recipe (give RECIPE.yaml, a name of 'calvaria recipes', or --resume RUN)");

    /* The name of a recipe that comes with the program stands for its file. */
    enum status status = recipe ? configs_find(&request.recipe, "recipes", recipe, &arena, error) : STATUS_OK;
    if (!status)
        status = train_sets(&sets, options, &arena, error);
    if (!status) {
        request.n_sets = (int)sets.n;
        request.sets = (char *const *)sets.items;
        status = training_run(&request, error);
    }
    arena_done(&arena);
    return status;
}

static enum status train_command(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    struct replicas replicas;

    if (replicas_start(&replicas, error))
        return error->status;
    if (replicas.rank > 0)
        log_set_level(LOG_QUIET); /* the first process speaks for all */
    enum status status = train_request(value, n_inputs ? inputs[0] : NULL, &replicas, error);

    if (!replicas.together) /* the others wait for this one in vain */
        error_while(error, "training as process %d of %d, all of which end now", (int)replicas.rank + 1,
                    (int)replicas.n);
    error_print(stderr,
                error); /* before any of them ends: a launcher kills the rest when the first ends with an error */
    *error = (struct error){.status = status};
    fflush(NULL);
    if (!replicas.together)
        replicas_abort(&replicas, status);
    replicas_stop(&replicas);

    return status;
}

const struct command command_train = {
    .name = "train",
    .arguments = "RECIPE.yaml|NAME [--set KEY=VALUE]... [--folds N [--join]] [--run DIR] [--init MODEL] [--watch]  |  "
                 "--resume RUN",
    .example = "calvaria train configs/recipes/mia_patch_completion.yaml --set data.set=set.h5 --run runs/first",
    .options =
        {
            .help = "train a network by a recipe",
            .size = sizeof(struct train_options),
            .base = &command_base_table,
            .fields = train_fields,
        },
    .max_inputs = 1,
    .run = train_command,
};
