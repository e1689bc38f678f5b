/* warp.c - see warp.h. Test: tests/shape/test_warp.c */
#include "shape/warp.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

#define WARP_SIGMA_PIXELS 3.0
#define WARP_EDGE_MM 20.0 /* from where the model vouches for its radii to where shifts are whole */
#define WARP_MOST_MM 12.0 /* of a shift */
#define WARP_THINNEST 0.4 /* bone keeps this share of its thickness */

/* What a pixel of the disc holds. */
enum { WARP_INNER, WARP_OUTER, WARP_SHIFT_INNER, WARP_SHIFT_OUTER, WARP_PLANES };

struct shape_warp {
    struct augment_warp base; /* first: what the augmentation holds */
    int64_t n;
    double pitch;                /* pixels for each unit of the disc */
    double start[3], step[3][3]; /* canonical position of voxel 0, and of one step along each axis */
    double back[3][3];           /* voxels for one canonical mm along each axis */
    float *plane;                /* n x n x WARP_PLANES, mm */
};

static void warp_free(struct augment_warp *base)
{
    struct shape_warp *warp = (struct shape_warp *)base;
    memory_free(warp->plane);
    memory_free(warp);
}

/* Bilinear; false beyond the disc. */
static bool warp_look_up(float out[WARP_PLANES], const struct shape_warp *warp, const double q[3], double r)
{
    const double last = (double)(warp->n - 1), k = warp->pitch * sqrt(2 / fmax(r * (r + q[2]), 1e-6));
    const double u = q[0] * k + last / 2, v = q[1] * k + last / 2;
    if (!(u >= 0 && v >= 0 && u < last && v < last))
        return false;
    const int64_t i = (int64_t)u, j = (int64_t)v, row = warp->n * WARP_PLANES;
    const float a = (float)(u - (double)i), b = (float)(v - (double)j);
    const float *p = warp->plane + i * row + j * WARP_PLANES, *below = p + row;
    for (int s = 0; s < WARP_PLANES; s++)
        out[s] =
            (1 - a) * ((1 - b) * p[s] + b * p[WARP_PLANES + s]) + a * ((1 - b) * below[s] + b * below[WARP_PLANES + s]);
    return true;
}

/* How far the point at radius r of the other head was moved outwards. */
static double warp_shift(const float plane[WARP_PLANES], double r)
{
    const double inner = (double)plane[WARP_SHIFT_INNER], outer = (double)plane[WARP_SHIFT_OUTER];
    const double from = (double)plane[WARP_INNER] + inner, to = (double)plane[WARP_OUTER] + outer;
    if (r <= from)
        return inner * r / from;
    if (r < to)
        return inner + (outer - inner) * (r - from) / (to - from);
    return outer * fmax(0, 1 - (r - to) / WARP_FADE_MM);
}

static void warp_place(const struct augment_warp *base, double at[3])
{
    const struct shape_warp *warp = (const struct shape_warp *)base;
    double q[3], squares = 0;
    float plane[WARP_PLANES];
    for (int i = 0; i < 3; i++) {
        q[i] = warp->start[i] + at[0] * warp->step[0][i] + at[1] * warp->step[1][i] + at[2] * warp->step[2][i];
        squares += q[i] * q[i];
    }
    const double r = sqrt(squares);
    if (r < 1 || !warp_look_up(plane, warp, q, r))
        return;
    const double share = warp_shift(plane, r) / r;
    for (int a = 0; a < 3; a++)
        at[a] -= share * (q[0] * warp->back[0][a] + q[1] * warp->back[1][a] + q[2] * warp->back[2][a]);
}

/* ---- making one ---- */

static void warp_frame(struct shape_warp *warp, const struct grid *grid, const struct pose *pose)
{
    const double middle[3] = {0, 0, 0};
    double world[3], origin[3];
    pose_canonical(pose, grid->origin, warp->start);
    pose_world(pose, middle, world);
    grid_to_index(grid, world, origin);
    for (int a = 0; a < 3; a++) {
        const double next[3] = {grid->origin[0] + grid->axis[a][0], grid->origin[1] + grid->axis[a][1],
                                grid->origin[2] + grid->axis[a][2]};
        const double along[3] = {a == 0, a == 1, a == 2};
        pose_canonical(pose, next, warp->step[a]);
        pose_world(pose, along, world);
        grid_to_index(grid, world, warp->back[a]);
        for (int i = 0; i < 3; i++) {
            warp->step[a][i] -= warp->start[i];
            warp->back[a][i] -= origin[i];
        }
    }
}

/* How whole a ray's shift is: 0 where the model claims nothing and at the disc's edge, 1 from WARP_EDGE_MM inside on.
 */
static enum status warp_weights(float *weight, const struct shape_warp_request *request, struct error *error)
{
    const struct disc *disc = request->disc;
    uint8_t *outside = memory_alloc((size_t)disc->n_rays, 1);
    if (!outside)
        return error_memory(error, (size_t)disc->n_rays, "the edge of a warp");
    const double edge = disc->reach - 2 * disc->step, middle = (double)(disc->n - 1) / 2;
    for (int64_t k = 0; k < disc->n_rays; k++) {
        const int64_t row = disc->pixel[k] / disc->n, column = disc->pixel[k] % disc->n;
        const double u = ((double)row - middle) * disc->step, v = ((double)column - middle) * disc->step;
        outside[k] = !request->good[k] || u * u + v * v > edge * edge;
    }
    const enum status status = disc_distance(weight, disc, outside, error);
    for (int64_t k = 0; k < disc->n_rays && !status; k++)
        weight[k] = fminf(weight[k] / (float)WARP_EDGE_MM, 1);
    memory_free(outside);
    return status;
}

