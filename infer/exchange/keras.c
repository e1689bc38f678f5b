/* keras.c - see keras.h. Test: tests/infer/test_keras.c, on files written by Keras (scripts/golden/keras_files.py) */
#include "infer/exchange/keras.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "infer/exchange/keras_compare.h"
#include "infer/exchange/keras_config.h"
#include "infer/exchange/keras_file.h"
#include "infer/restore.h"

enum { MAX_PARTS = 24 };

/* "sequential/conv3d_1/kernel:0": layer candidates from the last to the first, and the kind. */
struct weight_name {
    int n_parts;
    const char *part[MAX_PARTS]; /* part[0] stands next to the kind */
    const char *kind;
    const char *layer; /* the part that names the layer, once the layers are known */
};

struct importing {
    const char *path;
    const struct keras_options *options;
    struct keras_file file;
    struct weight_name *names;  /* of the file's weights */
    struct keras_network keras; /* n_layers 0: the file has weights alone */
    struct model model;
    struct error *error;
};

/* ---- which weight a path means ---- */

/* Keras 3's numbered variables ("layers/conv3d/vars/0") in words. */
static const char *keras_numbered_kind(const char *layer, const char *number)
{
    static const char *const norm[] = {"gamma", "beta", "moving_mean", "moving_variance"}, *const other[] = {"kernel",
                                                                                                             "bias"};
    bool is_norm = strstr(layer, "batch_normalization") != NULL;
    long i = strtol(number, NULL, 10);
    return i >= 0 && i < (is_norm ? 4 : 2) ? (is_norm ? norm : other)[i] : "unknown";
}

static bool keras_split_path(struct weight_name *ret, const char *path, struct arena *arena)
{
    char *copy = arena_strdup(arena, path);
    const char *parts[MAX_PARTS];
    int n = 0;

    for (char *at = copy; at && n < MAX_PARTS; n++) {
        parts[n] = at;
        at = strchr(at, '/');
        if (at)
            *at++ = '\0';
    }

    if (n < 2)
        return false;
    char *colon = strchr(parts[n - 1], ':');
    if (colon)
        *colon = '\0';
    ret->n_parts = 0;
    ret->kind = parts[n - 1];

    bool numbered = isdigit((unsigned char)ret->kind[0]) && strcmp(parts[n - 2], "vars") == 0 && n >= 3;
    if (numbered)
        ret->kind = keras_numbered_kind(parts[n - 3], ret->kind);
    for (int i = n - (numbered ? 3 : 2); i >= 0; i--)
        ret->part[ret->n_parts++] = parts[i];

    return true;
}

