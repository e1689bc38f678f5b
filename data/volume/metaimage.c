/* metaimage.c - MetaImage of ITK (.mha with its voxels, .mhd beside a raw file), plain, zlib-compressed or in ASCII.
 * World coordinates are LPS. Test: tests/data/test_volume.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/volume/voxel_file.h"

enum { METAIMAGE_HEADER_MAX = 1 << 16 };

struct metaimage {
    bool has_dims, has_spacing, has_type, big_endian, ascii, compressed;
    int n_dims, channels;
    double matrix[9];
    char data[256]; /* LOCAL, or the file of the voxels */
};

/* n numbers, all of them finite; false where there are fewer. */
static bool metaimage_numbers(double *out, int n, const char *text)
{
    for (int i = 0; i < n; i++) {
        char *end;
        out[i] = strtod(text, &end);
        if (end == text || !isfinite(out[i]))
            return false;
        text = end;
    }
    return true;
}

static bool metaimage_type(enum disk_type *ret, const char *text)
{
    static const struct {
        const char *name;
        enum disk_type type;
    } known[] = {{"MET_CHAR", DISK_I8},       {"MET_UCHAR", DISK_U8},       {"MET_SHORT", DISK_I16},
                 {"MET_USHORT", DISK_U16},    {"MET_INT", DISK_I32},        {"MET_UINT", DISK_U32},
                 {"MET_LONG_LONG", DISK_I64}, {"MET_ULONG_LONG", DISK_U64}, {"MET_FLOAT", DISK_F32},
                 {"MET_DOUBLE", DISK_F64}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(text, known[i].name) == 0) {
            *ret = known[i].type;
            return true;
        }
    return false;
}

/* One line "key = value". False: the value makes no sense. */
static bool metaimage_take(struct metaimage *meta, struct voxel_file *file, const char *key, const char *value)
{
    struct grid *grid = &file->storage.grid;
    double numbers[9];
    if (strcmp(key, "NDims") == 0)
        meta->n_dims = (int)strtol(value, NULL, 10);
    else if (strcmp(key, "DimSize") == 0) {
        meta->has_dims = metaimage_numbers(numbers, 3, value);
        for (int a = 0; a < 3 && meta->has_dims; a++)
            grid->dim[a] = numbers[a] > 0 && numbers[a] < 1e9 ? (int64_t)numbers[a] : -1;
        return meta->has_dims;
    } else if (strcmp(key, "ElementSpacing") == 0) {
        meta->has_spacing = metaimage_numbers(numbers, 3, value);
        for (int a = 0; a < 3 && meta->has_spacing; a++)
            grid->axis[a][a] = numbers[a];
        return meta->has_spacing;
    } else if (strcmp(key, "TransformMatrix") == 0 || strcmp(key, "Rotation") == 0 || strcmp(key, "Orientation") == 0)
        return metaimage_numbers(meta->matrix, 9, value);
    else if (strcmp(key, "Offset") == 0 || strcmp(key, "Position") == 0 || strcmp(key, "Origin") == 0)
        return metaimage_numbers(grid->origin, 3, value);
    else if (strcmp(key, "ElementType") == 0)
        return meta->has_type = metaimage_type(&file->type, value);
    else if (strcmp(key, "ElementNumberOfChannels") == 0)
        meta->channels = (int)strtol(value, NULL, 10);
    else if (strcmp(key, "BinaryDataByteOrderMSB") == 0 || strcmp(key, "ElementByteOrderMSB") == 0)
        meta->big_endian = strcasecmp(value, "True") == 0;
    else if (strcmp(key, "CompressedData") == 0)
        meta->compressed = strcasecmp(value, "True") == 0;
    else if (strcmp(key, "BinaryData") == 0)
        meta->ascii = strcasecmp(value, "False") == 0;
    else if (strcmp(key, "HeaderSize") == 0)
        file->skip_bytes = (int64_t)strtol(value, NULL, 10);
    else if (strcmp(key, "ElementDataFile") == 0)
        snprintf(meta->data, sizeof meta->data, "%s", value);
    return true;
}

