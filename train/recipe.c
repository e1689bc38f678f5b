/* recipe.c - The keys of a recipe, and reading; see recipe.h. The rules that span keys are in recipe_check.c.
 * Test: tests/train/test_recipe.c */
#include "train/recipe.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "data/metrics.h"

static const char *const norm_statistics_names[] = {"local", "synchronised", NULL};

#define TRAIN(member) offsetof(struct train_config, member)
/* clang-format off */
static const struct config_field train_fields[] = {
    {.key = "steps", .type = CONFIG_INT, .offset = TRAIN(steps), .text = "3000", .min = 1, .max = 1e9, .unit = "steps",
     .help = "optimizer steps of the whole run"},
    {.key = "batch", .type = CONFIG_INT, .offset = TRAIN(batch), .text = "1", .min = 1, .max = 4096, .unit = "patches",
     .help = "patches of one step, in each process"},
    {.key = "validate_every", .type = CONFIG_INT, .offset = TRAIN(validate_every), .text = "200", .min = 0,
     .max = 1e9, .unit = "steps", .help = "how often the validation split is measured, and after the last step; "
             "0: never"},
    {.key = "validate_patches", .type = CONFIG_INT, .offset = TRAIN(validate_patches), .text = "16", .min = 0,
     .max = 1e5, .unit = "patches", .help = "patches of the validation split whose loss is taken, always the same "
             "ones; 0: none"},
    {.key = "validate_cases", .type = CONFIG_INT, .offset = TRAIN(validate_cases), .text = "2", .min = 0, .max = 1e6,
     .unit = "skulls", .help = "whole skulls of the validation split restored by the deployed scan, always the "
             "same ones; bounds the cost of a validation; 0: none"},
    {.key = "pictures", .type = CONFIG_BOOL, .offset = TRAIN(pictures), .text = "true",
     .help = "draw the first of them at each validation, into validation/step_N.png"},
    {.key = "checkpoint_every", .type = CONFIG_INT, .offset = TRAIN(checkpoint_every), .text = "200", .min = 0,
     .max = 1e9, .unit = "steps", .help = "how often last.h5 is written, and after the last step; 0: at the end "
             "alone"},
    {.key = "plot_every", .type = CONFIG_INT, .offset = TRAIN(plot_every), .text = "100", .min = 0, .max = 1e9,
     .unit = "steps", .help = "how often the plots are drawn, at most every 10 s, and at validations; 0: never"},
    {.key = "tensorboard", .type = CONFIG_BOOL, .offset = TRAIN(tensorboard), .text = "true",
     .help = "write an event file that TensorBoard shows beside metrics.tsv"},
    {.key = "best", .type = CONFIG_STRING, .offset = TRAIN(best), .text = "loss",
     .help = "the validation metric that chooses best.h5: loss (of the validation patches) or a column of "
             "`calvaria evaluate`, as dsc"},
    {.key = "clip_norm", .type = CONFIG_DOUBLE, .offset = TRAIN(clip_norm), .text = "0", .min = 0, .max = 1e12,
     .help = "the gradient is scaled down to this Euclidean norm where it is larger; 0: never"},
    {.key = "accumulate", .type = CONFIG_INT, .offset = TRAIN(accumulate), .text = "1", .min = 1, .max = 4096,
     .unit = "batches", .help = "batches of a step, taken one after the other, their gradients averaged: a larger "
             "batch in the memory of a small one"},
    {.key = "ema", .type = CONFIG_DOUBLE, .offset = TRAIN(ema), .text = "0", .min = 0, .max = 0.999999,
     .help = "decay of an exponential moving average of the weights, as 0.999; the average is what is validated "
             "and saved as the model; 0: none"},
    {.key = "patience", .type = CONFIG_INT, .offset = TRAIN(patience), .text = "0", .min = 0, .max = 1e6,
     .unit = "validations", .help = "the run ends after so many validations in a row without a better `best`; 0: "
             "it goes to its last step"},
    {.key = "init", .type = CONFIG_PATH, .offset = TRAIN(init),
     .help = "a model or run folder whose weights are the start, matched by name"},
    {.key = "init_skip", .type = CONFIG_STRINGS, .offset = TRAIN(init_skip),
     .help = "layers that start at random although `init` has them; a trailing * matches the rest of a name"},
    {.key = "freeze", .type = CONFIG_STRINGS, .offset = TRAIN(freeze),
     .help = "layers that do not learn; a trailing * matches the rest of a name"},
    {.key = "threads", .type = CONFIG_INT, .offset = TRAIN(threads), .text = "0", .min = 0, .max = 4096,
     .help = "threads of the network's arithmetic; the same number gives the same bits; 0: one per processor"},
    {.key = "norm_statistics", .type = CONFIG_ENUM, .offset = TRAIN(norm_statistics), .text = "local",
     .names = norm_statistics_names, .help = "batch norm in several processes (mpirun): local: each over its own "
             "part of the batch; synchronised: over all parts, as one process with the whole batch would"},
    {0},
};
/* clang-format on */

