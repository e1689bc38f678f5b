/* test_config_dump.c - the dump states every key and loads back to the same bytes; the reference page. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "tests/base/sample.h"
#include "tests/check.h"

static struct arena arena;

static bool read_sample(struct sample *sample, const char *text, const char *name)
{
    struct error error = {0};
    struct yaml_node *root = NULL;
    return CHECK_OK(yaml_read_text(&root, text, name, &arena, &error), &error) &&
           CHECK_OK(config_bind(&sample_table, root, sample, &arena, &error), &error);
}

/* The dump of `text`, after checking that reading it elsewhere dumps the same bytes. In the arena. */
static const char *round_trip(const char *text)
{
    struct sample first, second;
    if (!read_sample(&first, text, "dir/r.yaml"))
        return "";
    char *a = config_dump_text(&sample_table, &first), *b = NULL;
    CHECK(a);
    if (a && read_sample(&second, a, "elsewhere/run/recipe.yaml"))
        b = config_dump_text(&sample_table, &second);
    CHECK_TEXT(b, a);
    const char *kept = a ? arena_strdup(&arena, a) : "";
    memory_free(a);
    memory_free(b);
    return kept;
}

static void test_every_key(void)
{
    const char *dump = round_trip("set: /abs/d.h5\nlayers: [relu, { type: conv, out: 2, from: [input] }]\n"
                                  "rules: [{ open: 2 }, {}, { fill: true, min_volume_ml: 0.1 }]\n");
    CHECK_TEXT(dump, "name: unnamed\n"
                     "note: null\n"
                     "set: /abs/d.h5\n"
                     "seed: 1\n"
                     "patch_vox: [64, 64, 32]\n"
                     "spacing_mm: [0, 0, 0]\n"
                     "range: [0.5, 2]\n"
                     "verbose: false\n"
                     "freeze: []\n"
                     "train:\n"
                     "  steps: 3000\n"
                     "  batch: 1\n"
                     "  lr: 0.0002\n"
                     "  schedule: constant\n"
                     "layers:\n"
                     "  - type: relu\n"
                     "    name: null\n"
                     "    from: []\n"
                     "  - type: conv\n"
                     "    name: null\n"
                     "    from: [input]\n"
                     "    out: 2\n"
                     "    kernel: 3\n"
                     "rules:\n"
                     "  - open: 2\n"
                     "  - {}\n"
                     "  - min_volume_ml: 0.1\n"
                     "    fill: true\n"
                     "optimizer:\n"
                     "  type: relu\n"
                     "  name: null\n"
                     "  from: []\n");
    CHECK_CONTAINS(round_trip("rules: []\n"), "rules: []\n");
}

static void test_texts(void)
{
    static const char *const texts[] = {
        "plain", "",    "null", "true", "No",  "12",         "1.5e3",     "~",       "- x",     "a: b",
        "a #b",  "#",   "'",    "\"",   "\\",  "two\nlines", "tab\there", " blank ", "ünïcode", "\x1b[2J",
        "\x7f",  "nan", "{",    "[a]",  "*x",  "&x",         "!t",        "%",       "@",       "`",
        "a, b",  "?",   "|",    ">",    "---", "...",        "-",         "=",       "<<",      "c:\\d"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct sample sample, again;
        const char *one[] = {texts[i], "x"};
        struct error error = {0};
        CHECK_OK(config_bind(&sample_table, NULL, &sample, &arena, &error), &error);
        sample.name = sample.note = texts[i];
        sample.freeze = (struct config_strings){2, one};
        char *dump = config_dump_text(&sample_table, &sample);
        CHECK(dump);
        if (dump && read_sample(&again, dump, "r.yaml")) {
            CHECK_TEXT(again.name, texts[i]);
            CHECK_TEXT(again.note, texts[i]);
            CHECK_TEXT(again.freeze.n == 2 ? again.freeze.items[0] : NULL, texts[i]);
        }
        memory_free(dump);
    }
}

static void test_numbers(void)
{
    double values[2000] = {0.1,
                           1.0 / 3,
                           2e-4,
                           1e-7,
                           1e300,
                           -1e-300,
                           DBL_MAX,
                           DBL_MIN,
                           DBL_MIN / 8,
                           123456789,
                           1e15,
                           1e22,
                           0.30000000000000004};
    struct rng rng = rng_make(1, 1);
    for (int i = 13; i < 2000; i++)
        values[i] = rng_normal(&rng, 0, 1) * pow(10, (double)rng_below(&rng, 600) - 300);
    for (int i = 0; i < 2000; i++) {
        struct sample sample, again;
        struct error error = {0};
        CHECK_OK(config_bind(&sample_table, NULL, &sample, &arena, &error), &error);
        sample.range[0] = -fabs(values[i]);
        sample.range[1] = fabs(values[i]);
        sample.seed = i % 2 ? INT64_MIN : INT64_MAX;
        char *dump = config_dump_text(&sample_table, &sample);
        if (dump && read_sample(&again, dump, "r.yaml")) {
            CHECK(again.range[0] == sample.range[0] && again.range[1] == sample.range[1]);
            CHECK(again.seed == sample.seed);
        }
        memory_free(dump);
    }
    CHECK_CONTAINS(round_trip("train: { lr: 1e-7 }"), "lr: 1.0e-07\n"); /* YAML 1.1 readers want the point */
    CHECK_CONTAINS(round_trip("train: { lr: 0.30000000000000004 }"), "lr: 0.30000000000000004\n");
}

