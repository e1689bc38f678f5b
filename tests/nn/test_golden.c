/* Whole networks against Keras and PyTorch: output and loss, every gradient, ten optimizer steps, the test output after them.
 * The files are written by the scripts of scripts/golden in float64 and hold no inputs: both sides draw the same numbers. */
#include <float.h>
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/loss.h"
#include "nn/optimizer.h"
#include "tests/check.h"
#include "tests/nn/network_bench.h"

/* Uniform in [-1, 1): splitmix64 of stream * 2^32 + element. As draw() in scripts/golden/golden.py. */
static double golden_draw(uint64_t stream, uint64_t element)
{
    uint64_t x = (stream << 32) + element + UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    x ^= x >> 31;
    return (double)(x >> 40) / 0x1p23 - 1;
}

/* Entries in the order the layers declared them, which is not the block's order. */
static void golden_initial(const struct network *network, struct params *params)
{
    uint64_t index = 100;
    for (int64_t i = 0; i < network_n_layers(network); i++) {
        const struct layer *layer = network_layer(network, i);
        for (int k = 0; k < layer->n_params; k++, index++) {
            const struct param *param = layer->param[k];
            const char *kind = strchr(param->name, '.') + 1;
            bool around_one = strcmp(kind, "gamma") == 0 || strcmp(kind, "moving_variance") == 0;
            double scale = (double)(float)sqrt(3.0 * (double)param->dim[0] / (double)param->count);
            for (int64_t e = 0; e < param->count; e++) {
                double u = golden_draw(index, (uint64_t)e);
                params->value[param->offset + e] = (float)(strcmp(kind, "w") == 0 ? u * scale : (around_one ? 1 : 0) + 0.25 * u);
            }
        }
    }
}

struct golden {
    struct arena arena;
    struct network_config config;
    struct params params;
    struct network *network;
    struct config_list losses;
    struct optimizer optimizer;
    float *src, *target, *d_p;
    hid_t file;
};

struct golden_recipe {
    struct network_config network;
    struct config_list loss;
    struct config_item optimizer;
};

static const struct config_field golden_fields[] = {
    {.key = "network", .type = CONFIG_TABLE, .offset = offsetof(struct golden_recipe, network), .table = &network_table},
    {.key = "loss", .type = CONFIG_LIST, .offset = offsetof(struct golden_recipe, loss), .variant = loss_table_at},
    {.key = "optimizer", .type = CONFIG_CHOICE, .offset = offsetof(struct golden_recipe, optimizer), .variant = optimizer_table_at},
    {0}};
static const struct config_table golden_table = {.size = sizeof(struct golden_recipe), .fields = golden_fields};

static float *golden_bits(int64_t n, uint64_t stream, double above)
{
    float *bits = memory_alloc((size_t)n, sizeof *bits);
    for (int64_t i = 0; bits && i < n; i++)
        bits[i] = golden_draw(stream, (uint64_t)i) > above ? 1 : 0;
    return bits;
}

static enum status golden_build(struct golden *golden, const char *name, int64_t batch, const char *const *sets, struct error *error)
{
    static struct golden_recipe recipe;
    struct yaml_node *root;
    char *path = arena_printf(&golden->arena, "tests/nn/golden/%s.yaml", name);
    if (yaml_read_file(&root, path, &golden->arena, error))
        return error->status;
    for (; *sets; sets++)
        if (yaml_set(root, *sets, &golden->arena, error))
            return error->status;
    if (config_bind(&golden_table, root, &recipe, &golden->arena, error))
        return error->status;
    golden->config = recipe.network;
    golden->losses = recipe.loss;
    const int64_t *patch = golden->config.patch_vox;
    struct shape src = {batch, 1, patch[2], patch[1], patch[0]};
    if (network_describe(&golden->params, &golden->config, error) || params_allocate(&golden->params, true, error) ||
        network_new(&golden->network, &golden->config, &golden->params, src, NETWORK_TRAIN, error) ||
        optimizer_init(&golden->optimizer, &recipe.optimizer, &golden->params, error))
        return error->status;
    golden_initial(golden->network, &golden->params);
    int64_t n = shape_count(src);
    golden->src = golden_bits(n, 1, 0.3);
    golden->target = golden_bits(n, 2, 0.2);
    golden->d_p = memory_alloc((size_t)n, sizeof(float));
    return STATUS_OK;
}

static void golden_done(struct golden *golden)
{
    network_free(golden->network);
    optimizer_done(&golden->optimizer);
    params_done(&golden->params);
    memory_free(golden->src);
    memory_free(golden->target);
    memory_free(golden->d_p);
    arena_done(&golden->arena);
    if (golden->file >= 0)
        H5Fclose(golden->file);
}

