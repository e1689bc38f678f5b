/* pairs_winograd.c - see pairs_winograd.h. Each tile is one thread's, and the sums over tiles are added in order: any
 * number of threads gives the same bits. Test: tests/nn/test_pairs.c */
#include "nn/engine/pairs_winograd.h"

#include <omp.h>
#include <string.h>

#include "base/parallel.h"
#include "nn/engine/bfloat16.h"
#include "nn/engine/cpu.h"
#include "nn/engine/pairs.h"

/* With more channels the tiles of winograd.h, in float32, take less time. */
enum { PAIRS_WINOGRAD_CHANNELS = 48 };

bool pairs_winograd_supports(const struct direct_conv *conv)
{
    if (!cpu_multiplies_pairs() || conv->src.c > PAIRS_WINOGRAD_CHANNELS || conv->dst.c > PAIRS_WINOGRAD_CHANNELS ||
        tensor_channel_block(conv->src.c) == 1 || tensor_channel_block(conv->dst.c) == 1)
        return false;
    for (int a = 0; a < 3; a++)
        if (conv->stride[a] != 1 || conv->kernel[a] != PAIRS_TAPS)
            return false;
    return conv->winograd;
}

static int64_t pairs_winograd_blocks(int64_t c)
{
    return tensor_stored_channels(c) / tensor_block();
}

int64_t pairs_winograd_words(const struct direct_conv *conv)
{
    return tensor_stored_channels(conv->src.c) * tensor_stored_channels(conv->dst.c) * PAIRS_POINTS * PAIRS_TAPS / 2;
}

int64_t pairs_winograd_macs(const struct direct_conv *conv)
{
    return direct_conv_macs(conv) / (PAIRS_TAPS * PAIRS_TAPS) * PAIRS_POINTS / 4;
}

/* ---- weights ---- */

/* Three taps, `step` apart, to four points. */
static void pairs_winograd_axis(const float *w, int64_t step, float u[4])
{
    const float ends = w[0] + w[2 * step];
    u[0] = w[0];
    u[1] = 0.5F * (ends + w[step]);
    u[2] = 0.5F * (ends - w[step]);
    u[3] = w[2 * step];
}

/* One pair of channels at tap x: w[z][y] `step` floats apart along y. */
static void pairs_winograd_points(const float *w, int64_t step, float u[PAIRS_POINTS])
{
    float along_z[4][3], line[4];
    for (int y = 0; y < 3; y++) {
        pairs_winograd_axis(w + y * step, 3 * step, line);
        for (int z = 0; z < 4; z++)
            along_z[z][y] = line[z];
    }
    for (int z = 0; z < 4; z++)
        pairs_winograd_axis(along_z[z], 1, u + 4 * z);
}

/* Where block `o` of dst keeps the words of a point: before those of tap x and a pair of channels. */
struct pairs_winograd_place {
    int64_t start, point, row; /* words: of the block; from one point, from one pair of channels to the next */
};

static struct pairs_winograd_place pairs_winograd_place(const struct direct_conv *conv, int64_t o)
{
    const int64_t block_c = tensor_block(), blocks_i = pairs_winograd_blocks(conv->src.c),
                  sharing = o / 2 * 2 + 1 < pairs_winograd_blocks(conv->dst.c) ? 2 : 1;
    const int64_t rows = blocks_i * PAIRS_TAPS * block_c / 2;
    return (struct pairs_winograd_place){.start = o / 2 * 2 * PAIRS_POINTS * rows * block_c + o % 2 * block_c,
                                         .point = rows * sharing * block_c,
                                         .row = sharing * block_c};
}

/* Row of a pair of channels, counted as the kernel reads them: [group][tap][half][pair]. */
static int64_t pairs_winograd_row(const struct direct_conv *conv, int64_t i, int64_t x, int64_t pair)
{
    const int64_t block_c = tensor_block(), per_group = PAIRS_GROUP / block_c, group = i / per_group,
                  left = pairs_winograd_blocks(conv->src.c) - group * per_group,
                  halves = left < per_group ? left : per_group;
    return group * per_group * PAIRS_TAPS * block_c / 2 + (x * halves + i % per_group) * block_c / 2 + pair;
}

