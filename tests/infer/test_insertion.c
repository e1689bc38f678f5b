/* test_insertion.c - plugs whose best direction and undercut are known: straight, tilted, wider inside. */
#include "infer/insertion.h"

#include <math.h>

#include "tests/check.h"
#include "tests/infer/fixture.h"

enum { SIDE = 72, TOP = 52, THICK = 12 };

/* Half the width of the hole at height z, and where its middle is along x. */
struct hole {
    double half, slope, tilt;
};

/* A plate of bone over a base that puts the head's centre below, with a square hole that the implant fills. */
static void fill_hole(struct volume *bone, struct volume *implant, struct hole hole)
{
    for (int64_t z = 0, i = 0; z < SIDE; z++)
        for (int64_t y = 0; y < SIDE; y++)
            for (int64_t x = 0; x < SIDE; x++, i++) {
                const double below = (double)(TOP - 1 - z), half = hole.half + hole.slope * below,
                             middle = 35.5 - hole.tilt * (below - THICK / 2.0);
                const bool plate = z >= TOP - THICK && z < TOP,
                           in = plate && fabs((double)x - middle) < half && fabs((double)y - 35.5) < half;
                ((uint8_t *)bone->data)[i] = (plate && !in) || z < 4;
                ((uint8_t *)implant->data)[i] = in;
            }
}

static double angle_deg(const double a[3], double x, double y, double z)
{
    const double length = sqrt(x * x + y * y + z * z);
    return acos(fmin(1, (a[0] * x + a[1] * y + a[2] * z) / length)) * 57.29577951308232;
}

static void test_straight_plug(void)
{
    struct error error = {0};
    struct insertion insertion;
    struct volume bone = fixture_volume(SIDE, SIDE, SIDE, 1, 1, 1), implant = fixture_volume(SIDE, SIDE, SIDE, 1, 1, 1);
    fill_hole(&bone, &implant, (struct hole){.half = 10});
    CHECK_OK(insertion_find(&insertion, &implant, &bone, &error), &error);
    CHECK_INT(insertion.n, 1);
    CHECK_NEAR(insertion.piece[0].volume_ml, 4.8, 1e-9);
    CHECK_NEAR(insertion.piece[0].undercut_ml, 0, 1e-9);
    CHECK_NEAR(insertion.piece[0].interference_mm, 0, 1e-9);
    CHECK(angle_deg(insertion.piece[0].direction, 0, 0, -1) < 4);
    insertion_done(&insertion);
    volume_done(&bone);
    volume_done(&implant);
}

static void test_tilted_plug(void)
{
    struct error error = {0};
    struct insertion insertion;
    struct volume bone = fixture_volume(SIDE, SIDE, SIDE, 1, 1, 1), implant = fixture_volume(SIDE, SIDE, SIDE, 1, 1, 1);
    const double tilt = tan(30 / 57.29577951308232);
    fill_hole(&bone, &implant, (struct hole){.half = 10, .tilt = tilt});
    CHECK_OK(insertion_find(&insertion, &implant, &bone, &error), &error);
    CHECK(insertion.piece[0].undercut_ml < 0.01 * insertion.piece[0].volume_ml);
    if (!CHECK(angle_deg(insertion.piece[0].direction, -tilt, 0, -1) < 5))
        printf("    direction %g %g %g\n", insertion.piece[0].direction[0], insertion.piece[0].direction[1],
               insertion.piece[0].direction[2]);
    insertion_done(&insertion);
    volume_done(&bone);
    volume_done(&implant);
}

/* Half a millimetre wider for every millimetre of depth: 6 mm at the bottom on each side. */
static void test_dovetail_is_trimmed(void)
{
    struct error error = {0};
    struct insertion insertion, after;
    struct volume bone = fixture_volume(SIDE, SIDE, SIDE, 1, 1, 1), implant = fixture_volume(SIDE, SIDE, SIDE, 1, 1, 1);
    fill_hole(&bone, &implant, (struct hole){.half = 10, .slope = 0.5});
    const uint8_t *in = implant.data;
    int64_t behind = 0;
    for (int64_t i = 0, area = SIDE * SIDE; i < area * SIDE; i++)
        behind += in[i] && !in[(TOP - 1) * area + i % area];
    CHECK_OK(insertion_find(&insertion, &implant, &bone, &error), &error);
    const double whole_ml = insertion.piece[0].volume_ml, undercut_ml = insertion.piece[0].undercut_ml;
    if (!CHECK(angle_deg(insertion.piece[0].direction, 0, 0, -1) < 15)) /* all ways within the widening are equal */
        printf("    direction %g %g %g\n", insertion.piece[0].direction[0], insertion.piece[0].direction[1],
               insertion.piece[0].direction[2]);
    if (!CHECK(fabs(undercut_ml - 1e-3 * (double)behind) < 0.12e-3 * (double)behind))
        printf("    undercut %.3f ml of %.3f\n", undercut_ml, 1e-3 * (double)behind);
    if (!CHECK(insertion.piece[0].interference_mm > 4 && insertion.piece[0].interference_mm < 9.5))
        printf("    interference %g mm\n", insertion.piece[0].interference_mm);

    insertion_trim(&implant, &insertion);
    CHECK_NEAR(insertion.piece[0].trimmed_ml, undercut_ml, 1e-9);
    CHECK_NEAR(insertion.piece[0].volume_ml, whole_ml - undercut_ml, 1e-9);
    CHECK_NEAR(1e-3 * (double)mask_count(implant.data, grid_voxels(&implant.grid)), whole_ml - undercut_ml, 1e-9);
    CHECK_OK(insertion_find(&after, &implant, &bone, &error), &error);
    CHECK(after.piece[0].undercut_ml < 0.01 * whole_ml);
    insertion_done(&insertion);
    insertion_done(&after);
    volume_done(&bone);
    volume_done(&implant);
}

static void test_nothing_to_put_in(void)
{
    struct error error = {0};
    struct insertion insertion;
    struct volume bone = fixture_volume(20, 20, 20, 1, 1, 1), implant = fixture_volume(20, 20, 20, 1, 1, 1);
    fixture_box(&bone, (struct box){{2, 2, 2}, {9, 9, 9}}, 1);
    CHECK_OK(insertion_find(&insertion, &implant, &bone, &error), &error);
    CHECK_INT(insertion.n, 0);
    insertion_trim(&implant, &insertion);
    insertion_done(&insertion);
    volume_done(&bone);
    volume_done(&implant);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"straight_plug", test_straight_plug},
                                       {"tilted_plug", test_tilted_plug},
                                       {"dovetail_is_trimmed", test_dovetail_is_trimmed},
                                       {"nothing_to_put_in", test_nothing_to_put_in},
                                       {0}};
    return check_main(argc, argv, tests);
}
