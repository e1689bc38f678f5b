/* hdf5.c - see hdf5.h. Tests: tests/nn/test_model_file.c, tests/nn/test_model_hostile.c, tests/data/test_dataset_bad.c
 */
#include "base/hdf5.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hdf5_probe.h"

/* MAX_PACKED: what calvaria and Keras write is not compressed; what others compressed shrinks by less than this. */
enum { HDF5_PATH_MAX = 4096, HDF5_REASON_MAX = 256, HDF5_MAX_PACKED = 64, HDF5_KNOWN = 16 };

/* Global because the library's state is. */
static pthread_mutex_t hdf5_mutex = PTHREAD_MUTEX_INITIALIZER;

/* The innermost entry of HDF5's error stack names the cause: it comes first when walking upward. Of "file write failed:
 * time = ..., errno = 28, error message = 'No space left on device', ..." the system's own words are kept. */
static herr_t hdf5_first_reason(unsigned n, const H5E_error2_t *entry, void *text)
{
    static const char mark[] = "error message = '";
    const char *why = entry->desc && entry->desc[0] ? entry->desc : "unknown";
    const char *system = strstr(why, mark);
    if (n == 0 && system)
        snprintf(text, HDF5_REASON_MAX, "%.*s: %.*s", (int)strcspn(why, ":"), why,
                 (int)strcspn(system + sizeof mark - 1, "'"), system + sizeof mark - 1);
    else if (n == 0)
        snprintf(text, HDF5_REASON_MAX, "%s", why);
    return 0;
}

/* Why the last call failed: a call after it, as one that closes something, clears HDF5's own stack. Under the lock. */
static char hdf5_failed[HDF5_REASON_MAX];

static herr_t hdf5_note_failure(hid_t stack, void *context)
{
    (void)context;
    H5Ewalk2(stack, H5E_WALK_UPWARD, hdf5_first_reason, hdf5_failed);
    return 0;
}

void hdf5_lock(void)
{
    pthread_mutex_lock(&hdf5_mutex);
    H5dont_atexit(); /* after a full disk HDF5's own cleanup at exit would crash */
    hdf5_failed[0] = '\0';
    H5Eset_auto2(H5E_DEFAULT, hdf5_note_failure, NULL);
}

void hdf5_unlock(void)
{
    pthread_mutex_unlock(&hdf5_mutex);
}

enum status hdf5_error(struct error *error, const char *path, const char *what)
{
    char reason[HDF5_REASON_MAX];
    snprintf(reason, sizeof reason, "%s", hdf5_failed[0] ? hdf5_failed : "HDF5 gives no reason");
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, hdf5_first_reason, reason);
    H5Eclear2(H5E_DEFAULT);
    return error_set(error, STATUS_FAILED, "%s: %s: %s", path, what, reason);
}

/* Calls of the library clear its error stack: this is the last one. */
static hid_t hdf5_refuse(const char *why)
{
    H5Epush2(H5E_DEFAULT, __FILE__, __func__, __LINE__, H5E_ERR_CLS, H5E_SYM, H5E_CANTOPENOBJ, "%s", why);
    return -1;
}

struct hdf5_image {
    const void *bytes;
    size_t n;
};

static hid_t hdf5_open_image_here(const void *context)
{
    const struct hdf5_image *from = context;
    /* The driver takes a buffer that it may write to, but not where the file is opened for reading. */
    void *image = (void *)(uintptr_t)from->bytes;
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5PLset_loading_state(0);
    hid_t file = -1;
    if (H5Pset_fapl_core(access, (size_t)1 << 20, false) >= 0 && H5Pset_file_image(access, image, from->n) >= 0)
        file = H5Fopen("image", H5F_ACC_RDONLY, access);
    H5Pclose(access);
    return file;
}

hid_t hdf5_open_image(const void *bytes, size_t n)
{
    const struct hdf5_image image = {bytes, n};
    const char *why = hdf5_probe(hdf5_open_image_here, &image, n);
    return why ? hdf5_refuse(why) : hdf5_open_image_here(&image);
}

