/* test_mesh.c - the surface: closed, 2-manifold and oriented on any mask; its volume; its smoothing; its files. */
#include "infer/mesh/mesh.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "infer/mesh/marching_cubes.h"
#include "base/memory.h"
#include "tests/check.h"
#include "tests/infer/fixture.h"

static struct mesh mesh_of(const struct volume *mask)
{
    struct error error = {0};
    struct mesh mesh = {0};
    CHECK_OK(mesh_from_mask(&mesh, mask, &error), &error);
    return mesh;
}

static struct mesh_check verify(const struct mesh *mesh)
{
    struct error error = {0};
    struct mesh_check check = {0};
    CHECK_OK(mesh_verify(&check, mesh, &error), &error);
    return check;
}

static void check_sound(const struct mesh *mesh)
{
    struct mesh_check check = verify(mesh);
    CHECK(check.watertight);
    CHECK(check.manifold);
    CHECK(check.oriented);
}

static void edge_middle(int e, double ret[3])
{
    int corner = marching_edge_corner(e);
    for (int a = 0; a < 3; a++)
        ret[a] = corner >> a & 1;
    ret[e / 4] += 0.5;
}

/* Does segment p q cross the inside of triangle t? By signs of volumes. */
static double signed_volume(const double a[3], const double b[3], const double c[3], const double d[3])
{
    double u[3], v[3], w[3];
    for (int k = 0; k < 3; k++) {
        u[k] = b[k] - a[k];
        v[k] = c[k] - a[k];
        w[k] = d[k] - a[k];
    }
    return u[0] * (v[1] * w[2] - v[2] * w[1]) - u[1] * (v[0] * w[2] - v[2] * w[0]) + u[2] * (v[0] * w[1] - v[1] * w[0]);
}

static bool segment_crosses(const double p[3], const double q[3], double t[3][3])
{
    double below = signed_volume(t[0], t[1], t[2], p), above = signed_volume(t[0], t[1], t[2], q);
    double a = signed_volume(p, q, t[0], t[1]), b = signed_volume(p, q, t[1], t[2]),
           c = signed_volume(p, q, t[2], t[0]);
    return below * above < 0 && ((a > 0 && b > 0 && c > 0) || (a < 0 && b < 0 && c < 0));
}

static void test_cases_have_no_crossing_triangles(void)
{
    static struct marching_case cases[256];
    int64_t compared = 0, crossings = 0;
    marching_cases(cases);
    CHECK_INT(cases[0].n, 0);
    CHECK_INT(cases[255].n, 0);
    for (int bits = 1; bits < 255; bits++)
        for (int i = 0; i < cases[bits].n; i++)
            for (int j = 0; j < cases[bits].n; j++) {
                double s[3][3], t[3][3];
                for (int k = 0; k < 3; k++) {
                    edge_middle(cases[bits].edge[i][k], s[k]);
                    edge_middle(cases[bits].edge[j][k], t[k]);
                }
                for (int k = 0; k < 3 && i != j; k++, compared++)
                    crossings += segment_crosses(s[k], s[(k + 1) % 3], t);
            }
    CHECK(compared > 4000);
    CHECK_INT(crossings, 0);
}

/* Every cut edge carries surface, and triangles never have an inner edge in a face of the cube. */
static void test_cases_use_every_cut_edge(void)
{
    static struct marching_case cases[256];
    marching_cases(cases);
    int total = 0;
    for (int bits = 0; bits < 256; bits++) {
        total += cases[bits].n;
        for (int e = 0; e < 12; e++) {
            int corner = marching_edge_corner(e), other = corner + (1 << e / 4);
            bool cut = (bits >> corner & 1) != (bits >> other & 1), used = false;
            for (int t = 0; t < cases[bits].n; t++)
                for (int k = 0; k < 3; k++)
                    used |= cases[bits].edge[t][k] == e;
            CHECK(cut == used);
        }
    }
    CHECK_INT(total, 820);
}

