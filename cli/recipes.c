/* recipes.c - `calvaria recipes`: the recipes, networks and defects that come with the program.
 * Test: tests/cli/test_recipes.sh */
#include <stdio.h>
#include <string.h>

#include "base/configs.h"
#include "base/file.h"
#include "cli/command.h"

enum { WHAT_BYTES = 96, HEAD_BYTES = 512 };

/* The first sentence of the comment at the file's head, cut where it is long. */
static enum status recipes_what(char what[WHAT_BYTES], const char *path, struct error *error)
{
    char *text = NULL;
    size_t bytes = 0;
    if (file_read(&text, &bytes, path, 1 << 20, error))
        return error->status;
    const char *line = text + strspn(text, "# ");
    size_t n = strcspn(line, "\n");
    const char *stop = strstr(line, ". ");
    if (stop && (size_t)(stop - line) < n)
        n = (size_t)(stop - line);
    const bool cut = n >= WHAT_BYTES - 4;
    snprintf(what, WHAT_BYTES, "%.*s%s", (int)(cut ? WHAT_BYTES - 5 : n), line, cut ? " ..." : "");
    memory_free(text);
    return STATUS_OK;
}

static enum status recipes_print(const char *kind, const char *how, struct arena *arena, struct error *error)
{
    struct config_strings files;
    const char *folder;
    if (configs_folder(&folder, arena, kind, error))
        return error->status;
    if (!folder)
        return error_set(error, STATUS_FAILED,
                         "configs/%s: not there: neither beside the program's sources nor in share/calvaria (reinstall "
                         "it)",
                         kind);
    if (file_list(&files, folder, arena, error))
        return error->status;
    printf("%s, in %s: %s\n", kind, folder, how);
    for (int64_t i = 0; i < files.n; i++) {
        char what[WHAT_BYTES];
        const char *path = file_join(arena, folder, files.items[i]);
        if (!path)
            return error_memory(error, strlen(folder), "a path");
        if (!file_has_suffix(path, ".yaml"))
            continue;
        if (recipes_what(what, path, error))
            return error->status;
        printf("  %-38.*s %s\n", (int)(strlen(files.items[i]) - strlen(".yaml")), files.items[i], what);
    }
    return STATUS_OK;
}

static enum status recipes_command(const void *options, int n_inputs, char *const *inputs, struct error *error)
{
    struct arena arena = {0};
    (void)options, (void)n_inputs, (void)inputs;
    enum status status = recipes_print("recipes", "calvaria train NAME", &arena, error);
    if (!status)
        status = recipes_print("networks", "calvaria info NAME; in a recipe: extends", &arena, error);
    if (!status)
        status = recipes_print("defects", "calvaria inject --defects NAME", &arena, error);
    arena_done(&arena);
    return status;
}

const struct command command_recipes = {
    .name = "recipes",
    .arguments = "",
    .example = "calvaria recipes",
    .options =
        {
            .help = "list the recipes, networks and defects that come with the program",
            .size = sizeof(struct command_options),
            .base = &command_base_table,
        },
    .run = recipes_command,
};
