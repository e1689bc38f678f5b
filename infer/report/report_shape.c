/* report_shape.c - thickness and symmetry of an implant; see report_shape.h. Test: tests/infer/test_report.c */
#include "infer/report/report_shape.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/mask/distance.h"
#include "data/picture/render.h"
#include "infer/mirror.h"

/* nearer to bone is rim; nearer to the mirrored implant the other side is missing too; less on the mirror image, or to
 * compare, is nothing */
static const double SYMMETRY_RIM_MM = 3, SYMMETRY_GAP_MM = 5, SYMMETRY_LEAST = 0.1;

bool shape_on_ridge(const float *depth, const int64_t dim[3], const double spacing[3], int64_t i)
{
    const double CONTAINED = 0.9; /* of a step: below 1, as depths are those of voxels */
    const int64_t at[3] = {i % dim[0], i / dim[0] % dim[1], i / dim[0] / dim[1]};
    for (int n = 0; n < 27; n++) {
        int64_t dx = n % 3 - 1, dy = n / 3 % 3 - 1, dz = n / 9 - 1, x = at[0] + dx, y = at[1] + dy, z = at[2] + dz;
        double mx = (double)dx * spacing[0], my = (double)dy * spacing[1], mz = (double)dz * spacing[2];
        if (n == 13 || x < 0 || y < 0 || z < 0 || x >= dim[0] || y >= dim[1] || z >= dim[2])
            continue;
        if ((double)depth[(z * dim[1] + y) * dim[0] + x] >=
            (double)depth[i] + CONTAINED * sqrt(mx * mx + my * my + mz * mz))
            return false;
    }
    return true;
}

/* A ball around voxel `seed` on slice z of `thickness`. */
static void shape_paint_slice(float *thickness, const struct crop *implant, const double spacing[3], int64_t seed,
                              double radius, float value, int64_t z)
{
    const int64_t *dim = implant->dim, sx = seed % dim[0], sy = seed / dim[0] % dim[1], sz = seed / dim[0] / dim[1];
    double dz = (double)(z - sz) * spacing[2], left = radius * radius - dz * dz;

    if (left <= 0)
        return;
    int64_t ny = (int64_t)(sqrt(left) / spacing[1]);
    for (int64_t y = sy > ny ? sy - ny : 0; y <= sy + ny && y < dim[1]; y++) {
        double dy = (double)(y - sy) * spacing[1], wide = left - dy * dy;
        int64_t nx = wide > 0 ? (int64_t)(sqrt(wide) / spacing[0]) : -1;
        int64_t lo = sx > nx ? sx - nx : 0, hi = sx + nx < dim[0] - 1 ? sx + nx : dim[0] - 1;
        float *row = thickness + (z * dim[1] + y) * dim[0];
        for (int64_t x = lo; x <= hi && nx >= 0; x++)
            row[x] = row[x] < value ? value : row[x];
    }
}

static int shape_compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Order statistics of the values above 0. */
static enum status shape_thickness_summary(struct report *report, const float *thickness, int64_t n, int64_t n_voxels,
                                           struct error *error)
{
    float *sorted = memory_alloc((size_t)n_voxels, sizeof *sorted);
    if (!sorted)
        return error_memory(error, (size_t)n_voxels * sizeof *sorted, "measuring the implant's thickness");
    int64_t count = 0;
    double sum = 0;

    for (int64_t i = 0; i < n && count < n_voxels; i++)
        if (thickness[i] > 0) {
            sorted[count++] = thickness[i];
            sum += (double)thickness[i];
        }

    if (count) {
        qsort(sorted, (size_t)count, sizeof *sorted, shape_compare_floats);
        report->thickness_mean_mm = sum / (double)count;
        report->thickness_min_mm = (double)sorted[0];
        report->thickness_p5_mm = (double)sorted[(int64_t)(0.05 * (double)(count - 1))];
        report->thickness_p95_mm = (double)sorted[(int64_t)(0.95 * (double)(count - 1))];
        report->thickness_max_mm = (double)sorted[count - 1];
    }

    memory_free(sorted);
    return STATUS_OK;
}

enum status shape_thickness(float *thickness, struct report *report, const struct crop *implant, const float *depth,
                            const double spacing[3], struct error *error)
{
    const int64_t *dim = implant->dim, n = crop_voxels(implant), slice = dim[0] * dim[1];
    const double voxel = (spacing[0] + spacing[1] + spacing[2]) / 3;
    int64_t n_voxels = mask_count(implant->mask, n);

#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        double own = 2 * (double)depth[i] - voxel;
        thickness[i] = !implant->mask[i] ? 0 : (float)(own > voxel / 2 ? own : voxel / 2);
    }

    /* Balls around the ridge of the depth contain all others. */
    int64_t *seeds = memory_alloc((size_t)n_voxels, sizeof *seeds), n_seeds = 0;
    if (!seeds)
        return error_memory(error, (size_t)n_voxels * sizeof *seeds, "measuring the implant's thickness");
    for (int64_t i = 0; i < n; i++)
        if (implant->mask[i] && shape_on_ridge(depth, dim, spacing, i))
            seeds[n_seeds++] = i;
            /* every slice gathers the balls that reach it: the same on any thread count */

