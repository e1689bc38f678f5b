/* cpu.h - which instruction set the engine computes with, and how many channels lie together because of it.
 *
 * The best set that processor and system support is used. CALVARIA_MAX_ISA=plain|avx2|avx512 in the environment, or
 * cpu_set_max_isa, allows less: tests run every path on one machine with it, benches compare them. oneDNN's own limit
 * ONEDNN_MAX_CPU_ISA applies to oneDNN's kernels only. */
#ifndef CALVARIA_NN_ENGINE_CPU_H
#define CALVARIA_NN_ENGINE_CPU_H

#include <stdbool.h>
#include <stdint.h>

/* Each includes those before it. */
enum cpu_isa { CPU_PLAIN, CPU_AVX2, CPU_AVX512 };

enum cpu_isa cpu_isa(void);
const char *cpu_isa_name(enum cpu_isa isa); /* "plain", "avx2", "avx512": the values of CALVARIA_MAX_ISA */
/* Channels that lie together in a blocked tensor: 16 floats with AVX-512, else 8. */
int64_t cpu_channel_block(void);
/* Multiplies pairs of bfloat16 and sums them in float32 (VDPBF16PS); only with CPU_AVX512. */
bool cpu_has_bf16(void);
/* Whether convolutions of bfloat16 tensors multiply pairs (pairs.h): always, never, or where the processor has an
 * instruction for it. CALVARIA_PAIRS=never|fast|always in the environment, or cpu_set_pairs; fast by default. Elsewhere
 * the same values are multiplied one by one, with weights in float32. */
enum cpu_pairs { CPU_PAIRS_NEVER, CPU_PAIRS_FAST, CPU_PAIRS_ALWAYS };
bool cpu_multiplies_pairs(void);
void cpu_set_pairs(enum cpu_pairs pairs);
/* For tests and benches, while no tensor and no convolution exists: their layout depends on it. */
void cpu_set_max_isa(enum cpu_isa isa);

#endif
