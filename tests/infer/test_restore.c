/* test_restore.c - from network values to masks: tasks, threshold, counts, working grids, models on disk, overrides. */
#include "infer/restore.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "tests/check.h"
#include "tests/infer/fixture.h"

/* Weighs a voxel and its neighbours: adds where bone is near, takes thin bone away. */
static const char *const MEAN = "{patch_vox: 8, layers: [{type: conv, filters: 1, kernel: 3}]}";

static void set_weights(struct fixture_network *network, float w, float b)
{
    for (int64_t i = 0; i < network->params.n; i++) {
        const struct param *param = &network->params.items[i];
        for (int64_t k = 0; k < param->count; k++)
            network->params.value[param->offset + k] = strstr(param->name, ".w") ? w : b;
    }
}

static struct restore_config config_of(int task, struct config_list rules)
{
    return (struct restore_config){
        .task = task,
        .window = {.scan = SCAN_GRID, .overlap_frac = 0.5, .patch_vox = {8, 8, 8}, .batch = 1},
        .threshold = 0.5,
        .postprocess = rules};
}

static struct restoration restore(struct fixture_network *network, const struct restore_config *config,
                                  const struct volume *skull, bool keep_raw)
{
    struct error error = {0};
    struct restorer *restorer = NULL;
    struct restoration result = {0};
    CHECK_OK(restorer_new(&restorer, &network->config, &network->params, config, NULL, &error), &error);
    restorer_keep_raw(restorer, keep_raw);
    CHECK(restorer_bytes(restorer, &skull->grid) > 4 * grid_voxels(&skull->grid));
    CHECK_OK(restorer_run(&result, restorer, skull, NULL, &error), &error);
    restorer_free(restorer);
    return result;
}

static int64_t count(const struct volume *mask)
{
    return mask_count(mask->data, grid_voxels(&mask->grid));
}

static bool same(const struct volume *a, const struct volume *b)
{
    return memcmp(a->data, b->data, (size_t)grid_voxels(&a->grid)) == 0;
}

/* An identity network changes nothing: completed is the input, the implant is empty. */
static void test_identity_completion_is_empty(void)
{
    for (int mode = SCAN_GRID; mode <= SCAN_OVERLAP; mode++) {
        struct fixture_network identity;
        struct volume skull = fixture_volume(21, 19, 17, 1, 1, 1);
        struct restore_config config = config_of(TASK_COMPLETION, (struct config_list){0});
        config.window.scan = mode;
        fixture_identity(&identity, 8, 8, 8);
        fixture_noise(&skull, 4, 0.4);
        struct restoration result = restore(&identity, &config, &skull, true);
        CHECK_INT(count(&result.implant), 0);
        CHECK_INT(result.changed_vox, 0);
        CHECK(same(&result.completed, &skull));
        CHECK(same(&result.raw, &skull));
        restoration_done(&result);
        volume_done(&skull);
        fixture_network_done(&identity);
    }
}

/* precision is the restoration's to choose; 0 and 1 are exact in bfloat16. A misspelt one is refused. */
static void test_precision_is_a_setting(void)
{
    struct fixture_network identity;
    struct volume skull = fixture_volume(21, 19, 17, 1, 1, 1);
    struct restore_config config = config_of(TASK_COMPLETION, (struct config_list){0}), wrong;
    struct arena arena = {0};
    struct error error = {0};
    config.precision = RESTORE_PRECISION_BFLOAT16;
    fixture_identity(&identity, 8, 8, 8);
    fixture_noise(&skull, 4, 0.4);
    struct restoration result = restore(&identity, &config, &skull, true);
    CHECK(same(&result.raw, &skull));
    CHECK_FAILS(restore_config_read(&wrong, "precision: bfloat\n", "m.h5", NULL, &arena, &error), &error, STATUS_USAGE,
                "did you mean 'bfloat16'?");
    arena_done(&arena);
    restoration_done(&result);
    volume_done(&skull);
    fixture_network_done(&identity);
}

