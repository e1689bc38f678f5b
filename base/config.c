/* config.c - binds a YAML map to a struct by its table. See config.h; single values are read in config_value.c. Test:
 * tests/base/test_config.c */
#include "base/config.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/config_bind.h"
#include "base/log.h"
#include "base/yaml_node.h"

static void config_path_write(char *text, size_t size, const struct config_path *path)
{
    if (!path)
        return;
    config_path_write(text, size, path->above);
    size_t length = strlen(text);
    if (path->key)
        snprintf(text + length, size - length, "%s%s", length ? "." : "", path->key);
    else
        snprintf(text + length, size - length, "[%" PRId64 "]", path->index);
}

void binding_fail(struct binding *binding, const struct config_path *path, const struct yaml_node *node,
                  const char *format, ...)
{
    char keys[CONFIG_PATH_TEXT] = "", message[ERROR_CAPACITY / 2];
    config_path_write(keys, sizeof keys, path);
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (node && node->line == 0 && keys[0] == '[') /* "--dims[2]: ..." */
        error_add(binding->error, STATUS_USAGE, "%s%s: %s", node->file, keys, message);
    else
        yaml_error(binding->error, node, "%s%s%s", keys, *keys ? ": " : "", message);
    if (!binding->status)
        binding->status = STATUS_USAGE;
}

void binding_fail_memory(struct binding *binding)
{
    binding->status = error_memory(binding->error, sizeof(struct yaml_node), "a configuration");
}

int config_fields(const struct config_table *table, const struct config_field *fields[CONFIG_MAX_KEYS])
{
    int n = table->base ? config_fields(table->base, fields) : 0;
    for (const struct config_field *field = table->fields; field && field->key && n < CONFIG_MAX_KEYS; field++)
        fields[n++] = field;
    return n;
}

bool config_is_plain(const struct config_field *field)
{
    const struct config_table *first = field->variant(0);
    return first && !first->type && !field->variant(1);
}

void config_join_names(char *text, size_t size, const char *const *names)
{
    size_t length = 0;
    text[0] = '\0';
    for (; *names; names++) {
        if (length + strlen(*names) + sizeof ", ..." > size) {
            snprintf(text + length, size - length, ", ...");
            return;
        }
        length += (size_t)snprintf(text + length, size - length, "%s%s", length ? ", " : "", *names);
    }
}

static void binding_table(struct binding *binding, const struct config_path *path, const struct config_table *table,
                          const struct yaml_node *node, void *value);

/* The possible types of a field's items, NULL-terminated. */
static void config_type_names(const struct config_field *field, const char *names[CONFIG_MAX_KEYS + 1])
{
    int n = 0;
    for (const struct config_table *table; n < CONFIG_MAX_KEYS && (table = field->variant(n)); n++)
        names[n] = table->type;
    names[n] = NULL;
}

/* The table that `type` names, or NULL after an error. A word alone stands for { type: word }. */
static const struct config_table *binding_type(struct binding *binding, const struct config_path *path,
                                               const struct config_field *field, const struct yaml_node *node)
{
    const char *names[CONFIG_MAX_KEYS + 1];
    char joined[CONFIG_PATH_TEXT];
    config_type_names(field, names);
    config_join_names(joined, sizeof joined, names);

    const struct yaml_node *type = node->kind == YAML_MAP ? yaml_get(node, "type") : node;
    if (!type || type->kind != YAML_SCALAR || config_is_null(type)) {
        binding_fail(binding, path, type ? type : node, "the key 'type' is missing (one of %s)", joined);
        return NULL;
    }
    for (int i = 0; names[i]; i++)
        if (strcmp(type->text, names[i]) == 0)
            return field->variant(i);
    const char *near = config_nearest(type->text, names);
    struct config_path at = {.above = path, .key = "type"};
    if (near)
        binding_fail(binding, &at, type, "'%.80s' is unknown (did you mean '%s'?)", type->text, near);
    else
        binding_fail(binding, &at, type, "'%.80s' is unknown (one of %s)", type->text, joined);
    return NULL;
}

