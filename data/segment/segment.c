/* segment.c - see segment.h. Test: tests/data/test_segment.c. */
#include "data/segment/segment.h"

#include <math.h>
#include <string.h>

#include "data/mask/morphology.h"

enum { HU_LOW = -1100, HU_HIGH = 3100, HU_BINS = HU_HIGH - HU_LOW };
enum { AIR_HU = -300, TISSUE_LOW_HU = -50, TISSUE_HIGH_HU = 100, BONE_HU = 300, METAL_HU = 3071 };

/* clang-format off */
static const struct config_field segment_fields[] = {
    {.key = "threshold_hu", .type = CONFIG_DOUBLE, .offset = offsetof(struct segment_config, threshold_hu),
     .text = "150", .min = -500, .max = 2000, .unit = "HU", .help = "bone from this value up"},
    {.key = "auto_threshold", .type = CONFIG_BOOL, .offset = offsetof(struct segment_config, auto_threshold),
     .text = "false", .help = "choose the threshold between soft tissue and bone by Otsu's method"},
    {.key = "min_bone_ml", .type = CONFIG_DOUBLE, .offset = offsetof(struct segment_config, min_bone_ml),
     .text = "50", .min = 0, .max = 5000, .unit = "ml", .help = "a piece of bone smaller than this is not a skull"},
    {0},
};
/* clang-format on */
const struct config_table segment_table = {
    .help = "CT to skull", .size = sizeof(struct segment_config), .fields = segment_fields};

/* Counts by whole Hounsfield units; values beyond the ends fall into the end bins. */
struct histogram {
    int64_t count[HU_BINS], n;
};

static double segment_value_at(const struct volume *ct, int64_t i)
{
    return ct->type == VOXEL_I16 ? (double)((const int16_t *)ct->data)[i] : (double)((const float *)ct->data)[i];
}

static void segment_histogram_fill(struct histogram *histogram, const struct volume *ct)
{
    memset(histogram, 0, sizeof *histogram);
    histogram->n = grid_voxels(&ct->grid);
    for (int64_t i = 0; i < histogram->n; i++) {
        const double hu = segment_value_at(ct, i);
        const double bin = hu >= HU_HIGH ? HU_BINS - 1 : hu > HU_LOW ? floor(hu) - HU_LOW : 0; /* NaN: air */
        histogram->count[(int64_t)bin]++;
    }
}

/* Voxels with lo <= HU < hi. */
static int64_t segment_histogram_between(const struct histogram *histogram, int lo, int hi)
{
    int64_t n = 0;
    for (int hu = lo; hu < hi; hu++)
        n += histogram->count[hu - HU_LOW];
    return n;
}

/* A head in a scanner's field of view always shows air, soft tissue and bone in no small share. */
static enum status segment_refuse_no_ct(const struct histogram *histogram, const char *name, struct error *error)
{
    const double n = (double)histogram->n;
    const double air = (double)segment_histogram_between(histogram, HU_LOW, AIR_HU) / n;
    const double tissue = (double)segment_histogram_between(histogram, TISSUE_LOW_HU, TISSUE_HIGH_HU) / n;
    const double bone = (double)segment_histogram_between(histogram, BONE_HU, HU_HIGH) / n;
    const char *missing = air < 0.02      ? "air (below -300)"
                          : tissue < 0.02 ? "soft tissue (-50 to 100)"
                          : bone < 0.002  ? "bone (300 and more)"
                                          : NULL;
    if (!missing)
        return STATUS_OK;
    return error_set(error, STATUS_FAILED,
                     "%s: this is no head CT in Hounsfield units: hardly any %s among its values: air %.1f %%, soft "
                     "tissue %.1f %%, bone %.1f %% "
                     "(was the rescale slope and intercept of the DICOM series applied?)",
                     name, missing, 100 * air, 100 * tissue, 100 * bone);
}

/* Otsu's threshold over 60 .. 1500 HU: greatest variance between the classes below and above. */
static double segment_otsu_threshold(const struct histogram *histogram)
{
    enum { LO = 60, HI = 1500 };
    double total = 0, sum = 0, below = 0, sum_below = 0, best = -1, threshold = 150;

    for (int hu = LO; hu < HI; hu++) {
        total += (double)histogram->count[hu - HU_LOW];
        sum += hu * (double)histogram->count[hu - HU_LOW];
    }

    for (int hu = LO; hu < HI; hu++) {
        below += (double)histogram->count[hu - HU_LOW];
        sum_below += hu * (double)histogram->count[hu - HU_LOW];
        if (below == 0 || below == total)
            continue;
        const double difference = sum_below / below - (sum - sum_below) / (total - below);
        const double between = below * (total - below) * difference * difference;
        if (between > best) {
            best = between;
            threshold = hu + 1;
        }
    }

    return threshold;
}

static void segment_bone(uint8_t *mask, const struct volume *ct, double threshold_hu)
{
    const int64_t n = grid_voxels(&ct->grid);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++)
        mask[i] = segment_value_at(ct, i) >= threshold_hu;
}

