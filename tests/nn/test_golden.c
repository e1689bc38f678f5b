/* Whole networks against Keras and PyTorch: output and loss, every gradient, ten optimizer steps, the test output after
 * them. The files are written by the scripts of scripts/golden in float64 and hold no inputs: both sides draw the same
 * numbers.
 *
 * With CALVARIA_GOLDEN_FULL=FOLDER, the folder the scripts filled with `--full`: the widths of configs/networks
 * instead. At full width some of millions of activations lie on the other side of a kink in float32, so nothing is
 * required then: a line per network tells the largest errors, to be read beside those of the framework's own float32
 * (scripts/golden/compare.py). */
#include <float.h>
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
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
                params->value[param->offset + e] =
                    (float)(strcmp(kind, "w") == 0 ? u * scale : (around_one ? 1 : 0) + 0.25 * u);
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
    const struct golden_case *is;
    int64_t steps;
    bool full, half; /* half: precision: bfloat16 */
    hid_t file;
    double worst_dst, worst_grad, worst_value, worst_test,
        worst_l2; /* of the tensors' largest values; of the learning rate for values */
};

/* One comparison. */
struct golden_case {
    const char *name;
    int64_t batch, full_batch;
    const char *const *sets;  /* what the YAML leaves open: loss, optimizer */
    int64_t values_after;     /* steps; the losses are compared over all ten */
    double gradients, losses; /* tolerances: of each tensor's largest, and of the loss */
};

struct golden_recipe {
    struct network_config network;
    struct config_list loss;
    struct config_item optimizer;
};

/* clang-format off */
static const struct config_field golden_fields[] = {
    {.key = "network", .type = CONFIG_TABLE, .offset = offsetof(struct golden_recipe, network),
     .table = &network_table},
    {.key = "loss", .type = CONFIG_LIST, .offset = offsetof(struct golden_recipe, loss), .variant = loss_table_at},
    {.key = "optimizer", .type = CONFIG_CHOICE, .offset = offsetof(struct golden_recipe, optimizer),
     .variant = optimizer_table_at},
    {0}};
/* clang-format on */
static const struct config_table golden_table = {.size = sizeof(struct golden_recipe), .fields = golden_fields};

/* Drawn bits; of two channels, the first is the second's complement. */
static float *golden_bits(struct shape shape, uint64_t stream, double above)
{
    int64_t n = shape.n * shape_voxels(shape), voxels = shape_voxels(shape);
    float *bits = memory_alloc((size_t)(n * shape.c), sizeof *bits);
    for (int64_t i = 0; bits && i < n; i++) {
        float bit = golden_draw(stream, (uint64_t)i) > above ? 1 : 0;
        int64_t at = i / voxels * shape.c * voxels + i % voxels;
        bits[at] = shape.c == 2 ? 1 - bit : bit;
        if (shape.c == 2)
            bits[at + voxels] = bit;
    }
    return bits;
}

/* Keras' n1 gives both classes; configs/networks/n1.yaml ends in a slice of the second. */
static void golden_cut_slice(struct config_list *layers)
{
    if (layers->n > 1 && strcmp(layers->items[layers->n - 1].table->type, "slice") == 0)
        layers->n--;
}

