/* voxel_store.c - see voxel_store.h. Test: tests/data/test_volume.c, tests/data/test_array.c. */
#include "data/volume/voxel_store.h"

#include <string.h>

#include "base/memory.h"
#include "data/volume/orient.h"

const struct disk_type_info disk_types[DISK_TYPES] = {
    [DISK_I8] = {"int8", 1},   [DISK_U8] = {"uint8", 1},   [DISK_I16] = {"int16", 2}, [DISK_U16] = {"uint16", 2},
    [DISK_I32] = {"int32", 4}, [DISK_U32] = {"uint32", 4}, [DISK_I64] = {"int64", 8}, [DISK_U64] = {"uint64", 8},
    [DISK_F32] = {"float", 4}, [DISK_F64] = {"double", 8},
};

enum disk_type disk_type_of(enum voxel_type type)
{
    return type == VOXEL_U8 ? DISK_U8 : type == VOXEL_I16 ? DISK_I16 : DISK_F32;
}

/* --- from the file's order into memory --- */

/* n stored numbers as doubles. `raw` is aligned for any of the types. */
static void voxel_store_to_double(double *out, const void *raw, int64_t n, enum disk_type type)
{
    switch (type) {
    case DISK_I8:
        for (int64_t i = 0; i < n; i++)
            out[i] = ((const int8_t *)raw)[i];
        break;
    case DISK_U8:
        for (int64_t i = 0; i < n; i++)
            out[i] = ((const uint8_t *)raw)[i];
        break;
    case DISK_I16:
        for (int64_t i = 0; i < n; i++)
            out[i] = ((const int16_t *)raw)[i];
        break;
    case DISK_U16:
        for (int64_t i = 0; i < n; i++)
            out[i] = ((const uint16_t *)raw)[i];
        break;
    case DISK_I32:
        for (int64_t i = 0; i < n; i++)
            out[i] = ((const int32_t *)raw)[i];
        break;
    case DISK_U32:
        for (int64_t i = 0; i < n; i++)
            out[i] = ((const uint32_t *)raw)[i];
        break;
    case DISK_I64:
        for (int64_t i = 0; i < n; i++)
            out[i] = (double)((const int64_t *)raw)[i];
        break;
    case DISK_U64:
        for (int64_t i = 0; i < n; i++)
            out[i] = (double)((const uint64_t *)raw)[i];
        break;
    case DISK_F32:
        for (int64_t i = 0; i < n; i++)
            out[i] = ((const float *)raw)[i];
        break;
    case DISK_F64:
    case DISK_TYPES:
        memcpy(out, raw, (size_t)n * sizeof *out);
        break;
    }
}

/* The smallest type that holds all n values. */
static enum voxel_type voxel_store_type(const double *values, int64_t n)
{
    double lowest = 0, highest = 0;
    int64_t fractions = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = values[i];
        bool fits = v >= INT16_MIN && v <= INT16_MAX;
        double inside = fits ? v : 0;
        fractions += !fits || inside != (double)(int32_t)inside;
        lowest = inside < lowest ? inside : lowest;
        highest = inside > highest ? inside : highest;
    }
    if (fractions)
        return VOXEL_F32;
    return lowest < 0 || highest > UINT8_MAX ? VOXEL_I16 : VOXEL_U8;
}

/* Memory of a wider type in place of volume->data; the values so far are carried over where any were read. */
static enum status voxel_store_widen(struct volume *volume, enum voxel_type type, bool carry, struct error *error)
{
    int64_t n = grid_voxels(&volume->grid);
    if (!carry) {
        memory_free(volume->data);
        volume->data = NULL;
    }

    void *wide = memory_zalloc((size_t)n, voxel_bytes(type));
    if (!wide)
        return error_memory(error, (size_t)n * voxel_bytes(type), "voxels");
    if (carry && volume->type == VOXEL_U8 && type == VOXEL_I16)
        for (int64_t i = 0; i < n; i++)
            ((int16_t *)wide)[i] = ((const uint8_t *)volume->data)[i];
    else if (carry && volume->type == VOXEL_U8)
        for (int64_t i = 0; i < n; i++)
            ((float *)wide)[i] = ((const uint8_t *)volume->data)[i];
    else if (carry)
        for (int64_t i = 0; i < n; i++)
            ((float *)wide)[i] = ((const int16_t *)volume->data)[i];
    memory_free(volume->data);
    volume->data = wide;
    volume->type = type;
    return STATUS_OK;
}

