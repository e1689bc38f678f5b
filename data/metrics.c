/* metrics.c - Dice, border Dice and surface distances of a predicted implant, computed inside the box of both masks.
 * Definitions: OldaKodym/evaluation_metrics (the AutoImplant challenge's), surfaces and pooled distances as in MedPy.
 * Test: tests/data/test_metrics.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/mask/distance.h"
#include "data/metrics.h"
#include "data/mask/morphology.h"

static const double border_mm = 10, border_vox = 10, nsd_tolerance_mm = 1;

/* --- overlap --- */

struct overlap {
    int64_t truth, predicted, both;
};

/* `where` NULL: everywhere, else only where it is not 0. */
static struct overlap metrics_overlap_count(const uint8_t *truth, const uint8_t *predicted, const uint8_t *where,
                                            int64_t n)
{
    int64_t t = 0, p = 0, both = 0;
#pragma omp parallel for schedule(static) reduction(+ : t, p, both)
    for (int64_t i = 0; i < n; i++) {
        int in = !where || where[i], in_t = in && truth[i], in_p = in && predicted[i];
        t += in_t;
        p += in_p;
        both += in_t && in_p;
    }
    return (struct overlap){t, p, both};
}

static double metrics_overlap_dice(struct overlap o)
{
    return o.truth + o.predicted > 0 ? 2.0 * (double)o.both / (double)(o.truth + o.predicted) : 0;
}

/* --- crops --- */

static void metrics_box_dims(int64_t dim[3], struct box box)
{
    for (int a = 0; a < 3; a++)
        dim[a] = box.hi[a] - box.lo[a];
}

static struct box metrics_box_union(struct box a, struct box b)
{
    for (int k = 0; k < 3 && !box_empty(b); k++) {
        a.lo[k] = b.lo[k] < a.lo[k] ? b.lo[k] : a.lo[k];
        a.hi[k] = b.hi[k] > a.hi[k] ? b.hi[k] : a.hi[k];
    }
    return a;
}

static uint8_t *metrics_mask_crop(const uint8_t *mask, const int64_t dim[3], struct box box)
{
    int64_t size[3];
    metrics_box_dims(size, box);
    uint8_t *crop = memory_alloc((size_t)box_voxels(box), 1);
    for (int64_t row = 0; crop && row < size[1] * size[2]; row++) {
        int64_t y = box.lo[1] + row % size[1], z = box.lo[2] + row / size[1];
        memcpy(crop + row * size[0], mask + (z * dim[1] + y) * dim[0] + box.lo[0], (size_t)size[0]);
    }
    return crop;
}

/* mask XOR its 6-connected erosion, in place; outside counts as empty. */
static enum status metrics_mask_surface(uint8_t *mask, const int64_t dim[3], struct error *error)
{
    int64_t n = dim[0] * dim[1] * dim[2];
    uint8_t *core = memory_alloc((size_t)n, 1);
    if (!core)
        return error_memory(error, (size_t)n, "surface of an implant");
    memcpy(core, mask, (size_t)n);
    enum status status = mask_erode(core, dim, 1, error);
    for (int64_t i = 0; i < n; i++)
        mask[i] = mask[i] && !core[i];
    memory_free(core);
    return status;
}

/* --- surface distances --- */

static int metrics_double_compare(const void *a, const void *b)
{
    double u = *(const double *)a, v = *(const double *)b;
    return (u > v) - (u < v);
}

/* Linear interpolation between the two nearest ranks, as numpy.percentile. */
static double metrics_sorted_percentile(const double *sorted, int64_t n, double percent)
{
    double rank = percent / 100 * (double)(n - 1);
    int64_t lower = (int64_t)rank, upper = lower + 1 < n ? lower + 1 : lower;
    return sorted[lower] + (sorted[upper] - sorted[lower]) * (rank - (double)lower);
}

