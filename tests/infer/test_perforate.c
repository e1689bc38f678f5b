/* test_perforate.c - holes through a plate: their number, diameter and distance from the rim, and a closed surface. */
#include "infer/perforate.h"

#include <math.h>

#include "infer/part.h"
#include "tests/check.h"
#include "tests/infer/fixture.h"

enum { SIDE = 120, DEEP = 30, LOW = 10, HIGH = 110, BOTTOM = 12, TOP = 20 };
static const double SPACING = 0.5, PI = 3.14159265358979;

/* A plate of 50 x 50 x 4 mm. */
static struct volume plate(void)
{
    struct volume volume = fixture_volume(SIDE, SIDE, DEEP, SPACING, SPACING, SPACING);
    fixture_box(&volume, (struct box){{LOW, LOW, BOTTOM}, {HIGH, HIGH, TOP}}, 1);
    return volume;
}

static struct insertion straight_down(const struct volume *volume)
{
    struct insertion insertion = {.n = 1, .piece = {{.direction = {0, 0, -1}}}};
    const double index[3] = {(LOW + HIGH - 1) / 2.0, (LOW + HIGH - 1) / 2.0, (BOTTOM + TOP - 1) / 2.0};
    grid_to_world(&volume->grid, index, insertion.piece[0].middle_mm);
    return insertion;
}

static void check_holes(struct perforation wanted, int64_t least, int64_t most)
{
    struct error error = {0};
    struct volume implant = plate();
    const struct insertion insertion = straight_down(&implant);
    struct mesh_field field;
    struct mesh mesh = {0};
    struct mesh_check check;
    double whole_mm3, area_mm2;
    int64_t n;
    CHECK_OK(mesh_from_mask(&mesh, &implant, &error), &error);
    mesh_measure(&mesh, &whole_mm3, &area_mm2);
    mesh_done(&mesh);
    part_begin(&field, &implant, &(struct clearance){0});
    CHECK_OK(perforate(&n, &field, &implant, &insertion, &wanted, &error), &error);
    CHECK_OK(mesh_from_field(&mesh, &implant, &field, &error), &error);
    CHECK_OK(mesh_verify(&check, &mesh, &error), &error);
    CHECK(check.watertight && check.manifold && check.oriented);
    CHECK_INT(check.n_crossing, 0);

    const double radius = (wanted.hole_mm + wanted.screw_mm) / 2, thick_ml = (TOP - BOTTOM) * SPACING / 1000,
                 gone_ml = whole_mm3 / 1000 - check.volume_ml, each_ml = PI * radius * radius * thick_ml;
    printf("%lld holes of %.1f mm: %.3f ml each, wanted %.3f ml\n", (long long)n, 2 * radius, gone_ml / (double)n,
           each_ml);
    CHECK(n >= least && n <= most);
    CHECK_NEAR(gone_ml / (double)n, each_ml, 0.03 * each_ml);

    /* No point of a hole's wall is nearer to the rim than wanted, by half a voxel at most. */
    double nearest = INFINITY;
    for (int64_t i = 0; i < mesh.n_points; i++) {
        double index[3];
        grid_to_index(&implant.grid, mesh.point[i], index);
        const double rim =
            SPACING * fmin(fmin(index[0] - LOW, HIGH - 1 - index[0]), fmin(index[1] - LOW, HIGH - 1 - index[1])) +
            SPACING / 2;
        nearest = rim > 1 && index[2] > BOTTOM + 1 && index[2] < TOP - 2 ? fmin(nearest, rim) : nearest;
    }
    CHECK(nearest >= wanted.edge_mm - SPACING);
    mesh_done(&mesh);
    mesh_field_done(&field);
    volume_done(&implant);
}

static void test_pattern(void)
{
    const struct perforation holes = {.hole_mm = 3, .hole_spacing_mm = 10, .screw_spacing_mm = 30, .edge_mm = 4};
    check_holes(holes, 14, 22);
}

static void test_screws(void)
{
    const struct perforation screws = {.hole_spacing_mm = 10, .screw_mm = 2, .screw_spacing_mm = 18, .edge_mm = 3};
    check_holes(screws, 6, 10);
}

static void test_none(void)
{
    struct error error = {0};
    struct volume implant = plate();
    const struct insertion insertion = straight_down(&implant), nothing = {0};
    struct mesh_field field;
    int64_t n;
    part_begin(&field, &implant, &(struct clearance){0});
    CHECK_OK(perforate(&n, &field, &implant, &insertion, &(struct perforation){.hole_spacing_mm = 5}, &error), &error);
    CHECK(n == 0 && !field.cut);
    const struct perforation holes = {.hole_mm = 2, .hole_spacing_mm = 5};
    CHECK_OK(perforate(&n, &field, &implant, &nothing, &holes, &error), &error);
    CHECK(n == 0 && !field.cut);
    volume_done(&implant);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"pattern", test_pattern}, {"screws", test_screws}, {"none", test_none}, {0}};
    return check_main(argc, argv, tests);
}
