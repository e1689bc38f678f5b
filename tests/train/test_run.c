/* test_run.c - the run folder, its metrics table and its plots. */
#include "train/run.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "tests/check.h"
#include "train/plot.h"
#include "train/metrics_table.h"

static char *text_of(const char *path)
{
    struct error error = {0};
    char *text = NULL;
    size_t bytes;
    CHECK_OK(file_read(&text, &bytes, path, 1 << 20, &error), &error);
    return text;
}

static void test_create(void)
{
    struct error error = {0};
    struct run run, again;
    const char *folder = check_path("runs/deep/one");
    if (!CHECK_OK(run_create(&run, folder, "name", &error), &error))
        return;
    CHECK(file_is_folder(check_path("runs/deep/one/plots")));
    CHECK_FAILS(run_create(&again, folder, "name", &error), &error, STATUS_USAGE, "--resume");
    CHECK_OK(run_write(&run, "recipe.yaml", "name: one\n", &error), &error);
    CHECK_FAILS(run_open(&again, folder, &error), &error, STATUS_USAGE, "another process");
    run_close(&run);
    CHECK_OK(file_write(check_path("runs/deep/one/.last.h5.77-1.part"), "half", 4, &error),
             &error); /* a kill left it */
    CHECK_OK(run_open(&again, folder, &error), &error);
    CHECK(!file_exists(check_path("runs/deep/one/.last.h5.77-1.part")));
    CHECK(file_exists(check_path("runs/deep/one/recipe.yaml")));
    run_close(&again);
}

static void test_open_refuses(void)
{
    struct error error = {0};
    struct run run;
    CHECK_FAILS(run_open(&run, check_path("nowhere"), &error), &error, STATUS_USAGE, "no such run folder");
    CHECK_FAILS(run_open(&run, check_folder(), &error), &error, STATUS_USAGE, "no recipe.yaml");
    CHECK_FAILS(run_create(&run, "/proc/no/run", "name", &error), &error, STATUS_FAILED, "/proc");
}

static void test_status(void)
{
    struct error error = {0};
    struct run run;
    if (!CHECK_OK(run_create(&run, check_path("status"), "name", &error), &error))
        return;
    const struct run_status status = {.state = "failed",
                                      .step = 7,
                                      .steps = 9,
                                      .best = "dsc",
                                      .best_value = 0.5,
                                      .best_step = 6,
                                      .note = "it's over\nwhile testing"};
    CHECK_OK(run_write_status(&run, &status, &error), &error);
    char *text = text_of(run_path(&run, "STATUS"));
    CHECK_CONTAINS(text, "state: failed\nstep: 7\nsteps: 9\n");
    CHECK_CONTAINS(text, "best: { metric: dsc, value: 0.5, step: 6 }\n");
    CHECK_CONTAINS(text, "note: 'it''s over'\n");
    memory_free(text);
    run_close(&run);
}

static bool keep_to_2(const void *context, int64_t step, const char *row)
{
    (void)context;
    (void)row;
    return step <= 2;
}

static const char *const titles[] = {"step", "loss", "val"};

static void test_metrics_table(void)
{
    struct error error = {0};
    struct metrics_table table;
    const char *path = check_path("metrics.tsv");
    if (!CHECK_OK(metrics_table_create(&table, path, 3, titles, &error), &error))
        return;
    for (int i = 1; i <= 3; i++)
        CHECK_OK(metrics_table_row(&table, (const double[]){i, 0.5 * i, i == 2 ? 0.25 : NAN}, &error), &error);
    fputs("4\t0.", table.file); /* a kill in the middle of a row */
    metrics_table_close(&table);
    CHECK_OK(metrics_table_resume(&table, path, 3, titles, keep_to_2, NULL, &error), &error);
    CHECK_OK(metrics_table_row(&table, (const double[]){3, 9, NAN}, &error), &error);
    metrics_table_close(&table);
    char *text = text_of(path);
    CHECK_TEXT(text, "step\tloss\tval\n1\t0.5\t\n2\t1\t0.25\n3\t9\t\n");
    memory_free(text);
    CHECK_FAILS(metrics_table_resume(&table, path, 2, titles, keep_to_2, NULL, &error), &error, STATUS_FAILED,
                "columns");
}

