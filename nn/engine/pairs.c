/* pairs.c - see pairs.h. How a shape is cut depends on the shape alone, and so does the order of every sum: any number
 * of threads and any instruction set give the same bits. Test: tests/nn/test_pairs.c */
#include "nn/engine/pairs.h"

#include <omp.h>
#include <string.h>

#include "base/parallel.h"
#include "nn/engine/cpu.h"
#include "nn/engine/winograd.h"

/* Voxels of a tile: their sums wait for the next unit in the second cache. */
enum { PAIRS_TILE_VOXELS = 1024 };
/* Enough pieces of a gradient for the threads of one socket; more would cost memory for the copies. */
enum { PAIRS_PIECES = 32 };
/* Rows of pairs that stay in the first cache while the taps of a plane pass over them. */
enum { PAIRS_CACHE_BYTES = 32 << 10 };

/* 3x3x3 at stride 1 has 3.4 or 4.5 products per value in float32 (winograd.h) where pairs have 13.5; minimal filtering
 * of larger kernels saves less than half of them. */
bool pairs_supports(const struct direct_conv *grid)
{
    if (!cpu_multiplies_pairs() || tensor_channel_block(grid->src.c) == 1 || tensor_channel_block(grid->dst.c) == 1)
        return false;
    for (int a = 0; a < 3; a++)
        if (grid->stride[a] != 1 || grid->kernel[a] != 3)
            return true;
    return !grid->winograd || !winograd_supports(grid) || pairs_winograd_supports(grid);
}

static int64_t pairs_blocks(int64_t c, int64_t block_c)
{
    return (c + block_c - 1) / block_c;
}

static int64_t pairs_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- gather ---- */

/* Enough blocks of dst share src, or so much of a row is an edge, that it pays to copy src with zeros around its rows.
 */
enum { PAIRS_HALO_BLOCKS = 4, PAIRS_HALO_WIDTH = 32 };

/* What the kernel sees: with few blocks conv itself, else src has as long rows as dst needs. */
static struct direct_conv pairs_padded(const struct direct_conv *conv)
{
    struct direct_conv padded = *conv;
    const int64_t reach = (conv->dst.w - 1) * conv->stride[2] + conv->kernel[2];
    const bool worth = conv->dst.c >= PAIRS_HALO_BLOCKS * PAIRS_GROUP ||
                       (conv->dst.c > PAIRS_GROUP && conv->dst.w <= PAIRS_HALO_WIDTH);
    if (!worth || (conv->pad[2] == 0 && reach <= conv->src.w))
        return padded;
    padded.src.w = reach;
    padded.pad[2] = 0;
    return padded;
}

static bool pairs_has_halo(const struct direct_conv *conv)
{
    return pairs_padded(conv).src.w != conv->src.w || conv->pad[2] != pairs_padded(conv).pad[2];
}

static int64_t pairs_halo_floats(const struct direct_conv *conv)
{
    return pairs_has_halo(conv) ? (tensor_floats(pairs_padded(conv).src) + 1) / 2 : 0;
}

static void pairs_fill_halo(const struct direct_conv *conv, const uint16_t *src, uint16_t *halo)
{
    const int64_t block_c = tensor_block(), from_w = conv->src.w, to_w = pairs_padded(conv).src.w, pad = conv->pad[2];
    const int64_t rows = tensor_floats(conv->src) / block_c / from_w, inside = pairs_least(from_w, to_w - pad);
    const size_t voxel = (size_t)block_c * sizeof *src;
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        uint16_t *to = halo + row * to_w * block_c;
        memset(to, 0, (size_t)pad * voxel);
        memcpy(to + pad * block_c, src + row * from_w * block_c, (size_t)inside * voxel);
        memset(to + (pad + inside) * block_c, 0, (size_t)(to_w - pad - inside) * voxel);
    }
}

static int64_t pairs_tile_rows(const struct direct_conv *conv)
{
    const int64_t rows = PAIRS_TILE_VOXELS / conv->dst.w;
    return pairs_least(rows < 1 ? 1 : rows, conv->dst.d * conv->dst.h);
}

/* Products behind a sum of its own, about. */
enum { PAIRS_TERMS = 512 };

/* Groups of a unit. */
static int64_t pairs_unit(const struct direct_conv *conv)
{
    const int64_t groups = PAIRS_TERMS / (conv->kernel[0] * conv->kernel[1] * conv->kernel[2] * PAIRS_GROUP);
    return groups < 1 ? 1 : groups;
}

