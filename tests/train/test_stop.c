/* test_stop.c - runs that are stopped, killed or run out of disk, in processes of their own: what is left is whole, and
 * going on gives the bits of the run left alone. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/log.h"
#include "nn/model/model_file.h"
#include "tests/check.h"
#include "tests/hdf5_leaks.h"
#include "tests/train/chain.h"
#include "tests/train/child.h"
#include "train/run.h"
#include "train/trainer.h"
#include "train/trainer_open.h"

static bool ready(void)
{
    return CHECK(chain_set() != NULL);
}

/* --- the run goes in a process of its own: this program with the arguments RECIPE FOLDER [KEY=VALUE ...] behind --run
 * --- */

static const char *program;

static int child_main(int n_sets, char **arguments)
{
    struct error error = {0};
    char recipe_yaml[4096];
    const char *recipe = arguments[0], *folder = arguments[1];
    snprintf(recipe_yaml, sizeof recipe_yaml, "%s/recipe.yaml", folder);
    if (run_set_aside(folder, &error)) /* killed before there was anything to go on with */
        return STATUS_FAILED;
    enum status status = file_exists(recipe_yaml) ? trainer_resume(folder, 0, NULL, &error)
                                                  : trainer_start(recipe, n_sets, arguments + 2, folder, NULL, &error);
    if (status == STATUS_FAILED || status == STATUS_USAGE)
        error_print(stderr, &error);
    return (int)status;
}

struct command {
    const char *arguments[16];
};

static struct command command_of(const char *recipe, const char *folder, int n_sets, char *const *sets)
{
    struct command command = {{program, "--run", recipe, check_path(folder)}};
    for (int i = 0; i < n_sets && i < 11; i++)
        command.arguments[4 + i] = sets[i];
    return command;
}

static int run_child(const char *recipe, const char *folder, int n_sets, char *const *sets)
{
    return child_run(command_of(recipe, folder, n_sets, sets).arguments);
}

/* Every scheme whose state a checkpoint must hold, over the plain recipe. */
static char *const everything[] = {
    "loss=[mse, {type: boundary, ramp: [{step: 5, factor: 0}, {step: 20, factor: 0.01}]}]", "train.ema=0.9",
    "schedule={type: cosine, warmup_steps: 3}", "train.clip_norm=1"};
enum { N_EVERYTHING = sizeof everything / sizeof *everything };

/* Stopped by a signal after a few steps, then gone on with. */
static void check_stop(int signal_number, const char *name, const char *recipe, int n_sets, char *const *sets)
{
    char folder[32], stopped_by[64];
    snprintf(folder, sizeof folder, "%s", name);
    pid_t child = child_start(command_of(recipe, folder, n_sets, sets).arguments);
    for (int i = 0; i < 4000 && chain_steps(folder) < 3; i++)
        child_nap(0.005);
    kill(child, signal_number);
    CHECK_INT(child_wait(child), STATUS_STOPPED);
    char *status = chain_text(chain_in(folder, "STATUS")), *log = chain_text(chain_in(folder, "log.txt"));
    snprintf(stopped_by, sizeof stopped_by, "stopped by %s after step",
             signal_number == SIGINT   ? "SIGINT"
             : signal_number == SIGHUP ? "SIGHUP"
                                       : "SIGTERM");
    CHECK_CONTAINS(status, "state: stopped\n");
    CHECK_CONTAINS(log, stopped_by);
    CHECK_CONTAINS(log, "calvaria train --resume");
    memory_free(status);
    memory_free(log);
    CHECK(chain_steps(folder) < 150);
    CHECK_INT(run_child(recipe, folder, 0, NULL), 0);
    CHECK_INT(chain_steps(folder), 150);
}

static void test_signals(void)
{
    char *sets[4 + N_EVERYTHING] = {"train.steps=150", "train.validate_every=0", "train.checkpoint_every=0",
                                    "train.plot_every=0"};
    memcpy(sets + 4, everything, sizeof everything);
    if (!ready())
        return;
    const char *plain = chain_recipe("plain.yaml", NULL), *gan = chain_recipe("gan.yaml", chain_adversary);
    signal(SIGHUP, SIG_DFL); /* nohup ignores it, and the children inherit that */
    CHECK_INT(run_child(plain, "long", 4, sets), 0);
    check_stop(SIGTERM, "terminated", plain, 4, sets);
    CHECK(chain_same_model(chain_in("long", "last.h5"), chain_in("terminated", "last.h5")));
    check_stop(SIGHUP, "hung_up", plain, 4, sets);
    CHECK(chain_same_model(chain_in("long", "last.h5"), chain_in("hung_up", "last.h5")));
    CHECK_INT(run_child(gan, "long_gan", 4 + N_EVERYTHING, sets), 0);
    check_stop(SIGINT, "interrupted", gan, 4 + N_EVERYTHING, sets);
    CHECK(chain_same_model(chain_in("long_gan", "last.h5"), chain_in("interrupted", "last.h5")));
}

