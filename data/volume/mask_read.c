/* mask_read.c - a mask from a file: of several segments the one that is chosen. See formats.h.
 * Test: tests/data/test_volume.c. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "data/volume/formats.h"
#include "data/volume/voxel_file.h"

/* The segment of a .seg.nrrd that --label names, by name or value; -1: none. */
static int mask_read_find_segment(const struct voxel_file *file, const char *label)
{
    for (int s = 0; label && s < file->n_segments; s++)
        if (strcasecmp(file->segments[s].name, label) == 0)
            return s;
    char *end;
    const long value = label ? strtol(label, &end, 10) : 0;
    for (int s = 0; label && *label && !*end && s < file->n_segments; s++)
        if (file->segments[s].value == value)
            return s;
    return -1;
}

static enum status mask_read_choose_segment(int *ret, const struct voxel_file *file, const char *label,
                                            struct error *error)
{
    char list[600] = "";
    size_t length = 0;
    *ret = mask_read_find_segment(file, label);
    if (*ret < 0 && !label && file->n_segments == 1)
        *ret = 0;
    if (*ret >= 0 || file->n_segments == 0)
        return STATUS_OK;
    for (int s = 0; s < file->n_segments && length + 80 < sizeof list; s++)
        length +=
            (size_t)snprintf(list + length, sizeof list - length, "%s'%s'", s ? ", " : "", file->segments[s].name);
    return label ? error_set(error, STATUS_FAILED, "%s: --label %s: no segment of this name (there are %s)", file->path,
                             label, list)
                 : error_set(error, STATUS_FAILED, "%s: %d segments: %s (--label NAME takes one as bone)", file->path,
                             file->n_segments, list);
}

enum status volume_read_mask_by(struct volume *ret, const char *path, const struct mask_choice *choice,
                                struct error *error)
{
    struct voxel_file file = {0};
    struct volume volume = {0};
    struct grid grid;
    int segment = -1;
    enum status status = formats_open(&file, &(struct file_series){1, &path}, error);
    if (!status)
        status = mask_read_choose_segment(&segment, &file, choice ? choice->label : NULL, error);
    file.layer = segment >= 0 ? file.segments[segment].layer : 0;
    if (!status)
        status = voxel_file_check(&file, &grid, error);
    if (!status)
        status = voxel_file_read(&volume, &file, &grid, error);
    if (!status && segment >= 0)
        status = mask_of_label(&volume, file.segments[segment].value, file.segments[segment].name, path, error);
    else if (!status)
        status = volume_to_mask(&volume, path, choice, error);

    voxel_file_done(&file);
    if (status) {
        volume_done(&volume);
        return status;
    }
    *ret = volume;
    return STATUS_OK;
}

enum status volume_read_mask(struct volume *ret, const char *path, struct error *error)
{
    return volume_read_mask_by(ret, path, NULL, error);
}
