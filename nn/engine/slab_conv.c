/* slab_conv.c - see slab_conv.h. Test: tests/nn/test_bfloat16.c
 *
 * Where a pass reads for planes first .. first + n - 1 of what it writes (k kernel, s stride, p padding before, along
 * z; n and first are multiples of `step`):
 *   forward of         dst plane o needs src planes                      step
 *     convolution      o s - p .. o s - p + k - 1                        1
 *     transposed       ceil((o + p - k + 1) / s) .. floor((o + p) / s)   s
 *     x2, convolution  floor((o - p) / 2) .. floor((o - p + k - 1) / 2)  2
 *   backward-data of   d_src plane i needs d_dst planes                  step
 *     convolution      ceil((i + p - k + 1) / s) .. floor((i + p) / s)   s
 *     transposed       i s - p .. i s - p + k - 1                        1
 *     x2, convolution  2 i + p - k + 1 .. 2 i + 1 + p                    1
 * Planes outside are zeros. A slab's convolution has the padding along z that makes its first planes meet. */
#include "nn/engine/slab_conv.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "nn/engine/bfloat16.h"
#include "nn/engine/direct.h"

/* Planes that a slab has at least. */
enum { SLAB_PLANES_MIN = 4 };

/* One pass, cut: slab j writes planes j * n .. and reads planes start + j * n * by / per .. */
struct slab {
    struct engine_conv *engine;
    int64_t n, count;
    int64_t reads, start, by, per;
    int64_t lead; /* planes the engine writes in front of the slab's own: an odd start behind an upsampling */
    size_t engine_bytes;
};

struct slab_conv {
    struct conv_shape shape;
    int64_t bytes; /* of a slab */
    struct slab forward, backward;
    int64_t w_floats;
    int64_t src_floats, dst_floats; /* of the largest slab */
};

static int64_t slab_floor(int64_t a, int64_t b)
{
    return a >= 0 ? a / b : -((-a + b - 1) / b);
}

static int64_t slab_ceil(int64_t a, int64_t b)
{
    return -slab_floor(-a, b);
}

static int64_t slab_plane_floats(struct shape shape)
{
    return tensor_stored_channels(shape.c) * shape.h * shape.w;
}

bool slab_conv_supports(const struct conv_shape *shape)
{
    const bool folded_transposed = shape->scale == 2 && shape->transposed;
    return !folded_transposed && shape->kernel[0] >= shape->stride[0];
}

/* ---- cutting ---- */

/* Planes per slab: a multiple of step (and of a Winograd tile's four), slabs of about one size and
 * `most` planes. */
static void slab_cut(struct slab *slab, int64_t planes, int64_t step, int64_t most)
{
    const int64_t unit = step % 4 == 0 ? step : step % 2 == 0 ? 2 * step : 4 * step;
    most = most < SLAB_PLANES_MIN ? SLAB_PLANES_MIN : most > planes ? planes : most;
    slab->count = (planes + most - 1) / most;
    slab->n = (planes + slab->count - 1) / slab->count;
    slab->n = slab->count == 1 ? slab_ceil(planes, step) * step : slab_ceil(slab->n, unit) * unit;
    slab->count = (planes + slab->n - 1) / slab->n;
}

static enum status slab_build(struct slab *slab, struct conv_shape part, struct error *error)
{
    part.src.n = part.dst.n = 1;
    part.slabs = true;
    return engine_conv_new(&slab->engine, &part, &slab->engine_bytes, error);
}

static enum status slab_build_forward(struct slab_conv *conv, int64_t bytes_per_plane, struct error *error)
{
    const struct conv_shape *shape = &conv->shape;
    const int64_t k = shape->kernel[0], s = shape->stride[0], p = shape->pad_before[0];
    struct slab *slab = &conv->forward;
    struct conv_shape part = *shape;

    slab_cut(slab, shape->dst.d, shape->scale == 2 ? 2 : shape->transposed ? s : 1, conv->bytes / bytes_per_plane);
    slab->by = slab->per = 1;

    if (shape->scale == 2) {
        slab->start = slab_floor(-p, 2);
        slab->lead = -p - 2 * slab->start;
        slab->per = 2;
        slab->reads = slab_floor(slab->n - 1 - p + k - 1, 2) - slab->start + 1;
        part.pad_before[0] = 0;
        part.pad_after[0] = slab->n + slab->lead + k - 1 - 2 * slab->reads;
    } else if (shape->transposed) {
        slab->start = slab_ceil(p - k + 1, s);
        slab->per = s;
        slab->reads = slab_floor(slab->n - 1 + p, s) - slab->start + 1;
        part.pad_before[0] = p - slab->start * s;
        part.pad_after[0] = (slab->reads - 1) * s + k - part.pad_before[0] - slab->n;
    } else {
        slab->start = -p;
        slab->by = s;
        slab->reads = (slab->n - 1) * s + k;
        part.pad_before[0] = part.pad_after[0] = 0;
    }

