/* predict.h - a skull's two surfaces with the hole filled, and how sure that is. */
#ifndef CALVARIA_SHAPE_PREDICT_H
#define CALVARIA_SHAPE_PREDICT_H

#include "shape/gaussian.h"
#include "shape/hole.h"

/* filled: a copy of map in which the rays unseen have their conditional mean given those seen, and given
 * those of the rim that prove sound (gaussian_rim). sd (NULL: not wanted):
 * its standard deviation there, mm, NaN elsewhere. Both are maps of the population's disc. */
enum status shape_predict(struct radial_map *filled, struct radial_map *sd, const struct population *population,
                          const struct covariance_params *params, const struct radial_map *map, const struct hole *hole,
                          struct error *error);

#endif
