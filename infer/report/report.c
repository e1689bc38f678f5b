/* report.c - the measurements of a report and its warnings; see report.h. All work is done in the implant's box grown
 * by 5 mm. Test: tests/infer/test_report.c */
#include "infer/report/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "data/mask/distance.h"
#include "infer/crop.h"
#include "infer/pieces.h"
#include "infer/report/report_prediction.h"
#include "infer/report/report_shape.h"

enum { REPORT_WARNING_BYTES = 512 };
static const double RIM_REACH_MM = 5, RIM_FACING_COS = 0.7, SPILL_REACH_MM = 15;

/* What the measurements share. */
struct measurement {
    struct report *report;
    const struct volume *implant_volume, *defective;
    struct crop implant, bone;
    double spacing[3], mean_spacing;
    float *distance; /* crop-sized */
    const char *thickness_png;
};

static int64_t report_crop_at(const struct crop *crop, int64_t x, int64_t y, int64_t z)
{
    return (z * crop->dim[1] + y) * crop->dim[0] + x;
}

static bool report_crop_inside(const struct crop *crop, const int64_t at[3])
{
    for (int a = 0; a < 3; a++)
        if (at[a] < 0 || at[a] >= crop->dim[a])
            return false;
    return true;
}

static void report_voxel(const struct crop *crop, int64_t i, int64_t ret_at[3])
{
    ret_at[0] = i % crop->dim[0];
    ret_at[1] = i / crop->dim[0] % crop->dim[1];
    ret_at[2] = i / crop->dim[0] / crop->dim[1];
}

/* Where the implant's middle stands, seen from the bone's. */
static void report_measure_offset(const struct measurement *m, double ret_mm[3])
{
    double centre[3];
    bone_centre(m->defective, centre);
    for (int a = 0; a < 3; a++)
        ret_mm[a] = (0.5 * (double)(m->implant.box.lo[a] + m->implant.box.hi[a]) - centre[a]) * m->spacing[a];
}

static enum status report_measure_thickness(struct measurement *m, struct error *error)
{
    int64_t n = crop_voxels(&m->implant);
    double offset_mm[3];
    uint8_t *outside = memory_alloc((size_t)n, 1);
    float *thickness = memory_alloc((size_t)n, sizeof *thickness);
    enum status status = outside && thickness ? STATUS_OK
                                              : error_memory(error, (size_t)n * (1 + sizeof *thickness),
                                                             "measuring the implant's thickness");

    for (int64_t i = 0; !status && i < n; i++)
        outside[i] = !m->implant.mask[i];
    if (!status)
        status = distance_to_mask(m->distance, outside, m->implant.dim, m->spacing, error);
    for (int64_t i = 0; !status && i < n; i++) /* an implant that fills its box to the volume's borders */
        m->distance[i] = isfinite(m->distance[i]) ? m->distance[i] : (float)m->mean_spacing;
    memory_free(outside);
    if (!status)
        status = shape_thickness(thickness, m->report, &m->implant, m->distance, m->spacing, error);
    report_measure_offset(m, offset_mm);
    if (!status && m->thickness_png)
        status =
            shape_picture(m->thickness_png, &m->implant, thickness, m->spacing, offset_mm, &picture_thickness, error);

    memory_free(thickness);
    return status;
}

/* Outward from the implant at a voxel of it: away from the mean of the mask around, in mm. */
static void report_outward(const struct measurement *m, const int64_t at[3], double ret[3])
{
    enum { REACH = 2, SIDE = 2 * REACH + 1 };
    memset(ret, 0, 3 * sizeof *ret);
    for (int n = 0; n < SIDE * SIDE * SIDE; n++) {
        const int64_t off[3] = {n % SIDE - REACH, n / SIDE % SIDE - REACH, n / (SIDE * SIDE) - REACH};
        const int64_t near[3] = {at[0] + off[0], at[1] + off[1], at[2] + off[2]};
        if (report_crop_inside(&m->implant, near) &&
            m->implant.mask[report_crop_at(&m->implant, near[0], near[1], near[2])])
            for (int a = 0; a < 3; a++)
                ret[a] -= (double)off[a] * m->spacing[a];
    }
}

