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

/* What a header leaves open or contradicts: read all the same, with a warning. */
enum volume_doubt { DOUBT_NO_PLACE, DOUBT_SFORM_SPACING, DOUBT_FORMS_DIFFER, DOUBT_NO_SPACE, DOUBT_NAN, VOLUME_DOUBTS };
extern const char *const volume_doubt_texts[VOLUME_DOUBTS];

/* How the file had it. File axis a (fastest first) is canonical axis `axis[a]`, reversed where `flip[a]`. */
struct storage {
    enum volume_format format;
    int axis[3];
    bool flip[3];
    /* In the file's own axis order, LPS mm. Written back to the last bit while the volume still has the grid that was
     * read; of another grid only the axis order is taken. */
    struct grid grid;

    /* NIfTI */
    int nifti_version; /* 1 or 2; 0 where the volume was no NIfTI */
    int qform_code, sform_code;
    int xyzt_units; /* as it was, time units with it; a space unit of 0 is unknown, and taken as mm */
    double quatern[3], qoffset[3], pixdim[4]; /* the qform as it was; pixdim[0] is qfac */

    /* NRRD */
    char space[32];          /* "left-posterior-superior" ...; empty: spacings without a space */
    int n_segments;          /* of a .seg.nrrd; 0: another file */
    char space_units[3][16]; /* "mm" "mm" "mm" or another word for it; empty: not given */

    char file_type[16]; /* the data type on disk, for info: "int32" */
    unsigned doubts;    /* bits of enum volume_doubt: where the header contradicts itself */
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

#endif
