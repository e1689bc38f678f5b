/* surfaces.c - see surfaces.h. Test: tests/shape/test_surfaces.c */
#include "shape/surfaces.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "shape/predict.h"

#define SURFACES_STEP_MM 0.4       /* between samples along a ray */
#define SURFACES_NEAR_HOLE_MM 40.0 /* rays this near to a hole are looked at twice */

/* --- where the field of view ends --- */

/* Voxels of bone in a slice across `axis`. */
static int64_t field_area(const struct volume *skull, int axis, int64_t at)
{
    const int64_t *dim = skull->grid.dim;
    const uint8_t *mask = skull->data;
    const int64_t step[3] = {1, dim[0], dim[0] * dim[1]};
    const int u = axis == 0 ? 1 : 0, v = axis == 2 ? 1 : 2;
    int64_t n = 0;
    for (int64_t j = 0; j < dim[v]; j++)
        for (int64_t i = 0; i < dim[u]; i++)
            n += mask[at * step[axis] + j * step[v] + i * step[u]] != 0;
    return n;
}

/* A vault ends in a cap: its last slice holds a small part of the bone of the slice 8 mm (two slices at least) inside.
 * A cut one ends in a ring of the same size. */
static bool field_is_cut(const struct volume *skull, int axis, int64_t last, int64_t inward)
{
    const double spacing = grid_spacing_mm(&skull->grid, axis),
                 pixel_mm2 = grid_voxel_ml(&skull->grid) * 1000 / spacing;
    const int64_t deep = (int64_t)fmax(2, ceil(8 / spacing)), other = last + inward * deep;
    if (other < 0 || other >= skull->grid.dim[axis])
        return false;
    const double edge = (double)field_area(skull, axis, last), inside = (double)field_area(skull, axis, other);
    return edge * pixel_mm2 > 400 && edge > 0.7 * inside;
}

struct box surfaces_field(struct surfaces_notes *ret_notes, const struct volume *skull)
{
    const struct box bone = box_of_mask(skull->data, skull->grid.dim);
    struct box field = {{0, 0, 0}, {skull->grid.dim[0], skull->grid.dim[1], skull->grid.dim[2]}};
    for (int a = 0; a < 3 && !box_empty(bone); a++) {
        ret_notes->end_low[a] = field_is_cut(skull, a, bone.lo[a], 1);
        ret_notes->end_high[a] = field_is_cut(skull, a, bone.hi[a] - 1, -1);
        field.lo[a] = ret_notes->end_low[a] ? bone.lo[a] : field.lo[a];
        field.hi[a] = ret_notes->end_high[a] ? bone.hi[a] : field.hi[a];
    }
    return field;
}

/* --- the steps --- */

struct surfaces_work {
    const struct surfaces_request *request;
    const struct disc *disc;
    const struct radial_map *mean, *sd;
    uint8_t *marked, *sure; /* rays */
    float *nearest, *farthest, *away;
};

/* Good rays on which at most 3 % of the model's heads had no bone, or bone that was not believed. */
static void surfaces_sure(struct surfaces_work *work)
{
    const struct shape_model *model = work->request->model;
    const int64_t n_rays = work->disc->n_rays;
    for (int64_t k = 0; k < n_rays; k++) {
        int64_t missing = 0, complete = 0;
        for (int64_t h = 0; h < model->heads.n; h++) {
            missing += model->missing[h * n_rays + k] && model->head[h].complete;
            complete += model->head[h].complete;
        }
        work->sure[k] = model->good[k] && 100 * missing <= 3 * complete;
    }
}

static enum status surfaces_alloc(struct surfaces *result, struct surfaces_work *work, bool with_sd,
                                  struct error *error)
{
    const size_t n = (size_t)work->disc->n_rays;
    work->marked = memory_zalloc(n, 2);
    work->nearest = memory_alloc(n, 3 * sizeof *work->nearest);
    if (!work->marked || !work->nearest)
        return error_memory(error, n * 14, "the rays of a skull");
    work->sure = work->marked + n;
    surfaces_sure(work);
    work->farthest = work->nearest + n;
    work->away = work->nearest + 2 * n;
    if (radial_map_new(&result->map, (int64_t)n, error) || radial_map_new(&result->filled, (int64_t)n, error) ||
        (with_sd && radial_map_new(&result->sd, (int64_t)n, error)))
        return error->status;
    return STATUS_OK;
}

static enum status surfaces_hole(struct hole *ret, const struct surfaces *result, const struct surfaces_work *work,
                                 const uint8_t *lacking, struct error *error)
{
    const struct hole_given given = {.disc = work->disc,
                                     .map = &result->map,
                                     .mean = work->mean,
                                     .sd = work->sd,
                                     .good = work->request->model->good,
                                     .sure = work->sure,
                                     .lacking = lacking};
    return hole_find(ret, &given, &hole_default, error);
}

/* How far a radius may lie from its mean: wider than hole_default's, so that the odd of a large head are still seen. */
static double surfaces_reach(const struct radial_map *sd, int64_t k, bool outer)
{
    return fmax(5 * (double)(outer ? sd->outer[k] : sd->inner[k]), 8);
}

