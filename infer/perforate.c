/* perforate.c - see perforate.h. Test: tests/infer/test_perforate.c */
#include "infer/perforate.h"

#include <math.h>
#include <string.h>

#include "data/mask/distance.h"
#include "infer/clearance.h"
#include "infer/crop.h"

enum { HOLES_MOST = 2000, ROUNDS = 60, CONNECTIVITY = 6 };
static const double PATCH_MM = 9 /* about a hole, for its normal */, DEEPEST_MM = 20, TILT_COS = 0.5,
                    PI = 3.14159265358979;

#define OFFSET(member) offsetof(struct perforation, member)
/* clang-format off */
static const struct config_field perforation_fields[] = {
    {.key = "hole_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(hole_mm), .text = "0", .min = 0, .max = 30, .unit = "mm",
     .help = "diameter of a pattern of holes through the implant; 0: none"},
    {.key = "hole_spacing_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(hole_spacing_mm), .text = "12", .min = 1,
     .max = 200, .unit = "mm", .help = "between the middles of two holes of the pattern"},
    {.key = "screw_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(screw_mm), .text = "0", .min = 0, .max = 30,
     .unit = "mm", .help = "diameter of fixation holes in a row along the rim; 0: none"},
    {.key = "screw_spacing_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(screw_spacing_mm), .text = "30", .min = 1,
     .max = 500, .unit = "mm", .help = "between two fixation holes, at least"},
    {.key = "hole_edge_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(edge_mm), .text = "4", .min = 0, .max = 50,
     .unit = "mm", .help = "left between a hole and the rim, and between two kinds of holes"},
    {0},
};
/* clang-format on */
const struct config_table perforation_table = {
    .help = "Holes", .size = sizeof(struct perforation), .fields = perforation_fields};

/* The piece as seen along its direction of insertion: a picture of pixels `pixel` mm wide, u and v across. */
struct shadow {
    double u[3], v[3], way[3], origin[3], pixel;
    int64_t dim[3]; /* w, h, 1 */
    float *inside;  /* of every pixel: mm to the outside */
    uint8_t *mask;
};

struct hole_place {
    double at[2], radius; /* mm in the shadow */
};

struct perforating {
    const struct grid *grid;
    struct crop piece;
    struct shadow shadow;
    struct hole_place hole[HOLES_MOST];
    int n;
};

/* World place of voxel i of the piece. */
static void perforate_world(const struct perforating *p, int64_t i, double ret[3])
{
    const int64_t *dim = p->piece.dim, *lo = p->piece.box.lo;
    const int64_t x = lo[0] + i % dim[0], y = lo[1] + i / dim[0] % dim[1], z = lo[2] + i / dim[0] / dim[1];
    const double index[3] = {(double)x, (double)y, (double)z};
    grid_to_world(p->grid, index, ret);
}

static void perforate_project(const struct shadow *shadow, const double world[3], double ret[2])
{
    ret[0] = ret[1] = 0;
    for (int k = 0; k < 3; k++) {
        ret[0] += (world[k] - shadow->origin[k]) * shadow->u[k];
        ret[1] += (world[k] - shadow->origin[k]) * shadow->v[k];
    }
}

static int64_t perforate_pixel(const struct shadow *shadow, const double at[2])
{
    const int64_t x = (int64_t)floor(at[0] / shadow->pixel + 0.5) + shadow->dim[0] / 2,
                  y = (int64_t)floor(at[1] / shadow->pixel + 0.5) + shadow->dim[1] / 2;
    return x < 0 || y < 0 || x >= shadow->dim[0] || y >= shadow->dim[1] ? -1 : y * shadow->dim[0] + x;
}

/* Two axes across the direction. */
static void perforate_axes(struct shadow *shadow, const struct insertion_piece *piece)
{
    const double *n = piece->direction;
    const int least = fabs(n[0]) < fabs(n[1]) ? (fabs(n[0]) < fabs(n[2]) ? 0 : 2) : fabs(n[1]) < fabs(n[2]) ? 1 : 2;
    double length = 0;
    for (int k = 0; k < 3; k++) {
        const int l = (k + 1) % 3, m = (k + 2) % 3;
        shadow->u[k] = n[l] * (m == least) - n[m] * (l == least);
        length += shadow->u[k] * shadow->u[k];
    }
    for (int k = 0; k < 3; k++)
        shadow->u[k] /= sqrt(length);
    for (int k = 0; k < 3; k++)
        shadow->v[k] = n[(k + 1) % 3] * shadow->u[(k + 2) % 3] - n[(k + 2) % 3] * shadow->u[(k + 1) % 3];
    memcpy(shadow->way, n, sizeof shadow->way);
    memcpy(shadow->origin, piece->middle_mm, sizeof shadow->origin);
}

