/* winograd.c - see winograd.h. Units of work are runs of tiles; each thread transforms, multiplies and
 * transforms back one unit at a time in scratch of its own, small enough for the second cache. How a shape is cut
 * depends on the shape alone, and no sum crosses a unit: any number of threads gives the same bits. */
#include "nn/engine/winograd.h"

#include <omp.h>
#include <string.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "nn/engine/kernels.h"

/* A unit's transformed values stay in the second cache, or take a share of what the weights take that each unit reads
 * again. */
enum {
    WINOGRAD_UNIT_BYTES = 128 << 10,
    WINOGRAD_GRADIENT_BYTES = 384 << 10,
    WINOGRAD_UNIT_MOST = 12 << 20,
    WINOGRAD_WEIGHTS_SHARE = 2,
    WINOGRAD_SLAB_BYTES = 4 << 20
};
/* A dst that the last cache does not hold is written past it: nothing is fetched for it, nothing driven out. */
enum { WINOGRAD_STREAM_BYTES = 24 << 20, WINOGRAD_STREAM_ALIGN = 64 };
/* Transformed weights are up to 7 times the plain ones: floats beyond which the memory is not worth it. */
enum { WINOGRAD_WEIGHTS_MOST = 10 << 20 };
/* With fewer the transforms cost more than the products that they save. */
enum { WINOGRAD_CHANNELS_MIN = 16 };
/* Tiles of a unit; floats between the positions' parts, so that they do not fall into the same sets. */
enum { WINOGRAD_STEP_MAX = 48, WINOGRAD_GAP = 16 };

struct winograd {
    struct winograd_grid grid;
    int64_t block_c, step; /* tiles per unit */
    int64_t units;         /* per sample */
    int64_t v_floats, m_floats;
    int64_t slab; /* units that are transformed before their products are summed into the gradient */
    int threads;
};

static int64_t winograd_divide_up(int64_t n, int64_t by)
{
    return (n + by - 1) / by;
}

/* Multiply-adds that the products take, tiles over the edge and preparing the weights included; the transforms weigh
 * like a few channels. */
static double winograd_work(const struct winograd_grid *grid)
{
    double tiles = (double)grid->conv.dst.n * (double)(grid->tiles[0] * grid->tiles[1] * grid->tiles[2]);
    double i = (double)grid->conv.src.c, o = (double)grid->conv.dst.c;
    return (double)(grid->positions * grid->sums) * (tiles * (i * o + 8 * i + 6 * o) + 16 * i * o);
}

static struct winograd_grid winograd_grid_with(const struct direct_conv *conv, int64_t block_c, int64_t points_z)
{
    struct winograd_grid grid = {.conv = *conv,
                                 .blocks_i = winograd_divide_up(conv->src.c, block_c),
                                 .blocks_o = winograd_divide_up(conv->dst.c, block_c),
                                 .out = {points_z ? points_z + 1 - conv->kernel[0] : 1,
                                         WINOGRAD_POINTS + 1 - conv->kernel[1], WINOGRAD_POINTS + 1 - conv->kernel[2]},
                                 .points_z = points_z,
                                 .positions = (points_z ? points_z : 1) * WINOGRAD_POINTS * WINOGRAD_POINTS,
                                 .sums = points_z ? 1 : conv->kernel[0]};
    const int64_t size[3] = {conv->dst.d, conv->dst.h, conv->dst.w};
    for (int a = 0; a < 3; a++)
        grid.tiles[a] = winograd_divide_up(size[a], grid.out[a]);
    return grid;
}

static int64_t winograd_weights_floats(const struct winograd_grid *grid)
{
    return grid->positions * grid->sums * grid->conv.src.c * grid->conv.dst.c;
}

struct winograd_grid winograd_grid_of(const struct direct_conv *conv, int64_t block_c)
{
    const int64_t k = conv->kernel[1];
    if (conv->kernel[0] != k || (k != 3 && k != 5))
        return winograd_grid_with(conv, block_c, 0);
    const struct winograd_grid six = winograd_grid_with(conv, block_c, 6),
                               less = winograd_grid_with(conv, block_c, k == 3 ? 4 : 0);
    return winograd_weights_floats(&six) <= WINOGRAD_WEIGHTS_MOST && winograd_work(&six) < winograd_work(&less) ? six
                                                                                                                : less;
}