static void surfaces_trace(struct surfaces *result, struct surfaces_work *work)
{
    const struct surfaces_request *request = work->request;
    struct radial_map *map = &result->map;
    radial_map_trace(map, request->skull, request->pose, work->disc, SURFACES_STEP_MM);
    result->field = surfaces_field(&result->notes, request->skull);
    radial_map_crop(map, request->skull, request->pose, work->disc, &result->field);

    for (int64_t k = 0; k < work->disc->n_rays; k++) {
        const double inner = (double)work->mean->inner[k], outer = (double)work->mean->outer[k];
        work->nearest[k] = (float)(inner - surfaces_reach(work->sd, k, false));
        work->farthest[k] = (float)(outer + surfaces_reach(work->sd, k, true));
        const bool beyond = map->inner[k] < work->nearest[k] || map->outer[k] > work->farthest[k];
        work->marked[k] = request->model->good[k] && isfinite(map->outer[k]) && beyond;
        result->notes.n_retraced += work->marked[k];
    }
    const struct radial_window window = {work->marked, work->nearest, work->farthest};
    radial_map_retrace(map, request->skull, request->pose, work->disc, &window, SURFACES_STEP_MM);
}

/* Millimetres of the shell between `inner` and `outer` that a ray lacks before its first bone or behind its last. */
static double surfaces_lack(const struct radial_map *map, int64_t k, double inner, double outer)
{
    return fmax((double)map->inner[k] - inner, outer - (double)map->outer[k]);
}

/* Rays near a hole that lack more of the mean shell than two deviations. */
static enum status surfaces_suspect(struct surfaces_work *work, const struct surfaces *result, int64_t *ret_n,
                                    struct error *error)
{
    const struct hole *hole = &result->hole;
    for (int64_t k = 0; k < hole->n_rays; k++)
        work->marked[k] = hole->class[k] == RAY_HOLE;
    if (disc_distance(work->away, work->disc, work->marked, error))
        return error->status;
    *ret_n = 0;
    for (int64_t k = 0; k < hole->n_rays; k++) {
        const bool ends = result->map.leave[k] < work->mean->outer[k] + (float)hole_default.end_mm;
        const bool bone = isfinite(result->map.outer[k]) && work->request->model->good[k] && !ends;
        const double lack =
            surfaces_lack(&result->map, k, (double)work->mean->inner[k] + 2 * (double)work->sd->inner[k],
                          (double)work->mean->outer[k] - 2 * (double)work->sd->outer[k]);
        work->marked[k] =
            bone && hole->class[k] != RAY_HOLE && work->away[k] < (float)SURFACES_NEAR_HOLE_MM && lack > 1;
        *ret_n += work->marked[k];
    }
    return STATUS_OK;
}

/* Of the marked rays those stay that are connected with rays of a hole that meet nothing: elsewhere a sinus or a thin
 * brow looks the same. */
static enum status surfaces_connect(struct surfaces *result, struct surfaces_work *work, struct error *error)
{
    const int64_t n_rays = work->disc->n_rays;
    int64_t n = 0;
    int32_t *label = memory_alloc((size_t)n_rays, sizeof *label);
    uint8_t *either = memory_alloc((size_t)n_rays, 1), *open = NULL;
    enum status status = label && either ? STATUS_OK : error_memory(error, (size_t)n_rays * 5, "the rays of a hole");
    for (int64_t k = 0; k < n_rays && !status; k++)
        either[k] = work->marked[k] || (result->hole.class[k] == RAY_HOLE && !isfinite(result->map.outer[k]));
    if (!status)
        status = disc_components(label, &n, work->disc, either, error);
    open = status ? NULL : memory_zalloc((size_t)n + 1, 1);
    if (!status && !open)
        status = error_memory(error, (size_t)n, "the rays of a hole");
    for (int64_t k = 0; k < n_rays && !status; k++)
        if (either[k] && !work->marked[k])
            open[label[k]] = 1;
    for (int64_t k = 0; k < n_rays && !status; k++) {
        work->marked[k] = work->marked[k] && open[label[k]];
        result->notes.n_joined += work->marked[k];
    }
    memory_free(open);
    memory_free(either);
    memory_free(label);
    return status;
}

/* Of the suspects, those stay marked that lack more than the prediction from all other rays leaves open. */
static enum status surfaces_judge(struct surfaces *result, struct surfaces_work *work, struct error *error)
{
    const struct surfaces_request *request = work->request;
    struct radial_map filled = {0}, sd = {0};
    struct hole hole = {0};
    enum status status = surfaces_hole(&hole, result, work, work->marked, error);
    if (!status)
        status = radial_map_new(&filled, work->disc->n_rays, error);
    if (!status)
        status = radial_map_new(&sd, work->disc->n_rays, error);
    if (!status)
        status =
            shape_predict(&filled, &sd, request->population, &request->model->covariance, &result->map, &hole, error);
    for (int64_t k = 0; k < work->disc->n_rays && !status; k++) {
        if (!work->marked[k])
            continue;
        const double open = fmax(3, 4 * fmax((double)sd.inner[k], (double)sd.outer[k]));
        work->marked[k] = surfaces_lack(&result->map, k, (double)filled.inner[k], (double)filled.outer[k]) > open;
    }
    if (!status)
        status = surfaces_connect(result, work, error);
    radial_map_done(&filled);
    radial_map_done(&sd);
    hole_done(&hole);
    return status;
}

static enum status surfaces_steps(struct surfaces *result, struct surfaces_work *work, bool with_sd,
                                  struct error *error)
{
    const struct surfaces_request *request = work->request;
    int64_t n_suspects = 0;
    if (surfaces_alloc(result, work, with_sd, error))
        return error->status;
    surfaces_trace(result, work);
    if (surfaces_hole(&result->hole, result, work, NULL, error))
        return error->status;

    if (result->hole.n_unseen > 0 && surfaces_suspect(work, result, &n_suspects, error))
        return error->status;
    if (n_suspects > 0) {
        if (surfaces_judge(result, work, error))
            return error->status;
        hole_done(&result->hole);
        if (surfaces_hole(&result->hole, result, work, work->marked, error))
            return error->status;
    }
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
                                 .sd = &request->population->sd};
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