static hid_t hdf5_open_file_here(const void *path)
{
    H5PLset_loading_state(0);
    return H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
}

/* Files that came through hdf5_probe and have not changed since. Under the lock. */
static bool hdf5_is_known(const struct stat *info, bool remember)
{
    static struct {
        dev_t device;
        ino_t inode;
        off_t bytes;
        struct timespec changed;
    } known[HDF5_KNOWN];
    static int next;

    for (int i = 0; i < HDF5_KNOWN; i++)
        if (known[i].device == info->st_dev && known[i].inode == info->st_ino && known[i].bytes == info->st_size &&
            known[i].changed.tv_sec == info->st_ctim.tv_sec && known[i].changed.tv_nsec == info->st_ctim.tv_nsec)
            return true;
    if (remember) {
        known[next].device = info->st_dev;
        known[next].inode = info->st_ino;
        known[next].bytes = info->st_size;
        known[next].changed = info->st_ctim;
        next = (next + 1) % HDF5_KNOWN;
    }
    return false;
}

hid_t hdf5_open_file(const char *path)
{
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return hdf5_refuse("it is no ordinary file");
    if (stat(path, &info) == 0 && !hdf5_is_known(&info, false)) {
        const char *why = hdf5_probe(hdf5_open_file_here, path, (size_t)info.st_size);
        if (why)
            return hdf5_refuse(why);
        hdf5_is_known(&info, true);
    }
    return hdf5_open_file_here(path);
}

/* Walks to the path's last part over the file's own groups alone. NULL, or why that is not possible. */
static const char *hdf5_walk(hid_t parent, const char *path, bool last_too)
{
    char part[HDF5_PATH_MAX];
    if (strlen(path) >= sizeof part)
        return "a path too long";

    /* Each prefix that ends at a slash is a link of its own. */
    for (const char *at = path; at; at = *at ? at + 1 : NULL) {
        at += strcspn(at, "/");
        const size_t length = (size_t)(at - path);
        H5L_info_t link;
        memcpy(part, path, length);
        part[length] = '\0';
        if (length == 0 || (!*at && !last_too))
            continue;
        if (H5Lexists(parent, part, H5P_DEFAULT) <= 0 || H5Lget_info(parent, part, &link, H5P_DEFAULT) < 0)
            return "missing";
        if (link.type != H5L_TYPE_HARD)
            return link.type == H5L_TYPE_SOFT ? "a soft link (only the file's own objects are read)"
                                              : "a link out of the file (only the file's own objects are read)";
    }

    return NULL;
}

bool hdf5_has(hid_t parent, const char *path)
{
    return !hdf5_walk(parent, path, false) && H5Lexists(parent, path, H5P_DEFAULT) > 0;
}

hid_t hdf5_open_group(hid_t parent, const char *path)
{
    const char *flaw = hdf5_walk(parent, path, true);
    return flaw ? hdf5_refuse(flaw) : H5Gopen2(parent, path, H5P_DEFAULT);
}

/* What would make reading the dataset open another file, or NULL. */
static const char *hdf5_dataset_flaw(hid_t dataset)
{
    const hid_t create = H5Dget_create_plist(dataset);
    const char *flaw = create < 0 ? "how it is stored cannot be read" : NULL;
    if (!flaw && H5Pget_layout(create) == H5D_VIRTUAL)
        flaw = "a virtual dataset: its values lie in other files";
    else if (!flaw && H5Pget_external_count(create) != 0)
        flaw = "its values lie in another file";

    /* A filter that the library would load from disk runs foreign code. */
    const int n_filters = flaw ? 0 : H5Pget_nfilters(create);

    for (int i = 0; i < n_filters; i++) {
        unsigned flags, config;
        size_t n_values = 0;
        const H5Z_filter_t filter = H5Pget_filter2(create, (unsigned)i, &flags, &n_values, NULL, 0, NULL, &config);
        if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_FLETCHER32)
            flaw = "it is compressed in an unknown way (gzip, shuffle and fletcher32 are known)";
    }

    if (create >= 0)
        H5Pclose(create);
    return flaw;
}

