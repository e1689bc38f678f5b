/* test_recipe.c - recipes that are in order, and a folder of those that are not: every message names file, line,
 * column, key and a way out. */
#include "train/recipe.h"
#include "train/stages.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "tests/check.h"
#include "tests/train/chain.h"
#include "train/budget.h"

#define BAD_CONFIGS "tests/bad_configs"

static enum status read_recipe(struct recipe *recipe, const char *path, int n_sets, char *const *sets,
                               struct arena *arena, struct error *error)
{
    *error = (struct error){0};
    return recipe_read(recipe, path, n_sets, sets, arena, error);
}

static void check_bad_config(const char *name, struct arena *arena)
{
    static const char mark[] = "# expect: ";
    struct error error;
    struct recipe recipe;
    char *path = file_join(arena, BAD_CONFIGS, name), *text = chain_text(path);
    if (CHECK(text && strncmp(text, mark, strlen(mark)) == 0)) {
        text[strcspn(text, "\n")] = '\0';
        if (!CHECK_FAILS(read_recipe(&recipe, path, 0, NULL, arena, &error), &error, STATUS_USAGE, text + strlen(mark)))
            printf("    in %s\n", path);
    }
    memory_free(text);
}

static void test_bad_configs(void)
{
    struct error error = {0};
    struct arena arena = {0};
    struct config_strings names;
    if (CHECK_OK(file_list(&names, BAD_CONFIGS, &arena, &error), &error)) {
        CHECK(names.n > 25);
        for (int64_t i = 0; i < names.n; i++)
            if (strcmp(names.items[i], "base.yaml") != 0)
                check_bad_config(names.items[i], &arena);
    }
    arena_done(&arena);
}

static void test_base_is_good(void)
{
    struct error error;
    struct arena arena = {0};
    struct recipe recipe;
    if (CHECK_OK(read_recipe(&recipe, BAD_CONFIGS "/base.yaml", 0, NULL, &arena, &error), &error)) {
        CHECK_INT(recipe.restore.window.patch_vox[2], 16); /* from data.patch_vox */
        CHECK(recipe.data.set[0] == '/');
        CHECK_INT(recipe_shape(&recipe, 3).n, 3);
    }
    arena_done(&arena);
}

static void test_many_mistakes_at_once(void)
{
    struct error error;
    struct arena arena = {0};
    struct recipe recipe;
    char *const sets[] = {"train.stepz=3", "seed=-1", "loss=[{type: mse, wieght: 2}]"};
    CHECK_FAILS(read_recipe(&recipe, BAD_CONFIGS "/base.yaml", 3, sets, &arena, &error), &error, STATUS_USAGE,
                "--set train.stepz=3");
    CHECK_CONTAINS(error.text, "seed");
    CHECK_CONTAINS(error.text, "did you mean 'weight'?");
    CHECK_INT(error.n_errors, 3);
    arena_done(&arena);
}

static void test_matches(void)
{
    const char *patterns[] = {"enc*", "head"};
    const struct config_strings list = {2, patterns};
    CHECK(recipe_matches(&list, "enc1a"));
    CHECK(recipe_matches(&list, "enc"));
    CHECK(recipe_matches(&list, "head"));
    CHECK(!recipe_matches(&list, "head2"));
    CHECK(!recipe_matches(&list, "dec"));
}

static void test_metric_sign(void)
{
    CHECK_INT(recipe_metric_sign("loss"), -1);
    CHECK_INT(recipe_metric_sign("dsc"), 1);
    CHECK_INT(recipe_metric_sign("hd95_mm"), -1);
    CHECK_INT(recipe_metric_sign("volume_error"), 0);
    CHECK_INT(recipe_metric_sign("beauty"), 0);
}

