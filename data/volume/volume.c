/* volume.c - volumes as wholes: reading by content, writing by name, masks. Test: tests/data/test_volume.c. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/volume/orient.h"
#include "data/volume/voxel_file.h"

static const char *const volume_suffixes[] = {
    [VOLUME_NIFTI_GZ] = ".nii.gz", [VOLUME_NIFTI] = ".nii", [VOLUME_NRRD] = ".nrrd", [VOLUME_NHDR] = ".nhdr"};
enum { VOLUME_FORMATS = sizeof volume_suffixes / sizeof volume_suffixes[0] };

size_t voxel_bytes(enum voxel_type type)
{
    return type == VOXEL_U8 ? 1 : type == VOXEL_I16 ? 2 : 4;
}

enum status volume_new(struct volume *ret, const struct grid *grid, enum voxel_type type, struct error *error)
{
    struct volume volume = {.grid = *grid, .type = type};
    if (grid_check(grid, "new volume", error))
        return STATUS_FAILED;
    volume.storage = orient_default(grid);
    snprintf(volume.storage.file_type, sizeof volume.storage.file_type, "%s", disk_types[disk_type_of(type)].name);
    volume.data = memory_zalloc((size_t)grid_voxels(grid), voxel_bytes(type));
    if (!volume.data)
        return error_memory(error, (size_t)grid_voxels(grid) * voxel_bytes(type), "volume");
    *ret = volume;
    return STATUS_OK;
}

void volume_done(struct volume *volume)
{
    if (!volume)
        return;
    memory_free(volume->data);
    volume->data = NULL;
}

/* --- reading --- */

/* Says what the file is by its first bytes. */
static enum status volume_open(struct voxel_file *ret, const char *path, struct error *error)
{
    unsigned char head[132] = {0};
    FILE *file = file_is_folder(path) ? NULL : fopen(path, "rb");
    if (!file)
        return error_set(error, STATUS_FAILED, "%s: cannot be opened: %s", path,
                         file_is_folder(path) ? "it is a folder" : strerror(errno));
    size_t bytes = fread(head, 1, sizeof head, file);
    fclose(file);
    if (bytes == 0)
        return error_set(error, STATUS_FAILED, "%s: the file is empty", path);
    if (memcmp(head, "NRRD000", 7) == 0)
        return nrrd_open(ret, path, error);
    if (memcmp(head + 128, "DICM", 4) == 0)
        return error_set(error, STATUS_FAILED,
                         "%s: a DICOM file: only NIfTI and NRRD are read (dcm2niix turns a series into NIfTI)", path);
    return nifti_open(ret, path, head[0] == 0x1f && head[1] == 0x8b, error);
}

enum status volume_read(struct volume *ret, const char *path, struct error *error)
{
    struct voxel_file file = {0};
    struct grid grid;
    enum status status = volume_open(&file, path, error);
    if (!status)
        status = voxel_file_check(&file, &grid, error);
    if (!status)
        status = voxel_file_read(ret, &file, &grid, error);
    voxel_file_done(&file);
    return status;
}

enum status volume_read_header(struct volume *ret, const char *path, struct error *error)
{
    struct voxel_file file = {0};
    struct grid grid;
    enum status status = volume_open(&file, path, error);
    if (!status)
        status = voxel_file_check(&file, &grid, error);
    if (!status) {
        bool scaled = file.slope != 1 || file.intercept != 0;
        enum voxel_type type = file.type == DISK_U8 && !scaled    ? VOXEL_U8
                               : file.type == DISK_I16 && !scaled ? VOXEL_I16
                                                                  : VOXEL_F32;
        *ret = (struct volume){.grid = grid, .type = type, .storage = file.storage};
    }
    voxel_file_done(&file);
    return status;
}

static double volume_value(const struct volume *volume, int64_t i)
{
    return volume->type == VOXEL_U8    ? ((const uint8_t *)volume->data)[i]
           : volume->type == VOXEL_I16 ? ((const int16_t *)volume->data)[i]
                                       : (double)((const float *)volume->data)[i];
}

static uint8_t volume_highest_byte(const uint8_t *bytes, int64_t n)
{
    uint8_t highest = 0;
#pragma omp parallel for schedule(static) reduction(max : highest)
    for (int64_t i = 0; i < n; i++)
        highest = bytes[i] > highest ? bytes[i] : highest;
    return highest;
}

/* In place: 1 where `on`, else 0; counts what is neither `on` nor 0. */
static int64_t volume_bytes_to_mask(uint8_t *bytes, int64_t n, uint8_t on)
{
    enum { BLOCK = 4096 };
    int64_t n_other = 0;
#pragma omp parallel for schedule(static) reduction(+ : n_other)
    for (int64_t block = 0; block < n; block += BLOCK) {
        int64_t end = block + BLOCK < n ? block + BLOCK : n;
        uint32_t other = 0;
        for (int64_t i = block; i < end; i++) {
            other += bytes[i] != on && bytes[i] != 0;
            bytes[i] = bytes[i] == on;
        }
        n_other += other;
    }
    return n_other;
}

