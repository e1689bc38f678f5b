/* depth.c - the filled surfaces as a depth field and as an implant's mask: see depth.h. Test: tests/shape/test_depth.c
 */
#include "shape/depth.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "data/mask/distance.h"

const struct implant_rules implant_default = {
    .opening_mm = 0.8, .opening_slack = 1.15, .closing_mm = 1.6, .closing_reach_mm = 2.5, .min_ml = 0.02};

#define DEPTH_MARGIN_MM 3.0
#define OCCUPANCY_SLOPE_MM 16.0 /* a depth for a share of one: deeper than bone is */

struct box depth_box(const struct grid *grid, const struct shell *shell)
{
    const struct hole *hole = shell->hole;
    const struct radial_map *filled = shell->filled;

    double lo[3] = {INFINITY, INFINITY, INFINITY}, hi[3] = {-INFINITY, -INFINITY, -INFINITY};
    for (int64_t i = 0; i < hole->n_unseen; i++)
        for (int end = 0; end < 2; end++) {
            const int32_t k = hole->unseen[i];
            const double r =
                end ? (double)filled->outer[k] + DEPTH_MARGIN_MM : (double)filled->inner[k] - DEPTH_MARGIN_MM;
            const double q[3] = {r * shell->disc->ray[k][0], r * shell->disc->ray[k][1], r * shell->disc->ray[k][2]};
            double world[3], index[3];
            pose_world(shell->pose, q, world);
            grid_to_index(grid, world, index);
            for (int a = 0; a < 3; a++) {
                lo[a] = fmin(lo[a], index[a]);
                hi[a] = fmax(hi[a], index[a]);
            }
        }
    struct box box = {{0}, {0}};
    for (int a = 0; a < 3 && hole->n_unseen > 0; a++) {
        box.lo[a] = (int64_t)fmax(floor(lo[a]) - 2, 0);
        box.hi[a] = (int64_t)fmin(ceil(hi[a]) + 3, (double)grid->dim[a]);
    }
    return box_empty(box) ? (struct box){{0}, {0}} : box;
}

/* What every voxel of a box needs: images of both surfaces, and of the holes' numbers. */
struct depth_work {
    const struct disc *disc;
    float *surface;              /* n x n x 2: inner, outer */
    uint8_t *part;               /* n x n */
    uint8_t *occupancy;          /* n x n x OCCUPANCY_STEPS; NULL: bone everywhere */
    double start[3], step[3][3]; /* canonical position of the grid's voxel 0, and of one step along each axis */
    double nearest, farthest;    /* radii between which a voxel can be near the shell of a hole */
};

static enum status depth_prepare(struct depth_work *work, const struct grid *grid, const struct shell *shell,
                                 struct error *error)
{
    const struct hole *hole = shell->hole;
    const struct radial_map *filled = shell->filled;

    const int64_t pixels = work->disc->n * work->disc->n;
    float *image = memory_alloc((size_t)pixels, sizeof *image);
    work->surface = memory_alloc((size_t)pixels, 2 * sizeof *work->surface);
    work->part = memory_zalloc((size_t)pixels, 1);
    enum status status = image && work->surface && work->part
                             ? STATUS_OK
                             : error_memory(error, (size_t)pixels * 12, "the surfaces' images");
    for (int s = 0; s < 2 && !status; s++) {
        status = disc_image(image, work->disc, s ? filled->outer : filled->inner, error);
        for (int64_t p = 0; p < pixels; p++)
            work->surface[2 * p + s] = image[p];
    }
    memory_free(image);
    if (status)
        return status;

    if (shell->occupancy) {
        work->occupancy = memory_alloc((size_t)pixels, OCCUPANCY_STEPS);
        if (!work->occupancy)
            return error_memory(error, (size_t)pixels * OCCUPANCY_STEPS, "bone between the surfaces");
        for (int64_t p = 0; p < pixels; p++) {
            const int32_t ray = work->disc->ray_at[p];
            uint8_t *to = work->occupancy + p * OCCUPANCY_STEPS;
            if (ray >= 0)
                memcpy(to, shell->occupancy + (int64_t)ray * OCCUPANCY_STEPS, OCCUPANCY_STEPS);
            else
                memset(to, 255, OCCUPANCY_STEPS);
        }
    }