static enum status perforate_shadow(struct perforating *p, const struct insertion_piece *piece, struct error *error)
{
    struct shadow *shadow = &p->shadow;
    const int64_t n = crop_voxels(&p->piece);
    double reach = 0, at[2], world[3];
    perforate_axes(shadow, piece);
    for (int a = 0; a < 3; a++) /* no pixel between two voxels stays empty */
        shadow->pixel = fmax(shadow->pixel, grid_spacing_mm(p->grid, a));
    for (int64_t i = 0; i < n; i++)
        if (p->piece.mask[i]) {
            perforate_world(p, i, world);
            perforate_project(shadow, world, at);
            reach = fmax(reach, fmax(fabs(at[0]), fabs(at[1])));
        }

    shadow->dim[0] = shadow->dim[1] = 2 * ((int64_t)(reach / shadow->pixel) + 3) + 1;
    shadow->dim[2] = 1;
    const int64_t pixels = shadow->dim[0] * shadow->dim[1];
    const double spacing[3] = {shadow->pixel, shadow->pixel, shadow->pixel};
    shadow->mask = memory_zalloc((size_t)pixels, 1);
    shadow->inside = memory_alloc((size_t)pixels, sizeof *shadow->inside);
    if (!shadow->mask || !shadow->inside)
        return error_memory(error, 5 * (size_t)pixels, "the places of holes");
    for (int64_t i = 0; i < n; i++)
        if (p->piece.mask[i]) {
            perforate_world(p, i, world);
            perforate_project(shadow, world, at);
            shadow->mask[perforate_pixel(shadow, at)] = 1;
        }
    for (int64_t i = 0; i < pixels; i++)
        shadow->mask[i] = !shadow->mask[i];
    return distance_to_mask(shadow->inside, shadow->mask, shadow->dim, spacing, error);
}

/* Does a hole fit: `edge` from the rim and from every other hole? */
static void perforate_add(struct perforating *p, const double at[2], double radius, double rim_mm, double apart_mm)
{
    const int64_t pixel = perforate_pixel(&p->shadow, at);
    bool fits =
        pixel >= 0 && p->n < HOLES_MOST && (double)p->shadow.inside[pixel] - p->shadow.pixel / 2 >= rim_mm + radius;
    for (int i = 0; fits && i < p->n; i++)
        fits = hypot(at[0] - p->hole[i].at[0], at[1] - p->hole[i].at[1]) >=
               fmax(apart_mm, radius + p->hole[i].radius + rim_mm) - 1e-9;
    if (fits)
        p->hole[p->n++] = (struct hole_place){{at[0], at[1]}, radius};
}

/* Along the rim, by rising angle about the middle: where the distance from the rim is the one wanted. */
static void perforate_place_screws(struct perforating *p, const struct perforation *wanted)
{
    const struct shadow *shadow = &p->shadow;
    const double radius = wanted->screw_mm / 2, step = 0.25 * PI / 180;
    for (double angle = -PI; wanted->screw_mm > 0 && angle < PI; angle += step)
        for (double away = shadow->pixel * (double)shadow->dim[0]; away > 0; away -= shadow->pixel / 2) {
            const double at[2] = {away * cos(angle), away * sin(angle)};
            const int64_t pixel = perforate_pixel(shadow, at);
            if (pixel < 0 || (double)shadow->inside[pixel] - shadow->pixel / 2 < wanted->edge_mm + radius)
                continue;
            perforate_add(p, at, radius, wanted->edge_mm, wanted->screw_spacing_mm);
            break; /* the outermost place of this ray */
        }
}

static void perforate_place_pattern(struct perforating *p, const struct perforation *wanted)
{
    const double spacing = wanted->hole_spacing_mm, rise = spacing * sqrt(3) / 2,
                 reach = p->shadow.pixel * (double)p->shadow.dim[0] / 2;
    const int64_t rows = (int64_t)(reach / rise) + 1, columns = (int64_t)(reach / spacing) + 2;
    for (int64_t row = -rows; wanted->hole_mm > 0 && row <= rows; row++)
        for (int64_t column = -columns; column <= columns; column++) {
            const double at[2] = {((double)column + 0.5 * (double)(row & 1)) * spacing, (double)row * rise};
            perforate_add(p, at, wanted->hole_mm / 2, wanted->edge_mm, wanted->hole_mm);
        }
}

/* The direction in which a patch of the piece is thinnest: power iteration on (trace - covariance), whose largest
 * eigenvalue belongs to the smallest of the covariance. */
static void perforate_normal(const double covariance[3][3], const double start[3], double ret[3])
{
    const double trace = covariance[0][0] + covariance[1][1] + covariance[2][2];
    memcpy(ret, start, 3 * sizeof *ret);
    for (int round = 0; round < ROUNDS; round++) {
        double next[3], length = 0;
        for (int k = 0; k < 3; k++) {
            next[k] = trace * ret[k];
            for (int l = 0; l < 3; l++)
                next[k] -= covariance[k][l] * ret[l];
            length += next[k] * next[k];
        }
        for (int k = 0; k < 3 && length > 0; k++)
            ret[k] = next[k] / sqrt(length);
    }
}

