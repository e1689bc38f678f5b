/* patch_sampler.c - where patches are cut: tiles of a grid, at random, or around the defect. See patch_sampler.h.
 * Test: tests/data/test_loader.c. */
#include "data/sample/patch_sampler.h"

#include <math.h>

#include "data/volume/resample.h"

/* First slice, and number of slices, that the grid covers along axis a. */
static int64_t sampler_grid_first(const struct loader_config *config, const int64_t dim[3], int a)
{
    return a == 2 && config->top_vox > 0 && config->top_vox < dim[2] ? dim[2] - config->top_vox : 0;
}

static int64_t sampler_grid_tiles(const struct loader_config *config, const int64_t dim[3], int a)
{
    const int64_t size = dim[a] - sampler_grid_first(config, dim, a), patch = config->patch_vox[a];
    return (size + patch - 1) / patch;
}

int64_t sampler_count(const struct loader_config *config, const int64_t dim[3])
{
    if (config->sampler == SAMPLER_WHOLE)
        return 1;
    if (config->sampler == SAMPLER_GRID)
        return sampler_grid_tiles(config, dim, 0) * sampler_grid_tiles(config, dim, 1) *
               sampler_grid_tiles(config, dim, 2);
    return config->patches_per_skull;
}

struct sampler_grid sampler_grid_of(const struct grid *grid, double spacing_mm)
{
    struct sampler_grid on = {.step = {1, 1, 1}};
    const double spacing[3] = {spacing_mm, spacing_mm, spacing_mm};
    const struct grid working = spacing_mm > 0 ? resample_grid(grid, spacing) : *grid;
    for (int a = 0; a < 3; a++) {
        on.dim[a] = working.dim[a];
        if (spacing_mm > 0)
            on.step[a] = spacing_mm / grid_spacing_mm(grid, a);
        on.lo[a] =
            0.5 * ((double)(grid->dim[a] - 1) - (double)(on.dim[a] - 1) * on.step[a]); /* both centres at one place */
    }
    return on;
}

/* Where a patch of this axis starts so that it stays inside [0, size) if it fits. */
static int64_t sampler_start_inside(int64_t start, int64_t size, int64_t patch)
{
    if (start > size - patch)
        start = size - patch;
    return start > 0 ? start : 0;
}

static void sampler_grid_place(int64_t start[3], const struct loader_config *config, const int64_t dim[3], int64_t k)
{
    for (int a = 2; a >= 0; a--) {
        const int64_t n = sampler_grid_tiles(config, dim, a), first = sampler_grid_first(config, dim, a),
                      patch = config->patch_vox[a];
        start[a] = first + sampler_start_inside(k % n * patch, dim[a] - first, patch);
        k /= n;
    }
}

/* The r-th voxel of the implant. */
static void sampler_implant_voxel(int64_t voxel[3], const struct region *implant, int64_t r)
{
    const int64_t w = implant->box.hi[0] - implant->box.lo[0], h = implant->box.hi[1] - implant->box.lo[1];
    int64_t i = 0;
    for (;; i++)
        if (implant->mask[i] && r-- == 0)
            break;
    voxel[0] = implant->box.lo[0] + i % w;
    voxel[1] = implant->box.lo[1] + i / w % h;
    voxel[2] = implant->box.lo[2] + i / w / h;
}

static int64_t sampler_implant_voxels(const struct region *implant)
{
    int64_t n = implant->mask ? 1 : 0;
    for (int a = 0; a < 3; a++)
        n *= implant->box.hi[a] - implant->box.lo[a];
    return n > 0 ? mask_count(implant->mask, n) : 0;
}

/* Where a voxel of the skull lies after augmentation, on the grid of the patches. */
static void sampler_centre_place(const struct augment *augment, const struct sampler_grid *on, int64_t centre[3])
{
    double at[3] = {(double)centre[0], (double)centre[1], (double)centre[2]};
    if (augment)
        augment_place(augment, at);
    for (int a = 0; a < 3; a++)
        centre[a] = llround((at[a] - on->lo[a]) / on->step[a]);
}

struct box sampler_box(const struct loader_config *config, const struct augment *augment, const struct sampler_grid *on,
                       struct box bone, const struct region *implant, struct rng rng, int64_t k)
{
    const int64_t *dim = on->dim;
    struct box box = {.hi = {dim[0], dim[1], dim[2]}};
    int64_t start[3] = {0}, centre[3];
    if (config->sampler == SAMPLER_WHOLE)
        return box;
    if (config->sampler == SAMPLER_GRID)
        sampler_grid_place(start, config, dim, k);
    else {
        struct rng place = rng_child(&rng, (uint64_t)k);
        const int64_t n = config->sampler == SAMPLER_DEFECT ? sampler_implant_voxels(implant) : 0;
        const bool on_defect = rng_uniform(&place, 0, 1) < config->defect_ratio && n > 0;
        if (on_defect)
            sampler_implant_voxel(centre, implant, rng_below(&place, n));
        for (int a = 0; a < 3 && !on_defect; a++)
            centre[a] = bone.lo[a] + rng_below(&place, bone.hi[a] - bone.lo[a]);
        sampler_centre_place(augment, on, centre);
        for (int a = 0; a < 3; a++)
            start[a] = sampler_start_inside(centre[a] - config->patch_vox[a] / 2, dim[a], config->patch_vox[a]);
    }
    for (int a = 0; a < 3; a++) {
        box.lo[a] = start[a];
        box.hi[a] = start[a] + config->patch_vox[a];
    }
    return box;
}
