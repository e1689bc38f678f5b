/* test_schemes.c - ways to train beside the plain one: an adversary, accumulated batches, averaged weights, an early
 * end, weights that ramp, and every shipped recipe in small. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "nn/model/model_file.h"
#include "tests/check.h"
#include "tests/train/chain.h"
#include "train/trainer.h"
#include "train/trainer_open.h"
#include "train/stages.h"

static bool ready(void)
{
    return CHECK(chain_set() != NULL);
}

static bool run(const char *recipe, const char *folder, int n_sets, char *const *sets)
{
    struct error error = {0};
    return CHECK_OK(trainer_start(recipe, n_sets, sets, check_path(folder), NULL, &error), &error);
}

/* --- accumulation --- */

/* Largest difference of a learned value, as a share of the largest change that training made. */
static double difference(const char *start, const char *a, const char *b)
{
    struct error error = {0};
    struct model models[3] = {0};
    const char *const paths[] = {start, a, b};
    double most = 0, change = 0;
    for (int i = 0; i < 3; i++)
        if (!CHECK_OK(model_read(&models[i], paths[i], false, &error), &error))
            return NAN;
    for (int64_t i = 0; i < models[0].params.n_floats; i++) {
        double x = (double)models[1].params.value[i], y = (double)models[2].params.value[i];
        most = fmax(most, fabs(x - y));
        change = fmax(change, fabs(x - (double)models[0].params.value[i]));
    }
    for (int i = 0; i < 3; i++)
        model_done(&models[i]);
    CHECK(change > 1e-4);
    return most / change;
}

/* Four batches of one are a batch of four: dropout masks are drawn per sample, the losses are means over samples,
 * nothing normalises over the batch. SGD, because Adam's first steps only see signs. With batch norm they are not,
 * which shows that the comparison can fail. */
static void test_accumulate(void)
{
    char *one[] = {"train.batch=1",
                   "train.accumulate=4",
                   "train.steps=4",
                   "train.validate_every=0",
                   "loss=[mse, {type: dice, over: sample}, boundary]",
                   "optimizer={type: sgd, lr: 0.05, nesterov: true}",
                   "network.layers.norm={type: instance_norm, name: norm}"};
    char *four[] = {"train.batch=4", "train.accumulate=1", "train.steps=4", "train.validate_every=0", one[4], one[5],
                    one[6]};
    char *start[] = {"train.batch=4", "train.accumulate=1",           "train.steps=1", "train.validate_every=0",
                     one[4],          "optimizer={type: sgd, lr: 0}", one[6]};
    if (!ready())
        return;
    const char *recipe = chain_recipe("plain.yaml", NULL);
    if (!run(recipe, "one", 7, one) || !run(recipe, "four", 7, four) || !run(recipe, "start", 7, start))
        return;
    double apart = difference(chain_in("start", "last.h5"), chain_in("one", "last.h5"), chain_in("four", "last.h5"));
    printf("    accumulated and whole differ by %.1e of the change\n", apart);
    CHECK(apart < 1e-4);
    if (run(recipe, "norm_one", 6, one) && run(recipe, "norm_four", 6, four) && run(recipe, "norm_start", 6, start))
        CHECK(difference(chain_in("norm_start", "last.h5"), chain_in("norm_one", "last.h5"),
                         chain_in("norm_four", "last.h5")) > 1e-3);
}

/* --- averaged weights --- */

