/* history.h - what a run reports while it goes: rows of metrics.tsv, the same in an event file, and the plots drawn
 * from the rows. */
#ifndef CALVARIA_TRAIN_HISTORY_H
#define CALVARIA_TRAIN_HISTORY_H

#include "train/checkpoint.h"
#include "train/events.h"
#include "train/metrics_table.h"
#include "train/run.h"
#include "train/validate.h"

struct history {
    struct run *run;
    struct metrics_table table;
    int n_losses, n_metrics, n_columns;
    bool adversary;
    const char *titles[METRICS_TABLE_MAX_COLUMNS]; /* step draw loss [loss_TYPE ...] [adversary_real _fake _fooled] lr
                                               grad_norm step_s wait_s val_loss val_METRIC ... val_s */
    const char *tags[METRICS_TABLE_MAX_COLUMNS];   /* the columns as TensorBoard groups them: train/loss, val/dsc */
    struct events *events;                         /* NULL: not wanted, or it could not be written */
    double plotted_s;
    bool has_metrics;           /* whole skulls were measured: there is something to draw */
    bool no_plots;              /* gnuplot is not there: said once */
    struct plot_window *window; /* NULL: not requested, or not available */
    double watched_s;
};

/* resumed: NULL for a new run; else rows behind `step` are cut off, and a validation at `step` that is to be done
 * again. */
enum status history_open(struct history *ret, struct run *run, const struct recipe *recipe,
                         const struct run_state *resumed, int64_t step, struct error *error);
enum status history_step(struct history *history, const struct train_step *train_step,
                         const struct train_step_result *result, struct error *error);
enum status history_validation(struct history *history, int64_t step, const struct validation *validation,
                               struct error *error);
/* Draws plots/loss.png and plots/metrics.png, not sooner than 10 s after the last time; `now`: at once, and as SVG and
 * PDF. Failure is logged once. */
void history_plot(struct history *history, bool now);
/* Opens a window that shows both plots, redrawn every 2 s as rows come. Where there can be none, the log gives the
 * reason. */
void history_watch(struct history *history);
void history_close(struct history *history);

#endif
