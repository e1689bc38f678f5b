/* test_config.c - binding: every type, what is refused and in what words. */
#include "base/config.h"

#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/rng.h"
#include "tests/base/sample.h"
#include "tests/check.h"

static struct arena arena;

static enum status bind(struct sample *sample, const char *text, struct error *error)
{
    struct yaml_node *root;
    enum status status = yaml_read_text(&root, text, "r.yaml", &arena, error);
    return status ? status : config_bind(&sample_table, root, sample, &arena, error);
}

static void refuse(const char *text, const char *message)
{
    struct error error = {0};
    struct sample sample;
    CHECK_INT(bind(&sample, text, &error), STATUS_USAGE);
    CHECK_TEXT(error.text, message);
}

static void test_defaults(void)
{
    struct error error = {0};
    struct sample sample;
    memset(&sample, 0x5A, sizeof sample);
    CHECK_OK(config_bind(&sample_table, NULL, &sample, &arena, &error), &error);
    CHECK_TEXT(sample.name, "unnamed");
    CHECK(!sample.note && !sample.set);
    CHECK_INT(sample.seed, 1);
    CHECK_INT(sample.patch_vox[2], 32);
    CHECK_NEAR(sample.spacing_mm[1], 0, 0);
    CHECK_NEAR(sample.range[1], 2, 0);
    CHECK_INT(sample.verbose, 0);
    CHECK_INT(sample.freeze.n, 0);
    CHECK_INT(sample.train.steps, 3000);
    CHECK_NEAR(sample.train.lr, 2e-4, 0);
    CHECK_INT(sample.layers.n, 0);
    CHECK_INT(sample.rules.n, 1);
    CHECK_INT(sample.rules.n ? ((struct sample_rule *)sample.rules.items[0].value)->open : 0, 1);
    CHECK(sample.rules.n && !sample.rules.items[0].node);
    CHECK_TEXT(sample.optimizer.table ? sample.optimizer.table->type : NULL, "relu");
}

static void test_all_types(void)
{
    struct error error = {0};
    struct sample sample;
    CHECK_OK(
        bind(&sample,
             "name: 007\nnote: 'null'\nseed: -5\npatch_vox: [16, 32, 48]\nspacing_mm: 0.5\nrange: 3\nverbose: true\n"
             "freeze: enc*\ntrain: { steps: 10, lr: 1, schedule: step }\n"
             "layers:\n  - { type: conv, out: 8, name: c1, from: [input, x] }\n  - relu\n  - type: relu\n"
             "rules: []\noptimizer: { type: conv, out: 2 }\n",
             &error),
        &error);
    CHECK_TEXT(sample.name, "007");
    CHECK_TEXT(sample.note, "null");
    CHECK_INT(sample.seed, -5);
    CHECK_INT(sample.patch_vox[0] * 10000 + sample.patch_vox[1] * 100 + sample.patch_vox[2], 163248);
    CHECK_NEAR(sample.spacing_mm[0] + sample.spacing_mm[1] + sample.spacing_mm[2], 1.5, 0);
    CHECK_NEAR(sample.range[0] + sample.range[1], 6, 0);
    CHECK_INT(sample.verbose, 1);
    CHECK_TEXT(sample.freeze.n == 1 ? sample.freeze.items[0] : NULL, "enc*");
    CHECK_INT(sample.train.schedule, 2);
    CHECK_NEAR(sample.train.lr, 1, 0);
    CHECK_INT(sample.train.batch, 1);
    CHECK_INT(sample.rules.n, 0);
    CHECK_INT(sample.layers.n, 3);
    if (sample.layers.n != 3)
        return;
    const struct sample_conv *conv = sample.layers.items[0].value;
    CHECK_TEXT(conv->base.name, "c1");
    CHECK_TEXT(conv->base.from.n == 2 ? conv->base.from.items[1] : NULL, "x");
    CHECK_INT(conv->out * 10 + conv->kernel, 83);
    CHECK_INT(sample.layers.items[0].node ? sample.layers.items[0].node->line : 0, 11);
    CHECK_TEXT(sample.layers.items[1].table->type, "relu");
    CHECK_TEXT(sample.layers.items[2].table->type, "relu");
}

