/* report_prediction.c - see report_prediction.h. Test: tests/infer/test_shape.c */
#include "infer/report/report_prediction.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "infer/crop.h"
#include "infer/report/report_shape.h"

static int prediction_compare(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Mean and 95th percentile of the finite values at the implant's voxels; those without one get the mean. */
static enum status prediction_summary(struct report_prediction *prediction, float *value, const struct crop *implant,
                                      struct error *error)
{
    const int64_t n = crop_voxels(implant);
    int64_t count = 0;
    double sum = 0;
    float *sorted = memory_alloc((size_t)mask_count(implant->mask, n), sizeof *sorted);
    if (!sorted)
        return error_memory(error, (size_t)n * sizeof *sorted, "the prediction's intervals");
    for (int64_t i = 0; i < n; i++)
        if (implant->mask[i] && isfinite(value[i])) {
            sorted[count++] = value[i];
            sum += (double)value[i];
        }
    if (count) {
        qsort(sorted, (size_t)count, sizeof *sorted, prediction_compare);
        prediction->interval_mean_mm = sum / (double)count;
        prediction->interval_p95_mm = (double)sorted[(int64_t)(0.95 * (double)(count - 1))];
    }
    for (int64_t i = 0; i < n; i++)
        value[i] = isfinite(value[i]) ? value[i] : (float)prediction->interval_mean_mm;
    memory_free(sorted);
    return STATUS_OK;
}

static enum status prediction_intervals(struct report_prediction *prediction, const struct restoration *restoration,
                                        const struct restorer *restorer, const char *png, struct error *error)
{
    const struct grid *grid = &restoration->implant.grid;
    struct crop implant = {0};
    enum status status =
        crop_take(&implant, &restoration->implant, box_of_mask(restoration->implant.data, grid->dim), error);
    const int64_t n = status ? 0 : crop_voxels(&implant);
    float *value = status ? NULL : memory_alloc((size_t)n, sizeof *value);
    if (!status && !value)
        status = error_memory(error, (size_t)n * sizeof *value, "the prediction's intervals");

#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n * !status; i++) {
        const int64_t x = implant.box.lo[0] + i % implant.dim[0],
                      y = implant.box.lo[1] + i / implant.dim[0] % implant.dim[1],
                      z = implant.box.lo[2] + i / implant.dim[0] / implant.dim[1];
        const double index[3] = {(double)x, (double)y, (double)z};
        double world[3];
        grid_to_world(grid, index, world);
        value[i] = implant.mask[i] ? (float)restoration_interval_mm(restoration, restorer, world) : NAN;
    }
    if (!status)
        status = prediction_summary(prediction, value, &implant, error);

    if (!status && png) {
        double spacing[3], centre[3], offset_mm[3];
        for (int a = 0; a < 3; a++) /* of the head where it is known, else of the volume */
            centre[a] = 0.5 * (double)(grid->dim[a] - 1);
        if (restoration->shape)
            grid_to_index(grid, restoration->shape->pose.pose.centre, centre);
        for (int a = 0; a < 3; a++) {
            spacing[a] = grid_spacing_mm(grid, a);
            offset_mm[a] = (0.5 * (double)(implant.box.lo[a] + implant.box.hi[a]) - centre[a]) * spacing[a];
        }
        status = shape_picture(png, &implant, value, spacing, offset_mm, &picture_interval, error);
    }
    memory_free(value);
    crop_done(&implant);
    return status;
}

/* Rays of a hole beside a ray that meets nothing either and for which the model does not vouch. */
static int64_t prediction_open(const struct hole *hole, const struct radial_map *map, const struct disc *disc)
{
    int64_t n = 0;
    for (int64_t i = 0; i < hole->n_unseen; i++) {
        const int64_t p = disc->pixel[hole->unseen[i]], u = p / disc->n, v = p % disc->n;
        const int64_t beside[4][2] = {{u - 1, v}, {u + 1, v}, {u, v - 1}, {u, v + 1}};
        bool open = false;
        for (int s = 0; s < 4; s++) {
            const bool inside =
                beside[s][0] >= 0 && beside[s][1] >= 0 && beside[s][0] < disc->n && beside[s][1] < disc->n;
            const int32_t ray = inside ? disc->ray_at[beside[s][0] * disc->n + beside[s][1]] : -1;
            open |= ray >= 0 && hole->class[ray] == RAY_UNKNOWN && isnan(map->outer[ray]);
        }
        n += open;
    }
    return n;
}