/* --- kill -9 --- */

/* At random moments, validations and checkpoints included, until the run ends: the bits are those of the run left
 * alone. */
static void check_kills(const char *recipe, const char *alone, const char *killed, int n_sets, char *const *sets)
{
    child_kill_at_random(command_of(recipe, alone, n_sets, sets).arguments,
                         command_of(recipe, killed, n_sets, sets).arguments, chain_in(killed, "metrics.tsv"));
    CHECK(chain_same_model(chain_in(alone, "last.h5"), chain_in(killed, "last.h5")));
    CHECK(chain_same_model(chain_in(alone, "best.h5"), chain_in(killed, "best.h5")));
    CHECK_INT(chain_steps(killed), chain_steps(alone));
}

static void test_kill_at_random(void)
{
    char *sets[4 + N_EVERYTHING] = {"train.steps=60", "train.validate_every=7", "train.checkpoint_every=4",
                                    "train.plot_every=0"};
    memcpy(sets + 4, everything, sizeof everything);
    if (!ready())
        return;
    char *const small[] = {sets[0],
                           sets[1],
                           sets[2],
                           sets[3],
                           "train.batch=1",
                           "train.accumulate=2",
                           "optimizer={type: adamw, lr: 1.0e-3}"};
    check_kills(chain_recipe("plain.yaml", NULL), "alone", "killed", 7, small);
    check_kills(chain_recipe("gan.yaml", chain_adversary), "alone_gan", "killed_gan", 4 + N_EVERYTHING, sets);
}

/* A file that is being written: ".last.h5.PID-N.part". */
static bool writing(const char *folder)
{
    struct error error = {0};
    struct arena arena = {0};
    struct config_strings names = {0};
    bool found = false;
    if (file_is_folder(check_path(folder)) && !file_list(&names, check_path(folder), &arena, &error))
        for (int64_t i = 0; i < names.n; i++)
            found |= strncmp(names.items[i], ".last.h5.", 9) == 0;
    arena_done(&arena);
    return found;
}

/* Killed in the middle of the write of a checkpoint, again and again: the earlier one is whole each time, and the run
 * goes on from it. */
static void test_kill_while_writing(void)
{
    char *const sets[] = {"train.steps=40", "train.validate_every=0", "train.checkpoint_every=1", "train.plot_every=0",
                          "train.ema=0.9"};
    enum { N_SETS = 5, WANTED = 5 };
    if (!ready())
        return;
    const char *recipe = chain_recipe("gan.yaml", chain_adversary);
    CHECK_INT(run_child(recipe, "whole", N_SETS, sets), 0);
    int n_caught = 0, n_left = 0, status = -1;
    for (int i = 0; i < 60 && status != 0; i++) {
        pid_t child = child_start(command_of(recipe, "broken", N_SETS, sets).arguments);
        int first = chain_steps("broken");
        bool caught = false;
        while (n_caught < WANTED && waitpid(child, &status, WNOHANG) == 0 && !caught)
            caught = chain_steps("broken") >= first + 3 && writing("broken");
        if (n_caught >= WANTED || !caught) {
            status = n_caught >= WANTED ? child_wait(child) : WIFEXITED(status) ? WEXITSTATUS(status) : -1;
            continue;
        }
        kill(child, SIGKILL);
        status = child_wait(child);
        n_caught++;
        n_left += writing("broken"); /* half a file is lying there: it was in the middle */
        struct error error = {0};
        struct model model = {0};
        if (file_exists(chain_in("broken", "last.h5")))
            CHECK_OK(model_read(&model, chain_in("broken", "last.h5"), true, &error), &error);
        model_done(&model);
    }
    printf("    killed %d times at a write, %d of them left half a file\n", n_caught, n_left);
    CHECK_INT(status, 0);
    CHECK(n_left > 0);
    CHECK(!writing("broken")); /* swept up when the run was opened again */
    CHECK(chain_same_model(chain_in("whole", "last.h5"), chain_in("broken", "last.h5")));
}

/* --- a full disk --- */

/* Files of this process and of those it starts end at `bytes`. */
static void limit_files(struct rlimit *before, rlim_t bytes)
{
    getrlimit(RLIMIT_FSIZE, before);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){bytes, before->rlim_max});
}

/* A checkpoint that cannot be written (here by a limit on file sizes, as a full disk fails) says so, and the earlier
 * one stands. */
