/* test_options.c - a command line from the rows of a table. */
#include "base/options.h"

#include <string.h>

#include "base/file.h"
#include "tests/base/sample.h"
#include "tests/check.h"

enum { MAX_WORDS = 24 };

static struct arena arena;

/* Words are parted by '|'. */
static enum status parse(struct sample *sample, struct config_strings *arguments, const char *line, struct error *error)
{
    char *words[MAX_WORDS], *at = arena_strdup(&arena, line);
    int n = 0;
    *error = (struct error){0};
    while (at && *at && n < MAX_WORDS) {
        words[n++] = at;
        at += strcspn(at, "|");
        if (*at)
            *at++ = '\0';
    }
    return options_parse(&sample_table, sample, n, words, arguments, &arena, error);
}

static void test_parse(void)
{
    struct error error;
    struct sample sample;
    struct config_strings arguments = {0};
    CHECK_OK(parse(&sample, &arguments,
                   "a.nii|--seed|7|--patch-vox=16,24,8|--verbose|--freeze|x,y|b c|--freeze=z|--range|-1|--|--seed",
                   &error),
             &error);
    CHECK_INT(sample.seed, 7);
    CHECK_INT(sample.patch_vox[1], 24);
    CHECK_INT(sample.verbose, 1);
    CHECK_NEAR(sample.range[0], -1, 0);
    CHECK_INT(sample.freeze.n, 2);
    CHECK_TEXT(sample.freeze.n == 2 ? sample.freeze.items[0] : NULL, "x,y");
    CHECK_TEXT(sample.name, "unnamed");
    CHECK_INT(sample.train.batch, 1);
    CHECK_INT(arguments.n, 3);
    CHECK_TEXT(arguments.n == 3 ? arguments.items[1] : NULL, "b c");
    CHECK_TEXT(arguments.n == 3 ? arguments.items[2] : NULL, "--seed");

    CHECK_OK(parse(&sample, &arguments, "--train-steps|5|--no-verbose|--name|-|--note=", &error), &error);
    CHECK_INT(sample.train.steps, 5);
    CHECK_INT(sample.verbose, 0);
    CHECK_TEXT(sample.name, "-");
    CHECK_TEXT(sample.note, "");
    CHECK_INT(arguments.n, 0);
    CHECK_OK(parse(&sample, &arguments, "--tile-vox|8", &error), &error); /* the old name of --patch-vox */
    CHECK_INT(sample.patch_vox[1], 8);
    CHECK_OK(parse(&sample, &arguments, "", &error), &error);
    CHECK_INT(sample.seed, 1);
}

static void test_refused(void)
{
    static const struct {
        const char *line, *message;
    } cases[] = {
        {"--sede|7", "--sede: unknown option (did you mean '--seed'?)\n"},
        {"--qqqqqq", "--qqqqqq: unknown option (see --help)\n"},
        {"-s", "-s: unknown option"},
        {"--seed", "--seed: a value is missing (give --seed VALUE)\n"},
        {"--seed|--verbose", "--seed: a value is missing"},
        {"--seed|x", "--seed: 'x' is not an integer\n"},
        {"--seed=", "--seed: expected an integer, got nothing\n"},
        {"--seed|1|--seed|2", "--seed: given twice"},
        {"--patch-vox|1,2,0", "--patch-vox[2]: 0 is out of range (from 1 to 512 voxels)\n"},
        {"--verbose=maybe", "--verbose: 'maybe' is neither true nor false\n"},
        {"--no-seed", "--no-seed: unknown option"},
        {"--layers|relu", "--layers: unknown option"},
        {"--seed|x|--nam|y", "--seed: 'x' is not an integer\n--nam: unknown option (did you mean '--name'?)\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error error;
        struct sample sample;
        struct config_strings arguments = {0};
        CHECK_FAILS(parse(&sample, &arguments, cases[i].line, &error), &error, STATUS_USAGE, cases[i].message);
    }
}

static void test_help(void)
{
    const char *path = check_path("help.txt");
    FILE *file = fopen(path, "w");
    CHECK(file);
    if (!file)
        return;
    struct error error = {0};
    CHECK_OK(options_help(&sample_table, file, &error), &error);
    fclose(file);
    char *text = NULL;
    size_t bytes;
    CHECK_OK(file_read(&text, &bytes, path, 1 << 20, &error), &error);
    CHECK_CONTAINS(text, "--patch-vox X,Y,Z");
    CHECK_CONTAINS(text, "[voxels] (default [64, 64, 32])");
    CHECK_CONTAINS(text, "--train-schedule constant|cosine|step");
    CHECK_CONTAINS(text, "--freeze TEXT");
    CHECK(text && !strstr(text, "--layers"));
    memory_free(text);
}

static enum status parse_and_free(void *unused, struct error *error)
{
    (void)unused;
    char *words[] = {"--seed=3", "--freeze", "a", "x", "--patch-vox", "1,2,3"};
    struct arena own = {0};
    struct sample sample;
    struct config_strings arguments = {0};
    const enum status status = options_parse(&sample_table, &sample, 6, words, &arguments, &own, error);
    arena_done(&own);
    return status;
}

static void test_memory_out(void)
{
    check_allocation_failures(parse_and_free, NULL, 20);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"parse", test_parse}, {"refused", test_refused}, {"help", test_help}, {"memory_out", test_memory_out}, {0}};
    int status = check_main(argc, argv, tests);
    arena_done(&arena);
    return status;
}