/* n values to data[at], data[at + step] ... */
static void voxel_store_run(struct volume *volume, int64_t at, int64_t step, const double *values, int64_t n)
{
    if (volume->type == VOXEL_U8)
        for (int64_t i = 0; i < n; i++)
            ((uint8_t *)volume->data)[at + i * step] = (uint8_t)values[i];
    else if (volume->type == VOXEL_I16)
        for (int64_t i = 0; i < n; i++)
            ((int16_t *)volume->data)[at + i * step] = (int16_t)values[i];
    else
        for (int64_t i = 0; i < n; i++)
            ((float *)volume->data)[at + i * step] = (float)values[i];
}

struct voxel_walk voxel_walk_start(const struct storage *storage, const struct grid *grid)
{
    struct voxel_walk walk = {0};
    orient_steps(&walk.start, walk.step, storage, grid->dim);
    for (int a = 0; a < 3; a++)
        walk.dim[a] = grid->dim[storage->axis[a]];
    return walk;
}

int64_t voxel_walk_next(struct voxel_walk *walk, int64_t n, int64_t *ret_at)
{
    *ret_at =
        walk->start + walk->index[0] * walk->step[0] + walk->index[1] * walk->step[1] + walk->index[2] * walk->step[2];
    int64_t left = walk->dim[0] - walk->index[0];
    int64_t run = n < left ? n : left;
    walk->index[0] += run;
    for (int a = 0; a < 2 && walk->index[a] == walk->dim[a]; a++) {
        walk->index[a] = 0;
        walk->index[a + 1]++;
    }
    return run;
}

/* Nine tenths of a skull's file are background. */
static bool voxel_store_is_zero(const void *raw, size_t bytes)
{
    const uint64_t *words = raw;
    uint64_t any = 0;
    for (size_t i = 0; i < bytes / sizeof any; i++)
        any |= words[i];
    for (size_t i = bytes / sizeof any * sizeof any; i < bytes; i++)
        any |= ((const uint8_t *)raw)[i];
    return any == 0;
}

enum status voxel_store_chunk(struct volume *volume, struct voxel_walk *walk, const struct voxel_chunk *chunk,
                              struct error *error)
{
    const int64_t n = chunk->n;
    double *values = chunk->values;

    /* Memory is zero already */
    if (voxel_store_is_zero(chunk->raw, (size_t)n * disk_types[chunk->type].bytes) && chunk->intercept == 0) {
        for (int64_t i = 0, at; i < n;)
            i += voxel_walk_next(walk, n - i, &at);
        return STATUS_OK;
    }

    voxel_store_to_double(values, chunk->raw, n, chunk->type);
    if (chunk->slope != 1 || chunk->intercept != 0)
        for (int64_t i = 0; i < n; i++)
            values[i] = values[i] * chunk->slope + chunk->intercept;

    enum voxel_type needed = voxel_store_type(values, n);
    if (needed > volume->type && voxel_store_widen(volume, needed, !chunk->first, error))
        return STATUS_FAILED;
    for (int64_t i = 0, run, at; i < n; i += run) {
        run = voxel_walk_next(walk, n - i, &at);
        voxel_store_run(volume, at, walk->step[0], values + i, run);
    }
    return STATUS_OK;
}

/* --- and back --- */

void voxel_store_gather(void *out, const struct volume *volume, int64_t at, int64_t step, int64_t n)
{
    size_t size = voxel_bytes(volume->type);
    const char *data = volume->data;
    if (step == 1)
        memcpy(out, data + (size_t)at * size, (size_t)n * size);
    else if (size == 1)
        for (int64_t i = 0; i < n; i++)
            ((char *)out)[i] = data[at + i * step];
    else
        for (int64_t i = 0; i < n; i++)
            memcpy((char *)out + (size_t)i * size, data + (at + i * step) * (int64_t)size, size);
}
