/* export.c - `calvaria export`: a model for other runtimes. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/command.h"
#include "infer/onnx.h"
#include "infer/restore.h"

struct export_options {
    struct command_options common;
    const char *onnx;
    int stage;
    struct onnx_options options;
};

enum { STAGE_FINE, STAGE_COARSE };
static const char *const stage_names[] = {"fine", "coarse", NULL};

static const struct config_field export_fields[] = {
    {.key = "onnx", .type = CONFIG_PATH, .offset = offsetof(struct export_options, onnx), .required = true, .help = "the ONNX file to write"},
    {.key = "stage", .type = CONFIG_ENUM, .offset = offsetof(struct export_options, stage), .text = "fine", .names = stage_names,
     .help = "of a cascade: the fine network (a model's only one), or the coarse one whose answer is its second channel"},
    {.key = "patch_vox", .type = CONFIG_INT3, .offset = offsetof(struct export_options, options.patch_vox), .text = "0", .min = 0, .max = 4096,
     .unit = "voxels", .help = "fix the input's size x,y,z; 0: left open where the network allows"},
    {0},
};

static enum status run(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    const struct export_options *options = value;
    struct arena arena = {0};
    struct model model = {0};
    const char *path;
    (void)n_inputs;
    enum status status = restorer_find(&path, inputs[0], &arena, error);
    if (!status)
        status = model_read(&model, path, false, error);
    const struct model *stage = options->stage == STAGE_COARSE ? model.coarse : &model;
    if (!status && !stage)
        status = error_set(error, STATUS_USAGE, "--stage: coarse: %s has no coarse stage (leave --stage out)", path);
    if (!status)
        status = onnx_write(options->onnx, stage, &options->options, error);
    if (status)
        error_while(error, "exporting '%s'", inputs[0]);
    else
        printf("%s: network %s, %" PRId64 " parameters, opset %d\n", options->onnx, stage->network.name, stage->params.n_floats, ONNX_OPSET);
    model_done(&model);
    arena_done(&arena);
    return status;
}

const struct command command_export = {
    .name = "export",
    .arguments = "MODEL --onnx FILE.onnx [--stage coarse] [--patch-vox X,Y,Z]",
    .example = "calvaria export runs/first --onnx first.onnx",
    .options = {.help = "write a model as ONNX, with its pre- and postprocessing as metadata", .size = sizeof(struct export_options),
                .base = &command_base_table, .fields = export_fields},
    .min_inputs = 1,
    .max_inputs = 1,
    .run = run,
};
