/* layers.c - every convolution of the two networks that the project is measured by: time of each pass, the fraction of the machine's
 * multiply-add peak (arithmetic really done), and the kernels picked.
 *
 *     bench_layers [--threads N] [--repeats R] [--only PART-OF-NAME] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/options.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "bench/peak.h"
#include "nn/engine.h"

struct bench_options {
    int64_t threads, repeats;
    const char *only;
    bool direct;
};

static const struct config_field bench_fields[] = {
    {.key = "threads", .type = CONFIG_INT, .offset = offsetof(struct bench_options, threads), .text = "0", .min = 0, .max = 1024,
     .help = "threads; 0: all processors"},
    {.key = "repeats", .type = CONFIG_INT, .offset = offsetof(struct bench_options, repeats), .text = "5", .min = 1, .max = 1000,
     .help = "runs of each pass; the median counts"},
    {.key = "only", .type = CONFIG_STRING, .offset = offsetof(struct bench_options, only), .help = "only layers whose name contains this"},
    {.key = "direct", .type = CONFIG_BOOL, .offset = offsetof(struct bench_options, direct), .text = "false", .help = "no Winograd"},
    {0}};
static const struct config_table bench_table = {.size = sizeof(struct bench_options), .fields = bench_fields};

struct bench_layer {
    const char *name;
    int64_t src_c, dst_c, size, kernel, stride, scale; /* size: of src, a cube */
    bool transposed, first;
};

static const struct bench_layer layers[] = {
    {"mia_ae_patch 1", 1, 32, 128, 5, 2, 1, false, true},
    {"mia_ae_patch 2", 32, 64, 64, 5, 2, 1, false, false},
    {"mia_ae_patch 3", 64, 128, 32, 5, 2, 1, false, false},
    {"mia_ae_patch 4", 128, 512, 16, 1, 2, 1, false, false},
    {"mia_ae_patch 5", 512, 256, 8, 5, 1, 2, true, false},
    {"mia_ae_patch 6", 256, 128, 16, 5, 1, 1, true, false},
    {"mia_ae_patch 7", 128, 64, 16, 5, 1, 2, true, false},
    {"mia_ae_patch 8", 64, 1, 32, 5, 1, 2, true, false},
    {"mia_ae_patch 9", 1, 1, 64, 5, 1, 2, true, false},
    {"unet enc1a", 1, 16, 96, 3, 1, 1, false, true},
    {"unet enc1b", 16, 16, 96, 3, 1, 1, false, false},
    {"unet down2", 16, 32, 96, 3, 2, 1, false, false},
    {"unet enc2b", 32, 32, 48, 3, 1, 1, false, false},
    {"unet down3", 32, 64, 48, 3, 2, 1, false, false},
    {"unet enc3b", 64, 64, 24, 3, 1, 1, false, false},
    {"unet down4", 64, 128, 24, 3, 2, 1, false, false},
    {"unet enc4b", 128, 128, 12, 3, 1, 1, false, false},
    {"unet up3", 128, 64, 12, 2, 2, 1, true, false},
    {"unet dec3a", 128, 64, 24, 3, 1, 1, false, false},
    {"unet up2", 64, 32, 24, 2, 2, 1, true, false},
    {"unet dec2a", 64, 32, 48, 3, 1, 1, false, false},
    {"unet up1", 32, 16, 48, 2, 2, 1, true, false},
    {"unet dec1a", 32, 16, 96, 3, 1, 1, false, false},
    {"unet head", 16, 1, 96, 1, 1, 1, false, false},
};

/* 'same' padding, as the networks have it. */
static struct conv_shape bench_shape(const struct bench_layer *layer, bool winograd)
{
    int64_t up = layer->size * layer->scale, k = layer->kernel, s = layer->stride;
    int64_t out = layer->transposed ? up * s : (up + s - 1) / s, pads = layer->transposed ? k - s : (out - 1) * s + k - up;
    struct conv_shape shape = {.src = {1, layer->src_c, layer->size, layer->size, layer->size},
                               .dst = {1, layer->dst_c, out, out, out},
                               .scale = layer->scale,
                               .has_bias = true,
                               .transposed = layer->transposed,
                               .training = true,
                               .winograd = winograd,
                               .needs_d_src = !layer->first};
    pads = pads > 0 ? pads : 0;
    for (int a = 0; a < 3; a++) {
        shape.kernel[a] = k;
        shape.stride[a] = s;
        shape.pad_before[a] = pads / 2;
        shape.pad_after[a] = pads - pads / 2;
    }
    return shape;
}

struct bench_buffers {
    float *src, *dst, *w, *d_w, *b, *scratch;
};

static float *bench_values(int64_t n, double limit)
{
    float *made = memory_alloc((size_t)n, sizeof *made);
    struct rng rng = rng_make(1, (uint64_t)n);
    for (int64_t i = 0; made && i < n; i++)
        made[i] = (float)rng_uniform(&rng, -limit, limit);
    return made;
}

