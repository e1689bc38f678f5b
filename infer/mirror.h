/* mirror.h - the prediction by symmetry: a skull mirrored at its own mid-sagittal plane, the honest baseline of every
 * learned completion. */
#ifndef CALVARIA_INFER_MIRROR_H
#define CALVARIA_INFER_MIRROR_H

#include "data/mask/morphology.h"
#include "data/volume/volume.h"

/* The plane normal . world = offset_mm; normal of length 1, towards patient left. */
struct mirror_plane {
    double normal[3], offset_mm;
    double overlap_frac; /* share of the bone that falls on bone when mirrored, on the search's grid */
};

/* The plane of greatest overlap between the skull and its mirror image: every plane within 16 degrees of sagittal and
 * 24 mm of the bone's centre on a 5 mm grid, then refined on a 2 mm grid. STATUS_FAILED for an empty skull. */
enum status mirror_find(struct mirror_plane *ret, const struct volume *skull, struct error *error);

/* out (the box's voxels): the mirrored skull. */
void mirror_box(uint8_t *out, const struct volume *skull, const struct mirror_plane *plane, struct box box);
/* implant (u8, skull's grid, written whole) = mirrored skull and not skull. */
void mirror_fill(uint8_t *implant, const struct volume *skull, const struct mirror_plane *plane);

#endif
