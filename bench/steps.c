/* steps.c - whole networks: wall clock and processor time of a forward pass and of a training step (forward, squared error, backward, Adam), and
 * where the processor time goes.
 *
 *     bench_steps NETWORK.yaml... [--size 96] [--batch 1] [--threads N] [--repeats 5] [--direct] [--layers]
 *
 * --size: edge of the cube (0: the file's patch_vox). --direct: no Winograd. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/options.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "bench/peak.h"
#include "nn/engine.h"
#include "nn/network_impl.h"
#include "nn/optimizer.h"

struct steps_options {
    int64_t size, batch, threads, repeats;
    bool direct, layers;
};

#define STEPS_OPTION(name) .offset = offsetof(struct steps_options, name)
static const struct config_field steps_fields[] = {
    {.key = "size", .type = CONFIG_INT, STEPS_OPTION(size), .text = "0", .min = 0, .max = 4096, .help = "edge of the patch; 0: the network's own"},
    {.key = "batch", .type = CONFIG_INT, STEPS_OPTION(batch), .text = "1", .min = 1, .max = 64, .help = "patches per step"},
    {.key = "threads", .type = CONFIG_INT, STEPS_OPTION(threads), .text = "0", .min = 0, .max = 1024, .help = "threads; 0: all processors"},
    {.key = "repeats", .type = CONFIG_INT, STEPS_OPTION(repeats), .text = "5", .min = 1, .max = 99, .help = "runs; medians count"},
    {.key = "direct", .type = CONFIG_BOOL, STEPS_OPTION(direct), .text = "false", .help = "no Winograd"},
    {.key = "layers", .type = CONFIG_BOOL, STEPS_OPTION(layers), .text = "false", .help = "also every layer's processor time"},
    {0}};
static const struct config_table steps_table = {.size = sizeof(struct steps_options), .fields = steps_fields};

enum { STEPS_RUNS = 100, STEPS_PARTS = 16 };

/* Processor seconds of the last step by layer type. */
struct steps_part {
    const char *type;
    double forward, backward;
};

struct steps {
    struct network_config config;
    struct params params;
    struct network *network;
    struct arena arena;
    float *src, *d_dst;
    struct optimizer optimizer;
    struct steps_part parts[STEPS_PARTS];
};

static double steps_processor_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int steps_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double steps_median(double *values, int64_t n)
{
    qsort(values, (size_t)n, sizeof *values, steps_compare);
    return values[n / 2];
}

static struct steps_part *steps_part_of(struct steps *steps, const char *type)
{
    struct steps_part *part = steps->parts;
    while (part->type && strcmp(part->type, type) != 0 && part < steps->parts + STEPS_PARTS - 1)
        part++;
    part->type = type;
    return part;
}

static enum status steps_open_optimizer(struct steps *steps, struct error *error)
{
    static const struct config_field fields[] = {{.key = "optimizer", .type = CONFIG_CHOICE, .variant = optimizer_table_at}, {0}};
    static const struct config_table table = {.size = sizeof(struct config_item), .fields = fields};
    struct yaml_node *node;
    struct config_item item;
    if (yaml_read_text(&node, "optimizer: { type: adam, lr: 1e-4 }\n", "bench", &steps->arena, error) ||
        config_bind(&table, node, &item, &steps->arena, error))
        return error->status;
    return optimizer_init(&steps->optimizer, &item, &steps->params, error);
}

static float *steps_draw(int64_t n)
{
    float *made = memory_alloc((size_t)n, sizeof *made);
    struct rng rng = rng_make(1, (uint64_t)n);
    for (int64_t i = 0; made && i < n; i++)
        made[i] = (float)rng_uniform(&rng, 0, 1);
    return made;
}

static enum status steps_open(struct steps *steps, const char *path, const struct steps_options *options, enum network_mode mode,
                              struct error *error)
{
    struct yaml_node *root, *node;
    if (yaml_read_file(&root, path, &steps->arena, error))
        return error->status;
    node = yaml_get(root, "network");
    if (config_bind(&network_table, node ? node : root, &steps->config, &steps->arena, error))
        return error->status;
    if (options->direct)
        steps->config.winograd = false;
    const int64_t *patch = steps->config.patch_vox, size = options->size;
    const struct shape shape = {options->batch, steps->config.input_channels, size ? size : patch[2], size ? size : patch[1],
                                size ? size : patch[0]};
    if (network_describe(&steps->params, &steps->config, error) || params_allocate(&steps->params, mode == NETWORK_TRAIN, error))
        return error->status;
    params_initialise(&steps->params, 1);
    if (network_new(&steps->network, &steps->config, &steps->params, shape, mode, error) ||
        (mode == NETWORK_TRAIN && steps_open_optimizer(steps, error)))
        return error->status;
    steps->src = steps_draw(shape_count(shape));
    steps->d_dst = steps_draw(shape_count(network_dst_shape(steps->network)));
    return steps->src && steps->d_dst ? STATUS_OK : error_memory(error, (size_t)shape_count(shape) * sizeof(float), "bench");
}

