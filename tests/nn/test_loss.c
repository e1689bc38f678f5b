/* Every loss: its value against a double loop, its gradient against the numeric gradient of that loop. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "nn/loss.h"
#include "tests/check.h"

enum { MAX_VALUES = 2048 };

/* The loss in double; p, t plain NCDHW. */
typedef double loss_reference(struct shape shape, const double *p, const double *t);

static double mse_reference(struct shape shape, const double *p, const double *t)
{
    double sum = 0;
    for (int64_t i = 0; i < shape_count(shape); i++)
        sum += (p[i] - t[i]) * (p[i] - t[i]);
    return sum / (double)shape_count(shape);
}

static double bce_reference(struct shape shape, const double *p, const double *t)
{
    double sum = 0;
    for (int64_t i = 0; i < shape_count(shape); i++)
        sum -= t[i] * log(p[i]) + (1 - t[i]) * log(1 - p[i]);
    return sum / (double)shape_count(shape);
}

static double focal_reference(struct shape shape, const double *p, const double *t)
{
    double sum = 0;
    for (int64_t i = 0; i < shape_count(shape); i++)
        sum -= 0.3 * t[i] * pow(1 - p[i], 1.5) * log(p[i]) + 0.7 * (1 - t[i]) * pow(p[i], 1.5) * log(1 - p[i]);
    return sum / (double)shape_count(shape);
}

/* Mean over channels, and over samples when per_sample, of 1 - (2 S(pt) + eps) / (S + eps). */
static double dice(struct shape shape, const double *p, const double *t, bool per_sample, bool squared, double eps)
{
    int64_t parts = per_sample ? shape.n : 1, voxels = shape_voxels(shape);
    double loss = 0;
    for (int64_t part = 0; part < parts; part++)
        for (int64_t c = 0; c < shape.c; c++) {
            double both = 0, sum = 0;
            for (int64_t n = 0; n < shape.n; n++)
                for (int64_t v = 0; v < voxels && (!per_sample || n == part); v++) {
                    int64_t i = (n * shape.c + c) * voxels + v;
                    both += p[i] * t[i];
                    sum += squared ? p[i] * p[i] + t[i] * t[i] : p[i] + t[i];
                }
            loss += 1 - (2 * both + eps) / (sum + eps);
        }
    return loss / (double)(parts * shape.c);
}

static double dice_batch(struct shape shape, const double *p, const double *t)
{
    return dice(shape, p, t, false, false, 1e-6);
}

static double dice_sample(struct shape shape, const double *p, const double *t)
{
    return dice(shape, p, t, true, false, 1e-6);
}

/* As the AutoImplant baseline's code has it. */
static double dice_n1(struct shape shape, const double *p, const double *t)
{
    int64_t voxels = shape_voxels(shape);
    double loss = 0;
    for (int64_t c = 0; c < shape.c; c++) {
        double both = 0, squares = 0;
        for (int64_t n = 0; n < shape.n; n++)
            for (int64_t v = 0; v < voxels; v++) {
                int64_t i = (n * shape.c + c) * voxels + v;
                both += p[i] * t[i] / (double)(shape.n * voxels);
                squares += p[i] * p[i] + t[i] * t[i];
            }
        loss -= 2 * both / squares;
    }
    return loss;
}

static double dice_squared(struct shape shape, const double *p, const double *t)
{
    return dice(shape, p, t, false, true, 0);
}

/* The signed distance of voxel i from the surface of t, which has n voxels from `t` on: nearest of the other kind, by
 * looking at all. */
static double signed_distance(struct shape shape, const double *t, int64_t i)
{
    double nearest = INFINITY;
    int64_t z = i / (shape.h * shape.w), y = i / shape.w % shape.h, x = i % shape.w;
    bool inside = t[i] > 0.5, empty = true;
    for (int64_t j = 0; j < shape_voxels(shape); j++) {
        empty &= t[j] <= 0.5;
        if ((t[j] > 0.5) != inside)
            nearest =
                fmin(nearest, hypot(hypot((double)(j / (shape.h * shape.w) - z), (double)(j / shape.w % shape.h - y)),
                                    (double)(j % shape.w - x)));
    }
    return empty ? 0 : inside ? 1 - nearest : nearest;
}

static double boundary_reference(struct shape shape, const double *p, const double *t)
{
    double sum = 0;
    int64_t n = shape_voxels(shape);
    for (int64_t i = 0; i < shape_count(shape); i++)
        sum += p[i] * (double)(float)signed_distance(shape, t + i / n * n, i % n); /* distances come as floats */
    return sum / (double)shape_count(shape);
}

static double dice_both(struct shape shape, const double *p, const double *t)
{
    static double q[MAX_VALUES], u[MAX_VALUES];
    for (int64_t i = 0; i < shape_count(shape); i++) {
        q[i] = 1 - p[i];
        u[i] = 1 - t[i];
    }
    return (dice_squared(shape, p, t) + dice_squared(shape, q, u)) / 2;
}

