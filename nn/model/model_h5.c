/* model_h5.c - see model_h5.h. */
#include "nn/model/model_h5.h"

#include <stdio.h>
#include <string.h>

#include "base/hdf5_read.h"

/* The innermost entry of HDF5's error stack says most: it comes first when walking upward. */
static herr_t model_h5_first(unsigned n, const H5E_error2_t *entry, void *text)
{
    if (n == 0)
        snprintf(text, 256, "%s", entry->desc ? entry->desc : "unknown");
    return 0;
}

enum status model_h5_error(struct error *error, const char *path, const char *what)
{
    char reason[256] = "HDF5 gives no reason";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, model_h5_first, reason);
    H5Eclear2(H5E_DEFAULT);
    return error_set(error, STATUS_FAILED, "%s: %s: %s", path, what, reason);
}

/* Names and attributes in the object's header, under its checksum, however many: beside it they would stand in heaps
 * without one. */
void model_h5_keep_in_header(hid_t create)
{
    H5Pset_link_phase_change(create, UINT16_MAX, 0);
    H5Pset_attr_phase_change(create, UINT16_MAX, 0);
}

hid_t model_h5_make_group(hid_t parent, const char *name)
{
    hid_t create = H5Pcreate(H5P_GROUP_CREATE);
    model_h5_keep_in_header(create);
    hid_t group = H5Gcreate2(parent, name, H5P_DEFAULT, create, H5P_DEFAULT);
    H5Pclose(create);
    return group;
}

/* Of fixed length: such texts stand in the object's header, under HDF5's checksum. Those of variable length stand in a
 * heap that has none, and a damaged one makes the library (1.10) read wild addresses. */
enum status model_h5_put_text(hid_t object, const char *name, const char *text, const char *path, struct error *error)
{
    size_t bytes = strlen(text) ? strlen(text) : 1;
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    bool ok = H5Tset_size(type, bytes) >= 0 && H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0 &&
              H5Tset_cset(type, H5T_CSET_UTF8) >= 0;
    hid_t attribute = ok ? H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT) : -1;
    ok = attribute >= 0 && H5Awrite(attribute, type, text) >= 0;
    enum status status = ok ? STATUS_OK : model_h5_error(error, path, name);
    if (attribute >= 0)
        H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
    return status;
}

static enum status model_h5_read_text(const char **ret, hid_t attribute, hid_t type, const char *path, const char *name,
                                      struct arena *arena, struct error *error)
{
    size_t size = H5Tget_size(type);
    char *text = size < SIZE_MAX ? arena_alloc(arena, size + 1, 1) : NULL;
    if (!text)
        return error_memory(error, size, "a text of the model");
    if (H5Aread(attribute, type, text) < 0)
        return model_h5_error(error, path, name);
    *ret = text;
    return STATUS_OK;
}

enum status model_h5_get_text(const char **ret, hid_t object, const char *name, const char *path, struct arena *arena,
                              struct error *error)
{
    if (H5Aexists(object, name) <= 0)
        return error_set(error, STATUS_FAILED, "%s: attribute '%s': missing (not a calvaria model, or a damaged one)",
                         path, name);
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0)
        return model_h5_error(error, path, name);
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    enum status status;
    if (H5Tget_class(type) != H5T_STRING || H5Sget_simple_extent_npoints(space) != 1)
        status = error_set(error, STATUS_FAILED, "%s: attribute '%s': not one text", path, name);
    else if (H5Tis_variable_str(type) != 0)
        status = error_set(
            error, STATUS_FAILED,
            "%s: attribute '%s': a text of variable length (one of fixed length would do; in h5py: numpy.bytes_)", path,
            name);
    else
        status = model_h5_read_text(ret, attribute, type, path, name, arena, error);
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
    return status;
}

enum status model_h5_put_int(hid_t object, const char *name, int64_t value, const char *path, struct error *error)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(object, name, H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = attribute >= 0 && H5Awrite(attribute, H5T_NATIVE_INT64, &value) >= 0;
    enum status status = ok ? STATUS_OK : model_h5_error(error, path, name);
    if (attribute >= 0)
        H5Aclose(attribute);
    H5Sclose(space);
    return status;
}

enum status model_h5_get_int(int64_t *ret, hid_t object, const char *name, const char *path, struct error *error)
{
    if (H5Aexists(object, name) <= 0)
        return error_set(error, STATUS_FAILED, "%s: attribute '%s': missing (not a calvaria model, or a damaged one)",
                         path, name);
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0)
        return model_h5_error(error, path, name);
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    enum status status = STATUS_OK;
    if (H5Tget_class(type) != H5T_INTEGER || H5Sget_simple_extent_npoints(space) != 1)
        status = error_set(error, STATUS_FAILED, "%s: attribute '%s': not one integer", path, name);
    else if (H5Aread(attribute, H5T_NATIVE_INT64, ret) < 0)
        status = model_h5_error(error, path, name);
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
    return status;
}

