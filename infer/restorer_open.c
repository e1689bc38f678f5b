/* restorer_open.c - opening a model as a restorer, and the bound on its memory; restore.c runs it. See restore.h.
 * Test: tests/infer/test_restore.c */
#include "infer/restorer.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/file.h"
#include "nn/model/ensemble_file.h"

/* How a shape model restores: it cleans its implant itself. */
#define RESTORE_SHAPE "task: implant\npostprocess: []"
#define RESTORE_SHAPE_MAX_BYTES ((size_t)1 << 30)

struct builtin {
    const char *path, *restore;
    enum restorer_kind kind;
};

/* Predictions without a network, for comparison; their pipelines as a model would state them. */
static const struct builtin builtins[] = {
    {"builtin:nothing", "postprocess: []", RESTORER_NOTHING},
    {"builtin:mirror", "postprocess: [{open: 2}, {keep_largest: 1}, {fill_holes: true}]", RESTORER_MIRROR},
};
enum { N_BUILTINS = sizeof builtins / sizeof *builtins };

static enum status restorer_alloc(struct restorer **ret, const char *path, enum restorer_kind kind, struct error *error)
{
    struct restorer *restorer = memory_zalloc(1, sizeof *restorer);
    char *copy = memory_strdup(path);
    if (!restorer || !copy) {
        memory_free(restorer);
        memory_free(copy);
        return error_memory(error, sizeof *restorer, "the restorer");
    }
    restorer->kind = kind;
    restorer->path = copy;
    *ret = restorer;
    return STATUS_OK;
}

void restorer_free(struct restorer *restorer)
{
    if (!restorer)
        return;
    network_free(restorer->network);
    if (restorer->owns_coarse)
        restorer_free(restorer->coarse);
    restorer_free(restorer->beside);
    if (restorer->has_model)
        model_done(&restorer->model);
    if (restorer->has_shape)
        shape_model_done(&restorer->shape);
    memory_free(restorer->shape_file);
    arena_done(&restorer->arena);
    memory_free(restorer->path);
    memory_free(restorer);
}

static enum status restorer_configure(struct restorer *restorer, const char *text, const struct config_strings *sets,
                                      struct error *error)
{
    enum status status = restore_config_read(&restorer->config, text, restorer->path, sets, &restorer->arena, error);
    return status ? error_while(error, "reading how '%s' restores", restorer->path) : STATUS_OK;
}

/* The network for batches of the pipeline's patch. */
static enum status restorer_build(struct restorer *restorer, const struct network_config *network,
                                  struct params *params, struct error *error)
{
    struct window_config *window = &restorer->config.window;
    for (int a = 0; a < 3; a++)
        if (window->patch_vox[a] == 0)
            window->patch_vox[a] = network->patch_vox[a];
    const int64_t channels = network->input_channels, most = !restorer->coarse             ? 1
                                                             : restorer->coarse->has_shape ? 3
                                                                                           : 2;
    if (channels > most || channels < (most == 1 ? 1 : 2))
        return error_set(error, STATUS_USAGE,
                         "%s: the network takes %d channels: a skull has one (input_channels: 1)%s",
                         *restorer->path ? restorer->path : "restore", (int)channels,
                         most == 1   ? ""
                         : most == 2 ? ", the coarse prediction another (input_channels: 2)"
                                     : ", the shape model's depth another, its deviation a third (input_channels: 2 "
                                       "or 3)");

    const struct shape src = {window->batch, channels, window->patch_vox[2], window->patch_vox[1],
                              window->patch_vox[0]};

    /* One network for batches of the pipeline's patch; the parameters stay with their owner. */
    restorer->precise = *network;
    if (restorer->config.precision != RESTORE_PRECISION_MODEL)
        restorer->precise.precision =
            restorer->config.precision == RESTORE_PRECISION_BFLOAT16 ? PRECISION_BFLOAT16 : PRECISION_FLOAT32;
    if (restorer->config.correction && (!restorer->coarse || !restorer->coarse->has_shape))
        return error_set(error, STATUS_USAGE, "restore.correction: there is no shape model to correct");
    if (restore_config_cut(&restorer->precise, &restorer->config, error))
        return error->status;
    restorer->network_config = network = &restorer->precise;
    restorer->params = params;

    return network_new(&restorer->network, network, params, src, NETWORK_INFER, error);
}

