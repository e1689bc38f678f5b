/* avx2.c - the micro-kernels with AVX2 and FMA: 8 floats. Called only where the processor has them. */
#include "nn/engine/kernels.h"

#include <string.h>

#include "nn/engine/kernels/tables.h"

#if defined(__x86_64__)
#pragma GCC target("avx2,fma")
#include <immintrin.h>

#define VECTOR_WIDTH 8
#define KERNELS engine_kernels_avx2
#define KERNELS_NAME "avx2"
typedef __m256 vec;
#define VEC_UNROLL _Pragma("GCC unroll 6")
#define vec_load _mm256_loadu_ps
#define vec_store _mm256_storeu_ps
#define vec_stream _mm256_stream_ps
#define vec_stream_end _mm_sfence
#define vec_all _mm256_set1_ps
#define vec_add _mm256_add_ps
#define vec_sub _mm256_sub_ps
#define vec_mul _mm256_mul_ps
#define vec_max _mm256_max_ps
#define vec_fma _mm256_fmadd_ps
#define vec_fnma _mm256_fnmadd_ps

static inline float vec_sum(vec v)
{
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

#include "nn/engine/kernels/table.inc"
#endif
