/* call.h - private to lib/: what surrounds the work of one call, so that the host process stays as it is.
 *
 *     struct call call;
 *     if (call_begin(&call, watch, &error)) ...
 *     ... work: the thread has the C locale, the default floating-point environment and a watcher ...
 *     return call_end(&call, status, &error, ret_error); */
#ifndef CALVARIA_LIB_CALL_H
#define CALVARIA_LIB_CALL_H

#include <fenv.h>
#include <locale.h>

#include "base/watch.h"
#include "lib/calvaria.h"

struct call {
    const struct calvaria_watch *user; /* NULL: nobody */
    struct watch watch;
    const struct watch *watch_before;
    locale_t locale, host_locale;
    fenv_t host_fenv;
    int host_threads;
    const char *stage;
    double from, to; /* the stage's share of the whole */
};

/* STATUS_FAILED: no locale. */
enum status call_begin(struct call *call, const struct calvaria_watch *user, struct error *error);
/* A stage begins that ends at `to` of the whole. STATUS_STOPPED where the caller wants no more. */
enum status call_stage(struct call *call, const char *stage, double to, struct error *error);
/* The host's state is back; the error is copied. Returns the status. */
int call_end(struct call *call, enum status status, const struct error *error, struct calvaria_error *ret);
/* For calls that fail before they begin. */
int call_refuse(const struct error *error, struct calvaria_error *ret);

#endif
