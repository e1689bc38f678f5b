/* failures.h - many cases in one command: one that fails is told at once and does not stop the others; at the end the
 * command fails with their number. */
#ifndef CALVARIA_CLI_FAILURES_H
#define CALVARIA_CLI_FAILURES_H

#include <stdint.h>

#include "base/error.h"

struct failures {
    int64_t n, n_cases; /* failed, of all */
    struct error first;
};

/* Prints the error of one case to stderr. */
void failures_add(struct failures *failures, const struct error *why);
/* STATUS_OK where none failed. Of a single case its own status, else STATUS_FAILED: "2 of 5 CTs WHAT (see above)". */
enum status failures_end(const struct failures *failures, const char *cases, const char *what, struct error *error);

#endif
