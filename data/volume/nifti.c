/* nifti.c - NIfTI-1 and -2, .nii and .nii.gz: header structs, byte order and quaternions are libnifti's; every field is
 * checked here, because the library trusts what it reads.
 *
 * The affine: sform where its code is above 0, else qform, else the pixel dimensions alone. NIfTI's world is RAS: x and
 * y turn. Test: tests/data/test_volume.c, tests/data/test_volume_hostile.c. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include <nifti/nifti2_io.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/volume/orient.h"
#include "data/volume/voxel_file.h"

enum { EXTENDER_BYTES = 4 }; /* after the header: four zeros, no extensions */
static const int64_t MOST_SKIPPED_BYTES = (int64_t)1
                                          << 28; /* of extensions: skipping more costs minutes, and none has that */
enum { UNITS_SPACE = 7, UNITS_MM = NIFTI_UNITS_MM };

/* NIFTI-1 widened to -2's fields: one code for both from here on. */
static nifti_2_header nifti_widen(const nifti_1_header *one)
{
    nifti_2_header two = {.sizeof_hdr = one->sizeof_hdr,
                          .datatype = one->datatype,
                          .vox_offset = -1,
                          .scl_slope = one->scl_slope,
                          .scl_inter = one->scl_inter,
                          .qform_code = one->qform_code,
                          .sform_code = one->sform_code,
                          .quatern_b = one->quatern_b,
                          .quatern_c = one->quatern_c,
                          .quatern_d = one->quatern_d,
                          .qoffset_x = one->qoffset_x,
                          .qoffset_y = one->qoffset_y,
                          .qoffset_z = one->qoffset_z,
                          .xyzt_units = one->xyzt_units};

    if (one->vox_offset >= 0 && one->vox_offset < 9e15F) /* false for NaN */
        two.vox_offset = (int64_t)one->vox_offset;

    for (int i = 0; i < 8; i++) {
        two.dim[i] = one->dim[i];
        two.pixdim[i] = one->pixdim[i];
    }

    for (int i = 0; i < 4; i++) {
        two.srow_x[i] = one->srow_x[i];
        two.srow_y[i] = one->srow_y[i];
        two.srow_z[i] = one->srow_z[i];
    }

    return two;
}

/* The header, widened, in this machine's byte order. */
static enum status nifti_read_raw(nifti_2_header *ret, struct voxel_file *file, struct byte_stream *stream,
                                  struct error *error)
{
    union {
        nifti_1_header one;
        nifti_2_header two;
        char bytes[sizeof(nifti_2_header)];
    } header;
    const size_t first = sizeof header.one.sizeof_hdr;
    if (byte_stream_read(stream, &header, first, error))
        return STATUS_FAILED;

    /* The header's own size is the test of byte order, and tells version 1 from 2 */
    int32_t size = header.one.sizeof_hdr, swapped = size;
    nifti_swap_4bytes(1, &swapped);
    file->swap = size != (int32_t)sizeof header.one && size != (int32_t)sizeof header.two;
    if (file->swap)
        size = swapped;
    if (size != (int32_t)sizeof header.one && size != (int32_t)sizeof header.two)
        return error_set(error, STATUS_FAILED, "%s: neither NIfTI nor NRRD (.nii, .nii.gz, .nrrd and .nhdr are read)",
                         file->path);
    file->storage.nifti_version = size == (int32_t)sizeof header.one ? 1 : 2;

