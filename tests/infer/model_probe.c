/* model_probe.c - for scripts/check_onnx.py and scripts/golden/keras_files.py: models of random weights, and a
 *   model's answer.
 *   model_probe make NETWORK.yaml SEED MODEL.h5          weights drawn; norms far from the identity
 *   model_probe forward MODEL.h5 N X Y Z [coarse] < SRC > DST     float32, N,C,z,y,x with x fastest */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "infer/restore.h"

static int fail(const struct error *error)
{
    error_print(stderr, error);
    return 1;
}

/* Scales and variances around 1, shifts and means around 0: none may pass unseen. */
static void draw_norms(struct params *params, uint64_t seed)
{
    struct rng rng = rng_make(seed, 1);
    for (int64_t i = 0; i < params->n; i++) {
        const struct param *param = &params->items[i];
        bool around_one = strstr(param->name, ".gamma") || strstr(param->name, ".moving_variance");
        for (int64_t k = 0; k < param->count && param->n_dims == 1; k++)
            params->value[param->offset + k] =
                (float)(around_one ? rng_uniform(&rng, 0.5, 1.5) : rng_uniform(&rng, -0.3, 0.3));
    }
}

static int make(const char *yaml, uint64_t seed, const char *path)
{
    struct error error = {0};
    struct arena arena = {0};
    struct yaml_node *root;
    struct model model = {0};
    struct restore_config restore;
    if (yaml_read_file(&root, yaml, &arena, &error) ||
        config_bind(&network_table, yaml_get(root, "network"), &model.network, &arena, &error) ||
        network_describe(&model.params, &model.network, &error) || params_allocate(&model.params, false, &error) ||
        config_bind(&restore_table, NULL, &restore, &arena, &error))
        return fail(&error);
    params_initialise(&model.params, seed);
    draw_norms(&model.params, seed);
    char *text = config_dump_text(&restore_table, &restore);
    struct model_text texts[] = {{"restore", text}, {"licence", "random weights"}};
    model.texts = texts;
    model.n_texts = 2;
    return model_write(path, &model, &error) ? fail(&error) : 0;
}

static int forward(char **argument, bool coarse)
{
    struct error error = {0};
    struct model model = {0};
    struct network *network;
    if (model_read(&model, argument[0], false, &error))
        return fail(&error);
    struct model *stage = coarse && model.coarse ? model.coarse : &model;
    const struct shape src = {strtoll(argument[1], NULL, 10), stage->network.input_channels,
                              strtoll(argument[4], NULL, 10), strtoll(argument[3], NULL, 10),
                              strtoll(argument[2], NULL, 10)};
    if (network_new(&network, &stage->network, &stage->params, src, NETWORK_INFER, &error))
        return fail(&error);
    size_t n = (size_t)shape_count(src);
    float *values = memory_alloc(n, sizeof *values);
    if (!values || fread(values, sizeof *values, n, stdin) != n) {
        fprintf(stderr, "error: standard input: fewer than %zu floats\n", n);
        return 1;
    }
    const float *dst = network_forward(network, values, &(struct pass){0});
    n = (size_t)shape_count(network_dst_shape(network));
    if (fwrite(dst, sizeof *dst, n, stdout) != n || fflush(stdout) != 0)
        return 1;
    memory_free(values);
    network_free(network);
    model_done(&model);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "make") == 0)
        return make(argv[2], strtoull(argv[3], NULL, 10), argv[4]);
    if ((argc == 7 || argc == 8) && strcmp(argv[1], "forward") == 0)
        return forward(argv + 2, argc == 8 && strcmp(argv[7], "coarse") == 0);
    fprintf(stderr, "usage: model_probe make NETWORK.yaml SEED MODEL.h5 | forward MODEL.h5 N X Y Z [coarse]\n");
    return 2;
}
