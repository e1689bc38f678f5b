/* test_dicom.c - DICOM series made by scripts/golden/dicom.py, read through dcm2niix: values, places, tilt, spacing.
 * Skipped where dcm2niix or unzip is not installed. */
#include "data/volume/dicom.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/segment/skull_file.h"
#include "tests/check.h"

#define GOLDEN "tests/data/golden/dicom/"

static bool have_tools(void)
{
    if (system("dcm2niix -h >/dev/null 2>&1") == 0 && system("unzip -v >/dev/null 2>&1") == 0)
        return true;
    check_skip("dcm2niix or unzip is not installed");
    return false;
}

static double value_at(const struct volume *ct, double x, double y, double z)
{
    const double world[3] = {x, y, z};
    double index[3];
    int64_t i[3];
    grid_to_index(&ct->grid, world, index);
    for (int a = 0; a < 3; a++)
        i[a] = llround(index[a]);
    const int64_t at = (i[2] * ct->grid.dim[1] + i[1]) * ct->grid.dim[0] + i[0];
    return ct->type == VOXEL_I16 ? (double)((const int16_t *)ct->data)[at] : (double)((const float *)ct->data)[at];
}

/* Every series is the same ball: HU at points in the world, right angles, even slices. */
static void test_series(void)
{
    static const struct {
        const char *path, *choice, *note;
    } cases[] = {{GOLDEN "plain.zip", NULL, ""},
                 {GOLDEN "rle.zip", NULL, ""},
                 {GOLDEN "tilt.zip", NULL, "gantry tilt corrected"},
                 {GOLDEN "uneven.zip", NULL, "uneven spacing corrected"},
                 {GOLDEN "two.zip", "bone", ""},
                 {GOLDEN "two.zip", "3", ""}};

    for (size_t c = 0; have_tools() && c < sizeof cases / sizeof *cases; c++) {
        struct error error = {0};
        struct skull_input input;
        struct volume ct = {0};
        if (!CHECK_OK(skull_input_open(&input, cases[c].path, cases[c].choice, &error), &error))
            continue;
        CHECK_OK(volume_read(&ct, input.path, &error), &error);
        /* dcm2niix shears a tilted series upright about its first voxel: the ball then lies elsewhere in the world */
        const bool in_place = !strstr(cases[c].note, "tilt");
        if (ct.data && in_place) {
            CHECK_NEAR(value_at(&ct, 2, 2, 2), 35, 1);     /* inside */
            CHECK_NEAR(value_at(&ct, 2, 2, -30), 35, 1);   /* soft tissue near the bone */
            CHECK_NEAR(value_at(&ct, 70, 2, 2), -1000, 1); /* air */
            CHECK(value_at(&ct, 52, 2, 2) > 150);          /* bone; interpolated where tilt or spacing were corrected */
            CHECK(value_at(&ct, 2, 52, 2) > 150);
            CHECK(value_at(&ct, 94, 94, 2) < -900); /* padding, or what filled it */
        }
        for (int a = 0; ct.data && a < 3; a++) {
            const double *p = ct.grid.axis[a], *q = ct.grid.axis[(a + 1) % 3];
            CHECK_NEAR(p[0] * q[0] + p[1] * q[1] + p[2] * q[2], 0, 1e-3);
        }
        CHECK_TEXT(input.dicom.series[0].note, cases[c].note);
        volume_done(&ct);
        skull_input_close(&input);
    }
}

static void test_skull(void)
{
    static const char *const paths[] = {GOLDEN "plain.zip", GOLDEN "rle.zip", GOLDEN "tilt.zip", GOLDEN "uneven.zip"};
    struct arena arena = {0};
    struct skull_options options;
    struct error error = {0};
    CHECK_OK(config_bind(&skull_table, NULL, &options, &arena, &error), &error);
    for (size_t c = 0; have_tools() && c < sizeof paths / sizeof *paths; c++) {
        struct skull_input input;
        struct skull_report report;
        struct volume skull = {0};
        if (!CHECK_OK(skull_input_open(&input, paths[c], NULL, &error), &error))
            continue;
        if (CHECK_OK(skull_read(&skull, &report, input.path, &options, &error), &error)) {
            CHECK(report.segmented);
            /* 4/3 pi (56^3 - 48^3) mm3 = 272 ml; interpolation thickens what is cut at 150 HU */
            CHECK(fabs(report.segment.bone_ml - 272) < (c < 2 ? 15 : 60));
            const struct box box = box_of_mask(skull.data, skull.grid.dim);
            for (int a = 0; a < 3; a++) /* a ball: neither sheared nor stretched */
                CHECK_NEAR((double)box_size(box, a) * grid_spacing_mm(&skull.grid, a), 112, 8.5);
            volume_done(&skull);
        }
        skull_input_close(&input);
    }
    arena_done(&arena);
}

static bool is_dicom(const char *path)
{
    struct error error = {0};
    bool is;
    return CHECK_OK(dicom_is(&is, path, &error), &error) && is;
}

static void test_choice(void)
{
    struct dicom dicom;
    const struct dicom_series *series;
    struct error error = {0};
    CHECK(is_dicom(GOLDEN "two.zip") && !is_dicom("tests/data/golden/volumes/lps_u8.nii"));
    CHECK(!is_dicom("tests/data/golden/volumes") && !is_dicom("tests/data/none"));
    if (!have_tools() || !CHECK_OK(dicom_open(&dicom, GOLDEN "two.zip", &error), &error))
        return;
    CHECK_INT(dicom.n, 2);
    CHECK_TEXT(dicom.series[0].description, "HEAD 4.0 BONE");
    CHECK_TEXT(dicom.series[1].modality, "CT");
    CHECK_OK(dicom_choose(&series, &dicom, NULL, &error), &error);
    CHECK_INT(series->number, 2); /* the most slices */
    CHECK_OK(dicom_choose(&series, &dicom, "soft", &error), &error);
    CHECK_INT(series->number, 3);
    CHECK_FAILS(
        dicom_choose(&series, &dicom, "9", &error), &error, STATUS_USAGE,
        "no such series: there are 2 'HEAD 4.0 BONE' (40 slices of 4 mm), 3 'HEAD 8.0 SOFT' (20 slices of 8 mm)");
    error = (struct error){0};
    CHECK_OK(dicom_choose(&series, &dicom, "head", &error), &error); /* both fit: the one of more slices */
    CHECK_INT(series->number, 2);
    dicom.series[1].grid.dim[2] = 40;
    CHECK_FAILS(dicom_choose(&series, &dicom, "head", &error), &error, STATUS_USAGE, "several series fit");

    char *folder = memory_strdup(dicom.folder);
    dicom_done(&dicom);
    CHECK(folder && !file_is_folder(folder)); /* nothing of the patient stays */
    memory_free(folder);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"series", test_series}, {"skull", test_skull}, {"choice", test_choice}, {0}};
    return check_main(argc, argv, tests);
}
