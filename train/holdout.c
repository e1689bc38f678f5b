/* holdout.c - The validation skulls, each with one known defect; see holdout.h.
 * Test: tests/train/test_ablate.c, tests/train/test_trainer.c */
#include "train/holdout.h"

#include <math.h>

/* Only cases of the validation split that have a defect to restore. */
static enum status holdout_choose(struct holdout *holdout, const struct holdout_config *config, struct error *error)
{
    int64_t n_all = dataset_n_cases(holdout->set), n = 0;
    int64_t *usable = arena_alloc(&holdout->arena, (size_t)n_all + 1, sizeof *usable);

    if (!usable)
        return error_memory(error, (size_t)n_all * sizeof *usable, "the validation cases");

    for (int64_t i = 0; i < n_all; i++) {
        const struct dataset_case *one = dataset_case(holdout->set, i);
        if (one->split == SPLIT_VAL && (holdout->generated || one->n_implants > 0))
            usable[n++] = i;
    }

    if (n == 0)
        return yaml_error(error, config->node,
                          "data.set: %s: no skull with a defect in its split 'val' (pack it with --split "
                          "0.8,0.1,0.1, give data.defects, or "
                          "train.validate_every: 0)",
                          config->set);

    holdout->n_cases = config->n_cases < n ? config->n_cases : n;
    holdout->cases = usable;
    for (int64_t i = 0; i < holdout->n_cases; i++)
        usable[i] = usable[i * n / holdout->n_cases];

    return STATUS_OK;
}

enum status holdout_open(struct holdout *ret, const struct holdout_config *config, struct error *error)
{
    struct holdout holdout = {.generated = config->defects != NULL, .seed = config->seed};
    enum status status = dataset_open_fold(&holdout.set, config->set, &config->fold, error);
    if (!status && config->defects)
        status = defects_read(&holdout.defects, config->defects, &holdout.arena, error);
    if (!status)
        status = holdout_choose(&holdout, config, error);
    if (status)
        holdout_close(&holdout);
    else
        *ret = holdout;
    return status;
}

void holdout_close(struct holdout *holdout)
{
    dataset_close(holdout->set);
    arena_done(&holdout->arena);
    *holdout = (struct holdout){0};
}

enum status trial_read(struct trial *ret, struct holdout *holdout, int64_t c, struct error *error)
{
    int64_t i = holdout->cases[c];
    struct trial trial = {.name = dataset_case(holdout->set, i)->name};
    struct box box;
    enum status status = dataset_read_skull(&trial.skull, holdout->set, i, error);

    if (!status && !holdout->generated)
        status = dataset_read_implant(&trial.implant, holdout->set, i, 0, error);
    if (!status && holdout->generated)
        status = volume_new(&trial.implant, &trial.skull.grid, VOXEL_U8, error);
    if (!status && holdout->generated)
        status = defect_inject(trial.implant.data, &box, NULL, &trial.skull, &holdout->defects,
                               rng_make(holdout->seed, (uint64_t)i), error);

    if (status) {
        error_while(error, "reading case %s", trial.name);
        trial_done(&trial);
        return status;
    }

    /* The defective skull is the whole one without its implant. */
    uint8_t *skull = trial.skull.data;
    const uint8_t *implant = trial.implant.data;
    int64_t n = grid_voxels(&trial.skull.grid);
    for (int64_t v = 0; v < n; v++)
        skull[v] = skull[v] && !implant[v];

    *ret = trial;
    return STATUS_OK;
}

static enum status trial_measure(struct trial *trial, const uint8_t *predicted, struct error *error)
{
    double spacing_mm[3];
    for (int a = 0; a < 3; a++)
        spacing_mm[a] = grid_spacing_mm(&trial->skull.grid, a);
    return metrics_compare(&trial->metrics, trial->implant.data, predicted, trial->skull.data, trial->skull.grid.dim,
                           spacing_mm, error);
}

enum status trial_restore(struct trial *trial, struct restorer *restorer, struct error *error)
{
    restoration_done(&trial->restoration);
    if (restorer_run(&trial->restoration, restorer, &trial->skull, NULL, error))
        return error_while(error, "validating on case %s", trial->name);
    return trial_measure(trial, trial->restoration.implant.data, error);
}

enum status trial_fail(struct trial *trial, struct error *error)
{
    const size_t n = (size_t)grid_voxels(&trial->skull.grid);
    uint8_t *nothing = memory_zalloc(n, 1);
    if (!nothing)
        return error_memory(error, n, "an empty implant");
    const enum status status = trial_measure(trial, nothing, error);
    memory_free(nothing);
    return status;
}

void trial_done(struct trial *trial)
{
    volume_done(&trial->skull);
    volume_done(&trial->implant);
    restoration_done(&trial->restoration);
}

void trial_print_header(FILE *table)
{
    fputs("case", table);
    for (int k = 0; metrics_columns[k].name; k++)
        fprintf(table, "\t%s", metrics_columns[k].name);
    fputc('\n', table);
}

void trial_print_row(FILE *table, const struct trial *trial)
{
    fputs(trial->name, table);
    for (int k = 0; metrics_columns[k].name; k++) {
        double value = metrics_columns[k].value(&trial->metrics);
        if (isfinite(value))
            fprintf(table, "\t%.6g", value);
        else
            fputs("\tnan", table);
    }
    fputc('\n', table);
}
