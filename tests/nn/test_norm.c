/* Batch, instance and group normalisation against a double loop; batch norm's moving statistics in every form. */
#include <math.h>

#include "tests/check.h"
#include "tests/nn/layer_harness.h"

static const struct shape shapes[] = {
    {2, 17, 3, 4, 5}, {2, 2, 5, 3, 4}, {1, 33, 2, 3, 7}, {3, 1, 4, 5, 6}, {2, 16, 3, 5, 7}};

static double *value_at(double *values, struct shape shape, int64_t n, int64_t c, int64_t v)
{
    return &values[(n * shape.c + c) * shape_voxels(shape) + v];
}

/* Mean and biased variance over samples n0..n1, channels c0..c1. */
static void moments(const struct reference *reference, int64_t n0, int64_t n1, int64_t c0, int64_t c1, double *mean,
                    double *var)
{
    struct shape shape = reference->layer->dst.shape;
    double sum = 0, squares = 0, count = (double)((n1 - n0) * (c1 - c0) * shape_voxels(shape));
    double *src = (double *)(uintptr_t)reference->src[0];
    for (int64_t n = n0; n < n1; n++)
        for (int64_t c = c0; c < c1; c++)
            for (int64_t v = 0; v < shape_voxels(shape); v++)
                sum += *value_at(src, shape, n, c, v);
    for (int64_t n = n0; n < n1; n++)
        for (int64_t c = c0; c < c1; c++)
            for (int64_t v = 0; v < shape_voxels(shape); v++)
                squares += pow(*value_at(src, shape, n, c, v) - sum / count, 2);
    *mean = sum / count;
    *var = squares / count;
}

static void normalise(const struct reference *reference, int64_t n, int64_t c, double mean, double var, double eps)
{
    struct shape shape = reference->layer->dst.shape;
    bool affine = reference->layer->n_params >= 2;
    double *src = (double *)(uintptr_t)reference->src[0];
    for (int64_t v = 0; v < shape_voxels(shape); v++)
        *value_at(reference->dst, shape, n, c, v) =
            (affine ? reference->param[0][c] : 1) * (*value_at(src, shape, n, c, v) - mean) / sqrt(var + eps) +
            (affine ? reference->param[1][c] : 0);
}

static void batch_norm_reference(const struct reference *reference)
{
    struct shape shape = reference->layer->dst.shape;
    for (int64_t c = 0; c < shape.c; c++) {
        double mean = reference->param[2][c], var = reference->param[3][c];
        if (reference->pass->training && !reference->layer->frozen)
            moments(reference, 0, shape.n, c, c + 1, &mean, &var);
        for (int64_t n = 0; n < shape.n; n++)
            normalise(reference, n, c, mean, var, 1e-3);
    }
}

static void batch_always_reference(const struct reference *reference)
{
    struct reference copy = *reference;
    struct pass training = {.training = true};
    copy.pass = &training;
    batch_norm_reference(&copy);
}

static void group_reference(const struct reference *reference, int64_t groups)
{
    struct shape shape = reference->layer->dst.shape;
    int64_t per_group = shape.c / groups;
    for (int64_t n = 0; n < shape.n; n++)
        for (int64_t c = 0; c < shape.c; c++) {
            double mean, var;
            int64_t first = c / per_group * per_group;
            moments(reference, n, n + 1, first, first + per_group, &mean, &var);
            normalise(reference, n, c, mean, var, (double)1e-5F);
        }
}

static void instance_norm_reference(const struct reference *reference)
{
    group_reference(reference, reference->layer->dst.shape.c);
}

static void group_norm_reference(const struct reference *reference)
{
    group_reference(reference, 3);
}

static void check_shapes(struct layer_case layer_case)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        layer_case.n_src = 1;
        layer_case.src[0] = shapes[i];
        layer_case.terms = 16;
        check_layer(&layer_case);
    }
}

static void test_batch_norm(void)
{
    check_shapes((struct layer_case){.yaml = "{ type: batch_norm, momentum: 0.8, eps: 1e-3 }",
                                     .reference = batch_norm_reference});
}

static void test_batch_norm_testing(void)
{
    check_shapes((struct layer_case){
        .yaml = "{ type: batch_norm, momentum: 0.8, eps: 1e-3 }", .reference = batch_norm_reference, .testing = true});
}

static void test_batch_norm_frozen(void)
{
    check_shapes((struct layer_case){
        .yaml = "{ type: batch_norm, momentum: 0.8, eps: 1e-3 }", .reference = batch_norm_reference, .frozen = true});
}

static void test_batch_norm_batch_always(void)
{
    check_shapes((struct layer_case){.yaml = "{ type: batch_norm, eps: 1e-3, batch_statistics_at_test: true }",
                                     .reference = batch_always_reference,
                                     .testing = true});
}

