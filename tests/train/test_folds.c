/* test_folds.c - cross-validation: nobody validates on a head that it has learnt; tables and an ensemble; killed and
 * gone on with, alone and shared by several processes: the same bytes. */
#include "train/folds.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "nn/model/ensemble_file.h"
#include "tests/check.h"
#include "tests/hdf5_leaks.h"
#include "tests/train/chain.h"
#include "tests/train/child.h"

static const char *program;
enum { N_FOLDS = 3, N_HEADS = 6 };

static enum status run_folds(const char *recipe, const char *folder, bool join, struct error *error)
{
    char *sets[] = {"data.folds.number=3",      "train.steps=3",   "train.validate_every=3",   "train.validate_cases=0",
                    "train.validate_patches=1", "train.best=loss", "train.checkpoint_every=1", "train.plot_every=0"};
    struct trainer_request request = {
        .recipe = recipe, .folder = folder, .join = join, .sets = sets, .n_sets = sizeof sets / sizeof *sets};
    char recipe_there[4096];
    *error = (struct error){0};
    snprintf(recipe_there, sizeof recipe_there, "%s/recipe.yaml", folder);
    if (!join && file_exists(recipe_there))
        request = (struct trainer_request){.resume = folder};
    return training_run(&request, error);
}

static int count_lines(const char *path, const char *with)
{
    char *text = chain_text(path);
    int n = 0;
    for (const char *line = text; line && *line;) {
        const size_t length = strcspn(line, "\n");
        const char *found = strstr(line, with);
        n += found && found < line + length;
        line += length + (line[length] == '\n');
    }
    memory_free(text);
    return n;
}

/* Each head is held out once, and learnt by nobody who is measured on it. */
static void check_heads(const char *run)
{
    for (int head = 0; head < N_HEADS; head++) {
        int n_held = 0, n_learnt = 0;
        char val[32], train[32], row[32];
        snprintf(val, sizeof val, "head%d\tval", head);
        snprintf(train, sizeof train, "head%d\ttrain", head);
        snprintf(row, sizeof row, "\thead%d\t", head);
        for (int f = 1; f <= N_FOLDS; f++) {
            char split[64], table[64], start[32];
            snprintf(split, sizeof split, "fold_%d/split.tsv", f);
            snprintf(table, sizeof table, "evaluations/fold_%d.tsv", f);
            snprintf(start, sizeof start, "head%d\t", head);
            const int held = count_lines(chain_in(run, split), val);
            n_held += held;
            n_learnt += count_lines(chain_in(run, split), train);
            CHECK_INT(count_lines(chain_in(run, table), start), held);
        }
        CHECK_INT(n_held, 1);
        CHECK_INT(n_learnt, N_FOLDS - 1);
        CHECK_INT(count_lines(chain_in(run, "out_of_fold.tsv"), row), 1);
    }
}

static void test_folds(void)
{
    struct error error;
    struct arena arena = {0};
    struct restorer *restorer = NULL;
    const char *found, *recipe = chain_set() ? chain_recipe("plain.yaml", NULL) : NULL;
    if (!recipe || !CHECK_OK(run_folds(recipe, check_path("whole"), false, &error), &error))
        return;
    check_heads("whole");
    char *table = chain_text(chain_in("whole", "folds.tsv"));
    CHECK_CONTAINS(table, "fold\theads\tfailed\tdsc\tbdsc_mm");
    CHECK_CONTAINS(table, "\n3\t2\t");
    CHECK_CONTAINS(table, "\nmean\t6\t");
    CHECK_CONTAINS(table, "\nsd_heads\t6\t");
    CHECK_CONTAINS(table, "\nsd_folds\t6\t");
    memory_free(table);

    /* One model file of three members, each the last of its fold. */
    CHECK_INT(ensemble_members(chain_in("whole", "model.h5")), N_FOLDS);
    struct model member, last;
    if (CHECK_OK(ensemble_read_member(&member, chain_in("whole", "model.h5"), 2, &error), &error) &&
        CHECK_OK(model_read(&last, chain_in("whole", "fold_2/last.h5"), false, &error), &error)) {
        CHECK(memcmp(member.params.value, last.params.value, (size_t)last.params.n_floats * sizeof(float)) == 0);
        model_done(&member);
        model_done(&last);
    }
    CHECK_OK(restorer_find(&found, check_path("whole"), &arena, &error), &error);
    if (CHECK_OK(restorer_open(&restorer, check_path("whole"), NULL, &error), &error)) {
        CHECK_INT(restorer_members(restorer), N_FOLDS);
        CHECK_CONTAINS(model_text(restorer_model(restorer), "metrics"), "out_of_fold: true\nfolds: 3\ncases: 6\n");
    }
    restorer_free(restorer);

    /* Once more: nothing is trained anew. */
    struct stat before, after;
    CHECK_INT(stat(chain_in("whole", "fold_1/last.h5"), &before), 0);
    CHECK_OK(run_folds(recipe, check_path("whole"), false, &error), &error);
    CHECK_INT(stat(chain_in("whole", "fold_1/last.h5"), &after), 0);
    CHECK(before.st_ino == after.st_ino);
    arena_done(&arena);
}

