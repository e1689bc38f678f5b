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
    WINOGRAD_SLAB_LEAST = 512 << 10, /* for each thread */
    WINOGRAD_SLAB_MOST = 4 << 20
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
    bool late;    /* too many weights to keep them transformed: each pair of blocks is just before its use */
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

/* Only where a sample's tiles fit one unit, so that each weight is transformed once for all of them. */
static bool winograd_is_late(const struct winograd_grid *grid)
{
    return winograd_weights_floats(grid) > WINOGRAD_WEIGHTS_MOST;
}

static int64_t winograd_tiles(const struct winograd_grid *grid)
{
    return grid->tiles[0] * grid->tiles[1] * grid->tiles[2];
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
    if (winograd_is_late(&grid) && (grid.sums > 1 || winograd_tiles(&grid) > WINOGRAD_STEP_MAX))
        return false;
    double direct = (double)shape_count(conv->dst) * (double)conv->src.c * (double)(conv->kernel[0] * k * k);
    return winograd_work(&grid) < 0.6 * direct;
}

/* Transformed weights from one position to the next. */
static int64_t winograd_position_floats(const struct winograd *winograd)
{
    const struct winograd_grid *grid = &winograd->grid;
    return grid->sums * grid->blocks_i * grid->blocks_o * winograd->block_c * winograd->block_c + WINOGRAD_GAP;
}

static int64_t winograd_u_floats(const struct winograd *winograd)
{
    return winograd->grid.positions * winograd_position_floats(winograd);
}

enum status winograd_new(struct winograd **ret, const struct direct_conv *conv, bool gradient, struct error *error)
{
    struct winograd *made = memory_zalloc(1, sizeof *made);
    if (!made)
        return error_memory(error, sizeof *made, "convolution");
    const struct winograd_grid grid = winograd_grid_of(conv, tensor_block());
    int64_t rows = engine_kernels()->winograd_rows, tiles = winograd_tiles(&grid);

    /* A unit is as many tiles as fit the second cache, or a share of the weights, which every unit reads again. */
    made->grid = grid;
    made->block_c = tensor_block();
    made->late = winograd_is_late(&grid);
    int64_t blocks = grid.sums * grid.blocks_i + grid.blocks_o,
            tile_bytes = grid.positions * blocks * made->block_c * (int64_t)sizeof(float);
    int64_t unit_bytes = winograd_u_floats(made) * (int64_t)sizeof(float) / WINOGRAD_WEIGHTS_SHARE;
    int64_t least = gradient ? WINOGRAD_GRADIENT_BYTES : WINOGRAD_UNIT_BYTES;
    unit_bytes = unit_bytes < least ? least : unit_bytes > WINOGRAD_UNIT_MOST ? WINOGRAD_UNIT_MOST : unit_bytes;
    int64_t step = unit_bytes / tile_bytes / rows * rows;
    step = made->late || step > WINOGRAD_STEP_MAX ? WINOGRAD_STEP_MAX / rows * rows : step < rows ? rows : step;

    /* Units of equal length, so that the last one is not nearly empty. */
    made->units = winograd_divide_up(tiles, step);
    const int64_t most = made->late ? winograd_divide_up(grid.blocks_o, 2) : conv->dst.n * made->units;
    made->threads = parallel_threads() < most ? parallel_threads() : (int)most;
    made->step = winograd_divide_up(winograd_divide_up(tiles, made->units), rows) * rows;
    made->v_floats = grid.positions * (grid.sums * grid.blocks_i * made->step * made->block_c + WINOGRAD_GAP);
    made->m_floats = grid.positions * (grid.blocks_o * made->step * made->block_c + WINOGRAD_GAP);
    int64_t slab_bytes = winograd_u_floats(made) * (int64_t)sizeof(float) / WINOGRAD_WEIGHTS_SHARE;
    least = WINOGRAD_SLAB_LEAST * parallel_threads();
    slab_bytes = slab_bytes < least ? least : slab_bytes > WINOGRAD_SLAB_MOST ? WINOGRAD_SLAB_MOST : slab_bytes;
    made->slab = slab_bytes / ((made->v_floats + made->m_floats) * (int64_t)sizeof(float));
    made->slab = made->late ? conv->dst.n * made->units : made->slab < 1 ? 1 : made->slab;

    *ret = made;
    return STATUS_OK;
}

void winograd_free(struct winograd *winograd)
{
    memory_free(winograd);
}

