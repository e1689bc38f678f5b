/* crop.c - a part of a mask, cut out and put back; see crop.h. Test: tests/infer/test_postprocess.c */
#include "infer/crop.h"

#include <string.h>

int64_t crop_voxels(const struct crop *crop)
{
    return crop->dim[0] * crop->dim[1] * crop->dim[2];
}

/* Offset in the volume of row y, z of the crop. */
static int64_t crop_row(const struct crop *crop, const int64_t dim[3], int64_t y, int64_t z)
{
    return ((crop->box.lo[2] + z) * dim[1] + crop->box.lo[1] + y) * dim[0] + crop->box.lo[0];
}

enum status crop_take(struct crop *ret, const struct volume *volume, struct box box, struct error *error)
{
    struct crop crop = {.box = box};
    for (int a = 0; a < 3; a++)
        crop.dim[a] = box.hi[a] - box.lo[a];
    crop.mask = memory_alloc((size_t)crop_voxels(&crop), 1);
    if (!crop.mask)
        return error_memory(error, (size_t)crop_voxels(&crop), "a part of a volume");
    for (int64_t z = 0; z < crop.dim[2]; z++)
        for (int64_t y = 0; y < crop.dim[1]; y++)
            memcpy(crop.mask + (z * crop.dim[1] + y) * crop.dim[0],
                   (const uint8_t *)volume->data + crop_row(&crop, volume->grid.dim, y, z), (size_t)crop.dim[0]);
    *ret = crop;
    return STATUS_OK;
}

void crop_put(const struct crop *crop, struct volume *volume, const struct volume *except)
{
    for (int64_t z = 0; z < crop->dim[2]; z++)
        for (int64_t y = 0; y < crop->dim[1]; y++) {
            const uint8_t *from = crop->mask + (z * crop->dim[1] + y) * crop->dim[0];
            int64_t at = crop_row(crop, volume->grid.dim, y, z);
            uint8_t *to = (uint8_t *)volume->data + at;
            const uint8_t *taken = (const uint8_t *)except->data + at;

            /* The implant never takes a voxel of the skull. */
            for (int64_t x = 0; x < crop->dim[0]; x++)
                to[x] = from[x] && !taken[x];
        }
}

void crop_done(struct crop *crop)
{
    memory_free(crop->mask);
    *crop = (struct crop){0};
}
