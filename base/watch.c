/* watch.c - see watch.h. Test: tests/base/test_log.c */
#include "base/watch.h"

static _Thread_local const struct watch *watch_now;

const struct watch *watch_set(const struct watch *watch)
{
    const struct watch *before = watch_now;
    watch_now = watch;
    return before;
}

const struct watch *watch_get(void)
{
    return watch_now;
}

enum status watch_check(struct error *error)
{
    const struct watch *watch = watch_now;
    if (!watch || !watch->is_stopped || !watch->is_stopped(watch->context))
        return STATUS_OK;
    return error_set(error, STATUS_STOPPED, "stopped on request");
}
