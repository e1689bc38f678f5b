/* test_training_plan.c - what is planned for few and many heads, hours and bytes; the recipe is one that `calvaria
 * train` takes; a measurement of a few steps. */
#include "train/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "tests/check.h"
#include "tests/train/chain.h"
#include "train/stages.h"

static const char recipe[] = "configs/recipes/restoration_fine.yaml";
static const struct plan_speed speed = {.shape_head_s = 2, .step_s = 0.3, .small_step_s = 0.06, .validation_s = 10};

static struct plan_set heads(int64_t train, int64_t val)
{
    return (struct plan_set){
        .n = {train, val, 0}, .largest = {512, 512, 300}, .spacing_mm = 0.6, .n_implants = train, .implant_mm = 90};
}

static struct plan chosen(double hours, int64_t bytes, struct plan_set set)
{
    struct error error = {0};
    struct plan plan = {0};
    const struct plan_request request = {.set = "set.h5", .hours = hours, .memory_bytes = bytes};
    CHECK_OK(plan_choose(&plan, &request, &set, &speed, recipe, &error), &error);
    return plan;
}

/* The written recipe, read as `calvaria train` reads it. */
static void check_recipe(const struct plan *plan, double hours)
{
    struct error error = {0};
    struct arena arena = {0};
    struct stages stages;
    char *path = realpath(recipe, NULL);
    const struct plan_request request = {.set = "/data/set.h5", .hours = hours, .memory_bytes = -1};
    char *text = plan_text(plan, &request, path, &error);
    if (CHECK(text != NULL) && CHECK_OK(file_write(check_path("plan.yaml"), text, strlen(text), &error), &error) &&
        CHECK_OK(stages_read(&stages, check_path("plan.yaml"), 0, NULL, &arena, &error), &error)) {
        CHECK_INT(stages.n, plan->has_network ? 2 : 1);
        if (plan->has_network) {
            CHECK_INT(stages.items[1].recipe.train.steps, plan->steps);
            CHECK_INT(stages.items[1].recipe.data.patch_vox[2], plan->patch_vox);
            CHECK_NEAR(stages.items[1].recipe.data.spacing_mm, plan->spacing_mm, 0);
            CHECK_INT(stages.items[1].coarse, 0);
        }
    }
    memory_free(text);
    free(path);
    arena_done(&arena);
}

static void test_heads(void)
{
    const struct plan few = chosen(8, -1, heads(8, 2)), many = chosen(8, -1, heads(150, 8));
    CHECK(!few.has_network);
    CHECK_NEAR(few.total_s, 48, 0.5);
    CHECK(many.has_network);
    CHECK(many.steps >= 20000);
    CHECK(many.total_s <= 8 * 3600);
    CHECK_INT(many.validation_cases, 8);
    check_recipe(&few, 8);
    check_recipe(&many, 8);
}

/* More hours: a wider network or more steps, never less; and never longer than they are. */
static void test_hours(void)
{
    static const double hours[] = {0.02, 0.5, 2, 8, 24};
    double before = -1;
    for (size_t i = 0; i < sizeof hours / sizeof *hours; i++) {
        const struct plan plan = chosen(hours[i], -1, heads(66, 8));
        const double work = plan.has_network ? (double)plan.steps * plan.step_s : 0;
        CHECK(work >= before);
        CHECK(plan.total_s <= hours[i] * 3600 || !plan.has_network);
        before = work;
        check_recipe(&plan, hours[i]);
    }
    CHECK(!chosen(0.02, -1, heads(66, 8)).has_network);
    CHECK(chosen(24, -1, heads(66, 8)).width > chosen(0.5, -1, heads(66, 8)).width);
}

static void test_memory(void)
{
    const struct plan free_of_bounds = chosen(24, -1, heads(66, 8));
    const struct plan bounded = chosen(24, free_of_bounds.memory_bytes - 1, heads(66, 8));
    CHECK(bounded.memory_bytes < free_of_bounds.memory_bytes);
    struct error error = {0};
    struct plan plan;
    const struct plan_set set = heads(66, 8);
    const struct plan_request request = {.set = "set.h5", .hours = 8, .memory_bytes = 1000000};
    CHECK_FAILS(plan_choose(&plan, &request, &set, &speed, recipe, &error), &error, STATUS_USAGE,
                "the smallest network takes");
}

static void test_scans(void)
{
    struct plan_set thick = heads(66, 0);
    thick.spacing_mm = 2.5;
    const struct plan plan = chosen(8, -1, thick);
    CHECK_NEAR(plan.spacing_mm, 1.75, 0);
    CHECK_INT(plan.validations, 0);
    check_recipe(&plan, 8);
}

static void test_too_few(void)
{
    struct error error = {0};
    struct plan plan;
    const struct plan_set set = heads(3, 0);
    const struct plan_request request = {.set = "set.h5", .hours = 8, .memory_bytes = -1};
    CHECK_FAILS(plan_choose(&plan, &request, &set, &speed, recipe, &error), &error, STATUS_USAGE,
                "3 training heads (a shape model needs 4)");
}

/* The whole of it on four small heads, and the seconds of a few steps. */
static void test_measured(void)
{
    struct error error = {0};
    struct plan plan = {0};
    struct plan_speed measured = {0};
    const char *set = chain_set();
    const struct plan_request request = {.set = set, .recipe = recipe, .hours = 1, .memory_bytes = -1, .threads = 2};
    if (!set || !CHECK_OK(plan_look(&plan.set, set, &error), &error))
        return;
    CHECK_INT(plan.set.n[SPLIT_TRAIN], 4);
    CHECK_INT(plan.set.largest[1], 44);

    plan.has_network = true;
    plan.spacing_mm = 4;
    plan.width = 0.5;
    plan.patch_vox = 32;
    plan.steps = 100;
    CHECK_OK(plan_measure(&measured, &plan, NULL, &request, recipe, &error), &error);
    CHECK(measured.step_s > 0 && measured.step_s < 60);
    CHECK(measured.shape_head_s > 0);

    CHECK_OK(plan_write(&plan, &request, check_path("written.yaml"), &error), &error);
    CHECK(!plan.has_network);
    CHECK_FAILS(plan_write(&plan,
                           &(struct plan_request){
                               .set = check_path("none.h5"), .recipe = recipe, .hours = 1, .memory_bytes = -1},
                           check_path("not.yaml"), &error),
                &error, STATUS_FAILED, "no such file");
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"heads", test_heads},
                                       {"hours", test_hours},
                                       {"memory", test_memory},
                                       {"scans", test_scans},
                                       {"too_few", test_too_few},
                                       {"measured", test_measured},
                                       {0}};
    log_set_level(LOG_QUIET);
    return check_main(argc, argv, tests);
}
