/* test_segment.c - CT to skull: a synthetic head with a headrest, what is refused, and the real CT. */
#include "data/segment/segment.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/mask/morphology.h"
#include "data/volume/formats.h"
#include "tests/check.h"

enum { DIM = 80 };

static int64_t at(int64_t x, int64_t y, int64_t z)
{
    return (z * DIM + y) * DIM + x;
}

static double radius(int64_t x, int64_t y, int64_t z)
{
    const double dx = (double)x - 40, dy = (double)y - 36, dz = (double)z - 40;
    return sqrt(dx * dx + dy * dy + dz * dz);
}

/* A ball of soft tissue (r < 32) with a shell of bone (24 <= r < 28), and a headrest (y > 74) of plastic, at 2 mm. */
static struct volume synthetic_ct(void)
{
    struct volume ct = {0};
    struct error error = {0};
    const int64_t dim[3] = {DIM, DIM, DIM};
    const double spacing_mm[3] = {2, 2, 2};
    const struct grid grid = grid_make(dim, spacing_mm);
    CHECK_OK(volume_new(&ct, &grid, VOXEL_I16, &error), &error);
    int16_t *hu = ct.data;
    for (int64_t z = 0; z < DIM; z++)
        for (int64_t y = 0; y < DIM; y++)
            for (int64_t x = 0; x < DIM; x++) {
                const double r = radius(x, y, z);
                hu[at(x, y, z)] = (int16_t)(y > 74 ? 400 : r < 24 ? 35 : r < 28 ? 900 : r < 32 ? 40 : -1000);
            }
    return ct;
}

static struct segment_config default_config(void)
{
    struct segment_config config;
    struct arena arena = {0};
    struct error error = {0};
    CHECK_OK(config_bind(&segment_table, NULL, &config, &arena, &error), &error);
    arena_done(&arena);
    return config;
}

static void test_finds_the_skull_alone(void)
{
    struct volume ct = synthetic_ct(), skull = {0};
    struct segment_report report;
    struct error error = {0};
    struct segment_config config = default_config();

    if (!CHECK_OK(segment_skull(&skull, &report, &ct, &config, "head", &error), &error))
        return;
    const uint8_t *mask = skull.data;
    int64_t wrong = 0;

    for (int64_t z = 0; z < DIM; z++)
        for (int64_t y = 0; y < DIM; y++)
            for (int64_t x = 0; x < DIM; x++) {
                const double r = radius(x, y, z);
                wrong += mask[at(x, y, z)] != (y <= 74 && r >= 24 && r < 28);
            }
    CHECK_INT(wrong, 0);
    CHECK_INT(report.n_removed, 1); /* the headrest */
    CHECK_NEAR(report.bone_ml, (double)mask_count(mask, DIM * DIM * DIM) * 0.008, 1e-9);
    CHECK_INT(report.n_warnings, 0);
    config.auto_threshold = true;
    volume_done(&skull);
    CHECK_OK(segment_skull(&skull, &report, &ct, &config, "head", &error), &error);
    CHECK(report.threshold_hu > 60 && report.threshold_hu <= 900);
    volume_done(&skull);
    volume_done(&ct);
}

static void test_warns(void)
{
    struct volume ct = synthetic_ct(), skull = {0};
    struct segment_report report;
    struct error error = {0};
    const struct segment_config config = default_config();
    int16_t *hu = ct.data;
    for (int64_t x = 30; x < 50; x++)
        hu[at(x, 36, 66)] = 3071; /* a clip in the bone */
    ct.grid.axis[2][1] = 0.5;     /* gantry tilt */
    CHECK_OK(segment_skull(&skull, &report, &ct, &config, "head", &error), &error);
    CHECK_INT(report.n_warnings, 2);
    CHECK_CONTAINS(report.warnings[0], "gantry");
    CHECK_CONTAINS(report.warnings[1], "metal");
    volume_done(&skull);
    volume_done(&ct);
}

static void check_refused(struct volume *ct, const char *why)
{
    struct volume skull = {0};
    struct segment_report report;
    struct error error = {0};
    const struct segment_config config = default_config();
    CHECK_FAILS(segment_skull(&skull, &report, ct, &config, "scan.nii", &error), &error, STATUS_FAILED, why);
    CHECK(skull.data == NULL);
}

static void test_refuses_what_is_no_ct(void)
{
    struct volume ct = synthetic_ct();
    int16_t *hu = ct.data;
    const int64_t n = grid_voxels(&ct.grid);

    for (int64_t i = 0; i < n; i++)
        hu[i] = (int16_t)(hu[i] + 1024); /* stored values without the rescale intercept */
    check_refused(&ct, "air");
    for (int64_t i = 0; i < n; i++)
        hu[i] = (int16_t)(hu[i] > 1000 + 1024 - 200 ? -1000 : hu[i] > 1024 ? 30 : -1000); /* no bone */
    check_refused(&ct, "bone");

    for (int64_t z = 0; z < DIM; z++)
        for (int64_t y = 0; y < DIM; y++)
            for (int64_t x = 0; x < DIM; x++)
                hu[at(x, y, z)] = (int16_t)(x % 2            ? -1000
                                            : y % 2 || z % 2 ? 30
                                                             : 700); /* crumbs of bone, none beside another */
    check_refused(&ct, "less than a skull's");
    volume_done(&ct);
    const int64_t dim[3] = {4, 4, 4};
    const double spacing_mm[3] = {1, 1, 1};
    const struct grid grid = grid_make(dim, spacing_mm);
    struct volume mask = {0};
    struct error error = {0};
    CHECK_OK(volume_new(&mask, &grid, VOXEL_U8, &error), &error);
    check_refused(&mask, "no CT");
    volume_done(&mask);
}

static void test_real_ct(void)
{
    const char *data = check_real_data();
    char path[512];
    if (!data) {
        check_skip("the real CT is not there (CALVARIA_DATA)");
        return;
    }

    snprintf(path, sizeof path, "%s/ct/keinos_ct.nii.gz", data);
    struct volume ct = {0}, skull = {0};
    struct segment_report report;
    struct error error = {0};
    const struct segment_config config = default_config();
    if (!CHECK_OK(volume_read(&ct, path, &error), &error))
        return;
    if (CHECK_OK(segment_skull(&skull, &report, &ct, &config, path, &error), &error)) {
        CHECK(report.bone_ml > 300 && report.bone_ml < 1500);
        CHECK(report.n_warnings >= 2); /* thick slices, vertex cut off */
        volume_done(&skull);
    }

    volume_done(&ct);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"finds_the_skull_alone", test_finds_the_skull_alone},
                                       {"warns", test_warns},
                                       {"refuses_what_is_no_ct", test_refuses_what_is_no_ct},
                                       {"real_ct", test_real_ct},
                                       {0}};
    return check_main(argc, argv, tests);
}
