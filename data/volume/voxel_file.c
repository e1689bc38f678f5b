/* voxel_file.c - voxels between disk and memory, in chunks: the gate before any allocation, reading and
 * writing by voxel_store.h. Test: tests/data/test_volume.c, tests/data/test_volume_hostile.c. */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/volume/orient.h"
#include "data/volume/voxel_file.h"

enum { CHUNK = VOXEL_STORE_CHUNK };

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

static enum status voxel_file_read_chunks(struct volume *volume, struct byte_stream *stream,
                                          const struct voxel_file *file, double *values, void *raw, struct error *error)
{
    struct voxel_walk walk = voxel_walk_start(&file->storage, &volume->grid);
    size_t size = disk_types[file->type].bytes;
    const int64_t layers = file->n_layers > 1 ? file->n_layers : 1, most = CHUNK / layers;
    struct voxel_chunk chunk = {
        .raw = raw, .values = values, .type = file->type, .slope = file->slope, .intercept = file->intercept};
    int64_t n = grid_voxels(&volume->grid);
    for (int64_t done = 0; done < n;) {
        int64_t part = n - done < most ? n - done : most;
        if (byte_stream_read(stream, raw, (size_t)(part * layers) * size, error))
            return STATUS_FAILED;
        for (int64_t i = 0; layers > 1 && i < part; i++) /* of each voxel's values the one that is read */
            memmove((char *)raw + (size_t)i * size, (char *)raw + (size_t)(i * layers + file->layer) * size, size);
        if (file->swap && size > 1)
            voxel_file_swap_bytes(raw, part, size);
        chunk.n = part;
        chunk.first = done == 0;
        if (voxel_store_chunk(volume, &walk, &chunk, error))
            return STATUS_FAILED;
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

enum status voxel_file_write(struct byte_stream *stream, const struct volume *volume, struct error *error)
{
    size_t size = voxel_bytes(volume->type);
    char *raw = memory_alloc(CHUNK, size);
    if (!raw)
        return error_memory(error, CHUNK * size, stream->path);
    struct voxel_walk walk = voxel_walk_start(&volume->storage, &volume->grid);
    enum status status = STATUS_OK;
    if (volume->type == VOXEL_U8)
        byte_stream_expect_runs(stream);
    int64_t n = grid_voxels(&volume->grid);

    for (int64_t done = 0; done < n && !status;) {
        int64_t part = n - done < CHUNK ? n - done : CHUNK, run, at;
        for (int64_t i = 0; i < part; i += run) {
            run = voxel_walk_next(&walk, part - i, &at);
            voxel_store_gather(raw + (size_t)i * size, volume, at, walk.step[0], run);
        }
        status = byte_stream_write(stream, raw, (size_t)part * size, error);
        done += part;
    }

    memory_free(raw);
    return status;
}
