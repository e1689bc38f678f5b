/* test_model.c - shape.h5 written and read again, files that are not one or are damaged, memory that runs out. */
#include <hdf5.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/hdf5.h"
#include "base/memory.h"
#include "base/rng.h"
#include "field.h"
#include "shape/model.h"
#include "tests/check.h"
#include "tests/hdf5_leaks.h"

enum { DISC_N = 9, HEADS = 3 };

/* A small model of made-up heads; ray 5 is not good and lacks values. */
static void model_make(struct shape_model *ret)
{
    struct error error = {0};
    struct field field;
    memset(ret, 0, sizeof *ret);
    field_make(&field, DISC_N, HEADS, 0.3, 8);
    ret->disc = field.disc;
    ret->heads = field.heads;
    CHECK_OK(disc_init(&ret->template_disc, 11, 1.7, &error), &error);
    const size_t n_rays = (size_t)ret->disc.n_rays;
    ret->template = memory_alloc(11 * 11, sizeof(float));
    ret->good = memory_alloc(n_rays, 1);
    ret->missing = memory_zalloc(n_rays, HEADS);
    ret->heads.n_spread = 2;
    ret->heads.spread = memory_zalloc(2 * n_rays, 2 * sizeof(float));
    ret->head = arena_alloc(&ret->arena, HEADS, sizeof *ret->head);
    memset(ret->good, 1, n_rays);
    for (int p = 0; p < 11 * 11; p++)
        ret->template[p] = 85 + (float)p / 100;
    ret->good[5] = 0;
    ret->heads.map[2 * 5] = ret->heads.map[2 * 5 + 1] = NAN;
    ret->heads.spread[7] = 0.5f;
    ret->missing[3] = 1;
    ret->heads.group[2] = 0;
    for (int h = 0; h < HEADS; h++)
        ret->head[h] = (struct shape_head){
            .name = arena_printf(&ret->arena, "head_%d", h),
            .content_hash = 1000u + (uint64_t)h,
            .complete = h != 1,
            .pose = {.rotation = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, .centre = {h, 2, 3}, .scale = {1, 1.01, 0.99}}};
    CHECK_OK(config_bind(&covariance_table, NULL, &ret->covariance, &ret->arena, &error), &error);
    ret->covariance.noise_outer_mm = 0.37;
    ret->calibration = (struct shape_calibration){0.7, 1.8};
    ret->set_hash = "0123456789abcdef";
    ret->licence = "non-commercial";
}

static void test_round_trip(void)
{
    struct error error = {0};
    struct shape_model model, got;
    char *first, *second;
    size_t n_first, n_second;
    model_make(&model);
    CHECK_OK(shape_model_write(check_path("shape.h5"), &model, &error), &error);
    CHECK_OK(shape_model_write(check_path("again.h5"), &model, &error), &error);
    CHECK_OK(file_read(&first, &n_first, check_path("shape.h5"), 1 << 22, &error), &error);
    CHECK_OK(file_read(&second, &n_second, check_path("again.h5"), 1 << 22, &error), &error);
    CHECK(n_first == n_second && memcmp(first, second, n_first) == 0); /* the same model, the same file */
    memory_free(first);
    memory_free(second);

    CHECK(shape_model_is(check_path("shape.h5")));
    CHECK_OK(shape_model_read(&got, check_path("shape.h5"), &error), &error);
    const size_t n_rays = (size_t)model.disc.n_rays;
    CHECK_INT(got.heads.n, HEADS);
    CHECK_INT(got.heads.n_spread, 2);
    CHECK(memcmp(got.heads.map, model.heads.map, n_rays * HEADS * 2 * sizeof(float)) == 0);
    CHECK(memcmp(got.heads.spread, model.heads.spread, n_rays * 2 * 2 * sizeof(float)) == 0);
    CHECK(memcmp(got.template, model.template, 11 * 11 * sizeof(float)) == 0);
    CHECK(memcmp(got.good, model.good, n_rays) == 0 && memcmp(got.missing, model.missing, n_rays * HEADS) == 0);
    CHECK(memcmp(&got.covariance, &model.covariance, sizeof got.covariance) == 0);
    CHECK(memcmp(got.heads.group, model.heads.group, sizeof(int32_t) * HEADS) == 0);
    CHECK_NEAR(got.calibration.factor_90, 1.8, 0);
    CHECK_TEXT(got.licence, "non-commercial");
    CHECK_TEXT(got.head[1].name, "head_1");
    CHECK(!got.head[1].complete && got.head[2].complete);
    CHECK(memcmp(&got.head[2].pose, &model.head[2].pose, sizeof(struct pose)) == 0);
    CHECK_INT(got.population.n_heads, HEADS);
    CHECK_INT(shape_model_find(&got, "head_0", 1002), 2); /* the voxels say more than the name */
    CHECK_INT(shape_model_find(&got, "head_0", 7), 0);
    CHECK_INT(shape_model_find(&got, "nobody", 7), -1);
    CHECK_INT(shape_model_find(&got, NULL, 7), -1); /* by voxels alone */

    /* heads 0 and 2 are one group: head 1 alone is too few; without head 1 two are left */
    struct population without;
    CHECK_FAILS(shape_model_without(&without, &got, "head_2", 0, &error), &error, STATUS_FAILED, "too few");
    CHECK_OK(shape_model_without(&without, &got, "head_1", 0, &error), &error);
    CHECK_INT(without.n_heads, 2);
    population_done(&without);
    shape_model_done(&got);
    shape_model_done(&model);
}

