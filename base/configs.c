/* configs.c - see configs.h. Test: tests/cli/test_recipes.sh */
#include "base/configs.h"

#include <string.h>

#include "base/config.h"
#include "base/file.h"

enum status configs_folder(const char **ret, struct arena *arena, const char *kind, struct error *error)
{
    const char *const places[] = {arena_printf(arena, "../configs/%s", kind),
                                  arena_printf(arena, "../share/calvaria/configs/%s", kind),
                                  arena_printf(arena, "../../configs/%s", kind), NULL}; /* the presets' build/NAME */
    return places[0] && places[1] && places[2] ? file_shipped(ret, arena, places, error)
                                               : error_memory(error, strlen(kind), "a path");
}

/* The names of a kind, without .yaml, NULL-terminated; in arena. NULL: none. */
static const char **configs_names(const char *folder, struct arena *arena)
{
    struct config_strings files;
    struct error none = {0};
    if (!folder || file_list(&files, folder, arena, &none))
        return NULL;
    const char **names = arena_alloc(arena, (size_t)files.n + 1, sizeof *names);
    for (int64_t i = 0; names && i < files.n; i++)
        names[i] = arena_printf(arena, "%.*s", (int)strcspn(files.items[i], "."), files.items[i]);
    return names;
}

enum status configs_find(const char **ret, const char *kind, const char *name, struct arena *arena, struct error *error)
{
    const char *prefix = arena_printf(arena, "configs/%s/", kind), *folder;
    *ret = name;
    if (!prefix)
        return error_memory(error, strlen(kind), "a path");
    if (file_exists(name))
        return STATUS_OK;
    const char *base = strncmp(name, prefix, strlen(prefix)) == 0 ? name + strlen(prefix) : name;
    const char *suffix = file_has_suffix(base, ".yaml") ? "" : ".yaml";
    if (strchr(base, '/')) /* a file of the user's, that is not there: its reader says so */
        return STATUS_OK;

    if (configs_folder(&folder, arena, kind, error))
        return error->status;
    char *file = folder ? file_join(arena, folder, arena_printf(arena, "%s%s", base, suffix)) : NULL;
    if (folder && !file)
        return error_memory(error, strlen(base), "a path");
    if (file && file_exists(file)) {
        *ret = file;
        return STATUS_OK;
    }
    const char **names = configs_names(folder, arena), *near = names ? config_nearest(base, names) : NULL;
    return error_set(error, STATUS_USAGE, "%s: neither a file nor one of the program's %s%s%s%s", name, kind,
                     near ? " (did you mean '" : " (calvaria recipes lists them", near ? near : "", near ? "'?)" : ")");
}
