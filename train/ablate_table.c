/* ablate_table.c - The tables and the plot of an ablation; see ablate_table.h.
 * Test: tests/train/test_ablate.c */
#include "train/ablate_table.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "data/significance.h"
#include "train/plot.h"

static void ablate_summarise_metric(struct ablate_point_result *point, const struct ablate_measured *seeds,
                                    int64_t n_seeds, int64_t m)
{
    double sum = 0, squares = 0;
    int64_t n = 0;
    for (int64_t s = 0; s < n_seeds; s++)
        if (seeds[s].done && isfinite(seeds[s].mean[m])) {
            sum += seeds[s].mean[m];
            n++;
        }
    double mean = n ? sum / (double)n : NAN;
    for (int64_t s = 0; s < n_seeds; s++)
        if (seeds[s].done && isfinite(seeds[s].mean[m]))
            squares += (seeds[s].mean[m] - mean) * (seeds[s].mean[m] - mean);
    point->n[m] = n;
    point->mean[m] = mean;
    point->sd[m] = n > 1 ? sqrt(squares / (double)(n - 1)) : NAN;
}

void ablate_summarise(struct ablate_result *result, const struct ablate_config *config,
                      const struct ablate_measured *measured)
{
    for (int64_t p = 0; p < result->n_points; p++) {
        const struct ablate_measured *seeds = measured + p * config->seeds.n;
        struct ablate_point_result *point = &result->points[p];
        *point = (struct ablate_point_result){0};
        for (int64_t s = 0; s < config->seeds.n; s++) {
            point->n_seeds += seeds[s].done;
            point->n_empty += seeds[s].done ? seeds[s].n_empty : 0;
        }
        for (int64_t m = 0; m < config->measure.metrics.n; m++)
            ablate_summarise_metric(point, seeds, config->seeds.n, m);
    }
}

/* --- the files --- */

static void ablate_print_value(FILE *file, double value)
{
    if (isfinite(value))
        fprintf(file, "\t%.6g", value);
    else
        fputs("\tnan", file);
}

static void ablate_print_axes(FILE *file, const struct ablate_config *config, int64_t point, const char *between)
{
    for (int a = 0; a < (int)config->axes.n; a++)
        fprintf(file, "%s%s", a ? between : "", ablate_value_at(config, point, a)->name);
}

static void ablate_print_axis_titles(FILE *file, const struct ablate_config *config, const char *between)
{
    for (int a = 0; a < (int)config->axes.n; a++)
        fprintf(file, "%s%s", a ? between : "", ablate_axis_at(config, a)->name);
}

static void ablate_print_runs(FILE *file, const struct ablate_result *result, const struct ablate_config *config,
                              const struct ablate_measured *measured)
{
    fputs("point\tseed\t", file);
    ablate_print_axis_titles(file, config, "\t");
    for (int64_t m = 0; m < config->measure.metrics.n; m++)
        fprintf(file, "\t%s", config->measure.metrics.items[m]);
    fputs("\tcases\tempty\n", file);

    for (int64_t p = 0; p < result->n_points; p++)
        for (int64_t s = 0; s < config->seeds.n; s++) {
            const struct ablate_measured *one = &measured[p * config->seeds.n + s];
            if (!one->done)
                continue;
            fprintf(file, "%" PRId64 "\t%s\t", p, config->seeds.items[s]);
            ablate_print_axes(file, config, p, "\t");
            for (int64_t m = 0; m < config->measure.metrics.n; m++)
                ablate_print_value(file, one->mean[m]);
            fprintf(file, "\t%" PRId64 "\t%" PRId64 "\n", one->n_cases, one->n_empty);
        }
}

static void ablate_print_table(FILE *file, const struct ablate_result *result, const struct ablate_config *config)
{
    fputs("point\tlabel\t", file);
    ablate_print_axis_titles(file, config, "\t");
    fputs("\tseeds", file);

    for (int64_t m = 0; m < config->measure.metrics.n; m++)
        fprintf(file, "\t%s\t%s_sd\t%s_n", config->measure.metrics.items[m], config->measure.metrics.items[m],
                config->measure.metrics.items[m]);
    fputs("\tempty\n", file);

    for (int64_t p = 0; p < result->n_points; p++) {
        const struct ablate_point_result *point = &result->points[p];
        fprintf(file, "%" PRId64 "\t", p);
        ablate_print_axes(file, config, p, " ");
        fputc('\t', file);
        ablate_print_axes(file, config, p, "\t");
        fprintf(file, "\t%" PRId64, point->n_seeds);
        for (int64_t m = 0; m < config->measure.metrics.n; m++) {
            ablate_print_value(file, point->mean[m]);
            ablate_print_value(file, point->sd[m]);
            fprintf(file, "\t%" PRId64, point->n[m]);
        }
        fprintf(file, "\t%" PRId64 "\n", point->n_empty);
    }
}

