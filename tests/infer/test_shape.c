/* test_shape.c - a shape model as a restorer: opened like any model, its report, its pictures, its mesh. */
#include <string.h>

#include "base/file.h"
#include "data/volume/formats.h"
#include "infer/batch.h"
#include "infer/report/report_prediction.h"
#include "tests/check.h"
#include "tests/shape/models.h"
#include "tests/shape/phantoms.h"

static const char *model_path, *skull_path;
static struct volume skull;

static void make_files(void)
{
    struct error error = {0};
    struct shape_model model;
    struct pose_found found;
    const double back[3] = {0.1, 0.75, 0.654};
    if (model_path)
        return;
    model_make(&model, 6);
    phantom_make(&skull, 9, 2);
    CHECK_OK(pose_search(&found, &skull, &model.template_disc, model.template, "skull", &error), &error);
    phantom_cut(&skull, &found.pose, back, 20);
    model_path = check_path("shape.h5");
    skull_path = check_path("case_defective.nrrd");
    CHECK_OK(shape_model_write(model_path, &model, &error), &error);
    CHECK_OK(volume_write(skull_path, &skull, &error), &error);
    shape_model_done(&model);
}

static void test_restorer(void)
{
    struct error error = {0};
    struct restorer *restorer = NULL;
    struct restoration result = {0};
    struct report report;
    make_files();
    CHECK_OK(restorer_open(&restorer, model_path, NULL, &error), &error);
    CHECK(restorer_shape(restorer) != NULL);
    CHECK(restorer_model(restorer) == NULL);
    CHECK_INT(restorer_config(restorer)->task, TASK_IMPLANT);
    CHECK(restorer_bytes(restorer, &skull.grid) > grid_voxels(&skull.grid));
    CHECK_OK(restorer_run(&result, restorer, &skull, NULL, &error), &error);
    CHECK(result.shape && result.shape->depth && result.shape->surfaces.hole.n_parts == 1);
    CHECK(mask_count(result.implant.data, grid_voxels(&skull.grid)) > 1000);

    const struct report_request request = {.interval_png = check_path("interval.png")};
    CHECK_OK(report_make(&report, &result, &skull, restorer, &request, &error), &error);
    CHECK(report.prediction.made);
    CHECK_INT(report.prediction.n_holes, 1);
    CHECK(report.prediction.interval_mean_mm > 0.1 && report.prediction.interval_mean_mm < 10);
    CHECK(report.prediction.interval_p95_mm >= report.prediction.interval_mean_mm);
    CHECK(file_exists(request.interval_png));
    report_done(&report);
    restoration_done(&result);

    /* a rule over the model's pipeline holds */
    const char *items[] = {"postprocess=[{min_volume_ml: 1000}]"};
    const struct config_strings sets = {1, items};
    restorer_free(restorer);
    CHECK_OK(restorer_open(&restorer, model_path, &sets, &error), &error);
    CHECK_OK(restorer_run(&result, restorer, &skull, NULL, &error), &error);
    CHECK_INT(mask_count(result.implant.data, grid_voxels(&skull.grid)), 0);
    restoration_done(&result);
    restorer_free(restorer);
}

static void test_batch(void)
{
    struct error error = {0};
    struct batch_config config;
    struct arena arena = {0};
    char *inputs[1];
    make_files();
    inputs[0] = arena_strdup(&arena, skull_path);
    CHECK_OK(config_bind(&batch_table, NULL, &config, &arena, &error), &error);
    config.model = model_path;
    config.out = check_path("out");
    config.mesh_format = BATCH_STL_AND_PLY;
    FILE *table = tmpfile();
    CHECK_OK(batch_run(&config, 1, inputs, table, &error), &error);
    fclose(table);
    char *text = NULL;
    size_t bytes;
    CHECK_OK(file_read(&text, &bytes, file_join(&arena, config.out, "case_report.json"), 1 << 20, &error), &error);
    CHECK_CONTAINS(text ? text : "", "\"interval90_mean_mm\"");
    CHECK_CONTAINS(text ? text : "", "\"watertight\":\ttrue");
    memory_free(text);
    CHECK_OK(file_read(&text, &bytes, file_join(&arena, config.out, "case_implant.ply"), 64 << 20, &error), &error);
    CHECK_CONTAINS(text ? text : "", "property float quality");
    memory_free(text);
    CHECK(file_exists(file_join(&arena, config.out, "case_uncertainty.png")));
    CHECK(file_exists(file_join(&arena, config.out, "case_implant.stl")));
    arena_done(&arena);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"restorer", test_restorer}, {"batch", test_batch}, {0}};
    const int rc = check_main(argc, argv, tests);
    volume_done(&skull);
    return rc;
}