int64_t winograd_packed_floats(const struct winograd *winograd)
{
    return winograd->late ? 0 : winograd_u_floats(winograd);
}

int64_t winograd_macs(const struct winograd *winograd)
{
    const struct winograd_grid *grid = &winograd->grid;
    const struct direct_conv *conv = &grid->conv;
    return conv->dst.n * grid->tiles[0] * grid->tiles[1] * grid->tiles[2] * grid->positions * grid->sums * conv->src.c *
           conv->dst.c;
}

static int64_t winograd_units(const struct winograd *winograd)
{
    return winograd->grid.conv.dst.n * winograd->units;
}

/* What a thread needs for a pair of blocks of dst: products of each unit, and one block of src's weights. */
static int64_t winograd_late_m_floats(const struct winograd *winograd)
{
    return winograd->grid.positions * (2 * winograd->step * winograd->block_c + WINOGRAD_GAP);
}

static int64_t winograd_late_floats(const struct winograd *winograd)
{
    return winograd_units(winograd) * winograd_late_m_floats(winograd) +
           winograd->grid.positions * (2 * winograd->block_c * winograd->block_c + WINOGRAD_GAP);
}

size_t winograd_scratch_bytes(const struct winograd *winograd)
{
    const size_t v = scratch_bytes(winograd->v_floats), m = scratch_bytes(winograd->m_floats);
    if (winograd->late)
        return scratch_bytes(winograd_units(winograd) * winograd->v_floats) +
               (size_t)winograd->threads * scratch_bytes(winograd_late_floats(winograd));
    return (size_t)winograd->threads * (v + m);
}

void winograd_prepare(const struct winograd *winograd, const float *direct, float *packed)
{
    if (winograd->late)
        return;
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
                                  .v_step = winograd->v_floats / grid->positions,
                                  .m_step = winograd->m_floats / grid->positions,
                                  .gap = WINOGRAD_GAP};
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

/* What winograd_run was called with. */
struct winograd_call {
    const float *src, *direct, *packed, *b;
    const struct conv_fusion *fusion;
    float *dst;
};

static struct winograd_tile winograd_unit_of_call(const struct winograd *winograd, const struct winograd_call *call,
                                                  int64_t index)
{
    const struct winograd_grid *grid = &winograd->grid;
    const struct conv_fusion *fusion = call->fusion;
    struct winograd_tile tile = winograd_unit(winograd, index, call->src, call->dst);
    tile.u = call->packed;
    tile.b = call->b;
    tile.stream = tensor_floats(grid->conv.dst) * (int64_t)sizeof(float) >= WINOGRAD_STREAM_BYTES &&
                  (uintptr_t)call->dst % WINOGRAD_STREAM_ALIGN == 0;
    tile.affine = affine_of_sample(fusion->affine, index / winograd->units, grid->blocks_i * winograd->block_c);
    tile.sums = fusion->stats ? fusion->stats + (grid->conv.dst.n + index) * winograd_unit_stats(winograd) : NULL;
    return tile;
}

/* The scratch is for the threads of the making. */
static int winograd_team(const struct winograd *winograd)
{
    return parallel_threads() < winograd->threads ? parallel_threads() : winograd->threads;
}

static void winograd_run_units(const struct winograd *winograd, const struct winograd_call *call, char *scratch)
{
    const struct engine_kernels *kernels = engine_kernels();

#pragma omp parallel num_threads(winograd_team(winograd))
    {
        char *at = scratch + (size_t)omp_get_thread_num() *
                                 (scratch_bytes(winograd->v_floats) + scratch_bytes(winograd->m_floats));
        float *v = scratch_take(&at, winograd->v_floats), *m = scratch_take(&at, winograd->m_floats);

#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < winograd_units(winograd); i++) {
            struct winograd_tile tile = winograd_unit_of_call(winograd, call, i);
            tile.v = v;
            tile.m = m;
            kernels->winograd_src(&tile);
            kernels->winograd_multiply(&tile);
            kernels->winograd_dst(&tile);
        }
    }
}

/* ---- the same where weights are transformed late: all of src, then each pair of blocks of dst ---- */

/* Two blocks of dst from o on, or the last one, and one of src. */
static struct winograd_grid winograd_pair(const struct winograd *winograd, int64_t o)
{
    struct winograd_grid pair = winograd->grid;
    pair.blocks_o = o + 1 < pair.blocks_o ? 2 : 1;
    pair.blocks_i = 1;
    return pair;
}

