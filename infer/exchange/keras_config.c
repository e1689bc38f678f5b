/* keras_config.c - from Keras' model_config to a network in our YAML; see keras_config.h.
 *
 * Sequential, Functional (Model before Keras 2.4) and either inside the other; the list that stood for a Sequential
 * before Keras 2.2.3. Arrays are X,Y,Z,C there (channels last), so Keras' triples are ours as they stand: x, y, z. */
#include "infer/exchange/keras_config.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

enum { MAX_LAYERS = 1000, MAX_DEPTH = 8, MAX_SRC = 8, MAX_BYTES = 1 << 20 };

struct deriving {
    const char *path;
    struct arena *arena;
    struct error *error;
    FILE *yaml; /* the list of layers */
    struct keras_layer *layers;
    int64_t n_layers, n_seen; /* ours; Keras' */
    int64_t patch[3], channels;
    bool keras2_variance;
    bool flat; /* behind a flatten or a global pool: values are N,C */
};

/* A Keras layer while it becomes one or two of ours. */
struct reading {
    struct deriving *deriving;
    const cJSON *config;
    const char *class, *keras;
    const char *src[MAX_SRC], *dst;
    int n_src;
};

static enum status keras_refuse(const struct reading *reading, const char *key, const char *why)
{
    return error_set(reading->deriving->error, STATUS_FAILED, "%s: layer '%.80s' (%.40s): %s: %s",
                     reading->deriving->path, reading->keras, reading->class, key, why);
}

static enum status keras_refuse_memory(const struct deriving *deriving)
{
    return error_memory(deriving->error, 4096, "the network of the Keras file");
}

/* ---- JSON ---- */

static const char *keras_text_of(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static bool keras_is_absent(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return !item || cJSON_IsNull(item);
}

static bool keras_flag_of(const cJSON *object, const char *key, bool fallback)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsBool(item) ? cJSON_IsTrue(item) : fallback;
}

/* Also numbers that Keras wraps as numpy values. */
static double keras_number_of(const cJSON *object, const char *key, double fallback)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (cJSON_IsObject(item))
        item = cJSON_GetObjectItemCaseSensitive(item, "value");
    return cJSON_IsNumber(item) ? item->valuedouble : fallback;
}

static int64_t keras_whole_of(const cJSON *item)
{
    bool whole = cJSON_IsNumber(item) && fabs(item->valuedouble) < 1e9 && item->valuedouble == floor(item->valuedouble);
    return whole ? (int64_t)item->valuedouble : -1;
}

static bool keras_triple_of(const cJSON *object, const char *key, int64_t ret[3])
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    for (int a = 0; a < 3; a++)
        ret[a] = keras_whole_of(cJSON_IsArray(item) ? cJSON_GetArrayItem(item, a) : item);
    return ret[0] > 0 && ret[1] > 0 && ret[2] > 0;
}

static bool keras_all_ones(const cJSON *object, const char *key)
{
    int64_t triple[3];
    return keras_is_absent(object, key) ||
           (keras_triple_of(object, key, triple) && triple[0] == 1 && triple[1] == 1 && triple[2] == 1);
}

/* The key "axis" is the last of N,X,Y,Z,C or of N,C: -1, or its number, or either in a list. */
static bool keras_is_last_axis(const struct reading *reading)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(reading->config, "axis");
    if (cJSON_IsArray(item) && cJSON_GetArraySize(item) == 1)
        item = cJSON_GetArrayItem(item, 0);
    return !item || (cJSON_IsNumber(item) &&
                     (item->valuedouble == -1 || item->valuedouble == (reading->deriving->flat ? 1 : 4)));
}

static bool keras_is_channels_last(const cJSON *config)
{
    const char *format = keras_text_of(config, "data_format");
    return !format || strcmp(format, "channels_last") == 0;
}

/* The shortest number that is the same float: 0.2 for 0.20000000298. */
static double keras_tidy(double value)
{
    char text[40];
    snprintf(text, sizeof text, "%.7g", value);
    double shorter = strtod(text, NULL);
    return (float)shorter == (float)value ? shorter : value;
}

/* ---- our layers ---- */

