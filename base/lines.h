/* lines.h - the lines of a small text file, tables among them: blank ones and # comments are left out.
 *
 *     for (struct lines lines = lines_of(path, text); lines_next(&lines);)
 *         ... lines.text, lines.where ("FILE:7") ...
 */
#ifndef CALVARIA_BASE_LINES_H
#define CALVARIA_BASE_LINES_H

#include <stdbool.h>
#include <stdint.h>

struct lines {
    char *text;  /* the line without its end, in the caller's text, which is cut there */
    char *where; /* for messages; valid until the next line */
    const char *path;
    char *next;
    int64_t number;
};

/* text ends with '\0', as file_read gives it, and is the caller's to free. Each loop runs to its end. */
struct lines lines_of(const char *path, char *text);
bool lines_next(struct lines *lines);

#endif