#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t z = 0; z < dim[2]; z++)
        for (int64_t k = 0; k < n_seeds; k++) {
            double deep = (double)depth[seeds[k]],
                   reach = deep + 0.75 * voxel; /* a voxel's bumps on a surface are no thin parts */
            const int64_t slices = seeds[k] / slice - z;
            if (fabs((double)slices) * spacing[2] < reach)
                shape_paint_slice(thickness, implant, spacing, seeds[k], reach, (float)(2 * deep - voxel / 2), z);
        }

    memory_free(seeds);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++)
        thickness[i] = implant->mask[i] ? thickness[i] : 0;

    return shape_thickness_summary(report, thickness, n, n_voxels, error);
}

/* --- the picture --- */

enum { BINS = PICTURE_BINS, VIEW_PX = 420, BAR_WIDTH = 22, BAR_STEP = 34, FRAME = 12, BAR_ROOM = 150, CAPTION = 40 };
/* viridis, sampled evenly (Smith, van der Walt; CC0): even steps to the eye, also without colour vision */
static const uint8_t bin_rgb[BINS][3] = {{68, 1, 84},    {70, 50, 127},  {54, 92, 141},  {39, 127, 142},
                                         {31, 161, 135}, {74, 194, 109}, {159, 218, 58}, {253, 231, 37}};
const struct picture_scale picture_thickness = {"thickness", {0, 1, 2, 3, 4, 5, 6, 8}};
const struct picture_scale picture_interval = {"known to +- mm (90 %)", {0, 0.5, 1, 1.5, 2, 2.5, 3, 4}};

static int shape_bin(const struct picture_scale *scale, double mm)
{
    int bin = 0;
    while (bin + 1 < BINS && mm >= scale->from_mm[bin + 1])
        bin++;
    return bin;
}

static void shape_picture_scale(struct image *sheet, const struct picture_scale *scale, int64_t x, int64_t y)
{
    static const uint8_t ink[3] = COLOUR_INK;
    image_text(sheet, x, y - 30, "mm", TEXT_NORMAL, ink);
    for (int bin = BINS - 1; bin >= 0; bin--, y += BAR_STEP) {
        char text[32];
        image_rectangle(sheet, x, y, BAR_WIDTH, BAR_STEP, bin_rgb[bin]);
        if (bin + 1 == BINS)
            snprintf(text, sizeof text, "over %g", scale->from_mm[bin]);
        else
            snprintf(text, sizeof text, "%g to %g", scale->from_mm[bin], scale->from_mm[bin + 1]);
        image_text(sheet, x + BAR_WIDTH + 8, y + 6, text, TEXT_NORMAL, ink);
    }
}

static enum status shape_picture_draw(struct image *sheet, const struct grid *grid, uint8_t *masks,
                                      const double offset_mm[3], const struct picture_scale *scale, struct error *error)
{
    static const uint8_t ink[3] = COLOUR_INK;
    struct render_layer layers[BINS];
    const enum render_view outside = render_view_at(offset_mm), views[2] = {outside, render_view_opposite(outside)};

    for (int bin = 0; bin < BINS; bin++) {
        layers[bin] = (struct render_layer){.mask = masks + bin * grid_voxels(grid)};
        memcpy(layers[bin].rgb, bin_rgb[bin], sizeof layers[bin].rgb);
    }

    struct image view[2];
    if (render_shaded_views(view, grid, layers, BINS, views, 2, VIEW_PX, error))
        return error->status;
    for (int i = 0; i < 2; i++) {
        image_paste(sheet, &view[i], FRAME + i * (VIEW_PX + FRAME) + (VIEW_PX - view[i].w) / 2,
                    CAPTION + (VIEW_PX - view[i].h) / 2);
        image_done(&view[i]);
        char title[64];
        snprintf(title, sizeof title, "%s, from %s", scale->what, i ? "inside" : "outside");
        image_text(sheet, FRAME + i * (VIEW_PX + FRAME), FRAME, title, TEXT_LARGE, ink);
    }

    shape_picture_scale(sheet, scale, 3 * FRAME + 2 * VIEW_PX, CAPTION + 60);
    return STATUS_OK;
}