enum status restorer_new(struct restorer **ret, const struct network_config *network, struct params *params,
                         const struct restore_config *config, struct restorer *coarse, struct error *error)
{
    struct restorer *restorer = NULL;
    if (restorer_alloc(&restorer, "", RESTORER_NETWORK, error))
        return error->status;
    restorer->config = *config;
    restorer->coarse = coarse;
    if (restorer_build(restorer, network, params, error)) {
        restorer_free(restorer);
        return error->status;
    }
    *ret = restorer;
    return STATUS_OK;
}

enum status restorer_find(const char **ret, const char *path, struct arena *arena, struct error *error)
{
    static const char *const names[] = {"model.h5", "best.h5", "last.h5"};
    enum { N_NAMES = sizeof names / sizeof *names };
    static const char *const shipped[] = {"models/default.h5", "../share/calvaria/models/default.h5",
                                          "../../share/calvaria/models/default.h5", NULL};

    *ret = path;
    if (!path && file_shipped(ret, arena, shipped, error))
        return error->status;
    if (!*ret)
        return error_set(error, STATUS_FAILED,
                         "no model: --model is not given, and models/default.h5, which comes with the program, is not "
                         "there (name a model file or a run folder with --model)");
    if (!path || !file_is_folder(path))
        return STATUS_OK;

    /* A run folder: what all its stages gave, or the best validated state, else the last. */
    for (int i = 0; i < N_NAMES; i++) {
        char *file = file_join(arena, path, names[i]);
        if (!file)
            return error_memory(error, strlen(path), "the model's path");
        if (file_exists(file)) {
            *ret = file;
            return STATUS_OK;
        }
    }

    return error_set(
        error, STATUS_FAILED,
        "%s: no model in this folder: none of model.h5, best.h5 and last.h5 (a run folder that has validated or saved "
        "once, one of stages that has finished, or a model file)",
        path);
}

/* A stage over `model`, which belongs to its owner. */
static enum status restorer_stage(struct restorer *restorer, struct model *model, const struct config_strings *sets,
                                  struct error *error)
{
    const char *text = model_text(model, "restore");
    if (!text)
        return error_set(error, STATUS_FAILED,
                         "%s: the text 'restore' is missing: the model does not state its pipeline (a model written by "
                         "calvaria train has it)",
                         restorer->path);
    if (restorer_configure(restorer, text, sets, error))
        return error->status;
    return restorer_build(restorer, &model->network, &model->params, error);
}

/* A coarse stage scans the whole skull at one spacing along all axes; a shape model has no scan. */
static enum status restorer_check_coarse(const struct restorer *coarse, struct error *error)
{
    if (coarse->has_shape)
        return STATUS_OK;
    const double *mm = coarse->config.working_spacing_mm;
    const bool cubes = mm[0] > 0 && mm[1] == mm[0] && mm[2] == mm[0];
    if (coarse->config.window.scan == SCAN_WHOLE && cubes)
        return STATUS_OK;
    return error_set(error, STATUS_FAILED,
                     "%s: is no coarse stage (scan: whole and one working_spacing_mm along all axes are needed)",
                     coarse->path);
}

/* A shape model from its file's bytes, of which a copy is kept. */
static enum status restorer_shape_of(struct restorer *restorer, const void *bytes, int64_t n, struct error *error)
{
    if (shape_model_read_image(&restorer->shape, bytes, n, restorer->path, error))
        return error->status;
    restorer->has_shape = true;
    restorer->shape_file = memory_alloc((size_t)n, 1);
    if (!restorer->shape_file)
        return error_memory(error, (size_t)n, "the shape model's file");
    memcpy(restorer->shape_file, bytes, (size_t)n);
    restorer->shape_file_bytes = n;
    return restorer_configure(restorer, RESTORE_SHAPE, NULL, error);
}

/* Of the caller's settings, those that hold for the coarse stage inside a model too. */
static enum status restorer_coarse_sets(struct restorer *restorer, struct config_strings *ret,
                                        const struct config_strings *sets, struct error *error)
{
    const int64_t n = sets ? sets->n : 0;
    *ret = (struct config_strings){.items = arena_alloc(&restorer->arena, (size_t)n + 1, sizeof *ret->items)};
    if (!ret->items)
        return error_memory(error, (size_t)n * sizeof *ret->items, "the restorer");
    for (int64_t i = 0; i < n; i++)
        if (strncmp(sets->items[i], "precision=", 10) == 0)
            ret->items[ret->n++] = sets->items[i];
    return STATUS_OK;
}

static enum status restorer_take_weights(struct restorer *restorer, const struct params *from, struct error *error)
{
    struct params *params = restorer->params;
    if (from->n_floats != params->n_floats)
        return error_set(error, STATUS_FAILED, "%s: its members differ in size (a damaged file?)", restorer->path);
    memcpy(params->value, from->value, (size_t)params->n_floats * sizeof(float));
    restorer_params_changed(restorer);
    return STATUS_OK;
}

