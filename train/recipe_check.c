/* recipe_check.c - The rules of a recipe that span keys. All are collected, so that one run shows every mistake.
 * Test: tests/train/test_recipe.c, tests/bad_configs */
#include "train/recipe.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "data/metrics.h"
#include "train/train_step.h"
#include "train/warm_start.h"

/* --- patch and network --- */

bool recipe_patch_fits(const struct recipe *recipe, const int64_t patch[3], struct error *error)
{
    struct network_cost cost;
    struct shape src = {1, recipe->network.input_channels, patch[2], patch[1], patch[0]};
    if (network_cost(&cost, &recipe->network, src, error))
        return false;
    if (cost.dst.d == src.d && cost.dst.h == src.h && cost.dst.w == src.w)
        return true;
    char want[SHAPE_TEXT], got[SHAPE_TEXT];
    error_set(error, STATUS_USAGE, "network '%s': gives %s for %s: the output must have the patch's size",
              recipe->network.name, shape_text(got, cost.dst), shape_text(want, src));
    return false;
}

/* Looks along axis a, the other axes at a size that fits, for the nearest sizes that do. 0: none within `reach`. */
static void recipe_patch_neighbours(const struct recipe *recipe, int64_t good, int a, int64_t size, int64_t *ret_below,
                                    int64_t *ret_above)
{
    enum { REACH = 256 };
    struct error scratch = {0};
    *ret_below = *ret_above = 0;
    for (int64_t step = 1; step <= REACH; step++) {
        int64_t below[3] = {good, good, good}, above[3] = {good, good, good};
        below[a] = size - step;
        above[a] = size + step;
        if (!*ret_below && below[a] > 0 && recipe_patch_fits(recipe, below, &scratch))
            *ret_below = below[a];
        if (!*ret_above && recipe_patch_fits(recipe, above, &scratch))
            *ret_above = above[a];
        if (*ret_below && *ret_above)
            return;
    }
}

/* The edge of a cube that the network takes, or 0. */
static int64_t recipe_good_cube(const struct recipe *recipe)
{
    struct error scratch = {0};
    for (int64_t edge = 256; edge >= 4; edge /= 2)
        if (recipe_patch_fits(recipe, (const int64_t[3]){edge, edge, edge}, &scratch))
            return edge;
    return 0;
}

/* The a-th number of a list, or whatever was written instead. */
static const struct yaml_node *recipe_axis_node(const struct recipe *recipe, const char *key, int a)
{
    const struct yaml_node *node = recipe_key(recipe, key);
    return node && node->kind == YAML_LIST && node->n_items == 3 ? node->items[a] : node;
}

/* What the network says of itself. Its status stays: a failed allocation is no fault of the recipe's. */
static void recipe_add_network_error(struct error *error, const struct error *network_error, const char *hint)
{
    error_add(error, network_error->status, "%.*s%s", (int)strcspn(network_error->text, "\n"), network_error->text,
              network_error->status == STATUS_USAGE ? hint : "");
}

static void recipe_check_patch(const struct recipe *recipe, const char *key, const int64_t patch[3],
                               struct error *error)
{
    struct error network_error = {0};

    if (recipe_patch_fits(recipe, patch, &network_error))
        return;
    if (network_error.status == STATUS_FAILED) {
        recipe_add_network_error(error, &network_error, "");
        return;
    }
    int64_t good = recipe_good_cube(recipe);
    int n_bad = 0;

    /* One axis at a time, the others at a size that fits, so that the message names the axis. */
    for (int a = 0; good && a < 3; a++) {
        struct error scratch = {0};
        int64_t one[3] = {good, good, good}, below, above;
        one[a] = patch[a];
        if (recipe_patch_fits(recipe, one, &scratch))
            continue;
        n_bad++;
        recipe_patch_neighbours(recipe, good, a, patch[a], &below, &above);
        char hint[96] = "";
        if (below && above)
            snprintf(hint, sizeof hint, " (%" PRId64 " or %" PRId64 " would fit)", below, above);
        else if (below || above)
            snprintf(hint, sizeof hint, " (%" PRId64 " would fit)", below ? below : above);
        yaml_error(error, recipe_axis_node(recipe, key, a),
                   "%s[%d]: %" PRId64 " does not fit the layers of network '%s'%s", key, a, patch[a],
                   recipe->network.name, hint);
    }

    /* No single axis is to blame: the network's own message. */
    network_error.text[strcspn(network_error.text, "\n")] = '\0';

    if (good == 0)
        yaml_error(error, recipe_key(recipe, "network.layers"), "network.layers: no patch fits: %s",
                   network_error.text);
    else if (n_bad == 0)
        yaml_error(error, recipe_key(recipe, key),
                   "%s: %" PRId64 " x %" PRId64 " x %" PRId64 " does not fit the network: %s", key, patch[0], patch[1],
                   patch[2], network_error.text);
}