static bool keras_is_taken(const struct deriving *deriving, const char *name)
{
    for (int64_t i = 0; i < deriving->n_layers; i++)
        if (strcmp(deriving->layers[i].name, name) == 0)
            return true;
    return strcmp(name, "input") == 0;
}

/* Keras' name in letters that ours may have, and not taken yet. */
static char *keras_our_name(const struct deriving *deriving, const char *keras, const char *suffix)
{
    char *base = arena_printf(deriving->arena, "%.80s%s", *keras ? keras : "layer", suffix), *name = base;
    for (char *at = base; at && *at; at++)
        if (!isalnum((unsigned char)*at) && *at != '_' && *at != '-')
            *at = '_';
    for (int64_t i = 2; name && keras_is_taken(deriving, name); i++)
        name = arena_printf(deriving->arena, "%s_%" PRId64, base, i);
    return name;
}

/* Starts "- { name, type, from"; the caller adds its keys and closes with end_layer. */
static enum status keras_begin_layer(struct reading *reading, const char *type, const char *suffix,
                                     const char *const *src, int n_src)
{
    struct deriving *deriving = reading->deriving;
    const char *name = keras_our_name(deriving, reading->keras, suffix);

    if (!name)
        return keras_refuse_memory(deriving);
    if (deriving->n_layers >= MAX_LAYERS)
        return keras_refuse(reading, "count", "more layers than any network here has");
    fprintf(deriving->yaml, "  - { name: \"%s\", type: %s, from: [", name, type);
    for (int k = 0; k < n_src; k++)
        fprintf(deriving->yaml, "%s\"%s\"", k ? ", " : "", src[k]);
    fprintf(deriving->yaml, "]");
    deriving->layers[deriving->n_layers++] = (struct keras_layer){.name = name, .type = type, .keras = reading->keras};
    reading->dst = name;

    return STATUS_OK;
}

static void keras_end_layer(const struct reading *reading)
{
    fprintf(reading->deriving->yaml, " }\n");
}

static enum status keras_plain_layer(struct reading *reading, const char *type)
{
    if (keras_begin_layer(reading, type, "", reading->src, reading->n_src))
        return reading->deriving->error->status;
    keras_end_layer(reading);
    return STATUS_OK;
}

static enum status keras_leaky_layer(struct reading *reading, double slope, const char *suffix, const char *src)
{
    if (!(slope >= 0 && slope <= 1))
        return keras_refuse(reading, "slope", "not between 0 and 1");
    if (keras_begin_layer(reading, "leaky_relu", suffix, &src, 1))
        return reading->deriving->error->status;
    fprintf(reading->deriving->yaml, ", slope: %.17g", keras_tidy(slope));
    keras_end_layer(reading);
    return STATUS_OK;
}

/* The activation named in a layer's config: none, or one more layer behind src. */
static enum status keras_activation(struct reading *reading, const char *src, const char *suffix)
{
    static const char *const known[] = {"relu", "tanh", "sigmoid", "softmax"};
    const char *name = keras_text_of(reading->config, "activation");

    reading->dst = src;
    if (keras_is_absent(reading->config, "activation") || (name && strcmp(name, "linear") == 0))
        return STATUS_OK;
    if (name && strcmp(name, "leaky_relu") == 0)
        return keras_leaky_layer(reading, 0.2, suffix, src);

    for (size_t i = 0; name && i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i]) == 0) {
            if (keras_begin_layer(reading, known[i], suffix, &src, 1))
                return reading->deriving->error->status;
            keras_end_layer(reading);
            return STATUS_OK;
        }

    return keras_refuse(reading, "activation",
                        "unknown (relu, leaky_relu, tanh, sigmoid, softmax and linear are known)");
}

/* ---- one Keras class each ---- */

static enum status keras_read_activation(struct reading *reading)
{
    return keras_activation(reading, reading->src[0], "");
}

static enum status keras_read_convolution(struct reading *reading, const char *type, bool transposed)
{
    const cJSON *config = reading->config;
    const char *padding = keras_text_of(config, "padding");
    int64_t filters = keras_whole_of(cJSON_GetObjectItemCaseSensitive(config, "filters")), kernel[3], stride[3];
    bool bias = keras_flag_of(config, "use_bias", true);