static int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

enum bench_pass { BENCH_FORWARD, BENCH_DATA, BENCH_WEIGHTS };

static double bench_pass_s(struct engine_conv *conv, const struct bench_buffers *buffers, enum bench_pass pass, int64_t repeats)
{
    double seconds[1000];
    for (int64_t r = 0; r < repeats; r++) {
        double start = peak_clock_s();
        if (pass == BENCH_FORWARD)
            engine_conv_forward(conv, buffers->src, buffers->w, buffers->b, buffers->dst, buffers->scratch);
        else if (pass == BENCH_DATA)
            engine_conv_backward_data(conv, buffers->dst, buffers->w, buffers->src, buffers->scratch);
        else
            engine_conv_backward_weights(conv, buffers->src, buffers->dst, buffers->d_w, buffers->b, buffers->scratch);
        seconds[r] = peak_clock_s() - start;
    }
    qsort(seconds, (size_t)repeats, sizeof *seconds, bench_compare);
    return seconds[repeats / 2];
}

/* Adds each pass's seconds to total[pass], and the multiply-adds to total[3]. */
static enum status bench_run(const struct bench_layer *layer, double peak, bool winograd, int64_t repeats, double total[4], struct error *error)
{
    struct conv_shape shape = bench_shape(layer, winograd);
    struct engine_conv *conv = NULL;
    size_t bytes = 0;
    int64_t n_w = layer->src_c * layer->dst_c * layer->kernel * layer->kernel * layer->kernel;
    if (engine_conv_new(&conv, &shape, &bytes, error))
        return error->status;
    struct bench_buffers buffers = {.src = bench_values(tensor_floats(shape.src), 1),
                                    .dst = bench_values(tensor_floats(shape.dst), 1),
                                    .w = bench_values(n_w, 0.01),
                                    .d_w = bench_values(n_w, 0),
                                    .b = bench_values(layer->dst_c, 0),
                                    .scratch = memory_zalloc(bytes, 1)};
    double operations = 2.0 * (double)engine_conv_macs(conv);
    if (buffers.src && buffers.dst && buffers.w && buffers.d_w && buffers.b && buffers.scratch) {
        printf("%-15s %3d -> %3d k%d s%d%s %7.2f GMAC ", layer->name, (int)layer->src_c, (int)layer->dst_c, (int)layer->kernel,
               (int)layer->stride, layer->scale == 2 ? " up" : "   ", operations / 2e9);
        for (int pass = BENCH_FORWARD; pass <= BENCH_WEIGHTS; pass++) {
            bool none = pass == BENCH_DATA && layer->first;
            double seconds = none ? 0 : bench_pass_s(conv, &buffers, (enum bench_pass)pass, repeats);
            total[pass] += seconds;
            total[3] += none ? 0 : operations;
            printf(none ? "       -      " : " %7.1f ms %3.0f%%", seconds * 1e3, none ? 0 : 100 * operations / seconds / peak);
        }
        printf(" %4zu MB  %s\n", bytes >> 20, engine_conv_describe(conv));
        fflush(stdout);
    } else {
        error_memory(error, bytes, "bench");
    }
    float *all[] = {buffers.src, buffers.dst, buffers.w, buffers.d_w, buffers.b, buffers.scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        memory_free(all[i]);
    engine_conv_free(conv);
    return error->status;
}

int main(int argc, char **argv)
{
    struct bench_options options;
    struct config_strings arguments;
    struct arena arena = {0};
    struct error error = {0};
    double total[4] = {0}, peak, sum;
    if (options_parse(&bench_table, &options, argc - 1, argv + 1, &arguments, &arena, &error)) {
        error_print(stderr, &error);
        options_help(&bench_table, stderr);
        return (int)error.status;
    }
    parallel_set_threads((int)options.threads);
    peak = peak_flops();
    printf("%s, %d threads, %.0f GFLOP/s peak; median of %d\n%-15s %41s %12s %14s\n", engine_version(), parallel_threads(), peak / 1e9,
           (int)options.repeats, "layer", "forward", "back data", "back weights");
    for (size_t i = 0; i < sizeof layers / sizeof *layers && !error.status; i++)
        if (!options.only || strstr(layers[i].name, options.only))
            bench_run(&layers[i], peak, !options.direct, options.repeats, total, &error);
    sum = total[0] + total[1] + total[2];
    if (sum > 0)
        printf("all: forward %.0f ms, backward data %.0f ms, backward weights %.0f ms; %.0f%% of peak\n", total[0] * 1e3, total[1] * 1e3,
               total[2] * 1e3, 100 * total[3] / sum / peak);
    if (error.status)
        error_print(stderr, &error);
    arena_done(&arena);
    return (int)error.status;
}
