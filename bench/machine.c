/* machine.c - what this machine can do at best: multiply-add peak and memory bandwidth.
 *
 *     bench_machine [--threads N] */
#include <stdio.h>

#include "base/options.h"
#include "base/parallel.h"
#include "bench/peak.h"
#include "nn/engine/engine.h"

struct machine_options {
    int64_t threads;
};

/* clang-format off */
static const struct config_field machine_fields[] = {
    {.key = "threads", .type = CONFIG_INT, .offset = offsetof(struct machine_options, threads), .text = "0", .min = 0,
     .max = 1024, .help = "threads; 0: all processors"},
    {0}};
/* clang-format on */
static const struct config_table machine_table = {.size = sizeof(struct machine_options), .fields = machine_fields};

int main(int argc, char **argv)
{
    struct machine_options options;
    struct config_strings arguments;
    struct arena arena = {0};
    struct error error = {0};
    if (options_parse(&machine_table, &options, argc - 1, argv + 1, &arguments, &arena, &error)) {
        error_print(stderr, &error);
        options_help(&machine_table, stderr, &error);
        return (int)error.status;
    }
    parallel_set_threads((int)options.threads);
    printf("%s, %d threads: %.0f GFLOP/s multiply-add, %.1f GB/s triad\n", engine_version(), parallel_threads(),
           peak_flops() / 1e9, peak_bandwidth() / 1e9);
    arena_done(&arena);
    return 0;
}