/* The same network as an implant network: its answer is the skull, and what is bone already is no implant. */
static void test_implant_never_takes_bone(void)
{
    struct fixture_network identity;
    struct volume skull = fixture_volume(16, 16, 16, 1, 1, 1);
    struct restore_config config = config_of(TASK_IMPLANT, (struct config_list){0});
    fixture_identity(&identity, 8, 8, 8);
    fixture_noise(&skull, 4, 0.4);
    struct restoration result = restore(&identity, &config, &skull, true);
    CHECK_INT(count(&result.implant), 0);
    CHECK_INT(result.changed_vox, count(&skull));
    CHECK(same(&result.raw, &skull));
    CHECK(same(&result.completed, &skull));
    restoration_done(&result);
    volume_done(&skull);
    fixture_network_done(&identity);
}

/* 27-voxel sums above 12.5: against a naive loop inside one patch. */
static void test_counts_and_masks_of_a_changing_network(void)
{
    struct fixture_network mean;
    struct volume skull = fixture_volume(8, 8, 8, 1, 1, 1);
    struct restore_config config = config_of(TASK_COMPLETION, (struct config_list){0});
    config.threshold = 12.5;
    fixture_network(&mean, MEAN, 1);
    set_weights(&mean, 1, 0);
    fixture_noise(&skull, 4, 0.55);
    struct restoration result = restore(&mean, &config, &skull, true);
    int64_t changed = 0, added = 0, wrong = 0;
    for (int64_t i = 0; i < 512; i++) {
        int64_t at[3] = {i % 8, i / 8 % 8, i / 64};
        int sum = 0;
        for (int n = 0; n < 27; n++) {
            int64_t x = at[0] + n % 3 - 1, y = at[1] + n / 3 % 3 - 1, z = at[2] + n / 9 - 1;
            if (x >= 0 && x < 8 && y >= 0 && y < 8 && z >= 0 && z < 8)
                sum += fixture_at(&skull, x, y, z);
        }
        bool is = sum > 12.5, was = ((uint8_t *)skull.data)[i];
        changed += is != was;
        added += is && !was;
        wrong += ((uint8_t *)result.raw.data)[i] != is || ((uint8_t *)result.implant.data)[i] != (is && !was) ||
                 ((uint8_t *)result.completed.data)[i] != (is || was);
    }
    CHECK_INT(wrong, 0);
    CHECK_INT(result.changed_vox, changed);
    CHECK(added > 20 && changed > added + 20);
    restoration_done(&result);
    volume_done(&skull);
    fixture_network_done(&mean);
}

/* Below the top slices the skull is left alone, in the raw answer too. */
static void test_below_the_top_nothing_changes(void)
{
    struct fixture_network all;
    struct volume skull = fixture_volume(9, 9, 30, 1, 1, 1);
    struct restore_config config = config_of(TASK_COMPLETION, (struct config_list){0});
    config.window.top_vox = 10;
    fixture_network(&all, MEAN, 1);
    set_weights(&all, 0, 1); /* answers bone everywhere */
    fixture_noise(&skull, 4, 0.4);
    struct restoration result = restore(&all, &config, &skull, true);
    int64_t slice = 81, low = 20 * slice;
    CHECK_INT(mask_count(result.implant.data, low), 0);
    CHECK(memcmp(result.raw.data, skull.data, (size_t)low) == 0);
    CHECK_INT(count(&result.implant), 10 * slice - mask_count((uint8_t *)skull.data + low, 10 * slice));
    CHECK_INT(result.changed_vox, count(&result.implant));
    restoration_done(&result);
    volume_done(&skull);
    fixture_network_done(&all);
}

/* A coarser grid and back: an identity network leaves a smooth skull nearly as it was, and the masks stand on the
 * input's grid.
 */