static int64_t winograd_pair_step(const struct winograd *winograd, const struct winograd_grid *pair)
{
    return pair->blocks_o * winograd->block_c * winograd->block_c + WINOGRAD_GAP;
}

/* Floats of one pair of blocks of plain weights. */
static int64_t winograd_direct_floats(const struct winograd *winograd)
{
    const int64_t *kernel = winograd->grid.conv.kernel;
    return kernel[0] * kernel[1] * kernel[2] * winograd->block_c * winograd->block_c;
}

/* v: of all units. Products are summed for each block of src and then added up: two levels keep the rounding error
 * small. */
static void winograd_run_pair(const struct winograd *winograd, const struct winograd_call *call, int64_t o, float *v,
                              float *scratch)
{
    const struct engine_kernels *kernels = engine_kernels();
    const struct winograd_grid pair = winograd_pair(winograd, o);
    const int64_t block_c = winograd->block_c, blocks_i = winograd->grid.blocks_i, units = winograd_units(winograd);
    float *u = scratch + units * winograd_late_m_floats(winograd);

    for (int64_t i = 0; i <= blocks_i; i++) {
        const bool last = i == blocks_i; /* all sums are there */
        for (int64_t q = 0; q < pair.blocks_o && !last; q++)
            kernels->winograd_weights(&pair, call->direct + ((o + q) * blocks_i + i) * winograd_direct_floats(winograd),
                                      u + q * block_c, winograd_pair_step(winograd, &pair), 0, pair.blocks_o * block_c);
        for (int64_t unit = 0; unit < units; unit++) {
            struct winograd_tile tile = winograd_unit_of_call(winograd, call, unit);
            tile.grid = &pair;
            tile.u = u;
            tile.v = v + unit * winograd->v_floats + i * winograd->step * block_c;
            tile.m = scratch + unit * winograd_late_m_floats(winograd);
            tile.add = i > 0;
            tile.dst += o * block_c * shape_voxels(pair.conv.dst);
            tile.b = tile.b ? tile.b + o * block_c : NULL;
            tile.sums = tile.sums ? tile.sums + 2 * o * block_c : NULL;
            if (last)
                kernels->winograd_dst(&tile);
            else
                kernels->winograd_multiply(&tile);
        }
    }
}

static void winograd_run_late(const struct winograd *winograd, const struct winograd_call *call, char *scratch)
{
    const struct engine_kernels *kernels = engine_kernels();
    float *v = scratch_take(&scratch, winograd_units(winograd) * winograd->v_floats);

#pragma omp parallel num_threads(winograd_team(winograd))
    {
        char *own = scratch + (size_t)omp_get_thread_num() * scratch_bytes(winograd_late_floats(winograd));

#pragma omp for schedule(static)
        for (int64_t i = 0; i < winograd_units(winograd); i++) {
            struct winograd_tile tile = winograd_unit_of_call(winograd, call, i);
            tile.v = v + i * winograd->v_floats;
            kernels->winograd_src(&tile);
        }

#pragma omp for schedule(dynamic)
        for (int64_t o = 0; o < winograd->grid.blocks_o; o += 2)
            winograd_run_pair(winograd, call, o, v, (float *)(void *)own);
    }
}

void winograd_run(const struct winograd *winograd, const float *src, const float *direct, const float *packed,
                  const float *b, const struct conv_fusion *fusion, float *dst, void *scratch)
{
    const struct winograd_call call = {src, direct, packed, b, fusion, dst};
    if (winograd->late)
        winograd_run_late(winograd, &call, scratch);
    else
        winograd_run_units(winograd, &call, scratch);

    /* After all units, in their order: the same bits for any number of threads. */
    if (fusion->stats)
        winograd_finish_stats(winograd, fusion->stats + winograd->grid.conv.dst.n * winograd_unit_stats(winograd),
                              fusion->stats);
}

/* ---- the gradient of the weights: slabs of units are transformed, then each position's products are summed by one
 * thread ---- */

