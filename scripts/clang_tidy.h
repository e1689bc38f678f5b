/* clang_tidy.h - put before every file by .clang-tidy. The analyzer sees one file at a time. Here the functions that
 * set an error say themselves what they return, so that what follows a checked status is not taken for possible. Those
 * of base/memory.h stand for the C library's, which it knows: leaks and uses after a free are seen. What memory_alloc
 * hands out counts as written: that a loop over a product of sizes writes all of it is more than the analyzer follows.
 * An arena hands out memory without a change of the struct that it is part of. */
#define _GNU_SOURCE      /* what some files define later would come too late */
#define XXH_DEBUGLEVEL 1 /* it asserts that NULL has a length of 0 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

#define error_set(error, code, ...) (error_set((error), (code), __VA_ARGS__), (error)->status = (code))
#define error_add(error, code, ...) (error_add((error), (code), __VA_ARGS__), (error)->status = (code))
#define error_memory(error, bytes, what) (error_memory((error), (bytes), (what)), (error)->status = STATUS_FAILED)
#define error_while(error, ...) \
    (error_while((error), __VA_ARGS__), (error)->status ? (error)->status : (abort(), STATUS_OK))

#define memory_alloc(n, size) ((void)memory_alloc((n), (size)), (void *)strdup(""))
#define memory_zalloc(n, size) calloc((n), (size))
#define memory_resize(old, old_bytes, new_bytes) ((void)(old_bytes), realloc((old), (new_bytes)))
#define memory_strdup(text) strdup(text)
#define memory_printf(...) ((void)memory_printf(__VA_ARGS__), strdup(""))
#define arena_alloc(arena, n, size) ((void)(arena), arena_alloc(NULL, (n), (size)))
#define arena_strdup(arena, text) ((void)(arena), arena_strdup(NULL, (text)))
#define arena_printf(arena, ...) ((void)(arena), arena_printf(NULL, __VA_ARGS__))
__attribute__((ownership_takes(malloc, 1))) void memory_free(void *pointer);
