/* surfaces.c - see surfaces.h. Test: tests/shape/test_shape_restore.c */
#include "shape/surfaces.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "shape/predict.h"

#define SURFACES_STEP_MM 0.4 /* between samples along a ray */

/* --- the steps --- */

struct surfaces_work {
    const struct surfaces_request *request;
    const struct disc *disc;
    const struct radial_map *mean, *sd;
    uint8_t *marked, *sure, *met; /* rays */
    float *nearest, *farthest, *away;
};

/* Good rays on which at most 3 % of the model's heads had no bone, or bone that was not believed. Where that is less
 * than one head, every good ray: good rays of few heads lie off all gaps (impute.c), so what is missing there was not
 * scanned. */
static void surfaces_sure(struct surfaces_work *work)
{
    const struct shape_model *model = work->request->model;
    const int64_t n_rays = work->disc->n_rays;
    for (int64_t k = 0; k < n_rays; k++) {
        int64_t missing = 0, complete = 0;
        for (int64_t h = 0; h < model->heads.n; h++) {
            const bool counts = model->head[h].complete && heads_in_centre(&model->heads, h);
            missing += counts && model->missing[h * n_rays + k];
            complete += counts;
        }
        work->sure[k] = model->good[k] && (3 * complete < 100 || 100 * missing <= 3 * complete);
    }
}

static enum status surfaces_alloc(struct surfaces *result, struct surfaces_work *work, bool with_sd,
                                  struct error *error)
{
    const size_t n = (size_t)work->disc->n_rays;
    work->marked = memory_zalloc(n, 3);
    work->nearest = memory_alloc(n, 3 * sizeof *work->nearest);
    if (!work->marked || !work->nearest)
        return error_memory(error, n * 15, "the rays of a skull");
    work->sure = work->marked + n;
    work->met = work->marked + 2 * n;
    surfaces_sure(work);
    work->farthest = work->nearest + n;
    work->away = work->nearest + 2 * n;
    if (radial_map_new(&result->map, (int64_t)n, error) || radial_map_new(&result->filled, (int64_t)n, error) ||
        (with_sd && radial_map_new(&result->sd, (int64_t)n, error)))
        return error->status;
    return STATUS_OK;
}

static enum status surfaces_hole(struct hole *ret, const struct surfaces *result, const struct surfaces_work *work,
                                 struct error *error)
{
    const struct hole_given given = {.disc = work->disc,
                                     .map = &result->map,
                                     .mean = work->mean,
                                     .sd = work->sd,
                                     .good = work->request->model->good,
                                     .sure = work->sure,
                                     .met = work->met};
    return hole_find(ret, &given, &hole_default, error);
}

/* How far a radius may lie from its mean: wider than hole_default's, so that the odd of a large head are still seen. */
static double surfaces_reach(const struct radial_map *sd, int64_t k, bool outer)
{
    return fmax(5 * (double)(outer ? sd->outer[k] : sd->inner[k]), 8);
}

/* The box that rays leave. Where no plane cuts the bone, the vault ends within the volume, however near its border:
 * there the box is larger, so that a hole beside the border is still one. */
static struct box surfaces_reach_box(const struct surfaces *result, const struct volume *skull)
{
    struct box box = result->field.box;
    for (int a = 0; a < 3; a++) {
        const int64_t margin = (int64_t)ceil((hole_default.end_mm + 2) / grid_spacing_mm(&skull->grid, a));
        box.lo[a] -= result->field.end_low[a] ? 0 : margin;
        box.hi[a] += result->field.end_high[a] ? 0 : margin;
    }
    return box;
}

static void surfaces_trace(struct surfaces *result, struct surfaces_work *work)
{
    const struct surfaces_request *request = work->request;
    struct radial_map *map = &result->map;
    radial_map_trace(map, request->skull, request->pose, work->disc, SURFACES_STEP_MM);
    result->field = field_of_view(request->skull);
    const struct box reach = surfaces_reach_box(result, request->skull);
    radial_map_crop(map, request->skull, request->pose, work->disc, &reach);

    for (int64_t k = 0; k < work->disc->n_rays; k++) {
        work->met[k] = isfinite(map->outer[k]);
        const double inner = (double)work->mean->inner[k], outer = (double)work->mean->outer[k];
        work->nearest[k] = (float)(inner - surfaces_reach(work->sd, k, false));
        work->farthest[k] = (float)(outer + surfaces_reach(work->sd, k, true));
        const bool beyond = map->inner[k] < work->nearest[k] || map->outer[k] > work->farthest[k];
        work->marked[k] = request->model->good[k] && isfinite(map->outer[k]) && beyond;
        result->n_retraced += work->marked[k];
    }
    const struct radial_window window = {work->marked, work->nearest, work->farthest};
    radial_map_retrace(map, request->skull, request->pose, work->disc, &window, SURFACES_STEP_MM);
}

static enum status surfaces_steps(struct surfaces *result, struct surfaces_work *work, bool with_sd,
                                  struct error *error)
{
    const struct surfaces_request *request = work->request;
    if (surfaces_alloc(result, work, with_sd, error))
        return error->status;
    surfaces_trace(result, work);
    if (surfaces_hole(&result->hole, result, work, error))
        return error->status;

    return shape_predict(&result->filled, with_sd ? &result->sd : NULL, request->population,
                         &request->model->covariance, &result->map, &result->hole, error);
}

enum status surfaces_find(struct surfaces *ret, const struct surfaces_request *request, bool with_sd,
                          struct error *error)
{
    struct surfaces result = {0};
    struct surfaces_work work = {.request = request,
                                 .disc = &request->model->disc,
                                 .mean = &request->population->mean,
                                 .sd = &request->population->predictive};
    const enum status status = surfaces_steps(&result, &work, with_sd, error);
    memory_free(work.marked);
    memory_free(work.nearest);
    if (status)
        surfaces_done(&result);
    else
        *ret = result;
    return status;
}

void surfaces_done(struct surfaces *surfaces)
{
    radial_map_done(&surfaces->map);
    radial_map_done(&surfaces->filled);
    radial_map_done(&surfaces->sd);
    hole_done(&surfaces->hole);
}
