/* model_file.c - see model_file.h. Test: tests/nn/test_model_file.c */
#define _GNU_SOURCE /* memmem, memrchr */
#include "nn/model/model_file.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "nn/model/model_group.h"

static const char model_format[] = "calvaria-model";
enum { MODEL_VERSION = 1 };

/* Attributes with a meaning of their own; every other one is a text. */
static bool model_is_reserved(const char *key)
{
    return strcmp(key, "format") == 0 || strcmp(key, "format_version") == 0 || strcmp(key, "network") == 0;
}

static enum status model_write_texts(hid_t file, const struct model *model, const char *path, struct error *error)
{
    const int64_t version = MODEL_VERSION;
    char *network = config_dump_text(&network_table, &model->network);
    if (!network)
        return error_memory(error, 4096, "the network's YAML");
    enum status status = hdf5_put_text(file, "format", model_format, path, error);
    if (!status)
        status = hdf5_put_numbers(file, "format_version", H5T_NATIVE_INT64, 0, NULL, &version, path, error);
    if (!status)
        status = hdf5_put_text(file, "network", network, path, error);
    for (int64_t i = 0; i < model->n_texts && !status; i++)
        if (!model_is_reserved(model->texts[i].key))
            status = hdf5_put_text(file, model->texts[i].key, model->texts[i].value, path, error);
    memory_free(network);
    return status;
}

static enum status model_write_weights(hid_t group, const struct params *params, const char *path, struct error *error)
{
    for (int64_t i = 0; i < params->n; i++) {
        const struct param *param = &params->items[i];
        const int64_t trainable = param->trainable;
        const struct hdf5_array array = {
            .name = param->name, .n_dims = param->n_dims, .dim = param->dim, .floats = params->value + param->offset};
        if (hdf5_put_array(group, &array, path, error))
            return error->status;
        hid_t dataset = H5Dopen2(group, param->name, H5P_DEFAULT);
        enum status status =
            dataset < 0 ? hdf5_error(error, path, param->name)
                        : hdf5_put_numbers(dataset, "trainable", H5T_NATIVE_INT64, 0, NULL, &trainable, path, error);
        if (dataset >= 0)
            H5Dclose(dataset);
        if (status)
            return status;
    }

    return STATUS_OK;
}

static enum status model_write_state(hid_t group, const struct model *model, const char *path, struct error *error)
{
    for (int64_t i = 0; i < model->n_blocks; i++) {
        const struct model_block *block = &model->blocks[i];
        const struct hdf5_array array = {
            .name = block->name, .n_dims = 1, .dim = &block->count, .floats = block->floats, .ints = block->ints};
        if (hdf5_put_array(group, &array, path, error))
            return error->status;
    }
    return STATUS_OK;
}

/* All of a model into a group, its coarse stage into one inside it. */
enum status model_write_group(hid_t group, const struct model *model, const char *path, struct error *error)
{
    /* Groups are opened as they are needed and closed together below. */
    hid_t weights = -1, state = -1, coarse = -1;
    enum status status = model_write_texts(group, model, path, error);
    if (!status && (weights = hdf5_make_group(group, "weights")) < 0)
        status = hdf5_error(error, path, "weights");
    if (!status)
        status = model_write_weights(weights, &model->params, path, error);
    if (!status && (state = hdf5_make_group(group, "state")) < 0)
        status = hdf5_error(error, path, "state");
    if (!status)
        status = model_write_state(state, model, path, error);
    if (!status && model->shape)
        status = hdf5_put_bytes(group, "shape", model->shape, model->shape_bytes, path, error);
    if (!status && model->coarse && (coarse = hdf5_make_group(group, "coarse")) < 0)
        status = hdf5_error(error, path, "coarse");
    if (!status && model->coarse)
        status = model_write_group(coarse, model->coarse, path, error);
    if (weights >= 0)
        H5Gclose(weights);
    if (state >= 0)
        H5Gclose(state);
    if (coarse >= 0)
        H5Gclose(coarse);

    return status;
}

