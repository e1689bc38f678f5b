/* turn.c - see turn.h. Test: tests/data/test_volume.c. */
#include "data/volume/turn.h"

#include <string.h>

#include "data/volume/orient.h"

const double turn_lps[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};

/* The grid as a file of that frame would have it: which of its axes is which, and which way round. */
static struct storage turn_order(const struct grid *grid, const double frame[3][3])
{
    struct storage order = {.grid = *grid};
    for (int a = 0; a < 3; a++)
        for (int i = 0; i < 3; i++)
            order.grid.axis[a][i] =
                frame[i][0] * grid->axis[a][0] + frame[i][1] * grid->axis[a][1] + frame[i][2] * grid->axis[a][2];
    orient_canonical(&order);
    order.grid = *grid;
    return order;
}

bool turn_is_needed(const struct grid *grid, const double frame[3][3])
{
    const struct storage order = turn_order(grid, frame);
    bool turned = false;
    for (int a = 0; a < 3; a++)
        turned |= order.axis[a] != a || order.flip[a];
    return turned;
}

enum status turn_volume(struct volume *ret, const struct volume *src, const double frame[3][3], struct error *error)
{
    const struct storage order = turn_order(&src->grid, frame);
    const struct grid grid = orient_turn(&order);
    const size_t bytes = voxel_bytes(src->type);
    const int64_t *dim = src->grid.dim;
    int64_t start, step[3];
    if (volume_new(ret, &grid, src->type, error))
        return error->status;
    orient_steps(&start, step, &order, grid.dim);

#pragma omp parallel for schedule(static)
    for (int64_t z = 0; z < dim[2]; z++)
        for (int64_t y = 0; y < dim[1]; y++) {
            const char *from = (const char *)src->data + (size_t)((z * dim[1] + y) * dim[0]) * bytes;
            char *to = (char *)ret->data + (size_t)(start + z * step[2] + y * step[1]) * bytes;
            for (int64_t x = 0; x < dim[0]; x++, from += bytes, to += step[0] * (int64_t)bytes)
                memcpy(to, from, bytes);
        }
    return STATUS_OK;
}
