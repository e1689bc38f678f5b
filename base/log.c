/* log.c - lines of the log and the progress line; see log.h. Test: tests/base/test_log.c */
#include "base/log.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/watch.h"

enum { LOG_MAX_ONCE = 64 };

static struct {
    pthread_mutex_t mutex;
    enum log_level level;
    FILE *file;
    bool bar; /* a progress bar stands in the terminal's last line */
    FILE *progress;
    double told_s;               /* when a part was last written to it */
    uint64_t once[LOG_MAX_ONCE]; /* hashes of the lines of log_info_once */
    int n_once;
} sink = {.mutex = PTHREAD_MUTEX_INITIALIZER, .level = LOG_INFO};

enum log_level log_set_level(enum log_level level)
{
    pthread_mutex_lock(&sink.mutex);
    const enum log_level before = sink.level;
    sink.level = level;
    pthread_mutex_unlock(&sink.mutex);
    return before;
}

void log_set_file(FILE *file)
{
    pthread_mutex_lock(&sink.mutex);
    sink.file = file;
    pthread_mutex_unlock(&sink.mutex);
}

static void log_clear_bar(void)
{
    if (sink.bar)
        fputs("\r\033[K", stderr);
    sink.bar = false;
}

/* In a watched thread a line goes to the watcher. */
static bool log_line_watched(enum log_level level, const char *format, va_list args)
{
    const struct watch *watch = watch_get();
    char line[ERROR_CAPACITY];
    if (!watch || !watch->line)
        return watch;
    vsnprintf(line, sizeof line, format, args);
    watch->line(watch->context, level, line);
    return true;
}

static void log_line(enum log_level level, const char *prefix, const char *format, va_list args)
{
    if (log_line_watched(level, format, args))
        return;
    pthread_mutex_lock(&sink.mutex);
    if (level <= sink.level) {
        va_list again;
        va_copy(again, args);
        log_clear_bar();
        fputs(prefix, stderr);
        vfprintf(stderr, format, again);
        fputc('\n', stderr);
        va_end(again);
    }

    if (sink.file && (level <= sink.level || level <= LOG_INFO)) {
        time_t now = time(NULL);
        struct tm local;
        char stamp[32] = "";
        if (localtime_r(&now, &local))
            strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S ", &local);
        fprintf(sink.file, "%s%s", stamp, prefix);
        vfprintf(sink.file, format, args);
        fputc('\n', sink.file);
        fflush(sink.file);
    }
    pthread_mutex_unlock(&sink.mutex);
}

void log_info(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(LOG_INFO, "", format, args);
    va_end(args);
}

/* True the first time that a line is seen; beyond LOG_MAX_ONCE lines every time. */
static bool log_is_new(const char *line)
{
    const uint64_t hash = rng_hash(line);
    pthread_mutex_lock(&sink.mutex);
    bool is_new = true;
    for (int i = 0; i < sink.n_once && is_new; i++)
        is_new = sink.once[i] != hash;
    if (is_new && sink.n_once < LOG_MAX_ONCE)
        sink.once[sink.n_once++] = hash;
    pthread_mutex_unlock(&sink.mutex);
    return is_new;
}

void log_info_once(const char *format, ...)
{
    char line[ERROR_CAPACITY];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (watch_get() || log_is_new(line))
        log_info("%s", line);
}

void log_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(LOG_WARN, "warning: ", format, args);
    va_end(args);
}

void log_debug(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(LOG_DEBUG, "debug: ", format, args);
    va_end(args);
}

