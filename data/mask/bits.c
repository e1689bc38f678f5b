/* bits.c - a mask with one bit per voxel. Test: tests/data/test_morphology.c. */
#include <string.h>

#include "base/memory.h"
#include "data/mask/bits.h"

/* Eight bytes, zero or not, to eight bits; byte 0 is bit 0 (little-endian). */
static uint64_t bits_pack8(const uint8_t *bytes)
{
    const uint64_t low7 = UINT64_C(0x7f7f7f7f7f7f7f7f);
    uint64_t v;
    memcpy(&v, bytes, sizeof v);
    uint64_t ones = ((((v & low7) + low7) | v) & ~low7) >> 7;
    return (ones * UINT64_C(0x0102040810204080)) >> 56;
}

static uint64_t bits_unpack8(uint64_t byte)
{
    uint64_t spread = (byte * UINT64_C(0x0101010101010101)) & UINT64_C(0x8040201008040201);
    return ((spread + UINT64_C(0x7f7f7f7f7f7f7f7f)) >> 7) & UINT64_C(0x0101010101010101);
}

/* n <= 64 voxels */
static uint64_t bits_pack64(const uint8_t *mask, int64_t n)
{
    uint64_t word = 0;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        word |= bits_pack8(mask + i) << i;
    for (; i < n; i++)
        word |= (uint64_t)(mask[i] != 0) << i;
    return word;
}

static enum status bits_alloc(struct bits *bits, struct error *error)
{
    bits->words = (bits->dim[0] + 63) / 64;
    size_t n = (size_t)(bits->words * bits->dim[1] * bits->dim[2]);
    bits->data = memory_zalloc(n, sizeof *bits->data);
    return bits->data ? STATUS_OK : error_memory(error, n * sizeof *bits->data, "mask bits");
}

enum status bits_new(struct bits *ret, const uint8_t *mask, const int64_t dim[3], int64_t pad, struct error *error)
{
    struct bits bits = {.dim = {dim[0] + 2 * pad, dim[1] + 2 * pad, dim[2] + 2 * pad}};
    if (bits_alloc(&bits, error))
        return STATUS_FAILED;
    int64_t rows = dim[1] * dim[2];

#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        uint64_t *out = bits_row(&bits, (row / dim[1] + pad) * bits.dim[1] + row % dim[1] + pad);
        for (int64_t x = 0; x < dim[0]; x += 64) {
            uint64_t word = bits_pack64(mask + row * dim[0] + x, dim[0] - x < 64 ? dim[0] - x : 64);
            int64_t at = x + pad, shift = at % 64;
            out[at / 64] |= word << shift;
            if (shift > 0 && word >> (64 - shift) != 0)
                out[at / 64 + 1] |= word >> (64 - shift);
        }
    }

    *ret = bits;
    return STATUS_OK;
}

enum status bits_new_like(struct bits *ret, const struct bits *like, struct error *error)
{
    struct bits bits = *like;
    if (bits_alloc(&bits, error))
        return STATUS_FAILED;
    *ret = bits;
    return STATUS_OK;
}

void bits_done(struct bits *bits)
{
    memory_free(bits->data);
    bits->data = NULL;
}

void bits_unpack(uint8_t *mask, const struct bits *bits, int64_t pad)
{
    const int64_t dim[3] = {bits->dim[0] - 2 * pad, bits->dim[1] - 2 * pad, bits->dim[2] - 2 * pad};
    int64_t rows = dim[1] * dim[2];
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        const uint64_t *in = bits_row(bits, (row / dim[1] + pad) * bits->dim[1] + row % dim[1] + pad);
        uint8_t *out = mask + row * dim[0];
        for (int64_t x = 0; x < dim[0]; x += 8) {
            int64_t at = x + pad, shift = at % 64, left = dim[0] - x;
            uint64_t byte = in[at / 64] >> shift;
            if (shift > 56 && at / 64 + 1 < bits->words)
                byte |= in[at / 64 + 1] << (64 - shift);
            uint64_t eight = bits_unpack8(byte & 0xff);
            memcpy(out + x, &eight, left < 8 ? (size_t)left : 8);
        }
    }
}

uint64_t bits_inside(const struct bits *bits, int64_t word)
{
    int64_t left = bits->dim[0] - 64 * word;
    return left >= 64 ? UINT64_MAX : (UINT64_C(1) << left) - 1;
}
