/* crop.h - private to infer/: a box of a mask, as a small mask of its own, so that work costs the implant's size and
 * not the volume's. */
#ifndef CALVARIA_INFER_CROP_H
#define CALVARIA_INFER_CROP_H

#include "data/mask/morphology.h"
#include "data/volume/volume.h"

struct crop {
    struct box box;
    int64_t dim[3];
    uint8_t *mask; /* memory_free */
};

int64_t crop_voxels(const struct crop *crop);
enum status crop_take(struct crop *ret, const struct volume *volume, struct box box, struct error *error);
/* Into the volume's box, where `except` is empty. */
void crop_put(const struct crop *crop, struct volume *volume, const struct volume *except);
void crop_done(struct crop *crop);

#endif
