/* log.h - lines for a person on stderr, progress bars, and aligned tables. The log sink is the project's only global.
 * In a watched thread (base/watch.h) lines and progress go to the watcher instead. */
#ifndef CALVARIA_BASE_LOG_H
#define CALVARIA_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

enum log_level { LOG_QUIET, LOG_WARN, LOG_INFO, LOG_DEBUG };

enum log_level log_set_level(enum log_level level); /* returns the level before */
/* Lines also go to `file` (a run's log) with the time before them, whatever the level; NULL ends that. The caller
 * closes it. */
void log_set_file(FILE *file);
void log_info(const char *format, ...) ERROR_PRINTF(1, 2);
/* As log_info, but a line that was written before is not written again. */
void log_info_once(const char *format, ...) ERROR_PRINTF(1, 2);
void log_warn(const char *format, ...) ERROR_PRINTF(1, 2);
void log_debug(const char *format, ...) ERROR_PRINTF(1, 2);

/* A bar with rate and time left on a terminal, a plain line now and then (every 10 s or 10 %, not twice in a second)
 * when piped. Zero total: a counter. */
struct progress {
    const char *label, *unit;
    int64_t total, done;
    double start_s, shown_s;
    int64_t first, shown; /* `done` at the start (a resumed run's rate counts from here), and when last shown */
    bool terminal;
};
void progress_start(struct progress *progress, const char *label, const char *unit, int64_t first, int64_t total);
/* `note` (may be NULL) stands at the end of the line: "loss 0.0123". */
void progress_show(struct progress *progress, int64_t done, const char *note);
void progress_end(struct progress *progress);

/* Progress for another program to read: from now on every stage and every bar is also lines on `file`, "stage NAME" and
 * "part DONE TOTAL" (at most ten a second); NULL ends that. The caller closes it. */
void progress_set_file(FILE *file);
void progress_stage(const char *name);

double log_clock_s(void); /* monotonic seconds */

/* Prints rows of n_columns cells aligned in columns; numbers (cells that parse as such) to the right. Row 0 is the
 * header. */
void table_print(FILE *file, int64_t n_rows, int n_columns, const char *const *cells);

#endif
