/* mesh_decimate.c - fewer triangles by collapsing edges (Garland and Heckbert, "Surface simplification using quadric
 * error metrics", SIGGRAPH 1997), within a measured distance; see mesh.h. Test: tests/infer/test_decimate.c
 *
 * Q(v) = sum over v's triangles of area * (n.x + d)^2. The edge whose best place costs least goes first; edges stand in
 * a heap, and those whose ends have changed since are skipped. Samples of the surface before, its points and the
 * middles of its triangles, belong each to a triangle of the surface now. Their distances are measured whenever the
 * triangles around them change, and those of the new triangles from the surface before (both sides of the Hausdorff
 * distance; Klein, Liebich and Strasser, "Mesh reduction with error control", Visualization 1996). */
#include "infer/mesh/mesh.h"

#include <math.h>
#include <string.h>

#include "infer/mesh/mesh_distance.h"

enum { QUADRIC = 10, RING_MOST = 64 /* triangles about an edge; edges with more stay */, NONE = -1 };
static const double FLIP_COS = 0.2, FLAT = 1e-9, SLIVER = 0.02 /* 4 sqrt(3) area / sum of squared sides, least */;

struct edge_entry {
    double cost;
    int64_t end[2];
    int32_t stamp[2]; /* of the ends, when the edge was entered */
};

struct decimation {
    struct mesh *mesh;
    double (*quadric)[QUADRIC];
    double (*origin)[3];      /* the samples: the points before, then the middles of the triangles before */
    int64_t (*before)[3];     /* the triangles before, of samples; kept where there is a tolerance */
    int64_t *first, *next;    /* corners of each point: first[point], next[3 t + k] */
    int64_t *member, *beside; /* samples that belong to a triangle: member[t], beside[sample] */
    int32_t *stamp;
    uint8_t *placed; /* points that belong to a triangle as samples: all that are not where they were */
    uint8_t *gone;   /* triangles */
    struct edge_entry *heap;
    int64_t n_heap, heap_room, n_triangles;
    double tolerance_mm, deviation_mm;
};

/* The triangles about an edge. */
struct ring {
    int64_t triangle[RING_MOST], n;
};

static int64_t decimate_corner_point(const struct decimation *d, int64_t corner)
{
    return d->mesh->triangle[corner / 3][corner % 3];
}

/* --- quadrics --- */

static void decimate_add_plane(double q[QUADRIC], const double n[3], double off, double weight)
{
    const double v[4] = {n[0], n[1], n[2], off};
    for (int i = 0, k = 0; i < 4; i++)
        for (int j = i; j < 4; j++)
            q[k++] += weight * v[i] * v[j];
}

static double decimate_cost(const double q[QUADRIC], const double p[3])
{
    const double v[4] = {p[0], p[1], p[2], 1};
    double sum = 0;
    for (int i = 0, k = 0; i < 4; i++)
        for (int j = i; j < 4; j++)
            sum += (i == j ? 1 : 2) * q[k++] * v[i] * v[j];
    return sum > 0 ? sum : 0;
}

/* The place of least cost; false where the planes do not fix one. */
static bool decimate_best(const double q[QUADRIC], double ret[3])
{
    const double a = q[0], b = q[1], c = q[2], e = q[4], f = q[5], i = q[7];
    const double rhs[3] = {-q[3], -q[6], -q[8]};
    const double m[3][3] = {{e * i - f * f, c * f - b * i, b * f - c * e},
                            {c * f - b * i, a * i - c * c, b * c - a * f},
                            {b * f - c * e, b * c - a * f, a * e - b * b}};
    const double det = a * m[0][0] + b * m[1][0] + c * m[2][0], scale = (a + e + i) / 3;
    if (!(fabs(det) > 1e-4 * scale * scale * scale))
        return false;
    for (int k = 0; k < 3; k++)
        ret[k] = (m[k][0] * rhs[0] + m[k][1] * rhs[1] + m[k][2] * rhs[2]) / det;
    return true;
}