static void test_full_disk(void)
{
    struct error error = {0};
    struct metrics_table table = {.file = fopen("/dev/full", "w"), .n_columns = 3, .path = "/dev/full"};
    if (!table.file) {
        check_skip("no /dev/full here");
        return;
    }
    CHECK_FAILS(metrics_table_row(&table, (const double[]){1, 2, 3}, &error), &error, STATUS_FAILED, "No space left");
    metrics_table_close(&table);
}

static void test_plot(void)
{
    struct error error = {0};
    if (!plot_available()) {
        check_skip("no gnuplot here");
        return;
    }
    const char *folder = check_path("it's a folder");
    CHECK_OK(file_make_folders(folder, &error), &error);
    CHECK_OK(
        plot_draw(&(struct plot){.folder = folder, .name = "line", .body = "plot [0:1] x\n", .vectors = true}, &error),
        &error);
    CHECK(file_exists(check_path("it's a folder/line.png")));
    CHECK(file_exists(check_path("it's a folder/line.svg")));
    CHECK_FAILS(plot_draw(&(struct plot){.folder = folder, .name = "bad", .body = "plot 'no such file'\n"}, &error),
                &error, STATUS_FAILED, "bad.gp");
    CHECK(file_exists(check_path("it's a folder/bad.gp")));
    CHECK(!file_exists(check_path("it's a folder/bad.png"))); /* gnuplot had opened it, with nothing in it */
    CHECK(!file_exists(check_path("it's a folder/.bad.part.png")));
}

static void test_plot_without_gnuplot(void)
{
    struct error error = {0};
    char *before = memory_strdup(getenv("PATH"));
    setenv("PATH", "/nonexistent", 1);
    CHECK(!plot_available());
    CHECK_FAILS(plot_draw(&(struct plot){.folder = check_folder(), .name = "alone", .body = "plot x\n"}, &error),
                &error, STATUS_FAILED, "apt-get install");
    setenv("PATH", before, 1);
    memory_free(before);
    CHECK(file_exists(check_path("alone.gp")));
}

/* A gnuplot that dies without reading: writing to it must neither kill this process nor count as a picture. */
static void test_plot_broken_pipe(void)
{
    struct error error = {0};
    signal(SIGPIPE, SIG_IGN); /* as stop_install does for a run */
    char *before = memory_strdup(getenv("PATH"));
    const char *fake = check_path("bin/gnuplot");
    CHECK_OK(file_make_folders(check_path("bin"), &error), &error);
    CHECK_OK(file_write(fake, "#!/bin/sh\nexit 1\n", 17, &error), &error);
    char *command = memory_printf("chmod +x '%s'", fake), *path = memory_printf("%s:%s", check_path("bin"), before);
    CHECK_INT(system(command), 0);
    setenv("PATH", path, 1);
    CHECK_FAILS(plot_draw(&(struct plot){.folder = check_folder(), .name = "pipe", .body = "plot x\n"}, &error), &error,
                STATUS_FAILED, "cannot draw");
    setenv("PATH", before, 1);
    memory_free(before);
    memory_free(command);
    memory_free(path);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"create", test_create},
                                       {"open_refuses", test_open_refuses},
                                       {"status", test_status},
                                       {"metrics table", test_metrics_table},
                                       {"full_disk", test_full_disk},
                                       {"plot", test_plot},
                                       {"plot_without_gnuplot", test_plot_without_gnuplot},
                                       {"plot_broken_pipe", test_plot_broken_pipe},
                                       {0}};
    return check_main(argc, argv, tests);
}
