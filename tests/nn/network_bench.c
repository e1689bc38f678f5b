/* network_bench.c - see network_bench.h. */
#include "tests/nn/network_bench.h"

#include "base/rng.h"
#include "tests/check.h"

enum status network_bench_config(struct network_bench *bench, const char *layers, int64_t input_channels,
                                 struct error *error)
{
    struct yaml_node *node;
    char *text = arena_printf(&bench->arena, "name: tiny\ninput_channels: %d\npatch_vox: 8\nlayers: %s\n",
                              (int)input_channels, layers);
    if (!text)
        return error_memory(error, 1000, "the test's YAML");
    if (yaml_read_text(&node, text, "tiny.yaml", &bench->arena, error))
        return error->status;
    return config_bind(&network_table, node, &bench->config, &bench->arena, error);
}

static float *bench_draw(int64_t n, uint64_t stream)
{
    struct rng rng = rng_make(5, stream);
    float *values = memory_alloc((size_t)n, sizeof *values);
    for (int64_t i = 0; values && i < n; i++)
        values[i] = (float)rng_uniform(&rng, -1, 1);
    return values;
}

bool network_bench_open(struct network_bench *bench, const char *layers, struct shape src, enum network_mode mode,
                        const struct network_options *options)
{
    struct error error = {0};
    *bench = (struct network_bench){.src_shape = src};
    if (!CHECK_OK(network_bench_config(bench, layers, src.c, &error), &error) ||
        !CHECK_OK(network_describe(&bench->params, &bench->config, &error), &error) ||
        !CHECK_OK(params_allocate(&bench->params, true, &error), &error))
        return false;
    params_initialise(&bench->params, 1);
    if (!CHECK_OK(network_new_with(&bench->network, &bench->config, &bench->params, src, mode, options, &error),
                  &error))
        return false;
    bench->dst_shape = network_dst_shape(bench->network);
    bench->src = bench_draw(shape_count(src), 0);
    bench->d_dst = bench_draw(shape_count(bench->dst_shape), 1);
    return CHECK(bench->src && bench->d_dst);
}

void network_bench_close(struct network_bench *bench)
{
    network_free(bench->network);
    params_done(&bench->params);
    memory_free(bench->src);
    memory_free(bench->d_dst);
    arena_done(&bench->arena);
}
