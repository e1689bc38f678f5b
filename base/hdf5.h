/* hdf5.h - the HDF5 calls of the project: model files, datasets and Keras files, with errors that name the file.
 *
 * Debian's HDF5 is not thread-safe: one thread of the process is inside it at a time. Training writes checkpoints (nn)
 * while loader threads read the dataset (data), so the lock is the process's. Take it around each group of calls, in
 * the outermost function that makes them; it is not recursive. Everything below is called under it.
 *
 *     hdf5_lock();
 *     hid_t file = hdf5_open_file(path);
 *     enum status status = file < 0 ? hdf5_error(error, path, "not a readable HDF5 file") : ...;
 *     hdf5_unlock();
 *
 * Files come from anywhere. The hdf5_open_* calls open no other file than the one they are given: links out of it (and
 * soft links, which may lead there), values stored in other files, virtual datasets and filters that would have to be
 * loaded are refused. So is a file that crashes the library: a child process reads it first (hdf5_probe.h). On failure
 * they return a negative number and leave the reason to hdf5_error. */
#ifndef CALVARIA_BASE_HDF5_H
#define CALVARIA_BASE_HDF5_H

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"

/* Also switches off HDF5's own printing (a setting that it keeps per thread). */
void hdf5_lock(void);
void hdf5_unlock(void);
/* "path: what: HDF5's own reason". STATUS_FAILED. */
enum status hdf5_error(struct error *error, const char *path, const char *what);

/* For reading. Paths inside a file may have several parts; each is checked. */
hid_t hdf5_open_file(const char *path);
/* A file that lies in memory as it would on disk; the bytes must outlive it. */
hid_t hdf5_open_image(const void *bytes, size_t n);
hid_t hdf5_open_group(hid_t parent, const char *path);
hid_t hdf5_open_dataset(hid_t parent, const char *path);
/* Whether a link of this name exists. hdf5_open_* may still refuse it. */
bool hdf5_has(hid_t parent, const char *path);
/* Names of a group's links in byte order; the strings live in arena. */
enum status hdf5_list(int64_t *ret_n, const char ***ret_names, hid_t group, const char *path, struct arena *arena,
                      struct error *error);

/* For H5Fcreate and H5Gcreate2: names and attributes are stored in the object's header, under its checksum. No object
 * of ours has a time in it: the same content gives the same bytes. */
void hdf5_keep_in_header(hid_t create);
/* A group whose header keeps its names; negative on failure. */
hid_t hdf5_make_group(hid_t parent, const char *name);
/* Closes a dataset that was written to: only now HDF5 may write its last values. */
enum status hdf5_close_written(hid_t dataset, const char *what, const char *path, struct error *error);
/* A contiguous dataset; negative on failure. */
hid_t hdf5_make_dataset(hid_t group, const char *name, hid_t type, hid_t space);

/* Attributes. Numbers: exactly n of class `type` (H5T_NATIVE_DOUBLE, H5T_NATIVE_INT64, H5T_NATIVE_UINT64); rank 0 is
 * one number without dimensions. Texts: one string of fixed length, read into arena. */
enum status hdf5_get_numbers(void *out, int64_t n, hid_t object, const char *name, hid_t type, const char *path,
                             struct error *error);
enum status hdf5_put_numbers(hid_t object, const char *name, hid_t type, int rank, const hsize_t *dims,
                             const void *values, const char *path, struct error *error);
enum status hdf5_get_text(const char **ret, hid_t object, const char *name, const char *path, struct arena *arena,
                          struct error *error);
enum status hdf5_put_text(hid_t object, const char *name, const char *text, const char *path, struct error *error);

/* A dataset of 32-bit floats or (floats NULL) 64-bit integers. */
struct hdf5_array {
    const char *name;
    int n_dims;
    const int64_t *dim;
    const float *floats;
    const int64_t *ints;
};
enum status hdf5_put_array(hid_t group, const struct hdf5_array *array, const char *path, struct error *error);
/* Type class and dims of a dataset: up to max_dims dims, *ret_n_dims of them. What it claims to hold is really stored.
 */
enum status hdf5_array_shape(hid_t group, const char *name, bool *ret_is_float, int *ret_n_dims, int64_t *ret_dims,
                             int max_dims, const char *path, struct error *error);
/* Bytes (unsigned 8-bit, one dimension). hdf5_get_bytes: into arena. */
enum status hdf5_put_bytes(hid_t group, const char *name, const void *bytes, int64_t n, const char *path,
                           struct error *error);
enum status hdf5_get_bytes(const void **ret, int64_t *ret_n, hid_t group, const char *name, const char *path,
                           struct arena *arena, struct error *error);
/* The whole dataset, whose size hdf5_array_shape gave, into out (floats or int64_t). */
enum status hdf5_get_array(hid_t group, const char *name, bool floats, void *out, const char *path,
                           struct error *error);

#endif
