/* pairs_avx512.c - pairs.inc with AVX-512 but without VDPBF16PS: two multiply-adds for each pair. */
#include <string.h>

#include "nn/engine/bfloat16.h"
#include "nn/engine/kernels/pairs_tables.h"

#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw")
#include <immintrin.h>

#define PAIRS_KERNELS pairs_kernels_avx512
#define PAIRS_NAME "avx512"
#include "nn/engine/kernels/pairs_avx512.inc"

static inline __attribute__((always_inline)) pairs_vec pairs_dot(pairs_vec sum, pairs_words a, pairs_words b)
{
    const __m512i high = _mm512_set1_epi32((int)0xFFFF0000);
    sum = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(a, high)),
                          _mm512_castsi512_ps(_mm512_and_si512(b, high)), sum);
    return _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(a, 16)), _mm512_castsi512_ps(_mm512_slli_epi32(b, 16)),
                           sum);
}

/* As bfloat16_from_float. */
static inline __attribute__((always_inline)) void pairs_round(uint16_t *to, pairs_vec value)
{
    const __m512i bits = _mm512_castps_si512(value), high = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_si512(high, _mm512_set1_epi32(1)),
                  rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7FFF)), odd);
    const __m512i half = _mm512_mask_or_epi32(
        _mm512_srli_epi32(rounded, 16), _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q), high, _mm512_set1_epi32(0x40));
    _mm256_storeu_si256((__m256i *)(void *)to, _mm512_cvtepi32_epi16(half));
}

#include "nn/engine/kernels/pairs.inc"
#endif
