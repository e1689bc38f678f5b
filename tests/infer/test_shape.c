/* test_shape.c - a shape model as a restorer: opened like any model, its report, its pictures, its mesh. And
 * networks on it. */
#include <math.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/file.h"
#include "data/volume/formats.h"
#include "data/volume/turn.h"
#include "infer/batch.h"
#include "infer/beside.h"
#include "infer/report/report_prediction.h"
#include "infer/restoration_file.h"
#include "tests/check.h"
#include "tests/infer/fixture.h"
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

    /* Kept and taken up again: the same implant, depth and certainty. */
    struct restoration kept = {0};
    const char *path = check_path("kept");
    CHECK_OK(restoration_write(path, &result, &error), &error);
    if (CHECK_OK(restoration_read(&kept, path, &skull, &error), &error)) {
        const struct box *box = &result.shape->box;
        const size_t n = (size_t)(box_size(*box, 0) * box_size(*box, 1) * box_size(*box, 2));
        CHECK(memcmp(kept.implant.data, result.implant.data, (size_t)grid_voxels(&skull.grid)) == 0);
        CHECK(n > 1000 && memcmp(kept.shape->depth, result.shape->depth, n * sizeof(float)) == 0);
        CHECK(kept.shape->surfaces.hole.n_unseen == result.shape->surfaces.hole.n_unseen);
        const double world[3] = {skull.grid.origin[0], skull.grid.origin[1], skull.grid.origin[2]};
        const double was = shape_restoration_interval_mm(result.shape, restorer_shape(restorer), world);
        const double is = shape_restoration_interval_mm(kept.shape, restorer_shape(restorer), world);
        CHECK(memcmp(&was, &is, sizeof was) == 0);
    }
    restoration_done(&kept);
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

/* A mask against another in the same order: Dice. */
static double overlap(const struct volume *a, const struct volume *b)
{
    const int64_t voxels = grid_voxels(&a->grid);
    int64_t both = 0;
    for (int64_t i = 0; i < voxels; i++)
        both += ((uint8_t *)a->data)[i] && ((uint8_t *)b->data)[i];
    return 2.0 * (double)both / (double)(mask_count(a->data, voxels) + mask_count(b->data, voxels));
}

/* The skull with another header, in LPS order: as a file of that header would be read. */
static struct volume with_header(double x_deg, double y_deg, double z_deg)
{
    struct error error = {0};
    struct volume wrong = skull, read = {0};
    phantom_turn(&wrong, x_deg, y_deg, z_deg);
    CHECK_OK(turn_volume(&read, &wrong, turn_lps, &error), &error);
    return read;
}

/* A model of a network that corrects the shape model. Its last convolution is zero but for the bias. */
static const char *make_pair(const char *name, float bias)
{
    static const char yaml[] =
        "{name: pair, input_channels: 3, patch_vox: 16, layers: ["
        "{name: features, type: conv, filters: 4}, {name: last, type: conv, filters: 1, kernel: 1, init: zeros},"
        "{name: bounded, type: tanh}, {name: deviation, from: input, type: slice, first: 2},"
        "{name: gated, type: multiply, from: [bounded, deviation]}, {name: mm, type: scale, factor: 6},"
        "{name: share, type: sigmoid}]}";
    static const char restore[] = "task: implant\nscan: overlap\nworking_spacing_mm: [3, 3, 3]\ncorrection: mm\n"
                                  "postprocess: []\n";
    struct error error = {0};
    struct fixture_network network;
    struct model_text texts[] = {{"restore", restore}};
    char *bytes = NULL;
    size_t n = 0;
    const char *path = check_path(name);
    fixture_network(&network, yaml, 5);
    const struct param *b = params_find(&network.params, "last.b"), *w = params_find(&network.params, "last.w");
    for (int64_t i = 0; i < w->count; i++)
        CHECK(network.params.value[w->offset + i] == 0);
    network.params.value[b->offset] = bias;
    CHECK_OK(file_read(&bytes, &n, model_path, 1 << 28, &error), &error);
    const struct model model = {.network = network.config,
                                .params = network.params,
                                .texts = texts,
                                .n_texts = 1,
                                .shape = bytes,
                                .shape_bytes = (int64_t)n};
    CHECK_OK(model_write(path, &model, &error), &error);
    memory_free(bytes);
    fixture_network_done(&network);
    return path;
}

