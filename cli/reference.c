/* reference.c - `calvaria reference`: every key of every configuration file, from the tables that parse them
 * (docs/reference.md). Test: test_reference in tests/cli/CMakeLists.txt */
#include <stdio.h>

#include "cli/command.h"
#include "data/defects/defect.h"
#include "train/ablate.h"
#include "train/stages.h"

static enum status reference_command(const void *options, int n_inputs, char *const *inputs, struct error *error)
{
    (void)options, (void)n_inputs, (void)inputs, (void)error;
    printf("# Configuration reference\n\nEvery key of every YAML file, as `calvaria reference` prints it. Sizes and "
           "spacings are in x, y, z "
           "order.\n\n");
    config_reference(&recipe_table, "Recipe (configs/recipes) and network (configs/networks)", stdout);
    config_reference(&stage_shape_table, "Stage of a shape model (in `stages` of a recipe)", stdout);
    config_reference(&ablate_table, "Ablation (experiments/*/ablation.yaml)", stdout);
    config_reference(&defects_table, "Defects (configs/defects)", stdout);
    return STATUS_OK;
}

const struct command command_reference = {
    .name = "reference",
    .arguments = "",
    .example = "calvaria reference > docs/reference.md",
    .options =
        {
            .help = "print the reference of all configuration keys as Markdown",
            .size = sizeof(struct command_options),
            .base = &command_base_table,
        },
    .run = reference_command,
};
