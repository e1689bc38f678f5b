/* test_ensemble.c - ensembles: on disk, member by member; equal members are one model; the mean and spread of others;
 * the same bits for any number of threads; memory known before. */
#include "infer/ensemble.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/parallel.h"
#include "infer/restore.h"
#include "nn/model/ensemble_file.h"
#include "tests/check.h"
#include "tests/infer/fixture.h"

static const char *const NETWORK = "{name: mean, patch_vox: 8, layers: [{type: conv, filters: 1, kernel: 3}]}";
static const char *const PIPELINE = "task: implant\nscan: overlap\nthreshold: 0.02\npostprocess: []\n";

struct members {
    int n;
    uint64_t seeds[4];
    const char *pipeline;
    bool coarse; /* each has a coarse stage of its own */
};

static enum status member_read(void *context, int64_t member, struct model *ret, struct error *error)
{
    const struct members *members = context;
    struct fixture_network network;
    struct model_text *text;
    fixture_network(&network, NETWORK, members->seeds[member - 1]);
    *ret = (struct model){.network = network.config, .params = network.params, .arena = network.arena, .n_texts = 1};
    text = arena_alloc(&ret->arena, 1, sizeof *text);
    if (!text)
        return error_memory(error, sizeof *text, "a text");
    *text = (struct model_text){"restore", member == 2 && members->pipeline ? members->pipeline : PIPELINE};
    ret->texts = text;
    return STATUS_OK;
}

static const char *ensemble_of(const char *name, struct members members)
{
    struct error error = {0};
    const struct ensemble_source source = {member_read, &members};
    const struct model_text texts[] = {{"metrics", "dsc: 0.9\n"}, {"name", "five"}};
    const char *path = check_path(name);
    return CHECK_OK(ensemble_write(path, members.n, &source, texts, 2, &error), &error) ? path : NULL;
}

static const char *model_of(const char *name, uint64_t seed)
{
    struct error error = {0};
    struct members one = {.n = 1, .seeds = {seed}};
    struct model model;
    const char *path = check_path(name);
    if (!CHECK_OK(member_read(&one, 1, &model, &error), &error) || !CHECK_OK(model_write(path, &model, &error), &error))
        return NULL;
    model_done(&model);
    return path;
}

static struct restoration restore(const char *path, const struct volume *skull, const char *set)
{
    struct error error = {0};
    struct restorer *restorer = NULL;
    struct restoration result = {0};
    const struct config_strings sets = {set != NULL, &set};
    if (path && CHECK_OK(restorer_open(&restorer, path, &sets, &error), &error)) {
        restorer_keep_raw(restorer, true);
        CHECK_OK(restorer_run(&result, restorer, skull, NULL, &error), &error);
    }
    restorer_free(restorer);
    return result;
}

static struct volume skull_of_noise(void)
{
    struct volume skull = fixture_volume(21, 19, 17, 1, 1, 1);
    fixture_noise(&skull, 4, 0.4);
    return skull;
}

static bool same_masks(const struct restoration *a, const struct restoration *b)
{
    const size_t n = (size_t)grid_voxels(&a->implant.grid);
    return memcmp(a->implant.data, b->implant.data, n) == 0 && memcmp(a->raw.data, b->raw.data, n) == 0;
}

/* On the skull's own grid, and on a working grid. */
static void test_equal_members(void)
{
    static const char *const sets[] = {NULL, "working_spacing_mm=1.7"};
    struct volume skull = skull_of_noise();
    const char *alone = model_of("alone.h5", 11),
               *three = ensemble_of("three.h5", (struct members){.n = 3, .seeds = {11, 11, 11}});
    for (int i = 0; i < 2; i++) {
        struct restoration one = restore(alone, &skull, sets[i]), all = restore(three, &skull, sets[i]);
        if (!CHECK(one.implant.data && all.implant.data && all.spread.data))
            return;
        CHECK(mask_count(one.raw.data, grid_voxels(&skull.grid)) > 20);
        CHECK(same_masks(&one, &all));
        CHECK_INT(one.changed_vox, all.changed_vox);
        CHECK(!one.spread.data);
        int64_t n_crossing = 0;
        for (int64_t v = 0; v < grid_voxels(&all.spread.grid); v++) {
            const float mm = ((const float *)all.spread.data)[v];
            n_crossing += !isnan(mm);
            if (!isnan(mm) && mm > 0)
                CHECK(false);
        }
        CHECK(n_crossing > 20);
        restoration_done(&one);
        restoration_done(&all);
    }
    volume_done(&skull);
}

/* Of different members: voxel by voxel the mean of what each predicts alone, at any number of threads. */
static void test_mean(void)
{
    struct volume skull = skull_of_noise();
    const char *path = ensemble_of("mixed.h5", (struct members){.n = 3, .seeds = {3, 8, 11}});
    parallel_set_threads(1);
    struct restoration one = restore(path, &skull, NULL);
    parallel_set_threads(2);
    struct restoration two = restore(path, &skull, NULL);
    if (!CHECK(one.implant.data && two.implant.data))
        return;
    CHECK(same_masks(&one, &two));
    CHECK(memcmp(one.spread.data, two.spread.data, (size_t)grid_voxels(&one.spread.grid) * sizeof(float)) == 0);

    /* Somewhere the three differ, so that the surface is uncertain; a world position finds it. */
    struct error error = {0};
    struct restorer *restorer = NULL;
    int64_t n = 0;
    if (CHECK_OK(restorer_open(&restorer, path, NULL, &error), &error)) {
        CHECK_INT(restorer_members(restorer), 3);
        for (int64_t v = 0; v < grid_voxels(&skull.grid); v++) {
            const double index[3] = {(double)(v % 21), (double)(v / 21 % 19), (double)(v / 21 / 19)};
            double world[3];
            grid_to_world(&skull.grid, index, world);
            n += restoration_interval_mm(&one, restorer, world) > 0.01;
        }
        CHECK(n > 20);
    }
    restorer_free(restorer);
    restoration_done(&one);
    restoration_done(&two);
    volume_done(&skull);
}

