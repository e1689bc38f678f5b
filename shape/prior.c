/* prior.c - see prior.h. Test: tests/shape/test_prior.c */
#include "shape/prior.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "shape/depth.h"
#include "shape/pose_search.h"
#include "shape/predict.h"

#define PRIOR_STEP_MM 0.4 /* between samples along a ray, as in restoring */

/* Everything of one prediction. */
struct prior_work {
    struct population without; /* the model's heads but one group; factor NULL: all of them are used */
    const struct population *population;
    struct pose pose;
    struct radial_map map, filled, sd;
    struct hole hole;
};

int64_t shape_prior_channels(const struct shape_prior *prior)
{
    return prior->with_sd ? 2 : 1;
}

/* A known head: the pose of its complete skull, refined on what is left of it, as the pose of a new skull would be. */
static enum status prior_refine(struct prior_work *work, const struct shape_model *model, const struct volume *skull,
                                int64_t head, struct error *error)
{
    struct cloud cloud = {0};
    double loss;
    work->pose = model->head[head].pose;
    radial_map_trace(&work->map, skull, &work->pose, &model->disc, PRIOR_STEP_MM);
    enum status status = cloud_from_map(&cloud, &work->map, &work->pose, &model->disc, error);
    if (!status)
        status =
            pose_refine(&work->pose, &loss, &cloud, &model->template_disc, model->template, &pose_fit_refine, error);
    cloud_done(&cloud);
    return status;
}

static enum status prior_fill(struct prior_work *work, const struct shape_prior *prior, const struct volume *skull,
                              int64_t head, const char *name, struct error *error)
{
    const struct shape_model *model = prior->model;
    const int64_t n_rays = model->disc.n_rays;
    if (radial_map_new(&work->map, n_rays, error) || radial_map_new(&work->filled, n_rays, error) ||
        (prior->with_sd && radial_map_new(&work->sd, n_rays, error)))
        return error->status;

    work->population = &model->population;
    if (head >= 0) {
        if (population_new(&work->without, &model->disc, &model->heads, model->heads.group[head], error) ||
            prior_refine(work, model, skull, head, error))
            return error->status;
        work->population = &work->without;
    } else {
        struct pose_found found;
        if (pose_search(&found, skull, &model->template_disc, model->template, name, error))
            return error->status;
        work->pose = found.pose;
    }

    radial_map_trace(&work->map, skull, &work->pose, &model->disc, PRIOR_STEP_MM);
    if (hole_find(&work->hole, &model->disc, &work->map, &work->population->mean, &work->population->sd, model->good,
                  &hole_default, error))
        return error->status;
    return shape_predict(&work->filled, prior->with_sd ? &work->sd : NULL, work->population, &model->covariance,
                         &work->map, &work->hole, error);
}

/* Channel 1: the deviation of the voxel's nearest ray. */
static void prior_spread(float *out, const struct prior_work *work, const struct shape_prior *prior,
                         const struct grid *grid, const struct box *box, const uint8_t *in_hole)
{
    const struct disc *disc = &prior->model->disc;
    const int64_t width = box_size(*box, 0), height = box_size(*box, 1), n = box_voxels(*box);
    memset(out, 0, (size_t)n * sizeof *out);
#pragma omp parallel for schedule(static)
    for (int64_t v = 0; v < n; v++) {
        if (!in_hole[v])
            continue;
        const double index[3] = {(double)(box->lo[0] + v % width), (double)(box->lo[1] + v / width % height),
                                 (double)(box->lo[2] + v / (width * height))};
        double world[3], q[3], at[2];
        grid_to_world(grid, index, world);
        pose_canonical(&work->pose, world, q);
        const double r = fmax(sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]), 1e-3);
        const double direction[3] = {q[0] / r, q[1] / r, q[2] / r};
        disc_locate(disc, direction, at);
        const int32_t ray = disc_nearest(disc, at);
        const float sd = ray < 0 ? 0 : 0.5F * (work->sd.inner[ray] + work->sd.outer[ray]);
        out[v] = isfinite(sd) ? fminf(sd / (float)prior->clip_mm, 1) : 0;
    }
}

static enum status prior_voxels(struct prior_field *field, const struct prior_work *work,
                                const struct shape_prior *prior, const struct grid *grid, struct error *error)
{
    const struct shell shell = {&prior->model->disc, &work->pose, &work->filled, &work->hole};
    field->box = depth_box(grid, &shell);
    const int64_t n = box_voxels(field->box);
    if (n == 0)
        return STATUS_OK;

    uint8_t *in_hole = memory_alloc((size_t)n, 1);
    field->value = memory_alloc((size_t)(n * field->channels), sizeof *field->value);
    enum status status = in_hole && field->value
                             ? depth_field(field->value, in_hole, grid, &field->box, &shell, error)
                             : error_memory(error, (size_t)(n * field->channels) * sizeof *field->value, "a prior");
    if (!status) {
        const float slope = (float)(0.5 / prior->clip_mm);
        for (int64_t v = 0; v < n; v++)
            field->value[v] = in_hole[v] ? fminf(fmaxf(0.5F + slope * field->value[v], 0), 1) : 0;
        if (prior->with_sd)
            prior_spread(field->value + n, work, prior, grid, &field->box, in_hole);
    }
    memory_free(in_hole);
    return status;
}

enum status shape_prior_predict(struct prior_field *ret, const struct shape_prior *prior, const struct volume *skull,
                                int64_t head, const char *name, struct error *error)
{
    struct prior_work work = {0};
    struct prior_field field = {.channels = shape_prior_channels(prior)};
    enum status status = prior_fill(&work, prior, skull, head, name, error);
    if (!status)
        status = prior_voxels(&field, &work, prior, &skull->grid, error);
    population_done(&work.without);
    radial_map_done(&work.map);
    radial_map_done(&work.filled);
    radial_map_done(&work.sd);
    hole_done(&work.hole);
    if (status) {
        memory_free(field.value);
        return error_while(error, "predicting what is missing of %s", name);
    }
    *ret = field;
    return STATUS_OK;
}
