#include "data/h5.h"

#include <inttypes.h>
#include <string.h>

#include "base/hdf5_lock.h"

enum { H5_TEXT_MAX = 4096, H5_WHY_MAX = 256 };

void h5_enter(void)
{
    hdf5_lock();
    H5dont_atexit(); /* after a full disk its own clean-up at exit would crash */
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void h5_leave(void)
{
    hdf5_unlock();
}

/* Keeps the innermost message of the stack: the cause. */
static herr_t h5_walk(unsigned n, const H5E_error2_t *entry, void *context)
{
    (void)n;
    char *text = context;
    if (entry->desc && entry->desc[0])
        snprintf(text, H5_WHY_MAX, "%s", entry->desc);
    return 0;
}

enum status h5_error(struct error *error, const char *path, const char *what)
{
    char why[H5_WHY_MAX] = "";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, h5_walk, why);
    H5Eclear2(H5E_DEFAULT);
    return error_set(error, STATUS_FAILED, "%s: %s%s%s", path, what, why[0] ? ": " : "", why);
}

enum status h5_get_numbers(void *out, int64_t n, hid_t object, const char *name, hid_t type, const char *path,
                           struct error *error)
{
    enum status status = STATUS_FAILED;
    hid_t space = -1, stored = -1;
    const hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0)
        return error_set(error, STATUS_FAILED, "%s: attribute '%s' is missing", path, name);
    space = H5Aget_space(attribute);
    stored = H5Aget_type(attribute);
    if (H5Tget_class(stored) != H5Tget_class(type))
        error_set(error, status, "%s: attribute '%s' has another type", path, name);
    else if (H5Sget_simple_extent_npoints(space) != n)
        error_set(error, status, "%s: attribute '%s' has another shape (%" PRId64 " numbers expected)", path, name, n);
    else if (H5Aread(attribute, type, out) < 0)
        h5_error(error, path, name);
    else
        status = STATUS_OK;
    H5Tclose(stored);
    H5Sclose(space);
    H5Aclose(attribute);
    return status;
}

/* Reads an open string attribute into buffer (H5_TEXT_MAX + 1 bytes). */
static bool h5_read_text(hid_t attribute, hid_t stored, char *buffer)
{
    buffer[0] = '\0';
    if (H5Tis_variable_str(stored) !=
        0) /* a damaged global heap, where such texts lie, can keep the library in a loop */
        return false;
    const size_t size = H5Tget_size(stored);
    if (size > H5_TEXT_MAX)
        return false;
    memset(buffer, 0, H5_TEXT_MAX + 1);
    return H5Aread(attribute, stored, buffer) >= 0;
}

enum status h5_get_text(const char **ret, hid_t object, const char *name, const char *path, struct arena *arena,
                        struct error *error)
{
    enum status status = STATUS_FAILED;
    char buffer[H5_TEXT_MAX + 1];
    const hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0)
        return error_set(error, STATUS_FAILED, "%s: attribute '%s' is missing", path, name);
    const hid_t stored = H5Aget_type(attribute), space = H5Aget_space(attribute);
    if (H5Tget_class(stored) != H5T_STRING || H5Sget_simple_extent_npoints(space) != 1 ||
        !h5_read_text(attribute, stored, buffer))
        error_set(error, status, "%s: attribute '%s' is no text", path, name);
    else if (!(*ret = arena_strdup(arena, buffer)))
        error_memory(error, strlen(buffer) + 1, "an attribute");
    else
        status = STATUS_OK;
    H5Sclose(space);
    H5Tclose(stored);
    H5Aclose(attribute);
    return status;
}

static enum status h5_put(hid_t object, const char *name, hid_t type, hid_t space, const void *values, const char *path,
                          struct error *error)
{
    const hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    const bool ok = attribute >= 0 && H5Awrite(attribute, type, values) >= 0;
    if (!ok)
        h5_error(error, path, "cannot write an attribute");
    if (attribute >= 0)
        H5Aclose(attribute);
    H5Sclose(space);
    return ok ? STATUS_OK : STATUS_FAILED;
}

enum status h5_put_numbers(hid_t object, const char *name, hid_t type, int rank, const hsize_t *dims,
                           const void *values, const char *path, struct error *error)
{
    const hid_t space = rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(rank, dims, NULL);
    return h5_put(object, name, type, space, values, path, error);
}

enum status h5_put_text(hid_t object, const char *name, const char *text, const char *path, struct error *error)
{
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, strlen(text) + 1);
    H5Tset_cset(type, H5T_CSET_UTF8);
    const enum status status = h5_put(object, name, type, H5Screate(H5S_SCALAR), text, path, error);
    H5Tclose(type);
    return status;
}