static void test_random_masks_are_sound(void)
{
    const double shares[] = {0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        struct volume mask = fixture_volume(17, 13, 11, 0.5, 0.6, 1);
        fixture_noise(&mask, 7 + i, shares[i]);
        struct mesh mesh = mesh_of(&mask);
        CHECK(mesh.n_triangles > 50);
        check_sound(&mesh);
        CHECK(verify(&mesh).volume_ml > 0);
        struct error error = {0};
        CHECK_OK(mesh_smooth(&mesh, 10, 0.2, 0, &error), &error);
        check_sound(&mesh);
        mesh_done(&mesh);
        volume_done(&mask);
    }
}

/* Two voxels that share an edge, two that share a corner, and the same inverted: the cases where tables leave holes. */
static void test_diagonal_neighbours(void)
{
    for (int corner = 0; corner < 2; corner++)
        for (int inverted = 0; inverted < 2; inverted++) {
            struct volume mask = fixture_volume(6, 6, 6, 1, 1, 1);
            fixture_box(&mask, (struct box){{1, 1, 1}, {5, 5, 5}}, (uint8_t)inverted);
            fixture_box(&mask, (struct box){{2, 2, 2}, {3, 3, 3}}, (uint8_t)!inverted);
            fixture_box(&mask, (struct box){{3, 3, 2 + corner}, {4, 4, 3 + corner}}, (uint8_t)!inverted);
            struct mesh mesh = mesh_of(&mask);
            check_sound(&mesh);
            mesh_done(&mesh);
            volume_done(&mask);
        }
}

static void test_single_voxel_is_an_octahedron(void)
{
    struct volume mask = fixture_volume(3, 3, 3, 1, 2, 3);
    fixture_box(&mask, (struct box){{1, 1, 1}, {2, 2, 2}}, 1);
    struct mesh mesh = mesh_of(&mask);
    CHECK_INT(mesh.n_points, 6);
    CHECK_INT(mesh.n_triangles, 8);
    check_sound(&mesh);
    CHECK_NEAR(verify(&mesh).volume_ml, 1.0 * 2 * 3 / 6 / 1000, 1e-12);
    mesh_done(&mesh);
    volume_done(&mask);
}

static void test_world_coordinates(void)
{
    struct volume mask = fixture_volume(4, 4, 4, 2, 2, 2);
    mask.grid.origin[0] = 100;
    mask.grid.origin[1] = -50;
    mask.grid.origin[2] = 7;
    fixture_box(&mask, (struct box){{0, 0, 0}, {4, 4, 4}}, 1);
    struct mesh mesh = mesh_of(&mask);
    double low[3] = {INFINITY, INFINITY, INFINITY}, high[3] = {-INFINITY, -INFINITY, -INFINITY};
    for (int64_t i = 0; i < mesh.n_points; i++)
        for (int a = 0; a < 3; a++) {
            low[a] = fmin(low[a], mesh.point[i][a]);
            high[a] = fmax(high[a], mesh.point[i][a]);
        }
    check_sound(&mesh); /* fills its volume: closed at all six borders */
    CHECK_NEAR(low[0], 99, 1e-12);
    CHECK_NEAR(high[0], 107, 1e-12);
    CHECK_NEAR(low[1], -51, 1e-12);
    CHECK_NEAR(high[2], 14, 1e-12);
    mesh_done(&mesh);
    volume_done(&mask);
}

/* Left-handed or oblique axes: still outward. */
static void test_orientation_follows_the_axes(void)
{
    struct volume mask = fixture_volume(9, 9, 9, 1, 1, 1);
    fixture_box(&mask, (struct box){{2, 2, 2}, {7, 6, 5}}, 1);
    mask.grid.axis[0][0] = -1;
    mask.grid.axis[0][1] = 0.3;
    struct mesh mesh = mesh_of(&mask);
    check_sound(&mesh);
    CHECK(verify(&mesh).volume_ml > 0);
    mesh_done(&mesh);
    volume_done(&mask);
}