static enum status golden_build(struct golden *golden, const struct golden_case *is, const char *full,
                                struct error *error)
{
    static struct golden_recipe recipe;
    struct yaml_node *root;
    char *path = arena_printf(&golden->arena, "%s/%s.yaml", full ? "configs/networks" : "tests/nn/golden", is->name);
    if (yaml_read_file(&root, path, &golden->arena, error))
        return error->status;
    for (const char *const *set = is->sets; *set; set++)
        if ((full || strncmp(*set, "network.", 8) != 0) && yaml_set(root, *set, &golden->arena, error))
            return error->status;
    if (config_bind(&golden_table, root, &recipe, &golden->arena, error))
        return error->status;
    golden->config = recipe.network;
    golden->config.precision = golden->half ? PRECISION_BFLOAT16 : PRECISION_FLOAT32;
    golden_cut_slice(&golden->config.layers);
    golden->losses = recipe.loss;
    const int64_t *patch = golden->config.patch_vox;
    struct shape src = {full ? is->full_batch : is->batch, 1, patch[2], patch[1], patch[0]};
    if (network_describe(&golden->params, &golden->config, error) || params_allocate(&golden->params, true, error) ||
        network_new(&golden->network, &golden->config, &golden->params, src, NETWORK_TRAIN, error) ||
        optimizer_init(&golden->optimizer, &recipe.optimizer, &golden->params, error))
        return error->status;
    golden_initial(golden->network, &golden->params);
    struct shape dst = network_dst_shape(golden->network);
    golden->src = golden_bits(src, 1, 0.3);
    golden->target = golden_bits(dst, 2, 0.2);
    golden->d_p = memory_alloc((size_t)shape_count(dst), sizeof(float));
    return golden->src && golden->target && golden->d_p
               ? STATUS_OK
               : error_memory(error, (size_t)shape_count(dst), "golden values");
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

/* Every how many values of the flattened array the dataset holds. */
static int64_t golden_every(hid_t dataset)
{
    int64_t every = 1;
    if (H5Aexists(dataset, "every") > 0) {
        hid_t attribute = H5Aopen(dataset, "every", H5P_DEFAULT);
        H5Aread(attribute, H5T_NATIVE_INT64, &every);
        H5Aclose(attribute);
    }
    return every > 0 ? every : 1;
}

/* Compares n floats with a dataset; tolerance is a share of the dataset's largest value, or of `floor_magnitude`.
 * Returns the share that the largest error is. */
static double golden_compare(struct golden *golden, const char *name, const float *got, int64_t n, double share,
                             double floor_magnitude)
{
    double largest = floor_magnitude, worst = 0, off = 0, all = 0;
    int64_t at = 0;
    float *expected = memory_alloc((size_t)n, sizeof *expected);
    hid_t dataset = H5Dopen2(golden->file, name, H5P_DEFAULT), space = H5Dget_space(dataset);
    int64_t every = golden_every(dataset);
    bool ok = CHECK(expected && H5Sget_simple_extent_npoints(space) == (n + every - 1) / every) &&
              CHECK(H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, expected) >= 0);
    for (int64_t i = 0; ok && i * every < n; i++) {
        double distance = fabs((double)got[i * every] - (double)expected[i]);
        largest = fmax(largest, fabs((double)expected[i]));
        off += distance * distance;
        all += (double)expected[i] * (double)expected[i];
        if (!(distance <= worst)) {
            worst = distance;
            at = i;
        }
    }
    if (golden->full)
        golden->worst_l2 = fmax(golden->worst_l2, name[0] == 'g' && largest > floor_magnitude ? sqrt(off / all) : 0);
    if (ok && !golden->full && !CHECK(worst <= share * largest))
        fprintf(stderr, "%s: [%d] is %.9g, expected %.9g within %.3g\n", name, (int)(at * every),
                (double)got[at * every], (double)expected[at], share * largest);
    H5Sclose(space);
    H5Dclose(dataset);
    memory_free(expected);
    return worst / largest;
}

/* The largest gradient of the network: a bias before a norm has a true gradient of zero, and only rounding beside it.
 */
static double golden_largest_gradient(const struct params *params)
{
    double largest = 0;
    for (int64_t i = 0; i < params->n_trainable; i++)
        largest = fmax(largest, fabs((double)params->grad[i]));
    return largest;
}

static void golden_compare_gradients(struct golden *golden)
{
    const struct params *params = &golden->params;
    double floor_magnitude = 1e-2 * golden_largest_gradient(params);
    char name[128];
    for (int64_t i = 0; i < params->n; i++) {
        const struct param *param = &params->items[i];
        snprintf(name, sizeof name, "grad/%s", param->name);
        if (param->trainable)
            golden->worst_grad =
                fmax(golden->worst_grad, golden_compare(golden, name, params->grad + param->offset, param->count,
                                                        golden->is->gradients, floor_magnitude));
    }
}