    if (byte_stream_read(stream, header.bytes + first, (size_t)size - first, error))
        return STATUS_FAILED;
    const char *const pair = file->packing == PACKING_GZIP ? ".hdr.gz" : ".hdr";
    const char *magic = file->storage.nifti_version == 1 ? header.one.magic : header.two.magic;
    if (magic[0] == 'n' && magic[1] == 'i' && magic[2] == '0' + file->storage.nifti_version && magic[3] == '\0' &&
        file_has_suffix(file->path, pair)) { /* a header/image pair: the voxels are in NAME.img */
        file->data_path = memory_printf("%.*s.img%s", (int)(strlen(file->path) - strlen(pair)), file->path, pair + 4);
        if (!file->data_path)
            return error_memory(error, strlen(file->path), file->path);
    } else if (magic[0] != 'n' || magic[1] != '+' || magic[2] != '0' + file->storage.nifti_version || magic[3] != '\0')
        return error_set(error, STATUS_FAILED, "%s: magic is not \"n+%d\": %s", file->path, file->storage.nifti_version,
                         magic[0] == 'n' && magic[1] == 'i'
                             ? "a header of a header/image pair (name it NAME.hdr, beside NAME.img)"
                             : "Analyze 7.5, or damaged (convert it to NIfTI)");

    if (file->swap)
        swap_nifti_header(&header, file->storage.nifti_version);
    if (file->storage.nifti_version == 1)
        *ret = nifti_widen(&header.one);
    else
        *ret = header.two;
    return STATUS_OK;
}

static enum status nifti_type(enum disk_type *ret, const nifti_2_header *header, const char *path, struct error *error)
{
    static const struct {
        int code;
        enum disk_type type;
    } known[] = {{DT_INT8, DISK_I8},     {DT_UINT8, DISK_U8},   {DT_INT16, DISK_I16}, {DT_UINT16, DISK_U16},
                 {DT_INT32, DISK_I32},   {DT_UINT32, DISK_U32}, {DT_INT64, DISK_I64}, {DT_UINT64, DISK_U64},
                 {DT_FLOAT32, DISK_F32}, {DT_FLOAT64, DISK_F64}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].code == header->datatype) {
            *ret = known[i].type;
            return STATUS_OK;
        }
    return error_set(error, STATUS_FAILED, "%s: data type %d (%s): not one of integers and floats of up to 64 bits",
                     path, header->datatype, nifti_datatype_to_string(header->datatype));
}

static enum status nifti_dims(struct grid *grid, const nifti_2_header *header, const char *path, struct error *error)
{
    if (header->dim[0] < 1 || header->dim[0] > 7)
        return error_set(error, STATUS_FAILED, "%s: %" PRId64 " dimensions (a damaged header?)", path, header->dim[0]);
    for (int a = 0; a < 3; a++)
        grid->dim[a] = a < header->dim[0] ? header->dim[a + 1] : 0;
    if (header->dim[0] < 3)
        return error_set(error, STATUS_FAILED, "%s: %" PRId64 " dimensions, expected 3", path, header->dim[0]);

    for (int a = 4; a <= header->dim[0]; a++)
        if (header->dim[a] != 1)
            return error_set(error, STATUS_FAILED,
                             "%s: dimension %d has %" PRId64 " entries, expected one 3D volume (cut one out)", path, a,
                             header->dim[a]);

    for (int a = 1; a <= 3; a++)
        if (!isfinite(header->pixdim[a]) || header->pixdim[a] <= 0)
            return error_set(error, STATUS_FAILED,
                             "%s: spacing of axis %d: %g mm (expected a finite number above zero)", path, a - 1,
                             header->pixdim[a]);
    int units = header->xyzt_units & UNITS_SPACE;
    if (units != NIFTI_UNITS_UNKNOWN && units != UNITS_MM)
        return error_set(error, STATUS_FAILED, "%s: spatial unit is %s, expected mm (convert the header)", path,
                         nifti_units_string(units));
    return STATUS_OK;
}

static nifti_dmat44 nifti_qform(const nifti_2_header *header)
{
    return nifti_quatern_to_dmat44(header->quatern_b, header->quatern_c, header->quatern_d, header->qoffset_x,
                                   header->qoffset_y, header->qoffset_z, header->pixdim[1], header->pixdim[2],
                                   header->pixdim[3], header->pixdim[0] < 0 ? -1 : 1);
}

