/* mesh_verify.c - is a surface closed, 2-manifold and oriented? See mesh.h. Test: tests/infer/test_mesh.c */
#include "infer/mesh/mesh.h"
#include "infer/mesh/mesh_tangle.h"

/* The corners of all triangles, grouped by point: those of point i are first[i] .. first[i + 1] - 1. */
struct ring_table {
    int64_t *first;
    int64_t (*out_in)[2]; /* the triangle's edge leaving the point goes to [0], the one entering comes from [1] */
};

static enum status ring_table_make(struct ring_table *ret, const struct mesh *mesh, struct error *error)
{
    size_t n_points = (size_t)mesh->n_points, n_corners = 3 * (size_t)mesh->n_triangles;
    int64_t *first = memory_zalloc(n_points + 2, sizeof *first);
    int64_t(*out_in)[2] = memory_alloc(n_corners, sizeof *out_in);

    *ret = (struct ring_table){first, out_in};
    if (!first || !out_in)
        return error_memory(error, n_points * sizeof *first + n_corners * sizeof *out_in,
                            "checking the implant's surface");
    for (int64_t t = 0; t < mesh->n_triangles; t++)
        for (int k = 0; k < 3; k++)
            first[mesh->triangle[t][k] + 2]++;

    /* Counting sort by point: counts become starts, one place behind while the table is filled. */
    for (size_t i = 2; i < n_points + 2; i++)
        first[i] += first[i - 1];

    for (int64_t t = 0; t < mesh->n_triangles; t++)
        for (int k = 0; k < 3; k++) {
            int64_t *at = out_in[first[mesh->triangle[t][k] + 1]++];
            at[0] = mesh->triangle[t][(k + 1) % 3];
            at[1] = mesh->triangle[t][(k + 2) % 3];
        }

    return STATUS_OK;
}

static void ring_table_done(struct ring_table *rings)
{
    memory_free(rings->first);
    memory_free(rings->out_in);
}

/* How often edge i -> q leaves point i, how often q -> i enters. */
static void ring_count(const int64_t (*ring)[2], int64_t n, int64_t q, int *ret_out, int *ret_in)
{
    *ret_out = *ret_in = 0;
    for (int64_t j = 0; j < n; j++) {
        *ret_out += ring[j][0] == q;
        *ret_in += ring[j][1] == q;
    }
}

/* Walks the triangles round a point: from the edge that leaves to the edge that entered, which must leave again. */
static bool ring_is_one(const int64_t (*ring)[2], int64_t n)
{
    int64_t steps = 0, at = 0;
    do {
        int64_t next = -1;
        for (int64_t j = 0; j < n && next < 0; j++)
            if (ring[j][0] == ring[at][1])
                next = j;
        if (next < 0)
            return false;
        at = next;
        steps++;
    } while (at != 0 && steps <= n);
    return steps == n;
}

static void ring_verify(struct mesh_check *check, const int64_t (*ring)[2], int64_t n)
{
    bool regular = true;
    for (int64_t j = 0; j < 2 * n; j++) {
        int out, in;
        ring_count(ring, n, ring[j / 2][j % 2], &out, &in);
        if (out + in < 2)
            check->watertight = false;
        if (out + in != 2)
            check->manifold = regular = false;
        if (out != in)
            check->oriented = regular = false;
    }

    if (regular && !ring_is_one(ring, n))
        check->manifold = false;
}

enum status mesh_verify(struct mesh_check *ret, const struct mesh *mesh, struct error *error)
{
    struct ring_table rings = {0};
    struct mesh_check check = {.watertight = true, .manifold = true, .oriented = true};

    if (ring_table_make(&rings, mesh, error)) {
        ring_table_done(&rings);
        return error->status;
    }
    for (int64_t i = 0; i < mesh->n_points; i++)
        ring_verify(&check, (const int64_t(*)[2])rings.out_in + rings.first[i], rings.first[i + 1] - rings.first[i]);
    double volume_mm3, area_mm2;
    mesh_measure(mesh, &volume_mm3, &area_mm2);
    check.volume_ml = volume_mm3 / 1000;
    check.area_cm2 = area_mm2 / 100;
    check.n_triangles = mesh->n_triangles;
    check.deviation_mm = mesh->deviation_mm;
    ring_table_done(&rings);
    if (mesh_tangled(NULL, &check.n_crossing, mesh, error))
        return error->status;
    *ret = check;

    return STATUS_OK;
}