    part.src.d = slab->reads;
    part.dst.d = slab->n + slab->lead;
    part.needs_d_src = false;
    return slab_build(slab, part, error);
}

static enum status slab_build_backward(struct slab_conv *conv, int64_t bytes_per_plane, struct error *error)
{
    const struct conv_shape *shape = &conv->shape;
    const int64_t k = shape->kernel[0], s = shape->stride[0], p = shape->pad_before[0];
    struct slab *slab = &conv->backward;
    struct conv_shape part = *shape;

    slab_cut(slab, shape->src.d, shape->scale == 2 || shape->transposed ? 1 : s, conv->bytes / bytes_per_plane);
    slab->by = slab->per = 1;

    if (shape->scale == 2) {
        slab->start = p - k + 1;
        slab->by = 2;
        slab->reads = 2 * slab->n + k - 1;
        part.pad_before[0] = part.pad_after[0] = k - 1;
    } else if (shape->transposed) {
        slab->start = -p;
        slab->by = s;
        slab->reads = (slab->n - 1) * s + k;
        part.pad_before[0] = part.pad_after[0] = 0;
    } else {
        slab->start = slab_ceil(p - k + 1, s);
        slab->per = s;
        slab->reads = slab_floor(slab->n - 1 + p, s) - slab->start + 1;
        part.pad_before[0] = p - slab->start * s;
        part.pad_after[0] = (slab->reads - 1) * s + k - part.pad_before[0] - slab->n;
    }

    part.src.d = slab->n;
    part.dst.d = slab->reads;
    part.frozen = true;
    part.has_bias = false;

    return slab_build(slab, part, error);
}

static int64_t slab_most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t slab_stats_parts(const struct slab_conv *conv)
{
    const struct shape dst = conv->shape.dst;
    return dst.n * dst.d * 2 * tensor_stored_channels(dst.c);
}

static size_t slab_scratch_bytes(const struct slab_conv *conv)
{
    const size_t engine = conv->forward.engine_bytes > conv->backward.engine_bytes ? conv->forward.engine_bytes
                                                                                   : conv->backward.engine_bytes;
    const bool learns = conv->shape.training && !conv->shape.frozen;
    return (engine + 63) / 64 * 64 + scratch_bytes(conv->src_floats) + scratch_bytes(conv->dst_floats) +
           (learns ? scratch_bytes(conv->w_floats) + scratch_bytes(conv->shape.dst.c) : 0);
}

enum status slab_conv_new(struct slab_conv **ret, const struct conv_shape *shape, int64_t bytes,
                          size_t *ret_scratch_bytes, struct error *error)
{
    struct slab_conv *conv = memory_zalloc(1, sizeof *conv);

    if (!conv)
        return error_memory(error, sizeof *conv, "convolution");
    conv->shape = *shape;
    conv->bytes = bytes;
    conv->w_floats = shape->src.c * shape->dst.c * shape->kernel[0] * shape->kernel[1] * shape->kernel[2];

    /* A plane of dst and the planes of src that come with it; of src, and of dst. */
    const int64_t src_bytes = slab_plane_floats(shape->src) * (int64_t)sizeof(float),
                  dst_bytes = slab_plane_floats(shape->dst) * (int64_t)sizeof(float);
    const int64_t pair_dst = dst_bytes + slab_most(src_bytes * shape->src.d / shape->dst.d, 1),
                  pair_src = src_bytes + slab_most(dst_bytes * shape->dst.d / shape->src.d, 1);

    if (slab_build_forward(conv, pair_dst, error) ||
        (shape->training && shape->needs_d_src && slab_build_backward(conv, pair_src, error))) {
        slab_conv_free(conv);
        return error->status;
    }

    const struct slab *forward = &conv->forward, *backward = &conv->backward;
    conv->src_floats = slab_plane_floats(shape->src) * slab_most(forward->reads, backward->n);
    conv->dst_floats = slab_plane_floats(shape->dst) * slab_most(forward->n + forward->lead, backward->reads);
    *ret_scratch_bytes = slab_scratch_bytes(conv);
    *ret = conv;

    return STATUS_OK;
}

