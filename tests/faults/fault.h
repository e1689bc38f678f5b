/* fault.h - runs a program whose writes to a folder are counted, can be made to fail, or are recorded.
 *
 * A seccomp filter lets this process decide each system call that changes files, of the program and of all its
 * children: what the C library, HDF5 and zlib write is seen as well. Linux 5.5 or newer.
 *
 *     struct fault_run run = {.argv = argv, .folder = "/tmp/x/out", .said_path = "/tmp/x/said", .fail_at = 3};
 *     if (fault_run(&run, &error)) ...
 *     run.code ... run.n_calls ... */
#ifndef CALVARIA_TESTS_FAULTS_FAULT_H
#define CALVARIA_TESTS_FAULTS_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum fault_call {
    FAULT_WRITE,
    FAULT_SYNC,
    FAULT_RENAME,
    FAULT_CREATE, /* a file is opened to be made, or emptied */
    FAULT_FOLDER,
    FAULT_TRUNCATE,
    FAULT_REMOVE, /* recorded, never made to fail */
    FAULT_N_CALLS
};
extern const char *const fault_call_names[FAULT_N_CALLS];

/* One call, before it happens. Paths are absolute; data lives until the callback returns. */
struct fault_event {
    enum fault_call call;
    const char *path, *to; /* to: of a rename */
    int64_t offset, size;  /* of a write; truncate: the new size */
    const void *data;
    bool exclusive, empties; /* of a create */
};

struct fault_run {
    char *const *argv;
    const char *folder;    /* absolute: calls on what lies below it count */
    const char *said_path; /* takes stdout and stderr; outside the folder */
    const char *preload;   /* a library for LD_PRELOAD, or NULL */
    int64_t fail_at;       /* 1: the first call fails; 0: none */
    bool stays;            /* and all later ones: a disk that is full */
    void (*record)(void *context, const struct fault_event *event);
    void *context;
    double limit_s; /* 0: a minute */

    int64_t n_calls;             /* that could have failed */
    enum fault_call failed_call; /* the first one that did */
    char failed_path[512];
    int code;       /* exit code, or 128 + signal */
    bool timed_out; /* it was killed */
};

/* Whether the system lets this process do so. */
bool fault_possible(void);
enum status fault_run(struct fault_run *run, struct error *error);

#endif