size_t winograd_weights_scratch_bytes(const struct winograd *winograd)
{
    const size_t slab =
        (size_t)winograd->slab * (scratch_bytes(winograd->v_floats) + scratch_bytes(winograd->m_floats));
    return slab + (winograd->late ? (size_t)winograd->threads * scratch_bytes(winograd_late_floats(winograd))
                                  : scratch_bytes(winograd_u_floats(winograd)));
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

/* Units first .. last - 1 to v and m. */
static void winograd_weights_transform(const struct winograd *winograd, int64_t first, int64_t last, const float *src,
                                       const float *d_dst, float *v, float *m)
{
    const struct winograd_grid *grid = &winograd->grid;
    const struct engine_kernels *kernels = engine_kernels();
#pragma omp for schedule(static)
    for (int64_t i = first; i < last; i++) {
        struct winograd_tile tile = winograd_unit(winograd, i, src, NULL);
        tile.v = v + (i - first) * winograd->v_floats;
        tile.m = m + (i - first) * winograd->m_floats;
        kernels->winograd_src(&tile);
        tile.src = d_dst + i / winograd->units * grid->blocks_o * winograd->block_c * shape_voxels(grid->conv.dst);
        kernels->winograd_d_dst(&tile);
    }
}

/* The gradient of a pair of blocks of dst; v, m: of all units. */
static void winograd_weights_pair(const struct winograd *winograd, int64_t o, float *v, float *m, float *d_u,
                                  float *d_direct)
{
    const struct winograd_grid pair = winograd_pair(winograd, o);
    const struct engine_kernels *kernels = engine_kernels();
    const int64_t block_floats = winograd->step * winograd->block_c, blocks_i = winograd->grid.blocks_i,
                  square = winograd->block_c * winograd->block_c, step = winograd_pair_step(winograd, &pair);

    for (int64_t i = 0; i < blocks_i; i++) {
        memset(d_u, 0, (size_t)(pair.positions * step) * sizeof *d_u);
        for (int64_t p = 0; p < pair.positions; p++)
            for (int64_t unit = 0; unit < winograd_units(winograd); unit++) {
                struct winograd_tile tile = winograd_unit(winograd, unit, NULL, NULL);
                tile.grid = &pair;
                tile.v = v + unit * winograd->v_floats + i * block_floats;
                tile.m = m + unit * winograd->m_floats + o * block_floats;
                kernels->winograd_outer(&tile, p, d_u + p * step);
            }
        for (int64_t q = 0; q < pair.blocks_o; q++)
            kernels->winograd_gradient(&pair, d_u + q * square, step, 0,
                                       d_direct + ((o + q) * blocks_i + i) * winograd_direct_floats(winograd));
    }
}

static void winograd_weights_run_late(const struct winograd *winograd, const float *src, const float *d_dst,
                                      float *d_direct, void *scratch)
{
    char *at = scratch;
    float *v = scratch_take(&at, winograd->slab * winograd->v_floats),
          *m = scratch_take(&at, winograd->slab * winograd->m_floats);

#pragma omp parallel num_threads(winograd_team(winograd))
    {
        char *own = at + (size_t)omp_get_thread_num() * scratch_bytes(winograd_late_floats(winograd));
        winograd_weights_transform(winograd, 0, winograd->slab, src, d_dst, v, m);

#pragma omp for schedule(dynamic)
        for (int64_t o = 0; o < winograd->grid.blocks_o; o += 2)
            winograd_weights_pair(winograd, o, v, m, (float *)(void *)own, d_direct);
    }
}

void winograd_weights_run(const struct winograd *winograd, const float *src, const float *d_dst, float *d_direct,
                          void *scratch)
{
    if (winograd->late) {
        winograd_weights_run_late(winograd, src, d_dst, d_direct, scratch);
        return;
    }

    const struct winograd_grid *grid = &winograd->grid;
    const struct engine_kernels *kernels = engine_kernels();
    const int64_t units = winograd_units(winograd), per_position = winograd_position_floats(winograd);
    char *at = scratch;
    float *v = scratch_take(&at, winograd->slab * winograd->v_floats),
          *m = scratch_take(&at, winograd->slab * winograd->m_floats);
    float *d_u = scratch_take(&at, winograd_u_floats(winograd));

#pragma omp parallel
    {
#pragma omp for schedule(static)
        for (int64_t p = 0; p < grid->positions; p++)
            memset(d_u + p * per_position, 0, (size_t)per_position * sizeof *d_u);
        for (int64_t first = 0; first < units; first += winograd->slab) {
            int64_t last = first + winograd->slab < units ? first + winograd->slab : units;
            winograd_weights_transform(winograd, first, last, src, d_dst, v, m);

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
