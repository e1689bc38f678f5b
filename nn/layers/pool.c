/* pool.c - pooling without padding: out = (n - k) / s + 1, rounded down.
 *   max_pool      dst = max of a window        d_src: d_dst goes to the first largest value of its window
 *   avg_pool      dst = mean of a window       d_src: d_dst / window to every value of it
 *   global_pool   mean over all voxels: dst (N,C,1,1,1)
 * Keeps for backward: max_pool src and dst, the others nothing.            Test: tests/nn/test_pool.c */
#include <inttypes.h>
#include <string.h>

#include "nn/layer.h"
#include "nn/layers/rows.h"

struct pool_config {
    struct layer_config layer;
    int64_t kernel[3], stride[3]; /* x, y, z; stride 0: kernel */
};

/* The windows of a layer, d, h, w. */
struct pool {
    int64_t kernel[3], stride[3], src[3], dst[3];
};

static struct pool pool_make(const struct layer *layer)
{
    const struct pool_config *config = layer->config;
    struct shape src = layer->src[0].shape;
    struct pool pool = {.src = {src.d, src.h, src.w}};
    for (int axis = 0; axis < 3; axis++) {
        pool.kernel[axis] = config->kernel[2 - axis];
        pool.stride[axis] = config->stride[2 - axis] ? config->stride[2 - axis] : pool.kernel[axis];
        pool.dst[axis] = (pool.src[axis] - pool.kernel[axis]) / pool.stride[axis] + 1;
    }
    return pool;
}

/* avg_pool over everything is global_pool. */
static struct pool pool_make_global(const struct layer *layer)
{
    struct shape src = layer->src[0].shape;
    return (struct pool){
        .kernel = {src.d, src.h, src.w}, .stride = {1, 1, 1}, .src = {src.d, src.h, src.w}, .dst = {1, 1, 1}};
}

static enum status pool_shape(const struct layer *layer, struct shape *ret_dst, struct error *error)
{
    struct shape src = layer->src[0].shape;
    struct pool pool = pool_make(layer);
    for (int axis = 0; axis < 3; axis++)
        if (pool.src[axis] < pool.kernel[axis])
            return yaml_error(error, layer->node,
                              "%s: kernel: %" PRId64 " is larger than the %" PRId64 " voxels along %c", layer->name,
                              pool.kernel[axis], pool.src[axis], "zyx"[axis]);
    *ret_dst = (struct shape){src.n, src.c, pool.dst[0], pool.dst[1], pool.dst[2]};
    return STATUS_OK;
}

static int64_t pool_values(const struct pool *pool)
{
    return pool->kernel[0] * pool->kernel[1] * pool->kernel[2];
}

/* The first voxel of src in the window of dst's voxel `voxel`, and the i-th voxel of a window counted from its first.
 */
static int64_t pool_corner(const struct pool *pool, int64_t voxel)
{
    int64_t x = voxel % pool->dst[2], y = voxel / pool->dst[2] % pool->dst[1], z = voxel / pool->dst[2] / pool->dst[1];
    return (z * pool->stride[0] * pool->src[1] + y * pool->stride[1]) * pool->src[2] + x * pool->stride[2];
}

static int64_t pool_offset(const struct pool *pool, int64_t i)
{
    int64_t x = i % pool->kernel[2], y = i / pool->kernel[2] % pool->kernel[1],
            z = i / pool->kernel[2] / pool->kernel[1];
    return (z * pool->src[1] + y) * pool->src[2] + x;
}

static void max_pool_forward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    struct pool pool = pool_make(layer);
    struct rows src = rows_of(layer->src[0].shape), dst = rows_of(layer->dst.shape);
#pragma omp parallel for schedule(static) collapse(2)
    for (int64_t row = 0; row < dst.n; row++)
        for (int64_t voxel = 0; voxel < dst.voxels; voxel++) {
            const float *window = layer->src[0].data + row * src.floats + pool_corner(&pool, voxel) * src.block_c;
            float *largest = layer->dst.data + row * dst.floats + voxel * dst.block_c;
            memcpy(largest, window, (size_t)dst.block_c * sizeof *largest);
            for (int64_t i = 1; i < pool_values(&pool); i++)
                for (int64_t c = 0, at = pool_offset(&pool, i) * src.block_c; c < dst.block_c; c++)
                    largest[c] = window[at + c] > largest[c] ? window[at + c] : largest[c];
        }
}

/* The first value of the window that equals the largest gets the gradient. */
static void max_pool_window_backward(const struct pool *pool, int64_t block_c, const float *window,
                                     const float *largest, const float *d_dst, float *d_window)
{
    for (int64_t c = 0; c < block_c; c++) {
        int64_t i = 0;
        while (i + 1 < pool_values(pool) && window[pool_offset(pool, i) * block_c + c] != largest[c])
            i++;
        d_window[pool_offset(pool, i) * block_c + c] += d_dst[c];
    }
}

