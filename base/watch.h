/* watch.h - who watches a call: its progress, its log lines, and the wish that it stops. Of a thread, not of the
 * process: two threads restore two skulls, each with a watcher of its own.
 *
 *     const struct watch watch = {.context = dialog, .part = dialog_part, .is_stopped = dialog_is_closed};
 *     const struct watch *before = watch_set(&watch);
 *     ... restorer_run(...): STATUS_STOPPED once the dialog is closed ...
 *     watch_set(before);
 *
 * A watched thread writes nothing to stderr: lines and progress go to the watcher alone. */
#ifndef CALVARIA_BASE_WATCH_H
#define CALVARIA_BASE_WATCH_H

#include "base/log.h"

/* Functions that are NULL are not called. They run in the watched thread. */
struct watch {
    void *context;
    void (*line)(void *context, enum log_level level, const char *line); /* without the end of line */
    void (*stage)(void *context, const char *name);
    void (*part)(void *context, int64_t done, int64_t total); /* of the stage */
    bool (*is_stopped)(void *context);
};

/* From now on, in this thread; NULL: nobody. Returns who watched before. */
const struct watch *watch_set(const struct watch *watch);
const struct watch *watch_get(void);
/* STATUS_STOPPED where the watcher wants it; asked between steps of at most a few seconds. */
enum status watch_check(struct error *error);

#endif