static void recipe_check_channels(const struct recipe *recipe, struct error *error)
{
    struct error scratch = {0};
    struct network_cost cost;
    int64_t good = recipe_good_cube(recipe);
    if (good && !network_cost(&cost, &recipe->network, (struct shape){1, 1, good, good, good}, &scratch) &&
        cost.dst.c != 1)
        yaml_error(error, recipe_key(recipe, "network.layers"),
                   "network.layers: the last layer gives %" PRId64
                   " channels, the targets have 1 (end with a layer of filters: 1)",
                   cost.dst.c);
}

static void recipe_check_network(const struct recipe *recipe, struct error *error)
{
    const struct network_config *network = &recipe->network;
    struct error network_error = {0};
    struct params params = {0};

    if (network->layers.n == 0) {
        yaml_error(error, recipe_key(recipe, "network.layers"),
                   "network.layers: there are none (begin the recipe with `extends: [../networks/mia_ae_patch.yaml]`)");
        return;
    }

    /* With a shape model there may be a third one; train_step_open knows what the coarse stage is. */
    const int64_t least = recipe->coarse ? 2 : 1, most = recipe->coarse ? 3 : 1;

    if (network->input_channels < least || network->input_channels > most) {
        yaml_error(error, recipe_key(recipe, "network.input_channels"),
                   "network.input_channels: %" PRId64 ", but training patches have %s", network->input_channels,
                   recipe->coarse ? "2 channels, the skull and the coarse prediction (2 would fit)"
                                  : "1 channel (1 would fit)");
        return;
    }

    /* Layers are checked before patches: their messages explain more. */
    if (network_describe(&params, network, &network_error)) {
        recipe_add_network_error(error, &network_error, "");
    } else {
        recipe_check_channels(recipe, error);
        recipe_check_patch(recipe, "data.patch_vox", recipe->data.patch_vox, error);
        if (memcmp(recipe->restore.window.patch_vox, recipe->data.patch_vox, sizeof recipe->data.patch_vox) != 0)
            recipe_check_patch(recipe, "restore.patch_vox", recipe->restore.window.patch_vox, error);
    }

    params_done(&params);
}

/* --- names of layers --- */

static void recipe_check_layer_patterns(const struct recipe *recipe, const char *key,
                                        const struct config_strings *patterns, const struct params *params,
                                        struct error *error)
{
    enum { NAMES = 256 };
    const char *names[NAMES + 1];
    char text[NAMES][LAYER_NAME_TEXT];
    int n = 0;

    for (int64_t i = 0; i < params->n && n < NAMES; i++, n++)
        names[n] = param_layer_name(text[n], &params->items[i]);
    names[n] = NULL;

    /* A pattern that matches nothing is a typing error, not a wish. */
    for (int64_t p = 0; p < patterns->n; p++) {
        struct config_strings one = {1, &patterns->items[p]};
        bool found = false;
        for (int i = 0; i < n && !found; i++)
            found = recipe_matches(&one, names[i]);
        if (found)
            continue;
        const char *near = config_nearest(patterns->items[p], names);
        yaml_error(error, recipe_key(recipe, key), "%s: no layer with parameters is called '%s'%s%s%s", key,
                   patterns->items[p], near ? " (did you mean '" : " (`calvaria info` lists them)", near ? near : "",
                   near ? "'?)" : "");
    }
}

static void recipe_check_layers(const struct recipe *recipe, struct error *error)
{
    struct error network_error = {0};
    struct params params = {0};
    if (!network_describe(&params, &recipe->network, &network_error)) {
        recipe_check_layer_patterns(recipe, "train.freeze", &recipe->train.freeze, &params, error);
        recipe_check_layer_patterns(recipe, "train.init_skip", &recipe->train.init_skip, &params, error);
    }
    params_done(&params);
}

/* --- the rest --- */

static void recipe_check_task(const struct recipe *recipe, struct error *error)
{
    const struct yaml_node *restore = recipe->node ? yaml_get(recipe->node, "restore") : NULL;
    const struct yaml_node *task = restore && restore->kind == YAML_MAP ? yaml_get(restore, "task") : NULL;
    const char *name = task_names[recipe->task];
    if (task && task->text && strcmp(task->text, name) != 0)
        yaml_error(error, task, "restore.task: '%s' contradicts the recipe's task '%s' (leave restore.task out)",
                   task->text, name);
    if (recipe->loss.n > TRAIN_STEP_MAX_LOSSES)
        yaml_error(error, recipe_key(recipe, "loss"), "loss: %" PRId64 " terms, at most %d are summed", recipe->loss.n,
                   TRAIN_STEP_MAX_LOSSES);
    if (recipe->loss.n == 0)
        yaml_error(error, recipe_key(recipe, "loss"), "loss: the list is empty (for example [ { type: mse } ])");
    if (!recipe->optimizer.table)
        yaml_error(error, recipe_key(recipe, "optimizer"),
                   "optimizer: not given (for example { type: adam, lr: 2.0e-4 })");
}

