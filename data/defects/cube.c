/* cube.c - a box of given edge in x and y at a random place, from 3/4 of the height to the top.
 * Source: Jianningli/autoimplant, skull-processing/src/defectinject.py, generate_hole_implants (edge 128 voxels).
 * Test: tests/data/test_defect.c. */
#include <math.h>
#include <stddef.h>

#include "data/defects/region.h"

struct cube_config {
    struct defect_config base;
    double edge_vox[2], edge_mm[2];
    double floor_frac;
    int placement_box;
};

/* clang-format off */
static const struct config_field cube_fields[] = {
    {.key = "edge_mm", .type = CONFIG_RANGE, .offset = offsetof(struct cube_config, edge_mm), .text = "[0, 0]",
     .unit = "mm", .min = 0, .max = 500, .help = "edge in x and y, drawn from this range; [0, 0]: edge_vox holds"},
    {.key = "edge_vox", .type = CONFIG_RANGE, .offset = offsetof(struct cube_config, edge_vox), .text = "[128, 128]",
     .unit = "voxels", .min = 1, .max = 4096, .help = "edge in x and y, as published"},
    {.key = "floor_frac", .type = CONFIG_DOUBLE, .offset = offsetof(struct cube_config, floor_frac), .text = "0.75",
     .min = 0, .max = 1, .help = "the defect reaches from this fraction of the height to the top"},
    {.key = "placement_box", .old_key = "frame",
     .type = CONFIG_ENUM, .offset = offsetof(struct cube_config, placement_box), .text = "volume",
     .names = placement_box_names, .help = PLACEMENT_BOX_HELP},
    {0}};
/* clang-format on */

static enum status cube_draw(const void *config, const struct volume *skull, struct box skull_box, struct rng *rng,
                             struct region *ret, struct error *error)
{
    const struct cube_config *cube = config;
    const struct box within = placement_box_of(cube->placement_box, skull, skull_box);
    const double edge_mm = rng_range(cube->edge_mm, rng);
    const double edge_vox = (double)rng_range_int(cube->edge_vox, rng);
    struct box box = within;
    for (int a = 0; a < 2; a++) {
        int64_t half = range_given(cube->edge_mm) ? llround(edge_mm / grid_spacing_mm(&skull->grid, a) / 2)
                                                  : (int64_t)edge_vox / 2;
        if (half < 1)
            half = 1;
        if (2 * half >= box_size(within, a))
            continue; /* it covers this axis */
        const int64_t centre = within.lo[a] + half + rng_below(rng, box_size(within, a) - 2 * half + 1);
        box.lo[a] = centre - half;
        box.hi[a] = centre + half;
    }
    box.lo[2] = within.lo[2] + (int64_t)((double)box_size(within, 2) * cube->floor_frac);
    if (region_new(ret, box_meet(box, skull_box), error))
        return error->status;
    region_fill(ret, box);
    return STATUS_OK;
}

/* clang-format off */
const struct defect_ops defect_cube = {
    .config = {.type = "cube",
               .help = "a box through the top quarter at a random place (Li et al. 2020)",
               .size = sizeof(struct cube_config),
               .base = &defect_base_table,
               .fields = cube_fields},
    .draw = cube_draw,
};
/* clang-format on */