hid_t model_create_file(const char *part, const char *path, struct error *error)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST); /* attributes of more than 64 KB */
    hid_t create = H5Pcreate(H5P_FILE_CREATE);
    hdf5_keep_in_header(create);
    hid_t file = H5Fcreate(part, H5F_ACC_TRUNC, create, access);
    H5Pclose(create);
    H5Pclose(access);
    if (file < 0)
        hdf5_error(error, path, "cannot be created");
    return file;
}

static enum status model_write_file(const char *part, const char *path, const struct model *model, struct error *error)
{
    hid_t file = model_create_file(part, path, error);
    if (file < 0)
        return error->status;
    enum status status = model_write_group(file, model, path, error);
    if (H5Fclose(file) < 0 && !status) /* the last bytes are written here: a full disk shows */
        status = hdf5_error(error, path, "cannot be written");
    return status;
}

enum status model_write(const char *path, const struct model *model, struct error *error)
{
    char *part;
    if (file_begin(&part, path, error))
        return error->status;
    hdf5_lock();
    enum status status = model_write_file(part, path, model, error);
    hdf5_unlock();
    if (!status)
        status = file_commit(&part, path, error);
    file_discard(&part);
    return status;
}

/* Format and version first: everything else depends on them. */
static enum status model_read_version(hid_t file, const char *path, struct arena *arena, struct error *error)
{
    const char *format;
    int64_t version;
    if (hdf5_get_text(&format, file, "format", path, arena, error))
        return error->status;
    if (strcmp(format, "calvaria-ensemble") == 0)
        return error_set(
            error, STATUS_FAILED,
            "%s: an ensemble of several models, where one is needed (calvaria export %s --member 1 --model "
            "FILE.h5 takes one out)",
            path, path);
    if (strcmp(format, model_format) != 0)
        return error_set(error, STATUS_FAILED, "%s: format: '%.64s', expected '%s' (not a model file)", path, format,
                         model_format);
    if (hdf5_get_numbers(&version, 1, file, "format_version", H5T_NATIVE_INT64, path, error))
        return error->status;
    if (version != MODEL_VERSION)
        return error_set(error, STATUS_FAILED,
                         "%s: format_version: %" PRId64 ", this program reads %d (a %s program would fit)", path,
                         version, MODEL_VERSION, version > MODEL_VERSION ? "newer" : "matching");
    return STATUS_OK;
}

struct model_texts {
    struct model *model;
    const char *path;
    struct error *error;
    int64_t capacity;
    enum status status;
};

/* Called for each attribute of the file: with a capacity it is read, without one it is counted. */
static herr_t model_read_text(hid_t file, const char *key, const H5A_info_t *info, void *context)
{
    struct model_texts *texts = context;
    struct model *model = texts->model;
    (void)info;
    if (strcmp(key, "format_version") == 0 || strcmp(key, "members") == 0) /* numbers */
        return 0;
    if (texts->capacity) {
        struct model_text *text = &model->texts[model->n_texts];
        text->key = arena_strdup(&model->arena, key);
        texts->status = text->key ? hdf5_get_text(&text->value, file, key, texts->path, &model->arena, texts->error)
                                  : error_memory(texts->error, strlen(key), "texts of the model");
        if (texts->status)
            return -1;
    }
    model->n_texts++;
    return 0;
}

enum status model_read_texts(struct model *model, hid_t file, const char *path, struct error *error)
{
    struct model_texts texts = {.model = model, .path = path, .error = error};
    if (H5Aiterate2(file, H5_INDEX_NAME, H5_ITER_INC, NULL, model_read_text, &texts) < 0)
        return hdf5_error(error, path, "attributes");
    texts.capacity = model->n_texts + 1;
    model->n_texts = 0;
    model->texts = arena_alloc(&model->arena, (size_t)texts.capacity, sizeof *model->texts);
    if (!model->texts)
        return error_memory(error, (size_t)texts.capacity * sizeof *model->texts, "texts of the model");
    if (H5Aiterate2(file, H5_INDEX_NAME, H5_ITER_INC, NULL, model_read_text, &texts) < 0)
        return texts.status ? texts.status : hdf5_error(error, path, "attributes");
    return STATUS_OK;
}

