/* test_fit.c - a shape model fitted to a packed set of phantoms: what it holds, that it predicts, that threads change
 * nothing, and what is refused. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "phantoms.h"
#include "shape/fit.h"
#include "shape/hole.h"
#include "shape/predict.h"
#include "data/volume/formats.h"
#include "tests/check.h"

enum { HEADS = 5 };

static const struct pack_config all_train = {.split_frac = {1, 0, 0}, .seed = 1};

static void volume_put(const char *folder, const char *name, const struct volume *volume)
{
    struct error error = {0};
    struct arena arena = {0};
    CHECK_OK(file_make_folders(check_path(folder), &error), &error);
    CHECK_OK(volume_write(file_join(&arena, check_path(folder), name), volume, &error), &error);
    arena_done(&arena);
}

/* Phantoms 0 to n - 1, the last one twice where `twice`, packed. */
static const char *set_make(const char *folder, int64_t n, bool twice)
{
    struct error error = {0};
    struct volume skull;
    struct arena arena = {0};
    for (int64_t i = 0; i < n; i++) {
        phantom_make(&skull, i, 2.5);
        volume_put(folder, arena_printf(&arena, "p%d_complete.nii.gz", (int)i), &skull);
        if (twice && i == n - 1) {
            skull.grid.origin[1] += 10; /* another scan of this head: one voxel less */
            uint8_t *mask = skull.data;
            for (int64_t v = 0; v < grid_voxels(&skull.grid); v++)
                if (mask[v]) {
                    mask[v] = 0;
                    break;
                }
            volume_put(folder, "again_complete.nii.gz", &skull);
        }
        volume_done(&skull);
    }
    const char *path = check_path(arena_printf(&arena, "%s.h5", folder));
    CHECK_OK(dataset_pack(check_path(folder), path, &all_train, &error), &error);
    arena_done(&arena);
    return path;
}

/* A head of the model without itself: the error of the outer surface in a hole of its own map, and that of the mean. */
static void check_predicts(const struct shape_model *model)
{
    struct error error = {0};
    struct population population;
    struct radial_map map, filled, sd;
    struct hole hole;
    const struct disc *disc = &model->disc;
    uint8_t *cut = memory_alloc((size_t)disc->n_rays, 1);
    CHECK_OK(shape_model_without(&population, model, model->head[0].name, model->head[0].content_hash, &error), &error);
    CHECK_OK(head_trial_hole(cut, disc, model->good, 1, 1, &error), &error);
    CHECK_OK(radial_map_new(&map, disc->n_rays, &error), &error);
    CHECK_OK(radial_map_new(&filled, disc->n_rays, &error), &error);
    CHECK_OK(radial_map_new(&sd, disc->n_rays, &error), &error);
    for (int64_t ray = 0; ray < disc->n_rays; ray++) {
        map.enter[ray] = 0;
        map.leave[ray] = 135;
        if (!cut[ray]) {
            map.inner[ray] = model->heads.map[2 * ray];
            map.outer[ray] = model->heads.map[2 * ray + 1];
        }
    }
    const struct hole_given judged = {
        .disc = disc, .map = &map, .mean = &population.mean, .sd = &population.sd, .good = model->good};
    CHECK_OK(hole_find(&hole, &judged, &hole_default, &error), &error);
    CHECK(hole.n_unseen > 200 && hole.n_seen > 300);
    CHECK_OK(shape_predict(&filled, &sd, &population, &model->covariance, &map, &hole, &error), &error);
    double wrong = 0, prior = 0;
    int64_t n_odd = 0;
    for (int64_t k = 0; k < hole.n_unseen; k++) {
        const int32_t ray = hole.unseen[k];
        wrong += fabs((double)filled.outer[ray] - model->heads.map[2 * ray + 1]);
        prior += fabs((double)population.mean.outer[ray] - model->heads.map[2 * ray + 1]);
        n_odd += !(sd.outer[ray] > 0 && sd.outer[ray] < 20);
    }
    CHECK_INT(n_odd, 0);
    CHECK(wrong < prior);
    CHECK(wrong / (double)hole.n_unseen < 1.5);
    hole_done(&hole);
    radial_map_done(&map);
    radial_map_done(&filled);
    radial_map_done(&sd);
    population_done(&population);
    memory_free(cut);
}