static void test_numbers(void)
{
    static const char *const good[] = {"1", "-1", "+3", "0", "0.5", ".5", "5.", "2.0e-4", "1E3", "1e-7", "-0.0"};
    static const char *const bad[] = {"1x",  "1 2", "0x10",   "1_000", "1,5",   "--1",      "+",     ".", "e5", "1e",
                                      "1e+", "nan", ".nan",   "inf",   "-.inf", "infinity", "1e999", "",  "~",  "01",
                                      "'1'", "[1]", "{a: 1}", "true",  "1.5.2", "0b1",      "1e5x",  "٣"};
    char text[64];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct error error = {0};
        struct sample sample;
        snprintf(text, sizeof text, "range: [-9, %s]", strcmp(good[i], "1E3") == 0 ? "1E3" : good[i]);
        CHECK_OK(bind(&sample, text, &error), &error);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error error = {0};
        struct sample sample;
        snprintf(text, sizeof text, "train: { lr: %s }", bad[i]);
        CHECK_FAILS(bind(&sample, text, &error), &error, STATUS_USAGE, "r.yaml:1:");
        CHECK_CONTAINS(error.text, strchr(bad[i], ',') ? "train" : "train.lr: ");
    }
}

static void test_integers(void)
{
    refuse("seed: 1e6\n", "r.yaml:1:7: seed: '1e6' is not written as an integer (write 1000000)\n");
    refuse("seed: 1.0\n", "r.yaml:1:7: seed: '1.0' is not written as an integer (write 1)\n");
    refuse("seed: 010\n", "r.yaml:1:7: seed: '010' is not written as an integer (write 10)\n");
    refuse("seed: 1.5\n", "r.yaml:1:7: seed: '1.5' is not an integer\n");
    refuse("seed: ten\n", "r.yaml:1:7: seed: 'ten' is not an integer\n");
    refuse("seed: \"3\"\n", "r.yaml:1:7: seed: expected an integer, got the text \"3\" (remove the quotes)\n");
    refuse("seed:\n", "r.yaml:1:6: seed: expected an integer, got nothing\n");
    refuse("seed: 9223372036854775808\n",
           "r.yaml:1:7: seed: 9223372036854775808 is too large for an integer of 64 bits\n");
    struct error error = {0};
    struct sample sample;
    CHECK_OK(bind(&sample, "seed: -9223372036854775808\n", &error), &error);
    CHECK_INT(sample.seed, INT64_MIN);
}

