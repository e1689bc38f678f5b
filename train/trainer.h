/* trainer.h - the training loop: loader -> forward -> loss -> backward -> optimizer, with validation by the deployed restoration. */
#ifndef CALVARIA_TRAIN_TRAINER_H
#define CALVARIA_TRAIN_TRAINER_H

#include "train/recipe.h"
#include "train/run.h"

/* Trains in a fresh run folder (`folder` NULL: runs/NAME-YYYYmmdd-HHMMSS), from random weights or from the model `init` (NULL: none; layers are
 * matched by name). SIGINT/SIGTERM: finishes the step, saves, STATUS_STOPPED. */
enum status trainer_start(const char *recipe_path, int n_sets, char *const *sets, const char *folder, const char *init, struct error *error);
/* Goes on in a run folder to the same bits as if it had never stopped. n_sets overrides: only train.steps may grow. */
enum status trainer_resume(const char *folder, int n_sets, char *const *sets, struct error *error);

#endif
