/* history.c - Rows of metrics.tsv and the plots drawn from them; see history.h.
 * Test: tests/train/test_history.c */
#include "train/history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "train/plot.h"

/* Both read ../metrics.tsv. An exponential mean over the last steps stands in front of the raw loss. Validation rows
 * have no training loss: the mean keeps its value there. Log scale only where every value is positive. */
static const char history_loss_plot[] =
    "set title 'Loss over training'\n"
    "set xlabel 'optimizer step'\n"
    "set ylabel 'loss (weighted sum of the terms)'\n"
    "stats '../metrics.tsv' using (column('loss')) nooutput\n"
    "if (STATS_min > 0) set logscale y\n"
    "set format y '%g'\n"
    "mean = NaN\n"
    "smooth(v) = v == v ? (mean = mean == mean ? 0.9 * mean + 0.1 * v : v) : mean\n"
    "plot '../metrics.tsv' using 'step':'loss' with lines lt 8 title 'training', \\\n"
    "     '' using 'step':(smooth(column('loss'))) with lines lt 1 title 'training, smoothed', \\\n"
    "     '' using 'step':'val_loss' with linespoints lt 2 title 'validation patches'\n";

static const char history_metrics_plot[] =
    "set title 'Validation skulls, restored as deployed'\n"
    "set xlabel 'optimizer step'\n"
    "set ylabel 'DSC, bDSC (0 to 1)'\n"
    "set yrange [0:1]\n"
    "set y2label 'HD95 [mm]'\n"
    "set border 11\n"
    "set y2tics\n"
    "set y2range [0:*]\n"
    "plot '../metrics.tsv' using 'step':'val_dsc' with linespoints lt 1 title 'DSC', \\\n"
    "     '' using 'step':'val_bdsc_mm' with linespoints lt 3 title 'bDSC 10 mm', \\\n"
    "     '' using 'step':'val_hd95_mm' axes x1y2 with linespoints lt 2 title 'HD95 [mm], right axis', \\\n"
    "     0 axes x1y2 with lines lc bgnd notitle\n"; /* gives the right axis a range when no distance is finite */

static void history_title(struct history *history, const char *title)
{
    if (history->n_columns < METRICS_TABLE_MAX_COLUMNS)
        history->titles[history->n_columns++] = title;
}

static enum status history_titles(struct history *history, const struct recipe *recipe, struct error *error)
{
    struct arena *arena = &history->run->arena;

    history_title(history, "step");
    history_title(history, "draw");
    history_title(history, "loss");

    /* A single loss has no column of its own: it would repeat the sum. */
    history->n_losses = recipe->loss.n > 1 ? (int)recipe->loss.n : 0;
    for (int i = 0; i < history->n_losses; i++)
        history_title(history, arena_printf(arena, "loss_%s", recipe->loss.items[i].table->type));
    history->adversary = recipe_adversary(recipe) != NULL;

    if (history->adversary) {
        history_title(history, "adversary_real");
        history_title(history, "adversary_fake");
        history_title(history, "adversary_fooled");
    }

    history_title(history, "lr");
    history_title(history, "grad_norm");
    history_title(history, "step_s");
    history_title(history, "wait_s");
    history_title(history, "val_loss");

    for (; metrics_columns[history->n_metrics].name && history->n_metrics < VALIDATION_MAX_COLUMNS;
         history->n_metrics++)
        history_title(history, arena_printf(arena, "val_%s", metrics_columns[history->n_metrics].name));
    history_title(history, "val_s");

    /* Titles made by arena_printf are NULL when memory is out. */
    for (int i = 0; i < history->n_columns; i++) {
        const char *title = history->titles[i];
        if (title)
            history->tags[i] = strncmp(title, "val_", 4) == 0 ? arena_printf(arena, "val/%s", title + 4)
                                                              : arena_printf(arena, "train/%s", title);
        if (!title || !history->tags[i])
            return error_memory(error, 0, "the metrics table");
    }

    return STATUS_OK;
}

/* A run goes on without its event file: metrics.tsv has all that is in it. */
static void history_events_failed(struct history *history, const struct error *error)
{
    log_warn("TensorBoard's file is no longer written: %.*s", (int)strcspn(error->text, "\n"), error->text);
    events_close(history->events);
    history->events = NULL;
}

/* A row of metrics.tsv, there and in the event file; the first two columns are the step and the draw. */
static enum status history_row(struct history *history, int64_t step, const double *row, struct error *error)
{
    enum { N_COUNTERS = 2 };
    struct error ignored = {0};
    if (metrics_table_row(&history->table, row, error))
        return error->status;
    if (history->events && events_scalars(history->events, step, history->n_columns - N_COUNTERS,
                                          history->tags + N_COUNTERS, row + N_COUNTERS, &ignored))
        history_events_failed(history, &ignored);
    return STATUS_OK;
}

struct history_cut {
    int64_t step, validated_step;
};

/* Training rows have a loss, in the third column; validation rows have not. */
static bool history_keep(const void *context, int64_t step, const char *row)
{
    const struct history_cut *cut = context;
    const char *draw = strchr(row, '\t'), *loss = draw ? strchr(draw + 1, '\t') : NULL;
    bool validation = loss && (loss[1] == '\t' || loss[1] == '\n');
    return validation ? step <= cut->validated_step : step <= cut->step;
}

