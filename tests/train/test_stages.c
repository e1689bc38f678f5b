/* test_stages.c - recipes that list stages: read, refused, trained as if each stage had been its own command, killed
 * and gone on with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "nn/model/model_file.h"
#include "tests/check.h"
#include "tests/hdf5_leaks.h"
#include "tests/train/chain.h"
#include "tests/train/child.h"
#include "train/stages.h"
#include "train/training.h"

static const char *program;

#define LOOP                                                                                                 \
    "train: { steps: 4, validate_every: 2, validate_cases: 0, validate_patches: 1, best: loss, threads: 2, " \
    "checkpoint_every: 1, plot_every: 0 }"
#define HEAD "name: lab\nseed: 7\ndata: { set: set.h5, defects: defects.yaml, queue: 3 }\nstages:\n"
#define SHAPE "  - { name: shape, type: shape, split: all, tune: false }\n"
#define FINE                                                       \
    "  - name: fine\n    extends: plain.yaml\n    task: implant\n" \
    "    data: { sampler: defect, spacing_mm: 5 }\n    restore: { scan: overlap, min_prior: 0 }\n    " LOOP "\n"
#define ON_SHAPE FINE "    coarse: shape\n    network: { input_channels: 3 }\n"
#define COARSE                                                       \
    "  - name: coarse\n    extends: plain.yaml\n    task: implant\n" \
    "    data: { sampler: whole, spacing_mm: 10, workers: 1 }\n    restore: { scan: whole }\n    " LOOP "\n"
#define ON_COARSE FINE "    coarse: coarse\n    network: { input_channels: 2 }\n"

/* --- reading --- */

static void test_refuses(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {HEAD "  []\n", "expected a list of stages"},
        {HEAD "  - { type: shape }\n", ":5:5: stages[0]: no name"},
        {HEAD "  - { name: a.b, type: shape }\n", "stages[0].name: 'a.b': a letter first"},
        {HEAD SHAPE SHAPE, "stages[1].name: 'shape' is another stage's name too"},
        {HEAD "  - { name: s, type: shpe }\n", "'shpe' is not one of network, shape (did you mean 'shape'?)"},
        {HEAD "  - { name: s, type: shape, tunes: true }\n", "tunes: unknown key (did you mean 'tune'?)"},
        {"optimiser: adam\n" HEAD SHAPE, ":1:1: optimiser: unknown key (did you mean 'optimizer'?)"},
        {HEAD SHAPE FINE "    coarse: shpe\n    network: { input_channels: 3 }\n",
         "coarse: 'shpe': no stage above has this name, and no file (did you mean 'shape'?)"},
        {HEAD FINE "    coarse: shape\n    network: { input_channels: 3 }\n" SHAPE,
         "coarse: 'shape' is a later stage (a stage builds on stages above it)"},
        {HEAD FINE "    coarse: fine\n    network: { input_channels: 2 }\n", "coarse: 'fine' is this stage itself"},
        {HEAD SHAPE FINE, "stages[0]: no later stage builds on 'shape'"},
        {HEAD COARSE FINE "    coarse: coarse\n    network: { input_channels: 3 }\n",
         "'coarse' predicts one channel beside the skull (2 would fit)"},
        {HEAD "  - { name: tiles, extends: plain.yaml }\n" FINE
              "    coarse: tiles\n    network: { input_channels: 2 }\n",
         "'tiles' cannot be a coarse stage"},
        {HEAD "  - { name: a, extends: plain.yaml, train: { init: nowhere.h5 } }\n", "train.init: 'nowhere.h5'"},
        {HEAD "  - { name: a, extends: plain.yaml, data: { set: lost.h5 } }\n", "lost.h5: no such file"},
        {HEAD "  - { name: a, extends: lost.yaml }\n", "lost.yaml: no such file"},
        {HEAD "  - { name: a, extends: plain.yaml, train: { step: 3 } }\n", "train.step: unknown key"},
        {"stages:\n  - { name: s, type: shape }\n", "data.set: missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {0};
        struct arena arena = {0};
        struct stages stages;
        const char *path = chain_write("bad.yaml", cases[i].text);
        if (!path)
            return;
        if (stages_read(&stages, path, 0, NULL, &arena, &error) == STATUS_OK)
            stages_check_files(&stages, &error);
        CHECK_FAILS(error.status, &error, STATUS_USAGE, cases[i].message);
        arena_done(&arena);
    }
}

