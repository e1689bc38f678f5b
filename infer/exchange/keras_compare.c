/* keras_compare.c - see keras_compare.h. */
#include "infer/exchange/keras_compare.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct comparing {
    const char *path;
    const struct keras_layer *layer; /* of the file */
    const struct config_item *derived, *given;
    int64_t index;
    struct error *error;
};

static const char *keras_compare_given_name(const struct comparing *comparing)
{
    const struct layer_config *config = comparing->given->value;
    return config->name ? config->name : comparing->given->table->type;
}

static enum status keras_compare_mismatch(const struct comparing *comparing, const char *key, const char *file,
                                          const char *network)
{
    return error_set(comparing->error, STATUS_FAILED,
                     "%s: layer %" PRId64
                     ", '%.80s': %s: the file has %s, '%s' of the network %s (another architecture)",
                     comparing->path, comparing->index + 1, comparing->layer->keras, key, file,
                     keras_compare_given_name(comparing), network);
}

/* A value of a field as text; equal values have equal texts. */
static const char *keras_compare_value_text(char text[96], const struct config_field *field, const void *config)
{
    const void *slot = (const char *)config + field->offset;
    const int64_t *triple = slot;

    switch (field->type) {
    case CONFIG_INT:
        snprintf(text, 96, "%" PRId64, *triple);
        break;
    case CONFIG_DOUBLE:
        snprintf(text, 96, "%.6g", *(const double *)slot);
        break;
    case CONFIG_BOOL:
        snprintf(text, 96, "%s", *(const bool *)slot ? "true" : "false");
        break;
    case CONFIG_ENUM:
        snprintf(text, 96, "%s", field->names[*(const int *)slot]);
        break;
    case CONFIG_INT3:
        snprintf(text, 96, "[%" PRId64 ", %" PRId64 ", %" PRId64 "]", triple[0], triple[1], triple[2]);
        break;
    default:
        text[0] = '\0';
        break;
    }

    return text;
}

static enum status keras_compare_keys(const struct comparing *comparing)
{
    static const char *const free[] = {"init", "momentum", "moving_variance", "rate", "batch_statistics_at_test"};
    for (const struct config_field *field = comparing->given->table->fields; field && field->key; field++) {
        char a[96], b[96];
        bool matters = true;
        for (size_t i = 0; i < sizeof free / sizeof *free; i++)
            matters &= strcmp(field->key, free[i]) != 0;
        if (matters && strcmp(keras_compare_value_text(a, field, comparing->derived->value),
                              keras_compare_value_text(b, field, comparing->given->value)) != 0)
            return keras_compare_mismatch(comparing, field->key, a, b);
    }
    return STATUS_OK;
}

/* The index of the layer called `name` among the first n; -1: the input. */
static int64_t keras_compare_source_index(const struct network_config *network, int64_t n, const char *name)
{
    for (int64_t i = 0; i < n; i++) {
        const struct layer_config *config = network->layers.items[i].value;
        if (config->name && strcmp(config->name, name) == 0)
            return i;
    }
    return -1;
}

static enum status keras_compare_sources(const struct comparing *comparing, const struct network_config *derived,
                                         const struct network_config *given)
{
    const struct config_strings *a = &((const struct layer_config *)comparing->derived->value)->from;
    const struct config_strings *b = &((const struct layer_config *)comparing->given->value)->from;
    int64_t n = b->n ? b->n : 1;
    bool same = a->n == n;
    for (int64_t k = 0; same && k < n; k++)
        same = keras_compare_source_index(derived, comparing->index, a->items[k]) ==
               (b->n ? keras_compare_source_index(given, comparing->index, b->items[k]) : comparing->index - 1);
    return same ? STATUS_OK : keras_compare_mismatch(comparing, "from", "other sources", "reads others");
}

enum status keras_compare(const struct network_config *derived, const struct network_config *given,
                          const struct keras_network *keras, const char *path, struct error *error)
{
    if (derived->input_channels != given->input_channels)
        return error_set(error, STATUS_FAILED,
                         "%s: input: %" PRId64 " channels, the network takes %" PRId64 " (another architecture)", path,
                         derived->input_channels, given->input_channels);
    for (int64_t i = 0; i < derived->layers.n && i < given->layers.n; i++) {
        const struct comparing comparing = {.path = path,
                                            .layer = &keras->layers[i],
                                            .derived = &derived->layers.items[i],
                                            .given = &given->layers.items[i],
                                            .index = i,
                                            .error = error};
        if (comparing.derived->table != comparing.given->table)
            return keras_compare_mismatch(&comparing, "type", comparing.derived->table->type,
                                          comparing.given->table->type);
        if (keras_compare_keys(&comparing) || keras_compare_sources(&comparing, derived, given))
            return error->status;
    }

    if (derived->layers.n != given->layers.n)
        return error_set(error, STATUS_FAILED,
                         "%s: %" PRId64 " layers, the network has %" PRId64 " (another architecture)", path,
                         derived->layers.n, given->layers.n);

    return STATUS_OK;
}
