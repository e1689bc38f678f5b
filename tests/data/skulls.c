/* skulls.c - small made skulls that the tests of data/ share. */
#include "skulls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "tests/check.h"
#include "data/volume/formats.h"

static double ellipsoid(const double at[3], const double half[3], double less)
{
    double sum = 0;
    for (int a = 0; a < 3; a++)
        sum += at[a] * at[a] / ((half[a] - less) * (half[a] - less));
    return sum;
}

void skull_make(struct volume *ret, const int64_t dim[3], const double spacing_mm[3], int kind)
{
    struct error error = {0};
    const struct grid grid = grid_make(dim, spacing_mm);
    if (volume_new(ret, &grid, VOXEL_U8, &error)) {
        error_print(stderr, &error);
        abort();
    }

    double half[3];
    for (int a = 0; a < 3; a++)
        half[a] = 0.5 * (double)dim[a] * spacing_mm[a] * (0.9 - 0.015 * (double)((kind + a) % 5));
    uint8_t *mask = ret->data;

    for (int64_t z = 0; z < dim[2]; z++)
        for (int64_t y = 0; y < dim[1]; y++)
            for (int64_t x = 0; x < dim[0]; x++) {
                const double index[3] = {(double)x, (double)y, (double)z};
                double world[3];
                grid_to_world(&grid, index, world);
                *mask++ = ellipsoid(world, half, 0) <= 1 && ellipsoid(world, half, 8) > 1;
            }
    ret->storage.format = VOLUME_NRRD;
}

void implant_make(struct volume *ret, const struct volume *skull, const int64_t lo[3], const int64_t hi[3])
{
    struct error error = {0};
    const int64_t *dim = skull->grid.dim;
    if (volume_new(ret, &skull->grid, VOXEL_U8, &error))
        abort();
    ret->storage = skull->storage;
    for (int64_t z = lo[2]; z < hi[2]; z++)
        for (int64_t y = lo[1]; y < hi[1]; y++)
            for (int64_t x = lo[0]; x < hi[0]; x++) {
                const int64_t v = (z * dim[1] + y) * dim[0] + x;
                ((uint8_t *)ret->data)[v] = ((const uint8_t *)skull->data)[v];
            }
}

void mask_minus(struct volume *a, const struct volume *b)
{
    for (int64_t v = 0; v < grid_voxels(&a->grid); v++)
        ((uint8_t *)a->data)[v] &= !((const uint8_t *)b->data)[v];
}

const char *path_in(const char *folder, const char *name)
{
    struct error error = {0};
    char whole[512];
    snprintf(whole, sizeof whole, "%s/%s", folder, name);
    const char *path = check_path(whole);
    struct arena arena = {0};
    CHECK_OK(file_make_folders(file_folder(&arena, path), &error), &error);
    arena_done(&arena);
    return path;
}

void volume_put(const char *folder, const char *name, const struct volume *volume)
{
    struct error error = {0};
    CHECK_OK(volume_write(path_in(folder, name), volume, &error), &error);
}

void text_put(const char *path, const char *text)
{
    struct error error = {0};
    CHECK_OK(file_write(path, text, strlen(text), &error), &error);
}
