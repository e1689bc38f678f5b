/* yaml_merge.c - `extends:` and `--set`: trees put over trees. See yaml.h. Test: tests/base/test_yaml.c */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/yaml_node.h"

/* Two maps that choose different variants by `type` have no keys in common. */
static bool yaml_can_merge(const struct yaml_node *a, const struct yaml_node *b)
{
    if (a->kind != YAML_MAP || b->kind != YAML_MAP)
        return false;
    const struct yaml_node *type_a = yaml_get(a, "type"), *type_b = yaml_get(b, "type");
    if (!type_a || !type_b || type_a->kind != YAML_SCALAR || type_b->kind != YAML_SCALAR)
        return true;
    return strcmp(type_a->text, type_b->text) == 0;
}

/* Puts `item` under `key`: in the place of what was there, or at the end. */
static enum status yaml_put(struct yaml_node *map, struct yaml_node *key, struct yaml_node *item, struct arena *arena,
                            struct error *error)
{
    int index = yaml_find(map, key->text);
    if (index < 0)
        return yaml_append(map, key, item, arena) ? STATUS_OK : error_memory(error, sizeof *item, "a YAML map");
    map->keys[index] = key;
    map->items[index] = item;
    return STATUS_OK;
}

/* The item of a list that `word` tells: a map by its `name`, or any by its number from 0. -1: there is none. */
static int yaml_item(const struct yaml_node *list, const char *word)
{
    for (int i = 0; i < list->n_items; i++) {
        const struct yaml_node *name = list->items[i]->kind == YAML_MAP ? yaml_get(list->items[i], "name") : NULL;
        if (name && name->kind == YAML_SCALAR && strcmp(name->text, word) == 0)
            return i;
    }
    char *end;
    long index = strtol(word, &end, 10);
    return *end || word[0] < '0' || word[0] > '9' || index >= list->n_items ? -1 : (int)index;
}

static enum status yaml_no_item(const struct yaml_node *list, const struct yaml_node *where, const char *word,
                                struct error *error)
{
    enum { NAMES = 256 };
    const char *names[NAMES + 1];
    int n = 0;
    for (int i = 0; i < list->n_items && n < NAMES; i++) {
        const struct yaml_node *name = list->items[i]->kind == YAML_MAP ? yaml_get(list->items[i], "name") : NULL;
        if (name && name->kind == YAML_SCALAR)
            names[n++] = name->text;
    }
    names[n] = NULL;
    const char *near = config_nearest(word, names);
    return yaml_error(error, where, "%s: no such item: the list has %d, numbered from 0%s%s%s", word, list->n_items,
                      near ? " (did you mean '"
                      : n  ? " or told by `name`"
                           : "",
                      near ? near : "", near ? "'?)" : "");
}

/* A map over a list changes the items its keys tell; an item that becomes another `type` keeps its name. */
static enum status yaml_merge_items(struct yaml_node *list, const struct yaml_node *from, struct arena *arena,
                                    struct error *error)
{
    enum status status = STATUS_OK;
    for (int i = 0; i < from->n_items && !status; i++) {
        int at = yaml_item(list, from->keys[i]->text);
        if (at < 0)
            return yaml_no_item(list, from->keys[i], from->keys[i]->text, error);
        struct yaml_node *old = list->items[at], *item = from->items[i];
        int name = old->kind == YAML_MAP ? yaml_find(old, "name") : -1;
        if (yaml_can_merge(old, item)) {
            status = yaml_merge(old, item, arena, error);
        } else {
            list->items[at] = item;
            if (name >= 0 && item->kind == YAML_MAP && yaml_find(item, "name") < 0)
                status = yaml_put(item, old->keys[name], old->items[name], arena, error);
        }
    }

    return status;
}