static void test_working_grids(void)
{
    for (int whole = 0; whole < 2; whole++) {
        struct fixture_network identity;
        struct volume skull = fixture_volume(40, 44, 36, 1, 1, 1.5);
        struct restore_config config = config_of(TASK_COMPLETION, (struct config_list){0});
        fixture_skull(&skull, 6);
        if (whole) {
            config.window.scan = SCAN_WHOLE;
            config.window.patch_vox[0] = 32;
            config.window.patch_vox[1] = 48;
            config.window.patch_vox[2] = 24;
            fixture_identity(&identity, 32, 48, 24);
        } else {
            config.working_spacing_mm[0] = config.working_spacing_mm[1] = 2.2;
            config.working_spacing_mm[2] = 2.5;
            fixture_identity(&identity, 8, 8, 8);
        }
        struct restoration result = restore(&identity, &config, &skull, false);
        CHECK(grid_same(&result.implant.grid, &skull.grid, 0));
        CHECK(grid_same(&result.completed.grid, &skull.grid, 0));
        CHECK(result.raw.data == NULL);
        CHECK(result.changed_vox < count(&skull) / 5); /* thin edges alone */
        CHECK(result.changed_vox > 0);
        restoration_done(&result);
        volume_done(&skull);
        fixture_network_done(&identity);
    }
}

static void test_outputs_keep_the_storage(void)
{
    struct fixture_network identity;
    struct volume skull = fixture_volume(8, 8, 8, 1, 1, 1);
    struct restore_config config = config_of(TASK_COMPLETION, (struct config_list){0});
    fixture_identity(&identity, 8, 8, 8);
    fixture_noise(&skull, 4, 0.4);
    skull.storage.format = VOLUME_NRRD;
    skull.storage.flip[1] = true;
    struct restoration result = restore(&identity, &config, &skull, false);
    CHECK_INT(result.implant.storage.format, VOLUME_NRRD);
    CHECK(result.completed.storage.flip[1]);
    restoration_done(&result);
    volume_done(&skull);
    fixture_network_done(&identity);
}

static void write_model(const char *path, struct fixture_network *network, const char *restore_text)
{
    struct error error = {0};
    struct model_text texts[] = {{"restore", restore_text}, {"name", "tiny"}};
    struct model model = {
        .network = network->config, .params = network->params, .n_texts = restore_text ? 2 : 0, .texts = texts};
    CHECK_OK(model_write(path, &model, &error), &error);
}

/* A model alone can infer; its pipeline can be overridden; a run folder stands for its best model. */
static void test_model_files(void)
{
    struct error error = {0}, bad = {0}, none = {0}, folder = {0}, missing = {0};
    struct fixture_network identity;
    struct restorer *restorer = NULL;
    const char *sets[] = {"threshold=0.25", "postprocess=[{open: 2}]"}, *wrong[] = {"treshold=1"};
    struct config_strings overrides = {2, sets}, typo = {1, wrong};
    fixture_identity(&identity, 8, 8, 8);
    const char *run = check_path("run"), *best = check_path("run/best.h5"), *mute = check_path("mute.h5"),
               *empty = check_path("empty");
    CHECK_OK(file_make_folders(run, &error), &error);
    CHECK_OK(file_make_folders(empty, &error), &error);
    write_model(best, &identity, "{task: implant, scan: overlap, threshold: 0.75}\n");
    write_model(mute, &identity, NULL);
    CHECK_OK(restorer_open(&restorer, run, NULL, &error), &error);
    if (restorer) {
        CHECK_TEXT(restorer_path(restorer), best);
        CHECK_INT(restorer_config(restorer)->task, TASK_IMPLANT);
        CHECK_INT(restorer_config(restorer)->window.scan, SCAN_OVERLAP);
        CHECK_INT(restorer_config(restorer)->window.patch_vox[2], 8);
        CHECK_NEAR(restorer_config(restorer)->threshold, 0.75, 0);
        CHECK_INT(restorer_config(restorer)->postprocess.n, 2);
        restorer_free(restorer);
    }
    restorer = NULL;
    CHECK_OK(restorer_open(&restorer, best, &overrides, &error), &error);
    if (restorer) {
        CHECK_NEAR(restorer_config(restorer)->threshold, 0.25, 0);
        CHECK_INT(restorer_config(restorer)->postprocess.n, 1);
        restorer_free(restorer);
    }
    CHECK_FAILS(restorer_open(&restorer, best, &typo, &bad), &bad, STATUS_USAGE, "did you mean 'threshold'");
    CHECK_FAILS(restorer_open(&restorer, mute, NULL, &none), &none, STATUS_FAILED, "restore");
    CHECK_FAILS(restorer_open(&restorer, empty, NULL, &folder), &folder, STATUS_FAILED,
                "none of model.h5, best.h5 and last.h5");
    CHECK_FAILS(restorer_open(&restorer, check_path("absent.h5"), NULL, &missing), &missing, STATUS_FAILED,
                "absent.h5");
    fixture_network_done(&identity);
}

