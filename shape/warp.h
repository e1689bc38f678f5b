/* warp.h - a head given the shape of another, for augmentation (data/sample/augment.h).
 *
 * In the canonical frame, both radii of a head move a share of the way to another head's. A point between them moves by
 * what lies between its radii's shifts; one nearer the centre in proportion to its radius; one farther out by less and
 * less, by nothing WARP_FADE_MM away. Shifts are smooth (sigma 6.4 mm), so the head keeps its own grooves, and end
 * smoothly 20 mm before the rays for which the model vouches do.
 *
 *     struct augment_warp *warp;
 *     if (shape_warp_draw(&warp, &model, &grid, "case_00", hash, share, rng, error)) ...
 *     augment.warp = warp;    // augment_done frees it */
#ifndef CALVARIA_SHAPE_WARP_H
#define CALVARIA_SHAPE_WARP_H

#include "base/rng.h"
#include "data/sample/augment.h"
#include "shape/model.h"

#define WARP_FADE_MM 30.0

/* A head where it lies, and what it is to become. */
struct shape_warp_request {
    const struct disc *disc;
    const struct grid *grid; /* of the skull */
    const struct pose *pose;
    const uint8_t *good;
    const float *from, *to; /* n_rays x 2, mm: inner and outer radius; finite where good */
    double share;           /* of the way */
};
enum status shape_warp_new(struct augment_warp **ret, const struct shape_warp_request *request, struct error *error);

/* Towards another head of the model, mirrored in one draw of two, never one of its own group. *ret: NULL where the
 * skull is none of the model's (by its voxels, else its name; NULL: by voxels alone). */
enum status shape_warp_draw(struct augment_warp **ret, const struct shape_model *model, const struct grid *grid,
                            const char *name, uint64_t content_hash, double share, struct rng rng, struct error *error);

#endif
