/* budget.c - Memory of a run from its recipe, before anything large is allocated; see budget.h.
 * Test: tests/train/test_recipe.c */
#include "train/budget.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "data/sample/patch_sampler.h"
#include "train/environment.h"

/* Bytes per voxel of a skull that is being restored and measured: skull, truth, implant, completed, raw (1 each), a
 * distance map (4) and the float volume of a scan that blends (4), rounded up. */
enum { VALIDATION_VOXEL_BYTES = 14, LOADER_VOXEL_BYTES = 3 };

static int64_t budget_slots(const struct config_item *optimizer)
{
    const struct optimizer_ops *ops = (const struct optimizer_ops *)optimizer->table; /* its first member */
    return ops->n_slots;
}

/* What it learns is there twice: a step may have to be taken back. */
static enum status budget_adversary(struct budget *budget, const struct recipe *recipe, struct error *error)
{
    struct network_cost cost;
    struct shape src = recipe_shape(recipe, recipe->train.batch);
    src.c = 1;
    if (network_cost(&cost, &recipe_adversary(recipe)->network, src, error))
        return error_while(error, "planning the adversary");
    budget->params_bytes +=
        4 * (cost.n_trainable +
             2 * (cost.n_params + cost.n_trainable * budget_slots(&recipe_adversary(recipe)->optimizer)));
    budget->activations_bytes +=
        cost.train_bytes + 2 * 4 * shape_count(src); /* and the gradient by its source, twice */
    return STATUS_OK;
}

enum status budget_estimate(struct budget *ret, const struct recipe *recipe, const int64_t largest[3],
                            struct error *error)
{
    const struct window_config *window = &recipe->restore.window;
    const struct train_config *train = &recipe->train;
    const int64_t voxels = largest[0] * largest[1] * largest[2];
    struct network_cost cost, scan;
    struct budget budget = {0};

    if (network_cost(&cost, &recipe->network, recipe_shape(recipe, train->batch), error))
        return error->status;
    budget.params_bytes = 4 * (cost.n_params + cost.n_trainable * (1 + budget_slots(&recipe->optimizer)));
    budget.params_bytes += 4 * ((train->accumulate > 1 ? cost.n_trainable : 0) + (train->ema > 0 ? cost.n_params : 0));
    budget.activations_bytes = cost.train_bytes;
    if (recipe_adversary(recipe) && budget_adversary(&budget, recipe, error))
        return error->status;
    int64_t patch = shape_voxels(recipe_shape(recipe, 1));
    int64_t drawn =
        sampler_count(&recipe->data, largest) * patch; /* a drawn skull's patches: a byte per voxel, or two floats */
    if (recipe->data.spacing_mm > 0)
        drawn *= 8;
    bool distance = loss_needs(&recipe->loss) & LOSS_NEEDS_DISTANCE; /* plus a float per voxel */

    budget.batch_bytes = (distance ? 4 : 3) * 4 * train->batch * patch +
                         recipe->data.queue * drawn * (distance ? 5 : 1) +
                         recipe->data.workers * LOADER_VOXEL_BYTES * voxels;
    if (train->validate_every > 0)
        budget.validation_bytes = 2 * (train->validate_patches + train->batch - 1) * patch;

    if (train->validate_every > 0 && train->validate_cases > 0) {
        struct shape src = {window->batch, recipe->network.input_channels, window->patch_vox[2], window->patch_vox[1],
                            window->patch_vox[0]};
        if (network_cost(&scan, &recipe->network, src, error))
            return error->status;
        budget.validation_bytes += scan.infer_bytes + VALIDATION_VOXEL_BYTES * voxels + window_bytes(window, largest);
    }

    budget.total_bytes = budget.params_bytes + budget.activations_bytes + budget.batch_bytes + budget.validation_bytes;

    *ret = budget;
    return STATUS_OK;
}

static bool budget_fits(const struct recipe *recipe, const int64_t largest[3], int64_t available_bytes)
{
    struct error scratch = {0};
    struct budget budget = {0};
    return budget_estimate(&budget, recipe, largest, &scratch) == STATUS_OK && budget.total_bytes <= available_bytes;
}

/* The largest size of at most `size` along axis a that the network takes; 0: none. */
static int64_t budget_shrink(const struct recipe *recipe, const int64_t patch[3], int a, int64_t size)
{
    for (; size > 0; size--) {
        struct error scratch = {0};
        int64_t one[3] = {patch[0], patch[1], patch[2]};
        one[a] = size;
        if (recipe_patch_fits(recipe, one, &scratch))
            return size;
    }
    return 0;
}

/* " (train.batch: 2 would fit)" or " (data.patch_vox: [96, 96, 96] would fit)". */
static void budget_hint(char *text, size_t capacity, const struct recipe *recipe, const int64_t largest[3],
                        int64_t available_bytes)
{
    struct recipe less = *recipe;

    for (less.train.batch--; less.train.batch > 0; less.train.batch--) {
        if (budget_fits(&less, largest, available_bytes)) {
            snprintf(text, capacity, " (train.batch: %" PRId64 " would fit)", less.train.batch);
            return;
        }
    }

    /* No batch fits: smaller patches, in eighths, that the network takes. */
    less.train.batch = 1;

    for (int eighths = 7; eighths > 0; eighths--) {
        for (int a = 0; a < 3; a++)
            less.data.patch_vox[a] =
                budget_shrink(recipe, recipe->data.patch_vox, a, recipe->data.patch_vox[a] * eighths / 8);
        for (int a = 0; a < 3; a++)
            less.restore.window.patch_vox[a] = less.data.patch_vox[a];
        if (budget_fits(&less, largest, available_bytes)) {
            snprintf(text, capacity, " (data.patch_vox: [%" PRId64 ", %" PRId64 ", %" PRId64 "]%s would fit)",
                     less.data.patch_vox[0], less.data.patch_vox[1], less.data.patch_vox[2],
                     recipe->train.batch > 1 ? " with train.batch: 1" : "");
            return;
        }
    }

    snprintf(text, capacity, " (no smaller patch of this network would fit either)");
}

enum status budget_check(const struct recipe *recipe, const int64_t largest[3], int64_t available_bytes,
                         struct error *error)
{
    struct budget budget = {0};
    char hint[160];

    if (budget_estimate(&budget, recipe, largest, error))
        return error->status;

    const int64_t process_bytes = environment_resident_bytes(); /* no longer among those available */
    log_info("memory: weights and optimizer %.2f GB, activations %.2f GB, batch and loader %.2f GB, validation %.2f "
             "GB, the program itself %.2f GB: %.2f GB in all",
             1e-9 * (double)budget.params_bytes, 1e-9 * (double)budget.activations_bytes,
             1e-9 * (double)budget.batch_bytes, 1e-9 * (double)budget.validation_bytes, 1e-9 * (double)process_bytes,
             1e-9 * (double)(budget.total_bytes + process_bytes));

    if (available_bytes < 0 || budget.total_bytes <= available_bytes)
        return STATUS_OK;
    budget_hint(hint, sizeof hint, recipe, largest, available_bytes);

    return yaml_error(error, recipe_key(recipe, "data.patch_vox"),
                      "data.patch_vox: training takes about %.1f GB, %.1f GB are available%s",
                      1e-9 * (double)budget.total_bytes, 1e-9 * (double)available_bytes, hint);
}