/* The middle of the piece at a hole, and its axis; false: nothing there. */
static bool perforate_axis(const struct perforating *p, const struct hole_place *hole, double middle[3], double axis[3])
{
    double sum[3] = {0}, square[3][3] = {{0}}, core[3] = {0}, n = 0, n_core = 0, covariance[3][3], dot = 0;
    for (int64_t i = 0; i < crop_voxels(&p->piece); i++) {
        double world[3], at[2];
        if (!p->piece.mask[i])
            continue;
        perforate_world(p, i, world);
        perforate_project(&p->shadow, world, at);
        const double away = hypot(at[0] - hole->at[0], at[1] - hole->at[1]);
        if (away > PATCH_MM)
            continue;
        n++;
        n_core += away <= hole->radius + p->shadow.pixel;
        for (int k = 0; k < 3; k++) {
            const double own = world[k] - p->shadow.origin[k];
            sum[k] += own;
            core[k] += away <= hole->radius + p->shadow.pixel ? own : 0;
            for (int l = 0; l < 3; l++)
                square[k][l] += own * (world[l] - p->shadow.origin[l]);
        }
    }
    if (n_core < 1)
        return false;
    for (int k = 0; k < 3; k++) {
        middle[k] = p->shadow.origin[k] + core[k] / n_core;
        for (int l = 0; l < 3; l++)
            covariance[k][l] = square[k][l] / n - sum[k] / n * (sum[l] / n);
    }
    perforate_normal((const double(*)[3])covariance, p->shadow.way, axis);
    for (int k = 0; k < 3; k++)
        dot += axis[k] * p->shadow.way[k];
    if (fabs(dot) < TILT_COS) /* a patch at a corner: no plate */
        memcpy(axis, p->shadow.way, sizeof p->shadow.way);
    return true;
}

/* The distance from the wall of the hole, negative inside, where it is less than what the field has. */
static void perforate_drill(struct mesh_field *field, const struct grid *grid, const double middle[3],
                            const double axis[3], double radius)
{
    const struct box *box = &field->box;
    double index[3];
    struct box near;
    grid_to_index(grid, middle, index);
    for (int a = 0; a < 3; a++) {
        const double reach = (DEEPEST_MM + radius) / grid_spacing_mm(grid, a) + 2;
        near.lo[a] = (int64_t)fmax((double)box->lo[a], floor(index[a] - reach));
        near.hi[a] = (int64_t)fmin((double)box->hi[a], ceil(index[a] + reach));
    }
    for (int64_t z = near.lo[2]; z < near.hi[2]; z++)
        for (int64_t y = near.lo[1]; y < near.hi[1]; y++)
            for (int64_t x = near.lo[0]; x < near.hi[0]; x++) {
                const double at[3] = {(double)x, (double)y, (double)z};
                double world[3], along = 0, square = 0;
                grid_to_world(grid, at, world);
                for (int k = 0; k < 3; k++) {
                    along += (world[k] - middle[k]) * axis[k];
                    square += (world[k] - middle[k]) * (world[k] - middle[k]);
                }
                if (fabs(along) > DEEPEST_MM)
                    continue;
                float *cut = &field->cut[((z - box->lo[2]) * box_size(*box, 1) + y - box->lo[1]) * box_size(*box, 0) +
                                         x - box->lo[0]];
                *cut = fminf(*cut, (float)(sqrt(fmax(square - along * along, 0)) - radius));
            }
}

static enum status perforate_run(int64_t *ret_n, struct perforating *p, struct mesh_field *field,
                                 const struct insertion_piece *piece, const struct perforation *wanted,
                                 struct error *error)
{
    if (mask_keep_largest(p->piece.mask, p->piece.dim, 1, CONNECTIVITY, error) || perforate_shadow(p, piece, error) ||
        clearance_field(field, error))
        return error->status;
    perforate_place_screws(p, wanted);
    perforate_place_pattern(p, wanted);
    for (int i = 0; i < p->n; i++) {
        double middle[3], axis[3];
        if (perforate_axis(p, &p->hole[i], middle, axis)) {
            perforate_drill(field, p->grid, middle, axis, p->hole[i].radius);
            (*ret_n)++;
        }
    }
    return STATUS_OK;
}

enum status perforate(int64_t *ret_n, struct mesh_field *field, struct volume *implant,
                      const struct insertion *insertion, const struct perforation *perforation, struct error *error)
{
    *ret_n = 0;
    if (insertion->n == 0 || box_empty(field->box) || perforation->hole_mm + perforation->screw_mm <= 0)
        return STATUS_OK;
    struct perforating *p = memory_zalloc(1, sizeof *p);
    if (!p)
        return error_memory(error, sizeof *p, "holes");
    p->grid = &implant->grid;
    enum status status = crop_take(&p->piece, implant, field->box, error);
    if (!status)
        status = perforate_run(ret_n, p, field, &insertion->piece[0], perforation, error);
    if (!status)
        status = clearance_apply(field, implant, error);
    crop_done(&p->piece);
    memory_free(p->shadow.mask);
    memory_free(p->shadow.inside);
    memory_free(p);
    return status ? error_while(error, "making holes in the implant") : STATUS_OK;
}
