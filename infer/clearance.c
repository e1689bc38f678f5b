/* clearance.c - see clearance.h. Test: tests/infer/test_clearance.c
 *
 * The distance transform of the mask finds where the surface of the cut lies to about a voxel; only there the distance
 * from the bone's triangles is computed. */
#include "infer/clearance.h"

#include <math.h>
#include <string.h>

#include "data/mask/distance.h"
#include "infer/crop.h"
#include "infer/mesh/mesh_distance.h"
#include "infer/pieces.h"

enum { SMOOTHING = 15, CONNECTIVITY = 6 };
static const double SMOOTHING_SHIFT = 0.45 /* of a voxel's shortest side */, DEEPEST_MM = 12 /* the bevel ends here */,
                    BAND = 2.5 /* voxels about the cut where distances are exact */, FAR_MM = 1000;

/* What the steps share; arrays of the box. */
struct clearing {
    const struct clearance *clearance;
    struct box box;
    int64_t dim[3], n;
    double spacing[3], widest;
    struct crop implant, bone;
    float *gap;     /* wanted, mm */
    float *nearest; /* distance to bone; where `exact`: squared, from its triangles */
    uint8_t *exact;
};

static double clearance_reach(const struct clearance *clearance, double widest)
{
    return clearance->gap_mm + tan(clearance->bevel_deg * 3.14159265358979 / 180) * DEEPEST_MM + BAND * widest;
}

struct box clearance_box(const struct volume *implant, const struct clearance *clearance)
{
    const struct grid *grid = &implant->grid;
    double finest = INFINITY, widest = 0;
    for (int a = 0; a < 3; a++) {
        finest = fmin(finest, grid_spacing_mm(grid, a));
        widest = fmax(widest, grid_spacing_mm(grid, a));
    }
    const int64_t margin = (int64_t)ceil(clearance_reach(clearance, widest) / finest) + 3;
    return box_grow(box_of_mask(implant->data, grid->dim), margin, grid->dim);
}

int64_t clearance_bytes(int64_t voxels)
{
    enum { FIELD = 4, GAP = 4, DISTANCE = 8, MASKS = 4 };
    return (FIELD + GAP + DISTANCE + MASKS) * voxels;
}

enum status clearance_field(struct mesh_field *field, struct error *error)
{
    const int64_t n = box_voxels(field->box);
    if (field->cut)
        return STATUS_OK;
    field->cut = memory_alloc((size_t)n, sizeof *field->cut);
    if (!field->cut)
        return error_memory(error, (size_t)n * sizeof *field->cut, "cuts of the implant");
    for (int64_t i = 0; i < n; i++)
        field->cut[i] = (float)FAR_MM;
    return STATUS_OK;
}

/* mask: of the box. */
static enum status clearance_drop_chips(uint8_t *mask, const int64_t dim[3], double voxel_ml, struct error *error)
{
    const double CHIP_ML = 0.05;
    int64_t *sizes = NULL, n = 0, largest = 0;
    if (mask_components(NULL, &sizes, &n, mask, dim, CONNECTIVITY, error))
        return error->status;
    for (int64_t i = 0; i < n; i++)
        largest = sizes[i] > largest ? sizes[i] : largest;
    memory_free(sizes);
    const int64_t chip = (int64_t)ceil(CHIP_ML / voxel_ml);
    return n > 1 ? mask_remove_small(mask, dim, chip < largest ? chip : largest, CONNECTIVITY, error) : STATUS_OK;
}

enum status clearance_apply(const struct mesh_field *field, struct volume *implant, struct error *error)
{
    struct crop crop = {0};
    if (!field->cut)
        return STATUS_OK;
    if (crop_take(&crop, implant, field->box, error))
        return error->status;
    for (int64_t i = 0; i < crop_voxels(&crop); i++)
        crop.mask[i] = crop.mask[i] && field->cut[i] > 0;
    enum status status = clearance_drop_chips(crop.mask, crop.dim, grid_voxel_ml(&implant->grid), error);

    const struct box *box = &field->box;
    const int64_t *dim = implant->grid.dim;
    for (int64_t z = box->lo[2]; !status && z < box->hi[2]; z++)
        for (int64_t y = box->lo[1]; y < box->hi[1]; y++)
            memcpy((uint8_t *)implant->data + (z * dim[1] + y) * dim[0] + box->lo[0],
                   crop.mask + ((z - box->lo[2]) * crop.dim[1] + y - box->lo[1]) * crop.dim[0], (size_t)crop.dim[0]);
    crop_done(&crop);
    return status;
}

static int64_t clearance_at(const struct clearing *c, int64_t x, int64_t y, int64_t z)
{
    return (z * c->dim[1] + y) * c->dim[0] + x;
}