    if (filters < 1 || !keras_triple_of(config, "kernel_size", kernel) || !keras_triple_of(config, "strides", stride))
        return keras_refuse(reading, "filters, kernel_size, strides", "not whole numbers above 0");
    if (!padding || (strcmp(padding, "same") != 0 && strcmp(padding, "valid") != 0))
        return keras_refuse(reading, "padding", "neither same nor valid");
    if (!keras_is_channels_last(config))
        return keras_refuse(reading, "data_format", "not channels_last");
    if (!keras_all_ones(config, "dilation_rate") || keras_number_of(config, "groups", 1) != 1)
        return keras_refuse(reading, "dilation_rate, groups",
                            "not 1 (dilated and grouped convolutions are unknown here)");
    if (transposed && !keras_is_absent(config, "output_padding"))
        return keras_refuse(reading, "output_padding", "given (only Keras' default is known)");
    if (transposed && strcmp(padding, "valid") == 0) {
        bool smaller[3] = {kernel[0] < stride[0], kernel[1] < stride[1], kernel[2] < stride[2]};
        if (smaller[0] || smaller[1] || smaller[2])
            return keras_refuse(reading, "kernel_size", "smaller than strides with padding: valid (same would do)");
    }

    if (keras_begin_layer(reading, type, "", reading->src, reading->n_src))
        return reading->deriving->error->status;
    fprintf(reading->deriving->yaml,
            ", filters: %" PRId64 ", kernel: [%" PRId64 ", %" PRId64 ", %" PRId64 "], stride: [%" PRId64 ", %" PRId64
            ", %" PRId64 "], padding: %s, bias: %s",
            filters, kernel[0], kernel[1], kernel[2], stride[0], stride[1], stride[2], padding,
            bias ? "true" : "false");
    keras_end_layer(reading);

    return keras_activation(reading, reading->dst, "_act");
}

static enum status keras_read_conv(struct reading *reading)
{
    return keras_read_convolution(reading, "conv", false);
}

static enum status keras_read_conv_transpose(struct reading *reading)
{
    return keras_read_convolution(reading, "conv_transpose", true);
}

static enum status keras_read_dense(struct reading *reading)
{
    int64_t units = keras_whole_of(cJSON_GetObjectItemCaseSensitive(reading->config, "units"));
    if (units < 1)
        return keras_refuse(reading, "units", "not a whole number above 0");
    if (keras_begin_layer(reading, "dense", "", reading->src, reading->n_src))
        return reading->deriving->error->status;
    fprintf(reading->deriving->yaml, ", units: %" PRId64 ", bias: %s", units,
            keras_flag_of(reading->config, "use_bias", true) ? "true" : "false");
    keras_end_layer(reading);
    return keras_activation(reading, reading->dst, "_act");
}

static enum status keras_read_leaky_relu(struct reading *reading)
{
    return keras_leaky_layer(
        reading,
        keras_number_of(reading->config, keras_is_absent(reading->config, "alpha") ? "negative_slope" : "alpha", 0.3),
        "", reading->src[0]);
}

static enum status keras_read_relu(struct reading *reading)
{
    double slope = keras_number_of(reading->config, "negative_slope", 0);
    if (!keras_is_absent(reading->config, "max_value") || keras_number_of(reading->config, "threshold", 0) != 0)
        return keras_refuse(reading, "max_value, threshold", "given (a plain ReLU is known here)");
    return slope == 0 ? keras_plain_layer(reading, "relu") : keras_leaky_layer(reading, slope, "", reading->src[0]);
}

static enum status keras_read_softmax(struct reading *reading)
{
    return keras_is_last_axis(reading) ? keras_plain_layer(reading, "softmax")
                                       : keras_refuse(reading, "axis", "not the channels");
}

static enum status keras_read_batch_norm(struct reading *reading)
{
    struct deriving *deriving = reading->deriving;
    double momentum = keras_number_of(reading->config, "momentum", 0.99),
           eps = keras_number_of(reading->config, "epsilon", 1e-3);

