/* sums.h - private: sums over many values, in double, in pieces fixed by the count: the same bits on any number of
 * threads. */
#ifndef CALVARIA_NN_LOSSES_SUMS_H
#define CALVARIA_NN_LOSSES_SUMS_H

#include <stdint.h>

enum { SUMS_PIECES = 256, SUMS_MAX = 4 };

/* Adds the sums over values first .. last - 1 to sums[]. */
typedef void sums_piece(const void *context, int64_t first, int64_t last, double *sums);

/* sums[0 .. n_sums - 1] over the values 0 .. n - 1. */
void sums_run(int64_t n, int n_sums, sums_piece *piece, const void *context, double *sums);

#endif