static const char *keras_suffix_of_kind(const char *kind)
{
    static const char *const pairs[][2] = {{"kernel", ".w"},
                                           {"bias", ".b"},
                                           {"gamma", ".gamma"},
                                           {"beta", ".beta"},
                                           {"moving_mean", ".moving_mean"},
                                           {"moving_variance", ".moving_variance"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (strcmp(kind, pairs[i][0]) == 0)
            return pairs[i][1];
    return NULL;
}

/* ---- the layers of a file of weights alone ---- */

/* "conv3d_10": its class and 10. False where it is no name that Keras gives. */
static bool keras_auto_name(const char *name, const char *class, long *ret_number)
{
    size_t n = strlen(class);
    if (strncmp(name, class, n) != 0 || (name[n] && (name[n] != '_' || !isdigit((unsigned char)name[n + 1]))))
        return false;
    char *end = NULL;
    *ret_number = name[n] ? strtol(name + n + 1, &end, 10) : 0;
    return !end || !*end;
}

static const char *keras_class_of_type(const char *type)
{
    static const char *const pairs[][2] = {{"conv", "conv3d"},
                                           {"conv_transpose", "conv3d_transpose"},
                                           {"batch_norm", "batch_normalization"},
                                           {"dense", "dense"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (strcmp(type, pairs[i][0]) == 0)
            return pairs[i][1];
    return NULL;
}

/* The name in the file of the next layer of `class` after number `after`; NULL: none. */
static const char *keras_next_of_class(const struct importing *importing, const char *class, long after,
                                       long *ret_number)
{
    const char *found = NULL;
    for (int64_t i = 0; i < importing->file.n_weights; i++) {
        const char *layer = importing->names[i].part[0];
        long number;
        if (keras_auto_name(layer, class, &number) && number > after && (!found || number < *ret_number)) {
            found = layer;
            *ret_number = number;
        }
    }
    return found;
}

static bool keras_file_has_layer(const struct importing *importing, const char *layer)
{
    for (int64_t i = 0; i < importing->file.n_weights; i++)
        if (strcmp(importing->names[i].part[0], layer) == 0)
            return true;
    return false;
}

/* For weights alone: the Keras layer of each of the network's, by its own name, or by Keras' numbers within its class.
 */
static enum status keras_number_layers(struct importing *importing)
{
    static const char *const classes[] = {"conv3d", "conv3d_transpose", "batch_normalization", "dense"};
    const struct network_config *network = &importing->model.network;
    struct arena *arena = &importing->file.arena;
    long last[4] = {-1, -1, -1, -1};

    importing->keras.n_layers = network->layers.n;
    importing->keras.layers = arena_alloc(arena, (size_t)network->layers.n, sizeof *importing->keras.layers);
    if (!importing->keras.layers)
        return error_memory(importing->error, (size_t)network->layers.n * sizeof *importing->keras.layers,
                            "the layers of the Keras file");

    /* Layers without a name of the file's are numbered by class, in order. */
    for (int64_t i = 0; i < network->layers.n; i++) {
        struct keras_layer *layer = &importing->keras.layers[i];
        const char *type = network->layers.items[i].table->type, *class = keras_class_of_type(type);
        layer->type = type;
        layer->name = ((const struct layer_config *)network->layers.items[i].value)->name;
        if (!class)
            continue;
        int k = 0;
        while (strcmp(classes[k], class) != 0)
            k++;
        layer->keras = layer->name && keras_file_has_layer(importing, layer->name)
                           ? layer->name
                           : keras_next_of_class(importing, class, last[k], &last[k]);
        if (!layer->keras)
            return error_set(
                importing->error, STATUS_FAILED,
                "%s: layer '%s' (%s) of the network: the file has no further %s layer (another architecture)",
                importing->path, layer->name ? layer->name : "without a name", type, class);
    }

    return STATUS_OK;
}

/* ---- values ---- */

/* dst (plain, Keras' axes reversed) = src. */
static void keras_reverse_axes(float *dst, const struct keras_weight *weight)
{
    int64_t stride[KERAS_MAX_DIMS], at[KERAS_MAX_DIMS] = {0}, step = 1;
    for (int a = 0; a < weight->n_dims; a++) { /* of Keras' axis a in dst, where it is the a-th from the end */
        stride[a] = step;
        step *= weight->dim[a];
    }

    for (int64_t i = 0; i < weight->count; i++) {
        int64_t to = 0;
        for (int a = 0; a < weight->n_dims; a++)
            to += at[a] * stride[a];
        dst[to] = weight->values[i];
        for (int a = weight->n_dims - 1; a >= 0 && ++at[a] == weight->dim[a]; a--)
            at[a] = 0;
    }
}

/* Where channel c (c,z,y,x) of a flattened grid stands in Keras' order x,y,z,c. */
static int64_t keras_channel(struct shape grid, int64_t channel)
{
    int64_t x = channel % grid.w, y = channel / grid.w % grid.h, z = channel / grid.w / grid.h % grid.d,
            c = channel / grid.w / grid.h / grid.d;
    return ((x * grid.h + y) * grid.d + z) * grid.c + c;
}

/* Rows of `n` values that follow a flatten: from Keras' order to ours, in place; `row` has room for n. */
static void keras_reorder_flattened(float *values, int64_t rows, int64_t n, struct shape grid, float *row)
{
    for (int64_t r = 0; r < rows; r++) {
        memcpy(row, values + r * n, (size_t)n * sizeof *row);
        for (int64_t i = 0; i < n; i++)
            values[r * n + i] = row[keras_channel(grid, i)];
    }
}

/* The grid whose flattened values layer `index` reads; false: none. */
static bool keras_flattened_source(const struct network *network, int64_t index, struct shape *ret)
{
    static const char *const keep_order[] = {"relu",    "leaky_relu", "tanh",      "sigmoid",
                                             "softmax", "dropout",    "batch_norm"};
    for (int64_t i = network_layer_src(network, index, 0); i >= 0; i = network_layer_src(network, i, 0)) {
        const struct layer *layer = network_layer(network, i);
        bool keeps = false;
        if (strcmp(layer->ops->config.type, "flatten") == 0) {
            *ret = layer->src[0].shape;
            return true;
        }
        for (size_t k = 0; k < sizeof keep_order / sizeof *keep_order; k++)
            keeps |= strcmp(layer->ops->config.type, keep_order[k]) == 0;
        if (!keeps)
            return false;
    }

    return false;
}

static enum status keras_reorder_layers(struct importing *importing)
{
    struct model *model = &importing->model;
    struct network *network = NULL;
    const int64_t *patch = model->network.patch_vox;

    if (network_trace(&network, &model->network, &model->params,
                      (struct shape){1, model->network.input_channels, patch[2], patch[1], patch[0]}, importing->error))
        return importing->error->status;
    enum status status = STATUS_OK;
    for (int64_t i = 0; !status && i < network_n_layers(network); i++) {
        const struct layer *layer = network_layer(network, i);
        struct shape grid;
        if (!keras_class_of_type(layer->ops->config.type) || !keras_flattened_source(network, i, &grid))
            continue;
        bool dense = strcmp(layer->ops->config.type, "dense") == 0;
        int64_t n = layer->src[0].shape.c;
        float *row = memory_alloc((size_t)n, sizeof *row);
        if (!row)
            status = error_memory(importing->error, (size_t)n * sizeof *row, "a row of weights");
        for (int p = 0; row && p < (dense ? 1 : layer->n_params); p++)
            keras_reorder_flattened(layer->value[p], dense ? layer->param[p]->dim[0] : 1, n, grid, row);
        memory_free(row);
    }

    network_free(network);
    return status;
}

/* ---- matching ---- */

static enum status keras_split_paths(struct importing *importing)
{
    struct keras_file *file = &importing->file;
    importing->names = arena_alloc(&file->arena, (size_t)file->n_weights, sizeof *importing->names);
    if (!importing->names)
        return error_memory(importing->error, (size_t)file->n_weights * sizeof *importing->names,
                            "the names of the weights");
    for (int64_t i = 0; i < file->n_weights; i++)
        if (!keras_split_path(&importing->names[i], file->weights[i].path, &file->arena))
            return error_set(importing->error, STATUS_FAILED,
                             "%s: %.200s: a weight without a layer above it (no file of Keras')", importing->path,
                             file->weights[i].path);
    return STATUS_OK;
}

/* Which layer a path means: the last of its parts that is a layer's name ("sequential/conv3d_1", and
 * "conv3d_1/conv3d_1_1" of TensorFlow 1). */
static void keras_name_layers(struct importing *importing)
{
    for (int64_t i = 0; i < importing->file.n_weights; i++) {
        struct weight_name *name = &importing->names[i];
        for (int p = 0; !name->layer && p < name->n_parts; p++)
            for (int64_t k = 0; !name->layer && k < importing->keras.n_layers; k++)
                if (importing->keras.layers[k].keras && strcmp(importing->keras.layers[k].keras, name->part[p]) == 0)
                    name->layer = name->part[p];
    }
}

/* The weight "layer.suffix" of the Keras layer `keras`. */
static struct keras_weight *keras_find_weight(struct importing *importing, const char *keras, const char *suffix,
                                              bool *ret_twice)
{
    struct keras_weight *found = NULL;
    *ret_twice = false;
    for (int64_t i = 0; i < importing->file.n_weights; i++) {
        const struct weight_name *name = &importing->names[i];
        const char *has = keras_suffix_of_kind(name->kind);
        if (!has || !name->layer || strcmp(has, suffix) != 0 || strcmp(name->layer, keras) != 0)
            continue;
        *ret_twice |= found != NULL;
        found = &importing->file.weights[i];
    }
    return found;
}

static enum status keras_take_weight(struct importing *importing, const struct keras_layer *layer,
                                     const struct param *param, const char *suffix)
{
    bool twice;
    float *value = importing->model.params.value + param->offset;
    struct keras_weight *weight = keras_find_weight(importing, layer->keras, suffix, &twice);
    int64_t wanted[KERAS_MAX_DIMS];
    char has[PARAM_SHAPE_TEXT], wants[PARAM_SHAPE_TEXT];

    if (twice)
        return error_set(importing->error, STATUS_FAILED,
                         "%s: layer '%s': two weights of one name (a model used twice?)", importing->path,
                         layer->keras);
    bool constant =
        (strcmp(suffix, ".gamma") == 0 && layer->no_gamma) || (strcmp(suffix, ".beta") == 0 && layer->no_beta);
    if (!weight && constant) {
        for (int64_t i = 0; i < param->count; i++)
            value[i] = suffix[1] == 'g' ? 1 : 0;
        return STATUS_OK;
    }

    if (!weight)
        return error_set(importing->error, STATUS_FAILED,
                         "%s: layer '%s': no weight for %s (another architecture, or a damaged file)", importing->path,
                         layer->keras, param->name);
    for (int a = 0; a < param->n_dims; a++)
        wanted[a] = param->dim[param->n_dims - 1 - a];
    if (weight->n_dims != param->n_dims || memcmp(weight->dim, wanted, (size_t)param->n_dims * sizeof *wanted) != 0)
        return error_set(importing->error, STATUS_FAILED,
                         "%s: %s: shape %s, the network's %s wants %s (in Keras' order)", importing->path, weight->path,
                         param_shape_text(has, weight->n_dims, weight->dim), param->name,
                         param_shape_text(wants, param->n_dims, wanted));

    for (int64_t i = 0; i < weight->count; i++)
        if (!isfinite(weight->values[i]))
            return error_set(importing->error, STATUS_FAILED,
                             "%s: %s: value %" PRId64 " is not finite (a diverged training, or a damaged file)",
                             importing->path, weight->path, i);

    keras_reverse_axes(value, weight);
    weight->used = true;

    return STATUS_OK;
}

/* Our layer `i` owns the parameters "NAME.*". */
static enum status keras_take_weights(struct importing *importing)
{
    const struct params *params = &importing->model.params;
    keras_name_layers(importing);
    for (int64_t i = 0; i < importing->keras.n_layers; i++) {
        const struct layer_config *config = importing->model.network.layers.items[i].value;
        const struct keras_layer *layer = &importing->keras.layers[i];
        const char *name = config->name;
        char *unnamed = name ? NULL
                             : arena_printf(&importing->file.arena, "%s_%" PRId64,
                                            importing->model.network.layers.items[i].table->type, i);
        name = name ? name : unnamed;
        for (int64_t p = 0; name && p < params->n; p++) {
            const char *suffix = strchr(params->items[p].name, '.');
            if (strlen(name) != (size_t)(suffix - params->items[p].name) ||
                strncmp(params->items[p].name, name, strlen(name)) != 0)
                continue;
            if (keras_take_weight(importing, layer, &params->items[p], suffix))
                return importing->error->status;
        }
    }

    for (int64_t i = 0; i < importing->file.n_weights; i++)
        if (!importing->file.weights[i].used)
            return error_set(importing->error, STATUS_FAILED,
                             "%s: %s: no layer of the network takes it (another architecture)", importing->path,
                             importing->file.weights[i].path);

    return STATUS_OK;
}

/* ---- the model ---- */

static enum status keras_bind_network(struct importing *importing, struct network_config *ret, const char *text,
                                      const char *name)
{
    struct yaml_node *root;
    struct arena *arena = &importing->model.arena;
    return yaml_read_text(&root, text, name, arena, importing->error) ||
                   config_bind(&network_table, root, ret, arena, importing->error)
               ? importing->error->status
               : STATUS_OK;
}

/* The file's own architecture, the one given, or both compared. */
static enum status keras_choose_network(struct importing *importing)
{
    struct arena *arena = &importing->model.arena;
    const struct keras_options *options = importing->options;
    struct network_config derived = {0};
    int64_t patch[3];

    for (int a = 0; a < 3; a++)
        patch[a] = options->patch_vox[a] ? options->patch_vox[a] : 128;
    if (!importing->file.config && !options->network)
        return error_set(importing->error, STATUS_USAGE,
                         "%s: weights without an architecture (name it: --network configs/networks/mia_ae_patch.yaml)",
                         importing->path);

    if (importing->file.config &&
        (keras_network_derive(&importing->keras, importing->file.config, importing->file.version, patch,
                              importing->path, arena, importing->error) ||
         keras_bind_network(importing, &derived, importing->keras.yaml, importing->path))) {
        importing->error->status = STATUS_FAILED; /* the file's fault, not a configuration's */
        return STATUS_FAILED;
    }

    if (!options->network) {
        importing->model.network = derived;
        return STATUS_OK;
    }
    struct yaml_node *root;
    if (yaml_read_extended(&root, options->network, arena, importing->error) ||
        config_bind(&network_table, yaml_get(root, "network") ? yaml_get(root, "network") : root,
                    &importing->model.network, arena, importing->error))
        return importing->error->status;

    return importing->file.config ? keras_compare(&derived, &importing->model.network, &importing->keras,
                                                  importing->path, importing->error)
                                  : keras_number_layers(importing);
}

/* As published: patches side by side over the top 128 slices; a whole skull where the network takes one of 128 x 128
 * x 64. */
static enum status keras_put_restore(struct importing *importing, const char **ret)
{
    const int64_t *patch = importing->model.network.patch_vox;
    bool whole = patch[2] < patch[0];
    struct arena *arena = &importing->model.arena;
    struct restore_config config;
    const char *text = arena_printf(
        arena, "{task: completion, scan: %s, top_vox: %d, threshold: 0.5, postprocess: [{open: 1}, {keep_largest: 1}]}",
        whole ? "whole" : "grid", whole ? 0 : 128);
    if (!text)
        return error_memory(importing->error, 256, "the pipeline");
    if (restore_config_read(&config, text, "restore", &importing->options->restore, arena, importing->error))
        return error_while(importing->error, "reading --restore");
    return restore_config_text(ret, &config, arena, importing->error);
}

static enum status keras_put_texts(struct importing *importing)
{
    struct model *model = &importing->model;
    struct arena *arena = &model->arena;
    const char *base = strrchr(importing->path, '/'), *version = importing->file.version, *restore;

    if (keras_put_restore(importing, &restore))
        return importing->error->status;
    model->texts = arena_alloc(arena, 4, sizeof *model->texts);
    const char *source = arena_printf(arena, "%s, written by Keras%s%.40s", base ? base + 1 : importing->path,
                                      *version ? " " : "", version);
    const char *name = model->network.name && strcmp(model->network.name, "keras") != 0
                           ? model->network.name
                           : arena_strdup(arena, base ? base + 1 : importing->path);
    if (!model->texts || !source || !name)
        return error_memory(importing->error, 1024, "texts of the model");
    model->texts[model->n_texts++] = (struct model_text){"restore", restore};
    model->texts[model->n_texts++] = (struct model_text){"name", name};
    model->texts[model->n_texts++] = (struct model_text){"source", source};

    const char *given = importing->options->licence, *licence = given ? arena_strdup(arena, given) : NULL;
    if (given && !licence)
        return error_memory(importing->error, strlen(given), "the licence");
    if (licence)
        model->texts[model->n_texts++] = (struct model_text){"licence", licence};

    return STATUS_OK;
}

static enum status keras_import_file(struct importing *importing)
{
    struct model *model = &importing->model;
    if (keras_file_read(&importing->file, importing->path, importing->error) || keras_split_paths(importing) ||
        keras_choose_network(importing) || network_describe(&model->params, &model->network, importing->error) ||
        params_allocate(&model->params, false, importing->error) || keras_take_weights(importing) ||
        keras_reorder_layers(importing) || keras_put_texts(importing))
        return importing->error->status;
    return STATUS_OK;
}

enum status keras_import(struct model *ret, const char *path, const struct keras_options *options, struct error *error)
{
    struct importing importing = {.path = path, .options = options, .error = error};
    enum status status = keras_import_file(&importing);
    keras_file_done(&importing.file);
    if (status) {
        model_done(&importing.model);
        return error_while(error, "importing '%s'", path);
    }
    *ret = importing.model;
    return STATUS_OK;
}
