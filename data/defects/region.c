/* region.c - shapes marked in a box of voxels: what the generators share. See region.h. Test:
 * tests/data/test_defect.c. */
#include "data/defects/region.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

const char *const placement_box_names[] = {"volume", "skull", NULL};

struct box placement_box_of(int placement_box, const struct volume *skull, struct box skull_box)
{
    return placement_box == PLACEMENT_SKULL ? skull_box : box_of_grid(&skull->grid);
}

enum status region_new(struct region *ret, struct box box, struct error *error)
{
    *ret = (struct region){0};
    if (box_empty(box))
        return STATUS_OK;
    uint8_t *mask = memory_zalloc((size_t)box_voxels(box), 1);
    if (!mask)
        return error_memory(error, (size_t)box_voxels(box), "a defect's region");
    *ret = (struct region){.box = box, .mask = mask};
    return STATUS_OK;
}

void region_done(struct region *region)
{
    memory_free(region->mask);
    *region = (struct region){0};
}

/* The row y, z of the region, indexed from box.lo[0]. */
static uint8_t *region_row(const struct region *region, int64_t y, int64_t z)
{
    const struct box *box = &region->box;
    return region->mask + ((z - box->lo[2]) * box_size(*box, 1) + (y - box->lo[1])) * box_size(*box, 0);
}

void region_fill(struct region *region, struct box part)
{
    part = box_meet(part, region->box);
    for (int64_t z = part.lo[2]; z < part.hi[2]; z++)
        for (int64_t y = part.lo[1]; y < part.hi[1]; y++)
            memset(region_row(region, y, z) + part.lo[0] - region->box.lo[0], 1, (size_t)box_size(part, 0));
}

/* Marks row y, z where |x - centre| <= half, points on the border included in spite of rounding. */
static void region_fill_span(struct region *region, int64_t y, int64_t z, double centre, double half)
{
    const struct box span = {.lo = {(int64_t)ceil(centre - half - 1e-9), y, z},
                             .hi = {(int64_t)floor(centre + half + 1e-9) + 1, y + 1, z + 1}};
    region_fill(region, span);
}

void region_add_ball(struct region *region, const double centre[3], const double radius[3])
{
    const struct box *box = &region->box;
    for (int64_t z = box->lo[2]; z < box->hi[2]; z++)
        for (int64_t y = box->lo[1]; y < box->hi[1]; y++) {
            const double dz = ((double)z - centre[2]) / radius[2], dy = ((double)y - centre[1]) / radius[1];
            const double rest = 1 - dz * dz - dy * dy;
            if (rest >= -1e-12)
                region_fill_span(region, y, z, centre[0], radius[0] * sqrt(fmax(rest, 0)));
        }
}

void region_add_cylinder(struct region *region, struct box part, const double centre[2], const double radius[2])
{
    for (int64_t z = part.lo[2]; z < part.hi[2]; z++)
        for (int64_t y = part.lo[1]; y < part.hi[1]; y++) {
            const double dy = ((double)y - centre[1]) / radius[1];
            if (dy * dy <= 1)
                region_fill_span(region, y, z, centre[0], radius[0] * sqrt(1 - dy * dy));
        }
}

enum status region_cut(struct region *region, const struct volume *skull, int64_t *ret_n, struct error *error)
{
    *ret_n = 0;
    if (!region->mask)
        return STATUS_OK;
    const struct box box = region->box;
    const int64_t size[3] = {box_size(box, 0), box_size(box, 1), box_size(box, 2)};
    const uint8_t *bone = skull->data;

    /* A defect is bone that is removed: air in the shape does not count */
    for (int64_t z = box.lo[2]; z < box.hi[2]; z++)
        for (int64_t y = box.lo[1]; y < box.hi[1]; y++) {
            uint8_t *row = region_row(region, y, z);
            const uint8_t *bone_row = bone + (z * skull->grid.dim[1] + y) * skull->grid.dim[0] + box.lo[0];
            for (int64_t x = 0; x < size[0]; x++)
                row[x] = row[x] && bone_row[x];
        }

    struct box tight = box_of_mask(region->mask, size);
    struct region cut;

    /* The tight box saves memory and the time of all that follows */
    for (int a = 0; a < 3; a++) {
        tight.lo[a] += box.lo[a];
        tight.hi[a] += box.lo[a];
    }

    if (region_new(&cut, tight, error))
        return error->status;

    for (int64_t z = tight.lo[2]; z < tight.hi[2]; z++)
        for (int64_t y = tight.lo[1]; y < tight.hi[1]; y++)
            memcpy(region_row(&cut, y, z), region_row(region, y, z) + tight.lo[0] - box.lo[0],
                   (size_t)box_size(tight, 0));
    region_done(region);
    *region = cut;
    *ret_n = cut.mask ? mask_count(cut.mask, box_voxels(tight)) : 0;
    return STATUS_OK;
}

bool range_given(const double range[2])
{
    return range[1] > 0;
}
