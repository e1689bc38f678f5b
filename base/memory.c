/* memory.c - allocation, its counters, and arenas; see memory.h. Test: tests/base/test_memory.c */
#include "base/memory.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#undef memory_alloc /* under clang-tidy: scripts/clang_tidy.h */
#undef memory_zalloc
#undef memory_resize
#undef memory_strdup
#undef memory_printf
#undef arena_alloc
#undef arena_strdup
#undef arena_printf

enum { MEMORY_ALIGN = 64, ARENA_ALIGN = 16 };
/* Large blocks lie on the processor's huge pages where the system has them: a convolution touches rows of many planes
 * at once, and with pages of 4 KiB a fifth of its time goes into finding them. */
enum { MEMORY_PAGE = 2 << 20, MEMORY_LARGE = 2 * MEMORY_PAGE };

/* ARENA_SINGLE: memory is taken for every piece anew, so that each can be refused (tests/faults). */
#ifdef ARENA_SINGLE
static const size_t arena_first_bytes = 1, arena_most_bytes = 1;
#else
static const size_t arena_first_bytes = 4096, arena_most_bytes = 1 << 20;
#endif

/* Counters, not state: nothing but tests and reports reads them. */
static _Atomic int64_t memory_count;
static _Atomic int64_t memory_fail_in; /* 0: off */

static bool memory_must_fail(void)
{
    int64_t left = atomic_load(&memory_fail_in);
    while (left > 0)
        if (atomic_compare_exchange_weak(&memory_fail_in, &left, left - 1))
            return left == 1;
    return false;
}

void *memory_alloc(size_t n, size_t size)
{
    const size_t bytes = n * size;
    void *pointer;
    if (memory_must_fail() || (size && n > (SIZE_MAX - MEMORY_PAGE) / size) ||
        posix_memalign(&pointer, bytes < MEMORY_LARGE ? MEMORY_ALIGN : MEMORY_PAGE, bytes ? bytes : 1)) {
        errno = ENOMEM;
        return NULL;
    }
#ifdef MADV_HUGEPAGE
    if (bytes >= MEMORY_LARGE)
        madvise(pointer, bytes / MEMORY_PAGE * MEMORY_PAGE, MADV_HUGEPAGE);
#endif
    atomic_fetch_add(&memory_count, 1);
    return pointer;
}

void *memory_zalloc(size_t n, size_t size)
{
    void *pointer = memory_alloc(n, size);
    if (pointer)
        memset(pointer, 0, n * size);
    return pointer;
}

void *memory_resize(void *old, size_t old_bytes, size_t new_bytes)
{
    void *pointer = memory_alloc(new_bytes, 1);
    if (pointer && old) {
        memcpy(pointer, old, old_bytes < new_bytes ? old_bytes : new_bytes);
        memory_free(old);
    }
    return pointer;
}

char *memory_strdup(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = memory_alloc(bytes, 1);
    return copy ? memcpy(copy, text, bytes) : NULL;
}

/* Does the text come out as it was measured? printf itself takes memory for a long list of arguments. */
static bool memory_print(char *text, int length, const char *format, va_list args)
{
    return vsnprintf(text, (size_t)length + 1, format, args) == length;
}

char *memory_printf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args); /* NOLINT(clang-analyzer-valist.Uninitialized): started */
    va_end(args);
    char *text = length < 0 ? NULL : memory_alloc((size_t)length + 1, 1);
    if (!text)
        return NULL;
    va_start(args, format);
    const bool whole = memory_print(text, length, format, args);
    va_end(args);
    if (whole)
        return text;
    memory_free(text);
    return NULL;
}

void memory_free(void *pointer)
{
    free(pointer);
}

int64_t memory_alloc_count(void)
{
    return atomic_load(&memory_count);
}

int64_t memory_fail_at(int64_t nth)
{
    return atomic_exchange(&memory_fail_in, nth);
}

/* VmHWM is this program's own; ru_maxrss lives on through exec and may be its parent's. */
int64_t memory_peak_bytes(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long long kib = -1;
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %lld kB", &kib) == 1)
            break;
    if (file)
        fclose(file);
    if (kib >= 0)
        return kib * 1024;
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) ? 0 : (int64_t)usage.ru_maxrss * 1024;
}

struct arena_chunk {
    struct arena_chunk *next;
    size_t used, bytes; /* of data */
    _Alignas(ARENA_ALIGN) char data[];
};

static struct arena_chunk *arena_grow(struct arena *arena, size_t bytes)
{
    size_t wanted = arena->chunks ? arena->chunks->bytes * 2 : arena_first_bytes;
    if (wanted > arena_most_bytes)
        wanted = arena_most_bytes;
    if (wanted < bytes)
        wanted = bytes;
    struct arena_chunk *chunk = memory_alloc(sizeof *chunk + wanted, 1);
    if (!chunk)
        return NULL;
    *chunk = (struct arena_chunk){.next = arena->chunks, .bytes = wanted};
    return arena->chunks = chunk;
}

void *arena_alloc(struct arena *arena, size_t n, size_t size)
{
    if (memory_must_fail() || (size && n > SIZE_MAX / 2 / size))
        return NULL;
    size_t bytes = (n * size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    struct arena_chunk *chunk = arena->chunks;
    if (!chunk || chunk->bytes - chunk->used < bytes)
        chunk = arena_grow(arena, bytes);
    if (!chunk)
        return NULL;
    void *pointer = chunk->data + chunk->used;
    chunk->used += bytes;
    return memset(pointer, 0, bytes);
}

char *arena_strdup(struct arena *arena, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = arena_alloc(arena, bytes, 1);
    return copy ? memcpy(copy, text, bytes) : NULL;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args); /* NOLINT(clang-analyzer-valist.Uninitialized): started */
    va_end(args);
    char *text = length < 0 ? NULL : arena_alloc(arena, (size_t)length + 1, 1);
    if (!text)
        return NULL;
    va_start(args, format);
    const bool whole = memory_print(text, length, format, args);
    va_end(args);
    return whole ? text : NULL;
}

void arena_done(struct arena *arena)
{
    while (arena->chunks) {
        struct arena_chunk *next = arena->chunks->next;
        memory_free(arena->chunks);
        arena->chunks = next;
    }
}

enum status memory_parse(int64_t *ret, const char *text, const char *option, struct error *error)
{
    char *end = NULL;
    *ret = 0;
    if (!text || !*text)
        return STATUS_OK;
    double value = strtod(text, &end), unit = *end == 'K' ? 1e3 : *end == 'M' ? 1e6 : *end == 'G' ? 1e9 : *end ? 0 : 1;
    if (end == text || unit == 0 || (*end && end[1]) || !(value > 0) || !(value * unit < 1e18))
        return error_set(error, STATUS_USAGE, "%s: '%s': no size (as 800M or 1.5G)", option, text);
    *ret = (int64_t)(value * unit);
    return STATUS_OK;
}
