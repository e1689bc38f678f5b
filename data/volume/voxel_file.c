/* voxel_file.c - voxels between disk and memory, in chunks: the gate, widening to the smallest type that holds all,
 * axis order. Test: tests/data/test_volume.c, tests/data/test_volume_hostile.c. */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/volume/orient.h"
#include "data/volume/voxel_file.h"

enum { CHUNK = 1 << 15 }; /* voxels: a chunk of doubles stays in the cache */

const struct disk_type_info disk_types[DISK_TYPES] = {
    [DISK_I8] = {"int8", 1},   [DISK_U8] = {"uint8", 1},   [DISK_I16] = {"int16", 2}, [DISK_U16] = {"uint16", 2},
    [DISK_I32] = {"int32", 4}, [DISK_U32] = {"uint32", 4}, [DISK_I64] = {"int64", 8}, [DISK_U64] = {"uint64", 8},
    [DISK_F32] = {"float", 4}, [DISK_F64] = {"double", 8},
};

enum disk_type disk_type_of(enum voxel_type type)
{
    return type == VOXEL_U8 ? DISK_U8 : type == VOXEL_I16 ? DISK_I16 : DISK_F32;
}

void voxel_file_done(struct voxel_file *file)
{
    memory_free(file->data_path);
    memory_free(file->segments);
    file->data_path = NULL;
    file->segments = NULL;
}

enum status voxel_file_detach(struct voxel_file *file, const char *name, struct error *error)
{
    const char *why = NULL;
    if (strncmp(name, "./", 2) == 0)
        name += 2;
    if (!*name)
        why = "empty name";
    else if (strchr(name, '%') || strncasecmp(name, "LIST", 4) == 0)
        why = "a list of files (join them: unu save -f nrrd)";
    else if (name[0] == '/' || strncmp(name, "../", 3) == 0 || strstr(name, "/../"))
        why = "it must lie in the header's own folder or below it";
    if (why)
        return error_set(error, STATUS_FAILED, "%s: data file '%s': %s", file->path, name, why);
    file->data_path = memory_printf("%.*s%s", (int)(file_base(file->path) - file->path), file->path, name);
    return file->data_path ? STATUS_OK : error_memory(error, strlen(file->path) + strlen(name), file->path);
}

enum status voxel_file_check(struct voxel_file *file, struct grid *ret_grid, struct error *error)
{
    if (grid_check(&file->storage.grid, file->path, error))
        return STATUS_FAILED;

    const char *path = file->data_path ? file->data_path : file->path;
    struct stat info;
    if (stat(path, &info))
        return error_set(error, STATUS_FAILED, "%s: its data file %s is missing", file->path, path);
    if (!S_ISREG(info.st_mode))
        return error_set(error, STATUS_FAILED, "%s: data file %s is not a plain file", file->path, path);

    /* No allocation before the file is long enough for what its header claims */
    int64_t layers = file->n_layers > 1 ? file->n_layers : 1;
    int64_t bytes = grid_voxels(&file->storage.grid) * layers * (int64_t)disk_types[file->type].bytes;
    int64_t held = byte_stream_bound(info.st_size - file->data_offset, file->packing);
    if (file->skip_bytes < 0 && file->packing == PACKING_PLAIN && bytes <= held)
        file->skip_bytes = held - bytes;
    if (file->skip_bytes < 0 || file->data_offset > info.st_size || file->skip_bytes > held ||
        bytes > held - file->skip_bytes)
        return error_set(error, STATUS_FAILED,
                         "%s: the header claims %" PRId64 " x %" PRId64 " x %" PRId64 " voxels of %s from byte %" PRId64
                         " + %" PRId64 " on, but %" PRId64 " bytes of file hold less (truncated, or a damaged header)",
                         file->path, file->storage.grid.dim[0], file->storage.grid.dim[1], file->storage.grid.dim[2],
                         disk_types[file->type].name, file->data_offset, file->skip_bytes, (int64_t)info.st_size);

    if (!isfinite(file->slope) || !isfinite(file->intercept))
        return error_set(error, STATUS_FAILED, "%s: slope %g and intercept %g: not finite (a damaged header?)",
                         file->path, file->slope, file->intercept);

    snprintf(file->storage.file_type, sizeof file->storage.file_type, "%s", disk_types[file->type].name);
    file->storage.n_segments = file->n_segments;
    *ret_grid = orient_canonical(&file->storage);
    return STATUS_OK;
}

/* --- reading --- */

static void voxel_file_swap_bytes(unsigned char *data, int64_t n, size_t size)
{
    for (int64_t i = 0; i < n; i++, data += size)
        for (size_t k = 0; k < size / 2; k++) {
            unsigned char byte = data[k];
            data[k] = data[size - 1 - k];
            data[size - 1 - k] = byte;
        }
}

/* n stored numbers as doubles. `raw` is aligned for any of the types. */
static void voxel_file_chunk_to_double(double *out, const void *raw, int64_t n, enum disk_type type)
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
static enum voxel_type voxel_file_chunk_type(const double *values, int64_t n)
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
static enum status voxel_file_widen(struct volume *volume, enum voxel_type type, bool carry, struct error *error)
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
static void voxel_file_run_store(struct volume *volume, int64_t at, int64_t step, const double *values, int64_t n)
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

/* Walks voxels in file order; `run` counts those left in the current row. */
struct file_walk {
    int64_t dim[3], step[3], index[3], start;
};

