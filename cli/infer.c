/* infer.c - `calvaria infer`: restores skulls. The work is done by infer/batch.h, shared with calvaria-infer.
 * Test: tests/infer/test_program.sh, tests/cli/test_front_door.sh */
#include "cli/command.h"
#include "infer/batch.h"

struct infer_options {
    struct command_options common;
    struct batch_config batch;
};

/* clang-format off */
static const struct config_field infer_fields[] = {
    {.key = "", .type = CONFIG_TABLE, .offset = offsetof(struct infer_options, batch), .table = &batch_table},
    {0},
};
/* clang-format on */

static enum status infer_command(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    const struct infer_options *options = value;
    return batch_run(&options->batch, n_inputs, inputs, stdout, error);
}

const struct command command_infer = {
    .name = "infer",
    .arguments = "[--model MODEL] INPUT... --out DIR [--format nii.gz|nii|nrrd|nhdr]",
    .example = "calvaria infer --model runs/first 000_defective.nrrd --out restored",
    .options =
        {
            .help = "restore defective skulls: completed skull, implant, STL, report",
            .size = sizeof(struct infer_options),
            .base = &command_base_table,
            .fields = infer_fields,
        },
    .min_inputs = 1,
    .max_inputs = -1,
    .run = infer_command,
};
