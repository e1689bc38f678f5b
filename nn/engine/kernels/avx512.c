/* avx512.c - the micro-kernels with AVX-512: 16 floats. Called only where the processor has it. */
#include "nn/engine/kernels.h"

#include <string.h>

#include "nn/engine/kernels/tables.h"

#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512dq,avx512vl")
#include <immintrin.h>

#define VECTOR_WIDTH 16
#define KERNELS engine_kernels_avx512
#define KERNELS_NAME "avx512"
typedef __m512 vec;
#define VEC_UNROLL _Pragma("GCC unroll 6")
#define vec_load _mm512_loadu_ps
#define vec_store _mm512_storeu_ps
#define vec_stream _mm512_stream_ps
#define vec_stream_end _mm_sfence
#define vec_all _mm512_set1_ps
#define vec_add _mm512_add_ps
#define vec_sub _mm512_sub_ps
#define vec_mul _mm512_mul_ps
#define vec_max _mm512_max_ps
#define vec_fma _mm512_fmadd_ps
#define vec_fnma _mm512_fnmadd_ps
#define vec_sum _mm512_reduce_add_ps

#include "nn/engine/kernels/table.inc"
#endif