/* Lines up to ElementDataFile, which is the last. *ret_end: where the voxels of an .mha begin. */
static enum status metaimage_parse(struct metaimage *meta, struct voxel_file *file, char *text, size_t bytes,
                                   int64_t *ret_end, struct error *error)
{
    char *line = text, *end = text + bytes;
    while (line < end && !*meta->data) {
        char *newline = memchr(line, '\n', (size_t)(end - line)), *equals;
        if (!newline)
            break;
        *newline = '\0';
        if ((equals = strchr(line, '='))) {
            char *value = equals + 1 + strspn(equals + 1, " \t");
            for (char *c = equals; c > line && (c[-1] == ' ' || c[-1] == '\t'); c--)
                c[-1] = '\0';
            *equals = '\0';
            value[strcspn(value, "\r")] = '\0';
            for (size_t n = strlen(value); n > 0 && value[n - 1] == ' '; n--)
                value[n - 1] = '\0';
            if (!metaimage_take(meta, file, line, value))
                return error_set(error, STATUS_FAILED, "%s: header: %.40s = %.80s: not readable", file->path, line,
                                 value);
        }
        line = newline + 1;
    }
    *ret_end = line - text;
    if (meta->n_dims != 3 || !meta->has_dims || !meta->has_spacing || !meta->has_type || !*meta->data)
        return error_set(error, STATUS_FAILED,
                         "%s: header: NDims = 3, DimSize, ElementSpacing, ElementType and ElementDataFile are needed",
                         file->path);
    if (meta->channels > 1)
        return error_set(error, STATUS_FAILED, "%s: a MetaImage of several channels is not read (save one of them)",
                         file->path);
    file->packing = meta->ascii ? PACKING_TEXT : meta->compressed ? PACKING_ZLIB : PACKING_PLAIN;
    file->type = meta->ascii ? DISK_F64 : file->type;
    return STATUS_OK;
}

static enum status metaimage_place(struct voxel_file *file, const struct metaimage *meta, int64_t header_bytes,
                                   struct error *error)
{
    struct grid *grid = &file->storage.grid;
    for (int a = 0; a < 3; a++) {
        const double mm = grid->axis[a][a];
        for (int k = 0; k < 3; k++)
            grid->axis[a][k] = mm * meta->matrix[3 * a + k] + 0.0; /* no -0 */
    }
    if (strcmp(meta->data, "LOCAL") == 0) {
        file->data_offset = header_bytes;
        return STATUS_OK;
    }
    return voxel_file_detach(file, meta->data, error);
}

enum status metaimage_open(struct voxel_file *ret, const char *path, struct error *error)
{
    struct voxel_file file = {.path = path, .slope = 1};
    struct metaimage meta = {.matrix = {1, 0, 0, 0, 1, 0, 0, 0, 1}};
    struct byte_stream stream = {0};
    int64_t header_bytes = 0;
    char *text = memory_zalloc(METAIMAGE_HEADER_MAX + 1, 1);
    if (!text)
        return error_memory(error, METAIMAGE_HEADER_MAX, path);

    enum status status = byte_stream_open(&stream, path, 0, false, error);
    if (!status) {
        const size_t bytes = fread(text, 1, METAIMAGE_HEADER_MAX, stream.raw);
        status = metaimage_parse(&meta, &file, text, bytes, &header_bytes, error);
    }
    byte_stream_abandon(&stream);
    memory_free(text);
    if (!status)
        status = metaimage_place(&file, &meta, header_bytes, error);
    if (status)
        return status;

    const union {
        uint16_t word;
        uint8_t byte;
    } one = {1};
    file.swap = meta.big_endian == (one.byte == 1) && !meta.ascii;
    file.storage.format = VOLUME_NIFTI_GZ; /* results: MetaImage is read only */
    file.storage.nifti_version = 1;
    file.storage.xyzt_units = 2; /* mm */
    file.storage.qform_code = file.storage.sform_code = 1;
    snprintf(file.storage.space, sizeof file.storage.space, "left-posterior-superior");
    *ret = file;
    return STATUS_OK;
}
