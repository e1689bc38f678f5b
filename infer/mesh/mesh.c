/* mesh.c - see mesh.h; test: tests/infer/test_mesh.c. The mask's box, grown by one voxel of nothing, is walked slice by
 * slice; every cut edge of the lattice gets its point once, so the surface is welded from the start and no search is
 * needed. */
#include "infer/mesh/mesh.h"

#include <math.h>
#include <string.h>

#include "data/mask/morphology.h"
#include "infer/mesh/marching_cubes.h"

const char *const mesh_space_names[] = {"lps", "ras", NULL};

struct mesher {
    struct mesh *mesh;
    const struct volume *mask;
    const struct mesh_field *field; /* NULL: points stand midway */
    struct box box;
    int64_t w, h; /* lattice points of a slice: the box grown by one on each side */
    int64_t point_room, triangle_room;
    uint8_t *slice[2]; /* inside or not, at z and z + 1 */
    int64_t *edge[2][2],
        *rising; /* point on the edges along x and y of both slices, and along z between them; by lower corner */
    struct marching_case cases[256];
    bool mirrored; /* left-handed axes: triangles turn round */
};

void mesh_done(struct mesh *mesh)
{
    memory_free(mesh->point);
    memory_free(mesh->triangle);
    memory_free(mesh->value);
    memory_free(mesh->fixed);
    *mesh = (struct mesh){0};
}

void mesh_field_done(struct mesh_field *field)
{
    memory_free(field->value);
    memory_free(field->cut);
    *field = (struct mesh_field){0};
}

void mesh_cross(const struct mesh *mesh, int64_t t, double cross[3])
{
    const double *a = mesh->point[mesh->triangle[t][0]], *b = mesh->point[mesh->triangle[t][1]],
                 *c = mesh->point[mesh->triangle[t][2]];
    for (int k = 0; k < 3; k++) {
        int l = (k + 1) % 3, m = (k + 2) % 3;
        cross[k] = (b[l] - a[l]) * (c[m] - a[m]) - (b[m] - a[m]) * (c[l] - a[l]);
    }
}

/* Divergence theorem; about the first point, so that far from the origin no digits are lost. */
void mesh_measure(const struct mesh *mesh, double *ret_volume_mm3, double *ret_area_mm2)
{
    double six_volumes = 0, two_areas = 0;
    for (int64_t t = 0; t < mesh->n_triangles; t++) {
        const double *a = mesh->point[mesh->triangle[t][0]];
        double cross[3];
        mesh_cross(mesh, t, cross);
        for (int k = 0; k < 3; k++)
            six_volumes += (a[k] - mesh->point[0][k]) * cross[k];
        two_areas += sqrt(cross[0] * cross[0] + cross[1] * cross[1] + cross[2] * cross[2]);
    }
    *ret_volume_mm3 = six_volumes / 6;
    *ret_area_mm2 = two_areas / 2;
}

static enum status mesh_grow(void **items, int64_t *room, size_t item_bytes, struct error *error)
{
    int64_t larger = *room ? 2 * *room : 4096;
    void *grown = memory_resize(*items, (size_t)*room * item_bytes, (size_t)larger * item_bytes);
    if (!grown)
        return error_memory(error, (size_t)larger * item_bytes, "the implant's surface");
    *items = grown;
    *room = larger;
    return STATUS_OK;
}

static double mesher_value(const float *values, const struct box *box, const int64_t at[3])
{
    const int64_t *lo = box->lo, *hi = box->hi;
    for (int a = 0; a < 3; a++)
        if (at[a] < lo[a] || at[a] >= hi[a])
            return NAN;
    return (double)values[((at[2] - lo[2]) * (hi[1] - lo[1]) + at[1] - lo[1]) * (hi[0] - lo[0]) + at[0] - lo[0]];
}

/* Where between two voxels, as a share of the way from the first, values cross zero; NAN: nowhere. */
static double mesher_crossing(const float *values, const struct box *box, const int64_t at[3], const int64_t next[3],
                              double least)
{
    if (!values)
        return NAN;
    const double here = mesher_value(values, box, at), there = mesher_value(values, box, next);
    if (!(here > 0 && there <= 0) && !(here <= 0 && there > 0))
        return NAN;
    return fmin(fmax(here / (here - there), least), 1 - least);
}

