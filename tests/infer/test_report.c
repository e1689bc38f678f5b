/* test_report.c - measurements against shapes whose numbers are known, warnings, and the file. */
#include "infer/report/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/file.h"
#include "tests/check.h"
#include "tests/infer/fixture.h"

/* A skull with a one-sided hole, and an implant that fills it but for a gap of gap_vox at every wall. */
struct restored {
    struct volume skull;
    struct restoration result;
    struct restorer *restorer;
};

static const struct box HOLE = {{6, 30, 40}, {36, 62, 80}};

static struct restored restored_make(double thickness_mm, int64_t gap_vox)
{
    struct error error = {0};
    struct restored r = {.skull = fixture_volume(90, 92, 80, 1, 1, 1)};
    r.result.implant = fixture_volume(90, 92, 80, 1, 1, 1);
    r.result.completed = fixture_volume(90, 92, 80, 1, 1, 1);
    fixture_skull(&r.skull, thickness_mm);
    uint8_t *skull = r.skull.data, *implant = r.result.implant.data;
    for (int64_t i = 0; i < grid_voxels(&r.skull.grid); i++) {
        const int64_t at[3] = {i % 90, i / 90 % 92, i / 90 / 92};
        bool in_hole = true, in_implant = true;
        for (int a = 0; a < 3; a++) {
            in_hole &= at[a] >= HOLE.lo[a] && at[a] < HOLE.hi[a];
            in_implant &= at[a] >= HOLE.lo[a] + gap_vox && at[a] < HOLE.hi[a] - gap_vox;
        }
        implant[i] = skull[i] && in_implant;
        skull[i] = skull[i] && !in_hole;
    }
    CHECK_OK(restorer_open(&r.restorer, "builtin:nothing", NULL, &error), &error);
    return r;
}

static void restored_done(struct restored *r)
{
    restorer_free(r->restorer);
    restoration_done(&r->result);
    volume_done(&r->skull);
}

static struct report measure(const struct restored *r)
{
    struct error error = {0};
    struct report report = {0};
    struct mesh mesh = {0};
    CHECK_OK(mesh_from_mask(&mesh, &r->result.implant, &error), &error);
    CHECK_OK(report_make(&report, &r->result, &r->skull, r->restorer, &(struct report_request){.mesh = &mesh}, &error),
             &error);
    mesh_done(&mesh);
    return report;
}

static bool warns(const struct report *report, const char *part)
{
    for (int64_t i = 0; i < report->n_warnings; i++)
        if (strstr(report->warnings[i], part))
            return true;
    return false;
}

static void test_good_implant_has_no_warnings(void)
{
    struct restored r = restored_make(6, 0);
    struct report report = measure(&r);
    CHECK(!warns(&report, "unit of length"));
    int64_t voxels = mask_count(r.result.implant.data, grid_voxels(&r.skull.grid));
    CHECK_NEAR(report.volume_ml, (double)voxels / 1000, 1e-9);
    CHECK(report.extent_mm[1] == 32);
    CHECK_NEAR(report.thickness_mean_mm, 6, 1);
    CHECK(report.thickness_max_mm < 9);
    CHECK_NEAR(report.rim_gap_mm, 0, 1e-9);
    CHECK(report.rim_contact_frac > 0.9);
    CHECK_NEAR(report.overlap_ml, 0, 0);
    CHECK(report.spill_ml < 0.1 * report.volume_ml);
    CHECK_INT(report.n_components, 1);
    CHECK(!report.touches_border);
    CHECK(report.mesh.watertight && report.mesh.manifold && report.mesh.oriented);
    CHECK_INT(report.n_warnings, 0);
    for (int64_t i = 0; i < report.n_warnings; i++)
        printf("    %s\n", report.warnings[i]);
    report_done(&report);
    restored_done(&r);
}

static void test_gap_and_thickness_are_measured(void)
{
    const double thickness[] = {4, 9};
    for (int i = 0; i < 2; i++)
        for (int64_t gap = 1; gap <= 3; gap++) {
            struct restored r = restored_make(thickness[i], gap);
            struct report report = measure(&r);
            CHECK_NEAR(report.thickness_mean_mm, thickness[i], 1);
            CHECK_NEAR(report.rim_gap_mm, (double)gap, 0.5);
            CHECK(report.rim_contact_frac < 0.1);
            CHECK(warns(&report, "leaves a gap") == (gap >= 2));
            report_done(&report);
            restored_done(&r);
        }
}

/* Every fourth slice of a mask, four times as thick. */
static struct volume thick_slices(const struct volume *mask)
{
    const int64_t *dim = mask->grid.dim, slice = dim[0] * dim[1];
    struct volume out = fixture_volume(dim[0], dim[1], dim[2] / 4, 1, 1, 4);
    for (int64_t z = 0; z < dim[2] / 4; z++)
        memcpy((uint8_t *)out.data + z * slice, (const uint8_t *)mask->data + 4 * z * slice, (size_t)slice);
    return out;
}