/* Compares n floats with a dataset; tolerance is a share of the dataset's largest value, or of `floor_magnitude`. */
static bool golden_compare(struct golden *golden, const char *name, const float *got, int64_t n, double share, double floor_magnitude)
{
    double largest = floor_magnitude, worst = 0;
    int64_t at = 0;
    float *expected = memory_alloc((size_t)n, sizeof *expected);
    hid_t dataset = H5Dopen2(golden->file, name, H5P_DEFAULT), space = H5Dget_space(dataset);
    bool ok = CHECK(expected && H5Sget_simple_extent_npoints(space) == n) &&
              CHECK(H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, expected) >= 0);
    for (int64_t i = 0; ok && i < n; i++) {
        double distance = fabs((double)got[i] - (double)expected[i]);
        largest = fmax(largest, fabs((double)expected[i]));
        if (!(distance <= worst)) {
            worst = distance;
            at = i;
        }
    }
    if (ok && !CHECK(worst <= share * largest)) {
        fprintf(stderr, "%s: [%d] is %.9g, expected %.9g within %.3g\n", name, (int)at, (double)got[at], (double)expected[at], share * largest);
        ok = false;
    }
    H5Sclose(space);
    H5Dclose(dataset);
    memory_free(expected);
    return ok;
}

static void golden_compare_gradients(struct golden *golden)
{
    const struct params *params = &golden->params;
    char name[128];
    for (int64_t i = 0; i < params->n; i++) {
        const struct param *param = &params->items[i];
        snprintf(name, sizeof name, "grad/%s", param->name);
        if (param->trainable)
            golden_compare(golden, name, params->grad + param->offset, param->count, 2e-5, 1e-4);
    }
}

/* Ten steps at learning rate lr move a value by up to 10 lr; it may be off by a hundredth of that. */
static void golden_compare_values(struct golden *golden, double lr)
{
    const struct params *params = &golden->params;
    char name[128];
    for (int64_t i = 0; i < params->n; i++) {
        const struct param *param = &params->items[i];
        snprintf(name, sizeof name, "value/%s", param->name);
        golden_compare(golden, name, params->value + param->offset, param->count, param->trainable ? 0.1 * lr : 1e-4, 1);
    }
}

static void golden_train(struct golden *golden)
{
    struct shape shape = network_dst_shape(golden->network);
    for (uint64_t step = 1; step <= 10; step++) {
        const struct pass pass = {.training = true, .seed = 1, .step = step};
        const float *p = network_forward(golden->network, golden->src, &pass);
        const struct loss_batch batch = {.shape = shape, .p = p, .t = golden->target, .step = (int64_t)step};
        float loss = (float)loss_sum(&golden->losses, &batch, golden->d_p, NULL);
        if (step == 1) {
            golden_compare(golden, "dst", p, shape_count(shape), 1e-5, 1);
            golden_compare(golden, "loss", &loss, 1, 1e-6, 0);
        }
        network_backward(golden->network, golden->d_p, NULL, &pass);
        if (step == 1)
            golden_compare_gradients(golden);
        optimizer_step(&golden->optimizer, &golden->params, optimizer_lr(&golden->optimizer));
    }
}

static void check_golden(const char *name, int64_t batch, const char *const *sets)
{
    struct golden golden = {.file = -1};
    struct error error = {0};
    char path[128];
    snprintf(path, sizeof path, "tests/nn/golden/%s.h5", name);
    golden.file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (CHECK(golden.file >= 0) && CHECK_OK(golden_build(&golden, name, batch, sets, &error), &error)) {
        golden_train(&golden);
        golden_compare_values(&golden, optimizer_lr(&golden.optimizer));
        const float *p = network_forward(golden.network, golden.src, &(struct pass){0});
        golden_compare(&golden, "dst_test", p, shape_count(network_dst_shape(golden.network)), 1e-3, 1);
    }
    golden_done(&golden);
}

static void test_mia_ae(void)
{
    const char *const sets[] = {"loss=[ { type: mse } ]", "optimizer={ type: adam, lr: 2.0e-4, beta1: 0.5, epsilon: 1.0e-7, form: keras }", NULL};
    check_golden("mia_ae", 1, sets);
}

static void test_unet(void)
{
    const char *const sets[] = {"loss=[ { type: dice } ]",
                                "optimizer={ type: adamw, lr: 1.0e-3, epsilon: 1.0e-8, form: pytorch, weight_decay: 0.01 }", NULL};
    check_golden("unet", 2, sets);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"mia_ae", test_mia_ae}, {"unet", test_unet}, {0}};
    return check_main(argc, argv, tests);
}