static void test_messages(void)
{
    refuse("train:\n  stepz: 3\n", "r.yaml:2:3: train.stepz: unknown key (did you mean 'steps'?)\n");
    refuse("train: { qqqqq: 3 }\n",
           "r.yaml:1:10: train.qqqqq: unknown key (the keys here are steps, batch, lr, schedule)\n");
    refuse("train: { batch: 0 }\n", "r.yaml:1:17: train.batch: 0 is out of range (from 1 to 64)\n");
    refuse("train: { steps: 0 }\n", "r.yaml:1:17: train.steps: 0 is too small (at least 1)\n");
    refuse("train: { lr: 11.5 }\n", "r.yaml:1:14: train.lr: 11.5 is out of range (from 0 to 10 per step)\n");
    refuse("patch_vox: [64, 64, 0]\n", "r.yaml:1:21: patch_vox[2]: 0 is out of range (from 1 to 512 voxels)\n");
    refuse("patch_vox: 1000\n", "r.yaml:1:12: patch_vox: 1000 is out of range (from 1 to 512 voxels)\n");
    refuse("patch_vox: [1, 2]\n", "r.yaml:1:12: patch_vox: expected 3 integers [x, y, z], or one for all, got 2\n");
    refuse("range: [3, 2]\n", "r.yaml:1:8: range: low is above high (write the smaller number first)\n");
    refuse("verbose: yes\n", "r.yaml:1:10: verbose: 'yes' is neither true nor false\n");
    refuse("train: { schedule: cosin }\n",
           "r.yaml:1:20: train.schedule: 'cosin' is not one of constant, cosine, step (did you mean 'cosine'?)\n");
    refuse("train: 3\n", "r.yaml:1:8: train: expected a map of keys, got a single value (indent its keys below it)\n");
    refuse("train:\n", "r.yaml:1:7: train: expected a map of keys, got nothing (indent its keys below it)\n");
    refuse("layers: { type: relu }\n", "r.yaml:1:9: layers: expected a list, got a map\n");
    refuse("layers: [ { type: conf, out: 3 } ]\n",
           "r.yaml:1:19: layers[0].type: 'conf' is unknown (did you mean 'conv'?)\n");
    refuse("layers: [ { out: 3 } ]\n", "r.yaml:1:11: layers[0]: the key 'type' is missing (one of conv, relu)\n");
    refuse("layers: [ conv ]\n", "r.yaml:1:11: layers[0].out: missing (channels)\n");
    refuse("layers: [ { type: relu, out: 3 } ]\n",
           "r.yaml:1:25: layers[0].out: unknown key (the keys here are name, from)\n");
    refuse("layers: [ { type: conv, out: 3, kernel: 4 } ]\n", "r.yaml:1:41: kernel: 4 is even (3 or 5 would fit)\n");
    refuse("rules: [ open ]\n", "r.yaml:1:10: rules[0]: expected a map of keys, got a single value\n");
    refuse("rules: [ { open: 1, type: x } ]\n",
           "r.yaml:1:21: rules[0].type: unknown key (the keys here are open, min_volume_ml, fill)\n");
    refuse("name: null\n", "r.yaml:1:7: name: expected a text, got nothing\n");
    refuse("name: [a]\n", "r.yaml:1:7: name: expected a text, got a list\n");
    refuse("set: ''\n", "r.yaml:1:6: set: the path is empty\n");
    refuse("freeze: [a, [b]]\n", "r.yaml:1:13: freeze[1]: expected a text, got a list\n");
    refuse("[1, 2]\n", "r.yaml:1:1: expected a map of keys (key: value), got a list\n");
}

/* A renamed key: its old name gives the same value and one line, however often the file is bound; both are refused. */
static void test_renamed(void)
{
    struct error error = {0};
    struct sample sample;
    char line[256] = "";
    FILE *log = fopen(check_path("renamed.log"), "w+");
    CHECK(log != NULL);
    log_set_file(log);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(bind(&sample, "seed: 2\ntile_vox: [16, 32, 48]\n", &error), &error);
        CHECK_INT(sample.patch_vox[2], 48);
    }
    log_set_file(NULL);
    rewind(log);
    CHECK(fgets(line, sizeof line, log) != NULL);
    CHECK(strstr(line, "r.yaml:2:11: 'tile_vox' is now called 'patch_vox' (the old name still works)") != NULL);
    CHECK(fgets(line, sizeof line, log) == NULL);
    fclose(log);
    refuse("patch_vox: 16\ntile_vox: 8\n",
           "r.yaml:2:11: patch_vox: given twice ('tile_vox' is the old name of 'patch_vox': keep one)\n");
}

static void test_collects(void)
{
    refuse("seed: x\ntrain: { stepz: 1, batch: 99 }\nnam: y\n",
           "r.yaml:1:7: seed: 'x' is not an integer\n"
           "r.yaml:2:27: train.batch: 99 is out of range (from 1 to 64)\n"
           "r.yaml:2:10: train.stepz: unknown key (did you mean 'steps'?)\n"
           "r.yaml:3:1: nam: unknown key (did you mean 'name'?)\n");
    char text[2048] = "";
    for (int i = 0; i < 30; i++) {
        size_t length = strlen(text);
        snprintf(text + length, sizeof text - length, "unknown_%d: 1\n", i);
    }
    struct error error = {0};
    struct sample sample;
    CHECK_INT(bind(&sample, text, &error), STATUS_USAGE);
    CHECK_INT(error.n_errors, 30);
}

