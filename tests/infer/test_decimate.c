/* test_decimate.c - fewer triangles: closed and manifold, the volume kept, and the distance of both surfaces measured
 * from scratch, in both directions, against the bound. */
#include "infer/mesh/mesh.h"

#include <math.h>
#include <string.h>

#include "infer/mesh/mesh_distance.h"
#include "tests/check.h"
#include "tests/infer/fixture.h"

enum { SIDE = 56 };

/* A ball of radius 20, or a plate of 40 x 30 x 8 with a hole, in voxels of 1 mm; smoothed. */
static void shape_mesh(struct mesh *ret, bool ball)
{
    struct error error = {0};
    struct volume volume = fixture_volume(SIDE, SIDE, SIDE, 1, 1, 1);
    for (int64_t i = 0; i < grid_voxels(&volume.grid); i++) {
        const double x = (double)(i % SIDE) - 27.5, y = (double)(i / SIDE % SIDE) - 27.5,
                     z = (double)(i / SIDE / SIDE) - 27.5;
        ((uint8_t *)volume.data)[i] =
            ball ? x * x + y * y + z * z < 400 : fabs(x) < 20 && fabs(y) < 15 && fabs(z) < 4 && !(x * x + y * y < 25);
    }
    CHECK_OK(mesh_from_mask(ret, &volume, &error), &error);
    CHECK_OK(mesh_smooth(ret, 15, 0.45, 0, &error), &error);
    volume_done(&volume);
}

static void mesh_copy(struct mesh *ret, const struct mesh *from)
{
    struct error error = {0};
    int64_t n;
    CHECK_OK(mesh_piece(ret, &n, from, 0, &error), &error);
    CHECK_INT(ret->n_triangles, from->n_triangles);
}

/* The greatest distance of a's points, and of the middles of its triangles, from the surface b. */
static double one_sided(const struct mesh *a, const struct mesh *b)
{
    double worst = 0;
    for (int64_t i = 0; i < a->n_points + a->n_triangles; i++) {
        double at[3], least = INFINITY;
        for (int k = 0; k < 3; k++) {
            const int64_t *t = i < a->n_points ? NULL : a->triangle[i - a->n_points];
            at[k] = t ? (a->point[t[0]][k] + a->point[t[1]][k] + a->point[t[2]][k]) / 3 : a->point[i][k];
        }
        for (int64_t t = 0; t < b->n_triangles && least > 0; t++)
            least = fmin(least, mesh_triangle_distance2(at, b->point[b->triangle[t][0]], b->point[b->triangle[t][1]],
                                                        b->point[b->triangle[t][2]]));
        worst = fmax(worst, sqrt(least));
    }
    return worst;
}

static void check_decimated(bool ball, int64_t faces, double tolerance_mm)
{
    struct error error = {0};
    struct mesh before = {0}, after = {0};
    struct mesh_check was, is;
    double deviation;
    shape_mesh(&before, ball);
    mesh_copy(&after, &before);
    CHECK_OK(mesh_verify(&was, &before, &error), &error);
    CHECK_OK(mesh_decimate(&after, faces, tolerance_mm, &deviation, &error), &error);
    CHECK_OK(mesh_verify(&is, &after, &error), &error);
    CHECK(is.watertight && is.manifold && is.oriented);
    CHECK_INT(is.n_crossing, 0);

    const double there = one_sided(&before, &after), back = one_sided(&after, &before);
    printf("%s, %lld to %lld triangles, tolerance %.2f mm: deviation %.3f, measured %.3f and %.3f mm; volume %.3f %%\n",
           ball ? "ball" : "plate", (long long)before.n_triangles, (long long)after.n_triangles, tolerance_mm,
           deviation, there, back, 100 * (is.volume_ml / was.volume_ml - 1));
    if (faces)
        CHECK(after.n_triangles <= faces && after.n_triangles >= faces - 1);
    if (tolerance_mm > 0)
        CHECK(deviation <= tolerance_mm && there <= tolerance_mm + 1e-6 && back <= tolerance_mm + 1e-6);
    CHECK(after.n_triangles < before.n_triangles / 3);
    CHECK_NEAR(is.volume_ml, was.volume_ml, 0.005 * was.volume_ml);
    mesh_done(&before);
    mesh_done(&after);
}

static void test_number_of_faces(void)
{
    check_decimated(true, 2000, 0);
    check_decimated(false, 1000, 0);
}

static void test_tolerance(void)
{
    check_decimated(true, 0, 0.1);
    check_decimated(false, 0, 0.05);
}

/* A tetrahedron can lose nothing; a strict tolerance goes before the number of faces. */
static void test_limits(void)
{
    struct error error = {0};
    struct mesh mesh = {0};
    double deviation;
    shape_mesh(&mesh, true);
    const int64_t n = mesh.n_triangles;
    CHECK_OK(mesh_decimate(&mesh, 4, 1e-9, &deviation, &error), &error);
    CHECK(mesh.n_triangles > n / 2 && deviation <= 1e-9);
    CHECK_OK(mesh_decimate(&mesh, 1, 0, &deviation, &error), &error);
    CHECK(mesh.n_triangles >= 4);
    mesh_done(&mesh);
    CHECK_OK(mesh_decimate(&mesh, 1, 0, &deviation, &error), &error);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"number_of_faces", test_number_of_faces}, {"tolerance", test_tolerance}, {"limits", test_limits}, {0}};
    return check_main(argc, argv, tests);
}