/* Of one thread; none where one unit is all of src. */
static int64_t pairs_sums_floats(const struct direct_conv *conv)
{
    return conv->src.c <= pairs_unit(conv) * PAIRS_GROUP ? 0 : 2 * pairs_tile_rows(conv) * conv->dst.w * tensor_block();
}

size_t pairs_scratch_bytes(const struct direct_conv *conv)
{
    return scratch_bytes(pairs_halo_floats(conv)) + (size_t)parallel_threads() * scratch_bytes(pairs_sums_floats(conv));
}

/* Rows of one pair of blocks of dst. */
static struct pairs_tile pairs_tile_of(const struct direct_conv *conv, int64_t t, int64_t block)
{
    const int64_t block_c = tensor_block(), blocks = pairs_blocks(conv->dst.c, block_c), rows = pairs_tile_rows(conv);
    return (struct pairs_tile){.conv = conv,
                               .blocks = pairs_least(blocks - block, 2),
                               .src_blocks = pairs_blocks(conv->src.c, block_c),
                               .unit = pairs_unit(conv),
                               .first = t * rows,
                               .last = pairs_least((t + 1) * rows, conv->dst.d * conv->dst.h)};
}

void pairs_run(const struct direct_conv *conv, const uint16_t *src, const uint32_t *w, const float *b, uint16_t *dst,
               void *scratch)
{
    const struct pairs_kernels *kernels = pairs_kernels();
    const struct direct_conv padded = pairs_padded(conv);
    const int64_t block_c = tensor_block(), blocks = pairs_blocks(conv->dst.c, block_c),
                  src_blocks = pairs_blocks(conv->src.c, block_c), rows = pairs_tile_rows(conv);
    const int64_t tiles = (conv->dst.d * conv->dst.h + rows - 1) / rows,
                  block_words =
                      src_blocks * conv->kernel[0] * conv->kernel[1] * conv->kernel[2] * block_c * block_c / 2;
    char *at = scratch;
    uint16_t *halo = (uint16_t *)(void *)scratch_take(&at, pairs_halo_floats(conv));

    if (pairs_has_halo(conv)) {
        pairs_fill_halo(conv, src, halo);
        src = halo;
    }

#pragma omp parallel for collapse(3) schedule(static)
    for (int64_t n = 0; n < conv->dst.n; n++)
        for (int64_t t = 0; t < tiles; t++)
            for (int64_t block = 0; block < blocks; block += 2) {
                struct pairs_tile tile = pairs_tile_of(&padded, t, block);
                tile.src = src + n * src_blocks * block_c * shape_voxels(padded.src);
                tile.w = w + block * block_words;
                tile.b = b ? b + block * block_c : NULL;
                tile.dst = dst + (n * blocks + block) * shape_voxels(conv->dst) * block_c;
                tile.sums =
                    (float *)(void *)(at + (size_t)omp_get_thread_num() * scratch_bytes(pairs_sums_floats(conv)));
                kernels->forward(&tile);
            }
}

void pairs_transpose_run(const struct direct_conv *grid, const uint16_t *src, const uint32_t *w, const float *b,
                         uint16_t *dst)
{
    const struct shape large = grid->src, small = grid->dst;
    const int64_t block_c = tensor_block(), blocks = tensor_stored_channels(large.c) / block_c,
                  units = tensor_stored_channels(small.c) / block_c;

#pragma omp parallel for collapse(3) schedule(static)
    for (int64_t n = 0; n < small.n; n++)
        for (int64_t z = 0; z < small.d; z++)
            for (int64_t block = 0; block < blocks; block++) {
                const struct pairs_transpose tile = {.src = small,
                                                     .dst = large,
                                                     .from = src + tensor_at(small, n, 0, z, 0, 0),
                                                     .w = w + block * units * block_c * block_c / 2,
                                                     .b = b ? b + block * block_c : NULL,
                                                     .to = dst + tensor_at(large, n, block * block_c, 2 * z, 0, 0),
                                                     .src_blocks = units,
                                                     .w_phase = units * blocks * block_c * block_c / 2};
                pairs_kernels()->transpose(&tile);
            }
}

/* ---- the gradient of the weights ---- */

int64_t pairs_gradient_reach(const struct direct_conv *conv)
{
    return ((conv->dst.w + 1) / 2 * 2 - 1) * conv->stride[2] + conv->kernel[2];
}