/* The one value a mask has beside 0: its largest, or its smallest where none is above 0. Counts what is no number. */
static double volume_mask_value(const struct volume *volume, int64_t *ret_nan)
{
    int64_t n = grid_voxels(&volume->grid), n_nan = 0;
    double lowest = 0, highest = 0;
    *ret_nan = 0;
    if (volume->type == VOXEL_U8)
        return volume_highest_byte(volume->data, n);
#pragma omp parallel for schedule(static) reduction(min : lowest) reduction(max : highest) reduction(+ : n_nan)
    for (int64_t i = 0; i < n; i++) {
        double value = volume_value(volume, i);
        lowest = value < lowest ? value : lowest;
        highest = value > highest ? value : highest;
        n_nan += value != value;
    }
    *ret_nan = n_nan;
    return highest > 0 ? highest : lowest;
}

/* 1 where the value is `on`, else 0; counts what is neither `on` nor 0. */
static int64_t volume_values_to_mask(uint8_t *mask, const struct volume *volume, double on)
{
    int64_t n = grid_voxels(&volume->grid), n_other = 0;
#pragma omp parallel for schedule(static) reduction(+ : n_other)
    for (int64_t i = 0; i < n; i++) {
        double value = volume_value(volume, i);
        n_other += value != on && !(value == 0);
        mask[i] = value == on;
    }
    return n_other;
}

static enum status volume_to_mask(struct volume *volume, const char *path, struct error *error)
{
    int64_t n = grid_voxels(&volume->grid), n_nan;
    double on = volume_mask_value(volume, &n_nan);
    if (on == 0 && n_nan == 0)
        return error_set(error, STATUS_FAILED, "%s: empty skull: all %" PRId64 " voxels are 0", path, n);
    uint8_t *mask = volume->type == VOXEL_U8 ? volume->data : memory_alloc((size_t)n, 1);
    if (!mask)
        return error_memory(error, (size_t)n, path);
    int64_t n_other = on == 0                    ? n_nan
                      : volume->type == VOXEL_U8 ? volume_bytes_to_mask(mask, n, (uint8_t)on)
                                                 : volume_values_to_mask(mask, volume, on);
    if (mask != volume->data) {
        memory_free(volume->data);
        volume->data = mask;
        volume->type = VOXEL_U8;
    }

    if (n_other > 0)
        return error_set(error, STATUS_FAILED,
                         "%s: non-binary skull: %" PRId64 " of %" PRId64
                         " voxels are neither 0 nor %g ('calvaria segment' turns a CT into a mask)",
                         path, n_other, n, on);
    return STATUS_OK;
}

enum status volume_read_mask(struct volume *ret, const char *path, struct error *error)
{
    struct volume volume = {0};
    if (volume_read(&volume, path, error))
        return STATUS_FAILED;
    if (volume_to_mask(&volume, path, error)) {
        volume_done(&volume);
        return STATUS_FAILED;
    }
    *ret = volume;
    return STATUS_OK;
}

/* --- writing --- */

static bool volume_storage_valid(const struct storage *storage)
{
    int seen = 0;
    for (int a = 0; a < 3; a++)
        seen |= storage->axis[a] >= 0 && storage->axis[a] < 3 ? 1 << storage->axis[a] : 8;
    return seen == 7;
}

enum status volume_write(const char *path, const struct volume *volume, struct error *error)
{
    int format = volume_format_of(path);
    struct volume out = *volume;
    if (format < 0)
        return error_set(error, STATUS_USAGE, "%s: no volume format ends like this (.nii.gz .nii .nrrd .nhdr)", path);
    if (grid_check(&volume->grid, path, error))
        return STATUS_FAILED;
    if (!volume_storage_valid(&out.storage))
        out.storage = orient_default(&out.grid);
    if (format == VOLUME_NIFTI || format == VOLUME_NIFTI_GZ)
        return nifti_write(path, &out, format == VOLUME_NIFTI_GZ, error);
    return nrrd_write(path, &out, format == VOLUME_NHDR, error);
}

/* --- names --- */

const char *volume_suffix(enum volume_format format)
{
    return volume_suffixes[format];
}

int volume_format_of(const char *path)
{
    for (int format = 0; format < VOLUME_FORMATS; format++)
        if (file_has_suffix(path, volume_suffixes[format]))
            return format;
    return -1;
}

char *volume_case_name(struct arena *arena, const char *path)
{
    static const char *const endings[] = {"_defective", "_complete", "_ct"};
    const char *base = file_base(path);
    size_t length = strlen(base);
    int format = volume_format_of(base);
    if (format >= 0 && strlen(volume_suffixes[format]) < length)
        length -= strlen(volume_suffixes[format]);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t ending = strlen(endings[i]);
        if (length > ending && strncasecmp(base + length - ending, endings[i], ending) == 0) {
            length -= ending;
            break;
        }
    }
    return arena_printf(arena, "%.*s", (int)length, base);
}
