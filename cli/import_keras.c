/* import_keras.c - `calvaria import-keras`: a model from a Keras .h5 file.
 * Test: tests/cli/test_exchange.sh */
#include <inttypes.h>
#include <stdio.h>

#include "base/file.h"
#include "cli/command.h"
#include "infer/exchange/keras.h"

struct import_options {
    struct command_options common;
    const char *out;
    struct keras_options options;
    bool overwrite;
};

#define OFFSET(member) offsetof(struct import_options, member)
/* clang-format off */
static const struct config_field import_fields[] = {
    {.key = "out", .type = CONFIG_PATH, .offset = OFFSET(out), .required = true, .help = "the model file to write"},
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(overwrite), .table = &overwrite_table},
    {.key = "network", .type = CONFIG_PATH, .offset = OFFSET(options.network),
     .help = "network YAML: whose weights they are; compared with the file's architecture where it has one"},
    {.key = "patch_vox", .type = CONFIG_INT3, .offset = OFFSET(options.patch_vox), .text = "0", .min = 0, .max = 4096,
     .unit = "voxels", .help = "input size x,y,z where the file leaves it open; 0: 128"},
    {.key = "restore", .type = CONFIG_STRINGS, .offset = OFFSET(options.restore),
     .help = "KEY=VALUE over the published restoration (grid, top 128 slices, threshold 0.5), as threshold=0 or "
             "task=implant"},
    {.key = "licence", .type = CONFIG_STRING, .offset = OFFSET(options.licence),
     .help = "a note written into the model"},
    {0},
};
/* clang-format on */

static enum status import_command(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    const struct import_options *options = value;
    struct model model = {0};
    (void)n_inputs;
    if (file_check_free(options->out, options->overwrite, error))
        return error->status;
    enum status status = keras_import(&model, inputs[0], &options->options, error);
    file_sweep_around(options->out);
    if (!status)
        status = model_write(options->out, &model, error);
    if (!status)
        printf("%s: network %s, %" PRId64 " layers, %" PRId64 " parameters\n", options->out, model.network.name,
               model.network.layers.n, model.params.n_floats);
    model_done(&model);
    return status;
}

const struct command command_import_keras = {
    .name = "import-keras",
    .arguments = "FILE.h5 --out MODEL.h5 [--network NETWORK.yaml] [--restore KEY=VALUE]...",
    .example = "calvaria import-keras published.h5 --out model.h5 --network configs/networks/mia_ae_patch.yaml",
    .options =
        {
            .help = "make a model of a Keras .h5 file (weights matched by name)",
            .size = sizeof(struct import_options),
            .base = &command_base_table,
            .fields = import_fields,
        },
    .min_inputs = 1,
    .max_inputs = 1,
    .run = import_command,
};
