/* keras_h5.c - reads a Keras .h5 file with HDF5 and sends its contents on; runs in the child of keras_file.c.
 *
 * Weights are found by walking the groups, never by the attributes layer_names and weight_names: those differ between
 * Keras' versions (texts of fixed and of variable length, null-padded, empty ones as float64), the datasets' paths do
 * not. Links out of the file are not followed. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hdf5.h"
#include "infer/exchange/keras_file.h"

enum { MAX_DEPTH = 10, MAX_WEIGHTS = 4096, MAX_TEXT = 16 << 20 };

struct sending {
    const char *path;
    int pipe;
    bool broken; /* the parent is gone */
    int64_t n_weights;
    struct arena arena;
    struct error error;
};

static void keras_send_bytes(struct sending *sending, const void *bytes, size_t n)
{
    for (const char *at = bytes; n && !sending->broken;) {
        ssize_t sent = write(sending->pipe, at, n);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0) {
            sending->broken = true;
            return;
        }
        at += sent;
        n -= (size_t)sent;
    }
}

static void keras_send_text(struct sending *sending, enum keras_record_kind kind, const char *text)
{
    const struct keras_record record = {.kind = (int32_t)kind, .text_bytes = (int64_t)strlen(text)};
    keras_send_bytes(sending, &record, sizeof record);
    keras_send_bytes(sending, text, strlen(text));
}

/* ---- texts ---- */

/* In arena; NULL when it is no text. */
static char *keras_read_text(struct sending *sending, hid_t attribute, hid_t type)
{
    char *copy = NULL, *variable = NULL;
    hid_t memory = H5Tcopy(H5T_C_S1);

    if (H5Tis_variable_str(type) > 0) {
        H5Tset_size(memory, H5T_VARIABLE);
        H5Tset_cset(memory, H5Tget_cset(type));
        if (H5Aread(attribute, memory, (void *)&variable) >= 0 && variable && strnlen(variable, MAX_TEXT) < MAX_TEXT)
            copy = arena_strdup(&sending->arena, variable);
        H5free_memory(variable);
    } else if (H5Tget_size(type) < MAX_TEXT) {
        copy = arena_alloc(&sending->arena, H5Tget_size(type) + 1, 1);
        if (copy && H5Aread(attribute, type, copy) < 0)
            copy = NULL;
    }

    H5Tclose(memory);
    return copy;
}

static enum status keras_send_attribute(struct sending *sending, hid_t object, const char *name,
                                        enum keras_record_kind kind)
{
    if (H5Aexists(object, name) <= 0)
        return STATUS_OK;
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0)
        return hdf5_error(&sending->error, sending->path, name);
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    bool is_text = H5Tget_class(type) == H5T_STRING && H5Sget_simple_extent_npoints(space) == 1;
    char *text = is_text ? keras_read_text(sending, attribute, type) : NULL;
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
    if (!text)
        return error_set(&sending->error, STATUS_FAILED,
                         "%s: attribute '%s': not a text of less than %d MiB (a damaged file, or none of Keras')",
                         sending->path, name, MAX_TEXT >> 20);
    keras_send_text(sending, kind, text);

    return STATUS_OK;
}

/* ---- weights ---- */

static enum status keras_send_weight(struct sending *sending, hid_t root, const char *name)
{
    struct keras_record record = {.kind = KERAS_WEIGHT, .text_bytes = (int64_t)strlen(name)};
    int n_dims;
    bool is_float;
    int64_t count = 1;

    if (++sending->n_weights > MAX_WEIGHTS)
        return error_set(&sending->error, STATUS_FAILED, "%s: more than %d weights (no network that could be imported)",
                         sending->path, MAX_WEIGHTS);
    if (hdf5_array_shape(root, name, &is_float, &n_dims, record.dim, KERAS_MAX_DIMS, sending->path, &sending->error))
        return sending->error.status;
    if (!is_float)
        return STATUS_OK; /* a seed generator's state, an iteration count */
    for (int i = 0; i < n_dims; i++)
        if (__builtin_mul_overflow(count, record.dim[i], &count) || count < 0 || count > INT32_MAX)
            return error_set(&sending->error, STATUS_FAILED, "%s: %s: more than 2^31 values", sending->path, name);

