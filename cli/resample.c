/* resample.c - `calvaria resample`: a volume on another grid. Test: tests/cli/test_resample_command.sh */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/command.h"
#include "data/volume/formats.h"
#include "data/volume/resample.h"

struct resample_options {
    struct command_options common;
    const char *out, *like;
    double spacing_mm[3];
    int values; /* enum resample_values */
    bool overwrite;
};

enum resample_values { VALUES_AUTO, VALUES_GREY, VALUES_MASK, VALUES_LABELS };
static const char *const values_names[] = {"auto", "grey", "mask", "labels", NULL};

#define OFFSET(member) offsetof(struct resample_options, member)
/* clang-format off */
static const struct config_field resample_fields[] = {
    {.key = "out", .type = CONFIG_PATH, .offset = OFFSET(out), .required = true,
     .help = "the file to write, of any format that calvaria writes"},
    {.key = "spacing_mm", .type = CONFIG_DOUBLE3, .offset = OFFSET(spacing_mm), .text = "0", .min = 0, .max = 100,
     .unit = "mm", .help = "voxel size x,y,z (LPS); 0: as it is. Axes become right-angled (gantry tilt)"},
    {.key = "like", .type = CONFIG_PATH, .offset = OFFSET(like), .help = "a volume whose grid is taken"},
    {.key = "values", .type = CONFIG_ENUM, .offset = OFFSET(values), .text = "auto", .names = values_names,
     .help = "grey: linear, the mean where voxels grow; mask: bone where more than half of a voxel is; labels: the "
             "nearest voxel's; auto: mask where there are two values, else grey"},
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(overwrite), .table = &overwrite_table},
    {0},
};
/* clang-format on */

/* One value apart from 0: a mask. */
static bool resample_is_mask(const struct volume *volume)
{
    const uint8_t *value = volume->data;
    uint8_t other = 0;
    if (volume->type != VOXEL_U8)
        return false;
    for (int64_t i = 0; i < grid_voxels(&volume->grid); i++) {
        if (value[i] && other && value[i] != other)
            return false;
        other = value[i] ? value[i] : other;
    }
    return other != 0;
}

static float resample_lowest(const float *value, int64_t n)
{
    float lowest = 0;
    for (int64_t i = 0; i < n; i++)
        lowest = fminf(lowest, value[i]);
    return lowest;
}

/* What lies outside of the old grid gets the lowest value, in a CT air or padding. */
static enum status resample_grey(struct volume *ret, const struct volume *src, const struct grid *grid,
                                 struct error *error)
{
    const int64_t n = grid_voxels(&src->grid), n_new = grid_voxels(grid);
    struct volume shifted, values;
    if (volume_new(&shifted, &src->grid, VOXEL_F32, error))
        return error->status;
    float *from = shifted.data;
    for (int64_t i = 0; i < n; i++)
        from[i] = src->type == VOXEL_U8    ? (float)((const uint8_t *)src->data)[i]
                  : src->type == VOXEL_I16 ? (float)((const int16_t *)src->data)[i]
                                           : ((const float *)src->data)[i];
    const float lowest = resample_lowest(from, n);
    for (int64_t i = 0; i < n; i++)
        from[i] -= lowest;
    enum status status = resample_volume(&values, &shifted, grid, RESAMPLE_AREA, error);
    volume_done(&shifted);
    if (status)
        return status;

    /* Whole numbers stay whole. */
    status = volume_new(ret, grid, src->type, error);
    for (int64_t i = 0; !status && i < n_new; i++) {
        const float v = ((const float *)values.data)[i] + lowest;
        if (src->type == VOXEL_U8)
            ((uint8_t *)ret->data)[i] = (uint8_t)lrintf(v);
        else if (src->type == VOXEL_I16)
            ((int16_t *)ret->data)[i] = (int16_t)lrintf(v);
        else
            ((float *)ret->data)[i] = v;
    }
    volume_done(&values);
    return status;
}

