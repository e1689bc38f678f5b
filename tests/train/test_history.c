/* test_history.c - the plots of a run, drawn by gnuplot from a table with known values. */
#include "train/history.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "tests/check.h"
#include "tests/train/chain.h"
#include "train/plot.h"

enum { N_STEPS = 40, VALIDATE_EVERY = 5 };

/* 1 for the first half of the steps, 0.5 after it. */
static double step_loss(int step)
{
    return step <= N_STEPS / 2 ? 1 : 0.5;
}

/* A run folder with metrics.tsv: a row for each step, and one without a training loss for each validation. */
static bool history_fill(struct history *history, struct run *run, const struct recipe *recipe)
{
    struct error error = {0};
    struct train_step train_step = {0};
    struct validation validation = {.loss = 0.75, .n_cases = 2};

    if (!CHECK_OK(run_create(run, check_path("run"), "name", &error), &error) ||
        !CHECK_OK(history_open(history, run, recipe, NULL, 0, &error), &error))
        return false;
    for (int k = 0; k < VALIDATION_MAX_COLUMNS; k++)
        validation.mean[k] = 0.5;

    for (int step = 1; step <= N_STEPS; step++) {
        const struct train_step_result result = {.loss = step_loss(step), .lr = 1e-3, .grad_norm = 1};
        train_step.step = step;
        if (!CHECK_OK(history_step(history, &train_step, &result, &error), &error))
            return false;
        if (step % VALIDATE_EVERY == 0 && !CHECK_OK(history_validation(history, step, &validation, &error), &error))
            return false;
    }
    return true;
}

/* The smoothed curve of plots/loss.gp as gnuplot computes it: one value a step. False when a point is undefined. */
static bool smoothed_curve(double ret[N_STEPS + 1])
{
    char command[4096], line[256];
    bool unbroken = true;
    int curve = -1;

    snprintf(command, sizeof command,
             "cd '%s' && gnuplot -e \"format='svg'; output='again'; load 'loss.gp'; mean=NaN; set table 'table.txt'; "
             "replot; unset table\" 2>&1",
             check_path("run/plots"));
    FILE *pipe = popen(command, "r");
    while (pipe && fgets(line, sizeof line, pipe))
        fputs(line, stderr);
    if (!CHECK(pipe && pclose(pipe) == 0))
        return false;

    FILE *table = fopen(check_path("run/plots/table.txt"), "r");
    if (!CHECK(table != NULL))
        return false;
    while (fgets(line, sizeof line, table)) {
        double step, value;
        char kind;
        curve += strncmp(line, "# Curve ", 8) == 0 && strncmp(line, "# Curve title", 13) != 0;
        if (curve != 1 || sscanf(line, "%lf %lf %c", &step, &value, &kind) != 3)
            continue;
        unbroken = unbroken && kind == 'i' && isfinite(value);
        if (step >= 1 && step <= N_STEPS)
            ret[(int)step] = value;
    }
    fclose(table);
    return unbroken;
}

/* Validation rows neither break the smoothed curve nor start its mean anew. */
static void test_smoothed(const struct recipe *recipe)
{
    struct run run = {0};
    struct history history = {0};
    double got[N_STEPS + 1] = {0}, mean = step_loss(1);

    if (history_fill(&history, &run, recipe)) {
        history_plot(&history, true);
        CHECK(file_exists(check_path("run/plots/loss.png")));
        CHECK(file_exists(check_path("run/plots/loss.svg")));
        CHECK(file_exists(check_path("run/plots/metrics.png")));
        CHECK(file_exists(check_path("run/plots/metrics.svg")));
        CHECK(smoothed_curve(got));
        for (int step = 1; step <= N_STEPS; step++) {
            mean = step > 1 ? 0.9 * mean + 0.1 * step_loss(step) : mean;
            CHECK_NEAR(got[step], mean, 1e-5);
        }
    }
    history_close(&history);
    run_close(&run);
}

static void test_plots(void)
{
    struct error error = {0};
    struct arena arena = {0};
    struct recipe recipe;
    const char *path = chain_recipe("history.yaml", "");

    if (!plot_available())
        check_skip("gnuplot is not installed");
    else if (CHECK_OK(recipe_read(&recipe, path, 0, NULL, &arena, &error), &error))
        test_smoothed(&recipe);
    arena_done(&arena);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"plots", test_plots}, {0}};
    return check_main(argc, argv, tests);
}