static enum status model_bind_network(struct model *model, const char *path, struct error *error)
{
    const char *text = model_text(model, "network");
    struct yaml_node *root;
    if (!text)
        return error_set(error, STATUS_FAILED,
                         "%s: attribute 'network': missing (not a calvaria model, or a damaged one)", path);
    char *name = arena_printf(&model->arena, "%s:network", path);
    if (!name)
        return error_memory(error, strlen(path), "a path");
    if (yaml_read_text(&root, text, name, &model->arena, error) ||
        config_bind(&network_table, root, &model->network, &model->arena, error) ||
        network_describe(&model->params, &model->network, error)) {
        error->status = STATUS_FAILED; /* a damaged file, not a user's configuration */
        return error_while(error, "reading the network of model %s", path);
    }
    return STATUS_OK;
}

/* Every weight is there with the network's shape, and no other one. Before anything large is allocated. */
static enum status model_check_weights(struct model *model, hid_t group, const char *path, struct error *error)
{
    int64_t n;
    const char **names;
    if (hdf5_list(&n, &names, group, path, &model->arena, error))
        return error->status;

    for (int64_t i = 0; i < n; i++)
        if (!params_find(&model->params, names[i]))
            return error_set(error, STATUS_FAILED, "%s: weights/%s: the network has no such parameter", path, names[i]);
    for (int64_t i = 0; i < model->params.n; i++) {
        const struct param *param = &model->params.items[i];
        int64_t dim[PARAM_MAX_DIMS];
        int n_dims;
        bool is_float;
        if (hdf5_array_shape(group, param->name, &is_float, &n_dims, dim, PARAM_MAX_DIMS, path, error))
            return error->status;
        if (!is_float)
            return error_set(error, STATUS_FAILED, "%s: weights/%s: integers, expected floats", path, param->name);
        if (!param_same_shape(param, n_dims, dim)) {
            char has[PARAM_SHAPE_TEXT], wants[PARAM_SHAPE_TEXT];
            return error_set(error, STATUS_FAILED, "%s: weights/%s: shape %s, the network has %s", path, param->name,
                             param_shape_text(has, n_dims, dim), param_shape_text(wants, param->n_dims, param->dim));
        }
    }

    return STATUS_OK;
}

static enum status model_read_weights(struct model *model, hid_t group, const char *path, struct error *error)
{
    if (model_check_weights(model, group, path, error) || params_allocate(&model->params, false, error))
        return error->status;
    for (int64_t i = 0; i < model->params.n; i++) {
        const struct param *param = &model->params.items[i];
        float *value = model->params.value + param->offset;
        if (hdf5_get_array(group, param->name, true, value, path, error))
            return error->status;
        for (int64_t k = 0; k < param->count; k++)
            if (!isfinite(value[k]))
                return error_set(error, STATUS_FAILED,
                                 "%s: weights/%s: value %" PRId64
                                 " is not finite (a diverged training, or a damaged file)",
                                 path, param->name, k);
    }
    return STATUS_OK;
}

static enum status model_read_block(struct model *model, hid_t group, const char *name, const char *path,
                                    struct error *error)
{
    struct model_block *block = &model->blocks[model->n_blocks];
    int64_t count = 1;
    int n_dims;
    bool is_float;
    if (hdf5_array_shape(group, name, &is_float, &n_dims, &count, 1, path, error))
        return error->status;
    void *values = arena_alloc(&model->arena, (size_t)count + 1, is_float ? sizeof(float) : sizeof(int64_t));
    if (!values)
        return error_memory(error, (size_t)count * 8, "training state of the model");
    *block = (struct model_block){
        .name = name, .count = count, .floats = is_float ? values : NULL, .ints = is_float ? NULL : values};
    model->n_blocks++;
    return hdf5_get_array(group, name, is_float, values, path, error);
}

