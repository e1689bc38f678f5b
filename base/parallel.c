/* parallel.c - how many threads; see parallel.h. Test: tests/nn/test_bfloat16.c (bits on one thread and on all) */
#include "base/parallel.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <omp.h>
#include <unistd.h>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

int parallel_threads(void)
{
    return omp_get_max_threads();
}

int parallel_machine_threads(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

void parallel_set_threads(int n)
{
    omp_set_num_threads(n > 0 ? n : omp_get_num_procs());
}

extern char **environ;

/* What the OpenMP libraries of GCC and Clang read. GOMP_SPINCOUNT: about 100 checks a microsecond. */
static const char *const parallel_settings[] = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", NULL};

void parallel_sleep_when_idle(char *const *argv)
{
    for (int i = 0; parallel_settings[i]; i++)
        if (getenv(parallel_settings[i]))
            return;
    if (omp_get_num_procs() < 2)
        return;

    /* Bench: bench_busy. A restart that fails costs only the setting. */
    if (setenv("GOMP_SPINCOUNT", "2000", 1) == 0 && setenv("KMP_BLOCKTIME", "0", 1) == 0)
        execv("/proc/self/exe", argv);
}

const char *parallel_idle_setting(void)
{
    for (char **entry = environ; entry && *entry; entry++)
        for (int i = 0; parallel_settings[i]; i++)
            if (strncmp(*entry, parallel_settings[i], strlen(parallel_settings[i])) == 0 &&
                (*entry)[strlen(parallel_settings[i])] == '=')
                return *entry;
    return "default";
}

static void parallel_flush_thread(void)
{
#if defined(__SSE__)
    const unsigned flush_to_zero = 0x8000, denormals_are_zero = 0x0040;
    _mm_setcsr(_mm_getcsr() | flush_to_zero | denormals_are_zero);
#elif defined(__aarch64__)
    const uint64_t flush_to_zero = (uint64_t)1 << 24;
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr | flush_to_zero));
#endif
}

void parallel_flush_denormals(void)
{
#pragma omp parallel
    parallel_flush_thread();
}
