/* distance.h - exact Euclidean distance transform (Felzenszwalb and Huttenlocher, "Distance transforms of sampled functions",
 * Theory of Computing 8, 2012), anisotropic, separable, threaded. */
#ifndef CALVARIA_DATA_DISTANCE_H
#define CALVARIA_DATA_DISTANCE_H

#include <stdint.h>

#include "base/error.h"

/* out[i] = distance (unit of spacing) from voxel i to the nearest voxel where mask != 0; 0 on the mask; +INFINITY when it is empty. */
enum status distance_to_mask(float *out, const uint8_t *mask, const int64_t dim[3], const double spacing[3], struct error *error);
/* +distance outside, -(distance - 1) inside where distance is to the nearest outside voxel, in voxels; all 0 for an empty mask
 * (Kervadec et al., "Boundary loss for highly unbalanced segmentation", MedIA 2021: the authors' code). */
enum status distance_signed(float *out, const uint8_t *mask, const int64_t dim[3], struct error *error);

#endif
