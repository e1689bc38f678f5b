/* The harness must be able to fail: layers broken on purpose, each in one way, and what it must say of them. */
#include <float.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "tests/check.h"
#include "tests/nn/layer_harness.h"

static float *forever; /* what the leaking layer takes */

static void square_reference(const struct reference *reference)
{
    for (int64_t i = 0; i < shape_count(reference->layer->dst.shape); i++)
        reference->dst[i] = reference->src[0][i] * reference->src[0][i];
}

static enum status square_shape(const struct layer *layer, struct shape *ret_dst, struct error *error)
{
    (void)error;
    *ret_dst = layer->src[0].shape;
    return STATUS_OK;
}

static void square_forward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    for (int64_t i = 0; i < tensor_floats(layer->dst.shape); i++)
        layer->dst.data[i] = layer->src[0].data[i] * layer->src[0].data[i];
}

static void square_backward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    for (int64_t i = 0; i < tensor_floats(layer->dst.shape) && layer->d_src[0].data; i++)
        layer->d_src[0].data[i] = 2 * layer->src[0].data[i] * layer->d_dst.data[i];
}

static void wrong_forward(struct layer *layer, const struct pass *pass)
{
    square_forward(layer, pass);
    layer->dst.data[0] += 1e-4F;
}

static void leaky_padding_forward(struct layer *layer, const struct pass *pass)
{
    square_forward(layer, pass);
    layer->dst.data[tensor_floats(layer->dst.shape) - 1] = 1; /* 17 channels: the last of the last block is padding */
}

static void overrun_forward(struct layer *layer, const struct pass *pass)
{
    square_forward(layer, pass);
    layer->dst.data[tensor_floats(layer->dst.shape)] = 0;
}

static void greedy_forward(struct layer *layer, const struct pass *pass)
{
    memory_free(forever);
    forever = memory_alloc(1, sizeof *forever);
    square_forward(layer, pass);
}

static void vandal_forward(struct layer *layer, const struct pass *pass)
{
    square_forward(layer, pass);
    layer->src[0].data[1] = 0;
}

static void flipped_backward(struct layer *layer, const struct pass *pass)
{
    square_backward(layer, pass);
    for (int64_t i = 0; i < tensor_floats(layer->dst.shape) && layer->d_src[0].data; i++)
        layer->d_src[0].data[i] *= -1;
}

/* One wrong value among many that are not sampled: the random directions see it. */
static void one_wrong_backward(struct layer *layer, const struct pass *pass)
{
    square_backward(layer, pass);
    if (layer->d_src[0].data)
        layer->d_src[0].data[1234] *= -1;
}

static void adding_backward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    for (int64_t i = 0; i < tensor_floats(layer->dst.shape) && layer->d_src[0].data; i++)
        layer->d_src[0].data[i] += 2 * layer->src[0].data[i] * layer->d_dst.data[i];
}

static void restless_forward(struct layer *layer, const struct pass *pass)
{
    int64_t *runs = layer->state;
    square_forward(layer, pass);
    layer->dst.data[0] *= 1 + FLT_EPSILON * (float)++*runs;
}

static void check_caught(struct layer_ops ops, const char *says)
{
    ops.config =
        (struct config_table){.type = "square", .base = &layer_base_table, .size = sizeof(struct layer_config)};
    ops.state_size = sizeof(int64_t);
    ops.shape = square_shape;
    ops.forward = ops.forward ? ops.forward : square_forward;
    ops.backward = ops.backward ? ops.backward : square_backward;
    const char *failure = layer_check(&(struct layer_case){
        .yaml = "{ type: square }", .reference = square_reference, .n_src = 1, .src = {{2, 17, 3, 5, 6}}, .ops = &ops});
    if (says[0]) {
        CHECK_CONTAINS(failure, says);
        CHECK_CONTAINS(failure, "square");
    } else {
        CHECK(failure == NULL);
    }
}

static void test_harness_passes(void)
{
    check_caught((struct layer_ops){0}, "");
}

static void test_harness_fails(void)
{
    check_caught((struct layer_ops){.forward = wrong_forward}, "dst: [0]");
    check_caught((struct layer_ops){.forward = leaky_padding_forward}, "dst: a padding channel");
    check_caught((struct layer_ops){.forward = overrun_forward}, "writes outside a buffer");
    check_caught((struct layer_ops){.forward = greedy_forward}, "allocates");
    check_caught((struct layer_ops){.forward = vandal_forward}, "src[0]");
    check_caught((struct layer_ops){.forward = restless_forward}, "second run: dst has other bits");
    check_caught((struct layer_ops){.backward = flipped_backward}, "d_src[0]: [0]");
    check_caught((struct layer_ops){.backward = one_wrong_backward}, "d_src[0]: along random direction");
    check_caught((struct layer_ops){.backward = adding_backward}, "d_src[0]");
    check_caught((struct layer_ops){.in_place = LAYER_IN_PLACE_ALWAYS}, "in place");
    memory_free(forever);
}

static void zero_reference(const struct reference *reference)
{
    (void)reference;
}

static void zero_forward(struct layer *layer, const struct pass *pass)
{
    (void)pass;
    memset(layer->dst.data, 0, (size_t)tensor_floats(layer->dst.shape) * sizeof *layer->dst.data);
}

static void test_harness_refuses_zeros(void)
{
    struct layer_ops ops = {
        .config = {.type = "square", .base = &layer_base_table, .size = sizeof(struct layer_config)},
        .shape = square_shape,
        .forward = zero_forward,
        .backward = square_backward};
    CHECK_CONTAINS(layer_check(&(struct layer_case){.yaml = "{ type: square }",
                                                    .reference = zero_reference,
                                                    .n_src = 1,
                                                    .src = {{1, 2, 3, 4, 5}},
                                                    .ops = &ops}),
                   "nothing is compared");
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"passes", test_harness_passes},
                                       {"fails", test_harness_fails},
                                       {"refuses_zeros", test_harness_refuses_zeros},
                                       {0}};
    return check_main(argc, argv, tests);
}