/* A coarse stage that answers with the share of bone, at 2 mm. */
static struct restore_config coarse_config(void)
{
    struct restore_config config = config_of(TASK_IMPLANT, (struct config_list){0});
    config.window.scan = SCAN_WHOLE;
    for (int a = 0; a < 3; a++) {
        config.window.patch_vox[a] = 16;
        config.working_spacing_mm[a] = 2;
    }
    config.threshold = 0.3;
    return config;
}

/* The fine stage's answer is its second channel: the pair then restores as its coarse stage alone does, at the same
 * spacing to the last voxel; and tiles the coarse stage says nothing of are not looked at. */
static void test_cascade(void)
{
    static const char second[] =
        "input_channels: 2\npatch_vox: 8\nlayers: [ { name: pick, type: conv, filters: 1, kernel: 1 } ]\n";
    struct error error = {0}, wrong = {0};
    struct fixture_network coarse, fine;
    struct restorer *first = NULL, *pair = NULL;
    struct restoration alone, both;
    struct volume skull = fixture_volume(30, 28, 26, 1, 1, 1);
    struct restore_config config = coarse_config(), fine_config = config_of(TASK_IMPLANT, (struct config_list){0});
    fixture_box(&skull, (struct box){{3, 4, 5}, {12, 13, 24}}, 1);
    fixture_identity(&coarse, 16, 16, 16);
    fixture_network(&fine, second, 1);
    memcpy(params_find(&fine.params, "pick.w")->offset + fine.params.value, (const float[]){0, 1}, 2 * sizeof(float));
    fine_config.window.scan = SCAN_OVERLAP;
    fine_config.window.min_prior = 1e-6; /* what is skipped is 0 there, and the spline sees it */
    fine_config.threshold = 0.3;
    for (int a = 0; a < 3; a++)
        fine_config.working_spacing_mm[a] = 2;
    CHECK_OK(restorer_new(&first, &coarse.config, &coarse.params, &config, NULL, &error), &error);
    CHECK_OK(restorer_new(&pair, &fine.config, &fine.params, &fine_config, first, &error), &error);
    CHECK_FAILS(restorer_new(&pair, &fine.config, &fine.params, &fine_config, NULL, &wrong), &wrong, STATUS_USAGE,
                "2 channels");
    CHECK_OK(restorer_run(&alone, first, &skull, NULL, &error), &error);
    CHECK_OK(restorer_run(&both, pair, &skull, NULL, &error), &error);
    CHECK(count(&alone.implant) > 100); /* interpolation grows it a little beyond the bone */
    int64_t n_differ = 0; /* a skipped tile has less than a tenth of the say at its border, where the spline sees it */
    for (int64_t i = 0; i < grid_voxels(&skull.grid); i++)
        n_differ += ((const uint8_t *)alone.implant.data)[i] != ((const uint8_t *)both.implant.data)[i];
    CHECK(n_differ <= 2);
    CHECK(both.stats.n_skipped > 0);
    CHECK(both.stats.n_tiles > both.stats.n_skipped + 1);
    restoration_done(&alone);
    restoration_done(&both);
    restorer_free(pair);
    restorer_free(first);
    fixture_network_done(&coarse);
    fixture_network_done(&fine);
    volume_done(&skull);
}

/* A coarse stage of completion says what its answer adds to the skull: as one of the implant that answers with just
 * that. */
