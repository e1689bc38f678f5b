/* validate.c - Validation: the loss of fixed patches, and whole skulls restored and measured; see validate.h.
 * Test: tests/train/test_trainer.c */
#include "train/validate.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "data/mask/distance.h"
#include "data/picture/render.h"
#include "train/holdout.h"
#include "train/average.h"
#include "train/stop.h"

struct validator {
    struct train_step *train_step;
    struct holdout holdout;
    struct restorer *restorer;
    int64_t n_batches;     /* of patches */
    uint8_t *src, *target; /* n_batches x batch patches, 0..255 for 0..1 */
};

/* --- patches --- */

static int64_t validator_batch_floats(const struct validator *validator)
{
    const struct recipe *recipe = validator->train_step->recipe;
    return shape_count(recipe_shape(recipe, recipe->train.batch));
}

/* 0 and 1 exactly; what lies between (a resampled skull) in steps of 1/255. */
static void validate_bytes_from_floats(uint8_t *dst, const float *src, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        dst[i] = (uint8_t)lrintf(255.0f * fminf(fmaxf(src[i], 0.0f), 1.0f));
}

static void validate_floats_from_bytes(float *dst, const uint8_t *src, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        dst[i] = (float)src[i] / 255.0f;
}

static enum status validator_read_patches(struct validator *validator, struct error *error)
{
    struct train_step *train_step = validator->train_step;
    const struct recipe *recipe = train_step->recipe;
    int64_t batch = recipe->train.batch, floats = validator_batch_floats(validator);

    validator->n_batches = (recipe->train.validate_patches + batch - 1) / batch;
    if (validator->n_batches == 0)
        return STATUS_OK;

    /* Kept as bytes: a quarter of the memory of floats. */
    validator->src = memory_alloc((size_t)validator->n_batches, (size_t)floats);
    validator->target = memory_alloc((size_t)validator->n_batches, (size_t)floats);
    if (!validator->src || !validator->target)
        return error_memory(error, 2 * (size_t)validator->n_batches * (size_t)floats, "the validation patches");

    /* One worker and a fixed seed: the same patches in every validation of the run. */
    struct loader_config config;
    train_step_loader(&config, train_step);
    config.distance = false; /* taken anew at each validation */
    struct loader_position position = {0};
    struct loader *loader = NULL;
    config.workers = 1;
    enum status status = loader_new(&loader, &config, (enum task)recipe->task, SPLIT_VAL,
                                    train_step_seed(recipe, STREAM_VALIDATION), position, error);

    for (int64_t b = 0; !status && b < validator->n_batches; b++) {
        status = loader_next(loader, batch, train_step->src, train_step->target, NULL, &position, error);
        validate_bytes_from_floats(validator->src + b * floats, train_step->src, status ? 0 : floats);
        validate_bytes_from_floats(validator->target + b * floats, train_step->target, status ? 0 : floats);
    }

    loader_free(loader);
    return status;
}

/* Taken anew at each validation: quicker done than kept. `target`: a batch. */
static enum status validator_distance(struct validator *validator, const uint8_t *target, struct error *error)
{
    const struct recipe *recipe = validator->train_step->recipe;
    int64_t n = shape_voxels(recipe_shape(recipe, 1));
    uint8_t *mask = memory_alloc((size_t)n, 1);
    enum status status = mask ? STATUS_OK : error_memory(error, (size_t)n, "a validation target");
    for (int64_t b = 0; !status && b < recipe->train.batch; b++) {
        for (int64_t v = 0; v < n; v++)
            mask[v] = target[b * n + v] > 127;
        status = distance_signed(validator->train_step->distance + b * n, mask, recipe->data.patch_vox, error);
    }
    memory_free(mask);
    return status;
}

/* The network's own batch buffers are free between steps. Weights that change over the run are those of its end, so
 * that the values of different steps compare. */
static enum status validator_loss(double *ret, struct validator *validator, struct error *error)
{
    struct train_step *train_step = validator->train_step;
    const struct pass pass = {.training = false};
    int64_t floats = validator_batch_floats(validator);
    double sum = 0;
    for (int64_t b = 0; b < validator->n_batches && !stop_requested(); b++) {
        if (train_step->distance && validator_distance(validator, validator->target + b * floats, error))
            return error->status;
        validate_floats_from_bytes(train_step->src, validator->src + b * floats, floats);
        validate_floats_from_bytes(train_step->target, validator->target + b * floats, floats);
        const float *p = network_forward(train_step->network, train_step->src, &pass);
        sum += train_step_loss(train_step, p, train_step->recipe->train.steps, NULL, NULL);
    }
    if (network_status(train_step->network, error))
        return error->status;
    *ret = validator->n_batches ? sum / (double)validator->n_batches : NAN;
    return STATUS_OK;
}

/* --- whole skulls --- */

/* The defective skull, what the implant got right, what it missed, what it put too much. */
static enum status validate_picture(struct trial *trial, const char *path, int64_t step, struct error *error)
{
    uint8_t *truth = trial->implant.data, *predicted = trial->restoration.implant.data,
            *hit = trial->restoration.completed.data;
    char title[256];
    int64_t n = grid_voxels(&trial->skull.grid);

    for (int64_t v = 0; v < n; v++) { /* the three masks become disjoint; nobody reads them after this */
        hit[v] = truth[v] && predicted[v];
        truth[v] = truth[v] && !hit[v];
        predicted[v] = predicted[v] && !hit[v];
    }

    /* Each mask has its colour; the view is centred on the implant. */
    snprintf(title, sizeof title, "%s, step %" PRId64 ", DSC %.3f", trial->name, step, trial->metrics.dsc);

