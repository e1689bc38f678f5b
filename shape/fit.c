/* fit.c - see fit.h. Test: tests/shape/test_fit.c */
#include "shape/fit.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "shape/field.h"
#include "shape/impute.h"
#include "shape/pose_search.h"
#include "shape/template.h"

#define TRACE_STEP_MM 0.4
#define FIT_LOSS_MAX 0.5  /* a worse pose is no vault */
#define SAME_HEAD_MM 0.75 /* mean difference of two outer surfaces below which they are one head's */
#define MAP_UNIT_MM \
    0.00390625 /* stored radii are multiples of this: the file shrinks, and reads back to the same bits */
enum { TRIAL_HEADS_MAX = 64, TRIALS_MIN = 24, TRIAL_THIN = 3, TUNE_EVERY = 2, CHECKS = 2 }; /* CHECKS: holes a trial */

static const char *const fit_split_names[] = {"train", "val", "test", "all", NULL}; /* enum dataset_split, SPLIT_N */

#define OFFSET(member) offsetof(struct fit_config, member)
/* clang-format off */
static const struct config_field fit_fields[] = {
    {.key = "split", .type = CONFIG_ENUM, .offset = OFFSET(split), .text = "train", .names = fit_split_names,
     .help = "whose skulls are learnt"},
    {.key = "few", .type = CONFIG_INT, .offset = OFFSET(few), .text = "0", .min = 0, .max = 1e6, .unit = "heads",
     .help = "learn from this many of them alone, at random; 0: all"},
    {.key = "seed", .type = CONFIG_INT, .offset = OFFSET(seed), .text = "1", .min = 0, .max = 9e15,
     .help = "of `few`"},
    {.key = "tune", .type = CONFIG_BOOL, .offset = OFFSET(tune), .text = "true",
     .help = "choose hyper-parameters by predicting each head without itself; else the standard ones"},
    {.key = "trials", .type = CONFIG_INT, .offset = OFFSET(trials), .text = "0", .min = 0, .max = 1e4,
     .help = "heads predicted without themselves, for hyper-parameters and intervals; 0: up to 64, 24 at least"},
    {.key = "from", .type = CONFIG_PATH, .offset = OFFSET(from),
     .help = "a shape model of these skulls: only its hyper-parameters and intervals are found anew"},
    {.key = "set", .type = CONFIG_STRINGS, .offset = OFFSET(set),
     .help = "KEY=VALUE: a hyper-parameter to start from, as coarse=3"},
    {.key = "centre", .type = CONFIG_STRINGS, .offset = OFFSET(centre),
     .help = "a head that belongs to the mean, two at least; the others, as phantoms, add to the covariance alone"},
    {.key = "licence", .type = CONFIG_STRING, .offset = OFFSET(licence),
     .help = "a note for the file: what the skulls' licence allows"},
    {0},
};
/* clang-format on */
const struct config_table fit_table = {
    .help = "Fitting a shape model", .size = sizeof(struct fit_config), .fields = fit_fields};

/* One skull on its way into the model. */
struct fit_head {
    struct dataset *set;
    int64_t index, row; /* in its set, in the model */
    const struct dataset_case *shown;
    struct cloud cloud;
    struct pose pose;
    double loss;
    bool used, in_centre;
};

struct fit {
    struct arena arena;
    const struct fit_config *config;
    struct dataset **sets;
    int64_t n; /* heads */
    struct fit_head *head;
    struct error *errors; /* n */
    struct shape_model model;
    uint16_t *bone; /* n x rays: radial_map_occupied of each head */
    struct fit_report report;
    /* trials */
    int64_t n_trials, n_trial_heads;
    int64_t n_tuning, every;              /* every so many trials also serve the search */
    struct head_trial *tuning, *checking; /* n_tuning, CHECKS * n_trials */
};

/* ---- which skulls ---- */

