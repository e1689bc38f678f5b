/* bits.h - a mask with one bit per voxel: 64 voxels in one operation. Private to data/. */
#ifndef CALVARIA_DATA_MASK_BITS_H
#define CALVARIA_DATA_MASK_BITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Rows of `words` 64-bit words, bit x of a row is voxel x; bits past dim[0] are 0. */
struct bits {
    int64_t dim[3], words;
    uint64_t *data;
};

/* The mask with `pad` empty voxels on every side. */
enum status bits_new(struct bits *ret, const uint8_t *mask, const int64_t dim[3], int64_t pad, struct error *error);
/* The same shape, cleared. */
enum status bits_new_like(struct bits *ret, const struct bits *like, struct error *error);
void bits_done(struct bits *bits);
/* Back into a mask of 0 and 1, without the padding. */
void bits_unpack(uint8_t *mask, const struct bits *bits, int64_t pad);
/* Which bits of a row's `word` are voxels. */
uint64_t bits_inside(const struct bits *bits, int64_t word);

static inline uint64_t *bits_row(const struct bits *bits, int64_t row)
{
    return bits->data + row * bits->words;
}

#endif
