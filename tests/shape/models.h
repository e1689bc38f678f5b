/* models.h - a small shape model of procedural heads, for tests. */
#ifndef CALVARIA_TESTS_SHAPE_MODELS_H
#define CALVARIA_TESTS_SHAPE_MODELS_H

#include "shape/model.h"

/* Of phantoms 0 .. n - 1 (phantoms.h) at 2 mm, with the reference's hyper-parameters. */
void model_make(struct shape_model *ret, int64_t n);

#endif
