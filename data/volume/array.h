/* array.h - volumes from and to a caller's memory, with the voxels and the grid that a file of them would give.
 *
 *     const struct voxel_array array = {.values = mask, .type = DISK_U8, .dim = {512, 512, 337}, .affine = ...};
 *     volume_from_array(&volume, &array, "the skull", error);     // as volume_read of a NIfTI file with this sform
 *     volume_to_array(&out, &implant, error);                     // back into the caller's axis order */
#ifndef CALVARIA_DATA_VOLUME_ARRAY_H
#define CALVARIA_DATA_VOLUME_ARRAY_H

#include "data/volume/box.h"
#include "data/volume/voxel_store.h"

struct voxel_array {
    void *values; /* not written by volume_from_array */
    enum disk_type type;
    int64_t dim[3];
    int64_t stride[3];   /* bytes from one value to the next along each axis; all 0: dense, the first axis fastest */
    double affine[4][4]; /* index (i, j, k, 1) to RAS mm; the last row is 0 0 0 1 */
};

/* STATUS_USAGE: the affine's last row. STATUS_FAILED: a grid that grid_check refuses, memory. `name` starts them. */
enum status volume_from_array(struct volume *ret, const struct voxel_array *array, const char *name,
                              struct error *error);
/* volume: of the type that array->type names (uint8, int16 or float), on the grid of the array that its storage came
 * from. */
void volume_to_array(const struct voxel_array *array, const struct volume *volume);
/* A box of floats of `volume`'s grid (x fastest) into an array of floats; NaN outside the box. */
void volume_box_to_array(const struct voxel_array *array, const struct volume *volume, const struct box *box,
                         const float *values);

#endif