static void test_cascade_of_completion(void)
{
    static const char *const first[] = {
        "input_channels: 1\npatch_vox: 16\nlayers: [ { name: mix, type: conv, filters: 1, kernel: 1 } ]\n",
        "input_channels: 1\npatch_vox: 16\nlayers: [ { name: mix, type: conv, filters: 1, kernel: 1 }, { type: relu } "
        "]\n"};
    static const char second[] =
        "input_channels: 2\npatch_vox: 8\nlayers: [ { name: pick, type: conv, filters: 1, kernel: 1 } ]\n";
    struct error error = {0};
    struct restoration results[2] = {0};
    struct fixture_network fine;
    struct volume skull = fixture_volume(30, 28, 26, 1, 1, 1);
    struct restore_config fine_config = config_of(TASK_IMPLANT, (struct config_list){0});
    float frame[16 * 16 * 16], answers[2][16 * 16 * 16];
    fixture_box(&skull, (struct box){{3, 4, 5}, {12, 13, 24}}, 1);
    fixture_network(&fine, second, 1);
    memcpy(params_find(&fine.params, "pick.w")->offset + fine.params.value, (const float[]){0, 1}, 2 * sizeof(float));
    fine_config.window.scan = SCAN_OVERLAP;
    fine_config.threshold = 0.3;
    for (int a = 0; a < 3; a++)
        fine_config.working_spacing_mm[a] = 2;
    for (int i = 0; i < 16 * 16 * 16; i++)
        frame[i] = (float)(i % 5) / 4;
    for (int task = TASK_COMPLETION; task <= TASK_IMPLANT; task++) {
        struct fixture_network coarse;
        struct restorer *stage = NULL, *pair = NULL;
        struct restore_config config = coarse_config();
        config.task = task;
        fixture_network(&coarse, first[task], 1); /* 0.8, and 0.8 - bone */
        coarse.params.value[params_find(&coarse.params, "mix.w")->offset] = task == TASK_COMPLETION ? 0 : -1;
        coarse.params.value[params_find(&coarse.params, "mix.b")->offset] = 0.8F;
        CHECK_OK(restorer_new(&stage, &coarse.config, &coarse.params, &config, NULL, &error), &error);
        CHECK_OK(restorer_new(&pair, &fine.config, &fine.params, &fine_config, stage, &error), &error);
        CHECK_OK(restorer_run(&results[task], pair, &skull, NULL, &error), &error);
        CHECK_OK(restorer_predict(answers[task], stage, frame, &error), &error);
        restorer_free(pair);
        restorer_free(stage);
        fixture_network_done(&coarse);
    }
    CHECK(count(&results[0].implant) > 1000);
    CHECK(same(&results[0].implant, &results[1].implant));
    int differ = 0;
    for (int i = 0; i < 16 * 16 * 16; i++)
        differ += fabsf(answers[0][i] - answers[1][i]) > 1e-6F;
    CHECK_INT(differ, 0);
    restoration_done(&results[0]);
    restoration_done(&results[1]);
    fixture_network_done(&fine);
    volume_done(&skull);
}

/* A skull that has the working spacing already is framed all the same. */
static void test_whole_scan_at_the_skulls_own_spacing(void)
{
    struct error error = {0};
    struct fixture_network identity;
    struct restorer *restorer = NULL;
    struct restoration result = {0};
    struct volume skull = fixture_volume(20, 14, 12, 2, 2, 2);
    const struct restore_config config = coarse_config(); /* 16 voxels of 2 mm */
    fixture_box(&skull, (struct box){{4, 2, 2}, {15, 12, 10}}, 1);
    fixture_identity(&identity, 16, 16, 16);
    CHECK_OK(restorer_new(&restorer, &identity.config, &identity.params, &config, NULL, &error), &error);
    restorer_keep_raw(restorer, true);
    CHECK_OK(restorer_run(&result, restorer, &skull, NULL, &error), &error);
    CHECK(same(&result.raw, &skull)); /* the network answers with its input */
    restoration_done(&result);
    restorer_free(restorer);
    fixture_network_done(&identity);
    volume_done(&skull);
}