    work->nearest = INFINITY;
    work->farthest = 0;
    for (int64_t i = 0; i < hole->n_unseen; i++) {
        const int32_t k = hole->unseen[i];
        work->part[work->disc->pixel[k]] = (uint8_t)(hole->part[k] < 255 ? hole->part[k] : 255);
        work->nearest = fmin(work->nearest, (double)filled->inner[k] - 2 * DEPTH_MARGIN_MM);
        work->farthest = fmax(work->farthest, (double)filled->outer[k] + 2 * DEPTH_MARGIN_MM);
    }
    pose_canonical(shell->pose, grid->origin, work->start);
    for (int a = 0; a < 3; a++) {
        const double world[3] = {grid->origin[0] + grid->axis[a][0], grid->origin[1] + grid->axis[a][1],
                                 grid->origin[2] + grid->axis[a][2]};
        pose_canonical(shell->pose, world, work->step[a]);
        for (int i = 0; i < 3; i++)
            work->step[a][i] -= work->start[i];
    }
    return STATUS_OK;
}

/* How far a point is from being empty in as many heads as not, as a depth: bilinear over the four pixels (p, below) and
 * linear between steps; t: from the inner surface (0) to the outer one (1). */
static float depth_occupied(const struct depth_work *work, const uint8_t *p, float a, float b, float t)
{
    const int64_t row = work->disc->n * OCCUPANCY_STEPS;
    const float last = OCCUPANCY_STEPS - 1, at = t * OCCUPANCY_STEPS - 0.5F, in = at < 0 ? 0 : at > last ? last : at;
    const int64_t step = in < last ? (int64_t)in : OCCUPANCY_STEPS - 2;
    const float c = in - (float)step;
    float value = 0;
    for (int corner = 0; corner < 4; corner++) {
        const uint8_t *share = p + (corner & 1 ? row : 0) + (corner & 2 ? OCCUPANCY_STEPS : 0) + step;
        value += (corner & 1 ? a : 1 - a) * (corner & 2 ? b : 1 - b) * ((1 - c) * share[0] + c * share[1]);
    }
    return (value - 127.5F) * (float)(OCCUPANCY_SLOPE_MM / 255);
}

/* One row of voxels along x, from canonical q0 on. */
static void depth_row(float *depth, uint8_t *in_hole, const struct depth_work *work, const double q0[3], int64_t width)
{
    const int64_t n = work->disc->n;
    const float last = (float)(n - 1), middle = last / 2, pitch = (float)(1 / work->disc->step);
    const float nearest = (float)work->nearest, farthest = (float)work->farthest;
    for (int64_t x = 0; x < width; x++) {
        float q[3];
        for (int i = 0; i < 3; i++)
            q[i] = (float)(q0[i] + (double)x * work->step[0][i]);
        const float r = sqrtf(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]);
        if (in_hole)
            in_hole[x] = 0;
        if (r < nearest || r > farthest) {
            depth[x] = r < nearest ? r - nearest - (float)DEPTH_MARGIN_MM : farthest - r - (float)DEPTH_MARGIN_MM;
            continue;
        }

        /* disc_locate of q / r: direction * sqrt(2 / (1 + z)) / step */
        const float k = pitch * sqrtf(2 / fmaxf(r * (r + q[2]), 1e-6F));
        const float u = q[0] * k + middle, v = q[1] * k + middle;
        const float cu = u < 0 ? 0 : u > last ? last : u, cv = v < 0 ? 0 : v > last ? last : v;
        const int64_t i = cu < last ? (int64_t)cu : n - 2, j = cv < last ? (int64_t)cv : n - 2;
        const float a = cu - (float)i, b = cv - (float)j;
        const float *p = work->surface + 2 * (i * n + j), *below = p + 2 * n;
        const float inner = (1 - a) * ((1 - b) * p[0] + b * p[2]) + a * ((1 - b) * below[0] + b * below[2]);
        const float outer = (1 - a) * ((1 - b) * p[1] + b * p[3]) + a * ((1 - b) * below[1] + b * below[3]);
        depth[x] = fminf(r - inner, outer - r);
        if (work->occupancy && depth[x] > 0)
            depth[x] = fminf(depth[x], depth_occupied(work, work->occupancy + (i * n + j) * OCCUPANCY_STEPS, a, b,
                                                      (r - inner) / (outer - inner)));
        if (in_hole && u > -0.5F && v > -0.5F && u < last + 0.5F && v < last + 0.5F)
            in_hole[x] = work->part[(int64_t)(u + 0.5F) * n + (int64_t)(v + 0.5F)];
    }
}