static double dice_both_plain(struct shape shape, const double *p, const double *t)
{
    static double q[MAX_VALUES], u[MAX_VALUES];
    for (int64_t i = 0; i < shape_count(shape); i++) {
        q[i] = 1 - p[i];
        u[i] = 1 - t[i];
    }
    return (dice_sample(shape, p, t) + dice_sample(shape, q, u)) / 2;
}

static struct config_list bind_losses(const char *yaml, struct arena *arena)
{
    static const struct config_field fields[] = {{.key = "loss", .type = CONFIG_LIST, .variant = loss_table_at}, {0}};
    static const struct config_table table = {.size = sizeof(struct config_list), .fields = fields};
    struct config_list list = {0};
    struct error error = {0};
    struct yaml_node *node;
    if (CHECK_OK(yaml_read_text(&node, yaml, "case", arena, &error), &error))
        CHECK_OK(config_bind(&table, node, &list, arena, &error), &error);
    return list;
}

struct values {
    struct shape shape;
    int64_t n;
    double p[MAX_VALUES], t[MAX_VALUES];
    float pf[MAX_VALUES], tf[MAX_VALUES], distance[MAX_VALUES], d[MAX_VALUES];
    struct loss_batch batch;
};

/* Probabilities away from 0 and 1, targets of 0 and 1. */
static void draw(struct values *values, struct shape shape)
{
    struct rng rng = rng_make(3, 0);
    values->shape = shape;
    values->n = shape_count(shape);
    for (int64_t i = 0; i < values->n; i++) {
        values->pf[i] = (float)rng_uniform(&rng, 0.05, 0.95);
        values->tf[i] = (float)rng_below(&rng, 2);
        values->p[i] = (double)values->pf[i];
        values->t[i] = (double)values->tf[i];
        values->d[i] = NAN;
    }
    for (int64_t i = 0, n = shape_voxels(shape); i < values->n; i++)
        values->distance[i] = (float)signed_distance(shape, values->t + i / n * n, i % n);
    values->batch =
        (struct loss_batch){.shape = shape, .p = values->pf, .t = values->tf, .distance = values->distance, .step = 1};
}

static double slope(struct values *values, loss_reference *reference, int64_t i)
{
    const double step = 1e-5, p = values->p[i];
    values->p[i] = p + step;
    double above = reference(values->shape, values->p, values->t);
    values->p[i] = p - step;
    double below = reference(values->shape, values->p, values->t);
    values->p[i] = p;
    return (above - below) / (2 * step);
}

static void check_gradient(struct values *values, loss_reference *reference, double weight, const double *more,
                           const char *what)
{
    double largest = 0;
    for (int64_t i = 0; i < values->n; i++)
        largest = fmax(largest, fabs((double)values->d[i]));
    CHECK(largest > 0);
    for (int64_t i = 0; i < values->n; i += 7) {
        double expected = weight * slope(values, reference, i) + (more ? more[i] : 0);
        if (!CHECK_NEAR((double)values->d[i], expected, 8 * (double)FLT_EPSILON * largest + 1e-9 * fabs(weight))) {
            fprintf(stderr, "%s: d_p[%d]\n", what, (int)i);
            return;
        }
    }
}

static void check_loss(const char *yaml, loss_reference *reference, double weight)
{
    static const struct shape shapes[] = {{2, 1, 5, 6, 7}, {3, 2, 3, 5, 7}, {1, 1, 1, 2, 3}};
    static struct values values;
    struct arena arena = {0};
    struct config_list list = bind_losses(yaml, &arena);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes && list.n; i++) {
        draw(&values, shapes[i]);
        double value = reference(shapes[i], values.p, values.t), term;
        CHECK_NEAR(loss_sum(&list, &values.batch, values.d, &term), weight * value, 1e-12 * fabs(weight));
        CHECK_NEAR(term, value, 1e-12);
        check_gradient(&values, reference, weight, NULL, yaml);
        float before[MAX_VALUES];
        memcpy(before, values.d, sizeof before);
        CHECK_NEAR(loss_sum(&list, &values.batch, NULL, NULL), weight * value, 1e-12 * fabs(weight));
        loss_sum(&list, &values.batch, values.d, NULL);
        CHECK(memcmp(before, values.d, (size_t)values.n * sizeof(float)) == 0); /* the first term writes '=' */
    }
    arena_done(&arena);
}

static void test_mse(void)
{
    check_loss("loss: [ { type: mse } ]", mse_reference, 1);
    check_loss("loss: [ { type: mse, weight: 100 } ]", mse_reference, 100);
}

static void test_bce(void)
{
    check_loss("loss: [ { type: bce, weight: 0.1 } ]", bce_reference, 0.1);
}

static void test_focal(void)
{
    check_loss("loss: [ { type: focal, gamma: 1.5, alpha: 0.3 } ]", focal_reference, 1);
}

