/* train.c - `calvaria train`: a recipe, or the stages it lists, into a new run folder, or a run folder resumed.
 * Test: tests/cli/test_runs.sh, tests/train/test_trainer.c */
#include "train/training.h"

#include <stdio.h>

#include "base/log.h"
#include "cli/command.h"

struct train_options {
    struct command_options common;
    struct config_strings set;
    const char *run, *init, *resume;
    bool watch;
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
    {.key = "watch", .type = CONFIG_BOOL, .offset = OFFSET(watch), .text = "false",
     .help = "a window with the curves as they grow (gnuplot, a display)"},
    {0},
};
/* clang-format on */

static enum status train_request(const struct train_options *options, const char *recipe, struct replicas *replicas,
                                 struct error *error)
{
    const struct trainer_request request = {.recipe = recipe,
                                            .resume = options->resume,
                                            .folder = options->run,
                                            .init = options->init,
                                            .n_sets = (int)options->set.n,
                                            .sets = (char *const *)options->set.items,
                                            .replicas = replicas,
                                            .watch = options->watch};

    /* A run is new or resumed, never both. */
    if (options->resume && (recipe || options->run || options->init))
        return error_set(error, STATUS_USAGE,
                         "--resume: takes the run folder's own recipe, weights and place (leave out RECIPE.yaml, --run "
                         "and --init)");

    if (!options->resume && !recipe)
        return error_set(
            error, STATUS_USAGE,
            "calvaria train: no recipe (give RECIPE.yaml, as configs/recipes/demo_completion.yaml, or --resume "
            "RUN)");

    return training_run(&request, error);
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
    .arguments = "RECIPE.yaml [--set KEY=VALUE]... [--run DIR] [--init MODEL] [--watch]  |  --resume RUN",
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
