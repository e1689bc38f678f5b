/* warm_start.h - weights from an earlier model, and layers that do not learn. */
#ifndef CALVARIA_TRAIN_WARM_START_H
#define CALVARIA_TRAIN_WARM_START_H

#include "base/config.h"
#include "nn/params.h"

/* Copies every parameter of the model (or run folder: its best.h5, else last.h5) whose name is known here, but for
 * layers matched by `skip`. What was taken and what was not is logged. STATUS_FAILED when a shape differs or nothing
 * matches. */
enum status warm_start(struct params *params, const char *path, const struct config_strings *skip, struct error *error);

/* Marks every parameter of the layers matched by the patterns as frozen. */
void warm_start_freeze(struct params *params, const struct config_strings *patterns);

/* "enc1" of "enc1.w", into name; returns name. */
enum { LAYER_NAME_TEXT = 128 };
char *param_layer_name(char name[LAYER_NAME_TEXT], const struct param *param);

#endif