static enum status resample_to(struct volume *ret, const struct volume *src, const struct grid *grid, int values,
                               struct error *error)
{
    if (values == VALUES_AUTO)
        values = resample_is_mask(src) ? VALUES_MASK : VALUES_GREY;
    if (values == VALUES_MASK && !resample_is_mask(src))
        return error_set(
            error, STATUS_FAILED,
            "--values: mask: the volume has more than two values, or none but 0 (--values labels or grey)");
    log_info("%s", values == VALUES_MASK     ? "a mask: bone where more than half of a voxel is"
                   : values == VALUES_LABELS ? "labels: the nearest voxel's"
                                             : "grey values: linear, the mean where voxels grow");
    if (values == VALUES_GREY)
        return resample_grey(ret, src, grid, error);
    if (values == VALUES_LABELS)
        return resample_volume(ret, src, grid, RESAMPLE_NEAREST, error);

    /* Any value other than 0 is bone. */
    uint8_t *mask = src->data;
    for (int64_t i = 0; i < grid_voxels(&src->grid); i++)
        mask[i] = mask[i] != 0;
    return resample_mask(ret, src, grid, error);
}

static enum status resample_find_grid(struct grid *ret, const struct volume *src,
                                      const struct resample_options *options, struct error *error)
{
    double spacing_mm[3];
    if (options->like) {
        struct volume like;
        if (volume_read_header(&like, options->like, error))
            return error_while(error, "reading the grid of --like");
        *ret = like.grid;
        volume_done(&like);
        return STATUS_OK;
    }
    for (int a = 0; a < 3; a++)
        spacing_mm[a] = options->spacing_mm[a] > 0 ? options->spacing_mm[a] : grid_spacing_mm(&src->grid, a);
    *ret = resample_right_angles(&src->grid, spacing_mm);
    return grid_check(ret, options->out, error);
}

static enum status resample_command(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    const struct resample_options *options = value;
    const bool spaced = options->spacing_mm[0] + options->spacing_mm[1] + options->spacing_mm[2] > 0;
    struct volume src = {0}, out = {0};
    struct grid grid;
    (void)n_inputs;

    if (options->like && spaced)
        return error_set(error, STATUS_USAGE, "resample: --like and --spacing-mm are given (one states the grid)");
    if (volume_format_of(options->out) < 0)
        return error_set(error, STATUS_USAGE, "--out: %s: no known format (.nii.gz, .nii, .nrrd or .nhdr)",
                         options->out);
    if (file_check_free(options->out, options->overwrite, error) || volume_read(&src, inputs[0], error))
        return error->status;

    enum status status = resample_find_grid(&grid, &src, options, error);
    if (!status)
        status = resample_to(&out, &src, &grid, options->values, error);
    if (!status) {
        out.storage = src.storage;
        status = volume_write(options->out, &out, error);
    }
    if (!status)
        log_info("%s: %lld x %lld x %lld voxels of %.4g x %.4g x %.4g mm", options->out, (long long)grid.dim[0],
                 (long long)grid.dim[1], (long long)grid.dim[2], grid_spacing_mm(&grid, 0), grid_spacing_mm(&grid, 1),
                 grid_spacing_mm(&grid, 2));
    volume_done(&out);
    volume_done(&src);
    return status ? error_while(error, "resampling %s", inputs[0]) : STATUS_OK;
}

const struct command command_resample = {
    .name = "resample",
    .arguments = "VOLUME --out FILE [--spacing-mm X,Y,Z | --like FILE] [--values grey|mask|labels]",
    .example = "calvaria resample head_ct.nii.gz --spacing-mm 0.5,0.5,0.5 --out head_ct_05.nii.gz",
    .options =
        {
            .help = "put a CT or a mask on another grid: spacing, right angles, or that of another volume",
            .size = sizeof(struct resample_options),
            .base = &command_base_table,
            .fields = resample_fields,
        },
    .min_inputs = 1,
    .max_inputs = 1,
    .run = resample_command,
};
