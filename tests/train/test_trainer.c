/* test_trainer.c - whole small runs: the folder they leave, resume and rerun to the same bits, retraining. */
#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "nn/model/model_file.h"
#include "tests/check.h"
#include "tests/train/chain.h"
#include "train/trainer_open.h"

static bool ready(void)
{
    return CHECK(chain_set() != NULL);
}

/* Runs the plain recipe into FOLDER/name; n_sets --set values. */
static bool run_plain(const char *name, int n_sets, char *const *sets)
{
    struct error error = {0};
    return CHECK_OK(trainer_start(chain_recipe("plain.yaml", NULL), n_sets, sets, check_path(name), NULL, &error),
                    &error);
}

static void test_run_folder(void)
{
    static const char *const files[] = {"recipe.yaml",
                                        "overrides.txt",
                                        "environment.txt",
                                        "defects.yaml",
                                        "network.txt",
                                        "split.tsv",
                                        "log.txt",
                                        "metrics.tsv",
                                        "STATUS",
                                        "last.h5",
                                        "best.h5",
                                        "plots/loss.gp",
                                        "plots/metrics.gp",
                                        "validation/step_000003.tsv",
                                        "validation/step_000006.png",
                                        NULL};
    char *const sets[] = {"train.clip_norm=5", "train.pictures=true"};
    if (!ready() || !run_plain("folder", 2, sets))
        return;
    for (int i = 0; files[i]; i++)
        if (!CHECK(file_exists(chain_in("folder", files[i]))))
            printf("    missing: %s\n", files[i]);
    char *status = chain_text(chain_in("folder", "STATUS")),
         *overrides = chain_text(chain_in("folder", "overrides.txt"));
    char *split = chain_text(chain_in("folder", "split.tsv")),
         *environment = chain_text(chain_in("folder", "environment.txt"));
    CHECK_CONTAINS(status, "state: finished\nstep: 6\nsteps: 6\n");
    CHECK_CONTAINS(status, "best: { metric: dsc");
    CHECK_TEXT(overrides, "--set train.clip_norm=5\n--set train.pictures=true\n");
    CHECK_CONTAINS(split, "head1\tval\n");
    CHECK_CONTAINS(environment, "commit: ");
    CHECK_CONTAINS(environment, "oneDNN");
    memory_free(status);
    memory_free(overrides);
    memory_free(split);
    memory_free(environment);
    struct model model = {0};
    struct error error = {0};
    if (CHECK_OK(model_read(&model, chain_in("folder", "best.h5"), false, &error), &error)) {
        CHECK_CONTAINS(model_text(&model, "recipe"), "  set: ");
        CHECK(!strstr(model_text(&model, "recipe"), ": /")); /* no folder of this machine */
    }
    model_done(&model);
}

/* The number after "KEY: " in a text of the model at path; NaN: it has none. */
static double metric_of(const char *path, const char *key)
{
    struct error error = {0};
    struct model model = {0};
    double value = NAN;
    if (!CHECK_OK(model_read(&model, path, false, &error), &error))
        return NAN;
    const char *text = model_text(&model, "metrics"), *at = text ? strstr(text, key) : NULL;
    if (at)
        value = strtod(at + strlen(key) + 2, NULL);
    model_done(&model);
    return value;
}

/* A threshold that no prediction reaches: every validation has DSC 0. The best checkpoint is then the one of the lower
 * loss, and the run records that it restores nothing. */
static void test_tied_metric_goes_by_loss(void)
{
    char *const sets[] = {"restore.threshold=1", "train.steps=40", "train.validate_every=20",
                          "train.validate_patches=4"};
    if (!ready() || !run_plain("tied", 4, sets))
        return;

    char *status = chain_text(chain_in("tied", "STATUS"));
    const double best = metric_of(chain_in("tied", "best.h5"), "loss"),
                 last = metric_of(chain_in("tied", "last.h5"), "loss");
    CHECK_NEAR(metric_of(chain_in("tied", "best.h5"), "dsc"), 0, 0);
    CHECK_NEAR(metric_of(chain_in("tied", "best.h5"), "failed"), metric_of(chain_in("tied", "best.h5"), "cases"), 0);
    CHECK_NEAR(best, last, 0); /* it learns: the last validation has the lowest loss */
    CHECK_CONTAINS(status, "best: { metric: dsc, value: 0, step: 40 }");
    CHECK_CONTAINS(status, "best.h5 restores none of the validation skulls");
    memory_free(status);
}