enum status yaml_merge(struct yaml_node *into, const struct yaml_node *from, struct arena *arena, struct error *error)
{
    enum status status = STATUS_OK;
    for (int i = 0; i < from->n_items && !status; i++) {
        struct yaml_node *old = yaml_get(into, from->keys[i]->text), *item = from->items[i];
        if (old && old->kind == YAML_LIST && item->kind == YAML_MAP && item->n_items > 0)
            status = yaml_merge_items(old, item, arena, error);
        else if (old && yaml_can_merge(old, item))
            status = yaml_merge(old, item, arena, error);
        else
            status = yaml_put(into, from->keys[i], item, arena, error);
    }
    return status;
}

struct yaml_node *yaml_remove(struct yaml_node *map, const char *key)
{
    int index = yaml_find(map, key);
    if (index < 0)
        return NULL;
    struct yaml_node *item = map->items[index];
    size_t after = (size_t)(map->n_items - index - 1);
    memmove(map->keys + index, map->keys + index + 1, after * sizeof(struct yaml_node *));
    memmove(map->items + index, map->items + index + 1, after * sizeof(struct yaml_node *));
    map->n_items--;
    return item;
}

static enum status yaml_resolve(struct yaml_node **node, int depth, struct arena *arena, struct error *error);

/* Merges the file that `name` tells, itself resolved, over `into`. */
static enum status yaml_extend(struct yaml_node *into, const struct yaml_node *name, int depth, struct arena *arena,
                               struct error *error)
{
    enum { MAX_DEPTH = 8 };
    if (name->kind != YAML_SCALAR || !*name->text)
        return yaml_error(error, name, "extends: expected a file name");
    if (depth == MAX_DEPTH)
        return yaml_error(error, name, "extends: more than %d files deep (does one extend itself?)", MAX_DEPTH);
    const char *folder = file_folder(arena, name->file);
    const char *path = folder ? file_join(arena, strcmp(folder, ".") == 0 ? "" : folder, name->text) : NULL;
    if (!path)
        return error_memory(error, strlen(name->text), "a path");
    if (!file_exists(path))
        return yaml_error(error, name, "extends: %s: no such file (the path is relative to %s)", path, name->file);
    struct yaml_node *root;
    enum status status = yaml_read_file(&root, path, arena, error);
    if (status)
        return status;
    if (root->kind != YAML_MAP)
        return yaml_error(error, root, "expected a map of keys");
    status = yaml_resolve(&root, depth + 1, arena, error);

    return status ? status : yaml_merge(into, root, arena, error);
}

/* Puts a map over the files of its `extends`, if it has that key. */
static enum status yaml_resolve_map(struct yaml_node **node, int depth, struct arena *arena, struct error *error)
{
    struct yaml_node *own = *node, *extends = yaml_get(own, "extends");
    if (!extends)
        return STATUS_OK;
    struct yaml_node *whole = yaml_node_new(arena, YAML_MAP, own->file, own->line, own->column);
    if (!whole)
        return error_memory(error, sizeof *whole, "a YAML map");
    if (extends->kind == YAML_MAP)
        return yaml_error(error, extends, "extends: expected a list of files");
    int n = extends->kind == YAML_LIST ? extends->n_items : 1;
    enum status status = STATUS_OK;
    for (int i = 0; i < n && !status; i++)
        status = yaml_extend(whole, extends->kind == YAML_LIST ? extends->items[i] : extends, depth, arena, error);
    yaml_remove(own, "extends");
    if (!status)
        status = yaml_merge(whole, own, arena, error);
    *node = whole;
    return status;
}

/* Every map below a node, then the node itself. */
static enum status yaml_resolve(struct yaml_node **node, int depth, struct arena *arena, struct error *error)
{
    enum status status = STATUS_OK;
    for (int i = 0; i < (*node)->n_items && !status; i++)
        if ((*node)->kind == YAML_LIST || strcmp((*node)->keys[i]->text, "extends") != 0)
            status = yaml_resolve(&(*node)->items[i], depth, arena, error);
    return status || (*node)->kind != YAML_MAP ? status : yaml_resolve_map(node, depth, arena, error);
}

