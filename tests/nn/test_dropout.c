/* Dropout: forward and backward share one mask; the mask is a pure function of seed, step, layer and element. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "tests/check.h"
#include "tests/nn/layer_harness.h"

/* The mask as the header of dropout.c tells it, element by element. */
static void dropout_reference(const struct reference *reference)
{
    struct shape shape = reference->layer->dst.shape;
    int64_t voxels = shape_voxels(shape);
    struct rng step = rng_make(reference->pass->seed, reference->pass->step),
               base = rng_child(&step, (uint64_t)reference->layer->index);
    for (int64_t row = 0; row < shape.n * shape.c; row++) {
        struct rng rng = rng_child(&base, (uint64_t)row);
        for (int64_t v = 0; v < voxels; v++) {
            bool keep = (double)rng_u32(&rng) / 0x1p32 >= 0.25;
            reference->dst[row * voxels + v] = keep ? reference->src[0][row * voxels + v] / 0.75 : 0;
        }
    }
}

static void test_dropout(void)
{
    const struct shape shapes[] = {{2, 17, 3, 4, 5}, {2, 2, 5, 3, 4}, {1, 33, 2, 3, 7}};
    for (int i = 0; i < 3; i++)
        check_layer(&(struct layer_case){.yaml = "{ type: dropout, rate: 0.25 }",
                                         .reference = dropout_reference,
                                         .n_src = 1,
                                         .src = {shapes[i]},
                                         .max_zero_frac = 0.5});
}

static void identity_reference(const struct reference *reference)
{
    memcpy(reference->dst, reference->src[0],
           (size_t)shape_count(reference->layer->dst.shape) * sizeof *reference->dst);
}

static void test_dropout_testing(void)
{
    check_layer(&(struct layer_case){.yaml = "{ type: dropout, rate: 0.25 }",
                                     .reference = identity_reference,
                                     .n_src = 1,
                                     .src = {{2, 17, 3, 4, 5}},
                                     .testing = true});
}

/* How many of n ones survive, and whether two runs agree. */
static int64_t survivors(uint64_t seed, uint64_t step, int64_t index, float *dst, int64_t voxels)
{
    struct arena arena = {0};
    struct error error = {0};
    struct yaml_node *node;
    struct layer layer = {.ops = layer_ops_find("dropout"), .index = index};
    CHECK_OK(yaml_read_text(&node, "{ type: dropout, rate: 0.5 }", "case", &arena, &error), &error);
    void *config = arena_alloc(&arena, 1, layer.ops->config.size);
    CHECK_OK(config_bind(&layer.ops->config, node, config, &arena, &error), &error);
    layer.config = config;
    layer.src[0].shape = layer.dst.shape = (struct shape){1, 1, 1, 1, voxels};
    layer.src[0].data = layer.dst.data = dst;
    for (int64_t i = 0; i < voxels; i++)
        dst[i] = 1;
    layer.ops->forward(&layer, &(struct pass){.training = true, .seed = seed, .step = step});
    int64_t n = 0;
    for (int64_t i = 0; i < voxels; i++)
        n += dst[i] != 0;
    arena_done(&arena);
    return n;
}

static void test_dropout_draws(void)
{
    enum { N = 20000 };
    static float first[N], other[N];
    int64_t kept = survivors(1, 1, 0, first, N);
    CHECK_NEAR((double)kept, N / 2.0, 5 * sqrt(N / 4.0)); /* five standard deviations */
    survivors(1, 1, 0, other, N);
    CHECK(memcmp(first, other, sizeof first) == 0);
    survivors(2, 1, 0, other, N);
    CHECK(memcmp(first, other, sizeof first) != 0);
    survivors(1, 2, 0, other, N);
    CHECK(memcmp(first, other, sizeof first) != 0);
    survivors(1, 1, 1, other, N);
    CHECK(memcmp(first, other, sizeof first) != 0);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"dropout", test_dropout},
                                       {"dropout_testing", test_dropout_testing},
                                       {"dropout_draws", test_dropout_draws},
                                       {0}};
    return check_main(argc, argv, tests);
}
