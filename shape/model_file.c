/* model_file.c - shape.h5 written and read: see model.h. Test: tests/shape/test_model.c */
#include <hdf5.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hdf5.h"
#include "base/memory.h"
#include "shape/model.h"

static const char shape_format[] = "calvaria-shape";
enum {
    SHAPE_VERSION = 1,
    SHAPE_VERSION_CENTRE = 2, /* with heads/centre: a program that knows version 1 alone would take another mean */
    DEFLATE = 6,
    ONE_CHUNK = 1 << 18, /* bytes */
    POSE_NUMBERS = 15,
    NAME_MAX_BYTES = 256,
    HEADS_MAX = 100000,
    SPREAD_MAX = 4096,
    DISC_MAX = 1001
};

/* One dataset: its values are `n` of the dims' product. */
struct array {
    const char *name;
    hid_t type; /* in memory; the file has the same, little-endian */
    int rank;
    hsize_t dim[3];
};

static size_t array_count(const struct array *array)
{
    size_t n = 1;
    for (int a = 0; a < array->rank; a++)
        n *= (size_t)array->dim[a];
    return n;
}

/* ---- writing ---- */

/* Without times, so that the same model is the same file; small ones as one chunk, others in chunks of whole heads,
 * compressed. */
static enum status array_write(hid_t file, const struct array *array, const void *values, const char *path,
                               struct error *error)
{
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(array->rank, array->dim, NULL);
    H5Pset_obj_track_times(create, false);
    if (array_count(array) > 0 && array->rank > 1) {
        const bool small = array_count(array) * H5Tget_size(array->type) <= ONE_CHUNK;
        hsize_t chunk[3] = {small ? array->dim[0] : 1, array->dim[1], array->dim[2]};
        H5Pset_chunk(create, array->rank, chunk);
        H5Pset_shuffle(create);
        H5Pset_deflate(create, DEFLATE);
    }
    const hid_t dataset = H5Dcreate2(file, array->name, array->type, space, H5P_DEFAULT, create, H5P_DEFAULT);
    bool ok = dataset >= 0 && H5Dwrite(dataset, array->type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0;
    ok = (dataset < 0 || H5Dclose(dataset) >= 0) && ok;
    H5Sclose(space);
    H5Pclose(create);
    return ok ? STATUS_OK : hdf5_error(error, path, array->name);
}

static enum status shape_write_attributes(hid_t file, const struct shape_model *model, const char *path,
                                          struct error *error)
{
    const int64_t version = model->heads.centre ? SHAPE_VERSION_CENTRE : SHAPE_VERSION;
    const int64_t discs[2] = {model->disc.n, model->template_disc.n};
    const double reach[2] = {model->disc.reach, model->template_disc.reach};
    const hsize_t two = 2;
    if (hdf5_put_text(file, "format", shape_format, path, error) ||
        hdf5_put_numbers(file, "format_version", H5T_NATIVE_INT64, 0, NULL, &version, path, error) ||
        hdf5_put_numbers(file, "disc_n", H5T_NATIVE_INT64, 1, &two, discs, path, error) ||
        hdf5_put_numbers(file, "disc_reach", H5T_NATIVE_DOUBLE, 1, &two, reach, path, error) ||
        hdf5_put_numbers(file, "factor_50", H5T_NATIVE_DOUBLE, 0, NULL, &model->calibration.factor_50, path, error) ||
        hdf5_put_numbers(file, "factor_90", H5T_NATIVE_DOUBLE, 0, NULL, &model->calibration.factor_90, path, error) ||
        hdf5_put_text(file, "set_hash", model->set_hash, path, error) ||
        hdf5_put_text(file, "licence", model->licence, path, error))
        return error->status;
    for (const struct config_field *field = covariance_table.fields; field->key; field++) {
        const double *value = (const double *)((const char *)&model->covariance + field->offset);
        if (hdf5_put_numbers(file, field->key, H5T_NATIVE_DOUBLE, 0, NULL, value, path, error))
            return error->status;
    }
    return STATUS_OK;
}

/* What each head is: small things, gathered from the structs. */
static enum status shape_write_heads(hid_t file, const struct shape_model *model, const char *path, struct error *error)
{
    const int64_t n = model->heads.n;
    struct arena arena = {0};
    char *names = arena_alloc(&arena, (size_t)n, NAME_MAX_BYTES);
    uint64_t *hashes = arena_alloc(&arena, (size_t)n, sizeof *hashes);
    uint8_t *complete = arena_alloc(&arena, (size_t)n, 1);
    double *poses = arena_alloc(&arena, (size_t)n, POSE_NUMBERS * sizeof *poses);
    if (!names || !hashes || !complete || !poses) {
        arena_done(&arena);
        return error_memory(error, (size_t)n * NAME_MAX_BYTES, "the list of heads");
    }
    for (int64_t h = 0; h < n; h++) {
        const struct shape_head *head = &model->head[h];
        strncpy(names + h * NAME_MAX_BYTES, head->name, NAME_MAX_BYTES - 1);
        hashes[h] = head->content_hash;
        complete[h] = head->complete;
        memcpy(poses + h * POSE_NUMBERS, head->pose.rotation, 9 * sizeof *poses);
        memcpy(poses + h * POSE_NUMBERS + 9, head->pose.centre, 3 * sizeof *poses);
        memcpy(poses + h * POSE_NUMBERS + 12, head->pose.scale, 3 * sizeof *poses);
    }

