/* pairs_winograd.h - private: 3x3x3 convolutions with stride 1 of bfloat16 tensors with few channels, by minimal
 * filtering along z and y (Winograd 1980) and products of pairs (pairs.h).
 *
 * Two by two values of dst come from four by four of src by 16 products instead of 36, each of them a convolution of
 * three taps along x:
 *     v = B' src B,   m[p] = sum over channels and taps along x of u[p] v[p],   dst = A' m A,   u = G w G'
 *     B'  d0 - d2, d1 + d2, d2 - d1, d1 - d3     A'  m0 + m1 + m2, m1 - m2 - m3
 *     G   w0, (w0 + w1 + w2) / 2, (w0 - w1 + w2) / 2, w2
 * v and u are rounded to bfloat16: v is a sum of four values of src, so its error is about twice that of direct
 * products. The tiles of winograd.h (four values an axis, factors up to 9/4 squared) would lose three of bfloat16's
 * eight bits: docs/convolution.md has the figures. */
#ifndef CALVARIA_NN_ENGINE_PAIRS_WINOGRAD_H
#define CALVARIA_NN_ENGINE_PAIRS_WINOGRAD_H

#include "nn/engine/direct_conv.h"

/* Voxels of a row at a time: as many sums as the registers of AVX-512 hold. */
enum { PAIRS_POINTS = 16, PAIRS_TAPS = 3, PAIRS_ROW = 24, PAIRS_ROW_REACH = PAIRS_ROW + PAIRS_TAPS - 1 };

bool pairs_winograd_supports(const struct direct_conv *conv);
int64_t pairs_winograd_macs(const struct direct_conv *conv); /* the products alone */
/* Words of prepared weights. */
int64_t pairs_winograd_words(const struct direct_conv *conv);
/* direct: float32 weights [block of dst][block of src][tap][block_c][block_c]. */
void pairs_winograd_prepare(const struct direct_conv *conv, const float *direct, uint32_t *words);
size_t pairs_winograd_scratch_bytes(const struct direct_conv *conv);
/* stats: as conv_fusion's, or NULL. */
void pairs_winograd_run(const struct direct_conv *conv, const uint16_t *src, const uint32_t *words, const float *b,
                        double *stats, uint16_t *dst, void *scratch);
int64_t pairs_winograd_stats(const struct direct_conv *conv);

/* The gradient of the weights, in the layout of `direct`: d_w = G' d_u G, d_u[p] = sum of v[p] and of m[p] = A d_dst
 * A'. v and m are rounded to bfloat16. */
size_t pairs_winograd_gradient_scratch_bytes(const struct direct_conv *conv);
void pairs_winograd_gradient_run(const struct direct_conv *conv, const uint16_t *src, const uint16_t *d_dst,
                                 float *d_direct, void *scratch);

/* Tile i of a sample: the first of its two by two rows. */
void pairs_winograd_at(const struct direct_conv *conv, int64_t i, int64_t *ret_z, int64_t *ret_y);

/* Two by two rows of dst at z, y and all its blocks. */
struct pairs_winograd_tile {
    const struct direct_conv *conv;
    const uint16_t *src; /* the sample */
    const uint32_t *u;   /* [pair of blocks][point][group][tap][half][pair of channels][block of the pair][block_c] */
    const float *b;
    uint16_t *dst; /* the sample */
    double *sums;  /* [block of dst][2][block_c]: of the values, of their squares; NULL: not asked for */
    int64_t z, y;
    uint16_t *v; /* pairs_winograd_v values: [block of src][point][voxel][block_c] */
    float *m;    /* [block of the pair][point][voxel][block_c] */
};

/* Rows of tiles whose products are summed together. */
enum { PAIRS_BATCH = 4 };

/* Tiles first .. last - 1 of one sample, a block of src and one or two of dst; d_u is added to. */
struct pairs_winograd_gradient {
    const struct direct_conv *conv;
    const uint16_t *src, *d_dst[2]; /* a block's first voxel; [1] NULL: one block */
    float *d_u[2];                  /* [point][tap][block_c of src][block_c] */
    int64_t first, last;
    uint16_t *v;             /* of one row of a tile */
    uint32_t *large, *small; /* [point][row of the batch][pair of voxels][block_c]; small: of each block */
};

#endif