enum status model_h5_put_array(hid_t group, const struct model_h5_array *array, const char *path, struct error *error)
{
    hsize_t dims[H5S_MAX_RANK];
    for (int i = 0; i < array->n_dims; i++)
        dims[i] = (hsize_t)array->dim[i];
    hid_t space = H5Screate_simple(array->n_dims, dims, NULL);
    hid_t type = array->floats ? H5T_IEEE_F32LE : H5T_STD_I64LE;
    hid_t dataset = space < 0 ? -1 : H5Dcreate2(group, array->name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = dataset >= 0 && H5Dwrite(dataset, array->floats ? H5T_NATIVE_FLOAT : H5T_NATIVE_INT64, H5S_ALL, H5S_ALL,
                                       H5P_DEFAULT, array->floats ? (const void *)array->floats : array->ints) >= 0;
    enum status status = ok ? STATUS_OK : model_h5_error(error, path, array->name);
    if (dataset >= 0 && H5Dclose(dataset) < 0 && !status)
        status = model_h5_error(error, path, array->name);
    if (space >= 0)
        H5Sclose(space);
    return status;
}

/* Nothing that calvaria or Keras writes is compressed; what somebody packed again shrinks by less than this. */
enum { MAX_PACKED = 64 };

/* A float or integer dataset that is really stored: one that never was written, or hardly, could claim any size. */
static enum status model_h5_check(hid_t dataset, hid_t type, hid_t space, const char *name, const char *path,
                                  struct error *error)
{
    H5T_class_t class = H5Tget_class(type);
    hssize_t values = H5Sget_simple_extent_npoints(space);
    if (class != H5T_FLOAT && class != H5T_INTEGER)
        return error_set(error, STATUS_FAILED, "%s: %s: neither floats nor integers", path, name);
    if (values < 0 || (uint64_t)values * H5Tget_size(type) / MAX_PACKED > H5Dget_storage_size(dataset) ||
        (values > 0 && H5Dget_storage_size(dataset) == 0))
        return error_set(error, STATUS_FAILED, "%s: %s: declared but not stored (a damaged or half-written file)", path,
                         name);
    return STATUS_OK;
}

enum status model_h5_look(hid_t group, const char *name, bool *ret_is_float, int *ret_n_dims, int64_t *ret_dims,
                          int max_dims, const char *path, struct error *error)
{
    if (!hdf5_has(group, name))
        return error_set(error, STATUS_FAILED, "%s: %s: missing (a model of another network?)", path, name);
    hid_t dataset = hdf5_open_dataset(group, name);
    if (dataset < 0)
        return model_h5_error(error, path, name);
    hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    enum status status = model_h5_check(dataset, type, space, name, path, error);
    int rank = H5Sget_simple_extent_ndims(space);
    hsize_t dims[H5S_MAX_RANK];
    if (!status && (rank < 0 || rank > max_dims))
        status =
            error_set(error, STATUS_FAILED, "%s: %s: %d dimensions, expected at most %d", path, name, rank, max_dims);
    if (!status && H5Sget_simple_extent_dims(space, dims, NULL) != rank)
        status = model_h5_error(error, path, name);
    if (!status) {
        *ret_is_float = H5Tget_class(type) == H5T_FLOAT;
        *ret_n_dims = rank;
        for (int i = 0; i < rank; i++)
            ret_dims[i] = (int64_t)dims[i];
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Dclose(dataset);
    return status;
}

enum status model_h5_get(hid_t group, const char *name, bool floats, void *out, const char *path, struct error *error)
{
    hid_t dataset = hdf5_open_dataset(group, name);
    bool ok = dataset >= 0 &&
              H5Dread(dataset, floats ? H5T_NATIVE_FLOAT : H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0;
    enum status status = ok ? STATUS_OK : model_h5_error(error, path, name);
    if (dataset >= 0)
        H5Dclose(dataset);
    return status;
}

enum status model_h5_list(hid_t group, int64_t *ret_n, const char ***ret_names, const char *path, struct arena *arena,
                          struct error *error)
{
    H5G_info_t info;
    if (H5Gget_info(group, &info) < 0)
        return model_h5_error(error, path, "a group");
    const char **names = arena_alloc(arena, (size_t)info.nlinks + 1, sizeof *names);
    if (!names)
        return error_memory(error, (size_t)info.nlinks * sizeof *names, "names in the model");
    for (hsize_t i = 0; i < info.nlinks; i++) {
        ssize_t length = H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, NULL, 0, H5P_DEFAULT);
        char *name = length < 0 ? NULL : arena_alloc(arena, (size_t)length + 1, 1);
        if (length >= 0 && !name)
            return error_memory(error, (size_t)length + 1, "names in the model");
        if (length < 0 ||
            H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, (size_t)length + 1, H5P_DEFAULT) < 0)
            return model_h5_error(error, path, "a group");
        names[i] = name;
    }
    *ret_n = (int64_t)info.nlinks;
    *ret_names = names;
    return STATUS_OK;
}
