/* differences.h - two sets of restorations of the same cases, metric by metric, with paired tests. */
#ifndef CALVARIA_CLI_DIFFERENCES_H
#define CALVARIA_CLI_DIFFERENCES_H

#include <stdio.h>

#include "base/json.h"
#include "base/memory.h"
#include "data/metrics.h"
#include "data/significance.h"

struct difference {
    const char *metric;
    struct significance test;
};

/* One row for each of metrics_columns: a[i] against b[i]. In arena. */
enum status differences_make(struct difference **ret, const struct metrics *a, const struct metrics *b, int64_t n,
                             struct arena *arena, struct error *error);
/* A table: metric, pairs, mean difference, its 95 % interval, p. */
enum status differences_print(FILE *file, const struct difference *differences, struct arena *arena,
                              struct error *error);
/* "differences": [{"metric": ..., "pairs": ..., "mean": ..., "low": ..., "high": ..., "p": ...}, ...] */
void differences_json(struct json *json, const struct difference *differences);

#endif
