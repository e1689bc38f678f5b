/* significance.h - do two methods differ on the same cases? Paired differences with a bootstrap interval, and the
 * Wilcoxon signed-rank test.
 *
 *     significance_paired(&result, dsc_a, dsc_b, n_cases, 1, &error);
 *     if (result.p < 0.05) ...      // result.mean (result.low to result.high) */
#ifndef CALVARIA_DATA_SIGNIFICANCE_H
#define CALVARIA_DATA_SIGNIFICANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct significance {
    int64_t n;        /* pairs of two finite values; the others are left out */
    double mean;      /* of a - b; NaN: no pair */
    double low, high; /* its 95 % interval: percentiles of 10,000 resamples (bootstrap, Efron 1979); NaN: 1 pair */
    double p;         /* two-sided, of the Wilcoxon signed-rank test (Wilcoxon 1945); 1: all differences are 0 */
    bool exact;       /* p by counting: at most 50 differences, none 0, no ties; else by the normal distribution */
};

/* The same seed gives the same interval. */
enum status significance_paired(struct significance *ret, const double *a, const double *b, int64_t n, uint64_t seed,
                                struct error *error);

#endif