static void segment_warn(struct segment_report *report, const char *text)
{
    if (report->n_warnings < SEGMENT_MAX_WARNINGS)
        report->warnings[report->n_warnings++] = text;
}

static double segment_axis_cosine(const struct grid *grid, int a, int b)
{
    double dot = 0;
    for (int k = 0; k < 3; k++)
        dot += grid->axis[a][k] * grid->axis[b][k];
    return fabs(dot) / (grid_spacing_mm(grid, a) * grid_spacing_mm(grid, b));
}

static void segment_warn_about_grid(struct segment_report *report, const struct grid *grid)
{
    if (grid_spacing_mm(grid, 2) > 2.5)
        segment_warn(report,
                     "thick slices (more than 2.5 mm): thin bone is lost between them; a thin-slice reconstruction "
                     "would be better");
    if (segment_axis_cosine(grid, 0, 1) > 1e-3 || segment_axis_cosine(grid, 0, 2) > 1e-3 ||
        segment_axis_cosine(grid, 1, 2) > 1e-3)
        segment_warn(
            report,
            "the axes are not at right angles (gantry tilt): shapes are sheared on this grid; resample it first");
}

static void segment_warn_about_skull(struct segment_report *report, const struct grid *grid, const uint8_t *mask)
{
    const struct box box = box_of_mask(mask, grid->dim);
    const int64_t slice = grid->dim[0] * grid->dim[1];
    if (report->metal_ml > 0.05)
        segment_warn(report, "metal in the scan: its streaks may stand as bone, or hide it");
    if (mask_count(mask + (grid->dim[2] - 1) * slice, slice) > 0)
        segment_warn(report, "the bone reaches the top slice: the vertex is cut off");
    if ((double)(box.hi[2] - box.lo[2]) * grid_spacing_mm(grid, 2) < 80)
        segment_warn(report, "less than 80 mm of skull from bottom to top: part of the vault is outside the scan");
}

/* Keeps the largest 6-connected piece; counts what goes. */
static enum status segment_keep_skull(uint8_t *mask, const struct grid *grid, struct segment_report *report,
                                      struct error *error)
{
    const int64_t n = grid_voxels(grid), before = mask_count(mask, n);
    int32_t *labels = memory_alloc((size_t)n, sizeof *labels);
    int64_t *sizes = NULL, n_pieces = 0;
    if (!labels)
        return error_memory(error, (size_t)n * sizeof *labels, "the labels of the bone's pieces");
    enum status status = mask_components(labels, &sizes, &n_pieces, mask, grid->dim, 6, error);
    if (!status) {
        int64_t largest = 0;
        for (int64_t i = 1; i < n_pieces; i++)
            if (sizes[i] > sizes[largest])
                largest = i;
        for (int64_t i = 0; i < n; i++)
            mask[i] = labels[i] == largest + 1;
        const int64_t kept = n_pieces ? sizes[largest] : 0;
        report->bone_ml = (double)kept * grid_voxel_ml(grid);
        report->removed_ml = (double)(before - kept) * grid_voxel_ml(grid);
        report->n_removed = n_pieces > 0 ? n_pieces - 1 : 0;
    }
    memory_free(sizes);
    memory_free(labels);
    return status;
}

enum status segment_skull(struct volume *ret_skull, struct segment_report *report, const struct volume *ct,
                          const struct segment_config *config, const char *name, struct error *error)
{
    struct volume skull = {0};
    memset(report, 0, sizeof *report);
    if (ct->type == VOXEL_U8)
        return error_set(error, STATUS_FAILED,
                         "%s: this is no CT in Hounsfield units: all values are whole numbers from 0 to 255 (a mask "
                         "needs no segmentation; a "
                         "picture has lost its units)",
                         name);
    struct histogram *histogram = memory_alloc(1, sizeof *histogram);
    if (!histogram)
        return error_memory(error, sizeof *histogram, "the histogram");
    segment_histogram_fill(histogram, ct);
    enum status status = segment_refuse_no_ct(histogram, name, error);
    report->threshold_hu = config->auto_threshold ? segment_otsu_threshold(histogram) : config->threshold_hu;
    report->metal_ml = (double)segment_histogram_between(histogram, METAL_HU, HU_HIGH) * grid_voxel_ml(&ct->grid);
    memory_free(histogram);
    if (!status)
        status = volume_new(&skull, &ct->grid, VOXEL_U8, error);
    if (!status) {
        skull.storage = ct->storage;
        segment_bone(skull.data, ct, report->threshold_hu);
        status = segment_keep_skull(skull.data, &ct->grid, report, error);
    }
    if (!status && report->bone_ml < config->min_bone_ml)
        status = error_set(error, STATUS_FAILED,
                           "%s: the largest piece above %.0f HU is %.1f ml, less than a skull's (min_bone_ml is %.1f)",
                           name, report->threshold_hu, report->bone_ml, config->min_bone_ml);
    if (status) {
        volume_done(&skull);
        return status;
    }
    segment_warn_about_grid(report, &ct->grid);
    segment_warn_about_skull(report, &ct->grid, skull.data);
    *ret_skull = skull;
    return STATUS_OK;
}