static void test_average(void)
{
    struct error error = {0};
    struct trainer trainer = {0};
    struct train_step_result result;
    char *const sets[] = {"train.ema=0.6", "train.validate_every=0", "train.steps=9"};
    static double expected[1 << 16];
    if (!ready())
        return;
    if (CHECK_OK(chain_trainer(&trainer, chain_recipe("plain.yaml", NULL), 3, sets, check_path("average"), &error),
                 &error)) {
        struct train_step *train_step = &trainer.train_step;
        const struct params *params = &train_step->params;
        int64_t n = params->n_floats;
        CHECK(n < 1 << 16);
        for (int64_t i = 0; i < n; i++)
            expected[i] = (double)params->value[i];
        for (int k = 1; k <= 9; k++) {
            double d = fmin(0.6, (1.0 + k) / (10.0 + k)), apart = 0, moved = 0;
            CHECK_OK(train_step_run(train_step, &result, &error), &error);
            for (int64_t i = 0; i < n; i++) {
                expected[i] = d * expected[i] + (1 - d) * (double)params->value[i];
                apart = fmax(apart, fabs(expected[i] - (double)train_step->average[i]));
                moved = fmax(moved, fabs((double)params->value[i] - (double)train_step->average[i]));
            }
            CHECK(apart < 1e-6);
            CHECK(moved > 1e-4);
        }
        const struct checkpoint_texts texts = {0};
        struct model model = {0};
        CHECK_OK(checkpoint_write(chain_in("average", "last.h5"), train_step, &trainer.state, &texts, &error), &error);
        if (CHECK_OK(model_read(&model, chain_in("average", "last.h5"), true, &error), &error)) {
            const struct model_block *raw = model_block(&model, "value");
            CHECK(memcmp(model.params.value, train_step->average, (size_t)n * sizeof(float)) == 0);
            CHECK(raw && raw->count == n && memcmp(raw->floats, params->value, (size_t)n * sizeof(float)) == 0);
        }
        model_done(&model);
    }
    trainer_close(&trainer);
}

/* --- an early end --- */

static void test_patience(void)
{
    struct error error = {0};
    char *const sets[] = {"optimizer={type: sgd, lr: 0}", "train.steps=40",  "train.validate_every=2",
                          "train.validate_cases=0",       "train.best=loss", "train.patience=2"};
    char *const more[] = {"train.patience=3"};
    if (!ready())
        return;
    /* without batch norm nothing moves at all: the loss stays the same, which is no better */
    char *all[7] = {"network.layers.norm={type: instance_norm, name: norm}"};
    memcpy(all + 1, sets, sizeof sets);
    if (!run(chain_recipe("plain.yaml", NULL), "early", 7, all))
        return;
    char *status = chain_text(chain_in("early", "STATUS")), *log = chain_text(chain_in("early", "log.txt"));
    CHECK_CONTAINS(status, "state: finished\nstep: 6\nsteps: 40\n");
    CHECK_CONTAINS(log, "no better loss in 2 validations (train.patience); the best, at step 2");
    memory_free(status);
    memory_free(log);
    CHECK_OK(trainer_resume(check_path("early"), 0, NULL, &error), &error); /* it is still out of patience */
    status = chain_text(chain_in("early", "STATUS"));
    CHECK_CONTAINS(status, "state: finished\nstep: 6\n");
    memory_free(status);
    CHECK_OK(trainer_resume(check_path("early"), 1, more, &error), &error);
    status = chain_text(chain_in("early", "STATUS"));
    CHECK_CONTAINS(status, "state: finished\nstep: 8\n");
    memory_free(status);
}

/* --- the adversary --- */

static double sum_squares(const float *values, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)values[i] * (double)values[i];
    return sum;
}

enum { ADVERSARY_N = 2 * 16 * 16 * 16 };