bool winograd_supports(const struct direct_conv *conv)
{
    int64_t block_c = tensor_block(), k = conv->kernel[1];
    if ((k != 3 && k != 5) || conv->kernel[2] != k || conv->kernel[0] > WINOGRAD_KERNEL_MAX)
        return false;
    if (conv->stride[0] != 1 || conv->stride[1] != 1 || conv->stride[2] != 1)
        return false;
    if (conv->src.c < WINOGRAD_CHANNELS_MIN || conv->dst.c < WINOGRAD_CHANNELS_MIN ||
        tensor_channel_block(conv->src.c) != block_c || tensor_channel_block(conv->dst.c) != block_c)
        return false;
    struct winograd_grid grid = winograd_grid_of(conv, block_c);
    if (winograd_weights_floats(&grid) > WINOGRAD_WEIGHTS_MOST)
        return false;
    double direct = (double)shape_count(conv->dst) * (double)conv->src.c * (double)(conv->kernel[0] * k * k);
    return winograd_work(&grid) < 0.6 * direct;
}

enum status winograd_new(struct winograd **ret, const struct direct_conv *conv, bool gradient, struct error *error)
{
    struct winograd *made = memory_zalloc(1, sizeof *made);
    if (!made)
        return error_memory(error, sizeof *made, "convolution");
    const struct winograd_grid grid = winograd_grid_of(conv, tensor_block());
    int64_t rows = engine_kernels()->winograd_rows, tiles = grid.tiles[0] * grid.tiles[1] * grid.tiles[2];

    /* A unit is as many tiles as fit the second cache, or a share of the weights, which every unit reads again. */
    made->grid = grid;
    made->block_c = tensor_block();
    int64_t blocks = grid.sums * grid.blocks_i + grid.blocks_o,
            tile_bytes = grid.positions * blocks * made->block_c * (int64_t)sizeof(float);
    int64_t unit_bytes = winograd_packed_floats(made) * (int64_t)sizeof(float) / WINOGRAD_WEIGHTS_SHARE;
    int64_t least = gradient ? WINOGRAD_GRADIENT_BYTES : WINOGRAD_UNIT_BYTES;
    unit_bytes = unit_bytes < least ? least : unit_bytes > WINOGRAD_UNIT_MOST ? WINOGRAD_UNIT_MOST : unit_bytes;
    int64_t step = unit_bytes / tile_bytes / rows * rows;
    step = step < rows ? rows : step > WINOGRAD_STEP_MAX ? WINOGRAD_STEP_MAX / rows * rows : step;

    /* Units of equal length, so that the last one is not nearly empty. */
    made->units = winograd_divide_up(tiles, step);
    made->threads =
        parallel_threads() < conv->dst.n * made->units ? parallel_threads() : (int)(conv->dst.n * made->units);
    made->step = winograd_divide_up(winograd_divide_up(tiles, made->units), rows) * rows;
    made->v_floats = grid.positions * (grid.sums * grid.blocks_i * made->step * made->block_c + WINOGRAD_GAP);
    made->m_floats = grid.positions * (grid.blocks_o * made->step * made->block_c + WINOGRAD_GAP);
    made->slab = WINOGRAD_SLAB_BYTES / ((made->v_floats + made->m_floats) * (int64_t)sizeof(float));
    made->slab = made->slab < 1 ? 1 : made->slab;

    *ret = made;
    return STATUS_OK;
}

void winograd_free(struct winograd *winograd)
{
    memory_free(winograd);
}

/* Transformed weights from one position to the next. */
static int64_t winograd_position_floats(const struct winograd *winograd)
{
    const struct winograd_grid *grid = &winograd->grid;
    return grid->sums * grid->blocks_i * grid->blocks_o * winograd->block_c * winograd->block_c + WINOGRAD_GAP;
}

int64_t winograd_packed_floats(const struct winograd *winograd)
{
    const struct winograd_grid *grid = &winograd->grid;
    return grid->positions * winograd_position_floats(winograd);
}

int64_t winograd_macs(const struct winograd *winograd)
{
    const struct winograd_grid *grid = &winograd->grid;
    const struct direct_conv *conv = &grid->conv;
    return conv->dst.n * grid->tiles[0] * grid->tiles[1] * grid->tiles[2] * grid->positions * grid->sums * conv->src.c *
           conv->dst.c;
}

