/* table.c - rows of cells as aligned columns. See log.h. Test: tests/base/test_log.c */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* Letters, not bytes, of UTF-8. */
static int table_width(const char *cell)
{
    int width = 0;
    for (; cell && *cell; cell++)
        width += ((unsigned char)*cell & 0xC0) != 0x80;
    return width;
}

static bool table_is_number(const char *cell)
{
    if (!cell || !*cell || strcmp(cell, "-") == 0)
        return true;
    char *end;
    strtod(cell, &end);
    return end != cell && (*end == '\0' || strcmp(end, "%") == 0 || strcmp(end, " %") == 0);
}

struct table_column {
    int width;
    bool right; /* all cells below the header are numbers */
};

static struct table_column table_measure(int64_t n_rows, int n_columns, const char *const *cells, int column)
{
    struct table_column measured = {.right = n_rows > 1};
    for (int64_t row = 0; row < n_rows; row++) {
        const char *cell = cells[row * n_columns + column];
        int width = table_width(cell);
        if (width > measured.width)
            measured.width = width;
        if (row > 0 && !table_is_number(cell))
            measured.right = false;
    }
    return measured;
}

/* Blanks are owed to the next cell, so that no line ends in them. */
static void table_print_row(FILE *file, int n_columns, const struct table_column *columns, const char *const *cells)
{
    int owed = 0;
    for (int i = 0; i < n_columns; i++) {
        const char *cell = cells[i] ? cells[i] : "";
        int blanks = columns ? columns[i].width - table_width(cell) : 0;
        bool right = columns && columns[i].right;
        if (*cell)
            fprintf(file, "%*s%s", owed + (right ? blanks : 0), "", cell);
        owed = (*cell ? right ? 0 : blanks : owed + blanks) + 2;
    }
    fputc('\n', file);
}

void table_print(FILE *file, int64_t n_rows, int n_columns, const char *const *cells)
{
    enum { ALIGNED = 64 };
    struct table_column columns[ALIGNED];
    for (int i = 0; i < n_columns && i < ALIGNED; i++)
        columns[i] = table_measure(n_rows, n_columns, cells, i);
    for (int64_t row = 0; row < n_rows; row++) /* a table of more columns is not aligned */
        table_print_row(file, n_columns, n_columns <= ALIGNED ? columns : NULL, cells + row * n_columns);
}
