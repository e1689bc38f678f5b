/* model_h5.h - private: the few HDF5 calls a model file needs, with errors that name the file. Call them under
 * hdf5_lock. */
#ifndef CALVARIA_NN_MODEL_MODEL_H5_H
#define CALVARIA_NN_MODEL_MODEL_H5_H

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"

/* "path: what: HDF5's own reason". STATUS_FAILED. */
enum status model_h5_error(struct error *error, const char *path, const char *what);

/* For H5Fcreate and H5Gcreate2: what the object holds is named under its header's checksum. */
void model_h5_keep_in_header(hid_t create);
/* Negative on failure. */
hid_t model_h5_make_group(hid_t parent, const char *name);
enum status model_h5_put_text(hid_t object, const char *name, const char *text, const char *path, struct error *error);
/* A string attribute of fixed length, into arena. */
enum status model_h5_get_text(const char **ret, hid_t object, const char *name, const char *path, struct arena *arena,
                              struct error *error);
enum status model_h5_put_int(hid_t object, const char *name, int64_t value, const char *path, struct error *error);
enum status model_h5_get_int(int64_t *ret, hid_t object, const char *name, const char *path, struct error *error);

/* A dataset of 32-bit floats or (floats NULL) 64-bit integers. attribute: an integer attribute named so, or NULL. */
struct model_h5_array {
    const char *name;
    int n_dims;
    const int64_t *dim;
    const float *floats;
    const int64_t *ints;
};
enum status model_h5_put_array(hid_t group, const struct model_h5_array *array, const char *path, struct error *error);
/* Type class and size of a dataset; dims up to max_dims, *ret_n_dims of them. */
enum status model_h5_look(hid_t group, const char *name, bool *ret_is_float, int *ret_n_dims, int64_t *ret_dims,
                          int max_dims, const char *path, struct error *error);
/* The whole dataset, which model_h5_look has measured, into out (floats or int64_t). */
enum status model_h5_get(hid_t group, const char *name, bool floats, void *out, const char *path, struct error *error);
/* Names of a group's links in byte order; strings live in arena. */
enum status model_h5_list(hid_t group, int64_t *ret_n, const char ***ret_names, const char *path, struct arena *arena,
                          struct error *error);

#endif
