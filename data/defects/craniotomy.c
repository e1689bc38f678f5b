/* craniotomy.c - a bone flap between four burr holes, through the top third: the pattern of SkullFix.
 * Source: Jianningli/autoimplant, skull-processing/src/generate_batch_data_pairs.py (Li et al., "Dataset of
 * AutoImplant", SciData 2020): a box of a third of the volume per axis at the top; its core is the middle 2/3 in x and
 * y; a cylinder (radius 6 to 13 voxels) stands on each corner of the core; nine placements of the box, with loc, loc1
 * in {1, 2}. Test: tests/data/test_defect.c. */
#include <math.h>
#include <stddef.h>

#include "data/defects/region.h"

enum placement { PLACEMENT_PUBLISHED, PLACEMENT_ANYWHERE };
static const char *const placement_names[] = {"published", "anywhere", NULL};

struct craniotomy_config {
    struct defect_config base;
    double size_frac[3], size_mm[3];
    double core_frac;
    double burr_radius_vox[2], burr_radius_mm[2];
    int placement, placement_box;
};

/* clang-format off */
static const struct config_field craniotomy_fields[] = {
    {.key = "size_mm", .type = CONFIG_DOUBLE3, .offset = offsetof(struct craniotomy_config, size_mm),
     .text = "[0, 0, 0]", .unit = "mm", .min = 0, .max = 500,
     .help = "size of the box; 0: size_frac holds on that axis"},
    {.key = "size_frac", .type = CONFIG_DOUBLE3, .offset = offsetof(struct craniotomy_config, size_frac),
     .text = "[0.33333333333333, 0.33333333333333, 0.33333333333333]", .min = 0.01, .max = 1,
     .help = "size of the box, as published"},
    {.key = "core_frac", .type = CONFIG_DOUBLE, .offset = offsetof(struct craniotomy_config, core_frac),
     .text = "0.66666666666667", .min = 0.01, .max = 1,
     .help = "share of the box's x and y that is cut out; the burr holes stand on its corners"},
    {.key = "burr_radius_mm", .type = CONFIG_RANGE, .offset = offsetof(struct craniotomy_config, burr_radius_mm),
     .text = "[0, 0]", .unit = "mm", .min = 0, .max = 50,
     .help = "radius of the burr holes; [0, 0]: burr_radius_vox holds"},
    {.key = "burr_radius_vox", .type = CONFIG_RANGE, .offset = offsetof(struct craniotomy_config, burr_radius_vox),
     .text = "[6, 13]", .unit = "voxels", .min = 0, .max = 200, .help = "radius of the burr holes, as published"},
    {.key = "placement", .type = CONFIG_ENUM, .offset = offsetof(struct craniotomy_config, placement),
     .text = "published", .names = placement_names,
     .help = "one of the nine published places, or anywhere in x and y"},
    {.key = "placement_box", .old_key = "frame",
     .type = CONFIG_ENUM, .offset = offsetof(struct craniotomy_config, placement_box), .text = "volume",
     .names = placement_box_names, .help = PLACEMENT_BOX_HELP},
    {0}};
/* clang-format on */

/* Where the box starts, as a fraction of x and y. */
static void craniotomy_place(struct rng *rng, double place[2])
{
    const double loc = (double)(1 + rng_below(rng, 2)), loc1 = (double)(1 + rng_below(rng, 2));
    const double places[9][2] = {{loc / 4, 0.5},      {loc / 8, 0.5},      {0.5, 0.5},
                                 {loc / 4, loc1 / 8}, {loc / 8, loc1 / 8}, {0.5, loc / 8},
                                 {loc / 8, loc / 4},  {loc / 4, loc / 4},  {1.0 / 3, loc / 4}};
    const int64_t pick = rng_below(rng, 9);
    place[0] = places[pick][0];
    place[1] = places[pick][1];
}

/* The outer box, inside the placement box. */
static struct box craniotomy_box(const struct craniotomy_config *config, const struct grid *grid, struct box within,
                                 struct rng *rng)
{
    struct box box = {.hi = {0, 0, within.hi[2]}};
    double place[2];
    craniotomy_place(rng, place);
    for (int a = 0; a < 3; a++) {
        const int64_t whole = box_size(within, a);
        int64_t size = config->size_mm[a] > 0 ? llround(config->size_mm[a] / grid_spacing_mm(grid, a))
                                              : (int64_t)((double)whole * config->size_frac[a] + 1e-9);
        size = size < 1 ? 1 : size > whole ? whole : size;
        if (a == 2) {
            box.lo[2] = box.hi[2] - size;
            continue;
        }
        int64_t start = config->placement == PLACEMENT_ANYWHERE ? rng_below(rng, whole - size + 1)
                                                                : (int64_t)(place[a] * (double)whole);
        if (start > whole - size)
            start = whole - size;
        box.lo[a] = within.lo[a] + start;
        box.hi[a] = box.lo[a] + size;
    }
    return box;
}

static enum status craniotomy_draw(const void *config, const struct volume *skull, struct box skull_box,
                                   struct rng *rng, struct region *ret, struct error *error)
{
    const struct craniotomy_config *flap = config;
    const struct box within = placement_box_of(flap->placement_box, skull, skull_box);
    const double burr_mm = rng_range(flap->burr_radius_mm, rng),
                 burr_vox = (double)rng_range_int(flap->burr_radius_vox, rng);
    const struct box box = craniotomy_box(flap, &skull->grid, within, rng);
    const double edge = (1 - flap->core_frac) / 2; /* 1/6 */
    struct box core = box;
    double radius[2], low[2], high[2];
    for (int a = 0; a < 2; a++) {
        const double size = (double)box_size(box, a);
        core.lo[a] = box.lo[a] + (int64_t)(edge * size + 1e-9);
        core.hi[a] = box.lo[a] + (int64_t)((1 - edge) * size + 1e-9);
        low[a] = (double)box.lo[a] + edge * (size - 1);
        high[a] = (double)box.lo[a] + (1 - edge) * (size - 1);
        radius[a] = range_given(flap->burr_radius_mm) ? burr_mm / grid_spacing_mm(&skull->grid, a) : burr_vox;
    }
    if (region_new(ret, box_meet(box, skull_box), error))
        return error->status;
    region_fill(ret, core);
    for (int corner = 0; corner < 4 && radius[0] > 0; corner++) {
        const double centre[2] = {corner & 1 ? high[0] : low[0], corner & 2 ? high[1] : low[1]};
        region_add_cylinder(ret, ret->box, centre, radius);
    }
    return STATUS_OK;
}

/* clang-format off */
const struct defect_ops defect_craniotomy = {
    .config = {.type = "craniotomy",
               .help = "a bone flap between four burr holes, through the top third (SciData 2020, SkullFix)",
               .size = sizeof(struct craniotomy_config),
               .base = &defect_base_table,
               .fields = craniotomy_fields},
    .draw = craniotomy_draw,
};
/* clang-format on */