static void test_reads(void)
{
    struct error error = {0};
    struct arena arena = {0};
    struct stages stages, again;
    char *const sets[] = {"train.batch=1", "stages.fine.train.steps=9", "seed=11"};
    const char *path = chain_write("good.yaml", HEAD SHAPE ON_SHAPE);
    if (!path || !CHECK_OK(stages_read(&stages, path, 3, sets, &arena, &error), &error))
        return;
    CHECK_TEXT(stages.name, "lab");
    CHECK_INT(stages.n, 2);
    CHECK_INT(stages.items[0].kind, STAGE_SHAPE);
    CHECK_INT(stages.items[0].shape.fit.seed, 11);
    CHECK_INT(stages.items[0].shape.fit.split, SPLIT_N);
    CHECK_TEXT(stages.items[0].shape.data.set, check_path("set.h5"));
    const struct recipe *fine = &stages.items[1].recipe;
    CHECK_INT(stages.items[1].coarse, 0);
    CHECK_TEXT(fine->name, "fine");
    CHECK_INT(fine->seed, 11);
    CHECK_INT(fine->train.steps, 9);
    CHECK_INT(fine->train.batch, 1);
    CHECK_TEXT(fine->data.defects, check_path("defects.yaml"));
    CHECK_INT(fine->data.queue, 3);   /* beside `stages` */
    CHECK_INT(fine->data.workers, 2); /* of the file that the stage extends */
    CHECK_INT(fine->task, TASK_IMPLANT);

    /* Written out and read back: the same text, from any folder. */
    char *text = stages_text(&stages);
    const char *copy = text ? chain_write("copy.yaml", text) : NULL;
    if (copy && CHECK_OK(stages_read(&again, copy, 0, NULL, &arena, &error), &error)) {
        char *second = stages_text(&again);
        CHECK_TEXT(second, text);
        CHECK_CONTAINS(text, "coarse: shape\n");
        memory_free(second);
    }
    memory_free(text);

    /* A recipe of one stage lists none, and whoever wants one says what to do. */
    struct recipe recipe;
    CHECK_OK(stages_read(&again, chain_recipe("plain.yaml", NULL), 0, NULL, &arena, &error), &error);
    CHECK_INT(again.n, 0);
    CHECK(stages_look(path, 0, NULL).stages && !stages_look(check_path("plain.yaml"), 0, NULL).stages);
    CHECK(!stages_look(check_path("nowhere.yaml"), 0, NULL).stages);
    CHECK_FAILS(recipe_read(&recipe, path, 0, NULL, &arena, &error), &error, STATUS_USAGE, "a recipe of one stage");
    arena_done(&arena);
}

/* --- running --- */

static enum status run_training(const char *recipe, const char *folder, const char *resume, struct error *error)
{
    const struct trainer_request request = {.recipe = recipe, .folder = folder, .resume = resume};
    *error = (struct error){0};
    return training_run(&request, error);
}

static bool same_bytes(const char *a, const char *b)
{
    struct error error = {0};
    char *text_a = NULL, *text_b = NULL;
    size_t n_a = 0, n_b = 0;
    bool same = CHECK_OK(file_read(&text_a, &n_a, a, 1 << 26, &error), &error) &&
                CHECK_OK(file_read(&text_b, &n_b, b, 1 << 26, &error), &error) && CHECK(n_a == n_b) &&
                CHECK(memcmp(text_a, text_b, n_a) == 0);
    memory_free(text_a);
    memory_free(text_b);
    return same;
}