hid_t hdf5_open_dataset(hid_t parent, const char *path)
{
    const char *flaw = hdf5_walk(parent, path, true);
    if (flaw)
        return hdf5_refuse(flaw);
    const hid_t dataset = H5Dopen2(parent, path, H5P_DEFAULT);
    flaw = dataset < 0 ? NULL : hdf5_dataset_flaw(dataset);
    if (!flaw)
        return dataset;
    H5Dclose(dataset);
    return hdf5_refuse(flaw);
}

enum status hdf5_list(int64_t *ret_n, const char ***ret_names, hid_t group, const char *path, struct arena *arena,
                      struct error *error)
{
    H5G_info_t info;
    if (H5Gget_info(group, &info) < 0)
        return hdf5_error(error, path, "a group");
    const char **names = arena_alloc(arena, (size_t)info.nlinks + 1, sizeof *names);
    if (!names)
        return error_memory(error, (size_t)info.nlinks * sizeof *names, "the names in an HDF5 file");

    for (hsize_t i = 0; i < info.nlinks; i++) {
        ssize_t length = H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, NULL, 0, H5P_DEFAULT);
        char *name = length < 0 ? NULL : arena_alloc(arena, (size_t)length + 1, 1);
        if (length >= 0 && !name)
            return error_memory(error, (size_t)length + 1, "the names in an HDF5 file");
        if (length < 0 ||
            H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, (size_t)length + 1, H5P_DEFAULT) < 0)
            return hdf5_error(error, path, "a group");
        names[i] = name;
    }

    *ret_n = (int64_t)info.nlinks;
    *ret_names = names;
    return STATUS_OK;
}

/* Names and attributes in the object's header, under its checksum, however many: outside it they would lie in heaps
 * without one. */
void hdf5_keep_in_header(hid_t create)
{
    H5Pset_obj_track_times(create, false);
    H5Pset_link_phase_change(create, UINT16_MAX, 0);
    H5Pset_attr_phase_change(create, UINT16_MAX, 0);
}

hid_t hdf5_make_dataset(hid_t group, const char *name, hid_t type, hid_t space)
{
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(create, false);
    const hid_t dataset = H5Dcreate2(group, name, type, space, H5P_DEFAULT, create, H5P_DEFAULT);
    H5Pclose(create);
    return dataset;
}

hid_t hdf5_make_group(hid_t parent, const char *name)
{
    hid_t create = H5Pcreate(H5P_GROUP_CREATE);
    hdf5_keep_in_header(create);
    hid_t group = H5Gcreate2(parent, name, H5P_DEFAULT, create, H5P_DEFAULT);
    H5Pclose(create);
    return group;
}

enum status hdf5_close_written(hid_t dataset, const char *what, const char *path, struct error *error)
{
    return H5Dclose(dataset) < 0 ? hdf5_error(error, path, what) : STATUS_OK;
}

enum status hdf5_get_numbers(void *out, int64_t n, hid_t object, const char *name, hid_t type, const char *path,
                             struct error *error)
{
    enum status status = STATUS_FAILED;
    hid_t space = -1, stored = -1;
    const hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0)
        return error_set(error, STATUS_FAILED, "%s: attribute '%s': missing", path, name);
    space = H5Aget_space(attribute);
    stored = H5Aget_type(attribute);
    if (H5Tget_class(stored) != H5Tget_class(type))
        error_set(error, status, "%s: attribute '%s': of another type", path, name);
    else if (H5Sget_simple_extent_npoints(space) != n)
        error_set(error, status, "%s: attribute '%s': of another shape (%" PRId64 " numbers expected)", path, name, n);
    else if (H5Aread(attribute, type, out) < 0)
        hdf5_error(error, path, name);
    else
        status = STATUS_OK;
    H5Tclose(stored);
    H5Sclose(space);
    H5Aclose(attribute);

    return status;
}

