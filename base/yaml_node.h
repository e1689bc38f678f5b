/* yaml_node.h - making and changing nodes; private to base/yaml*.c and base/config*.c. */
#ifndef CALVARIA_BASE_YAML_NODE_H
#define CALVARIA_BASE_YAML_NODE_H

#include "base/yaml.h"

enum { YAML_MAX_DEPTH = 32 };

/* NULL when memory is out. */
struct yaml_node *yaml_node_new(struct arena *arena, enum yaml_kind kind, const char *file, int line, int column);
/* key: NULL in a list. False when memory is out. */
bool yaml_append(struct yaml_node *node, struct yaml_node *key, struct yaml_node *item, struct arena *arena);
/* Index of `key` in a map, or -1. */
int yaml_find(const struct yaml_node *map, const char *key);
/* The whole tree comes from a command line or a default: it has no lines (line 0). */
void yaml_unplace(struct yaml_node *node);
/* Where a node was written: "recipe.yaml:7:3: ", "--set a=b: "; nothing for NULL. */
void yaml_place(char *text, size_t size, const struct yaml_node *node);

#endif
