/* blas.c - see blas.h. Test: tests/shape/test_gaussian.c (one and several threads, the same bits) */
#include "shape/blas.h"

#include <cblas.h>

void blas_one_thread(void)
{
    if (openblas_get_num_threads() != 1)
        openblas_set_num_threads(1);
}