/* fooled along the gradient's direction, by a step that float forward passes resolve, against the gradient's length. */
static void check_judgement(struct adversary *adversary, const float *p)
{
    static float d_p[ADVERSARY_N], moved[ADVERSARY_N], ignored[ADVERSARY_N];
    double weight = adversary->config->weight, side[2];
    struct error error = {0};
    const struct params *params = &adversary->params;
    size_t bytes = (size_t)params->n_floats * sizeof(float);
    float *before = memory_alloc(bytes, 1);
    memcpy(before, params->value, bytes);
    for (int i = 0; i < ADVERSARY_N; i++)
        d_p[i] = 0.25F;
    CHECK_OK(adversary_judge(adversary, p, d_p, 7, &side[0], &error), &error);
    for (int i = 0; i < ADVERSARY_N; i++)
        d_p[i] -= 0.25F; /* it adds */
    double length = sqrt(sum_squares(d_p, ADVERSARY_N)), step = 0.02 / length;
    CHECK(length > 0);
    for (int s = 0; s < 2; s++) {
        for (int i = 0; i < ADVERSARY_N; i++)
            moved[i] = p[i] + (float)((s ? -step : step) * (double)d_p[i]);
        CHECK_OK(adversary_judge(adversary, moved, ignored, 7, &side[s], &error), &error);
    }
    CHECK_NEAR(weight * (side[0] - side[1]) / (2 * 0.02), length, 0.03 * length);
    CHECK(memcmp(before, params->value, bytes) == 0); /* weights and statistics are as they were */
    moved[5] = NAN;
    CHECK_FAILS(adversary_judge(adversary, moved, ignored, 7, &side[0], &error), &error, STATUS_FAILED,
                "nan: the batch itself is not finite");
    memory_free(before);
}

static void test_adversary(void)
{
    struct error error = {0};
    struct trainer trainer = {0};
    static float real[ADVERSARY_N], fake[ADVERSARY_N];
    struct rng rng = rng_make(11, 0);
    struct adversary_result first = {0}, last = {0};
    char *const sets[] = {"train.validate_every=0"};
    for (int i = 0; i < ADVERSARY_N; i++) {
        real[i] = (float)rng_below(&rng, 2);
        fake[i] = (float)rng_uniform(&rng, 0.2, 0.8);
    }
    if (!ready())
        return;
    if (CHECK_OK(
            chain_trainer(&trainer, chain_recipe("gan.yaml", chain_adversary), 1, sets, check_path("judged"), &error),
            &error)) {
        struct adversary *adversary = trainer.train_step.adversary;
        struct optimizer *optimizer = &adversary->optimizer;
        size_t bytes = (size_t)adversary->params.n_floats * sizeof(float);
        float *start = memory_alloc(bytes, 1);
        memcpy(start, adversary->params.value, bytes);
        adversary_keep(adversary);
        CHECK_OK(adversary_learn(adversary, real, fake, 1, 1, &first, &error), &error);
        CHECK(memcmp(start, adversary->params.value, bytes) != 0);
        CHECK_INT(optimizer->n_steps, 2);
        check_judgement(adversary, fake);
        adversary_undo(adversary);
        CHECK(memcmp(start, adversary->params.value, bytes) == 0);
        CHECK_INT(optimizer->n_steps, 0);
        CHECK(sum_squares(optimizer->slots[0], optimizer->n_floats) == 0);
        for (int k = 1; k <= 40; k++)
            CHECK_OK(adversary_learn(adversary, real, fake, 1, k, &last, &error), &error);
        printf("    real %.3f -> %.3f, fake %.3f -> %.3f\n", first.real, last.real, first.fake, last.fake);
        CHECK(last.real + last.fake < 0.5 * (first.real + first.fake));
        memory_free(start);
    }
    trainer_close(&trainer);
}

/* An adversary without weight changes nothing, one with weight does; its columns are in the table. */
static void test_adversary_weight(void)
{
    char *const none[] = {"adversary.weight=0", "train.validate_every=0"}, *const never[] = {"train.validate_every=0"};
    if (!ready())
        return;
    const char *gan = chain_recipe("gan.yaml", chain_adversary);
    if (!run(gan, "gan", 1, never) || !run(gan, "light", 2, none) ||
        !run(chain_recipe("plain.yaml", NULL), "alone", 1, never))
        return;
    struct error error = {0};
    struct model models[3] = {0};
    CHECK_OK(model_read(&models[0], chain_in("gan", "last.h5"), false, &error), &error);
    CHECK_OK(model_read(&models[1], chain_in("light", "last.h5"), false, &error), &error);
    CHECK_OK(model_read(&models[2], chain_in("alone", "last.h5"), false, &error), &error);
    size_t bytes = (size_t)models[0].params.n_floats * sizeof(float);
    CHECK(memcmp(models[1].params.value, models[2].params.value, bytes) == 0);
    CHECK(memcmp(models[0].params.value, models[2].params.value, bytes) != 0);
    char *metrics = chain_text(chain_in("gan", "metrics.tsv"));
    CHECK_CONTAINS(metrics, "\tloss_dice\tadversary_real\tadversary_fake\tadversary_fooled\tlr\t");
    memory_free(metrics);
    for (int i = 0; i < 3; i++)
        model_done(&models[i]);
}

