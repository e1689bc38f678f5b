/* environment.h - what a run ran on: code, compiler, libraries, machine. */
#ifndef CALVARIA_TRAIN_ENVIRONMENT_H
#define CALVARIA_TRAIN_ENVIRONMENT_H

#include <stdint.h>

#include "base/memory.h"

/* "key: value" lines (YAML): calvaria, commit, compiler, flags, libraries, cpu, threads, memory, os. NULL when memory
 * is out. */
char *environment_text(struct arena *arena);

/* "calvaria 0.1.0 (commit), oneDNN 2.6.3, HDF5 1.10.8": one line for model files. */
char *environment_versions(struct arena *arena);

/* Memory that this process holds now; 0: unknown. */
int64_t environment_resident_bytes(void);
/* Memory this process may still take: the system's available memory, or what the control group leaves where that is
 * less. -1: unknown. */
int64_t environment_available_bytes(void);

#endif
