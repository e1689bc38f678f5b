/* segment.c - see segment.h. Test: tests/data/test_segment.c. */
#include "data/segment/segment.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "data/segment/hounsfield.h"

enum { METAL_HU = 3071 };

#define OFFSET(member) offsetof(struct segment_config, member)
/* clang-format off */
static const struct config_field segment_fields[] = {
    {.key = "threshold_hu", .type = CONFIG_DOUBLE, .offset = OFFSET(threshold_hu), .text = "150", .min = -500,
     .max = 2000, .unit = "HU", .help = "bone from this value up"},
    {.key = "auto_threshold", .type = CONFIG_BOOL, .offset = OFFSET(auto_threshold), .text = "false",
     .help = "choose the threshold between soft tissue and bone by Otsu's method"},
    {.key = "min_bone_ml", .type = CONFIG_DOUBLE, .offset = OFFSET(min_bone_ml), .text = "50", .min = 0, .max = 5000,
     .unit = "ml", .help = "a piece of bone smaller than this is not a skull"},
    {.key = "hu_offset", .type = CONFIG_DOUBLE, .offset = OFFSET(hu_offset), .text = "0", .min = -10000, .max = 10000,
     .unit = "HU", .help = "added to every value, for a CT without its rescale intercept"},
    {.key = "metal_hu", .type = CONFIG_DOUBLE, .offset = OFFSET(metal_hu), .text = "0", .min = 0, .max = 1e5,
     .unit = "HU", .help = "bone up to this value, so that a mesh over the hole does not count; 0: no limit"},
    {.key = "keep_near_ml", .type = CONFIG_DOUBLE, .offset = OFFSET(keep_near_ml), .text = "0", .min = 0, .max = 5000,
     .unit = "ml", .help = "also keep pieces of at least this size near the skull: an infant's parietals, a bone flap; "
             "0: the largest piece alone"},
    {.key = "force", .type = CONFIG_BOOL, .offset = OFFSET(force), .text = "false",
     .help = "segment a scan whose values are not those of a head: a dry skull"},
    {0},
};
/* clang-format on */
const struct config_table segment_table = {
    .help = "CT to skull", .size = sizeof(struct segment_config), .fields = segment_fields};

/* ---- the threshold ---- */

