/* evaluate.c - `calvaria evaluate`: predicted implants against the true ones, case by case.
 * Test: tests/cli/test_evaluate.sh */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/differences.h"
#include "cli/failures.h"
#include "cli/truth.h"
#include "data/metrics.h"
#include "data/volume/formats.h"
#include "infer/window.h"
#include "train/plot.h"

struct evaluate_options {
    struct command_options common;
    const char *truth, *predicted, *against, *out;
    bool json, overwrite;
    int intact; /* 0: not requested, else 1 + enum task */
    int64_t patch_vox[3], top_vox;
};

static const char *const intact_names[] = {"none", "completion", "implant", NULL};

#define OFFSET(member) offsetof(struct evaluate_options, member)
/* clang-format off */
static const struct config_field evaluate_fields[] = {
    {.key = "truth", .type = CONFIG_PATH, .offset = OFFSET(truth), .required = true,
     .help = "folder with NAME_implant, and NAME_defective or NAME_complete for bDSC"},
    {.key = "predicted", .type = CONFIG_PATH, .offset = OFFSET(predicted), .required = true,
     .help = "folder with NAME_implant"},
    {.key = "against", .type = CONFIG_PATH, .offset = OFFSET(against),
     .help = "another folder with NAME_implant: also test whether the two differ, case by case"},
    {.key = "out", .type = CONFIG_PATH, .offset = OFFSET(out), .help = "folder for metrics.csv and metrics.png"},
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(overwrite), .table = &overwrite_table},
    {.key = "json", .type = CONFIG_BOOL, .offset = OFFSET(json), .text = "false",
     .help = "the table as JSON on stdout"},
    {.key = "intact", .old_key = "promise", .type = CONFIG_ENUM, .offset = OFFSET(intact), .text = "none",
     .names = intact_names,
     .help = "also count, on patches without a defect, the voxels that a network of this task changed (needs "
             "NAME_raw: infer --keep-raw)"},
    {.key = "patch_vox", .type = CONFIG_INT3, .offset = OFFSET(patch_vox), .text = "128", .min = 1, .max = 4096,
     .unit = "voxels", .help = "intact: the patches of the scan"},
    {.key = "top_vox", .type = CONFIG_INT, .offset = OFFSET(top_vox), .text = "0", .min = 0, .max = 1e6,
     .unit = "voxels", .help = "intact: only the top this many slices were scanned"},
    {0},
};
/* clang-format on */

struct evaluation {
    const char *name;
    bool missing;    /* no prediction: counts as DSC 0 */
    const char *why; /* it could not be measured; NULL: it was */
    struct metrics metrics;
    struct intact_patches intact; /* where requested */
};

static enum status evaluate_check_grid(const struct volume *a, const char *a_path, const struct volume *b,
                                       const char *b_what, struct error *error)
{
    if (grid_same(&a->grid, &b->grid, 0.01))
        return STATUS_OK;
    return error_set(error, STATUS_FAILED,
                     "%s: %" PRId64 "x%" PRId64 "x%" PRId64
                     " voxels at another place than %s (predictions must lie on the input's grid)",
                     a_path, a->grid.dim[0], a->grid.dim[1], a->grid.dim[2], b_what);
}

/* What the network's raw prediction changed where nothing was missing. */
static enum status evaluate_intact(struct evaluation *ret, const struct evaluate_options *options,
                                   const struct volume *truth, const struct volume *defective, struct arena *arena,
                                   struct error *error)
{
    const bool completion = options->intact == 1;
    const struct window_config window = {
        .scan = SCAN_GRID,
        .patch_vox = {options->patch_vox[0], options->patch_vox[1], options->patch_vox[2]},
        .top_vox = options->top_vox,
        .batch = 1};
    struct volume raw = {0};
    const char *path;

    if (truth_find(&path, arena, options->predicted, ret->name, "raw", error))
        return error->status;
    if (!path)
        return error_set(error, STATUS_FAILED, "%s: no %s_raw (write it with 'calvaria infer --keep-raw')",
                         options->predicted, ret->name);

    if (completion && !defective->data)
        return error_set(error, STATUS_FAILED,
                         "%s: neither %s_defective nor %s_complete, which a completion is compared with",
                         options->truth, ret->name, ret->name);