static struct file_walk voxel_file_walk_start(const struct storage *storage, const struct grid *grid)
{
    struct file_walk walk = {0};
    orient_steps(&walk.start, walk.step, storage, grid->dim);
    for (int a = 0; a < 3; a++)
        walk.dim[a] = grid->dim[storage->axis[a]];
    return walk;
}

/* The next at most n voxels that lie in one row: *ret_at is where the first stands in memory. */
static int64_t voxel_file_walk_next(struct file_walk *walk, int64_t n, int64_t *ret_at)
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
static bool voxel_file_chunk_is_zero(const void *raw, size_t bytes)
{
    const uint64_t *words = raw;
    uint64_t any = 0;
    for (size_t i = 0; i < bytes / sizeof any; i++)
        any |= words[i];
    for (size_t i = bytes / sizeof any * sizeof any; i < bytes; i++)
        any |= ((const uint8_t *)raw)[i];
    return any == 0;
}

/* What was read of one chunk, to its places; `first`: nothing was stored before. */
static enum status voxel_file_chunk_store(struct volume *volume, struct file_walk *walk, const double *values,
                                          int64_t n, bool first, struct error *error)
{
    enum voxel_type needed = voxel_file_chunk_type(values, n);
    if (needed > volume->type && voxel_file_widen(volume, needed, !first, error))
        return STATUS_FAILED;
    for (int64_t i = 0, run, at; i < n; i += run) {
        run = voxel_file_walk_next(walk, n - i, &at);
        voxel_file_run_store(volume, at, walk->step[0], values + i, run);
    }
    return STATUS_OK;
}

static enum status voxel_file_read_chunks(struct volume *volume, struct byte_stream *stream,
                                          const struct voxel_file *file, double *values, void *raw, struct error *error)
{
    struct file_walk walk = voxel_file_walk_start(&file->storage, &volume->grid);
    size_t size = disk_types[file->type].bytes;
    const int64_t layers = file->n_layers > 1 ? file->n_layers : 1, chunk = CHUNK / layers;
    bool scaled = file->slope != 1 || file->intercept != 0;
    int64_t n = grid_voxels(&volume->grid);
    for (int64_t done = 0; done < n;) {
        int64_t part = n - done < chunk ? n - done : chunk;
        if (byte_stream_read(stream, raw, (size_t)(part * layers) * size, error))
            return STATUS_FAILED;
        for (int64_t i = 0; layers > 1 && i < part; i++) /* of each voxel's values the one that is read */
            memmove((char *)raw + (size_t)i * size, (char *)raw + (size_t)(i * layers + file->layer) * size, size);
        if (voxel_file_chunk_is_zero(raw, (size_t)part * size) && file->intercept == 0) { /* memory is zero already */
            for (int64_t i = 0, at; i < part;)
                i += voxel_file_walk_next(&walk, part - i, &at);
        } else {
            if (file->swap && size > 1)
                voxel_file_swap_bytes(raw, part, size);
            voxel_file_chunk_to_double(values, raw, part, file->type);
            for (int64_t i = 0; scaled && i < part; i++)
                values[i] = values[i] * file->slope + file->intercept;
            if (voxel_file_chunk_store(volume, &walk, values, part, done == 0, error))
                return STATUS_FAILED;
        }
        done += part;
    }
    return byte_stream_verify(stream, error);
}

enum status voxel_file_read(struct volume *ret, const struct voxel_file *file, const struct grid *grid,
                            struct error *error)
{
    struct volume volume = {.grid = *grid, .type = VOXEL_U8, .storage = file->storage};
    struct byte_stream stream = {0};
    enum status status = STATUS_FAILED;
    double *values = memory_alloc(CHUNK, sizeof *values);
    void *raw = memory_alloc(CHUNK, sizeof(double));
    volume.data = memory_zalloc((size_t)grid_voxels(grid), 1);
    if (!values || !raw || !volume.data) {
        error_memory(error, (size_t)grid_voxels(grid), file->path);
        goto done;
    }
    if (byte_stream_open(&stream, file->data_path ? file->data_path : file->path, file->data_offset, file->packing,
                         error) ||
        byte_stream_skip(&stream, file->skip_bytes, error) ||
        voxel_file_read_chunks(&volume, &stream, file, values, raw, error))
        goto done;
    *ret = volume;
    volume.data = NULL;
    status = STATUS_OK;
done:
    byte_stream_abandon(&stream);
    memory_free(volume.data);
    memory_free(raw);
    memory_free(values);
    return status;
}

/* --- writing --- */

static void voxel_file_run_gather(void *out, const struct volume *volume, int64_t at, int64_t step, int64_t n)
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

enum status voxel_file_write(struct byte_stream *stream, const struct volume *volume, struct error *error)
{
    size_t size = voxel_bytes(volume->type);
    char *raw = memory_alloc(CHUNK, size);
    if (!raw)
        return error_memory(error, CHUNK * size, stream->path);
    struct file_walk walk = voxel_file_walk_start(&volume->storage, &volume->grid);
    enum status status = STATUS_OK;
    if (volume->type == VOXEL_U8)
        byte_stream_expect_runs(stream);
    int64_t n = grid_voxels(&volume->grid);

    for (int64_t done = 0; done < n && !status;) {
        int64_t part = n - done < CHUNK ? n - done : CHUNK, run, at;
        for (int64_t i = 0; i < part; i += run) {
            run = voxel_file_walk_next(&walk, part - i, &at);
            voxel_file_run_gather(raw + (size_t)i * size, volume, at, walk.step[0], run);
        }
        status = byte_stream_write(stream, raw, (size_t)part * size, error);
        done += part;
    }

    memory_free(raw);
    return status;
}
