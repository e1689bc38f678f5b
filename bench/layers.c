/* layers.c - whole networks, layer by layer: wall clock and processor time of a forward pass and of a training step
 * (forward, squared error, backward, Adam), and of every layer in them; of convolutions also the kernels picked and the
 * fraction of the machine's multiply-add peak, counting the arithmetic really done ("done") and that of the network as
 * it is written ("written").
 *
 *     bench_layers NETWORK.yaml... [--size 96] [--batch 1] [--threads N] [--repeats 5] [--direct] [--brief]
 *     bench_layers NETWORK.yaml --serve forward|step ...     one pass per line of input, answered by its seconds:
 *       for bench/peers */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/options.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "bench/peak.h"
#include "nn/engine/engine.h"
#include "nn/network/network_impl.h"
#include "nn/optimizer.h"

struct bench_options {
    int64_t size, batch, threads, repeats;
    int serve;     /* enum bench_serve */
    int precision; /* enum network_precision */
    bool direct, brief;
};

enum bench_serve { SERVE_NOTHING, SERVE_FORWARD, SERVE_STEP };
static const char *const bench_serve_names[] = {"nothing", "forward", "step", NULL};

#define BENCH_OPTION(name) .offset = offsetof(struct bench_options, name)
/* clang-format off */
static const struct config_field bench_fields[] = {
    {.key = "size", .type = CONFIG_INT, BENCH_OPTION(size), .text = "0", .min = 0, .max = 4096,
     .help = "edge of the patch; 0: the network's own"},
    {.key = "batch", .type = CONFIG_INT, BENCH_OPTION(batch), .text = "1", .min = 1, .max = 64,
     .help = "patches per step"},
    {.key = "threads", .type = CONFIG_INT, BENCH_OPTION(threads), .text = "0", .min = 0, .max = 1024,
     .help = "threads; 0: all processors"},
    {.key = "repeats", .type = CONFIG_INT, BENCH_OPTION(repeats), .text = "5", .min = 1, .max = 99,
     .help = "runs; medians count"},
    {.key = "serve", .type = CONFIG_ENUM, BENCH_OPTION(serve), .text = "nothing", .names = bench_serve_names,
     .help = "a pass per line of input"},
    {.key = "precision", .type = CONFIG_ENUM, BENCH_OPTION(precision), .text = "float32",
     .names = network_precision_names, .help = "of the activations"},
    {.key = "direct", .type = CONFIG_BOOL, BENCH_OPTION(direct), .text = "false", .help = "no Winograd"},
    {.key = "brief", .type = CONFIG_BOOL, BENCH_OPTION(brief), .text = "false", .help = "no line per layer"},
    {0}};
/* clang-format on */
static const struct config_table bench_table = {.size = sizeof(struct bench_options), .fields = bench_fields};

enum { BENCH_RUNS = 100, BENCH_PARTS = 32 };

/* Processor seconds by layer type. */
struct bench_part {
    const char *type;
    double forward, backward;
};

struct bench {
    struct network_config config;
    struct params params;
    struct network *network;
    struct arena arena;
    float *src, *d_dst;
    struct optimizer optimizer;
    struct bench_part parts[BENCH_PARTS];
};

static double bench_processor_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double bench_median(double *values, int64_t n)
{
    qsort(values, (size_t)n, sizeof *values, bench_compare);
    return values[n / 2];
}

static struct bench_part *bench_part_of(struct bench *bench, const char *type)
{
    struct bench_part *part = bench->parts;
    while (part->type && strcmp(part->type, type) != 0 && part < bench->parts + BENCH_PARTS - 1)
        part++;
    part->type = type;
    return part;
}

static enum status bench_open_optimizer(struct bench *bench, struct error *error)
{
    static const struct config_field fields[] = {
        {.key = "optimizer", .type = CONFIG_CHOICE, .variant = optimizer_table_at}, {0}};
    static const struct config_table table = {.size = sizeof(struct config_item), .fields = fields};
    struct yaml_node *node;
    struct config_item item;
    if (yaml_read_text(&node, "optimizer: { type: adam, lr: 1e-4 }\n", "bench", &bench->arena, error) ||
        config_bind(&table, node, &item, &bench->arena, error))
        return error->status;
    return optimizer_init(&bench->optimizer, &item, &bench->params, error);
}

static float *bench_draw(int64_t n)
{
    float *made = memory_alloc((size_t)n, sizeof *made);
    struct rng rng = rng_make(1, (uint64_t)n);
    for (int64_t i = 0; made && i < n; i++)
        made[i] = (float)rng_uniform(&rng, 0, 1);
    return made;
}

static enum status bench_open(struct bench *bench, const char *path, const struct bench_options *options,
                              enum network_mode mode, struct error *error)
{
    struct yaml_node *root, *node;

    if (yaml_read_file(&root, path, &bench->arena, error))
        return error->status;
    node = yaml_get(root, "network");
    if (config_bind(&network_table, node ? node : root, &bench->config, &bench->arena, error))
        return error->status;