enum status yaml_read_extended(struct yaml_node **ret_root, const char *path, struct arena *arena, struct error *error)
{
    struct yaml_node *root;
    enum status status = yaml_read_file(&root, path, arena, error);
    if (status)
        return status;
    if (root->kind != YAML_MAP)
        return yaml_error(error, root, "expected a map of keys (key: value)");
    status = yaml_resolve(&root, 0, arena, error);
    if (!status)
        *ret_root = root;
    return status;
}

void yaml_unplace(struct yaml_node *node)
{
    node->line = node->column = 0;
    for (int i = 0; i < node->n_items; i++) {
        if (node->kind == YAML_MAP)
            yaml_unplace(node->keys[i]);
        yaml_unplace(node->items[i]);
    }
}

/* The next word of a dotted path; *path moves behind it. NULL when memory is out. */
static char *yaml_path_word(const char **path, struct arena *arena)
{
    size_t length = strcspn(*path, ".");
    char *word = arena_printf(arena, "%.*s", (int)length, *path);
    *path += length + ((*path)[length] == '.');
    return word;
}

/* One step down into `parent`: the slot that `word` names, made in maps where it is not there. */
static enum status yaml_slot(struct yaml_node ***ret_slot, struct yaml_node *parent, const char *word,
                             const struct yaml_node *where, struct arena *arena, struct error *error)
{
    if (!*word)
        return yaml_error(error, where, "empty key in the path (write it as train.steps=10)");

    /* A list is indexed by number or by its items' `name`; it cannot grow. */
    if (parent->kind == YAML_LIST) {
        int index = yaml_item(parent, word);
        if (index < 0)
            return yaml_no_item(parent, where, word, error);
        *ret_slot = &parent->items[index];
        return STATUS_OK;
    }

    if (parent->kind != YAML_MAP)
        return yaml_error(error, where, "%s: what is above it is a single value, not a map or list", word);
    struct yaml_node *key = yaml_node_new(arena, YAML_SCALAR, where->file, 0, 0);
    if (!key)
        return error_memory(error, sizeof *key, "a YAML key");
    key->text = word;

    /* A key that is not there yet becomes an empty map, for the rest of the path. */
    int index = yaml_find(parent, word);
    if (index < 0) {
        struct yaml_node *map = yaml_node_new(arena, YAML_MAP, where->file, 0, 0);
        if (!map || !yaml_append(parent, key, map, arena))
            return error_memory(error, sizeof *key, "a YAML map");
        index = parent->n_items - 1;
    }

    *ret_slot = &parent->items[index];
    return STATUS_OK;
}

enum status yaml_set(struct yaml_node *root, const char *assignment, struct arena *arena, struct error *error)
{
    struct yaml_node where = {.kind = YAML_MAP, .file = arena_printf(arena, "--set %s", assignment)};
    const char *equals = strchr(assignment, '=');
    if (!where.file)
        return error_memory(error, strlen(assignment), "a setting");
    if (!equals || equals == assignment)
        return yaml_error(error, &where, "expected KEY=VALUE, for example train.steps=10");

    struct yaml_node *value;
    enum status status = yaml_read_text(&value, equals + 1, where.file, arena, error);
    if (status)
        return status;
    if (value->kind == YAML_MAP && value->n_items == 0 && !strchr(equals, '{')) { /* "key=": an empty document */
        value->kind = YAML_SCALAR;
        value->text = "";
    }
    yaml_unplace(value);

    const char *path = arena_printf(arena, "%.*s", (int)(equals - assignment), assignment);
    if (!path)
        return error_memory(error, strlen(assignment), "a setting");
    struct yaml_node **slot = &root;
    for (int depth = 0; *path; depth++) {
        char *word = depth < YAML_MAX_DEPTH ? yaml_path_word(&path, arena) : NULL;
        if (!word)
            return depth < YAML_MAX_DEPTH ? error_memory(error, 1, "a setting")
                                          : yaml_error(error, &where, "the path is too deep");
        if ((status = yaml_slot(&slot, *slot, word, &where, arena, error)))
            return status;
    }
    *slot = value;
    return STATUS_OK;
}
