/* plan_measure.c - a few steps of a plan's network on this machine; see plan.h. Test: tests/train/test_training_plan.c
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/folder.h"
#include "base/log.h"
#include "shape/fit.h"
#include "train/plan.h"
#include "train/trainer.h"

enum { MEASURED_HEADS = 6, MEASURED_STEPS = 24, WARM_STEPS = 4, TABLE_BYTES_MAX = 1 << 20 };

/* A column's values in metrics.tsv, those of empty cells left out. Returns how many, at most `capacity`. */
static int64_t plan_column(double *ret, int64_t capacity, const char *table, const char *title)
{
    int64_t n = 0;
    int column = 0;
    const char *at = table;
    const size_t length = strlen(title);
    while (strncmp(at, title, length) != 0 || (at[length] != '\t' && at[length] != '\n')) {
        at += strcspn(at, "\t\n");
        if (*at != '\t')
            return 0;
        at++;
        column++;
    }
    for (const char *line = strchr(table, '\n'); line && line[1] && n < capacity; line = strchr(line + 1, '\n')) {
        const char *cell = line + 1;
        for (int c = 0; c < column && cell; c++) {
            cell += strcspn(cell, "\t\n");
            cell = *cell == '\t' ? cell + 1 : NULL;
        }
        char *end;
        const double value = cell ? strtod(cell, &end) : NAN;
        if (cell && end > cell && *cell != '\t' && *cell != '\n')
            ret[n++] = value;
    }
    return n;
}

static enum status plan_read_speed(struct plan_speed *speed, const struct plan *plan, const char *path,
                                   struct error *error)
{
    char *table;
    size_t bytes;
    double steps[MEASURED_STEPS + 1], waits[MEASURED_STEPS + 1], validations[MEASURED_STEPS + 1];
    if (file_read(&table, &bytes, path, TABLE_BYTES_MAX, error))
        return error->status;
    const int64_t n = plan_column(steps, MEASURED_STEPS, table, "step_s");
    const int64_t n_waits = plan_column(waits, MEASURED_STEPS, table, "wait_s");
    const int64_t n_validations = plan_column(validations, MEASURED_STEPS, table, "val_s");
    memory_free(table);
    if (n != n_waits || n <= WARM_STEPS)
        return error_set(error, STATUS_FAILED, "%s: no seconds of its steps", path);

    /* Means: the wait for a batch comes once for all patches of a skull */
    speed->step_s = 0;
    for (int64_t i = WARM_STEPS; i < n; i++)
        speed->step_s += (steps[i] + waits[i]) / (double)(n - WARM_STEPS);
    speed->validation_s = n_validations > 0 && plan->validation_cases > 0 ? validations[n_validations - 1] : 0;
    return STATUS_OK;
}

static enum status plan_fit_shape(struct plan_speed *speed, const struct plan_request *request, const char *path,
                                  struct error *error)
{
    struct fit_config config;
    struct fit_report report;
    struct shape_model model;
    const char *set = request->set;
    struct arena arena = {0};
    enum status status = config_bind(&fit_table, NULL, &config, &arena, error);
    config.sets = (struct config_strings){1, &set};
    config.few = MEASURED_HEADS;
    config.tune = false;
    config.trials = MEASURED_HEADS; /* a fit of many heads predicts each of them once */
    const double start_s = log_clock_s();
    if (!status && !(status = shape_fit(&model, &report, &config, error))) {
        speed->shape_head_s = (log_clock_s() - start_s) / (double)report.n_heads;
        status = shape_model_write(path, &model, error);
        shape_model_done(&model);
    }
    arena_done(&arena);
    return status;
}

static enum status plan_train(struct plan_speed *speed, const struct plan *plan, const struct plan_request *request,
                              const char *path, const char *folder, const char *name, struct arena *arena,
                              struct error *error)
{
    struct recipe recipe;
    const char *run = file_join(arena, folder, name), *shape = file_join(arena, folder, "shape.h5");
    const char *table = run ? file_join(arena, run, "metrics.tsv") : NULL;
    if (!table || !shape)
        return error_memory(error, strlen(folder), "a path");
    if (plan_recipe(&recipe, plan, request, path, arena, error))
        return error->status;
    recipe.coarse = shape;
    recipe.train.steps = MEASURED_STEPS;
    recipe.train.validate_every = plan->validation_cases > 0 ? MEASURED_STEPS : 0;
    recipe.train.validate_cases = plan->validation_cases > 0;
    recipe.train.checkpoint_every = recipe.train.plot_every = 0;
    recipe.train.pictures = recipe.train.tensorboard = false;
    const struct trainer_request training = {.read = &recipe, .folder = run};
    if (trainer_run(&training, error))
        return error->status;
    return plan_read_speed(speed, plan, table, error);
}

enum status plan_measure(struct plan_speed *ret, const struct plan *plan, const struct plan *smallest,
                         const struct plan_request *request, const char *path, struct error *error)
{
    struct arena arena = {0};
    struct plan_speed speed = *ret;
    char *folder;
    const char *shape = NULL;
    enum status status = folder_temporary(&folder, "plan", &arena, error);
    if (status) {
        arena_done(&arena);
        return status;
    }

    const enum log_level level = log_set_level(LOG_WARN);
    if (!(shape = file_join(&arena, folder, "shape.h5")))
        status = error_memory(error, strlen(folder), "a path");
    if (!status)
        status = plan_fit_shape(&speed, request, shape, error);
    if (!status && plan->has_network)
        status = plan_train(&speed, plan, request, path, folder, "standard", &arena, error);
    if (!status && plan->has_network && smallest) {
        struct plan_speed small = {0};
        status = plan_train(&small, smallest, request, path, folder, "smallest", &arena, error);
        speed.small_step_s = small.step_s;
    }
    log_set_level(level);

    folder_remove(folder);
    arena_done(&arena);
    if (!status)
        *ret = speed;
    return status ? error_while(error, "measuring a few steps of training") : STATUS_OK;
}
