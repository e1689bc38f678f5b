/* pairs_plain.c - pairs.inc for any processor, and the choice. A number that is no denormal only because it was rounded
 * as one is not zero here, as it is in the others; all else is the same. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "nn/engine/bfloat16.h"
#include "nn/engine/cpu.h"
#include "nn/engine/kernels/pairs_tables.h"

#define VECTOR_WIDTH 8
#define PAIRS_KERNELS pairs_kernels_plain
#define PAIRS_NAME "plain"

typedef struct {
    float lane[VECTOR_WIDTH];
} pairs_vec;
typedef struct {
    uint32_t lane[VECTOR_WIDTH];
} pairs_words;

static inline float pairs_flush(float value)
{
    return fabsf(value) < FLT_MIN ? copysignf(0, value) : value;
}

static inline pairs_vec pairs_load(const float *from)
{
    pairs_vec v;
    memcpy(v.lane, from, sizeof v.lane);
    return v;
}

static inline void pairs_store(float *to, pairs_vec v)
{
    memcpy(to, v.lane, sizeof v.lane);
}

static inline pairs_words pairs_load_words(const uint32_t *from)
{
    pairs_words v;
    memcpy(v.lane, from, sizeof v.lane);
    return v;
}

static inline pairs_vec pairs_all(float value)
{
    pairs_vec v;
    for (int i = 0; i < VECTOR_WIDTH; i++)
        v.lane[i] = value;
    return v;
}

static inline pairs_words pairs_all_words(uint32_t value)
{
    pairs_words v;
    for (int i = 0; i < VECTOR_WIDTH; i++)
        v.lane[i] = value;
    return v;
}

static inline pairs_vec pairs_add(pairs_vec a, pairs_vec b)
{
    for (int i = 0; i < VECTOR_WIDTH; i++)
        a.lane[i] = pairs_flush(pairs_flush(a.lane[i]) + pairs_flush(b.lane[i]));
    return a;
}

static inline pairs_vec pairs_sub(pairs_vec a, pairs_vec b)
{
    for (int i = 0; i < VECTOR_WIDTH; i++)
        a.lane[i] = pairs_flush(pairs_flush(a.lane[i]) - pairs_flush(b.lane[i]));
    return a;
}

static inline pairs_vec pairs_fma(pairs_vec a, pairs_vec b, pairs_vec c)
{
    for (int i = 0; i < VECTOR_WIDTH; i++)
        c.lane[i] = pairs_flush(fmaf(pairs_flush(a.lane[i]), pairs_flush(b.lane[i]), pairs_flush(c.lane[i])));
    return c;
}

static inline pairs_vec pairs_load_half(const uint16_t *from)
{
    pairs_vec v;
    for (int i = 0; i < VECTOR_WIDTH; i++)
        v.lane[i] = bfloat16_to_float(from[i]);
    return v;
}

static inline float pairs_half(uint32_t word, bool high)
{
    return pairs_flush(bfloat16_to_float((uint16_t)(high ? word >> 16 : word)));
}

static inline pairs_vec pairs_dot(pairs_vec sum, pairs_words a, pairs_words b)
{
    for (int i = 0; i < VECTOR_WIDTH; i++) {
        const float first = fmaf(pairs_half(a.lane[i], true), pairs_half(b.lane[i], true), pairs_flush(sum.lane[i]));
        sum.lane[i] = pairs_flush(fmaf(pairs_half(a.lane[i], false), pairs_half(b.lane[i], false), pairs_flush(first)));
    }
    return sum;
}

static inline unsigned pairs_begin(void)
{
    return 0;
}

static inline void pairs_end(unsigned flags)
{
    (void)flags;
}

static inline void pairs_round(uint16_t *to, pairs_vec value)
{
    float values[VECTOR_WIDTH];
    pairs_store(values, value);
    for (int c = 0; c < VECTOR_WIDTH; c++)
        to[c] = bfloat16_from_float(values[c]);
}

#include "nn/engine/kernels/pairs.inc"

const struct pairs_kernels *pairs_kernels(void)
{
#if defined(__x86_64__)
    switch (cpu_isa()) {
    case CPU_AVX512:
        return cpu_has_bf16() ? &pairs_kernels_bf16 : &pairs_kernels_avx512;
    case CPU_AVX2:
        return &pairs_kernels_avx2;
    case CPU_PLAIN:
        break;
    }
#endif
    return &pairs_kernels_plain;
}
