/* test_mirror.c - the symmetry plane is found where it was put, and the mirror fills a one-sided hole. */
#include "infer/mirror.h"

#include <math.h>
#include <string.h>

#include "infer/restore.h"
#include "tests/check.h"
#include "tests/infer/fixture.h"

/* Turns the volume's axes by yaw about z and roll about y, in degrees, and shifts its origin. */
static void tilt(struct volume *volume, double yaw, double roll, double shift_mm)
{
    const double to_radians = 3.14159265358979323846 / 180;
    double cy = cos(yaw * to_radians), sy = sin(yaw * to_radians), cr = cos(roll * to_radians),
           sr = sin(roll * to_radians);
    const double turn[3][3] = {{cr * cy, cr * sy, sr}, {-sy, cy, 0}, {-sr * cy, -sr * sy, cr}}; /* images of x, y, z */
    for (int a = 0; a < 3; a++) {
        double length = grid_spacing_mm(&volume->grid, a);
        for (int k = 0; k < 3; k++)
            volume->grid.axis[a][k] = length * turn[a][k];
        volume->grid.origin[a] += shift_mm;
    }
}

static void test_plane_is_found_in_a_tilted_head(void)
{
    const double tilts[][2] = {{0, 0}, {7, -5}, {-13, 11}};
    for (size_t i = 0; i < sizeof tilts / sizeof *tilts; i++) {
        struct error error = {0};
        struct mirror_plane plane;
        struct volume skull = fixture_volume(72, 84, 60, 2, 2, 2.5);
        fixture_skull(&skull, 7);
        fixture_box(&skull, (struct box){{8, 25, 35}, {25, 55, 60}}, 0); /* a defect must not pull it */
        tilt(&skull, tilts[i][0], tilts[i][1], 40);
        CHECK_OK(mirror_find(&plane, &skull, &error), &error);
        double along = 0, index[3] = {35.5, 41.5, 29.5}, middle[3], distance = -plane.offset_mm;
        grid_to_world(&skull.grid, index, middle);
        for (int k = 0; k < 3; k++) {
            along += plane.normal[k] * skull.grid.axis[0][k] / 2;
            distance += plane.normal[k] * middle[k];
        }
        CHECK(along > cos(0.01)); /* 0.6 degrees */
        CHECK_NEAR(distance, 0, 0.5);
        CHECK(plane.overlap_frac > 0.75 && plane.overlap_frac <= 1);
        volume_done(&skull);
    }
}

static void test_empty_skull_is_an_error(void)
{
    struct error error = {0};
    struct mirror_plane plane;
    struct volume skull = fixture_volume(20, 20, 20, 2, 2, 2);
    CHECK_FAILS(mirror_find(&plane, &skull, &error), &error, STATUS_FAILED, "empty");
    volume_done(&skull);
}

static void test_builtin_mirror_fills_a_one_sided_hole(void)
{
    struct error error = {0};
    struct restorer *restorer = NULL;
    struct restoration result;
    struct volume whole = fixture_volume(72, 84, 60, 2, 2, 2.5), skull = fixture_volume(72, 84, 60, 2, 2, 2.5);
    fixture_skull(&whole, 10);
    fixture_skull(&skull, 10);
    fixture_box(&skull, (struct box){{5, 30, 38}, {28, 55, 60}}, 0);
    CHECK_OK(restorer_open(&restorer, "builtin:mirror", NULL, &error), &error);
    CHECK_OK(restorer_run(&result, restorer, &skull, NULL, &error), &error);
    int64_t n = grid_voxels(&whole.grid), shared = 0, truth = 0, predicted = 0, wrong = 0;
    for (int64_t i = 0; i < n; i++) {
        bool missing = ((uint8_t *)whole.data)[i] && !((uint8_t *)skull.data)[i],
             filled = ((uint8_t *)result.implant.data)[i];
        shared += missing && filled;
        truth += missing;
        predicted += filled;
        wrong += (((uint8_t *)skull.data)[i] || filled) != ((uint8_t *)result.completed.data)[i];
    }
    CHECK(truth > 1000);
    CHECK(2.0 * (double)shared / (double)(truth + predicted) > 0.85);
    CHECK_INT(wrong, 0);
    restoration_done(&result);
    restorer_free(restorer);
    volume_done(&whole);
    volume_done(&skull);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"plane_is_found_in_a_tilted_head", test_plane_is_found_in_a_tilted_head},
        {"empty_skull_is_an_error", test_empty_skull_is_an_error},
        {"builtin_mirror_fills_a_one_sided_hole", test_builtin_mirror_fills_a_one_sided_hole},
        {0},
    };
    return check_main(argc, argv, tests);
}
