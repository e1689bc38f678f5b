/* turn.h - a volume's voxels in the order of another frame than LPS: for what assumes an upright head. */
#ifndef CALVARIA_DATA_VOLUME_TURN_H
#define CALVARIA_DATA_VOLUME_TURN_H

#include "data/volume/volume.h"

/* frame: a rotation, its rows the axes in LPS. Index x of ret runs nearest to the first row, y to the second, z to the
 * third; nothing is resampled, and every voxel keeps its place in the world. turn_lps turns it back. */
extern const double turn_lps[3][3];
enum status turn_volume(struct volume *ret, const struct volume *src, const double frame[3][3], struct error *error);
/* Whether ret's order would be another one than src's. */
bool turn_is_needed(const struct grid *grid, const double frame[3][3]);

#endif
