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

#include "nn/engine/kernels/pairs.inc"
#endif