    if (options->direct)
        bench->config.winograd = false;
    bench->config.precision = options->precision;
    const int64_t *patch = bench->config.patch_vox, size = options->size;

    const struct shape shape = {options->batch, bench->config.input_channels, size ? size : patch[2],
                                size ? size : patch[1], size ? size : patch[0]};
    if (network_describe(&bench->params, &bench->config, error) ||
        params_allocate(&bench->params, mode == NETWORK_TRAIN, error))
        return error->status;
    params_initialise(&bench->params, 1);

    if (network_new(&bench->network, &bench->config, &bench->params, shape, mode, error) ||
        (mode == NETWORK_TRAIN && bench_open_optimizer(bench, error)))
        return error->status;
    bench->src = bench_draw(shape_count(shape));
    bench->d_dst = bench_draw(shape_count(network_dst_shape(bench->network)));

    return bench->src && bench->d_dst ? STATUS_OK
                                      : error_memory(error, (size_t)shape_count(shape) * sizeof(float), "bench");
}

static void bench_close(struct bench *bench)
{
    network_free(bench->network);
    optimizer_done(&bench->optimizer);
    params_done(&bench->params);
    memory_free(bench->src);
    memory_free(bench->d_dst);
    arena_done(&bench->arena);
}

/* ---- one pass, as network.c runs it, with a clock beside every layer ---- */

static void bench_clocked(struct bench *bench, bool training)
{
    const struct pass pass = {.training = training, .seed = 1, .step = 1};
    struct network *network = bench->network;
    const float *dst = network_forward(network, bench->src, &pass);
    int64_t n = shape_count(network_dst_shape(network));
    for (int64_t i = 0; training && i < n; i++)
        bench->d_dst[i] = 2 * (dst[i] - 0.5f) / (float)n;
    if (training) {
        network_backward(network, bench->d_dst, NULL, &pass);
        optimizer_step(&bench->optimizer, &bench->params, optimizer_lr(&bench->optimizer));
    }
}

/* ---- the same, layer by layer ---- */

static bool bench_runs(const struct node *node, bool backward)
{
    return !node->skipped && (!backward || node->layer.training);
}

/* Runs one layer's pass; its processor seconds. */
static double bench_layer_s(struct node *node, const struct pass *pass, bool backward)
{
    double start = bench_processor_s();
    node->layer.scratch = backward ? node->scratch_backward : node->scratch_forward;
    network_run_layer(&node->layer, pass, backward);
    return bench_processor_s() - start;
}

/* seconds[(layer * 2 + backward) * BENCH_RUNS + run] */
static void bench_measure_layers(struct bench *bench, int64_t repeats, bool training, double *seconds)
{
    const struct pass pass = {.training = training, .seed = 1, .step = 1};
    struct network *network = bench->network;
    int64_t n = network->n_layers;
    for (int64_t r = 0; r < repeats; r++) {
        tensor_from_plain(network->values[0].data, bench->src);
        for (int64_t i = 0; i < n; i++)
            if (bench_runs(&network->nodes[i], false))
                seconds[2 * i * BENCH_RUNS + r] = bench_layer_s(&network->nodes[i], &pass, false);
        if (training)
            tensor_from_plain(network->values[n].grad, bench->d_dst);
        for (int64_t i = n - 1; i >= 0 && training; i--)
            if (bench_runs(&network->nodes[i], true))
                seconds[(2 * i + 1) * BENCH_RUNS + r] = bench_layer_s(&network->nodes[i], &pass, true);
    }
}

static void bench_print_pass(double seconds, int64_t done, double written, double peak)
{
    printf(" | %.1f", 1e3 * seconds);
    if (done && seconds > 0)
        printf(" | %.0f / %.0f", 200 * (double)done / seconds / peak, 200 * written / seconds / peak);
    else
        printf(" | -");
}

static void bench_print_layer(const struct node *node, const double seconds[2], double peak)
{
    const struct layer *layer = &node->layer;
    char src[SHAPE_TEXT], dst[SHAPE_TEXT];
    struct layer_work work = {.kernels = "-"};
    int64_t backwards = (layer->training ? 1 : 0) + (layer->needs_d_src[0] ? 1 : 0);
    if (layer->ops->work)
        work = layer->ops->work(layer);
    printf("| %s | %s | %s -> %s | %.2f", layer->name, layer->ops->config.type, shape_text(src, layer->src[0].shape),
           shape_text(dst, layer->dst.shape), node->macs / 1e9);
    bench_print_pass(seconds[0], work.forward, node->macs, peak);
    bench_print_pass(seconds[1], layer->training ? work.backward : 0, (double)backwards * node->macs, peak);
    printf(" | ");
    for (const char *c = work.kernels; *c; c++)
        putchar(*c == '|' ? ';' : *c);
    printf(" |\n");
}

