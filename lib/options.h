/* options.h - private to lib/: the options of calvaria_restore. */
#ifndef CALVARIA_LIB_OPTIONS_H
#define CALVARIA_LIB_OPTIONS_H

#include "infer/outcome.h"

struct library_options {
    struct outcome_rules rules;
    bool keep_raw, no_mesh, no_report;
    const char *name, *max_memory;
    int64_t threads;
    struct skull_options input;
};
extern const struct config_table library_options_table;

/* list: "key=value" or "key", ended by NULL; NULL: defaults. Texts live in arena. */
enum status library_options_read(struct library_options *ret, const char *const *list, struct arena *arena,
                                 struct error *error);
/* "key=value" texts ended by NULL as a list over the caller's strings. */
enum status library_settings(struct config_strings *ret, const char *const *settings, struct arena *arena,
                             struct error *error);

#endif