/* The skulls of the split, healthy ones or defective ones. */
static void fit_add_heads(struct fit *fit, struct dataset *set, bool defective)
{
    const int64_t first = defective ? dataset_n_cases(set) : 0;
    const int64_t n = defective ? dataset_n_defective(set) : dataset_n_cases(set);
    for (int64_t k = first; k < first + n; k++) {
        const struct dataset_case *shown = dataset_case(set, k);
        if (fit->config->split == SPLIT_N || (int)shown->split == fit->config->split)
            fit->head[fit->n++] = (struct fit_head){.set = set, .index = k, .shown = shown};
    }
}

static enum status fit_open(struct fit *fit, struct error *error)
{
    const struct fit_config *config = fit->config;
    int64_t n_all = 0;
    fit->sets = arena_alloc(&fit->arena, (size_t)config->sets.n, sizeof *fit->sets);
    if (!fit->sets)
        return error_memory(error, sizeof *fit->sets, "the sets");
    for (int64_t i = 0; i < config->sets.n; i++) {
        if (dataset_open_fold(&fit->sets[i], config->sets.items[i], &config->fold, error))
            return error->status;
        n_all += dataset_n_cases(fit->sets[i]) + dataset_n_defective(fit->sets[i]);
    }
    fit->head = arena_alloc(&fit->arena, (size_t)n_all, sizeof *fit->head);
    fit->errors = arena_alloc(&fit->arena, (size_t)n_all, sizeof *fit->errors);
    if (!fit->head || !fit->errors)
        return error_memory(error, (size_t)n_all * sizeof *fit->errors, "the list of heads");
    for (int defective = 0; defective < 2; defective++) /* whole skulls first: trials are on them */
        for (int64_t i = 0; i < config->sets.n; i++)
            fit_add_heads(fit, fit->sets[i], defective);
    return STATUS_OK;
}

/* A few of them, in the order they have. */
static enum status fit_choose(struct fit *fit, struct error *error)
{
    const struct fit_config *config = fit->config;
    struct rng rng = rng_make((uint64_t)config->seed, 0);
    if (config->few > 0 && config->few < fit->n) {
        int64_t kept = 0, wanted = config->few;
        for (int64_t h = 0, left = fit->n; h < fit->n; h++, left--)
            if (rng_below(&rng, left) < wanted) { /* Knuth's algorithm S */
                fit->head[kept++] = fit->head[h];
                wanted--;
            }
        fit->n = kept;
    }
    if (fit->n < FIT_HEADS_MIN)
        return error_set(error, STATUS_FAILED, "%s: %" PRId64 " skulls%s: a shape model needs at least %d",
                         config->sets.items[0], fit->n,
                         config->split == SPLIT_N ? "" : " in this split (--split all takes every one)", FIT_HEADS_MIN);
    return STATUS_OK;
}

/* ---- a centre ---- */

/* Marks the named heads; every name must be one of a head. */
static enum status fit_find_centre(struct fit *fit, struct error *error)
{
    const struct config_strings *centre = &fit->config->centre;
    for (int64_t i = 0; i < centre->n; i++) {
        bool found = false;
        for (int64_t h = 0; h < fit->n; h++)
            if (strcmp(fit->head[h].shown->name, centre->items[i]) == 0)
                fit->head[h].in_centre = found = true;
        if (!found)
            return error_set(error, STATUS_USAGE, "--centre: no head '%s' among those that are learnt",
                             centre->items[i]);
    }
    for (int64_t h = 0; h < fit->n && !centre->n; h++)
        fit->head[h].in_centre = true;

    /* the centre first: trials are on its heads, and each is predicted by the mean of the others */
    struct fit_head *ordered = arena_alloc(&fit->arena, (size_t)fit->n, sizeof *ordered);
    int64_t n = 0;
    if (!ordered)
        return error_memory(error, (size_t)fit->n * sizeof *ordered, "the list of heads");
    for (int of_centre = 1; of_centre >= 0; of_centre--) {
        for (int64_t h = 0; h < fit->n; h++)
            if (fit->head[h].in_centre == (of_centre == 1))
                ordered[n++] = fit->head[h];
        if (of_centre && n < 2)
            return error_set(error, STATUS_USAGE, "--centre: one head is no mean (name two at least)");
    }
    fit->head = ordered;
    return STATUS_OK;
}