/* rows[k][a]: RAS component k of the step along axis a; rows[k][3]: of the origin. */
static void nifti_affine(double rows[3][4], const nifti_2_header *header)
{
    if (header->sform_code > 0) {
        memcpy(rows[0], header->srow_x, sizeof rows[0]);
        memcpy(rows[1], header->srow_y, sizeof rows[1]);
        memcpy(rows[2], header->srow_z, sizeof rows[2]);
        return;
    }
    nifti_dmat44 q = {
        {{header->pixdim[1], 0, 0, 0}, {0, header->pixdim[2], 0, 0}, {0, 0, header->pixdim[3], 0}, {0, 0, 0, 1}}};
    if (header->qform_code > 0)
        q = nifti_qform(header);
    for (int k = 0; k < 3; k++)
        memcpy(rows[k], q.m[k], sizeof rows[k]);
}

/* Where two parts of the header disagree by more than a hundredth of a voxel's edge (places: half a voxel's edge). */
static unsigned nifti_doubts(const nifti_2_header *header)
{
    const double *const rows[3] = {header->srow_x, header->srow_y, header->srow_z};
    unsigned doubts = 0;
    if (header->qform_code <= 0 && header->sform_code <= 0)
        return 1U << DOUBT_NO_PLACE;
    if (header->sform_code <= 0)
        return 0;

    const nifti_dmat44 q = nifti_qform(header);
    for (int a = 0; a < 3; a++) {
        const double mm = sqrt(rows[0][a] * rows[0][a] + rows[1][a] * rows[1][a] + rows[2][a] * rows[2][a]);
        if (fabs(mm - header->pixdim[a + 1]) > 0.01 * header->pixdim[a + 1])
            doubts |= 1U << DOUBT_SFORM_SPACING;
    }
    for (int k = 0; k < 3 && header->qform_code > 0; k++)
        for (int a = 0; a < 4; a++)
            if (fabs(q.m[k][a] - rows[k][a]) > (a < 3 ? 0.02 * header->pixdim[a + 1] : 0.5 * header->pixdim[1]))
                doubts |= 1U << DOUBT_FORMS_DIFFER;
    return doubts;
}

static void nifti_store(struct voxel_file *file, const nifti_2_header *header)
{
    struct storage *storage = &file->storage;
    double rows[3][4];

    nifti_affine(rows, header);

    for (int k = 0; k < 3; k++) {
        double turn = k < 2 ? -1 : 1; /* RAS to LPS */
        for (int a = 0; a < 3; a++)
            storage->grid.axis[a][k] = turn * rows[k][a] + 0.0; /* no -0 */
        storage->grid.origin[k] = turn * rows[k][3] + 0.0;
    }

    storage->format = file->packing == PACKING_GZIP ? VOLUME_NIFTI_GZ : VOLUME_NIFTI;
    storage->xyzt_units = header->xyzt_units & 0xff;
    storage->qform_code = header->qform_code;
    storage->sform_code = header->sform_code;
    storage->doubts = nifti_doubts(header);
    const double quatern[3] = {header->quatern_b, header->quatern_c, header->quatern_d};
    const double qoffset[3] = {header->qoffset_x, header->qoffset_y, header->qoffset_z};
    memcpy(storage->quatern, quatern, sizeof quatern);
    memcpy(storage->qoffset, qoffset, sizeof qoffset);
    memcpy(storage->pixdim, header->pixdim, sizeof storage->pixdim);
    snprintf(storage->space, sizeof storage->space, "left-posterior-superior"); /* should it go on as NRRD */
    bool scaled = isfinite(header->scl_slope) &&
                  header->scl_slope != 0; /* the standard: 0 is "not scaled"; some write NaN for it */
    file->slope = scaled ? header->scl_slope : 1;
    file->intercept = scaled && isfinite(header->scl_inter) ? header->scl_inter : 0;
    file->skip_bytes = header->vox_offset;
}

