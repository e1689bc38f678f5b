/* test_log.c - lines, levels, the file beside them, progress when piped, tables. stderr is caught in a file. */
#include "base/log.h"

#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/watch.h"
#include "tests/check.h"

/* Sends stderr to a file until catch_end, which returns what was said (memory_free). */
static int catch_begin(void)
{
    fflush(stderr);
    int kept = dup(STDERR_FILENO);
    FILE *file = fopen(check_path("stderr.txt"), "w");
    if (file) {
        dup2(fileno(file), STDERR_FILENO);
        fclose(file);
    }
    return kept;
}

static char *catch_end(int kept)
{
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    char *text = NULL;
    size_t bytes;
    struct error error = {0};
    CHECK_OK(file_read(&text, &bytes, check_path("stderr.txt"), 1 << 20, &error), &error);
    return text;
}

static void test_levels(void)
{
    static const struct {
        enum log_level level;
        const char *expected;
    } cases[] = {{LOG_QUIET, ""},
                 {LOG_WARN, "warning: w 2\n"},
                 {LOG_INFO, "i 1\nwarning: w 2\n"},
                 {LOG_DEBUG, "i 1\nwarning: w 2\ndebug: d 3\n"}};
    for (int i = 0; i < 4; i++) {
        int kept = catch_begin();
        log_set_level(cases[i].level);
        log_info("i %d", 1);
        log_warn("w %d", 2);
        log_debug("d %d", 3);
        char *text = catch_end(kept);
        CHECK_TEXT(text, cases[i].expected);
        memory_free(text);
    }
    log_set_level(LOG_INFO);
}

static void test_file(void)
{
    const char *path = check_path("log.txt");
    FILE *file = fopen(path, "w");
    CHECK(file);
    if (!file)
        return;
    int kept = catch_begin();
    log_set_level(LOG_QUIET);
    log_set_file(file);
    log_info("step %d", 5);
    log_debug("not told");
    log_set_file(NULL);
    log_info("after");
    log_set_level(LOG_INFO);
    char *said = catch_end(kept), *text = NULL;
    fclose(file);
    size_t bytes;
    struct error error = {0};
    CHECK_TEXT(said, "");
    CHECK_OK(file_read(&text, &bytes, path, 1 << 20, &error), &error);
    CHECK_INT((int64_t)bytes, 27); /* "2026-11-22 16:05:21 step 5\n" */
    CHECK_TEXT(text ? text + 20 : NULL, "step 5\n");
    memory_free(said);
    memory_free(text);
}

static void test_progress_piped(void)
{
    int kept = catch_begin();
    struct progress progress;
    progress_start(&progress, "training", "steps", 100, 300);
    CHECK(!progress.terminal);
    progress.start_s -= 20; /* as if it had run for 20 s */
    progress_show(&progress, 101, "loss 1");
    progress.shown_s -= 11;
    progress_show(&progress, 110, "loss 0.5");
    progress.shown_s -= 2; /* two seconds, but a tenth of the way */
    progress_show(&progress, 150, NULL);
    progress_show(&progress, 200, NULL); /* in the same second */
    progress_show(&progress, 300, NULL);
    progress_end(&progress);
    char *text = catch_end(kept);
    CHECK_TEXT(text, "training  110/300 steps  2.0 s each  6:20 left  loss 0.5\n"
                     "training  150/300 steps  2.5 steps/s  1:00 left\n"
                     "training  300/300 steps  10.0 steps/s  in 0:20\n");
    memory_free(text);
}

static void test_progress_counter(void)
{
    int kept = catch_begin();
    struct progress progress;
    progress_start(&progress, "reading", "cases", 0, 0);
    progress_show(&progress, 5, NULL);
    progress.shown_s -= 11;
    progress_show(&progress, 7, NULL);
    progress.start_s -= 4000;
    progress.done = 0;
    progress_end(&progress);
    log_set_level(LOG_WARN);
    progress_end(&progress);
    log_set_level(LOG_INFO);
    char *text = catch_end(kept);
    CHECK_CONTAINS(text, "reading  7 cases  ");
    CHECK_CONTAINS(text, "reading  0 cases  in 1:06:40\n");
    CHECK(text && strstr(text, "in 1:06:40") == strrchr(text, '\n') - 10); /* quiet: not told again */
    memory_free(text);
}

static void test_progress_terminal(void)
{
    int kept = catch_begin();
    struct progress progress;
    progress_start(&progress, "training", "steps", 0, 200);
    progress.terminal = true;
    progress.start_s -= 10;
    progress.shown_s -= 1;
    progress_show(&progress, 50, "loss 0.25");
    log_info("saved");
    progress.shown_s -= 1;
    progress_show(&progress, 200, NULL);
    progress_end(&progress);
    char *text = catch_end(kept);
    CHECK_TEXT(text, "\rtraining [===>         ]  25 %  50/200 steps  5.0 steps/s  0:30 left  loss 0.25\033[K"
                     "\r\033[Ksaved\n"
                     "\rtraining [======================] 100 %  200/200 steps  20.0 steps/s  0:00 left\033[K"
                     "\r\033[Ktraining  200/200 steps  20.0 steps/s  in 0:10\n");
    memory_free(text);
}

