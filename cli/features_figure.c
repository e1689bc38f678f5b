/* features_figure.c - The figure of a feature study, see features_figure.h. One matrix of features.dat for each
 * picture; gnuplot arranges them. Test: tests/cli/test_front_door.sh */
#include "cli/features_figure.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "train/plot.h"

/* What is drawn, in order: a cell of the figure. */
struct cell {
    const float *map;
    const int64_t *size;
    char title[96];
};

struct figure {
    const struct figure_config *config;
    struct arena arena;
    int64_t n_cells, n_columns;
    struct cell *cells; /* map NULL: left free */
};

/* The k-th largest |r|. */
static int64_t figure_ranked(const double *r, int64_t n, int64_t k)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t before = 0;
        for (int64_t j = 0; j < n; j++)
            before += fabs(r[j]) > fabs(r[i]) || (fabs(r[j]) == fabs(r[i]) && j < i);
        if (before == k)
            return i;
    }
    return 0;
}

static void figure_patch(struct figure *figure, const struct features *features)
{
    struct cell *cells = figure->cells;
    const struct feature_layer *last = &features->layers[features->n_layers - 1];
    cells[0] = (struct cell){.map = features->src, .size = features->patch, .title = "input: defective skull"};
    cells[1] = (struct cell){.map = features->missing, .size = features->patch, .title = "what is missing"};
    if (last->n_maps == 1)
        cells[2] = (struct cell){.map = last->values, .size = last->size, .title = "prediction"};
    figure->n_cells += figure->n_columns;
}

static void figure_layer(struct figure *figure, const struct feature_layer *layer)
{
    const int64_t voxels = layer->size[0] * layer->size[1] * layer->size[2], half = figure->n_columns / 2;
    for (int64_t c = 0; c < figure->n_columns; c++) {
        const bool shape = c < half;
        const double *r = shape ? layer->r_bone : layer->r_missing;
        struct cell *cell = &figure->cells[figure->n_cells++];
        if (c % half >= layer->n_maps)
            continue;
        const int64_t map = figure_ranked(r, layer->n_maps, c % half);
        cell->map = layer->values + map * voxels;
        cell->size = layer->size;
        snprintf(cell->title, sizeof cell->title, "%.18s %" PRId64 ": %s %+.2f", layer->name, map,
                 shape ? "bone" : "missing", r[map]);
    }
}

/* Rows from the lowest slice up. */
static enum status figure_write(const struct figure *figure, const char *path, struct error *error)
{
    struct file_stream stream;
    enum status status = file_stream_open(&stream, path, error);
    if (status)
        return status;

    for (int64_t c = 0; c < figure->n_cells; c++) {
        const struct cell *cell = &figure->cells[c];
        if (!cell->map)
            continue;
        const int axis = figure->config->axis;
        const int64_t w = cell->size[axis == 0 ? 1 : 0], h = cell->size[axis == 2 ? 1 : 2];
        float *image = memory_alloc((size_t)(w * h), sizeof *image);
        if (!image) {
            status = error_memory(error, (size_t)(w * h) * sizeof *image, "a projection");
            break;
        }

        /* One two-dimensional picture for each map. */
        feature_project(image, cell->map, cell->size, axis, figure->config->projection);
        for (int64_t j = 0; j < h; j++) {
            for (int64_t i = 0; i < w; i++)
                fprintf(stream.file, "%.5g%c", image[j * w + i], i + 1 < w ? ' ' : '\n');
        }
        fprintf(stream.file, "\n\n");
        memory_free(image);
    }
    return file_stream_close(&stream, status, error);
}

/* viridis (van der Walt and Smith), perceptually uniform. */
static const char figure_look[] =
    "unset key; unset tics; unset colorbox; unset grid; set border 0; set datafile separator ' '\n"
    "set palette defined (0 '#440154', 1 '#482878', 2 '#3e4989', 3 '#31688e', 4 '#26828e', 5 '#1f9e89', 6 '#35b779', 7 "
    "'#6ece58', 8 '#b5de2b', 9 '#fde725')\n"
    "set size ratio -1; set autoscale fix; set title font ',8' noenhanced offset 0,-0.8\n"
    "set lmargin 0.3; set rmargin 0.3; set tmargin 1.4; set bmargin 0.1\n";

static char *figure_script(struct figure *figure)
{
    const int64_t rows = figure->n_cells / figure->n_columns;
    char *text = arena_printf(&figure->arena, "%sset multiplot layout %" PRId64 ",%" PRId64 "\n", figure_look, rows,
                              figure->n_columns);
    int64_t index = 0;

    for (int64_t c = 0; text && c < figure->n_cells; c++) {
        const struct cell *cell = &figure->cells[c];
        text = cell->map ? arena_printf(&figure->arena,
                                        "%sset title '%s'\nplot 'features.dat' index %" PRId64 " matrix with image\n",
                                        text, cell->title, index++)
                         : arena_printf(&figure->arena, "%sset multiplot next\n", text);
    }

    return text ? arena_printf(&figure->arena, "%sunset multiplot\n", text) : NULL;
}

enum status figure_draw(const struct figure_config *config, const struct features *features, struct error *error)
{
    struct figure figure = {.config = config, .n_columns = 2 * config->maps < 4 ? 4 : 2 * config->maps};

    figure.cells =
        arena_alloc(&figure.arena, (size_t)(figure.n_columns * (features->n_layers + 1)), sizeof *figure.cells);
    enum status status = figure.cells ? STATUS_OK : error_memory(error, 0, "the figure");
    if (!status) {
        figure_patch(&figure, features);
        for (int64_t l = 0; l < features->n_layers; l++)
            figure_layer(&figure, &features->layers[l]);
        const char *data = file_join(&figure.arena, config->folder, "features.dat");
        status = data ? figure_write(&figure, data, error) : error_memory(error, 0, "a path");
    }

    char *script = status ? NULL : figure_script(&figure);
    const struct plot plot = {.folder = config->folder,
                              .name = "features",
                              .body = script,
                              .width = 170 * (int)figure.n_columns,
                              .height = 150 * (int)(figure.n_cells / figure.n_columns),
                              .vectors = true};
    if (!status)
        status = script ? plot_draw(&plot, error) : error_memory(error, 0, "the figure's script");

    arena_done(&figure.arena);
    return status;
}
