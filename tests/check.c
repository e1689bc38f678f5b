/* check.c - see check.h. */
#include "tests/check.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

struct kept_text {
    struct kept_text *next;
    char text[];
};

static struct {
    int failed_checks;
    bool skipped;
    char folder[64];
    struct kept_text *kept; /* reachable to the end: no leak */
} check;

static bool check_report(bool ok, const char *file, int line)
{
    if (!ok) {
        check.failed_checks++;
        fprintf(stderr, "%s:%d: ", file, line);
    }
    return ok;
}

bool check_true(bool ok, const char *what, const char *file, int line)
{
    if (!check_report(ok, file, line))
        fprintf(stderr, "is false: %s\n", what);
    return ok;
}

bool check_int(int64_t got, int64_t expected, const char *what, const char *file, int line)
{
    bool ok = got == expected;
    if (!check_report(ok, file, line))
        fprintf(stderr, "%s is %" PRId64 ", expected %" PRId64 "\n", what, got, expected);
    return ok;
}

bool check_near(double got, double expected, double tolerance, const char *what, const char *file, int line)
{
    bool ok = fabs(got - expected) <= tolerance; /* false for NaN */
    if (!check_report(ok, file, line))
        fprintf(stderr, "%s is %.17g, expected %.17g within %g\n", what, got, expected, tolerance);
    return ok;
}

bool check_text(const char *got, const char *expected, const char *what, const char *file, int line)
{
    bool ok = got && expected && strcmp(got, expected) == 0;
    if (!check_report(ok, file, line))
        fprintf(stderr, "%s is \"%s\", expected \"%s\"\n", what, got ? got : "(null)", expected ? expected : "(null)");
    return ok;
}

bool check_contains(const char *got, const char *part, const char *what, const char *file, int line)
{
    bool ok = got && strstr(got, part);
    if (!check_report(ok, file, line))
        fprintf(stderr, "%s is \"%s\", expected to contain \"%s\"\n", what, got ? got : "(null)", part);
    return ok;
}

bool check_ok(enum status status, const struct error *error, const char *what, const char *file, int line)
{
    if (!check_report(status == STATUS_OK, file, line)) {
        fprintf(stderr, "%s failed with status %d\n", what, (int)status);
        error_print(stderr, error);
    }
    return status == STATUS_OK;
}

bool check_fails(enum status status, const struct error *error, enum status expected, const char *part,
                 const char *file, int line)
{
    bool ok = status == expected && strstr(error->text, part);
    if (!check_report(ok, file, line))
        fprintf(stderr, "status %d, expected %d with \"%s\"; the message is \"%s\"\n", (int)status, (int)expected, part,
                error->text);
    return ok;
}

void check_allocation_failures(enum status (*run)(void *context, struct error *error), void *context, int64_t at_least)
{
    enum { MOST = 5000 };
    int64_t failures = 0, nth = 1;
    for (bool reached = true; reached && nth < MOST; nth++) {
        struct error error = {0};
        memory_fail_at(nth);
        const enum status status = run(context, &error);
        reached = memory_fail_at(0) == 0;

        failures += status != STATUS_OK;
        if (status && !CHECK(reached && status == STATUS_FAILED && error.length > 0))
            fprintf(stderr, "allocation %" PRId64 ": status %d, message \"%s\"\n", nth, (int)status, error.text);
    }
    CHECK(nth < MOST);
    CHECK(failures >= at_least);
}

void check_skip(const char *why)
{
    check.skipped = true;
    printf("    skipped: %s\n", why);
}

int check_failures(void)
{
    return check.failed_checks;
}

static const char *keep_printf(const char *format, const char *a, const char *b)
{
    size_t size = strlen(a) + strlen(b) + strlen(format);
    struct kept_text *kept = malloc(sizeof *kept + size);
    if (!kept)
        abort();
    snprintf(kept->text, size, format, a, b);
    kept->next = check.kept;
    check.kept = kept;
    return kept->text;
}

const char *check_folder(void)
{
    if (!check.folder[0]) {
        snprintf(check.folder, sizeof check.folder, "/tmp/calvaria_test_XXXXXX");
        if (!mkdtemp(check.folder))
            abort();
    }
    return check.folder;
}

const char *check_path(const char *name)
{
    return keep_printf("%s/%s", check_folder(), name);
}

const char *check_real_data(void)
{
    static const char *const places[] = {"../shared/data", NULL};
    const char *named = getenv("CALVARIA_DATA");
    if (named)
        return named;
    for (int i = 0; places[i]; i++) {
        struct stat status;
        if (stat(places[i], &status) == 0)
            return places[i];
    }
    return NULL;
}

static bool check_wanted(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc <= 1;
}

int check_main(int argc, char **argv, const struct check_test *tests)
{
    int passed = 0, failed = 0, skipped = 0;
    for (const struct check_test *test = tests; test->name; test++) {
        if (!check_wanted(argc, argv, test->name))
            continue;
        printf("  %s\n", test->name);
        fflush(stdout);
        check.failed_checks = 0;
        check.skipped = false;
        test->run();
        if (check.failed_checks)
            failed++, printf("    FAILED: %s\n", test->name);
        else if (check.skipped)
            skipped++;
        else
            passed++;
    }
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    if (check.folder[0] && !failed) {
        char command[128];
        snprintf(command, sizeof command, "rm -rf '%s'", check.folder);
        if (system(command) != 0)
            fprintf(stderr, "cannot remove %s\n", check.folder);
    }
    return failed || passed + skipped == 0 ? 1 : passed ? 0 : 77;
}