enum status shape_picture(const char *path, const struct crop *implant, const float *values, const double spacing[3],
                          const double offset_mm[3], const struct picture_scale *scale, struct error *error)
{
    const struct grid grid = grid_make(implant->dim, spacing);
    int64_t n = crop_voxels(implant);
    struct image sheet = {0};
    uint8_t *masks = memory_zalloc((size_t)n, BINS);
    enum status status = masks ? image_new(&sheet, 3 * FRAME + 2 * VIEW_PX + BAR_ROOM, CAPTION + VIEW_PX + FRAME, error)
                               : error_memory(error, (size_t)n * BINS, "a picture of the implant");

    for (int64_t i = 0; !status && i < n; i++)
        if (implant->mask[i])
            masks[shape_bin(scale, (double)values[i]) * n + i] = 1;
    if (!status)
        status = shape_picture_draw(&sheet, &grid, masks, offset_mm, scale, error);
    if (!status)
        status = image_write_png(path, &sheet, error);
    image_done(&sheet);
    memory_free(masks);
    return status;
}

/* --- symmetry --- */

static bool shape_near_outside(const struct crop *crop, int64_t i)
{
    const int64_t *dim = crop->dim, at[3] = {i % dim[0], i / dim[0] % dim[1], i / dim[0] / dim[1]};
    const int64_t step[3] = {1, dim[0], dim[0] * dim[1]};
    for (int a = 0; a < 3; a++)
        if (at[a] == 0 || at[a] + 1 == dim[a] || !crop->mask[i - step[a]] || !crop->mask[i + step[a]])
            return true;
    return false;
}

/* Where the implant can be compared: on its surface, off the rim, and not where the other side is missing as well. */
static enum status shape_symmetry_places(uint8_t *places, const struct crop *implant, const uint8_t *other_gap,
                                         const float *near, float *work, const double spacing[3], struct error *error)
{
    if (distance_to_mask(work, other_gap, implant->dim, spacing, error))
        return error->status;
    for (int64_t i = 0; i < crop_voxels(implant); i++)
        places[i] = implant->mask[i] && (double)near[i] > SYMMETRY_RIM_MM && (double)work[i] > SYMMETRY_GAP_MM &&
                    shape_near_outside(implant, i);
    return STATUS_OK;
}

/* mirrored (crop-sized): the other side of the head, mirrored to the implant's; places: where they are compared. */
static enum status shape_symmetry_compare(struct report *report, const struct crop *implant, uint8_t *mirrored,
                                          const uint8_t *places, float *work, const double spacing[3],
                                          struct error *error)
{
    int64_t n = crop_voxels(implant), on = 0, all = mask_count(implant->mask, n), n_surface = 0;
    int64_t n_faces = 0;
    double sum = 0, voxel = (spacing[0] + spacing[1] + spacing[2]) / 3;

    for (int64_t i = 0; i < n; i++) {
        on += implant->mask[i] && mirrored[i];
        n_faces += implant->mask[i] && shape_near_outside(implant, i);
    }

    report->symmetry_overlap_frac = all ? (double)on / (double)all : NAN;
    if (!all || report->symmetry_overlap_frac < SYMMETRY_LEAST)
        return STATUS_OK;
    for (int side = 0; side < 2; side++) { /* outside the mirrored bone, then inside */
        if (distance_to_mask(work, mirrored, implant->dim, spacing, error))
            return error->status;
        for (int64_t i = 0; i < n; i++) {
            const bool counts = places[i] && !mirrored[i];
            sum += counts ? fmax(0, (double)work[i] - voxel) : 0;
            n_surface += counts;
        }
        for (int64_t i = 0; i < n; i++)
            mirrored[i] = !mirrored[i];
    }

    if (n_surface > 0 && (double)n_surface >= SYMMETRY_LEAST * (double)n_faces)
        report->symmetry_mm = sum / (double)n_surface;

    return STATUS_OK;
}

enum status shape_symmetry(struct report *report, const struct volume *skull, const struct volume *all,
                           const struct crop *implant, const float *near, float *work, struct error *error)
{
    const double spacing[3] = {grid_spacing_mm(&skull->grid, 0), grid_spacing_mm(&skull->grid, 1),
                               grid_spacing_mm(&skull->grid, 2)};
    struct mirror_plane plane;

    if (mirror_find(&plane, skull, error))
        return error->status;
    report->symmetry_plane_frac = plane.overlap_frac;
    const size_t n = (size_t)crop_voxels(implant);
    uint8_t *mirrored = memory_alloc(n, 2);
    if (!mirrored)
        return error_memory(error, 2 * n, "the other side of the head");
    uint8_t *places = mirrored + n;

    /* Where the mirrored implant lies, the other side is missing too: not compared. */
    mirror_box(mirrored, all, &plane, implant->box);

    enum status status = shape_symmetry_places(places, implant, mirrored, near, work, spacing, error);
    if (!status) {
        mirror_box(mirrored, skull, &plane, implant->box);
        status = shape_symmetry_compare(report, implant, mirrored, places, work, spacing, error);
    }

    memory_free(mirrored);
    return status;
}
