/* mesh_tangle.c - see mesh_tangle.h; test: tests/infer/test_mesh.c. Triangles are sorted into cubic cells by their
 * boxes and compared within each cell; a pair that shares several cells counts in the one that holds the lower corner
 * of what their boxes share. Two triangles cross exactly where an edge of one passes through the other (Möller and
 * Trumbore, "Fast, minimum storage ray/triangle intersection", 1997). */
#include "infer/mesh/mesh_tangle.h"

#include <math.h>
#include <string.h>

struct cells {
    double lo[3], side;
    int64_t dim[3];
    int64_t *first; /* of each cell, one more at the end */
    int64_t *item;  /* triangles */
};

static void tangle_triangle_box(const struct mesh *mesh, int64_t t, double lo[3], double hi[3])
{
    for (int a = 0; a < 3; a++) {
        lo[a] = INFINITY;
        hi[a] = -INFINITY;
        for (int k = 0; k < 3; k++) {
            double at = mesh->point[mesh->triangle[t][k]][a];
            lo[a] = at < lo[a] ? at : lo[a];
            hi[a] = at > hi[a] ? at : hi[a];
        }
    }
}

static void cells_at(const struct cells *cells, const double at[3], int64_t ret[3])
{
    for (int a = 0; a < 3; a++) {
        int64_t c = (int64_t)((at[a] - cells->lo[a]) / cells->side);
        ret[a] = c < 0 ? 0 : c >= cells->dim[a] ? cells->dim[a] - 1 : c;
    }
}

static int64_t cells_index(const struct cells *cells, const int64_t c[3])
{
    return (c[2] * cells->dim[1] + c[1]) * cells->dim[0] + c[0];
}

/* place NULL: counts into first; else writes the triangle where place says, and moves it on. */
static void cells_enter(struct cells *cells, const struct mesh *mesh, int64_t t, int64_t *place)
{
    double lo[3], hi[3];
    int64_t from[3], to[3], c[3];

    tangle_triangle_box(mesh, t, lo, hi);
    cells_at(cells, lo, from);
    cells_at(cells, hi, to);

    for (c[2] = from[2]; c[2] <= to[2]; c[2]++)
        for (c[1] = from[1]; c[1] <= to[1]; c[1]++)
            for (c[0] = from[0]; c[0] <= to[0]; c[0]++) {
                int64_t i = cells_index(cells, c);
                if (place)
                    cells->item[place[i]++] = t;
                else
                    cells->first[i + 1]++;
            }
}

static void cells_done(struct cells *cells)
{
    memory_free(cells->first);
    memory_free(cells->item);
}

/* Cells of about two edges' length, at most eight for each triangle. */
static void cells_layout(struct cells *cells, const struct mesh *mesh)
{
    double lo[3] = {INFINITY, INFINITY, INFINITY}, hi[3] = {-INFINITY, -INFINITY, -INFINITY}, volume, area, room = 1;
    for (int64_t i = 0; i < mesh->n_points; i++)
        for (int a = 0; a < 3; a++) {
            lo[a] = fmin(lo[a], mesh->point[i][a]);
            hi[a] = fmax(hi[a], mesh->point[i][a]);
        }

    mesh_measure(mesh, &volume, &area);
    for (int a = 0; a < 3; a++)
        room *= hi[a] - lo[a] + 1e-6;
    cells->side =
        fmax(2 * sqrt(2 * area / (double)mesh->n_triangles), cbrt(room / (8.0 * (double)mesh->n_triangles))) + 1e-9;

    for (int a = 0; a < 3; a++) {
        cells->lo[a] = lo[a];
        cells->dim[a] = (int64_t)((hi[a] - lo[a]) / cells->side) + 1;
    }
}

static enum status cells_make(struct cells *cells, const struct mesh *mesh, struct error *error)
{
    cells_layout(cells, mesh);
    int64_t n = cells->dim[0] * cells->dim[1] * cells->dim[2];
    cells->first = memory_zalloc((size_t)n + 1, sizeof *cells->first);
    int64_t *place = memory_alloc((size_t)n + 1, sizeof *place);
    if (!cells->first || !place) {
        memory_free(place);
        return error_memory(error, (size_t)n * 2 * sizeof *place, "finding triangles that cross");
    }
    for (int64_t t = 0; t < mesh->n_triangles; t++)
        cells_enter(cells, mesh, t, NULL);

    /* Counting sort: counts become the start of each cell. */
    for (int64_t i = 0; i < n; i++)
        cells->first[i + 1] += cells->first[i];
    memcpy(place, cells->first, (size_t)(n + 1) * sizeof *place);
    cells->item = memory_alloc((size_t)cells->first[n], sizeof *cells->item);
    for (int64_t t = 0; cells->item && t < mesh->n_triangles; t++)
        cells_enter(cells, mesh, t, place);