static void test_full_disk_at_checkpoint(void)
{
    struct error error = {0};
    struct trainer trainer = {0};
    struct train_step_result result;
    struct rlimit before;
    char *const sets[] = {"train.validate_every=0"};
    const struct checkpoint_texts texts = {0};
    if (!ready())
        return;
    signal(SIGXFSZ, SIG_IGN); /* as stop_install does for a run */
    if (CHECK_OK(chain_trainer(&trainer, chain_recipe("plain.yaml", NULL), 1, sets, check_path("tight"), &error),
                 &error)) {
        CHECK_OK(train_step_run(&trainer.train_step, &result, &error), &error);
        CHECK_OK(checkpoint_write(chain_in("tight", "last.h5"), &trainer.train_step, &trainer.state, &texts, &error),
                 &error);
        CHECK_OK(checkpoint_write(chain_in("tight", "copy.h5"), &trainer.train_step, &trainer.state, &texts, &error),
                 &error);
        CHECK_OK(train_step_run(&trainer.train_step, &result, &error), &error);
        limit_files(&before, 4096);
        enum status status =
            checkpoint_write(chain_in("tight", "last.h5"), &trainer.train_step, &trainer.state, &texts, &error);
        setrlimit(RLIMIT_FSIZE, &before);
        CHECK_FAILS(status, &error, STATUS_FAILED, "last.h5");
        CHECK_CONTAINS(error.text, "while saving the state of step 2");
        printf("    %s", error.text);
        CHECK(chain_same_model(chain_in("tight", "last.h5"), chain_in("tight", "copy.h5")));
        struct arena arena = {0};
        struct config_strings names = {0};
        CHECK_OK(file_list(&names, check_path("tight"), &arena, &error), &error);
        for (int64_t i = 0; i < names.n; i++)
            CHECK(!file_has_suffix(names.items[i], ".part"));
        arena_done(&arena);
    }
    trainer_close(&trainer);
}

/* A whole run whose disk is full at its second checkpoint: it fails, says so, keeps the first, and goes on when there
 * is room. */
static void test_full_disk_in_run(void)
{
    char *const sets[] = {"train.steps=4", "train.validate_every=0", "train.checkpoint_every=2", "train.plot_every=0",
                          "train.ema=0.9"};
    char *const first[] = {"train.steps=2", sets[1], sets[2], sets[3], sets[4]};
    struct stat file;
    struct rlimit before;
    if (!ready())
        return;
    const char *recipe = chain_recipe("gan.yaml", chain_adversary);
    CHECK_INT(run_child(recipe, "roomy", 5, sets), 0);
    CHECK_INT(run_child(recipe, "full", 5, first), 0);
    CHECK_INT(run_child(recipe, "copy", 5, first), 0);
    if (!CHECK_INT(stat(chain_in("full", "last.h5"), &file), 0))
        return;
    limit_files(&before, (rlim_t)file.st_size / 2);
    const pid_t child =
        child_start((const char *const[]){program, "--longer", check_path("full"), "train.steps=4", NULL});
    setrlimit(RLIMIT_FSIZE, &before);
    CHECK_INT(child_wait(child), STATUS_FAILED);
    char *status = chain_text(chain_in("full", "STATUS")), *log = chain_text(chain_in("full", "log.txt"));
    CHECK_CONTAINS(status, "state: failed\n");
    CHECK_CONTAINS(log, "last.h5");
    CHECK_CONTAINS(log, "File too large");
    CHECK_CONTAINS(log, "its last.h5 still holds step 2");
    memory_free(status);
    memory_free(log);
    CHECK(chain_same_model(chain_in("copy", "last.h5"), chain_in("full", "last.h5")));
    CHECK_INT(run_child(recipe, "full", 0, NULL), 0);
    CHECK(chain_same_model(chain_in("roomy", "last.h5"), chain_in("full", "last.h5")));
}

int main(int argc, char **argv)
{
    program = argv[0];
    log_set_level(LOG_WARN);
    if (argc >= 4 && strcmp(argv[1], "--run") == 0)
        return child_main(argc - 4, argv + 2);
    if (argc == 4 && strcmp(argv[1], "--longer") == 0) {
        struct error error = {0};
        return (int)trainer_resume(argv[2], 1, argv + 3, &error);
    }
    const struct check_test tests[] = {{"full_disk_at_checkpoint", test_full_disk_at_checkpoint},
                                       {"full_disk_in_run", test_full_disk_in_run},
                                       {"signals", test_signals},
                                       {"kill_while_writing", test_kill_while_writing},
                                       {0}};
    const struct check_test killing[] = {{"kill_at_random", test_kill_at_random}, {0}};
    return argc == 2 && strcmp(argv[1], "kill_at_random") == 0 ? check_main(argc, argv, killing)
                                                               : check_main(argc, argv, tests);
}
