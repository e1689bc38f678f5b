/* fold.h - cross-validation: the heads of a dataset in equal parts, of which one is held out.
 *
 * The cases of the splits train and val are dealt out by head: scans of one group, and skulls with the same content,
 * share a fold. Cases of the fold become the split val, all others train. The split test stays as it was packed. The
 * same dataset, number of folds and seed give the same folds. */
#ifndef CALVARIA_DATA_DATASET_FOLD_H
#define CALVARIA_DATA_DATASET_FOLD_H

#include "data/dataset/dataset.h"

struct fold {
    int64_t number;   /* of folds; 0: the dataset's own split */
    int64_t held_out; /* 1 ... number; 0: none, every head of train and val is learnt */
    int64_t seed;
};
extern const struct config_table fold_table;

/* As dataset_open, with the splits of the fold. STATUS_USAGE: one fold, a fold past the last, fewer heads than folds.
 */
enum status dataset_open_fold(struct dataset **ret, const char *path, const struct fold *fold, struct error *error);

#endif