    if (!keras_is_last_axis(reading))
        return keras_refuse(reading, "axis", "not the channels");
    if (!(momentum >= 0 && momentum <= 1) || !(eps > 0 && eps <= 1))
        return keras_refuse(reading, "momentum, epsilon", "out of range");
    if (keras_begin_layer(reading, "batch_norm", "", reading->src, reading->n_src))
        return deriving->error->status;
    struct keras_layer *layer = &deriving->layers[deriving->n_layers - 1];
    layer->no_gamma = !keras_flag_of(reading->config, "scale", true);
    layer->no_beta = !keras_flag_of(reading->config, "center", true);
    fprintf(deriving->yaml, ", momentum: %.17g, eps: %.17g, moving_variance: %s", keras_tidy(momentum), keras_tidy(eps),
            deriving->keras2_variance ? "keras2" : "biased");
    keras_end_layer(reading);

    return STATUS_OK;
}

static enum status keras_read_dropout(struct reading *reading)
{
    double rate = keras_number_of(reading->config, "rate", keras_number_of(reading->config, "p", 0.5));
    if (!(rate >= 0 && rate < 1))
        return keras_refuse(reading, "rate", "not between 0 and 1");
    if (keras_begin_layer(reading, "dropout", "", reading->src, reading->n_src))
        return reading->deriving->error->status;
    fprintf(reading->deriving->yaml, ", rate: %.17g", rate);
    keras_end_layer(reading);
    return STATUS_OK;
}

static enum status keras_read_upsample(struct reading *reading)
{
    int64_t size[3];
    if (!keras_triple_of(reading->config, "size", size) || size[0] != size[1] || size[1] != size[2] || size[0] > 8 ||
        !keras_is_channels_last(reading->config))
        return keras_refuse(reading, "size, data_format", "not one factor of 1 to 8 with the channels last");
    if (keras_begin_layer(reading, "upsample", "", reading->src, reading->n_src))
        return reading->deriving->error->status;
    fprintf(reading->deriving->yaml, ", factor: %" PRId64, size[0]);
    keras_end_layer(reading);
    return STATUS_OK;
}

static enum status keras_read_pool(struct reading *reading)
{
    int64_t kernel[3], stride[3];
    const char *padding = keras_text_of(reading->config, "padding");

    if (!keras_triple_of(reading->config, "pool_size", kernel) || !keras_is_channels_last(reading->config) ||
        !padding || strcmp(padding, "valid") != 0)
        return keras_refuse(reading, "pool_size, padding, data_format",
                            "a pool without padding, channels last, is known here");
    if (!keras_triple_of(reading->config, "strides", stride))
        memcpy(stride, kernel, sizeof stride);
    if (keras_begin_layer(reading, strcmp(reading->class, "MaxPooling3D") == 0 ? "max_pool" : "avg_pool", "",
                          reading->src, reading->n_src))
        return reading->deriving->error->status;
    fprintf(reading->deriving->yaml,
            ", kernel: [%" PRId64 ", %" PRId64 ", %" PRId64 "], stride: [%" PRId64 ", %" PRId64 ", %" PRId64 "]",
            kernel[0], kernel[1], kernel[2], stride[0], stride[1], stride[2]);
    keras_end_layer(reading);

    return STATUS_OK;
}

static enum status keras_read_global_pool(struct reading *reading)
{
    reading->deriving->flat = true;
    return keras_plain_layer(reading, "global_pool");
}

static enum status keras_read_flatten(struct reading *reading)
{
    reading->deriving->flat = true;
    return keras_plain_layer(reading, "flatten");
}

static enum status keras_read_add(struct reading *reading)
{
    return keras_plain_layer(reading, "add");
}

static enum status keras_read_multiply(struct reading *reading)
{
    return keras_plain_layer(reading, "multiply");
}

static enum status keras_read_concat(struct reading *reading)
{
    return keras_is_last_axis(reading) ? keras_plain_layer(reading, "concat")
                                       : keras_refuse(reading, "axis", "not the channels");
}