/* The resolved recipe states every key and loads back to the same bytes. */
static void test_recipe_round_trip(void)
{
    struct error error = {0};
    struct arena arena = {0};
    struct recipe recipe;
    if (!ready() || !run_plain("round", 0, NULL))
        return;
    if (CHECK_OK(recipe_read(&recipe, chain_in("round", "recipe.yaml"), 0, NULL, &arena, &error), &error)) {
        char *dump = config_dump_text(&recipe_table, &recipe), *file = chain_text(chain_in("round", "recipe.yaml"));
        CHECK_TEXT(dump, file);
        CHECK_CONTAINS(file, "validate_cases: 1");
        memory_free(dump);
        memory_free(file);
    }
    arena_done(&arena);
}

static void test_rerun_same_bits(void)
{
    if (!ready() || !run_plain("one", 0, NULL) || !run_plain("two", 0, NULL))
        return;
    CHECK(chain_same_model(chain_in("one", "last.h5"), chain_in("two", "last.h5")));
    CHECK(chain_same_model(chain_in("one", "best.h5"), chain_in("two", "best.h5")));
    char *const sets[] = {"seed=6"};
    if (run_plain("other", 1, sets))
        CHECK(
            !chain_same_model(chain_in("one", "last.h5"), chain_in("other", "last.h5"))); /* the comparison can fail */
}

/* The columns of metrics.tsv that are no times must agree row by row. */
static void check_same_metrics(const char *path_a, const char *path_b)
{
    char *a = chain_text(path_a), *b = chain_text(path_b);
    char *line_a = a, *line_b = b;
    int n_rows = 0;
    while (line_a && line_b && *line_a && *line_b) {
        char *end_a = strchr(line_a, '\n'), *end_b = strchr(line_b, '\n');
        if (!CHECK(end_a && end_b))
            break;
        *end_a = *end_b = '\0';
        for (int c = 0; c < 7; c++) { /* step draw loss loss_mse loss_dice lr grad_norm: what follows are seconds */
            size_t n_a = strcspn(line_a, "\t"), n_b = strcspn(line_b, "\t");
            CHECK(n_a == n_b && strncmp(line_a, line_b, n_a) == 0);
            line_a += n_a + (line_a[n_a] == '\t');
            line_b += n_b + (line_b[n_b] == '\t');
        }
        line_a = end_a + 1;
        line_b = end_b + 1;
        n_rows++;
    }
    CHECK(line_a && line_b && !*line_a && !*line_b);
    CHECK_INT(n_rows, 1 + 6 + 2); /* titles, steps, validations */
    memory_free(a);
    memory_free(b);
}

static void test_resume_same_bits(void)
{
    struct error error = {0};
    char *const three[] = {"train.steps=3"}, *const six[] = {"train.steps=6"};
    if (!ready() || !run_plain("straight", 0, NULL) || !run_plain("halves", 1, three))
        return;
    if (!CHECK_OK(trainer_resume(check_path("halves"), 1, six, &error), &error))
        return;
    CHECK(chain_same_model(chain_in("straight", "last.h5"), chain_in("halves", "last.h5")));
    CHECK(chain_same_model(chain_in("straight", "best.h5"), chain_in("halves", "best.h5")));
    check_same_metrics(chain_in("straight", "metrics.tsv"), chain_in("halves", "metrics.tsv"));
    char *overrides = chain_text(chain_in("halves", "overrides.txt"));
    CHECK_TEXT(overrides, "--set train.steps=3\n# resumed at step 3\n--set train.steps=6\n");
    memory_free(overrides);
}

/* A run that ended before its first checkpoint, and one whose table has rows behind its checkpoint. */
static void test_resume_cuts_metrics(void)
{
    struct error error = {0};
    if (!ready() || !run_plain("whole", 0, NULL) || !run_plain("cut", 0, NULL))
        return;
    CHECK_INT(unlink(chain_in("cut", "last.h5")), 0);
    CHECK_OK(trainer_resume(check_path("cut"), 0, NULL, &error), &error);
    CHECK(chain_same_model(chain_in("whole", "last.h5"), chain_in("cut", "last.h5")));
    check_same_metrics(chain_in("whole", "metrics.tsv"), chain_in("cut", "metrics.tsv"));
    CHECK_INT(unlink(chain_in("cut", "last.h5")), 0); /* killed before its table was there */
    CHECK_INT(unlink(chain_in("cut", "metrics.tsv")), 0);
    CHECK_OK(trainer_resume(check_path("cut"), 0, NULL, &error), &error);
    check_same_metrics(chain_in("whole", "metrics.tsv"), chain_in("cut", "metrics.tsv"));
}