/* A step at learning rate lr moves a value by up to lr; after all of them it may be off by a tenth of one. */
static void golden_compare_values(struct golden *golden, double lr)
{
    const struct params *params = &golden->params;
    char name[128];
    for (int64_t i = 0; i < params->n; i++) {
        const struct param *param = &params->items[i];
        snprintf(name, sizeof name, "value/%s", param->name);
        double worst = golden_compare(golden, name, params->value + param->offset, param->count,
                                      param->trainable ? 0.1 * lr : 1e-4, 1);
        if (param->trainable)
            golden->worst_value = fmax(golden->worst_value, worst / lr);
    }
}

/* After the steps that the file's values are of. */
static void golden_compare_trained(struct golden *golden)
{
    golden_compare_values(golden, optimizer_lr(&golden->optimizer));
    const float *p = network_forward(golden->network, golden->src, &(struct pass){0});
    golden->worst_test =
        golden_compare(golden, "dst_test", p, shape_count(network_dst_shape(golden->network)), 1e-3, 1);
}

static void golden_train(struct golden *golden)
{
    struct shape shape = network_dst_shape(golden->network);
    float losses[10];
    for (int64_t step = 1; step <= golden->steps; step++) {
        const struct pass pass = {.training = true, .seed = 1, .step = (uint64_t)step};
        const float *p = network_forward(golden->network, golden->src, &pass);
        const struct loss_batch batch = {.shape = shape, .p = p, .t = golden->target};
        losses[step - 1] = (float)loss_sum(&golden->losses, &batch, golden->d_p, NULL);
        if (step == 1)
            golden->worst_dst = golden_compare(golden, "dst", p, shape_count(shape), 1e-5, 1);
        network_backward(golden->network, golden->d_p, NULL, &pass);
        if (step == 1)
            golden_compare_gradients(golden);
        optimizer_step(&golden->optimizer, &golden->params, optimizer_lr(&golden->optimizer));
        if (step == golden->is->values_after || (golden->steps < golden->is->values_after && step == golden->steps))
            golden_compare_trained(golden);
    }
    golden_compare(golden, "losses", losses, golden->steps, golden->is->losses, 0);
}

/* Ten steps with activations of 16 bits: the first output and the losses beside the frameworks' float64. Bounds: twice
 * what is measured, 0.07 at one voxel of resunet3d's drawn weights and 0.006 of the losses. */
static void check_golden_half(const struct golden_case *is)
{
    struct golden golden = {.file = -1, .is = is, .half = true, .steps = 10};
    struct error error = {0};
    char path[512];
    float losses[10];
    snprintf(path, sizeof path, "tests/nn/golden/%s.h5", is->name);
    golden.file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (!CHECK(golden.file >= 0) || !CHECK_OK(golden_build(&golden, is, NULL, &error), &error)) {
        golden_done(&golden);
        return;
    }

    const struct shape shape = network_dst_shape(golden.network);
    for (int64_t step = 1; step <= golden.steps; step++) {
        const struct pass pass = {.training = true, .seed = 1, .step = (uint64_t)step};
        const float *p = network_forward(golden.network, golden.src, &pass);
        const struct loss_batch batch = {.shape = shape, .p = p, .t = golden.target};
        losses[step - 1] = (float)loss_sum(&golden.losses, &batch, golden.d_p, NULL);
        if (step == 1)
            golden.worst_dst = golden_compare(&golden, "dst", p, shape_count(shape), 0.15, 1);
        network_backward(golden.network, golden.d_p, NULL, &pass);
        optimizer_step(&golden.optimizer, &golden.params, optimizer_lr(&golden.optimizer));
    }
    const double off = golden_compare(&golden, "losses", losses, golden.steps, 1.5e-2, 0);
    printf("    %s in bfloat16: output off by %.2g, losses of ten steps by %.2g of the largest\n", is->name,
           golden.worst_dst, off);
    golden_done(&golden);
}