void pairs_winograd_prepare(const struct direct_conv *conv, const float *direct, uint32_t *words)
{
    const int64_t block_c = tensor_block(), square = block_c * block_c, blocks_i = pairs_winograd_blocks(conv->src.c);
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t o = 0; o < pairs_winograd_blocks(conv->dst.c); o++)
        for (int64_t i = 0; i < blocks_i; i++) {
            const struct pairs_winograd_place place = pairs_winograd_place(conv, o);
            const float *w = direct + (o * blocks_i + i) * 27 * square;
            for (int64_t x = 0; x < PAIRS_TAPS; x++)
                for (int64_t at = 0; at < square / 2; at++) {
                    const int64_t pair = at / block_c, c = at % block_c;
                    const float *from = w + x * square + 2 * pair * block_c + c;
                    float low[PAIRS_POINTS], high[PAIRS_POINTS];
                    uint32_t *to = words + place.start + pairs_winograd_row(conv, i, x, pair) * place.row + c;
                    pairs_winograd_points(from, 3 * square, low);
                    pairs_winograd_points(from + block_c, 3 * square, high);
                    for (int p = 0; p < PAIRS_POINTS; p++)
                        to[p * place.point] =
                            (uint32_t)bfloat16_from_float(low[p]) | (uint32_t)bfloat16_from_float(high[p]) << 16;
                }
        }
}

/* ---- running ---- */

/* Of one thread, in floats: v of all blocks of src, m of a pair of blocks of dst. */
static int64_t pairs_winograd_v_floats(const struct direct_conv *conv)
{
    return tensor_stored_channels(conv->src.c) * PAIRS_POINTS * PAIRS_ROW_REACH / 2;
}

static int64_t pairs_winograd_m_floats(void)
{
    return 2 * PAIRS_POINTS * PAIRS_ROW * tensor_block();
}

size_t pairs_winograd_scratch_bytes(const struct direct_conv *conv)
{
    return (size_t)parallel_threads() *
           (scratch_bytes(pairs_winograd_v_floats(conv)) + scratch_bytes(pairs_winograd_m_floats()));
}

/* Rows of src that stay in the second cache while tiles pass over them, plane after plane. */
enum { PAIRS_SLAB_BYTES = 320 << 10 };

/* Tiles along y of a slab. */
static int64_t pairs_winograd_slab(const struct direct_conv *conv)
{
    const int64_t row = 4 * conv->src.w * tensor_stored_channels(conv->src.c) * (int64_t)sizeof(uint16_t),
                  tiles = PAIRS_SLAB_BYTES / (2 * row), all = (conv->dst.h + 1) / 2;
    return tiles < 1 ? 1 : tiles > all ? all : tiles;
}

/* Slab after slab, of each plane after plane. */
void pairs_winograd_at(const struct direct_conv *conv, int64_t i, int64_t *ret_z, int64_t *ret_y)
{
    const int64_t deep = (conv->dst.d + 1) / 2, high = (conv->dst.h + 1) / 2, slab = pairs_winograd_slab(conv),
                  first = i / (deep * slab) * slab, n = high - first < slab ? high - first : slab;
    i -= first * deep;
    *ret_z = i / n * 2;
    *ret_y = (first + i % n) * 2;
}

/* Doubles of one tile's sums; tiles of one sample. */
static int64_t pairs_winograd_tile_stats(const struct direct_conv *conv)
{
    return 2 * tensor_stored_channels(conv->dst.c);
}

static int64_t pairs_winograd_tiles(const struct direct_conv *conv)
{
    return (conv->dst.d + 1) / 2 * ((conv->dst.h + 1) / 2);
}

int64_t pairs_winograd_stats(const struct direct_conv *conv)
{
    return conv->dst.n * (1 + pairs_winograd_tiles(conv)) * pairs_winograd_tile_stats(conv);
}