static void test_dice(void)
{
    check_loss("loss: [ { type: dice, weight: 2 } ]", dice_batch, 2);
    check_loss("loss: [ { type: dice, over: sample } ]", dice_sample, 1);
    check_loss("loss: [ { type: dice, squared: true, epsilon: 0 } ]", dice_squared, 1);
    check_loss("loss: [ { type: dice, squared: true, epsilon: 0, background: true, weight: 3 } ]", dice_both, 3);
    check_loss("loss: [ { type: dice, over: sample, background: true } ]", dice_both_plain, 1);
    check_loss("loss: [ { type: dice, form: n1, weight: 2.0e8 } ]", dice_n1, 2e8);
}

static void test_boundary(void)
{
    struct arena arena = {0};
    struct config_list list = bind_losses("loss: [ mse, boundary ]", &arena),
                       plain = bind_losses("loss: [ mse, dice ]", &arena);
    CHECK_INT(loss_needs(&list), LOSS_NEEDS_DISTANCE);
    CHECK_INT(loss_needs(&plain), LOSS_NEEDS_NOTHING);
    arena_done(&arena);
    check_loss("loss: [ { type: boundary } ]", boundary_reference, 1);
    check_loss("loss: [ { type: boundary, weight: 0.5 } ]", boundary_reference, 0.5);
}

/* A weight's course: linear between its points, constant before and after; value and gradient follow it. */
static void test_ramp(void)
{
    static struct values values;
    static const struct {
        int64_t step;
        double weight;
    } expected[] = {{1, 0.5}, {10, 0.5}, {15, 1.25}, {20, 2}, {40, 1}, {60, 0}, {61, 0}, {1000, 0}};
    struct arena arena = {0};
    struct config_list list =
        bind_losses("loss: [ { type: mse, weight: 0.5, ramp: [ { step: 10, factor: 1 }, { step: 20, factor: 4 }, "
                    "{ step: 60, factor: 0 } ] } ]",
                    &arena);
    struct config_list one =
        bind_losses("loss: [ { type: mse, weight: 2, ramp: [ { step: 7, factor: 3 } ] } ]", &arena);
    CHECK_NEAR(loss_weight(&one.items[0], 1), 6, 0);
    CHECK_NEAR(loss_weight(&one.items[0], 9), 6, 0);
    draw(&values, (struct shape){1, 1, 3, 4, 5});
    for (size_t i = 0; i < sizeof expected / sizeof *expected && list.n; i++) {
        double term;
        CHECK_NEAR(loss_weight(&list.items[0], expected[i].step), expected[i].weight, 1e-15);
        values.batch.step = expected[i].step;
        double sum = loss_sum(&list, &values.batch, values.d, &term);
        CHECK_NEAR(sum, expected[i].weight * term, 1e-15);
        if (expected[i].weight > 0)
            check_gradient(&values, mse_reference, expected[i].weight, NULL, "ramp");
    }
    arena_done(&arena);
}

/* Every further term adds to the gradient. */
static void test_sum(void)
{
    static struct values values;
    static double mse[MAX_VALUES];
    struct arena arena = {0};
    struct config_list list = bind_losses("loss: [ { type: mse, weight: 0.9 }, { type: dice, weight: 0.1 } ]", &arena);
    draw(&values, (struct shape){2, 1, 3, 4, 5});
    for (int64_t i = 0; i < values.n; i++)
        mse[i] = 0.9 * slope(&values, mse_reference, i);
    double terms[2], sum = loss_sum(&list, &values.batch, values.d, terms);
    CHECK_NEAR(sum, 0.9 * terms[0] + 0.1 * terms[1], 1e-12);
    check_gradient(&values, dice_batch, 0.1, mse, "sum");
    arena_done(&arena);
}

/* p of exactly 0 and 1, empty against empty: finite values and gradients. */
static void test_extremes(void)
{
    const char *const yaml[] = {"loss: [ { type: bce } ]", "loss: [ { type: focal } ]", "loss: [ { type: dice } ]",
                                "loss: [ { type: dice, squared: true, epsilon: 0 } ]"};
    const float p[8] = {0, 1, 0, 1, 0, 0, 1, 1}, t[8] = {0, 0, 1, 1, 0, 1, 0, 1}, empty[8] = {0};
    for (int k = 0; k < 4; k++) {
        struct arena arena = {0};
        float d[8];
        struct config_list list = bind_losses(yaml[k], &arena);
        struct shape shape = {1, 1, 2, 2, 2};
        CHECK(isfinite(loss_sum(&list, &(struct loss_batch){.shape = shape, .p = p, .t = t}, d, NULL)));
        for (int i = 0; i < 8; i++)
            CHECK(isfinite(d[i]));
        CHECK_NEAR(loss_sum(&list, &(struct loss_batch){.shape = shape, .p = empty, .t = empty}, d, NULL), 0, 1e-5);
        for (int i = 0; i < 8; i++)
            CHECK(isfinite(d[i]));
        arena_done(&arena);
    }
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"mse", test_mse},   {"bce", test_bce},           {"focal", test_focal},
                                       {"dice", test_dice}, {"boundary", test_boundary}, {"ramp", test_ramp},
                                       {"sum", test_sum},   {"extremes", test_extremes}, {0}};
    return check_main(argc, argv, tests);
}