/* Towards the nearest bone: down the slope of its distance. */
static void report_towards_bone(const struct measurement *m, const int64_t at[3], double ret[3])
{
    for (int a = 0; a < 3; a++) {
        int64_t low[3] = {at[0], at[1], at[2]}, high[3] = {at[0], at[1], at[2]};
        low[a] -= at[a] > 0;
        high[a] += at[a] + 1 < m->bone.dim[a];
        ret[a] = ((double)m->distance[report_crop_at(&m->bone, low[0], low[1], low[2])] -
                  (double)m->distance[report_crop_at(&m->bone, high[0], high[1], high[2])]) /
                 m->spacing[a];
    }
}

static bool report_on_surface(const struct crop *crop, const int64_t at[3])
{
    for (int n = 0; n < 6; n++) {
        int64_t near[3] = {at[0], at[1], at[2]};
        near[n / 2] += n % 2 ? 1 : -1;
        if (!report_crop_inside(crop, near) || !crop->mask[report_crop_at(crop, near[0], near[1], near[2])])
            return true;
    }
    return false;
}

static double report_cosine(const double a[3], const double b[3])
{
    double ab = a[0] * b[0] + a[1] * b[1] + a[2] * b[2], aa = a[0] * a[0] + a[1] * a[1] + a[2] * a[2],
           bb = b[0] * b[0] + b[1] * b[1] + b[2] * b[2];
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

/* From the centre of a voxel to that of its neighbour, along a direction: what two voxels that touch are apart. */
static double report_voxel_pitch(const double direction[3], const double spacing[3])
{
    double length = 0, most = 0;
    for (int a = 0; a < 3; a++) {
        length += direction[a] * direction[a];
        most = fmax(most, fabs(direction[a]) / spacing[a]);
    }
    return most > 0 ? sqrt(length) / most : 0;
}

static int report_compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static enum status report_measure_rim(struct measurement *m, struct error *error)
{
    int64_t n = crop_voxels(&m->implant), n_gaps = 0, n_touching = 0;
    const double widest = fmax(m->spacing[0], fmax(m->spacing[1], m->spacing[2]));

    m->report->rim_gap_mm = NAN;
    if (distance_to_mask(m->distance, m->bone.mask, m->bone.dim, m->spacing, error))
        return error->status;
    float *gap = memory_alloc((size_t)mask_count(m->implant.mask, n), sizeof *gap);
    if (!gap)
        return error_memory(error, (size_t)n * sizeof *gap, "measuring the implant's rim");

    for (int64_t i = 0; i < n; i++) {
        /* Rim: surface voxels whose outward direction points at near bone. */
        double out[3], bone[3];
        int64_t at[3];
        if (!m->implant.mask[i] || (double)m->distance[i] > RIM_REACH_MM + widest)
            continue;
        report_voxel(&m->implant, i, at);
        if (!report_on_surface(&m->implant, at))
            continue;
        report_outward(m, at, out);
        report_towards_bone(m, at, bone);
        if (report_cosine(out, bone) < RIM_FACING_COS)
            continue;
        double free_mm = fmax(0, (double)m->distance[i] - report_voxel_pitch(bone, m->spacing));
        n_touching += free_mm < m->mean_spacing / 2;
        gap[n_gaps++] = (float)free_mm;
    }

    /* The median: a few bridges or chips do not move it. */
    if (n_gaps) {
        qsort(gap, (size_t)n_gaps, sizeof *gap, report_compare_floats);
        m->report->rim_gap_mm = (double)gap[n_gaps / 2];
        m->report->rim_contact_frac = (double)n_touching / (double)n_gaps;
    }

    memory_free(gap);
    float *work = memory_alloc((size_t)n, sizeof *work);
    if (!work)
        return error_memory(error, (size_t)n * sizeof *work, "comparing with the other side of the head");
    enum status status =
        shape_symmetry(m->report, m->defective, m->implant_volume, &m->implant, m->distance, work, error);

    memory_free(work);
    return status;
}

static void report_measure_spill(struct measurement *m)
{
    double centre[3], voxel_ml = grid_voxel_ml(&m->defective->grid);
    int64_t n = crop_voxels(&m->implant), over = 0, shared = 0;

    bone_centre(m->defective, centre);
#pragma omp parallel for schedule(static) reduction(+ : over, shared)
    for (int64_t i = 0; i < n; i++) {
        int64_t at[3];
        if (!m->implant.mask[i])
            continue;
        report_voxel(&m->implant, i, at);
        for (int a = 0; a < 3; a++)
            at[a] += m->implant.box.lo[a];
        shared += m->bone.mask[i] != 0;
        over += bone_lies_on_ray(m->defective, centre, at, SPILL_REACH_MM);
    }

    m->report->overlap_ml = (double)shared * voxel_ml;
    m->report->spill_ml = (double)over * voxel_ml;
}

/* On the voxels themselves: on a coarser grid thin bridges would break. */
static enum status report_measure_pieces(struct report *report, const struct volume *implant, struct error *error)
{
    int64_t *sizes = NULL;
    enum { PIECES = 6 };
    enum status status =
        mask_components(NULL, &sizes, &report->n_components, implant->data, implant->grid.dim, PIECES, error);
    memory_free(sizes);
    return status;
}

/* Last of all: the hollows are filled in the crop. */
static enum status report_measure_hollows(struct measurement *m, struct error *error)
{
    int64_t n = crop_voxels(&m->implant), before = mask_count(m->implant.mask, n);
    enum status status = mask_fill_holes(m->implant.mask, m->implant.dim, error);
    m->report->hollow_ml = (double)(mask_count(m->implant.mask, n) - before) * grid_voxel_ml(&m->defective->grid);
    return status;
}

static enum status report_measure_box(struct measurement *m, struct box box, struct error *error)
{
    struct box grown = box;
    const int64_t *dim = m->defective->grid.dim;

    for (int a = 0; a < 3; a++) {
        int64_t margin = (int64_t)ceil(RIM_REACH_MM / m->spacing[a]) + 1;
        grown.lo[a] = box.lo[a] > margin ? box.lo[a] - margin : 0;
        grown.hi[a] = box.hi[a] + margin < dim[a] ? box.hi[a] + margin : dim[a];
    }

    /* The box grown by the rim's reach, from implant and bone. */
    enum status status = crop_take(&m->implant, m->implant_volume, grown, error);
    if (!status)
        status = crop_take(&m->bone, m->defective, grown, error);
    int64_t n = status ? 0 : crop_voxels(&m->implant);
    m->distance = status ? NULL : memory_alloc((size_t)n, sizeof *m->distance);
    if (!status && !m->distance)
        status = error_memory(error, (size_t)n * sizeof *m->distance, "measuring the implant");
    if (!status) {
        report_measure_spill(m);
        status = report_measure_thickness(m, error);
    }

    if (!status)
        status = report_measure_rim(m, error);
    if (!status)
        status = report_measure_hollows(m, error);
    crop_done(&m->implant);
    crop_done(&m->bone);
    memory_free(m->distance);
    return status;
}

void report_warn(struct report *report, const char *format, ...)
{
    char text[REPORT_WARNING_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (report->n_warnings == REPORT_MAX_WARNINGS)
        return;
    const char *kept = arena_strdup(&report->arena, text);
    report->warning_lost |= !kept;
    if (kept)
        report->warnings[report->n_warnings++] = kept;
}

static bool report_mentions(const struct model *model, const char *key, const char *word)
{
    const char *text = model_text(model, key);
    return text && strstr(text, word);
}

static void report_warn_model(struct report *report, const struct model *model)
{
    if (!model)
        return;
    if (report_mentions(model, "licence", "phantom") || report_mentions(model, "name", "phantom") ||
        report_mentions(model, "recipe", "phantom"))
        report_warn(report,
                    "The model was trained on procedural phantoms, not on people: its implants are no more than a "
                    "demonstration.");
    if (model_text(model, "licence"))
        report_warn(report, "Licence note of the model: %.300s", model_text(model, "licence"));
}

static void report_warn_fit(struct report *report)
{
    if (report->touches_border)
        report_warn(report, "The implant touches the volume's border: part of the skull may lie outside the scan.");
    if (report->n_components > 1)
        report_warn(report,
                    "The implant has several components: %" PRId64
                    " pieces that do not hold together (each closes a hole "
                    "of its own, or a gap divides it).",
                    report->n_components);
    if (report->removed.n_large > 0)
        report_warn(report,
                    "%" PRId64
                    " pieces of %.1f ml or more (the largest %.1f ml) were removed from the prediction: they "
                    "close no hole, or are less than %.0f %% of the implant.",
                    report->removed.n_large, PIECE_LEAST_ML, report->removed.largest_ml, 100 * PIECE_LEAST_FRAC);
    if (isnan(report->rim_gap_mm))
        report_warn(report, "The implant meets no bone within %g mm: it would float.", RIM_REACH_MM);
    else if (report->rim_gap_mm > 1.5)
        report_warn(report, "The implant leaves a gap to the bone: %.1f mm in the median along its rim.",
                    report->rim_gap_mm);

    if (report->overlap_ml > 0)
        report_warn(report, "The implant and the bone share %.2f ml.", report->overlap_ml);
    if (report->spill_ml > 0.1 * report->volume_ml)
        report_warn(report, "%.0f %% of the implant lies in front of or behind existing bone instead of in the defect.",
                    100 * report->spill_ml / report->volume_ml);
    if (report->hollow_ml > 0)
        report_warn(report,
                    "The implant encloses hollows: %.2f ml that cannot be cleaned (the rule fill_holes closes them).",
                    report->hollow_ml);
    if (report->volume_ml < 1)
        report_warn(report, "The implant is tiny (%.2f ml): perhaps nothing is missing.", report->volume_ml);
    if (report->volume_ml > 250)
        report_warn(report, "The implant is implausibly large (%.0f ml).", report->volume_ml);

    if (report->thickness_mean_mm < 2)
        report_warn(report, "The implant is thin: %.1f mm on average.", report->thickness_mean_mm);
    else if (report->thickness_p5_mm < 1)
        report_warn(
            report,
            "Parts of the implant are very thin: a twentieth is thinner than %.1f mm (--min-thickness-mm thickens "
            "them).",
            report->thickness_p5_mm);

    if (report->symmetry_plane_frac < 0.4)
        report_warn(report, "The head has no clear symmetry plane: the comparison with the other side means little.");
    else if (report->symmetry_mm > 5)
        report_warn(report, "The implant's surface lies %.1f mm off the mirrored other side on average.",
                    report->symmetry_mm);

    if (report->measured_step > 1)
        report_warn(report,
                    "The implant is so large that it was measured on a grid %" PRId64
                    " times coarser, to spare memory.",
                    report->measured_step);
}

/* Whoever reads the numbers must know that they are not the model's alone. */
static void report_warn_edit(struct report *report)
{
    const struct edit_report *edit = &report->edit;
    if (edit->made)
        report_warn(
            report,
            "The implant was edited by hand: %.2f ml added, %.2f ml erased, %.2f ml outside the regions allowed "
            "removed.",
            edit->added_ml, edit->removed_ml, edit->excluded_ml);
}

static void report_warn_insertion(struct report *report)
{
    const double LEAST_ML = 0.1, LEAST_FRAC = 0.005; /* less is within the voxels' steps */
    for (int k = 0; k < report->insertion.n; k++) {
        const struct insertion_piece *piece = &report->insertion.piece[k];
        if (piece->trimmed_ml > 0)
            report_warn(report, "%.2f ml of the implant were trimmed so that it can be put in by a straight move.",
                        piece->trimmed_ml);
        else if (piece->undercut_ml > LEAST_ML && piece->undercut_ml > LEAST_FRAC * piece->volume_ml)
            report_warn(
                report,
                "The implant cannot be put in by a straight move: along the best direction %.2f ml of it lie behind "
                "bone, up to %.1f mm (--insertable trims them).",
                piece->undercut_ml, piece->interference_mm);
    }
}

static void report_warn_volume(struct report *report, const struct volume *volume, const struct restorer *restorer)
{
    const struct grid *grid = &volume->grid;
    const struct storage *storage = &volume->storage;
    const double *trained = restorer_config(restorer)->working_spacing_mm;
    double spacing[3], most = 0;

    for (int a = 0; a < 3; a++) {
        spacing[a] = grid_spacing_mm(grid, a);
        most = fmax(most, spacing[a]);
    }

    const bool nifti = storage->format == VOLUME_NIFTI || storage->format == VOLUME_NIFTI_GZ;
    if (nifti && storage->nifti_version > 0 && (storage->xyzt_units & 7) == 0)
        report_warn(report, "The file does not state its unit of length: millimetres were assumed.");
    if (most > 2)
        report_warn(report, "Thick slices: voxels are up to %.1f mm long; shapes finer than that are not known.", most);
    if (restorer_model(restorer) && trained[0] > 0 && (most > 2 * trained[0] || most < 0.25 * trained[0]))
        report_warn(report, "The model was trained at %.3g mm, this volume has %.3g x %.3g x %.3g mm.", trained[0],
                    spacing[0], spacing[1], spacing[2]);
}

static void report_warn_mesh(struct report *report, const struct mesh *mesh)
{
    if (!mesh)
        return;
    if (!report->mesh.watertight || !report->mesh.manifold || !report->mesh.oriented)
        report_warn(report, "The implant's surface is not a closed, oriented 2-manifold: it may not print.");
    if (report->mesh.n_crossing > 0)
        report_warn(report, "The implant's surface crosses itself: %" PRId64 " triangles.", report->mesh.n_crossing);

    if (fabs(report->mesh.volume_ml - report->volume_ml) > 0.01 * report->volume_ml)
        report_warn(
            report,
            "The surface encloses %.2f ml, the mask %.2f ml: more than 1 %% apart (an implant this thin cannot be "
            "smoothed "
            "truly).",
            report->mesh.volume_ml, report->volume_ml);
}

/* Every step-th voxel of a mask. */
static enum status report_coarse_mask(struct volume *ret, const struct volume *mask, int64_t step, struct error *error)
{
    struct grid grid = mask->grid;
    const int64_t *dim = mask->grid.dim;

    for (int a = 0; a < 3; a++) {
        grid.dim[a] = (dim[a] + step - 1) / step;
        for (int k = 0; k < 3; k++)
            grid.axis[a][k] *= (double)step;
    }

    if (volume_new(ret, &grid, VOXEL_U8, error))
        return error->status;
    int64_t i = 0;
    for (int64_t z = 0; z < dim[2]; z += step)
        for (int64_t y = 0; y < dim[1]; y += step)
            for (int64_t x = 0; x < dim[0]; x += step)
                ((uint8_t *)ret->data)[i++] = ((const uint8_t *)mask->data)[(z * dim[1] + y) * dim[0] + x];

    return STATUS_OK;
}

static enum status report_measure_masks(struct report *report, const struct volume *implant,
                                        const struct volume *defective, const struct report_request *request,
                                        struct error *error)
{
    struct measurement m = {
        .report = report, .implant_volume = implant, .defective = defective, .thickness_png = request->thickness_png};
    for (int a = 0; a < 3; a++) {
        m.spacing[a] = grid_spacing_mm(&defective->grid, a);
        m.mean_spacing += m.spacing[a] / 3;
    }
    struct box box = box_of_mask(implant->data, implant->grid.dim);
    return box_empty(box) ? STATUS_OK : report_measure_box(&m, box, error);
}

/* Volume, extent and border on the voxels themselves; the rest on every step-th where the box has more than max_voxels.
 */
static enum status report_measure_all(struct report *report, struct box box, const struct volume *implant,
                                      const struct volume *defective, const struct report_request *request,
                                      struct error *error)
{
    const struct grid *grid = &implant->grid;
    double voxels = 1;

    for (int a = 0; a < 3; a++) {
        double spacing = grid_spacing_mm(grid, a), extent = (double)(box.hi[a] - box.lo[a]);
        report->extent_mm[a] = extent * spacing;
        report->touches_border |= box.lo[a] == 0 || box.hi[a] == grid->dim[a];
        voxels *= fmin((double)grid->dim[a], extent + 2 * RIM_REACH_MM / spacing + 4);
    }

    report->volume_ml = (double)mask_count(implant->data, grid_voxels(grid)) * grid_voxel_ml(grid);

    /* The smallest step that fits max_voxels. */
    while (request->max_voxels > 0 && voxels / pow((double)report->measured_step, 3) > (double)request->max_voxels)
        report->measured_step++;
    if (report_measure_pieces(report, implant, error))
        return error->status;
    if (report->measured_step == 1)
        return report_measure_masks(report, implant, defective, request, error);

    struct volume coarse[2] = {{.data = NULL}, {.data = NULL}};
    enum status status = report_coarse_mask(&coarse[0], implant, report->measured_step, error);

    if (!status)
        status = report_coarse_mask(&coarse[1], defective, report->measured_step, error);
    if (!status)
        status = report_measure_masks(report, &coarse[0], &coarse[1], request, error);
    volume_done(&coarse[0]);
    volume_done(&coarse[1]);
    return status;
}

static void report_date(char text[REPORT_DATE_BYTES])
{
    const time_t now = time(NULL);
    struct tm utc;
    text[0] = '\0';
    if (gmtime_r(&now, &utc))
        strftime(text, REPORT_DATE_BYTES, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

enum status report_make(struct report *ret, const struct restoration *restoration, const struct volume *defective,
                        const struct restorer *restorer, const struct report_request *request, struct error *error)
{
    struct report report = {.rim_gap_mm = NAN,
                            .symmetry_plane_frac = NAN,
                            .symmetry_overlap_frac = NAN,
                            .symmetry_mm = NAN,
                            .measured_step = 1};
    struct box box = box_of_mask(restoration->implant.data, restoration->implant.grid.dim);
    report_date(report.created);
    if (request->edit)
        report.edit = *request->edit;
    if (request->insertion)
        report.insertion = *request->insertion;
    report.insertion.undercut = (struct crop){0};
    report.removed = restoration->removed;
    enum status status =
        box_empty(box) ? STATUS_OK : report_measure_all(&report, box, &restoration->implant, defective, request, error);

    if (!status && (restoration->shape || restoration->spread.data))
        status = report_prediction(&report, restoration, restorer, request->interval_png, error);
    if (!status && request->mesh)
        status = mesh_verify(&report.mesh, request->mesh, error);
    if (status) {
        report_done(&report);
        return error_while(error, "measuring the implant");
    }
    report_warn_edit(&report);
    if (box_empty(box)) {
        report_warn(&report, "Nothing is missing: the implant is empty, and its surface file holds no triangles.");
    } else {
        report_warn_fit(&report);
        report_warn_insertion(&report);
        report_warn_mesh(&report, request->mesh);
    }

    if (restoration->shape)
        report_prediction_warnings(&report, restoration->shape);
    if (request->mesh_left_out)
        report_warn(
            &report,
            "No surface was written: the implant's is so large that the memory allowed would not do (--max-memory).");
    if (request->picture_left_out)
        report_warn(&report, "No pictures were made: the memory allowed would not do (--max-memory).");
    report_warn_volume(&report, defective, restorer);
    for (int64_t i = 0; request->notes && i < request->notes->n; i++)
        report_warn(&report, "%s", request->notes->items[i]);
    report_warn_model(&report, restorer_model(restorer));
    if (report.warning_lost) {
        report_done(&report);
        return error_memory(error, REPORT_WARNING_BYTES, "the report's warnings");
    }
    *ret = report;

    return STATUS_OK;
}

void report_warn_input(struct report *report, const struct warnings *warnings)
{
    const int n = warnings->n;
    for (int64_t i = report->n_warnings - 1; i >= 0; i--)
        if (i + n < REPORT_MAX_WARNINGS)
            report->warnings[i + n] = report->warnings[i];
    for (int i = 0; i < n && i < REPORT_MAX_WARNINGS; i++)
        report->warnings[i] = warnings->text[i];
    report->n_warnings = report->n_warnings + n < REPORT_MAX_WARNINGS ? report->n_warnings + n : REPORT_MAX_WARNINGS;
}

void report_done(struct report *report)
{
    arena_done(&report->arena);
    report->n_warnings = 0;
}
