/* report.c - the measurements of a report and its warnings; see report.h. All work is done in the implant's box grown by 5 mm. */
#include "infer/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/distance.h"
#include "infer/crop.h"

static const double RIM_REACH_MM = 5, RIM_FACING_COS = 0.7, SPILL_REACH_MM = 15;

/* What the measurements share. */
struct measuring {
    struct report *report;
    const struct volume *implant_volume, *defective;
    struct crop implant, bone;
    double spacing[3], mean_spacing;
    float *distance; /* crop-sized */
};

static int64_t crop_at(const struct crop *crop, int64_t x, int64_t y, int64_t z)
{
    return (z * crop->dim[1] + y) * crop->dim[0] + x;
}

static bool crop_inside(const struct crop *crop, const int64_t at[3])
{
    for (int a = 0; a < 3; a++)
        if (at[a] < 0 || at[a] >= crop->dim[a])
            return false;
    return true;
}

static void voxel_of(const struct crop *crop, int64_t i, int64_t ret_at[3])
{
    ret_at[0] = i % crop->dim[0];
    ret_at[1] = i / crop->dim[0] % crop->dim[1];
    ret_at[2] = i / crop->dim[0] / crop->dim[1];
}

/* No voxel around it lies deeper. */
static bool on_ridge(const struct crop *crop, const float *depth, const int64_t at[3])
{
    float here = depth[crop_at(crop, at[0], at[1], at[2])];
    for (int n = 0; n < 27; n++) {
        const int64_t near[3] = {at[0] + n % 3 - 1, at[1] + n / 3 % 3 - 1, at[2] + n / 9 - 1};
        if (crop_inside(crop, near) && depth[crop_at(crop, near[0], near[1], near[2])] > here)
            return false;
    }
    return true;
}

/* Thickness where depth d peaks: a plate of n voxels has d = (n + 1) / 2 for odd n, n / 2 for even n, so 2 d - 1/2 is right to
 * half a voxel. */
static enum status measure_thickness(struct measuring *m, struct error *error)
{
    int64_t n = crop_voxels(&m->implant);
    uint8_t *outside = memory_alloc((size_t)n, 1);
    if (!outside)
        return error_memory(error, (size_t)n, "measuring the implant's thickness");
    for (int64_t i = 0; i < n; i++)
        outside[i] = !m->implant.mask[i];
    enum status status = distance_to_mask(m->distance, outside, m->implant.dim, m->spacing, error);
    memory_free(outside);
    double sum = 0, most = 0;
    int64_t count = 0, at[3];
    for (int64_t i = 0; !status && i < n; i++) {
        voxel_of(&m->implant, i, at);
        if (!m->implant.mask[i] || !isfinite(m->distance[i]) || !on_ridge(&m->implant, m->distance, at))
            continue;
        count++;
        sum += (double)m->distance[i];
        most = fmax(most, (double)m->distance[i]);
    }
    if (count) {
        m->report->thickness_mean_mm = 2 * sum / (double)count - m->mean_spacing / 2;
        m->report->thickness_max_mm = 2 * most - m->mean_spacing / 2;
    }
    return status;
}

/* Outward from the implant at a voxel of it: away from the mean of the mask around, in mm. */
static void outward(const struct measuring *m, const int64_t at[3], double ret[3])
{
    enum { REACH = 2, SIDE = 2 * REACH + 1 };
    memset(ret, 0, 3 * sizeof *ret);
    for (int n = 0; n < SIDE * SIDE * SIDE; n++) {
        const int64_t off[3] = {n % SIDE - REACH, n / SIDE % SIDE - REACH, n / (SIDE * SIDE) - REACH};
        const int64_t near[3] = {at[0] + off[0], at[1] + off[1], at[2] + off[2]};
        if (crop_inside(&m->implant, near) && m->implant.mask[crop_at(&m->implant, near[0], near[1], near[2])])
            for (int a = 0; a < 3; a++)
                ret[a] -= (double)off[a] * m->spacing[a];
    }
}