static void test_smoothing_keeps_volume_and_bound(void)
{
    struct error error = {0};
    struct volume mask = fixture_volume(60, 60, 60, 0.8, 0.8, 1);
    fixture_skull(&mask, 6);
    fixture_box(&mask, (struct box){{0, 0, 0}, {60, 60, 30}}, 0); /* a cap, as an implant is */
    double volume_ml = (double)mask_count(mask.data, grid_voxels(&mask.grid)) * grid_voxel_ml(&mask.grid), most = 0;
    struct mesh rough = mesh_of(&mask), smooth = mesh_of(&mask);
    CHECK_OK(mesh_smooth(&smooth, 15, 0.36, volume_ml, &error), &error);
    for (int64_t i = 0; i < rough.n_points; i++) {
        double shift = 0;
        for (int a = 0; a < 3; a++)
            shift += (rough.point[i][a] - smooth.point[i][a]) * (rough.point[i][a] - smooth.point[i][a]);
        most = fmax(most, sqrt(shift));
    }
    CHECK(most <= 0.36 * (1 + 1e-9));
    CHECK(most > 0.1);
    CHECK_NEAR(verify(&smooth).volume_ml / volume_ml, 1, 0.002);
    CHECK(verify(&smooth).area_cm2 < 0.95 * verify(&rough).area_cm2);
    check_sound(&smooth);
    mesh_done(&rough);
    mesh_done(&smooth);
    volume_done(&mask);
}

static void test_verify_finds_faults(void)
{
    struct volume mask = fixture_volume(5, 5, 5, 1, 1, 1);
    fixture_box(&mask, (struct box){{1, 1, 1}, {4, 4, 4}}, 1);
    struct mesh mesh = mesh_of(&mask);
    int64_t swapped = mesh.triangle[3][0];
    mesh.triangle[3][0] = mesh.triangle[3][1];
    mesh.triangle[3][1] = swapped;
    CHECK(!verify(&mesh).oriented);
    mesh.triangle[3][1] = mesh.triangle[3][0];
    mesh.triangle[3][0] = swapped;
    check_sound(&mesh);
    mesh.n_triangles--;
    CHECK(!verify(&mesh).watertight);
    mesh_done(&mesh);
    volume_done(&mask);
}