/* Bone between the surfaces: kept; a file without it has bone everywhere. */
static void test_occupancy(void)
{
    struct error error = {0};
    struct shape_model model, got;
    model_make(&model);
    const size_t n = (size_t)model.disc.n_rays * OCCUPANCY_STEPS;
    CHECK_OK(shape_model_write(check_path("solid.h5"), &model, &error), &error);
    CHECK_OK(shape_model_read(&got, check_path("solid.h5"), &error), &error);
    CHECK(got.heads.occupancy == NULL);
    shape_model_done(&got);

    model.heads.occupancy = memory_alloc(n, 1);
    for (size_t i = 0; i < n; i++)
        model.heads.occupancy[i] = (uint8_t)(i % 251);
    CHECK_OK(shape_model_write(check_path("hollow.h5"), &model, &error), &error);
    CHECK_OK(shape_model_read(&got, check_path("hollow.h5"), &error), &error);
    CHECK(got.heads.occupancy && memcmp(got.heads.occupancy, model.heads.occupancy, n) == 0);
    shape_model_done(&got);
    shape_model_done(&model);
}

/* A mean of some heads alone: another version of the file. */
static void test_centre(void)
{
    struct error error = {0};
    struct shape_model model, got;
    model_make(&model);
    model.heads.centre = memory_zalloc(HEADS, 1);
    model.heads.centre[1] = model.heads.centre[2] = 1;
    CHECK_OK(shape_model_write(check_path("centre.h5"), &model, &error), &error);
    CHECK_OK(shape_model_read(&got, check_path("centre.h5"), &error), &error);
    CHECK(memcmp(got.heads.centre, model.heads.centre, HEADS) == 0);
    CHECK_INT(got.population.n_mean, 2);
    CHECK_INT(got.population.n_heads, HEADS);
    CHECK_NEAR(got.population.mean.outer[0],
               (model.heads.map[2 * model.disc.n_rays + 1] + model.heads.map[4 * model.disc.n_rays + 1] +
                model.heads.map[2 * (model.disc.n_rays + model.disc.mirror[0]) + 1] +
                model.heads.map[2 * (2 * model.disc.n_rays + model.disc.mirror[0]) + 1]) /
                   4,
               1e-4);
    shape_model_done(&got);
    shape_model_done(&model);
}

/* ---- files that are none ---- */

static void file_with(const char *name, const struct shape_model *model)
{
    struct error error = {0};
    CHECK_OK(shape_model_write(check_path(name), model, &error), &error);
}

static void check_refused(const char *name, const char *part)
{
    struct error error = {0};
    struct shape_model got;
    CHECK_FAILS(shape_model_read(&got, check_path(name), &error), &error, STATUS_FAILED, part);
}

/* The file, changed by HDF5's own calls. */
static hid_t file_change(const char *name)
{
    return H5Fopen(check_path(name), H5F_ACC_RDWR, H5P_DEFAULT);
}

