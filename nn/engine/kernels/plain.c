/* plain.c - the micro-kernels for any processor (the compiler vectorises the loops of 8), and the choice. */
#include "nn/engine/kernels.h"

#include <string.h>

#include "nn/engine/kernels/tables.h"
#include "nn/engine/cpu.h"

#define VECTOR_WIDTH 8
#define KERNELS engine_kernels_plain
#define KERNELS_NAME "plain"
#define VEC_UNROLL _Pragma("GCC unroll 1")
typedef struct {
    float lane[VECTOR_WIDTH];
} vec;

static inline vec vec_load(const float *from)
{
    vec v;
    for (int i = 0; i < VECTOR_WIDTH; i++)
        v.lane[i] = from[i];
    return v;
}

static inline void vec_store(float *to, vec v)
{
    for (int i = 0; i < VECTOR_WIDTH; i++)
        to[i] = v.lane[i];
}

static inline void vec_stream(float *to, vec v)
{
    vec_store(to, v);
}

static inline void vec_stream_end(void)
{
}

static inline vec vec_all(float value)
{
    vec v;
    for (int i = 0; i < VECTOR_WIDTH; i++)
        v.lane[i] = value;
    return v;
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    for (int i = 0; i < VECTOR_WIDTH; i++)
        c.lane[i] += a.lane[i] * b.lane[i];
    return c;
}

static inline vec vec_fnma(vec a, vec b, vec c)
{
    for (int i = 0; i < VECTOR_WIDTH; i++)
        c.lane[i] -= a.lane[i] * b.lane[i];
    return c;
}

static inline vec vec_add(vec a, vec b)
{
    for (int i = 0; i < VECTOR_WIDTH; i++)
        a.lane[i] += b.lane[i];
    return a;
}

static inline vec vec_sub(vec a, vec b)
{
    for (int i = 0; i < VECTOR_WIDTH; i++)
        a.lane[i] -= b.lane[i];
    return a;
}

static inline vec vec_mul(vec a, vec b)
{
    for (int i = 0; i < VECTOR_WIDTH; i++)
        a.lane[i] *= b.lane[i];
    return a;
}

static inline vec vec_max(vec a, vec b)
{
    for (int i = 0; i < VECTOR_WIDTH; i++)
        a.lane[i] = a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i];
    return a;
}

static inline float vec_sum(vec v)
{
    float sum = 0;
    for (int i = 0; i < VECTOR_WIDTH; i++)
        sum += v.lane[i];
    return sum;
}

#include "nn/engine/kernels/table.inc"

const struct engine_kernels *engine_kernels(void)
{
#if defined(__x86_64__)
    switch (cpu_isa()) {
    case CPU_AVX512:
        return &engine_kernels_avx512;
    case CPU_AVX2:
        return &engine_kernels_avx2;
    case CPU_PLAIN:
        break;
    }
#endif
    return &engine_kernels_plain;
}
