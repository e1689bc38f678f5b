/* morphology.c - erosion and dilation by the 6-connected cross, 64 voxels at a time.
 * Test: tests/data/test_morphology.c. */
#include <string.h>

#include "data/mask/bits.h"
#include "data/mask/morphology.h"

/* --- counting --- */

int64_t mask_count(const uint8_t *mask, int64_t n)
{
    int64_t count = 0;
#pragma omp parallel for schedule(static) reduction(+ : count)
    for (int64_t i = 0; i < n; i++)
        count += mask[i] != 0;
    return count;
}

/* --- erosion and dilation --- */

static const uint64_t *morphology_bits_neighbour(const struct bits *bits, const uint64_t *outside, int64_t y, int64_t z)
{
    bool in = y >= 0 && y < bits->dim[1] && z >= 0 && z < bits->dim[2];
    return in ? bits_row(bits, z * bits->dim[1] + y) : outside;
}

/* One step of one row: `row` and its four neighbours in y and z. */
static void morphology_row_step(uint64_t *out, const uint64_t *row, const uint64_t *const beside[4],
                                const struct bits *bits, bool dilate)
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

static void morphology_bits_step(struct bits *out, const struct bits *in, const uint64_t *outside, bool dilate)
{
    int64_t rows = in->dim[1] * in->dim[2];
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        int64_t y = row % in->dim[1], z = row / in->dim[1];
        const uint64_t *const beside[4] = {
            morphology_bits_neighbour(in, outside, y - 1, z), morphology_bits_neighbour(in, outside, y + 1, z),
            morphology_bits_neighbour(in, outside, y, z - 1), morphology_bits_neighbour(in, outside, y, z + 1)};
        morphology_row_step(bits_row(out, row), bits_row(in, row), beside, in, dilate);
    }
}

/* n steps of one kind, then n of the other when `both`; `pad` keeps what grows past the border until it shrinks again.
 */
static enum status morphology_mask_steps(uint8_t *mask, const int64_t dim[3], int n, bool dilate, bool both,
                                         int64_t pad, struct error *error)
{
    struct bits now = {0}, next = {0}, outside = {0};
    enum status status = bits_new(&now, mask, dim, pad, error);
    if (!status)
        status = bits_new_like(&next, &now, error);
    if (!status)
        status = bits_new_like(&outside, &(struct bits){{dim[0] + 2 * pad, 1, 1}, 0, NULL}, error);
    for (int step = 0; !status && step < (both ? 2 * n : n); step++) {
        morphology_bits_step(&next, &now, outside.data, step < n ? dilate : !dilate);
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
    return morphology_mask_steps(mask, dim, n, false, false, 0, error);
}

enum status mask_dilate(uint8_t *mask, const int64_t dim[3], int n, struct error *error)
{
    return morphology_mask_steps(mask, dim, n, true, false, 0, error);
}

enum status mask_open(uint8_t *mask, const int64_t dim[3], int n, struct error *error)
{
    return morphology_mask_steps(mask, dim, n, false, true, 0, error);
}

enum status mask_close(uint8_t *mask, const int64_t dim[3], int n, struct error *error)
{
    return morphology_mask_steps(mask, dim, n, true, true, n, error);
}