    /* The raw prediction is compared with what the network should have returned on intact patches. */
    enum status status = truth_read_implant(&raw, path, error);
    if (!status)
        status = evaluate_check_grid(&raw, path, truth, "the true implant", error);
    if (!status)
        status = intact_patches(&ret->intact, &window, raw.data, completion ? defective->data : NULL, truth->data,
                                truth->grid.dim, error);

    volume_done(&raw);
    return status;
}

static enum status evaluate_case(struct evaluation *ret, const struct evaluate_options *options, struct error *error)
{
    struct arena arena = {0};
    struct volume truth = {0}, predicted = {0}, defective = {0};
    const char *truth_path = NULL, *predicted_path = NULL;
    enum status status = truth_find(&truth_path, &arena, options->truth, ret->name, "implant", error);
    if (!status && !truth_path)
        status = error_set(error, STATUS_FAILED, "%s: implant of case %s vanished", options->truth, ret->name);
    if (!status)
        status = truth_find(&predicted_path, &arena, options->predicted, ret->name, "implant", error);
    if (!status)
        status = truth_read_implant(&truth, truth_path, error);
    if (!status)
        status = truth_read_defective(&defective, &arena, options->truth, ret->name, &truth, error);
    if (!status && defective.data)
        status = evaluate_check_grid(&defective, "the defective skull", &truth, truth_path, error);

    /* Without a prediction an empty implant is measured. */
    ret->missing = !predicted_path;
    if (!status && predicted_path)
        status = truth_read_implant(&predicted, predicted_path, error);
    else if (!status)
        status = volume_new(&predicted, &truth.grid, VOXEL_U8, error);
    if (!status && predicted_path)
        status = evaluate_check_grid(&predicted, predicted_path, &truth, truth_path, error);
    if (!status) {
        const double spacing_mm[3] = {grid_spacing_mm(&truth.grid, 0), grid_spacing_mm(&truth.grid, 1),
                                      grid_spacing_mm(&truth.grid, 2)};
        status = metrics_compare(&ret->metrics, truth.data, predicted.data, defective.data, truth.grid.dim, spacing_mm,
                                 error);
    }
    if (!status && ret->missing) { /* also where the truth is empty: nothing was handed in */
        ret->metrics.dsc = 0;
        ret->metrics.failed = true;
    }
    if (!status && options->intact)
        status = evaluate_intact(ret, options, &truth, &defective, &arena, error);

    volume_done(&defective);
    volume_done(&predicted);
    volume_done(&truth);
    arena_done(&arena);
    return status ? error_while(error, "evaluating case %s", ret->name) : STATUS_OK;
}

/* Without a prediction that can be read there is nothing to measure: no number, and a failure. */
static void evaluate_give_up(struct evaluation *one, const struct error *why, struct arena *arena)
{
    const char *name = one->name, *text = arena_printf(arena, "%.*s", (int)strcspn(why->text, "\n"), why->text);
    *one = (struct evaluation){.name = name,
                               .why = text ? text : "no memory",
                               .metrics = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, .failed = true}};
}

/* The cases of the truth folder, sorted: every NAME_implant. */
static enum status evaluate_find_cases(struct evaluation **ret, int64_t *ret_n, const char *folder, struct arena *arena,
                                       struct error *error)
{
    struct config_strings names;
    if (truth_cases(&names, folder, arena, error))
        return error->status;
    *ret_n = names.n;
    *ret = arena_alloc(arena, (size_t)names.n, sizeof **ret);
    if (!*ret)
        return error_memory(error, (size_t)names.n * sizeof **ret, "the cases");
    for (int64_t i = 0; i < names.n; i++)
        (*ret)[i].name = names.items[i];
    return STATUS_OK;
}

enum { SUMMARY_ROWS = 5 };
static const char *const summary_names[SUMMARY_ROWS] = {"mean", "median", "p95", "worst", "n"};

/* The better first, as COLUMN sees it; by size without one. */
static void evaluate_sort(double *values, int64_t n, const struct metrics_column *column)
{
    for (int64_t i = 1; i < n; i++)
        for (int64_t at = i; at > 0; at--) {
            const double before = values[at - 1], here = values[at];
            const bool wrong = !column || column->sign < 0 ? before > here
                               : column->sign > 0          ? before < here
                                                           : fabs(before) > fabs(here);
            if (!wrong)
                break;
            values[at - 1] = here;
            values[at] = before;
        }
}