static int64_t fit_n_centre(const struct fit *fit)
{
    int64_t n = 0;
    for (int64_t h = 0; h < fit->n; h++)
        n += fit->head[h].in_centre;
    return n;
}

/* The standard hyper-parameters for so many heads, and what --set says. Few heads leave more to the coarse kernel: its
 * variance of 1 mm^2 with many heads and 9 mm^2 with four was best over heads left out; 1 + 32 / n lies between. n:
 * heads whose mean is the model's. */
static enum status fit_standard(struct fit *fit, struct error *error)
{
    struct covariance_params *params = &fit->model.covariance;
    if (config_bind(&covariance_table, NULL, params, &fit->model.arena, error))
        return error->status;
    params->coarse = sqrt(1 + 32 / (double)fit_n_centre(fit));
    return covariance_set(params, &fit->config->set, &fit->model.arena, error);
}

/* ---- surfaces and poses ---- */

static enum status fit_first_error(const struct fit *fit, struct error *error)
{
    for (int64_t h = 0; h < fit->n; h++)
        if (fit->errors[h].status) {
            *error = fit->errors[h];
            return error_while(error, "fitting the shape model to '%s'", fit->head[h].shown->name);
        }
    return STATUS_OK;
}

static void fit_surface(struct fit *fit, struct fit_head *head, struct error *error)
{
    struct volume skull;
    struct error no_head = {0};
    if (dataset_read_skull(&skull, head->set, head->index, error))
        return;
    head->used = !pose_initial(&head->pose, &skull, &no_head);
    if (head->used)
        cloud_trace(&head->cloud, &skull, &head->pose, &fit->model.template_disc, POSE_STEP_MM, error);
    else if (!error_if_memory(error, &no_head))
        log_warn("'%s' is left out: %s", head->shown->name, no_head.text);
    volume_done(&skull);
}

/* Heads that are not used go; the order stays. */
static enum status fit_keep_used(struct fit *fit, struct error *error)
{
    int64_t kept = 0;
    for (int64_t h = 0; h < fit->n; h++) {
        if (fit->head[h].used)
            fit->head[kept++] = fit->head[h];
        else
            cloud_done(&fit->head[h].cloud);
    }
    fit->n = kept;
    return kept >= FIT_HEADS_MIN
               ? STATUS_OK
               : error_set(error, STATUS_FAILED,
                           "%s: a vault is found on %" PRId64 " skulls alone: a shape model needs at least %d",
                           fit->config->sets.items[0], kept, FIT_HEADS_MIN);
}

static enum status fit_surfaces(struct fit *fit, struct error *error)
{
    struct progress progress;
    int64_t done = 0;
    progress_start(&progress, "surfaces", "heads", 0, fit->n);
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t h = 0; h < fit->n; h++) {
        fit_surface(fit, &fit->head[h], &fit->errors[h]);
#pragma omp critical(fit_progress)
        progress_show(&progress, ++done, NULL);
    }
    progress_end(&progress);
    return fit_first_error(fit, error) ? error->status : fit_keep_used(fit, error);
}

static enum status fit_poses(struct fit *fit, struct error *error)
{
    const int64_t n = fit->n, side = fit->model.template_disc.n;
    struct template_heads heads = {.n = n};
    struct cloud *clouds = arena_alloc(&fit->arena, (size_t)n, sizeof *clouds);
    struct progress progress;
    heads.poses = arena_alloc(&fit->arena, (size_t)n, sizeof *heads.poses);
    heads.losses = arena_alloc(&fit->arena, (size_t)n, sizeof *heads.losses);
    uint8_t *of_template = arena_alloc(&fit->arena, (size_t)n, 1);
    fit->model.template = memory_alloc((size_t)(side * side), sizeof *fit->model.template);
    if (!clouds || !heads.poses || !heads.losses || !of_template || !fit->model.template)
        return error_memory(error, (size_t)(side * side) * sizeof(float), "the template");
    for (int64_t h = 0; h < n; h++) {
        clouds[h] = fit->head[h].cloud;
        heads.poses[h] = fit->head[h].pose;
        of_template[h] = fit->head[h].in_centre;
    }
    heads.clouds = clouds;
    heads.of_template = of_template;
    progress_start(&progress, "template", "poses", 0, n * TEMPLATE_ROUNDS);
    if (template_fit(fit->model.template, &fit->model.template_disc, &heads, &progress, error))
        return error->status;
    progress_end(&progress);