static double decimate_place(const struct decimation *d, const int64_t end[2], double ret[3])
{
    const double *a = d->mesh->point[end[0]], *b = d->mesh->point[end[1]];
    double q[QUADRIC], middle[3], away = 0, length = 0;
    for (int k = 0; k < QUADRIC; k++)
        q[k] = d->quadric[end[0]][k] + d->quadric[end[1]][k];
    for (int k = 0; k < 3; k++) {
        middle[k] = (a[k] + b[k]) / 2;
        length += (a[k] - b[k]) * (a[k] - b[k]);
    }

    /* Of the solution, the middle and both ends: a solution far from the edge is one of planes nearly parallel. */
    const bool solved = decimate_best(q, ret);
    for (int k = 0; k < 3 && solved; k++)
        away += (ret[k] - middle[k]) * (ret[k] - middle[k]);
    if (solved && away <= 4 * length)
        return decimate_cost(q, ret);
    const double *choice[3] = {middle, a, b};
    double least = INFINITY;
    for (int i = 0; i < 3; i++) {
        const double cost = decimate_cost(q, choice[i]);
        if (cost < least) {
            least = cost;
            memcpy(ret, choice[i], sizeof middle);
        }
    }
    return least;
}

/* --- the heap of edges --- */

/* By cost; of equal ones by their ends, so that the result does not depend on the heap. */
static bool decimate_before(const struct edge_entry *a, const struct edge_entry *b)
{
    if (a->cost < b->cost || a->cost > b->cost)
        return a->cost < b->cost;
    return a->end[0] != b->end[0] ? a->end[0] < b->end[0] : a->end[1] < b->end[1];
}

static void decimate_swap(struct edge_entry *a, struct edge_entry *b)
{
    const struct edge_entry kept = *a;
    *a = *b;
    *b = kept;
}

static enum status decimate_push(struct decimation *d, int64_t a, int64_t b, struct error *error)
{
    if (d->n_heap == d->heap_room) {
        const int64_t room = 2 * d->heap_room + 1024;
        void *grown = memory_resize(d->heap, (size_t)d->heap_room * sizeof *d->heap, (size_t)room * sizeof *d->heap);
        if (!grown)
            return error_memory(error, (size_t)room * sizeof *d->heap, "the surface's edges");
        d->heap = grown;
        d->heap_room = room;
    }

    struct edge_entry entry = {.end = {a < b ? a : b, a < b ? b : a}};
    double place[3];
    entry.cost = decimate_place(d, entry.end, place);
    entry.stamp[0] = d->stamp[entry.end[0]];
    entry.stamp[1] = d->stamp[entry.end[1]];
    int64_t at = d->n_heap++;
    d->heap[at] = entry;
    for (; at > 0 && decimate_before(&d->heap[at], &d->heap[(at - 1) / 2]); at = (at - 1) / 2)
        decimate_swap(&d->heap[at], &d->heap[(at - 1) / 2]);
    return STATUS_OK;
}

static struct edge_entry decimate_pop(struct decimation *d)
{
    const struct edge_entry top = d->heap[0];
    d->heap[0] = d->heap[--d->n_heap];
    for (int64_t at = 0;;) {
        int64_t least = at;
        for (int64_t child = 2 * at + 1; child <= 2 * at + 2 && child < d->n_heap; child++)
            least = decimate_before(&d->heap[child], &d->heap[least]) ? child : least;
        if (least == at)
            return top;
        decimate_swap(&d->heap[at], &d->heap[least]);
        at = least;
    }
}

/* --- may an edge go? --- */