/* Each tile's sums, one after the other, into those of its sample: stats[2][n][channel]. */
static void pairs_winograd_finish_stats(const struct direct_conv *conv, const double *parts, double *stats)
{
    const int64_t block_c = tensor_block(), blocks = pairs_winograd_blocks(conv->dst.c),
                  squares = conv->dst.n * blocks * block_c;
    memset(stats, 0, 2 * (size_t)squares * sizeof *stats);
    for (int64_t n = 0; n < conv->dst.n; n++)
        for (int64_t tile = 0; tile < pairs_winograd_tiles(conv); tile++)
            for (int64_t block = 0; block < blocks; block++, parts += 2 * block_c)
                for (int64_t c = 0; c < block_c; c++) {
                    stats[(n * blocks + block) * block_c + c] += parts[c];
                    stats[squares + (n * blocks + block) * block_c + c] += parts[block_c + c];
                }
}

void pairs_winograd_run(const struct direct_conv *conv, const uint16_t *src, const uint32_t *words, const float *b,
                        double *stats, uint16_t *dst, void *scratch)
{
    const int64_t tiles = pairs_winograd_tiles(conv);
    const int64_t n_src = tensor_floats(conv->src) / conv->src.n, n_dst = tensor_floats(conv->dst) / conv->dst.n,
                  tile_stats = pairs_winograd_tile_stats(conv);
    double *parts = stats ? stats + conv->dst.n * tile_stats : NULL;

#pragma omp parallel
    {
        char *at = (char *)scratch +
                   (size_t)omp_get_thread_num() * (pairs_winograd_scratch_bytes(conv) / (size_t)parallel_threads());
        uint16_t *v = (uint16_t *)(void *)scratch_take(&at, pairs_winograd_v_floats(conv));
        float *m = scratch_take(&at, pairs_winograd_m_floats());

#pragma omp for schedule(static)
        for (int64_t i = 0; i < conv->dst.n * tiles; i++) {
            struct pairs_winograd_tile tile = {.conv = conv,
                                               .src = src + i / tiles * n_src,
                                               .u = words,
                                               .b = b,
                                               .dst = dst + i / tiles * n_dst,
                                               .sums = parts ? parts + i * tile_stats : NULL,
                                               .v = v,
                                               .m = m};
            pairs_winograd_at(conv, i % tiles, &tile.z, &tile.y);
            pairs_kernels()->winograd(&tile);
        }
    }

    if (parts)
        pairs_winograd_finish_stats(conv, parts, stats);
}

/* ---- the gradient of the weights ---- */

/* Of d_u. */
static int64_t pairs_winograd_gradient_floats(const struct direct_conv *conv)
{
    return 2 * pairs_winograd_words(conv);
}

/* One thread's room, in floats: v, pairs of src, pairs of two blocks of d_dst. */
enum {
    PAIRS_GRADIENT_LARGE = PAIRS_POINTS * PAIRS_BATCH * PAIRS_ROW_REACH * PAIRS_GROUP,
    PAIRS_GRADIENT_SMALL = 2 * PAIRS_POINTS * PAIRS_BATCH * PAIRS_ROW / 2 * PAIRS_GROUP,
    PAIRS_GRADIENT_V = PAIRS_POINTS * PAIRS_ROW_REACH * PAIRS_GROUP / 2
};

static size_t pairs_winograd_gradient_own_bytes(void)
{
    return scratch_bytes(PAIRS_GRADIENT_V) + scratch_bytes(PAIRS_GRADIENT_LARGE) + scratch_bytes(PAIRS_GRADIENT_SMALL);
}

size_t pairs_winograd_gradient_scratch_bytes(const struct direct_conv *conv)
{
    return scratch_bytes(pairs_splits(conv) * pairs_winograd_gradient_floats(conv)) +
           (size_t)parallel_threads() * pairs_winograd_gradient_own_bytes();
}

