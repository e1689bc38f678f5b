/* sums.c - sums that threads do not change; see sums.h. Test: tests/nn/test_loss.c */
#include "nn/losses/sums.h"

void sums_run(int64_t n, int n_sums, sums_piece *piece, const void *context, double *sums)
{
    double parts[SUMS_PIECES][SUMS_MAX] = {{0}};
    int64_t step = n / SUMS_PIECES + 1;
#pragma omp parallel for schedule(static)
    for (int64_t k = 0; k < SUMS_PIECES; k++) {
        int64_t first = k * step < n ? k * step : n, last = first + step < n ? first + step : n;
        piece(context, first, last, parts[k]);
    }
    for (int i = 0; i < n_sums; i++) {
        sums[i] = 0;
        for (int k = 0; k < SUMS_PIECES; k++)
            sums[i] += parts[k][i];
    }
}
