/* shape_loo.c - the heads of a shape model restored by the model without them: what a setting is worth, in voxels.
 *
 *     bench_shape_loo MODEL.h5 SET.h5 DEFECTS EVERY KEY=VALUE[,KEY=VALUE...] ...
 *
 * MODEL: fitted to the training skulls of SET. DEFECTS: generators (configs/defects), or `stored`: the implants of SET.
 * EVERY: every so many of its heads; =NAME: that one. Each further word is one setting of hyper-parameters; `-`: the
 * model's own; `solid`: bone everywhere between the surfaces. A line for each head, then the means; the differences
 * from the first setting are paired. The pose of each head is searched anew, with the hole. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/memory.h"
#include "data/dataset/dataset.h"
#include "data/defects/defect.h"
#include "data/defects/region.h"
#include "data/metrics.h"
#include "shape/restore.h"

enum { SETTINGS_MAX = 16 };

struct loo {
    struct shape_model model;
    struct dataset *set;
    struct defects_config defects;
    bool stored;
    int n_settings;
    struct covariance_params setting[SETTINGS_MAX];
    bool solid[SETTINGS_MAX]; /* bone everywhere between the surfaces */
    double sum[SETTINGS_MAX][4], square[SETTINGS_MAX], seconds[SETTINGS_MAX];
    int better[SETTINGS_MAX], n;
};

