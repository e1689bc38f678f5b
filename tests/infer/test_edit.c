/* test_edit.c - an implant changed by hand, and a restoration that is kept and taken up again. */
#include "infer/edit.h"

#include <string.h>

#include "base/file.h"
#include "data/volume/formats.h"
#include "infer/restoration_file.h"
#include "tests/check.h"
#include "tests/infer/fixture.h"

static int64_t count(const struct volume *mask)
{
    return mask_count(mask->data, grid_voxels(&mask->grid));
}

static void paint(struct volume *labels, int64_t lo, int64_t hi, uint8_t label)
{
    fixture_box(labels, (struct box){{lo, lo, lo}, {hi, hi, hi}}, label);
}

/* On the same grid a label is exactly its voxels. */
static void test_same_grid(void)
{
    struct error error = {0};
    struct edit_report report = {0};
    struct volume implant = fixture_volume(20, 20, 20, 1, 1, 2), skull = fixture_volume(20, 20, 20, 1, 1, 2),
                  labels = fixture_volume(20, 20, 20, 1, 1, 2);
    paint(&implant, 5, 10, 1);
    fixture_box(&skull, (struct box){{12, 0, 0}, {13, 20, 20}}, 1);
    fixture_box(&labels, (struct box){{10, 5, 5}, {14, 6, 6}}, EDIT_ADD);
    fixture_box(&labels, (struct box){{5, 5, 5}, {6, 10, 10}}, EDIT_REMOVE);

    CHECK_OK(edit_apply(&implant, &report, &labels, &skull, "edit", &error), &error);
    CHECK(report.made && !report.restricted);
    CHECK_INT(count(&implant), 125 - 25 + 3); /* one of the four is bone */
    CHECK_INT(fixture_at(&implant, 12, 5, 5), 0);
    CHECK_INT(fixture_at(&implant, 13, 5, 5), 1);
    CHECK_NEAR(report.added_ml, 3 * 0.002, 1e-12);
    CHECK_NEAR(report.removed_ml, 25 * 0.002, 1e-12);
    CHECK_NEAR(report.excluded_ml, 0, 1e-12);
    volume_done(&implant);
    volume_done(&skull);
    volume_done(&labels);
}

/* A region keeps the implant inside it; another one keeps it out. */
static void test_regions(void)
{
    struct error error = {0};
    struct edit_report report = {0};
    struct volume implant = fixture_volume(20, 20, 20, 1, 1, 1), skull = fixture_volume(20, 20, 20, 1, 1, 1),
                  labels = fixture_volume(20, 20, 20, 1, 1, 1);
    paint(&implant, 2, 4, 1);
    paint(&implant, 10, 14, 1);
    paint(&labels, 8, 16, EDIT_ALLOW);
    paint(&labels, 10, 12, EDIT_EXCLUDE);
    CHECK_OK(edit_apply(&implant, &report, &labels, &skull, "edit", &error), &error);
    CHECK(report.restricted);
    /* The excluded voxels are not allowed ones: a label replaces another. */
    CHECK_INT(count(&implant), 64 - 8);
    CHECK_INT(fixture_at(&implant, 2, 2, 2), 0);
    CHECK_NEAR(report.excluded_ml, 16e-3, 1e-12);
    volume_done(&implant);
    volume_done(&skull);
    volume_done(&labels);
}

/* Labels of half the resolution lie where they lay in the world. */
static void test_coarse_grid(void)
{
    struct error error = {0};
    struct edit_report report = {0};
    struct volume implant = fixture_volume(32, 32, 32, 0.5, 0.5, 0.5),
                  skull = fixture_volume(32, 32, 32, 0.5, 0.5, 0.5), labels = fixture_volume(16, 16, 16, 1, 1, 1);
    for (int k = 0; k < 3; k++) /* the first coarse voxel is the first eight fine ones */
        labels.grid.origin[k] = implant.grid.origin[k] + 0.25;
    paint(&labels, 4, 9, EDIT_ADD);
    CHECK_OK(edit_apply(&implant, &report, &labels, &skull, "edit", &error), &error);
    for (int64_t i = 0; i < 32; i++) /* along the middle: exactly the ten fine voxels of five coarse ones */
        CHECK_INT(fixture_at(&implant, i, 13, 13), i >= 8 && i < 18);
    const int64_t n = count(&implant);
    CHECK(n <= 1000 && n > 900); /* corners are rounded */
    volume_done(&implant);
    volume_done(&skull);
    volume_done(&labels);
}

