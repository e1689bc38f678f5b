/* h5.h - the few HDF5 calls a dataset needs, with errors that name the file. HDF5's own printing is switched off. */
#ifndef CALVARIA_DATA_H5_H
#define CALVARIA_DATA_H5_H

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"

/* Around each group of HDF5 calls: the process's HDF5 lock, and its own printing off (a setting it keeps per thread).
 * Not recursive. */
void h5_enter(void);
void h5_leave(void);
/* "path: what: the library's own reason". STATUS_FAILED. */
enum status h5_error(struct error *error, const char *path, const char *what);

/* Exactly n numbers of class `type` (H5T_NATIVE_DOUBLE, H5T_NATIVE_INT64, H5T_NATIVE_UINT64); anything else is an
 * error. */
enum status h5_get_numbers(void *out, int64_t n, hid_t object, const char *name, hid_t type, const char *path,
                           struct error *error);
/* One string of up to 4096 bytes, of fixed length, copied into arena. */
enum status h5_get_text(const char **ret, hid_t object, const char *name, const char *path, struct arena *arena,
                        struct error *error);
enum status h5_put_numbers(hid_t object, const char *name, hid_t type, int rank, const hsize_t *dims,
                           const void *values, const char *path, struct error *error);
enum status h5_put_text(hid_t object, const char *name, const char *text, const char *path, struct error *error);

#endif