enum status restorer_take_member(struct restorer *restorer, int64_t member, struct error *error)
{
    struct restorer *coarse = restorer->coarse;
    struct model model;
    if (restorer->member == member)
        return STATUS_OK;
    restorer->member = 0;
    if (ensemble_read(&model, restorer->path, member, error))
        return error->status;

    enum status status = restorer_take_weights(restorer, &model.params, error);
    if (!status && coarse && !model.shape != !coarse->has_shape)
        status = error_set(error, STATUS_FAILED, "%s: its members differ (a damaged file?)", restorer->path);
    else if (!status && coarse && coarse->has_shape) {
        shape_model_done(&coarse->shape);
        coarse->has_shape = false;
        memory_free(coarse->shape_file);
        coarse->shape_file = NULL;
        status = restorer_shape_of(coarse, model.shape, model.shape_bytes, error);
    } else if (!status && coarse)
        status = model.coarse ? restorer_take_weights(coarse, &model.coarse->params, error)
                              : error_set(error, STATUS_FAILED, "%s: a member has no coarse stage", restorer->path);
    model_done(&model);
    if (!status)
        restorer->member = member;
    return status;
}

/* Each member is read once before any work: a damaged one shows now. */
static enum status restorer_check_members(struct restorer *restorer, struct error *error)
{
    for (int64_t member = restorer->n_members; member > 0; member--)
        if (restorer_take_member(restorer, member, error))
            return error->status;
    return STATUS_OK;
}

static enum status restorer_load(struct restorer *restorer, const struct config_strings *sets, struct error *error)
{
    struct config_strings coarse_sets;
    restorer->n_members = restorer->image ? 0 : ensemble_members(restorer->path);
    const enum status read = restorer->image       ? model_read_image(&restorer->model, restorer->image,
                                                                      restorer->image_bytes, restorer->path, error)
                             : restorer->n_members ? ensemble_read(&restorer->model, restorer->path, 1, error)
                                                   : model_read(&restorer->model, restorer->path, false, error);
    if (read)
        return read;
    restorer->has_model = true;
    restorer->member = restorer->n_members > 0;

    /* A coarse stage inside, a shape model or a network, is opened from the same file. */
    if (restorer->model.shape && !restorer->model.coarse) {
        restorer->owns_coarse = true;
        if (restorer_alloc(&restorer->coarse, restorer->path, RESTORER_SHAPE, error) ||
            restorer_shape_of(restorer->coarse, restorer->model.shape, restorer->model.shape_bytes, error))
            return error_while(error, "opening the shape model inside");
    } else if (restorer->model.coarse) {
        restorer->owns_coarse = true;
        if (restorer_alloc(&restorer->coarse, restorer->path, RESTORER_NETWORK, error) ||
            restorer_coarse_sets(restorer, &coarse_sets, sets, error) ||
            restorer_stage(restorer->coarse, restorer->model.coarse, &coarse_sets, error) ||
            restorer_check_coarse(restorer->coarse, error))
            return error_while(error, "opening the coarse stage");
    }

    /* Both: the shape model restores, and the networks beside it. */
    if (restorer->model.shape && restorer->model.coarse &&
        (restorer_alloc(&restorer->beside, restorer->path, RESTORER_SHAPE, error) ||
         restorer_shape_of(restorer->beside, restorer->model.shape, restorer->model.shape_bytes, error)))
        return error_while(error, "opening the shape model inside");
    const enum status status = restorer_stage(restorer, &restorer->model, sets, error);
    return status ? status : restorer_check_members(restorer, error);
}

/* A cascade's model is replaced by its coarse stage. */
static void restorer_descend(struct model *model)
{
    struct model *coarse = model->coarse;
    if (!coarse)
        return;
    model->coarse = NULL;
    model_done(model);
    *model = *coarse;
    memory_free(coarse);
}

static enum status restorer_load_shape_file(struct restorer *restorer, struct error *error)
{
    char *bytes;
    size_t n;
    if (file_read(&bytes, &n, restorer->path, RESTORE_SHAPE_MAX_BYTES, error))
        return error->status;
    const enum status status = restorer_shape_of(restorer, bytes, (int64_t)n, error);
    memory_free(bytes);
    return status;
}

