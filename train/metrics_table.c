/* metrics_table.c - A table that grows by rows and can be cut back to a checkpoint; see metrics_table.h.
 * Test: tests/train/test_run.c */
#include "train/metrics_table.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

/* "step\tloss\t...\n", memory_free it. */
static char *metrics_table_header(int n_columns, const char *const *titles)
{
    size_t bytes = 1;
    for (int i = 0; i < n_columns; i++)
        bytes += strlen(titles[i]) + 1;
    char *text = memory_alloc(bytes, 1);
    size_t at = 0;
    for (int i = 0; text && i < n_columns; i++)
        at += (size_t)snprintf(text + at, bytes - at, "%s%c", titles[i], i + 1 < n_columns ? '\t' : '\n');
    return text;
}

static enum status metrics_table_append(struct metrics_table *ret, const char *path, int n_columns, struct error *error)
{
    FILE *file = fopen(path, "ae");
    if (!file)
        return error_system(error, errno, "%s: cannot open", path);
    *ret = (struct metrics_table){.file = file, .n_columns = n_columns, .path = path};
    return STATUS_OK;
}

enum status metrics_table_create(struct metrics_table *ret, const char *path, int n_columns, const char *const *titles,
                                 struct error *error)
{
    assert(n_columns <= METRICS_TABLE_MAX_COLUMNS);
    char *header = metrics_table_header(n_columns, titles);
    if (!header)
        return error_memory(error, 0, "the metrics table");
    enum status status = file_write(path, header, strlen(header), error);
    memory_free(header);
    return status ? status : metrics_table_append(ret, path, n_columns, error);
}

/* Moves the kept rows of `text` (past the header) together, in place; returns the new length. A last line without its
 * end is a row whose writing was interrupted: it goes. */
static size_t metrics_table_keep(char *text, size_t at,
                                 bool (*keep)(const void *context, int64_t step, const char *row), const void *context)
{
    char *from = text + at, *to = from, *end;
    while ((end = strchr(from, '\n'))) {
        size_t length = (size_t)(end - from) + 1;
        if (keep(context, strtoll(from, NULL, 10), from)) {
            memmove(to, from, length);
            to += length;
        }
        from = end + 1;
    }
    return (size_t)(to - text);
}

enum status metrics_table_resume(struct metrics_table *ret, const char *path, int n_columns, const char *const *titles,
                                 bool (*keep)(const void *context, int64_t step, const char *row), const void *context,
                                 struct error *error)
{
    if (!file_exists(path)) /* the run was killed before its first row */
        return metrics_table_create(ret, path, n_columns, titles, error);
    char *text = NULL, *header = metrics_table_header(n_columns, titles);
    size_t bytes = 0;
    enum status status = header ? STATUS_OK : error_memory(error, 0, "the metrics table");
    if (!status)
        status = file_read(&text, &bytes, path, (size_t)1 << 32, error);
    if (!status && strncmp(text, header, strlen(header)) != 0)
        status =
            error_set(error, STATUS_FAILED,
                      "%s: the columns are not this recipe's: has recipe.yaml been edited since the run began?", path);
    if (!status)
        status = file_write(path, text, metrics_table_keep(text, strlen(header), keep, context), error);

    memory_free(text);
    memory_free(header);
    return status ? status : metrics_table_append(ret, path, n_columns, error);
}

enum status metrics_table_row(struct metrics_table *table, const double *values, struct error *error)
{
    fprintf(table->file, "%" PRId64, (int64_t)values[0]);
    for (int i = 1; i < table->n_columns; i++) {
        fputc('\t', table->file);
        if (!isnan(values[i]))
            fprintf(table->file, "%.9g", values[i]);
    }
    fputc('\n', table->file);
    if (fflush(table->file) != 0 || ferror(table->file))
        return error_system(error, errno, "%s: cannot write", table->path);
    return STATUS_OK;
}

enum status metrics_table_sync(struct metrics_table *table, struct error *error)
{
    if (table->file && fsync(fileno(table->file)) != 0 && errno != EINVAL)
        return error_system(error, errno, "%s: cannot write", table->path);
    return STATUS_OK;
}

void metrics_table_close(struct metrics_table *table)
{
    if (table->file)
        fclose(table->file);
    *table = (struct metrics_table){0};
}
