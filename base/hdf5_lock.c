/* hdf5_lock.c - see hdf5_lock.h. A global because the library's state is one. */
#include "base/hdf5_lock.h"

#include <pthread.h>

static pthread_mutex_t hdf5_mutex = PTHREAD_MUTEX_INITIALIZER;

void hdf5_lock(void)
{
    pthread_mutex_lock(&hdf5_mutex);
}

void hdf5_unlock(void)
{
    pthread_mutex_unlock(&hdf5_mutex);
}
