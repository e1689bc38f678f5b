/* Both stages of a cascade, trained one after the other: the fine run keeps its coarse stage, resumes to the same bits,
 * and restores. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "infer/restore.h"
#include "nn/model/model_file.h"
#include "tests/check.h"
#include "tests/train/chain.h"
#include "train/trainer.h"

enum { N_SETS = 9 };

/* 160 mm in 16 voxels; 80 mm in 16. */
static char *const coarse_sets[N_SETS] = {"task=implant",       "data.sampler=whole",     "data.spacing_mm=10",
                                          "restore.scan=whole", "train.steps=4",          "data.workers=1",
                                          "train.best=loss",    "train.validate_cases=0", "name=coarse"};

static bool run_coarse(const char *name)
{
    struct error error = {0};
    return CHECK(chain_set() != NULL) && CHECK_OK(trainer_start(chain_recipe("plain.yaml", NULL), N_SETS, coarse_sets,
                                                                check_path(name), NULL, &error),
                                                  &error);
}

static enum status run_fine(const char *name, const char *coarse, char *steps, struct error *error)
{
    char *path = memory_printf("coarse=%s", coarse);
    char *const sets[N_SETS] = {"task=implant",
                                "data.sampler=defect",
                                "data.spacing_mm=5",
                                "network.input_channels=2",
                                "restore.scan=overlap",
                                "data.healthy_frac=0.2",
                                steps,
                                path,
                                "restore.min_prior=0"};
    enum status status = trainer_start(chain_recipe("plain.yaml", NULL), N_SETS, sets, check_path(name), NULL, error);
    memory_free(path);
    return status;
}

/* The coarse run's own files are not needed any more once the fine run has begun. */
static void test_resume_same_bits(void)
{
    struct error error = {0};
    char *const six[] = {"train.steps=6"};
    if (!run_coarse("coarse") ||
        !CHECK_OK(run_fine("straight", check_path("coarse"), "train.steps=6", &error), &error) ||
        !CHECK_OK(run_fine("halves", check_path("coarse"), "train.steps=3", &error), &error))
        return;
    CHECK_INT(rename(chain_in("coarse", "last.h5"), chain_in("coarse", "moved.h5")), 0);
    remove(chain_in("coarse", "best.h5"));
    CHECK_OK(trainer_resume(check_path("halves"), 1, six, &error), &error);
    CHECK(chain_same_model(chain_in("straight", "last.h5"), chain_in("halves", "last.h5")));
    CHECK(chain_same_model(chain_in("straight", "best.h5"), chain_in("halves", "best.h5")));
}

/* One file holds both, the coarse weights as they were. */
static void test_model_holds_both(void)
{
    struct error error = {0};
    struct model fine = {0}, coarse = {0};
    struct restorer *restorer = NULL;
    if (!run_coarse("first") || !CHECK_OK(run_fine("second", check_path("first"), "train.steps=1", &error), &error) ||
        !CHECK_OK(model_read(&fine, chain_in("second", "last.h5"), false, &error), &error) ||
        !CHECK_OK(model_read(&coarse, chain_in("first", "best.h5"), false, &error), &error))
        return;
    if (CHECK(fine.coarse != NULL)) {
        CHECK_INT(fine.coarse->params.n_floats, coarse.params.n_floats);
        CHECK(memcmp(fine.coarse->params.value, coarse.params.value, (size_t)coarse.params.n_floats * sizeof(float)) ==
              0);
    }
    CHECK_OK(restorer_open(&restorer, check_path("second"), NULL, &error), &error);
    restorer_free(restorer);
    model_done(&fine);
    model_done(&coarse);
}