static void restore_with(struct restoration *ret, const char *path, const char *set, const struct volume *of)
{
    struct error error = {0};
    struct restorer *restorer = NULL;
    const struct config_strings sets = {set != NULL, &set};
    CHECK_OK(restorer_open(&restorer, path, &sets, &error), &error);
    CHECK_OK(restorer_run(ret, restorer, of, NULL, &error), &error);
    restorer_free(restorer);
}

static void check_same(const struct restoration *a, const struct restoration *b)
{
    const size_t n = (size_t)grid_voxels(&skull.grid);
    CHECK(memcmp(a->implant.data, b->implant.data, n) == 0);
    CHECK(memcmp(&a->shape->box, &b->shape->box, sizeof a->shape->box) == 0);
    CHECK(memcmp(a->shape->depth, b->shape->depth, (size_t)box_voxels(a->shape->box) * sizeof(float)) == 0);
}

/* A correction of nothing leaves the shape model's depth and implant to the bit; a positive one grows them, never by
 * more than two deviations. */
static void test_correction(void)
{
    struct error error = {0};
    struct restoration alone = {0}, begun = {0}, grown = {0}, weighed = {0};
    make_files();
    restore_with(&alone, model_path, NULL, &skull);
    restore_with(&begun, make_pair("begun.h5", 0), NULL, &skull);
    check_same(&alone, &begun);
    CHECK(begun.stats.n_tiles > begun.stats.n_skipped);

    const char *pair = make_pair("grown.h5", 2);
    restore_with(&grown, pair, NULL, &skull);
    CHECK(grown.changed_vox > alone.changed_vox);
    const int64_t n = box_voxels(alone.shape->box);
    float least = 0, most = 0;
    for (int64_t v = 0; v < n; v++) {
        least = fminf(least, grown.shape->depth[v] - alone.shape->depth[v]);
        most = fmaxf(most, grown.shape->depth[v] - alone.shape->depth[v]);
    }
    CHECK(least > -1e-4F);
    CHECK(most > 0.1F && most < 6.001F);
    restore_with(&weighed, pair, "prior_weight=1", &skull); /* all of it the prior's */
    check_same(&alone, &weighed);

    /* a head upside down: scanned upright, corrected where it lies */
    struct volume other = with_header(0, 180, 0), back = {0};
    restoration_done(&weighed);
    restore_with(&weighed, pair, NULL, &other);
    CHECK_OK(turn_volume(&back, &weighed.implant, (const double(*)[3])weighed.shape->pose.pose.rotation, &error),
             &error);
    CHECK(overlap(&back, &grown.implant) > 0.97);
    CHECK(overlap(&back, &grown.implant) > overlap(&back, &alone.implant));
    volume_done(&back);
    volume_done(&other);

    struct restorer *restorer = NULL;
    const char *item = "correction=mn";
    const struct config_strings sets = {1, &item};
    CHECK_FAILS(restorer_open(&restorer, pair, &sets, &error), &error, STATUS_USAGE, "did you mean 'mm'?");
    restoration_done(&alone);
    restoration_done(&begun);
    restoration_done(&grown);
    restoration_done(&weighed);
}