/* The summary_names of the finite values: 95 of 100 cases are at least as good as p95 (nearest rank). `values` is room
 * for n. */
static void evaluate_summarise(double ret[SUMMARY_ROWS], const struct evaluation *cases, int64_t n,
                               const struct metrics_column *column, double *values)
{
    int64_t n_finite = 0;
    double sum = 0;

    for (int64_t i = 0; i < n; i++) {
        const double value = column->value(&cases[i].metrics);
        if (isfinite(value)) {
            values[n_finite++] = value;
            sum += value;
        }
    }

    for (int row = 0; row < SUMMARY_ROWS; row++)
        ret[row] = NAN;
    ret[4] = (double)n_finite;
    if (n_finite == 0)
        return;

    /* The median is by size, p95 and worst by the metric's own direction. */
    const int64_t middle = n_finite / 2;
    ret[0] = sum / (double)n_finite;
    evaluate_sort(values, n_finite, NULL);
    ret[1] = n_finite % 2 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
    evaluate_sort(values, n_finite, column);
    ret[2] = values[(int64_t)ceil(0.95 * (double)n_finite) - 1];
    ret[3] = values[n_finite - 1];
}

static int evaluate_count_columns(void)
{
    int n = 0;
    while (metrics_columns[n].name)
        n++;
    return n;
}

/* Rows: header, cases, summary_names; the last column says what happened to a case. Below: how many failed. */
static enum status evaluate_print_table(FILE *file, const struct evaluation *cases, int64_t n, struct arena *arena,
                                        struct error *error)
{
    const int n_columns = evaluate_count_columns() + 2;
    const int64_t n_rows = n + 1 + SUMMARY_ROWS;
    const char **cells = arena_alloc(arena, (size_t)(n_rows * n_columns), sizeof *cells);
    double *values = arena_alloc(arena, (size_t)n, sizeof *values);
    int64_t n_failures = 0;

    if (!cells || !values)
        return error_memory(error, (size_t)(n_rows * n_columns) * sizeof *cells, "the table");

    /* First the texts of each case, then the columns of numbers with their summaries. */
    cells[0] = "case";
    cells[n_columns - 1] = "note";

    for (int64_t i = 0; i < n; i++) {
        cells[(i + 1) * n_columns] = cases[i].name;
        cells[(i + 1) * n_columns + n_columns - 1] = cases[i].why                  ? "not measured"
                                                     : cases[i].missing            ? "no prediction"
                                                     : cases[i].metrics.failed     ? "failed: one is empty"
                                                     : cases[i].metrics.both_empty ? "both empty"
                                                                                   : "";
        n_failures += cases[i].why || metrics_is_failure(&cases[i].metrics);
    }

    for (int row = 0; row < SUMMARY_ROWS; row++) {
        cells[(n + 1 + row) * n_columns] = summary_names[row];
        cells[(n + 1 + row) * n_columns + n_columns - 1] = "";
    }

    for (int c = 0; c < n_columns - 2; c++) {
        const struct metrics_column *column = &metrics_columns[c];
        double summary[SUMMARY_ROWS];
        evaluate_summarise(summary, cases, n, column, values);
        cells[c + 1] = column->name; /* which ends in its unit */
        for (int64_t i = 0; i < n; i++)
            cells[(i + 1) * n_columns + c + 1] =
                cases[i].why ? "-" : arena_printf(arena, "%.4f", column->value(&cases[i].metrics));
        for (int row = 0; row < SUMMARY_ROWS; row++)
            cells[(n + 1 + row) * n_columns + c + 1] =
                arena_printf(arena, row + 1 < SUMMARY_ROWS ? "%.4f" : "%.0f", summary[row]);
    }

    for (int64_t i = 0; i < n_rows * n_columns; i++)
        if (!cells[i])
            return error_memory(error, 64, "a cell of the table");
    table_print(file, (int)n_rows, n_columns, cells);
    fprintf(file, "failures (DSC below %.1f): %" PRId64 " of %" PRId64 "\n", METRICS_FAILURE_DSC, n_failures, n);
    for (int64_t i = 0; i < n; i++)
        if (cases[i].why)
            fprintf(file, "not measured: %s: %s\n", cases[i].name, cases[i].why);

