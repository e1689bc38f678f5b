/* options.h - a command line from the same rows as YAML: one config_table is the options, their defaults, their checks
 * and their help.
 *
 *     --key VALUE   --key=VALUE   --flag   --no-flag   (the keys' underscores are dashes here)   --
 *       (the rest are arguments)
 *
 * Lists of strings grow by one each time they are given; every other option may be given once. A nested table
 * (CONFIG_TABLE) with the key "" puts its rows beside the others', one with a key puts them behind "--key-". Lists of
 * tables are no options. */
#ifndef CALVARIA_BASE_OPTIONS_H
#define CALVARIA_BASE_OPTIONS_H

#include "base/config.h"

/* Fills `value` (table->size bytes), defaults first, from argv[0..argc-1], the words behind the command's name.
 * *ret_arguments: what is no option, in order. Errors, STATUS_USAGE, collected: unknown option (with the nearest), a
 * missing or bad value, an option given twice, a required one left out. Strings live in arena or are argv's own. */
enum status options_parse(const struct config_table *table, void *value, int argc, char *const *argv,
                          struct config_strings *ret_arguments, struct arena *arena, struct error *error);

/* One aligned line per option: "  --count N   how many [skulls] (default 1)". STATUS_FAILED: memory is out. */
enum status options_help(const struct config_table *table, FILE *file, struct error *error);

/* One row, --overwrite, into a bool, for every command that writes files: file_check_free before any work. */
extern const struct config_table overwrite_table;

#endif
