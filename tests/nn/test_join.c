/* add, multiply, concat, slice and flatten against double loops; concat at every kind of block boundary. */
#include <string.h>

#include "tests/check.h"
#include "tests/nn/layer_harness.h"

static void add_reference(const struct reference *reference)
{
    for (int k = 0; k < reference->layer->n_src; k++)
        for (int64_t i = 0; i < shape_count(reference->layer->dst.shape); i++)
            reference->dst[i] += reference->src[k][i];
}

static void test_add(void)
{
    const struct shape a = {2, 17, 3, 4, 5}, b = {1, 2, 5, 3, 4};
    check_layer(&(struct layer_case){
        .yaml = "{ type: add, from: [a, b] }", .reference = add_reference, .n_src = 2, .src = {a, a}, .terms = 2});
    check_layer(&(struct layer_case){.yaml = "{ type: add, from: [a, b, c] }",
                                     .reference = add_reference,
                                     .n_src = 3,
                                     .src = {b, b, b},
                                     .terms = 3});
}

static void multiply_reference(const struct reference *reference)
{
    for (int64_t i = 0; i < shape_count(reference->layer->dst.shape); i++)
        reference->dst[i] = reference->src[0][i] * reference->src[1][i];
}

static void test_multiply(void)
{
    const struct shape shapes[] = {{2, 17, 3, 4, 5}, {1, 2, 5, 3, 4}, {1, 33, 1, 2, 3}};
    for (int i = 0; i < 3; i++)
        check_layer(&(struct layer_case){.yaml = "{ type: multiply, from: [a, b] }",
                                         .reference = multiply_reference,
                                         .n_src = 2,
                                         .src = {shapes[i], shapes[i]}});
}

static void concat_reference(const struct reference *reference)
{
    const struct layer *layer = reference->layer;
    int64_t voxels = shape_voxels(layer->dst.shape), first = 0;
    for (int k = 0; k < layer->n_src; k++) {
        int64_t channels = layer->src[k].shape.c;
        for (int64_t n = 0; n < layer->dst.shape.n; n++)
            memcpy(reference->dst + (n * layer->dst.shape.c + first) * voxels,
                   reference->src[k] + n * channels * voxels, (size_t)(channels * voxels) * sizeof(double));
        first += channels;
    }
}

static void test_concat(void)
{
    /* whole blocks; a ragged first; two plain that make a blocked; plain beside blocked; both plain; many */
    const int64_t channels[][4] = {{16, 16}, {17, 33},   {5, 7},       {3, 24},   {32, 1},
                                   {2, 3},   {8, 16, 8}, {1, 1, 1, 1}, {9, 2, 33}};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        struct layer_case layer_case = {.yaml = "{ type: concat, from: [a, b] }", .reference = concat_reference};
        for (; layer_case.n_src < 4 && channels[i][layer_case.n_src]; layer_case.n_src++)
            layer_case.src[layer_case.n_src] = (struct shape){2, channels[i][layer_case.n_src], 3, 4, 5};
        check_layer(&layer_case);
    }
}

/* The yaml of the case says channels 1 ... of the source. */
static void slice_reference(const struct reference *reference)
{
    const struct layer *layer = reference->layer;
    int64_t voxels = shape_voxels(layer->dst.shape), from = layer->src[0].shape.c, to = layer->dst.shape.c;
    for (int64_t n = 0; n < layer->dst.shape.n; n++)
        memcpy(reference->dst + n * to * voxels, reference->src[0] + (n * from + 1) * voxels,
               (size_t)(to * voxels) * sizeof(double));
}

static void test_slice(void)
{
    const struct shape shapes[] = {{2, 4, 3, 4, 5}, {2, 17, 3, 2, 5}, {1, 33, 1, 2, 3}};
    const char *const yaml[] = {"{ type: slice, first: 1, channels: 3 }", "{ type: slice, first: 1, channels: 14 }",
                                "{ type: slice, first: 1, channels: 32 }"};
    for (int i = 0; i < 3; i++)
        check_layer(&(struct layer_case){
            .yaml = yaml[i], .reference = slice_reference, .n_src = 1, .src = {shapes[i]}, .max_zero_frac = 0.34});
}

static void flatten_reference(const struct reference *reference)
{
    memcpy(reference->dst, reference->src[0], (size_t)shape_count(reference->layer->dst.shape) * sizeof(double));
}

static void test_flatten(void)
{
    const struct shape shapes[] = {{2, 17, 3, 2, 5}, {2, 2, 3, 3, 1}, {1, 1, 1, 2, 3}, {3, 16, 1, 2, 3}};
    for (int i = 0; i < 4; i++)
        check_layer(&(struct layer_case){
            .yaml = "{ type: flatten }", .reference = flatten_reference, .n_src = 1, .src = {shapes[i]}});
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"add", test_add},     {"multiply", test_multiply}, {"concat", test_concat},
                                       {"slice", test_slice}, {"flatten", test_flatten},   {0}};
    return check_main(argc, argv, tests);
}