    return STATUS_OK;
}

/* One row per case: patches without a defect, how many of them the network changed, and by how many voxels. */
static void evaluate_print_intact(FILE *file, const struct evaluation *cases, int64_t n)
{
    struct intact_patches sum = {0};
    fprintf(file, "\npatches without a defect\n%-16s %10s %10s %12s %12s %12s\n", "case", "patches", "changed",
            "voxels", "added", "removed");
    for (int64_t i = 0; i <= n; i++) {
        const struct intact_patches *p = i < n ? &cases[i].intact : &sum;
        fprintf(file, "%-16s %10" PRId64 " %10" PRId64 " %12" PRId64 " %12" PRId64 " %12" PRId64 "\n",
                i < n ? cases[i].name : "all", p->n_intact, p->n_changed, p->intact_vox, p->added_vox, p->removed_vox);
        sum.n_intact += p->n_intact;
        sum.n_changed += p->n_changed;
        sum.intact_vox += p->intact_vox;
        sum.added_vox += p->added_vox;
        sum.removed_vox += p->removed_vox;
    }
}

static void evaluate_print_csv(FILE *file, const struct evaluation *cases, int64_t n)
{
    fputs("case", file);
    for (int c = 0; metrics_columns[c].name; c++)
        fprintf(file, ",%s", metrics_columns[c].name);
    fputs(",missing,failed\n", file);
    for (int64_t i = 0; i < n; i++) {
        fprintf(file, "%s", cases[i].name);
        for (int c = 0; metrics_columns[c].name; c++) {
            const double value = metrics_columns[c].value(&cases[i].metrics);
            if (isfinite(value))
                fprintf(file, ",%.9g", value);
            else
                fputs(",nan", file);
        }
        fprintf(file, ",%d,%d\n", cases[i].missing, cases[i].metrics.failed);
    }
}

/* differences: NULL: none. */
static enum status evaluate_print_json(const struct evaluation *cases, int64_t n, const struct difference *differences,
                                       struct error *error)
{
    struct json json = {.digits = 9};
    cJSON *list = json_list(&json, json_root(&json), "cases");

    for (int64_t i = 0; i < n; i++) {
        cJSON *item = json_item(&json, list);
        json_text(&json, item, "case", cases[i].name);
        for (int c = 0; metrics_columns[c].name; c++)
            json_number(&json, item, metrics_columns[c].name, metrics_columns[c].value(&cases[i].metrics));
        json_bool(&json, item, "missing", cases[i].missing);
        json_bool(&json, item, "failed", cases[i].metrics.failed);
    }
    if (differences)
        differences_json(&json, differences);

    return json_print(stdout, &json, error);
}

/* DSC and bDSC of every case as bars, HD95 below. */
static const char evaluate_plot[] =
    "set datafile separator ','\n"
    "set style data histogram\nset style histogram clustered gap 1\n"
    "set xtics rotate by -30 noenhanced\nset bmargin 5\nset rmargin 8\nset key outside top right horizontal\n"
    "set multiplot layout 2,1\nset yrange [0:1]\n"
    "set title 'Predicted against true implants'\nset ylabel 'DSC, bDSC (0 to 1)'\n"
    "plot 'metrics.csv' using 'dsc':xtic(1) lt 1 title 'DSC', '' using 'bdsc_mm' lt 3 title 'bDSC 10 mm'\n"
    "unset title\nset yrange [0:*]\nset ylabel 'HD95 [mm]'\nset xlabel 'case'\n"
    "plot 'metrics.csv' using 'hd95_mm':xtic(1) lt 2 title 'HD95'\n"
    "unset multiplot\n";

/* metrics.csv, and metrics.png by gnuplot. */
static enum status evaluate_write_files(const char *folder, const struct evaluation *cases, int64_t n,
                                        struct arena *arena, struct error *error)
{
    struct file_stream csv;
    const char *path = file_join(arena, folder, "metrics.csv");
    enum status status = path ? file_make_folders(folder, error) : error_memory(error, 0, "a path");
    if (!status && !(status = file_stream_open(&csv, path, error))) {
        evaluate_print_csv(csv.file, cases, n);
        status = file_stream_close(&csv, status, error);
    }