static const struct config_table train_table = {
    .help = "The training loop: how long, how often validated and saved, what learns.",
    .size = sizeof(struct train_config),
    .fields = train_fields,
};

#define RECIPE(member) offsetof(struct recipe, member)
/* clang-format off */
static const struct config_field recipe_fields[] = {
    {.key = "name", .type = CONFIG_STRING, .offset = RECIPE(name), .text = "run", .help = "names the run folder"},
    {.key = "licence", .type = CONFIG_STRING, .offset = RECIPE(licence),
     .help = "a note written into the model, as the data's licence"},
    {.key = "seed", .type = CONFIG_INT, .offset = RECIPE(seed), .text = "1", .min = 0, .max = 9e15,
     .help = "of weights, samples and dropout: same recipe, seed and threads, same bits"},
    {.key = "task", .type = CONFIG_ENUM, .offset = RECIPE(task), .text = "completion", .names = task_names,
     .help = "completion: the network gives the whole skull; implant: only what is missing"},
    {.key = "coarse", .type = CONFIG_PATH, .offset = RECIPE(coarse),
     .help = "fine stage of a cascade: the coarse stage, whose prediction is the network's second channel and "
             "becomes part of the model: a model or run folder trained with sampler whole and spacing_mm, or a "
             "shape model (with input_channels 3 its deviation is the third channel)"},
    {.key = "network", .type = CONFIG_TABLE, .offset = RECIPE(network), .table = &network_table,
     .help = "the layers, usually by `extends`"},
    {.key = "data", .type = CONFIG_TABLE, .offset = RECIPE(data), .table = &loader_table,
     .help = "skulls, defects and patches"},
    {.key = "loss", .type = CONFIG_LIST, .offset = RECIPE(loss), .variant = loss_table_at, .help = "a weighted sum"},
    {.key = "optimizer", .type = CONFIG_CHOICE, .offset = RECIPE(optimizer), .variant = optimizer_table_at,
     .help = "the update rule"},
    {.key = "adversary", .type = CONFIG_CHOICE, .offset = RECIPE(adversary), .variant = adversary_table_at,
     .help = "a discriminator trained with the network; not given: none"},
    {.key = "schedule", .type = CONFIG_TABLE, .offset = RECIPE(schedule), .table = &schedule_table,
     .help = "the learning rate over the run"},
    {.key = "train", .type = CONFIG_TABLE, .offset = RECIPE(train), .table = &train_table, .help = "the loop"},
    {.key = "restore", .type = CONFIG_TABLE, .offset = RECIPE(restore), .table = &restore_table,
     .help = "the restoration pipeline: used by validation, stored in the model, used by `calvaria infer`"},
    {0},
};
/* clang-format on */

const struct config_table recipe_table = {
    .help = "A training recipe.",
    .size = sizeof(struct recipe),
    .fields = recipe_fields,
};

const struct yaml_node *recipe_key(const struct recipe *recipe, const char *dotted)
{
    const struct yaml_node *node = recipe->node;
    while (node && node->kind == YAML_MAP && *dotted) {
        size_t length = strcspn(dotted, ".");
        const struct yaml_node *found = NULL;
        for (int i = 0; i < node->n_items && !found; i++)
            if (strlen(node->keys[i]->text) == length && strncmp(node->keys[i]->text, dotted, length) == 0)
                found = node->items[i];
        if (!found)
            break;
        node = found;
        dotted += length;
        dotted += *dotted == '.';
    }
    return node;
}

struct shape recipe_shape(const struct recipe *recipe, int64_t batch)
{
    const int64_t *patch = recipe->data.patch_vox;
    return (struct shape){batch, recipe->network.input_channels, patch[2], patch[1], patch[0]};
}

const struct adversary_config *recipe_adversary(const struct recipe *recipe)
{
    return recipe->adversary.table ? recipe->adversary.value : NULL;
}

bool recipe_matches(const struct config_strings *patterns, const char *name)
{
    for (int64_t i = 0; i < patterns->n; i++) {
        const char *pattern = patterns->items[i];
        size_t length = strlen(pattern);
        bool open = length && pattern[length - 1] == '*';
        if (open ? strncmp(pattern, name, length - 1) == 0 : strcmp(pattern, name) == 0)
            return true;
    }
    return false;
}

int recipe_metric_sign(const char *name)
{
    if (strcmp(name, "loss") == 0)
        return -1;
    for (const struct metrics_column *column = metrics_columns; column->name; column++)
        if (strcmp(column->name, name) == 0)
            return column->sign;
    return 0;
}