static void test_refused(void)
{
    struct error error = {0};
    struct shape_model model;
    model_make(&model);
    check_refused("nowhere.h5", "no such file");
    CHECK_OK(file_write(check_path("text.h5"), "hello", 5, &error), &error);
    check_refused("text.h5", "HDF5");
    CHECK(!shape_model_is(check_path("text.h5")) && !shape_model_is(check_path("nowhere.h5")));

    static const char *const gone[] = {"template", "good", "heads/map", "heads/missing", "heads/pose", "heads/name"};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        file_with("gone.h5", &model);
        const hid_t file = file_change("gone.h5");
        CHECK(H5Ldelete(file, gone[i], H5P_DEFAULT) >= 0);
        H5Fclose(file);
        check_refused("gone.h5", gone[i]);
    }
    static const char *const attributes[] = {"format",    "format_version", "noise_outer_mm",
                                             "factor_50", "disc_n",         "licence"};
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
        file_with("attribute.h5", &model);
        const hid_t file = file_change("attribute.h5");
        CHECK(H5Adelete(file, attributes[i]) >= 0);
        H5Fclose(file);
        check_refused("attribute.h5", attributes[i]);
    }

    model.covariance.noise_outer_mm = 0; /* would make the covariance singular */
    file_with("bad.h5", &model);
    check_refused("bad.h5", "noise_outer_mm");
    model.covariance.noise_outer_mm = 0.4;
    model.calibration.factor_50 = NAN;
    file_with("bad.h5", &model);
    check_refused("bad.h5", "factor_50");
    model.calibration.factor_50 = 0.7;
    model.heads.map[2 * 4] = NAN; /* a good ray */
    file_with("bad.h5", &model);
    check_refused("bad.h5", "heads/map");
    model.heads.map[2 * 4] = 80;
    model.template[3] = -1;
    file_with("bad.h5", &model);
    check_refused("bad.h5", "template");
    model.template[3] = 80;
    model.head[1].pose.scale[1] = 0;
    file_with("bad.h5", &model);
    check_refused("bad.h5", "pose");
    model.head[1].pose.scale[1] = 1;
    model.disc.n = DISC_N + 2; /* another disc than its maps are of */
    file_with("bad.h5", &model);
    check_refused("bad.h5", "expected");
    model.disc.n = DISC_N;
    shape_model_done(&model);
}

/* Cut anywhere, or with bytes changed anywhere: an error or a model, never a crash. */
static void test_damaged(void)
{
    struct error error = {0};
    struct shape_model model, got;
    char *data;
    size_t bytes;
    int refused = 0;
    model_make(&model);
    file_with("whole.h5", &model);
    CHECK_OK(file_read(&data, &bytes, check_path("whole.h5"), 1 << 22, &error), &error);
    for (size_t part = 1; part < 8; part++) {
        CHECK_OK(file_write(check_path("cut.h5"), data, bytes * part / 8, &error), &error);
        check_refused("cut.h5", "cut.h5");
    }
    struct rng rng = rng_make(4, 0);
    for (int i = 0; i < 300; i++) {
        const size_t at = (size_t)rng_below(&rng, (int64_t)bytes);
        const char before = data[at];
        data[at] = (char)(data[at] ^ (1 << rng_below(&rng, 8)));
        CHECK_OK(file_write(check_path("flip.h5"), data, bytes, &error), &error);
        error = (struct error){0};
        if (shape_model_read(&got, check_path("flip.h5"), &error))
            refused++;
        else
            shape_model_done(&got);
        data[at] = before;
    }
    CHECK(refused > 10);
    memory_free(data);
    shape_model_done(&model);
}

static enum status read_once(void *context, struct error *error)
{
    struct shape_model got;
    (void)context;
    if (shape_model_read(&got, check_path("memory.h5"), error))
        return error->status;
    shape_model_done(&got);
    return STATUS_OK;
}

static void test_no_memory(void)
{
    struct shape_model model;
    model_make(&model);
    file_with("memory.h5", &model);
    shape_model_done(&model);
    check_allocation_failures(read_once, NULL, 15);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"occupancy", test_occupancy},
                                       {"round_trip", test_round_trip},
                                       {"centre", test_centre},
                                       {"refused", test_refused},
                                       {"damaged", test_damaged},
                                       {"no_memory", test_no_memory},
                                       {0}};
    return check_main(argc, argv, tests);
}