enum status history_open(struct history *ret, struct run *run, const struct recipe *recipe,
                         const struct run_state *resumed, int64_t step, struct error *error)
{
    struct history history = {
        .run = run, .has_metrics = resumed && resumed->validated_step > 0 && recipe->train.validate_cases > 0};
    const char *path = run_path(run, "metrics.tsv");
    if (!path)
        return error_memory(error, 0, "a path");
    if (history_titles(&history, recipe, error))
        return error->status;
    struct history_cut cut = {.step = step, .validated_step = resumed ? resumed->validated_step : 0};
    enum status status = resumed ? metrics_table_resume(&history.table, path, history.n_columns, history.titles,
                                                        history_keep, &cut, error)
                                 : metrics_table_create(&history.table, path, history.n_columns, history.titles, error);
    if (status)
        return status;
    struct error ignored = {0};
    if (recipe->train.tensorboard && events_open(&history.events, run->folder, step, &ignored))
        history_events_failed(&history, &ignored);
    *ret = history;
    return STATUS_OK;
}

static void history_clear(const struct history *history, double *row, int64_t step)
{
    for (int i = 0; i < history->n_columns; i++)
        row[i] = NAN;
    row[0] = (double)step;
}

/* Not sooner than 2 s after the last time. */
static void history_show(struct history *history)
{
    enum { WATCH_PAUSE_S = 2 };
    const char *const bodies[] = {history_loss_plot, history_metrics_plot};
    if (!history->window || log_clock_s() - history->watched_s < WATCH_PAUSE_S)
        return;
    if (!plot_window_draw(history->window, history->has_metrics ? 2 : 1, bodies)) {
        log_info("--watch: the window was closed; the run goes on");
        plot_window_close(history->window);
        history->window = NULL;
    }
    history->watched_s = log_clock_s();
}

enum status history_step(struct history *history, const struct train_step *train_step,
                         const struct train_step_result *result, struct error *error)
{
    double row[METRICS_TABLE_MAX_COLUMNS];
    int c = 1;

    history_clear(history, row, train_step->step);
    row[c++] = (double)train_step->position.sample;
    row[c++] = result->loss;

    /* In the order of history_titles. */
    for (int i = 0; i < history->n_losses; i++)
        row[c++] = result->terms[i];

    if (history->adversary) {
        row[c++] = result->adversary.real;
        row[c++] = result->adversary.fake;
        row[c++] = result->adversary.fooled;
    }

    row[c++] = result->lr;
    row[c++] = result->grad_norm;
    row[c++] = result->step_s;
    row[c++] = result->wait_s;
    if (history_row(history, train_step->step, row, error))
        return error->status;
    history_show(history);

    return STATUS_OK;
}

enum status history_validation(struct history *history, int64_t step, const struct validation *validation,
                               struct error *error)
{
    double row[METRICS_TABLE_MAX_COLUMNS];
    int c = history->n_columns - history->n_metrics - 2;
    history->has_metrics |= validation->n_cases > 0;
    history_clear(history, row, step);
    row[c++] = validation->loss;
    for (int k = 0; k < history->n_metrics; k++)
        row[c++] = validation->mean[k];
    row[c++] = validation->total_s;
    if (history_row(history, step, row, error))
        return error->status;

    const char *picture = history->events ? validation_path(history->run, step, "png") : NULL;
    struct error ignored = {0};
    if (picture && events_png(history->events, step, "validation", picture, &ignored))
        history_events_failed(history, &ignored);
    return STATUS_OK;
}

static void history_draw(struct history *history, const struct plot *plot)
{
    struct error error = {0};

    if (history->no_plots || plot_draw(plot, &error) == STATUS_OK)
        return;
    history->no_plots = !plot_available();
    log_warn("%.*s", (int)strcspn(error.text, "\n"), error.text);
}

void history_plot(struct history *history, bool now)
{
    enum { PLOT_PAUSE_S = 10 };
    double clock_s = log_clock_s();
    if (history->no_plots || (!now && clock_s - history->plotted_s < PLOT_PAUSE_S))
        return;
    const char *folder = run_path(history->run, "plots");
    if (folder)
        history_draw(history,
                     &(struct plot){.folder = folder, .name = "loss", .body = history_loss_plot, .vectors = now});
    if (folder && history->has_metrics)
        history_draw(history,
                     &(struct plot){.folder = folder, .name = "metrics", .body = history_metrics_plot, .vectors = now});
    history->plotted_s = log_clock_s();
}

void history_watch(struct history *history)
{
    struct error error = {0};
    const char *folder = run_path(history->run, "plots");
    if (!folder || plot_window_open(&history->window, folder, history->run->folder, &error))
        log_warn("--watch: %.*s; the plots are in %s/plots", (int)strcspn(error.text, "\n"), error.text,
                 history->run->folder);
}

void history_close(struct history *history)
{
    plot_window_close(history->window);
    events_close(history->events);
    metrics_table_close(&history->table);
    *history = (struct history){0};
}