static void check_golden(const struct golden_case *is)
{
    const char *full = getenv("CALVARIA_GOLDEN_FULL");
    struct golden golden = {.file = -1, .is = is, .full = full != NULL, .steps = full ? 2 : 10};
    struct error error = {0};
    char path[512];
    snprintf(path, sizeof path, "%s/%s.h5", full ? full : "tests/nn/golden", is->name);
    golden.file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (CHECK(golden.file >= 0) && CHECK_OK(golden_build(&golden, is, full, &error), &error)) {
        golden_train(&golden);
        if (full)
            printf("    %s: largest error of output %.2g, of gradients %.2g (of each tensor's largest), relative L2 of "
                   "the worst gradient %.2g;"
                   " values after %d steps %.2g learning rates, test output %.2g\n",
                   is->name, golden.worst_dst, golden.worst_grad, golden.worst_l2, (int)golden.steps,
                   golden.worst_value, golden.worst_test);
    }
    golden_done(&golden);
    if (!full)
        check_golden_half(is);
}

#define MIA_ADAM "optimizer={ type: adam, lr: 2.0e-4, beta1: 0.5, epsilon: 1.0e-7, form: keras }"
#define UNET_ADAM "optimizer={ type: adamw, lr: 1.0e-3, epsilon: 1.0e-8, form: pytorch, weight_decay: 0.01 }"

static void test_mia_ae(void)
{
    const char *const sets[] = {"loss=[ { type: mse } ]", MIA_ADAM, NULL};
    check_golden(&(struct golden_case){"mia_ae", 1, 1, sets, 10, 2e-5, 1e-4});
}

static void test_mia_ae_patch(void)
{
    const char *const sets[] = {"loss=[ { type: mse } ]", MIA_ADAM, "network.patch_vox=[64, 64, 64]", NULL};
    check_golden(&(struct golden_case){"mia_ae_patch", 1, 1, sets, 10, 2e-5, 1e-4});
}

static void test_mia_discriminator(void)
{
    const char *const sets[] = {"loss=[ { type: bce } ]", MIA_ADAM, NULL};
    check_golden(&(struct golden_case){"mia_discriminator", 2, 2, sets, 10, 2e-5, 1e-4});
}

static void test_n1(void)
{
    const char *const sets[] = {"loss=[ { type: dice, form: n1, weight: 2.0e8 } ]",
                                "optimizer={ type: adam, lr: 1.0e-4, beta1: 0.3, epsilon: 1, form: keras }",
                                "network.patch_vox=[64, 64, 32]", NULL};
    check_golden(&(struct golden_case){"n1", 2, 1, sets, 2, 1e-4, 2e-3});
}

static void test_unet(void)
{
    const char *const sets[] = {"loss=[ { type: dice } ]", UNET_ADAM, NULL};
    check_golden(&(struct golden_case){"unet", 2, 2, sets, 10, 2e-5, 1e-4});
}

static void test_unet3d(void)
{
    const char *const sets[] = {"loss=[ { type: dice } ]", UNET_ADAM, "network.patch_vox=[64, 64, 64]", NULL};
    check_golden(&(struct golden_case){"unet3d", 1, 1, sets, 10, 2e-5, 1e-4});
}

static void test_resunet3d(void)
{
    const char *const sets[] = {"loss=[ { type: dice } ]", UNET_ADAM, "network.patch_vox=[64, 64, 64]", NULL};
    check_golden(&(struct golden_case){"resunet3d", 1, 1, sets, 2, 2e-5, 2e-3});
}

int main(int argc, char **argv)
{
    const struct check_test narrow[] = {{"mia_ae", test_mia_ae},
                                        {"mia_discriminator", test_mia_discriminator},
                                        {"n1", test_n1},
                                        {"unet", test_unet},
                                        {"unet3d", test_unet3d},
                                        {"resunet3d", test_resunet3d},
                                        {0}};
    const struct check_test full[] = {{"mia_ae", test_mia_ae},
                                      {"mia_ae_patch", test_mia_ae_patch},
                                      {"mia_discriminator", test_mia_discriminator},
                                      {"n1", test_n1},
                                      {"unet3d", test_unet3d},
                                      {"resunet3d", test_resunet3d},
                                      {0}};
    return check_main(argc, argv, getenv("CALVARIA_GOLDEN_FULL") ? full : narrow);
}
