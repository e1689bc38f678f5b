/* config_value.c - single values and short lists of them: text to number, bool, name, path. Strict; see config.h. Test:
 * tests/base/test_config.c */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_bind.h"
#include "base/file.h"
#include "base/yaml_node.h"

enum { SHOWN = 80 }; /* bytes of a bad text that a message repeats */

const char *config_expected(enum config_type type)
{
    static const char *const expected[] = {
        [CONFIG_INT] = "an integer",
        [CONFIG_DOUBLE] = "a number",
        [CONFIG_BOOL] = "true or false",
        [CONFIG_STRING] = "a text",
        [CONFIG_PATH] = "a path",
        [CONFIG_ENUM] = "a name",
        [CONFIG_INT3] = "3 integers [x, y, z], or one for all",
        [CONFIG_DOUBLE3] = "3 numbers [x, y, z], or one for all",
        [CONFIG_RANGE] = "a range [low, high], or one number",
        [CONFIG_STRINGS] = "a list of texts",
        [CONFIG_TABLE] = "a map of keys",
        [CONFIG_LIST] = "a list",
        [CONFIG_CHOICE] = "a map with the key 'type'",
    };

    return expected[type];
}

const char *config_given(const struct yaml_node *node)
{
    if (node->kind == YAML_SCALAR)
        return config_is_null(node) ? "nothing" : "a single value";
    return node->kind == YAML_LIST ? "a list" : "a map";
}

