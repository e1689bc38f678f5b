/* fault_alloc.c - preloaded into a program: makes one of its allocations fail, and lists those it never freed.
 *
 * All memory of the project comes from posix_memalign (base/memory.c). An allocation is named by the stack of calls
 * that led to it, as places inside the program, so that the same one is found in a second run whatever its threads do.
 *   FAULT_PROGRAM    the program's real path; in every other process nothing is done
 *   FAULT_REPORT     at exit, one line for each stack: "stack NAME COUNT", and for each kind of block left: "left NAME
 *                    COUNT"
 *   FAULT_STACK      the name of the stack whose FAULT_NTH-th allocation fails
 *   FAULT_LIBRARIES  set: it is what libraries take on behalf of the program that is listed and fails, the C library
 *                    among them, but not those that its value names ("libhdf5 libgomp"); what they keep is not listed
 *   FAULT_SHOW       set: the frames follow a name, for addr2line
 * Test: tests/faults/test_faults.c */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEPTH = 24, CALLS = 96, EXCUSED = 8, STACKS = 1 << 14, BLOCKS = 1 << 17 };

struct stack {
    uint64_t name;
    bool ours; /* the program's own code asked, not a library on its behalf */
    long count, left;
    int n_frames;
    uint64_t frames[DEPTH];
};

/* Where the code of one object lies. */
struct code {
    uint64_t from, to;
};

static int (*fault_memalign)(void **, size_t, size_t);
static void (*fault_free)(void *);
/* The C library's own, below what is replaced here. */
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);

static __thread bool fault_inside; /* what counting itself takes is not counted */

static struct {
    pthread_mutex_t mutex;
    bool on, libraries;
    pid_t process;
    struct code program, own, excused[EXCUSED]; /* excused: of libraries that are left out */
    int n_excused;
    uint64_t fail_name;
    long fail_nth;
    struct stack stacks[STACKS];
    struct {
        void *pointer;
        struct stack *stack;
    } blocks[BLOCKS]; /* by address, linear probing */
} fault = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void fault_overflow(const char *what)
{
    fprintf(stderr, "fault_alloc: too many %s\n", what);
    abort();
}

static uint64_t fault_slot(const void *pointer)
{
    return ((uint64_t)(uintptr_t)pointer >> 4) * 0x9e3779b97f4a7c15ULL >> 40;
}

static bool fault_lies_in(const struct code *code, const void *address)
{
    return (uint64_t)(uintptr_t)address >= code->from && (uint64_t)(uintptr_t)address < code->to;
}

static bool fault_in_program(const void *address)
{
    return fault_lies_in(&fault.program, address);
}

static bool fault_is_excused(const void *address)
{
    for (int i = 0; i < fault.n_excused; i++)
        if (fault_lies_in(&fault.excused[i], address))
            return true;
    return false;
}

/* Under the mutex. The calls that led here: places in the program and, of a library's block, places within the pages of
 * libraries, which lie elsewhere each time. NULL where the program has no part in it, or a library that is left out. */
static struct stack *fault_find_stack(bool ours)
{
    void *frames[CALLS];
    struct stack here = {.name = 14695981039346656037ULL, .ours = ours};
    const int n = backtrace(frames, CALLS);

    for (int i = 0; i < n && here.n_frames < DEPTH; i++) {
        const bool program = fault_in_program(frames[i]);
        if (!program && (ours || fault_lies_in(&fault.own, frames[i])))
            continue;
        if (!program && fault_is_excused(frames[i]))
            return NULL;
        const uint64_t at =
            program ? (uint64_t)(uintptr_t)frames[i] - fault.program.from : (uint64_t)(uintptr_t)frames[i] & 0xfff;
        if (program)
            here.frames[here.n_frames++] = at;
        here.name = (here.name ^ at) * 1099511628211ULL;
    }
    if (here.n_frames == 0)
        return NULL;

    for (uint64_t i = 0; i < STACKS; i++) {
        struct stack *stack = &fault.stacks[(here.name + i) % STACKS];
        if (stack->count == 0)
            *stack = here;
        if (stack->name == here.name)
            return stack;
    }
    fault_overflow("stacks");
    return NULL;
}

/* Under the mutex. Counts one allocation; whether it is the one to fail. */
static bool fault_count(struct stack *stack)
{
    return stack && ++stack->count == fault.fail_nth && stack->name == fault.fail_name;
}

/* Under the mutex. */
static void fault_remember(void *pointer, struct stack *stack)
{
    uint64_t i = fault_slot(pointer) % BLOCKS, tries = 0;
    while (fault.blocks[i].pointer && tries++ < BLOCKS)
        i = (i + 1) % BLOCKS;
    if (tries >= BLOCKS)
        fault_overflow("blocks");
    fault.blocks[i].pointer = pointer;
    fault.blocks[i].stack = stack;
    stack->left++;
}

/* Whether an allocation by a library fails. */
static bool fault_in_library(const void *caller)
{
    if (!fault.on || !fault.libraries || fault_inside || fault_in_program(caller))
        return false;
    fault_inside = true;
    pthread_mutex_lock(&fault.mutex);
    const bool fails = fault_count(fault_find_stack(false));
    pthread_mutex_unlock(&fault.mutex);
    fault_inside = false;
    if (fails)
        errno = ENOMEM;
    return fails;
}