/* Triangles with a or b as a corner, each once; false: too many. */
static bool decimate_ring(struct ring *ret, const struct decimation *d, const int64_t end[2])
{
    ret->n = 0;
    for (int e = 0; e < 2; e++)
        for (int64_t c = d->first[end[e]]; c != NONE; c = d->next[c]) {
            const int64_t *t = d->mesh->triangle[c / 3];
            if (d->gone[c / 3] || (e == 1 && (t[0] == end[0] || t[1] == end[0] || t[2] == end[0])))
                continue;
            if (ret->n == RING_MOST)
                return false;
            ret->triangle[ret->n++] = c / 3;
        }
    return true;
}

static bool decimate_has(const int64_t t[3], int64_t point)
{
    return t[0] == point || t[1] == point || t[2] == point;
}

/* The surface stays a manifold where the ends have exactly the two neighbours in common that lie across the edge (the
 * link condition; Dey, Edelsbrunner, Guha and Nekhayev, "Topology preserving edge contraction", 1999). */
static bool decimate_link(const struct decimation *d, const struct ring *ring, const int64_t end[2])
{
    int64_t common = 0, on_edge = 0;
    for (int64_t i = 0; i < ring->n; i++) {
        const int64_t *t = d->mesh->triangle[ring->triangle[i]];
        if (decimate_has(t, end[0]) && decimate_has(t, end[1])) {
            on_edge++;
            continue;
        }
        if (!decimate_has(t, end[0]))
            continue;
        for (int k = 0; k < 3; k++) { /* a neighbour of the one end: of the other too? Each is met twice. */
            bool shared = false;
            for (int64_t j = 0; j < ring->n && t[k] != end[0] && !shared; j++)
                shared = decimate_has(d->mesh->triangle[ring->triangle[j]], t[k]) &&
                         decimate_has(d->mesh->triangle[ring->triangle[j]], end[1]);
            common += shared;
        }
    }
    return on_edge == 2 && common == 2; /* those across the edge have one triangle each without the other end */
}

/* A triangle of the ring as it will be: both ends at `place`. */
static void decimate_moved(const struct decimation *d, int64_t t, const int64_t end[2], const double place[3],
                           const double *ret[3])
{
    for (int k = 0; k < 3; k++) {
        const int64_t point = d->mesh->triangle[t][k];
        ret[k] = point == end[0] || point == end[1] ? place : d->mesh->point[point];
    }
}

static bool decimate_vanishes(const struct decimation *d, int64_t t, const int64_t end[2])
{
    return decimate_has(d->mesh->triangle[t], end[0]) && decimate_has(d->mesh->triangle[t], end[1]);
}

/* No triangle may turn over, nor become a sliver. */
static bool decimate_upright(const struct decimation *d, const struct ring *ring, const int64_t end[2],
                             const double place[3])
{
    for (int64_t i = 0; i < ring->n; i++) {
        if (decimate_vanishes(d, ring->triangle[i], end))
            continue;
        const double *p[3];
        double before[3], after[3], dot = 0, square[2] = {0, 0}, sides = 0;
        decimate_moved(d, ring->triangle[i], end, place, p);
        mesh_cross(d->mesh, ring->triangle[i], before);
        for (int k = 0; k < 3; k++) {
            const int l = (k + 1) % 3, m = (k + 2) % 3;
            after[k] = (p[1][l] - p[0][l]) * (p[2][m] - p[0][m]) - (p[1][m] - p[0][m]) * (p[2][l] - p[0][l]);
        }
        for (int k = 0; k < 3; k++) {
            dot += before[k] * after[k];
            square[0] += before[k] * before[k];
            square[1] += after[k] * after[k];
            for (int a = 0; a < 3; a++)
                sides += (p[(k + 1) % 3][a] - p[k][a]) * (p[(k + 1) % 3][a] - p[k][a]);
        }
        const double quality = 2 * sqrt(3) * sqrt(square[1]) / fmax(sides, 1e-300);
        if (!(quality > SLIVER) || (square[0] > FLAT && !(dot > FLIP_COS * sqrt(square[0] * square[1]))))
            return false;
    }
    return true;
}

