/* sphere.c - a ball whose centre stands at 3/4 of the height, at a random place in x and y.
 * Source: Jianningli/autoimplant, skull-processing/src/defectinject.py, generate_sphere_hole_implants: radius in voxels
 * = what is above the centre + 20, so that the ball leaves through the top. Test: tests/data/test_defect.c. */
#include <math.h>
#include <stddef.h>

#include "data/defects/region.h"

struct sphere_config {
    struct defect_config base;
    double radius_mm[2], extra_vox[2];
    double centre_frac;
    int placement_box;
};

/* clang-format off */
static const struct config_field sphere_fields[] = {
    {.key = "radius_mm", .type = CONFIG_RANGE, .offset = offsetof(struct sphere_config, radius_mm), .text = "[0, 0]",
     .unit = "mm", .min = 0, .max = 250, .help = "radius, drawn from this range; [0, 0]: as published, to the top "
             "plus extra_vox"},
    {.key = "extra_vox", .type = CONFIG_RANGE, .offset = offsetof(struct sphere_config, extra_vox),
     .text = "[20, 20]", .unit = "voxels", .min = 0, .max = 1024, .help = "radius beyond the top, as published"},
    {.key = "centre_frac", .type = CONFIG_DOUBLE, .offset = offsetof(struct sphere_config, centre_frac),
     .text = "0.75", .min = 0, .max = 1, .help = "height of the centre"},
    {.key = "placement_box", .old_key = "frame",
     .type = CONFIG_ENUM, .offset = offsetof(struct sphere_config, placement_box), .text = "volume",
     .names = placement_box_names, .help = PLACEMENT_BOX_HELP},
    {0}};
/* clang-format on */

static enum status sphere_draw(const void *config, const struct volume *skull, struct box skull_box, struct rng *rng,
                               struct region *ret, struct error *error)
{
    const struct sphere_config *sphere = config;
    const struct box within = placement_box_of(sphere->placement_box, skull, skull_box);
    const double radius_mm = rng_range(sphere->radius_mm, rng);
    const double extra_vox = (double)rng_range_int(sphere->extra_vox, rng);
    const int64_t height = box_size(within, 2), centre_z = (int64_t)((double)height * sphere->centre_frac);
    double centre[3] = {0, 0, (double)(within.lo[2] + centre_z)}, radius[3];
    struct box box;
    for (int a = 0; a < 3; a++)
        radius[a] = range_given(sphere->radius_mm) ? radius_mm / grid_spacing_mm(&skull->grid, a)
                                                   : (double)(height - centre_z) + extra_vox;
    for (int a = 0; a < 2; a++) {
        const double low = (double)within.lo[a] + radius[a], high = (double)within.hi[a] - radius[a];
        centre[a] = floor(low < high ? rng_uniform(rng, low, high + 1) : (low + high) / 2);
    }
    for (int a = 0; a < 3; a++) {
        box.lo[a] = (int64_t)(centre[a] - radius[a]) - 1;
        box.hi[a] = (int64_t)(centre[a] + radius[a]) + 2;
    }
    if (region_new(ret, box_meet(box, skull_box), error))
        return error->status;
    region_add_ball(ret, centre, radius);
    return STATUS_OK;
}

/* clang-format off */
const struct defect_ops defect_sphere = {
    .config = {.type = "sphere",
               .help = "a ball centred at three quarters of the height (Li et al. 2020)",
               .size = sizeof(struct sphere_config),
               .base = &defect_base_table,
               .fields = sphere_fields},
    .draw = sphere_draw,
};
/* clang-format on */
