/* test_error.c - messages: grammar, collecting, cutting. */
#include <string.h>

#include "tests/check.h"

static void test_set_replaces(void)
{
    struct error error = {0};
    CHECK_INT(error_add(&error, STATUS_USAGE, "first"), STATUS_USAGE);
    CHECK_INT(error_set(&error, STATUS_FAILED, "%s: size %d", "a.nii", -1), STATUS_FAILED);
    CHECK_TEXT(error.text, "a.nii: size -1\n");
    CHECK_INT(error.status, STATUS_FAILED);
    CHECK_INT(error.n_errors, 1);
    error_set(&error, STATUS_USAGE, "around <%.5s>", error.text); /* an argument inside the text that goes */
    CHECK_TEXT(error.text, "around <a.nii>\n");
}

static void test_while_lines(void)
{
    struct error error = {0};
    error_set(&error, STATUS_FAILED, "x.nrrd: truncated");
    CHECK_INT(error_while(&error, "reading case %d", 7), STATUS_FAILED);
    error_while(&error, "packing");
    CHECK_TEXT(error.text, "x.nrrd: truncated\n  while reading case 7\n  while packing\n");
}

static void test_collects(void)
{
    struct error error = {0};
    CHECK_INT(error_add(&error, STATUS_USAGE, "b"), STATUS_USAGE);
    CHECK_INT(error_add(&error, STATUS_FAILED, "a"), STATUS_USAGE); /* the larger stays */
    for (int i = 0; i < 2 * ERROR_MAX; i++)
        error_add(&error, STATUS_USAGE, "line %d", i);
    CHECK_INT(error.n_errors, 2 * ERROR_MAX + 2);
    CHECK(strstr(error.text, "line 17\n"));
    CHECK(!strstr(error.text, "line 18\n"));
}

static void test_cut_not_overrun(void)
{
    static char longer[2 * ERROR_CAPACITY];
    memset(longer, 'x', sizeof longer - 1);
    struct error error = {0};
    error_set(&error, STATUS_FAILED, "%s", longer);
    CHECK_INT((int64_t)error.length, (int64_t)strlen(error.text));
    CHECK(error.length < ERROR_CAPACITY);
    CHECK_TEXT(error.text + error.length - 4, "...\n");
    for (int i = 0; i < 100; i++)
        error_while(&error, "going on %d", i);
    CHECK(strlen(error.text) < ERROR_CAPACITY);
}

static void test_fills_to_the_end(void)
{
    for (int length = ERROR_CAPACITY - 40; length < ERROR_CAPACITY + 4; length++) {
        struct error error = {0};
        error_set(&error, STATUS_FAILED, "%*s", length, "end");
        error_add(&error, STATUS_FAILED, "%s", "one more that may not fit");
        CHECK(error.length < ERROR_CAPACITY && error.text[error.length] == '\0' &&
              error.text[error.length - 1] == '\n');
        CHECK_INT((int64_t)error.length, (int64_t)strlen(error.text));
    }
}

static void test_one_line_each(void)
{
    struct error error = {0};
    error_set(&error, STATUS_FAILED, "%s: bad", "evil\n\033[2Jname");
    CHECK_TEXT(error.text, "evil ?[2Jname: bad\n");
}

static void test_print(void)
{
    struct error error = {0};
    for (int i = 0; i < ERROR_MAX + 3; i++)
        error_add(&error, STATUS_USAGE, "wrong");
    error_while(&error, "reading r.yaml");
    const char *path = check_path("printed.txt");
    FILE *file = fopen(path, "w+");
    CHECK(file);
    if (!file)
        return;
    error_print(file, &error);
    rewind(file);
    char text[ERROR_CAPACITY] = "";
    size_t n = fread(text, 1, sizeof text - 1, file);
    text[n] = '\0';
    fclose(file);
    CHECK(strncmp(text, "error: wrong\nerror: wrong\n", 26) == 0);
    CHECK_CONTAINS(text, "\n  while reading r.yaml\n");
    CHECK_CONTAINS(text, "error: 3 more like these\n");
}

static void test_memory(void)
{
    struct error error = {0};
    CHECK_FAILS(error_memory(&error, (size_t)3 << 20, "a skull"), &error, STATUS_FAILED, "memory: a skull: 3.0 MiB");
    CHECK(error.no_memory);
    error_while(&error, "reading");
    CHECK(error.no_memory);
    struct error other = {0};
    CHECK_INT(error_if_memory(&other, &error), STATUS_FAILED);
    CHECK_TEXT(other.text, error.text);
    error_set(&error, STATUS_FAILED, "no skull");
    CHECK(!error.no_memory);
    CHECK_INT(error_if_memory(&other, &error), STATUS_OK);
    CHECK(other.no_memory);
    CHECK_FAILS(error_memory(&error, 12, "a name"), &error, STATUS_FAILED, "a name: 12 bytes");
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"set_replaces", test_set_replaces},
                                       {"while_lines", test_while_lines},
                                       {"collects", test_collects},
                                       {"cut_not_overrun", test_cut_not_overrun},
                                       {"fills_to_the_end", test_fills_to_the_end},
                                       {"one_line_each", test_one_line_each},
                                       {"print", test_print},
                                       {"memory", test_memory},
                                       {0}};
    return check_main(argc, argv, tests);
}