static void steps_close(struct steps *steps)
{
    network_free(steps->network);
    optimizer_done(&steps->optimizer);
    params_done(&steps->params);
    memory_free(steps->src);
    memory_free(steps->d_dst);
    arena_done(&steps->arena);
}

/* ---- one pass, as network.c runs it, with a clock beside every layer ---- */

static void steps_clocked(struct steps *steps, bool training)
{
    const struct pass pass = {.training = training, .seed = 1, .step = 1};
    struct network *network = steps->network;
    const float *dst = network_forward(network, steps->src, &pass);
    int64_t n = shape_count(network_dst_shape(network));
    for (int64_t i = 0; training && i < n; i++)
        steps->d_dst[i] = 2 * (dst[i] - 0.5f) / (float)n;
    if (training) {
        network_backward(network, steps->d_dst, NULL, &pass);
        optimizer_step(&steps->optimizer, &steps->params, optimizer_lr(&steps->optimizer));
    }
}

static void steps_split(struct steps *steps, bool training, bool layers)
{
    const struct pass pass = {.training = training, .seed = 1, .step = 1};
    struct network *network = steps->network;
    double start = steps_processor_s(), now, forward[1000] = {0};
    int64_t n = network->n_layers < 1000 ? network->n_layers : 1000;
    tensor_from_plain(network->values[0].data, steps->src);
    for (int64_t i = 0; i < n; i++) {
        struct node *node = &network->nodes[i];
        if (node->skipped)
            continue;
        start = steps_processor_s();
        node->layer.scratch = node->scratch_forward;
        node->layer.ops->forward(&node->layer, &pass);
        now = steps_processor_s();
        forward[i] = now - start;
        steps_part_of(steps, node->layer.ops->config.type)->forward += forward[i];
    }
    if (training)
        tensor_from_plain(network->values[n].grad, steps->d_dst);
    for (int64_t i = n - 1; i >= 0; i--) {
        struct node *node = &network->nodes[i];
        if (node->skipped)
            continue;
        start = steps_processor_s();
        node->layer.scratch = node->scratch_backward;
        if (training && node->layer.training)
            node->layer.ops->backward(&node->layer, &pass);
        now = steps_processor_s();
        steps_part_of(steps, node->layer.ops->config.type)->backward += now - start;
        if (layers)
            printf("    %-16s %-14s forward %6.1f ms  backward %6.1f ms\n", node->layer.name, node->layer.ops->config.type, 1e3 * forward[i],
                   1e3 * (now - start));
    }
    if (!training)
        return;
    start = steps_processor_s();
    optimizer_step(&steps->optimizer, &steps->params, 0);
    steps_part_of(steps, "optimizer")->backward = steps_processor_s() - start;
}

static enum status steps_run(const char *path, const struct steps_options *options, bool training, struct error *error)
{
    struct steps steps = {0};
    double wall[STEPS_RUNS], processor[STEPS_RUNS];
    if (!steps_open(&steps, path, options, training ? NETWORK_TRAIN : NETWORK_INFER, error)) {
        steps_clocked(&steps, training);
        for (int64_t r = 0; r < options->repeats; r++) {
            double start = peak_clock_s(), start_processor = steps_processor_s();
            steps_clocked(&steps, training);
            wall[r] = peak_clock_s() - start;
            processor[r] = steps_processor_s() - start_processor;
        }
        char text[SHAPE_TEXT];
        printf("%-14s %-18s %-8s %6.2f s, %6.2f s of processor, arena %5.0f MB:", steps.config.name,
               shape_text(text, network_src_shape(steps.network)), training ? "step" : "forward", steps_median(wall, options->repeats),
               steps_median(processor, options->repeats), (double)network_bytes(steps.network) / 1048576);
        steps_split(&steps, training, options->layers);
        for (const struct steps_part *part = steps.parts; part->type; part++)
            if (part->forward + part->backward > 0.002)
                printf(" %s %.2f", part->type, part->forward + part->backward);
        printf("\n");
        fflush(stdout);
    }
    steps_close(&steps);
    return error->status;
}

int main(int argc, char **argv)
{
    struct steps_options options;
    struct config_strings arguments;
    struct arena arena = {0};
    struct error error = {0};
    if (options_parse(&steps_table, &options, argc - 1, argv + 1, &arguments, &arena, &error)) {
        error_print(stderr, &error);
        options_help(&steps_table, stderr);
        return (int)error.status;
    }
    parallel_set_threads((int)options.threads);
    printf("%s, %d threads; medians of %d; last: processor seconds of one more by kind of layer\n", engine_version(), parallel_threads(),
           (int)options.repeats);
    for (int64_t i = 0; i < arguments.n && !error.status; i++)
        for (int training = 0; training < 2 && !error.status; training++)
            steps_run(arguments.items[i], &options, training, &error);
    if (error.status)
        error_print(stderr, &error);
    arena_done(&arena);
    return (int)error.status;
}
