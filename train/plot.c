/* plot.c - gnuplot: scripts into images, and a window; see plot.h.
 * Test: tests/train/test_run.c, tests/train/test_history.c */
#define _GNU_SOURCE /* memfd_create */
#include "train/plot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "train/plot_style.h"

enum { PLOT_FORMATS = 3 };
static const char *const plot_formats[PLOT_FORMATS] = {"png", "svg", "pdf"};

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

/* Images that gnuplot drew into memory become files. */
static enum status plot_keep_images(const struct plot *plot, const int *drawn, struct arena *arena, struct error *error)
{
    enum status status = STATUS_OK;
    for (int i = 0; i < PLOT_FORMATS && !status; i++) {
        struct stat info;
        char *image = arena_printf(arena, "%s/%s.%s", plot->folder, plot->name, plot_formats[i]);
        if (drawn[i] < 0 || fstat(drawn[i], &info) != 0 || info.st_size == 0)
            continue;
        char *bytes = memory_alloc((size_t)info.st_size, 1);
        if (!image || !bytes)
            status = error_memory(error, (size_t)info.st_size, "a plot");
        else if (pread(drawn[i], bytes, (size_t)info.st_size, 0) != (ssize_t)info.st_size)
            status = error_system(error, errno, "%s: cannot be read from memory", image);
        else
            status = file_write(image, bytes, (size_t)info.st_size, error);
        memory_free(bytes);
    }
    return status;
}

static enum status plot_run(const struct plot *plot, const int *drawn, struct arena *arena, struct error *error)
{
    if (!plot_available())
        return error_set(error, STATUS_FAILED,
                         "gnuplot: not on the PATH: no pictures are made (apt-get install gnuplot-nox)");
    FILE *pipe = popen("exec gnuplot >/dev/null 2>&1", "w");
    if (!pipe)
        return error_system(error, errno, "gnuplot");

    fputs("cd ", pipe);
    plot_quote(pipe, plot->folder);
    for (int i = 0; i < PLOT_FORMATS; i++)
        if (drawn[i] >= 0)
            fprintf(pipe, "\ntarget = '/dev/fd/%d'\nformat = '%s'\nload '%s.gp'\nset output\n", drawn[i],
                    plot_formats[i], plot->name);
    int status = pclose(pipe);

    struct stat info;
    if (status == -1 || !WIFEXITED(status) || WEXITSTATUS(status) != 0 || fstat(drawn[0], &info) || info.st_size == 0)
        return error_set(error, STATUS_FAILED, "gnuplot: cannot draw %s/%s.gp (run gnuplot on it to see why)",
                         plot->folder, plot->name);
    return plot_keep_images(plot, drawn, arena, error);
}

/* gnuplot does not notice a write that fails: it draws into memory, which it finds under its open handles. */
static enum status plot_pipe(const struct plot *plot, struct arena *arena, struct error *error)
{
    int drawn[PLOT_FORMATS];
    bool made = true;
    for (int i = 0; i < PLOT_FORMATS; i++) {
        const bool wanted = i == 0 || plot->vectors;
        drawn[i] = wanted ? memfd_create("plot", 0) : -1;
        made = made && (!wanted || drawn[i] >= 0);
    }
    enum status status =
        made ? plot_run(plot, drawn, arena, error) : error_system(error, errno, "plots: no memory to draw in");
    for (int i = 0; i < PLOT_FORMATS; i++)
        if (drawn[i] >= 0)
            close(drawn[i]);
    return status;
}

enum status plot_draw(const struct plot *plot, struct error *error)
{
    struct arena arena = {0};
    char *head = arena_printf(
        &arena,
        "# In this folder: gnuplot %s.gp      or, for another format: gnuplot -e \"format='svg'\" "
        "%s.gp (or 'pdf')\nif (!exists('output')) output = '%s'\nwidth = %d\nheight = %d\n",
        plot->name, plot->name, plot->name, plot->width ? plot->width : 1000, plot->height ? plot->height : 600);
    char *text = head ? arena_printf(&arena, "%s%s%s%s", head, plot_style, plot_terminal, plot->body) : NULL;
    char *file = arena_printf(&arena, "%s/%s.gp", plot->folder, plot->name);
    enum status status = STATUS_OK;

    if (!text || !file)
        status = error_memory(error, strlen(plot->body), "a plot's script");
    if (!status)
        status = file_write(file, text, strlen(text), error);
    if (!status)
        status = plot_pipe(plot, &arena, error);

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
        return error_system(error, errno, "no window: gnuplot");
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
        fprintf(window->pipe, "%s%s", plot_style, bodies[i]);
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