double log_clock_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* 1:05, 2:03:09, 3d 04:00 */
static void progress_time(char *text, size_t size, double seconds)
{
    int64_t s = (int64_t)floor(seconds + 0.5);
    if (s >= 86400)
        snprintf(text, size, "%" PRId64 "d %02d:%02d", s / 86400, (int)(s / 3600 % 24), (int)(s / 60 % 60));
    else if (s >= 3600)
        snprintf(text, size, "%d:%02d:%02d", (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
    else
        snprintf(text, size, "%d:%02d", (int)(s / 60), (int)(s % 60));
}

/* "3.1 steps/s", or the other way round where one takes longer than a second. */
static void progress_rate(char *text, size_t size, const char *unit, double per_s)
{
    if (per_s <= 0)
        text[0] = '\0';
    else if (per_s < 1)
        snprintf(text, size, "%.1f s each", 1 / per_s);
    else
        snprintf(text, size, per_s < 100 ? "%.1f %s/s" : "%.0f %s/s", per_s, unit);
}

/* What stands behind the bar: "42/300 steps  3.1 steps/s  1:23 left  loss 0.01". */
static void progress_figures(char *text, size_t size, const struct progress *progress, double now_s, bool ended,
                             const char *note)
{
    char rate[64], left[32] = "", count[96];
    double elapsed_s = now_s - progress->start_s;
    double per_s = elapsed_s > 0 ? (double)(progress->done - progress->first) / elapsed_s : 0;

    progress_rate(rate, sizeof rate, progress->unit, per_s);
    if (progress->total > 0)
        snprintf(count, sizeof count, "%" PRId64 "/%" PRId64, progress->done, progress->total);
    else
        snprintf(count, sizeof count, "%" PRId64, progress->done);
    if (ended)
        progress_time(left, sizeof left, elapsed_s);
    else if (progress->total > 0 && per_s > 0)
        progress_time(left, sizeof left, (double)(progress->total - progress->done) / per_s);
    snprintf(text, size, "%s %s%s%s%s%s%s%s%s", count, progress->unit, *rate ? "  " : "", rate, *left ? "  " : "",
             ended ? "in " : "", left, *left && !ended ? " left" : "", note && *note ? "  " : "");
    if (note)
        strncat(text, note, size - strlen(text) - 1);
}

static int progress_columns(void)
{
    struct winsize window;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col >= 20 ? window.ws_col : 80;
}

static void progress_draw(const struct progress *progress, const char *figures)
{
    enum { LEAST = 6, MOST = 32 };
    char bar[MOST + 1] = "", line[512];
    int columns = progress_columns() - 1;
    int width = columns - (int)strlen(progress->label) - (int)strlen(" [] 100 %  ") - (int)strlen(figures);

    width = width < LEAST ? LEAST : width > MOST ? MOST : width;
    double part = progress->total > 0 ? (double)progress->done / (double)progress->total : 0;
    int filled = part >= 1 ? width : part <= 0 ? 0 : (int)(part * width);
    for (int i = 0; i < width; i++)
        bar[i] = i < filled ? '=' : i == filled ? '>' : ' ';
    if (progress->total > 0)
        snprintf(line, sizeof line, "%s [%s] %3.0f %%  %s", progress->label, bar, floor(100 * part), figures);
    else
        snprintf(line, sizeof line, "%s  %s", progress->label, figures);
    pthread_mutex_lock(&sink.mutex);
    fprintf(stderr, "\r%.*s\033[K", columns, line);
    fflush(stderr);
    sink.bar = true;
    pthread_mutex_unlock(&sink.mutex);
}

static bool progress_is_wanted(void)
{
    if (watch_get())
        return false;
    pthread_mutex_lock(&sink.mutex);
    bool wanted = sink.level >= LOG_INFO;
    pthread_mutex_unlock(&sink.mutex);
    return wanted;
}

static void progress_line(const struct progress *progress, const char *figures)
{
    pthread_mutex_lock(&sink.mutex);
    log_clear_bar();
    fprintf(stderr, "%s  %s\n", progress->label, figures);
    pthread_mutex_unlock(&sink.mutex);
}

void progress_set_file(FILE *file)
{
    pthread_mutex_lock(&sink.mutex);
    sink.progress = file;
    pthread_mutex_unlock(&sink.mutex);
}

void progress_stage(const char *name)
{
    const struct watch *watch = watch_get();
    if (watch) {
        if (watch->stage)
            watch->stage(watch->context, name);
        return;
    }
    pthread_mutex_lock(&sink.mutex);
    if (sink.progress) {
        fprintf(sink.progress, "stage %s\n", name);
        fflush(sink.progress);
    }
    sink.told_s = 0;
    pthread_mutex_unlock(&sink.mutex);
}

static void progress_tell(const struct progress *progress)
{
    const double tell_s = 0.1;
    const struct watch *watch = watch_get();
    if (watch) {
        if (watch->part && progress->total > 0)
            watch->part(watch->context, progress->done, progress->total);
        return;
    }
    double now_s = log_clock_s();
    pthread_mutex_lock(&sink.mutex);
    if (sink.progress && progress->total > 0 && (now_s - sink.told_s >= tell_s || progress->done == progress->total)) {
        fprintf(sink.progress, "part %" PRId64 " %" PRId64 "\n", progress->done, progress->total);
        fflush(sink.progress);
        sink.told_s = now_s;
    }
    pthread_mutex_unlock(&sink.mutex);
}

void progress_start(struct progress *progress, const char *label, const char *unit, int64_t first, int64_t total)
{
    double now_s = log_clock_s();
    *progress = (struct progress){.label = label,
                                  .unit = unit,
                                  .total = total,
                                  .done = first,
                                  .first = first,
                                  .shown = first,
                                  .start_s = now_s,
                                  .shown_s = now_s,
                                  .terminal = isatty(STDERR_FILENO)};
}

void progress_show(struct progress *progress, int64_t done, const char *note)
{
    const double redraw_s = 0.1, line_s = 10;
    double now_s = log_clock_s(), since_s = now_s - progress->shown_s;

    progress->done = done;
    progress_tell(progress);
    bool tenth = progress->total > 0 && done * 10 / progress->total > progress->shown * 10 / progress->total;
    bool due = progress->terminal ? since_s >= redraw_s : since_s >= line_s || (tenth && since_s >= 1);
    if (!due || !progress_is_wanted())
        return;
    char figures[256];
    progress_figures(figures, sizeof figures, progress, now_s, false, note);
    if (progress->terminal)
        progress_draw(progress, figures);
    else
        progress_line(progress, figures);
    progress->shown_s = now_s;
    progress->shown = done;
}

void progress_end(struct progress *progress)
{
    if (!progress_is_wanted())
        return;
    char figures[256];
    progress_figures(figures, sizeof figures, progress, log_clock_s(), true, NULL);
    progress_line(progress, figures);
}