static enum status hdf5_put(hid_t object, const char *name, hid_t type, hid_t space, const void *values,
                            const char *path, struct error *error)
{
    const hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    const bool ok = attribute >= 0 && H5Awrite(attribute, type, values) >= 0;
    if (!ok)
        hdf5_error(error, path, name);
    if (attribute >= 0)
        H5Aclose(attribute);
    H5Sclose(space);
    return ok ? STATUS_OK : STATUS_FAILED;
}

enum status hdf5_put_numbers(hid_t object, const char *name, hid_t type, int rank, const hsize_t *dims,
                             const void *values, const char *path, struct error *error)
{
    const hid_t space = rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(rank, dims, NULL);
    return hdf5_put(object, name, type, space, values, path, error);
}

/* Of fixed length: such texts lie in the object's header, under HDF5's checksum. Those of variable length lie in a
 * heap that has none, and a damaged one makes the library (1.10) read wild addresses. */
enum status hdf5_put_text(hid_t object, const char *name, const char *text, const char *path, struct error *error)
{
    const size_t bytes = strlen(text) ? strlen(text) : 1;
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, bytes);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    const enum status status = hdf5_put(object, name, type, H5Screate(H5S_SCALAR), text, path, error);
    H5Tclose(type);
    return status;
}

static enum status hdf5_read_text(const char **ret, hid_t attribute, hid_t type, const char *path, const char *name,
                                  struct arena *arena, struct error *error)
{
    size_t size = H5Tget_size(type);
    char *text = size < SIZE_MAX ? arena_alloc(arena, size + 1, 1) : NULL;
    if (!text)
        return error_memory(error, size, "a text of an HDF5 file");
    if (H5Aread(attribute, type, text) < 0)
        return hdf5_error(error, path, name);
    *ret = text;
    return STATUS_OK;
}

enum status hdf5_get_text(const char **ret, hid_t object, const char *name, const char *path, struct arena *arena,
                          struct error *error)
{
    if (H5Aexists(object, name) <= 0)
        return error_set(error, STATUS_FAILED, "%s: attribute '%s': missing (not a file of calvaria, or a damaged one)",
                         path, name);
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0)
        return hdf5_error(error, path, name);
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
        status = hdf5_read_text(ret, attribute, type, path, name, arena, error);
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);

    return status;
}

enum status hdf5_put_array(hid_t group, const struct hdf5_array *array, const char *path, struct error *error)
{
    hsize_t dims[H5S_MAX_RANK];
    for (int i = 0; i < array->n_dims; i++)
        dims[i] = (hsize_t)array->dim[i];
    hid_t space = H5Screate_simple(array->n_dims, dims, NULL);
    hid_t type = array->floats ? H5T_IEEE_F32LE : H5T_STD_I64LE;
    hid_t dataset = space < 0 ? -1 : hdf5_make_dataset(group, array->name, type, space);
    bool ok = dataset >= 0 && H5Dwrite(dataset, array->floats ? H5T_NATIVE_FLOAT : H5T_NATIVE_INT64, H5S_ALL, H5S_ALL,
                                       H5P_DEFAULT, array->floats ? (const void *)array->floats : array->ints) >= 0;
    enum status status = ok ? STATUS_OK : hdf5_error(error, path, array->name);
    if (dataset >= 0 && hdf5_close_written(dataset, array->name, path, error))
        status = STATUS_FAILED;
    if (space >= 0)
        H5Sclose(space);
    return status;
}

