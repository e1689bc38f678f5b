/* table.c - rows of cells as aligned columns. See log.h. */
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

void table_print(FILE *file, int64_t n_rows, int n_columns, const char *const *cells)
{
    for (int64_t row = 0; row < n_rows; row++) {
        int owed = 0; /* blanks before the next cell, so that no line ends in blanks */
        for (int column = 0; column < n_columns; column++) {
            const char *cell = cells[row * n_columns + column];
            int width = 0;
            bool right = n_rows > 1;
            for (int64_t i = 0; i < n_rows; i++) {
                const char *other = cells[i * n_columns + column];
                if (table_width(other) > width)
                    width = table_width(other);
                right = right && (i == 0 || table_is_number(other));
            }
            int blanks = width - table_width(cell), before = owed + (right ? blanks : 0);
            if (cell && *cell) {
                fprintf(file, "%*s%s", before, "", cell);
                owed = (right ? 0 : blanks) + 2;
            } else
                owed += width + 2;
        }
        fputc('\n', file);
    }
}