/* What a header claims about the data's place, before it is believed. */
static enum status nifti_check_offset(const struct voxel_file *file, const nifti_2_header *header, struct error *error)
{
    if (!file->data_path && header->vox_offset < header->sizeof_hdr + EXTENDER_BYTES)
        return error_set(error, STATUS_FAILED,
                         "%s: data offset %" PRId64 " lies inside the header of %d bytes (a damaged header?)",
                         file->path, header->vox_offset, header->sizeof_hdr + EXTENDER_BYTES);
    if (header->vox_offset > MOST_SKIPPED_BYTES)
        return error_set(error, STATUS_FAILED,
                         "%s: data offset %" PRId64 ": more than %" PRId64 " MiB of extensions (a damaged header?)",
                         file->path, header->vox_offset, MOST_SKIPPED_BYTES >> 20);
    return STATUS_OK;
}

enum status nifti_open(struct voxel_file *ret, const char *path, bool gzip, struct error *error)
{
    struct voxel_file file = {.path = path, .packing = gzip ? PACKING_GZIP : PACKING_PLAIN};
    struct byte_stream stream = {0};
    nifti_2_header header;

    if (byte_stream_open(&stream, path, 0, file.packing, error))
        return STATUS_FAILED;
    enum status status = nifti_read_raw(&header, &file, &stream, error);
    byte_stream_abandon(&stream);
    if (status || nifti_type(&file.type, &header, path, error) ||
        nifti_dims(&file.storage.grid, &header, path, error) || nifti_check_offset(&file, &header, error)) {
        voxel_file_done(&file);
        return STATUS_FAILED;
    }
    nifti_store(&file, &header);
    *ret = file;
    return STATUS_OK;
}

/* --- writing --- */

/* The three axes at right angles, so that a quaternion can hold them. */
static bool nifti_grid_orthogonal(const struct grid *grid)
{
    for (int a = 0; a < 3; a++) {
        int b = (a + 1) % 3;
        const double *u = grid->axis[a], *v = grid->axis[b];
        double dot = u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
        if (fabs(dot) > 1e-4 * grid_spacing_mm(grid, a) * grid_spacing_mm(grid, b))
            return false;
    }
    return true;
}

/* The qform for a grid that is not the one read. */
static void nifti_set_qform(nifti_2_header *header, const nifti_dmat44 *affine)
{
    double qfac;
    nifti_dmat44_to_quatern(*affine, &header->quatern_b, &header->quatern_c, &header->quatern_d, &header->qoffset_x,
                            &header->qoffset_y, &header->qoffset_z, NULL, NULL, NULL, &qfac);
    header->pixdim[0] = qfac;
}

static nifti_2_header nifti_header_of(const struct volume *volume)
{
    const struct storage *storage = &volume->storage;
    struct grid grid = orient_file(storage, &volume->grid);
    bool as_read =
        storage->nifti_version > 0 && memcmp(&grid, &storage->grid, sizeof grid) == 0 && storage->pixdim[1] > 0;
    bool coded = storage->nifti_version > 0 && (storage->qform_code > 0 || storage->sform_code > 0 || as_read);
    nifti_2_header header = {.qform_code = coded ? storage->qform_code : 1,
                             .sform_code = coded ? storage->sform_code : 1,
                             .xyzt_units = storage->nifti_version > 0 ? storage->xyzt_units : UNITS_MM,
                             .scl_slope = 1,
                             .dim = {3, grid.dim[0], grid.dim[1], grid.dim[2], 1, 1, 1, 1},
                             .pixdim = {1, 1, 1, 1, 1, 1, 1, 1}};
    nifti_dmat44 affine = {{{0}, {0}, {0}, {0, 0, 0, 1}}};
    double *rows[3] = {header.srow_x, header.srow_y, header.srow_z};

    for (int k = 0; k < 3; k++) {
        double turn = k < 2 ? -1 : 1;
        for (int a = 0; a < 3; a++)
            affine.m[k][a] = turn * grid.axis[a][k] + 0.0; /* no -0 */
        affine.m[k][3] = turn * grid.origin[k] + 0.0;
        header.pixdim[k + 1] = grid_spacing_mm(&grid, k);
    }

    if (as_read) {
        memcpy(header.pixdim, storage->pixdim, sizeof storage->pixdim);
        header.quatern_b = storage->quatern[0], header.quatern_c = storage->quatern[1],
        header.quatern_d = storage->quatern[2];
        header.qoffset_x = storage->qoffset[0], header.qoffset_y = storage->qoffset[1],
        header.qoffset_z = storage->qoffset[2];
    } else if (header.qform_code > 0 && nifti_grid_orthogonal(&grid)) {
        nifti_set_qform(&header, &affine);
    } else { /* a sheared grid fits the sform alone */
        header.qform_code = 0;
        header.sform_code = header.sform_code > 0 ? header.sform_code : 1;
    }

    for (int k = 0; k < 3 && header.sform_code > 0; k++)
        memcpy(rows[k], affine.m[k], sizeof affine.m[k]);
    return header;
}

