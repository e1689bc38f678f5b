/* significance.c - The Wilcoxon signed-rank test and the bootstrap of a mean; see significance.h.
 * Test: tests/data/test_significance.c, against SciPy. */
#include "data/significance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"

enum { SIGNIFICANCE_RESAMPLES = 10000, SIGNIFICANCE_EXACT_MAX = 50 };

static int significance_compare(const void *a, const void *b)
{
    const double u = *(const double *)a, v = *(const double *)b;
    return (u > v) - (u < v);
}

static int significance_compare_size(const void *a, const void *b)
{
    const double u = fabs(*(const double *)a), v = fabs(*(const double *)b);
    return (u > v) - (u < v);
}

/* --- bootstrap --- */

/* Percentile of sorted values, linear between neighbours. */
static double significance_percentile(const double *values, int64_t n, double share)
{
    const double at = share * (double)(n - 1);
    const int64_t i = (int64_t)at;
    return i + 1 < n ? values[i] + (at - (double)i) * (values[i + 1] - values[i]) : values[n - 1];
}

static enum status significance_bootstrap(struct significance *result, const double *d, uint64_t seed,
                                          struct error *error)
{
    double *means = memory_alloc(SIGNIFICANCE_RESAMPLES, sizeof *means);
    struct rng rng = rng_make(seed, 0);
    if (!means)
        return error_memory(error, SIGNIFICANCE_RESAMPLES * sizeof *means, "the bootstrap");

    for (int r = 0; r < SIGNIFICANCE_RESAMPLES; r++) {
        double sum = 0;
        for (int64_t i = 0; i < result->n; i++)
            sum += d[rng_below(&rng, result->n)];
        means[r] = sum / (double)result->n;
    }

    qsort(means, SIGNIFICANCE_RESAMPLES, sizeof *means, significance_compare);
    result->low = significance_percentile(means, SIGNIFICANCE_RESAMPLES, 0.025);
    result->high = significance_percentile(means, SIGNIFICANCE_RESAMPLES, 0.975);
    memory_free(means);
    return STATUS_OK;
}

/* --- Wilcoxon --- */

/* The share of the 2^n sign patterns whose positive ranks 1..n sum to at most `sum`. */
static double significance_share(int64_t n, int64_t sum)
{
    double ways[SIGNIFICANCE_EXACT_MAX * (SIGNIFICANCE_EXACT_MAX + 1) / 2 + 1] = {1};
    double below = 0;

    for (int64_t rank = 1; rank <= n; rank++)
        for (int64_t s = rank * (rank + 1) / 2; s >= rank; s--)
            ways[s] += ways[s - rank];
    for (int64_t s = 0; s <= sum; s++)
        below += ways[s];
    return ldexp(below, -(int)n);
}

/* d: the differences that are not 0, sorted by size. n_zero: those that were. */
static void significance_wilcoxon(struct significance *result, const double *d, int64_t n, int64_t n_zero)
{
    double positive = 0, ties = 0;
    const double count = (double)n, all = count * (count + 1) / 2;

    /* Equal sizes share the mean of their ranks; t of them reduce the variance by (t^3 - t) / 48. */
    for (int64_t first = 0, last; first < n; first = last) {
        for (last = first + 1; last < n && fabs(d[last]) <= fabs(d[first]); last++) {
        }
        const double t = (double)(last - first), rank = 0.5 * (double)(first + 1 + last);
        ties += t * t * t - t;
        for (int64_t i = first; i < last; i++)
            positive += d[i] > 0 ? rank : 0;
    }

    const double smaller = fmin(positive, all - positive);
    result->exact = n <= SIGNIFICANCE_EXACT_MAX && ties <= 0 && n_zero == 0;
    if (n == 0) {
        result->p = 1;
    } else if (result->exact) {
        result->p = fmin(1, 2 * significance_share(n, (int64_t)smaller));
    } else {
        const double variance = count * (count + 1) * (2 * count + 1) / 24 - ties / 48;
        result->p = variance > 0 ? erfc((all / 2 - smaller) / sqrt(2 * variance)) : 1;
    }
}

enum status significance_paired(struct significance *ret, const double *a, const double *b, int64_t n, uint64_t seed,
                                struct error *error)
{
    struct significance result = {.mean = NAN, .low = NAN, .high = NAN, .p = NAN};
    double *d = memory_alloc((size_t)n + 1, sizeof *d), sum = 0;
    if (!d)
        return error_memory(error, (size_t)n * sizeof *d, "the paired differences");

    for (int64_t i = 0; i < n; i++)
        if (isfinite(a[i]) && isfinite(b[i])) {
            sum += a[i] - b[i];
            d[result.n++] = a[i] - b[i];
        }

    enum status status = STATUS_OK;
    if (result.n > 0)
        result.mean = sum / (double)result.n;
    if (result.n > 1)
        status = significance_bootstrap(&result, d, seed, error);

    /* Differences of 0 have no direction and are left out (Wilcoxon's own rule). */
    if (!status && result.n > 0) {
        int64_t used = 0;
        for (int64_t i = 0; i < result.n; i++)
            if (fabs(d[i]) > 0)
                d[used++] = d[i];
        qsort(d, (size_t)used, sizeof *d, significance_compare_size);
        significance_wilcoxon(&result, d, used, result.n - used);
    }

    memory_free(d);
    if (!status)
        *ret = result;
    return status;
}
