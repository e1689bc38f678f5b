/* shape.c - `calvaria shape`: a statistical shape model of the vault from packed sets of skulls. */
#include <stdio.h>

#include "base/log.h"
#include "cli/command.h"
#include "shape/fit.h"

struct shape_options {
    struct command_options common;
    const char *out, *licence, *from;
    int split;
    int64_t few, seed;
    bool tune;
    struct config_strings set, centre;
};

static const char *const split_names[] = {"train", "val", "test", "all", NULL}; /* enum dataset_split, SPLIT_N */

#define OFFSET(member) offsetof(struct shape_options, member)
/* clang-format off */
static const struct config_field shape_fields[] = {
    {.key = "out", .type = CONFIG_PATH, .offset = OFFSET(out), .required = true,
     .help = "the shape model to write (shape.h5)"},
    {.key = "split", .type = CONFIG_ENUM, .offset = OFFSET(split), .text = "train", .names = split_names,
     .help = "whose skulls are learnt"},
    {.key = "few", .type = CONFIG_INT, .offset = OFFSET(few), .text = "0", .min = 0, .max = 1e6, .unit = "heads",
     .help = "learn from this many of them alone, at random; 0: all"},
    {.key = "seed", .type = CONFIG_INT, .offset = OFFSET(seed), .text = "1", .min = 0, .max = 1e15, .help = "of --few"},
    {.key = "tune", .type = CONFIG_BOOL, .offset = OFFSET(tune), .text = "true",
     .help = "choose hyper-parameters by predicting each head without itself; else the standard ones"},
    {.key = "from", .type = CONFIG_PATH, .offset = OFFSET(from),
     .help = "a shape model of these skulls: only its hyper-parameters and intervals are found anew"},
    {.key = "set", .type = CONFIG_STRINGS, .offset = OFFSET(set),
     .help = "KEY=VALUE: a hyper-parameter to start from, as coarse=3"},
    {.key = "centre", .type = CONFIG_STRINGS, .offset = OFFSET(centre),
     .help = "heads whose mean is the model's; all others are shifted onto it (phantoms together with real heads)"},
    {.key = "licence", .type = CONFIG_STRING, .offset = OFFSET(licence),
     .help = "a note for the file: what the skulls' licence allows"},
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
    const struct fit_config config = {.sets = {n_inputs, (const char **)inputs},
                                      .split = options->split,
                                      .few = options->few,
                                      .seed = options->seed,
                                      .tune = options->tune,
                                      .licence = options->licence,
                                      .centre = options->centre,
                                      .set = options->set,
                                      .from = options->from};
    struct shape_model model;
    struct fit_report report;
    enum status status = shape_fit(&model, &report, &config, error);
    if (status)
        return status;
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