void slab_conv_free(struct slab_conv *conv)
{
    if (!conv)
        return;
    engine_conv_free(conv->forward.engine);
    engine_conv_free(conv->backward.engine);
    memory_free(conv);
}

void slab_conv_weights_changed(struct slab_conv *conv)
{
    engine_conv_weights_changed(conv->forward.engine);
    if (conv->backward.engine)
        engine_conv_weights_changed(conv->backward.engine);
}

/* ---- between a tensor and a slab ---- */

/* The planes of one sample: to[block][plane - first], those outside low .. high - 1 zero. */
struct slab_planes {
    int64_t n, first, planes, low, high;
};

static void slab_load(float *to, struct tensor from, struct slab_planes at, const struct tensor_affine *affine)
{
    const struct shape shape = from.shape;
    const int64_t block_c = tensor_channel_block(shape.c), stored = tensor_stored_channels(shape.c),
                  blocks = stored / block_c, voxels = shape.h * shape.w, floats = voxels * block_c;
    const bool fused = affine && affine->scale;

#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t block = 0; block < blocks; block++)
        for (int64_t plane = 0; plane < at.planes; plane++) {
            float *dst = to + (block * at.planes + plane) * floats;
            const int64_t z = at.first + plane;
            if (z < at.low || z >= at.high) {
                memset(dst, 0, (size_t)floats * sizeof *dst);
                continue;
            }
            tensor_load(dst, from, ((at.n * blocks + block) * shape.d + z) * floats, floats);
            if (fused) {
                const int64_t c = at.n * stored + block * block_c;
                bfloat16_kernels()->affine(dst, voxels, block_c, affine->scale + c, affine->shift + c, affine->slope);
            }
        }
}

/* Planes low .. high - 1 of one sample. sums: [sample][block][plane][2][block_c], or NULL. */
static void slab_store(struct tensor to, const float *from, struct slab_planes at, double *sums)
{
    const struct shape shape = to.shape;
    const int64_t block_c = tensor_channel_block(shape.c), blocks = tensor_stored_channels(shape.c) / block_c,
                  voxels = shape.h * shape.w, floats = voxels * block_c;
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t block = 0; block < blocks; block++)
        for (int64_t z = at.low; z < at.high; z++) {
            const float *src = from + (block * at.planes + z - at.first) * floats;
            const int64_t plane = (at.n * blocks + block) * shape.d + z;
            tensor_store(to, plane * floats, src, floats);
            if (sums)
                bfloat16_kernels()->sums(src, voxels, block_c, sums + plane * 2 * block_c);
        }
}

static int64_t slab_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* What slab j of sample n writes, and what it reads. */
static struct slab_planes slab_written(const struct slab *slab, int64_t n, int64_t j, int64_t planes)
{
    const int64_t first = j * slab->n;
    return (struct slab_planes){.n = n,
                                .first = first - slab->lead,
                                .planes = slab->n + slab->lead,
                                .low = first,
                                .high = slab_least(first + slab->n, planes)};
}

static struct slab_planes slab_read(const struct slab *slab, int64_t n, int64_t j, int64_t planes)
{
    const int64_t first = slab->start + j * slab->n * slab->by / slab->per;
    return (struct slab_planes){.n = n, .first = first, .planes = slab->reads, .low = 0, .high = planes};
}

/* ---- the passes ---- */

struct slab_scratch {
    void *engine;
    float *src, *dst, *d_w, *d_b;
};

static struct slab_scratch slab_scratch_of(const struct slab_conv *conv, void *scratch)
{
    const size_t engine = conv->forward.engine_bytes > conv->backward.engine_bytes ? conv->forward.engine_bytes
                                                                                   : conv->backward.engine_bytes;
    char *at = (char *)scratch + (engine + 63) / 64 * 64;
    struct slab_scratch taken = {.engine = scratch};
    taken.src = scratch_take(&at, conv->src_floats);
    taken.dst = scratch_take(&at, conv->dst_floats);
    taken.d_w = scratch_take(&at, conv->w_floats);
    taken.d_b = scratch_take(&at, conv->shape.dst.c);
    return taken;
}

/* parts[sample][block][plane][2][block_c] -> sums[2][sample][channel], plane after plane. */
static void slab_finish_stats(const struct slab_conv *conv, const double *parts, double *sums)
{
    const struct shape dst = conv->shape.dst;
    const int64_t block_c = tensor_channel_block(dst.c), stored = tensor_stored_channels(dst.c),
                  squares = dst.n * stored;
    memset(sums, 0, 2 * (size_t)squares * sizeof *sums);
    for (int64_t row = 0; row < squares / block_c; row++)
        for (int64_t z = 0; z < dst.d; z++, parts += 2 * block_c)
            for (int64_t c = 0; c < block_c; c++) {
                sums[row * block_c + c] += parts[c];
                sums[squares + row * block_c + c] += parts[block_c + c];
            }
}