/* Two tetrahedra that share one point: closed, yet no 2-manifold. */
static void test_verify_finds_pinched_points(void)
{
    double point[7][3] = {{0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {-1, 0, 0}, {0, -1, 0}, {0, 0, -1}};
    int64_t triangle[8][3] = {{0, 2, 1}, {0, 1, 3}, {0, 3, 2}, {1, 2, 3}, {0, 4, 5}, {0, 6, 4}, {0, 5, 6}, {4, 6, 5}};
    struct mesh mesh = {.n_points = 7, .n_triangles = 8, .point = point, .triangle = triangle};
    CHECK(verify(&mesh).watertight);
    CHECK(verify(&mesh).oriented);
    CHECK(!verify(&mesh).manifold);
}

static uint32_t u32_at(const char *data)
{
    uint32_t value = 0;
    for (int i = 3; i >= 0; i--)
        value = value << 8 | (uint8_t)data[i];
    return value;
}

static void test_files(void)
{
    struct error error = {0};
    struct volume mask = fixture_volume(6, 6, 6, 1, 1, 1);
    fixture_box(&mask, (struct box){{1, 1, 1}, {5, 5, 5}}, 1);
    struct mesh mesh = mesh_of(&mask), empty = {0};
    const char *stl = check_path("a.stl"), *ply = check_path("a.ply"), *none = check_path("none.stl");
    char *data;
    size_t bytes;
    CHECK_OK(mesh_write_stl(stl, &mesh, MESH_LPS, &error), &error);
    CHECK_OK(file_read(&data, &bytes, stl, 1 << 20, &error), &error);
    CHECK_INT((int64_t)bytes, 84 + 50 * mesh.n_triangles);
    CHECK_INT(u32_at(data + 80), mesh.n_triangles);
    CHECK_CONTAINS(data, "SPACE=LPS");
    CHECK(strncmp(data, "solid", 5) != 0);
    float x;
    uint32_t word = u32_at(data + 84 + 12);
    memcpy(&x, &word, sizeof x);
    CHECK_NEAR((double)x, mesh.point[mesh.triangle[0][0]][0], 1e-6);
    memory_free(data);

    CHECK_OK(mesh_write_ply(ply, &mesh, MESH_RAS, &error), &error);
    CHECK_OK(file_read(&data, &bytes, ply, 1 << 20, &error), &error);
    CHECK_CONTAINS(data, "comment calvaria implant, millimetres. SPACE=RAS");
    const char *body = strstr(data, "end_header\n");
    CHECK(body && (int64_t)bytes - (body + 11 - data) == 12 * mesh.n_points + 13 * mesh.n_triangles);
    memory_free(data);

    CHECK_OK(mesh_write_stl(none, &empty, MESH_LPS, &error), &error);
    CHECK_OK(file_read(&data, &bytes, none, 1 << 20, &error), &error);
    CHECK_INT((int64_t)bytes, 84);
    CHECK_INT(u32_at(data + 80), 0);
    memory_free(data);
    CHECK_FAILS(mesh_write_stl("/nowhere/at/all/a.stl", &mesh, MESH_LPS, &error), &error, STATUS_FAILED,
                "/nowhere/at/all");
    mesh_done(&mesh);
    volume_done(&mask);
}

static void test_empty_mask(void)
{
    struct error error = {0};
    struct volume mask = fixture_volume(4, 4, 4, 1, 1, 1);
    struct mesh mesh = mesh_of(&mask);
    CHECK_INT(mesh.n_points, 0);
    CHECK_INT(mesh.n_triangles, 0);
    CHECK_OK(mesh_smooth(&mesh, 5, 1, 0, &error), &error);
    check_sound(&mesh);
    CHECK_NEAR(verify(&mesh).volume_ml, 0, 0);
    volume_done(&mask);
}

/* The number behind "label ... :" in admesh's report, -1 where there is none. */
static double admesh_number(const char *report, const char *label)
{
    const char *at = strstr(report, label), *colon = at ? strchr(at, ':') : NULL;
    return colon ? strtod(colon + 1, NULL) : -1;
}

static void test_admesh_agrees(void)
{
    struct error error = {0};
    if (system("command -v admesh >/dev/null 2>&1") != 0) {
        check_skip("admesh is not installed");
        return;
    }
    struct volume mask = fixture_volume(40, 44, 36, 0.7, 0.7, 1);
    fixture_skull(&mask, 4);
    fixture_box(&mask, (struct box){{0, 0, 0}, {40, 20, 36}}, 0);
    struct mesh mesh = mesh_of(&mask);
    CHECK_OK(mesh_smooth(&mesh, 15, 0.3, 0, &error), &error);
    const char *stl = check_path("skull.stl");
    CHECK_OK(mesh_write_stl(stl, &mesh, MESH_LPS, &error), &error);
    char command[512], report[8192] = "";
    snprintf(command, sizeof command, "admesh '%s'", stl);
    FILE *pipe = popen(command, "r");
    size_t n = pipe ? fread(report, 1, sizeof report - 1, pipe) : 0;
    CHECK(pipe && pclose(pipe) == 0 && n > 0);
    static const char *const none[] = {
        "Total disconnected facets", "Degenerate facets", "Edges fixed",  "Facets removed", "Facets added",
        "Facets reversed",           "Backwards edges",   "Normals fixed"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        CHECK_NEAR(admesh_number(report, none[i]), 0, 0);
    CHECK_NEAR(admesh_number(report, "Number of parts"), 1, 0);
    CHECK_NEAR(admesh_number(report, "Volume ") / 1000 / verify(&mesh).volume_ml, 1, 1e-3);
    mesh_done(&mesh);
    volume_done(&mask);
}

static enum status mesh_and_free(void *mask, struct error *error)
{
    struct mesh mesh = {0};
    struct mesh_check check;
    enum status status = mesh_from_mask(&mesh, mask, error);
    if (!status)
        status = mesh_smooth(&mesh, 2, 0.4, 0, error);
    if (!status)
        status = mesh_verify(&check, &mesh, error);
    if (!status)
        status = mesh_write_stl(check_path("m.stl"), &mesh, MESH_LPS, error);
    mesh_done(&mesh);
    return status;
}

static void test_failing_memory_is_an_error(void)
{
    struct volume mask = fixture_volume(12, 12, 12, 1, 1, 1);
    fixture_noise(&mask, 3, 0.5);
    check_allocation_failures(mesh_and_free, &mask, 6);
    volume_done(&mask);
}

/* Two cubes, one pushed into the other, are found; apart or smoothed they are clean. */
static void test_crossing_triangles_are_found(void)
{
    struct volume mask = fixture_volume(40, 20, 20, 1, 1, 1);
    fixture_box(&mask, (struct box){{4, 4, 4}, {12, 12, 12}}, 1);
    fixture_box(&mask, (struct box){{20, 5, 5}, {28, 13, 13}}, 1);
    struct mesh mesh = mesh_of(&mask);
    CHECK_INT(verify(&mesh).n_crossing, 0);
    for (int64_t i = 0; i < mesh.n_points; i++)
        if (mesh.point[i][0] > -4) /* the second: the grid's middle is 0 */
            mesh.point[i][0] -= 12.25;
    int64_t n = verify(&mesh).n_crossing;
    CHECK(n > 50 && n < mesh.n_triangles);
    mesh_done(&mesh);
    volume_done(&mask);
}

/* Noise and thin sheets: what smoothing folds goes back. */
static void test_smoothing_crosses_nothing(void)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct error error = {0};
        struct volume mask = fixture_volume(24, 22, 20, 1, 0.7, 2);
        fixture_noise(&mask, seed, 0.1 * (double)seed);
        struct mesh mesh = mesh_of(&mask);
        CHECK_OK(mesh_smooth(&mesh, 15, 0.45 * 0.7, 0, &error), &error);
        CHECK_INT(verify(&mesh).n_crossing, 0);
        mesh_done(&mesh);
        volume_done(&mask);
    }
}

