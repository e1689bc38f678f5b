/* memory.h - aligned allocation with overflow checks, arenas by lifetime, and the counters the tests read.
 *
 * All memory of the project is taken here, so that tests can count allocations and make the n-th one fail. */
#ifndef CALVARIA_BASE_MEMORY_H
#define CALVARIA_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* n * size bytes, 64-byte aligned, not cleared. NULL, and errno ENOMEM, when the product overflows or memory is out. n
 * * size == 0 gives a valid pointer. Free with memory_free (NULL allowed). */
void *memory_alloc(size_t n, size_t size);
void *memory_zalloc(size_t n, size_t size);                         /* cleared */
void *memory_resize(void *old, size_t old_bytes, size_t new_bytes); /* NULL on failure: old is untouched */
char *memory_strdup(const char *text);
char *memory_printf(const char *format, ...) ERROR_PRINTF(1, 2); /* NULL when memory is out */
void memory_free(void *pointer);

/* Allocations made since the start of the process: constant from the second training step on (tested). */
int64_t memory_alloc_count(void);
/* For tests: let the n-th allocation from now (1 = the next) fail once; 0 switches off. Returns how many
 * allocations the last call still waited for: 0 when its failure has happened. */
int64_t memory_fail_at(int64_t nth);
/* Highest resident set of the process so far, in bytes. */
int64_t memory_peak_bytes(void);

/* A bump allocator: many small things with one lifetime, freed together. Zero-initialise; arena_done frees all. */
struct arena {
    struct arena_chunk *chunks;
};
void *arena_alloc(struct arena *arena, size_t n, size_t size); /* cleared, 16-byte aligned; NULL on failure */
char *arena_strdup(struct arena *arena, const char *text);
char *arena_printf(struct arena *arena, const char *format, ...) ERROR_PRINTF(2, 3);
void arena_done(struct arena *arena);

/* "800M", "1.5G", "2000000000": bytes, K M G being powers of 1000; "" or NULL: 0. STATUS_USAGE for anything else;
 * `option` begins the message. */
enum status memory_parse(int64_t *ret, const char *text, const char *option, struct error *error);

#endif
