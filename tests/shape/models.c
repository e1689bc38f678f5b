/* models.c - see models.h. */
#include "tests/shape/models.h"

#include <string.h>

#include "shape/impute.h"
#include "shape/pose_search.h"
#include "tests/check.h"
#include "tests/shape/phantoms.h"

static void model_add_head(struct shape_model *model, int64_t h)
{
    struct error error = {0};
    struct volume skull = {0};
    struct cloud cloud = {0};
    struct radial_map map = {0};
    struct pose start, *pose = &model->head[h].pose;
    double loss;
    phantom_make(&skull, h, 2);
    if (h == 0)
        model->template = phantom_template(&start, &skull, &model->template_disc);
    CHECK_OK(pose_initial(&start, &skull, &error), &error);
    CHECK_OK(cloud_trace(&cloud, &skull, &start, &model->template_disc, 1, &error), &error);
    CHECK_OK(pose_best(pose, &loss, &cloud, &model->template_disc, model->template, &start, &pose_fit_training, &error),
             &error);
    CHECK_OK(radial_map_new(&map, model->disc.n_rays, &error), &error);
    radial_map_trace(&map, &skull, pose, &model->disc, 0.5);
    for (int64_t k = 0; k < model->disc.n_rays; k++) {
        model->heads.map[2 * (h * model->disc.n_rays + k)] = map.inner[k];
        model->heads.map[2 * (h * model->disc.n_rays + k) + 1] = map.outer[k];
    }
    model->head[h].name = arena_printf(&model->arena, "phantom_%02d", (int)h);
    model->head[h].complete = true;
    model->heads.group[h] = (int32_t)h;
    radial_map_done(&map);
    cloud_done(&cloud);
    volume_done(&skull);
}

void model_make(struct shape_model *ret, int64_t n)
{
    struct error error = {0};
    struct shape_model model = {.set_hash = "0123456789abcdef", .licence = "phantoms", .calibration = {0.7, 1.7}};
    CHECK_OK(disc_init(&model.disc, DISC_MAP_N, DISC_MAP_REACH, &error), &error);
    CHECK_OK(disc_init(&model.template_disc, DISC_TEMPLATE_N, DISC_TEMPLATE_REACH, &error), &error);
    const size_t rays = (size_t)model.disc.n_rays;
    model.heads.n = n;
    model.heads.n_rays = model.disc.n_rays;
    model.heads.map = memory_alloc((size_t)n * rays, 2 * sizeof *model.heads.map);
    model.heads.group = memory_alloc((size_t)n, sizeof *model.heads.group);
    model.good = memory_alloc(rays, 1);
    model.missing = memory_zalloc((size_t)n * rays, 1);
    model.head = arena_alloc(&model.arena, (size_t)n, sizeof *model.head);
    uint8_t *complete = memory_alloc((size_t)n, 1);
    memset(complete, 1, (size_t)n);
    for (int64_t h = 0; h < n; h++)
        model_add_head(&model, h);

    struct impute_result result;
    CHECK_OK(config_bind(&covariance_table, NULL, &model.covariance, &model.arena, &error), &error);
    CHECK_OK(impute_find(model.missing, model.good, &model.heads, complete, &model.disc, &error), &error);
    CHECK_OK(
        impute_fill(&model.heads, model.missing, model.good, &model.disc, &model.covariance, &result, NULL, &error),
        &error);
    CHECK_OK(population_new(&model.population, &model.disc, &model.heads, -1, &error), &error);
    memory_free(complete);
    *ret = model;
    ret->population.disc = &ret->disc;
}
