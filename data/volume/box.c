/* box.c - boxes of voxels. See box.h. Test: tests/data/test_morphology.c. */
#include "data/volume/box.h"

#include <string.h>

int64_t box_size(struct box box, int a)
{
    return box.hi[a] - box.lo[a];
}

int64_t box_voxels(struct box box)
{
    return box_empty(box) ? 0 : box_size(box, 0) * box_size(box, 1) * box_size(box, 2);
}

struct box box_of_grid(const struct grid *grid)
{
    return (struct box){.hi = {grid->dim[0], grid->dim[1], grid->dim[2]}};
}

struct box box_meet(struct box a, struct box b)
{
    for (int i = 0; i < 3; i++) {
        a.lo[i] = a.lo[i] > b.lo[i] ? a.lo[i] : b.lo[i];
        a.hi[i] = a.hi[i] < b.hi[i] ? a.hi[i] : b.hi[i];
        if (a.lo[i] >= a.hi[i])
            return (struct box){0};
    }
    return a;
}

struct box box_join(struct box a, struct box b)
{
    if (box_empty(a) || box_empty(b))
        return box_empty(a) ? b : a;
    for (int k = 0; k < 3; k++) {
        a.lo[k] = a.lo[k] < b.lo[k] ? a.lo[k] : b.lo[k];
        a.hi[k] = a.hi[k] > b.hi[k] ? a.hi[k] : b.hi[k];
    }
    return a;
}

struct box box_grow(struct box box, int64_t margin, const int64_t dim[3])
{
    for (int a = 0; a < 3 && !box_empty(box); a++) {
        box.lo[a] = box.lo[a] > margin ? box.lo[a] - margin : 0;
        box.hi[a] = box.hi[a] + margin < dim[a] ? box.hi[a] + margin : dim[a];
    }
    return box;
}

bool box_empty(struct box box)
{
    return box.hi[0] <= box.lo[0] || box.hi[1] <= box.lo[1] || box.hi[2] <= box.lo[2];
}

/* ---- the box of a mask ---- */

/* Index of the first nonzero byte, or n. */
static int64_t box_row_first(const uint8_t *row, int64_t n)
{
    int64_t i = 0;
    uint64_t eight;
    for (; i + 8 <= n; i += 8) {
        memcpy(&eight, row + i, 8);
        if (eight)
            break;
    }
    while (i < n && !row[i])
        i++;
    return i;
}

static int64_t box_row_last(const uint8_t *row, int64_t n)
{
    while (n > 0 && !row[n - 1])
        n--;
    return n - 1;
}

struct box box_of_mask(const uint8_t *mask, const int64_t dim[3])
{
    int64_t x0 = dim[0], x1 = -1, y0 = dim[1], y1 = -1, z0 = dim[2], z1 = -1;

#pragma omp parallel for schedule(static) reduction(min : x0, y0, z0) reduction(max : x1, y1, z1)
    for (int64_t z = 0; z < dim[2]; z++)
        for (int64_t y = 0; y < dim[1]; y++) {
            const uint8_t *row = mask + (z * dim[1] + y) * dim[0];
            int64_t first = box_row_first(row, dim[0]);
            if (first == dim[0])
                continue;
            int64_t last = box_row_last(row, dim[0]);
            x0 = first < x0 ? first : x0;
            x1 = last > x1 ? last : x1;
            y0 = y < y0 ? y : y0;
            y1 = y > y1 ? y : y1;
            z0 = z < z0 ? z : z0;
            z1 = z > z1 ? z : z1;
        }
    if (x1 < 0)
        return (struct box){{0}, {0}};
    return (struct box){{x0, y0, z0}, {x1 + 1, y1 + 1, z1 + 1}};
}
