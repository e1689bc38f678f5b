/* rows.h - a tensor as rows, so that elementwise and channelwise layers need not know its layout.
 *
 * A row is one block of `block_c` channels of one sample: voxels * block_c floats that lie together, voxel by voxel.
 * Plain tensors have block_c 1 and a row per channel. */
#ifndef CALVARIA_NN_LAYERS_ROWS_H
#define CALVARIA_NN_LAYERS_ROWS_H

#include "nn/tensor.h"

enum { ROWS_MAX_BLOCK = 16 };

struct rows {
    int64_t n;               /* rows in all: samples * blocks */
    int64_t blocks, block_c; /* blocks per sample, channels per block */
    int64_t voxels, floats;  /* of one row: floats = voxels * block_c */
};

static inline struct rows rows_of(struct shape shape)
{
    struct rows rows = {.block_c = tensor_channel_block(shape.c), .voxels = shape_voxels(shape)};
    rows.blocks = tensor_stored_channels(shape.c) / rows.block_c;
    rows.n = shape.n * rows.blocks;
    rows.floats = rows.voxels * rows.block_c;
    return rows;
}

/* Channels of row `row` that mean something: block_c, or fewer in a last block with padding. */
static inline int64_t rows_used(const struct rows *rows, struct shape shape, int64_t row)
{
    int64_t left = shape.c - row % rows->blocks * rows->block_c;
    return left < rows->block_c ? left : rows->block_c;
}

/* Channels of padding must be zero; only a tensor's last block has any. */
static inline void rows_clear_padding(struct tensor tensor)
{
    const struct rows rows = rows_of(tensor.shape);
    for (int64_t row = rows.blocks - 1; row < rows.n && tensor.shape.c % rows.block_c; row += rows.blocks) {
        const struct tensor first = tensor_offset(tensor, row * rows.floats);
        uint16_t *half = (uint16_t *)(void *)first.data;
        for (int64_t v = 0; v < rows.voxels; v++)
            for (int64_t c = rows_used(&rows, tensor.shape, row); c < rows.block_c; c++) {
                if (tensor.bfloat16)
                    half[v * rows.block_c + c] = 0;
                else
                    first.data[v * rows.block_c + c] = 0;
            }
    }
}

#endif