enum status depth_field(float *depth, uint8_t *in_hole, const struct grid *grid, const struct box *box,
                        const struct shell *shell, struct error *error)
{
    struct depth_work work = {.disc = shell->disc};
    enum status status = depth_prepare(&work, grid, shell, error);
    const int64_t size[3] = {box->hi[0] - box->lo[0], box->hi[1] - box->lo[1], box->hi[2] - box->lo[2]};
    const int64_t rows = status ? 0 : size[1] * size[2];
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        const int64_t y = box->lo[1] + row % size[1], z = box->lo[2] + row / size[1];
        const double index[3] = {(double)box->lo[0], (double)y, (double)z};
        double q[3];
        for (int i = 0; i < 3; i++)
            q[i] = work.start[i] + index[0] * work.step[0][i] + index[1] * work.step[1][i] + index[2] * work.step[2][i];
        depth_row(depth + row * size[0], in_hole ? in_hole + row * size[0] : NULL, &work, q, size[0]);
    }
    memory_free(work.surface);
    memory_free(work.part);
    memory_free(work.occupancy);
    return status;
}

/* --- the implant --- */

enum { IMPLANT_PAD = 8 }; /* voxels about the box: what is outside it is as at its border */

struct implant_work {
    int64_t dim[3], voxels; /* of the padded box */
    double spacing[3];
    uint8_t *part, *free, *a, *b;
};

static enum status implant_alloc(struct implant_work *work, const struct grid *grid, const struct box *box,
                                 struct error *error)
{
    work->voxels = 1;
    for (int i = 0; i < 3; i++) {
        work->dim[i] = box->hi[i] - box->lo[i] + 2 * IMPLANT_PAD;
        work->spacing[i] = grid_spacing_mm(grid, i);
        work->voxels *= work->dim[i];
    }
    uint8_t *memory = memory_zalloc((size_t)work->voxels, 4);
    if (!memory)
        return error_memory(error, (size_t)work->voxels * 4, "an implant's box");
    work->part = memory;
    work->free = memory + work->voxels;
    work->a = memory + 2 * work->voxels;
    work->b = memory + 3 * work->voxels;
    return STATUS_OK;
}

/* part: depth > 0 in a hole and no bone; free: no bone, beyond the volume as at its border. */
static void implant_fill(struct implant_work *work, const struct volume *skull, const struct box *box,
                         const float *depth, const uint8_t *in_hole)
{
    const int64_t *dim = work->dim, *whole = skull->grid.dim;
    const uint8_t *bone = skull->data;
    const int64_t width = box->hi[0] - box->lo[0], height = box->hi[1] - box->lo[1], levels = box->hi[2] - box->lo[2];
#pragma omp parallel for schedule(static)
    for (int64_t z = 0; z < dim[2]; z++)
        for (int64_t y = 0; y < dim[1]; y++)
            for (int64_t x = 0; x < dim[0]; x++) {
                const int64_t at[3] = {x - IMPLANT_PAD, y - IMPLANT_PAD, z - IMPLANT_PAD};
                const bool inside =
                    at[0] >= 0 && at[0] < width && at[1] >= 0 && at[1] < height && at[2] >= 0 && at[2] < levels;
                int64_t i[3];
                for (int a = 0; a < 3; a++) {
                    i[a] = box->lo[a] + at[a];
                    i[a] = i[a] < 0 ? 0 : i[a] >= whole[a] ? whole[a] - 1 : i[a];
                }
                const int64_t here = (z * dim[1] + y) * dim[0] + x,
                              there = inside ? (at[2] * height + at[1]) * width + at[0] : 0;
                work->free[here] = !bone[(i[2] * whole[1] + i[1]) * whole[0] + i[0]];
                work->part[here] = inside && work->free[here] && depth[there] > 0 ? in_hole[there] : 0;
            }
}

/* What a ball of opening_mm can sweep, grown back by a little more. */
static enum status implant_open(struct implant_work *work, const struct implant_rules *rules, struct error *error)
{
    for (int64_t i = 0; i < work->voxels; i++)
        work->a[i] = !work->part[i];
    if (distance_within(work->b, work->a, work->dim, work->spacing, rules->opening_mm, error))
        return STATUS_FAILED;
    for (int64_t i = 0; i < work->voxels; i++)
        work->a[i] = !work->b[i];
    if (distance_within(work->b, work->a, work->dim, work->spacing, rules->opening_mm * rules->opening_slack, error))
        return STATUS_FAILED;
    for (int64_t i = 0; i < work->voxels; i++)
        work->part[i] = work->b[i] ? work->part[i] : 0;
    return STATUS_OK;
}

