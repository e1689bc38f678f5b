/* depth.h - from the two filled surfaces back to voxels: a signed depth in mm, positive inside the shell, and the
 * implant's mask. */
#ifndef CALVARIA_SHAPE_DEPTH_H
#define CALVARIA_SHAPE_DEPTH_H

#include "data/mask/morphology.h"
#include "shape/hole.h"
#include "shape/population.h"

/* The two surfaces with the holes filled, where they stand. */
struct shell {
    const struct disc *disc;
    const struct pose *pose;
    const struct radial_map *filled;
    const struct hole *hole;
    const uint8_t
        *occupancy; /* bone between the surfaces where half the heads have it (population.h); NULL: everywhere */
};

/* The box of the grid in which the holes' shell lies; empty where there is no hole. */
struct box depth_box(const struct grid *grid, const struct shell *shell);
/* depth[z,y,x of the box] = min(r - inner(d), outer(d) - r), canonical mm, bilinear over the disc; where few heads have
 * bone also at most 16 mm times what their share is above one half. in_hole (may be
 * NULL): the number of the hole whose ray is the nearest, else 0. */
enum status depth_field(float *depth, uint8_t *in_hole, const struct grid *grid, const struct box *box,
                        const struct shell *shell, struct error *error);

struct implant_rules {
    double opening_mm, opening_slack;    /* 0.8, 1.15 */
    double closing_mm, closing_reach_mm; /* 1.6, 2.5 */
    double min_ml;                       /* smaller parts go */
};
extern const struct implant_rules implant_default;
/* implant (u8, the whole grid, cleared first): depth > 0, in the hole, not bone; opened by a ball; one part per hole;
 * the rim closed. Never on bone. */
enum status depth_implant(uint8_t *implant, const struct volume *skull, const struct box *box, const float *depth,
                          const uint8_t *in_hole, const struct implant_rules *rules, struct error *error);

#endif
