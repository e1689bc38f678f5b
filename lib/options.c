/* options.c - see options.h. They are the program's: the same names, ranges and messages. Test:
 * tests/lib/test_library.c, and tests/lib/test_install.sh (the page lists every one) */
#include "lib/options.h"

#include <string.h>

#include "base/options.h"

#define OFFSET(member) offsetof(struct library_options, member)
/* clang-format off */
static const struct config_field library_fields[] = {
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(rules), .table = &outcome_rules_table},
    {.key = "keep_raw", .type = CONFIG_BOOL, .offset = OFFSET(keep_raw), .text = "false",
     .help = "keep the prediction before the rules: CALVARIA_RAW"},
    {.key = "no_mesh", .type = CONFIG_BOOL, .offset = OFFSET(no_mesh), .text = "false", .help = "make no surface"},
    {.key = "no_report", .type = CONFIG_BOOL, .offset = OFFSET(no_report), .text = "false",
     .help = "measure nothing; no report"},
    {.key = "name", .type = CONFIG_STRING, .offset = OFFSET(name), .text = "skull",
     .help = "what the skull is called in messages and in the report"},
    {.key = "max_memory", .type = CONFIG_STRING, .offset = OFFSET(max_memory),
     .help = "as 800M or 1.5G: coarser measures where that is needed; a skull that cannot fit is refused"},
    {.key = "threads", .type = CONFIG_INT, .offset = OFFSET(threads), .text = "0", .min = 0, .max = 4096,
     .help = "processors to use; 0: what OpenMP gives the calling thread"},
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(input), .table = &skull_table},
    {0},
};
/* clang-format on */
const struct config_table library_options_table = {
    .help = "Options of calvaria_restore", .size = sizeof(struct library_options), .fields = library_fields};

/* "clearance_mm=1" as "--clearance-mm=1". */
static char *options_word(const char *text, struct arena *arena)
{
    char *word = arena_printf(arena, "--%s", text);
    for (char *c = word; c && *c && *c != '='; c++)
        if (*c == '_')
            *c = '-';
    return word;
}

enum status library_options_read(struct library_options *ret, const char *const *list, struct arena *arena,
                                 struct error *error)
{
    struct config_strings rest = {0};
    int n = 0;
    while (list && list[n])
        n++;
    char **words = arena_alloc(arena, (size_t)n + 1, sizeof *words);
    for (int i = 0; words && i < n; i++)
        if (!(words[i] = options_word(list[i], arena)))
            words = NULL;
    if (!words)
        return error_memory(error, (size_t)n * sizeof *words, "the options");
    return options_parse(&library_options_table, ret, n, words, &rest, arena, error);
}

enum status library_settings(struct config_strings *ret, const char *const *settings, struct arena *arena,
                             struct error *error)
{
    int64_t n = 0;
    while (settings && settings[n])
        n++;
    *ret = (struct config_strings){.n = n, .items = arena_alloc(arena, (size_t)n + 1, sizeof *ret->items)};
    if (!ret->items)
        return error_memory(error, (size_t)n * sizeof *ret->items, "the settings");
    for (int64_t i = 0; i < n; i++)
        ret->items[i] = settings[i];
    return STATUS_OK;
}
