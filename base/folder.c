/* folder.c - see folder.h. Test: tests/data/test_dicom.c, tests/serve/test_server.sh */
#define _XOPEN_SOURCE 700 /* nftw */
#include "base/folder.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"

enum status folder_temporary(char **ret, const char *name, struct arena *arena, struct error *error)
{
    const char *parent = getenv("TMPDIR");
    if (!parent || !parent[0])
        parent = "/tmp";
    *ret = arena_printf(arena, "%s/calvaria-%s-XXXXXX", parent, name);
    if (!*ret)
        return error_memory(error, strlen(parent), "a path");
    if (mkdtemp(*ret))
        return STATUS_OK;
    *ret = NULL;
    return error_set(error, STATUS_FAILED, "%s: no temporary folder can be made: %s (set TMPDIR to another)", parent,
                     strerror(errno));
}

static int folder_remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info, (void)type, (void)at;
    remove(path);
    return 0;
}

void folder_remove(const char *path)
{
    enum { HANDLES = 8 };
    if (nftw(path, folder_remove_one, HANDLES, FTW_DEPTH | FTW_PHYS) && errno == ENOMEM)
        nftw(path, folder_remove_one, HANDLES, FTW_DEPTH | FTW_PHYS); /* it was out for a moment */
    struct stat info;
    if (lstat(path, &info) == 0)
        log_warn("%s: cannot be removed (remove it by hand)", path);
}