/* Voxels that touch across a thick slice leave no gap. */
static void test_thick_slices_are_no_gap(void)
{
    struct restored fine = restored_make(6, 0), r = {.restorer = fine.restorer};
    r.skull = thick_slices(&fine.skull);
    r.result.implant = thick_slices(&fine.result.implant);
    r.result.completed = thick_slices(&fine.result.completed);
    struct report report = measure(&r);
    CHECK_NEAR(report.rim_gap_mm, 0, 0.1);
    CHECK(report.rim_contact_frac > 0.8);
    CHECK(!warns(&report, "leaves a gap"));
    CHECK(warns(&report, "Thick slices"));
    report_done(&report);
    r.restorer = NULL;
    restored_done(&r);
    restored_done(&fine);
}

static void test_unknown_unit_is_told(void)
{
    struct restored r = restored_make(6, 0);
    r.skull.storage.xyzt_units = 8; /* seconds, and nothing of space */
    struct report report = measure(&r);
    CHECK(warns(&report, "does not state its unit of length: millimetres were assumed"));
    report_done(&report);
    r.skull.storage.format = VOLUME_NRRD;
    report = measure(&r);
    CHECK_INT(report.n_warnings, 0);
    report_done(&report);
    restored_done(&r);
}

/* A hole across the middle has no other side to be compared with. */
static void test_hole_across_the_middle(void)
{
    struct restored r = restored_make(6, 0);
    const struct box hole = {{36, 30, 55}, {66, 62, 80}}; /* the middle is at 45 */
    fixture_skull(&r.skull, 6);
    uint8_t *skull = r.skull.data, *implant = r.result.implant.data;
    for (int64_t i = 0; i < grid_voxels(&r.skull.grid); i++) {
        const int64_t at[3] = {i % 90, i / 90 % 92, i / 90 / 92};
        bool in = skull[i];
        for (int a = 0; a < 3; a++)
            in &= at[a] >= hole.lo[a] && at[a] < hole.hi[a];
        implant[i] = in;
        skull[i] = skull[i] && !in;
    }
    struct report report = measure(&r);
    CHECK(report.volume_ml > 3);
    CHECK(report.symmetry_overlap_frac > 0.1);
    CHECK(isnan(report.symmetry_mm) || report.symmetry_mm < 1);
    CHECK(!warns(&report, "mirrored other side"));
    report_done(&report);
    restored_done(&r);
}

static void test_faults_are_told(void)
{
    struct restored r = restored_make(6, 0);
    fixture_box(&r.result.implant, (struct box){{80, 40, 60}, {84, 44, 80}}, 1); /* elsewhere, to the top slice */
    fixture_box(&r.result.implant, (struct box){{40, 8, 40}, {50, 30, 50}}, 1);  /* before and behind the forehead */
    fixture_box(&r.result.implant, (struct box){{82, 41, 62}, {83, 42, 64}}, 0); /* hollow */
    struct report report = measure(&r);
    CHECK_NEAR(report.hollow_ml, 0.002, 1e-12);
    CHECK(warns(&report, "hollows"));
    CHECK(report.n_components >= 2);
    CHECK(report.touches_border);
    CHECK(report.overlap_ml > 0.1);
    CHECK(report.spill_ml > 0.5);
    CHECK(warns(&report, "several components"));
    CHECK(warns(&report, "border"));
    CHECK(warns(&report, "share"));
    CHECK(warns(&report, "in front of or behind"));
    report_done(&report);
    restored_done(&r);
}

/* One self-contained page with every measure of a fit; of an empty implant, nothing is measured. */
static void test_page(void)
{
    static const char *const shown[] = {
        "Thickness",       "width, depth, height", "gap along the rim", "overlap",          "spill",
        "separate pieces", "mirrored other side",  "a &#60;b&#62;",     "Research software"};
    struct restored r = restored_make(6, 2);
    const char *const pictures[REPORT_PICTURES] = {NULL}, *path = check_path("page.html");
    for (int empty = 0; empty < 2; empty++) {
        struct error error = {0};
        char *page = NULL;
        size_t bytes = 0;
        struct report report = measure(&r);
        CHECK_OK(report_page(path, &report, &r.result, r.restorer, pictures, "a <b>", &error), &error);
        CHECK_OK(file_read(&page, &bytes, path, 1 << 20, &error), &error);
        for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
            CHECK((strstr(page, shown[i]) != NULL) == (!empty || i >= 7));
        CHECK(strstr(page, empty ? "Nothing is missing" : "leaves a gap") != NULL);
        CHECK(!strstr(page, "<b>") && !strstr(page, "http"));
        memory_free(page);
        report_done(&report);
        memset(r.result.implant.data, 0, (size_t)grid_voxels(&r.skull.grid));
    }
    restored_done(&r);
}