void slab_conv_forward(struct slab_conv *conv, struct tensor src, const float *w, const float *b,
                       const struct conv_fusion *fusion, struct tensor dst, void *scratch)
{
    const struct slab *slab = &conv->forward;
    const struct slab_scratch at = slab_scratch_of(conv, scratch);
    const struct shape shape = dst.shape;
    double *parts = fusion->stats ? fusion->stats + 2 * shape.n * tensor_stored_channels(shape.c) : NULL;
    if (conv->shape.training)
        engine_conv_weights_changed(slab->engine);

    for (int64_t n = 0; n < shape.n; n++)
        for (int64_t j = 0; j < slab->count; j++) {
            slab_load(at.src, src, slab_read(slab, n, j, src.shape.d), fusion->affine);
            engine_conv_forward(slab->engine, at.src, w, b, NULL, at.dst, at.engine);
            slab_store(dst, at.dst, slab_written(slab, n, j, shape.d), parts);
        }
    if (parts)
        slab_finish_stats(conv, parts, fusion->stats);
}

void slab_conv_backward_data(struct slab_conv *conv, struct tensor d_dst, const float *w, struct tensor d_src,
                             void *scratch)
{
    const struct slab *slab = &conv->backward;
    const struct slab_scratch at = slab_scratch_of(conv, scratch);
    engine_conv_weights_changed(slab->engine);
    for (int64_t n = 0; n < d_src.shape.n; n++)
        for (int64_t j = 0; j < slab->count; j++) {
            slab_load(at.dst, d_dst, slab_read(slab, n, j, d_dst.shape.d), NULL);
            engine_conv_backward_data(slab->engine, at.dst, w, at.src, at.engine);
            slab_store(d_src, at.src, slab_written(slab, n, j, d_src.shape.d), NULL);
        }
}

static void slab_add(float *sum, const float *values, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        sum[i] += values[i];
}

void slab_conv_backward_weights(struct slab_conv *conv, struct tensor src, struct tensor d_dst, float *d_w, float *d_b,
                                void *scratch)
{
    const struct slab *slab = &conv->forward;
    const struct slab_scratch at = slab_scratch_of(conv, scratch);
    for (int64_t n = 0; n < d_dst.shape.n; n++)
        for (int64_t j = 0; j < slab->count; j++) {
            const bool first = n == 0 && j == 0;
            float *part_w = first ? d_w : at.d_w, *part_b = !d_b ? NULL : first ? d_b : at.d_b;
            slab_load(at.src, src, slab_read(slab, n, j, src.shape.d), NULL);
            slab_load(at.dst, d_dst, slab_written(slab, n, j, d_dst.shape.d), NULL);
            engine_conv_backward_weights(slab->engine, at.src, at.dst, part_w, part_b, at.engine);
            if (!first)
                slab_add(d_w, part_w, conv->w_floats);
            if (!first && d_b)
                slab_add(d_b, part_b, conv->shape.dst.c);
        }
}

enum status slab_conv_status(const struct slab_conv *conv, struct error *error)
{
    if (engine_conv_status(conv->forward.engine, error))
        return error->status;
    return conv->backward.engine ? engine_conv_status(conv->backward.engine, error) : STATUS_OK;
}

int64_t slab_conv_stats(const struct slab_conv *conv)
{
    const struct shape dst = conv->shape.dst;
    return 2 * dst.n * tensor_stored_channels(dst.c) + slab_stats_parts(conv);
}

int64_t slab_conv_forward_macs(const struct slab_conv *conv)
{
    return conv->shape.src.n * conv->forward.count * engine_conv_forward_macs(conv->forward.engine);
}

/* The forward engine's backward is the weights' gradient, the backward engine's the data's. */
int64_t slab_conv_backward_macs(const struct slab_conv *conv)
{
    const int64_t weights = conv->forward.count * engine_conv_backward_macs(conv->forward.engine),
                  data = conv->backward.engine ? conv->backward.count * engine_conv_backward_macs(conv->backward.engine)
                                               : 0;
    return conv->shape.src.n * (weights + data);
}

const char *slab_conv_describe(const struct slab_conv *conv)
{
    return engine_conv_describe(conv->forward.engine);
}
