/* export.c - `calvaria export`: a model as ONNX for other runtimes, or a model file without its training state, with
 * a licence. Test: tests/cli/test_exchange.sh */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "cli/command.h"
#include "infer/exchange/onnx.h"
#include "infer/restore.h"
#include "nn/model/ensemble_file.h"
#include "shape/model.h"

struct export_options {
    struct command_options common;
    const char *onnx, *model, *shape, *licence;
    struct config_strings set;
    int stage;
    int64_t member;
    struct onnx_options options;
    bool overwrite;
};

enum { STAGE_FINE, STAGE_COARSE };
static const char *const stage_names[] = {"fine", "coarse", NULL};

/* clang-format off */
static const struct config_field export_fields[] = {
    {.key = "onnx", .type = CONFIG_PATH, .offset = offsetof(struct export_options, onnx),
     .help = "the ONNX file to write"},
    {.key = "model", .type = CONFIG_PATH, .offset = offsetof(struct export_options, model),
     .help = "a model file to pass on: without the state of its training"},
    {.key = "shape", .type = CONFIG_PATH, .offset = offsetof(struct export_options, shape),
     .help = "with --model: a shape model to put beside a cascade; it then restores, and the networks add what it "
             "claims nothing of"},
    {.key = "licence", .type = CONFIG_STRING, .offset = offsetof(struct export_options, licence),
     .help = "with --model: the note it carries; not given: the one it has"},
    {.key = "set", .type = CONFIG_STRINGS, .offset = offsetof(struct export_options, set),
     .help = "KEY=VALUE over the model's restoration, as threshold=0.4: what is written restores that way"},
    {.key = "stage", .type = CONFIG_ENUM, .offset = offsetof(struct export_options, stage), .text = "fine",
     .names = stage_names, .help = "of a cascade: the fine network (a model's only one), or the coarse one whose "
             "prediction is its second channel; what --onnx writes, and --set changes"},
    {.key = "member", .type = CONFIG_INT, .offset = offsetof(struct export_options, member), .text = "0", .min = 0,
     .max = 1000,
     .help = "of an ensemble: this member alone, from 1; 0: all, with --onnx as FILE_1.onnx, FILE_2.onnx ..."},
    {.key = "", .type = CONFIG_TABLE, .offset = offsetof(struct export_options, overwrite),
     .table = &overwrite_table},
    {.key = "patch_vox", .type = CONFIG_INT3, .offset = offsetof(struct export_options, options.patch_vox),
     .text = "0", .min = 0, .max = 4096, .unit = "voxels",
     .help = "fix the input's size x,y,z; 0: left open where the network allows"},
    {0},
};
/* clang-format on */

/* What is written restores with --set over its own pipeline. */
static enum status export_set(struct model *stage, const struct config_strings *sets, struct error *error)
{
    struct restore_config config;
    struct model_text *restore = NULL;
    if (sets->n == 0)
        return STATUS_OK;
    for (int64_t i = 0; i < stage->n_texts; i++)
        if (strcmp(stage->texts[i].key, "restore") == 0)
            restore = &stage->texts[i];
    if (!restore)
        return error_set(error, STATUS_FAILED,
                         "--set: the model holds no restoration pipeline (one written by calvaria train does)");
    if (restore_config_read(&config, restore->value, "restore", sets, &stage->arena, error) ||
        restore_config_text(&restore->value, &config, &stage->arena, error))
        return error_while(error, "reading --set");
    return STATUS_OK;
}

static enum status export_model(const struct export_options *options, const struct model *model, struct error *error)
{
    struct arena arena = {0};
    struct model out;
    enum status status = model_portable(&out, model, options->licence, &arena, error);
    if (!status)
        status = model_write(options->model, &out, error);
    arena_done(&arena);
    if (!status)
        printf("%s: network %s, %" PRId64 " parameters%s\n", options->model, model->network.name,
               model->params.n_floats,
               model->shape    ? ", beside a shape model"
               : model->coarse ? ", and its coarse stage"
                               : "");
    return status;
}