static void test_paths(void)
{
    char *folder = realpath(check_folder(), NULL), expected[512];
    struct error error = {0};
    CHECK_OK(file_write(check_path("set.h5"), "x", 1, &error), &error);
    CHECK_OK(file_make_folders(check_path("sub"), &error), &error);
    char *before = getcwd(NULL, 0);
    CHECK(folder && before && chdir(check_folder()) == 0);
    struct sample sample;
    if (read_sample(&sample, "set: ../set.h5\n", "sub/r.yaml")) {
        char *dump = config_dump_text(&sample_table, &sample);
        snprintf(expected, sizeof expected, "set: %s/set.h5\n", folder);
        CHECK_CONTAINS(dump, expected);
        memory_free(dump);
        dump = config_dump_portable(&sample_table, &sample);
        CHECK_CONTAINS(dump, "set: set.h5\n");
        memory_free(dump);
    }
    if (read_sample(&sample, "set: absent.h5\n", "sub/r.yaml")) {
        char *dump = config_dump_text(&sample_table, &sample);
        snprintf(expected, sizeof expected, "set: %s/sub/absent.h5\n", folder);
        CHECK_CONTAINS(dump, expected);
        memory_free(dump);
    }
    CHECK(before && chdir(before) == 0);
    free(before);
    free(folder);
    round_trip("set: somewhere/set.h5\n");
}

static void test_file(void)
{
    struct sample sample;
    struct error error = {0};
    CHECK_OK(config_bind(&sample_table, NULL, &sample, &arena, &error), &error);
    const char *path = check_path("dump.yaml");
    FILE *file = fopen(path, "w");
    CHECK(file && config_dump(&sample_table, &sample, file));
    if (file)
        fclose(file);
    char *text = NULL, *expected = config_dump_text(&sample_table, &sample);
    size_t bytes;
    CHECK_OK(file_read(&text, &bytes, path, 1 << 20, &error), &error);
    CHECK_TEXT(text, expected);
    memory_free(text);
    memory_free(expected);
}

static enum status dump_and_free(void *sample, struct error *error)
{
    char *dump = config_dump_text(&sample_table, sample);
    if (!dump)
        return error_memory(error, 1, "the dump");
    CHECK_CONTAINS(dump, "name: \"a b\"\n");
    memory_free(dump);
    return STATUS_OK;
}

static void test_memory_out(void)
{
    struct sample sample;
    CHECK(read_sample(&sample, "name: 'a b'\nset: rel\nlayers: [relu]\nrules: [{ fill: true }]\n", "r.yaml"));
    check_allocation_failures(dump_and_free, &sample, 5);
}

static void test_reference(void)
{
    const char *path = check_path("reference.md");
    FILE *file = fopen(path, "w");
    CHECK(file);
    if (!file)
        return;
    config_reference(&sample_table, "Sample", file);
    fclose(file);
    struct error error = {0};
    char *text = NULL;
    size_t bytes;
    if (!CHECK_OK(file_read(&text, &bytes, path, 1 << 20, &error), &error))
        return;
    static const char *const parts[] = {
        "## Sample\n\nA sample\n\n| key | type | default | values | meaning |\n|---|---|---|---|---|\n",
        "| `patch_vox` | 3 integers, voxels | `[64, 64, 32]` | 1 … 512 |  (before: `tile_vox`) |\n",
        "| `train` | map |  |  | the loop |\n",
        "### `train`\n\nThe loop\n\n",
        "| `steps` | integer | `3000` | ≥ 1 | steps |\n",
        "| `schedule` | name | `constant` | `constant`, `cosine`, `step` |  |\n",
        "| `layers` | list |  | `conv`, `relu` |  |\n",
        "### `layers`: `conv`\n\n3D convolution\n\n",
        "| `kernel` | integer, voxels | `3` | 1 … 9 | edge \\| size |\n",
        "| `out` | integer | required | 1 … 4096 | channels |\n",
        "### `rules`\n\n",
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        CHECK_CONTAINS(text, parts[i]);
    CHECK(!strstr(text, "`optimizer`: `conv`")); /* told once, under layers */
    memory_free(text);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"every_key", test_every_key}, {"texts", test_texts},
                                       {"numbers", test_numbers},     {"paths", test_paths},
                                       {"file", test_file},           {"memory_out", test_memory_out},
                                       {"reference", test_reference}, {0}};
    int status = check_main(argc, argv, tests);
    arena_done(&arena);
    return status;
}