/* seed = voxels of air on the implant's outer surface: next to a voxel of it, on the way out from the head's centre. */
static void clearance_outer(uint8_t *seed, const struct clearing *c, const struct volume *skull)
{
    const double OUTWARD = 0.5;
    double centre[3];
    bone_centre(skull, centre);
    memset(seed, 0, (size_t)c->n);
    for (int64_t z = 1; z + 1 < c->dim[2]; z++)
        for (int64_t y = 1; y + 1 < c->dim[1]; y++)
            for (int64_t x = 1; x + 1 < c->dim[0]; x++) {
                const int64_t i = clearance_at(c, x, y, z), at[3] = {x, y, z},
                              step[3] = {1, c->dim[0], c->dim[0] * c->dim[1]};
                double way[3], length = 0;
                if (!c->implant.mask[i])
                    continue;
                for (int a = 0; a < 3; a++) {
                    way[a] = ((double)(c->box.lo[a] + at[a]) - centre[a]) * c->spacing[a];
                    length += way[a] * way[a];
                }
                for (int a = 0; a < 3; a++) {
                    const int64_t out = i + (way[a] > 0 ? step[a] : -step[a]);
                    if (fabs(way[a]) > OUTWARD * sqrt(length) && !c->implant.mask[out] && !c->bone.mask[out])
                        seed[out] = 1;
                }
            }
}

/* The gap wanted at every voxel: wider below the outer surface where there is a bevel. */
static enum status clearance_gaps(struct clearing *c, const struct volume *skull, struct error *error)
{
    const double slope = tan(c->clearance->bevel_deg * 3.14159265358979 / 180);
    if (slope > 0) {
        clearance_outer(c->exact, c, skull);
        if (distance_to_mask(c->gap, c->exact, c->dim, c->spacing, error))
            return error->status;
    }
    for (int64_t i = 0; i < c->n; i++) {
        const double below = slope > 0 ? fmin(fmax((double)c->gap[i] - c->widest / 2, 0), DEEPEST_MM) : 0;
        c->gap[i] = (float)(c->clearance->gap_mm + slope * below);
    }
    return STATUS_OK;
}

/* Which voxels need an exact distance: those of the implant and next to it where the cut's surface may pass. */
static void clearance_band(struct clearing *c)
{
    const int64_t step[3] = {1, c->dim[0], c->dim[0] * c->dim[1]};
    for (int64_t z = 0; z < c->dim[2]; z++)
        for (int64_t y = 0; y < c->dim[1]; y++)
            for (int64_t x = 0; x < c->dim[0]; x++) {
                const int64_t i = clearance_at(c, x, y, z), at[3] = {x, y, z};
                bool wanted = c->implant.mask[i];
                for (int a = 0; a < 3 && !wanted; a++)
                    wanted = (at[a] > 0 && c->implant.mask[i - step[a]]) ||
                             (at[a] + 1 < c->dim[a] && c->implant.mask[i + step[a]]);
                c->exact[i] = wanted && fabs((double)(c->nearest[i] - c->gap[i])) <= BAND * c->widest;
                if (c->exact[i])
                    c->nearest[i] = INFINITY;
            }
}

/* One triangle, for voxels of slices from <= z < end: the smaller of what they have and its squared distance. */
static void clearance_triangle(struct clearing *c, const struct mesh *surface, int64_t t, double reach_mm, int64_t from,
                               int64_t end)
{
    const double *corner[3] = {surface->point[surface->triangle[t][0]], surface->point[surface->triangle[t][1]],
                               surface->point[surface->triangle[t][2]]};
    int64_t lo[3], hi[3];
    for (int a = 0; a < 3; a++) {
        const double low = fmin(corner[0][a], fmin(corner[1][a], corner[2][a])),
                     high = fmax(corner[0][a], fmax(corner[1][a], corner[2][a]));
        const double first = ceil((low - reach_mm) / c->spacing[a]), last = floor((high + reach_mm) / c->spacing[a]);
        lo[a] = (int64_t)fmax(first, a == 2 ? (double)from : 0);
        hi[a] = (int64_t)fmin(last + 1, a == 2 ? (double)end : (double)c->dim[a]);
    }

    for (int64_t z = lo[2]; z < hi[2]; z++)
        for (int64_t y = lo[1]; y < hi[1]; y++)
            for (int64_t x = lo[0]; x < hi[0]; x++) {
                const int64_t i = clearance_at(c, x, y, z);
                if (!c->exact[i])
                    continue;
                const double p[3] = {(double)x * c->spacing[0], (double)y * c->spacing[1], (double)z * c->spacing[2]};
                const double far = sqrt((double)c->nearest[i]) + 3 * c->widest; /* no triangle is longer */
                double square = 0;
                for (int a = 0; a < 3; a++)
                    square += (p[a] - corner[0][a]) * (p[a] - corner[0][a]);
                if (square >= far * far)
                    continue;
                const float own = (float)mesh_triangle_distance2(p, corner[0], corner[1], corner[2]);
                c->nearest[i] = own < c->nearest[i] ? own : c->nearest[i];
            }
}