static void test_resume_refuses(void)
{
    struct error error = {0};
    char *const lr[] = {"optimizer.lr=1"}, *const fewer[] = {"train.steps=2"};
    if (!ready() || !run_plain("kept", 0, NULL))
        return;
    CHECK_FAILS(trainer_resume(check_path("kept"), 1, lr, &error), &error, STATUS_USAGE, "optimizer.lr=1");
    error = (struct error){0};
    CHECK_FAILS(trainer_resume(check_path("kept"), 1, fewer, &error), &error, STATUS_USAGE, "at step 6 already");
    error = (struct error){0};
    CHECK_FAILS(trainer_resume(check_path("none"), 0, NULL, &error), &error, STATUS_USAGE, "no such run folder");
    error = (struct error){0};
    CHECK_FAILS(trainer_start(chain_recipe("plain.yaml", NULL), 0, NULL, check_path("kept"), NULL, &error), &error,
                STATUS_USAGE, "--resume");
    char *status = chain_text(chain_in("kept", "STATUS"));
    CHECK_CONTAINS(status, "state: finished\n"); /* refused attempts changed nothing */
    memory_free(status);
}

static void nap(double seconds)
{
    struct timespec time = {.tv_sec = (time_t)seconds, .tv_nsec = (long)(1e9 * (seconds - floor(seconds)))};
    nanosleep(&time, NULL);
}

/* --- retraining --- */

static bool param_same(const struct model *a, const struct model *b, const char *name)
{
    const struct param *x = params_find(&a->params, name), *y = params_find(&b->params, name);
    return x && y &&
           memcmp(a->params.value + x->offset, b->params.value + y->offset, (size_t)x->count * sizeof(float)) == 0;
}

static void test_init_and_freeze(void)
{
    struct error error = {0};
    struct model before = {0}, after = {0};
    char *const sets[] = {"train.freeze=[enc, norm]", "train.init_skip=[head]", "seed=9"};
    if (!ready() || !run_plain("base", 0, NULL))
        return;
    if (!CHECK_OK(
            trainer_start(chain_recipe("plain.yaml", NULL), 3, sets, check_path("tuned"), check_path("base"), &error),
            &error))
        return;
    CHECK_OK(model_read(&before, chain_in("base", "best.h5"), false, &error), &error);
    CHECK_OK(model_read(&after, chain_in("tuned", "last.h5"), false, &error), &error);
    CHECK(param_same(&before, &after, "enc.w"));
    CHECK(param_same(&before, &after, "norm.gamma"));
    CHECK(!param_same(&before, &after, "dec.w"));
    CHECK(!param_same(&before, &after, "head.w"));
    char *log = chain_text(chain_in("tuned", "log.txt")), *overrides = chain_text(chain_in("tuned", "overrides.txt"));
    CHECK_CONTAINS(overrides, "--init ");
    memory_free(log);
    memory_free(overrides);
    model_done(&before);
    model_done(&after);
}

static void test_init_refuses(void)
{
    struct error error = {0};
    char *const wider[] = {"network.layers.0.filters=16"}, *const skip[] = {"network.layers.0.filters=16",
                                                                            "train.init_skip=[enc, norm, mid]"};
    if (!ready() || !run_plain("narrow", 0, NULL))
        return;
    const char *recipe = chain_recipe("plain.yaml", NULL), *narrow = chain_in("narrow", "last.h5");
    CHECK_FAILS(trainer_start(recipe, 1, wider, check_path("wide"), narrow, &error), &error, STATUS_FAILED,
                "train.init_skip: [enc]");
    CHECK(!file_exists(check_path("wide"))); /* refused before the folder was made */
    error = (struct error){0};
    CHECK_OK(trainer_start(recipe, 2, skip, check_path("wide"), narrow, &error), &error);
    error = (struct error){0};
    CHECK_FAILS(trainer_start(recipe, 0, NULL, check_path("lost"), check_path("nothing.h5"), &error), &error,
                STATUS_FAILED, "nothing.h5");
}

