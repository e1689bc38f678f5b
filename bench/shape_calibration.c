/* shape_calibration.c - how many true radii lie within the intervals of 50 and 90 % that a shape model states.
 *
 *     bench_shape_calibration MODEL.h5 NAME_defective.nrrd NAME_implant.nrrd [DEFECTIVE IMPLANT ...]
 *
 * A table for experiments/shape/calibration.md, a row for each case and one for all. The truth is the complete skull,
 * traced under the pose found on the defective one. Rays whose true radius is no bone of the vault (hole_default's odd)
 * are left out. The interval of the implant is the mean over its rays of half the 90 % interval, canonical mm. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "data/metrics.h"
#include "data/volume/formats.h"
#include "shape/restore.h"

#define TRACE_STEP_MM 0.4 /* as in surfaces.c */

/* Sums over radii; 0: the inner surface, 1: the outer one. */
struct coverage {
    int64_t n[2], within_50[2], within_90[2];
    double error_mm[2], interval_mm[2];
};

static void coverage_add(struct coverage *sum, const struct coverage *one)
{
    for (int s = 0; s < 2; s++) {
        sum->n[s] += one->n[s];
        sum->within_50[s] += one->within_50[s];
        sum->within_90[s] += one->within_90[s];
        sum->error_mm[s] += one->error_mm[s];
        sum->interval_mm[s] += one->interval_mm[s];
    }
}

static void coverage_count(struct coverage *ret, const struct shape_model *model,
                           const struct shape_restoration *restoration, const struct radial_map *truth)
{
    const struct surfaces *found = &restoration->surfaces;
    const struct radial_map *mean_map = &model->population.mean, *spread_map = &model->population.predictive;
    for (int64_t i = 0; i < found->hole.n_unseen; i++) {
        const int32_t ray = found->hole.unseen[i];
        for (int s = 0; s < 2; s++) {
            const double radius = (double)(s ? truth->outer : truth->inner)[ray];
            const double predicted = (double)(s ? found->filled.outer : found->filled.inner)[ray];
            const double sd = (double)(s ? found->sd.outer : found->sd.inner)[ray];
            const double mean = (double)(s ? mean_map->outer : mean_map->inner)[ray];
            const double spread = (double)(s ? spread_map->outer : spread_map->inner)[ray];
            if (!(fabs(radius - mean) < fmax(hole_default.odd_sd * spread, hole_default.odd_mm)))
                continue; /* also where no bone is met */
            const double error = fabs(radius - predicted);
            ret->n[s]++;
            ret->within_50[s] += error <= model->calibration.factor_50 * sd;
            ret->within_90[s] += error <= model->calibration.factor_90 * sd;
            ret->error_mm[s] += error;
            ret->interval_mm[s] += model->calibration.factor_90 * sd;
        }
    }
}

static void coverage_print(const char *name, const struct coverage *c, const struct metrics *metrics)
{
    const double n[2] = {(double)c->n[0], (double)c->n[1]};
    printf("| %s | %.3f / %.3f / %.2f | %+.3f | %.3f / %.3f | %.3f / %.3f | %.2f / %.2f | %.2f / %.2f |\n", name,
           metrics->dsc, metrics->bdsc_mm, metrics->hd95_mm, metrics->volume_error, (double)c->within_50[0] / n[0],
           (double)c->within_50[1] / n[1], (double)c->within_90[0] / n[0], (double)c->within_90[1] / n[1],
           c->error_mm[0] / n[0], c->error_mm[1] / n[1], c->interval_mm[0] / n[0], c->interval_mm[1] / n[1]);
}

/* skull: the defective one, which becomes the complete one. */
static enum status measure_restored(struct coverage *ret, struct metrics *ret_metrics, const struct shape_model *model,
                                    struct volume *skull, const struct volume *implant, const char *name,
                                    struct error *error)
{
    const int64_t n = grid_voxels(&skull->grid);
    const double spacing_mm[3] = {grid_spacing_mm(&skull->grid, 0), grid_spacing_mm(&skull->grid, 1),
                                  grid_spacing_mm(&skull->grid, 2)};
    const uint8_t *missing = implant->data;
    uint8_t *bone = skull->data;
    struct shape_restoration restoration = {0};
    struct radial_map truth = {0};
    uint8_t *restored = memory_zalloc((size_t)n, 1);

    enum status status = restored ? STATUS_OK : error_memory(error, (size_t)n, "the implant");
    if (!status)
        status =
            shape_restore(restored, &restoration, model, skull, &(struct shape_options){.with_sd = true}, name, error);
    if (!status)
        status = metrics_compare(ret_metrics, missing, restored, bone, skull->grid.dim, spacing_mm, error);
    if (!status)
        status = radial_map_new(&truth, model->disc.n_rays, error);
    if (!status) {
        for (int64_t i = 0; i < n; i++)
            bone[i] |= missing[i];
        radial_map_trace(&truth, skull, &restoration.pose.pose, &model->disc, TRACE_STEP_MM);
        coverage_count(ret, model, &restoration, &truth);
    }

    memory_free(restored);
    radial_map_done(&truth);
    shape_restoration_done(&restoration);
    return status;
}

static enum status measure(struct coverage *ret, struct metrics *ret_metrics, const struct shape_model *model,
                           const char *defective, const char *implant, struct error *error)
{
    struct volume skull = {0}, truth = {0};
    enum status status = volume_read_mask(&skull, defective, error);
    if (!status)
        status = volume_read_mask(&truth, implant, error);
    if (!status && !grid_same(&skull.grid, &truth.grid, 0.01))
        status = error_set(error, STATUS_FAILED, "%s: on another grid than %s", implant, defective);
    if (!status)
        status = measure_restored(ret, ret_metrics, model, &skull, &truth, defective, error);
    volume_done(&skull);
    volume_done(&truth);
    return status;
}

int main(int argc, char **argv)
{
    struct error error = {0};
    struct shape_model model = {0};
    struct coverage all = {0};
    struct metrics mean = {0};
    if (argc < 4 || argc % 2) {
        fputs("usage: bench_shape_calibration MODEL.h5 DEFECTIVE.nrrd IMPLANT.nrrd ...\n", stderr);
        return STATUS_USAGE;
    }
    enum status status = shape_model_read(&model, argv[1], &error);
    if (!status)
        puts("| case | DSC / bDSC / HD95 mm | volume error | 50 %, inner / outer | 90 % | error, mm | half 90 %, mm |\n"
             "|---|---|---|---|---|---|---|");

    const double n = (argc - 2) / 2;
    for (int i = 2; i + 1 < argc && !status; i += 2) {
        struct coverage one = {0};
        struct metrics metrics;
        const char *name = strrchr(argv[i], '/') ? strrchr(argv[i], '/') + 1 : argv[i];
        status = measure(&one, &metrics, &model, argv[i], argv[i + 1], &error);
        if (status)
            break;
        coverage_print(name, &one, &metrics);
        fflush(stdout);
        coverage_add(&all, &one);
        mean.dsc += metrics.dsc / n;
        mean.bdsc_mm += metrics.bdsc_mm / n;
        mean.hd95_mm += metrics.hd95_mm / n;
        mean.volume_error += metrics.volume_error / n;
    }

    shape_model_done(&model);
    if (status) {
        error_print(stderr, &error);
        return (int)status;
    }
    coverage_print("all", &all, &mean);
    return 0;
}