static enum status model_read_state(struct model *model, hid_t file, const char *path, struct error *error)
{
    int64_t n;
    const char **names;
    if (!hdf5_has(file, "state"))
        return STATUS_OK;
    hid_t group = hdf5_open_group(file, "state");
    if (group < 0)
        return hdf5_error(error, path, "state");
    enum status status = hdf5_list(&n, &names, group, path, &model->arena, error);
    if (!status) {
        model->blocks = arena_alloc(&model->arena, (size_t)n + 1, sizeof *model->blocks);
        if (!model->blocks)
            status = error_memory(error, (size_t)n * sizeof *model->blocks, "training state of the model");
    }

    for (int64_t i = 0; !status && i < n; i++)
        status = model_read_block(model, group, names[i], path, error);
    H5Gclose(group);
    return status;
}

/* A model or a coarse stage, without what is inside it. */
static enum status model_read_stage(struct model *model, hid_t group, const char *path, bool with_state,
                                    struct error *error)
{
    hid_t weights = -1;
    enum status status = model_read_version(group, path, &model->arena, error);
    if (!status)
        status = model_read_texts(model, group, path, error);
    if (!status)
        status = model_bind_network(model, path, error);
    if (!status && !hdf5_has(group, "weights"))
        status = error_set(error, STATUS_FAILED, "%s: weights: missing (not a calvaria model, or a damaged one)", path);
    if (!status && (weights = hdf5_open_group(group, "weights")) < 0)
        status = hdf5_error(error, path, "weights");
    if (!status)
        status = model_read_weights(model, weights, path, error);
    if (!status && with_state)
        status = model_read_state(model, group, path, error);
    if (weights >= 0)
        H5Gclose(weights);
    return status;
}

static enum status model_read_coarse(struct model *model, hid_t file, const char *path, struct error *error)
{
    if (!hdf5_has(file, "coarse"))
        return STATUS_OK;
    hid_t group = hdf5_open_group(file, "coarse");
    if (group < 0)
        return hdf5_error(error, path, "coarse");
    model->coarse = memory_zalloc(1, sizeof *model->coarse);
    enum status status = model->coarse ? model_read_stage(model->coarse, group, path, false, error)
                                       : error_memory(error, sizeof *model->coarse, "the coarse stage");
    H5Gclose(group);
    return status ? error_while(error, "reading the coarse stage") : STATUS_OK;
}

/* Files of HDF5's first format carry no checksums, and its library follows damaged ones into wild memory. calvaria
 * writes a later one. */
static enum status model_check_format(hid_t file, const char *path, struct error *error)
{
    H5F_info2_t info;
    if (H5Fget_info2(file, &info) < 0)
        return hdf5_error(error, path, "superblock");
    if (info.super.version < 2)
        return error_set(error, STATUS_FAILED,
                         "%s: HDF5 format %u, without checksums: not written by calvaria (a Keras file: see "
                         "import-keras; a repacked model: h5repack --low=1)",
                         path, info.super.version);
    return STATUS_OK;
}

/* An opened file; -1 after an error. */
static hid_t model_check_file(hid_t file, const char *path, struct error *error)
{
    if (file < 0)
        hdf5_error(error, path, "not a readable HDF5 file (truncated, or no model)");
    else if (model_check_format(file, path, error)) {
        H5Fclose(file);
        file = -1;
    }
    return file;
}

enum status model_read_group(struct model *model, hid_t group, const char *path, bool with_state, struct error *error)
{
    enum status status = model_read_stage(model, group, path, with_state, error);
    if (!status)
        status = model_read_coarse(model, group, path, error);
    if (!status && hdf5_has(group, "shape"))
        status = hdf5_get_bytes(&model->shape, &model->shape_bytes, group, "shape", path, &model->arena, error);
    return status;
}

hid_t model_open_file(const char *path, struct error *error)
{
    if (!file_exists(path)) {
        error_set(error, STATUS_FAILED, "%s: no such file", path);
        return -1;
    }
    return model_check_file(hdf5_open_file(path), path, error);
}

