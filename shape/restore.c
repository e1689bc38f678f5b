/* restore.c - the steps from skull to implant: see restore.h. Test: tests/shape/test_shape_restore.c */
#include "shape/restore.h"

#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/watch.h"

#define RESTORE_AGAIN_LOSS 0.2 /* right poses have .06 to .16 */

void shape_restoration_done(struct shape_restoration *restoration)
{
    surfaces_done(&restoration->surfaces);
    memory_free(restoration->depth);
    memory_free(restoration->in_hole);
    *restoration = (struct shape_restoration){0};
}

struct shell shape_shell(const struct shape_model *model, const struct pose *pose, const struct surfaces *surfaces)
{
    return (struct shell){.disc = &model->disc,
                          .pose = pose,
                          .filled = &surfaces->filled,
                          .hole = &surfaces->hole,
                          .occupancy = model->heads.occupancy};
}

enum status shape_restoration_implant(uint8_t *implant, const struct shape_restoration *restoration,
                                      const struct volume *skull, struct error *error)
{
    return depth_implant(implant, skull, &restoration->box, restoration->depth, restoration->in_hole, &implant_default,
                         error);
}

/* Seconds since *clock, which moves on. */
static double restore_lap(double *clock)
{
    const double now = log_clock_s(), lap = now - *clock;
    *clock = now;
    return lap;
}

/* The filled surfaces as voxels. */
static enum status restore_voxels(uint8_t *implant, struct shape_restoration *result, const struct shape_model *model,
                                  const struct volume *skull, struct error *error)
{
    const struct shell shell = shape_shell(model, &result->pose.pose, &result->surfaces);
    result->box = depth_box(&skull->grid, &shell);
    for (int a = 0; a < 3; a++) { /* nothing is made where the field of view does not reach */
        result->box.lo[a] =
            result->box.lo[a] > result->surfaces.field.box.lo[a] ? result->box.lo[a] : result->surfaces.field.box.lo[a];
        result->box.hi[a] =
            result->box.hi[a] < result->surfaces.field.box.hi[a] ? result->box.hi[a] : result->surfaces.field.box.hi[a];
    }
    if (box_empty(result->box))
        result->box = (struct box){{0}, {0}};
    const struct box *box = &result->box;
    const int64_t voxels = box_voxels(*box);
    if (voxels > 0) {
        result->in_hole = memory_alloc((size_t)voxels, 1);
        result->depth = memory_alloc((size_t)voxels, sizeof *result->depth);
        if (!result->in_hole || !result->depth)
            return error_memory(error, (size_t)voxels * 5, "the depth field");
        if (depth_field(result->depth, result->in_hole, &skull->grid, box, &shell, error))
            return error->status;
    }
    return implant ? shape_restoration_implant(implant, result, skull, error) : STATUS_OK;
}

/* The outer surface of the whole head, with its holes filled. */
static enum status restore_cloud(struct cloud *ret, const struct shape_restoration *result, const struct disc *disc,
                                 struct error *error)
{
    const struct surfaces *surfaces = &result->surfaces;
    if (cloud_new(ret, disc->n_rays, error))
        return error->status;
    ret->n = 0;
    for (int64_t k = 0; k < disc->n_rays; k++) {
        const double r = (double)surfaces->filled.outer[k];
        const uint8_t class = surfaces->hole.class[k];
        if (!isfinite(r) || (class != RAY_OBSERVED && class != RAY_HOLE && class != RAY_UNKNOWN))
            continue;
        const double q[3] = {r * disc->ray[k][0], r * disc->ray[k][1], r * disc->ray[k][2]};
        pose_world(&result->pose.pose, q, ret->point[ret->n++]);
    }
    return STATUS_OK;
}

/* A pose that fits badly is fitted once more, to the head with its holes filled, and what is missing found anew: a
 * strap, or a hole at one side, had pulled it. */
static enum status restore_surfaces(struct shape_restoration *result, const struct shape_model *model,
                                    const struct volume *skull, const struct shape_options *options,
                                    struct error *error)
{
    const struct surfaces_request request = {
        .model = model, .population = &model->population, .skull = skull, .pose = &result->pose.pose};
    struct cloud cloud = {0};
    double loss;
    if (surfaces_find(&result->surfaces, &request, options->with_sd, error))
        return error->status;
    if (result->pose.loss <= RESTORE_AGAIN_LOSS || result->surfaces.hole.n_parts == 0)
        return STATUS_OK;

