/* mesh_smooth.c - Taubin smoothing with a bounded shift, and the volume put back; see mesh.h.
 *
 *   p += lambda L(p);  p += mu L(p);   L(p) = mean of the neighbours - p;
 *     0 < lambda < -mu, pass band 1/lambda + 1/mu = 0.1
 * On a closed, oriented mesh every neighbour q of p is met once as the edge p -> q, so the triangles alone give the
 * sums. */
#include "infer/mesh/mesh.h"
#include "infer/mesh/mesh_tangle.h"

#include <math.h>
#include <string.h>

static const double TAUBIN_LAMBDA = 0.5, TAUBIN_MU = -1.0 / (1.0 / 0.5 - 0.1);
enum { VOLUME_STEPS = 12, UNTANGLE_ROUNDS = 8 };

static void mesh_relax(struct mesh *mesh, double (*sum)[4], double factor)
{
    memset(sum, 0, (size_t)mesh->n_points * sizeof *sum);
    for (int64_t t = 0; t < mesh->n_triangles; t++)
        for (int k = 0; k < 3; k++) {
            double *of = sum[mesh->triangle[t][k]];
            const double *neighbour = mesh->point[mesh->triangle[t][(k + 1) % 3]];
            for (int a = 0; a < 3; a++)
                of[a] += neighbour[a];
            of[3] += 1;
        }
    for (int64_t i = 0; i < mesh->n_points; i++)
        for (int a = 0; a < 3; a++)
            mesh->point[i][a] += factor * (sum[i][a] / sum[i][3] - mesh->point[i][a]);
}

/* Adds `step` along the normals (area-weighted, sum is their room). */
static void mesh_inflate(struct mesh *mesh, double (*sum)[4], double step)
{
    memset(sum, 0, (size_t)mesh->n_points * sizeof *sum);
    for (int64_t t = 0; t < mesh->n_triangles; t++) {
        double cross[3];
        mesh_cross(mesh, t, cross);
        for (int k = 0; k < 3; k++)
            for (int a = 0; a < 3; a++)
                sum[mesh->triangle[t][k]][a] += cross[a];
    }

    for (int64_t i = 0; i < mesh->n_points; i++) {
        double length = sqrt(sum[i][0] * sum[i][0] + sum[i][1] * sum[i][1] + sum[i][2] * sum[i][2]);
        for (int a = 0; a < 3 && length > 0; a++)
            mesh->point[i][a] += step * sum[i][a] / length;
    }
}

static void mesh_bound_shift(struct mesh *mesh, const double (*from)[3], double max_shift_mm)
{
    for (int64_t i = 0; i < mesh->n_points; i++) {
        double shift[3], length = 0;
        for (int a = 0; a < 3; a++) {
            shift[a] = mesh->point[i][a] - from[i][a];
            length += shift[a] * shift[a];
        }
        length = sqrt(length);
        const double most = mesh->fixed && mesh->fixed[i] ? 0 : max_shift_mm;
        for (int a = 0; a < 3 && length > most; a++)
            mesh->point[i][a] = from[i][a] + shift[a] * most / length;
    }
}

/* Marching cubes' own surface crosses itself nowhere: crossing triangles, and from the second round on their
 * neighbours, go back to it. */
static enum status mesh_untangle(struct mesh *mesh, const double (*from)[3], struct error *error)
{
    int64_t n_tangled = 1;
    uint8_t *tangled = memory_alloc((size_t)mesh->n_triangles, 1), *back = memory_zalloc((size_t)mesh->n_points, 1);
    enum status status =
        tangled && back ? STATUS_OK
                        : error_memory(error, (size_t)(mesh->n_triangles + mesh->n_points), "untangling a surface");

    for (int round = 0; !status && n_tangled > 0 && round < UNTANGLE_ROUNDS; round++) {
        status = mesh_tangled(tangled, &n_tangled, mesh, error);
        for (int64_t t = 0; round > 0 && !status && n_tangled && t < mesh->n_triangles; t++)
            tangled[t] |= back[mesh->triangle[t][0]] | back[mesh->triangle[t][1]] | back[mesh->triangle[t][2]];

        /* The points of these triangles return to marching cubes' surface. */
        for (int64_t t = 0; !status && t < mesh->n_triangles; t++)
            for (int k = 0; tangled[t] && k < 3; k++)
                back[mesh->triangle[t][k]] = 1;
        for (int64_t i = 0; !status && n_tangled && i < mesh->n_points; i++)
            if (back[i])
                memcpy(mesh->point[i], from[i], sizeof from[i]);
    }

    memory_free(tangled);
    memory_free(back);
    return status;
}

enum status mesh_smooth(struct mesh *mesh, int iterations, double max_shift_mm, double volume_ml, struct error *error)
{
    if (mesh->n_points == 0)
        return STATUS_OK;
    size_t n = (size_t)mesh->n_points;
    double(*from)[3] = memory_alloc(n, sizeof *from);
    double(*sum)[4] = memory_alloc(n, sizeof *sum);
    enum status status = from && sum
                             ? STATUS_OK
                             : error_memory(error, n * (sizeof *from + sizeof *sum), "smoothing the implant's surface");
    if (!status) {
        double volume, area;
        mesh_measure(mesh, &volume, &area);
        double target = volume_ml > 0 ? volume_ml * 1000 : volume;
        memcpy(from, mesh->point, n * sizeof *from);

        /* Each round shrinks and inflates (Taubin); no point leaves its ball. */
        for (int i = 0; i < iterations; i++) {
            mesh_relax(mesh, sum, TAUBIN_LAMBDA);
            mesh_relax(mesh, sum, TAUBIN_MU);
            mesh_bound_shift(mesh, (const double(*)[3])from, max_shift_mm);
        }

        /* Newton steps along the normals: dV/dh is the area. */
        for (int i = 0; i < VOLUME_STEPS; i++) {
            mesh_measure(mesh, &volume, &area);
            if (fabs(target - volume) <= 1e-6 * target)
                break;
            mesh_inflate(mesh, sum, (target - volume) / area);
            mesh_bound_shift(mesh, (const double(*)[3])from, max_shift_mm);
        }
        status = mesh_untangle(mesh, (const double(*)[3])from, error);
    }

    memory_free(from);
    memory_free(sum);
    return status;
}
