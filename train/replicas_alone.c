/* replicas_alone.c - replicas.h in a build without MPI: there is one process.
 * Test: tests/train/test_replicas.c */
#include <stdlib.h>

#include "train/replicas.h"

const char *replicas_library(void)
{
    return NULL;
}

enum status replicas_start(struct replicas *ret, struct error *error)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"};
    *ret = (struct replicas){.n = 1, .n_local = 1, .together = true};
    for (int i = 0; i < 2; i++) {
        const char *size = getenv(names[i]);
        if (size && strtol(size, NULL, 10) > 1)
            return error_set(
                error, STATUS_USAGE,
                "%s: one of %s processes, but this calvaria was built without MPI (apt-get install libopenmpi-dev, "
                "then build again)",
                names[i], size);
    }
    return STATUS_OK;
}

void replicas_stop(struct replicas *replicas)
{
    (void)replicas;
}

void replicas_abort(struct replicas *replicas, enum status status)
{
    (void)replicas, (void)status;
}

void replicas_average(struct replicas *replicas, float *values, int64_t n)
{
    (void)replicas, (void)values, (void)n;
}

void replicas_average_doubles(struct replicas *replicas, double *values, int64_t n)
{
    (void)replicas, (void)values, (void)n;
}

bool replicas_any(struct replicas *replicas, bool mine)
{
    (void)replicas;
    return mine;
}

void replicas_share(struct replicas *replicas, void *data, int64_t n_bytes)
{
    (void)replicas, (void)data, (void)n_bytes;
}

bool replicas_same(struct replicas *replicas, uint64_t value)
{
    (void)replicas, (void)value;
    return true;
}

enum status replicas_agree(struct replicas *replicas, enum status mine, struct error *error)
{
    (void)replicas, (void)error;
    return mine;
}
