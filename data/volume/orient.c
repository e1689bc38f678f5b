/* orient.c - between a file's axis order and the canonical one. Test: tests/data/test_volume.c. */
#include <math.h>
#include <string.h>

#include "data/volume/orient.h"

static const int orient_permutations[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

struct grid orient_turn(const struct storage *storage)
{
    const struct grid *file = &storage->grid;
    struct grid grid = {0};
    memcpy(grid.origin, file->origin, sizeof grid.origin);
    for (int a = 0; a < 3; a++) {
        int to = storage->axis[a];
        grid.dim[to] = file->dim[a];
        for (int k = 0; k < 3; k++) {
            grid.axis[to][k] = storage->flip[a] ? 0.0 - file->axis[a][k] : file->axis[a][k];
            if (storage->flip[a])
                grid.origin[k] += (double)(file->dim[a] - 1) * file->axis[a][k];
        }
    }
    return grid;
}

/* Nearest: the permutation with the largest sum of |cosines| between file axes and patient axes. */
struct grid orient_canonical(struct storage *storage)
{
    const struct grid *file = &storage->grid;
    double best = -1;
    for (int p = 0; p < 6; p++) {
        const int *permutation = orient_permutations[p];
        double sum = 0;
        for (int a = 0; a < 3; a++)
            sum += fabs(file->axis[a][permutation[a]]) / grid_spacing_mm(file, a);
        if (sum > best + 1e-9) {
            best = sum;
            memcpy(storage->axis, permutation, sizeof storage->axis);
        }
    }
    for (int a = 0; a < 3; a++)
        storage->flip[a] = file->axis[a][storage->axis[a]] < 0;
    return orient_turn(storage);
}

static bool orient_grid_identical(const struct grid *a, const struct grid *b)
{
    for (int i = 0; i < 3; i++) {
        if (a->dim[i] != b->dim[i] || a->origin[i] != b->origin[i])
            return false;
        for (int k = 0; k < 3; k++)
            if (a->axis[i][k] != b->axis[i][k])
                return false;
    }
    return true;
}

struct grid orient_file(const struct storage *storage, const struct grid *grid)
{
    struct grid before = orient_turn(storage);
    if (orient_grid_identical(&before, grid))
        return storage->grid;
    struct grid file = {0};
    memcpy(file.origin, grid->origin, sizeof file.origin);
    for (int a = 0; a < 3; a++) {
        int from = storage->axis[a];
        file.dim[a] = grid->dim[from];
        for (int k = 0; k < 3; k++) {
            file.axis[a][k] = storage->flip[a] ? 0.0 - grid->axis[from][k] : grid->axis[from][k];
            if (storage->flip[a])
                file.origin[k] += (double)(grid->dim[from] - 1) * grid->axis[from][k];
        }
    }
    return file;
}

void orient_steps(int64_t *ret_start, int64_t step[3], const struct storage *storage, const int64_t canonical_dim[3])
{
    const int64_t stride[3] = {1, canonical_dim[0], canonical_dim[0] * canonical_dim[1]};
    int64_t start = 0;
    for (int a = 0; a < 3; a++) {
        int to = storage->axis[a];
        step[a] = storage->flip[a] ? -stride[to] : stride[to];
        if (storage->flip[a])
            start += (canonical_dim[to] - 1) * stride[to];
    }
    *ret_start = start;
}

struct storage orient_default(const struct grid *grid)
{
    struct storage storage = {.format = VOLUME_NIFTI_GZ,
                              .axis = {0, 1, 2},
                              .flip = {true, true, false},
                              .nifti_version = 1,
                              .xyzt_units = 2, /* mm */
                              .qform_code = 1,
                              .sform_code = 1,
                              .space = "left-posterior-superior"};
    storage.grid = orient_file(&storage, grid);
    return storage;
}