    const hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, NAME_MAX_BYTES);
    const hsize_t heads = (hsize_t)n;
    const struct array list[] = {{"heads/name", text, 1, {heads}},
                                 {"heads/hash", H5T_NATIVE_UINT64, 1, {heads}},
                                 {"heads/complete", H5T_NATIVE_UINT8, 1, {heads}},
                                 {"heads/pose", H5T_NATIVE_DOUBLE, 2, {heads, POSE_NUMBERS}},
                                 {"heads/group", H5T_NATIVE_INT32, 1, {heads}},
                                 {"heads/centre", H5T_NATIVE_UINT8, 1, {heads}}};
    const void *const values[] = {names, hashes, complete, poses, model->heads.group, model->heads.centre};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < sizeof list / sizeof *list && !status; i++)
        if (values[i])
            status = array_write(file, &list[i], values[i], path, error);
    H5Tclose(text);
    arena_done(&arena);
    return status;
}

static enum status shape_write_all(hid_t file, const struct shape_model *model, const char *path, struct error *error)
{
    const hsize_t n = (hsize_t)model->heads.n, rays = (hsize_t)model->disc.n_rays,
                  side = (hsize_t)model->template_disc.n;
    const struct array template = {"template", H5T_NATIVE_FLOAT, 2, {side, side}},
                       good = {"good", H5T_NATIVE_UINT8, 1, {rays}},
                       map = {"heads/map", H5T_NATIVE_FLOAT, 3, {n, rays, 2}},
                       missing = {"heads/missing", H5T_NATIVE_UINT8, 2, {n, rays}},
                       rough = {"rough", H5T_NATIVE_FLOAT, 2, {rays, 2}},
                       scale = {"scale", H5T_NATIVE_FLOAT, 2, {rays, 2}},
                       occupancy = {"occupancy", H5T_NATIVE_UINT8, 2, {rays, OCCUPANCY_STEPS}},
                       spread = {"heads/spread", H5T_NATIVE_FLOAT, 3, {(hsize_t)model->heads.n_spread, rays, 2}};
    const hid_t create = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_obj_track_times(create, false);
    const hid_t group = H5Gcreate2(file, "heads", H5P_DEFAULT, create, H5P_DEFAULT);
    H5Pclose(create);
    if (group < 0)
        return hdf5_error(error, path, "heads");
    H5Gclose(group);
    if (shape_write_attributes(file, model, path, error) ||
        array_write(file, &template, model->template, path, error) ||
        array_write(file, &good, model->good, path, error) || array_write(file, &map, model->heads.map, path, error) ||
        array_write(file, &missing, model->missing, path, error) || shape_write_heads(file, model, path, error))
        return error->status;
    if (model->heads.rough && array_write(file, &rough, model->heads.rough, path, error))
        return error->status;
    if (model->heads.scale && array_write(file, &scale, model->heads.scale, path, error))
        return error->status;
    if (model->heads.occupancy && array_write(file, &occupancy, model->heads.occupancy, path, error))
        return error->status;
    return model->heads.n_spread ? array_write(file, &spread, model->heads.spread, path, error) : STATUS_OK;
}

