/* config_bind.h - what config.c and config_value.c share while a map is bound to a struct; private to base/config*.c.
 */
#ifndef CALVARIA_BASE_CONFIG_BIND_H
#define CALVARIA_BASE_CONFIG_BIND_H

#include "base/config.h"

/* One binding in progress. Errors are collected: binding goes on after one, unless memory is out. */
struct binding {
    struct arena *arena;
    struct error *error;
    enum status status; /* STATUS_FAILED: memory is out, stop */
    bool is_default;    /* the node at hand comes from a default's text */
    bool only_defaults; /* nothing was written by a user: no key is required, no rule checked */
};

/* Where in the tree, for messages: "train.patch_vox[2]". Lives on the stack. */
struct config_path {
    const struct config_path *above;
    const char *key; /* NULL: the item `index` of a list */
    int64_t index;
};

enum { CONFIG_PATH_TEXT = 256, CONFIG_MAX_KEYS = 128 };

/* Adds "file:line:column: dotted.path: message". */
void binding_fail(struct binding *binding, const struct config_path *path, const struct yaml_node *node,
                  const char *format, ...) ERROR_PRINTF(4, 5);
/* Memory is out. */
void binding_fail_memory(struct binding *binding);

/* Sets a field of a type that needs no table: numbers, texts, and short lists of them. */
void binding_value(struct binding *binding, const struct config_path *path, const struct config_field *field,
                   const struct yaml_node *node, void *slot);

/* A node from a text as a default or a command line gives it: "3", "64,64,32", "[1, 2]", "{ type: adam }". */
enum status config_text_node(struct yaml_node **ret, enum config_type type, const char *text, const char *where,
                             struct arena *arena, struct error *error);

/* "an integer", "3 numbers": what a field wants. */
const char *config_expected(enum config_type type);
/* "a list", "a map", "nothing", "a single value" */
const char *config_given(const struct yaml_node *node);
/* A plain empty value, ~ or null. */
bool config_is_null(const struct yaml_node *node);

/* The keys of a table, those of its bases first. Returns how many (at most CONFIG_MAX_KEYS). */
int config_fields(const struct config_table *table, const struct config_field *fields[CONFIG_MAX_KEYS]);
/* Exactly one possible table, without a type: items are plain maps. */
bool config_is_plain(const struct config_field *field);
/* "a, b, c" of NULL-terminated names into text, cut with "..." */
void config_join_names(char *text, size_t size, const char *const *names);

#endif
