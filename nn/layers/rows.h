/* rows.h - a tensor as rows, so that elementwise and channelwise layers need not know its layout.
 *
 * A row is one block of `lane` channels of one sample: voxels * lane floats that lie together, voxel by voxel. Plain
 * tensors have lane 1 and a row per channel. */
#ifndef CALVARIA_NN_LAYERS_ROWS_H
#define CALVARIA_NN_LAYERS_ROWS_H

#include "nn/tensor.h"

enum { ROWS_MAX_LANE = 16 };

struct rows {
    int64_t n;              /* rows in all: samples * blocks */
    int64_t blocks, lane;   /* blocks per sample, channels per block */
    int64_t voxels, floats; /* of one row: floats = voxels * lane */
};

static inline struct rows rows_of(struct shape shape)
{
    struct rows rows = {.lane = tensor_lane(shape.c), .voxels = shape_voxels(shape)};
    rows.blocks = tensor_stored_channels(shape.c) / rows.lane;
    rows.n = shape.n * rows.blocks;
    rows.floats = rows.voxels * rows.lane;
    return rows;
}

/* Channels of row `row` that mean something: lane, or fewer in a last block with padding. */
static inline int64_t rows_used(const struct rows *rows, struct shape shape, int64_t row)
{
    int64_t left = shape.c - row % rows->blocks * rows->lane;
    return left < rows->lane ? left : rows->lane;
}

/* Channels of padding must be zero; only a tensor's last block has any. */
static inline void rows_clear_padding(struct tensor tensor)
{
    struct rows rows = rows_of(tensor.shape);
    for (int64_t row = rows.blocks - 1; row < rows.n && tensor.shape.c % rows.lane; row += rows.blocks)
        for (int64_t v = 0; v < rows.voxels; v++)
            for (int64_t c = rows_used(&rows, tensor.shape, row); c < rows.lane; c++)
                tensor.data[row * rows.floats + v * rows.lane + c] = 0;
}

#endif
