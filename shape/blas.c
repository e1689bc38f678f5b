/* blas.c - see blas.h. Test: tests/shape/test_gaussian.c (one and several threads, the same bits) */
#include "shape/blas.h"

#include <cblas.h>
#include <pthread.h>

static struct {
    pthread_mutex_t mutex;
    int holders, before;
} blas = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void blas_one_thread(void)
{
    if (openblas_get_num_threads() != 1)
        openblas_set_num_threads(1);
}

void blas_hold(void)
{
    pthread_mutex_lock(&blas.mutex);
    if (blas.holders++ == 0) {
        blas.before = openblas_get_num_threads();
        blas_one_thread();
    }
    pthread_mutex_unlock(&blas.mutex);
}

void blas_release(void)
{
    pthread_mutex_lock(&blas.mutex);
    if (--blas.holders == 0 && blas.before != 1)
        openblas_set_num_threads(blas.before);
    pthread_mutex_unlock(&blas.mutex);
}
