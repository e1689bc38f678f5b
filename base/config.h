/* config.h - one table of rows drives parsing, validation, command-line options, --set, the dump of the resolved
 * configuration and the reference page.
 *
 *     struct adam_config { double lr, beta1; };
 *     #define OFFSET(member) offsetof(struct adam_config, member)
 *     static const struct config_field adam_fields[] = {
 *         {.key = "lr", .type = CONFIG_DOUBLE, .offset = OFFSET(lr), .text = "1e-4", .min = 0, .max = 10,
 *          .help = "learning rate"},
 *         {.key = "beta1", .type = CONFIG_DOUBLE, .offset = OFFSET(beta1), .text = "0.9", .min = 0, .max = 1,
 *          .help = "decay of the first moment"},
 *         {0}};
 *     const struct config_table adam_table = {.type = "adam", .help = "Adam (Kingma and Ba 2015)",
 *                                             .size = sizeof(struct adam_config), .fields = adam_fields};
 *
 * Strict: unknown key, duplicate key, wrong type, trailing junk, NaN and out of range are errors with file:line:column
 * and the nearest valid key; up to ERROR_MAX of them are collected in one run. */
#ifndef CALVARIA_BASE_CONFIG_H
#define CALVARIA_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/yaml.h"

enum config_type {
    CONFIG_INT,     /* int64_t                                                                          */
    CONFIG_DOUBLE,  /* double                                                                           */
    CONFIG_BOOL,    /* bool                                                                             */
    CONFIG_STRING,  /* const char * (arena); the default may be NULL = not given                        */
    CONFIG_PATH,    /* as CONFIG_STRING; relative paths in a file are taken from that file's folder, those of a command
                       line as they are; the dump makes them absolute, so that it means the same anywhere */
    CONFIG_ENUM,    /* int: index into .names                                                           */
    CONFIG_INT3,    /* int64_t[3] in x, y, z order; one number stands for three                          */
    CONFIG_DOUBLE3, /* double[3], likewise                                                              */
    CONFIG_RANGE,   /* double[2]: [low, high], low <= high; one number stands for both                   */
    CONFIG_STRINGS, /* struct config_strings: a list of strings, or one                                  */
    CONFIG_TABLE,   /* a nested struct described by .table                                              */
    CONFIG_LIST,    /* struct config_list: a list of nested structs, see .variant                         */
    CONFIG_CHOICE,  /* struct config_item: one nested struct, its table chosen by the key `type`, see .variant; .table
                       NULL: none.  Here and in lists a word alone stands for { type: word } */
};

struct config_strings {
    int64_t n;
    const char **items;
};

/* One element of a list, or a choice: `value` has the shape of `table`. */
struct config_item {
    const struct config_table *table;
    void *value;
    const struct yaml_node *node; /* where it was written, for later messages; NULL for a default */
};

struct config_list {
    int64_t n;
    struct config_item *items;
};

struct config_field {
    const char *key, *help, *unit;
    const char *old_key; /* what the key was called before: still read, with a notice (once per place); NULL: nothing */
    enum config_type type;
    size_t offset;
    const char
        *text; /* default, as it would be written in YAML; NULL: none (lists empty, strings NULL, tables their own) */
    double min, max; /* for numbers, when min < max */
    bool required;
    const char *const *names;         /* CONFIG_ENUM, NULL-terminated */
    const struct config_table *table; /* CONFIG_TABLE */
    /* CONFIG_LIST, CONFIG_CHOICE: the i-th possible table, NULL past the last. A list whose only table has no .type
     * takes plain maps. */
    const struct config_table *(*variant)(int index);
};

struct config_table {
    const char *type; /* the value of the key `type` that selects it; NULL where nothing is to be selected */
    const char *help;
    size_t size;
    const struct config_table *base;   /* its keys come first, its struct is the first member of ours; may be NULL */
    const struct config_field *fields; /* ended by a row with key NULL; may be NULL: no keys */
    bool sparse;                       /* dump only keys that differ from their default (rule lists: { open: 1 }) */
    /* Rules that span keys; may be NULL. Report with yaml_error. */
    enum status (*check)(const void *value, const struct yaml_node *node, struct error *error);
};

/* Fills `value` (table->size bytes) from a map, defaults first. node NULL: defaults alone, without rules or required
 * keys. Strings and lists live in `arena`; items point into the tree, which must live as long. */
enum status config_bind(const struct config_table *table, const struct yaml_node *node, void *value,
                        struct arena *arena, struct error *error);

/* Sets one field from text, as a command line gives it ("64,64,32" is a list too); `where` starts the message
 * ("--count"). */
enum status config_set_text(const struct config_field *field, void *value, const char *text, const char *where,
                            struct arena *arena, struct error *error);

/* Writes every key as YAML; reading it back gives the same dump (tested). False when memory is out or the file takes no
 * more. */
bool config_dump(const struct config_table *table, const void *value, FILE *file);
/* The dump as a string: free with memory_free; NULL when memory is out. */
char *config_dump_text(const struct config_table *table, const void *value);
/* To be read elsewhere: of paths, their last part alone. */
char *config_dump_portable(const struct config_table *table, const void *value);

/* The reference page: one Markdown table per table reached from here. */
void config_reference(const struct config_table *table, const char *title, FILE *file);

/* The nearest of the NULL-terminated `names` to `word` by edit distance, or NULL when none is near: for "did you mean".
 */
const char *config_nearest(const char *word, const char *const *names);

#endif
