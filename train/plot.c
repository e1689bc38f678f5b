/* plot.c - see plot.h. */
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
static const char plot_head[] = "# Run inside this folder: gnuplot %s.gp\n"
                                "if (strstrt(GPVAL_TERMINALS, 'pngcairo')) set terminal pngcairo size 1000,600 font 'sans,11'; "
                                "else set terminal png size 1000,600\n"
                                "set output '%s.png'\n"
                                "set datafile separator tab\n"
                                "set datafile missing ''\n"
                                "set key autotitle columnheader noenhanced outside top horizontal\n"
                                "set grid lc rgb '#dddddd'\n"
                                "set border 3\n"
                                "set tics nomirror\n";

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
        return error_set(error, STATUS_FAILED, "gnuplot: not on the PATH: no pictures are made (apt-get install gnuplot-nox)");
    FILE *pipe = popen("exec gnuplot >/dev/null 2>&1", "w");
    if (!pipe)
        return error_set(error, STATUS_FAILED, "gnuplot: %s", strerror(errno));
    fputs("cd ", pipe);
    plot_quote(pipe, folder);
    fprintf(pipe, "\nload '%s.gp'\n", name);
    int status = pclose(pipe);
    if (status == -1 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return error_set(error, STATUS_FAILED, "gnuplot: cannot draw %s/%s.gp (run gnuplot on it to see why)", folder, name);
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
