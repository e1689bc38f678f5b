/* plot.c - gnuplot: scripts into images, and a window; see plot.h.
 * Test: tests/train/test_run.c, tests/train/test_history.c */
#include "train/plot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

/* pngcairo where gnuplot was built with it, else the plain png terminal. %s: the name of the image. */
#define PLOT_LOOK                                                        \
    "set datafile separator tab\n"                                       \
    "set datafile missing ''\n"                                          \
    "set key autotitle columnheader noenhanced outside top horizontal\n" \
    "set grid lc rgb '#dddddd'\n"                                        \
    "set border 3\n"                                                     \
    "set tics nomirror\n"

static const char plot_head[] =
    "# Run inside this folder: gnuplot %s.gp\n"
    "if (strstrt(GPVAL_TERMINALS, 'pngcairo')) set terminal pngcairo size 1000,600 font 'sans,11'; "
    "else set terminal png size 1000,600\n"
    "set output '%s.png'\n" PLOT_LOOK;

bool plot_available(void)
{
    const char *path = getenv("PATH");
    struct arena arena = {0};
    bool found = false;
    while (path && *path && !found) {
        size_t length = strcspn(path, ":");
        const char *program = arena_printf(&arena, "%.*s/gnuplot", (int)length, path);
        found = program && access(program, X_OK) == 0;
        path += length;
        path += *path == ':';
    }
    arena_done(&arena);
    return found;
}

/* gnuplot quotes with '...', a quote inside is doubled. */
static void plot_quote(FILE *pipe, const char *text)
{
    fputc('\'', pipe);
    for (; *text; text++) {
        if (*text == '\'')
            fputc('\'', pipe);
        fputc(*text, pipe);
    }
    fputc('\'', pipe);
}

static enum status plot_pipe(const char *folder, const char *name, struct error *error)
{
    if (!plot_available())
        return error_set(error, STATUS_FAILED,
                         "gnuplot: not on the PATH: no pictures are made (apt-get install gnuplot-nox)");
    FILE *pipe = popen("exec gnuplot >/dev/null 2>&1", "w");
    if (!pipe)
        return error_set(error, STATUS_FAILED, "gnuplot: %s", strerror(errno));
    fputs("cd ", pipe);
    plot_quote(pipe, folder);
    fprintf(pipe, "\nload '%s.gp'\n", name);
    int status = pclose(pipe);
    if (status == -1 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return error_set(error, STATUS_FAILED, "gnuplot: cannot draw %s/%s.gp (run gnuplot on it to see why)", folder,
                         name);
    return STATUS_OK;
}

enum status plot_draw(const char *folder, const char *name, const char *body, struct error *error)
{
    struct arena arena = {0};
    char *head = arena_printf(&arena, plot_head, name, name);
    char *text = head ? arena_printf(&arena, "%s%s", head, body) : NULL;
    char *file = arena_printf(&arena, "%s/%s.gp", folder, name);
    enum status status = STATUS_OK;
    if (!text || !file)
        status = error_memory(error, strlen(body), "a plot's script");
    if (!status)
        status = file_write(file, text, strlen(text), error);
    if (!status)
        status = plot_pipe(folder, name, error);
    arena_done(&arena);
    return status;
}

/* --- a window --- */

struct plot_window {
    FILE *pipe;
};

/* The first terminal of this gnuplot that opens windows, or NULL. */
static const char *plot_window_terminal(void)
{
    static const char *const terminals[] = {"qt", "wxt", "x11", "aqua", "windows"};
    char line[4096], padded[4100];
    const char *found = NULL;
    FILE *pipe = popen("gnuplot -e 'print GPVAL_TERMINALS' 2>&1", "r");

    if (!pipe)
        return NULL;

    /* The names stand in one line, separated by spaces: padded, a name is found as a whole word. */
    while (fgets(line, sizeof line, pipe)) {
        line[strcspn(line, "\n")] = '\0';
        snprintf(padded, sizeof padded, " %s ", line);
        for (size_t i = 0; !found && i < sizeof terminals / sizeof *terminals; i++) {
            char word[16];
            snprintf(word, sizeof word, " %s ", terminals[i]);
            if (strstr(padded, word))
                found = terminals[i];
        }
    }

    pclose(pipe);

    return found;
}

static bool plot_has_display(void)
{
    const char *x = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");
    return (x && *x) || (wayland && *wayland);
}

enum status plot_window_open(struct plot_window **ret, const char *folder, const char *title, struct error *error)
{
    if (!plot_has_display())
        return error_set(error, STATUS_FAILED,
                         "no window: there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)");
    if (!plot_available())
        return error_set(error, STATUS_FAILED, "no window: gnuplot is not on the PATH (apt-get install gnuplot-qt)");
    const char *terminal = plot_window_terminal();

    if (!terminal)
        return error_set(error, STATUS_FAILED,
                         "no window: this gnuplot was built without (apt-get install gnuplot-qt or gnuplot-x11)");
    struct plot_window *window = memory_zalloc(1, sizeof *window);
    if (!window)
        return error_memory(error, sizeof *window, "a window");

    /* -persist: the last picture stays when the run has ended. */
    window->pipe = popen("exec gnuplot -persist >/dev/null 2>&1", "w");

    if (!window->pipe) {
        memory_free(window);
        return error_set(error, STATUS_FAILED, "no window: gnuplot: %s", strerror(errno));
    }

    fprintf(window->pipe, "set terminal %s noraise size 900,700 title ", terminal);
    plot_quote(window->pipe, title);
    fputs("\ncd ", window->pipe);
    plot_quote(window->pipe, folder);
    fputc('\n', window->pipe);

    *ret = window;
    return STATUS_OK;
}

bool plot_window_draw(struct plot_window *window, int n_bodies, const char *const *bodies)
{
    fprintf(window->pipe, "set multiplot layout %d,1\n", n_bodies);
    for (int i = 0; i < n_bodies; i++)
        fprintf(window->pipe, "reset\n" PLOT_LOOK "%s", bodies[i]);
    fputs("unset multiplot\n", window->pipe);
    return fflush(window->pipe) == 0;
}

void plot_window_close(struct plot_window *window)
{
    if (!window)
        return;
    pclose(window->pipe);
    memory_free(window);
}