    double loss = 0;
    for (int64_t h = 0; h < n; h++) {
        struct fit_head *head = &fit->head[h];
        head->pose = heads.poses[h];
        head->loss = heads.losses[h];
        head->used = head->loss <= FIT_LOSS_MAX;
        loss += head->loss;
        if (!head->used)
            log_warn("'%s' is left out: its surface is no vault like the others' (loss %.2f)", head->shown->name,
                     head->loss);
    }
    fit->report.loss = loss / (double)n;
    return fit_keep_used(fit, error);
}

/* ---- maps ---- */

/* The volume ends within the bone, or before the mean head's outer surface where no bone is met. */
static bool fit_ray_ends(const struct radial_map *map, int64_t ray, const struct fit *fit)
{
    double at[2];
    disc_locate(&fit->model.template_disc, fit->model.disc.ray[ray], at);
    const double mean = disc_sample(&fit->model.template_disc, fit->model.template, at);
    return isfinite(map->outer[ray]) ? map->outer[ray] > map->leave[ray] - 1 : map->leave[ray] < mean + 5;
}

static void fit_map(struct fit *fit, int64_t h, struct error *error)
{
    const struct fit_head *head = &fit->head[h];
    const int64_t n_rays = fit->model.disc.n_rays;
    float *out = fit->model.heads.map + h * n_rays * 2;
    uint8_t *ends = fit->model.missing + h * n_rays;
    struct volume skull;
    struct radial_map map;
    if (radial_map_new(&map, n_rays, error))
        return;
    if (!dataset_read_skull(&skull, head->set, head->index, error)) {
        radial_map_trace(&map, &skull, &head->pose, &fit->model.disc, TRACE_STEP_MM);
        radial_map_occupied(fit->bone + h * n_rays, &map, &skull, &head->pose, &fit->model.disc);
        const struct field field = field_of_view(&skull);
        radial_map_crop(&map, &skull, &head->pose, &fit->model.disc, &field.box);
        for (int64_t ray = 0; ray < n_rays; ray++) {
            ends[ray] = fit_ray_ends(&map, ray, fit);
            out[2 * ray] = ends[ray] ? NAN : map.inner[ray];
            out[2 * ray + 1] = ends[ray] ? NAN : map.outer[ray];
        }
        volume_done(&skull);
    }
    radial_map_done(&map);
}

static enum status fit_maps(struct fit *fit, struct error *error)
{
    const size_t n = (size_t)fit->n, n_rays = (size_t)fit->model.disc.n_rays;
    struct shape_model *model = &fit->model;
    model->heads = (struct heads){.n = fit->n, .n_rays = fit->model.disc.n_rays};
    model->heads.map = memory_alloc(n * n_rays, 2 * sizeof *model->heads.map);
    model->heads.group = memory_alloc(n, sizeof *model->heads.group);
    model->missing = memory_zalloc(n, n_rays);
    model->good = memory_alloc(n_rays, 1);
    fit->bone = arena_alloc(&fit->arena, n * n_rays, sizeof *fit->bone);
    model->head = arena_alloc(&model->arena, n, sizeof *model->head);
    if (fit->config->centre.n && !(model->heads.centre = memory_alloc(n, 1)))
        return error_memory(error, n, "the list of heads");
    if (!model->heads.map || !model->heads.group || !model->missing || !model->good || !model->head || !fit->bone)
        return error_memory(error, n * n_rays * 2 * sizeof *model->heads.map, "the heads' maps");
    struct progress progress;
    int64_t done = 0;
    progress_start(&progress, "maps", "heads", 0, fit->n);
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t h = 0; h < fit->n; h++) {
        fit_map(fit, h, &fit->errors[h]);
#pragma omp critical(fit_progress)
        progress_show(&progress, ++done, NULL);
    }
    progress_end(&progress);
    return fit_first_error(fit, error);
}