/* What a shape model found of the head. */
static void prediction_holes(struct report_prediction *prediction, const struct shape_restoration *shape,
                             const struct shape_model *model)
{
    const struct surfaces *surfaces = &shape->surfaces;
    prediction->n_holes = surfaces->hole.n_parts;
    prediction->hole_cm2 = shape->hole_cm2;
    for (int64_t k = 0; k < surfaces->hole.n_rays; k++)
        prediction->n_outside += surfaces->hole.class[k] == RAY_OUTSIDE;
    prediction->n_open = prediction_open(&surfaces->hole, &surfaces->map, &model->disc);
}

enum status report_prediction(struct report *report, const struct restoration *restoration,
                              const struct restorer *restorer, const char *png, struct error *error)
{
    const struct shape_restoration *shape = restoration->shape;
    const bool ensemble = restoration->spread.data != NULL, sure = ensemble || shape->surfaces.sd.n_rays > 0;
    struct report_prediction *prediction = &report->prediction;
    *prediction = (struct report_prediction){.made = true,
                                             .n_members = restorer_members(restorer),
                                             .n_holes = -1,
                                             .interval_mean_mm = NAN,
                                             .interval_p95_mm = NAN};
    if (shape)
        prediction_holes(prediction, shape, restorer_shape(restorer));
    if (!sure || mask_count(restoration->implant.data, grid_voxels(&restoration->implant.grid)) == 0)
        return STATUS_OK;
    return prediction_intervals(prediction, restoration, restorer, png, error);
}

void report_pose_warnings(struct warnings *warnings, const struct pose_found *pose)
{
    if (pose->upside_down)
        warnings_add(warnings,
                     "the head lies upside down in the volume, its vertex down: a wrong header? It was restored as it "
                     "lies. (Where the slices are in reverse order, left and right are swapped too.)");
    if (fabs(pose->yaw_deg) > 60)
        warnings_add(warnings, "the head is turned by %.0f degrees about its long axis in the volume", pose->yaw_deg);
    if (fabs(pose->pitch_deg) > 45 || fabs(pose->roll_deg) > 35)
        warnings_add(warnings, "the head is tilted in the volume: %.0f degrees nodding, %.0f degrees to the side",
                     pose->pitch_deg, pose->roll_deg);
    if (pose->loss > 0.2)
        warnings_add(warnings,
                     "the skull fits the mean head poorly (loss %.2f; of most heads below .16): straps or a table "
                     "about it, or an unusual head",
                     pose->loss);
}

void report_prediction_warnings(struct report *report, const struct shape_restoration *shape)
{
    const struct report_prediction *prediction = &report->prediction;
    enum { FEW_RAYS = 12 };
    if (prediction->n_holes > 1)
        report_warn(report, "%" PRId64 " holes were found; each has its piece of the implant.", prediction->n_holes);
    if (prediction->n_outside > FEW_RAYS)
        report_warn(
            report,
            "The field of view ends within the vault: %.0f cm2 of it were not scanned and were left as they are.",
            (double)prediction->n_outside * shape->hole_cm2 / fmax(1, (double)shape->surfaces.hole.n_unseen));
    if (prediction->n_open > FEW_RAYS)
        report_warn(report, "The hole reaches the brow, the orbit or the base, where the model makes no claim: the "
                            "implant ends there.");
    if (prediction->interval_mean_mm > 4)
        report_warn(report, "The implant is uncertain: its surfaces are known to +- %.1f mm (90 %%) on average.",
                    prediction->interval_mean_mm);
}
