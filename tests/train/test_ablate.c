/* test_ablate.c - grids: reading, order, run and killed and gone on with, refused where the folders are another grid's.
 */
#include "train/ablate.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "tests/check.h"
#include "tests/hdf5_leaks.h"
#include "tests/train/chain.h"
#include "tests/train/child.h"
#include "train/run.h"

static const char *program;

#define AXES \
    "axes:\n  - name: loss\n    values:\n      - { name: mse, set: ['loss=[{type: mse}]'] }\n      - { name: both }\n"
#define SCANS                                                                                                       \
    "  - name: scan\n    values:\n      - { name: grid, set: [restore.scan=grid] }\n      - { name: overlap, set: " \
    "['restore.scan=overlap'] }\n"
#define HEAD                                                                                                \
    "name: tiny\nbase: plain.yaml\nset: [train.steps=4, train.validate_every=0, train.checkpoint_every=2, " \
    "train.plot_every=0]\n"
#define TAIL "evaluate: { cases: 1, defects: defects.yaml, metrics: [dsc, volume_error, hd95_mm] }\n"

/* --- reading --- */

static void test_refuses(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"name: x\n" AXES, "base"},
        {HEAD, "axes"},
        {HEAD "axes: []\n", "axes: 0 of them (1 to 6)"},
        {HEAD "axes:\n  - { name: a, values: [ { name: b }, { name: b } ] }\n",
         ":5:39: axes[0].values[1].name: 'b' stands for another value"},
        {HEAD "axes:\n  - { name: a, values: [ { name: 'x/y' } ] }\n", "'x/y': letters"},
        {HEAD "axes:\n  - { name: a, values: [ { name: .. } ] }\n", "'..': letters"},
        {HEAD "axes:\n  - { name: a, values: [] }\n", "axes[0].values: none"},
        {HEAD AXES "seeds: [1, 1]\n", "seeds[1]: 1 is given twice"},
        {HEAD AXES "seeds: [-1]\n", "seeds[0]: '-1': a whole number"},
        {HEAD AXES "seeds: [1x]\n", "seeds[0]: '1x': a whole number"},
        {HEAD AXES "evaluate: { metrics: [dcs] }\n", "did you mean 'dsc'?"},
        {HEAD AXES "evaluate: { case: 3 }\n", "did you mean 'cases'?"},
        {HEAD AXES "axis: 3\n", "did you mean 'axes'?"},
        {HEAD "axes:\n  - { name: a, values: [ { name: b, set: [train.stesp=3] } ] }\n", "did you mean 'steps'?"},
        {"base: nowhere.yaml\n" AXES, "nowhere.yaml"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {0};
        struct arena arena = {0};
        struct ablate_config config;
        const char *path = chain_write("bad.yaml", cases[i].text);
        if (!path)
            return;
        CHECK_FAILS(ablate_read(&config, path, 0, NULL, &arena, &error), &error, STATUS_USAGE, cases[i].message);
        arena_done(&arena);
    }
}

static void test_grid(void)
{
    struct error error = {0};
    struct arena arena = {0};
    struct ablate_config config;
    struct config_strings sets;
    char *const more[] = {"train.batch=1"};
    const char *path = chain_write("grid.yaml", HEAD AXES SCANS TAIL "seeds: [7, 11]\n");
    if (!path || !CHECK_OK(ablate_read(&config, path, 1, more, &arena, &error), &error))
        return;
    CHECK_INT(ablate_points(&config), 4);
    CHECK(!ablate_only_restores(ablate_axis_at(&config, 0)));
    CHECK(ablate_only_restores(ablate_axis_at(&config, 1)));
    CHECK_TEXT(ablate_run_name(&config, 1, "7", false, &arena), "mse_overlap_s7");
    CHECK_TEXT(ablate_run_name(&config, 1, "7", true, &arena), "mse_s7");
    CHECK_TEXT(ablate_run_name(&config, 2, "11", false, &arena), "both_grid_s11");
    if (CHECK(ablate_sets(&sets, &config, 1, "7", false, &arena)) && CHECK_INT(sets.n, 8)) {
        CHECK_TEXT(sets.items[0], "train.steps=4");
        CHECK_TEXT(sets.items[4], "train.batch=1");
        CHECK_TEXT(sets.items[5], "loss=[{type: mse}]");
        CHECK_TEXT(sets.items[6], "restore.scan=overlap");
        CHECK_TEXT(sets.items[7], "seed=7");
    }
    if (CHECK(ablate_sets(&sets, &config, 1, "7", true, &arena)))
        CHECK_INT(sets.n, 7); /* the scan is not trained */
    arena_done(&arena);
}

/* Every shipped ablation is in order. */
static void test_shipped(void)
{
    struct error error = {0};
    struct arena arena = {0};
    struct config_strings names;
    int n = 0;
    if (!CHECK_OK(file_list(&names, "experiments", &arena, &error), &error))
        return;
    for (int64_t i = 0; i < names.n; i++) {
        struct ablate_config config;
        char *path = arena_printf(&arena, "experiments/%s/ablation.yaml", names.items[i]);
        if (!path || !file_exists(path))
            continue;
        CHECK_OK(ablate_read(&config, path, 0, NULL, &arena, &error), &error);
        n++;
    }
    printf("    %d ablations\n", n);
    arena_done(&arena);
}

