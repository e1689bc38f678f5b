/* test_clearance.c - gaps whose width is known: a plug in a square hole, a block around a ball. Measured on the mesh
 * against the shapes themselves, not against their voxels. Also the distance of a point from a triangle. */
#include "infer/clearance.h"

#include <math.h>

#include "infer/mesh/mesh_distance.h"
#include "tests/check.h"
#include "tests/infer/fixture.h"

enum { SIDE = 90 };
static const double SPACING[3] = {0.45, 0.45, 0.6}, TOLERANCE_MM = 0.1;

/* World place of a voxel's centre; the grid's origin is its voxel 0. */
static void place_mm(const struct volume *volume, int64_t i, double ret[3])
{
    const double index[3] = {(double)(i % SIDE), (double)(i / SIDE % SIDE), (double)(i / SIDE / SIDE)};
    grid_to_world(&volume->grid, index, ret);
}

static void middle_mm(const struct volume *volume, double ret[3])
{
    const double index[3] = {(SIDE - 1) / 2.0, (SIDE - 1) / 2.0, (SIDE - 1) / 2.0};
    grid_to_world(&volume->grid, index, ret);
}

struct gap_range {
    double least, most;
    int64_t n;
};

static void gap_add(struct gap_range *range, double mm)
{
    range->least = fmin(range->least, mm);
    range->most = fmax(range->most, mm);
    range->n++;
}

/* The surface of the implant with the gap cut. */
static void cut_surface(struct mesh *ret, struct volume *implant, const struct volume *bone, struct clearance clearance)
{
    struct error error = {0};
    struct mesh_field field = {.box = clearance_box(implant, &clearance)};
    struct mesh_check check;
    CHECK_OK(clearance_cut(&field, implant, bone, &clearance, &error), &error);
    CHECK_OK(mesh_from_field(ret, implant, &field, &error), &error);
    CHECK_OK(mesh_smooth(ret, 15, 0.45 * SPACING[0], 0, &error), &error);
    CHECK_OK(mesh_verify(&check, ret, &error), &error);
    CHECK(check.watertight && check.manifold && check.oriented);
    CHECK_INT(check.n_crossing, 0);
    mesh_field_done(&field);
}

/* The distance of a point from a surface: every triangle is tried. */
static double surface_distance(const struct mesh *surface, const double p[3])
{
    double least = INFINITY;
    for (int64_t t = 0; t < surface->n_triangles; t++)
        least = fmin(least, mesh_triangle_distance2(p, surface->point[surface->triangle[t][0]],
                                                    surface->point[surface->triangle[t][1]],
                                                    surface->point[surface->triangle[t][2]]));
    return sqrt(least);
}

/* A block with a ball of bone in it. Exact is the gap to the bone's surface, as it is written for a test print; the
 * ball itself is known from its voxels to half a voxel, and on average much better. */
static void test_ball(double gap_mm)
{
    enum { EVERY = 40 };
    const double RADIUS = 9.3;
    struct error error = {0};
    struct volume bone = fixture_volume(SIDE, SIDE, SIDE, SPACING[0], SPACING[1], SPACING[2]),
                  implant = fixture_volume(SIDE, SIDE, SIDE, SPACING[0], SPACING[1], SPACING[2]);
    double middle[3], at[3], sum = 0;
    middle_mm(&bone, middle);
    for (int64_t i = 0; i < grid_voxels(&bone.grid); i++) {
        place_mm(&bone, i, at);
        double square = 0;
        bool block = true;
        for (int k = 0; k < 3; k++) {
            square += (at[k] - middle[k]) * (at[k] - middle[k]);
            block &= fabs(at[k] - middle[k]) < 16;
        }
        ((uint8_t *)bone.data)[i] = square < RADIUS * RADIUS;
        ((uint8_t *)implant.data)[i] = block && square >= RADIUS * RADIUS;
    }

    struct mesh mesh = {0}, surface = {0};
    struct gap_range range = {INFINITY, 0, 0}, ball = {INFINITY, 0, 0};
    cut_surface(&mesh, &implant, &bone, (struct clearance){.gap_mm = gap_mm});
    CHECK_OK(mesh_from_mask(&surface, &bone, &error), &error);
    CHECK_OK(mesh_smooth(&surface, 15, 0.45 * SPACING[0], 0, &error), &error);
    for (int64_t i = 0; i < mesh.n_points; i++) {
        double square = 0;
        for (int k = 0; k < 3; k++)
            square += (mesh.point[i][k] - middle[k]) * (mesh.point[i][k] - middle[k]);
        if (sqrt(square) > 13)
            continue;
        sum += sqrt(square) - RADIUS;
        gap_add(&ball, sqrt(square) - RADIUS);
        if (i % EVERY == 0)
            gap_add(&range, surface_distance(&surface, mesh.point[i]));
    }
    printf("ball, gap %.2f mm: %.3f to %.3f mm to the bone's surface; to the ball %.3f to %.3f, mean %.3f mm\n", gap_mm,
           range.least, range.most, ball.least, ball.most, sum / (double)ball.n);
    CHECK(range.n > 100);
    CHECK_NEAR(range.least, gap_mm, TOLERANCE_MM / 2);
    CHECK_NEAR(range.most, gap_mm, TOLERANCE_MM / 2);
    CHECK_NEAR(sum / (double)ball.n, gap_mm, TOLERANCE_MM / 2);
    CHECK(ball.least > gap_mm - SPACING[2] / 2 - 0.02);
    mesh_done(&mesh);
    mesh_done(&surface);
    volume_done(&bone);
    volume_done(&implant);
}