/* The network's stage as its own command: the same bits. */
static void test_as_single_commands(void)
{
    struct error error;
    struct arena arena = {0};
    struct stages stages;
    struct model model = {0};
    const char *path = chain_write("lab.yaml", HEAD SHAPE ON_SHAPE);
    if (!path || !CHECK_OK(run_training(path, check_path("lab"), NULL, &error), &error))
        return;

    if (!CHECK_OK(stages_read(&stages, path, 0, NULL, &arena, &error), &error))
        return;
    stages.items[1].recipe.coarse = chain_in("lab", "shape/shape.h5");
    const struct trainer_request request = {.read = &stages.items[1].recipe, .folder = check_path("alone")};
    CHECK_OK(trainer_run(&request, &error), &error);
    CHECK(chain_same_model(chain_in("alone", "last.h5"), chain_in("lab", "fine/last.h5")));

    /* One model, all inside, without training state; a folder of stages stands for it. */
    if (CHECK_OK(model_read(&model, chain_in("lab", "model.h5"), true, &error), &error)) {
        CHECK(model.shape != NULL);
        CHECK_INT(model.n_blocks, 0);
        model_done(&model);
    }
    const char *found = NULL;
    CHECK_OK(restorer_find(&found, check_path("lab"), &arena, &error), &error);
    CHECK_TEXT(found, chain_in("lab", "model.h5"));
    char *status = chain_text(chain_in("lab", "STATUS"));
    CHECK_CONTAINS(status, "state: finished\nstep: 2\nsteps: 2\n");
    memory_free(status);

    /* Resumed when all is done: nothing is trained anew. */
    struct stat before, after;
    CHECK_INT(stat(chain_in("lab", "fine/last.h5"), &before), 0);
    CHECK_OK(run_training(NULL, NULL, check_path("lab"), &error), &error);
    CHECK_INT(stat(chain_in("lab", "fine/last.h5"), &after), 0);
    CHECK(before.st_ino == after.st_ino);
    CHECK_FAILS(run_training(path, check_path("lab"), NULL, &error), &error, STATUS_USAGE, "exists already");
    arena_done(&arena);
}

static int child_main(char **arguments)
{
    struct error error;
    const char *folder = arguments[1];
    char recipe[4096];
    snprintf(recipe, sizeof recipe, "%s/recipe.yaml", folder);
    if (run_set_aside(folder, &error)) /* killed before there was anything to go on with */
        return STATUS_FAILED;
    const enum status status = file_exists(recipe) ? run_training(NULL, NULL, folder, &error)
                                                   : run_training(arguments[0], folder, NULL, &error);
    if (status)
        error_print(stderr, &error);
    return (int)status;
}

/* kill -9 at random moments of both stages, until the whole is through: the same bytes as left alone. */
static void test_kill_at_random(void)
{
    const char *yaml = chain_write("two.yaml", HEAD COARSE ON_COARSE);
    if (!yaml)
        return;
    const char *const alone[] = {program, "--run", yaml, check_path("straight"), NULL}, *const killed[] = {
                                                                                            program, "--run", yaml,
                                                                                            check_path("killed"), NULL};
    child_kill_at_random(alone, killed, chain_in("killed", "coarse/metrics.tsv"));
    CHECK(chain_same_model(chain_in("straight", "coarse/last.h5"), chain_in("killed", "coarse/last.h5")));
    CHECK(chain_same_model(chain_in("straight", "fine/last.h5"), chain_in("killed", "fine/last.h5")));
    same_bytes(chain_in("straight", "model.h5"), chain_in("killed", "model.h5"));
}

int main(int argc, char **argv)
{
    program = argv[0];
    log_set_level(LOG_QUIET);
    if (argc == 4 && strcmp(argv[1], "--run") == 0)
        return child_main(argv + 2);
    const struct check_test tests[] = {{"refuses", test_refuses},
                                       {"reads", test_reads},
                                       {"as_single_commands", test_as_single_commands},
                                       {"kill_at_random", test_kill_at_random},
                                       {0}};
    return check_main(argc, argv, tests);
}