/* The report states both: the network, and the shape model that it corrects. */
static void test_report_of_both(void)
{
    struct error error = {0};
    struct restorer *restorer = NULL;
    struct restoration result = {0};
    struct report report;
    char *text = NULL, *page = NULL;
    make_files();
    CHECK_OK(restorer_open(&restorer, make_pair("both.h5", 1), NULL, &error), &error);
    CHECK_OK(restorer_run(&result, restorer, &skull, NULL, &error), &error);
    CHECK_OK(report_make(&report, &result, &skull, restorer, &(struct report_request){0}, &error), &error);
    CHECK_OK(report_text(&text, &report, &result, restorer, "case.nrrd", &error), &error);
    CHECK_OK(report_page_text(&page, &report, &result, restorer, "case.nrrd", &error), &error);
    cJSON *root = cJSON_Parse(text ? text : "");
    const cJSON *model = cJSON_GetObjectItem(root, "model"), *shape = cJSON_GetObjectItem(model, "shape_model");
    CHECK_TEXT(cJSON_GetStringValue(cJSON_GetObjectItem(model, "network")), "pair");
    CHECK(cJSON_GetNumberValue(cJSON_GetObjectItem(model, "parameters")) > 100);
    CHECK_INT((int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(shape, "heads")), 6);
    CHECK(cJSON_GetStringValue(cJSON_GetObjectItem(shape, "dataset_hash")) != NULL);
    CHECK_CONTAINS(page ? page : "", "<dt>network<dd>pair, ");
    CHECK_CONTAINS(page ? page : "", "<dt>shape model<dd>of 6 heads");
    cJSON_Delete(root);
    memory_free(text);
    memory_free(page);
    report_done(&report);
    restoration_done(&result);
    restorer_free(restorer);
}

/* beside.h: of what the network offers within the box, what lies on no ray of a hole and hangs together with the
 * implant. */