static double cpu_s(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* truth: u8 over the whole grid. */
static enum status loo_cut(struct volume *skull, struct volume *truth, struct loo *loo, int64_t i, struct error *error)
{
    if (dataset_read_skull(skull, loo->set, i, error))
        return error->status;
    if (loo->stored) {
        if (dataset_read_implant(truth, loo->set, i, 0, error))
            return error->status;
    } else {
        struct region region;
        if (volume_new(truth, &skull->grid, VOXEL_U8, error) ||
            defect_draw(&region, NULL, skull, dataset_case(loo->set, i)->box, &loo->defects, rng_make(5, (uint64_t)i),
                        error))
            return error->status;
        const int64_t *dim = skull->grid.dim, width = box_size(region.box, 0), height = box_size(region.box, 1);
        for (int64_t v = 0; v < box_voxels(region.box); v++)
            if (region.mask[v])
                ((uint8_t *)truth->data)[((region.box.lo[2] + v / (width * height)) * dim[1] + region.box.lo[1] +
                                          v / width % height) *
                                             dim[0] +
                                         region.box.lo[0] + v % width] = 1;
        region_done(&region);
    }
    for (int64_t v = 0; v < grid_voxels(&skull->grid); v++)
        if (((const uint8_t *)truth->data)[v])
            ((uint8_t *)skull->data)[v] = 0;
    return STATUS_OK;
}

static enum status loo_head(struct loo *loo, int64_t i, struct error *error)
{
    const struct dataset_case *item = dataset_case(loo->set, i);
    struct volume skull = {0}, truth = {0};
    struct shape_model without = loo->model; /* borrowed, but for the population */
    double spacing[3], first = 0;
    if (loo_cut(&skull, &truth, loo, i, error) ||
        shape_model_without(&without.population, &loo->model, item->name, item->content_hash, error))
        return error->status;
    uint8_t *implant = memory_alloc((size_t)grid_voxels(&skull.grid), 1);
    for (int a = 0; a < 3; a++)
        spacing[a] = grid_spacing_mm(&skull.grid, a);
    printf("%s", item->name);

    for (int s = 0; s < loo->n_settings && !error->status; s++) {
        struct shape_restoration restoration;
        struct metrics metrics;
        const double start = cpu_s();
        without.covariance = loo->setting[s];
        without.heads.occupancy = loo->solid[s] ? NULL : loo->model.heads.occupancy;
        if (shape_restore(implant, &restoration, &without, &skull, &(struct shape_options){.with_sd = true}, item->name,
                          error))
            break;
        loo->seconds[s] += cpu_s() - start;
        if (metrics_compare(&metrics, truth.data, implant, skull.data, skull.grid.dim, spacing, error))
            break;
        const double values[4] = {metrics.dsc, metrics.bdsc_mm, metrics.hd95_mm, metrics.volume_error};
        first = s ? first : values[0];
        for (int k = 0; k < 4; k++)
            loo->sum[s][k] += isfinite(values[k]) ? values[k] : 0;
        loo->square[s] += (values[0] - first) * (values[0] - first);
        loo->better[s] += values[0] > first;
        if (s == 0)
            printf(" loss %.3f", restoration.pose.loss);
        printf(" | %.4f %.4f %.2f %+.3f", values[0], values[1], values[2], values[3]);
        shape_restoration_done(&restoration);
    }
    printf("\n");
    fflush(stdout);
    loo->n++;
    memory_free(implant);
    volume_done(&skull);
    volume_done(&truth);
    population_done(&without.population);
    return error->status;
}

static enum status loo_open(struct loo *loo, int argc, char **argv, struct arena *arena, struct error *error)
{
    if (shape_model_read(&loo->model, argv[1], error) || dataset_open(&loo->set, argv[2], error))
        return error->status;
    loo->stored = strcmp(argv[3], "stored") == 0;
    if (!loo->stored && defects_read(&loo->defects, argv[3], arena, error))
        return error->status;
    for (int a = 5; a < argc && loo->n_settings < SETTINGS_MAX; a++) {
        struct covariance_params *params = &loo->setting[loo->n_settings++];
        *params = loo->model.covariance;
        for (char *word = argv[a], *next; word && strcmp(word, "-") != 0; word = next) {
            const char *items[1] = {word};
            if ((next = strchr(word, ',')))
                *next++ = '\0';
            loo->solid[loo->n_settings - 1] |= strcmp(word, "solid") == 0;
            if (strcmp(word, "solid") != 0 &&
                covariance_set(params, &(struct config_strings){.items = items, .n = 1}, arena, error))
                return error->status;
        }
    }
    return STATUS_OK;
}

int main(int argc, char **argv)
{
    struct error error = {0};
    struct arena arena = {0};
    static struct loo loo;
    if (argc < 6) {
        fprintf(stderr, "usage: bench_shape_loo MODEL SET DEFECTS|stored EVERY SETTING ...\n");
        return 2;
    }
    log_set_level(LOG_QUIET);
    const char *one = argv[4][0] == '=' ? argv[4] + 1 : NULL;
    const int64_t every = one ? 1 : strtoll(argv[4], NULL, 10);
    enum status status = loo_open(&loo, argc, argv, &arena, &error);
    for (int64_t i = 0, k = 0; !status && i < dataset_n_cases(loo.set); i++) {
        const struct dataset_case *item = dataset_case(loo.set, i);
        if (item->split == SPLIT_TRAIN && shape_model_find(&loo.model, item->name, item->content_hash) >= 0 &&
            (one ? strcmp(item->name, one) == 0 : k++ % every == 0))
            status = loo_head(&loo, i, &error);
    }
    if (status) {
        error_print(stderr, &error);
        return 1;
    }
    for (int s = 0; s < loo.n_settings; s++) {
        const double n = loo.n, gain = (loo.sum[s][0] - loo.sum[0][0]) / n;
        printf(
            "%d: DSC %.4f bDSC %.4f HD95 %.3f volume %+.3f | DSC %+.4f (sd %.4f of a head, %d of %d better) | %.2f s\n",
            s, loo.sum[s][0] / n, loo.sum[s][1] / n, loo.sum[s][2] / n, loo.sum[s][3] / n, gain,
            sqrt(fmax(loo.square[s] / n - gain * gain, 0)), loo.better[s], loo.n, loo.seconds[s] / n);
    }
    dataset_close(loo.set);
    shape_model_done(&loo.model);
    arena_done(&arena);
    return 0;
}