static bool ablate_metric_in_mm(const char *name)
{
    for (int k = 0; metrics_columns[k].name; k++)
        if (strcmp(metrics_columns[k].name, name) == 0)
            return metrics_columns[k].unit && strcmp(metrics_columns[k].unit, "mm") == 0;
    return false;
}

/* "0.612 ± 0.013", with (n) where a metric did not exist in every seed. */
static void ablate_print_spread(FILE *file, const struct ablate_point_result *point, int64_t m, const char *name)
{
    int digits = ablate_metric_in_mm(name) ? 1 : 3;
    if (point->n[m] == 0) {
        fputs(" –", file);
        return;
    }
    fprintf(file, " %.*f", digits, point->mean[m]);
    if (point->n[m] > 1)
        fprintf(file, " ± %.*f", digits, point->sd[m]);
    if (point->n[m] < point->n_seeds)
        fprintf(file, " (%" PRId64 ")", point->n[m]);
}

static void ablate_print_markdown(FILE *file, const struct ablate_result *result, const struct ablate_config *config)
{
    const struct config_strings *metrics = &config->measure.metrics;

    fputs("| ", file);
    ablate_print_axis_titles(file, config, " | ");
    fputs(" | seeds |", file);
    for (int64_t m = 0; m < metrics->n; m++)
        fprintf(file, " %s |", metrics->items[m]);
    fputs(" empty |\n|", file);
    for (int64_t c = 0; c < config->axes.n + metrics->n + 2; c++)
        fputs("---|", file);
    fputc('\n', file);

    for (int64_t p = 0; p < result->n_points; p++) {
        fputs("| ", file);
        ablate_print_axes(file, config, p, " | ");
        fprintf(file, " | %" PRId64 " |", result->points[p].n_seeds);
        for (int64_t m = 0; m < metrics->n; m++) {
            ablate_print_spread(file, &result->points[p], m, metrics->items[m]);
            fputs(" |", file);
        }
        fprintf(file, " %" PRId64 " |\n", result->points[p].n_empty);
    }
}

/* --- differences to the first point --- */

/* Skull by skull the mean over the seeds: seeds of one skull are no independent cases. NaN: no seed has it. */
static void ablate_case_means(double *ret, const struct ablate_measured *seeds, int64_t n_seeds, int64_t n_cases,
                              int64_t n_metrics, int64_t m)
{
    for (int64_t c = 0; c < n_cases; c++) {
        double sum = 0, n = 0;
        for (int64_t s = 0; s < n_seeds; s++) {
            const double value = seeds[s].done ? seeds[s].values[c * n_metrics + m] : NAN;
            sum += isfinite(value) ? value : 0;
            n += isfinite(value);
        }
        ret[c] = n > 0 ? sum / n : NAN;
    }
}

/* A row for each point but the first and each metric; Markdown, or tabs. */
static enum status ablate_print_differences(FILE *file, const struct ablate_result *result,
                                            const struct ablate_config *config, const struct ablate_measured *measured,
                                            bool markdown, struct error *error)
{
    const struct config_strings *metrics = &config->measure.metrics;
    const int64_t n_cases = measured[0].max_cases, n_seeds = config->seeds.n;
    double *values = memory_alloc(2 * (size_t)n_cases + 1, sizeof *values);
    enum status status = values ? STATUS_OK : error_memory(error, (size_t)n_cases, "the differences");

    fputs(markdown ? "\nDifferences to the first row, skull by skull (means over the seeds): mean, 95 % interval "
                     "(bootstrap), p of the Wilcoxon\nsigned-rank test.\n\n| row | metric | skulls | difference | p "
                     "|\n|---|---|---|---|---|\n"
                   : "point\tlabel\tmetric\tskulls\tdifference\tlow\thigh\tp\n",
          file);
    for (int64_t p = 1; !status && p < result->n_points; p++)
        for (int64_t m = 0; !status && m < metrics->n; m++) {
            struct significance test;
            const int digits = ablate_metric_in_mm(metrics->items[m]) ? 1 : 3;
            ablate_case_means(values, measured + p * n_seeds, n_seeds, n_cases, metrics->n, m);
            ablate_case_means(values + n_cases, measured, n_seeds, n_cases, metrics->n, m);
            status = significance_paired(&test, values, values + n_cases, n_cases, 1, error);
            if (status || test.n == 0)
                continue;
            if (markdown)
                fputs("| ", file);
            else
                fprintf(file, "%" PRId64 "\t", p);
            ablate_print_axes(file, config, p, " ");
            fprintf(file, markdown ? " | %s | %" PRId64 " |" : "\t%s\t%" PRId64, metrics->items[m], test.n);
            if (markdown) {
                fprintf(file, " %+.*f", digits, test.mean);
                if (isfinite(test.low))
                    fprintf(file, " (%+.*f to %+.*f)", digits, test.low, digits, test.high);
                fprintf(file, " | %.2g |\n", test.p);
            } else {
                const double numbers[] = {test.mean, test.low, test.high, test.p};
                for (int i = 0; i < 4; i++)
                    ablate_print_value(file, numbers[i]);
                fputc('\n', file);
            }
        }

    memory_free(values);
    return status;
}

