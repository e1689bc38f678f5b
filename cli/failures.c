/* failures.c - see failures.h. Test: tests/cli/test_failures.sh */
#include "cli/failures.h"

#include <inttypes.h>

void failures_add(struct failures *failures, const struct error *why)
{
    error_print(stderr, why);
    if (failures->n++ == 0)
        failures->first = *why;
}

enum status failures_end(const struct failures *failures, const char *cases, const char *what, struct error *error)
{
    if (failures->n == 0)
        return STATUS_OK;
    return error_set(error, failures->n_cases == 1 ? failures->first.status : STATUS_FAILED,
                     "%" PRId64 " of %" PRId64 " %s %s (see above)", failures->n, failures->n_cases, cases, what);
}