    float *values = memory_alloc((size_t)count, sizeof *values);
    if (!values)
        return error_memory(&sending->error, (size_t)count * sizeof *values, name);
    enum status status = hdf5_get_array(root, name, true, values, sending->path, &sending->error);
    if (!status) {
        record.n_dims = n_dims;
        record.data_bytes = count * (int64_t)sizeof *values;
        keras_send_bytes(sending, &record, sizeof record);
        keras_send_bytes(sending, name, strlen(name));
        keras_send_bytes(sending, values, (size_t)record.data_bytes);
    }

    memory_free(values);
    return status;
}

static enum status keras_send_weights(struct sending *sending, hid_t root, const char *folder, int depth)
{
    int64_t n;
    const char **names;
    hid_t group = strcmp(folder, ".") == 0 ? H5Gopen2(root, ".", H5P_DEFAULT) : hdf5_open_group(root, folder);

    if (group < 0 || depth > MAX_DEPTH)
        return depth > MAX_DEPTH ? error_set(&sending->error, STATUS_FAILED, "%s: %s: groups nest deeper than %d",
                                             sending->path, folder, MAX_DEPTH)
                                 : hdf5_error(&sending->error, sending->path, folder);
    enum status status = hdf5_list(&n, &names, group, sending->path, &sending->arena, &sending->error);
    for (int64_t i = 0; !status && i < n && !sending->broken; i++) {
        char *name = strcmp(folder, ".") == 0 ? arena_strdup(&sending->arena, names[i])
                                              : arena_printf(&sending->arena, "%s/%s", folder, names[i]);
        H5L_info_t link;
        H5O_info_t object;
        if (!name)
            status = error_memory(&sending->error, strlen(names[i]), "a path");
        else if (depth == 0 && (strcmp(names[i], "optimizer_weights") == 0 || strcmp(names[i], "optimizer") == 0))
            continue;
        else if (H5Lget_info(root, name, &link, H5P_DEFAULT) < 0 ||
                 (link.type == H5L_TYPE_HARD && H5Oget_info_by_name(root, name, &object, H5P_DEFAULT) < 0))
            status = hdf5_error(&sending->error, sending->path, name);
        else if (link.type == H5L_TYPE_HARD && object.type == H5O_TYPE_GROUP)
            status = keras_send_weights(sending, root, name, depth + 1);
        else if (link.type != H5L_TYPE_HARD || object.type == H5O_TYPE_DATASET)
            status = keras_send_weight(sending, root, name); /* refuses links */
    }

    H5Gclose(group);

    return status;
}

static enum status keras_send_file(struct sending *sending, hid_t file)
{
    bool whole = hdf5_has(file, "model_weights");
    hid_t root = whole ? hdf5_open_group(file, "model_weights") : H5Gopen2(file, "/", H5P_DEFAULT);
    if (root < 0)
        return hdf5_error(&sending->error, sending->path, "model_weights");
    enum status status = keras_send_attribute(sending, file, "model_config", KERAS_CONFIG);
    if (!status)
        status = keras_send_attribute(sending, H5Aexists(file, "keras_version") > 0 ? file : root, "keras_version",
                                      KERAS_VERSION);
    if (!status)
        status = keras_send_weights(sending, root, ".", 0);
    H5Gclose(root);
    return status;
}

bool keras_h5_send(const char *path, int pipe)
{
    struct sending sending = {.path = path, .pipe = pipe};
    hid_t file = hdf5_open_file(path);
    enum status status =
        file < 0 ? hdf5_error(&sending.error, path, "not a readable HDF5 file (truncated, or not Keras' .h5 format)")
                 : keras_send_file(&sending, file);
    if (status)
        keras_send_text(&sending, KERAS_ERROR, sending.error.text);
    keras_send_bytes(&sending, &(struct keras_record){.kind = KERAS_END}, sizeof(struct keras_record));
    arena_done(&sending.arena);
    return !sending.broken;
}