enum status ablate_write_tables(const struct ablate_result *result, const struct ablate_config *config,
                                const struct ablate_measured *measured, const char *out, struct error *error)
{
    static const char *const names[] = {"runs.tsv", "table.tsv", "differences.tsv", "table.md"};
    struct arena arena = {0};
    enum status status = STATUS_OK;

    for (int i = 0; !status && i < 4; i++) {
        struct file_stream table;
        const char *path = file_join(&arena, out, names[i]);
        status = path ? file_stream_open(&table, path, error) : error_memory(error, 0, "a path");
        if (status)
            break;
        if (i == 0)
            ablate_print_runs(table.file, result, config, measured);
        else if (i == 1)
            ablate_print_table(table.file, result, config);
        else if (i == 2)
            status = ablate_print_differences(table.file, result, config, measured, false, error);
        else
            ablate_print_markdown(table.file, result, config);
        if (i == 3 && result->n_points > 1)
            status = ablate_print_differences(table.file, result, config, measured, true, error);
        status = file_stream_close(&table, status, error);
    }

    arena_done(&arena);
    return status;
}

/* --- the picture --- */

/* The labels' size, in characters: the longest one, and all side by side. */
static void ablate_label_size(const struct ablate_config *config, int64_t *ret_longest, int64_t *ret_all)
{
    *ret_longest = *ret_all = 0;
    for (int64_t p = 0; p < ablate_points(config); p++) {
        int64_t n = config->axes.n - 1;
        for (int a = 0; a < (int)config->axes.n; a++)
            n += (int64_t)strlen(ablate_value_at(config, p, a)->name);
        *ret_longest = n > *ret_longest ? n : *ret_longest;
        *ret_all += n + 2;
    }
}

/* A panel per metric: a small circle for each seed, mean and standard deviation to its left. Labels that do not fit
 * side by side stand upright, and the picture grows by their length: none is cut. */
void ablate_plot(const struct ablate_config *config, const char *out)
{
    struct error error = {0};
    struct arena arena = {0};
    int64_t n = config->measure.metrics.n, columns = n < 3 ? n : 3, rows = (n + columns - 1) / columns;
    enum { PANEL_WIDTH = 420, PANEL_HEIGHT = 310, PLOT_CHARS = 42, CHAR_WIDTH = 8, LINE_HEIGHT = 18 };
    int64_t longest, all;
    ablate_label_size(config, &longest, &all);
    const bool upright = all > PLOT_CHARS;
    const int64_t lines = upright ? 2 + longest * CHAR_WIDTH / LINE_HEIGHT : 2;
    char *body = arena_printf(&arena,
                              "unset key\nset xtics %s noenhanced scale 0\nset offsets 0.6,0.6,0,0\nset rmargin 2\n"
                              "set bmargin %" PRId64 "\nset multiplot layout %" PRId64 ",%" PRId64 "\n",
                              upright ? "rotate by 90 right" : "norotate", lines, rows, columns);

    /* Mean and standard deviation from table.tsv, single seeds from runs.tsv. */
    for (int64_t m = 0; body && m < n; m++) {
        const char *name = config->measure.metrics.items[m];
        body = arena_printf(&arena,
                            "%sset title '%s'\nset ylabel '%s'\n"
                            "plot 'table.tsv' using 'point':'%s':'%s_sd':xtic(2) with yerrorbars lt 1, \\\n"
                            "     'runs.tsv' using (column('point') + 0.2):'%s' with points lt 2 pt 6\n",
                            body, name, ablate_metric_in_mm(name) ? "mm" : "", name, name, name);
    }

    body = body ? arena_printf(&arena, "%sunset multiplot\n", body) : NULL;
    const struct plot plot = {.folder = out,
                              .name = "metrics",
                              .body = body,
                              .width = PANEL_WIDTH * (int)columns,
                              .height = (PANEL_HEIGHT + LINE_HEIGHT * (int)lines) * (int)rows,
                              .vectors = true};
    if (body && plot_draw(&plot, &error))
        log_warn("%.*s", (int)strcspn(error.text, "\n"), error.text);
    arena_done(&arena);
}