/* What another program reads: stages, and parts that do not come faster than it can use them. */
static void test_progress_file(void)
{
    const char *path = check_path("progress.txt");
    FILE *file = fopen(path, "w");
    if (!CHECK(file != NULL))
        return;
    int kept = catch_begin();
    log_set_level(LOG_QUIET);
    progress_set_file(file);
    progress_stage("reading");
    struct progress progress;
    progress_start(&progress, "work", "steps", 0, 1000);
    for (int i = 1; i <= 1000; i++)
        progress_show(&progress, i, NULL);
    progress_set_file(NULL);
    progress_stage("unheard");
    log_set_level(LOG_INFO);
    fclose(file);
    memory_free(catch_end(kept));
    char *text = NULL;
    size_t bytes = 0;
    struct error error = {0};
    if (!CHECK_OK(file_read(&text, &bytes, path, 1 << 16, &error), &error))
        return;
    CHECK(strncmp(text, "stage reading\npart 1 1000\n", 26) == 0);
    CHECK_CONTAINS(text, "\npart 1000 1000\n");
    CHECK(strstr(text, "unheard") == NULL);
    CHECK(bytes < 1000); /* not one line per step */
    memory_free(text);
}

static void test_table(void)
{
    const char *cells[] = {"case",  "DSC", "note", "HD95 mm", //
                           "a",     "0.9", "ok",   "1.25",    //
                           "größe", "-",   NULL,   "10",      //
                           "x",     "",    "n 1",  "nan"};
    const char *path = check_path("table.txt");
    for (int fail = 0; fail < 2; fail++) {
        FILE *file = fopen(path, "w");
        CHECK(file);
        if (!file)
            return;
        memory_fail_at(fail);
        table_print(file, 4, 4, cells);
        memory_fail_at(0);
        fclose(file);
        struct error error = {0};
        char *text = NULL;
        size_t bytes;
        CHECK_OK(file_read(&text, &bytes, path, 1 << 20, &error), &error);
        CHECK_TEXT(text, "case   DSC  note  HD95 mm\n" /* it needs no memory */
                         "a      0.9  ok       1.25\n"
                         "größe    -             10\n"
                         "x           n 1       nan\n");
        memory_free(text);
    }
}

struct seen {
    char text[256];
    bool stop;
};

static void seen_add(struct seen *seen, const char *what)
{
    strncat(seen->text, what, sizeof seen->text - strlen(seen->text) - 1);
    strncat(seen->text, "|", sizeof seen->text - strlen(seen->text) - 1);
}

static void seen_line(void *context, enum log_level level, const char *line)
{
    seen_add(context, level == LOG_WARN ? "w" : "i");
    seen_add(context, line);
}

static void seen_stage(void *context, const char *name)
{
    seen_add(context, name);
}

static void seen_part(void *context, int64_t done, int64_t total)
{
    char text[32];
    snprintf(text, sizeof text, "%d/%d", (int)done, (int)total);
    seen_add(context, text);
}

static bool seen_is_stopped(void *context)
{
    return ((struct seen *)context)->stop;
}

/* A watched thread's lines go to its watcher, however often; nothing to stderr, with a watcher that does not care too.
 */
static void test_watched(void)
{
    struct seen seen = {.stop = false};
    const struct watch watch = {.context = &seen,
                                .line = seen_line,
                                .stage = seen_stage,
                                .part = seen_part,
                                .is_stopped = seen_is_stopped},
                       deaf = {.context = NULL};
    struct progress progress;
    struct error error = {0};
    int kept = catch_begin();
    CHECK(watch_set(&watch) == NULL);
    log_info("i %d", 1);
    log_warn("w %d", 2);
    log_info_once("once");
    log_info_once("once");
    progress_stage("a stage");
    progress_start(&progress, "x", "steps", 0, 4);
    progress_show(&progress, 3, NULL);
    progress_end(&progress);
    CHECK_OK(watch_check(&error), &error);
    seen.stop = true;
    CHECK_FAILS(watch_check(&error), &error, STATUS_STOPPED, "stopped on request");
    CHECK(watch_set(&deaf) == &watch);
    log_warn("nobody");
    progress_show(&progress, 4, NULL);
    CHECK_INT(watch_check(&error), STATUS_OK);
    CHECK(watch_set(NULL) == &deaf);
    char *text = catch_end(kept);
    CHECK_TEXT(text, "");
    memory_free(text);
    CHECK_TEXT(seen.text, "i|i 1|w|w 2|i|once|i|once|a stage|3/4|");
}

static void test_clock(void)
{
    double before = log_clock_s();
    CHECK(log_clock_s() >= before);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"levels", test_levels},
                                       {"file", test_file},
                                       {"progress_piped", test_progress_piped},
                                       {"progress_counter", test_progress_counter},
                                       {"progress_terminal", test_progress_terminal},
                                       {"progress_file", test_progress_file},
                                       {"table", test_table},
                                       {"watched", test_watched},
                                       {"clock", test_clock},
                                       {0}};
    return check_main(argc, argv, tests);
}