static void test_refuses(void)
{
    struct error many, other, shared = {0}, single = {0};
    const char *recipe = chain_set() ? chain_recipe("plain.yaml", NULL) : NULL;
    char *const seven[] = {"data.folds.number=7"}, *const three[] = {"data.folds.number=3", "seed=9"};
    struct trainer_request request = {.recipe = recipe, .folder = check_path("bad"), .sets = seven, .n_sets = 1};
    if (!recipe)
        return;
    many = (struct error){0};
    CHECK_FAILS(training_run(&request, &many), &many, STATUS_USAGE, "holds 6 heads");
    CHECK(!file_exists(check_path("bad")));
    request.join = true;
    request.n_sets = 0;
    CHECK_FAILS(training_run(&request, &shared), &shared, STATUS_USAGE, "--join: nothing to share");
    CHECK_FAILS(trainer_start(recipe, 1, three, check_path("one"), NULL, &single), &single, STATUS_USAGE,
                "data.folds.held_out: not given");

    /* Another recipe in the same folder. */
    if (CHECK_OK(run_folds(recipe, check_path("joined"), true, &other), &other)) {
        request = (struct trainer_request){
            .recipe = recipe, .folder = check_path("joined"), .join = true, .sets = three, .n_sets = 2};
        CHECK_FAILS(training_run(&request, &other), &other, STATUS_USAGE, "folds of another recipe");
    }
}

/* --- processes --- */

static int child_main(char **arguments)
{
    struct error error;
    const bool join = strcmp(arguments[2], "join") == 0;
    if (!join && run_set_aside(arguments[1], &error))
        return STATUS_FAILED;
    const enum status status = run_folds(arguments[0], arguments[1], join, &error);
    if (status)
        error_print(stderr, &error);
    return (int)status;
}

/* This program with RECIPE FOLDER HOW behind --run. */
#define RUN(recipe, folder, how) ((const char *const[]){program, "--run", recipe, check_path(folder), how, NULL})

static void check_same_bytes(const char *a, const char *b)
{
    struct error error = {0};
    char *text_a = NULL, *text_b = NULL;
    size_t n_a = 0, n_b = 1;
    CHECK_OK(file_read(&text_a, &n_a, a, 1 << 26, &error), &error);
    CHECK_OK(file_read(&text_b, &n_b, b, 1 << 26, &error), &error);
    CHECK(n_a == n_b && memcmp(text_a, text_b, n_a) == 0);
    memory_free(text_a);
    memory_free(text_b);
}

static void check_same_folds(const char *a, const char *b)
{
    static const char *const names[] = {"folds.tsv", "out_of_fold.tsv", "model.h5"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        check_same_bytes(chain_in(a, names[i]), chain_in(b, names[i]));
}

/* kill -9 at random moments until all folds are through. */
static void test_kill_at_random(void)
{
    const char *recipe = chain_set() ? chain_recipe("plain.yaml", NULL) : NULL;
    if (!recipe)
        return;
    child_kill_at_random(RUN(recipe, "straight", "alone"), RUN(recipe, "killed", "alone"),
                         chain_in("killed", "fold_1/metrics.tsv"));
    check_same_folds("straight", "killed");
}

/* Three processes that share the folds; one is killed: the others lose nothing, and a rerun completes the rest. */
static void test_shared(void)
{
    const char *recipe = chain_set() ? chain_recipe("plain.yaml", NULL) : NULL;
    if (!recipe)
        return;
    CHECK_INT(child_run(RUN(recipe, "single", "alone")), 0);
    pid_t children[3];
    children[0] = child_start(RUN(recipe, "shared", "join"));
    chain_wait_for(chain_in("shared", "fold_1/metrics.tsv"));
    for (int i = 1; i < 3; i++)
        children[i] = child_start(RUN(recipe, "shared", "join"));
    kill(children[0], SIGKILL);
    CHECK_INT(child_wait(children[0]), -1);
    CHECK_INT(child_wait(children[1]), 0);
    CHECK_INT(child_wait(children[2]), 0);
    CHECK_INT(child_run(RUN(recipe, "shared", "join")), 0);
    check_same_folds("single", "shared");
    check_heads("shared");
}

int main(int argc, char **argv)
{
    program = argv[0];
    log_set_level(LOG_QUIET);
    if (argc == 5 && strcmp(argv[1], "--run") == 0)
        return child_main(argv + 2);
    const struct check_test tests[] = {{"folds", test_folds},
                                       {"refuses", test_refuses},
                                       {"kill_at_random", test_kill_at_random},
                                       {"shared", test_shared},
                                       {0}};
    return check_main(argc, argv, tests);
}