/* --- running --- */

static enum status run_ablation(struct ablate_result *ret, const char *yaml, const char *out, struct arena *arena,
                                struct error *error)
{
    struct ablate_config config;
    *error = (struct error){0};
    if (ablate_read(&config, yaml, 0, NULL, arena, error))
        return error->status;
    return ablate_run(ret, &config, out, arena, error);
}

static bool same_text(const char *a, const char *b)
{
    char *text_a = chain_text(a), *text_b = chain_text(b);
    bool same = text_a && text_b && CHECK_TEXT(text_a, text_b);
    memory_free(text_a);
    memory_free(text_b);
    return same;
}

/* The labels of the picture end above its lower edge: half the letters' height is their width at most. */
static void check_labels(const char *svg)
{
    const double WIDTH = 0.62, EDGE = 2;
    char *text = file_exists(svg) ? chain_text(svg) : NULL;
    double height = 0, x, y;
    int n = 0;
    const char *at = text ? strstr(text, " height=\"") : NULL;
    if (!at) {
        printf("    skipped: no picture (gnuplot is not installed)\n");
        memory_free(text);
        return;
    }
    CHECK(sscanf(at, " height=\"%lf", &height) == 1);
    while ((at = strstr(at, "<g transform=\"translate("))) {
        const char *label = strstr(at, "<text>");
        if (sscanf(at, "<g transform=\"translate(%lf,%lf) rotate(-90)", &x, &y) == 2 && label &&
            strncmp(strstr(at, "text-anchor=") + 12, "\"end\"", 5) == 0 && strstr(at, ") rotate(-90)") < label) {
            n++;
            CHECK(y + WIDTH * 12 * (double)strcspn(label + 6, "<") + EDGE < height);
        }
        at++;
    }
    CHECK_INT(n, 12); /* four points in three panels */
    memory_free(text);
}

static void test_run(void)
{
    struct error error;
    struct arena arena = {0};
    struct ablate_result result;
    const char *yaml = chain_write("run.yaml", HEAD AXES SCANS TAIL "seeds: [1, 2]\n");
    if (!yaml || !CHECK_OK(run_ablation(&result, yaml, check_path("out"), &arena, &error), &error))
        return;
    CHECK_INT(result.n_points, 4);
    CHECK_INT(result.n_failed, 0);
    for (int64_t p = 0; p < 4; p++) {
        CHECK_INT(result.points[p].n_seeds, 2);
        CHECK_INT(result.points[p].n[0], 2);
        CHECK(isfinite(result.points[p].mean[1]) && isfinite(result.points[p].sd[1]));
    }
    struct config_strings names;
    if (CHECK_OK(file_list(&names, check_path("out/runs"), &arena, &error), &error))
        CHECK_INT(names.n, 4); /* 2 losses x 2 seeds: the scans trained nothing */
    char *table = chain_text(check_path("out/table.md"));
    CHECK_CONTAINS(table, "| loss | scan | seeds | dsc | volume_error | hd95_mm | empty |\n");
    CHECK_CONTAINS(table, "| both | overlap | 2 |");
    CHECK_CONTAINS(table, "| both overlap | volume_error | 1 | ");
    memory_free(table);

    check_labels(check_path("out/metrics.svg"));

    /* The one skull has a volume error with every seed: the mean difference is that of the means. */
    char *differences = chain_text(check_path("out/differences.tsv"));
    for (int64_t p = 1; differences && p < 4; p++) {
        char start[32];
        double got = NAN;
        snprintf(start, sizeof start, "\n%d\t", (int)p);
        const char *row = strstr(differences, start);
        row = row ? strstr(row, "\tvolume_error\t") : NULL; /* the next metric of the same point */
        CHECK(row && sscanf(row, "\tvolume_error\t1\t%lf", &got) == 1);
        CHECK_NEAR(got, result.points[p].mean[1] - result.points[0].mean[1], 1e-3);
    }
    memory_free(differences);

    /* Again: nothing is done anew, and the table is the same. */
    struct stat before, after;
    CHECK_INT(stat(check_path("out/runs/mse_s1/last.h5"), &before), 0);
    CHECK(rename(check_path("out/table.tsv"), check_path("out/first.tsv")) == 0);
    CHECK_OK(run_ablation(&result, yaml, check_path("out"), &arena, &error), &error);
    CHECK_INT(stat(check_path("out/runs/mse_s1/last.h5"), &after), 0);
    CHECK(before.st_ino == after.st_ino && before.st_mtime == after.st_mtime);
    same_text(check_path("out/first.tsv"), check_path("out/table.tsv"));

    /* Another recipe in the same folder is refused, and nothing changed. */
    yaml = chain_write(
        "other.yaml", HEAD
        "seeds: [1, 2]\naxes:\n  - { name: loss, values: [ { name: mse, set: ['loss=[{type: dice}]'] } ] }\n" TAIL);
    CHECK_FAILS(run_ablation(&result, yaml, check_path("out"), &arena, &error), &error, STATUS_USAGE,
                "was trained by another recipe");
    CHECK_CONTAINS(error.text, "'- type: mse' there, '- type: dice' here");
    arena_done(&arena);
}