/* Both stages from one file, and its coarse stage alone. */
static void test_cascade_files(void)
{
    static const char second[] =
        "input_channels: 2\npatch_vox: 8\nlayers: [ { name: pick, type: conv, filters: 1, kernel: 1 } ]\n";
    struct error error = {0}, none = {0};
    struct fixture_network coarse, fine;
    struct restorer *pair = NULL, *first = NULL;
    fixture_identity(&coarse, 16, 16, 16);
    fixture_network(&fine, second, 1);
    struct model_text coarse_texts[] = {
        {"restore", "{task: implant, scan: whole, working_spacing_mm: 2, patch_vox: 16}\n"}};
    struct model_text fine_texts[] = {{"restore", "{task: implant, scan: overlap, working_spacing_mm: 1.5}\n"}};
    struct model inner = {.network = coarse.config, .params = coarse.params, .n_texts = 1, .texts = coarse_texts};
    struct model outer = {
        .network = fine.config, .params = fine.params, .n_texts = 1, .texts = fine_texts, .coarse = &inner};
    CHECK_OK(model_write(check_path("pair.h5"), &outer, &error), &error);
    CHECK_OK(restorer_open(&pair, check_path("pair.h5"), NULL, &error), &error);
    CHECK_OK(restorer_open_coarse(&first, check_path("pair.h5"), &error), &error);
    if (pair && first) {
        CHECK_NEAR(restorer_config(pair)->working_spacing_mm[0], 1.5, 0);
        CHECK_NEAR(restorer_config(first)->working_spacing_mm[0], 2, 0);
        CHECK_INT(restorer_config(first)->window.patch_vox[2], 16);
    }
    restorer_free(pair);
    restorer_free(first);
    write_model(check_path("single.h5"), &coarse, "{task: implant, scan: overlap}\n");
    CHECK_FAILS(restorer_open_coarse(&first, check_path("single.h5"), &none), &none, STATUS_FAILED, "no coarse stage");
    fixture_network_done(&coarse);
    fixture_network_done(&fine);
}

/* Averaged with its mirror image, a lopsided network answers a mirrored skull with the mirrored answer. */
static void test_flip_average(void)
{
    struct fixture_network network;
    struct restore_config config = config_of(TASK_COMPLETION, (struct config_list){0});
    struct volume skull = fixture_volume(16, 8, 8, 1, 1, 1), mirrored = fixture_volume(16, 8, 8, 1, 1, 1);
    fixture_network(&network, "patch_vox: 8\nlayers: [ { type: conv, filters: 1, kernel: 3 } ]\n", 5);
    fixture_noise(&skull, 6, 0.4);
    for (int64_t i = 0; i < grid_voxels(&skull.grid); i++)
        ((uint8_t *)mirrored.data)[i / 16 * 16 + 15 - i % 16] = ((const uint8_t *)skull.data)[i];
    config.threshold = 0;
    for (int average = 0; average < 2; average++) {
        config.window.flip_average = average;
        struct restoration a = restore(&network, &config, &skull, true),
                           b = restore(&network, &config, &mirrored, true);
        int64_t differs = 0;
        for (int64_t i = 0; i < grid_voxels(&skull.grid); i++)
            differs += ((uint8_t *)b.raw.data)[i / 16 * 16 + 15 - i % 16] != ((uint8_t *)a.raw.data)[i];
        CHECK(average ? differs == 0 : differs > 10);
        CHECK(count(&a.raw) > 10);
        restoration_done(&a);
        restoration_done(&b);
    }
    volume_done(&skull);
    volume_done(&mirrored);
    fixture_network_done(&network);
}

static void test_builtins(void)
{
    struct error error = {0}, unknown = {0};
    struct restorer *restorer = NULL;
    struct restoration result;
    struct volume skull = fixture_volume(20, 20, 20, 2, 2, 2);
    fixture_skull(&skull, 5);
    CHECK_OK(restorer_open(&restorer, "builtin:nothing", NULL, &error), &error);
    CHECK_OK(restorer_run(&result, restorer, &skull, NULL, &error), &error);
    CHECK_INT(count(&result.implant), 0);
    CHECK(same(&result.completed, &skull));
    CHECK(restorer_model(restorer) == NULL);
    restoration_done(&result);
    restorer_free(restorer);
    CHECK_FAILS(restorer_open(&restorer, "builtin:miror", NULL, &unknown), &unknown, STATUS_USAGE,
                "did you mean 'builtin:mirror'");
    volume_done(&skull);
}