static void binding_item(struct binding *binding, const struct config_path *path, const struct config_field *field,
                         const struct yaml_node *node, struct config_item *item)
{
    bool plain = config_is_plain(field);
    if (node->kind == YAML_LIST || (plain && node->kind != YAML_MAP)) {
        binding_fail(binding, path, node, "expected a map of keys, got %s", config_given(node));
        return;
    }

    const struct config_table *table = plain ? field->variant(0) : binding_type(binding, path, field, node);
    if (!table)
        return;

    /* A scalar alone stands for { type: scalar }, all keys by default. */
    const struct yaml_node *map = node;
    if (node->kind == YAML_SCALAR)
        map = yaml_node_new(binding->arena, YAML_MAP, node->file, node->line, node->column);
    item->value = arena_alloc(binding->arena, 1, table->size);
    if (!map || !item->value) {
        binding_fail_memory(binding);
        return;
    }

    item->table = table;
    item->node = binding->is_default ? NULL : map;
    binding_table(binding, path, table, map, item->value);
}

static void binding_list(struct binding *binding, const struct config_path *path, const struct config_field *field,
                         const struct yaml_node *node, struct config_list *list)
{
    if (node->kind != YAML_LIST) {
        binding_fail(binding, path, node, "expected a list, got %s", config_given(node));
        return;
    }
    list->items = arena_alloc(binding->arena, (size_t)node->n_items, sizeof *list->items);
    if (!list->items) {
        binding_fail_memory(binding);
        return;
    }
    list->n = node->n_items;
    for (int i = 0; i < node->n_items && binding->status != STATUS_FAILED; i++) {
        struct config_path item = {.above = path, .index = i};
        binding_item(binding, &item, field, node->items[i], &list->items[i]);
    }
}

static void binding_field(struct binding *binding, const struct config_path *path, const struct config_field *field,
                          const struct yaml_node *node, void *value)
{
    void *slot = (char *)value + field->offset;
    switch (field->type) {
    case CONFIG_TABLE:
        if (node->kind == YAML_MAP)
            binding_table(binding, path, field->table, node, slot);
        else
            binding_fail(binding, path, node, "expected a map of keys, got %s (indent its keys below it)",
                         config_given(node));
        break;
    case CONFIG_LIST:
        binding_list(binding, path, field, node, slot);
        break;
    case CONFIG_CHOICE:
        if (!config_is_null(node) || field->text || field->required)
            binding_item(binding, path, field, node, slot);
        break;
    default:
        binding_value(binding, path, field, node, slot);
    }
}

/* The field was not given. `map` is where it could have been. */
static void binding_default(struct binding *binding, const struct config_path *path, const struct config_field *field,
                            const struct yaml_node *map, void *value)
{
    if (field->required && !binding->only_defaults) {
        binding_fail(binding, path, map, "missing (%s)", field->help);
        return;
    }

    if (field->type == CONFIG_TABLE && !field->text) {
        struct yaml_node *empty = yaml_node_new(binding->arena, YAML_MAP, map->file, map->line, map->column);
        if (empty)
            binding_table(binding, path, field->table, empty, (char *)value + field->offset);
        else
            binding_fail_memory(binding);
        return;
    }

    if (!field->text)
        return;

    /* A default is written as text in its row and read as if a file had it. */
    struct yaml_node *node;
    enum status status = config_text_node(&node, field->type, field->text, "default", binding->arena, binding->error);
    if (status) {
        binding->status = status;
        return;
    }

    bool outer = binding->is_default;
    binding->is_default = true;
    binding_field(binding, path, field, node, value);
    binding->is_default = outer;
}

static void binding_unknown_key(struct binding *binding, const struct config_path *path, const struct yaml_node *key,
                                int n, const struct config_field *const *fields)
{
    const char *names[CONFIG_MAX_KEYS + 1];
    for (int i = 0; i < n; i++)
        names[i] = fields[i]->key;
    names[n] = NULL;
    const char *near = config_nearest(key->text, names);
    struct config_path at = {.above = path, .key = key->text};
    char joined[2 * CONFIG_PATH_TEXT];
    config_join_names(joined, sizeof joined, names);
    if (near)
        binding_fail(binding, &at, key, "unknown key (did you mean '%s'?)", near);
    else if (n)
        binding_fail(binding, &at, key, "unknown key (the keys here are %s)", joined);
    else
        binding_fail(binding, &at, key, "unknown key (there are none here)");
}

