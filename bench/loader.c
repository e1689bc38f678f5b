/* loader.c - what training pairs cost: patches per second, processor time per patch, its share of the cores beside a
 * training step, and memory, on a real dataset.
 *
 *     bench_loader SET.h5 [DEFECTS.yaml]
 *
 * Each row runs in a process of its own, so that its highest memory is its own. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "data/sample/loader.h"

struct row {
    const char *name;
    int sampler;
    int64_t patch, per_skull, top_vox;
    double step_s; /* what one training step on such a patch takes on two cores */
    const char *augment;
    bool distance; /* the signed distances of the targets too, as the boundary loss wants them */
};

static const char all_augment[] = "{ flip_x: 0.5, rotate_deg: 10, scale: [0.9, 1.1], elastic_mm: 2, "
                                  "noise_surface: [0, 0.01], crop: 0.3 }";

static const struct row rows[] = {
    {"paper grid 128, 16 of a skull", SAMPLER_GRID, 128, 0, 128, 2.1, NULL, false},
    {"  augmented", SAMPLER_GRID, 128, 0, 128, 2.1, all_augment, false},
    {"  with distances", SAMPLER_GRID, 128, 0, 128, 2.1, NULL, true},
    {"defect 96, 4 of a skull", SAMPLER_DEFECT, 96, 4, 0, 2.0, NULL, false},
    {"  augmented", SAMPLER_DEFECT, 96, 4, 0, 2.0, all_augment, false},
    {"defect 96, 1 of a skull", SAMPLER_DEFECT, 96, 1, 0, 2.0, NULL, false},
    {"  augmented", SAMPLER_DEFECT, 96, 1, 0, 2.0, all_augment, false},
    {"whole, at 128", SAMPLER_WHOLE, 128, 1, 0, 2.1, NULL, false},
    {"  augmented", SAMPLER_WHOLE, 128, 1, 0, 2.1, all_augment, false},
    {"  with distances", SAMPLER_WHOLE, 128, 1, 0, 2.1, NULL, true},
};

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static enum status measure(const struct row *row, const char *set, const char *defects, int64_t workers,
                           struct error *error)
{
    const double least_s = 4;
    struct arena arena = {0};
    struct loader *loader = NULL;
    struct loader_config config;
    struct loader_position position = {0};
    struct yaml_node *node;
    if (config_bind(&loader_table, NULL, &config, &arena, error))
        return error->status;
    if (row->augment && (yaml_read_text(&node, row->augment, "augment", &arena, error) ||
                         config_bind(&augment_table, node, &config.augment, &arena, error)))
        return error->status;
    config.distance = row->distance;
    config.set = set;
    config.defects = defects;
    config.sampler = row->sampler;
    config.top_vox = row->top_vox;
    config.patches_per_skull = row->per_skull > 0 ? row->per_skull : 1;
    config.workers = workers;
    config.queue = workers + 1;
    for (int a = 0; a < 3; a++)
        config.patch_vox[a] = row->patch;
    const int64_t n = row->patch * row->patch * row->patch;
    float *src = memory_alloc((size_t)n, 3 * sizeof *src);
    if (!src || loader_new(&loader, &config, TASK_COMPLETION, SPLIT_TRAIN, 1, position, error))
        return src ? error->status : error_memory(error, (size_t)n * 12, "a patch");
    int64_t given = 0;
    double wall0 = 0, cpu0 = 0;
    for (int64_t draws = 0;; given++) { /* from the third skull on, in whole draws */
        if (given > 0 && position.patch == 0 && ++draws == 2) {
            given = 0;
            wall0 = log_clock_s();
            cpu0 = cpu_s();
        }
        if (position.patch == 0 && draws > 5 && log_clock_s() - wall0 > least_s)
            break;
        if (loader_next(loader, 1, src, src + n, src + 2 * n, &position, error))
            return error->status;
    }
    const double wall = log_clock_s() - wall0, cpu = (cpu_s() - cpu0) / (double)given,
                 cores = (double)sysconf(_SC_NPROCESSORS_ONLN);
    printf("%-30s %7" PRId64 " %10.1f %12.1f %11.2f %% %8.0f\n", row->name, workers, (double)given / wall, 1e3 * cpu,
           100 * cpu / (row->step_s * cores), (double)memory_peak_bytes() / 1048576);
    loader_free(loader);
    memory_free(src);
    arena_done(&arena);
    return STATUS_OK;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: bench_loader SET.h5 [DEFECTS.yaml]\n");
        return STATUS_USAGE;
    }
    const char *defects = argc > 2 ? argv[2] : "configs/defects/mixed.yaml";
    printf("%-30s %7s %10s %12s %13s %8s\n", "", "workers", "patches/s", "cpu ms/patch", "of the cores", "MiB");
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (int64_t workers = 1; workers <= 2; workers++) {
            fflush(stdout);
            const pid_t child = fork();
            if (child == 0) {
                struct error error = {0};
                const enum status status = measure(&rows[r], argv[1], defects, workers, &error);
                if (status)
                    error_print(stderr, &error);
                fflush(stdout);
                _exit(status);
            }
            int status = 0;
            if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
                return STATUS_FAILED;
        }
    return STATUS_OK;
}