int64_t pairs_gradient_rows(const struct direct_conv *conv)
{
    const int64_t row = 2 * ((conv->dst.w + 1) / 2) + conv->stride[1] * pairs_gradient_reach(conv),
                  rows = PAIRS_CACHE_BYTES / (row * PAIRS_GROUP * (int64_t)sizeof(uint32_t));
    return pairs_least(rows < 1 ? 1 : rows, conv->dst.h);
}

/* Words of one thread's rows of pairs. */
static int64_t pairs_gradient_words(const struct direct_conv *conv)
{
    const int64_t rows = pairs_gradient_rows(conv),
                  large = ((rows - 1) * conv->stride[1] + conv->kernel[1]) * pairs_gradient_reach(conv);
    return (2 * rows * ((conv->dst.w + 1) / 2) + large) * tensor_block();
}

static int64_t pairs_gradient_floats(const struct direct_conv *conv)
{
    return tensor_stored_channels(conv->src.c) * tensor_stored_channels(conv->dst.c) * conv->kernel[0] *
           conv->kernel[1] * conv->kernel[2];
}

/* Runs of rows that are summed for themselves: by channels, not by blocks, so that it is the same for all. */
int64_t pairs_splits(const struct direct_conv *conv)
{
    const int64_t tasks = pairs_blocks(conv->dst.c, 2 * PAIRS_GROUP) * pairs_blocks(conv->src.c, PAIRS_GROUP);
    return pairs_least((PAIRS_PIECES + tasks - 1) / tasks, conv->dst.d * conv->dst.h);
}

size_t pairs_gradient_scratch_bytes(const struct direct_conv *conv)
{
    return scratch_bytes((pairs_splits(conv) - 1) * pairs_gradient_floats(conv)) +
           (size_t)parallel_threads() * scratch_bytes(pairs_gradient_words(conv));
}

/* One task: a block of src and a pair of blocks of dst, over one split of the rows of each sample. */
static void pairs_gradient_piece(const struct direct_conv *conv, int64_t task, int64_t split, const uint16_t *src,
                                 const uint16_t *d_dst, float *d_w, uint32_t *pairs)
{
    const int64_t block_c = tensor_block(), blocks = pairs_blocks(conv->dst.c, block_c),
                  src_blocks = pairs_blocks(conv->src.c, block_c), rows = conv->dst.d * conv->dst.h,
                  splits = pairs_splits(conv);
    const int64_t block_floats = conv->kernel[0] * conv->kernel[1] * conv->kernel[2] * block_c * block_c;
    const int64_t unit = task % src_blocks, first = task / src_blocks * 2;

    for (int64_t n = 0; n < conv->dst.n; n++) {
        struct pairs_gradient tile = {.conv = conv,
                                      .large = src + (n * src_blocks + unit) * shape_voxels(conv->src) * block_c,
                                      .first = rows * split / splits,
                                      .last = rows * (split + 1) / splits,
                                      .pairs = pairs};
        for (int64_t b = 0; b < 2 && first + b < blocks; b++) {
            tile.small[b] = d_dst + (n * blocks + first + b) * shape_voxels(conv->dst) * block_c;
            tile.d_w[b] = d_w + ((first + b) * src_blocks + unit) * block_floats;
        }
        pairs_kernels()->gradient(&tile);
    }
}

void pairs_gradient_run(const struct direct_conv *conv, const uint16_t *src, const uint16_t *d_dst, float *d_w,
                        void *scratch)
{
    const int64_t block_c = tensor_block(), floats = pairs_gradient_floats(conv), splits = pairs_splits(conv);
    const int64_t tasks = (pairs_blocks(conv->dst.c, block_c) + 1) / 2 * pairs_blocks(conv->src.c, block_c);
    const int64_t words = (int64_t)(scratch_bytes(pairs_gradient_words(conv)) / sizeof(uint32_t));
    char *at = scratch;
    float *copies = scratch_take(&at, (splits - 1) * floats);
    uint32_t *pairs = (uint32_t *)(void *)at;

    memset(d_w, 0, (size_t)floats * sizeof *d_w);
    memset(copies, 0, (size_t)((splits - 1) * floats) * sizeof *copies);
#pragma omp parallel for collapse(2) schedule(dynamic)
    for (int64_t task = 0; task < tasks; task++)
        for (int64_t split = 0; split < splits; split++)
            pairs_gradient_piece(conv, task, split, src, d_dst, split ? copies + (split - 1) * floats : d_w,
                                 pairs + omp_get_thread_num() * words);

#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < floats; i++)
        for (int64_t copy = 0; copy < splits - 1; copy++)
            d_w[i] += copies[copy * floats + i];
}