static void test_field(void)
{
    struct error error = {0};
    struct ensemble_field field = {0};
    struct volume p = {0}, other = {0};
    const int64_t dim[3] = {4, 3, 2}, less[3] = {3, 3, 2};
    const struct grid grid = grid_make(dim, (const double[3]){2, 1, 1}), small = grid_make(less, (double[3]){1, 1, 1});
    CHECK_OK(volume_new(&p, &grid, VOXEL_F32, &error), &error);
    CHECK_OK(volume_new(&other, &small, VOXEL_F32, &error), &error);

    /* Three ramps along x of 0.1 per mm that differ by a shift of p: sd .02, so the surface moves by .2 mm. */
    for (int m = 0; m < 3; m++) {
        for (int64_t i = 0; i < 24; i++)
            ((float *)p.data)[i] = 0.2F * (float)(i % 4) + 0.02F * (float)(m - 1);
        CHECK_OK(ensemble_add(&field, &p, &error), &error);
    }
    CHECK_NEAR(((float *)field.mean.data)[2], 0.4, 1e-6);
    ensemble_spread(&field, 0.3F);
    CHECK(isnan(((float *)field.spread.data)[0]) && isnan(((float *)field.spread.data)[3]));
    CHECK_NEAR(((float *)field.spread.data)[1], 1.645 * 0.2, 1e-4);
    CHECK_NEAR(((float *)field.spread.data)[2], 1.645 * 0.2, 1e-4);
    CHECK_FAILS(ensemble_add(&field, &other, &error), &error, STATUS_FAILED, "different grids");
    ensemble_done(&field);
    volume_done(&p);
    volume_done(&other);
}

static void test_file(void)
{
    struct error error = {0}, differs = {0}, past = {0}, single = {0};
    struct members members = {.n = 2, .seeds = {3, 8}, .pipeline = "task: implant\nthreshold: 0.4\n"};
    const struct ensemble_source source = {member_read, &members};
    const char *path = ensemble_of("pair.h5", (struct members){.n = 2, .seeds = {3, 8}}), *alone = model_of("m.h5", 8);
    struct model model, plain;
    if (!path || !alone)
        return;
    CHECK_INT(ensemble_members(path), 2);
    CHECK_INT(ensemble_members(alone), 0);
    CHECK_INT(ensemble_members(check_path("nowhere.h5")), 0);

    /* A member is its model; under the whole's texts it has those. */
    if (CHECK_OK(ensemble_read_member(&model, path, 2, &error), &error) &&
        CHECK_OK(model_read(&plain, alone, false, &error), &error)) {
        CHECK(memcmp(model.params.value, plain.params.value, (size_t)plain.params.n_floats * sizeof(float)) == 0);
        CHECK(model_text(&model, "metrics") == NULL);
        model_done(&model);
        model_done(&plain);
    }
    if (CHECK_OK(ensemble_read(&model, path, 1, &error), &error)) {
        CHECK_TEXT(model_text(&model, "metrics"), "dsc: 0.9\n");
        CHECK_TEXT(model_text(&model, "restore"), PIPELINE);
        model_done(&model);
    }
    CHECK_FAILS(ensemble_read(&model, path, 3, &past), &past, STATUS_USAGE, "member 3 of 2");
    CHECK_FAILS(model_read(&model, path, false, &single), &single, STATUS_FAILED, "an ensemble of several models");
    CHECK_FAILS(ensemble_write(check_path("bad.h5"), 2, &source, NULL, 0, &differs), &differs, STATUS_FAILED,
                "member 2 has another pipeline");
    CHECK(!file_exists(check_path("bad.h5")));
}

/* Members run one after the other: the bound grows by the mean and its spread, not by the members. */
static void test_memory(void)
{
    struct error error = {0};
    struct restorer *restorers[3] = {NULL};
    const char *paths[] = {model_of("one.h5", 3), ensemble_of("two.h5", (struct members){.n = 2, .seeds = {3, 8}}),
                           ensemble_of("four.h5", (struct members){.n = 4, .seeds = {3, 8, 9, 10}})};
    struct volume skull = fixture_volume(60, 50, 40, 1, 1, 1);
    int64_t bytes[3] = {0};
    for (int i = 0; i < 3; i++) {
        if (CHECK_OK(restorer_open(&restorers[i], paths[i], NULL, &error), &error))
            bytes[i] = restorer_bytes(restorers[i], &skull.grid);
        restorer_free(restorers[i]);
    }
    CHECK(bytes[1] > bytes[0] && bytes[1] <= bytes[0] + 3 * 4 * grid_voxels(&skull.grid) + 4096);
    CHECK_INT(bytes[2], bytes[1]);
    volume_done(&skull);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"field", test_field}, {"file", test_file},     {"equal_members", test_equal_members},
        {"mean", test_mean},   {"memory", test_memory}, {0}};
    log_set_level(LOG_QUIET);
    return check_main(argc, argv, tests);
}