/* Slices are shared out among threads; the least distance does not depend on the order. */
static void clearance_distances(struct clearing *c, const struct mesh *surface)
{
    enum { SLICES = 8 };
    const double reach_mm = clearance_reach(c->clearance, c->widest) + BAND * c->widest;
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t block = 0; block < (c->dim[2] + SLICES - 1) / SLICES; block++) {
        const int64_t from = block * SLICES, end = from + SLICES < c->dim[2] ? from + SLICES : c->dim[2];
        for (int64_t t = 0; t < surface->n_triangles; t++) {
            double low = INFINITY, high = -INFINITY;
            for (int k = 0; k < 3; k++) {
                low = fmin(low, surface->point[surface->triangle[t][k]][2]);
                high = fmax(high, surface->point[surface->triangle[t][k]][2]);
            }
            if (high + reach_mm >= (double)from * c->spacing[2] && low - reach_mm < (double)end * c->spacing[2])
                clearance_triangle(c, surface, t, reach_mm, from, end);
        }
    }
}

/* The surface of the bone near the implant, in mm along the box's axes. Farther bone is left out: it decides nothing,
 * and where it is cut off no voxel of the implant is near. */
static enum status clearance_surface(struct mesh *ret, struct clearing *c, struct error *error)
{
    const double reach_mm = clearance_reach(c->clearance, c->widest) + 2 * BAND * c->widest;
    const double finest = fmin(c->spacing[0], fmin(c->spacing[1], c->spacing[2]));
    struct volume near = {.type = VOXEL_U8, .data = c->exact, .grid = {.dim = {c->dim[0], c->dim[1], c->dim[2]}}};
    struct mesh surface = {0};
    for (int a = 0; a < 3; a++)
        near.grid.axis[a][a] = c->spacing[a];
    if (distance_within(c->exact, c->implant.mask, c->dim, c->spacing, reach_mm, error))
        return error->status;
    for (int64_t i = 0; i < c->n; i++)
        c->exact[i] = c->exact[i] && c->bone.mask[i];

    enum status status = mesh_from_mask(&surface, &near, error);
    if (!status)
        status = mesh_smooth(&surface, SMOOTHING, SMOOTHING_SHIFT * finest, 0, error);
    if (!status)
        status = distance_to_mask(c->nearest, c->exact, c->dim, c->spacing, error);
    if (status)
        mesh_done(&surface);
    else
        *ret = surface;
    return status;
}

static enum status clearance_run(struct clearing *c, struct mesh_field *field, const struct volume *skull,
                                 struct error *error)
{
    struct mesh surface = {0};
    if (clearance_gaps(c, skull, error) || clearance_surface(&surface, c, error))
        return error->status;

    enum status status = STATUS_OK;
    if (surface.n_triangles > 0) {
        clearance_band(c);
        clearance_distances(c, &surface);
        status = clearance_field(field, error);
        for (int64_t i = 0; !status && i < c->n; i++) {
            const float away = !c->exact[i]      ? c->nearest[i]
                               : c->bone.mask[i] ? -sqrtf(c->nearest[i])
                                                 : sqrtf(c->nearest[i]);
            const float left = fminf(away, (float)FAR_MM) - c->gap[i];
            field->cut[i] = left < field->cut[i] ? left : field->cut[i];
        }
    }
    mesh_done(&surface);
    return status;
}

enum status clearance_cut(struct mesh_field *field, struct volume *implant, const struct volume *skull,
                          const struct clearance *clearance, struct error *error)
{
    struct clearing c = {.clearance = clearance, .box = field->box};
    if (box_empty(field->box) || clearance->gap_mm + clearance->bevel_deg <= 0)
        return STATUS_OK;
    for (int a = 0; a < 3; a++) {
        c.dim[a] = box_size(field->box, a);
        c.spacing[a] = grid_spacing_mm(&skull->grid, a);
        c.widest = fmax(c.widest, c.spacing[a]);
    }
    c.n = box_voxels(field->box);
    c.gap = memory_alloc((size_t)c.n, sizeof *c.gap);
    c.nearest = memory_alloc((size_t)c.n, sizeof *c.nearest);
    c.exact = memory_alloc((size_t)c.n, 1);

    enum status status = c.gap && c.nearest && c.exact
                             ? STATUS_OK
                             : error_memory(error, (size_t)clearance_bytes(c.n), "the gap between implant and bone");
    if (!status)
        status = crop_take(&c.implant, implant, c.box, error);
    if (!status)
        status = crop_take(&c.bone, skull, c.box, error);
    if (!status)
        status = clearance_run(&c, field, skull, error);
    if (!status)
        status = clearance_apply(field, implant, error);

    memory_free(c.gap);
    memory_free(c.nearest);
    memory_free(c.exact);
    crop_done(&c.implant);
    crop_done(&c.bone);
    return status ? error_while(error, "cutting the gap between implant and bone") : STATUS_OK;
}