static enum status export_onnx(const struct export_options *options, const char *path, const struct model *stage,
                               struct error *error)
{
    if (onnx_write(path, stage, &options->options, error))
        return error->status;
    printf("%s: network %s, %" PRId64 " parameters, opset %d\n", path, stage->network.name, stage->params.n_floats,
           ONNX_OPSET);
    return STATUS_OK;
}

/* What a killed export left in the folder of its files. */
static void export_sweep(const struct export_options *options)
{
    if (options->onnx)
        file_sweep_around(options->onnx);
    if (options->model)
        file_sweep_around(options->model);
}

/* A cascade holds two networks; ONNX takes one. */
static enum status export_stage(struct model **ret, const struct export_options *options, struct model *model,
                                struct error *error)
{
    *ret = options->stage == STAGE_COARSE ? model->coarse : model;
    if (!*ret)
        return error_set(error, STATUS_USAGE, "--stage: coarse: the model has no coarse stage (leave --stage out)");
    return export_set(*ret, &options->set, error);
}

/* --- ensembles --- */

struct export_ensemble {
    const struct export_options *options;
    const char *path;
};

static enum status export_read_member(void *context, int64_t member, struct model *ret, struct error *error)
{
    const struct export_ensemble *ensemble = context;
    struct model *stage;
    if (ensemble_read_member(ret, ensemble->path, member, error))
        return error->status;
    const enum status status = export_stage(&stage, ensemble->options, ret, error);
    if (status)
        model_done(ret);
    return status;
}

/* FILE_1.onnx ...: the mean of their outputs is the ensemble's field (docs/restore_onnx.py takes them all). */
static enum status export_ensemble_onnx(const struct export_ensemble *ensemble, int64_t n, struct error *error)
{
    const struct export_options *options = ensemble->options;
    const size_t length = strlen(options->onnx), ending = file_has_suffix(options->onnx, ".onnx") ? 5 : 0;
    enum status status = STATUS_OK;
    for (int64_t member = 1; member <= n && !status; member++) {
        struct model model;
        struct arena arena = {0};
        char *path = arena_printf(&arena, "%.*s_%" PRId64 "%s", (int)(length - ending), options->onnx, member,
                                  options->onnx + length - ending);
        status = path ? export_read_member((void *)(uintptr_t)ensemble, member, &model, error)
                      : error_memory(error, length, "a path");
        if (!status) {
            status = export_onnx(options, path, options->stage == STAGE_COARSE ? model.coarse : &model, error);
            model_done(&model);
        }
        arena_done(&arena);
    }
    return status;
}

/* The whole ensemble, to pass on. */
static enum status export_ensemble_model(const struct export_ensemble *ensemble, int64_t n, struct error *error)
{
    const struct export_options *options = ensemble->options;
    const struct ensemble_source source = {export_read_member, (void *)(uintptr_t)ensemble};
    struct arena arena = {0};
    struct model whole = {0}, out;
    enum status status = ensemble_read(&whole, ensemble->path, 1, error);
    if (!status)
        status = model_portable(&out, &whole, options->licence, &arena, error);
    if (!status)
        status = ensemble_write(options->model, n, &source, out.texts, out.n_texts, error);
    if (!status)
        printf("%s: an ensemble of %" PRId64 " of network %s, %" PRId64 " parameters each\n", options->model, n,
               whole.network.name, whole.params.n_floats);
    model_done(&whole);
    arena_done(&arena);
    return status;
}

static enum status export_whole_ensemble(const struct export_options *options, const char *path, int64_t n,
                                         struct error *error)
{
    const struct export_ensemble ensemble = {options, path};
    export_sweep(options);
    enum status status = options->onnx ? export_ensemble_onnx(&ensemble, n, error) : STATUS_OK;
    return status || !options->model ? status : export_ensemble_model(&ensemble, n, error);
}

