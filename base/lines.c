/* lines.c - see lines.h. Test: tests/data/test_layout.c, tests/data/test_dataset.c */
#include "base/lines.h"

#include <inttypes.h>
#include <string.h>

#include "base/memory.h"

struct lines lines_of(const char *path, char *text)
{
    return (struct lines){.path = path, .next = text};
}

bool lines_next(struct lines *lines)
{
    memory_free(lines->where);
    lines->where = NULL;
    while (lines->next && *lines->next) {
        char *end = strchr(lines->next, '\n');
        lines->text = lines->next;
        lines->next = end ? end + 1 : NULL;
        lines->number++;
        if (end)
            *end = '\0';
        lines->text[strcspn(lines->text, "\r")] = '\0';
        if (!lines->text[0] || lines->text[0] == '#')
            continue;
        lines->where = memory_printf("%s:%" PRId64, lines->path, lines->number);
        return true;
    }
    return false;
}
