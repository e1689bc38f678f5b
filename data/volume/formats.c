/* formats.c - the file formats of volumes: one row each, and reading and writing by them. A reader is added here.
 * Test: tests/data/test_volume.c, tests/data/test_volume_hostile.c. */
#include "data/volume/formats.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "data/volume/orient.h"
#include "data/volume/voxel_file.h"

/* ---- what a file is ---- */

enum { HEAD_BYTES = 132 };

static bool formats_is_gzip(const unsigned char *head)
{
    return head[0] == 0x1f && head[1] == 0x8b;
}

static bool formats_is_nrrd(const unsigned char *head)
{
    return memcmp(head, "NRRD000", 7) == 0;
}

/* The size of the header, 348 or 540, in either byte order. */
static bool formats_is_nifti(const unsigned char *head)
{
    const unsigned little = head[0] | (unsigned)head[1] << 8, big = head[3] | (unsigned)head[2] << 8;
    return little == 348 || little == 540 || big == 348 || big == 540;
}

static bool formats_is_dicom(const unsigned char *head)
{
    return memcmp(head + 128, "DICM", 4) == 0;
}

static bool formats_is_metaimage(const unsigned char *head)
{
    const char *text = (const char *)head;
    return strncmp(text, "ObjectType", 10) == 0 || strncmp(text, "NDims", 5) == 0;
}

/* ---- the table ---- */

static enum status formats_open_nifti(struct voxel_file *ret, const struct file_series *files, struct error *error)
{
    return nifti_open(ret, files->paths[0], false, error);
}

static enum status formats_open_nifti_gz(struct voxel_file *ret, const struct file_series *files, struct error *error)
{
    return nifti_open(ret, files->paths[0], true, error);
}

static enum status formats_open_nrrd(struct voxel_file *ret, const struct file_series *files, struct error *error)
{
    return nrrd_open(ret, files->paths[0], error);
}

static enum status formats_open_metaimage(struct voxel_file *ret, const struct file_series *files, struct error *error)
{
    return metaimage_open(ret, files->paths[0], error);
}

static enum status formats_open_dicom(struct voxel_file *ret, const struct file_series *files, struct error *error)
{
    (void)ret;
    return error_set(error, STATUS_FAILED,
                     "%s: one slice of a DICOM series ('calvaria segment' and 'calvaria infer' read the series: its "
                     "folder or a zip)",
                     files->paths[0]);
}

static enum status formats_write_nifti(const char *path, const struct volume *volume, struct error *error)
{
    return nifti_write(path, volume, false, error);
}

static enum status formats_write_nifti_gz(const char *path, const struct volume *volume, struct error *error)
{
    return nifti_write(path, volume, true, error);
}

static enum status formats_write_nrrd(const char *path, const struct volume *volume, struct error *error)
{
    return nrrd_write(path, volume, false, error);
}

static enum status formats_write_nhdr(const char *path, const struct volume *volume, struct error *error)
{
    return nrrd_write(path, volume, true, error);
}

/* A row of a reader. The first row that matches a file's first bytes opens it; `write` NULL: the format is read only.
 */
struct format {
    const char *suffix;
    bool (*matches)(const unsigned char *head); /* HEAD_BYTES of them, zeros where the file is shorter */
    enum status (*open)(struct voxel_file *ret, const struct file_series *files, struct error *error);
    enum status (*write)(const char *path, const struct volume *volume, struct error *error);
};

/* The first rows are enum volume_format. */
/* clang-format off */
static const struct format formats[] = {
    [VOLUME_NIFTI_GZ] = {".nii.gz", formats_is_gzip,  formats_open_nifti_gz, formats_write_nifti_gz},
    [VOLUME_NIFTI]    = {".nii",    formats_is_nifti, formats_open_nifti,    formats_write_nifti},
    [VOLUME_NRRD]     = {".nrrd",   formats_is_nrrd,  formats_open_nrrd,     formats_write_nrrd},
    [VOLUME_NHDR]     = {".nhdr",   formats_is_nrrd,  formats_open_nrrd,     formats_write_nhdr},
                        {".mha",    formats_is_metaimage, formats_open_metaimage, NULL},
                        {".dcm",    formats_is_dicom, formats_open_dicom,    NULL},
};
/* clang-format on */
enum { N_FORMATS = sizeof formats / sizeof formats[0] };