static const struct class
{
    const char *name;
    enum status (*read)(struct reading *reading);
} classes[] = {
    {"Conv3D", keras_read_conv},
    {"Convolution3D", keras_read_conv},
    {"Conv3DTranspose", keras_read_conv_transpose},
    {"Dense", keras_read_dense},
    {"LeakyReLU", keras_read_leaky_relu},
    {"ReLU", keras_read_relu},
    {"Softmax", keras_read_softmax},
    {"Activation", keras_read_activation},
    {"BatchNormalization", keras_read_batch_norm},
    {"Dropout", keras_read_dropout},
    {"UpSampling3D", keras_read_upsample},
    {"MaxPooling3D", keras_read_pool},
    {"AveragePooling3D", keras_read_pool},
    {"GlobalAveragePooling3D", keras_read_global_pool},
    {"Flatten", keras_read_flatten},
    {"Add", keras_read_add},
    {"Multiply", keras_read_multiply},
    {"Concatenate", keras_read_concat},
};

/* ---- models ---- */

/* [null, X, Y, Z, C]; the first one that is stated holds. */
static enum status keras_take_input(struct deriving *deriving, const cJSON *config, const char *name)
{
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(config, "batch_input_shape");
    if (!shape)
        shape = cJSON_GetObjectItemCaseSensitive(config, "batch_shape");
    if (!cJSON_IsArray(shape) || deriving->channels)
        return STATUS_OK;

    int64_t channels = keras_whole_of(cJSON_GetArrayItem(shape, 4));
    if (cJSON_GetArraySize(shape) != 5 || channels < 1)
        return error_set(deriving->error, STATUS_FAILED,
                         "%s: layer '%.80s': its input is not N,X,Y,Z,C with a known C (a 3D network, channels last)",
                         deriving->path, name);
    deriving->channels = channels;
    for (int a = 0; a < 3; a++)
        if (keras_whole_of(cJSON_GetArrayItem(shape, a + 1)) > 0)
            deriving->patch[a] = keras_whole_of(cJSON_GetArrayItem(shape, a + 1));

    return STATUS_OK;
}

static bool keras_is_model(const char *class)
{
    return strcmp(class, "Sequential") == 0 || strcmp(class, "Functional") == 0 || strcmp(class, "Model") == 0;
}

static enum status keras_derive_model(struct deriving *deriving, const cJSON *model, const char *src,
                                      const char **ret_dst, int depth);

/* One Keras layer reading src[]: a class of the table, or a model of its own. */
static enum status keras_derive_layer(struct deriving *deriving, const cJSON *layer, const char *const *src, int n_src,
                                      const char **ret_dst, int depth)
{
    const char *class = keras_text_of(layer, "class_name");
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(layer, "config");
    const char *name = keras_text_of(config, "name");

    if (++deriving->n_seen > MAX_LAYERS)
        return error_set(deriving->error, STATUS_FAILED, "%s: more than %d layers", deriving->path, MAX_LAYERS);
    if (!class || !config)
        return error_set(deriving->error, STATUS_FAILED,
                         "%s: model_config: a layer without class_name or config (a damaged file)", deriving->path);
    if (keras_is_model(class) && n_src == 1)
        return keras_derive_model(deriving, layer, src[0], ret_dst, depth + 1);
    struct reading reading = {
        .deriving = deriving, .config = config, .class = class, .keras = name ? name : class, .n_src = n_src};
    reading.keras = arena_strdup(deriving->arena, reading.keras);
    if (!reading.keras)
        return keras_refuse_memory(deriving);
    memcpy(reading.src, src, (size_t)n_src * sizeof *src);
    if (keras_take_input(deriving, config, reading.keras))
        return deriving->error->status;

    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (strcmp(class, classes[i].name) == 0) {
            enum status status = classes[i].read(&reading);
            *ret_dst = reading.dst;
            return status;
        }

    return keras_refuse(&reading, "class", "has no counterpart here (see docs/deployment.md for those that have)");
}