/* Every shipped recipe is in order. */
static void test_shipped_recipes(void)
{
    struct error error = {0};
    struct arena arena = {0};
    struct config_strings names;
    struct recipe recipe;
    struct stages stages;
    if (CHECK_OK(file_list(&names, "configs/recipes", &arena, &error), &error)) {
        CHECK(names.n >= 4);
        for (int64_t i = 0; i < names.n; i++) {
            const char *path = file_join(&arena, "configs/recipes", names.items[i]);
            if (stages_look(path, 0, NULL).stages) {
                CHECK_OK(stages_read(&stages, path, 0, NULL, &arena, &error), &error);
                CHECK(strncmp(names.items[i], stages.name, strlen(stages.name)) == 0);
                continue;
            }
            if (!CHECK_OK(read_recipe(&recipe, path, 0, NULL, &arena, &error), &error))
                continue;
            CHECK(recipe.data.defects && file_exists(recipe.data.defects));
            CHECK(strncmp(names.items[i], recipe.name, strlen(recipe.name)) == 0);
        }
    }
    arena_done(&arena);
}

/* --- memory --- */

/* What each scheme keeps beside the plain one's memory. */
static void check_budget_grows(const struct budget *plain, struct arena *arena)
{
    static char *const schemes[] = {"train.ema=0.99", "train.accumulate=2", "loss=[boundary]",
                                    ("adversary={type: gan, network: {layers: [{type: conv, filters: 4}, "
                                     "{type: flatten}, {type: dense, units: 1}]}}")};
    const int64_t largest[3] = {64, 64, 64}, n = 64 * 64 * 64;
    const int64_t added[] = {4, 4, 4 * n,
                             4 * n}; /* at least: a byte count of one parameter or of one patch of floats */
    struct network_cost cost;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        struct error error = {0};
        struct recipe recipe;
        struct budget budget = {0};
        char *const sets[] = {"data.patch_vox=[64, 64, 64]", schemes[i]};
        if (!CHECK_OK(read_recipe(&recipe, BAD_CONFIGS "/base.yaml", 2, sets, arena, &error), &error))
            continue;
        CHECK_OK(budget_estimate(&budget, &recipe, largest, &error), &error);
        CHECK_OK(network_cost(&cost, &recipe.network, recipe_shape(&recipe, 1), &error), &error);
        CHECK(budget.total_bytes >= plain->total_bytes + (i < 2 ? cost.n_trainable : 1) * added[i]);
    }
}

static void test_budget(void)
{
    struct error error;
    struct arena arena = {0};
    struct recipe recipe;
    const int64_t largest[3] = {64, 64, 64};
    char *const sets[] = {"data.patch_vox=[64, 64, 64]", "train.batch=4"};
    if (!CHECK_OK(read_recipe(&recipe, BAD_CONFIGS "/base.yaml", 2, sets, &arena, &error), &error))
        return;
    struct budget four, one;
    struct recipe small = recipe;
    small.train.batch = 1;
    CHECK_OK(budget_estimate(&four, &recipe, largest, &error), &error);
    CHECK_OK(budget_estimate(&one, &small, largest, &error), &error);
    CHECK(four.activations_bytes > 3 * one.activations_bytes);
    CHECK_INT(four.params_bytes, one.params_bytes);
    check_budget_grows(&one, &arena);
    CHECK_OK(budget_check(&recipe, largest, four.total_bytes, &error), &error);
    CHECK_OK(budget_check(&recipe, largest, -1, &error), &error);
    CHECK_FAILS(budget_check(&recipe, largest, four.total_bytes - 1, &error), &error, STATUS_USAGE,
                "(train.batch: 3 would fit)");
    error = (struct error){0};
    CHECK_FAILS(budget_check(&recipe, largest, one.total_bytes - 1, &error), &error, STATUS_USAGE,
                "data.patch_vox: [56, 56, 56] with train.batch: 1");
    error = (struct error){0};
    CHECK_FAILS(budget_check(&recipe, largest, 1000, &error), &error, STATUS_USAGE, "no smaller patch");
    arena_done(&arena);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"bad_configs", test_bad_configs},
                                       {"base_is_good", test_base_is_good},
                                       {"many_mistakes_at_once", test_many_mistakes_at_once},
                                       {"matches", test_matches},
                                       {"metric_sign", test_metric_sign},
                                       {"shipped_recipes", test_shipped_recipes},
                                       {"budget", test_budget},
                                       {0}};
    return check_main(argc, argv, tests);
}