static void max_pool_backward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    struct pool pool = pool_make(layer);
    struct rows src = rows_of(layer->src[0].shape), dst = rows_of(layer->dst.shape);
    int64_t n_rows = layer->d_src[0].data ? src.n : 0;
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < n_rows; row++) {
        float *d_src = layer->d_src[0].data + row * src.floats;
        memset(d_src, 0, (size_t)src.floats * sizeof *d_src);
        for (int64_t voxel = 0; voxel < dst.voxels; voxel++) {
            int64_t corner = pool_corner(&pool, voxel) * src.block_c, at = row * dst.floats + voxel * dst.block_c;
            max_pool_window_backward(&pool, src.block_c, layer->src[0].data + row * src.floats + corner,
                                     layer->dst.data + at, layer->d_dst.data + at, d_src + corner);
        }
    }
}

/* clang-format off */
static const struct config_field pool_fields[] = {
    {.key = "kernel", .type = CONFIG_INT3, .offset = offsetof(struct pool_config, kernel), .text = "2", .min = 1,
     .max = 64, .unit = "voxels", .help = "x, y, z size of the window"},
    {.key = "stride", .type = CONFIG_INT3, .offset = offsetof(struct pool_config, stride), .text = "0", .min = 0,
     .max = 64, .unit = "voxels", .help = "x, y, z step of the window; 0: the kernel's size"},
    {0}};
/* clang-format on */

/* clang-format off */
const struct layer_ops layer_max_pool = {
    .config = {.type = "max_pool", .help = "largest value of each window", .base = &layer_base_table,
    .size = sizeof(struct pool_config),
               .fields = pool_fields},
    .min_src = 1, .max_src = 1, .keeps = LAYER_KEEPS_SRC | LAYER_KEEPS_DST, .in_place = LAYER_IN_PLACE_NEVER,
    .shape = pool_shape, .forward = max_pool_forward, .backward = max_pool_backward,
};
/* clang-format on */

static void mean_forward(const struct layer *layer, const struct pool *pool)
{
    struct rows src = rows_of(layer->src[0].shape), dst = rows_of(layer->dst.shape);
    double share = 1 / (double)pool_values(pool);
#pragma omp parallel for schedule(static) collapse(2)
    for (int64_t row = 0; row < dst.n; row++)
        for (int64_t voxel = 0; voxel < dst.voxels; voxel++) {
            const float *window = layer->src[0].data + row * src.floats + pool_corner(pool, voxel) * src.block_c;
            double sum[ROWS_MAX_BLOCK] = {0};
            for (int64_t i = 0; i < pool_values(pool); i++)
                for (int64_t c = 0, at = pool_offset(pool, i) * src.block_c; c < src.block_c; c++)
                    sum[c] += (double)window[at + c];
            for (int64_t c = 0; c < dst.block_c; c++)
                layer->dst.data[row * dst.floats + voxel * dst.block_c + c] = (float)(sum[c] * share);
        }
}

static void mean_backward(const struct layer *layer, const struct pool *pool)
{
    struct rows src = rows_of(layer->src[0].shape), dst = rows_of(layer->dst.shape);
    float share = (float)(1 / (double)pool_values(pool));
    int64_t n_rows = layer->d_src[0].data ? src.n : 0;
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < n_rows; row++) {
        float *d_src = layer->d_src[0].data + row * src.floats;
        memset(d_src, 0, (size_t)src.floats * sizeof *d_src);
        for (int64_t voxel = 0; voxel < dst.voxels; voxel++) {
            const float *d_dst = layer->d_dst.data + row * dst.floats + voxel * dst.block_c;
            float *window = d_src + pool_corner(pool, voxel) * src.block_c;
            for (int64_t i = 0; i < pool_values(pool); i++)
                for (int64_t c = 0, at = pool_offset(pool, i) * src.block_c; c < src.block_c; c++)
                    window[at + c] += share * d_dst[c];
        }
    }
}

static void avg_pool_forward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    struct pool pool = pool_make(layer);
    mean_forward(layer, &pool);
}

static void avg_pool_backward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    struct pool pool = pool_make(layer);
    mean_backward(layer, &pool);
}

/* clang-format off */
const struct layer_ops layer_avg_pool = {
    .config = {.type = "avg_pool", .help = "mean of each window", .base = &layer_base_table,
    .size = sizeof(struct pool_config),
               .fields = pool_fields},
    .min_src = 1, .max_src = 1, .keeps = LAYER_KEEPS_NOTHING, .in_place = LAYER_IN_PLACE_NEVER,
    .shape = pool_shape, .forward = avg_pool_forward, .backward = avg_pool_backward,
};
/* clang-format on */

static enum status global_pool_shape(const struct layer *layer, struct shape *ret_dst, struct error *error)
{
    (void)error;
    *ret_dst = (struct shape){layer->src[0].shape.n, layer->src[0].shape.c, 1, 1, 1};
    return STATUS_OK;
}

static void global_pool_forward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    struct pool pool = pool_make_global(layer);
    mean_forward(layer, &pool);
}

static void global_pool_backward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    struct pool pool = pool_make_global(layer);
    mean_backward(layer, &pool);
}

/* clang-format off */
const struct layer_ops layer_global_pool = {
    .config = {.type = "global_pool", .help = "mean over all voxels", .base = &layer_base_table,
    .size = sizeof(struct layer_config)},
    .min_src = 1, .max_src = 1, .keeps = LAYER_KEEPS_NOTHING, .in_place = LAYER_IN_PLACE_NEVER,
    .shape = global_pool_shape, .forward = global_pool_forward, .backward = global_pool_backward,
};
/* clang-format on */