size_t winograd_scratch_bytes(const struct winograd *winograd)
{
    return (size_t)winograd->threads * (scratch_bytes(winograd->v_floats) + scratch_bytes(winograd->m_floats));
}

void winograd_prepare(const struct winograd *winograd, const float *direct, float *packed)
{
    const struct winograd_grid *grid = &winograd->grid;
    const int64_t *kernel = grid->conv.kernel, block_c = winograd->block_c, square = block_c * block_c;
    const int64_t per_block = grid->sums * grid->blocks_i * square, taps = kernel[0] * kernel[1] * kernel[2];
    const struct engine_kernels *kernels = engine_kernels();
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t o = 0; o < grid->blocks_o; o++)
        for (int64_t i = 0; i < grid->blocks_i; i++) {
            int64_t sharing = o / 2 * 2 + 1 < grid->blocks_o ? 2 : 1; /* blocks that share rows */
            float *u = packed + o / 2 * 2 * per_block + i * sharing * square + o % 2 * block_c;
            kernels->winograd_weights(grid, direct + (o * grid->blocks_i + i) * taps * square, u,
                                      winograd_position_floats(winograd), grid->blocks_i * sharing * square,
                                      sharing * block_c);
        }
}

/* Unit `index` of the whole batch. */
static struct winograd_tile winograd_unit(const struct winograd *winograd, int64_t index, const float *src, float *dst)
{
    const struct winograd_grid *grid = &winograd->grid;
    int64_t n = index / winograd->units, first = index % winograd->units * winograd->step;
    int64_t left = grid->tiles[0] * grid->tiles[1] * grid->tiles[2] - first;
    return (struct winograd_tile){.grid = grid,
                                  .src = src + n * grid->blocks_i * winograd->block_c * shape_voxels(grid->conv.src),
                                  .dst = dst + n * grid->blocks_o * winograd->block_c * shape_voxels(grid->conv.dst),
                                  .first = first,
                                  .n = left < winograd->step ? left : winograd->step,
                                  .step = winograd->step,
                                  .gap = WINOGRAD_GAP};
}

static int64_t winograd_units(const struct winograd *winograd)
{
    return winograd->grid.conv.dst.n * winograd->units;
}

/* Doubles of one unit's sums. */
static int64_t winograd_unit_stats(const struct winograd *winograd)
{
    return 2 * winograd->grid.blocks_o * winograd->block_c;
}

int64_t winograd_stats(const struct winograd *winograd)
{
    return (winograd->grid.conv.dst.n + winograd_units(winograd)) * winograd_unit_stats(winograd);
}

/* Each unit's sums, one after the other, into those of its sample: sums[2][n][channel]. */
static void winograd_finish_stats(const struct winograd *winograd, const double *units, double *sums)
{
    const int64_t block_c = winograd->block_c, blocks = winograd->grid.blocks_o, n = winograd->grid.conv.dst.n,
                  squares = n * blocks * block_c;
    memset(sums, 0, 2 * (size_t)squares * sizeof *sums);
    for (int64_t unit = 0; unit < winograd_units(winograd); unit++)
        for (int64_t block = 0; block < blocks; block++, units += 2 * block_c) {
            double *to = sums + (unit / winograd->units * blocks + block) * block_c;
            for (int64_t c = 0; c < block_c; c++) {
                to[c] += units[c];
                to[squares + c] += units[block_c + c];
            }
        }
}

void winograd_run(const struct winograd *winograd, const float *src, const float *packed, const float *b,
                  const struct conv_fusion *fusion, float *dst, void *scratch)
{
    const struct engine_kernels *kernels = engine_kernels();
    const int64_t n_src = winograd->grid.blocks_i * winograd->block_c, unit_stats = winograd_unit_stats(winograd);
    double *sums = fusion->stats ? fusion->stats + winograd->grid.conv.dst.n * unit_stats : NULL;
    const bool stream = tensor_floats(winograd->grid.conv.dst) * (int64_t)sizeof *dst >= WINOGRAD_STREAM_BYTES &&
                        (uintptr_t)dst % WINOGRAD_STREAM_ALIGN == 0;
    int threads = parallel_threads() < winograd->threads ? parallel_threads() : winograd->threads;

#pragma omp parallel num_threads(threads)
    {
        char *at = (char *)scratch +
                   (size_t)omp_get_thread_num() * (winograd_scratch_bytes(winograd) / (size_t)winograd->threads);
        float *v = scratch_take(&at, winograd->v_floats), *m = scratch_take(&at, winograd->m_floats);

#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < winograd_units(winograd); i++) {
            struct winograd_tile tile = winograd_unit(winograd, i, src, dst);
            tile.u = packed;
            tile.b = b;
            tile.stream = stream;
            tile.v = v;
            tile.m = m;
            tile.affine = affine_of_sample(fusion->affine, i / winograd->units, n_src);
            tile.sums = sums ? sums + i * unit_stats : NULL;
            kernels->winograd_src(&tile);
            kernels->winograd_multiply(&tile);
            kernels->winograd_dst(&tile);
        }
    }

    /* After all units, in their order: the same bits for any number of threads. */
    if (sums)
        winograd_finish_stats(winograd, sums, fusion->stats);
}

