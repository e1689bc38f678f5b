/* patch.h - a spot of the vault's outer surface with its normal and curvature: where a surgeon's cut stands at right
 * angles. */
#ifndef CALVARIA_DATA_DEFECTS_PATCH_H
#define CALVARIA_DATA_DEFECTS_PATCH_H

#include "data/defects/anatomy.h"

struct vault_patch {
    double point_mm[3];         /* on the outer surface */
    double normal[3];           /* outward */
    double across[3], along[3]; /* tangents: horizontal, and upwards at its right angle */
    double radius_mm;           /* of curvature: the surface's normals meet near point - radius * normal */
};

/* The patch of reach_mm around the direction; false where no ray meets the vault. */
bool vault_patch_find(struct vault_patch *ret, const struct anatomy *anatomy, double azimuth, double elevation,
                      double reach_mm);

#endif