/* Names and the like, copied: the sets are closed in the end. */
static enum status fit_describe(struct fit *fit, uint8_t *complete, struct error *error)
{
    struct shape_model *model = &fit->model;
    for (int64_t h = 0; h < fit->n; h++) {
        const struct dataset_case *shown = fit->head[h].shown;
        complete[h] = !shown->defective;
        fit->report.n_defective += shown->defective;
        model->head[h] = (struct shape_head){.name = arena_strdup(&model->arena, shown->name),
                                             .content_hash = shown->content_hash,
                                             .complete = complete[h],
                                             .pose = fit->head[h].pose};
        model->heads.group[h] = (int32_t)h;
        if (model->heads.centre)
            model->heads.centre[h] = fit->head[h].in_centre;
        fit->head[h].row = h;
        if (!model->head[h].name)
            return error_memory(error, 64, "a head's name");
    }
    uint64_t hash = 0;
    for (int64_t i = 0; i < fit->config->sets.n; i++)
        hash = hash * 0x9E3779B97F4A7C15u + dataset_hash(fit->sets[i]);
    model->set_hash = arena_printf(&model->arena, "%016" PRIx64, hash);
    model->licence = arena_strdup(&model->arena, fit->config->licence ? fit->config->licence : "");
    return model->set_hash && model->licence ? STATUS_OK : error_memory(error, 64, "a text");
}

/* ---- groups ---- */

/* Mean absolute difference of two outer surfaces where both were measured; infinite where they hardly overlap. */
static double fit_distance(const struct shape_model *model, int64_t a, int64_t b)
{
    const int64_t n_rays = model->disc.n_rays;
    double sum = 0;
    int64_t n = 0;
    for (int64_t ray = 0; ray < n_rays; ray += 5)
        if (model->good[ray] && !model->missing[a * n_rays + ray] && !model->missing[b * n_rays + ray]) {
            sum += fabs((double)model->heads.map[(a * n_rays + ray) * 2 + 1] -
                        model->heads.map[(b * n_rays + ray) * 2 + 1]);
            n++;
        }
    return n > 200 ? sum / (double)n : INFINITY;
}

/* Scans of one head are one group: each is predicted without the others. Those the sets call so, and those whose
 * surfaces are the same. */
static void fit_groups(struct fit *fit)
{
    struct shape_model *model = &fit->model;
    const int64_t n_centre = fit_n_centre(fit); /* the others are never left out */
    for (int64_t a = 0; a < n_centre; a++)
        for (int64_t b = a + 1; b < n_centre; b++) {
            const char *const of_a = fit->head[a].shown->group, *const of_b = fit->head[b].shown->group;
            const bool told = of_a && of_b && strcmp(of_a, of_b) == 0;
            const double distance = told ? 0 : fit_distance(model, a, b);
            if (distance >= SAME_HEAD_MM)
                continue;
            if (!told)
                log_info("'%s' and '%s' are taken for one head: their outer surfaces differ by %.2f mm on average",
                         model->head[a].name, model->head[b].name, distance);
            const int32_t from = model->heads.group[b], to = model->heads.group[a];
            for (int64_t h = 0; h < fit->n; h++)
                if (model->heads.group[h] == from)
                    model->heads.group[h] = to;
        }
    for (int64_t h = 0; h < fit->n; h++)
        fit->report.n_groups += model->heads.group[h] == h;
}

/* ---- gaps ---- */