/* A ball whose field is its signed distance: points stand on the sphere, not on the voxels' faces. */
static void test_field(void)
{
    enum { SIDE = 32 };
    struct error error = {0};
    struct volume ball = {0};
    const int64_t dim[3] = {SIDE, SIDE, SIDE};
    const double spacing[3] = {1, 1, 1}, radius = 11.3;
    const struct grid grid = grid_make(dim, spacing);
    CHECK_OK(volume_new(&ball, &grid, VOXEL_U8, &error), &error);
    float *value = memory_alloc((size_t)grid_voxels(&grid), sizeof *value);
    for (int64_t i = 0; i < grid_voxels(&grid); i++) {
        const double index[3] = {(double)(i % SIDE), (double)(i / SIDE % SIDE), (double)(i / SIDE / SIDE)};
        double at[3];
        grid_to_world(&grid, index, at);
        value[i] = (float)(radius - sqrt(at[0] * at[0] + at[1] * at[1] + at[2] * at[2]));
        ((uint8_t *)ball.data)[i] = value[i] > 0;
    }

    double worst[2] = {0};
    const struct mesh_field field = {{{0, 0, 0}, {SIDE, SIDE, SIDE}}, value, NULL};
    for (int sharp = 0; sharp < 2; sharp++) {
        struct mesh mesh;
        struct mesh_check check;
        CHECK_OK(mesh_from_field(&mesh, &ball, sharp ? &field : NULL, &error), &error);
        CHECK_OK(mesh_verify(&check, &mesh, &error), &error);
        CHECK(check.watertight && check.manifold && check.oriented && check.n_crossing == 0);
        for (int64_t i = 0; i < mesh.n_points; i++) {
            const double *p = mesh.point[i];
            worst[sharp] = fmax(worst[sharp], fabs(sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]) - radius));
        }
        if (sharp)
            CHECK_NEAR(check.volume_ml, 4.0 / 3 * acos(-1) * radius * radius * radius / 1000, 0.05);
        mesh_done(&mesh);
    }
    CHECK(worst[0] > 0.3);
    CHECK(worst[1] < 0.11); /* a tenth of a voxel is kept from either */

    /* where the field has no crossing, and outside its box: midway */
    struct mesh mesh;
    const struct mesh_field part = {{{0, 0, 0}, {SIDE, SIDE, 1}}, value, NULL};
    CHECK_OK(mesh_from_field(&mesh, &ball, &part, &error), &error);
    double off = 0;
    for (int64_t i = 0; i < mesh.n_points; i++)
        for (int a = 0; a < 3; a++)
            off = fmax(off, fabs(mesh.point[i][a] * 2 - round(mesh.point[i][a] * 2)));
    CHECK_NEAR(off, 0, 1e-9);
    mesh_done(&mesh);
    memory_free(value);
    volume_done(&ball);
}

