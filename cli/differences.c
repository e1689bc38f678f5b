/* differences.c - Two sets of restorations of the same cases, metric by metric; see differences.h.
 * Test: tests/cli/test_evaluate.sh, tests/data/test_significance.c */
#include "cli/differences.h"

#include <inttypes.h>
#include <math.h>

#include "base/log.h"

enum { DIFFERENCES_COLUMNS = 6 };

static int differences_count(void)
{
    int n = 0;
    while (metrics_columns[n].name)
        n++;
    return n;
}

enum status differences_make(struct difference **ret, const struct metrics *a, const struct metrics *b, int64_t n,
                             struct arena *arena, struct error *error)
{
    struct difference *differences = arena_alloc(arena, (size_t)differences_count() + 1, sizeof *differences);
    double *values = arena_alloc(arena, 2 * (size_t)n, sizeof *values);
    if (!differences || !values)
        return error_memory(error, 2 * (size_t)n * sizeof *values, "the differences");

    for (int c = 0; metrics_columns[c].name; c++) {
        for (int64_t i = 0; i < n; i++) {
            values[i] = metrics_columns[c].value(&a[i]);
            values[n + i] = metrics_columns[c].value(&b[i]);
        }
        differences[c].metric = metrics_columns[c].name;
        if (significance_paired(&differences[c].test, values, values + n, n, 1, error))
            return error->status;
    }
    *ret = differences;
    return STATUS_OK;
}

enum status differences_print(FILE *file, const struct difference *differences, struct arena *arena,
                              struct error *error)
{
    const int n = differences_count();
    static const char *const titles[DIFFERENCES_COLUMNS] = {"metric", "pairs", "difference", "low", "high", "p"};
    const char **cells = arena_alloc(arena, (size_t)(n + 1) * DIFFERENCES_COLUMNS, sizeof *cells), **cell = cells;
    if (!cells)
        return error_memory(error, 0, "the table of differences");

    for (int c = 0; c < DIFFERENCES_COLUMNS; c++)
        *cell++ = titles[c];
    for (const struct difference *difference = differences; difference->metric; difference++) {
        const struct significance *test = &difference->test;
        const double numbers[] = {test->mean, test->low, test->high};
        *cell++ = difference->metric;
        *cell++ = arena_printf(arena, "%" PRId64, test->n);
        for (int i = 0; i < 3; i++)
            *cell++ = isfinite(numbers[i]) ? arena_printf(arena, "%+.4f", numbers[i]) : "nan";
        *cell++ = isfinite(test->p) ? arena_printf(arena, "%.3g%s", test->p, test->exact ? "" : " ~") : "nan";
    }
    for (const char **at = cells; at < cell; at++)
        if (!*at)
            return error_memory(error, 64, "a cell of the table");

    fputs("\npredicted minus against, case by case: mean, its 95 % interval (bootstrap), p of the Wilcoxon signed-rank "
          "test\n(~: by the normal distribution, as there are ties, zeros or many cases)\n",
          file);
    table_print(file, n + 1, DIFFERENCES_COLUMNS, cells);
    return STATUS_OK;
}

void differences_json(struct json *json, const struct difference *differences)
{
    cJSON *list = json_list(json, json_root(json), "differences");
    for (const struct difference *difference = differences; difference->metric; difference++) {
        cJSON *item = json_item(json, list);
        json_text(json, item, "metric", difference->metric);
        json_number(json, item, "pairs", (double)difference->test.n);
        json_number(json, item, "mean", difference->test.mean);
        json_number(json, item, "low", difference->test.low);
        json_number(json, item, "high", difference->test.high);
        json_number(json, item, "p", difference->test.p);
    }
}