static nifti_1_header nifti_narrow(const nifti_2_header *two)
{
    nifti_1_header one = {.sizeof_hdr = (int)sizeof one,
                          .regular = 'r',
                          .datatype = two->datatype,
                          .bitpix = two->bitpix,
                          .vox_offset = (float)(sizeof one + EXTENDER_BYTES),
                          .scl_slope = (float)two->scl_slope,
                          .xyzt_units = (char)two->xyzt_units,
                          .qform_code = (short)two->qform_code,
                          .sform_code = (short)two->sform_code,
                          .quatern_b = (float)two->quatern_b,
                          .quatern_c = (float)two->quatern_c,
                          .quatern_d = (float)two->quatern_d,
                          .qoffset_x = (float)two->qoffset_x,
                          .qoffset_y = (float)two->qoffset_y,
                          .qoffset_z = (float)two->qoffset_z,
                          .magic = "n+1"};

    for (int i = 0; i < 8; i++) {
        one.dim[i] = (short)two->dim[i];
        one.pixdim[i] = (float)two->pixdim[i];
    }

    for (int i = 0; i < 4; i++) {
        one.srow_x[i] = (float)two->srow_x[i];
        one.srow_y[i] = (float)two->srow_y[i];
        one.srow_z[i] = (float)two->srow_z[i];
    }

    return one;
}

static enum status nifti_write_stream(struct byte_stream *stream, const struct volume *volume, struct error *error)
{
    const int codes[] = {[VOXEL_U8] = DT_UINT8, [VOXEL_I16] = DT_INT16, [VOXEL_F32] = DT_FLOAT32};
    const char extender[EXTENDER_BYTES] = {0};
    nifti_2_header two = nifti_header_of(volume);

    two.datatype = (int16_t)codes[volume->type];
    two.bitpix = (int16_t)(8 * voxel_bytes(volume->type));
    bool large = two.dim[1] > INT16_MAX || two.dim[2] > INT16_MAX || two.dim[3] > INT16_MAX;
    enum status status;
    if (large || volume->storage.nifti_version == 2) {
        two.sizeof_hdr = (int)sizeof two;
        two.vox_offset = (int64_t)sizeof two + EXTENDER_BYTES;
        memcpy(two.magic, "n+2\0\r\n\032\n", sizeof two.magic);
        status = byte_stream_write(stream, &two, sizeof two, error);
    } else {
        nifti_1_header one = nifti_narrow(&two);
        status = byte_stream_write(stream, &one, sizeof one, error);
    }

    if (status || byte_stream_write(stream, extender, sizeof extender, error))
        return STATUS_FAILED;
    return voxel_file_write(stream, volume, error);
}

enum status nifti_write(const char *path, const struct volume *volume, bool gzip, struct error *error)
{
    char *part = NULL;
    struct byte_stream stream = {0};
    if (file_begin(&part, path, error))
        return STATUS_FAILED;
    if (byte_stream_create(&stream, path, part, gzip, error) || nifti_write_stream(&stream, volume, error) ||
        byte_stream_close(&stream, error) || file_commit(&part, path, error)) {
        byte_stream_abandon(&stream);
        file_discard(&part);
        return STATUS_FAILED;
    }
    return STATUS_OK;
}
