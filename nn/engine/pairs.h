/* pairs.h - private: direct convolutions and gradients of weights that multiply pairs of bfloat16 values.
 *
 * src, dst and weights are bfloat16, sums float32. Two neighbouring channels (for the weights' gradient two
 * neighbouring voxels) are one pair, so that VDPBF16PS multiplies twice as many values as an instruction of float32.
 * Its result is fma(a[0], b[0], fma(a[1], b[1], sum)), denormals zero, and every other instruction set computes just
 * this: all give the same bits (tests/nn/test_pairs.c).
 *
 * Kernels of 3x3x3 with few channels go through minimal filtering of pairs (pairs_winograd.h), with more through that
 * of float32 (winograd.h): docs/convolution.md, section 9. */
#ifndef CALVARIA_NN_ENGINE_PAIRS_H
#define CALVARIA_NN_ENGINE_PAIRS_H

#include "nn/engine/pairs_winograd.h"

/* Channels that are multiplied together, the same with 8 and with 16 lanes. The products of a unit, of one or more such
 * groups, are summed for themselves before they are added to those of the units before: their errors stay small. */
enum { PAIRS_GROUP = 16 };

/* Whether all passes of a convolution with this grid should multiply pairs: its tensors lie in blocks and minimal
 * filtering does not do it faster. */
bool pairs_supports(const struct direct_conv *grid);

/* ---- gather: weights packed as [block of dst][block of src][tap][pair of channels][block_c] ---- */

size_t pairs_scratch_bytes(const struct direct_conv *conv);
/* src, dst: bfloat16; w: pairs; b: dst's stored channels, or NULL. */
void pairs_run(const struct direct_conv *conv, const uint16_t *src, const uint32_t *w, const float *b, uint16_t *dst,
               void *scratch);

/* A scatter with kernel = stride = 2 (conv_transpose_2x2x2.h); w: phases one behind the other. */
void pairs_transpose_run(const struct direct_conv *grid, const uint16_t *src, const uint32_t *w, const float *b,
                         uint16_t *dst);

/* ---- the gradient of the weights, in the layout [block of dst][block of src][tap][block_c][block_c] ---- */

size_t pairs_gradient_scratch_bytes(const struct direct_conv *conv);
void pairs_gradient_run(const struct direct_conv *conv, const uint16_t *src, const uint16_t *d_dst, float *d_w,
                        void *scratch);

/* ---- the kernels ---- */

/* Rows first <= z*H + y < last of one sample, one or two blocks of dst. */
struct pairs_tile {
    const struct direct_conv *conv;
    const uint16_t *src; /* the sample */
    const uint32_t *w;
    const float *b;                   /* of the blocks, or NULL */
    uint16_t *dst;                    /* the first block */
    float *sums;                      /* [block][voxel of the rows][block_c]: what waits for the next unit */
    int64_t blocks, src_blocks, unit; /* unit: groups of it */
    int64_t first, last;
};

/* Plane z of src, one block of dst, all eight phases. */
struct pairs_transpose {
    struct shape src, dst;
    const uint16_t *from;
    const uint32_t *w; /* phases w_phase words apart, [block of src][pair of channels][block_c] */
    const float *b;    /* a block, or NULL */
    uint16_t *to;      /* plane 2z of the block */
    int64_t src_blocks, w_phase;
};

/* The gradient between one or two blocks of small (dst) and one of large (src), over rows of small. d_w is added to. */
struct pairs_gradient {
    const struct direct_conv *conv;
    const uint16_t *large, *small[2]; /* [1] NULL: one block */
    float *d_w[2];                    /* tap 0 of the pair of blocks */
    int64_t first, last;
    uint32_t *pairs; /* pairs_gradient_words: rows of both as pairs of voxels */
};

struct pairs_kernels {
    const char *name;
    void (*forward)(const struct pairs_tile *tile);
    void (*transpose)(const struct pairs_transpose *tile);
    void (*gradient)(const struct pairs_gradient *tile);
    void (*winograd)(const struct pairs_winograd_tile *tile);
    void (*winograd_gradient)(const struct pairs_winograd_gradient *tile);
};

/* The best that this processor runs for the block of tensor.h. */
const struct pairs_kernels *pairs_kernels(void);

/* Pieces of the rows that a gradient sums for themselves. */
int64_t pairs_splits(const struct direct_conv *conv);
/* Rows of small that a gradient takes at a time, and how long a row of pairs is of large. */
int64_t pairs_gradient_rows(const struct direct_conv *conv);
int64_t pairs_gradient_reach(const struct direct_conv *conv);

#endif