/* Both stages of completion: what the coarse one adds to the skull is the fine one's second channel. */
static void test_completion(void)
{
    struct error error = {0};
    struct restorer *pair = NULL;
    char *const sets[] = {"task=completion", "data.sampler=whole", "data.spacing_mm=10", "restore.scan=whole",
                          "train.steps=2",   "data.workers=1",     "train.best=loss",    "train.validate_cases=0"};
    char *const fine_sets[] = {"task=completion",
                               "data.sampler=defect",
                               "data.spacing_mm=5",
                               "network.input_channels=2",
                               "restore.scan=overlap",
                               "train.steps=2",
                               memory_printf("coarse=%s", check_path("adds"))};
    if (CHECK(chain_set() != NULL) &&
        CHECK_OK(trainer_start(chain_recipe("plain.yaml", NULL), 8, sets, check_path("adds"), NULL, &error), &error) &&
        CHECK_OK(trainer_start(chain_recipe("plain.yaml", NULL), 7, fine_sets, check_path("completes"), NULL, &error),
                 &error) &&
        CHECK_OK(restorer_open(&pair, check_path("completes"), NULL, &error), &error)) {
        CHECK_INT(restorer_config(pair)->task, TASK_COMPLETION);
        restorer_free(pair);
    }
    memory_free(fine_sets[6]);
}

/* A shape model of the heads themselves: each is predicted without itself. The run keeps it, and resumes to the same
 * bits without its file. */
static void test_shape(void)
{
    struct error error = {0};
    struct model model = {0};
    struct restorer *restorer = NULL;
    const char *file = chain_shape(), *recipe = chain_recipe("plain.yaml", NULL);
    char *coarse = memory_printf("coarse=%s", file), *steps = memory_printf("train.steps=2");
    char *const sets[] = {"task=implant",
                          "data.sampler=defect",
                          "data.spacing_mm=5",
                          "network.input_channels=3",
                          "restore.scan=overlap",
                          "restore.min_prior=0",
                          "train.validate_every=1",
                          "train.validate_cases=0",
                          "train.validate_patches=1",
                          "train.best=loss",
                          coarse,
                          steps};
    char *const two[] = {"train.steps=2"};
    const int n = sizeof sets / sizeof *sets;
    if (CHECK(file != NULL) && CHECK_OK(trainer_start(recipe, n, sets, check_path("on_shape"), NULL, &error), &error)) {
        steps[strlen(steps) - 1] = '1';
        CHECK_OK(trainer_start(recipe, n, sets, check_path("on_shape_halves"), NULL, &error), &error);
        remove(file);
        CHECK_OK(trainer_resume(check_path("on_shape_halves"), 1, two, &error), &error);
        CHECK(chain_same_model(chain_in("on_shape", "last.h5"), chain_in("on_shape_halves", "last.h5")));
        CHECK_OK(model_read(&model, chain_in("on_shape", "last.h5"), false, &error), &error);
        CHECK(model.shape != NULL && model.coarse == NULL);
        CHECK_OK(restorer_open(&restorer, check_path("on_shape"), NULL, &error), &error);
        restorer_free(restorer);
        model_done(&model);
    }
    memory_free(coarse);
    memory_free(steps);
}

static void test_refused(void)
{
    struct error none = {0}, channels = {0}, spacing = {0};
    if (!run_coarse("stage"))
        return;
    const char *recipe = chain_recipe("plain.yaml", NULL);
    char *const one[] = {"coarse=absent", "data.spacing_mm=5"}, *const native[] = {"coarse=absent",
                                                                                   "network.input_channels=2"};
    CHECK_FAILS(run_fine("lost", check_path("absent.h5"), "train.steps=1", &none), &none, STATUS_FAILED, "absent.h5");
    CHECK_FAILS(trainer_start(recipe, 2, one, check_path("one"), NULL, &channels), &channels, STATUS_USAGE,
                "2 would fit");
    CHECK_FAILS(trainer_start(recipe, 2, native, check_path("native"), NULL, &spacing), &spacing, STATUS_USAGE,
                "1.25 would fit");
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"resume_same_bits", test_resume_same_bits},
                                       {"model_holds_both", test_model_holds_both},
                                       {"completion", test_completion},
                                       {"shape", test_shape},
                                       {"refused", test_refused},
                                       {0}};
    log_set_level(LOG_QUIET);
    return check_main(argc, argv, tests);
}
