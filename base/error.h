/* error.h - what went wrong, told once, in words the user can act on.
 *
 * Library code returns an enum status and, where it is not STATUS_OK, has left a message in the caller's struct error:
 *
 *     if (size < 0)
 *         return error_set(error, STATUS_FAILED, "%s: size %" PRId64 " is negative (a truncated header?)", path, size);
 *     ...
 *     if (nrrd_read(&volume, path, error))
 *         return error_while(error, "reading the skull of case %s", name);
 *
 * Grammar of a message: "<where>: <what>: <why> (<what would work>)", then "while ..." lines added by the callers.
 * assert() is for our own bugs, status for the world's faults. Only programs print and exit. */
#ifndef CALVARIA_BASE_ERROR_H
#define CALVARIA_BASE_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* The values are the exit codes of the programs. */
enum status {
    STATUS_OK = 0,      /* done                                              */
    STATUS_FAILED = 1,  /* the work, its data or the machine failed          */
    STATUS_USAGE = 2,   /* usage or configuration                            */
    STATUS_STOPPED = 3, /* stopped on request, can be resumed                */
};

enum { ERROR_MAX = 20, ERROR_CAPACITY = 8192 };

/* Zero-initialise: struct error error = {0}. Longer texts are cut, never overrun. */
struct error {
    enum status status;
    int n_errors;   /* messages collected */
    bool no_memory; /* what was asked was not answered, whatever the answer would have been */
    size_t length;
    char text[ERROR_CAPACITY]; /* messages and "while" lines, each ended by '\n' */
};

#if defined(__GNUC__)
#define ERROR_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define ERROR_PRINTF(text, first)
#endif

/* Replaces whatever the error said. Returns `status`, so that callers can return it. */
enum status error_set(struct error *error, enum status status, const char *format, ...) ERROR_PRINTF(3, 4);

/* Adds a message beside the ones already there (configuration errors are collected); beyond ERROR_MAX they are only
 * counted. The status becomes the larger of the two. Returns it. */
enum status error_add(struct error *error, enum status status, const char *format, ...) ERROR_PRINTF(3, 4);

/* Adds a "while ..." line saying what the caller was doing. Returns the error's status. */
enum status error_while(struct error *error, const char *format, ...) ERROR_PRINTF(2, 3);

/* Of a system call that failed with errno's `number`: the message, a colon, and what the number means. Returns
 * STATUS_FAILED. */
enum status error_system(struct error *error, int number, const char *format, ...) ERROR_PRINTF(3, 4);

/* The message for a failed allocation of `bytes`. Returns STATUS_FAILED. */
enum status error_memory(struct error *error, size_t bytes, const char *what);

/* Of an attempt whose failure is an answer, as that a file is none of ours: where memory was out instead, its message
 * becomes the error. Returns whether it did: STATUS_FAILED, or STATUS_OK. */
enum status error_if_memory(struct error *error, const struct error *attempt);

/* Writes "error: message" lines and their "  while ..." lines. */
void error_print(FILE *file, const struct error *error);

#endif