static enum status fit_gaps(struct fit *fit, struct error *error)
{
    struct shape_model *model = &fit->model;
    uint8_t *complete = arena_alloc(&fit->arena, (size_t)fit->n, 1);
    struct impute_result result;
    struct progress progress;
    if (!complete)
        return error_memory(error, (size_t)fit->n, "the heads");
    if (fit_describe(fit, complete, error) ||
        impute_find(model->missing, model->good, &model->heads, complete, &model->disc, error))
        return error->status;
    for (int64_t ray = 0; ray < model->disc.n_rays; ray++)
        fit->report.n_good += model->good[ray];
    fit_groups(fit);
    progress_start(&progress, "gaps", "heads", 0, fit->n * IMPUTE_ROUNDS);
    if (impute_fill(&model->heads, model->missing, model->good, &model->disc, &model->covariance, &result, &progress,
                    error))
        return error->status;
    progress_end(&progress);
    log_info("%" PRId64 " of %" PRId64 " rays are good; %" PRId64 " radii were filled in %" PRId64
             " rounds (last change %.3f mm)",
             fit->report.n_good, model->disc.n_rays, result.n_filled, result.rounds, result.change_mm);
    if (heads_measure_roughness(&model->heads, model->missing, model->good, &model->disc, error) ||
        heads_measure_occupancy(&model->heads, fit->bone, model->missing, &model->disc, error))
        return error->status;
    for (int64_t k = 0; k < fit->n * model->disc.n_rays * 2; k++)
        model->heads.map[k] = (float)(rint(model->heads.map[k] / MAP_UNIT_MM) * MAP_UNIT_MM);
    for (int64_t k = 0; k < model->heads.n_spread * model->disc.n_rays * 2; k++)
        model->heads.spread[k] = (float)(rint(model->heads.spread[k] / MAP_UNIT_MM) * MAP_UNIT_MM);
    return STATUS_OK;
}

/* ---- trials ---- */

/* The cloud without the points that lie in the hole. */
static enum status fit_cut_cloud(struct cloud *ret, const struct fit_head *head, const struct disc *disc,
                                 const uint8_t *hole, struct error *error)
{
    if (cloud_thin(ret, &head->cloud, TRIAL_THIN, error))
        return error->status;
    int64_t kept = 0;
    for (int64_t k = 0; k < ret->n; k++) {
        double q[3], at[2];
        pose_canonical(&head->pose, ret->point[k], q);
        const double r = sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]);
        const double direction[3] = {q[0] / r, q[1] / r, q[2] / r};
        disc_locate(disc, direction, at);
        const int32_t ray = disc_nearest(disc, at);
        if (ray < 0 || !hole[ray])
            memcpy(ret->point[kept++], ret->point[k], sizeof ret->point[kept]);
    }
    ret->n = kept;
    return STATUS_OK;
}

/* The head as new: pose without the hole, both surfaces under it, predicted without its group. */
static enum status fit_trial(struct head_trial *ret, const struct fit *fit, int64_t h, const struct volume *skull,
                             int64_t number, const struct hole_config *rules, struct error *error)
{
    const struct shape_model *model = &fit->model;
    const struct disc *disc = &model->disc;
    uint8_t *hole = memory_alloc((size_t)disc->n_rays, 1);
    struct cloud cloud = {0};
    struct radial_map map = {0};
    struct pose pose = fit->head[h].pose;
    double loss;
    enum status status = hole ? STATUS_OK : error_memory(error, (size_t)disc->n_rays, "a hole");
    if (!status)
        status = head_trial_hole(hole, disc, model->good, 7, number, error);
    if (!status)
        status = fit_cut_cloud(&cloud, &fit->head[h], disc, hole, error);
    if (!status)
        status = pose_refine(&pose, &loss, &cloud, &model->template_disc, model->template, &pose_fit_refine, error);
    if (!status)
        status = radial_map_new(&map, disc->n_rays, error);
    if (!status) {
        radial_map_trace(&map, skull, &pose, disc, TRACE_STEP_MM);
        const struct head_trial_head head = {
            .map = &map, .hole = hole, .good = model->good, .without = model->heads.group[fit->head[h].row]};
        status = head_trial_new(ret, &head, disc, &model->heads, rules, error);
    }
    radial_map_done(&map);
    cloud_done(&cloud);
    memory_free(hole);
    return status;
}

