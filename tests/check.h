/* check.h - the test programs' few words.
 *
 *     static void test_adds(void) { CHECK_INT(add(1, 2), 3); }
 *     int main(int argc, char **argv) {
 *         const struct check_test tests[] = {{"adds", test_adds}, {0}};
 *         return check_main(argc, argv, tests);          // test_x NAME... runs those alone
 *     }
 *
 * A failed check prints file:line and both values, marks the test failed and goes on. A test that cannot run here calls
 * check_skip("why"): it is counted as a skip, never as a pass. Exit: 1 when any test failed, 77 when every test was
 * skipped. */
#ifndef CALVARIA_TESTS_CHECK_H
#define CALVARIA_TESTS_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#ifdef NDEBUG
#error "asserts guard medical data: no build may define NDEBUG"
#endif

struct check_test {
    const char *name;
    void (*run)(void);
};

int check_main(int argc, char **argv, const struct check_test *tests);
void check_skip(const char *why);
/* Checks of this test that failed so far: for a process that tells them to another. */
int check_failures(void);
/* A fresh empty folder for this test program, removed when it ends without failure. */
const char *check_folder(void);
/* FOLDER/name, in a buffer that lives to the end of the program. */
const char *check_path(const char *name);
/* The folder of real skulls, or NULL (then skip): $CALVARIA_DATA, or ../shared/data beside the sources. */
const char *check_real_data(void);

/* Calls `run` with its first allocation failing, then with its second, and so on until it needs no more. Each failure
 * must be STATUS_FAILED with a message, and there must be at_least so many. `run` frees what it made. */
void check_allocation_failures(enum status (*run)(void *context, struct error *error), void *context, int64_t at_least);

bool check_true(bool ok, const char *what, const char *file, int line);
bool check_int(int64_t got, int64_t expected, const char *what, const char *file, int line);
bool check_near(double got, double expected, double tolerance, const char *what, const char *file, int line);
bool check_text(const char *got, const char *expected, const char *what, const char *file, int line);
/* got contains part */
bool check_contains(const char *got, const char *part, const char *what, const char *file, int line);
/* status is STATUS_OK; prints the error otherwise. */
bool check_ok(enum status status, const struct error *error, const char *what, const char *file, int line);
/* status is not OK and the message contains part. */
bool check_fails(enum status status, const struct error *error, enum status expected, const char *part,
                 const char *file, int line);

#define CHECK(condition) check_true((condition), #condition, __FILE__, __LINE__)
#define CHECK_INT(got, expected) check_int((got), (expected), #got, __FILE__, __LINE__)
#define CHECK_NEAR(got, expected, tolerance) check_near((got), (expected), (tolerance), #got, __FILE__, __LINE__)
#define CHECK_TEXT(got, expected) check_text((got), (expected), #got, __FILE__, __LINE__)
#define CHECK_CONTAINS(got, part) check_contains((got), (part), #got, __FILE__, __LINE__)
#define CHECK_OK(call, error) check_ok((call), (error), #call, __FILE__, __LINE__)
#define CHECK_FAILS(call, error, expected, part) check_fails((call), (error), (expected), (part), __FILE__, __LINE__)

#endif