static enum status shape_write_file(const char *part, const char *path, const struct shape_model *model,
                                    struct error *error)
{
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS), create = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST); /* objects with checksums */
    H5Pset_link_phase_change(create, UINT16_MAX, 0); /* attributes and links in the header, under its checksum */
    H5Pset_attr_phase_change(create, UINT16_MAX, 0);
    H5Pset_obj_track_times(create, false);
    const hid_t file = H5Fcreate(part, H5F_ACC_TRUNC, create, access);
    H5Pclose(create);
    H5Pclose(access);
    if (file < 0)
        return hdf5_error(error, path, "cannot be created");
    enum status status = shape_write_all(file, model, path, error);
    if (H5Fclose(file) < 0 && !status) /* a full disk may only show here */
        status = hdf5_error(error, path, "cannot be written to its end (is the disk full?)");
    return status;
}

enum status shape_model_write(const char *path, const struct shape_model *model, struct error *error)
{
    char *part;
    if (file_begin(&part, path, error))
        return error->status;
    hdf5_lock();
    enum status status = shape_write_file(part, path, model, error);
    hdf5_unlock();
    if (!status)
        status = file_commit(&part, path, error);
    file_discard(&part);
    return status;
}

/* ---- reading ---- */

enum { PACKED_MAX = 4096 }; /* no dataset of ours shrinks by more: what claims to be larger was never stored */

/* The dataset is of this class and shape, and is stored. Dims of 0 take what is there. */
static enum status array_check(hid_t dataset, struct array *array, const char *path, struct error *error)
{
    const hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    hsize_t dim[H5S_MAX_RANK] = {0};
    enum status status = STATUS_OK;
    const int rank = H5Sget_simple_extent_ndims(space);
    if (H5Tget_class(type) != H5Tget_class(array->type) || H5Tis_variable_str(type) > 0 ||
        H5Tget_size(type) > NAME_MAX_BYTES)
        status = error_set(error, STATUS_FAILED, "%s: %s: another type of values than expected", path, array->name);
    else if (rank != array->rank || H5Sget_simple_extent_dims(space, dim, NULL) != rank)
        status =
            error_set(error, STATUS_FAILED, "%s: %s: %d dimensions, expected %d", path, array->name, rank, array->rank);
    double n = 1;
    for (int a = 0; a < array->rank && !status; a++) {
        n *= (double)dim[a];
        if (array->dim[a] && dim[a] != array->dim[a])
            status = error_set(error, STATUS_FAILED, "%s: %s: dimension %d is %" PRIu64 ", expected %" PRIu64, path,
                               array->name, a, (uint64_t)dim[a], (uint64_t)array->dim[a]);
    }
    if (!status && n * (double)H5Tget_size(type) > (double)PACKED_MAX * (double)H5Dget_storage_size(dataset))
        status = error_set(error, STATUS_FAILED, "%s: %s: declared but not stored (a damaged or half-written file)",
                           path, array->name);
    for (int a = 0; a < array->rank && !status; a++)
        array->dim[a] = dim[a];
    H5Sclose(space);
    H5Tclose(type);
    return status;
}

static hid_t array_open(hid_t file, struct array *array, const char *path, struct error *error)
{
    const hid_t dataset = hdf5_open_dataset(file, array->name);
    if (dataset < 0) {
        hdf5_error(error, path, array->name);
        return dataset;
    }
    if (!array_check(dataset, array, path, error))
        return dataset;
    H5Dclose(dataset);
    return -1;
}

/* Only the shape: before anything is allocated. */
static enum status array_measure(hid_t file, struct array *array, const char *path, struct error *error)
{
    const hid_t dataset = array_open(file, array, path, error);
    if (dataset >= 0)
        H5Dclose(dataset);
    return dataset < 0 ? STATUS_FAILED : STATUS_OK;
}

