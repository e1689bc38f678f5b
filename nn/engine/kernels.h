/* kernels.h - private: our own micro-kernels, for what oneDNN does slowly (bench/README.md has the numbers).
 *
 * table.inc is compiled once per instruction set (avx2.c ...), into one table each; the table is picked at
 * run time. Each function does the work of one thread on one tile; weight_gradient.c and direct.c share tiles out. */
#ifndef CALVARIA_NN_ENGINE_KERNELS_H
#define CALVARIA_NN_ENGINE_KERNELS_H

#include "nn/engine/winograd.h"

/* The gradient of the weights between one or two blocks of the small grid and channels of the large one, over small
 * rows first <= z*H + y < last of one sample. d_w is added to. */
struct gradient_tile {
    const struct direct_conv *conv;
    const float *large;    /* a block's (or plain channel's) first voxel */
    const float *small[2]; /* [1] NULL: one block */
    float *d_w[2];         /* tap 0 of the pair of blocks */
    int64_t tap_step;      /* floats from one tap of d_w to the next */
    int64_t first, last;
};

/* One or two blocks of output channels for rows first <= z*H + y < last of one sample. */
struct forward_tile {
    const struct direct_conv *conv;
    const float *src, *w, *b; /* all of src; w [block][unit][tap][block_i][block_c]; b: of the blocks, or NULL */
    float *dst;
    int64_t blocks, units,
        block_i; /* blocks: 1 or 2. src: units blocks of block_i channels; plain channels are units of 1 */
    int64_t first, last;
};

/* dst[x] for voxels first <= z*H + y < last of one sample and one output channel. */
struct thin_tile {
    const struct direct_conv *conv;
    const float *src, *w; /* all blocks of src; w [block][tap][block_c] */
    float *dst, b;
    struct tensor_affine affine; /* of this sample's src */
    int64_t blocks, first, last;
};

/* Transposed, kernel = stride = 2: plane z of src and one block of dst, all eight phases. w: phases `w_phase` floats
 * apart, [unit][block_c][block_c]. */
struct transpose_tile {
    struct shape src, dst;
    const float *from, *w, *b; /* plane z of the first block; b: a block, or NULL */
    float *to;                 /* plane 2z of the block */
    int64_t units, w_phase;
};

/* Tiles first .. first + n - 1 of one sample, x fastest. What is between the transforms lies as
 * v [position][sum][block of src][step][block_c], m [position][block of dst][step][block_c], each position `gap` floats
 * longer than that; u [position][pair of blocks of dst][sum][channel of src][two blocks, or the last one], as much
 * longer: positions that lie a power of two apart would fall into the same sets of a cache. */
struct winograd_tile {
    const struct winograd_grid *grid;
    const float *src, *u, *b; /* src, dst: the sample; b: NULL without bias */
    float *v, *m, *dst;
    struct tensor_affine affine; /* of this sample's src */
    double *sums; /* [block of dst][2][block_c]: of these tiles' values, of their squares; NULL: not asked for */
    int64_t first, n, step, gap;
    int64_t v_step, m_step; /* floats from one position of v to the next, and of winograd_outer's m */
    bool add;               /* products are added to what m holds */
    bool stream;            /* dst is written past the caches: it lies on whole lines, and is too large for them */
    int64_t next_v, next_m; /* winograd_outer: floats from v, m to those of the unit that comes next; 0: none does */
};

struct engine_kernels {
    const char *name;
    int64_t winograd_rows;       /* winograd_tile.step is a multiple of this */
    int64_t transpose_min_width; /* src.w at least */
    /* large and small blocked. d_w: [tap][block_c of large][block_c of small] */
    void (*gradient_blocked)(const struct gradient_tile *tile);
    /* large plain with its padding in memory, small blocked. d_w: [tap][..][block_c of small] */
    void (*gradient_plain_large)(const struct gradient_tile *tile);
    /* large blocked, small plain. d_w: [tap][block_c of large] */
    void (*gradient_plain_small)(const struct gradient_tile *tile);
    /* dst blocked */
    void (*forward_blocked)(const struct forward_tile *tile);
    void (*transpose)(const struct transpose_tile *tile);
    /* src blocked, dst plain */
    void (*thin_forward)(const struct thin_tile *tile);
    /* w [tap][block_i][block_c] of one pair of blocks -> u + position * u_step + i * row */
    void (*winograd_weights)(const struct winograd_grid *grid, const float *w, float *u, int64_t u_step,
                             int64_t sum_step, int64_t row);
    void (*winograd_src)(const struct winograd_tile *tile);
    void (*winograd_multiply)(const struct winograd_tile *tile);
    void (*winograd_dst)(const struct winograd_tile *tile);
    /* tile.src: d_dst -> m */
    void (*winograd_d_dst)(const struct winograd_tile *tile);
    /* d_u [block of dst][sum][block of src][block_i][block_c] += v * m of one position */
    void (*winograd_outer)(const struct winograd_tile *tile, int64_t position, float *d_u);
    /* One pair of blocks: d_u, positions `step` floats apart -> d_w [tap][block_i][block_c] */
    void (*winograd_gradient)(const struct winograd_grid *grid, const float *d_u, int64_t step, int64_t sum_step,
                              float *d_w);
};

const struct engine_kernels *engine_kernels(void);

static inline struct tensor_affine affine_of_sample(const struct tensor_affine *affine, int64_t n, int64_t stored)
{
    return affine && affine->scale
               ? (struct tensor_affine){affine->scale + n * stored, affine->shift + n * stored, affine->slope}
               : (struct tensor_affine){0};
}

#endif