/* A plate with a square hole and the plug that fills it, above a base that puts the head's centre below. */
static void test_plug(double gap_mm, double bevel_deg)
{
    enum { LOW = 25, HIGH = 65, BOTTOM = 60, TOP = 75 };
    struct volume bone = fixture_volume(SIDE, SIDE, SIDE, SPACING[0], SPACING[1], SPACING[2]),
                  implant = fixture_volume(SIDE, SIDE, SIDE, SPACING[0], SPACING[1], SPACING[2]);
    for (int64_t i = 0; i < grid_voxels(&bone.grid); i++) {
        const int64_t x = i % SIDE, y = i / SIDE % SIDE, z = i / SIDE / SIDE;
        const bool hole = x >= LOW && x < HIGH && y >= LOW && y < HIGH, plate = z >= BOTTOM && z < TOP;
        ((uint8_t *)bone.data)[i] = (plate && !hole) || z < 4;
        ((uint8_t *)implant.data)[i] = plate && hole;
    }

    /* The walls of the hole stand between voxels. */
    const double low[3] = {LOW - 0.5, LOW - 0.5, TOP - 0.5}, high[3] = {HIGH - 0.5, HIGH - 0.5, TOP - 0.5};
    double from[3], to[3];
    grid_to_world(&bone.grid, low, from);
    grid_to_world(&bone.grid, high, to);

    struct mesh mesh = {0};
    struct gap_range range = {INFINITY, 0, 0};
    double worst = 0;
    const double slope = tan(bevel_deg / 57.29577951308232);
    cut_surface(&mesh, &implant, &bone, (struct clearance){.gap_mm = gap_mm, .bevel_deg = bevel_deg});
    for (int64_t i = 0; i < mesh.n_points; i++) {
        const double *p = mesh.point[i], below = to[2] - p[2],
                     gap = fmin(fmin(p[0] - from[0], to[0] - p[0]), fmin(p[1] - from[1], to[1] - p[1]));
        gap_add(&range, gap - slope * fmax(below, 0));
        if (below > 1.2 && below < 7.8 && gap < 4) /* off the edges: the wall itself */
            worst = fmax(worst, fabs(gap - gap_mm - slope * below));
    }
    printf("plug, gap %.2f mm, bevel %.0f: least %.3f mm; walls within %.3f mm\n", gap_mm, bevel_deg, range.least,
           worst);
    CHECK(range.least > gap_mm - TOLERANCE_MM - (bevel_deg > 0 ? 0.15 : 0));
    CHECK(worst < TOLERANCE_MM + (bevel_deg > 0 ? 0.15 : 0)); /* depths are those of voxels */
    mesh_done(&mesh);
    volume_done(&bone);
    volume_done(&implant);
}

/* No bone near: nothing changes, and no field is made. */
static void test_nothing_near(void)
{
    struct error error = {0};
    struct volume bone = fixture_volume(20, 20, 20, 1, 1, 1), implant = fixture_volume(20, 20, 20, 1, 1, 1);
    const struct clearance clearance = {.gap_mm = 1};
    ((uint8_t *)bone.data)[0] = 1;
    ((uint8_t *)implant.data)[(15 * 20 + 15) * 20 + 15] = 1;
    struct mesh_field field = {.box = clearance_box(&implant, &clearance)};
    CHECK_OK(clearance_cut(&field, &implant, &bone, &clearance, &error), &error);
    CHECK_INT(mask_count(implant.data, 8000), 1);
    mesh_field_done(&field);

    ((uint8_t *)implant.data)[(15 * 20 + 15) * 20 + 15] = 0;
    field = (struct mesh_field){.box = clearance_box(&implant, &clearance)};
    CHECK_OK(clearance_cut(&field, &implant, &bone, &clearance, &error), &error);
    CHECK(!field.cut);
    volume_done(&bone);
    volume_done(&implant);
}

static void test_triangle(void)
{
    const double a[3] = {0, 0, 0}, b[3] = {4, 0, 0}, c[3] = {0, 3, 0};
    const struct {
        double p[3], square;
    } cases[] = {{{1, 1, 2}, 4},  {{-3, -4, 0}, 25}, {{6, 0, 0}, 4},          {{0, 5, 1}, 5},
                 {{2, -1, 0}, 1}, {{-2, 1, 0}, 4},   {{4, 3, 0}, 144.0 / 25}, {{0, 0, 0}, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_NEAR(mesh_triangle_distance2(cases[i].p, a, b, c), cases[i].square, 1e-12);
    CHECK_NEAR(mesh_triangle_distance2((const double[3]){1, 1, 0}, a, a, a), 2, 1e-12);
    CHECK_NEAR(mesh_triangle_distance2((const double[3]){2, 1, 0}, a, b, a), 1, 1e-12);
}

static void test_ball_gaps(void)
{
    test_ball(0.3);
    test_ball(0.5);
    test_ball(1.25);
}

static void test_plug_gaps(void)
{
    test_plug(0.3, 0);
    test_plug(1, 0);
}

static void test_bevel(void)
{
    test_plug(0.4, 10);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"triangle", test_triangle},   {"nothing_near", test_nothing_near},
                                       {"ball_gaps", test_ball_gaps}, {"plug_gaps", test_plug_gaps},
                                       {"bevel", test_bevel},         {0}};
    return check_main(argc, argv, tests);
}
