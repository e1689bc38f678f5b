/* dataset_write.c - writing a packed dataset: masks as chunked, compressed bytes with their grids as attributes.
 * Test: tests/data/test_dataset.c. */
#include <string.h>

#include "data/dataset/dataset_file.h"
#include "data/volume/formats.h"

enum { DEFLATE_LEVEL = 6 };

/* A group or (name NULL) a file without times: the same content gives the same bytes. */
static hid_t dataset_write_make(hid_t parent, const char *name, const char *path)
{
    const hid_t create = H5Pcreate(name ? H5P_GROUP_CREATE : H5P_FILE_CREATE);
    H5Pset_obj_track_times(create, false);
    const hid_t made = name ? H5Gcreate2(parent, name, H5P_DEFAULT, create, H5P_DEFAULT)
                            : H5Fcreate(path, H5F_ACC_TRUNC, create, H5P_DEFAULT);
    H5Pclose(create);
    return made;
}

static enum status dataset_write_create(struct set_writer *writer, struct error *error)
{
    const int64_t version = DATASET_VERSION;
    const char *path = writer->path;
    writer->file = dataset_write_make(-1, NULL, path);
    if (writer->file < 0)
        return hdf5_error(error, path, "cannot be created");
    writer->cases = dataset_write_make(writer->file, "cases", NULL);
    if (writer->cases < 0)
        return hdf5_error(error, path, "cannot be written");
    if (hdf5_put_text(writer->file, "format", DATASET_FORMAT, path, error))
        return error->status;
    return hdf5_put_numbers(writer->file, "format_version", H5T_NATIVE_INT64, 0, NULL, &version, path, error);
}

enum status set_writer_open(struct set_writer *writer, const char *path, struct error *error)
{
    *writer = (struct set_writer){.path = path, .file = -1, .cases = -1, .defective = -1};
    hdf5_lock();
    const enum status status = dataset_write_create(writer, error);
    hdf5_unlock();
    return status;
}

enum status set_writer_close(struct set_writer *writer, struct error *error)
{
    bool ok = true;
    hdf5_lock();
    if (writer->defective >= 0)
        ok = H5Gclose(writer->defective) >= 0;
    if (writer->cases >= 0)
        ok = H5Gclose(writer->cases) >= 0 && ok;
    if (writer->file >= 0) /* a full disk may only show here */
        ok = H5Fflush(writer->file, H5F_SCOPE_GLOBAL) >= 0 && H5Fclose(writer->file) >= 0 && ok;
    writer->cases = writer->defective = writer->file = -1;
    const enum status status =
        ok ? STATUS_OK : hdf5_error(error, writer->path, "cannot be written to its end (is the disk full?)");
    hdf5_unlock();
    return status;
}