static void test_floating_and_empty_implants(void)
{
    struct restored r = restored_make(6, 0);
    memset(r.result.implant.data, 0, (size_t)grid_voxels(&r.skull.grid));
    struct report empty = measure(&r);
    CHECK(warns(&empty, "Nothing is missing"));
    CHECK_NEAR(empty.volume_ml, 0, 0);
    CHECK_INT(empty.n_components, 0);
    CHECK(isnan(empty.rim_gap_mm));
    fixture_box(&r.result.implant, (struct box){{40, 40, 35}, {45, 45, 40}}, 1);
    struct report floating = measure(&r);
    CHECK(warns(&floating, "float"));
    CHECK(warns(&floating, "tiny"));
    report_done(&empty);
    report_done(&floating);
    restored_done(&r);
}

/* On the coarser grid every second voxel is looked at: bridges of one voxel between would part the implant. */
static void test_pieces_are_those_of_the_voxels(void)
{
    struct restored r = restored_make(6, 0);
    struct error error = {0};
    struct volume *implant = &r.result.implant;
    const int64_t *dim = implant->grid.dim;
    const int64_t cut = (HOLE.lo[2] + HOLE.hi[2]) / 4 * 2;
    int64_t kept = 0;
    for (int64_t y = 0; y < dim[1]; y++)
        for (int64_t x = 0; x < dim[0]; x++) {
            uint8_t *voxel = (uint8_t *)implant->data + (cut * dim[1] + y) * dim[0] + x;
            kept += *voxel && x % 2;
            *voxel = *voxel && x % 2;
        }
    CHECK(kept > 1);
    struct report report;
    CHECK_OK(
        report_make(&report, &r.result, &r.skull, r.restorer, &(struct report_request){.max_voxels = 60000}, &error),
        &error);
    CHECK_INT(report.measured_step, 2);
    CHECK_INT(report.n_components, 1);
    report_done(&report);
    restored_done(&r);
}

static void test_file(void)
{
    struct error error = {0};
    struct restored r = restored_make(6, 0);
    struct report report = measure(&r);
    const char *path = check_path("r.json");
    char *text = NULL;
    size_t bytes;
    CHECK_OK(report_write(path, &report, &r.result, r.restorer, "/some/where/a_defective.nrrd", &error), &error);
    CHECK_OK(file_read(&text, &bytes, path, 1 << 20, &error), &error);
    cJSON *root = cJSON_Parse(text);
    const cJSON *implant = cJSON_GetObjectItem(root, "implant"), *volume = cJSON_GetObjectItem(implant, "volume_ml");
    CHECK(root && cJSON_IsNumber(volume) && fabs(volume->valuedouble - report.volume_ml) < 1e-4 * report.volume_ml);
    CHECK(cJSON_IsTrue(cJSON_GetObjectItem(cJSON_GetObjectItem(root, "mesh"), "watertight")));
    CHECK_TEXT(cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetObjectItem(root, "input"), "file")),
               "a_defective.nrrd");
    CHECK_INT(cJSON_GetArraySize(cJSON_GetObjectItem(root, "warnings")), 0);
    cJSON_Delete(root);
    memory_free(text);
    report.rim_gap_mm = NAN;
    CHECK_OK(report_write(path, &report, &r.result, r.restorer, "a", &error), &error);
    CHECK_OK(file_read(&text, &bytes, path, 1 << 20, &error), &error);
    root = cJSON_Parse(text);
    CHECK(cJSON_IsNull(cJSON_GetObjectItem(cJSON_GetObjectItem(root, "implant"), "rim_gap_mm")));
    cJSON_Delete(root);
    memory_free(text);
    report_done(&report);
    restored_done(&r);
}

static void test_failing_memory_is_an_error(void)
{
    struct restored r = restored_make(6, 0);
    bool done = false;
    int64_t n;
    for (n = 1; !done && n < 100; n++) {
        struct error error = {0};
        struct report report = {0};
        memory_fail_at(n);
        done = report_make(&report, &r.result, &r.skull, r.restorer, &(struct report_request){0}, &error) == STATUS_OK;
        memory_fail_at(0);
        CHECK(done || error.status == STATUS_FAILED);
        report_done(&report);
    }
    CHECK(done);
    CHECK(n > 5);
    restored_done(&r);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"good_implant_has_no_warnings", test_good_implant_has_no_warnings},
        {"gap_and_thickness_are_measured", test_gap_and_thickness_are_measured},
        {"thick_slices_are_no_gap", test_thick_slices_are_no_gap},
        {"unknown_unit_is_told", test_unknown_unit_is_told},
        {"hole_across_the_middle", test_hole_across_the_middle},
        {"faults_are_told", test_faults_are_told},
        {"floating_and_empty_implants", test_floating_and_empty_implants},
        {"page", test_page},
        {"pieces_are_those_of_the_voxels", test_pieces_are_those_of_the_voxels},
        {"file", test_file},
        {"failing_memory_is_an_error", test_failing_memory_is_an_error},
        {0},
    };
    return check_main(argc, argv, tests);
}