/* Names the adversary's layer, and takes the step back whole. */
static void test_adversary_not_finite(void)
{
    struct error error = {0};
    struct trainer trainer = {0};
    struct train_step_result result;
    char *const sets[] = {"train.validate_every=0"};
    if (!ready())
        return;
    if (CHECK_OK(
            chain_trainer(&trainer, chain_recipe("gan.yaml", chain_adversary), 1, sets, check_path("lost"), &error),
            &error)) {
        struct train_step *train_step = &trainer.train_step;
        struct params *params = &train_step->adversary->params;
        const struct param *look = params_find(params, "look.w");
        size_t bytes = (size_t)params->n_floats * sizeof(float);
        float *before = memory_alloc(bytes, 1);
        CHECK_OK(train_step_run(train_step, &result, &error), &error);
        params->value[look->offset] = 3e38F;
        params->value[look->offset + 1] = 3e38F;
        memcpy(before, params->value, bytes);
        CHECK_FAILS(train_step_run(train_step, &result, &error), &error, STATUS_FAILED,
                    "nan: layer 'look' is the first whose output is not finite");
        printf("    %s", error.text);
        CHECK_INT(train_step->step, 1);
        CHECK_INT(train_step->adversary->optimizer.n_steps, 2);
        CHECK(memcmp(before, params->value, bytes) == 0);
        memory_free(before);
    }
    trainer_close(&trainer);
}

/* --- everything at once: halves are a whole --- */

static const char ramps[] = "boundary, ramp: [ { step: 2, factor: 0 }, { step: 5, factor: 0.01 } ]";

static void test_resume_everything(void)
{
    struct error error = {0};
    char loss[160];
    snprintf(loss, sizeof loss, "loss=[mse, {type: %s}]", ramps);
    char *const straight[] = {loss, "train.ema=0.9", "train.patience=9", "schedule={type: cosine, warmup_steps: 2}"};
    if (!ready())
        return;
    const char *recipe = chain_recipe("gan.yaml", chain_adversary);
    if (!run(recipe, "straight", 4, straight) || !run(recipe, "halves", 4, straight))
        return;
    CHECK(chain_same_model(chain_in("straight", "last.h5"), chain_in("halves", "last.h5")));
    /* the same again, stopped in the middle: its checkpoint of step 3 is the one to go on from */
    struct trainer trainer = {0};
    struct train_step_result result;
    if (CHECK_OK(chain_trainer(&trainer, recipe, 4, straight, check_path("stopped"), &error), &error)) {
        for (int k = 0; k < 3; k++)
            CHECK_OK(train_step_run(&trainer.train_step, &result, &error), &error);
        const struct checkpoint_texts texts = {0};
        CHECK_OK(checkpoint_write(chain_in("stopped", "last.h5"), &trainer.train_step, &trainer.state, &texts, &error),
                 &error);
    }
    trainer_close(&trainer);
    CHECK_OK(trainer_resume(check_path("stopped"), 0, NULL, &error), &error);
    CHECK(chain_same_model(chain_in("straight", "last.h5"), chain_in("stopped", "last.h5")));
    CHECK(chain_same_model(chain_in("straight", "best.h5"), chain_in("stopped", "best.h5")));
}

/* --- shipped recipes --- */

