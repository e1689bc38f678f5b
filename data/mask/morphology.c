/* morphology.c - boxes, and erosion and dilation by the 6-connected cross, 64 voxels at a time. */
#include <string.h>

#include "data/mask/bits.h"
#include "data/mask/morphology.h"

/* --- boxes --- */

/* Index of the first nonzero byte, or n. */
static int64_t row_first(const uint8_t *row, int64_t n)
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

static int64_t row_last(const uint8_t *row, int64_t n)
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
            int64_t first = row_first(row, dim[0]);
            if (first == dim[0])
                continue;
            int64_t last = row_last(row, dim[0]);
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

int64_t mask_count(const uint8_t *mask, int64_t n)
{
    int64_t count = 0;
#pragma omp parallel for schedule(static) reduction(+ : count)
    for (int64_t i = 0; i < n; i++)
        count += mask[i] != 0;
    return count;
}

/* --- erosion and dilation --- */

static const uint64_t *bits_neighbour(const struct bits *bits, const uint64_t *outside, int64_t y, int64_t z)
{
    bool in = y >= 0 && y < bits->dim[1] && z >= 0 && z < bits->dim[2];
    return in ? bits_row(bits, z * bits->dim[1] + y) : outside;
}

/* One step of one row: `row` and its four neighbours in y and z. */
static void row_step(uint64_t *out, const uint64_t *row, const uint64_t *const beside[4], const struct bits *bits,
                     bool dilate)
{
    for (int64_t w = 0; w < bits->words; w++) {
        uint64_t before = w > 0 ? row[w - 1] >> 63 : 0, after = w + 1 < bits->words ? row[w + 1] << 63 : 0;
        uint64_t left = row[w] << 1 | before, right = row[w] >> 1 | after;
        if (dilate)
            out[w] = (row[w] | left | right | beside[0][w] | beside[1][w] | beside[2][w] | beside[3][w]) &
                     bits_inside(bits, w);
        else
            out[w] = row[w] & left & right & beside[0][w] & beside[1][w] & beside[2][w] & beside[3][w];
    }
}

static void bits_step(struct bits *out, const struct bits *in, const uint64_t *outside, bool dilate)
{
    int64_t rows = in->dim[1] * in->dim[2];
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        int64_t y = row % in->dim[1], z = row / in->dim[1];
        const uint64_t *const beside[4] = {bits_neighbour(in, outside, y - 1, z), bits_neighbour(in, outside, y + 1, z),
                                           bits_neighbour(in, outside, y, z - 1),
                                           bits_neighbour(in, outside, y, z + 1)};
        row_step(bits_row(out, row), bits_row(in, row), beside, in, dilate);
    }
}

/* n steps of one kind, then n of the other when `both`; `pad` keeps what grows past the border until it shrinks again.
 */
static enum status mask_steps(uint8_t *mask, const int64_t dim[3], int n, bool dilate, bool both, int64_t pad,
                              struct error *error)
{
    struct bits now = {0}, next = {0}, outside = {0};
    enum status status = bits_new(&now, mask, dim, pad, error);
    if (!status)
        status = bits_new_like(&next, &now, error);
    if (!status)
        status = bits_new_like(&outside, &(struct bits){{dim[0] + 2 * pad, 1, 1}, 0, NULL}, error);
    for (int step = 0; !status && step < (both ? 2 * n : n); step++) {
        bits_step(&next, &now, outside.data, step < n ? dilate : !dilate);
        struct bits swap = now;
        now = next;
        next = swap;
    }
    if (!status)
        bits_unpack(mask, &now, pad);
    bits_done(&outside);
    bits_done(&next);
    bits_done(&now);
    return status;
}

enum status mask_erode(uint8_t *mask, const int64_t dim[3], int n, struct error *error)
{
    return mask_steps(mask, dim, n, false, false, 0, error);
}

enum status mask_dilate(uint8_t *mask, const int64_t dim[3], int n, struct error *error)
{
    return mask_steps(mask, dim, n, true, false, 0, error);
}

enum status mask_open(uint8_t *mask, const int64_t dim[3], int n, struct error *error)
{
    return mask_steps(mask, dim, n, false, true, 0, error);
}

enum status mask_close(uint8_t *mask, const int64_t dim[3], int n, struct error *error)
{
    return mask_steps(mask, dim, n, true, true, n, error);
}