static void test_paths(void)
{
    struct error error = {0};
    struct sample sample;
    struct yaml_node *root;
    CHECK_OK(yaml_read_text(&root, "set: ../d.h5\n", "configs/r.yaml", &arena, &error), &error);
    CHECK_OK(config_bind(&sample_table, root, &sample, &arena, &error), &error);
    CHECK_TEXT(sample.set, "configs/../d.h5");
    CHECK_OK(yaml_set(root, "set=there/d.h5", &arena, &error), &error);
    CHECK_OK(config_bind(&sample_table, root, &sample, &arena, &error), &error);
    CHECK_TEXT(sample.set, "there/d.h5");
    CHECK_OK(yaml_set(root, "set=/abs/d.h5", &arena, &error), &error);
    CHECK_OK(config_bind(&sample_table, root, &sample, &arena, &error), &error);
    CHECK_TEXT(sample.set, "/abs/d.h5");
    CHECK_OK(bind(&sample, "set: x.h5\n", &error), &error);
    CHECK_TEXT(sample.set, "x.h5");
}

static void test_set_messages(void)
{
    struct error error = {0};
    struct sample sample;
    struct yaml_node *root;
    CHECK_OK(yaml_read_text(&root, "seed: 1\n", "r.yaml", &arena, &error), &error);
    CHECK_OK(yaml_set(root, "train.step=10", &arena, &error), &error);
    CHECK_OK(yaml_set(root, "seed=many", &arena, &error), &error);
    CHECK_INT(config_bind(&sample_table, root, &sample, &arena, &error), STATUS_USAGE);
    CHECK_TEXT(error.text, "--set seed=many: seed: 'many' is not an integer\n"
                           "--set train.step=10: train.step: unknown key (did you mean 'steps'?)\n");
}

static const struct config_field *field_of(const char *key)
{
    for (const struct config_field *field = sample_table.fields; field->key; field++)
        if (strcmp(field->key, key) == 0)
            return field;
    return NULL;
}

static enum status set_text(struct sample *sample, const char *key, const char *text, struct error *error)
{
    char where[32];
    snprintf(where, sizeof where, "--%s", key);
    *error = (struct error){0};
    return config_set_text(field_of(key), sample, text, where, &arena, error);
}

static void test_set_text(void)
{
    struct error error;
    struct sample sample = {0};
    CHECK_OK(set_text(&sample, "seed", "12", &error), &error);
    CHECK_OK(set_text(&sample, "patch_vox", "16,24,8", &error), &error);
    CHECK_OK(set_text(&sample, "spacing_mm", "[1, 2, 3.5]", &error), &error);
    CHECK_OK(set_text(&sample, "range", "0.25", &error), &error);
    CHECK_OK(set_text(&sample, "verbose", "true", &error), &error);
    CHECK_OK(set_text(&sample, "name", "a: [b", &error), &error);
    CHECK_OK(set_text(&sample, "set", "some dir/[1].h5", &error), &error);
    CHECK_OK(set_text(&sample, "freeze", "a,b", &error), &error);
    CHECK_OK(set_text(&sample, "optimizer", "{ type: conv, out: 4 }", &error), &error);
    CHECK_INT(sample.seed, 12);
    CHECK_INT(sample.patch_vox[1], 24);
    CHECK_NEAR(sample.spacing_mm[2], 3.5, 0);
    CHECK_NEAR(sample.range[1], 0.25, 0);
    CHECK_INT(sample.verbose, 1);
    CHECK_TEXT(sample.name, "a: [b");
    CHECK_TEXT(sample.set, "some dir/[1].h5");
    CHECK_INT(sample.freeze.n, 2);
    CHECK_TEXT(sample.optimizer.table ? sample.optimizer.table->type : NULL, "conv");
    CHECK_FAILS(set_text(&sample, "seed", "1.5", &error), &error, STATUS_USAGE, "--seed: '1.5' is not an integer");
    CHECK_FAILS(set_text(&sample, "patch_vox", "16,24", &error), &error, STATUS_USAGE,
                "--patch_vox: expected 3 integers");
    CHECK_FAILS(set_text(&sample, "patch_vox", "16,24,x", &error), &error, STATUS_USAGE,
                "--patch_vox[2]: 'x' is not an integer");
    CHECK_FAILS(set_text(&sample, "patch_vox", "1,,1", &error), &error, STATUS_USAGE,
                "--patch_vox[1]: expected an integer, got nothing");
    CHECK_FAILS(set_text(&sample, "seed", "", &error), &error, STATUS_USAGE,
                "--seed: expected an integer, got nothing");
}

