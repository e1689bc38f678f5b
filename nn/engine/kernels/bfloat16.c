/* bfloat16.c - bfloat16.inc for each instruction set, and the choice. Test: tests/nn/test_bfloat16.c */
#include "nn/engine/bfloat16.h"

#include "nn/engine/cpu.h"

#define BFLOAT16(name) bfloat16_plain_##name
#include "nn/engine/kernels/bfloat16.inc"
#undef BFLOAT16

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2")
#define BFLOAT16(name) bfloat16_avx2_##name
#include "nn/engine/kernels/bfloat16.inc"
#undef BFLOAT16
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")
#define BFLOAT16(name) bfloat16_avx512_##name
#include "nn/engine/kernels/bfloat16.inc"
#undef BFLOAT16
#pragma GCC pop_options
#endif

const struct bfloat16_kernels *bfloat16_kernels(void)
{
#if defined(__x86_64__)
    switch (cpu_isa()) {
    case CPU_AVX512:
        return &bfloat16_avx512_table;
    case CPU_AVX2:
        return &bfloat16_avx2_table;
    case CPU_PLAIN:
        break;
    }
#endif
    return &bfloat16_plain_table;
}