/* A shape model goes into the file of a cascade as it is. */
static enum status export_beside(const struct export_options *options, struct model *model, struct error *error)
{
    struct shape_model shape;
    char *bytes = NULL;
    size_t n = 0;
    if (!options->model || !model->coarse)
        return error_set(error, STATUS_USAGE, "--shape: %s",
                         options->model ? "needs a cascade, a network with a coarse stage"
                                        : "needs --model FILE.h5, the file to write");
    if (shape_model_read(&shape, options->shape, error))
        return error_while(error, "reading --shape");
    shape_model_done(&shape);
    if (file_read(&bytes, &n, options->shape, (size_t)1 << 30, error))
        return error->status;
    void *copy = arena_alloc(&model->arena, n, 1);
    if (copy)
        memcpy(copy, bytes, n);
    memory_free(bytes);
    model->shape = copy;
    model->shape_bytes = (int64_t)n;
    return copy ? STATUS_OK : error_memory(error, n, "a shape model");
}

static enum status export_one(const struct export_options *options, const char *path, int64_t n_members,
                              struct error *error)
{
    struct model model, *stage;
    if (options->member && !n_members)
        return error_set(error, STATUS_USAGE, "--member: the model is no ensemble (leave --member out)");
    if (n_members ? ensemble_read_member(&model, path, options->member, error) : model_read(&model, path, false, error))
        return error->status;
    enum status status = export_stage(&stage, options, &model, error);
    if (!status && options->shape)
        status = export_beside(options, &model, error);
    if (!status)
        export_sweep(options);
    if (!status && options->onnx)
        status = export_onnx(options, options->onnx, stage, error);
    if (!status && options->model)
        status = export_model(options, &model, error);
    model_done(&model);
    return status;
}

/* A shape model has no network: it can be passed on, with another note. */
static enum status export_shape(const struct export_options *options, const char *path, struct error *error)
{
    struct shape_model model;
    if (options->onnx || options->set.n > 0 || options->stage == STAGE_COARSE)
        return error_set(error, STATUS_USAGE,
                         "%s: is a shape model: no network, nothing for --onnx, --set or --stage (--model FILE.h5 "
                         "passes it on)",
                         path);
    if (shape_model_read(&model, path, error))
        return error->status;
    if (options->licence)
        model.licence = options->licence;
    enum status status = shape_model_write(options->model, &model, error);
    if (!status)
        printf("%s: shape model of %" PRId64 " heads\n", options->model, model.heads.n);
    shape_model_done(&model);
    return status;
}

static enum status export_command(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    const struct export_options *options = value;
    struct arena arena = {0};
    const char *path;
    (void)n_inputs;

    if (!options->onnx && !options->model)
        return error_set(error, STATUS_USAGE, "export: nothing to write (--onnx FILE.onnx, --model FILE.h5, or both)");
    for (int i = 0; i < 2; i++) {
        const char *out = i ? options->model : options->onnx;
        if (out && file_check_free(out, options->overwrite, error))
            return error->status;
    }
    enum status status = restorer_find(&path, inputs[0], &arena, error);
    const int64_t n_members = status ? 0 : ensemble_members(path);
    if (!status && shape_model_is(path))
        status = export_shape(options, path, error);
    else if (!status && n_members > 0 && options->member == 0)
        status = export_whole_ensemble(options, path, n_members, error);
    else if (!status)
        status = export_one(options, path, n_members, error);
    arena_done(&arena);
    return status ? error_while(error, "exporting '%s'", inputs[0]) : STATUS_OK;
}

const struct command command_export = {
    .name = "export",
    .arguments = "MODEL [--onnx FILE.onnx [--stage coarse] [--patch-vox X,Y,Z]] [--model FILE.h5 [--licence "
                 "TEXT]] [--member N] [--set KEY=VALUE]...",
    .example = "calvaria export runs/first --onnx first.onnx",
    .options =
        {
            .help = "write a model as ONNX, with its pre- and postprocessing as metadata, or to pass on, "
                    "without its training state",
            .size = sizeof(struct export_options),
            .base = &command_base_table,
            .fields = export_fields,
        },
    .min_inputs = 1,
    .max_inputs = 1,
    .run = export_command,
};
