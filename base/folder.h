/* folder.h - temporary folders, and a folder removed with all in it. */
#ifndef CALVARIA_BASE_FOLDER_H
#define CALVARIA_BASE_FOLDER_H

#include "base/error.h"
#include "base/memory.h"

/* A new empty folder calvaria-NAME-... in $TMPDIR, else in /tmp. Its path lives in the arena. */
enum status folder_temporary(char **ret, const char *name, struct arena *arena, struct error *error);

/* Links are removed, never followed; what cannot be removed stays. */
void folder_remove(const char *path);

#endif
