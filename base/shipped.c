/* shipped.c - files that come with the program or the library; see file.h. Test: tests/base/test_file.c,
 * tests/lib/test_install.sh */
#define _GNU_SOURCE /* dladdr1 */
#include "base/file.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

static const char shipped_here;

/* The shared library that this code is in; false where it is part of the program. */
static bool shipped_library(char path[PATH_MAX])
{
    Dl_info info;
    struct link_map *map = NULL;
    return dladdr1(&shipped_here, &info, (void **)&map, RTLD_DL_LINKMAP) && map && map->l_name[0] &&
           realpath(map->l_name, path);
}

static bool shipped_program(char path[PATH_MAX])
{
    const ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
    path[n > 0 ? n : 0] = '\0';
    return n > 0;
}

enum status file_shipped(const char **ret, struct arena *arena, const char *const *places, struct error *error)
{
    char own[PATH_MAX];
    *ret = NULL;
    if (!shipped_library(own) && !shipped_program(own))
        return STATUS_OK;
    const char *folder = file_folder(arena, own);
    for (int i = 0; !*ret && places[i]; i++) {
        const char *path = folder ? file_join(arena, folder, places[i]) : NULL;
        struct stat info;
        if (!path)
            return error_memory(error, strlen(own), "a path");
        *ret = stat(path, &info) == 0 ? path : NULL;
    }
    return STATUS_OK;
}
