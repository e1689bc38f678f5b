/* volume.h - a 3D image in memory: always LPS order, z,y,x with x fastest, whatever the file's order was.
 *
 * On reading, the file's axes are permuted and flipped (never resampled) so that index x runs nearest to patient left,
 * y to posterior, z to superior. `storage` remembers how, so that writing puts everything back: dims, spacing, affine,
 * axis order, data type of the format, so that an output overlays its input exactly. World coordinates are LPS
 * millimetres. */
#ifndef CALVARIA_DATA_VOLUME_VOLUME_H
#define CALVARIA_DATA_VOLUME_VOLUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "data/volume/grid.h"

enum voxel_type { VOXEL_U8, VOXEL_I16, VOXEL_F32 };
size_t voxel_bytes(enum voxel_type type);

enum volume_format { VOLUME_NIFTI_GZ, VOLUME_NIFTI, VOLUME_NRRD, VOLUME_NHDR };

/* How the file had it. File axis a (fastest first) is canonical axis `axis[a]`, reversed where `flip[a]`. */
struct storage {
    enum volume_format format;
    int axis[3];
    bool flip[3];
    struct grid grid;  /* in the file's own axis order, LPS mm: written back to the last bit while the volume's grid is
                          still the one  read; of another grid only the axis order is taken */
    int nifti_version; /* 1 or 2; 0 where the volume was no NIfTI */
    int qform_code, sform_code;
    int xyzt_units; /* NIfTI: as it was, time units with it; a space unit of 0 is unknown, and taken as mm */
    double quatern[3], qoffset[3], pixdim[4]; /* NIfTI: the qform as it was; pixdim[0] is qfac */
    char
        space[32]; /* NRRD: "left-posterior-superior", "right-anterior-superior" ...; empty: spacings without a space */
    char space_units[3][16]; /* NRRD: "mm" "mm" "mm" or another word for it; empty: not given */
    char file_type[16];      /* the data type on disk, for info: "int32" */
};

struct volume {
    struct grid grid;
    enum voxel_type type;
    void *data; /* grid_voxels * voxel_bytes */
    struct storage storage;
};

/* Allocates data, cleared; storage is NIfTI-1 .nii.gz in RAS order, the most portable. */
enum status volume_new(struct volume *ret, const struct grid *grid, enum voxel_type type, struct error *error);
void volume_done(struct volume *volume);

/* Reads by content (magic), not by name. Values come as u8 where all are integers 0..255, as i16 where all are integers
 * that fit, else f32 (scl_slope applied). Errors, STATUS_FAILED, before any allocation of a size a header merely
 * claims: missing, truncated, not 3D (trailing dims of 1 are fine), dims that overflow, zero or non-finite spacing,
 * singular affine, compressed data that ends early. */
enum status volume_read(struct volume *ret, const char *path, struct error *error);
/* Header only: data stays NULL, type is what disk says where it is one of ours, else VOXEL_F32. */
enum status volume_read_header(struct volume *ret, const char *path, struct error *error);
/* As volume_read, then refuses what is no mask: values other than two (0 and one other), an empty one. Result u8 of 0
 * and 1. */
enum status volume_read_mask(struct volume *ret, const char *path, struct error *error);
/* Writes in the format of the path's ending (.nii.gz .nii .nrrd .nhdr), in storage's axis order, atomically. */
enum status volume_write(const char *path, const struct volume *volume, struct error *error);

/* ".nii.gz" ... for a format; the format for a path's ending, or -1. */
const char *volume_suffix(enum volume_format format);
int volume_format_of(const char *path);
/* NAME of a case: base name without extension and without a trailing _defective, _complete, _ct. In arena. */
char *volume_case_name(struct arena *arena, const char *path);

#endif