/* Towards the nearest bone: down the slope of its distance. */
static void boneward(const struct measuring *m, const int64_t at[3], double ret[3])
{
    for (int a = 0; a < 3; a++) {
        int64_t low[3] = {at[0], at[1], at[2]}, high[3] = {at[0], at[1], at[2]};
        low[a] -= at[a] > 0;
        high[a] += at[a] + 1 < m->bone.dim[a];
        ret[a] = ((double)m->distance[crop_at(&m->bone, low[0], low[1], low[2])] -
                  (double)m->distance[crop_at(&m->bone, high[0], high[1], high[2])]) /
                 m->spacing[a];
    }
}

static bool on_surface(const struct crop *crop, const int64_t at[3])
{
    for (int n = 0; n < 6; n++) {
        int64_t near[3] = {at[0], at[1], at[2]};
        near[n / 2] += n % 2 ? 1 : -1;
        if (!crop_inside(crop, near) || !crop->mask[crop_at(crop, near[0], near[1], near[2])])
            return true;
    }
    return false;
}

static double cosine(const double a[3], const double b[3])
{
    double ab = a[0] * b[0] + a[1] * b[1] + a[2] * b[2], aa = a[0] * a[0] + a[1] * a[1] + a[2] * a[2],
           bb = b[0] * b[0] + b[1] * b[1] + b[2] * b[2];
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static enum status measure_rim(struct measuring *m, struct error *error)
{
    int64_t n = crop_voxels(&m->implant), n_gaps = 0, n_touching = 0;
    m->report->rim_gap_mm = NAN;
    if (distance_to_mask(m->distance, m->bone.mask, m->bone.dim, m->spacing, error))
        return error->status;
    float *gap = memory_alloc((size_t)mask_count(m->implant.mask, n), sizeof *gap);
    if (!gap)
        return error_memory(error, (size_t)n * sizeof *gap, "measuring the implant's rim");
    for (int64_t i = 0; i < n; i++) {
        double out[3], bone[3];
        int64_t at[3];
        if (!m->implant.mask[i] || (double)m->distance[i] > RIM_REACH_MM + m->mean_spacing)
            continue;
        voxel_of(&m->implant, i, at);
        if (!on_surface(&m->implant, at))
            continue;
        outward(m, at, out);
        boneward(m, at, bone);
        if (cosine(out, bone) < RIM_FACING_COS)
            continue;
        double free_mm = fmax(0, (double)m->distance[i] - m->mean_spacing); /* face neighbours touch */
        n_touching += free_mm < m->mean_spacing / 2;
        gap[n_gaps++] = (float)free_mm;
    }
    if (n_gaps) {
        qsort(gap, (size_t)n_gaps, sizeof *gap, compare_floats);
        m->report->rim_gap_mm = (double)gap[n_gaps / 2];
        m->report->rim_contact_frac = (double)n_touching / (double)n_gaps;
    }
    memory_free(gap);
    return STATUS_OK;
}

/* The middle of the bone, in voxels; every fourth voxel along each axis is enough. */
static void bone_centre(const struct volume *bone, double ret[3])
{
    enum { STRIDE = 4 };
    const int64_t *dim = bone->grid.dim;
    double count = 0;
    memset(ret, 0, 3 * sizeof *ret);
    for (int64_t z = 0; z < dim[2]; z += STRIDE)
        for (int64_t y = 0; y < dim[1]; y += STRIDE)
            for (int64_t x = 0; x < dim[0]; x += STRIDE)
                if (((const uint8_t *)bone->data)[(z * dim[1] + y) * dim[0] + x]) {
                    ret[0] += (double)x;
                    ret[1] += (double)y;
                    ret[2] += (double)z;
                    count++;
                }
    for (int a = 0; a < 3; a++)
        ret[a] = count > 0 ? ret[a] / count : 0.5 * (double)dim[a];
}

/* Is there bone on the ray from the centre through the voxel, within SPILL_REACH_MM of it? */
static bool lies_over_bone(const struct volume *bone, const double spacing[3], const double centre[3], const int64_t at[3])
{
    const int64_t *dim = bone->grid.dim;
    double way[3], length = 0, finest = fmin(spacing[0], fmin(spacing[1], spacing[2]));
    for (int a = 0; a < 3; a++) {
        way[a] = (double)at[a] - centre[a];
        length += way[a] * way[a] * spacing[a] * spacing[a];
    }
    length = sqrt(length);
    if (length <= SPILL_REACH_MM)
        return false;
    for (double step = -SPILL_REACH_MM; step <= SPILL_REACH_MM; step += finest) {
        int64_t v[3];
        bool inside = true;
        for (int a = 0; a < 3; a++) {
            double place = (double)at[a] + way[a] * step / length + 0.5;
            inside &= place >= 0 && place < (double)dim[a];
            v[a] = inside ? (int64_t)place : 0;
        }
        if (inside && ((const uint8_t *)bone->data)[(v[2] * dim[1] + v[1]) * dim[0] + v[0]])
            return true;
    }
    return false;
}

static void measure_spill(struct measuring *m)
{
    double centre[3], voxel_ml = grid_voxel_ml(&m->defective->grid);
    int64_t n = crop_voxels(&m->implant), over = 0, shared = 0;
    bone_centre(m->defective, centre);
#pragma omp parallel for schedule(static) reduction(+ : over, shared)
    for (int64_t i = 0; i < n; i++) {
        int64_t at[3];
        if (!m->implant.mask[i])
            continue;
        voxel_of(&m->implant, i, at);
        for (int a = 0; a < 3; a++)
            at[a] += m->implant.box.lo[a];
        shared += m->bone.mask[i] != 0;
        over += lies_over_bone(m->defective, m->spacing, centre, at);
    }
    m->report->overlap_ml = (double)shared * voxel_ml;
    m->report->spill_ml = (double)over * voxel_ml;
}

static enum status measure_pieces(struct measuring *m, struct error *error)
{
    int64_t *sizes = NULL, n = crop_voxels(&m->implant);
    int32_t *labels = memory_alloc((size_t)n, sizeof *labels);
    enum status status =
        labels ? mask_components(labels, &sizes, &m->report->n_components, m->implant.mask, m->implant.dim, 6, error)
               : error_memory(error, (size_t)n * sizeof *labels, "counting the implant's pieces");
    memory_free(sizes);
    memory_free(labels);
    return status;
}

/* Last of all: the hollows are filled in the crop. */
static enum status measure_hollows(struct measuring *m, struct error *error)
{
    int64_t n = crop_voxels(&m->implant), before = mask_count(m->implant.mask, n);
    enum status status = mask_fill_holes(m->implant.mask, m->implant.dim, error);
    m->report->hollow_ml = (double)(mask_count(m->implant.mask, n) - before) * grid_voxel_ml(&m->defective->grid);
    return status;
}

static enum status measure_box(struct measuring *m, struct box box, struct error *error)
{
    struct box grown = box;
    const int64_t *dim = m->defective->grid.dim;
    for (int a = 0; a < 3; a++) {
        int64_t margin = (int64_t)ceil(RIM_REACH_MM / m->spacing[a]) + 1;
        grown.lo[a] = box.lo[a] > margin ? box.lo[a] - margin : 0;
        grown.hi[a] = box.hi[a] + margin < dim[a] ? box.hi[a] + margin : dim[a];
        m->report->extent_mm[a] = (double)(box.hi[a] - box.lo[a]) * m->spacing[a];
        m->report->touches_border |= box.lo[a] == 0 || box.hi[a] == dim[a];
    }
    enum status status = crop_take(&m->implant, m->implant_volume, grown, error);
    if (!status)
        status = crop_take(&m->bone, m->defective, grown, error);
    int64_t n = status ? 0 : crop_voxels(&m->implant);
    m->distance = status ? NULL : memory_alloc((size_t)n, sizeof *m->distance);
    if (!status && !m->distance)
        status = error_memory(error, (size_t)n * sizeof *m->distance, "measuring the implant");
    if (!status) {
        m->report->volume_ml = (double)mask_count(m->implant.mask, n) * grid_voxel_ml(&m->defective->grid);
        measure_spill(m);
        status = measure_thickness(m, error);
    }
    if (!status)
        status = measure_rim(m, error);
    if (!status)
        status = measure_pieces(m, error);
    if (!status)
        status = measure_hollows(m, error);
    crop_done(&m->implant);
    crop_done(&m->bone);
    memory_free(m->distance);
    return status;
}

static void warn(struct report *report, const char *format, ...) ERROR_PRINTF(2, 3);

static void warn(struct report *report, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *kept = arena_strdup(&report->arena, text);
    if (kept && report->n_warnings < REPORT_MAX_WARNINGS)
        report->warnings[report->n_warnings++] = kept;
}

static bool mentions(const struct model *model, const char *key, const char *word)
{
    const char *text = model_text(model, key);
    return text && strstr(text, word);
}

static void warn_of_model(struct report *report, const struct model *model)
{
    if (!model)
        return;
    if (mentions(model, "licence", "phantom") || mentions(model, "name", "phantom") || mentions(model, "recipe", "phantom"))
        warn(report,
             "The model was trained on procedural phantoms, not on people: its implants are no more than a demonstration.");
    if (model_text(model, "licence"))
        warn(report, "Licence note of the model: %.300s", model_text(model, "licence"));
}

static void warn_of_fit(struct report *report)
{
    if (report->touches_border)
        warn(report, "The implant touches the volume's border: part of the skull may lie outside the scan.");
    if (report->n_components > 1)
        warn(report, "The implant has several components: %" PRId64 " pieces that do not hold together.", report->n_components);
    if (isnan(report->rim_gap_mm))
        warn(report, "The implant meets no bone within %g mm: it would float.", RIM_REACH_MM);
    else if (report->rim_gap_mm > 1.5)
        warn(report, "The implant leaves a gap to the bone: %.1f mm in the median along its rim.", report->rim_gap_mm);
    if (report->overlap_ml > 0)
        warn(report, "The implant and the bone share %.2f ml.", report->overlap_ml);
    if (report->spill_ml > 0.1 * report->volume_ml)
        warn(report, "%.0f %% of the implant lies in front of or behind existing bone instead of in the defect.",
             100 * report->spill_ml / report->volume_ml);
    if (report->hollow_ml > 0)
        warn(report, "The implant encloses hollows: %.2f ml that cannot be cleaned (the rule fill_holes closes them).",
             report->hollow_ml);
    if (report->volume_ml < 1)
        warn(report, "The implant is tiny (%.2f ml): perhaps nothing is missing.", report->volume_ml);
    if (report->volume_ml > 250)
        warn(report, "The implant is implausibly large (%.0f ml).", report->volume_ml);
    if (report->thickness_mean_mm < 2)
        warn(report, "The implant is thin: %.1f mm on average.", report->thickness_mean_mm);
}

static void warn_of_mesh(struct report *report, const struct mesh *mesh)
{
    if (!mesh)
        return;
    if (!report->mesh.watertight || !report->mesh.manifold || !report->mesh.oriented)
        warn(report, "The implant's surface is not a closed, oriented 2-manifold: it may not print.");
    if (fabs(report->mesh.volume_ml - report->volume_ml) > 0.01 * report->volume_ml)
        warn(report,
             "The surface encloses %.2f ml, the mask %.2f ml: more than 1 %% apart (an implant this thin cannot be smoothed "
             "truly).",
             report->mesh.volume_ml, report->volume_ml);
}

enum status report_make(struct report *ret, const struct restoration *restoration, const struct volume *defective,
                        const struct mesh *mesh, const struct restorer *restorer, struct error *error)
{
    struct report report = {.rim_gap_mm = NAN};
    struct measuring m = {.report = &report, .implant_volume = &restoration->implant, .defective = defective};
    for (int a = 0; a < 3; a++) {
        m.spacing[a] = grid_spacing_mm(&defective->grid, a);
        m.mean_spacing += m.spacing[a] / 3;
    }
    struct box box = box_of_mask(restoration->implant.data, restoration->implant.grid.dim);
    enum status status = box_empty(box) ? STATUS_OK : measure_box(&m, box, error);
    if (!status && mesh)
        status = mesh_verify(&report.mesh, mesh, error);
    if (status) {
        report_done(&report);
        return error_while(error, "measuring the implant");
    }
    if (box_empty(box)) {
        warn(&report, "Nothing is missing: the implant is empty.");
    } else {
        warn_of_fit(&report);
        warn_of_mesh(&report, mesh);
    }
    warn_of_model(&report, restorer_model(restorer));
    *ret = report;
    return STATUS_OK;
}

void report_done(struct report *report)
{
    arena_done(&report->arena);
    report->n_warnings = 0;
}