/* ---- reading ---- */

/* By content: the first bytes of the first file. */
enum status formats_open(struct voxel_file *ret, const struct file_series *files, struct error *error)
{
    unsigned char head[HEAD_BYTES] = {0};
    const char *path = files->paths[0];
    if (file_is_folder(path))
        return error_set(error, STATUS_FAILED, "%s: cannot be opened: it is a folder", path);
    FILE *file = fopen(path, "rb");
    if (!file)
        return error_system(error, errno, "%s: cannot be opened", path);
    size_t bytes = fread(head, 1, sizeof head, file);
    fclose(file);
    if (bytes == 0)
        return error_set(error, STATUS_FAILED, "%s: the file is empty", path);

    for (size_t f = 0; f < N_FORMATS; f++)
        if (formats[f].matches(head))
            return formats[f].open(ret, files, error);
    if (file_has_suffix(path, ".img") || file_has_suffix(path, ".img.gz"))
        return error_set(error, STATUS_FAILED, "%s: the voxels of a header/image pair (name the header: NAME.hdr)",
                         path);
    if (bytes < 4)
        return error_set(error, STATUS_FAILED, "%s: the file ends early: %zu bytes (truncated?)", path, bytes);
    return error_set(error, STATUS_FAILED,
                     "%s: neither NIfTI nor NRRD (.nii, .nii.gz, .hdr, .nrrd, .nhdr, .mha and .mhd are read)", path);
}

/* One file, its header checked; voxel_file_done either way. */
static enum status formats_open_checked(struct voxel_file *file, struct grid *grid, const char *path,
                                        struct error *error)
{
    enum status status = file_check_ordinary(path, error);
    if (!status)
        status = formats_open(file, &(struct file_series){1, &path}, error);
    return status ? status : voxel_file_check(file, grid, error);
}

enum status volume_read(struct volume *ret, const char *path, struct error *error)
{
    struct voxel_file file = {0};
    struct grid grid;
    enum status status = formats_open_checked(&file, &grid, path, error);
    if (!status)
        status = voxel_file_read(ret, &file, &grid, error);
    voxel_file_done(&file);
    return status;
}

enum status volume_read_header(struct volume *ret, const char *path, struct error *error)
{
    struct voxel_file file = {0};
    struct grid grid;
    enum status status = formats_open_checked(&file, &grid, path, error);
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

/* ---- writing ---- */

static bool formats_storage_valid(const struct storage *storage)
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
    if (!formats_storage_valid(&out.storage))
        out.storage = orient_default(&out.grid);
    return formats[format].write(path, &out, error);
}

/* ---- names ---- */

const char *volume_suffix(enum volume_format format)
{
    return formats[format].suffix;
}

int volume_format_of(const char *path)
{
    for (int format = 0; format < (int)N_FORMATS; format++)
        if (formats[format].write && file_has_suffix(path, formats[format].suffix))
            return format;
    return -1;
}

char *volume_case_name(struct arena *arena, const char *path)
{
    static const char *const endings[] = {"_defective", "_complete", "_ct"};
    size_t whole = strlen(path);
    while (whole > 1 && path[whole - 1] == '/') /* a folder of slices */
        whole--;
    char *trimmed = arena_printf(arena, "%.*s", (int)whole, path);
    if (!trimmed)
        return NULL;
    const char *base = file_base(trimmed);
    size_t length = strlen(base);
    int format = volume_format_of(base);
    const char *suffix = format >= 0                     ? formats[format].suffix
                         : file_has_suffix(base, ".zip") ? ".zip"
                         : file_has_suffix(base, ".dcm") ? ".dcm"
                         : file_has_suffix(base, ".mha") ? ".mha"
                         : file_has_suffix(base, ".mhd") ? ".mhd"
                         : file_has_suffix(base, ".hdr") ? ".hdr"
                                                         : "";
    if (strlen(suffix) < length)
        length -= strlen(suffix);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t ending = strlen(endings[i]);
        if (length > ending && strncasecmp(base + length - ending, endings[i], ending) == 0) {
            length -= ending;
            break;
        }
    }
    return arena_printf(arena, "%.*s", (int)length, base);
}