/* *ret: memory_alloc'd. */
static enum status array_read(void **ret, hid_t file, struct array array, const char *path, struct error *error)
{
    const hid_t dataset = array_open(file, &array, path, error);
    if (dataset < 0)
        return STATUS_FAILED;
    const size_t n = array_count(&array), size = H5Tget_size(array.type);
    void *values = memory_alloc(n, size);
    enum status status = STATUS_OK;
    if (!values)
        status = error_memory(error, n * size, array.name);
    else if (H5Dread(dataset, array.type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
        status = hdf5_error(error, path, array.name);
    H5Dclose(dataset);
    if (status)
        memory_free(values);
    else
        *ret = values;
    return status;
}

static enum status shape_read_version(hid_t file, const char *path, struct arena *arena, struct error *error)
{
    const char *format;
    int64_t version;
    H5F_info2_t info;
    if (H5Fget_info2(file, &info) < 0)
        return hdf5_error(error, path, "superblock");
    if (hdf5_get_text(&format, file, "format", path, arena, error))
        return error->status;
    if (strcmp(format, shape_format) != 0)
        return error_set(error, STATUS_FAILED, "%s: format: '%.64s', expected '%s' (no shape model)", path, format,
                         shape_format);
    if (info.super.version < 2)
        return error_set(error, STATUS_FAILED,
                         "%s: HDF5 format %u, without checksums: not written by calvaria (h5repack --low=1 would fit)",
                         path, info.super.version);
    if (hdf5_get_numbers(&version, 1, file, "format_version", H5T_NATIVE_INT64, path, error))
        return error->status;
    if (version != SHAPE_VERSION && version != SHAPE_VERSION_CENTRE)
        return error_set(error, STATUS_FAILED, "%s: format_version: %" PRId64 ", this program reads %d and %d", path,
                         version, SHAPE_VERSION, SHAPE_VERSION_CENTRE);
    return STATUS_OK;
}

static enum status shape_read_params(struct shape_model *model, hid_t file, const char *path, struct error *error)
{
    for (const struct config_field *field = covariance_table.fields; field->key; field++) {
        double *value = (double *)((char *)&model->covariance + field->offset);
        if (hdf5_get_numbers(value, 1, file, field->key, H5T_NATIVE_DOUBLE, path, error))
            return error->status;
        if (!(*value >= field->min && *value <= field->max))
            return error_set(error, STATUS_FAILED, "%s: %s: %g is not in %g..%g", path, field->key, *value, field->min,
                             field->max);
    }
    double *const factors[] = {&model->calibration.factor_50, &model->calibration.factor_90};
    static const char *const names[] = {"factor_50", "factor_90"};
    for (int i = 0; i < 2; i++) {
        if (hdf5_get_numbers(factors[i], 1, file, names[i], H5T_NATIVE_DOUBLE, path, error))
            return error->status;
        if (!(*factors[i] > 0 && *factors[i] < 100))
            return error_set(error, STATUS_FAILED, "%s: %s: %g is no factor of a standard deviation", path, names[i],
                             *factors[i]);
    }
    return STATUS_OK;
}

static enum status shape_read_discs(struct shape_model *model, hid_t file, const char *path, struct error *error)
{
    int64_t n[2];
    double reach[2];
    if (hdf5_get_numbers(n, 2, file, "disc_n", H5T_NATIVE_INT64, path, error) ||
        hdf5_get_numbers(reach, 2, file, "disc_reach", H5T_NATIVE_DOUBLE, path, error))
        return error->status;
    for (int i = 0; i < 2; i++)
        if (n[i] < 5 || n[i] > DISC_MAX || !(reach[i] >= 0.2 && reach[i] <= 2))
            return error_set(error, STATUS_FAILED,
                             "%s: disc_n, disc_reach: %" PRId64 ", %g: no disc (5 to %d pixels, up to 2)", path, n[i],
                             reach[i], DISC_MAX);
    if (disc_init(&model->disc, n[0], reach[0], error))
        return error->status;
    return disc_init(&model->template_disc, n[1], reach[1], error);
}

/* The small lists, into structs. */
static enum status shape_read_heads(struct shape_model *model, hid_t file, const char *path, struct error *error)
{
    const hsize_t n = (hsize_t)model->heads.n;
    const hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, NAME_MAX_BYTES);
    void *names = NULL, *hashes = NULL, *complete = NULL, *poses = NULL, *groups = NULL, *centre = NULL;
    enum status status = STATUS_FAILED;
    model->head = arena_alloc(&model->arena, (size_t)n, sizeof *model->head);
    if (!model->head)
        error_memory(error, (size_t)n * sizeof *model->head, "the list of heads");
    else if (!array_read(&names, file, (struct array){"heads/name", text, 1, {n}}, path, error) &&
             !array_read(&hashes, file, (struct array){"heads/hash", H5T_NATIVE_UINT64, 1, {n}}, path, error) &&
             !array_read(&complete, file, (struct array){"heads/complete", H5T_NATIVE_UINT8, 1, {n}}, path, error) &&
             !array_read(&poses, file, (struct array){"heads/pose", H5T_NATIVE_DOUBLE, 2, {n, POSE_NUMBERS}}, path,
                         error) &&
             !array_read(&groups, file, (struct array){"heads/group", H5T_NATIVE_INT32, 1, {n}}, path, error) &&
             (!hdf5_has(file, "heads/centre") ||
              !array_read(&centre, file, (struct array){"heads/centre", H5T_NATIVE_UINT8, 1, {n}}, path, error)))
        status = STATUS_OK;
    model->heads.group = groups;
    model->heads.centre = centre;
    for (int64_t h = 0; h < (int64_t)n && !status; h++) {
        struct shape_head *head = &model->head[h];
        const double *numbers = (const double *)poses + h * POSE_NUMBERS;
        char *name = (char *)names + h * NAME_MAX_BYTES;
        name[NAME_MAX_BYTES - 1] = '\0';
        head->content_hash = ((const uint64_t *)hashes)[h];
        head->complete = ((const uint8_t *)complete)[h] != 0;
        memcpy(head->pose.rotation, numbers, sizeof head->pose.rotation);
        memcpy(head->pose.centre, numbers + 9, sizeof head->pose.centre);
        memcpy(head->pose.scale, numbers + 12, sizeof head->pose.scale);
        for (int i = 0; i < POSE_NUMBERS; i++)
            if (!isfinite(numbers[i]) || (i >= 12 && !(numbers[i] > 0.1 && numbers[i] < 10)))
                status = error_set(error, STATUS_FAILED,
                                   "%s: heads/pose: head %" PRId64 ": value %d is no part of a pose", path, h, i);
        if (!(head->name = arena_strdup(&model->arena, name)))
            status = error_memory(error, NAME_MAX_BYTES, "a head's name");
    }
    H5Tclose(text);
    memory_free(names);
    memory_free(hashes);
    memory_free(complete);
    memory_free(poses);
    return status;
}

/* Maps may lack values only where the model claims nothing. */
static enum status shape_check_values(const struct shape_model *model, const char *path, struct error *error)
{
    const int64_t n_rays = model->disc.n_rays, side = model->template_disc.n;
    for (int64_t p = 0; p < side * side; p++)
        if (!(model->template[p] > 1 && model->template[p] < 1000))
            return error_set(error, STATUS_FAILED, "%s: template: value %" PRId64 " is no radius", path, p);
    for (int64_t k = 0; k < model->heads.n * n_rays * 2; k++) {
        const float value = model->heads.map[k];
        if (!(value > 0 && value < 1000) && (model->good[k / 2 % n_rays] || !isnan(value)))
            return error_set(error, STATUS_FAILED, "%s: heads/map: value %" PRId64 " is no radius", path, k);
    }
    for (int64_t k = 0; model->heads.rough && k < n_rays * 2; k++)
        if (!(model->heads.rough[k] >= 0 && model->heads.rough[k] < 1000))
            return error_set(error, STATUS_FAILED, "%s: rough: value %" PRId64 " is no roughness", path, k);
    for (int64_t k = 0; model->heads.scale && k < n_rays * 2; k++)
        if (!(model->heads.scale[k] > 0 && model->heads.scale[k] < 100))
            return error_set(error, STATUS_FAILED, "%s: scale: value %" PRId64 " is no factor", path, k);
    for (int64_t k = 0; k < model->heads.n_spread * n_rays * 2; k++)
        if (!(fabsf(model->heads.spread[k]) < 1000))
            return error_set(error, STATUS_FAILED, "%s: heads/spread: value %" PRId64 " is not finite", path, k);
    return STATUS_OK;
}

static enum status shape_read_arrays(struct shape_model *model, hid_t file, const char *path, struct error *error)
{
    const hsize_t rays = (hsize_t)model->disc.n_rays, side = (hsize_t)model->template_disc.n;
    struct array map = {"heads/map", H5T_NATIVE_FLOAT, 3, {0, rays, 2}},
                 spread = {"heads/spread", H5T_NATIVE_FLOAT, 3, {0, rays, 2}};
    if (array_measure(file, &map, path, error) ||
        (hdf5_has(file, spread.name) && array_measure(file, &spread, path, error)))
        return error->status;
    if (map.dim[0] < 2 || map.dim[0] > HEADS_MAX || spread.dim[0] > SPREAD_MAX)
        return error_set(error, STATUS_FAILED,
                         "%s: heads/map: %" PRIu64 " heads, %" PRIu64 " rows of spread (2 to %d, up to %d)", path,
                         (uint64_t)map.dim[0], (uint64_t)spread.dim[0], HEADS_MAX, SPREAD_MAX);
    model->heads.n = (int64_t)map.dim[0];
    model->heads.n_rays = model->disc.n_rays;
    model->heads.n_spread = (int64_t)spread.dim[0];