    const struct render_layer layers[] = {
        {.mask = trial->skull.data, .rgb = COLOUR_BONE, .name = "defective skull"},
        {.mask = hit, .rgb = COLOUR_CORRECT, .name = "correct"},
        {.mask = truth, .rgb = COLOUR_MISSED, .name = "missed"},
        {.mask = predicted, .rgb = COLOUR_EXTRA, .name = "too much"},
    };

    int focus = mask_count(hit, n) > 0 ? 1 : 2;

    return render_sheet(path, &trial->skull.grid, layers, 4, focus, title, error);
}

/* --- the whole --- */

static void validate_add(struct validation *ret, int64_t count[VALIDATION_MAX_COLUMNS], const struct trial *trial)
{
    for (int k = 0; k < ret->n_columns; k++) {
        double value = metrics_columns[k].value(&trial->metrics);
        if (isfinite(value)) {
            ret->mean[k] += value;
            count[k]++;
        }
    }
    ret->n_cases++;
    ret->n_failed += metrics_is_failure(&trial->metrics);
    ret->n_empty += trial->metrics.failed;
}

static enum status validator_restore(struct validation *ret, struct validator *validator, FILE *table,
                                     const char *picture, struct error *error)
{
    int64_t count[VALIDATION_MAX_COLUMNS] = {0};

    for (int64_t c = 0; c < validator->holdout.n_cases && !stop_requested(); c++) {
        struct trial trial = {0};
        enum status status = trial_read(&trial, &validator->holdout, c, error);
        if (!status)
            status = trial_restore(&trial, validator->restorer, error);
        if (!status) {
            trial_print_row(table, &trial);
            validate_add(ret, count, &trial);
        }
        if (!status && c == 0 && validator->train_step->recipe->train.pictures)
            status = validate_picture(&trial, picture, validator->train_step->step, error);
        trial_done(&trial);
        if (status)
            return status;
    }

    /* Means over the cases where the metric exists. */
    for (int k = 0; k < ret->n_columns; k++)
        ret->mean[k] = count[k] ? ret->mean[k] / (double)count[k] : NAN;
    return STATUS_OK;
}

const char *validation_path(struct run *run, int64_t step, const char *ending)
{
    const char *name = arena_printf(&run->arena, "validation/step_%06" PRId64 ".%s", step, ending);
    return name ? run_path(run, name) : NULL;
}

static enum status validator_cases(struct validation *ret, struct validator *validator, struct run *run,
                                   struct error *error)
{
    const int64_t step = validator->train_step->step;
    const char *table_path = validation_path(run, step, "tsv"), *picture = validation_path(run, step, "png");
    if (!table_path || !picture)
        return error_memory(error, 0, "a path");
    struct file_stream table;
    if (file_stream_open(&table, table_path, error))
        return error->status;
    trial_print_header(table.file);
    return file_stream_close(&table, validator_restore(ret, validator, table.file, picture, error), error);
}

static enum status validator_measure(struct validation *ret, struct validator *validator, struct run *run,
                                     struct error *error)
{
    struct validation validation = {.loss = NAN};
    double start_s = log_clock_s();

    while (metrics_columns[validation.n_columns].name && validation.n_columns < VALIDATION_MAX_COLUMNS)
        validation.n_columns++;
    if (validator_loss(&validation.loss, validator, error))
        return error->status;

    /* The restorer shares the weights; what it derived from them is stale. */
    if (validator->holdout.n_cases > 0) {
        restorer_params_changed(validator->restorer);
        if (validator_cases(&validation, validator, run, error))
            return error->status;
    } else {
        for (int k = 0; k < validation.n_columns; k++)
            validation.mean[k] = NAN;
    }

    validation.stopped = stop_requested();
    validation.total_s = log_clock_s() - start_s;

    *ret = validation;
    return STATUS_OK;
}

enum status validator_run(struct validation *ret, struct validator *validator, struct run *run, struct error *error)
{
    struct train_step *train_step = validator->train_step;
    if (train_step->average)
        average_swap(train_step->average, &train_step->params);
    enum status status = validator_measure(ret, validator, run, error);
    if (train_step->average)
        average_swap(train_step->average, &train_step->params);
    return status;
}

double validation_value(const struct validation *validation, const char *name)
{
    if (strcmp(name, "loss") == 0)
        return validation->loss;
    for (int k = 0; k < validation->n_columns; k++)
        if (strcmp(metrics_columns[k].name, name) == 0)
            return validation->mean[k];
    return NAN;
}

enum status validator_open(struct validator **ret, struct train_step *train_step, struct error *error)
{
    const struct recipe *recipe = train_step->recipe;
    struct validator *validator = memory_zalloc(1, sizeof *validator);

    if (!validator)
        return error_memory(error, sizeof *validator, "the validator");
    validator->train_step = train_step;

    /* The skulls are chosen even where none is restored: a split without cases is an error at the start. */
    const struct holdout_config holdout = {.set = recipe->data.set,
                                           .fold = recipe->data.fold,
                                           .defects = recipe->data.defects,
                                           .n_cases = recipe->train.validate_cases,
                                           .seed = train_step_seed(recipe, STREAM_VALIDATION),
                                           .node = recipe_key(recipe, "data.set")};

    enum status status = holdout_open(&validator->holdout, &holdout, error);
    if (!status && recipe->train.validate_cases > 0)
        status = restorer_new(&validator->restorer, &recipe->network, &train_step->params, &recipe->restore,
                              train_step->coarse, error);
    if (!status)
        status = validator_read_patches(validator, error);
    if (status)
        validator_close(validator);
    else
        *ret = validator;

    return status;
}

void validator_close(struct validator *validator)
{
    if (!validator)
        return;
    restorer_free(validator->restorer);
    holdout_close(&validator->holdout);
    memory_free(validator->src);
    memory_free(validator->target);
    memory_free(validator);
}
