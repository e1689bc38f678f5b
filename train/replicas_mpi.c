/* replicas_mpi.c - replicas.h over MPI. Every operation is non-blocking and waited for, so that a signal is seen in
 * between. Test: tests/train/test_replicas.c */
#include "train/replicas.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <mpi.h>

#include "train/stop.h"

enum { REPLICAS_CHUNK = 1 << 28 }; /* MPI counts in int */

const char *replicas_library(void)
{
    static char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    if (MPI_Get_library_version(text, &length) != MPI_SUCCESS)
        return NULL;
    text[strcspn(text, ",\n")] = '\0';
    return text;
}

/* Started by mpirun, mpiexec or srun: alone, MPI is not even initialised. */
static bool replicas_launched(void)
{
    return getenv("OMPI_COMM_WORLD_SIZE") || getenv("PMI_SIZE") || getenv("PMIX_RANK");
}

enum status replicas_start(struct replicas *ret, struct error *error)
{
    int provided = 0, rank = 0, n = 1, n_local = 1;
    MPI_Comm local;

    *ret = (struct replicas){.n = 1, .n_local = 1, .together = true};
    if (!replicas_launched())
        return STATUS_OK;

    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS || provided < MPI_THREAD_FUNNELED)
        return error_set(error, STATUS_FAILED,
                         "MPI: cannot be started with threads (an MPI library with MPI_THREAD_FUNNELED)");

    /* Processes of one machine share its threads and memory. */
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n);

    if (MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &local) == MPI_SUCCESS) {
        MPI_Comm_size(local, &n_local);
        MPI_Comm_free(&local);
    }

    ret->rank = rank;
    ret->n = n;
    ret->n_local = n_local;

    return STATUS_OK;
}

void replicas_stop(struct replicas *replicas)
{
    int started = 0, stopped = 0;
    MPI_Initialized(&started);
    MPI_Finalized(&stopped);
    if (!started || stopped)
        return;
    if (replicas->n > 1)
        MPI_Barrier(MPI_COMM_WORLD);
    MPI_Finalize();
}

void replicas_abort(struct replicas *replicas, enum status status)
{
    if (replicas->n > 1)
        MPI_Abort(MPI_COMM_WORLD, (int)status);
}

static void replicas_wait(struct replicas *replicas, MPI_Request *request)
{
    int done = 0;
    while (MPI_Test(request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && !done) {
        if (replicas->interrupted && !replicas->reported && stop_requested()) {
            replicas->reported = true;
            replicas->interrupted(replicas->context);
        }
        sched_yield();
    }
}

static void replicas_reduce(struct replicas *replicas, void *values, int64_t n, MPI_Datatype type, MPI_Op op)
{
    MPI_Request request;
    assert(n <= INT_MAX);
    MPI_Iallreduce(MPI_IN_PLACE, values, (int)n, type, op, MPI_COMM_WORLD, &request);
    replicas_wait(replicas, &request);
}

void replicas_average(struct replicas *replicas, float *values, int64_t n)
{
    if (replicas->n == 1)
        return;
    for (int64_t at = 0; at < n; at += REPLICAS_CHUNK)
        replicas_reduce(replicas, values + at, n - at < REPLICAS_CHUNK ? n - at : REPLICAS_CHUNK, MPI_FLOAT, MPI_SUM);
    const float share = 1.0F / (float)replicas->n;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; i++)
        values[i] *= share;
}

void replicas_average_doubles(struct replicas *replicas, double *values, int64_t n)
{
    if (replicas->n == 1)
        return;
    replicas_reduce(replicas, values, n, MPI_DOUBLE, MPI_SUM);
    for (int64_t i = 0; i < n; i++)
        values[i] /= (double)replicas->n;
}

bool replicas_any(struct replicas *replicas, bool mine)
{
    int any = mine;
    if (replicas->n > 1)
        replicas_reduce(replicas, &any, 1, MPI_INT, MPI_MAX);
    return any != 0;
}

void replicas_share(struct replicas *replicas, void *data, int64_t n_bytes)
{
    MPI_Request request;
    if (replicas->n == 1)
        return;
    MPI_Ibcast(data, (int)n_bytes, MPI_BYTE, 0, MPI_COMM_WORLD, &request);
    replicas_wait(replicas, &request);
}

bool replicas_same(struct replicas *replicas, uint64_t value)
{
    uint64_t bounds[2] = {value, ~value}; /* the largest, and the complement of the smallest */
    if (replicas->n > 1)
        replicas_reduce(replicas, bounds, 2, MPI_UINT64_T, MPI_MAX);
    return bounds[0] == ~bounds[1];
}

enum status replicas_agree(struct replicas *replicas, enum status mine, struct error *error)
{
    if (replicas->n == 1)
        return mine;
    int64_t first =
        (int64_t)mine * replicas->n + (replicas->n - 1 - replicas->rank); /* the worst status, then the lowest rank */
    replicas_reduce(replicas, &first, 1, MPI_INT64_T, MPI_MAX);
    enum status worst = (enum status)(first / replicas->n);
    if (first % replicas->n != replicas->n - 1 - replicas->rank || mine != worst)
        *error = (struct error){.status = worst};
    return worst;
}