/* The triangle of the ring as it will be that is nearest to a sample. */
static int64_t decimate_nearest(const struct decimation *d, const struct ring *ring, const int64_t end[2],
                                const double place[3], const double at[3], double *ret_square)
{
    int64_t best = NONE;
    *ret_square = INFINITY;
    for (int64_t i = 0; i < ring->n; i++) {
        if (decimate_vanishes(d, ring->triangle[i], end))
            continue;
        const double *p[3];
        decimate_moved(d, ring->triangle[i], end, place, p);
        const double square = mesh_triangle_distance2(at, p[0], p[1], p[2]);
        if (square < *ret_square) {
            *ret_square = square;
            best = ring->triangle[i];
        }
    }
    return best;
}

/* All samples that belong to the ring, in a list by `beside`; the ends join it where they still are where they were. */
static int64_t decimate_members(struct decimation *d, const struct ring *ring, const int64_t end[2])
{
    int64_t list = NONE;
    for (int64_t i = 0; i < ring->n; i++)
        for (int64_t p = d->member[ring->triangle[i]], after; p != NONE; p = after) {
            after = d->beside[p];
            d->beside[p] = list;
            list = p;
        }
    for (int e = 0; e < 2; e++)
        if (!d->placed[end[e]]) {
            d->beside[end[e]] = list;
            list = end[e];
        }
    return list;
}

/* Puts a list of samples on the ring's triangles as they will be. */
static void decimate_settle(struct decimation *d, const struct ring *ring, const int64_t end[2], const double place[3],
                            int64_t list)
{
    for (int64_t i = 0; i < ring->n; i++)
        d->member[ring->triangle[i]] = NONE;
    for (int64_t p = list, after; p != NONE; p = after) {
        double square;
        after = d->beside[p];
        const int64_t t = decimate_nearest(d, ring, end, place, d->origin[p], &square);
        d->beside[p] = d->member[t];
        d->member[t] = p;
        if (p < d->mesh->n_points)
            d->placed[p] = 1;
        d->deviation_mm = fmax(d->deviation_mm, sqrt(square));
    }
}

/* Would every sample of the ring stay within the tolerance? */
static bool decimate_within(const struct decimation *d, const struct ring *ring, const int64_t end[2],
                            const double place[3])
{
    const double most = d->tolerance_mm * d->tolerance_mm;
    double square;
    if (!(d->tolerance_mm < INFINITY))
        return true;
    for (int e = 0; e < 2; e++)
        if (!d->placed[end[e]]) {
            decimate_nearest(d, ring, end, place, d->origin[end[e]], &square);
            if (square > most)
                return false;
        }
    for (int64_t i = 0; i < ring->n; i++)
        for (int64_t p = d->member[ring->triangle[i]]; p != NONE; p = d->beside[p]) {
            decimate_nearest(d, ring, end, place, d->origin[p], &square);
            if (square > most)
                return false;
        }
    return true;
}

/* Is a place on the surface after within the tolerance of the surface before, as far as that belongs to the ring? */
static bool decimate_near_before(const struct decimation *d, const struct ring *ring, const double at[3])
{
    const double most = d->tolerance_mm * d->tolerance_mm;
    for (int64_t i = 0; i < ring->n; i++)
        for (int64_t p = d->member[ring->triangle[i]]; p != NONE; p = d->beside[p]) {
            const int64_t *t = p < d->mesh->n_points ? NULL : d->before[p - d->mesh->n_points];
            if (t && mesh_triangle_distance2(at, d->origin[t[0]], d->origin[t[1]], d->origin[t[2]]) <= most)
                return true;
        }
    return false;
}