enum { MAX_SETS = 96, SET_TEXT = 160 };
struct sets {
    int n;
    char text[MAX_SETS][SET_TEXT], *list[MAX_SETS];
};

static void sets_add(struct sets *sets, const char *text)
{
    snprintf(sets->text[sets->n], SET_TEXT, "%s", text);
    sets->list[sets->n] = sets->text[sets->n];
    sets->n++;
}

/* Layers of more than 4 filters get 4. */
static void sets_thin(struct sets *sets, const char *key, const struct network_config *network)
{
    char text[SET_TEXT];
    for (int64_t i = 0; i < network->layers.n; i++) {
        const struct yaml_node *node = network->layers.items[i].node,
                               *filters = node ? yaml_get(node, "filters") : NULL;
        if (filters && strlen(filters->text) > 1 && sets->n < MAX_SETS) {
            snprintf(text, sizeof text, "%s.layers.%d.filters=4", key, (int)i);
            sets_add(sets, text);
        }
    }
}

/* Two steps of a recipe whose networks are thin and whose patches are small, validated and saved. */
static void check_shipped(const char *name)
{
    struct error error = {0};
    struct arena arena = {0};
    struct recipe recipe;
    static struct sets sets;
    char set[4096], coarse[4096];
    char *path = file_join(&arena, "configs/recipes", name);
    if (path && stages_look(path, 0, NULL).stages) { /* of recipes that are here too */
        arena_done(&arena);
        return;
    }
    sets.n = 0;
    snprintf(set, sizeof set, "data.set=%s", chain_set());
    const char *const small[] = {
        "data.patch_vox=32",      "restore.patch_vox=32", "restore.top_vox=0",      "data.top_vox=0",
        "train.steps=2",          "train.batch=2",        "train.validate_every=2", "train.validate_patches=2",
        "train.validate_cases=1", "train.pictures=false", "train.plot_every=0",     "train.threads=2"};
    for (size_t i = 0; i < sizeof small / sizeof *small; i++)
        sets_add(&sets, small[i]);
    if (CHECK_OK(recipe_read(&recipe, path, 0, NULL, &arena, &error), &error)) {
        sets_thin(&sets, "network", &recipe.network);
        if (recipe_adversary(&recipe))
            sets_thin(&sets, "adversary.network", &recipe_adversary(&recipe)->network);
        if (recipe.data.sampler == SAMPLER_WHOLE)
            sets_add(&sets, "restore.scan=whole");
        sets.list[sets.n++] = set;
        snprintf(coarse, sizeof coarse, "coarse=%s",
                 recipe.network.input_channels == 3 ? chain_shape() : check_path("skullfix_coarse.yaml"));
        if (recipe.coarse) /* the coarse stage was made before: names come sorted */
            sets.list[sets.n++] = coarse;
        if (!CHECK_OK(trainer_start(path, sets.n, sets.list, check_path(name), NULL, &error), &error))
            printf("    in %s\n", path);
        char *status = chain_text(chain_in(name, "STATUS"));
        CHECK_CONTAINS(status, "state: finished\nstep: 2\n");
        memory_free(status);
    }
    arena_done(&arena);
}

static void test_shipped_recipes(void)
{
    struct error error = {0};
    struct arena arena = {0};
    struct config_strings names;
    if (ready() && CHECK_OK(file_list(&names, "configs/recipes", &arena, &error), &error))
        for (int64_t i = 0; i < names.n; i++)
            check_shipped(names.items[i]);
    arena_done(&arena);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"accumulate", test_accumulate},
                                       {"average", test_average},
                                       {"patience", test_patience},
                                       {"adversary", test_adversary},
                                       {"adversary_weight", test_adversary_weight},
                                       {"adversary_not_finite", test_adversary_not_finite},
                                       {"resume_everything", test_resume_everything},
                                       {"shipped_recipes", test_shipped_recipes},
                                       {0}};
    log_set_level(LOG_WARN);
    return check_main(argc, argv, tests);
}