enum status hdf5_put_bytes(hid_t group, const char *name, const void *bytes, int64_t n, const char *path,
                           struct error *error)
{
    const hsize_t dim = (hsize_t)n;
    const hid_t space = H5Screate_simple(1, &dim, NULL);
    const hid_t dataset = space < 0 ? -1 : hdf5_make_dataset(group, name, H5T_STD_U8LE, space);
    const bool ok = dataset >= 0 && H5Dwrite(dataset, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) >= 0;
    enum status status = ok ? STATUS_OK : hdf5_error(error, path, name);
    if (dataset >= 0 && hdf5_close_written(dataset, name, path, error))
        status = STATUS_FAILED;
    if (space >= 0)
        H5Sclose(space);
    return status;
}

/* A float or integer dataset that is really stored: one that never was written, or hardly, could claim any size. */
static enum status hdf5_check(hid_t dataset, hid_t type, hid_t space, const char *name, const char *path,
                              struct error *error)
{
    H5T_class_t class = H5Tget_class(type);
    hssize_t values = H5Sget_simple_extent_npoints(space);
    if (class != H5T_FLOAT && class != H5T_INTEGER)
        return error_set(error, STATUS_FAILED, "%s: %s: neither floats nor integers", path, name);
    if (values < 0 || (uint64_t)values * H5Tget_size(type) / HDF5_MAX_PACKED > H5Dget_storage_size(dataset) ||
        (values > 0 && H5Dget_storage_size(dataset) == 0))
        return error_set(error, STATUS_FAILED, "%s: %s: declared but not stored (a damaged or half-written file)", path,
                         name);
    return STATUS_OK;
}

enum status hdf5_get_bytes(const void **ret, int64_t *ret_n, hid_t group, const char *name, const char *path,
                           struct arena *arena, struct error *error)
{
    const hid_t dataset = hdf5_open_dataset(group, name);
    if (dataset < 0)
        return hdf5_error(error, path, name);
    const hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    enum status status = hdf5_check(dataset, type, space, name, path, error);
    if (!status &&
        (H5Tget_class(type) != H5T_INTEGER || H5Tget_size(type) != 1 || H5Sget_simple_extent_ndims(space) != 1))
        status = error_set(error, STATUS_FAILED, "%s: %s: not a list of bytes", path, name);

    const hssize_t n = status ? 0 : H5Sget_simple_extent_npoints(space);
    void *bytes = status ? NULL : arena_alloc(arena, (size_t)n, 1);
    if (!status && !bytes)
        status = error_memory(error, (size_t)n, name);
    if (!status && H5Dread(dataset, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) < 0)
        status = hdf5_error(error, path, name);
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(dataset);
    if (!status) {
        *ret = bytes;
        *ret_n = n;
    }
    return status;
}

enum status hdf5_array_shape(hid_t group, const char *name, bool *ret_is_float, int *ret_n_dims, int64_t *ret_dims,
                             int max_dims, const char *path, struct error *error)
{
    if (!hdf5_has(group, name))
        return error_set(error, STATUS_FAILED, "%s: %s: missing (a model of another network?)", path, name);
    hid_t dataset = hdf5_open_dataset(group, name);
    if (dataset < 0)
        return hdf5_error(error, path, name);
    hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    enum status status = hdf5_check(dataset, type, space, name, path, error);
    int rank = H5Sget_simple_extent_ndims(space);
    hsize_t dims[H5S_MAX_RANK];
    if (!status && (rank < 0 || rank > max_dims))
        status =
            error_set(error, STATUS_FAILED, "%s: %s: %d dimensions, expected at most %d", path, name, rank, max_dims);
    if (!status && H5Sget_simple_extent_dims(space, dims, NULL) != rank)
        status = hdf5_error(error, path, name);
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

enum status hdf5_get_array(hid_t group, const char *name, bool floats, void *out, const char *path, struct error *error)
{
    hid_t dataset = hdf5_open_dataset(group, name);
    bool ok = dataset >= 0 &&
              H5Dread(dataset, floats ? H5T_NATIVE_FLOAT : H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0;
    enum status status = ok ? STATUS_OK : hdf5_error(error, path, name);
    if (dataset >= 0)
        H5Dclose(dataset);
    return status;
}
