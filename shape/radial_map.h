/* radial_map.h - the two surfaces of the vault over the direction: first entry into bone and last exit from it,
 * canonical mm. */
#ifndef CALVARIA_SHAPE_RADIAL_MAP_H
#define CALVARIA_SHAPE_RADIAL_MAP_H

#include "data/mask/morphology.h"
#include "data/volume/volume.h"
#include "shape/disc.h"
#include "shape/pose.h"

enum { RADIAL_MAP_PLANES = 4 };
struct radial_map {
    int64_t n_rays;
    float *inner, *outer; /* mm; NaN where the ray meets no bone. One block of memory, `inner` is its start */
    float *enter, *leave; /* mm at which the ray enters the volume (0 from a centre inside) and leaves it; leave <
                             enter: it misses it */
};
enum status radial_map_new(struct radial_map *ret, int64_t n_rays, struct error *error); /* all NaN */
void radial_map_done(struct radial_map *map);

/* Along every ray of `disc` under `pose`, from 15 to 135 mm: the mask (u8, 0 or not) sampled trilinearly every step_mm
 * (0.4), the crossing of 1/2 interpolated between the two samples about it. Threads over rays: the same bits for any
 * number of them. */
void radial_map_trace(struct radial_map *map, const struct volume *skull, const struct pose *pose,
                      const struct disc *disc, double step_mm);

/* Marked rays once more, each between two radii: what stands elsewhere (a strap, a table, a loose piece) is not met. */
struct radial_window {
    const uint8_t *marked;
    const float *nearest, *farthest; /* mm */
};
void radial_map_retrace(struct radial_map *map, const struct volume *skull, const struct pose *pose,
                        const struct disc *disc, const struct radial_window *window, double step_mm);
/* enter and leave anew, as if the volume were this box of it. */
void radial_map_crop(struct radial_map *map, const struct volume *skull, const struct pose *pose,
                     const struct disc *disc, const struct box *box);

/* bone[k], bit i: the mask above 1/2 at inner + (i + 1/2) / 16 (outer - inner). 0 where nothing is met. */
void radial_map_occupied(uint16_t *bone, const struct radial_map *map, const struct volume *skull,
                         const struct pose *pose, const struct disc *disc);

#endif
