/* yaml.h - a YAML document as a tree that remembers where every node stood (parsed with libyaml).
 *
 * Duplicate keys, anchors, aliases and tags, several documents, bad UTF-8, nesting deeper than 32 and more than 16 MiB
 * are errors with file:line:column, STATUS_USAGE. An empty document is an empty map. */
#ifndef CALVARIA_BASE_YAML_H
#define CALVARIA_BASE_YAML_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "base/memory.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    const char *file;         /* or "--set train.steps=10", "--count" */
    int line, column;         /* from 1; line 0: from a command line */
    const char *text;         /* YAML_SCALAR */
    bool quoted;              /* YAML_SCALAR written in quotes: never a number, bool or null */
    int n_items;              /* YAML_LIST, YAML_MAP */
    struct yaml_node **items; /* values */
    struct yaml_node **keys;  /* YAML_MAP: scalars, as many as items */
};

enum status yaml_read_file(struct yaml_node **ret_root, const char *path, struct arena *arena, struct error *error);
enum status yaml_read_text(struct yaml_node **ret_root, const char *text, const char *name, struct arena *arena,
                           struct error *error);

/* As yaml_read_file, then puts every map with a key `extends: [FILE...]` over those files (paths relative to its own;
 * up to 8 deep): maps are merged key by key, later wins; lists are replaced whole, and so are maps that name another
 * `type`. A map over a list changes items of it, told by their `name` or number: `layers: { out: { type: sigmoid } }`.
 */
enum status yaml_read_extended(struct yaml_node **ret_root, const char *path, struct arena *arena, struct error *error);

/* Puts the map `from` over the map `into`, as `extends` does: `from` wins. Nodes are shared. */
enum status yaml_merge(struct yaml_node *into, const struct yaml_node *from, struct arena *arena, struct error *error);
/* Takes a key out of a map and returns its value; NULL: there is none. */
struct yaml_node *yaml_remove(struct yaml_node *map, const char *key);

/* Sets dotted.path=value in the tree ("train.steps=10", "loss.0.weight=2", "network.layers.out.type=sigmoid",
 * "data.patch_vox=[64,64,64]"), making maps on the way. */
enum status yaml_set(struct yaml_node *root, const char *assignment, struct arena *arena, struct error *error);

/* Adds "file:line:column: message" to the error, STATUS_USAGE; node NULL: the message alone. Point at a key's value
 * with yaml_get(node, "key"). */
enum status yaml_error(struct error *error, const struct yaml_node *node, const char *format, ...) ERROR_PRINTF(3, 4);

/* The value under `key` of a map, or NULL. */
struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

#endif
