/* text.c - text that is printed into memory; see text.h. Test: tests/base/test_text.c */
#define _GNU_SOURCE /* fopencookie */
#include "base/text.h"

#include <string.h>
#include <sys/types.h>

#include "base/memory.h"

struct text_block {
    char *data; /* NUL-ended */
    size_t bytes, room;
};

/* 0: memory is out, which the stream remembers. */
static ssize_t text_write(void *cookie, const char *data, size_t bytes)
{
    struct text_block *block = cookie;
    if (bytes >= block->room - block->bytes) {
        const size_t room = 2 * block->room + bytes;
        char *larger = memory_resize(block->data, block->bytes, room);
        if (!larger)
            return 0;
        block->data = larger;
        block->room = room;
    }
    memcpy(block->data + block->bytes, data, bytes);
    block->bytes += bytes;
    block->data[block->bytes] = '\0';
    return (ssize_t)bytes;
}

enum status text_open(struct text *ret, struct error *error)
{
    enum { FIRST = 4096 };
    struct text_block *block = memory_zalloc(1, sizeof *block);
    *ret = (struct text){0};
    if (block && (block->data = memory_zalloc(block->room = FIRST, 1)) &&
        (ret->file = fopencookie(block, "w", (cookie_io_functions_t){.write = text_write}))) {
        ret->block = block;
        return STATUS_OK;
    }
    if (block)
        memory_free(block->data);
    memory_free(block);
    return error_memory(error, 0, "a text");
}

enum status text_close(char **ret, struct text *text, enum status status, struct error *error)
{
    const bool broken = ferror(text->file), closed = fclose(text->file) == 0;
    if (!status && (broken || !closed))
        status = error_memory(error, 2 * text->block->room, "a text");
    *ret = status ? NULL : text->block->data;
    if (status)
        memory_free(text->block->data);
    memory_free(text->block);
    *text = (struct text){0};
    return status;
}
