/* clang_tidy.h - put before every file by .clang-tidy. The analyzer sees one file at a time: here the functions that
 * set an error say themselves what they return, so that what follows a checked status is not taken for possible. */
#define _GNU_SOURCE /* what some files define later would come too late */
#include "base/error.h"

#define error_set(error, code, ...) (error_set((error), (code), __VA_ARGS__), (error)->status = (code))
#define error_memory(error, bytes, what) (error_memory((error), (bytes), (what)), (error)->status = STATUS_FAILED)
