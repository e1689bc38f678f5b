/* array.c - see array.h. Test: tests/data/test_array.c */
#include "data/volume/array.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "data/volume/orient.h"

/* The strides in force. */
static void array_strides(int64_t ret[3], const struct voxel_array *array)
{
    const bool dense = array->stride[0] == 0 && array->stride[1] == 0 && array->stride[2] == 0;
    int64_t step = (int64_t)disk_types[array->type].bytes;
    for (int a = 0; a < 3; a++) {
        ret[a] = dense ? step : array->stride[a];
        step *= array->dim[a];
    }
}

/* RAS to LPS, as nifti.c does of an sform. */
static enum status array_grid(struct grid *ret, const struct voxel_array *array, const char *name, struct error *error)
{
    const double *last = array->affine[3];
    if (last[0] != 0 || last[1] != 0 || last[2] != 0 || last[3] != 1)
        return error_set(error, STATUS_USAGE, "%s: affine: its last row is %g %g %g %g (expected 0 0 0 1)", name,
                         last[0], last[1], last[2], last[3]);
    memcpy(ret->dim, array->dim, sizeof ret->dim);
    for (int k = 0; k < 3; k++) {
        const double turn = k < 2 ? -1 : 1;
        for (int a = 0; a < 3; a++)
            ret->axis[a][k] = turn * array->affine[k][a] + 0.0; /* no -0 */
        ret->origin[k] = turn * array->affine[k][3] + 0.0;
    }
    return grid_check(ret, name, error);
}

/* The next n values of a row, side by side. */
static void array_gather(char *out, const char *from, int64_t stride, int64_t n, size_t size)
{
    if (stride == (int64_t)size)
        memcpy(out, from, (size_t)n * size);
    else if (size == 1)
        for (int64_t i = 0; i < n; i++)
            out[i] = from[i * stride];
    else
        for (int64_t i = 0; i < n; i++)
            memcpy(out + (size_t)i * size, from + i * stride, size);
}

/* Row by row, in pieces of at most a chunk. */
static enum status array_read(struct volume *volume, const struct voxel_array *array, double *values, char *raw,
                              struct error *error)
{
    const size_t size = disk_types[array->type].bytes;
    struct voxel_walk walk = voxel_walk_start(&volume->storage, &volume->grid);
    struct voxel_chunk chunk = {.raw = raw, .values = values, .type = array->type, .slope = 1, .first = true};
    int64_t stride[3];

    array_strides(stride, array);
    for (int64_t z = 0; z < array->dim[2]; z++)
        for (int64_t y = 0; y < array->dim[1]; y++)
            for (int64_t x = 0; x < array->dim[0]; x += chunk.n) {
                const int64_t left = array->dim[0] - x;
                const char *from = (const char *)array->values + x * stride[0] + y * stride[1] + z * stride[2];
                chunk.n = left < VOXEL_STORE_CHUNK ? left : VOXEL_STORE_CHUNK;
                array_gather(raw, from, stride[0], chunk.n, size);
                if (voxel_store_chunk(volume, &walk, &chunk, error))
                    return error->status;
                chunk.first = false;
            }
    return STATUS_OK;
}

enum status volume_from_array(struct volume *ret, const struct voxel_array *array, const char *name,
                              struct error *error)
{
    struct storage storage = {.format = VOLUME_NIFTI_GZ,
                              .nifti_version = 1,
                              .qform_code = 1,
                              .sform_code = 1,
                              .xyzt_units = 2, /* mm */
                              .space = "left-posterior-superior"};
    if (array_grid(&storage.grid, array, name, error))
        return error->status;
    snprintf(storage.file_type, sizeof storage.file_type, "%s", disk_types[array->type].name);

    struct volume volume = {.grid = orient_canonical(&storage), .type = VOXEL_U8, .storage = storage};
    const size_t n = (size_t)grid_voxels(&volume.grid);
    double *values = memory_alloc(VOXEL_STORE_CHUNK, sizeof *values);
    char *raw = memory_alloc(VOXEL_STORE_CHUNK, sizeof(double));
    volume.data = memory_zalloc(n, 1);
    enum status status =
        values && raw && volume.data ? array_read(&volume, array, values, raw, error) : error_memory(error, n, name);
    memory_free(values);
    memory_free(raw);
    if (status)
        volume_done(&volume);
    else
        *ret = volume;
    return status;
}

void volume_to_array(const struct voxel_array *array, const struct volume *volume)
{
    const size_t size = voxel_bytes(volume->type);
    struct voxel_walk walk = voxel_walk_start(&volume->storage, &volume->grid);
    int64_t stride[3];

    array_strides(stride, array);
    for (int64_t z = 0; z < array->dim[2]; z++)
        for (int64_t y = 0; y < array->dim[1]; y++) {
            char *to = (char *)array->values + y * stride[1] + z * stride[2];
            int64_t at;
            const int64_t n = voxel_walk_next(&walk, array->dim[0], &at);
            if (stride[0] == (int64_t)size) {
                voxel_store_gather(to, volume, at, walk.step[0], n);
                continue;
            }
            for (int64_t x = 0; x < n; x++)
                memcpy(to + x * stride[0], (const char *)volume->data + (at + x * walk.step[0]) * (int64_t)size, size);
        }
}

void volume_box_to_array(const struct voxel_array *array, const struct volume *volume, const struct box *box,
                         const float *values)
{
    const int64_t *dim = volume->grid.dim, wide = box_size(*box, 0), slice = wide * box_size(*box, 1);
    struct voxel_walk walk = voxel_walk_start(&volume->storage, &volume->grid);
    int64_t stride[3];

    array_strides(stride, array);
    for (int64_t z = 0; z < array->dim[2]; z++)
        for (int64_t y = 0; y < array->dim[1]; y++) {
            char *to = (char *)array->values + y * stride[1] + z * stride[2];
            int64_t first;
            const int64_t n = voxel_walk_next(&walk, array->dim[0], &first);
            for (int64_t x = 0; x < n; x++) {
                const int64_t i = first + x * walk.step[0];
                const int64_t at[3] = {i % dim[0], i / dim[0] % dim[1], i / dim[0] / dim[1]};
                bool inside = true;
                for (int a = 0; a < 3; a++)
                    inside = inside && at[a] >= box->lo[a] && at[a] < box->hi[a];
                const float value =
                    inside ? values[(at[2] - box->lo[2]) * slice + (at[1] - box->lo[1]) * wide + at[0] - box->lo[0]]
                           : NAN;
                memcpy(to + x * stride[0], &value, sizeof value);
            }
        }
}