/* How far along the edge from voxel `at` along `axis` the surface is cut. inside: `at` is in the mask. */
static double mesher_cut(const struct mesher *m, const int64_t at[3], int axis, bool inside, bool *ret_fixed)
{
    static const double LEAST = 0.1, LEAST_EXACT = 0.02;
    const int64_t next[3] = {at[0] + (axis == 0), at[1] + (axis == 1), at[2] + (axis == 2)};
    *ret_fixed = false;
    if (!m->field)
        return 0.5;
    const double value = mesher_crossing(m->field->value, &m->field->box, at, next, LEAST),
                 cut = mesher_crossing(m->field->cut, &m->field->box, at, next, LEAST_EXACT);
    if (isnan(cut))
        return isnan(value) ? 0.5 : value;

    /* The implant is what both leave: the crossing nearer to the voxel inside. */
    *ret_fixed = isnan(value) || (inside ? cut <= value : cut >= value);
    return *ret_fixed ? cut : value;
}

/* The point on the edge along `axis` from lattice point x, y, z (of the grown box), which is in the mask or not. */
static enum status mesher_point(struct mesher *m, int64_t x, int64_t y, int64_t z, int axis, bool inside,
                                int64_t *ret_index, struct error *error)
{
    struct mesh *mesh = m->mesh;
    int64_t room = m->point_room;
    if (mesh->n_points == room && m->field && m->field->cut &&
        mesh_grow((void **)&mesh->fixed, &room, sizeof *mesh->fixed, error))
        return error->status;
    if (mesh->n_points == m->point_room && mesh_grow((void **)&mesh->point, &m->point_room, sizeof *mesh->point, error))
        return error->status;
    const int64_t at[3] = {m->box.lo[0] - 1 + x, m->box.lo[1] - 1 + y, m->box.lo[2] - 1 + z};
    double index[3] = {(double)at[0], (double)at[1], (double)at[2]};
    bool fixed;
    index[axis] += mesher_cut(m, at, axis, inside, &fixed);
    if (mesh->fixed)
        mesh->fixed[mesh->n_points] = fixed;
    grid_to_world(&m->mask->grid, index, mesh->point[mesh->n_points]);
    *ret_index = mesh->n_points++;
    return STATUS_OK;
}

static void mesher_load(const struct mesher *m, uint8_t *slice, int64_t z)
{
    const int64_t *dim = m->mask->grid.dim;
    int64_t from_z = m->box.lo[2] - 1 + z;
    memset(slice, 0, (size_t)(m->w * m->h));
    if (from_z < m->box.lo[2] || from_z >= m->box.hi[2])
        return;
    for (int64_t y = 1; y < m->h - 1; y++) {
        const uint8_t *row =
            (const uint8_t *)m->mask->data + ((from_z * dim[1] + m->box.lo[1] - 1 + y) * dim[0] + m->box.lo[0]);
        for (int64_t x = 1; x < m->w - 1; x++)
            slice[y * m->w + x] = row[x - 1] != 0;
    }
}

/* Points on the edges along x and y of slice z. */
static enum status mesher_cut_slice(struct mesher *m, const uint8_t *slice, int64_t *edge[2], int64_t z,
                                    struct error *error)
{
    for (int64_t y = 0; y < m->h; y++)
        for (int64_t x = 0; x < m->w; x++) {
            int64_t i = y * m->w + x;
            if (x + 1 < m->w && slice[i] != slice[i + 1] && mesher_point(m, x, y, z, 0, slice[i], &edge[0][i], error))
                return error->status;
            if (y + 1 < m->h && slice[i] != slice[i + m->w] &&
                mesher_point(m, x, y, z, 1, slice[i], &edge[1][i], error))
                return error->status;
        }
    return STATUS_OK;
}

static enum status mesher_cut_rising(struct mesher *m, int64_t z, struct error *error)
{
    for (int64_t y = 0; y < m->h; y++)
        for (int64_t x = 0; x < m->w; x++) {
            int64_t i = y * m->w + x;
            if (m->slice[0][i] != m->slice[1][i] && mesher_point(m, x, y, z, 2, m->slice[0][i], &m->rising[i], error))
                return error->status;
        }
    return STATUS_OK;
}

static int mesher_bits(const struct mesher *m, int64_t i)
{
    const uint8_t *a = m->slice[0] + i, *b = m->slice[1] + i;
    int64_t w = m->w;
    return a[0] | a[1] << 1 | a[w] << 2 | a[w + 1] << 3 | b[0] << 4 | b[1] << 5 | b[w] << 6 | b[w + 1] << 7;
}