static void recipe_check_ramps(const struct recipe *recipe, struct error *error)
{
    for (int64_t i = 0; i < recipe->loss.n; i++) {
        const struct config_list *ramp = &((const struct loss_config *)recipe->loss.items[i].value)->ramp;
        for (int64_t k = 1; k < ramp->n; k++) {
            int64_t before = ((const struct loss_point *)ramp->items[k - 1].value)->step,
                    step = ((const struct loss_point *)ramp->items[k].value)->step;
            if (step <= before)
                yaml_error(error, ramp->items[k].node,
                           "loss[%" PRId64 "].ramp[%" PRId64 "].step: %" PRId64 " after %" PRId64
                           ": steps must rise (sort the points, one for each step)",
                           i, k, step, before);
        }
    }
}

static void recipe_check_adversary(const struct recipe *recipe, struct error *error)
{
    const struct adversary_config *adversary = recipe_adversary(recipe);
    struct network_cost cost;
    struct error network_error = {0};
    struct shape src = recipe_shape(recipe, 1);

    src.c = 1;
    if (!adversary)
        return;

    if (adversary->network.input_channels != 1)
        yaml_error(error, recipe_key(recipe, "adversary.network.input_channels"),
                   "adversary.network.input_channels: %" PRId64 ", but predictions have 1 channel (1 would fit)",
                   adversary->network.input_channels);
    else if (network_cost(&cost, &adversary->network, src, &network_error))
        recipe_add_network_error(error, &network_error, " (the adversary's source is a patch)");

    if (recipe->train.accumulate > 1)
        yaml_error(error, recipe_key(recipe, "train.accumulate"),
                   "train.accumulate: %" PRId64
                   " with an adversary, whose two steps belong to one batch (1, and a larger train.batch)",
                   recipe->train.accumulate);
}

static void recipe_check_correction(const struct recipe *recipe, struct error *error)
{
    struct network_config network = recipe->network;
    struct error cut = {0};
    const struct yaml_node *node = recipe_key(recipe, "restore.correction");
    if (restore_config_cut(&network, &recipe->restore, &cut))
        yaml_error(error, node, "%s", cut.text);
    if (recipe->restore.correction && !recipe->coarse)
        yaml_error(error, node, "restore.correction: there is nothing to correct (name a shape model by `coarse`)");
}

static void recipe_check_spacing(const struct recipe *recipe, struct error *error)
{
    const double mm = recipe->data.spacing_mm;
    if (recipe->coarse && mm == 0)
        yaml_error(error, recipe_key(recipe, "data.spacing_mm"),
                   "data.spacing_mm: 0, but a fine stage works at a spacing of its own (1.25 would fit)");
    for (int a = 0; a < 3 && mm > 0; a++)
        if (recipe->restore.working_spacing_mm[a] != mm) {
            yaml_error(error, recipe_key(recipe, "restore.working_spacing_mm"),
                       "restore.working_spacing_mm: %g, but the network learns at data.spacing_mm: %g (leave "
                       "restore.working_spacing_mm out)",
                       recipe->restore.working_spacing_mm[a], mm);
            return;
        }
}

static void recipe_check_best(const struct recipe *recipe, struct error *error)
{
    const struct train_config *train = &recipe->train;
    const struct yaml_node *node = recipe_key(recipe, "train.best");

    if (recipe_metric_sign(train->best) == 0) {
        enum { NAMES = 32 };
        const char *names[NAMES + 2] = {"loss"};
        for (int i = 0; i < NAMES && metrics_columns[i].name; i++)
            names[i + 1] = metrics_columns[i].name;
        const char *near = config_nearest(train->best, names);
        yaml_error(error, node, "train.best: no metric '%s' to choose a model by (%s%s%s)", train->best,
                   near ? "did you mean '" : "loss, dsc ...", near ? near : "", near ? "'?" : "");
        return;
    }

    if (train->patience > 0 && train->validate_every == 0)
        yaml_error(error, recipe_key(recipe, "train.patience"),
                   "train.patience: %" PRId64
                   " validations, but there are none (train.validate_every: 200, or patience: 0)",
                   train->patience);

    bool by_loss = strcmp(train->best, "loss") == 0;

    if (train->validate_every > 0 && by_loss && train->validate_patches == 0)
        yaml_error(error, node,
                   "train.best: loss needs validation patches (train.validate_patches: 16, or another metric)");

    if (train->validate_every > 0 && !by_loss && train->validate_cases == 0)
        yaml_error(error, node, "train.best: %s needs whole validation skulls (train.validate_cases: 2, or best: loss)",
                   train->best);
}

enum status recipe_check(const struct recipe *recipe, struct error *error)
{
    int before = error->n_errors;
    recipe_check_task(recipe, error);
    recipe_check_ramps(recipe, error);
    recipe_check_adversary(recipe, error);
    recipe_check_best(recipe, error);
    recipe_check_spacing(recipe, error);
    recipe_check_correction(recipe, error);
    recipe_check_network(recipe, error);
    if (error->n_errors == before)
        recipe_check_layers(recipe, error);
    return error->n_errors == before ? STATUS_OK : error->status;
}