    void *template = NULL, *good = NULL, *values = NULL, *missing = NULL, *rows = NULL, *rough = NULL, *scale = NULL;
    void *occupancy = NULL;
    enum status status =
        array_read(&template, file, (struct array){"template", H5T_NATIVE_FLOAT, 2, {side, side}}, path, error);
    if (!status)
        status = array_read(&good, file, (struct array){"good", H5T_NATIVE_UINT8, 1, {rays}}, path, error);
    if (!status)
        status = array_read(&values, file, map, path, error);
    if (!status)
        status = array_read(&missing, file, (struct array){"heads/missing", H5T_NATIVE_UINT8, 2, {map.dim[0], rays}},
                            path, error);
    if (!status && spread.dim[0])
        status = array_read(&rows, file, spread, path, error);
    if (!status && hdf5_has(file, "rough"))
        status = array_read(&rough, file, (struct array){"rough", H5T_NATIVE_FLOAT, 2, {rays, 2}}, path, error);
    if (!status && hdf5_has(file, "scale"))
        status = array_read(&scale, file, (struct array){"scale", H5T_NATIVE_FLOAT, 2, {rays, 2}}, path, error);
    if (!status && hdf5_has(file, "occupancy"))
        status = array_read(&occupancy, file, (struct array){"occupancy", H5T_NATIVE_UINT8, 2, {rays, OCCUPANCY_STEPS}},
                            path, error);
    model->template = template;
    model->good = good;
    model->heads.map = values;
    model->missing = missing;
    model->heads.spread = rows;
    model->heads.rough = rough;
    model->heads.scale = scale;
    model->heads.occupancy = occupancy;
    if (status || shape_read_heads(model, file, path, error))
        return error->status;
    return shape_check_values(model, path, error);
}

/* Closes the file. */
static enum status shape_read_file(struct shape_model *model, hid_t file, const char *path, struct error *error)
{
    if (file < 0)
        return hdf5_error(error, path, "cannot be opened as an HDF5 file");
    enum status status = shape_read_version(file, path, &model->arena, error);
    if (!status)
        status = shape_read_params(model, file, path, error);
    if (!status)
        status = shape_read_discs(model, file, path, error);
    if (!status)
        status = hdf5_get_text(&model->set_hash, file, "set_hash", path, &model->arena, error);
    if (!status)
        status = hdf5_get_text(&model->licence, file, "licence", path, &model->arena, error);
    if (!status)
        status = shape_read_arrays(model, file, path, error);
    H5Fclose(file);
    return status;
}

/* From a file on disk, or (bytes not NULL) in memory. */
static enum status shape_read_any(struct shape_model *ret, const void *bytes, int64_t n, const char *path,
                                  struct error *error)
{
    struct shape_model model = {0};
    hdf5_lock();
    enum status status =
        shape_read_file(&model, bytes ? hdf5_open_image(bytes, (size_t)n) : hdf5_open_file(path), path, error);
    hdf5_unlock();
    if (!status)
        status = population_new(&model.population, &model.disc, &model.heads, -1, error);
    if (status) {
        shape_model_done(&model);
        return status;
    }
    *ret = model;
    ret->population.disc = &ret->disc; /* a model is not to be moved in memory */
    return STATUS_OK;
}

enum status shape_model_read(struct shape_model *ret, const char *path, struct error *error)
{
    if (!file_exists(path))
        return error_set(error, STATUS_FAILED, "%s: no such file", path);
    return shape_read_any(ret, NULL, 0, path, error);
}

enum status shape_model_read_image(struct shape_model *ret, const void *bytes, int64_t n, const char *path,
                                   struct error *error)
{
    return shape_read_any(ret, bytes, n, path, error);
}

/* An open HDF5 file, which is closed here; under the lock. */
static bool model_file_is(hid_t file)
{
    struct arena arena = {0};
    struct error error = {0};
    const char *format;
    bool is = false;
    if (file >= 0) {
        is = !hdf5_get_text(&format, file, "format", "", &arena, &error) && strcmp(format, shape_format) == 0;
        H5Fclose(file);
    }
    H5Eclear2(H5E_DEFAULT);
    arena_done(&arena);
    return is;
}

bool shape_model_is(const char *path)
{
    hdf5_lock();
    const bool is = model_file_is(file_exists(path) ? hdf5_open_file(path) : -1);
    hdf5_unlock();
    return is;
}

bool shape_model_is_image(const void *bytes, size_t n)
{
    hdf5_lock();
    const bool is = model_file_is(hdf5_open_image(bytes, n));
    hdf5_unlock();
    return is;
}
