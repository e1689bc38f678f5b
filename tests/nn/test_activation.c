/* Elementwise activations and softmax against double loops. */
#include <math.h>

#include "tests/check.h"
#include "tests/nn/layer_harness.h"

static const struct shape blocked = {2, 17, 3, 4, 5}, plain = {2, 2, 5, 3, 4}, wide = {1, 33, 2, 3, 4};

static int64_t values(const struct reference *reference)
{
    return shape_count(reference->layer->dst.shape);
}

static void relu_reference(const struct reference *reference)
{
    for (int64_t i = 0; i < values(reference); i++)
        reference->dst[i] = reference->src[0][i] > 0 ? reference->src[0][i] : 0;
}

static void leaky_reference(const struct reference *reference)
{
    for (int64_t i = 0; i < values(reference); i++)
        reference->dst[i] = reference->src[0][i] * (reference->src[0][i] > 0 ? 1 : (double)0.2F);
}

static void tanh_reference(const struct reference *reference)
{
    for (int64_t i = 0; i < values(reference); i++)
        reference->dst[i] = tanh(reference->src[0][i]);
}

static void sigmoid_reference(const struct reference *reference)
{
    for (int64_t i = 0; i < values(reference); i++)
        reference->dst[i] = 1 / (1 + exp(-reference->src[0][i]));
}

static void scale_reference(const struct reference *reference)
{
    for (int64_t i = 0; i < values(reference); i++)
        reference->dst[i] = -2.5 * reference->src[0][i] + 0.75;
}

static void softmax_reference(const struct reference *reference)
{
    struct shape shape = reference->layer->dst.shape;
    int64_t voxels = shape_voxels(shape);
    for (int64_t n = 0; n < shape.n; n++)
        for (int64_t v = 0; v < voxels; v++) {
            double sum = 0;
            for (int64_t c = 0; c < shape.c; c++)
                sum += exp(reference->src[0][(n * shape.c + c) * voxels + v]);
            for (int64_t c = 0; c < shape.c; c++)
                reference->dst[(n * shape.c + c) * voxels + v] =
                    exp(reference->src[0][(n * shape.c + c) * voxels + v]) / sum;
        }
}

static void check_shapes(struct layer_case layer_case)
{
    const struct shape shapes[] = {blocked, plain, wide, {1, 1, 4, 5, 6}, {2, 8, 3, 5, 7}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        layer_case.n_src = 1;
        layer_case.src[0] = shapes[i];
        check_layer(&layer_case);
    }
}

static void test_relu(void)
{
    check_shapes((struct layer_case){
        .yaml = "{ type: relu }", .reference = relu_reference, .keep_away = 0.05, .max_zero_frac = 0.6});
}

static void test_leaky_relu(void)
{
    check_shapes((struct layer_case){
        .yaml = "{ type: leaky_relu, slope: 0.2 }", .reference = leaky_reference, .keep_away = 0.05});
}

static void test_tanh(void)
{
    check_shapes((struct layer_case){.yaml = "{ type: tanh }", .reference = tanh_reference});
}

static void test_sigmoid(void)
{
    check_shapes((struct layer_case){.yaml = "{ type: sigmoid }", .reference = sigmoid_reference});
}

static void test_scale(void)
{
    check_shapes(
        (struct layer_case){.yaml = "{ type: scale, factor: -2.5, offset: 0.75 }", .reference = scale_reference});
}

static void test_softmax(void)
{
    struct layer_case layer_case = {
        .yaml = "{ type: softmax }", .reference = softmax_reference, .n_src = 1, .terms = 33};
    const struct shape shapes[] = {blocked, plain, wide};
    for (int i = 0; i < 3; i++) {
        layer_case.src[0] = shapes[i];
        check_layer(&layer_case);
    }
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"relu", test_relu},
                                       {"leaky_relu", test_leaky_relu},
                                       {"tanh", test_tanh},
                                       {"sigmoid", test_sigmoid},
                                       {"scale", test_scale},
                                       {"softmax", test_softmax},
                                       {0}};
    return check_main(argc, argv, tests);
}
