/* test_segment.c - CT to skull: a synthetic head with a headrest, what is refused, and the real CT. */
#include "data/segment/skull_file.h"

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
    CHECK_TEXT(report.warnings.n ? report.warnings.text[0] : "", "");
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
    CHECK_INT(report.warnings.n, 2);
    CHECK_CONTAINS(report.warnings.text[0], "gantry");
    CHECK_CONTAINS(report.warnings.text[1], "metal");
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
    check_refused(&ct, "--hu-offset -1024 would fit");
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
    check_refused(&mask, "a mask already");
    volume_done(&mask);
}

/* Values as stored, with padding below and above what a scanner measures: refused, or read with the offset named. */
static void test_offset_and_padding(void)
{
    static const struct {
        int offset;
        double padding; /* in the corners; NAN: none */
        bool refused;
    } cases[] = {{0, -2000, false}, {0, 63536, false}, {1024, -2000, true}, {1024, 63536, true}, {1024, -1024, true}};

    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct volume plain = synthetic_ct(), ct = {0}, skull = {0};
        struct segment_report report;
        struct error error = {0};
        struct segment_config config = default_config();
        CHECK_OK(volume_new(&ct, &plain.grid, VOXEL_F32, &error), &error);
        float *value = ct.data;
        for (int64_t z = 0; z < DIM; z++)
            for (int64_t y = 0; y < DIM; y++)
                for (int64_t x = 0; x < DIM; x++) {
                    const double dx = (double)x - 40, dy = (double)y - 40;
                    const bool outside = dx * dx + dy * dy > 38 * 38; /* the round field of view */
                    value[at(x, y, z)] = outside
                                             ? (float)cases[c].padding
                                             : (float)(((const int16_t *)plain.data)[at(x, y, z)] + cases[c].offset);
                }
        if (cases[c].refused) {
            CHECK_FAILS(segment_skull(&skull, &report, &ct, &config, "s", &error), &error, STATUS_FAILED,
                        "--hu-offset -1024 would fit");
            error = (struct error){0};
            config.hu_offset = -1024;
        }
        if (CHECK_OK(segment_skull(&skull, &report, &ct, &config, "s", &error), &error)) {
            int64_t wrong = 0;
            for (int64_t z = 0; z < DIM; z++)
                for (int64_t y = 0; y < DIM; y++)
                    for (int64_t x = 0; x < DIM; x++) {
                        const double r = radius(x, y, z);
                        wrong += ((const uint8_t *)skull.data)[at(x, y, z)] != (y <= 74 && r >= 24 && r < 28);
                    }
            CHECK_INT(wrong, 0);
        }
        volume_done(&skull);
        volume_done(&ct);
        volume_done(&plain);
    }
}

/* A part of the shell cut free, as an infant's parietal or a bone flap: told, and kept on request. */
static void test_piece_near(void)
{
    struct volume ct = synthetic_ct(), skull = {0};
    struct segment_report report;
    struct error error = {0};
    struct segment_config config = default_config();
    int16_t *hu = ct.data;
    for (int64_t z = 0; z < DIM; z++)
        for (int64_t y = 0; y < DIM; y++)
            for (int64_t x = 0; x < DIM; x++)
                if (y > 74)
                    hu[at(x, y, z)] = -1000; /* no headrest */
                else if (radius(x, y, z) < 32 && z >= 58 && z < 60)
                    hu[at(x, y, z)] = 40; /* the top lies apart by 4 mm */
    CHECK_OK(segment_skull(&skull, &report, &ct, &config, "head", &error), &error);
    CHECK(report.warnings.n == 1);
    CHECK_CONTAINS(report.warnings.text[0], "1 piece of bone (");
    CHECK_CONTAINS(report.warnings.text[0], "--keep-near-ml");
    const double alone_ml = report.bone_ml;
    volume_done(&skull);
    config.keep_near_ml = 2;
    CHECK_OK(segment_skull(&skull, &report, &ct, &config, "head", &error), &error);
    CHECK_INT(report.warnings.n, 0);
    CHECK_INT(report.n_kept, 2);
    CHECK(report.bone_ml > alone_ml + 20);
    volume_done(&skull);
    volume_done(&ct);
}

/* A mask with a table plate and specks beside the head: they go, the head stays to the last voxel; a mask without them
 * is not touched. */
static void test_outlying(void)
{
    struct volume ct = synthetic_ct(), skull = {0}, clean = {0};
    struct segment_report segmented;
    struct skull_report report = {0};
    struct error error = {0};
    const struct segment_config config = default_config();
    CHECK_OK(segment_skull(&skull, &segmented, &ct, &config, "head", &error), &error);
    CHECK_OK(segment_skull(&clean, &segmented, &ct, &config, "head", &error), &error);
    CHECK_OK(skull_check(&skull, &report, &error), &error);
    CHECK_INT(report.n_outlying, 0);
    CHECK_INT(report.warnings.n, 0);
    CHECK(memcmp(skull.data, clean.data, DIM * DIM * DIM) == 0);

    uint8_t *mask = skull.data;
    for (int64_t z = 0; z < DIM; z++)
        for (int64_t x = 0; x < DIM; x++)
            mask[at(x, 77, z)] = 1;
    mask[at(2, 3, 70)] = mask[at(77, 2, 5)] = mask[at(40, 30, 79)] = 1;
    CHECK_OK(skull_check(&skull, &report, &error), &error);
    CHECK_INT(report.n_outlying, DIM * DIM + 3);
    CHECK(memcmp(skull.data, clean.data, DIM * DIM * DIM) == 0);
    CHECK_CONTAINS(report.warnings.text[0], "outside the head left out");
    CHECK_FAILS(skull_strict(&report.warnings, true, "head", &error), &error, STATUS_FAILED, "--strict");
    volume_done(&clean);
    volume_done(&skull);
    volume_done(&ct);
}

/* A file that holds a CT gives its skull, and a file that holds the skull gives the same. */
static void test_skull_read(void)
{
    struct volume ct = synthetic_ct(), skull = {0}, again = {0};
    struct skull_report report;
    struct error error = {0};
    const struct skull_options options = {.segment = default_config()};
    CHECK_OK(volume_write(check_path("ct.nii.gz"), &ct, &error), &error);
    if (CHECK_OK(skull_read(&skull, &report, check_path("ct.nii.gz"), &options, &error), &error)) {
        CHECK(report.segmented);
        CHECK_OK(volume_write(check_path("skull.nii.gz"), &skull, &error), &error);
        if (CHECK_OK(skull_read(&again, &report, check_path("skull.nii.gz"), &options, &error), &error)) {
            CHECK(!report.segmented);
            CHECK(memcmp(skull.data, again.data, DIM * DIM * DIM) == 0);
        }
    }
    volume_done(&again);
    volume_done(&skull);
    volume_done(&ct);
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
        CHECK(report.warnings.n >= 2); /* thick slices, vertex cut off */
        volume_done(&skull);
    }

    volume_done(&ct);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"finds_the_skull_alone", test_finds_the_skull_alone},
                                       {"warns", test_warns},
                                       {"refuses_what_is_no_ct", test_refuses_what_is_no_ct},
                                       {"offset_and_padding", test_offset_and_padding},
                                       {"piece_near", test_piece_near},
                                       {"outlying", test_outlying},
                                       {"skull_read", test_skull_read},
                                       {"real_ct", test_real_ct},
                                       {0}};
    return check_main(argc, argv, tests);
}
