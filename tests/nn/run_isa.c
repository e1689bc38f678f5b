/* run_isa.c - runs a test under an instruction set:   run_isa plain|avx2|avx512 PROGRAM
 * 77 (skipped) where the processor does not have the set, so that a kernel that was not run never counts as passed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nn/engine/cpu.h"

int main(int argc, char **argv)
{
    static const char *const onednn[] = {"SSE41", "AVX2", "ALL"};
    for (int isa = CPU_PLAIN; argc > 2 && isa <= CPU_AVX512; isa++) {
        if (strcmp(argv[1], cpu_isa_name((enum cpu_isa)isa)) != 0)
            continue;
        unsetenv("CALVARIA_MAX_ISA");
        if (cpu_isa() < (enum cpu_isa)isa) {
            printf("skipped: this processor has no %s\n", argv[1]);
            return 77;
        }
        setenv("CALVARIA_MAX_ISA", argv[1], 1);
        setenv("ONEDNN_MAX_CPU_ISA", onednn[isa], 1);
        execv(argv[2], argv + 2);
    }
    fprintf(stderr, "usage: run_isa plain|avx2|avx512 PROGRAM\n");
    return 2;
}
