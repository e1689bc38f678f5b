/* upsample.c - enlarges a grid by a whole factor f.
 *   nearest     dst[n,c,Z] = src[n,c, floor(Z/f)]
 *   trilinear   half-pixel centres, edges clamped (PyTorch's align_corners=False): along each axis dst[Z] mixes the
 *     two src voxels
 *               around (Z + 1/2)/f - 1/2
 *   src (N,C,D,H,W)   dst (N,C,fD,fH,fW)
 * Keeps for backward: nothing.            Test: tests/nn/test_upsample.c */
#include <inttypes.h>
#include <math.h>

#include "nn/layer.h"

enum upsample_mode { UPSAMPLE_NEAREST, UPSAMPLE_TRILINEAR };
static const char *const upsample_mode_names[] = {"nearest", "trilinear", NULL};
enum { UPSAMPLE_MAX = 8, UPSAMPLE_LANE_MAX = 16 };

struct upsample_config {
    struct layer_config layer;
    int mode;
    int64_t factor;
};

/* clang-format off */
static const struct config_field upsample_fields[] = {
    {.key = "mode", .type = CONFIG_ENUM, .offset = offsetof(struct upsample_config, mode), .text = "nearest",
     .names = upsample_mode_names, .help = "nearest repeats voxels; trilinear interpolates"},
    {.key = "factor", .type = CONFIG_INT, .offset = offsetof(struct upsample_config, factor), .text = "2", .min = 1,
     .max = UPSAMPLE_MAX, .help = "how many times larger along each axis"},
    {0}};
/* clang-format on */

static enum status upsample_shape(const struct layer *layer, struct shape *ret_dst, struct error *error)
{
    const struct upsample_config *config = layer->config;
    struct shape dst = layer->src[0].shape;
    char text[SHAPE_TEXT];
    if (__builtin_mul_overflow(dst.d, config->factor, &dst.d) ||
        __builtin_mul_overflow(dst.h, config->factor, &dst.h) || __builtin_mul_overflow(dst.w, config->factor, &dst.w))
        return yaml_error(error, layer->node, "%s: factor: %" PRId64 " times %s overflows", layer->name, config->factor,
                          shape_text(text, layer->src[0].shape));
    *ret_dst = dst;
    return STATUS_OK;
}

static int64_t upsample_scale(const struct layer *layer)
{
    const struct upsample_config *config = layer->config;
    return config->mode == UPSAMPLE_NEAREST ? config->factor : 1;
}

/* ---- what one axis contributes: src voxels first, first + 1 with weights 1 - part, part ---- */

struct upsample_mix {
    int64_t first, second;
    float part;
};

static struct upsample_mix upsample_axis(const struct upsample_config *config, int64_t at, int64_t size)
{
    if (config->mode == UPSAMPLE_NEAREST)
        return (struct upsample_mix){at / config->factor, at / config->factor, 0.0f};
    double centre = ((double)at + 0.5) / (double)config->factor - 0.5;
    double low = floor(centre);
    int64_t first = (int64_t)low, second = first + 1;
    return (struct upsample_mix){first < 0 ? 0 : first, second < size ? second : size - 1, (float)(centre - low)};
}

/* The weight of src voxel `from` in dst voxel `at`. */
static float upsample_weight(const struct upsample_config *config, int64_t at, int64_t from, int64_t size)
{
    struct upsample_mix mix = upsample_axis(config, at, size);
    return (mix.first == from ? 1.0f - mix.part : 0.0f) + (mix.second == from ? mix.part : 0.0f);
}

/* ---- forward and backward ---- */

