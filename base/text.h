/* text.h - text that is printed into memory. The stream remembers that memory was out; open_memstream's forgets it. As
 * with every stream, that holds for what is written, not for a printf of dozens of arguments that itself finds none.
 *
 *     struct text text;
 *     if (text_open(&text, error)) ...
 *     fprintf(text.file, ...);
 *     return text_close(&ret, &text, status, error);    // for memory_free; NULL unless STATUS_OK */
#ifndef CALVARIA_BASE_TEXT_H
#define CALVARIA_BASE_TEXT_H

#include <stdio.h>

#include "base/error.h"

struct text {
    FILE *file;
    struct text_block *block;
};

enum status text_open(struct text *ret, struct error *error);
/* Closes the stream. Goes on with `status`: unless it is STATUS_OK, and memory sufficed, the text is freed. */
enum status text_close(char **ret, struct text *text, enum status status, struct error *error);

#endif