static void test_nearest(void)
{
    static const char *const names[] = {"epochs", "batch", "lr", "patch_vox", "validate_every", NULL};
    CHECK_TEXT(config_nearest("epoch", names), "epochs");
    CHECK_TEXT(config_nearest("bacth", names), "batch");
    CHECK_TEXT(config_nearest("LR", names), "lr");
    CHECK_TEXT(config_nearest("patchvox", names), "patch_vox");
    CHECK_TEXT(config_nearest("validate-every", names), "validate_every");
    CHECK(!config_nearest("zzz", names));
    CHECK(!config_nearest("", names));
    CHECK(!config_nearest("x", names));
    CHECK(!config_nearest("a_very_long_word_that_no_key_of_ours_would_ever_resemble_at_all", names));
}

static enum status bind_and_free(void *root, struct error *error)
{
    struct arena own = {0};
    struct sample sample = {0};
    enum status status = config_bind(&sample_table, root, &sample, &own, error);
    if (!status)
        status = config_set_text(field_of("patch_vox"), &sample, "1,2,3", "--patch", &own, error);
    arena_done(&own);
    return status;
}

/* Every allocation fails once: always an error, never a crash or a leak (asan). */
static void test_memory_out(void)
{
    static const char text[] =
        "name: x\nset: a/b\nfreeze: [a, b]\nlayers: [relu, { type: conv, out: 3, from: a }]\nrules: [{ fill: true }]\n";
    struct arena tree = {0};
    struct error error = {0};
    struct yaml_node *root = NULL;
    CHECK_OK(yaml_read_text(&root, text, "dir/r.yaml", &tree, &error), &error);
    check_allocation_failures(bind_and_free, root, 20);
    arena_done(&tree);
}

/* Thousands of damaged recipes: each is taken, or refused with a message that says where. */
static void test_damaged(void)
{
    static const char text[] =
        "name: x\nset: a/b\nfreeze: [a, \"b\\n\"]\nlayers:\n  - relu\n  - { type: conv, out: 3, from: a }\n"
        "train: { lr: 2.0e-4, steps: 10 }\npatch_vox: [1, 2, 3]\nrules: [{ fill: true }]\n";
    static const char spice[] = "[]{}:,-#&*!|>'\"%@`?\n\t \\0129eE.+~nul\x01\x7f\xc3\xff";
    struct rng rng = rng_make(1, 0);
    int taken = 0;
    enum { N = 5000 };
    for (int i = 0; i < N; i++) {
        char damaged[sizeof text];
        memcpy(damaged, text, sizeof text);
        for (int64_t k = rng_below(&rng, 6); k >= 0; k--)
            damaged[rng_below(&rng, (int64_t)sizeof text - 1)] = spice[rng_below(&rng, (int64_t)sizeof spice - 1)];
        struct arena own = {0};
        struct error error = {0};
        struct yaml_node *root;
        struct sample sample;
        enum status status = yaml_read_text(&root, damaged, "r.yaml", &own, &error);
        if (!status)
            status = config_bind(&sample_table, root, &sample, &own, &error);
        taken += status == STATUS_OK;
        if (status) {
            CHECK_INT(status, STATUS_USAGE);
            CHECK(strncmp(error.text, "r.yaml:", 7) == 0 || strncmp(error.text, "kernel: ", 8) == 0);
        }
        arena_done(&own);
    }
    CHECK(taken > N / 100 && taken < N / 2);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"defaults", test_defaults},         {"all_types", test_all_types},
                                       {"numbers", test_numbers},           {"integers", test_integers},
                                       {"messages", test_messages},         {"renamed", test_renamed},
                                       {"collects", test_collects},         {"paths", test_paths},
                                       {"set_messages", test_set_messages}, {"set_text", test_set_text},
                                       {"nearest", test_nearest},           {"memory_out", test_memory_out},
                                       {"damaged", test_damaged},           {0}};
    int status = check_main(argc, argv, tests);
    arena_done(&arena);
    return status;
}
