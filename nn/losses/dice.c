/* dice.c - soft Dice loss (Milletari et al. 2016), per channel, over the batch or per sample, then the mean.
 *   L = 1 - (2 S(pt) + eps) / (S(p) + S(t) + eps)        squared: S(p^2) + S(t^2) in the denominator
 *   n1: L = -sum over channels of 2 mean(pt) / (S(p^2) + S(t^2)), the mean over samples and voxels: as the
 *     AutoImplant baseline's code
 *       has it (Li et al. 2020), times 2e8 there; channels are summed, not averaged
 *   dL/dp = -(2 t B - A) / B^2,  squared: -(2 t B - 2 p A) / B^2, with A, B numerator and denominator
 *   background: the mean of that and the same for 1 - p against 1 - t, the other class of a softmax over two
 *     Test: tests/nn/test_loss.c */
#include "nn/loss.h"
#include "nn/losses/sums.h"

enum dice_over { DICE_BATCH, DICE_SAMPLE };
static const char *const dice_over_names[] = {"batch", "sample", NULL};

enum dice_form { DICE_USUAL, DICE_N1 };
static const char *const dice_form_names[] = {"dice", "n1", NULL};

struct dice_config {
    struct loss_config loss;
    int form, over;
    bool squared, background;
    double epsilon;
};

struct dice_values {
    const float *p, *t;
    bool squared, other; /* other: of 1 - p and 1 - t */
};

static void dice_piece(const void *context, int64_t first, int64_t last, double *sums)
{
    const struct dice_values *values = context;
    for (int64_t i = first; i < last; i++) {
        double p = (double)values->p[i], t = (double)values->t[i];
        if (values->other)
            p = 1 - p, t = 1 - t;
        sums[0] += p * t;
        sums[1] += values->squared ? p * p + t * t : p + t;
    }
}

static bool dice_squares(const struct dice_config *config)
{
    return config->squared || config->form == DICE_N1;
}

/* Adds the sums over one sample's channel. */
static void dice_add_sums(const struct dice_config *config, bool other, int64_t n, const float *p, const float *t,
                          double *sums)
{
    double one[2];
    sums_run(n, 2, dice_piece, &(struct dice_values){p, t, dice_squares(config), other}, one);
    sums[0] += one[0];
    sums[1] += one[1];
}

/* d_p of n values that belong to the quotient a / b, times share. With q = 1 - p, u = 1 - t for the other class: d(q) =
 * by_t u + by_p q + one, d(p) = -d(q). */
static void dice_gradient(const struct dice_config *config, bool other, const double *ab, double share, int64_t n,
                          const struct dice_values *values, float *d_p, bool accumulate)
{
    const float *p = values->p, *t = values->t;
    double a = ab[0], b = ab[1];
    float by_t = (float)(-2 * share / b), by_p = dice_squares(config) ? (float)(2 * share * a / (b * b)) : 0;
    float one = dice_squares(config) ? 0 : (float)(share * a / (b * b));
    if (other)
        one = -(one + by_t + by_p);
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; i++)
        d_p[i] = by_t * t[i] + by_p * p[i] + one + (accumulate ? d_p[i] : 0);
}

/* One class of one channel over samples first .. first + samples - 1. */
static double dice_part(const struct dice_config *dice, const struct loss_batch *batch, bool other, int64_t part,
                        double share, float *d_p, bool accumulate)
{
    const struct shape shape = batch->shape;
    int64_t voxels = shape_voxels(shape), samples = dice->over == DICE_BATCH ? shape.n : 1,
            first = part / shape.c * samples, c = part % shape.c;
    double sums[2] = {0, 0}, epsilon = dice->form == DICE_N1 ? 0 : dice->epsilon, whole = dice->form == DICE_N1 ? 0 : 1;

    for (int64_t n = first; n < first + samples; n++) {
        int64_t at = (n * shape.c + c) * voxels;
        dice_add_sums(dice, other, voxels, batch->p + at, batch->t + at, sums);
    }

    /* 1 - (2 sum(p t) + eps) / (sum(p) + sum(t) + eps), or its squared form */
    double ab[2] = {2 * sums[0] + epsilon, sums[1] + epsilon};
    if (ab[1] == 0) /* both empty and no epsilon: nothing to learn, and no division by it */
        ab[0] = whole, ab[1] = 1;
    for (int64_t n = first; n < first + samples && d_p; n++) {
        int64_t at = (n * shape.c + c) * voxels;
        const struct dice_values values = {.p = batch->p + at, .t = batch->t + at};
        dice_gradient(dice, other, ab, share, voxels, &values, d_p + at, accumulate);
    }

    return whole - ab[0] / ab[1];
}

static double dice_run(const void *config, const struct loss_batch *batch, double weight, float *d_p, bool accumulate)
{
    const struct dice_config *dice = config;
    int classes = dice->background ? 2 : 1;
    int64_t parts =
        (dice->over == DICE_BATCH ? 1 : batch->shape.n) * batch->shape.c; /* samples are summed together, or not */
    double loss = 0,
           share = 1 / (double)(dice->form == DICE_N1 ? batch->shape.n * shape_voxels(batch->shape) : parts * classes);
    for (int64_t part = 0; part < parts; part++)
        for (int other = 0; other < classes; other++)
            loss += share * dice_part(dice, batch, other, part, weight * share, d_p, accumulate || other);
    return loss;
}

/* clang-format off */
static const struct config_field dice_fields[] = {
    {.key = "form", .type = CONFIG_ENUM, .offset = offsetof(struct dice_config, form), .text = "dice",
     .names = dice_form_names, .help = "dice: the mean over channels of 1 - Dice; n1: the AutoImplant baseline's, "
             "minus the sum over channels of 2 mean(pt) / (S(p^2) + S(t^2)) without epsilon (weight 2e8 there)"},
    {.key = "over", .type = CONFIG_ENUM, .offset = offsetof(struct dice_config, over), .text = "batch",
     .names = dice_over_names, .help = "one Dice of the whole batch, or the mean of the samples' Dice"},
    {.key = "squared", .type = CONFIG_BOOL, .offset = offsetof(struct dice_config, squared), .text = "false",
     .help = "squares in the denominator"},
    {.key = "background", .type = CONFIG_BOOL, .offset = offsetof(struct dice_config, background), .text = "false",
     .help = "the mean of the Dice of bone and the Dice of everything else"},
    {.key = "epsilon", .type = CONFIG_DOUBLE, .offset = offsetof(struct dice_config, epsilon), .text = "1e-6",
     .min = 0, .max = 1e6, .help = "added to numerator and denominator, so that empty against empty is a Dice of 1"},
    {0}};
/* clang-format on */

/* clang-format off */
const struct loss_ops loss_dice = {
    .config = {.type = "dice", .help = "1 - soft Dice", .base = &loss_base_table, .size = sizeof(struct dice_config),
    .fields = dice_fields},
    .run = dice_run,
};
/* clang-format on */