static void upsample_forward(struct layer *layer, const struct pass *pass)
{
    const struct upsample_config *config = layer->config;
    const struct shape from = layer->src[0].shape, to = layer->dst.shape;
    int64_t block_c = tensor_channel_block(to.c), planes = to.n * tensor_stored_channels(to.c) / block_c;

    (void)pass;
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t plane = 0; plane < planes; plane++)
        for (int64_t z = 0; z < to.d; z++) {
            const float *src = layer->src[0].data + plane * shape_voxels(from) * block_c;
            float *dst = layer->dst.data + (plane * to.d + z) * to.h * to.w * block_c;
            struct upsample_mix a = upsample_axis(config, z, from.d);
            for (int64_t y = 0; y < to.h; y++) {
                struct upsample_mix b = upsample_axis(config, y, from.h);
                const float *row[4] = {src + (a.first * from.h + b.first) * from.w * block_c,
                                       src + (a.first * from.h + b.second) * from.w * block_c,
                                       src + (a.second * from.h + b.first) * from.w * block_c,
                                       src + (a.second * from.h + b.second) * from.w * block_c};
                const float part[4] = {(1 - a.part) * (1 - b.part), (1 - a.part) * b.part, a.part * (1 - b.part),
                                       a.part * b.part};
                for (int64_t x = 0; x < to.w; x++, dst += block_c) {
                    struct upsample_mix c = upsample_axis(config, x, from.w);
                    for (int64_t l = 0; l < block_c; l++) {
                        float sum = 0;
                        for (int corner = 0; corner < 4; corner++)
                            sum += part[corner] * ((1 - c.part) * row[corner][c.first * block_c + l] +
                                                   c.part * row[corner][c.second * block_c + l]);
                        dst[l] = sum;
                    }
                }
            }
        }
}

/* d_src[v] gathers from the dst voxels that read v: no two threads write the same value. */
static void upsample_gather(const struct upsample_config *config, struct shape to, struct shape from,
                            const int64_t at[3], const float *d_dst, float *d_src, int64_t block_c)
{
    int64_t f = config->factor, reach = config->mode == UPSAMPLE_NEAREST ? 0 : f;
    float sum[UPSAMPLE_LANE_MAX] = {0};
    int64_t first[3], last[3];
    const int64_t size[3] = {from.d, from.h, from.w}, limit[3] = {to.d, to.h, to.w};

    /* The voxels of dst that read this one: a factor of them, and `reach` more on both sides. */
    for (int a = 0; a < 3; a++) {
        first[a] = at[a] * f - reach > 0 ? at[a] * f - reach : 0;
        last[a] = (at[a] + 1) * f + reach < limit[a] ? (at[a] + 1) * f + reach : limit[a];
    }

    for (int64_t z = first[0]; z < last[0]; z++)
        for (int64_t y = first[1]; y < last[1]; y++) {
            float row = upsample_weight(config, z, at[0], size[0]) * upsample_weight(config, y, at[1], size[1]);
            for (int64_t x = first[2]; row != 0.0f && x < last[2]; x++) {
                float weight = row * upsample_weight(config, x, at[2], size[2]);
                const float *d = d_dst + ((z * to.h + y) * to.w + x) * block_c;
                for (int64_t l = 0; l < block_c; l++)
                    sum[l] += weight * d[l];
            }
        }
    for (int64_t l = 0; l < block_c; l++)
        d_src[l] = sum[l];
}

static void upsample_backward(struct layer *layer, const struct pass *pass)
{
    const struct upsample_config *config = layer->config;
    const struct shape from = layer->src[0].shape, to = layer->dst.shape;
    int64_t block_c = tensor_channel_block(to.c), planes = to.n * tensor_stored_channels(to.c) / block_c;

    (void)pass;
    if (!layer->d_src[0].data)
        return;
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t plane = 0; plane < planes; plane++)
        for (int64_t z = 0; z < from.d; z++)
            for (int64_t y = 0; y < from.h; y++)
                for (int64_t x = 0; x < from.w; x++) {
                    const int64_t at[3] = {z, y, x};
                    upsample_gather(config, to, from, at, layer->d_dst.data + plane * shape_voxels(to) * block_c,
                                    layer->d_src[0].data + (((plane * from.d + z) * from.h + y) * from.w + x) * block_c,
                                    block_c);
                }
}

/* clang-format off */
const struct layer_ops layer_upsample = {
    .config = {.type = "upsample", .help = "enlarges the grid: nearest or trilinear", .base = &layer_base_table,
               .size = sizeof(struct upsample_config), .fields = upsample_fields},
    .min_src = 1, .max_src = 1,
    .scale = upsample_scale, .shape = upsample_shape,
    .forward = upsample_forward, .backward = upsample_backward,
};
/* clang-format on */
