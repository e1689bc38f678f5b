/* distance.h - exact Euclidean distance transform (Felzenszwalb and Huttenlocher, "Distance transforms of sampled
 * functions", Theory of Computing 8, 2012), anisotropic, separable, threaded. */
#ifndef CALVARIA_DATA_MASK_DISTANCE_H
#define CALVARIA_DATA_MASK_DISTANCE_H

#include <stdint.h>

#include "base/error.h"

/* out[i] = distance (unit of spacing) from voxel i to the nearest voxel where mask != 0; 0 on the mask; +INFINITY when
 * it is empty. */
enum status distance_to_mask(float *out, const uint8_t *mask, const int64_t dim[3], const double spacing[3],
                             struct error *error);
/* The same in double, only where query != 0: *ret_values (memory_free) holds mask_count(query) distances, columns along
 * z in y,x order. */
enum status distance_at(double **ret_values, int64_t *ret_n, const uint8_t *query, const uint8_t *mask,
                        const int64_t dim[3], const double spacing[3], struct error *error);
/* within[i] = 1 where the distance (double) is at most `limit`, else 0. within may not be mask. */
enum status distance_within(uint8_t *within, const uint8_t *mask, const int64_t dim[3], const double spacing[3],
                            double limit, struct error *error);
/* +distance outside, -(distance - 1) inside where distance is to the nearest outside voxel, in voxels; all 0 for an
 * empty mask and a full one (Kervadec et al., "Boundary loss for highly unbalanced segmentation", MedIA 2021: the
 * authors' code). */
enum status distance_signed(float *out, const uint8_t *mask, const int64_t dim[3], struct error *error);

/* away: 0 at the seeds, elsewhere a cap; then steps to the nearest seed where diagonal ones count as one (Chebyshev),
 * at most the cap. */
void distance_chebyshev(uint8_t *away, const int64_t dim[3]);

#endif