/* Both surfaces of the head and their smoothed shifts, as images. scratch: n x n. */
static enum status warp_planes(struct shape_warp *warp, const struct shape_warp_request *request, float *weight,
                               float *values, float *image, struct error *error)
{
    const struct disc *disc = request->disc;
    const int64_t pixels = disc->n * disc->n;
    for (int plane = 0; plane < WARP_PLANES; plane++) {
        const int surface = plane % 2;
        const bool shifts = plane >= WARP_SHIFT_INNER;
        for (int64_t k = 0; k < disc->n_rays; k++) {
            const double from = (double)request->from[2 * k + surface], to = (double)request->to[2 * k + surface];
            const double shift = weight[k] > 0 ? request->share * (to - from) : 0;
            values[k] = (float)(shifts ? (double)weight[k] * fmin(fmax(shift, -WARP_MOST_MM), WARP_MOST_MM) : from);
            if (!request->good[k] && !shifts)
                values[k] = NAN;
        }
        if (shifts) /* nothing moves beyond the disc */
            for (int64_t p = 0; p < pixels; p++)
                image[p] = disc->ray_at[p] >= 0 ? values[disc->ray_at[p]] : 0;
        else if (disc_image(image, disc, values, error))
            return error->status;
        if (shifts && disc_smooth(image, disc, WARP_SIGMA_PIXELS, error))
            return error->status;
        for (int64_t p = 0; p < pixels; p++)
            warp->plane[p * WARP_PLANES + plane] = image[p];
    }

    for (int64_t p = 0; p < pixels; p++) { /* bone stays bone */
        float *at = warp->plane + p * WARP_PLANES;
        const float thinner = (float)(1 - WARP_THINNEST) * (at[WARP_OUTER] - at[WARP_INNER]);
        at[WARP_SHIFT_INNER] = fminf(at[WARP_SHIFT_INNER], at[WARP_SHIFT_OUTER] + thinner);
    }
    return STATUS_OK;
}

enum status shape_warp_new(struct augment_warp **ret, const struct shape_warp_request *request, struct error *error)
{
    const struct disc *disc = request->disc;
    const size_t pixels = (size_t)(disc->n * disc->n), n_rays = (size_t)disc->n_rays;
    struct shape_warp *warp = memory_zalloc(1, sizeof *warp);
    if (!warp)
        return error_memory(error, sizeof *warp, "a warp");
    *warp =
        (struct shape_warp){.base = {.place = warp_place, .free = warp_free}, .n = disc->n, .pitch = 1 / disc->step};
    warp_frame(warp, request->grid, request->pose);
    warp->plane = memory_alloc(pixels, WARP_PLANES * sizeof *warp->plane);
    float *scratch = memory_alloc(pixels + 2 * n_rays, sizeof *scratch);
    enum status status =
        warp->plane && scratch ? STATUS_OK : error_memory(error, pixels * WARP_PLANES * sizeof *warp->plane, "a warp");
    if (!status)
        status = warp_weights(scratch, request, error);
    if (!status)
        status = warp_planes(warp, request, scratch, scratch + n_rays, scratch + 2 * n_rays, error);
    memory_free(scratch);
    if (status)
        warp_free(&warp->base);
    else
        *ret = &warp->base;
    return status;
}

enum status shape_warp_draw(struct augment_warp **ret, const struct shape_model *model, const struct grid *grid,
                            const char *name, uint64_t content_hash, double share, struct rng rng, struct error *error)
{
    const struct heads *heads = &model->heads;
    const int64_t head = shape_model_find(model, name, content_hash), n_rays = heads->n_rays;
    int64_t others = 0;
    *ret = NULL;
    for (int64_t h = 0; head >= 0 && h < heads->n; h++)
        others += heads->group[h] != heads->group[head];
    if (others == 0)
        return STATUS_OK;
    int64_t left = rng_below(&rng, others), other = 0;
    while (heads->group[other] == heads->group[head] || left-- > 0)
        other++;

    const float *to = heads->map + other * n_rays * 2;
    float *mirrored = NULL;
    if (rng_below(&rng, 2)) {
        mirrored = memory_alloc((size_t)n_rays, 2 * sizeof *mirrored);
        if (!mirrored)
            return error_memory(error, (size_t)n_rays * 2 * sizeof *mirrored, "a mirrored head");
        for (int64_t k = 0; k < n_rays; k++)
            memcpy(mirrored + 2 * k, to + 2 * (int64_t)model->disc.mirror[k], 2 * sizeof *mirrored);
        to = mirrored;
    }
    const struct shape_warp_request request = {.disc = &model->disc,
                                               .grid = grid,
                                               .pose = &model->head[head].pose,
                                               .good = model->good,
                                               .from = heads->map + head * n_rays * 2,
                                               .to = to,
                                               .share = share};
    const enum status status = shape_warp_new(ret, &request, error);
    memory_free(mirrored);
    return status;
}
