/* metrics_table.h - metrics.tsv: a table that grows by a row per step and per validation, and can be cut back to a
 * checkpoint.
 *
 * The first column is the step. A cell without a value is empty: training rows leave the validation columns so, and the
 * other way round. */
#ifndef CALVARIA_TRAIN_METRICS_TABLE_H
#define CALVARIA_TRAIN_METRICS_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

enum { METRICS_TABLE_MAX_COLUMNS = 64 };

struct metrics_table {
    FILE *file;
    int n_columns;
    const char *path; /* the caller's, must outlive the table */
};

/* A new table with these column titles ("step" first). */
enum status metrics_table_create(struct metrics_table *ret, const char *path, int n_columns, const char *const *titles,
                                 struct error *error);
/* An old one, whose titles must be the same: rows for which keep(context, step, row) is false go, atomically; then it
 * can grow. */
enum status metrics_table_resume(struct metrics_table *ret, const char *path, int n_columns, const char *const *titles,
                                 bool (*keep)(const void *context, int64_t step, const char *row), const void *context,
                                 struct error *error);
/* values[0] is the step; NaN: an empty cell. Flushed, so that a plot or a person sees it at once. */
enum status metrics_table_row(struct metrics_table *table, const double *values, struct error *error);
/* The rows so far outlive a power loss. */
enum status metrics_table_sync(struct metrics_table *table, struct error *error);
void metrics_table_close(struct metrics_table *table);

#endif
