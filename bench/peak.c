/* peak.c - see peak.h. */
#include "bench/peak.h"

#include <stdint.h>
#include <time.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/parallel.h"

enum { PEAK_ROUNDS = 5 };

double peak_clock_s(void)
{
    struct timespec now;
    if (parallel_threads() > 1)
        return log_clock_s();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#if defined(__x86_64__)
#include <immintrin.h>

/* 12 independent chains: more than latency times units on any current core. Returns a sum, so that the work is kept. */
__attribute__((target("avx2,fma"))) static double peak_chains_avx2(int64_t n)
{
    __m256 sum[12], factor = _mm256_set1_ps(0.999f), term = _mm256_set1_ps(0.001f);
    for (int i = 0; i < 12; i++)
        sum[i] = _mm256_set1_ps((float)i);
    for (int64_t j = 0; j < n; j++)
#pragma GCC unroll 12
        for (int i = 0; i < 12; i++)
            sum[i] = _mm256_fmadd_ps(sum[i], factor, term);
    for (int i = 1; i < 12; i++)
        sum[0] = _mm256_add_ps(sum[0], sum[i]);
    return (double)_mm256_cvtss_f32(sum[0]);
}

__attribute__((target("avx512f"))) static double peak_chains_avx512(int64_t n)
{
    __m512 sum[12], factor = _mm512_set1_ps(0.999f), term = _mm512_set1_ps(0.001f);
    for (int i = 0; i < 12; i++)
        sum[i] = _mm512_set1_ps((float)i);
    for (int64_t j = 0; j < n; j++)
#pragma GCC unroll 12
        for (int i = 0; i < 12; i++)
            sum[i] = _mm512_fmadd_ps(sum[i], factor, term);
    for (int i = 1; i < 12; i++)
        sum[0] = _mm512_add_ps(sum[0], sum[i]);
    return (double)_mm512_cvtss_f32(sum[0]);
}
#endif

static double peak_chains_plain(int64_t n)
{
    float sum[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    for (int64_t j = 0; j < n; j++)
        for (int i = 0; i < 12; i++)
            sum[i] = sum[i] * 0.999f + 0.001f;
    for (int i = 1; i < 12; i++)
        sum[0] += sum[i];
    return (double)sum[0];
}

/* The chains this processor runs, and their floats per instruction. */
static double (*peak_chains(int64_t *ret_lanes))(int64_t)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        *ret_lanes = 16;
        return peak_chains_avx512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        *ret_lanes = 8;
        return peak_chains_avx2;
    }
#endif
    *ret_lanes = 1;
    return peak_chains_plain;
}

double peak_flops(void)
{
    const int64_t n = 4 << 20;
    int64_t lanes, threads = 0;
    double (*chains)(int64_t) = peak_chains(&lanes), best = 0, kept = 0;
    for (int round = 0; round < PEAK_ROUNDS; round++) {
        double start = peak_clock_s(), rate;
        threads = 0;
#pragma omp parallel reduction(+ : kept, threads)
        {
            kept += chains(n);
            threads++;
        }
        rate = 2.0 * 12 * (double)(lanes * n * threads) / (peak_clock_s() - start);
        best = rate > best ? rate : best;
    }
    return kept > 0 ? best : 0;
}

double peak_bandwidth(void)
{
    const int64_t n = 24 << 20; /* 96 MiB an array */
    float *a = memory_zalloc((size_t)n, sizeof *a), *b = memory_zalloc((size_t)n, sizeof *b),
          *c = memory_zalloc((size_t)n, sizeof *c);
    double best = 0;
    for (int round = 0; a && b && c && round < PEAK_ROUNDS; round++) {
        double start = peak_clock_s(), rate;
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < n; i++)
            a[i] = b[i] + 0.5f * c[i];
        rate = 3.0 * (double)n * sizeof *a / (peak_clock_s() - start);
        best = rate > best ? rate : best;
    }
    memory_free(a);
    memory_free(b);
    memory_free(c);
    return best;
}