/* peak: operations per second of one processor. */
static enum status bench_layers(struct bench *bench, const struct bench_options *options, bool training, double peak,
                                struct error *error)
{
    const struct network *network = bench->network;
    int64_t n = network->n_layers;
    double *seconds = memory_zalloc((size_t)(2 * n * BENCH_RUNS), sizeof *seconds);

    if (!seconds)
        return error_memory(error, (size_t)(2 * n * BENCH_RUNS) * sizeof *seconds, "bench");
    bench_measure_layers(bench, options->repeats, training, seconds);
    if (!options->brief && training)
        printf("| layer | type | shapes | GMAC written | forward ms | done / written %% | backward ms | done / written "
               "%% | kernels |\n"
               "|---|---|---|---|---|---|---|---|---|\n");

    for (int64_t i = 0; i < n; i++) {
        const struct node *node = &network->nodes[i];
        const double median[2] = {bench_median(seconds + 2 * i * BENCH_RUNS, options->repeats),
                                  bench_median(seconds + (2 * i + 1) * BENCH_RUNS, options->repeats)};
        struct bench_part *part = bench_part_of(bench, node->layer.ops->config.type);
        part->forward += median[0];
        part->backward += median[1];
        if (!options->brief && training && !node->skipped)
            bench_print_layer(node, median, peak);
    }

    for (const struct bench_part *part = bench->parts; part->type; part++)
        if (part->forward + part->backward > 0.002)
            printf("%s%s %.3f", part == bench->parts ? "  of processor, by kind: " : ", ", part->type,
                   part->forward + part->backward);
    printf("\n");
    memory_free(seconds);

    return STATUS_OK;
}

static enum status bench_run(const char *path, const struct bench_options *options, bool training, double peak,
                             struct error *error)
{
    struct bench bench = {0};
    double wall[BENCH_RUNS], processor[BENCH_RUNS];

    if (!bench_open(&bench, path, options, training ? NETWORK_TRAIN : NETWORK_INFER, error)) {
        bench_clocked(&bench, training);
        for (int64_t r = 0; r < options->repeats; r++) {
            double start = peak_clock_s(), start_processor = bench_processor_s();
            bench_clocked(&bench, training);
            wall[r] = peak_clock_s() - start;
            processor[r] = bench_processor_s() - start_processor;
        }
        char text[SHAPE_TEXT];
        printf("\n%s %s %s: %.2f s, of processor %.2f s, arena %.0f MB\n", bench.config.name,
               shape_text(text, network_src_shape(bench.network)), training ? "step" : "forward",
               bench_median(wall, options->repeats), bench_median(processor, options->repeats),
               (double)network_bytes(bench.network) / 1048576);
        bench_layers(&bench, options, training, peak, error);
        fflush(stdout);
    }

    bench_close(&bench);
    return error->status;
}

/* As the peers do it: "ready" after a first pass, then for every line read one pass and "WALL_S PROCESSOR_S". */
static enum status bench_serve(const char *path, const struct bench_options *options, struct error *error)
{
    bool training = options->serve == SERVE_STEP;
    struct bench bench = {0};

    if (!bench_open(&bench, path, options, training ? NETWORK_TRAIN : NETWORK_INFER, error)) {
        bench_clocked(&bench, training);
        printf("ready %s\n", engine_version());
        fflush(stdout);
        for (int c; (c = getchar()) != EOF;) {
            struct timespec start, end;
            double processor = bench_processor_s();
            if (c != '\n')
                continue;
            clock_gettime(CLOCK_MONOTONIC, &start);
            bench_clocked(&bench, training);
            clock_gettime(CLOCK_MONOTONIC, &end);
            printf("%.6f %.6f\n", (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec),
                   bench_processor_s() - processor);
            fflush(stdout);
        }
    }

    bench_close(&bench);
    return error->status;
}

int main(int argc, char **argv)
{
    struct bench_options options;
    struct config_strings arguments;
    struct arena arena = {0};
    struct error error = {0};

    if (options_parse(&bench_table, &options, argc - 1, argv + 1, &arguments, &arena, &error)) {
        error_print(stderr, &error);
        options_help(&bench_table, stderr, &error);
        return (int)error.status;
    }

    parallel_set_threads((int)options.threads);
    if (options.serve && arguments.n)
        bench_serve(arguments.items[0], &options, &error);
    double peak = options.serve ? 0 : peak_flops() / parallel_threads();

    if (!options.serve)
        printf("%s, %d threads, %.0f GFLOP/s peak each; medians of %d\n", engine_version(), parallel_threads(),
               peak / 1e9, (int)options.repeats);
    for (int64_t i = 0; i < arguments.n && !error.status && !options.serve; i++)
        for (int training = 0; training < 2 && !error.status; training++)
            bench_run(arguments.items[i], &options, training, peak, &error);

    if (error.status)
        error_print(stderr, &error);
    arena_done(&arena);
    return (int)error.status;
}