enum status recipe_absolute(const char **path, struct arena *arena, struct error *error)
{
    char folder[PATH_MAX], real[PATH_MAX];
    if (!*path)
        return STATUS_OK;
    const char *whole = realpath(*path, real);
    if (!whole && errno == ENOMEM)
        return error_memory(error, PATH_MAX, "a path of the recipe");
    if (!whole && **path != '/' && getcwd(folder, sizeof folder))
        whole = file_join(arena, folder, *path);
    if (!whole)
        whole = *path;
    *path = arena_strdup(arena, whole);
    return *path ? STATUS_OK : error_memory(error, strlen(whole), "a path of the recipe");
}

/* "data.set" is a path, "data.workers" is none. */
static bool recipe_is_path(const char *dotted, size_t length)
{
    const struct config_table *table = &recipe_table;
    const char *end = dotted + length;
    while (table && dotted < end) {
        const size_t rest = (size_t)(end - dotted), word = strcspn(dotted, ".") < rest ? strcspn(dotted, ".") : rest;
        const struct config_field *field = table->fields;
        while (field && field->key && (strlen(field->key) != word || strncmp(field->key, dotted, word) != 0))
            field++;
        if (!field || !field->key)
            return false;
        if (word == rest)
            return field->type == CONFIG_PATH;
        table = field->type == CONFIG_TABLE ? field->table : NULL;
        dotted += word + 1;
    }
    return false;
}

enum status recipe_override_from(const char **assignment, const char *file, struct arena *arena, struct error *error)
{
    const char *equals = strchr(*assignment, '=');
    const size_t length = equals ? (size_t)(equals - *assignment) : 0;
    if (length == 0 || !equals[1] || equals[1] == '/' || !recipe_is_path(*assignment, length))
        return STATUS_OK;
    const char *folder = file_folder(arena, file), *path = folder ? file_join(arena, folder, equals + 1) : NULL;
    if (path && recipe_absolute(&path, arena, error)) /* it means the same where it is written down */
        return error->status;
    *assignment = path ? arena_printf(arena, "%.*s=%s", (int)length, *assignment, path) : NULL;
    return *assignment ? STATUS_OK : error_memory(error, strlen(file), "an override");
}

/* What follows from other keys where it was not given. */
static enum status recipe_complete(struct recipe *recipe, struct arena *arena, struct error *error)
{
    recipe->restore.task = recipe->task;
    struct adversary_config *adversary = recipe->adversary.table ? recipe->adversary.value : NULL;
    if (adversary && !adversary->optimizer.table)
        adversary->optimizer = recipe->optimizer;
    for (int a = 0; adversary && a < 3; a++) /* its source is a prediction: a dense layer has the size that makes */
        adversary->network.patch_vox[a] = recipe->data.patch_vox[a];

    for (int a = 0; a < 3; a++)
        if (recipe->restore.window.patch_vox[a] == 0)
            recipe->restore.window.patch_vox[a] = recipe->data.patch_vox[a];

    /* Restoration works at the spacing of training unless the recipe says otherwise. */
    bool native = true;
    for (int a = 0; a < 3; a++)
        native &= recipe->restore.working_spacing_mm[a] == 0;
    for (int a = 0; a < 3 && native; a++)
        recipe->restore.working_spacing_mm[a] = recipe->data.spacing_mm;

    /* Absolute paths: the resolved recipe means the same from any folder. */
    const char **paths[] = {&recipe->coarse, &recipe->data.set, &recipe->data.defects, &recipe->data.augment.warp_model,
                            &recipe->train.init};

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (recipe_absolute(paths[i], arena, error))
            return error->status;

    return STATUS_OK;
}

enum status recipe_bind(struct recipe *ret, const struct yaml_node *root, struct arena *arena, struct error *error)
{
    struct recipe recipe = {0};
    if (config_bind(&recipe_table, root, &recipe, arena, error))
        return error->status;
    recipe.node = root;
    if (recipe_complete(&recipe, arena, error) || recipe_check(&recipe, error))
        return error->status;
    *ret = recipe;
    return STATUS_OK;
}

enum status recipe_read(struct recipe *ret, const char *path, int n_sets, char *const *sets, struct arena *arena,
                        struct error *error)
{
    struct yaml_node *root;
    if (yaml_read_extended(&root, path, arena, error))
        return error->status;
    if (yaml_get(root, "stages"))
        return yaml_error(error, yaml_get(root, "stages"),
                          "stages: a recipe of one stage is needed here (`calvaria train` runs stages)");
    for (int i = 0; i < n_sets; i++)
        if (yaml_set(root, sets[i], arena, error))
            return error->status;
    return recipe_bind(ret, root, arena, error);
}