/* Trials of one head: number i, i + step ... of all. */
static void fit_head_trials(struct fit *fit, int64_t h, const struct hole_config *quick, struct error *error)
{
    struct volume skull;
    if (dataset_read_skull(&skull, fit->head[h].set, fit->head[h].index, error))
        return;
    for (int64_t i = h; i < fit->n_trials && !error->status; i += fit->n_trial_heads) {
        if (i % fit->every == 0 && fit_trial(&fit->tuning[i / fit->every], fit, h, &skull, 3 * i, quick, error))
            break;
        for (int k = 0; k < CHECKS && !error->status; k++)
            fit_trial(&fit->checking[CHECKS * i + k], fit, h, &skull, 3 * i + 1 + k, &hole_default, error);
    }
    volume_done(&skull);
}

static enum status fit_trials(struct fit *fit, struct error *error)
{
    const int64_t n_centre = fit_n_centre(fit);
    const int64_t n_heads = fit->n_trial_heads = n_centre < TRIAL_HEADS_MAX ? n_centre : TRIAL_HEADS_MAX;
    struct hole_config quick = hole_default; /* fewer rays, so that the search takes minutes */
    struct progress progress;
    int64_t done = 0;
    quick.stride = 6;
    quick.dense_mm = 6;
    fit->n_trials = n_heads < TRIALS_MIN ? (TRIALS_MIN + n_heads - 1) / n_heads * n_heads : n_heads;
    if (fit->config->trials > 0)
        fit->n_trials = fit->config->trials;
    fit->every = n_heads >= 2 * TRIALS_MIN ? TUNE_EVERY : 1;
    fit->n_tuning = (fit->n_trials + fit->every - 1) / fit->every;
    fit->tuning = arena_alloc(&fit->arena, (size_t)fit->n_tuning, sizeof *fit->tuning);
    fit->checking = arena_alloc(&fit->arena, (size_t)fit->n_trials, CHECKS * sizeof *fit->checking);
    if (!fit->tuning || !fit->checking)
        return error_memory(error, (size_t)fit->n_trials * sizeof *fit->tuning, "the trials");
    progress_start(&progress, "trials", "heads", 0, n_heads);
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t h = 0; h < n_heads; h++) {
        fit_head_trials(fit, h, &quick, &fit->errors[h]);
#pragma omp critical(fit_progress)
        progress_show(&progress, ++done, NULL);
    }
    progress_end(&progress);
    return fit_first_error(fit, error);
}

static enum status fit_tune(struct fit *fit, struct error *error)
{
    struct fit_report *report = &fit->report;
    struct covariance_params *params = &fit->model.covariance;
    if (fit_trials(fit, error) || tune_evaluate(&report->standard, fit->tuning, fit->n_tuning, params, true, error))
        return error->status;
    report->tuned = report->standard;
    if (fit->config->tune) {
        struct progress progress;
        progress_start(&progress, "hyper-parameters", "steps", 0, TUNE_STEPS);
        if (tune_search(params, &report->tuned, fit->tuning, fit->n_tuning, &progress, error))
            return error->status;
        progress_end(&progress);
        if (tune_evaluate(&report->tuned, fit->tuning, fit->n_tuning, params, true, error))
            return error->status;
    }
    const struct tune_trials checking = {fit->checking, CHECKS * fit->n_trials, &fit->model.disc};
    return tune_calibrate(&fit->model.calibration, &fit->model.heads, &report->checked, &checking, params, error);
}

/* ---- from a model ---- */

