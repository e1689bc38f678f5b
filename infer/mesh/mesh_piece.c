/* mesh_piece.c - the connected pieces of a surface; see mesh.h. Test: tests/infer/test_mesh.c */
#include "infer/mesh/mesh.h"

#include <string.h>

/* The smallest point of a point's piece; paths are halved on the way. */
static int64_t mesh_piece_root(int64_t *root, int64_t i)
{
    while (root[i] != i)
        i = root[i] = root[root[i]];
    return i;
}

/* root of every point; count of triangles at each root. */
static void mesh_piece_join(int64_t *root, int64_t *count, const struct mesh *mesh)
{
    for (int64_t i = 0; i < mesh->n_points; i++)
        root[i] = i;
    for (int64_t t = 0; t < mesh->n_triangles; t++)
        for (int k = 1; k < 3; k++) {
            const int64_t a = mesh_piece_root(root, mesh->triangle[t][0]),
                          b = mesh_piece_root(root, mesh->triangle[t][k]);
            root[a > b ? a : b] = a > b ? b : a;
        }
    for (int64_t t = 0; t < mesh->n_triangles; t++)
        count[mesh_piece_root(root, mesh->triangle[t][0])]++;
}

/* The root of the piece that comes k-th; of equal ones the earlier. */
static int64_t mesh_piece_ranked(const int64_t *count, int64_t n_points, int64_t k)
{
    int64_t best = -1, last = INT64_MAX, last_at = -1;
    for (int64_t rank = 0; rank <= k; rank++) {
        best = -1;
        for (int64_t i = 0; i < n_points; i++)
            if (count[i] > 0 && (count[i] < last || (count[i] == last && i > last_at)) &&
                (best < 0 || count[i] > count[best]))
                best = i;
        if (best < 0)
            return -1;
        last = count[best];
        last_at = best;
    }
    return best;
}

/* The points and triangles of one root. place: room for an index per point. */
static enum status mesh_piece_copy(struct mesh *ret, const struct mesh *mesh, int64_t *root, int64_t *place,
                                   int64_t wanted, int64_t n_triangles, struct error *error)
{
    struct mesh piece = {.value_most = mesh->value_most};
    for (int64_t i = 0; i < mesh->n_points; i++)
        place[i] = mesh_piece_root(root, i) == wanted ? piece.n_points++ : -1;
    piece.point = memory_alloc((size_t)piece.n_points, sizeof *piece.point);
    piece.triangle = memory_alloc((size_t)n_triangles, sizeof *piece.triangle);
    piece.value = mesh->value ? memory_alloc((size_t)piece.n_points, sizeof *piece.value) : NULL;
    if (!piece.point || !piece.triangle || (mesh->value && !piece.value)) {
        mesh_done(&piece);
        return error_memory(error, (size_t)n_triangles * sizeof *piece.triangle, "a piece of the surface");
    }

    for (int64_t i = 0; i < mesh->n_points; i++)
        if (place[i] >= 0) {
            memcpy(piece.point[place[i]], mesh->point[i], sizeof *piece.point);
            if (piece.value)
                piece.value[place[i]] = mesh->value[i];
        }
    for (int64_t t = 0; t < mesh->n_triangles; t++)
        if (place[mesh->triangle[t][0]] >= 0) {
            for (int k = 0; k < 3; k++)
                piece.triangle[piece.n_triangles][k] = place[mesh->triangle[t][k]];
            piece.n_triangles++;
        }
    *ret = piece;
    return STATUS_OK;
}

enum status mesh_piece(struct mesh *ret, int64_t *ret_n, const struct mesh *mesh, int64_t k, struct error *error)
{
    const size_t n = (size_t)mesh->n_points;
    int64_t *root = memory_zalloc(3 * n + 1, sizeof *root);
    if (!root)
        return error_memory(error, 3 * n * sizeof *root, "the pieces of the surface");
    int64_t *count = root + n, *place = count + n;
    mesh_piece_join(root, count, mesh);

    *ret_n = 0;
    for (size_t i = 0; i < n; i++)
        *ret_n += count[i] > 0;
    const int64_t wanted = mesh_piece_ranked(count, mesh->n_points, k);
    *ret = (struct mesh){0};
    enum status status = wanted < 0 ? STATUS_OK : mesh_piece_copy(ret, mesh, root, place, wanted, count[wanted], error);
    memory_free(root);
    return status;
}