    enum status status = restore_cloud(&cloud, result, &model->disc, error);
    if (!status)
        status = pose_refine(&result->pose.pose, &loss, &cloud, &model->template_disc, model->template,
                             &pose_fit_refine, error);
    cloud_done(&cloud);
    surfaces_done(&result->surfaces);
    return status ? status : surfaces_find(&result->surfaces, &request, options->with_sd, error);
}

static enum status restore_steps(uint8_t *implant, struct shape_restoration *result, const struct shape_model *model,
                                 const struct volume *skull, const struct shape_options *options, const char *name,
                                 struct error *error)
{
    double clock = log_clock_s();
    if (pose_search(&result->pose, skull, &model->template_disc, model->template, name, error) || watch_check(error))
        return error->status;
    result->pose_s = restore_lap(&clock);

    if (restore_surfaces(result, model, skull, options, error))
        return error_while(error, "finding what is missing of %s", name);
    if (watch_check(error))
        return error->status;
    const double pixel_cm = DISC_HEAD_RADIUS_MM * model->disc.step / 10;
    result->hole_cm2 = (double)result->surfaces.hole.n_unseen * pixel_cm * pixel_cm;
    result->surfaces_s = restore_lap(&clock);

    const enum status status = restore_voxels(implant, result, model, skull, error);
    result->depth_s = restore_lap(&clock);
    if (!options->with_depth) {
        memory_free(result->depth);
        memory_free(result->in_hole);
        result->depth = NULL;
        result->in_hole = NULL;
    }
    return status;
}

enum status shape_restore(uint8_t *implant, struct shape_restoration *ret, const struct shape_model *model,
                          const struct volume *skull, const struct shape_options *options, const char *name,
                          struct error *error)
{
    struct shape_restoration result = {0};
    if (restore_steps(implant, &result, model, skull, options, name, error)) {
        shape_restoration_done(&result);
        return error->status;
    }
    *ret = result;
    return STATUS_OK;
}

double shape_restoration_interval_mm(const struct shape_restoration *restoration, const struct shape_model *model,
                                     const double world[3])
{
    const struct pose *pose = &restoration->pose.pose;
    const struct radial_map *filled = &restoration->surfaces.filled, *sd = &restoration->surfaces.sd;
    double q[3], at[2], apart = 0;
    pose_canonical(pose, world, q);
    const double r = fmax(sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]), 1e-9);
    const double direction[3] = {q[0] / r, q[1] / r, q[2] / r};
    disc_locate(&model->disc, direction, at);
    const int32_t ray = disc_nearest(&model->disc, at);
    if (ray < 0 || sd->n_rays == 0 || !isfinite(sd->outer[ray]))
        return NAN;

    for (int a = 0; a < 3; a++)
        apart += (world[a] - pose->centre[a]) * (world[a] - pose->centre[a]);
    const bool outer = fabs((double)filled->outer[ray] - r) < fabs((double)filled->inner[ray] - r);
    return model->calibration.factor_90 * (double)(outer ? sd->outer[ray] : sd->inner[ray]) * sqrt(apart) / r;
}

int64_t shape_model_bytes(const struct shape_model *model)
{
    const int64_t rays = model->disc.n_rays, heads = model->heads.n;
    const int64_t rows = 2 * heads + model->heads.n_spread + model->population.n_factors + POSE_MODES;
    return rays * (2 * rows * (int64_t)sizeof(float) + heads + 128);
}

/* The covariance is freed before the voxels are made, so the larger of the two counts. Bytes per voxel of the box:
 * depth, hole numbers, four masks, distances and labels. A hole's box is no larger than a vault's. */
int64_t shape_restore_bytes(const struct shape_model *model, const struct grid *grid)
{
    enum { BOX_BYTES = 18, COVARIANCE_RAYS = 5000 };
    const double vault_mm3 = 200.0 * 200.0 * 120.0, voxel_mm3 = grid_voxel_ml(grid) * 1000;
    const double voxels = (double)grid_voxels(grid), box = vault_mm3 / voxel_mm3;
    const double maps = (double)model->disc.n_rays * 4 * RADIAL_MAP_PLANES * sizeof(float);
    const double covariance = 8.0 * COVARIANCE_RAYS * COVARIANCE_RAYS;
    return (int64_t)(maps + fmax(covariance, BOX_BYTES * fmin(box, voxels)));
}