/* The skulls of the sets that are whole heads of the model, in its order, as many as serve trials. */
static enum status fit_match(struct fit *fit, struct error *error)
{
    const struct shape_model *model = &fit->model;
    struct fit_head *heads = arena_alloc(&fit->arena, (size_t)model->heads.n, sizeof *heads);
    int64_t n = 0;
    if (!heads)
        return error_memory(error, (size_t)model->heads.n * sizeof *heads, "the list of heads");
    for (int64_t row = 0; row < model->heads.n && n < TRIAL_HEADS_MAX; row++)
        for (int64_t h = 0; h < fit->n; h++)
            if (model->head[row].complete && heads_in_centre(&model->heads, row) &&
                fit->head[h].shown->content_hash == model->head[row].content_hash) {
                heads[n] = fit->head[h];
                heads[n].in_centre = true;
                heads[n++].row = row;
                break;
            }
    const int needed = model->heads.centre ? 2 : FIT_HEADS_MIN;
    if (n < needed)
        return error_set(error, STATUS_FAILED,
                         "%s: %" PRId64 " of its heads are skulls of these sets (at least %d are needed)",
                         fit->config->from, n, needed);
    fit->head = heads;
    fit->n = n;
    return STATUS_OK;
}

static enum status fit_from(struct fit *fit, struct error *error)
{
    struct shape_model *model = &fit->model;
    const struct fit_config *config = fit->config;
    if (shape_model_read(model, config->from, error) ||
        covariance_set(&model->covariance, &config->set, &model->arena, error) || fit_open(fit, error) ||
        fit_match(fit, error) || fit_surfaces(fit, error))
        return error->status;
    for (int64_t h = 0; h < fit->n; h++)
        fit->head[h].pose = model->head[fit->head[h].row].pose;
    if (config->licence && !(model->licence = arena_strdup(&model->arena, config->licence)))
        return error_memory(error, strlen(config->licence), "a text");
    population_done(&model->population);
    if (fit_tune(fit, error))
        return error->status;

    struct fit_report *report = &fit->report;
    report->n_heads = model->heads.n;
    for (int64_t row = 0; row < model->heads.n; row++) {
        report->n_defective += !model->head[row].complete;
        bool first = true;
        for (int64_t other = 0; other < row && first; other++)
            first = model->heads.group[other] != model->heads.group[row];
        report->n_groups += first;
    }
    for (int64_t ray = 0; ray < model->disc.n_rays; ray++)
        report->n_good += model->good[ray];
    return population_new(&model->population, &model->disc, &model->heads, -1, error);
}

/* ---- all ---- */

static enum status fit_run(struct fit *fit, struct error *error)
{
    struct shape_model *model = &fit->model;
    if (fit->config->from)
        return fit_from(fit, error);
    if (disc_init(&model->disc, DISC_MAP_N, DISC_MAP_REACH, error) ||
        disc_init(&model->template_disc, DISC_TEMPLATE_N, DISC_TEMPLATE_REACH, error))
        return error->status;
    if (fit_open(fit, error) || fit_choose(fit, error) || fit_find_centre(fit, error) || fit_standard(fit, error) ||
        fit_surfaces(fit, error) || fit_poses(fit, error) || fit_maps(fit, error) || fit_gaps(fit, error) ||
        fit_tune(fit, error))
        return error->status;
    fit->report.n_heads = fit->n;
    return population_new(&model->population, &model->disc, &model->heads, -1, error);
}

enum status shape_fit(struct shape_model *ret, struct fit_report *ret_report, const struct fit_config *config,
                      struct error *error)
{
    struct fit fit = {.config = config};
    const enum status status = fit_run(&fit, error);
    for (int64_t h = 0; h < fit.n; h++)
        cloud_done(&fit.head[h].cloud);
    for (int64_t i = 0; fit.tuning && i < fit.n_tuning; i++)
        head_trial_done(&fit.tuning[i]);
    for (int64_t i = 0; fit.checking && i < CHECKS * fit.n_trials; i++)
        head_trial_done(&fit.checking[i]);
    for (int64_t i = 0; fit.sets && i < config->sets.n; i++)
        dataset_close(fit.sets[i]);
    arena_done(&fit.arena);
    if (status)
        shape_model_done(&fit.model);
    else {
        *ret = fit.model;
        ret->population.disc = &ret->disc;
        *ret_report = fit.report;
    }
    return status;
}