/* Pools both ways and fills what comes of it. */
static enum status metrics_pool(struct metrics *metrics, const double *forth, int64_t n_forth, const double *back,
                                int64_t n_back, struct error *error)
{
    int64_t n = n_forth + n_back, near = 0;
    double sum = 0;
    double *pooled = memory_alloc((size_t)n, sizeof *pooled);
    if (!pooled)
        return error_memory(error, (size_t)n * sizeof *pooled, "surface distances");
    memcpy(pooled, forth, (size_t)n_forth * sizeof *pooled);
    memcpy(pooled + n_forth, back, (size_t)n_back * sizeof *pooled);
    qsort(pooled, (size_t)n, sizeof *pooled, metrics_double_compare);
    for (int64_t i = 0; i < n; i++) {
        sum += pooled[i];
        near += pooled[i] <= nsd_tolerance_mm;
    }
    metrics->hd95_mm = metrics_sorted_percentile(pooled, n, 95);
    metrics->hd_mm = pooled[n - 1];
    metrics->assd_mm = sum / (double)n;
    metrics->nsd_1mm = (double)near / (double)n;
    memory_free(pooled);
    return STATUS_OK;
}

/* truth and predicted: not empty, on dims of their common box; both become their surfaces. */
static enum status metrics_surfaces(struct metrics *metrics, uint8_t *truth, uint8_t *predicted, const int64_t dim[3],
                                    const double spacing_mm[3], struct error *error)
{
    double *forth = NULL, *back = NULL;
    int64_t n_forth, n_back;
    enum status status = metrics_mask_surface(truth, dim, error);
    if (!status)
        status = metrics_mask_surface(predicted, dim, error);
    if (!status)
        status = distance_at(&forth, &n_forth, predicted, truth, dim, spacing_mm, error);
    if (!status)
        status = distance_at(&back, &n_back, truth, predicted, dim, spacing_mm, error);
    if (!status)
        status = metrics_pool(metrics, forth, n_forth, back, n_back, error);
    memory_free(back);
    memory_free(forth);
    return status;
}

/* --- the border --- */

struct border {
    const uint8_t *truth, *predicted, *defective; /* whole volumes */
    const int64_t *dim;
    struct box box; /* of truth and predicted */
};

/* Dice of the voxels within `limit` of the defective skull: bone outside the box matters up to that far from it. */
static enum status metrics_border_dice(double *ret, const struct border *border, const double spacing[3], double limit,
                                       struct error *error)
{
    struct box wide = border->box;
    int64_t size[3];

    /* Distances to the border need the bone around both implants, up to the limit */
    for (int a = 0; a < 3; a++) {
        int64_t margin = (int64_t)ceil(limit / spacing[a]) + 1;
        struct box grown = box_grow(border->box, margin, border->dim);
        wide.lo[a] = grown.lo[a];
        wide.hi[a] = grown.hi[a];
    }

    metrics_box_dims(size, wide);
    uint8_t *bone = metrics_mask_crop(border->defective, border->dim, wide),
            *within = memory_alloc((size_t)box_voxels(wide), 1);
    uint8_t *truth = metrics_mask_crop(border->truth, border->dim, wide),
            *predicted = metrics_mask_crop(border->predicted, border->dim, wide);

    enum status status = bone && within && truth && predicted
                             ? STATUS_OK
                             : error_memory(error, (size_t)box_voxels(wide), "border of an implant");

    if (!status)
        status = distance_within(within, bone, size, spacing, limit, error);
    if (!status)
        *ret = metrics_overlap_dice(metrics_overlap_count(truth, predicted, within, box_voxels(wide)));

    memory_free(predicted);
    memory_free(truth);
    memory_free(within);
    memory_free(bone);
    return status;
}

/* --- all of them --- */

/* The values that are defined when a mask is empty. */
static void metrics_of_empty(struct metrics *metrics, bool with_border)
{
    bool both = metrics->truth_vox + metrics->predicted_vox == 0;
    double agreement = both ? 1 : 0, distance = both ? 0 : NAN;
    metrics->both_empty = both;
    metrics->failed = !both;
    metrics->dsc = metrics->nsd_1mm = agreement;
    metrics->bdsc_mm = metrics->bdsc_vox = with_border ? agreement : NAN;
    metrics->hd95_mm = metrics->hd_mm = metrics->assd_mm = distance;
    metrics->volume_error = both ? 0 : metrics->truth_vox > 0 ? -1 : NAN;
    metrics->precision = both ? 1 : metrics->predicted_vox > 0 ? 0 : NAN;
    metrics->recall = both ? 1 : metrics->truth_vox > 0 ? 0 : NAN;
}

