/* task.c - see task.h. Test: tests/infer/test_restore.c. */
#include "data/task.h"

#include <stddef.h>

const char *const task_names[] = {"completion", "implant", NULL};
