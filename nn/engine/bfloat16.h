/* bfloat16.h - values of 16 bits: float32's sign and exponent, 8 bits of mantissa (7 stored).
 *
 * Networks with `precision: bfloat16` keep the activations between layers so; sums, statistics, parameters and losses
 * stay float32. Every instruction set rounds alike (to the nearest, ties to even; NaN stays NaN), so the same values
 * come out on any machine. */
#ifndef CALVARIA_NN_ENGINE_BFLOAT16_H
#define CALVARIA_NN_ENGINE_BFLOAT16_H

#include <stdint.h>
#include <string.h>

static inline float bfloat16_to_float(uint16_t value)
{
    const uint32_t bits = (uint32_t)value << 16;
    float out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

static inline uint16_t bfloat16_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16, nan = bits >> 16 | 0x40;
    return (uint16_t)((bits & 0x7FFFFFFF) > 0x7F800000 ? nan : rounded);
}

/* One block of channels: `voxels` of `block_c` values each. */
struct bfloat16_kernels {
    void (*load)(float *dst, const uint16_t *src, int64_t n);
    void (*store)(uint16_t *dst, const float *src, int64_t n);
    /* dst = scale * src + shift, and `slope` times that below zero; factors per channel of the block. */
    void (*affine)(float *dst, int64_t voxels, int64_t block_c, const float *scale, const float *shift, float slope);
    /* sums[2][block_c]: of the values and of their squares, in double. */
    void (*sums)(const float *src, int64_t voxels, int64_t block_c, double *sums);
};

/* The best that this processor runs; all give the same bits. */
const struct bfloat16_kernels *bfloat16_kernels(void);

#endif
