/* folder.c - removing a folder; see folder.h. Test: tests/serve/test_server.sh */
#define _XOPEN_SOURCE 700 /* nftw */
#include "serve/folder.h"

#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

static int folder_remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info, (void)type, (void)at;
    remove(path);
    return 0;
}

void folder_remove(const char *path)
{
    enum { HANDLES = 8 };
    nftw(path, folder_remove_one, HANDLES, FTW_DEPTH | FTW_PHYS);
}
