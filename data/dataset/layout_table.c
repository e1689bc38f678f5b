/* layout_table.c - a tab-separated table that names the files of each case. See docs/dataset.md.
 * Test: tests/data/test_layout.c. */
#include <string.h>

#include "base/file.h"
#include "base/lines.h"
#include "data/dataset/dataset.h"
#include "data/dataset/layout_finder.h"

enum { TABLE_BYTES_MAX = 16 << 20, COLUMNS_MAX = 64 };
enum column { /* the first three as enum layout_role */
              COLUMN_COMPLETE,
              COLUMN_DEFECTIVE,
              COLUMN_IMPLANT,
              COLUMN_CASE,
              COLUMN_DEFECT,
              COLUMN_SPLIT,
              COLUMN_GROUP,
              COLUMN_N
};

struct table {
    struct layout_finder *finder;
    const char *folder;
    const char *names[COLUMN_N + 1]; /* of the columns, NULL-terminated */
    int place[COLUMN_N];             /* of each in a line; -1: not there */
};

/* Splits a line at its tabs, in place. Returns the number of cells, at most COLUMNS_MAX. */
static int table_split(char *line, const char *cells[COLUMNS_MAX])
{
    int n = 0;
    for (char *cell = line; cell && n < COLUMNS_MAX;) {
        char *tab = strchr(cell, '\t');
        if (tab)
            *tab = '\0';
        cells[n++] = cell;
        cell = tab ? tab + 1 : NULL;
    }
    return n;
}

/* The cell of a column; NULL where it is empty, "n/a" (as BIDS writes it), "-" or not there. */
static const char *table_cell(const struct table *table, const char *const *cells, int n, enum column column)
{
    const int i = table->place[column];
    const char *text = i >= 0 && i < n ? cells[i] : "";
    return text[0] && strcmp(text, "n/a") != 0 && strcmp(text, "-") != 0 ? text : NULL;
}

static enum status table_header(struct table *table, char *line, const char *where, const char *group_column)
{
    const char *cells[COLUMNS_MAX];
    const int n = table_split(line, cells);
    for (int c = 0; c < COLUMN_N; c++) {
        table->place[c] = -1;
        for (int i = 0; i < n; i++)
            if (strcmp(cells[i], table->names[c]) == 0)
                table->place[c] = i;
    }
    if (table->place[COLUMN_CASE] < 0 || (table->place[COLUMN_COMPLETE] < 0 && table->place[COLUMN_DEFECTIVE] < 0))
        return error_set(table->finder->error, STATUS_USAGE,
                         "%s: the first line must name the columns: case, and complete or defective; also implant, "
                         "defect, split, group%s",
                         where, n == 1 && strchr(line, ',') ? " (with tabs between them, not commas)" : "");
    if (group_column && table->place[COLUMN_GROUP] < 0)
        return error_set(table->finder->error, STATUS_USAGE, "%s: no column '%s' (--group-column)", where,
                         group_column);
    return STATUS_OK;
}

static enum status table_split_of(int *ret, const char *text, const char *where, struct error *error)
{
    *ret = LAYOUT_SPLIT_NONE;
    for (int s = 0; text && s < SPLIT_N; s++)
        if (strcmp(text, dataset_split_names[s]) == 0)
            *ret = s;
    if (text && *ret == LAYOUT_SPLIT_NONE)
        return error_add(error, STATUS_USAGE, "%s: split '%s' is none of train, val, test, -", where, text);
    return STATUS_OK;
}

/* One line: up to three files of one case. Mistakes are collected. */
static void table_line(struct table *table, char *line, const char *where)
{
    struct layout_finder *finder = table->finder;
    const char *cells[COLUMNS_MAX];
    const int n = table_split(line, cells);
    const char *name = table_cell(table, cells, n, COLUMN_CASE), *group = table_cell(table, cells, n, COLUMN_GROUP);
    const char *defect = table_cell(table, cells, n, COLUMN_DEFECT);
    struct layout_entry entry = {.name = name ? arena_strdup(finder->arena, name) : NULL,
                                 .group = group ? arena_strdup(finder->arena, group) : NULL};
    int n_files = 0;
    if (!name)
        error_add(finder->error, STATUS_USAGE, "%s: no case", where);
    if ((name && !entry.name) || (group && !entry.group))
        error_memory(finder->error, strlen(line), "a line of the table");
    if (!entry.name || table_split_of(&entry.split, table_cell(table, cells, n, COLUMN_SPLIT), where, finder->error))
        return;

    for (int r = 0; r < ROLE_N; r++) {
        const char *cell = table_cell(table, cells, n, (enum column)r);
        if (!cell)
            continue;
        n_files++;
        entry.role = (enum layout_role)r;
        entry.path = file_join(finder->arena, table->folder, cell);
        entry.defect = r == ROLE_COMPLETE ? NULL : defect ? arena_strdup(finder->arena, defect) : "d00";
        if (!entry.path || (r != ROLE_COMPLETE && !entry.defect)) {
            error_memory(finder->error, strlen(line), "a line of the table");
            return;
        }
        if (!file_exists(entry.path) || !layout_is_volume(entry.path))
            error_add(finder->error, STATUS_USAGE, "%s: %s: %s", where, entry.path,
                      file_exists(entry.path) ? "no volume (.nii.gz .nii .nrrd .nhdr)" : "no such file");
        else if (layout_finder_add(finder, entry))
            return;
    }
    if (n_files == 0)
        error_add(finder->error, STATUS_USAGE, "%s: case '%s' has no file", where, name);
}

enum status layout_collect_table(struct layout_finder *finder, const char *path, const char *group_column)
{
    struct table table = {.finder = finder,
                          .folder = file_folder(finder->arena, path),
                          .names = {"complete", "defective", "implant", "case", "defect", "split",
                                    group_column ? group_column : "group"}};
    char *text;
    size_t bytes;
    if (!table.folder)
        return error_memory(finder->error, strlen(path), "a path");
    if (file_read(&text, &bytes, path, TABLE_BYTES_MAX, finder->error))
        return error_while(finder->error, "reading the table of cases");

    /* Errors are collected: one run lists every bad line of the table */
    bool has_header = false;
    for (struct lines lines = lines_of(path, text); lines_next(&lines);) {
        const char *where = lines.where ? lines.where : path;
        if (has_header)
            table_line(&table, lines.text, where);
        else if (table_header(&table, lines.text, where, group_column))
            lines.next = NULL; /* no line can be read without it */
        has_header = true;
    }
    memory_free(text);
    return finder->error->status;
}