    memory_free(place);
    return cells->item
               ? STATUS_OK
               : error_memory(error, (size_t)cells->first[n] * sizeof *cells->item, "finding triangles that cross");
}

static void tangle_cross(double out[3], const double a[3], const double b[3])
{
    for (int k = 0; k < 3; k++)
        out[k] = a[(k + 1) % 3] * b[(k + 2) % 3] - a[(k + 2) % 3] * b[(k + 1) % 3];
}

static double tangle_dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* Does the segment p q pass through the inside of triangle t? */
static bool tangle_segment_crosses(const struct mesh *mesh, const double p[3], const double q[3], int64_t t)
{
    const double *a = mesh->point[mesh->triangle[t][0]], *b = mesh->point[mesh->triangle[t][1]],
                 *c = mesh->point[mesh->triangle[t][2]];
    double way[3], ab[3], ac[3], ap[3], way_ac[3], ap_ab[3];

    for (int k = 0; k < 3; k++) {
        way[k] = q[k] - p[k];
        ab[k] = b[k] - a[k];
        ac[k] = c[k] - a[k];
        ap[k] = p[k] - a[k];
    }

    tangle_cross(way_ac, way, ac);
    double det = tangle_dot(ab, way_ac), scale = sqrt(tangle_dot(way, way) * tangle_dot(ab, ab) * tangle_dot(ac, ac));
    if (fabs(det) <= 1e-12 * scale) /* in its plane */
        return false;
    tangle_cross(ap_ab, ap, ab);

    double u = tangle_dot(ap, way_ac) / det, v = tangle_dot(way, ap_ab) / det, s = tangle_dot(ac, ap_ab) / det;

    return u > 0 && v > 0 && u + v < 1 && s > 0 && s < 1;
}

static bool tangle_crosses(const struct mesh *mesh, int64_t s, int64_t t)
{
    for (int k = 0; k < 3; k++)
        if (tangle_segment_crosses(mesh, mesh->point[mesh->triangle[s][k]], mesh->point[mesh->triangle[s][(k + 1) % 3]],
                                   t) ||
            tangle_segment_crosses(mesh, mesh->point[mesh->triangle[t][k]], mesh->point[mesh->triangle[t][(k + 1) % 3]],
                                   s))
            return true;
    return false;
}

static bool tangle_shares_point(const struct mesh *mesh, int64_t s, int64_t t)
{
    for (int i = 0; i < 9; i++)
        if (mesh->triangle[s][i / 3] == mesh->triangle[t][i % 3])
            return true;
    return false;
}

/* Is this cell the one in which the pair counts, and do their boxes overlap? */
static bool cells_pair_belongs(const struct cells *cells, const struct mesh *mesh, int64_t s, int64_t t, int64_t cell)
{
    double lo[2][3], hi[2][3], corner[3];
    int64_t c[3];
    tangle_triangle_box(mesh, s, lo[0], hi[0]);
    tangle_triangle_box(mesh, t, lo[1], hi[1]);
    for (int a = 0; a < 3; a++) {
        if (lo[0][a] > hi[1][a] || lo[1][a] > hi[0][a])
            return false;
        corner[a] = lo[0][a] > lo[1][a] ? lo[0][a] : lo[1][a];
    }
    cells_at(cells, corner, c);
    return cells_index(cells, c) == cell;
}

enum status mesh_tangled(uint8_t *tangled, int64_t *ret_n, const struct mesh *mesh, struct error *error)
{
    struct cells cells = {0};
    *ret_n = 0;
    if (mesh->n_triangles == 0)
        return STATUS_OK;
    uint8_t *found = memory_zalloc((size_t)mesh->n_triangles, 1);
    enum status status = found ? cells_make(&cells, mesh, error)
                               : error_memory(error, (size_t)mesh->n_triangles, "finding triangles that cross");
    int64_t n = status ? 0 : cells.dim[0] * cells.dim[1] * cells.dim[2];

    /* Every pair counts in one cell only, so the result does not depend on the thread count. */
#pragma omp parallel for schedule(dynamic, 256)
    for (int64_t c = 0; c < n; c++)
        for (int64_t i = cells.first[c]; i < cells.first[c + 1]; i++)
            for (int64_t j = i + 1; j < cells.first[c + 1]; j++) {
                int64_t s = cells.item[i], t = cells.item[j];
                if (tangle_shares_point(mesh, s, t) || !cells_pair_belongs(&cells, mesh, s, t, c) ||
                    !tangle_crosses(mesh, s, t))
                    continue;

#pragma omp atomic write
                found[s] = 1;
#pragma omp atomic write
                found[t] = 1;
            }
    for (int64_t t = 0; !status && t < mesh->n_triangles; t++)
        *ret_n += found[t];
    if (!status && tangled)
        memcpy(tangled, found, (size_t)mesh->n_triangles);
    memory_free(found);
    cells_done(&cells);

    return status;
}
