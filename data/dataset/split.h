/* split.h - which case goes to train, val, test: by skull, never by defect. */
#ifndef CALVARIA_DATA_DATASET_SPLIT_H
#define CALVARIA_DATA_DATASET_SPLIT_H

#include "data/dataset/dataset.h"

/* The split file, checked against the cases before any of them is read. Without a file: all at random. */
struct split_plan {
    int64_t n;
    const char *const *names; /* in byte order; NULL after the last */
    int *wanted;              /* enum dataset_split, or -1: at random */
    const char **groups;      /* NULL: none */
};

enum status split_plan(struct split_plan *ret, const char *const *names, int64_t n, const struct pack_config *config,
                       struct arena *arena, struct error *error);
/* Members of a group, and cases of equal hash (logged), land on one side. At random: groups in a seeded order, each to
 * the split that lacks most; a split with a share above 0 gets one group at least when there are enough. */
enum status split_assign(enum dataset_split *ret, const struct split_plan *plan, const uint64_t *hashes,
                         const struct pack_config *config, struct error *error);

#endif
