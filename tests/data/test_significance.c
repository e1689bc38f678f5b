/* test_significance.c - against SciPy (scripts/golden/significance.py), and the corners. */
#include "data/significance.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/check.h"

enum { MAX_PAIRS = 100 };

static bool golden_next(FILE *file, double *a, double *b, int *n, struct significance *ret)
{
    int exact;
    if (fscanf(file, "%d", n) != 1 || *n > MAX_PAIRS)
        return false;
    for (int i = 0; i < *n; i++)
        if (fscanf(file, "%lf %lf", &a[i], &b[i]) != 2)
            return false;
    bool read = fscanf(file, "%d %lf %lf %lf %lf", &exact, &ret->p, &ret->mean, &ret->low, &ret->high) == 5;
    ret->exact = exact != 0;
    return read;
}

static void test_golden(void)
{
    double a[MAX_PAIRS], b[MAX_PAIRS];
    struct significance expected, got;
    struct error error = {0};
    int n, n_cases = 0;
    FILE *file = fopen("tests/data/golden/significance.txt", "r");
    if (!CHECK(file != NULL))
        return;

    while (golden_next(file, a, b, &n, &expected)) {
        if (!CHECK_OK(significance_paired(&got, a, b, n, 1, &error), &error))
            break;
        CHECK_INT(got.n, n);
        CHECK(got.exact == expected.exact);
        CHECK_NEAR(got.mean, expected.mean, 1e-14);
        CHECK_NEAR(got.p / expected.p, 1, 1e-10);
        /* Percentiles of 10,000 resamples: their own standard error is 2 % of the interval's width. */
        const double width = expected.high - expected.low;
        CHECK_NEAR(got.low, expected.low, 0.05 * width);
        CHECK_NEAR(got.high, expected.high, 0.05 * width);
        n_cases++;
    }
    CHECK_INT(n_cases, 7);
    fclose(file);
}

static void test_corners(void)
{
    const double same[] = {1, 2, 3}, other[] = {2, 4, NAN}, none[] = {NAN, NAN, NAN};
    struct significance got, again;
    struct error error = {0};

    CHECK_OK(significance_paired(&got, same, same, 3, 1, &error), &error);
    CHECK_NEAR(got.p, 1, 0);
    CHECK_NEAR(got.high, 0, 0);
    CHECK_OK(significance_paired(&got, same, other, 3, 1, &error), &error); /* a pair without a value is left out */
    CHECK_INT(got.n, 2);
    CHECK_NEAR(got.mean, -1.5, 0);
    CHECK_NEAR(got.p, 0.5, 0); /* two differences of one sign: 2 of the 4 patterns are as far out */
    CHECK_OK(significance_paired(&again, same, other, 3, 1, &error), &error);
    CHECK(got.low >= again.low && got.low <= again.low); /* the same seed, the same interval */
    CHECK_OK(significance_paired(&got, same, none, 3, 1, &error), &error);
    CHECK(got.n == 0 && isnan(got.mean) && isnan(got.p));
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"golden", test_golden}, {"corners", test_corners}, {0}};
    return check_main(argc, argv, tests);
}
