/* shape.c - `calvaria shape`: a statistical shape model of the vault from packed sets of skulls. */
#include <stdio.h>

#include "base/file.h"
#include "base/log.h"
#include "base/file.h"
#include "cli/command.h"
#include "shape/fit.h"

struct shape_options {
    struct command_options common;
    const char *out;
    bool overwrite;
    struct fit_config fit;
};

/* clang-format off */
static const struct config_field shape_fields[] = {
    {.key = "out", .type = CONFIG_PATH, .offset = offsetof(struct shape_options, out), .required = true,
     .help = "the shape model to write (shape.h5)"},
    {.key = "", .type = CONFIG_TABLE, .offset = offsetof(struct shape_options, overwrite), .table = &overwrite_table},
    {.key = "", .type = CONFIG_TABLE, .offset = offsetof(struct shape_options, fit), .table = &fit_table},
    {0},
};
/* clang-format on */

static void shape_print_score(const char *name, const struct tune_score *score)
{
    printf("%-30s overlap %.4f  error inner %.2f mm, outer %.2f mm  log density %.3f  (%lld trials)\n", name,
           score->overlap, score->error_mm[0], score->error_mm[1], score->log_density, (long long)score->n_trials);
}

static enum status run_shape(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    const struct shape_options *options = value;
    struct fit_config config = options->fit;
    config.sets = (struct config_strings){n_inputs, (const char **)inputs};
    struct shape_model model;
    struct fit_report report;
    if (file_check_free(options->out, options->overwrite, error))
        return error->status;
    enum status status = shape_fit(&model, &report, &config, error);
    if (status)
        return status;
    file_sweep_around(options->out);
    status = shape_model_write(options->out, &model, error);
    if (!status) {
        printf("%lld heads (%lld groups, %lld defective), %lld good rays, pose loss %.3f\n", (long long)report.n_heads,
               (long long)report.n_groups, (long long)report.n_defective, (long long)report.n_good, report.loss);
        shape_print_score("standard parameters", &report.standard);
        shape_print_score("parameters found", &report.tuned);
        shape_print_score("the same, other holes", &report.checked);
        printf("50 %% of the radii lie within %.2f sd, 90 %% within %.2f sd\n", model.calibration.factor_50,
               model.calibration.factor_90);
        for (const struct config_field *field = covariance_table.fields; field->key; field++)
            printf("  %-16s %-8.4g %s\n", field->key,
                   *(const double *)((const char *)&model.covariance + field->offset), field->help);
    }
    shape_model_done(&model);
    return status;
}

const struct command command_shape = {
    .name = "shape",
    .arguments = "SET.h5... --out SHAPE.h5 [--split train|all] "
                 "[--few N] [--set KEY=VALUE]... [--centre NAME]... [--licence TEXT]",
    .example = "calvaria shape set.h5 --out shape.h5",
    .options = {.help = "fit a statistical shape model of the vault, in minutes on two cores",
                .size = sizeof(struct shape_options),
                .base = &command_base_table,
                .fields = shape_fields},
    .min_inputs = 1,
    .max_inputs = -1,
    .run = run_shape,
};
