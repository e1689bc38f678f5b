/* test_text.c - the text is what was printed; an allocation that fails is an error. */
#include "base/text.h"

#include <string.h>

#include "base/memory.h"
#include "tests/check.h"

enum { LINES = 40000 };

static enum status print_lines(char **ret, enum status status, struct error *error)
{
    struct text text;
    if (text_open(&text, error))
        return error->status;
    for (int i = 0; i < LINES; i++)
        fprintf(text.file, "line %d\n", i);
    return text_close(ret, &text, status, error);
}

static void test_prints(void)
{
    struct error error = {0};
    struct text empty;
    char *text = NULL, *at;
    if (CHECK_OK(print_lines(&text, STATUS_OK, &error), &error)) {
        at = text;
        for (int i = 0; i < LINES; i++) {
            char line[32];
            const size_t n = (size_t)snprintf(line, sizeof line, "line %d\n", i);
            if (!CHECK(strncmp(at, line, n) == 0))
                break;
            at += n;
        }
        CHECK(*at == '\0');
    }
    memory_free(text);
    if (CHECK_OK(text_open(&empty, &error), &error) && CHECK_OK(text_close(&text, &empty, STATUS_OK, &error), &error))
        CHECK_TEXT(text, "");
    memory_free(text);
}

static void test_failure_goes_on(void)
{
    struct error error = {0};
    char *text = NULL;
    error_set(&error, STATUS_FAILED, "before");
    CHECK_FAILS(print_lines(&text, STATUS_FAILED, &error), &error, STATUS_FAILED, "before");
    CHECK(!text && !error.no_memory);
}

static void test_memory_out(void)
{
    int failed = 0;
    for (int64_t at = 1;; at++) {
        struct error error = {0};
        char *text = NULL;
        memory_fail_at(at);
        const enum status status = print_lines(&text, STATUS_OK, &error);
        const bool reached = memory_fail_at(0) == 0;
        if (!reached)
            CHECK_OK(status, &error);
        memory_free(text);
        if (!reached)
            break;
        failed++;
        CHECK_FAILS(status, &error, STATUS_FAILED, "memory: a text");
        CHECK(error.no_memory && !text);
    }
    CHECK(failed > 4);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"prints", test_prints}, {"failure_goes_on", test_failure_goes_on}, {"memory_out", test_memory_out}, {0}};
    return check_main(argc, argv, tests);
}
