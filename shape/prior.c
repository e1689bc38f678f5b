/* prior.c - see prior.h. Test: tests/train/test_cascade.c */
#include "shape/prior.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "shape/depth.h"
#include "shape/pose_search.h"
#include "shape/predict.h"

#define PRIOR_STEP_MM 0.4 /* between samples along a ray, as in restoring */

/* One prediction of a head by the others. */
struct prior_work {
    struct population without;       /* the model's heads but one group; factor NULL: all of them are used */
    struct shape_restoration result; /* its poses, maps and holes */
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
    struct pose *pose = &work->result.pose.pose;
    double loss;
    *pose = model->head[head].pose;
    enum status status = cloud_trace(&cloud, skull, pose, &model->disc, PRIOR_STEP_MM, error);
    if (!status)
        status = pose_refine(pose, &loss, &cloud, &model->template_disc, model->template, &pose_fit_refine, error);
    cloud_done(&cloud);
    return status;
}

static enum status prior_fill(struct prior_work *work, const struct shape_prior *prior, const struct volume *skull,
                              int64_t head, const char *name, struct error *error)
{
    const struct shape_model *model = prior->model;
    const struct population *population = &model->population;
    struct shape_restoration *result = &work->result;

    if (head >= 0) {
        if (population_new(&work->without, &model->disc, &model->heads, model->heads.group[head], error) ||
            prior_refine(work, model, skull, head, error))
            return error->status;
        population = &work->without;
    } else if (pose_search(&result->pose, skull, &model->template_disc, model->template, name, error))
        return error->status;

    const struct surfaces_request request = {
        .model = model, .population = population, .skull = skull, .pose = &result->pose.pose};
    return surfaces_find(&result->surfaces, &request, prior->with_sd, error);
}

/* Channel 1: the deviation of the voxel's nearest ray. */
static void prior_spread(float *out, const struct shape_restoration *result, const struct shape_prior *prior,
                         const struct grid *grid, const struct box *box, const uint8_t *in_hole)
{
    const struct disc *disc = &prior->model->disc;
    const int64_t width = box_size(*box, 0), height = box_size(*box, 1), n = box_voxels(*box);
    memset(out, 0, (size_t)n * sizeof *out);
#pragma omp parallel for schedule(static)
    for (int64_t v = 0; v < n; v++) {
        if (!in_hole[v])
            continue;
        const int64_t x = v % width, y = v / width % height, z = v / (width * height);
        const double index[3] = {(double)(box->lo[0] + x), (double)(box->lo[1] + y), (double)(box->lo[2] + z)};
        double world[3], q[3], at[2];
        grid_to_world(grid, index, world);
        pose_canonical(&result->pose.pose, world, q);
        const double r = fmax(sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]), 1e-3);
        const double direction[3] = {q[0] / r, q[1] / r, q[2] / r};
        disc_locate(disc, direction, at);
        const int32_t ray = disc_nearest(disc, at);
        const float sd = ray < 0 ? 0 : 0.5F * (result->surfaces.sd.inner[ray] + result->surfaces.sd.outer[ray]);
        out[v] = isfinite(sd) ? fminf(sd / (float)prior->clip_mm, 1) : 0;
    }
}

static enum status prior_values(struct prior_field *field, const struct shape_prior *prior,
                                const struct shape_restoration *result, const struct grid *grid, struct error *error)
{
    const struct shell shell = shape_shell(prior->model, &result->pose.pose, &result->surfaces);
    const int64_t n = box_voxels(field->box);
    uint8_t *in_hole = memory_alloc((size_t)n, 1);
    enum status status = in_hole ? depth_field(field->value, in_hole, grid, &field->box, &shell, error)
                                 : error_memory(error, (size_t)n, "a prior");
    if (!status) {
        const float slope = (float)(0.5 / prior->clip_mm);
        for (int64_t v = 0; v < n; v++)
            field->value[v] = in_hole[v] ? fminf(fmaxf(0.5F + slope * field->value[v], 0), 1) : 0;
        if (prior->with_sd)
            prior_spread(field->value + n, result, prior, grid, &field->box, in_hole);
    }
    memory_free(in_hole);
    return status;
}

enum status shape_prior_of(struct prior_field *ret, const struct shape_prior *prior,
                           const struct shape_restoration *restoration, const struct grid *grid, struct error *error)
{
    const struct shell shell = shape_shell(prior->model, &restoration->pose.pose, &restoration->surfaces);
    struct prior_field field = {.box = depth_box(grid, &shell), .channels = shape_prior_channels(prior)};
    const int64_t n = box_voxels(field.box) * field.channels;
    if (n > 0) {
        field.value = memory_alloc((size_t)n, sizeof *field.value);
        if (!field.value)
            return error_memory(error, (size_t)n * sizeof *field.value, "a prior");
        if (prior_values(&field, prior, restoration, grid, error)) {
            memory_free(field.value);
            return error->status;
        }
    }
    *ret = field;
    return STATUS_OK;
}

enum status shape_prior_predict(struct prior_field *ret, const struct shape_prior *prior, const struct volume *skull,
                                int64_t head, const char *name, struct error *error)
{
    struct prior_work work = {0};
    enum status status = prior_fill(&work, prior, skull, head, name, error);
    if (!status)
        status = shape_prior_of(ret, prior, &work.result, &skull->grid, error);
    population_done(&work.without);
    shape_restoration_done(&work.result);
    return status ? error_while(error, "predicting what is missing of %s", name) : STATUS_OK;
}