bool config_is_null(const struct yaml_node *node)
{
    return node->kind == YAML_SCALAR && !node->quoted &&
           (!*node->text || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

/* [+-] digits [. digits] [e [+-] digits], whole text, no leading zeros. *ret_integer: neither point nor exponent. */
static bool config_is_number(const char *text, bool *ret_integer)
{
    const char *digits = "0123456789", *at = text + (*text == '-' || *text == '+');
    size_t whole = strspn(at, digits), fraction = 0;

    /* strtod takes more than YAML does (hex, inf, leading zeros), so the form is checked by hand. */
    if (whole > 1 && *at == '0')
        return false;
    at += whole;
    *ret_integer = whole > 0;
    if (*at == '.') {
        fraction = strspn(++at, digits);
        at += fraction;
        *ret_integer = false;
    }

    if (whole + fraction == 0)
        return false;
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '-' || *at == '+';
        size_t exponent = strspn(at, digits);
        at += exponent;
        *ret_integer = false;
        if (!exponent)
            return false;
    }

    return *at == '\0';
}

/* The text of a scalar that is to be read as a number, or NULL after an error. */
static const char *binding_plain(struct binding *binding, const struct config_path *path, const struct yaml_node *node,
                                 const char *expected)
{
    if (node->kind != YAML_SCALAR || config_is_null(node))
        binding_fail(binding, path, node, "expected %s, got %s", expected, config_given(node));
    else if (node->quoted)
        binding_fail(binding, path, node, "expected %s, got the text \"%.*s\" (remove the quotes)", expected, SHOWN,
                     node->text);
    else
        return node->text;
    return NULL;
}

static void binding_range(struct binding *binding, const struct config_path *path, const struct config_field *field,
                          const struct yaml_node *node, double value)
{
    const double open = 1e15; /* a bound beyond this is none */
    const char *unit = field->unit ? field->unit : "", *space = field->unit ? " " : "";
    if (!(field->min < field->max) || (value >= field->min && value <= field->max))
        return;
    if (field->max >= open)
        binding_fail(binding, path, node, "%s is too small (at least %g%s%s)", node->text, field->min, space, unit);
    else if (field->min <= -open)
        binding_fail(binding, path, node, "%s is too large (at most %g%s%s)", node->text, field->max, space, unit);
    else
        binding_fail(binding, path, node, "%s is out of range (from %g to %g%s%s)", node->text, field->min, field->max,
                     space, unit);
}

static void binding_int(struct binding *binding, const struct config_path *path, const struct config_field *field,
                        const struct yaml_node *node, int64_t *slot)
{
    const char *text = binding_plain(binding, path, node, "an integer");
    bool integer = false;
    if (!text)
        return;
    double as_double = strtod(text, NULL);
    if (!config_is_number(text, &integer) || !integer) {
        if (isfinite(as_double) && as_double == rint(as_double) && fabs(as_double) < 1e15 &&
            text[strspn(text, "+-0123456789.eE")] == '\0')
            binding_fail(binding, path, node, "'%.*s' is not written as an integer (write %.0f)", SHOWN, text,
                         as_double);
        else
            binding_fail(binding, path, node, "'%.*s' is not an integer", SHOWN, text);
        return;
    }

    errno = 0;
    long long value = strtoll(text, NULL, 10);
    if (errno) {
        binding_fail(binding, path, node, "%.*s is too large for an integer of 64 bits", SHOWN, text);
        return;
    }

    *slot = value;
    binding_range(binding, path, field, node, (double)value);
}

static void binding_double(struct binding *binding, const struct config_path *path, const struct config_field *field,
                           const struct yaml_node *node, double *slot)
{
    const char *text = binding_plain(binding, path, node, "a number");
    bool integer;
    if (!text)
        return;
    double value = strtod(text, NULL);
    if (!config_is_number(text, &integer))
        binding_fail(binding, path, node, "'%.*s' is not a %snumber", SHOWN, text,
                     strspn(text, "+-.") < strlen(text) && strpbrk(text, "nN") && strlen(text) < 10 ? "finite " : "");
    else if (!isfinite(value))
        binding_fail(binding, path, node, "%.*s is too large for a number", SHOWN, text);
    else {
        *slot = value;
        binding_range(binding, path, field, node, value);
    }
}

static void binding_bool(struct binding *binding, const struct config_path *path, const struct yaml_node *node,
                         bool *slot)
{
    const char *text = binding_plain(binding, path, node, "true or false");
    if (!text)
        return;
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        *slot = *text == 't';
    else
        binding_fail(binding, path, node, "'%.*s' is neither true nor false", SHOWN, text);
}

static void binding_enum(struct binding *binding, const struct config_path *path, const struct config_field *field,
                         const struct yaml_node *node, int *slot)
{
    char names[CONFIG_PATH_TEXT];
    config_join_names(names, sizeof names, field->names);
    if (node->kind != YAML_SCALAR || config_is_null(node)) {
        binding_fail(binding, path, node, "expected one of %s, got %s", names, config_given(node));
        return;
    }

    for (int i = 0; field->names[i]; i++)
        if (strcmp(node->text, field->names[i]) == 0) {
            *slot = i;
            return;
        }
    const char *near = config_nearest(node->text, field->names);
    if (near)
        binding_fail(binding, path, node, "'%.*s' is not one of %s (did you mean '%s'?)", SHOWN, node->text, names,
                     near);
    else
        binding_fail(binding, path, node, "'%.*s' is not one of %s", SHOWN, node->text, names);
}

/* Paths in a file are taken from the file's folder, those of a command line as they are. */
static const char *binding_resolve(struct binding *binding, const struct yaml_node *node)
{
    const char *slash = node->line > 0 ? strrchr(node->file, '/') : NULL;
    const char *folder = slash ? file_folder(binding->arena, node->file) : "";
    return folder ? file_join(binding->arena, folder, node->text) : NULL;
}

static void binding_string(struct binding *binding, const struct config_path *path, const struct config_field *field,
                           const struct yaml_node *node, const char **slot)
{
    bool may_be_null = !field->text && !field->required && field->type != CONFIG_STRINGS;
    if (config_is_null(node) && may_be_null)
        return;
    if (node->kind != YAML_SCALAR || config_is_null(node)) {
        binding_fail(binding, path, node, "expected %s, got %s", field->type == CONFIG_PATH ? "a path" : "a text",
                     config_given(node));
        return;
    }
    if (field->type == CONFIG_PATH && !*node->text) {
        binding_fail(binding, path, node, "the path is empty");
        return;
    }
    *slot = field->type == CONFIG_PATH ? binding_resolve(binding, node) : arena_strdup(binding->arena, node->text);
    if (!*slot)
        binding_fail_memory(binding);
}

static void binding_strings(struct binding *binding, const struct config_path *path, const struct config_field *field,
                            const struct yaml_node *node, struct config_strings *slot)
{
    if (node->kind == YAML_MAP) {
        binding_fail(binding, path, node, "expected a list of texts, got a map");
        return;
    }

    int n = node->kind == YAML_LIST ? node->n_items : 1;
    slot->items = arena_alloc(binding->arena, (size_t)n, sizeof *slot->items);
    if (!slot->items) {
        binding_fail_memory(binding);
        return;
    }

    slot->n = n;
    for (int i = 0; i < n && binding->status != STATUS_FAILED; i++) {
        struct config_path item = {.above = path, .index = i};
        slot->items[i] = "";
        binding_string(binding, node->kind == YAML_LIST ? &item : path, field,
                       node->kind == YAML_LIST ? node->items[i] : node, &slot->items[i]);
    }
}

/* n numbers, or one that stands for all. Integers when `integers`, else doubles. */
static void binding_numbers(struct binding *binding, const struct config_path *path, const struct config_field *field,
                            const struct yaml_node *node, int n, bool integers, void *slot)
{
    if (node->kind == YAML_MAP || (node->kind == YAML_LIST && node->n_items != n) || config_is_null(node)) {
        if (node->kind == YAML_LIST)
            binding_fail(binding, path, node, "expected %s, got %d", config_expected(field->type), node->n_items);
        else
            binding_fail(binding, path, node, "expected %s, got %s", config_expected(field->type), config_given(node));
        return;
    }

    for (int i = 0; i < n; i++) {
        bool listed = node->kind == YAML_LIST;
        struct config_path item = {.above = path, .index = i};
        const struct config_path *where = listed ? &item : path;
        const struct yaml_node *source = listed ? node->items[i] : node;
        if (integers)
            binding_int(binding, where, field, source, (int64_t *)slot + i);
        else
            binding_double(binding, where, field, source, (double *)slot + i);
        if (!listed && binding->status) /* one number: one message */
            return;
    }
}

void binding_value(struct binding *binding, const struct config_path *path, const struct config_field *field,
                   const struct yaml_node *node, void *slot)
{
    switch (field->type) {
    case CONFIG_INT:
        binding_int(binding, path, field, node, slot);
        break;
    case CONFIG_DOUBLE:
        binding_double(binding, path, field, node, slot);
        break;
    case CONFIG_BOOL:
        binding_bool(binding, path, node, slot);
        break;
    case CONFIG_ENUM:
        binding_enum(binding, path, field, node, slot);
        break;
    case CONFIG_STRING:
    case CONFIG_PATH:
        binding_string(binding, path, field, node, slot);
        break;
    case CONFIG_STRINGS:
        binding_strings(binding, path, field, node, slot);
        break;
    case CONFIG_INT3:
        binding_numbers(binding, path, field, node, 3, true, slot);
        break;
    case CONFIG_DOUBLE3:
        binding_numbers(binding, path, field, node, 3, false, slot);
        break;
    case CONFIG_RANGE:
        binding_numbers(binding, path, field, node, 2, false, slot);
        if (((double *)slot)[0] > ((double *)slot)[1] && !binding->status)
            binding_fail(binding, path, node, "low is above high (write the smaller number first)");
        break;
    case CONFIG_TABLE:
    case CONFIG_LIST:
    case CONFIG_CHOICE:
        break; /* config.c */
    }
}

static struct yaml_node *config_scalar(struct arena *arena, const char *where, const char *text, size_t length,
                                       bool quoted)
{
    struct yaml_node *node = yaml_node_new(arena, YAML_SCALAR, where, 0, 0);
    if (node) {
        node->text = arena_printf(arena, "%.*s", (int)length, text);
        node->quoted = quoted;
    }
    return node && node->text ? node : NULL;
}

/* "a,b,c"; one word alone is no list. */
static struct yaml_node *config_split(struct arena *arena, const char *where, const char *text, bool quoted)
{
    if (!strchr(text, ','))
        return config_scalar(arena, where, text, strlen(text), quoted);
    struct yaml_node *list = yaml_node_new(arena, YAML_LIST, where, 0, 0);
    while (list) {
        size_t length = strcspn(text, ",");
        struct yaml_node *item = config_scalar(arena, where, text, length, quoted);
        if (!item || !yaml_append(list, NULL, item, arena))
            return NULL;
        if (!text[length])
            break;
        text += length + 1;
    }
    return list;
}

enum status config_text_node(struct yaml_node **ret, enum config_type type, const char *text, const char *where,
                             struct arena *arena, struct error *error)
{
    bool scalar = type == CONFIG_INT || type == CONFIG_DOUBLE || type == CONFIG_BOOL || type == CONFIG_ENUM ||
                  type == CONFIG_STRING || type == CONFIG_PATH;
    bool nested = type == CONFIG_TABLE || type == CONFIG_LIST || type == CONFIG_CHOICE;
    bool words = type == CONFIG_STRING || type == CONFIG_PATH || type == CONFIG_STRINGS;
    const char *name = arena_strdup(arena, where);
    struct yaml_node *node = NULL;
    if (name && scalar)
        node = config_scalar(arena, name, text, strlen(text), words);
    else if (name && !nested && text[0] != '[')
        node = config_split(arena, name, text, words);
    else if (name) {
        enum status status = yaml_read_text(&node, text, name, arena, error);
        if (status)
            return status;
        yaml_unplace(node);
    }

    if (!node)
        return error_memory(error, strlen(text), "a value");
    *ret = node;
    return STATUS_OK;
}
