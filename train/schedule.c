/* schedule.c - The learning rate over the steps of a run; see schedule.h.
 * Test: tests/train/test_schedule.c */
#include "train/schedule.h"

#include <math.h>

static const char *const schedule_names[] = {"constant", "step", "cosine", "polynomial", NULL};

/* clang-format off */
static const struct config_field schedule_fields[] = {
    {.key = "type", .type = CONFIG_ENUM, .offset = offsetof(struct schedule_config, type), .text = "constant",
     .names = schedule_names, .help = "how the learning rate goes over the run"},
    {.key = "warmup_steps", .type = CONFIG_INT, .offset = offsetof(struct schedule_config, warmup_steps), .text = "0",
     .min = 0, .max = 1e9, .unit = "steps", .help = "linear rise at the start, with every type"},
    {.key = "every_steps", .type = CONFIG_INT, .offset = offsetof(struct schedule_config, every_steps),
     .text = "1000", .min = 1, .max = 1e9, .unit = "steps", .help = "step: the rate drops each so many steps"},
    {.key = "gamma", .type = CONFIG_DOUBLE, .offset = offsetof(struct schedule_config, gamma), .text = "0.5",
     .min = 1e-6, .max = 1, .help = "step: factor of a drop"},
    {.key = "power", .type = CONFIG_DOUBLE, .offset = offsetof(struct schedule_config, power), .text = "0.9",
     .min = 0.01, .max = 100, .help = "polynomial: exponent"},
    {.key = "floor", .type = CONFIG_DOUBLE, .offset = offsetof(struct schedule_config, floor), .text = "0", .min = 0,
     .max = 1, .help = "cosine, polynomial: the factor at the last step"},
    {0},
};
/* clang-format on */

const struct config_table schedule_table = {
    .help = "Learning rate over the run, as a factor of optimizer.lr.",
    .size = sizeof(struct schedule_config),
    .fields = schedule_fields,
};

double schedule_factor(const struct schedule_config *schedule, int64_t step, int64_t steps)
{
    const double pi = 3.14159265358979323846;
    int64_t warmup = schedule->warmup_steps;

    if (step <= warmup)
        return (double)step / (double)warmup;
    int64_t falls, span = steps - warmup - 1; /* steps after the first full one */
    double r = span > 0 ? fmin((double)(step - warmup - 1) / (double)span, 1.0) : 0.0;
    switch ((enum schedule_type)schedule->type) {
    case SCHEDULE_STEP:
        falls = (step - warmup - 1) / schedule->every_steps;
        return pow(schedule->gamma, (double)falls);
    case SCHEDULE_COSINE:
        return schedule->floor + (1.0 - schedule->floor) * 0.5 * (1.0 + cos(pi * r));
    case SCHEDULE_POLYNOMIAL:
        return schedule->floor + (1.0 - schedule->floor) * pow(1.0 - r, schedule->power);

    case SCHEDULE_CONSTANT:
        break;
    }

    return 1.0;
}
