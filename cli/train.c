/* train.c - `calvaria train`: a recipe into a new run folder, or on with an old one. */
#include "train/trainer.h"

#include "cli/command.h"

struct train_options {
    struct command_options common;
    struct config_strings set;
    const char *run, *init, *resume;
};

#define OFFSET(member) offsetof(struct train_options, member)
static const struct config_field train_fields[] = {
    {.key = "set", .type = CONFIG_STRINGS, .offset = OFFSET(set), .help = "KEY=VALUE over the recipe's, as train.steps=100; may be given again"},
    {.key = "run", .type = CONFIG_PATH, .offset = OFFSET(run), .help = "the run folder to make (default runs/NAME-DATE-TIME)"},
    {.key = "init", .type = CONFIG_PATH, .offset = OFFSET(init), .help = "start from this model's weights, matched by layer name"},
    {.key = "resume", .type = CONFIG_PATH, .offset = OFFSET(resume), .help = "go on in this run folder, exactly"},
    {0},
};

static enum status run(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    const struct train_options *options = value;
    char *const *sets = (char *const *)options->set.items;
    if (options->resume && (n_inputs || options->run || options->init))
        return error_set(error, STATUS_USAGE, "--resume: takes the run folder's own recipe, weights and place (leave out RECIPE.yaml, --run "
                                              "and --init)");
    if (options->resume)
        return trainer_resume(options->resume, (int)options->set.n, sets, error);
    if (n_inputs == 0)
        return error_set(error, STATUS_USAGE, "calvaria train: no recipe (give RECIPE.yaml, as configs/recipes/demo_completion.yaml, or --resume "
                                              "RUN)");
    return trainer_start(inputs[0], (int)options->set.n, sets, options->run, options->init, error);
}

const struct command command_train = {
    .name = "train",
    .arguments = "RECIPE.yaml [--set KEY=VALUE]... [--run DIR] [--init MODEL]  |  --resume RUN",
    .example = "calvaria train configs/recipes/mia_patch_completion.yaml --set data.set=set.h5 --run runs/first",
    .options = {.help = "train a network as a recipe says", .size = sizeof(struct train_options), .base = &command_base_table,
                .fields = train_fields},
    .max_inputs = 1,
    .run = run,
};