static void binding_unknown(struct binding *binding, const struct config_path *path, const struct config_table *table,
                            const struct yaml_node *map, int n, const struct config_field *const *fields)
{
    for (int k = 0; k < map->n_items; k++) {
        const struct yaml_node *key = map->keys[k];
        bool known = table->type && strcmp(key->text, "type") == 0;
        for (int i = 0; i < n && !known; i++)
            known = strcmp(key->text, fields[i]->key) == 0 ||
                    (fields[i]->old_key && strcmp(key->text, fields[i]->old_key) == 0);
        if (!known)
            binding_unknown_key(binding, path, key, n, fields);
    }
}

static void binding_check(struct binding *binding, const struct config_table *table, const struct yaml_node *node,
                          const void *value)
{
    if (table->base)
        binding_check(binding, table->base, node, value);
    enum status status = !binding->status && table->check ? table->check(value, node, binding->error) : STATUS_OK;
    if (status)
        binding->status = status;
}

/* The value of a field's key, or of the key's old name; NULL: not given. */
static const struct yaml_node *binding_given(struct binding *binding, const struct config_path *at,
                                             const struct config_field *field, const struct yaml_node *map)
{
    const struct yaml_node *given = yaml_get(map, field->key);
    const struct yaml_node *old = field->old_key ? yaml_get(map, field->old_key) : NULL;
    if (!old)
        return given;
    if (given) {
        binding_fail(binding, at, old, "given twice ('%s' is the old name of '%s': keep one)", field->old_key,
                     field->key);
        return given;
    }

    char place[ERROR_CAPACITY / 4];
    yaml_place(place, sizeof place, old);
    log_info_once("%s'%s' is now called '%s' (the old name still works)", place, field->old_key, field->key);
    return old;
}

/* node is a map. Rules that span keys are checked only when every key is right. */
static void binding_table(struct binding *binding, const struct config_path *path, const struct config_table *table,
                          const struct yaml_node *node, void *value)
{
    const struct config_field *fields[CONFIG_MAX_KEYS];
    int n = config_fields(table, fields);
    enum status outer = binding->status;

    /* Each table is bound on its own, so that an error above does not hide the rules of this one. */
    binding->status = STATUS_OK;
    memset(value, 0, table->size);
    for (int i = 0; i < n && binding->status != STATUS_FAILED; i++) {
        struct config_path at = {.above = path, .key = fields[i]->key};
        const struct yaml_node *given = binding_given(binding, &at, fields[i], node);
        if (given)
            binding_field(binding, &at, fields[i], given, value);
        else
            binding_default(binding, &at, fields[i], node, value);
    }

    if (binding->status != STATUS_FAILED)
        binding_unknown(binding, path, table, node, n, fields);
    if (!binding->status && !binding->only_defaults)
        binding_check(binding, table, node, value);
    if (binding->status != STATUS_FAILED && outer)
        binding->status = outer;
}

enum status config_bind(const struct config_table *table, const struct yaml_node *node, void *value,
                        struct arena *arena, struct error *error)
{
    const struct yaml_node defaults = {.kind = YAML_MAP, .file = "default"};
    struct binding binding = {.arena = arena, .error = error, .only_defaults = !node};
    if (node && node->kind != YAML_MAP)
        binding_fail(&binding, NULL, node, "expected a map of keys (key: value), got %s", config_given(node));
    else
        binding_table(&binding, NULL, table, node ? node : &defaults, value);
    return binding.status;
}

enum status config_set_text(const struct config_field *field, void *value, const char *text, const char *where,
                            struct arena *arena, struct error *error)
{
    struct yaml_node *node;
    enum status status = config_text_node(&node, field->type, text, where, arena, error);
    if (status)
        return status;
    struct binding binding = {.arena = arena, .error = error};
    binding_field(&binding, NULL, field, node, value);
    return binding.status;
}