static void test_what_no_skull_fits_is_refused(void)
{
    struct error two = {0}, floats = {0}, spacing = {0};
    struct fixture_network channels, identity;
    struct restorer *restorer = NULL;
    struct restore_config config = config_of(TASK_COMPLETION, (struct config_list){0});
    struct restoration result;
    struct volume skull = fixture_volume(8, 8, 8, 1, 1, 1);
    struct arena arena = {0};
    struct yaml_node *root;
    fixture_network(&channels, "{input_channels: 2, patch_vox: 8, layers: [{type: conv, filters: 1, kernel: 3}]}", 1);
    CHECK_FAILS(restorer_new(&restorer, &channels.config, &channels.params, &config, NULL, &two), &two, STATUS_USAGE,
                "2 channels");
    fixture_identity(&identity, 8, 8, 8);
    struct error made = {0};
    CHECK_OK(restorer_new(&restorer, &identity.config, &identity.params, &config, NULL, &made), &made);
    skull.type = VOXEL_F32;
    CHECK_FAILS(restorer_run(&result, restorer, &skull, NULL, &floats), &floats, STATUS_FAILED, "mask");
    CHECK_OK(yaml_read_text(&root, "working_spacing_mm: [1, 0, 1]", "r.yaml", &arena, &made), &made);
    CHECK_FAILS(config_bind(&restore_table, root, &config, &arena, &spacing), &spacing, STATUS_USAGE, "r.yaml:1:");
    arena_done(&arena);
    restorer_free(restorer);
    volume_done(&skull);
    fixture_network_done(&channels);
    fixture_network_done(&identity);
}

static void test_failing_memory_is_an_error(void)
{
    struct fixture_network identity;
    struct volume skull = fixture_volume(12, 12, 12, 1, 1, 1);
    struct postprocess_rule open = {.open = 1};
    struct config_item item = {&postprocess_table, &open, NULL};
    struct restore_config config = config_of(TASK_IMPLANT, (struct config_list){1, &item});
    config.working_spacing_mm[0] = config.working_spacing_mm[1] = config.working_spacing_mm[2] = 2.5;
    fixture_identity(&identity, 8, 8, 8);
    fixture_skull(&skull, 3);
    bool done = false;
    int64_t n;
    for (n = 1; !done && n < 1000; n++) {
        struct error error = {0};
        struct restorer *restorer = NULL;
        struct restoration result = {0};
        memory_fail_at(n);
        done = restorer_new(&restorer, &identity.config, &identity.params, &config, NULL, &error) == STATUS_OK &&
               restorer_run(&result, restorer, &skull, NULL, &error) == STATUS_OK;
        memory_fail_at(0);
        CHECK(done || error.status == STATUS_FAILED);
        restoration_done(&result);
        restorer_free(restorer);
    }
    CHECK(done);
    CHECK(n > 15);
    volume_done(&skull);
    fixture_network_done(&identity);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"identity_completion_is_empty", test_identity_completion_is_empty},
        {"precision_is_a_setting", test_precision_is_a_setting},
        {"implant_never_takes_bone", test_implant_never_takes_bone},
        {"counts_and_masks_of_a_changing_network", test_counts_and_masks_of_a_changing_network},
        {"below_the_top_nothing_changes", test_below_the_top_nothing_changes},
        {"working_grids", test_working_grids},
        {"outputs_keep_the_storage", test_outputs_keep_the_storage},
        {"model_files", test_model_files},
        {"cascade", test_cascade},
        {"cascade_of_completion", test_cascade_of_completion},
        {"whole_scan_at_the_skulls_own_spacing", test_whole_scan_at_the_skulls_own_spacing},
        {"cascade_files", test_cascade_files},
        {"flip_average", test_flip_average},
        {"builtins", test_builtins},
        {"what_no_skull_fits_is_refused", test_what_no_skull_fits_is_refused},
        {"failing_memory_is_an_error", test_failing_memory_is_an_error},
        {0},
    };
    return check_main(argc, argv, tests);
}