/* The coarse stage inside a model, or the model itself. */
static enum status restorer_load_stage(struct restorer *restorer, struct error *error)
{
    struct model model;
    if (model_read(&model, restorer->path, false, error))
        return error->status;
    if (model.shape && !model.coarse) { /* beside a cascade it is no stage */
        restorer->kind = RESTORER_SHAPE;
        const enum status status = restorer_shape_of(restorer, model.shape, model.shape_bytes, error);
        model_done(&model);
        return status;
    }
    restorer->model = model;
    restorer->has_model = true;
    restorer_descend(&restorer->model);
    return restorer_stage(restorer, &restorer->model, NULL, error);
}

enum status restorer_open_coarse(struct restorer **ret, const char *path, struct error *error)
{
    struct arena arena = {0};
    struct restorer *restorer = NULL;
    const char *file;
    enum status status = restorer_find(&file, path, &arena, error);
    const bool shape = !status && shape_model_is(file);
    if (!status)
        status = restorer_alloc(&restorer, file, shape ? RESTORER_SHAPE : RESTORER_NETWORK, error);
    if (!status)
        status = shape ? restorer_load_shape_file(restorer, error) : restorer_load_stage(restorer, error);
    if (!status)
        status = restorer_check_coarse(restorer, error);
    arena_done(&arena);
    if (status) {
        restorer_free(restorer);
        return error_while(error, "opening the coarse stage %s", path);
    }
    *ret = restorer;

    return STATUS_OK;
}

static enum status restorer_find_builtin(const struct builtin **ret, const char *path, struct error *error)
{
    const char *names[N_BUILTINS + 1] = {0};
    *ret = NULL;
    if (!path || strncmp(path, "builtin:", 8) != 0)
        return STATUS_OK;

    for (int i = 0; i < N_BUILTINS; i++) {
        names[i] = builtins[i].path;
        if (strcmp(path, builtins[i].path) == 0)
            *ret = &builtins[i];
    }

    const char *near = *ret ? NULL : config_nearest(path, names);

    return *ret ? STATUS_OK
                : error_set(error, STATUS_USAGE,
                            "%s: unknown (did you mean '%s'? there are builtin:nothing and builtin:mirror)", path,
                            near ? near : builtins[N_BUILTINS - 1].path);
}

/* A shape model cleans its implant itself; further rules are for the user to set. */
static enum status restorer_load_shape(struct restorer *restorer, const struct config_strings *sets,
                                       struct error *error)
{
    const enum status read = restorer->image
                                 ? shape_model_read_image(&restorer->shape, restorer->image,
                                                          (int64_t)restorer->image_bytes, restorer->path, error)
                                 : shape_model_read(&restorer->shape, restorer->path, error);
    if (read)
        return read;
    restorer->has_shape = true;
    return restorer_configure(restorer, RESTORE_SHAPE, sets, error);
}

static enum status restorer_fill(struct restorer *restorer, const struct builtin *builtin,
                                 const struct config_strings *sets, struct error *error)
{
    switch (restorer->kind) {
    case RESTORER_SHAPE:
        return restorer_load_shape(restorer, sets, error);
    case RESTORER_NETWORK:
        return restorer_load(restorer, sets, error);
    default:
        return restorer_configure(restorer, builtin->restore, sets, error);
    }
}

enum status restorer_open(struct restorer **ret, const char *path, const struct config_strings *sets,
                          struct error *error)
{
    struct arena arena = {0};
    const struct builtin *builtin;
    const char *file = path;
    struct restorer *restorer = NULL;
    enum status status = restorer_find_builtin(&builtin, path, error);

    if (!status && !builtin)
        status = restorer_find(&file, path, &arena, error);
    if (!status)
        status = restorer_alloc(&restorer, file,
                                builtin                ? builtin->kind
                                : shape_model_is(file) ? RESTORER_SHAPE
                                                       : RESTORER_NETWORK,
                                error);
    if (!status)
        status = restorer_fill(restorer, builtin, sets, error);
    arena_done(&arena);
    if (status)
        restorer_free(restorer);
    else
        *ret = restorer;
    return status;
}

enum status restorer_open_image(struct restorer **ret, const void *bytes, size_t n, const char *name,
                                const struct config_strings *sets, struct error *error)
{
    const enum restorer_kind kind = shape_model_is_image(bytes, n) ? RESTORER_SHAPE : RESTORER_NETWORK;
    struct restorer *restorer = NULL;
    if (restorer_alloc(&restorer, name, kind, error))
        return error->status;
    restorer->image = bytes;
    restorer->image_bytes = n;
    const enum status status = restorer_fill(restorer, NULL, sets, error);
    restorer->image = NULL;
    restorer->has_hash = true;
    restorer->hash = XXH64(bytes, n, 0);
    if (status)
        restorer_free(restorer);
    else
        *ret = restorer;
    return status;
}