/* Two boxes of different size. */
static enum status two_boxes(struct mesh *ret, struct error *error)
{
    struct volume mask = fixture_volume(40, 20, 20, 1, 1, 1);
    fixture_box(&mask, (struct box){{3, 3, 3}, {8, 8, 8}}, 1);
    fixture_box(&mask, (struct box){{15, 3, 3}, {35, 15, 15}}, 1);
    const enum status status = mesh_from_mask(ret, &mask, error);
    volume_done(&mask);
    return status;
}

static void test_pieces(void)
{
    struct error error = {0};
    struct mesh mesh, piece[2];
    struct mesh_check check;
    int64_t n = 0;
    CHECK_OK(two_boxes(&mesh, &error), &error);
    for (int k = 0; k < 2; k++) {
        CHECK_OK(mesh_piece(&piece[k], &n, &mesh, k, &error), &error);
        CHECK_INT(n, 2);
        CHECK_OK(mesh_verify(&check, &piece[k], &error), &error);
        CHECK(check.watertight && check.manifold && check.oriented);
    }
    CHECK(piece[0].n_triangles > piece[1].n_triangles);
    CHECK_INT(piece[0].n_triangles + piece[1].n_triangles, mesh.n_triangles);
    CHECK_INT(piece[0].n_points + piece[1].n_points, mesh.n_points);
    struct mesh none = {0};
    CHECK_OK(mesh_piece(&none, &n, &mesh, 2, &error), &error);
    CHECK_INT(none.n_triangles, 0);
    for (int k = 0; k < 2; k++)
        mesh_done(&piece[k]);
    mesh_done(&mesh);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"cases_have_no_crossing_triangles", test_cases_have_no_crossing_triangles},
        {"cases_use_every_cut_edge", test_cases_use_every_cut_edge},
        {"random_masks_are_sound", test_random_masks_are_sound},
        {"diagonal_neighbours", test_diagonal_neighbours},
        {"single_voxel_is_an_octahedron", test_single_voxel_is_an_octahedron},
        {"world_coordinates", test_world_coordinates},
        {"orientation_follows_the_axes", test_orientation_follows_the_axes},
        {"smoothing_keeps_volume_and_bound", test_smoothing_keeps_volume_and_bound},
        {"verify_finds_faults", test_verify_finds_faults},
        {"verify_finds_pinched_points", test_verify_finds_pinched_points},
        {"files", test_files},
        {"empty_mask", test_empty_mask},
        {"field", test_field},
        {"crossing_triangles_are_found", test_crossing_triangles_are_found},
        {"smoothing_crosses_nothing", test_smoothing_crosses_nothing},
        {"admesh_agrees", test_admesh_agrees},
        {"failing_memory_is_an_error", test_failing_memory_is_an_error},
        {"pieces", test_pieces},
        {0},
    };
    return check_main(argc, argv, tests);
}