enum status metrics_compare(struct metrics *ret, const uint8_t *truth, const uint8_t *predicted,
                            const uint8_t *defective, const int64_t dim[3], const double spacing_mm[3],
                            struct error *error)
{
    static const double unit[3] = {1, 1, 1};
    struct overlap overlap = metrics_overlap_count(truth, predicted, NULL, dim[0] * dim[1] * dim[2]);
    struct metrics metrics = {
        .truth_vox = overlap.truth, .predicted_vox = overlap.predicted, .bdsc_mm = NAN, .bdsc_vox = NAN};

    if (overlap.truth == 0 || overlap.predicted == 0) {
        metrics_of_empty(&metrics, defective != NULL);
        *ret = metrics;
        return STATUS_OK;
    }

    metrics.dsc = metrics_overlap_dice(overlap);
    metrics.volume_error = (double)(overlap.predicted - overlap.truth) / (double)overlap.truth;
    metrics.precision = (double)overlap.both / (double)overlap.predicted;
    metrics.recall = (double)overlap.both / (double)overlap.truth;

    /* Surfaces lie inside the box of both implants: the distance transform runs there alone */
    const struct border border = {truth, predicted, defective, dim,
                                  metrics_box_union(box_of_mask(truth, dim), box_of_mask(predicted, dim))};
    int64_t size[3];
    metrics_box_dims(size, border.box);
    uint8_t *t = metrics_mask_crop(truth, dim, border.box), *p = metrics_mask_crop(predicted, dim, border.box);
    enum status status = t && p ? STATUS_OK : error_memory(error, (size_t)box_voxels(border.box), "box of an implant");
    if (!status)
        status = metrics_surfaces(&metrics, t, p, size, spacing_mm, error);
    memory_free(p);
    memory_free(t);

    /* Border Dice (bDSC) counts only voxels near the defective skull, in mm and in voxels, as the challenge did */
    if (!status && defective)
        status = metrics_border_dice(&metrics.bdsc_mm, &border, spacing_mm, border_mm, error);
    if (!status && defective)
        status = metrics_border_dice(&metrics.bdsc_vox, &border, unit, border_vox, error);

    if (!status)
        *ret = metrics;
    return status;
}

/* --- table --- */

bool metrics_is_failure(const struct metrics *metrics)
{
    return metrics->failed || metrics->dsc < METRICS_FAILURE_DSC;
}

static double metrics_column_dsc(const struct metrics *metrics)
{
    return metrics->dsc;
}

static double metrics_column_bdsc_mm(const struct metrics *metrics)
{
    return metrics->bdsc_mm;
}

static double metrics_column_bdsc_vox(const struct metrics *metrics)
{
    return metrics->bdsc_vox;
}

static double metrics_column_hd95(const struct metrics *metrics)
{
    return metrics->hd95_mm;
}

static double metrics_column_hd(const struct metrics *metrics)
{
    return metrics->hd_mm;
}

static double metrics_column_assd(const struct metrics *metrics)
{
    return metrics->assd_mm;
}

static double metrics_column_nsd(const struct metrics *metrics)
{
    return metrics->nsd_1mm;
}

static double metrics_column_volume_error(const struct metrics *metrics)
{
    return metrics->volume_error;
}

static double metrics_column_precision(const struct metrics *metrics)
{
    return metrics->precision;
}

static double metrics_column_recall(const struct metrics *metrics)
{
    return metrics->recall;
}

const struct metrics_column metrics_columns[] = {
    {"dsc", "", metrics_column_dsc, 1},
    {"bdsc_mm", "", metrics_column_bdsc_mm, 1},
    {"bdsc_vox", "", metrics_column_bdsc_vox, 1},
    {"hd95_mm", "mm", metrics_column_hd95, -1},
    {"hd_mm", "mm", metrics_column_hd, -1},
    {"assd_mm", "mm", metrics_column_assd, -1},
    {"nsd_1mm", "", metrics_column_nsd, 1},
    {"volume_error", "", metrics_column_volume_error, 0},
    {"precision", "", metrics_column_precision, 1},
    {"recall", "", metrics_column_recall, 1},
    {0},
};
