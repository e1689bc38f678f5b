/* volume.c - a 3D image in memory. Reading and writing: formats.h. Test: tests/data/test_volume.c. */
#include "data/volume/volume.h"

#include <stdio.h>

#include "data/volume/orient.h"
#include "data/volume/voxel_file.h"

const char *const volume_doubt_texts[VOLUME_DOUBTS] = {
    [DOUBT_NO_PLACE] = ("the header has neither qform nor sform: left, right, front and back are unknown and taken as "
                        "the axes' order"),
    [DOUBT_SFORM_SPACING] = "the header contradicts itself: the sform's spacing is not pixdim's (the sform is used)",
    [DOUBT_FORMS_DIFFER] = "the header contradicts itself: qform and sform give different places (the sform is used)",
    [DOUBT_NAN] = "voxels without a number (NaN) are taken as background",
    [DOUBT_NO_SPACE] =
        "the header names no space: left, right, front and back are unknown and taken as the axes' order",
};

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