/* The other side of the distance: the new point, and the middles of the triangles about it. */
static bool decimate_back_within(const struct decimation *d, const struct ring *ring, const int64_t end[2],
                                 const double place[3])
{
    if (!(d->tolerance_mm < INFINITY))
        return true;
    if (!decimate_near_before(d, ring, place))
        return false;
    for (int64_t i = 0; i < ring->n; i++) {
        const double *p[3];
        double middle[3];
        if (decimate_vanishes(d, ring->triangle[i], end))
            continue;
        decimate_moved(d, ring->triangle[i], end, place, p);
        for (int k = 0; k < 3; k++)
            middle[k] = (p[0][k] + p[1][k] + p[2][k]) / 3;
        if (!decimate_near_before(d, ring, middle))
            return false;
    }
    return true;
}

/* --- the collapse --- */

/* end[1] becomes end[0], at `place`; two triangles go. */
static enum status decimate_collapse(struct decimation *d, const struct ring *ring, const int64_t end[2],
                                     const double place[3], struct error *error)
{
    const int64_t a = end[0], b = end[1], list = decimate_members(d, ring, end);
    decimate_settle(d, ring, end, place, list);
    for (int64_t i = 0; i < ring->n; i++)
        if (decimate_vanishes(d, ring->triangle[i], end)) {
            d->gone[ring->triangle[i]] = 1;
            d->n_triangles--;
        }

    /* b's corners join a's; those of triangles that are gone drop out. */
    int64_t corners = NONE;
    for (int e = 0; e < 2; e++)
        for (int64_t c = d->first[end[e]], after; c != NONE; c = after) {
            after = d->next[c];
            if (d->gone[c / 3])
                continue;
            d->mesh->triangle[c / 3][c % 3] = a;
            d->next[c] = corners;
            corners = c;
        }
    d->first[a] = corners;
    d->first[b] = NONE;
    memcpy(d->mesh->point[a], place, 3 * sizeof(double));
    for (int k = 0; k < QUADRIC; k++)
        d->quadric[a][k] += d->quadric[b][k];
    d->stamp[a]++;
    d->stamp[b]++;

    for (int64_t c = corners; c != NONE; c = d->next[c]) {
        const int64_t neighbour = d->mesh->triangle[c / 3][(c % 3 + 1) % 3]; /* each is met once on a closed surface */
        if (decimate_push(d, a, neighbour, error))
            return error->status;
    }
    return STATUS_OK;
}

static enum status decimate_run(struct decimation *d, int64_t most_triangles, struct error *error)
{
    while (d->n_heap > 0 && d->n_triangles > most_triangles && d->n_triangles > 4) {
        const struct edge_entry entry = decimate_pop(d);
        struct ring ring;
        double place[3];
        if (entry.stamp[0] != d->stamp[entry.end[0]] || entry.stamp[1] != d->stamp[entry.end[1]] ||
            !decimate_ring(&ring, d, entry.end) || !decimate_link(d, &ring, entry.end))
            continue;
        decimate_place(d, entry.end, place);
        if (!decimate_upright(d, &ring, entry.end, place) || !decimate_within(d, &ring, entry.end, place) ||
            !decimate_back_within(d, &ring, entry.end, place))
            continue;
        if (decimate_collapse(d, &ring, entry.end, place, error))
            return error->status;
    }
    return STATUS_OK;
}

/* --- before and after --- */

static enum status decimate_begin(struct decimation *d, struct error *error)
{
    struct mesh *mesh = d->mesh;
    const size_t points = (size_t)mesh->n_points, triangles = (size_t)mesh->n_triangles;
    d->quadric = memory_zalloc(points, sizeof *d->quadric);
    d->origin = memory_alloc(points + triangles, sizeof *d->origin);
    d->first = memory_alloc(2 * points + triangles, sizeof *d->first);
    d->next = memory_alloc(triangles, 4 * sizeof *d->next);
    d->before = memory_alloc(triangles, sizeof *d->before);
    d->stamp = memory_zalloc(points, sizeof *d->stamp);
    d->placed = memory_zalloc(points, 1);
    d->gone = memory_zalloc(triangles, 1);
    if (!d->quadric || !d->origin || !d->first || !d->next || !d->before || !d->stamp || !d->placed || !d->gone)
        return error_memory(error, points * 150 + triangles * 89, "decimating the surface");
    d->beside = d->first + points;
    d->member = d->next + 3 * triangles;
    d->n_triangles = mesh->n_triangles;

