/* call.c - see call.h. Test: tests/lib/test_library.c */
#include "lib/call.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/parallel.h"
#include "shape/blas.h"

/* ---- the thread's state ---- */

static void call_enter(struct call *call)
{
    call->host_locale = uselocale(call->locale);
    fegetenv(&call->host_fenv);
    fesetenv(FE_DFL_ENV);
}

static void call_leave(struct call *call)
{
    fesetenv(&call->host_fenv);
    uselocale(call->host_locale);
}

/* ---- from the library's watcher to the caller's, outside ---- */

static void call_line(void *context, enum log_level level, const char *line)
{
    struct call *call = context;
    if (!call->user || !call->user->log || level > LOG_INFO)
        return;
    call_leave(call);
    call->user->log(call->user->context, level == LOG_WARN, line);
    call_enter(call);
}

static void call_tell(struct call *call, double part)
{
    if (!call->user || !call->user->progress)
        return;
    call_leave(call);
    call->user->progress(call->user->context, call->stage, call->from + (call->to - call->from) * part);
    call_enter(call);
}

static void call_part(void *context, int64_t done, int64_t total)
{
    call_tell(context, fmin(1, (double)done / (double)total));
}

static bool call_is_stopped(void *context)
{
    struct call *call = context;
    if (!call->user || !call->user->is_cancelled)
        return false;
    call_leave(call);
    const bool is = call->user->is_cancelled(call->user->context) != 0;
    call_enter(call);
    return is;
}

/* ---- a call ---- */

enum status call_begin(struct call *call, const struct calvaria_watch *user, struct error *error)
{
    *call = (struct call){.user = user, .stage = "", .host_threads = parallel_threads()};
    call->watch = (struct watch){.context = call, .line = call_line, .part = call_part, .is_stopped = call_is_stopped};
    call->locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!call->locale)
        return error_memory(error, 1 << 10, "the C locale");
    call_enter(call);
    call->watch_before = watch_set(&call->watch);
    blas_hold();
    return STATUS_OK;
}

enum status call_stage(struct call *call, const char *stage, double to, struct error *error)
{
    call->stage = stage;
    call->from = call->to;
    call->to = to;
    call_tell(call, 0);
    return watch_check(error);
}

int call_refuse(const struct error *error, struct calvaria_error *ret)
{
    if (ret) {
        const size_t length =
            error->length && error->text[error->length - 1] == '\n' ? error->length - 1 : error->length;
        ret->status = error->status;
        snprintf(ret->message, sizeof ret->message, "%.*s", (int)length, error->text);
    }
    return error->status;
}

int call_end(struct call *call, enum status status, const struct error *error, struct calvaria_error *ret)
{
    if (!status)
        call_tell(call, 1);
    blas_release();
    watch_set(call->watch_before);
    if (parallel_threads() != call->host_threads)
        parallel_set_threads(call->host_threads);
    call_leave(call);
    freelocale(call->locale);
    return status ? call_refuse(error, ret) : CALVARIA_OK;
}