/* The point on edge e of the cube at lattice offset i. */
static int64_t mesher_at(const struct mesher *m, int64_t i, int e)
{
    int corner = marching_edge_corner(e), axis = e / 4;
    int64_t at = i + (corner & 1) + (corner >> 1 & 1) * m->w;
    return axis == 2 ? m->rising[at] : m->edge[corner >> 2][axis][at];
}

static enum status mesher_triangles(struct mesher *m, struct error *error)
{
    struct mesh *mesh = m->mesh;
    for (int64_t y = 0; y + 1 < m->h; y++)
        for (int64_t x = 0; x + 1 < m->w; x++) {
            const struct marching_case *cube = &m->cases[mesher_bits(m, y * m->w + x)];
            for (int t = 0; t < cube->n; t++) {
                if (mesh->n_triangles == m->triangle_room &&
                    mesh_grow((void **)&mesh->triangle, &m->triangle_room, sizeof *mesh->triangle, error))
                    return error->status;
                int64_t *corner = mesh->triangle[mesh->n_triangles++];
                for (int k = 0; k < 3; k++)
                    corner[m->mirrored ? 2 - k : k] = mesher_at(m, y * m->w + x, cube->edge[t][k]);
            }
        }

    return STATUS_OK;
}

static enum status mesher_walk(struct mesher *m, struct error *error)
{
    enum status status = STATUS_OK;
    int64_t n_slices = m->box.hi[2] - m->box.lo[2] + 2;

    mesher_load(m, m->slice[0], 0);
    for (int64_t z = 0; !status && z + 1 < n_slices; z++) {
        mesher_load(m, m->slice[1], z + 1);
        status = mesher_cut_slice(m, m->slice[1], m->edge[1], z + 1, error);
        if (!status)
            status = mesher_cut_rising(m, z, error);
        if (!status)
            status = mesher_triangles(m, error);

        /* The upper slice becomes the lower one. */
        uint8_t *slice = m->slice[0];
        m->slice[0] = m->slice[1];
        m->slice[1] = slice;
        for (int axis = 0; axis < 2; axis++) {
            int64_t *edge = m->edge[0][axis];
            m->edge[0][axis] = m->edge[1][axis];
            m->edge[1][axis] = edge;
        }
    }

    return status;
}

static bool mesh_grid_is_left_handed(const struct grid *grid)
{
    const double(*a)[3] = grid->axis;
    return a[0][0] * (a[1][1] * a[2][2] - a[1][2] * a[2][1]) - a[0][1] * (a[1][0] * a[2][2] - a[1][2] * a[2][0]) +
               a[0][2] * (a[1][0] * a[2][1] - a[1][1] * a[2][0]) <
           0;
}

enum status mesh_from_mask(struct mesh *ret, const struct volume *mask, struct error *error)
{
    return mesh_from_field(ret, mask, NULL, error);
}

enum status mesh_from_field(struct mesh *ret, const struct volume *mask, const struct mesh_field *field,
                            struct error *error)
{
    struct mesh mesh = {0};
    struct mesher m = {.mesh = &mesh,
                       .mask = mask,
                       .field = field,
                       .box = box_of_mask(mask->data, mask->grid.dim),
                       .mirrored = mesh_grid_is_left_handed(&mask->grid)};

    if (box_empty(m.box)) {
        *ret = mesh;
        return STATUS_OK;
    }
    m.w = m.box.hi[0] - m.box.lo[0] + 2;
    m.h = m.box.hi[1] - m.box.lo[1] + 2;
    size_t n = (size_t)(m.w * m.h);
    uint8_t *slices = memory_alloc(n, 2);
    int64_t *edges = memory_alloc(n, 5 * sizeof *edges);
    enum status status =
        slices && edges ? STATUS_OK : error_memory(error, n * (2 + 5 * sizeof *edges), "two slices of the implant");
    if (!status) {
        /* Two slices of the lattice and the points on their edges; the walk swaps them. */
        m.slice[0] = slices;
        m.slice[1] = slices + n;
        for (int i = 0; i < 4; i++)
            m.edge[i / 2][i % 2] = edges + (size_t)i * n;
        m.rising = edges + 4 * n;
        marching_cases(m.cases);
        status = mesher_walk(&m, error);
    }

    memory_free(slices);
    memory_free(edges);
    if (status)
        mesh_done(&mesh);
    else
        *ret = mesh;
    return status;
}
