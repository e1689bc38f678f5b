/* pairs_bf16.c - pairs.inc with VDPBF16PS (AVX512_BF16), which multiplies and adds both values of a pair at once. */
#include <string.h>

#include "nn/engine/bfloat16.h"
#include "nn/engine/kernels/pairs_tables.h"

#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,avx512bf16")
#include <immintrin.h>

#define PAIRS_KERNELS pairs_kernels_bf16
#define PAIRS_NAME "avx512_bf16"
#include "nn/engine/kernels/pairs_avx512.inc"
#define pairs_dot(sum, a, b) _mm512_dpbf16_ps(sum, (__m512bh)(a), (__m512bh)(b))

/* Denormals would become zero here, but there are none left. */
static inline __attribute__((always_inline)) void pairs_round(uint16_t *to, pairs_vec value)
{
    _mm256_storeu_si256((__m256i *)(void *)to, (__m256i)_mm512_cvtneps_pbh(value));
}

#include "nn/engine/kernels/pairs.inc"
#endif