    memcpy(d->origin, mesh->point, points * sizeof *d->origin);
    memcpy(d->before, mesh->triangle, triangles * sizeof *d->before);
    for (int64_t i = 0; i < mesh->n_points; i++)
        d->first[i] = NONE;
    for (int64_t t = 0; t < mesh->n_triangles; t++) {
        double n[3], off = 0, length = 0;
        mesh_cross(mesh, t, n);
        for (int k = 0; k < 3; k++)
            length += n[k] * n[k];
        length = sqrt(length);
        for (int k = 0; k < 3 && length > 0; k++) {
            n[k] /= length;
            off -= n[k] * mesh->point[mesh->triangle[t][0]][k];
        }
        const int64_t sample = mesh->n_points + t;
        d->member[t] = sample;
        d->beside[sample] = NONE;
        for (int k = 0; k < 3; k++) {
            const int64_t point = mesh->triangle[t][k];
            d->origin[sample][k] = (mesh->point[mesh->triangle[t][0]][k] + mesh->point[mesh->triangle[t][1]][k] +
                                    mesh->point[mesh->triangle[t][2]][k]) /
                                   3;
            if (length > 0)
                decimate_add_plane(d->quadric[point], n, off, length / 2);
            d->next[3 * t + k] = d->first[point];
            d->first[point] = 3 * t + k;
        }
    }
    for (int64_t c = 0; c < 3 * mesh->n_triangles; c++) {
        const int64_t a = decimate_corner_point(d, c), b = mesh->triangle[c / 3][(c % 3 + 1) % 3];
        if (a < b && decimate_push(d, a, b, error)) /* the other triangle has it the other way round */
            return error->status;
    }
    return STATUS_OK;
}

/* Points and triangles that are left close up; beside: room for the new index of every point. */
static void decimate_pack(struct decimation *d)
{
    struct mesh *mesh = d->mesh;
    int64_t n_points = 0, n_triangles = 0;
    for (int64_t i = 0; i < mesh->n_points; i++) {
        d->beside[i] = d->first[i] == NONE ? NONE : n_points;
        if (d->first[i] != NONE)
            memmove(mesh->point[n_points++], mesh->point[i], sizeof *mesh->point);
    }
    for (int64_t t = 0; t < mesh->n_triangles; t++)
        if (!d->gone[t]) {
            for (int k = 0; k < 3; k++)
                mesh->triangle[n_triangles][k] = d->beside[mesh->triangle[t][k]];
            n_triangles++;
        }
    mesh->n_points = n_points;
    mesh->n_triangles = n_triangles;
}

enum status mesh_decimate(struct mesh *mesh, int64_t most_triangles, double tolerance_mm, double *ret_deviation_mm,
                          struct error *error)
{
    struct decimation d = {.mesh = mesh, .tolerance_mm = tolerance_mm > 0 ? tolerance_mm : INFINITY};
    *ret_deviation_mm = 0;
    if (mesh->n_triangles == 0)
        return STATUS_OK;
    memory_free(mesh->value);
    memory_free(mesh->fixed);
    mesh->value = NULL;
    mesh->fixed = NULL;

    enum status status = decimate_begin(&d, error);
    if (!status)
        status = decimate_run(&d, most_triangles, error);
    if (!status) {
        decimate_pack(&d);
        *ret_deviation_mm = d.deviation_mm;
    }
    memory_free(d.quadric);
    memory_free(d.origin);
    memory_free(d.first);
    memory_free(d.next);
    memory_free(d.before);
    memory_free(d.stamp);
    memory_free(d.placed);
    memory_free(d.gone);
    memory_free(d.heap);
    return status;
}