static void test_wrong_labels(void)
{
    struct error error = {0};
    struct edit_report report = {0};
    struct volume implant = fixture_volume(8, 8, 8, 1, 1, 1), labels = fixture_volume(8, 8, 8, 1, 1, 1);
    paint(&labels, 2, 3, 5);
    CHECK_FAILS(edit_apply(&implant, &report, &labels, &implant, "edit", &error), &error, STATUS_FAILED, "a label 5");
    error = (struct error){0};
    CHECK_OK(volume_write(check_path("labels.nii.gz"), &labels, &error), &error);
    CHECK_FAILS(edit_apply_file(&implant, &report, check_path("labels.nii.gz"), 100, &implant, &error), &error,
                STATUS_FAILED, "more than");
    volume_done(&implant);
    volume_done(&labels);
}

/* A network's restoration, kept and read: the same numbers and masks. A damaged file is refused wherever it ends. */
static void test_kept(void)
{
    struct error error = {0};
    const char *path = check_path("kept");
    struct volume skull = fixture_volume(12, 10, 8, 1, 1, 1), other = fixture_volume(12, 10, 9, 1, 1, 1);
    struct restoration result = {.network_s = 3, .changed_vox = 5, .stats = {.n_tiles = 7}}, read = {0};
    char *bytes = NULL;
    size_t n = 0;

    result.implant = fixture_volume(12, 10, 8, 1, 1, 1);
    fixture_box(&result.implant, (struct box){{2, 3, 4}, {5, 5, 6}}, 1);
    fixture_box(&skull, (struct box){{8, 0, 0}, {9, 10, 8}}, 1);
    result.threshold = 0.4;
    const int64_t few[3] = {2, 3, 4};
    const double mm[3] = {2, 2, 2};
    const struct grid coarse = grid_make(few, mm);
    CHECK_OK(volume_new(&result.prediction, &coarse, VOXEL_F32, &error), &error);
    CHECK_OK(volume_new(&result.spread, &coarse, VOXEL_F32, &error), &error);
    ((float *)result.prediction.data)[23] = 0.75F;
    ((float *)result.spread.data)[5] = 1.5F;
    CHECK_OK(restoration_write(path, &result, &error), &error);
    if (CHECK_OK(restoration_read(&read, path, &skull, &error), &error)) {
        CHECK(memcmp(read.implant.data, result.implant.data, 960) == 0);
        CHECK_INT(count(&read.completed), 12 + 80);
        CHECK_INT(read.stats.n_tiles, 7);
        CHECK_INT(read.changed_vox, 5);
        CHECK_NEAR(read.network_s, 3, 0);
        CHECK_NEAR(read.threshold, 0.4, 0);
        CHECK(read.prediction.data && ((float *)read.prediction.data)[23] == 0.75F);
        CHECK(read.spread.data && ((float *)read.spread.data)[5] == 1.5F);
        CHECK_INT(read.spread.grid.dim[2], 4);
    }
    restoration_done(&read);

    CHECK_FAILS(restoration_read(&read, path, &other, &error), &error, STATUS_FAILED, "this skull");
    CHECK_OK(file_read(&bytes, &n, path, 1 << 20, &error), &error);
    for (size_t short_n = 0; short_n < n; short_n += 13) {
        error = (struct error){0};
        CHECK_OK(file_write(path, bytes, short_n, &error), &error);
        CHECK_FAILS(restoration_read(&read, path, &skull, &error), &error, STATUS_FAILED, "not a restoration");
    }
    memory_free(bytes);
    restoration_done(&result);
    volume_done(&skull);
    volume_done(&other);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"same_grid", test_same_grid},       {"regions", test_regions}, {"coarse_grid", test_coarse_grid},
        {"wrong_labels", test_wrong_labels}, {"kept", test_kept},       {0}};
    return check_main(argc, argv, tests);
}
