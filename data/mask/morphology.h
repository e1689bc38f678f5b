/* morphology.h - masks: erosion, dilation, opening, closing, components, holes. Masks are u8, 0 or not 0, dim
 * x,y,z with x fastest. Distances in voxels here (6-neighbourhood steps) or mm by the distance transform (distance.h).
 */
#ifndef CALVARIA_DATA_MASK_MORPHOLOGY_H
#define CALVARIA_DATA_MASK_MORPHOLOGY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "data/volume/box.h"

int64_t mask_count(const uint8_t *mask, int64_t n);

/* n steps with the 6-connected cross, in place; the result is 0 and 1. The volume's border counts as outside: erosion
 * eats it. Closing lets the mask grow past the border before it shrinks, so that closing never takes a voxel away. */
enum status mask_erode(uint8_t *mask, const int64_t dim[3], int n, struct error *error);
enum status mask_dilate(uint8_t *mask, const int64_t dim[3], int n, struct error *error);
enum status mask_open(uint8_t *mask, const int64_t dim[3], int n, struct error *error);
enum status mask_close(uint8_t *mask, const int64_t dim[3], int n, struct error *error);

/* 26- or 6-connected components; labels from 1 in scan order of their first voxel. labels: grid of int32, or NULL.
 * *ret_sizes (memory_free) holds n counts. */
enum status mask_components(int32_t *labels, int64_t **ret_sizes, int64_t *ret_n, const uint8_t *mask,
                            const int64_t dim[3], int connectivity, struct error *error);
/* Keeps the k largest components (ties: the first in scan order). */
enum status mask_keep_largest(uint8_t *mask, const int64_t dim[3], int64_t k, int connectivity, struct error *error);
/* Removes components of fewer than min_voxels. */
enum status mask_remove_small(uint8_t *mask, const int64_t dim[3], int64_t min_voxels, int connectivity,
                              struct error *error);
/* Fills what is not 6-connected to the volume's border. */
enum status mask_fill_holes(uint8_t *mask, const int64_t dim[3], struct error *error);

#endif
