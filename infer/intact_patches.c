/* intact_patches.c - how many voxels does the network change where nothing is missing? See window.h.
 * Test: tests/infer/test_window.c */
#include "infer/window.h"

#include "base/memory.h"

static bool intact_patches_any(const uint8_t *mask, const int64_t dim[3], struct box box)
{
    for (int64_t z = box.lo[2]; z < box.hi[2]; z++)
        for (int64_t y = box.lo[1]; y < box.hi[1]; y++)
            for (int64_t x = box.lo[0]; x < box.hi[0]; x++)
                if (mask[(z * dim[1] + y) * dim[0] + x])
                    return true;
    return false;
}

static void intact_patches_count(struct intact_patches *patches, const uint8_t *raw, const uint8_t *expected,
                                 const int64_t dim[3], struct box box)
{
    int64_t added = 0, removed = 0;
    for (int64_t z = box.lo[2]; z < box.hi[2]; z++)
        for (int64_t y = box.lo[1]; y < box.hi[1]; y++)
            for (int64_t x = box.lo[0]; x < box.hi[0]; x++) {
                int64_t i = (z * dim[1] + y) * dim[0] + x;
                bool is = raw[i] != 0, was = expected && expected[i] != 0;
                added += is && !was;
                removed += was && !is;
            }

    patches->n_intact++;
    patches->n_changed += added + removed > 0;
    patches->added_vox += added;
    patches->removed_vox += removed;
    patches->intact_vox += (box.hi[0] - box.lo[0]) * (box.hi[1] - box.lo[1]) * (box.hi[2] - box.lo[2]);
}

enum status intact_patches(struct intact_patches *ret, const struct window_config *config, const uint8_t *raw,
                           const uint8_t *expected, const uint8_t *truth_implant, const int64_t dim[3],
                           struct error *error)
{
    struct intact_patches patches = {0};
    int64_t *start[3] = {0}, n[3], size[3] = {dim[0], dim[1], dim[2]};

    if (config->top_vox > 0 && config->top_vox < dim[2])
        size[2] = config->top_vox;
    enum status status = STATUS_OK;
    for (int a = 0; !status && a < 3; a++)
        status = window_starts(&start[a], &n[a], size[a], config->patch_vox[a], config->patch_vox[a], error);

    /* Each voxel belongs to one tile, as in the scan; a tile counts where its whole patch is intact. */
    for (int64_t i = 0; !status && i < n[0] * n[1] * n[2]; i++) {
        const int64_t at[3] = {i % n[0], i / n[0] % n[1], i / n[0] / n[1]};
        struct box seen, own; /* the patch that the network saw, and the voxels of it that the scan kept */
        for (int a = 0; a < 3; a++) {
            int64_t base = a == 2 ? dim[2] - size[2] : 0, end = start[a][at[a]] + config->patch_vox[a];
            seen.lo[a] = own.lo[a] = base + start[a][at[a]];
            seen.hi[a] = base + (end < size[a] ? end : size[a]);
            own.hi[a] = base + (at[a] + 1 < n[a] ? start[a][at[a] + 1] : size[a]);
        }
        patches.n_tiles++;
        if (!intact_patches_any(truth_implant, dim, seen))
            intact_patches_count(&patches, raw, expected, dim, own);
    }

    for (int a = 0; a < 3; a++)
        memory_free(start[a]);

    if (!status)
        *ret = patches;
    return status;
}
