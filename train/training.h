/* training.h - a whole training: one recipe, or the stages that a recipe lists, one after the other in one run folder.
 *
 *   recipe.yaml      every stage, resolved       overrides.txt   --set lines as given
 *   STAGE/           of a network: a run folder (run.h); of a shape model: shape.h5
 *   model.h5         the last stage's model, all that it builds on inside; without training state
 *   STATUS, log.txt  as of a run folder; steps are stages
 *
 * A recipe of one stage trains as trainer.h does: the same files, the same bits. */
#ifndef CALVARIA_TRAIN_TRAINING_H
#define CALVARIA_TRAIN_TRAINING_H

#include "train/trainer.h"

/* As trainer_run. A resumed run of stages goes on in the stage that was not finished; sets of "stages.NAME.key=value"
 * are for one of them, others for every one that is not finished. */
enum status training_run(const struct trainer_request *request, struct error *error);

#endif