static void test_instance_norm(void)
{
    check_shapes((struct layer_case){.yaml = "{ type: instance_norm }", .reference = instance_norm_reference});
    check_shapes(
        (struct layer_case){.yaml = "{ type: instance_norm, affine: false }", .reference = instance_norm_reference});
}

static void test_group_norm(void)
{
    struct layer_case layer_case = {
        .yaml = "{ type: group_norm, groups: 3 }", .reference = group_norm_reference, .n_src = 1, .terms = 16};
    const struct shape with_groups[] = {{2, 9, 3, 4, 5}, {2, 3, 4, 5, 6}, {1, 33, 2, 3, 7}, {2, 24, 2, 3, 5}};
    for (int i = 0; i < 4; i++) {
        layer_case.src[0] = with_groups[i];
        check_layer(&layer_case);
    }
}

/* One layer by hand, for what the harness does not see: the moving statistics. */
struct moving {
    struct arena arena;
    struct params params;
    struct layer layer;
};

static void moving_run(const char *yaml, const struct pass *pass, float mean[1], float variance[1], bool frozen)
{
    float src[6] = {1, 2, 3, 4, 5, 9}, dst[6];
    struct error error = {0};
    struct moving moving = {.layer = {.ops = layer_ops_find("batch_norm"), .name = "bn", .n_src = 1, .frozen = frozen}};
    struct layer *layer = &moving.layer;
    struct yaml_node *node;
    if (!CHECK_OK(yaml_read_text(&node, yaml, "case", &moving.arena, &error), &error))
        return;
    void *config = arena_alloc(&moving.arena, 1, layer->ops->config.size);
    CHECK_OK(config_bind(&layer->ops->config, node, config, &moving.arena, &error), &error);
    layer->config = config;
    layer->state = arena_alloc(&moving.arena, 1, layer->ops->state_size);
    layer->params = &moving.params;
    layer->src[0].shape = layer->dst.shape = (struct shape){1, 1, 1, 2, 3};
    CHECK_OK(layer->ops->declare(layer, &error), &error);
    CHECK_OK(layer->ops->init(layer, &error), &error);
    float gamma = 1, beta = 0;
    *mean = 1, *variance = 2;
    float *value[] = {&gamma, &beta, mean, variance};
    for (int i = 0; i < 4; i++)
        layer->value[i] = value[i];
    layer->src[0].data = src;
    layer->dst.data = dst;
    layer->kept = arena_alloc(&moving.arena, 1, layer->kept_bytes);
    layer->scratch = arena_alloc(&moving.arena, 1, layer->scratch_bytes);
    layer->ops->forward(layer, pass);
    params_done(&moving.params);
    arena_done(&moving.arena);
}

static void test_moving_statistics(void)
{
    /* of 1 2 3 4 5 9: mean 4, biased variance (9 + 4 + 1 + 0 + 1 + 25) / 6 */
    double biased = 40.0 / 6;
    struct pass training = {.training = true}, testing = {0};
    float mean, variance;
    moving_run("{ type: batch_norm, momentum: 0.8, eps: 1e-3, moving_variance: biased }", &training, &mean, &variance,
               false);
    CHECK_NEAR((double)mean, 0.8 * 1 + 0.2 * 4, 1e-6);
    CHECK_NEAR((double)variance, 0.8 * 2 + 0.2 * biased, 1e-6);
    moving_run("{ type: batch_norm, momentum: 0.8, eps: 1e-3, moving_variance: keras2 }", &training, &mean, &variance,
               false);
    CHECK_NEAR((double)variance, 0.8 * 2 + 0.2 * biased * 6 / (6 - 1.001), 1e-6);
    moving_run("{ type: batch_norm, momentum: 0.8, eps: 1e-3, moving_variance: unbiased }", &training, &mean, &variance,
               false);
    CHECK_NEAR((double)variance, 0.8 * 2 + 0.2 * 40.0 / 5, 1e-6);
    moving_run("{ type: batch_norm, momentum: 0.8 }", &testing, &mean, &variance, false);
    CHECK_NEAR((double)mean, 1, 0);
    CHECK_NEAR((double)variance, 2, 0);
    moving_run("{ type: batch_norm, momentum: 0.8 }", &training, &mean, &variance, true);
    CHECK_NEAR((double)mean, 1, 0);
    CHECK_NEAR((double)variance, 2, 0);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"batch_norm", test_batch_norm},
                                       {"batch_norm_testing", test_batch_norm_testing},
                                       {"batch_norm_frozen", test_batch_norm_frozen},
                                       {"batch_norm_batch_always", test_batch_norm_batch_always},
                                       {"instance_norm", test_instance_norm},
                                       {"group_norm", test_group_norm},
                                       {"moving_statistics", test_moving_statistics},
                                       {0}};
    return check_main(argc, argv, tests);
}