static enum status keras_derive_sequence(struct deriving *deriving, const cJSON *layers, const char *src,
                                         const char **ret_dst, int depth)
{
    const cJSON *layer;
    *ret_dst = src;
    cJSON_ArrayForEach(layer, layers)
    {
        const char *class = keras_text_of(layer, "class_name"), *from = *ret_dst;
        if (class && strcmp(class, "InputLayer") == 0) {
            if (keras_take_input(deriving, cJSON_GetObjectItemCaseSensitive(layer, "config"), class))
                return deriving->error->status;
        } else if (keras_derive_layer(deriving, layer, &from, 1, ret_dst, depth))
            return deriving->error->status;
    }
    return STATUS_OK;
}

/* What a layer of a Functional model is called there, and here. */
struct scope {
    int n;
    struct {
        const char *keras, *value;
    } * items;
};

static const char *keras_scope_find(const struct scope *scope, const char *keras)
{
    for (int i = 0; i < scope->n; i++)
        if (strcmp(scope->items[i].keras, keras) == 0)
            return scope->items[i].value;
    return NULL;
}

/* Every ["layer", node, tensor ...] below `item`, in order: inbound_nodes and output_layers of all Keras versions have
 * them. */
static bool keras_collect_sources(const cJSON *item, const struct scope *scope, const char *src[MAX_SRC], int *n_src,
                                  int depth)
{
    const cJSON *first = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, 0) : NULL, *child;
    if (first && cJSON_IsString(first) && cJSON_IsNumber(cJSON_GetArrayItem(item, 1)) &&
        cJSON_IsNumber(cJSON_GetArrayItem(item, 2))) {
        const char *value = keras_scope_find(scope, first->valuestring);
        if (!value || *n_src >= MAX_SRC)
            return false;
        src[(*n_src)++] = value;
        return true;
    }

    if (depth > 2 * MAX_DEPTH)
        return false;
    if (cJSON_IsArray(item) || cJSON_IsObject(item))
        cJSON_ArrayForEach(child, item) if (!keras_collect_sources(child, scope, src, n_src, depth + 1)) return false;

    return true;
}

static enum status keras_derive_graph(struct deriving *deriving, const cJSON *config, const char *src,
                                      const char **ret_dst, int depth)
{
    const cJSON *layers = cJSON_GetObjectItemCaseSensitive(config, "layers"), *layer;
    struct scope scope = {
        .items = arena_alloc(deriving->arena, (size_t)cJSON_GetArraySize(layers) + 1, sizeof *scope.items)};
    const char *sources[MAX_SRC];
    int n_inputs = 0, n_src;

    if (!scope.items)
        return keras_refuse_memory(deriving);
    cJSON_ArrayForEach(layer, layers)
    {
        const cJSON *of = cJSON_GetObjectItemCaseSensitive(layer, "config"),
                    *nodes = cJSON_GetObjectItemCaseSensitive(layer, "inbound_nodes");
        const char *class = keras_text_of(layer, "class_name"), *name = keras_text_of(layer, "name"), *value = src;
        if (!class || !name)
            return error_set(deriving->error, STATUS_FAILED,
                             "%s: model_config: a layer without class_name or name (a damaged file)", deriving->path);
        n_src = 0;
        if (strcmp(class, "InputLayer") == 0) {
            if (++n_inputs > 1)
                return error_set(deriving->error, STATUS_FAILED,
                                 "%s: layer '%.80s': a second input (networks here have one)", deriving->path, name);
            if (keras_take_input(deriving, of, name))
                return deriving->error->status;
        } else if (cJSON_GetArraySize(nodes) != 1)
            return error_set(deriving->error, STATUS_FAILED, "%s: layer '%.80s': used %d times (once is known here)",
                             deriving->path, name, cJSON_GetArraySize(nodes));
        else if (!keras_collect_sources(nodes, &scope, sources, &n_src, 0) || n_src == 0)
            return error_set(deriving->error, STATUS_FAILED,
                             "%s: layer '%.80s': reads a layer that does not stand before it", deriving->path, name);
        else if (keras_derive_layer(deriving, layer, sources, n_src, &value, depth))
            return deriving->error->status;
        scope.items[scope.n].keras = name;
        scope.items[scope.n++].value = value;
    }
    n_src = 0;
    if (!keras_collect_sources(cJSON_GetObjectItemCaseSensitive(config, "output_layers"), &scope, sources, &n_src, 0) ||
        n_src != 1)
        return error_set(deriving->error, STATUS_FAILED,
                         "%s: model_config: output_layers: not one layer (networks here have one output)",
                         deriving->path);

    *ret_dst = sources[0];

    return STATUS_OK;
}

