/* precision.c - what bfloat16 costs in accuracy: a forward pass and the gradient of a network with `precision:
 * bfloat16` beside the same in float32.
 *
 *     build/bench_precision NETWORK.yaml [EDGE]      parameters are drawn, the input is a block of bone with noise */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "nn/network/network.h"

/* ||a - b|| / ||b|| */
static double relative(const float *a, const float *b, int64_t n)
{
    double squares = 0, all = 0;
    for (int64_t i = 0; i < n; i++) {
        squares += pow((double)a[i] - (double)b[i], 2);
        all += pow((double)b[i], 2);
    }
    return sqrt(squares / all);
}

static void compare(const float *exact, const float *half, int64_t n)
{
    double worst = 0;
    int64_t flipped = 0;
    for (int64_t i = 0; i < n; i++) {
        worst = fmax(worst, fabs((double)half[i] - (double)exact[i]));
        flipped += (half[i] > 0.5F) != (exact[i] > 0.5F);
    }
    printf("output: largest difference %.3g, relative L2 %.3g, on the other side of 0.5: %.4f %% of voxels", worst,
           relative(half, exact, n), 100.0 * (double)flipped / (double)n);
}

/* dst and, in params->grad, the gradient of the mean squared difference to a block. */
static enum status step(const struct network_config *config, struct params *params, struct shape src,
                        const float *values, float *dst, struct error *error)
{
    const struct pass pass = {.training = true, .seed = 1, .step = 1};
    struct network *network = NULL;
    if (network_new(&network, config, params, src, NETWORK_TRAIN, error))
        return error->status;
    const int64_t n = shape_count(network_dst_shape(network));
    float *d_dst = memory_alloc((size_t)n, sizeof *d_dst);
    if (!d_dst) {
        network_free(network);
        return error_memory(error, (size_t)n * sizeof *d_dst, "a gradient");
    }
    memcpy(dst, network_forward(network, values, &pass), (size_t)n * sizeof *dst);
    for (int64_t i = 0; i < n; i++)
        d_dst[i] = 2 * (dst[i] - (i > n / 3 && i < n / 2 ? 1.0F : 0.0F)) / (float)n;
    network_backward(network, d_dst, NULL, &pass);
    memory_free(d_dst);
    network_free(network);
    return STATUS_OK;
}

static enum status run(const char *path, int64_t edge, struct arena *arena, struct error *error)
{
    struct yaml_node *root;
    struct network_config config;
    struct network_cost cost;
    struct params params = {0};
    if (yaml_read_file(&root, path, arena, error) ||
        config_bind(&network_table, yaml_get(root, "network"), &config, arena, error) ||
        network_describe(&params, &config, error) || params_allocate(&params, true, error))
        return error->status;
    params_initialise(&params, 1);
    const struct shape src = {1, config.input_channels, edge, edge, edge};
    if (network_cost(&cost, &config, src, error))
        return error->status;

    const int64_t n = shape_count(src), n_dst = shape_count(cost.dst), n_grad = params.n_trainable;
    float *values = arena_alloc(arena, (size_t)(n + 2 * n_dst + n_grad), sizeof *values);
    if (!values)
        return error_memory(error, (size_t)(n + 2 * n_dst + n_grad) * sizeof *values, "values");
    float *exact = values + n, *half = exact + n_dst, *grad = half + n_dst;
    struct rng rng = rng_make(1, 2);
    for (int64_t i = 0; i < n; i++)
        values[i] = rng_uniform(&rng, 0, 1) < (i / edge % edge > edge / 2 ? 0.95 : 0.05) ? 1 : 0;

    config.precision = PRECISION_FLOAT32;
    if (step(&config, &params, src, values, exact, error))
        return error->status;
    memcpy(grad, params.grad, (size_t)n_grad * sizeof *grad);
    config.precision = PRECISION_BFLOAT16;
    if (step(&config, &params, src, values, half, error))
        return error->status;
    printf("%s, %d^3: ", config.name, (int)edge);
    compare(exact, half, n_dst);
    printf("; gradient: relative L2 %.3g\n", relative(params.grad, grad, n_grad));
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