/* One task: a block of src and a pair of blocks of dst, over one split of each sample's tiles. */
static void pairs_winograd_gradient_piece(const struct direct_conv *conv, int64_t task, int64_t split,
                                          const uint16_t *src, const uint16_t *d_dst, float *d_u, char *scratch)
{
    const int64_t block_c = tensor_block(), blocks = pairs_winograd_blocks(conv->dst.c),
                  src_blocks = pairs_winograd_blocks(conv->src.c), splits = pairs_splits(conv),
                  tiles = pairs_winograd_tiles(conv), per_block = PAIRS_POINTS * PAIRS_TAPS * block_c * block_c;
    const int64_t unit = task % src_blocks, first = task / src_blocks * 2;

    struct pairs_winograd_gradient tile = {
        .conv = conv, .first = tiles * split / splits, .last = tiles * (split + 1) / splits};
    tile.v = (uint16_t *)(void *)scratch_take(&scratch, PAIRS_GRADIENT_V);
    tile.large = (uint32_t *)(void *)scratch_take(&scratch, PAIRS_GRADIENT_LARGE);
    tile.small = (uint32_t *)(void *)scratch_take(&scratch, PAIRS_GRADIENT_SMALL);

    for (int64_t n = 0; n < conv->dst.n; n++) {
        tile.src = src + (n * src_blocks + unit) * shape_voxels(conv->src) * block_c;
        for (int64_t b = 0; b < 2 && first + b < blocks; b++) {
            tile.d_dst[b] = d_dst + (n * blocks + first + b) * shape_voxels(conv->dst) * block_c;
            tile.d_u[b] = d_u + ((first + b) * src_blocks + unit) * per_block;
        }
        pairs_kernels()->winograd_gradient(&tile);
    }
}

/* Four points along an axis, `step` apart, to three taps. */
static void pairs_winograd_axis_back(const float *u, int64_t step, float w[3])
{
    const float sum = 0.5F * (u[step] + u[2 * step]);
    w[0] = u[0] + sum;
    w[1] = 0.5F * (u[step] - u[2 * step]);
    w[2] = sum + u[3 * step];
}

/* d_u of one pair of blocks, [point][tap along x][square], to d_w [tap][square]. */
static void pairs_winograd_gradient_finish(const float *d_u, int64_t square, float *d_w)
{
    const int64_t step = PAIRS_TAPS * square;
    for (int64_t x = 0; x < PAIRS_TAPS; x++)
        for (int64_t c = 0; c < square; c++) {
            const float *u = d_u + x * square + c;
            float along_z[3][4], line[3];
            for (int y = 0; y < 4; y++) {
                pairs_winograd_axis_back(u + y * step, 4 * step, line);
                for (int z = 0; z < 3; z++)
                    along_z[z][y] = line[z];
            }
            for (int z = 0; z < 3; z++) {
                pairs_winograd_axis_back(along_z[z], 1, line);
                for (int y = 0; y < 3; y++)
                    d_w[((z * 3 + y) * 3 + x) * square + c] = line[y];
            }
        }
}

void pairs_winograd_gradient_run(const struct direct_conv *conv, const uint16_t *src, const uint16_t *d_dst,
                                 float *d_direct, void *scratch)
{
    const int64_t block_c = tensor_block(), square = block_c * block_c, splits = pairs_splits(conv),
                  floats = pairs_winograd_gradient_floats(conv), blocks = pairs_winograd_blocks(conv->dst.c),
                  src_blocks = pairs_winograd_blocks(conv->src.c), tasks = (blocks + 1) / 2 * src_blocks;
    char *at = scratch;
    float *d_u = scratch_take(&at, splits * floats);
    const size_t own = pairs_winograd_gradient_own_bytes();

    memset(d_u, 0, (size_t)(splits * floats) * sizeof *d_u);
#pragma omp parallel for collapse(2) schedule(dynamic)
    for (int64_t task = 0; task < tasks; task++)
        for (int64_t split = 0; split < splits; split++)
            pairs_winograd_gradient_piece(conv, task, split, src, d_dst, d_u + split * floats,
                                          at + (size_t)omp_get_thread_num() * own);

#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < floats; i++)
        for (int64_t split = 1; split < splits; split++)
            d_u[i] += d_u[split * floats + i];
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < blocks * src_blocks; i++)
        pairs_winograd_gradient_finish(d_u + i * PAIRS_POINTS * PAIRS_TAPS * square, square,
                                       d_direct + i * 27 * square);
}