/* An open HDF5 file, which is closed here. */
static enum status model_read_open(struct model *model, hid_t file, const char *path, bool with_state,
                                   struct error *error)
{
    if (file < 0)
        return error->status;
    const enum status status = model_read_group(model, file, path, with_state, error);
    H5Fclose(file);
    return status;
}

static enum status model_take(struct model *ret, struct model *model, enum status status)
{
    if (status)
        model_done(model);
    else
        *ret = *model;
    return status;
}

enum status model_read(struct model *ret, const char *path, bool with_state, struct error *error)
{
    struct model model = {0};
    hdf5_lock();
    const enum status status = model_read_open(&model, model_open_file(path, error), path, with_state, error);
    hdf5_unlock();
    return model_take(ret, &model, status);
}

enum status model_read_image(struct model *ret, const void *bytes, size_t n, const char *path, struct error *error)
{
    struct model model = {0};
    hdf5_lock();
    const hid_t file = model_check_file(hdf5_open_image(bytes, n), path, error);
    const enum status status = model_read_open(&model, file, path, false, error);
    hdf5_unlock();
    return model_take(ret, &model, status);
}

/* A recipe's text, one key a line, with the last part of each absolute path alone. */
static const char *model_portable_recipe(const char *text, struct arena *arena)
{
    char *out = arena_strdup(arena, text), *to = out;
    for (const char *line = text; out && *line;) {
        const char *end = line + strcspn(line, "\n");
        end += *end == '\n';
        const char *value = memmem(line, (size_t)(end - line), ": ", 2);
        value = value ? value + 2 + (value[2] == '"') : end;
        to = mempcpy(to, line, (size_t)(value - line));
        const char *slash = value < end && *value == '/' ? memrchr(value, '/', (size_t)(end - value)) : NULL;
        value = slash ? slash + 1 : value;
        to = mempcpy(to, value, (size_t)(end - value));
        *to = '\0';
        line = end;
    }
    return out;
}

enum status model_portable(struct model *ret, const struct model *model, const char *licence, struct arena *arena,
                           struct error *error)
{
    struct model out = *model;
    out.texts = arena_alloc(arena, (size_t)model->n_texts + 1, sizeof *out.texts);
    if (!out.texts)
        return error_memory(error, (size_t)model->n_texts * sizeof *out.texts, "the model's texts");
    out.n_texts = out.n_blocks = 0;

    for (int64_t i = 0; i < model->n_texts; i++) {
        struct model_text *text = &out.texts[out.n_texts];
        *text = model->texts[i];
        if (strcmp(text->key, "recipe") == 0 && !(text->value = model_portable_recipe(text->value, arena)))
            return error_memory(error, strlen(model->texts[i].value), "the model's recipe");
        out.n_texts += !licence || strcmp(text->key, "licence") != 0;
    }

    if (licence)
        out.texts[out.n_texts++] = (struct model_text){"licence", licence};
    out.coarse = model->coarse ? arena_alloc(arena, 1, sizeof *out.coarse) : NULL;
    if (model->coarse && !out.coarse)
        return error_memory(error, sizeof *out.coarse, "the coarse stage");
    if (out.coarse && model_portable(out.coarse, model->coarse, NULL, arena, error))
        return error->status;
    *ret = out;

    return STATUS_OK;
}

void model_done(struct model *model)
{
    if (model->coarse)
        model_done(model->coarse);
    memory_free(model->coarse);
    params_done(&model->params);
    arena_done(&model->arena);
    *model = (struct model){0};
}

const char *model_text(const struct model *model, const char *key)
{
    for (int64_t i = 0; i < model->n_texts; i++)
        if (strcmp(model->texts[i].key, key) == 0)
            return model->texts[i].value;
    return NULL;
}

const struct model_block *model_block(const struct model *model, const char *name)
{
    for (int64_t i = 0; i < model->n_blocks; i++)
        if (strcmp(model->blocks[i].name, name) == 0)
            return &model->blocks[i];
    return NULL;
}