/* ---- the gradient of the weights: slabs of units are transformed, then each position's products are summed by one
 * thread ---- */

size_t winograd_weights_scratch_bytes(const struct winograd *winograd)
{
    return (size_t)winograd->slab * (scratch_bytes(winograd->v_floats) + scratch_bytes(winograd->m_floats)) +
           scratch_bytes(winograd_packed_floats(winograd));
}

/* d_u [position][block of dst][sum][block of src][block_c][block_c] -> direct layout. */
static void winograd_weights_finish(const struct winograd *winograd, const float *d_u, float *d_direct)
{
    const struct winograd_grid *grid = &winograd->grid;
    const struct engine_kernels *kernels = engine_kernels();
    const int64_t *kernel = grid->conv.kernel, square = winograd->block_c * winograd->block_c,
                  taps = kernel[0] * kernel[1] * kernel[2];
    const int64_t step = winograd_position_floats(winograd);
#pragma omp for collapse(2) schedule(static)
    for (int64_t o = 0; o < grid->blocks_o; o++)
        for (int64_t i = 0; i < grid->blocks_i; i++)
            kernels->winograd_gradient(grid, d_u + (o * grid->sums * grid->blocks_i + i) * square, step,
                                       grid->blocks_i * square, d_direct + (o * grid->blocks_i + i) * taps * square);
}

void winograd_weights_run(const struct winograd *winograd, const float *src, const float *d_dst, float *d_direct,
                          void *scratch)
{
    const struct winograd_grid *grid = &winograd->grid;
    const struct engine_kernels *kernels = engine_kernels();
    const int64_t units = winograd_units(winograd), per_position = winograd_position_floats(winograd);
    char *at = scratch;
    float *v = scratch_take(&at, winograd->slab * winograd->v_floats),
          *m = scratch_take(&at, winograd->slab * winograd->m_floats);
    float *d_u = scratch_take(&at, winograd_packed_floats(winograd));

#pragma omp parallel
    {
#pragma omp for schedule(static)
        for (int64_t p = 0; p < grid->positions; p++)
            memset(d_u + p * per_position, 0, (size_t)per_position * sizeof *d_u);
        for (int64_t first = 0; first < units; first += winograd->slab) {
            int64_t last = first + winograd->slab < units ? first + winograd->slab : units;

#pragma omp for schedule(static)
            for (int64_t i = first; i < last; i++) {
                struct winograd_tile tile = winograd_unit(winograd, i, src, NULL);
                tile.v = v + (i - first) * winograd->v_floats;
                tile.m = m + (i - first) * winograd->m_floats;
                kernels->winograd_src(&tile);
                tile.src =
                    d_dst + i / winograd->units * grid->blocks_o * winograd->block_c * shape_voxels(grid->conv.dst);
                kernels->winograd_d_dst(&tile);
            }

#pragma omp for schedule(static)
            for (int64_t p = 0; p < grid->positions; p++)
                for (int64_t i = first; i < last; i++) {
                    struct winograd_tile tile = winograd_unit(winograd, i, src, NULL);
                    tile.v = v + (i - first) * winograd->v_floats;
                    tile.m = m + (i - first) * winograd->m_floats;
                    tile.next_v = i + 1 < last ? winograd->v_floats : 0;
                    tile.next_m = i + 1 < last ? winograd->m_floats : 0;
                    kernels->winograd_outer(&tile, p, d_u + p * per_position);
                }
        }
        winograd_weights_finish(winograd, d_u, d_direct);
    }
}