static void test_beside(void)
{
    struct volume implant = fixture_volume(8, 8, 8, 1, 1, 1), network = fixture_volume(8, 8, 8, 1, 1, 1);
    uint8_t in_hole[6 * 6 * 6];
    const struct shape_restoration restoration = {.box = {{1, 1, 1}, {7, 7, 7}}, .in_hole = in_hole};
    for (int v = 0; v < 6 * 6 * 6; v++)
        in_hole[v] = v % 6 < 3; /* x below 4 */
    fixture_box(&implant, (struct box){{3, 3, 3}, {4, 4, 4}}, 1);
    CHECK_INT(beside_add(&implant, &network, &restoration), 0);

    fixture_box(&network, (struct box){{0, 3, 3}, {8, 4, 4}}, 1); /* a rod through the implant */
    fixture_box(&network, (struct box){{6, 6, 6}, {7, 7, 7}}, 1); /* and a voxel apart */
    CHECK_INT(beside_add(&implant, &network, &restoration), 3);
    for (int x = 0; x < 8; x++)
        CHECK_INT(fixture_at(&implant, x, 3, 3), x >= 3 && x < 7);
    CHECK_INT(fixture_at(&implant, 6, 6, 6), 0);

    fixture_box(&network, (struct box){{5, 3, 3}, {6, 7, 4}}, 1); /* what bends back is reached as well */
    fixture_box(&network, (struct box){{5, 6, 1}, {6, 7, 4}}, 1);
    CHECK_INT(beside_add(&implant, &network, &restoration), 5);
    CHECK_INT(fixture_at(&implant, 5, 6, 1), 1);
    volume_done(&implant);
    volume_done(&network);
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

/* The prediction that is handed on lies on the turned head's own grid: it gives the implant back. */
static void check_prediction(const struct restoration *result, const struct volume *head)
{
    struct error error = {0};
    const struct grid *grid = &head->grid;
    const int64_t n = grid_voxels(grid);
    const struct box whole = {{0}, {grid->dim[0], grid->dim[1], grid->dim[2]}};
    float *p = memory_alloc((size_t)n, sizeof *p);
    int64_t others = 0, missing = 0;
    if (!CHECK(result->prediction.data != NULL) || !CHECK(p != NULL))
        return;
    CHECK_NEAR(result->threshold, 0.5, 0);
    CHECK_OK(prediction_values(p, grid, whole, &result->prediction, &error), &error);
    for (int64_t v = 0; v < n; v++) {
        const bool is = p[v] > 0.5F && !((const uint8_t *)head->data)[v];
        others += is != (((const uint8_t *)result->implant.data)[v] != 0);
        missing += is;
    }
    CHECK(missing > 1000);
    CHECK(others * 1000 < missing); /* in another order of summation a value at the threshold falls the other way */
    memory_free(p);
}

/* A network that returns its prior two voxels towards the vertex: of a head in any quarter turn the same voxels. */
static void test_network_turned(void)
{
    static const double turns[][3] = {{0, 180, 0}, {90, 0, 0}};
    struct error error = {0};
    struct fixture_network up;
    struct restorer *coarse = NULL, *network = NULL, *resampled = NULL;
    struct restoration upright = {0}, turned = {0};
    struct restore_config config = {.task = TASK_IMPLANT,
                                    .threshold = 0.5,
                                    .window = {.scan = SCAN_OVERLAP, .patch_vox = {32, 32, 32}, .batch = 1}};
    make_files();
    fixture_network(
        &up, "input_channels: 2\npatch_vox: 32\nlayers: [ { name: up, type: conv, filters: 1, kernel: 5 } ]\n", 1);
    memset(up.params.value, 0, (size_t)up.params.n_floats * sizeof(float));
    up.params.value[params_find(&up.params, "up.w")->offset + 125 + 0 * 25 + 2 * 5 + 2] = 1; /* channel 1, z - 2 */
    CHECK_OK(restorer_open(&coarse, model_path, NULL, &error), &error);
    CHECK_OK(restorer_new(&network, &up.config, &up.params, &config, coarse, &error), &error);
    config.working_spacing_mm[0] = config.working_spacing_mm[1] = config.working_spacing_mm[2] = 3;
    CHECK_OK(restorer_new(&resampled, &up.config, &up.params, &config, coarse, &error), &error);
    restorer_keep_prediction(resampled, true);
    CHECK_OK(restorer_run(&upright, network, &skull, NULL, &error), &error);
    CHECK(mask_count(upright.implant.data, grid_voxels(&skull.grid)) > 1000);

    for (size_t t = 0; t < sizeof turns / sizeof *turns; t++) {
        struct volume other = with_header(turns[t][0], turns[t][1], turns[t][2]), back = {0};
        CHECK_OK(restorer_run(&turned, network, &other, NULL, &error), &error);
        CHECK(turned.implant.grid.dim[0] == other.grid.dim[0] && turned.implant.grid.dim[2] == other.grid.dim[2]);
        CHECK_OK(turn_volume(&back, &turned.implant, (const double(*)[3])turned.shape->pose.pose.rotation, &error),
                 &error);
        CHECK(overlap(&back, &upright.implant) > 0.9);
        volume_done(&back);
        restoration_done(&turned);
        CHECK_OK(restorer_run(&turned, resampled, &other, NULL, &error), &error);
        check_prediction(&turned, &other);
        volume_done(&other);
        restoration_done(&turned);
    }
    restoration_done(&upright);
    restorer_free(network);
    restorer_free(resampled);
    restorer_free(coarse);
    fixture_network_done(&up);
}

/* Said in the report, and an error with --strict. */
static void test_upside_down(void)
{
    struct error error = {0}, strict = {0};
    struct batch_config config;
    struct arena arena = {0};
    make_files();
    struct volume other = with_header(0, 180, 0);
    char *path = arena_strdup(&arena, check_path("feet_first.nrrd")), *text = NULL;
    size_t bytes;
    CHECK_OK(volume_write(path, &other, &error), &error);
    CHECK_OK(config_bind(&batch_table, NULL, &config, &arena, &error), &error);
    config.model = model_path;
    config.out = check_path("out_feet_first");
    config.no_mesh = config.no_picture = config.no_page = true;
    FILE *table = tmpfile();
    CHECK_OK(batch_run(&config, 1, &path, table, &error), &error);
    CHECK_OK(file_read(&text, &bytes, file_join(&arena, config.out, "feet_first_report.json"), 1 << 20, &error),
             &error);
    CHECK_CONTAINS(text ? text : "", "the head lies upside down in the volume");
    memory_free(text);
    config.overwrite = config.input.strict = true;
    CHECK_FAILS(batch_run(&config, 1, &path, table, &strict), &strict, STATUS_FAILED, "upside down");
    fclose(table);
    volume_done(&other);
    arena_done(&arena);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"restorer", test_restorer},
                                       {"correction", test_correction},
                                       {"report_of_both", test_report_of_both},
                                       {"beside", test_beside},
                                       {"batch", test_batch},
                                       {"network_turned", test_network_turned},
                                       {"upside_down", test_upside_down},
                                       {0}};
    const int rc = check_main(argc, argv, tests);
    volume_done(&skull);
    return rc;
}
