/* pairs_avx2.c - pairs.inc with AVX2 and FMA: two multiply-adds for each pair. */
#include <string.h>

#include "nn/engine/bfloat16.h"
#include "nn/engine/kernels/pairs_tables.h"

#if defined(__x86_64__)
#pragma GCC target("avx2,fma")
#include <immintrin.h>

#define VECTOR_WIDTH 8
#define PAIRS_KERNELS pairs_kernels_avx2
#define PAIRS_NAME "avx2"
typedef __m256 pairs_vec;
typedef __m256i pairs_words;
#define pairs_load _mm256_loadu_ps
#define pairs_store _mm256_storeu_ps
#define pairs_add _mm256_add_ps
#define pairs_sub _mm256_sub_ps
#define pairs_fma _mm256_fmadd_ps
#define pairs_all _mm256_set1_ps
#define pairs_load_words(from) _mm256_loadu_si256((const __m256i *)(const void *)(from))
#define pairs_all_words(word) _mm256_set1_epi32((int)(word))

static inline __attribute__((always_inline)) pairs_vec pairs_load_half(const uint16_t *from)
{
    const __m256i words = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(words, 16));
}

static inline __attribute__((always_inline)) pairs_vec pairs_dot(pairs_vec sum, pairs_words a, pairs_words b)
{
    const __m256i high = _mm256_set1_epi32((int)0xFFFF0000);
    sum = _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_and_si256(a, high)),
                          _mm256_castsi256_ps(_mm256_and_si256(b, high)), sum);
    return _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_slli_epi32(a, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(b, 16)),
                           sum);
}

#include "nn/engine/kernels/pairs_flags.inc"
static inline void pairs_round(uint16_t *to, pairs_vec value)
{
    float values[VECTOR_WIDTH];
    pairs_store(values, value);
    for (int c = 0; c < VECTOR_WIDTH; c++)
        to[c] = bfloat16_from_float(values[c]);
}

#include "nn/engine/kernels/pairs.inc"
#endif
