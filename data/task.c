/* task.c - see task.h. */
#include "data/task.h"

#include <stddef.h>

const char *const task_names[] = {"completion", "implant", NULL};