__attribute__((visibility("default"))) int posix_memalign(void **ret, size_t align, size_t bytes)
{
    const void *caller = __builtin_return_address(0);
    if (!fault_memalign) /* another library's constructor runs before this one's */
        fault_memalign = (int (*)(void **, size_t, size_t))dlsym(RTLD_NEXT, "posix_memalign");
    if (fault_in_library(caller))
        return ENOMEM;
    if (!fault.on || fault_inside || !fault_in_program(caller))
        return fault_memalign(ret, align, bytes);
    fault_inside = true;
    pthread_mutex_lock(&fault.mutex);
    struct stack *stack = fault_find_stack(true);
    const int status = fault_count(stack) ? ENOMEM : fault_memalign(ret, align, bytes);
    if (stack && status == 0)
        fault_remember(*ret, stack);
    pthread_mutex_unlock(&fault.mutex);
    fault_inside = false;
    return status;
}

__attribute__((visibility("default"))) void *malloc(size_t bytes)
{
    return fault_in_library(__builtin_return_address(0)) ? NULL : __libc_malloc(bytes);
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t bytes)
{
    return fault_in_library(__builtin_return_address(0)) ? NULL : __libc_calloc(n, bytes);
}

__attribute__((visibility("default"))) void *realloc(void *pointer, size_t bytes)
{
    return fault_in_library(__builtin_return_address(0)) ? NULL : __libc_realloc(pointer, bytes);
}

/* Takes a block out of the table and closes the gap behind it. Under the mutex. */
static void fault_forget(const void *pointer)
{
    uint64_t i = fault_slot(pointer) % BLOCKS;
    while (fault.blocks[i].pointer && fault.blocks[i].pointer != pointer)
        i = (i + 1) % BLOCKS;
    if (!fault.blocks[i].pointer)
        return;
    fault.blocks[i].stack->left--;
    fault.blocks[i].pointer = NULL;
    for (uint64_t k = (i + 1) % BLOCKS; fault.blocks[k].pointer; k = (k + 1) % BLOCKS) {
        const uint64_t home = fault_slot(fault.blocks[k].pointer) % BLOCKS;
        if ((k - home + BLOCKS) % BLOCKS < (k - i + BLOCKS) % BLOCKS)
            continue;
        fault.blocks[i] = fault.blocks[k];
        fault.blocks[k].pointer = NULL;
        i = k;
    }
}

__attribute__((visibility("default"))) void free(void *pointer)
{
    if (fault.on && pointer) {
        pthread_mutex_lock(&fault.mutex);
        fault_forget(pointer);
        pthread_mutex_unlock(&fault.mutex);
    }
    if (fault_free)
        fault_free(pointer);
}

/* The program's own code, which is the first object of the list, and that of libraries that are left out. */
static int fault_find_code(struct dl_phdr_info *info, size_t size, void *context)
{
    char names[256] = "", *rest = names;
    bool left_out = false;
    (void)size, (void)context;
    if (fault.libraries)
        snprintf(names, sizeof names, "%s", getenv("FAULT_LIBRARIES"));
    for (const char *name; (name = strsep(&rest, " "));)
        left_out = left_out || (*name && strstr(info->dlpi_name, name));

    for (int i = 0; i < info->dlpi_phnum; i++) {
        const uint64_t from = info->dlpi_addr;
        const struct code code = {from, from + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz};
        if (info->dlpi_phdr[i].p_type != PT_LOAD || !(info->dlpi_phdr[i].p_flags & PF_X))
            continue;
        if (fault.program.to == 0)
            fault.program = code;
        else if (fault_lies_in(&code, (const void *)(uintptr_t)fault_find_code))
            fault.own = code;
        else if (left_out && fault.n_excused < EXCUSED)
            fault.excused[fault.n_excused++] = code;
    }
    return 0;
}

__attribute__((constructor)) static void fault_start(void)
{
    char program[4096];
    const ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    const char *wanted = getenv("FAULT_PROGRAM"), *name = getenv("FAULT_STACK"), *nth = getenv("FAULT_NTH");
    void *frames[2];

    fault_memalign = (int (*)(void **, size_t, size_t))dlsym(RTLD_NEXT, "posix_memalign");
    fault_free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
    program[n < 0 ? 0 : n] = '\0';
    if (!wanted || strcmp(wanted, program) != 0)
        return;
    fault.libraries = getenv("FAULT_LIBRARIES") != NULL;
    dl_iterate_phdr(fault_find_code, NULL);
    fault.fail_name = name ? strtoull(name, NULL, 16) : 0;
    fault.fail_nth = name ? nth ? strtol(nth, NULL, 10) : 1 : 0;
    fault.process = getpid();
    backtrace(frames, 2); /* loads what it needs */
    fault.on = true;
}

__attribute__((destructor)) static void fault_end(void)
{
    const char *path = getenv("FAULT_REPORT"), *show = getenv("FAULT_SHOW");
    FILE *file = fault.on && getpid() == fault.process && path ? fopen(path, "ae") : NULL;
    fault.on = false;

    for (int i = 0; file && i < STACKS; i++) {
        const struct stack *stack = &fault.stacks[i];
        const bool listed = stack->count && stack->ours != fault.libraries;
        if (listed)
            fprintf(file, "stack %llx %ld", (unsigned long long)stack->name, stack->count);
        for (int k = 0; listed && show && k < stack->n_frames; k++)
            fprintf(file, " %llx", (unsigned long long)stack->frames[k]);
        if (listed)
            fputc('\n', file);
        if (stack->left)
            fprintf(file, "left %llx %ld\n", (unsigned long long)stack->name, stack->left);
    }
    if (file)
        fclose(file);
}