static enum status keras_derive_model(struct deriving *deriving, const cJSON *model, const char *src,
                                      const char **ret_dst, int depth)
{
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(model, "config");
    const char *class = keras_text_of(model, "class_name");

    if (depth > MAX_DEPTH)
        return error_set(deriving->error, STATUS_FAILED, "%s: model_config: models nest deeper than %d", deriving->path,
                         MAX_DEPTH);
    if (!class || !keras_is_model(class) || !config)
        return error_set(deriving->error, STATUS_FAILED,
                         "%s: model_config: '%.40s' is no Sequential or Functional model", deriving->path,
                         class ? class : "nothing");
    if (strcmp(class, "Sequential") != 0)
        return keras_derive_graph(deriving, config, src, ret_dst, depth);
    const cJSON *layers = cJSON_IsArray(config) ? config : cJSON_GetObjectItemCaseSensitive(config, "layers");

    return keras_derive_sequence(deriving, layers, src, ret_dst, depth);
}

/* Keras before it became a part of TensorFlow (2.0 to 2.3) counted the variance's samples in its own way. */
static bool keras_is_keras2(const char *version)
{
    return strncmp(version, "2.", 2) == 0 && version[2] >= '0' && version[2] <= '3' && version[3] == '.' &&
           !strstr(version, "-tf");
}

static enum status keras_derive(struct deriving *deriving, const char *json)
{
    const char *input = "input", *last = input;
    cJSON *root = NULL;

    if (json_parse(&root, json, deriving->path, deriving->error))
        return error_while(deriving->error, "reading its attribute model_config");
    enum status status = keras_derive_model(deriving, root, input, &last, 0);
    cJSON_Delete(root);
    if (!status && deriving->n_layers == 0)
        status = error_set(deriving->error, STATUS_FAILED, "%s: model_config: no layers", deriving->path);
    if (!status && strcmp(last, deriving->layers[deriving->n_layers - 1].name) != 0)
        status =
            error_set(deriving->error, STATUS_FAILED,
                      "%s: model_config: layer '%.80s' stands behind the output '%.80s' (networks here end with it)",
                      deriving->path, deriving->layers[deriving->n_layers - 1].keras, last);
    if (!status && !deriving->channels)
        status = error_set(deriving->error, STATUS_FAILED, "%s: model_config: no input shape in it", deriving->path);

    return status;
}

enum status keras_network_derive(struct keras_network *ret, const char *json, const char *version,
                                 const int64_t patch_vox[3], const char *path, struct arena *arena, struct error *error)
{
    char *layers = NULL;
    struct text text;
    struct deriving deriving = {
        .path = path, .arena = arena, .error = error, .keras2_variance = keras_is_keras2(version)};

    deriving.layers = arena_alloc(arena, MAX_LAYERS, sizeof *deriving.layers);
    if (!deriving.layers)
        return keras_refuse_memory(&deriving);
    if (text_open(&text, error))
        return error->status;
    deriving.yaml = text.file;
    memcpy(deriving.patch, patch_vox, sizeof deriving.patch);

    enum status status = keras_derive(&deriving, json);
    status = text_close(&layers, &text, status, error);
    const char *yaml =
        status ? ""
               : arena_printf(arena,
                              "name: keras\ninput_channels: %" PRId64 "\npatch_vox: [%" PRId64 ", %" PRId64 ", %" PRId64
                              "]\nlayers:\n%s",
                              deriving.channels, deriving.patch[0], deriving.patch[1], deriving.patch[2], layers);
    memory_free(layers);
    if (!status && !yaml)
        status = keras_refuse_memory(&deriving);

    if (!status)
        *ret = (struct keras_network){.yaml = yaml, .n_layers = deriving.n_layers, .layers = deriving.layers};
    return status;
}