/* --- what goes wrong --- */

static void test_not_finite_stops(void)
{
    struct error error = {0};
    char *const sets[] = {"optimizer={type: sgd, lr: 10}", "train.steps=60", "train.validate_every=0",
                          "loss=[{type: mse, weight: 1.0e12}]"};
    if (!ready())
        return;
    CHECK_FAILS(trainer_start(chain_recipe("plain.yaml", NULL), 4, sets, check_path("nan"), NULL, &error), &error,
                STATUS_FAILED, "step ");
    CHECK_CONTAINS(error.text, "finite");
    CHECK_CONTAINS(error.text, "failed.h5");
    CHECK(file_exists(chain_in("nan", "failed.h5")));
    char *status = chain_text(chain_in("nan", "STATUS"));
    CHECK_CONTAINS(status, "state: failed\n");
    memory_free(status);
}

static void test_data_must_be_there(void)
{
    struct error error = {0};
    char *const nowhere[] = {"data.set=nowhere.h5"};
    if (!ready())
        return;
    CHECK_FAILS(trainer_start(chain_recipe("plain.yaml", NULL), 1, nowhere, check_path("x"), NULL, &error), &error,
                STATUS_FAILED, "nowhere.h5");
    CHECK(!file_exists(check_path("x")));
}

/* Between draws, steps take no memory: the queue is full, the loader rests. */
static void test_steps_allocate_nothing(void)
{
    struct error error = {0};
    struct trainer trainer = {0};
    struct train_step_result result;
    char *const sets[] = {"train.validate_every=0", "train.steps=50", "data.queue=1", "data.workers=1"};
    if (!ready())
        return;
    if (CHECK_OK(chain_trainer(&trainer, chain_recipe("plain.yaml", NULL), 4, sets, check_path("calm"), &error),
                 &error)) {
        CHECK_OK(train_step_run(&trainer.train_step, &result, &error), &error);
        nap(0.3);
        int64_t before = memory_alloc_count();
        for (int i = 0; i < 6; i++) { /* 27 patches a skull, 2 a step */
            CHECK_OK(train_step_run(&trainer.train_step, &result, &error), &error);
            CHECK_OK(history_step(&trainer.history, &trainer.train_step, &result, &error), &error);
        }
        CHECK_INT(trainer.train_step.position.sample, 0);
        CHECK_INT(memory_alloc_count() - before, 0);
        CHECK(isfinite(result.loss) && result.grad_norm > 0);
    }
    trainer_close(&trainer);
}

static void test_learns(void)
{
    struct error error = {0};
    struct trainer trainer = {0};
    struct train_step_result result;
    double first = 0, last = 0;
    char *const sets[] = {"train.validate_every=0", "train.steps=80", "optimizer.lr=0.01"};
    if (!ready())
        return;
    if (CHECK_OK(chain_trainer(&trainer, chain_recipe("plain.yaml", NULL), 3, sets, check_path("learns"), &error),
                 &error)) {
        for (int i = 0; i < 80; i++) {
            CHECK_OK(train_step_run(&trainer.train_step, &result, &error), &error);
            first += i < 10 ? result.loss / 10 : 0;
            last += i >= 70 ? result.loss / 10 : 0;
        }
        printf("    loss %.4f -> %.4f\n", first, last);
        CHECK(last < 0.5 * first);
    }
    trainer_close(&trainer);
}

int main(int argc, char **argv)
{
    log_set_level(LOG_WARN);
    const struct check_test tests[] = {{"run_folder", test_run_folder},
                                       {"tied_metric_goes_by_loss", test_tied_metric_goes_by_loss},
                                       {"recipe_round_trip", test_recipe_round_trip},
                                       {"rerun_same_bits", test_rerun_same_bits},
                                       {"resume_same_bits", test_resume_same_bits},
                                       {"resume_cuts_metrics", test_resume_cuts_metrics},
                                       {"resume_refuses", test_resume_refuses},
                                       {"init_and_freeze", test_init_and_freeze},
                                       {"init_refuses", test_init_refuses},
                                       {"not_finite_stops", test_not_finite_stops},
                                       {"data_must_be_there", test_data_must_be_there},
                                       {"steps_allocate_nothing", test_steps_allocate_nothing},
                                       {"learns", test_learns},
                                       {0}};
    return check_main(argc, argv, tests);
}
