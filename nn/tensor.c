/* tensor.c - shapes and layouts; see tensor.h. Test: tests/nn/test_tensor.c */
#include "nn/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nn/engine/bfloat16.h"
#include "nn/engine/cpu.h"

/* Voxels copied per channel before the next channel's turn: keeps the destination lines in the first cache. */
enum { TENSOR_STRIP = 256 };

int64_t tensor_block(void)
{
    return cpu_channel_block();
}

int64_t tensor_channel_block(int64_t c)
{
    return c < tensor_block() ? 1 : tensor_block();
}

int64_t tensor_stored_channels(int64_t c)
{
    int64_t block_c = tensor_channel_block(c);
    return (c + block_c - 1) / block_c * block_c;
}

int64_t shape_voxels(struct shape shape)
{
    return shape.d * shape.h * shape.w;
}

int64_t shape_count(struct shape shape)
{
    return shape.n * shape.c * shape_voxels(shape);
}

bool shape_equal(struct shape a, struct shape b)
{
    return a.n == b.n && a.c == b.c && a.d == b.d && a.h == b.h && a.w == b.w;
}

int64_t tensor_floats(struct shape shape)
{
    int64_t channels, floats;
    if (shape.n < 0 || shape.c < 0 || shape.d < 0 || shape.h < 0 || shape.w < 0)
        return -1;
    if (__builtin_add_overflow(shape.c, tensor_block() - 1, &channels))
        return -1;
    floats = tensor_stored_channels(shape.c);
    if (__builtin_mul_overflow(floats, shape.n, &floats) || __builtin_mul_overflow(floats, shape.d, &floats) ||
        __builtin_mul_overflow(floats, shape.h, &floats) || __builtin_mul_overflow(floats, shape.w, &floats))
        return -1;
    return floats;
}

size_t tensor_bytes(struct tensor tensor)
{
    return (size_t)tensor_floats(tensor.shape) * (tensor.bfloat16 ? sizeof(uint16_t) : sizeof(float));
}

struct tensor tensor_offset(struct tensor tensor, int64_t at)
{
    if (tensor.bfloat16)
        tensor.data = (float *)(void *)((uint16_t *)(void *)tensor.data + at);
    else
        tensor.data += at;
    return tensor;
}

void tensor_load(float *dst, struct tensor src, int64_t at, int64_t n)
{
    if (src.bfloat16)
        bfloat16_kernels()->load(dst, (const uint16_t *)(const void *)src.data + at, n);
    else
        memcpy(dst, src.data + at, (size_t)n * sizeof *dst);
}

void tensor_store(struct tensor dst, int64_t at, const float *src, int64_t n)
{
    if (dst.bfloat16)
        bfloat16_kernels()->store((uint16_t *)(void *)dst.data + at, src, n);
    else
        memcpy(dst.data + at, src, (size_t)n * sizeof *src);
}

int64_t tensor_at(struct shape shape, int64_t n, int64_t c, int64_t z, int64_t y, int64_t x)
{
    int64_t block_c = tensor_channel_block(shape.c), blocks = tensor_stored_channels(shape.c) / block_c;
    int64_t voxel = (z * shape.h + y) * shape.w + x;
    return ((n * blocks + c / block_c) * shape_voxels(shape) + voxel) * block_c + c % block_c;
}

/* One block of `block_c` channels, of which `used` hold values. */
static void tensor_block_from_plain(float *dst, const float *src, int64_t block_c, int64_t used, int64_t voxels)
{
    for (int64_t first = 0; first < voxels; first += TENSOR_STRIP) {
        int64_t last = first + TENSOR_STRIP < voxels ? first + TENSOR_STRIP : voxels;
        if (used < block_c)
            memset(dst + first * block_c, 0, (size_t)((last - first) * block_c) * sizeof *dst);
        for (int64_t c = 0; c < used; c++)
            for (int64_t v = first; v < last; v++)
                dst[v * block_c + c] = src[c * voxels + v];
    }
}

static void tensor_block_to_plain(float *dst, const float *src, int64_t block_c, int64_t used, int64_t voxels)
{
    for (int64_t first = 0; first < voxels; first += TENSOR_STRIP) {
        int64_t last = first + TENSOR_STRIP < voxels ? first + TENSOR_STRIP : voxels;
        for (int64_t c = 0; c < used; c++)
            for (int64_t v = first; v < last; v++)
                dst[c * voxels + v] = src[v * block_c + c];
    }
}

void tensor_pack_blocks(float *dst, const float *src, struct shape shape, int64_t block_c)
{
    int64_t voxels = shape_voxels(shape), blocks = (shape.c + block_c - 1) / block_c;
    if (block_c == 1) {
        memcpy(dst, src, (size_t)shape_count(shape) * sizeof *src);
        return;
    }
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t n = 0; n < shape.n; n++)
        for (int64_t block = 0; block < blocks; block++) {
            int64_t used = shape.c - block * block_c < block_c ? shape.c - block * block_c : block_c;
            tensor_block_from_plain(dst + (n * blocks + block) * voxels * block_c,
                                    src + (n * shape.c + block * block_c) * voxels, block_c, used, voxels);
        }
}

void tensor_unpack_blocks(float *dst, const float *src, struct shape shape, int64_t block_c)
{
    int64_t voxels = shape_voxels(shape), blocks = (shape.c + block_c - 1) / block_c;
    if (block_c == 1) {
        memcpy(dst, src, (size_t)shape_count(shape) * sizeof *dst);
        return;
    }
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t n = 0; n < shape.n; n++)
        for (int64_t block = 0; block < blocks; block++) {
            int64_t used = shape.c - block * block_c < block_c ? shape.c - block * block_c : block_c;
            tensor_block_to_plain(dst + (n * shape.c + block * block_c) * voxels,
                                  src + (n * blocks + block) * voxels * block_c, block_c, used, voxels);
        }
}

void tensor_from_plain(struct tensor dst, const float *src)
{
    tensor_pack_blocks(dst.data, src, dst.shape, tensor_channel_block(dst.shape.c));
}

void tensor_to_plain(float *dst, struct tensor src)
{
    tensor_unpack_blocks(dst, src.data, src.shape, tensor_channel_block(src.shape.c));
}

char *shape_text(char text[SHAPE_TEXT], struct shape shape)
{
    snprintf(text, SHAPE_TEXT, "%" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64, shape.n, shape.c, shape.d,
             shape.h, shape.w);
    return text;
}