/* Creates the chunked dataset; dim is x, y, z. */
static hid_t dataset_write_mask_create(hid_t group, const char *name, const int64_t dim[3])
{
    hsize_t size[3], chunk[3];
    for (int a = 0; a < 3; a++) {
        size[2 - a] = (hsize_t)dim[a];
        chunk[2 - a] = (hsize_t)(dim[a] < DATASET_CHUNK ? dim[a] : DATASET_CHUNK);
    }
    const hid_t space = H5Screate_simple(3, size, NULL), properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(properties, false);
    H5Pset_chunk(properties, 3, chunk);
    H5Pset_deflate(properties, DEFLATE_LEVEL);
    const hid_t mask = H5Dcreate2(group, name, H5T_STD_U8LE, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    H5Pclose(properties);
    H5Sclose(space);
    return mask;
}

static bool dataset_write_box_has_bone(const uint8_t *mask, const int64_t dim[3], struct box box)
{
    for (int64_t z = box.lo[2]; z < box.hi[2]; z++)
        for (int64_t y = box.lo[1]; y < box.hi[1]; y++)
            if (memchr(mask + (z * dim[1] + y) * dim[0] + box.lo[0], 1, (size_t)(box.hi[0] - box.lo[0])))
                return true;
    return false;
}

/* Writes the chunks that hold bone; the others stay unwritten and read as 0: the empty air around a head costs nothing.
 */
static bool dataset_write_mask_write_chunks(hid_t mask, const uint8_t *values, const int64_t dim[3])
{
    hsize_t size[3];

    for (int a = 0; a < 3; a++)
        size[2 - a] = (hsize_t)dim[a];

    const hid_t file_space = H5Dget_space(mask), space = H5Screate_simple(3, size, NULL);
    bool ok = file_space >= 0 && space >= 0;
    struct box box;

    /* HDF5 stores no chunk that was never written, and reads it as 0 */
    for (int64_t z = 0; z < dim[2]; z += DATASET_CHUNK)
        for (int64_t y = 0; y < dim[1]; y += DATASET_CHUNK)
            for (int64_t x = 0; ok && x < dim[0]; x += DATASET_CHUNK) {
                const int64_t lo[3] = {x, y, z};
                hsize_t from[3], count[3];
                for (int a = 0; a < 3; a++) {
                    box.lo[a] = lo[a];
                    box.hi[a] = lo[a] + DATASET_CHUNK < dim[a] ? lo[a] + DATASET_CHUNK : dim[a];
                    from[2 - a] = (hsize_t)lo[a];
                    count[2 - a] = (hsize_t)(box.hi[a] - lo[a]);
                }
                if (dataset_write_box_has_bone(values, dim, box))
                    ok = H5Sselect_hyperslab(file_space, H5S_SELECT_SET, from, NULL, count, NULL) >= 0 &&
                         H5Sselect_hyperslab(space, H5S_SELECT_SET, from, NULL, count, NULL) >= 0 &&
                         H5Dwrite(mask, H5T_NATIVE_UINT8, space, file_space, H5P_DEFAULT, values) >= 0;
            }

    H5Sclose(space);
    H5Sclose(file_space);
    return ok;
}

/* The dataset with the attributes that skulls and implants share: close with H5Dclose. Negative when it failed. */
static hid_t dataset_write_mask_write(struct set_writer *writer, hid_t group, const char *name, const char *source,
                                      const uint8_t *values, const int64_t dim[3], uint64_t hash, struct error *error)
{
    const struct box box = box_of_mask(values, dim);
    const int64_t corners[6] = {box.lo[0], box.lo[1], box.lo[2], box.hi[0], box.hi[1], box.hi[2]};
    const hsize_t six = 6;
    const hid_t mask = dataset_write_mask_create(group, name, dim);
    if (mask < 0) {
        hdf5_error(error, writer->path, name);
        return mask;
    }
    enum status status = STATUS_OK;
    if (!dataset_write_mask_write_chunks(mask, values, dim))
        status = hdf5_error(error, writer->path, "cannot be written (is the disk full?)");
    else if (hdf5_put_numbers(mask, "box", H5T_NATIVE_INT64, 1, &six, corners, writer->path, error) ||
             hdf5_put_numbers(mask, "content_hash", H5T_NATIVE_UINT64, 0, NULL, &hash, writer->path, error) ||
             hdf5_put_text(mask, "source", source, writer->path, error))
        status = error->status;
    if (!status)
        return mask;
    H5Dclose(mask);
    return -1;
}

static enum status dataset_write_skull_put_attributes(hid_t mask, struct set_writer *writer, const struct volume *skull,
                                                      struct error *error)
{
    const hsize_t dims[2] = {3, 3};
    const struct storage *storage = &skull->storage;
    const int64_t axis[3] = {storage->axis[0], storage->axis[1], storage->axis[2]};
    const int64_t flip[3] = {storage->flip[0], storage->flip[1], storage->flip[2]};
    const int64_t nifti[3] = {storage->nifti_version, storage->qform_code, storage->sform_code};
    const char *path = writer->path;
    if (hdf5_put_numbers(mask, "axis", H5T_NATIVE_DOUBLE, 2, dims, skull->grid.axis, path, error) ||
        hdf5_put_numbers(mask, "origin", H5T_NATIVE_DOUBLE, 1, dims, skull->grid.origin, path, error) ||
        hdf5_put_numbers(mask, "storage_axis", H5T_NATIVE_INT64, 1, dims, axis, path, error) ||
        hdf5_put_numbers(mask, "storage_flip", H5T_NATIVE_INT64, 1, dims, flip, path, error) ||
        hdf5_put_numbers(mask, "nifti", H5T_NATIVE_INT64, 1, dims, nifti, path, error) ||
        hdf5_put_text(mask, "format", volume_suffix(storage->format), path, error) ||
        hdf5_put_text(mask, "space", storage->space, path, error) ||
        hdf5_put_text(mask, "file_type", storage->file_type, path, error))
        return error->status;
    return STATUS_OK;
}

/* The group that this case belongs to; negative on failure. */
static hid_t dataset_write_parent(struct set_writer *writer, const struct set_case *item)
{
    if (item->defective && writer->defective < 0)
        writer->defective = dataset_write_make(writer->file, "defective", NULL);
    return item->defective ? writer->defective : writer->cases;
}

static enum status dataset_write_case(hid_t *ret_group, struct set_writer *writer, const struct set_case *item,
                                      const struct volume *skull, uint64_t hash, struct error *error)
{
    const hid_t parent = dataset_write_parent(writer, item);
    const hid_t group = parent < 0 ? -1 : dataset_write_make(parent, item->name, NULL);
    if (group < 0)
        return hdf5_error(error, writer->path, item->name);
    const hid_t mask = dataset_write_mask_write(writer, group, DATASET_SKULL(item->defective), item->source,
                                                skull->data, skull->grid.dim, hash, error);
    enum status status = mask < 0 ? error->status : dataset_write_skull_put_attributes(mask, writer, skull, error);
    if (mask >= 0 && hdf5_close_written(mask, item->name, writer->path, error))
        status = STATUS_FAILED;
    if (status)
        H5Gclose(group);
    else
        *ret_group = group;
    return status;
}

enum status set_write_case(hid_t *ret_group, struct set_writer *writer, const struct set_case *item,
                           const struct volume *skull, uint64_t hash, struct error *error)
{
    hdf5_lock();
    const enum status status = dataset_write_case(ret_group, writer, item, skull, hash, error);
    hdf5_unlock();
    return status;
}

static enum status dataset_write_implant(struct set_writer *writer, hid_t group, const char *name, const char *source,
                                         const uint8_t *implant, const int64_t dim[3], struct error *error)
{
    hid_t implants;
    if (H5Lexists(group, "implants", H5P_DEFAULT) > 0)
        implants = H5Gopen2(group, "implants", H5P_DEFAULT);
    else
        implants = dataset_write_make(group, "implants", NULL);
    if (implants < 0)
        return hdf5_error(error, writer->path, name);
    const hid_t mask =
        dataset_write_mask_write(writer, implants, name, source, implant, dim, mask_hash(implant, dim), error);
    enum status status = mask < 0 ? error->status : hdf5_close_written(mask, name, writer->path, error);
    if (H5Gclose(implants) < 0 && !status)
        status = hdf5_error(error, writer->path, name);
    return status;
}

enum status set_write_implant(struct set_writer *writer, hid_t group, const char *name, const char *source,
                              const uint8_t *implant, const int64_t dim[3], struct error *error)
{
    hdf5_lock();
    const enum status status = dataset_write_implant(writer, group, name, source, implant, dim, error);
    hdf5_unlock();
    return status;
}

static enum status dataset_write_split(struct set_writer *writer, const struct set_case *item, struct error *error)
{
    const hid_t group = H5Gopen2(dataset_write_parent(writer, item), item->name, H5P_DEFAULT);
    const hid_t mask = group < 0 ? -1 : H5Dopen2(group, DATASET_SKULL(item->defective), H5P_DEFAULT);
    enum status status = mask < 0 ? hdf5_error(error, writer->path, item->name)
                                  : hdf5_put_text(mask, "split", dataset_split_names[item->split], writer->path, error);
    if (!status && item->group)
        status = hdf5_put_text(mask, "group", item->group, writer->path, error);
    if (mask >= 0 && hdf5_close_written(mask, item->name, writer->path, error))
        status = STATUS_FAILED;
    if (group >= 0 && H5Gclose(group) < 0 && !status)
        status = hdf5_error(error, writer->path, item->name);
    return status;
}

enum status set_write_split(struct set_writer *writer, const struct set_case *item, struct error *error)
{
    hdf5_lock();
    const enum status status = dataset_write_split(writer, item, error);
    hdf5_unlock();
    return status;
}

void set_end_case(hid_t group)
{
    hdf5_lock();
    H5Gclose(group);
    hdf5_unlock();
}
