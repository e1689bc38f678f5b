/* test_schedule.c - learning-rate factors against their formulas, written out again here. */
#include "train/schedule.h"

#include <math.h>

#include "tests/check.h"

static void test_constant(void)
{
    struct schedule_config schedule = {.type = SCHEDULE_CONSTANT};
    CHECK_NEAR(schedule_factor(&schedule, 1, 100), 1.0, 0);
    CHECK_NEAR(schedule_factor(&schedule, 100, 100), 1.0, 0);
}

static void test_warmup(void)
{
    struct schedule_config schedule = {.type = SCHEDULE_CONSTANT, .warmup_steps = 4};
    CHECK_NEAR(schedule_factor(&schedule, 1, 100), 0.25, 1e-15);
    CHECK_NEAR(schedule_factor(&schedule, 4, 100), 1.0, 1e-15);
    CHECK_NEAR(schedule_factor(&schedule, 5, 100), 1.0, 0);
}

static void test_step(void)
{
    struct schedule_config schedule = {.type = SCHEDULE_STEP, .every_steps = 10, .gamma = 0.1};
    CHECK_NEAR(schedule_factor(&schedule, 10, 100), 1.0, 1e-15);
    CHECK_NEAR(schedule_factor(&schedule, 11, 100), 0.1, 1e-15);
    CHECK_NEAR(schedule_factor(&schedule, 31, 100), 1e-3, 1e-15);
}

static void test_cosine(void)
{
    struct schedule_config schedule = {.type = SCHEDULE_COSINE, .floor = 0.1};
    CHECK_NEAR(schedule_factor(&schedule, 1, 101), 1.0, 1e-15);
    CHECK_NEAR(schedule_factor(&schedule, 51, 101), 0.55, 1e-12); /* half way: floor + (1 - floor) / 2 */
    CHECK_NEAR(schedule_factor(&schedule, 101, 101), 0.1, 1e-12);
}

static void test_polynomial(void)
{
    struct schedule_config schedule = {.type = SCHEDULE_POLYNOMIAL, .power = 2};
    CHECK_NEAR(schedule_factor(&schedule, 1, 11), 1.0, 1e-15);
    CHECK_NEAR(schedule_factor(&schedule, 6, 11), 0.25, 1e-12);
    CHECK_NEAR(schedule_factor(&schedule, 11, 11), 0.0, 1e-12);
}

static void test_never_grows_after_warmup(void)
{
    for (int type = SCHEDULE_CONSTANT; type <= SCHEDULE_POLYNOMIAL; type++) {
        struct schedule_config schedule = {
            .type = type, .warmup_steps = 5, .every_steps = 7, .gamma = 0.5, .power = 0.9};
        for (int64_t step = 6; step < 50; step++) {
            double now = schedule_factor(&schedule, step, 50), next = schedule_factor(&schedule, step + 1, 50);
            CHECK(next <= now && next >= 0 && now <= 1);
        }
        CHECK(isfinite(schedule_factor(&schedule, 6, 6))); /* one step after the warm-up: no division by zero */
    }
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"constant", test_constant},
                                       {"warmup", test_warmup},
                                       {"step", test_step},
                                       {"cosine", test_cosine},
                                       {"polynomial", test_polynomial},
                                       {"never_grows_after_warmup", test_never_grows_after_warmup},
                                       {0}};
    return check_main(argc, argv, tests);
}
