/* cpu.c - see cpu.h. Test: tests/nn/test_tensor.c (blocks), tests/nn/CMakeLists.txt (the engine's tests under each
 * instruction set) */
#include "nn/engine/cpu.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const char *const cpu_names[] = {"plain", "avx2", "avx512"};

static enum cpu_isa cpu_found, cpu_most;
static bool cpu_bf16;
static enum cpu_pairs cpu_pairs_taken = CPU_PAIRS_FAST;
static pthread_once_t cpu_once = PTHREAD_ONCE_INIT;

static void cpu_detect(void)
{
    const char *limit = getenv("CALVARIA_MAX_ISA");
    cpu_most = CPU_AVX512;
    for (int i = CPU_PLAIN; limit && i <= CPU_AVX512; i++)
        if (strcmp(limit, cpu_names[i]) == 0)
            cpu_most = (enum cpu_isa)i;

    static const char *const pairs[] = {"never", "fast", "always"};
    const char *chosen = getenv("CALVARIA_PAIRS");
    for (int i = CPU_PAIRS_NEVER; chosen && i <= CPU_PAIRS_ALWAYS; i++)
        if (strcmp(chosen, pairs[i]) == 0)
            cpu_pairs_taken = (enum cpu_pairs)i;

#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        cpu_found = CPU_AVX2;
    if (cpu_found == CPU_AVX2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        cpu_found = CPU_AVX512;
    cpu_bf16 = cpu_found == CPU_AVX512 && __builtin_cpu_supports("avx512bf16");
#endif
}

enum cpu_isa cpu_isa(void)
{
    pthread_once(&cpu_once, cpu_detect);
    return cpu_found < cpu_most ? cpu_found : cpu_most;
}

const char *cpu_isa_name(enum cpu_isa isa)
{
    return cpu_names[isa];
}

int64_t cpu_channel_block(void)
{
    return cpu_isa() == CPU_AVX512 ? 16 : 8;
}

bool cpu_has_bf16(void)
{
    return cpu_isa() == CPU_AVX512 && cpu_bf16;
}

bool cpu_multiplies_pairs(void)
{
    return cpu_pairs_taken == CPU_PAIRS_ALWAYS || (cpu_pairs_taken == CPU_PAIRS_FAST && cpu_has_bf16());
}

void cpu_set_pairs(enum cpu_pairs pairs)
{
    pthread_once(&cpu_once, cpu_detect);
    cpu_pairs_taken = pairs;
}

void cpu_set_max_isa(enum cpu_isa isa)
{
    pthread_once(&cpu_once, cpu_detect);
    cpu_most = isa;
}