/* Of every hole the largest 6-connected part, if it is large enough. A part belongs to the hole of its first voxel. */
static enum status implant_keep(struct implant_work *work, const struct implant_rules *rules, const struct grid *grid,
                                struct error *error)
{
    int64_t *sizes = NULL, n = 0, best[256] = {0};
    int32_t *label = memory_alloc((size_t)work->voxels, sizeof *label);
    if (!label)
        return error_memory(error, (size_t)work->voxels * sizeof *label, "the parts of an implant");
    enum status status = mask_components(label, &sizes, &n, work->part, work->dim, 6, error);

    int32_t numbered = 0; /* labels are in scan order: a part's first voxel is met before any of the next part's */
    for (int64_t i = 0; i < work->voxels && !status && numbered < n; i++) {
        if (label[i] <= numbered)
            continue;
        const int64_t part = numbered = label[i];
        const bool large = (double)sizes[part - 1] * grid_voxel_ml(grid) >= rules->min_ml;
        int64_t *const so_far = &best[work->part[i]];
        if (large && (!*so_far || sizes[part - 1] > sizes[*so_far - 1]))
            *so_far = part;
    }
    for (int h = 1; h < 256 && !status; h++)
        if (best[h])
            sizes[best[h] - 1] = -1; /* kept: all of it, also what lies in another hole */
    for (int64_t i = 0; i < work->voxels && !status; i++)
        work->part[i] = label[i] > 0 && sizes[label[i] - 1] < 0;
    memory_free(sizes);
    memory_free(label);
    return status;
}

/* What the closing added apart from the implant goes. core: the implant before. */
static enum status implant_drop_loose(struct implant_work *work, const uint8_t *core, struct error *error)
{
    int64_t *sizes = NULL, n = 0;
    int32_t *label = memory_alloc((size_t)work->voxels, sizeof *label);
    if (!label)
        return error_memory(error, (size_t)work->voxels * sizeof *label, "the parts of an implant");
    const enum status status = mask_components(label, &sizes, &n, work->part, work->dim, 6, error);
    for (int64_t i = 0; i < work->voxels && !status; i++)
        if (core[i])
            sizes[label[i] - 1] = -1;
    for (int64_t i = 0; i < work->voxels && !status; i++)
        work->part[i] = label[i] > 0 && sizes[label[i] - 1] < 0;
    memory_free(sizes);
    memory_free(label);
    return status;
}

/* The gap to the bone: what a closing of implant and bone adds near the implant. */
static enum status implant_close(struct implant_work *work, const struct implant_rules *rules, struct error *error)
{
    for (int64_t i = 0; i < work->voxels; i++)
        work->a[i] = work->part[i] || !work->free[i];
    if (distance_within(work->b, work->a, work->dim, work->spacing, rules->closing_mm, error))
        return STATUS_FAILED;
    for (int64_t i = 0; i < work->voxels; i++)
        work->b[i] = !work->b[i];
    if (distance_within(work->a, work->b, work->dim, work->spacing, rules->closing_mm, error) ||
        distance_within(work->b, work->part, work->dim, work->spacing, rules->closing_reach_mm, error))
        return STATUS_FAILED;
    for (int64_t i = 0; i < work->voxels; i++) {
        const bool near = !work->a[i] && work->free[i] && work->b[i];
        work->a[i] = work->part[i];
        work->part[i] = work->part[i] || near;
    }
    return implant_drop_loose(work, work->a, error);
}

enum status depth_implant(uint8_t *implant, const struct volume *skull, const struct box *box, const float *depth,
                          const uint8_t *in_hole, const struct implant_rules *rules, struct error *error)
{
    const int64_t *whole = skull->grid.dim;
    struct implant_work work = {0};
    memset(implant, 0, (size_t)grid_voxels(&skull->grid));
    if (box_empty(*box))
        return STATUS_OK;
    enum status status = implant_alloc(&work, &skull->grid, box, error);
    if (!status) {
        implant_fill(&work, skull, box, depth, in_hole);
        status = implant_open(&work, rules, error);
    }
    if (!status)
        status = implant_keep(&work, rules, &skull->grid, error);
    if (!status)
        status = implant_close(&work, rules, error);

    for (int64_t z = box->lo[2]; z < box->hi[2] && !status; z++)
        for (int64_t y = box->lo[1]; y < box->hi[1]; y++) {
            const int64_t row = (z - box->lo[2] + IMPLANT_PAD) * work.dim[1] + y - box->lo[1] + IMPLANT_PAD;
            memcpy(implant + (z * whole[1] + y) * whole[0] + box->lo[0], work.part + row * work.dim[0] + IMPLANT_PAD,
                   (size_t)(box->hi[0] - box->lo[0]));
        }
    memory_free(work.part);
    return status;
}