    /* A missing plot is a warning: the table is there. */
    const struct plot plot = {
        .folder = folder, .name = "metrics", .body = evaluate_plot, .height = 800, .vectors = true};
    struct error no_picture = {0};
    if (!status && plot_draw(&plot, &no_picture))
        log_warn("%s", no_picture.text);

    return status;
}

/* The same cases of another folder of predictions, and how they differ. */
static enum status evaluate_against(struct difference **ret, struct failures *failures,
                                    const struct evaluate_options *options, const struct evaluation *cases, int64_t n,
                                    struct arena *arena, struct error *error)
{
    struct evaluate_options other = *options;
    struct metrics *a = arena_alloc(arena, (size_t)n, sizeof *a), *b = arena_alloc(arena, (size_t)n, sizeof *b);
    if (!a || !b)
        return error_memory(error, 2 * (size_t)n * sizeof *a, "the metrics");
    if (!file_is_folder(options->against))
        return error_set(error, STATUS_FAILED, "--against %s: no such folder", options->against);
    other.predicted = options->against;
    other.intact = 0;

    for (int64_t i = 0; i < n; i++) {
        struct evaluation one = {.name = cases[i].name};
        struct error why = {0};
        if (evaluate_case(&one, &other, &why)) {
            evaluate_give_up(&one, &why, arena);
            failures_add(failures, &why);
        }
        a[i] = cases[i].metrics;
        b[i] = one.metrics;
    }
    return differences_make(ret, a, b, n, arena, error);
}

static enum status evaluate_check_out(const struct evaluate_options *options, struct arena *arena, struct error *error)
{
    static const char *const names[] = {"metrics.csv", "metrics.png"};
    for (int i = 0; i < 2; i++) {
        const char *path = file_join(arena, options->out, names[i]);
        if (!path)
            return error_memory(error, 4096, "a path");
        if (file_check_free(path, options->overwrite, error))
            return error->status;
    }
    return STATUS_OK;
}

static enum status evaluate_command(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    const struct evaluate_options *options = value;
    (void)n_inputs, (void)inputs;
    struct arena arena = {0};
    struct evaluation *cases = NULL;
    struct difference *differences = NULL;
    struct failures failures = {0};
    int64_t n = 0;
    if (options->out && evaluate_check_out(options, &arena, error)) {
        arena_done(&arena);
        return error->status;
    }
    enum status status = evaluate_find_cases(&cases, &n, options->truth, &arena, error);
    struct progress progress;

    progress_start(&progress, "evaluate", "case", 0, n);

    for (int64_t i = 0; !status && i < n; i++) {
        struct error why = {0};
        if (evaluate_case(&cases[i], options, &why)) {
            evaluate_give_up(&cases[i], &why, &arena);
            failures_add(&failures, &why);
        }
        progress_show(&progress, i + 1, cases[i].name);
    }

    progress_end(&progress);
    if (!status && options->against)
        status = evaluate_against(&differences, &failures, options, cases, n, &arena, error);
    if (!status && options->json)
        status = evaluate_print_json(cases, n, differences, error);
    else if (!status)
        status = evaluate_print_table(stdout, cases, n, &arena, error);
    if (!status && differences && !options->json)
        status = differences_print(stdout, differences, &arena, error);
    if (!status && options->intact && !options->json)
        evaluate_print_intact(stdout, cases, n);
    if (!status && options->out && failures.n < n) /* nothing was measured: no file that says so */
        status = evaluate_write_files(options->out, cases, n, &arena, error);
    failures.n_cases = options->against ? 2 * n : n;
    if (!status)
        status = failures_end(&failures, "cases", "could not be measured", error);

    arena_done(&arena);
    return status;
}

const struct command command_evaluate = {
    .name = "evaluate",
    .arguments = "--truth DIR --predicted DIR [--against DIR] [--out DIR] [--json]",
    .example = "calvaria evaluate --truth held_out --predicted restored --out restored",
    .options =
        {
            .help = "compare predicted implants with the true ones",
            .size = sizeof(struct evaluate_options),
            .base = &command_base_table,
            .fields = evaluate_fields,
        },
    .run = evaluate_command,
};