/* Otsu's threshold over 60 .. 1500 HU: greatest variance between the classes below and above. */
static double segment_otsu_threshold(const struct hounsfield *hounsfield)
{
    enum { LO = 60, HI = 1500 };
    double total = 0, sum = 0, below = 0, sum_below = 0, best = -1, threshold = 150;

    for (int hu = LO; hu < HI; hu++) {
        total += (double)hounsfield->count[hu - HU_LOW];
        sum += hu * (double)hounsfield->count[hu - HU_LOW];
    }

    for (int hu = LO; hu < HI; hu++) {
        below += (double)hounsfield->count[hu - HU_LOW];
        sum_below += hu * (double)hounsfield->count[hu - HU_LOW];
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

static void segment_bone(uint8_t *mask, const struct volume *ct, const struct hounsfield *hounsfield,
                         double threshold_hu, double metal_hu)
{
    const int64_t n = grid_voxels(&ct->grid);
    const double most = metal_hu > 0 ? metal_hu : INFINITY;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        const double hu = hounsfield_at(hounsfield, ct, i);
        mask[i] = hu >= threshold_hu && hu <= most;
    }
}

/* ---- warnings ---- */

static double segment_axis_cosine(const struct grid *grid, int a, int b)
{
    double dot = 0;
    for (int k = 0; k < 3; k++)
        dot += grid->axis[a][k] * grid->axis[b][k];
    return fabs(dot) / (grid_spacing_mm(grid, a) * grid_spacing_mm(grid, b));
}

static void segment_warn_about_grid(struct warnings *warnings, const struct grid *grid)
{
    if (grid_spacing_mm(grid, 2) > 2.5)
        warnings_add(
            warnings,
            "thick slices (more than 2.5 mm): thin bone is lost between them; a thin-slice reconstruction would "
            "be better");
    if (segment_axis_cosine(grid, 0, 1) > 1e-3 || segment_axis_cosine(grid, 0, 2) > 1e-3 ||
        segment_axis_cosine(grid, 1, 2) > 1e-3)
        warnings_add(warnings,
                     "the axes are not at right angles (gantry tilt): shapes are sheared on this grid ('calvaria "
                     "resample' makes them right)");
}

static void segment_warn_about_values(struct warnings *warnings, const struct hounsfield *hounsfield)
{
    if (hounsfield->padded && hounsfield->padding > 0)
        warnings_add(warnings, "padding of %g in %.0f %% of the voxels, taken as air", hounsfield->padding,
                     100 * hounsfield->padding_frac);
    if (fabs(hounsfield->air_peak_hu - HU_AIR) > 120)
        warnings_add(warnings,
                     "air lies at %.0f HU (expected -1000): the values may not be Hounsfield units, as those of a "
                     "cone-beam CT are not; check the threshold in the pictures",
                     hounsfield->air_peak_hu);
}

/* Where the metal is, so that a reader of the report finds it. */
static void segment_find_metal(struct segment_report *report, const struct volume *ct,
                               const struct hounsfield *hounsfield, struct box skull)
{
    const int64_t *dim = ct->grid.dim;
    struct box box = {.lo = {dim[0], dim[1], dim[2]}};
    for (int64_t z = skull.lo[2]; z < skull.hi[2]; z++)
        for (int64_t y = skull.lo[1]; y < skull.hi[1]; y++)
            for (int64_t x = skull.lo[0]; x < skull.hi[0]; x++) {
                if (hounsfield_at(hounsfield, ct, (z * dim[1] + y) * dim[0] + x) < METAL_HU)
                    continue;
                const int64_t at[3] = {x, y, z};
                for (int a = 0; a < 3; a++) {
                    box.lo[a] = at[a] < box.lo[a] ? at[a] : box.lo[a];
                    box.hi[a] = at[a] + 1 > box.hi[a] ? at[a] + 1 : box.hi[a];
                }
            }
    report->metal_box = box_empty(box) ? (struct box){0} : box;
}

static void segment_warn_about_metal(struct segment_report *report, const struct grid *grid, struct box skull)
{
    const struct box metal = report->metal_box;
    if (report->metal_ml <= 0.05)
        return;
    if (box_empty(metal)) {
        warnings_add(&report->warnings, "%.1f ml of metal in the scan: its streaks may stand as bone, or hide it",
                     report->metal_ml);
        return;
    }

    /* Fillings of teeth lie in the lower part of a head scan, plates and meshes in the vault */
    const double above_mm = (double)(metal.hi[2] - skull.lo[2]) * grid_spacing_mm(grid, 2);
    const double height_mm = (double)box_size(skull, 2) * grid_spacing_mm(grid, 2);
    warnings_add(&report->warnings,
                 "%.1f ml of metal between slices %lld and %lld (%s): its streaks may stand as bone, or hide it%s",
                 report->metal_ml, (long long)metal.lo[2], (long long)metal.hi[2] - 1,
                 above_mm > 0.5 * height_mm ? "up into the vault" : "in the lower half: fillings?",
                 above_mm > 0.5 * height_mm ? "; a plate or mesh counts as bone (--metal-hu leaves it out)" : "");
}

/* ---- all ---- */

/* Keeps the largest 6-connected piece, and pieces near it that config asks for; counts what goes. */
static enum status segment_keep_skull(uint8_t *mask, struct pieces *pieces, const struct grid *grid,
                                      const struct segment_config *config, struct segment_report *report,
                                      struct error *error)
{
    const int64_t n = grid_voxels(grid);
    int32_t *labels = memory_alloc((size_t)n, sizeof *labels);
    if (!labels)
        return error_memory(error, (size_t)n * sizeof *labels, "the labels of the bone's pieces");
    enum status status = pieces_find(pieces, labels, mask, grid, error);
    bool *keep = status ? NULL : memory_zalloc((size_t)pieces->n_all + 1, sizeof *keep);
    if (!status && !keep)
        status = error_memory(error, (size_t)pieces->n_all, "the bone's pieces");

    if (!status) {
        int64_t kept = 0;
        for (int i = 0; i < pieces->n; i++)
            if (i == 0 ||
                (config->keep_near_ml > 0 && pieces->of[i].near && pieces->of[i].ml >= config->keep_near_ml)) {
                keep[pieces->of[i].label] = true;
                kept += pieces->of[i].n;
                report->n_kept++;
            }
        for (int64_t i = 0; i < n; i++)
            mask[i] = keep[labels[i]];
        report->bone_ml = (double)kept * grid_voxel_ml(grid);
        report->removed_ml = pieces->all_ml - report->bone_ml;
        report->n_removed = pieces->n_all - report->n_kept;

        /* A piece that was kept is not worth a warning */
        int left = pieces->n > 0;
        for (int i = 1; i < pieces->n; i++)
            if (!keep[pieces->of[i].label])
                pieces->of[left++] = pieces->of[i];
        pieces->n = left;
    }

    memory_free(keep);
    memory_free(labels);
    return status;
}

static enum status segment_refuse_picture(const struct volume *ct, const char *name, struct error *error)
{
    const int64_t n = grid_voxels(&ct->grid), n_on = mask_count(ct->data, n);
    uint8_t highest = 0, lowest_on = 255;
    for (int64_t i = 0; i < n; i++) {
        const uint8_t value = ((const uint8_t *)ct->data)[i];
        highest = value > highest ? value : highest;
        lowest_on = value > 0 && value < lowest_on ? value : lowest_on;
    }
    if (n_on == 0 || highest == lowest_on)
        return error_set(error, STATUS_FAILED,
                         "%s: a mask already (values 0 and %d), not a CT: it needs no segmentation (give it to "
                         "'calvaria infer' as it is)",
                         name, highest);
    return error_set(
        error, STATUS_FAILED,
        "%s: not a CT in Hounsfield units: all values are whole numbers from 0 to 255, as in a label map or "
        "a picture that lost its units (a label map: 'calvaria infer --label N' reads one label)",
        name);
}

enum status segment_skull(struct volume *ret_skull, struct segment_report *report, const struct volume *ct,
                          const struct segment_config *config, const char *name, struct error *error)
{
    struct volume skull = {0};
    struct pieces *pieces = NULL;
    memset(report, 0, sizeof *report);
    if (ct->type == VOXEL_U8)
        return segment_refuse_picture(ct, name, error);

    /* What the values are, before any of them is taken for bone */
    struct hounsfield *hounsfield = memory_alloc(1, sizeof *hounsfield);
    pieces = memory_zalloc(1, sizeof *pieces);
    if (!hounsfield || !pieces) {
        memory_free(pieces);
        memory_free(hounsfield);
        return error_memory(error, sizeof *hounsfield, "the histogram");
    }
    hounsfield_count(hounsfield, ct, config->hu_offset);
    enum status status = config->force ? STATUS_OK : hounsfield_check(hounsfield, name, error);
    report->threshold_hu = config->auto_threshold ? segment_otsu_threshold(hounsfield) : config->threshold_hu;
    report->metal_ml = (double)hounsfield_between(hounsfield, METAL_HU, HU_HIGH) * grid_voxel_ml(&ct->grid);

    if (!status)
        status = volume_new(&skull, &ct->grid, VOXEL_U8, error);
    if (!status) {
        skull.storage = ct->storage;
        segment_bone(skull.data, ct, hounsfield, report->threshold_hu, config->metal_hu);
        status = segment_keep_skull(skull.data, pieces, &ct->grid, config, report, error);
    }
    if (!status && report->bone_ml < config->min_bone_ml)
        status = error_set(error, STATUS_FAILED,
                           "%s: the largest piece above %.0f HU is %.1f ml, less than a skull's (min_bone_ml is %.1f)",
                           name, report->threshold_hu, report->bone_ml, config->min_bone_ml);

    if (!status) {
        const struct box box = box_of_mask(skull.data, ct->grid.dim);
        const int64_t slice = ct->grid.dim[0] * ct->grid.dim[1];
        segment_find_metal(report, ct, hounsfield, box);
        plausible_check_header(&report->warnings, ct);
        segment_warn_about_grid(&report->warnings, &ct->grid);
        segment_warn_about_values(&report->warnings, hounsfield);
        segment_warn_about_metal(report, &ct->grid, box);
        if (mask_count((uint8_t *)skull.data + (ct->grid.dim[2] - 1) * slice, slice) > 0)
            warnings_add(&report->warnings, "the bone reaches the top slice: the vertex is cut off");
        plausible_check(&report->warnings, &skull, pieces, true);
        *ret_skull = skull;
    } else {
        volume_done(&skull);
    }
    memory_free(pieces);
    memory_free(hounsfield);
    return status;
}