static void test_fit(void)
{
    struct error error = {0};
    struct shape_model model, other, read;
    struct fit_report report;
    const char *paths[] = {set_make("heads", HEADS, true)};
    struct fit_config config = {.sets = {1, paths}, .split = SPLIT_TRAIN, .seed = 1, .trials = 6, .licence = "free"};
    const int threads = parallel_threads();
    CHECK_OK(shape_fit(&model, &report, &config, &error), &error);
    CHECK_INT(report.n_heads, HEADS + 1);
    CHECK_INT(report.n_groups, HEADS); /* two scans of one head are found to be one */
    CHECK(report.n_good > 8000);
    CHECK(report.checked.overlap > 0.6);
    CHECK(model.calibration.factor_50 > 0.1 && model.calibration.factor_90 > model.calibration.factor_50);
    check_predicts(&model);

    CHECK_OK(shape_model_write(check_path("one.h5"), &model, &error), &error);
    CHECK_OK(shape_model_read(&read, check_path("one.h5"), &error), &error);
    const size_t n = (size_t)(2 * model.disc.n_rays * model.population.n_factors);
    CHECK(memcmp(read.population.factor, model.population.factor, n * sizeof(float)) == 0);
    shape_model_done(&read);

    /* from that model: the same heads, other hyper-parameters, intervals found anew */
    static const char *sets[] = {"coarse=3"};
    struct fit_config from = config;
    from.from = check_path("one.h5");
    from.set = (struct config_strings){1, sets};
    CHECK_OK(shape_fit(&other, &report, &from, &error), &error);
    CHECK_INT(report.n_groups, HEADS);
    CHECK_NEAR(other.covariance.coarse, 3, 0);
    CHECK(memcmp(other.heads.map, model.heads.map, (size_t)(2 * model.heads.n * model.disc.n_rays) * sizeof(float)) ==
          0);
    CHECK(other.calibration.factor_90 != model.calibration.factor_90);
    shape_model_done(&other);

    parallel_set_threads(threads == 1 ? 2 : 1);
    CHECK_OK(shape_fit(&other, &report, &config, &error), &error);
    parallel_set_threads(threads);
    CHECK_OK(shape_model_write(check_path("two.h5"), &other, &error), &error);
    char *first, *second;
    size_t n_first, n_second;
    CHECK_OK(file_read(&first, &n_first, check_path("one.h5"), 1 << 26, &error), &error);
    CHECK_OK(file_read(&second, &n_second, check_path("two.h5"), 1 << 26, &error), &error);
    CHECK(n_first == n_second && memcmp(first, second, n_first) == 0);
    memory_free(first);
    memory_free(second);
    shape_model_done(&model);
    shape_model_done(&other);
}

/* Two heads are the centre: the template and the mean are theirs, they come first, and trials are on them. */
static void test_centre(void)
{
    struct error error = {0};
    struct shape_model model;
    struct fit_report report;
    static const char *names[] = {"p4", "p2"}, *wrong[] = {"p4", "p9"};
    const char *paths[] = {set_make("centred", HEADS, false)};
    struct fit_config config = {
        .sets = {1, paths}, .split = SPLIT_TRAIN, .seed = 1, .trials = 2, .licence = "free", .centre = {2, names}};
    CHECK_OK(shape_fit(&model, &report, &config, &error), &error);
    CHECK_INT(report.n_heads, HEADS);
    CHECK_INT(model.population.n_mean, 2);
    CHECK_TEXT(model.head[0].name, "p2");
    CHECK_TEXT(model.head[1].name, "p4");
    CHECK(model.heads.centre[0] && model.heads.centre[1] && !model.heads.centre[2]);
    CHECK_NEAR(model.covariance.coarse, sqrt(1 + 32 / 2.0), 1e-9);
    CHECK(report.n_good > 6000 && report.checked.overlap > 0.6);
    shape_model_done(&model);

    config.centre.n = 1;
    CHECK_FAILS(shape_fit(&model, &report, &config, &error), &error, STATUS_USAGE, "one head is no mean");
    config.centre = (struct config_strings){2, wrong};
    CHECK_FAILS(shape_fit(&model, &report, &config, &error), &error, STATUS_USAGE, "no head 'p9'");
}

static void test_refused(void)
{
    struct error error = {0};
    struct shape_model model;
    struct fit_report report;
    const char *few[] = {set_make("few", 3, false)}, *none[] = {check_path("none.h5")};
    struct fit_config config = {.sets = {1, few}, .split = SPLIT_TRAIN};
    CHECK_FAILS(shape_fit(&model, &report, &config, &error), &error, STATUS_FAILED, "at least 4");
    config.split = SPLIT_VAL;
    CHECK_FAILS(shape_fit(&model, &report, &config, &error), &error, STATUS_FAILED, "0 skulls in this split");
    config.sets.items = none;
    CHECK_FAILS(shape_fit(&model, &report, &config, &error), &error, STATUS_FAILED, "no such file");

    /* specks of bone: no head on any of them */
    error = (struct error){0};
    const int64_t dim[3] = {30, 30, 30};
    const double mm[3] = {3, 3, 3};
    const struct grid grid = grid_make(dim, mm);
    struct volume speck;
    CHECK_OK(volume_new(&speck, &grid, VOXEL_U8, &error), &error);
    for (int i = 0; i < 4; i++) {
        static const char *const names[] = {"a.nii.gz", "b.nii.gz", "c.nii.gz", "d.nii.gz"};
        ((uint8_t *)speck.data)[15 * 900 + 15 * 30 + 10 + i] = 1;
        volume_put("specks", names[i], &speck);
    }
    volume_done(&speck);
    CHECK_OK(dataset_pack(check_path("specks"), check_path("specks.h5"), &all_train, &error), &error);
    const char *specks[] = {check_path("specks.h5")};
    config = (struct fit_config){.sets = {1, specks}, .split = SPLIT_TRAIN};
    CHECK_FAILS(shape_fit(&model, &report, &config, &error), &error, STATUS_FAILED, "0 skulls alone");
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"fit", test_fit}, {"centre", test_centre}, {"refused", test_refused}, {0}};
    log_set_level(LOG_QUIET);
    return check_main(argc, argv, tests);
}
