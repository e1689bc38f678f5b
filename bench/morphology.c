/* Distances, morphology, components and resampling on one skull; bench/morphology_peers.py does the same in SciPy, edt
 * and cc3d.
 *
 *     build/bench_morphology [SKULL.nrrd] [THREADS]     without a file: a shell of 512 x 512 x 337 voxels */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "data/mask/distance.h"
#include "data/metrics.h"
#include "data/mask/morphology.h"
#include "data/volume/resample.h"
#include "data/volume/formats.h"

enum { REPEATS = 5 };

struct bench {
    struct volume skull;
    double spacing[3];
    uint8_t *mask;  /* a copy to work on */
    float *numbers; /* distances or labels */
    struct error error;
};

static enum status shell_make(struct volume *ret, struct error *error)
{
    const int64_t dim[3] = {512, 512, 337};
    const double spacing[3] = {0.48, 0.48, 0.5};
    struct grid grid = grid_make(dim, spacing);
    if (volume_new(ret, &grid, VOXEL_U8, error))
        return STATUS_FAILED;
    for (int64_t i = 0; i < grid_voxels(&grid); i++) {
        double x = ((double)(i % 512) - 256) / 160, y = ((double)(i / 512 % 512) - 256) / 200,
               z = ((double)(i / 512 / 512) - 120) / 180;
        double r = sqrt(x * x + y * y + z * z);
        ((uint8_t *)ret->data)[i] = r > 0.93 && r < 1;
    }
    return STATUS_OK;
}

static enum status run_distance(struct bench *b)
{
    return distance_to_mask(b->numbers, b->skull.data, b->skull.grid.dim, b->spacing, &b->error);
}

static enum status run_open(struct bench *b)
{
    return mask_open(b->mask, b->skull.grid.dim, 1, &b->error);
}

static enum status run_close(struct bench *b)
{
    return mask_close(b->mask, b->skull.grid.dim, 3, &b->error);
}

static enum status run_components(struct bench *b)
{
    int64_t *sizes, n;
    enum status status =
        mask_components((int32_t *)(void *)b->numbers, &sizes, &n, b->skull.data, b->skull.grid.dim, 26, &b->error);
    if (!status)
        memory_free(sizes);
    return status;
}

static enum status run_largest(struct bench *b)
{
    return mask_keep_largest(b->mask, b->skull.grid.dim, 1, 26, &b->error);
}

static enum status run_fill(struct bench *b)
{
    return mask_fill_holes(b->mask, b->skull.grid.dim, &b->error);
}

static enum status run_resample(struct bench *b)
{
    const double coarse[3] = {1, 1, 1};
    struct grid grid = resample_grid(&b->skull.grid, coarse);
    struct volume small, back = {0};
    if (resample_volume(&small, &b->skull, &grid, RESAMPLE_LINEAR, &b->error))
        return STATUS_FAILED;
    enum status status = resample_volume(&back, &small, &b->skull.grid, RESAMPLE_LINEAR, &b->error);
    volume_done(&back);
    volume_done(&small);
    return status;
}

static int double_compare(const void *a, const void *b)
{
    double u = *(const double *)a, v = *(const double *)b;
    return (u > v) - (u < v);
}

static enum status bench_run(struct bench *b)
{
    static const struct {
        const char *name;
        enum status (*run)(struct bench *b);
    } rows[] = {{"distance", run_distance},
                {"open 1", run_open},
                {"close 3", run_close},
                {"components 26", run_components},
                {"keep largest", run_largest},
                {"fill holes", run_fill},
                {"linear to 1 mm and back", run_resample}};
    size_t n = (size_t)grid_voxels(&b->skull.grid);
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        double seconds[REPEATS];
        for (int i = 0; i < REPEATS; i++) {
            memcpy(b->mask, b->skull.data, n);
            double start = log_clock_s();
            if (rows[r].run(b))
                return STATUS_FAILED;
            seconds[i] = log_clock_s() - start;
        }
        qsort(seconds, REPEATS, sizeof *seconds, double_compare);
        printf("%s\t%.3f s\n", rows[r].name, seconds[REPEATS / 2]);
    }
    return STATUS_OK;
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    if (argc > 2)
        parallel_set_threads((int)strtol(argv[2], NULL, 10));
    enum status status = argc > 1 ? volume_read_mask(&b.skull, argv[1], &b.error) : shell_make(&b.skull, &b.error);
    if (!status) {
        size_t n = (size_t)grid_voxels(&b.skull.grid);
        for (int a = 0; a < 3; a++)
            b.spacing[a] = grid_spacing_mm(&b.skull.grid, a);
        b.mask = memory_zalloc(n, 1);
        b.numbers = memory_zalloc(n, sizeof *b.numbers);
        status = b.mask && b.numbers ? STATUS_OK : error_memory(&b.error, n, "bench");
    }
    if (!status) {
        const int64_t *dim = b.skull.grid.dim;
        printf("# %" PRId64 " x %" PRId64 " x %" PRId64 ", %d threads, medians of %d\n", dim[0], dim[1], dim[2],
               parallel_threads(), REPEATS);
        status = bench_run(&b);
    }
    if (status)
        error_print(stderr, &b.error);
    memory_free(b.numbers);
    memory_free(b.mask);
    volume_done(&b.skull);
    return (int)status;
}
