/* plan.c - `calvaria plan`: a recipe for a set, a machine and the hours there are. Test:
 * tests/train/test_training_plan.c */
#include "train/plan.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/file.h"
#include "base/options.h"
#include "cli/command.h"

struct plan_options {
    struct command_options common;
    const char *out, *memory;
    double hours;
    bool overwrite;
};

#define OFFSET(member) offsetof(struct plan_options, member)
/* clang-format off */
static const struct config_field plan_fields[] = {
    {.key = "out", .type = CONFIG_PATH, .offset = OFFSET(out), .required = true, .help = "the recipe to write"},
    {.key = "hours", .type = CONFIG_DOUBLE, .offset = OFFSET(hours), .text = "8", .min = 0.01, .max = 10000,
     .unit = "hours", .help = "what the whole training may take"},
    {.key = "memory", .type = CONFIG_STRING, .offset = OFFSET(memory),
     .help = "what the training may take, as 12G (default: what the machine has available)"},
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(overwrite), .table = &overwrite_table},
    {0},
};
/* clang-format on */

static void plan_print(const struct plan *plan, const char *out)
{
    printf("%" PRId64 " heads to train, %" PRId64 " to validate\n", plan->set.n[SPLIT_TRAIN], plan->set.n[SPLIT_VAL]);
    printf("shape model: %.2g hours\n", plan->shape_s / 3600);
    if (plan->has_network)
        printf("network: %" PRId64 " steps of %.2g s, patches of %" PRId64 " voxels at %g mm, width %g, %.1f GB\n",
               plan->steps, plan->step_s, plan->patch_vox, plan->spacing_mm, plan->width,
               1e-9 * (double)plan->memory_bytes);
    else
        printf("no network: the recipe gives the reason\n");
    printf("in all: %.2g hours\n%s\n", plan->total_s / 3600, out);
}

static enum status plan_command(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    const struct plan_options *options = value;
    (void)n_inputs;
    struct plan plan;
    struct plan_request request = {.set = inputs[0], .hours = options->hours, .threads = options->common.threads};
    if (memory_parse(&request.memory_bytes, options->memory, "--memory", error) ||
        file_check_free(options->out, options->overwrite, error))
        return error->status;
    if (request.memory_bytes == 0)
        request.memory_bytes = -1;
    if (plan_write(&plan, &request, options->out, error))
        return error->status;
    plan_print(&plan, options->out);
    return STATUS_OK;
}

/* clang-format off */
const struct command command_plan = {
    .name = "plan",
    .arguments = "SET.h5 --out RECIPE.yaml [--hours 8] [--memory 12G]",
    .example = "calvaria plan set.h5 --hours 8 --out recipe.yaml",
    .options = {.help = "write a recipe that suits a set, this machine and the hours there are",
                .size = sizeof(struct plan_options),
                .base = &command_base_table,
                .fields = plan_fields},
    .min_inputs = 1,
    .max_inputs = 1,
    .run = plan_command,
};
/* clang-format on */
