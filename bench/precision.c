/* precision.c - what bfloat16 would cost in accuracy: a forward pass with parameters and every layer's output rounded
 * to bfloat16, sums in float32 as such hardware keeps them, beside the same pass in float32.
 *
 *     build/bench_precision NETWORK.yaml [EDGE]      parameters are drawn, the input is a block of bone with noise */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "nn/network/network_impl.h"

/* To the nearest of 8 bits of mantissa, ties to even. */
static void round_values(float *values, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000U;
        memcpy(&values[i], &bits, sizeof bits);
    }
}

static void forward_rounded(struct network *network, const float *src, float *dst)
{
    tensor_from_plain(network->values[0].data, src);
    for (int64_t i = 0; i < network->n_layers; i++) {
        struct node *node = &network->nodes[i];
        if (node->skipped)
            continue;
        node->layer.scratch = node->scratch_forward;
        node->layer.ops->forward(&node->layer, &(struct pass){0});
        round_values(node->layer.dst.data, tensor_floats(node->layer.dst.shape));
    }
    tensor_to_plain(dst, network->values[network->n_layers].data);
}

static void compare(const float *exact, const float *rounded, int64_t n)
{
    double worst = 0, squares = 0, all = 0;
    int64_t flipped = 0;
    for (int64_t i = 0; i < n; i++) {
        double off = (double)rounded[i] - (double)exact[i];
        worst = fmax(worst, fabs(off));
        squares += off * off;
        all += (double)exact[i] * (double)exact[i];
        flipped += (rounded[i] > 0.5F) != (exact[i] > 0.5F);
    }
    printf("output: largest difference %.3g, relative L2 %.3g, on the other side of 0.5: %.4f %% of voxels\n", worst,
           sqrt(squares / all), 100.0 * (double)flipped / (double)n);
}

static enum status run(const char *path, int64_t edge, struct arena *arena, struct error *error)
{
    struct yaml_node *root;
    struct network_config config;
    struct params params = {0};
    struct network *network = NULL;
    if (yaml_read_file(&root, path, arena, error) ||
        config_bind(&network_table, yaml_get(root, "network"), &config, arena, error) ||
        network_describe(&params, &config, error) || params_allocate(&params, false, error))
        return error->status;
    params_initialise(&params, 1);
    struct shape src = {1, config.input_channels, edge, edge, edge};
    if (network_new(&network, &config, &params, src, NETWORK_INFER, error))
        return error->status;
    int64_t n = shape_count(src), n_dst = shape_count(network_dst_shape(network));
    float *values = arena_alloc(arena, (size_t)(n + 2 * n_dst), sizeof *values), *exact = values + n,
          *rounded = exact + n_dst;
    struct rng rng = rng_make(1, 2);
    if (!values)
        return error_memory(error, (size_t)(n + 2 * n_dst) * sizeof *values, "values");
    for (int64_t i = 0; i < n; i++)
        values[i] = rng_uniform(&rng, 0, 1) < (i / edge % edge > edge / 2 ? 0.95 : 0.05) ? 1 : 0;
    memcpy(exact, network_forward(network, values, &(struct pass){0}), (size_t)n_dst * sizeof *exact);
    round_values(params.value, params.n_floats);
    network_params_changed(network);
    forward_rounded(network, values, rounded);
    printf("%s, %d^3: ", config.name, (int)edge);
    compare(exact, rounded, n_dst);
    network_free(network);
    params_done(&params);
    return STATUS_OK;
}

int main(int argc, char **argv)
{
    struct arena arena = {0};
    struct error error = {0};
    long edge = argc > 2 ? strtol(argv[2], NULL, 10) : 64;
    if (argc < 2 || edge < 16 || edge > 512) {
        fprintf(stderr, "usage: bench_precision NETWORK.yaml [EDGE: 16 to 512]\n");
        return 2;
    }
    enum status status = run(argv[1], edge, &arena, &error);
    if (status)
        error_print(stderr, &error);
    arena_done(&arena);
    return status ? 1 : 0;
}
