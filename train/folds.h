/* folds.h - cross-validation: a training for every fold, each head restored by the model that has not seen it, and one
 * ensemble of all.
 *
 *   recipe.yaml            the recipe, resolved (data.folds.held_out: 0)
 *   fold_1/ ...            a training each (training.h), in which the fold's heads validate
 *   evaluations/fold_N.tsv metrics of every head of the fold, by the last model of its training
 *   out_of_fold.tsv        the same in one table       folds.tsv    a row for each fold; mean and sd
 *   model.h5               the ensemble of the folds' last models; of a shape model: one fitted to all heads
 *
 * Several processes may work on the folds (base/claim.h): one that ends or is killed leaves the rest to the others. */
#ifndef CALVARIA_TRAIN_FOLDS_H
#define CALVARIA_TRAIN_FOLDS_H

#include "train/training.h"

/* recipe: of the request, or of the resumed folder. number: of folds. The table goes to request->table too. Where
 * others still hold folds: STATUS_OK, and the last of them makes tables and model. */
enum status folds_run(const struct trainer_request *request, const char *recipe, int64_t number, struct error *error);

#endif