/* A run that fails is left out, the others are measured. */
static void test_failing_run(void)
{
    struct error error;
    struct arena arena = {0};
    struct ablate_result result;
    const char *yaml = chain_write("failing.yaml", HEAD TAIL
                                   "seeds: [1]\naxes:\n  - name: rate\n    values:\n      - { name: good }\n"
                                   "      - { name: nan, set: ['optimizer={type: sgd, lr: 10}', train.steps=60, "
                                   "'loss=[{type: mse, weight: 1.0e12}]'] }\n");
    if (yaml && CHECK_OK(run_ablation(&result, yaml, check_path("failing"), &arena, &error), &error)) {
        CHECK_INT(result.n_failed, 1);
        CHECK_INT(result.points[0].n_seeds, 1);
        CHECK_INT(result.points[1].n_seeds, 0);
    }
    arena_done(&arena);
}

/* --- killed: the grid goes in a process of its own, this program with YAML OUT behind --run --- */

static int child_main(char **arguments)
{
    struct error error = {0};
    struct arena arena = {0};
    struct ablate_result result;
    enum status status = run_ablation(&result, arguments[0], arguments[1], &arena, &error);
    if (status)
        error_print(stderr, &error);
    arena_done(&arena);
    return (int)status;
}

#define RUN(yaml, folder) ((const char *const[]){program, "--run", yaml, check_path(folder), NULL})

/* Three processes share the grid, one of them is killed: the others lose nothing, and one more completes the rest. */
static void test_shared(void)
{
    const char *yaml = chain_write("shared.yaml", HEAD AXES SCANS TAIL "seeds: [1, 2]\n");
    if (!yaml)
        return;
    CHECK_INT(child_run(RUN(yaml, "one_process")), 0);
    pid_t children[3];
    children[0] = child_start(RUN(yaml, "shared"));
    chain_wait_for(check_path("shared/runs"));
    for (int i = 1; i < 3; i++)
        children[i] = child_start(RUN(yaml, "shared"));
    kill(children[0], SIGKILL);
    CHECK_INT(child_wait(children[0]), -1);
    CHECK_INT(child_wait(children[1]), 0);
    CHECK_INT(child_wait(children[2]), 0);
    CHECK_INT(child_run(RUN(yaml, "shared")), 0);
    same_text(check_path("one_process/table.tsv"), check_path("shared/table.tsv"));
    same_text(check_path("one_process/runs.tsv"), check_path("shared/runs.tsv"));
    CHECK(chain_same_model(check_path("one_process/runs/both_s2/last.h5"), check_path("shared/runs/both_s2/last.h5")));
}

/* kill -9 at random moments until the grid is through: models and table are those of the grid left alone. */
static void test_kill_at_random(void)
{
    const char *yaml = chain_write("killed.yaml", HEAD AXES TAIL "seeds: [1, 2]\n");
    if (!yaml)
        return;
    child_kill_at_random(RUN(yaml, "alone"), RUN(yaml, "killed"), check_path("killed/runs"));
    same_text(check_path("alone/table.tsv"), check_path("killed/table.tsv"));
    same_text(check_path("alone/evaluations/both_s2.tsv"), check_path("killed/evaluations/both_s2.tsv"));
    CHECK(chain_same_model(check_path("alone/runs/mse_s1/last.h5"), check_path("killed/runs/mse_s1/last.h5")));
    CHECK(chain_same_model(check_path("alone/runs/both_s2/last.h5"), check_path("killed/runs/both_s2/last.h5")));
}

static void test_sigterm(void)
{
    const char *yaml = chain_write(
        "stopped.yaml", "base: plain.yaml\nset: [train.steps=2000, train.validate_every=0, train.plot_every=0]\n" AXES
                        "seeds: [1]\n" TAIL);
    if (!yaml)
        return;
    const pid_t child = child_start(RUN(yaml, "stopped"));
    chain_wait_for(check_path("stopped/runs/mse_s1/metrics.tsv"));
    kill(child, SIGTERM);
    CHECK_INT(child_wait(child), STATUS_STOPPED);
}

int main(int argc, char **argv)
{
    program = argv[0];
    log_set_level(LOG_QUIET);
    if (argc == 4 && strcmp(argv[1], "--run") == 0)
        return child_main(argv + 2);
    const struct check_test tests[] = {{"refuses", test_refuses},
                                       {"grid", test_grid},
                                       {"shipped", test_shipped},
                                       {"run", test_run},
                                       {"failing_run", test_failing_run},
                                       {"shared", test_shared},
                                       {"kill_at_random", test_kill_at_random},
                                       {"sigterm", test_sigterm},
                                       {0}};
    return check_main(argc, argv, tests);
}
