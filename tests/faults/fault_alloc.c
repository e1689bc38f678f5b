/* fault_alloc.c - preloaded into a program: makes one of its allocations fail, and lists those it never freed.
 *
 * All memory of the project comes from posix_memalign (base/memory.c). An allocation is named by the stack of calls
 * that led to it, as places inside the program, so that the same one is found in a second run whatever its threads do.
 *   FAULT_PROGRAM  the program's real path; in every other process nothing is done
 *   FAULT_REPORT   at exit, one line for each stack: "stack NAME COUNT", and for each kind of block left: "left NAME
 * COUNT" FAULT_STACK    the name of the stack whose FAULT_NTH-th allocation fails FAULT_SHOW     set: the frames follow
 * a name, for addr2line Test: tests/faults/test_faults.c */
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

enum { DEPTH = 24, STACKS = 1 << 13, BLOCKS = 1 << 17 };

struct stack {
    uint64_t name;
    long count, left;
    int n_frames;
    uint64_t frames[DEPTH];
};

static int (*fault_memalign)(void **, size_t, size_t);
static void (*fault_free)(void *);

static struct {
    pthread_mutex_t mutex;
    bool on;
    pid_t process;
    uint64_t from, to; /* the program's code */
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

/* Under the mutex. NULL where the block does not belong to the program's own code. */
static struct stack *fault_find_stack(const void *caller)
{
    void *frames[DEPTH + 2];
    struct stack here = {.name = 14695981039346656037ULL};
    if ((uint64_t)(uintptr_t)caller < fault.from || (uint64_t)(uintptr_t)caller >= fault.to)
        return NULL;
    const int n = backtrace(frames, DEPTH + 2);

    for (int i = 0; i < n && here.n_frames < DEPTH; i++) {
        const uint64_t at = (uint64_t)(uintptr_t)frames[i];
        if (at < fault.from || at >= fault.to)
            continue; /* this library's own, and others' */
        here.frames[here.n_frames++] = at - fault.from;
        here.name = (here.name ^ (at - fault.from)) * 1099511628211ULL;
    }

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

__attribute__((visibility("default"))) int posix_memalign(void **ret, size_t align, size_t bytes)
{
    if (!fault_memalign) /* another library's constructor runs before this one's */
        fault_memalign = (int (*)(void **, size_t, size_t))dlsym(RTLD_NEXT, "posix_memalign");
    if (!fault.on)
        return fault_memalign(ret, align, bytes);
    pthread_mutex_lock(&fault.mutex);
    struct stack *stack = fault_find_stack(__builtin_return_address(0));
    const bool fails = stack && ++stack->count == fault.fail_nth && stack->name == fault.fail_name;
    const int status = fails ? ENOMEM : fault_memalign(ret, align, bytes);

    if (stack && status == 0) {
        uint64_t i = fault_slot(*ret) % BLOCKS, tries = 0;
        while (fault.blocks[i].pointer && tries++ < BLOCKS)
            i = (i + 1) % BLOCKS;
        if (tries >= BLOCKS)
            fault_overflow("blocks");
        fault.blocks[i].pointer = *ret;
        fault.blocks[i].stack = stack;
        stack->left++;
    }
    pthread_mutex_unlock(&fault.mutex);
    return status;
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

/* The program's own code: the first object of the list. */
static int fault_find_code(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size, (void)context;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X)) {
            fault.from = info->dlpi_addr;
            fault.to = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
        }
    return 1;
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
        if (stack->count)
            fprintf(file, "stack %llx %ld", (unsigned long long)stack->name, stack->count);
        for (int k = 0; show && k < stack->n_frames; k++)
            fprintf(file, " %llx", (unsigned long long)stack->frames[k]);
        if (stack->count)
            fputc('\n', file);
        if (stack->left)
            fprintf(file, "left %llx %ld\n", (unsigned long long)stack->name, stack->left);
    }
    if (file)
        fclose(file);
}
