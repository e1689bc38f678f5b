/* orient.h - between a file's axis order and the canonical one. Private to data/. */
#ifndef CALVARIA_DATA_VOLUME_ORIENT_H
#define CALVARIA_DATA_VOLUME_ORIENT_H

#include "data/volume/volume.h"

/* From storage->grid: fills storage->axis and ->flip with the permutation nearest to LPS, returns the canonical grid.
 */
struct grid orient_canonical(struct storage *storage);
/* The canonical grid for the axis and flip that storage has. */
struct grid orient_turn(const struct storage *storage);
/* The grid in file order: storage->grid itself where `grid` is what orient_canonical gave for it, else `grid` turned
 * back. */
struct grid orient_file(const struct storage *storage, const struct grid *grid);
/* Where file index (i0, i1, i2) stands in canonical memory of these dims: *ret_start + sum_a i_a * step[a], in voxels.
 */
void orient_steps(int64_t *ret_start, int64_t step[3], const struct storage *storage, const int64_t canonical_dim[3]);
/* A storage for a volume that comes from no file: NIfTI-1 .nii.gz in RAS order. */
struct storage orient_default(const struct grid *grid);

#endif