const struct restore_config *restorer_config(const struct restorer *restorer)
{
    return &restorer->config;
}

int64_t restorer_members(const struct restorer *restorer)
{
    return restorer->n_members > 0 ? restorer->n_members : 1;
}

const struct model *restorer_model(const struct restorer *restorer)
{
    return restorer->has_model ? &restorer->model : NULL;
}

const struct shape_model *restorer_shape(const struct restorer *restorer)
{
    const struct restorer *of = restorer->beside ? restorer->beside : restorer->coarse ? restorer->coarse : restorer;
    return of->has_shape ? &of->shape : NULL;
}

const void *restorer_shape_file(const struct restorer *restorer, int64_t *ret_bytes)
{
    *ret_bytes = restorer->shape_file_bytes;
    return restorer->shape_file;
}

const char *restorer_path(const struct restorer *restorer)
{
    return restorer->path;
}

bool restorer_hash(const struct restorer *restorer, uint64_t *ret)
{
    *ret = restorer->hash;
    return restorer->has_hash;
}

void restorer_params_changed(struct restorer *restorer)
{
    if (restorer->network)
        network_params_changed(restorer->network);
}

void restorer_keep_raw(struct restorer *restorer, bool keep)
{
    restorer->keep_raw = keep;
}

void restorer_keep_prediction(struct restorer *restorer, bool keep)
{
    restorer->keep_prediction = keep;
}

static int64_t restorer_standing_bytes(const struct restorer *restorer)
{
    return network_bytes(restorer->network) + restorer->params->n_floats * (int64_t)sizeof(float);
}

static int64_t restorer_scan_bytes(const struct restorer *restorer, const struct grid *grid)
{
    struct grid working = *grid;
    bool resampled = restorer_working_grid(restorer, grid, &working);
    int64_t scan = window_bytes(&restorer->config.window, working.dim);
    if (resampled) /* the network's input and output, and a few native slices */
        scan += (2 * grid_voxels(&working) + grid->dim[0] * grid->dim[1] * RESTORE_SLAB) * (int64_t)sizeof(float);
    return scan;
}

/* The networks, the skull, the implant and raw stay; added to them: first the scan, then the rules, then the completed
 * skull. */
int64_t restorer_prediction_bytes(const struct restorer *restorer, const struct grid *grid)
{
    struct grid working = *grid;
    const bool resampled = restorer->network && restorer_working_grid(restorer, grid, &working);
    return resampled ? grid_voxels(&working) * (int64_t)sizeof(float) : 0;
}

int64_t restorer_bytes(const struct restorer *restorer, const struct grid *grid)
{
    enum { PROGRAM_BYTES = 64 << 20 /* itself, its libraries and threads */ };
    const struct restorer *const coarse = restorer->coarse, *const shape = restorer->beside ? restorer->beside
                                                                           : coarse         ? coarse
                                                                                            : restorer;
    const struct restorer *const stages[] = {restorer->network ? restorer : NULL,
                                             coarse && coarse->network ? coarse : NULL};
    int64_t voxels = grid_voxels(grid), standing = PROGRAM_BYTES + (2 + restorer->keep_raw) * voxels, scan = 0;
    for (int i = 0; i < 2; i++)
        if (stages[i]) {
            standing += restorer_standing_bytes(stages[i]);
            scan += restorer_scan_bytes(stages[i], grid);
        }
    if (restorer->n_members) { /* the mean, its spread, and of a native scan the prediction; the next member's file */
        struct grid working;
        const bool resampled = restorer_working_grid(restorer, grid, &working) && !restorer->config.correction;
        scan += (resampled ? 2 * grid_voxels(&working) : 3 * voxels) * (int64_t)sizeof(float);
        standing += restorer->params->n_floats * (int64_t)sizeof(float);
        if (coarse && coarse->network)
            standing += coarse->params->n_floats * (int64_t)sizeof(float);
        if (coarse && coarse->has_shape)
            standing += 2 * coarse->shape_file_bytes + voxels;
    }
    if (shape->has_shape) {
        standing += shape_model_bytes(&shape->shape) + (restorer->beside ? 3 * voxels : 0); /* the networks' masks */
        scan += shape_restore_bytes(&shape->shape, grid) + (restorer->network ? 4 * voxels : 0); /* turned, and back */
    }
    const int64_t rules = postprocess_bytes(&restorer->config.postprocess, grid), most = scan > rules ? scan : rules;
    return standing + (most > voxels ? most : voxels);
}
