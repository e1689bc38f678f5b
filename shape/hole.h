/* hole.h - what each ray of a defective skull is: bone that can be believed, a hole to be filled, the end of the field
 * of view, noise. */
#ifndef CALVARIA_SHAPE_HOLE_H
#define CALVARIA_SHAPE_HOLE_H

#include "shape/radial_map.h"

enum ray_class {
    RAY_UNKNOWN,  /* nothing is claimed: the model has no say here (brows, orbits, base) */
    RAY_OBSERVED, /* bone that is believed: what the prediction is conditioned on is taken from these */
    RAY_DOUBTFUL, /* bone that is not: too near a gap, too far from the mean (metal, a strap, a loose piece) */
    RAY_HOLE,     /* to be filled */
    RAY_OUTSIDE,  /* the volume ends before the bone is met */
};

struct hole_config {
    double grow_mm;        /* 6: the hole is grown by this; rays this near to a gap are not believed */
    double odd_sd, odd_mm; /* 5, 6: farther from the mean than max(odd_sd * sd, odd_mm) is not bone of this head */
    double dense_mm;       /* 8: all observed rays this near the hole are used, elsewhere one in stride x stride */
    int64_t stride;        /* 4 */
    double end_mm;       /* 5: a ray that leaves the volume less than this behind the mean shell may not have met it */
    double min_hole_mm2; /* smaller ones are no hole but a suture, a foramen, noise */
    double empty_share;  /* 0.25: of a hole's rays, at least so many meet no bone anywhere */
};
extern const struct hole_config hole_default;

struct hole {
    int64_t n_rays;
    uint8_t *class; /* enum ray_class of each ray */
    int32_t *part;  /* 0, else the number of the hole a ray belongs to, 1 the largest */
    int64_t n_parts;
    int32_t *seen; /* rays to condition on (n_seen), ascending */
    int64_t n_seen;
    int32_t *unseen; /* rays to predict (n_unseen), ascending: those of class RAY_HOLE */
    int64_t n_unseen;
};

/* What the rays are judged by, all over the same disc. */
struct hole_given {
    const struct disc *disc;
    const struct radial_map *map;       /* as measured */
    const struct radial_map *mean, *sd; /* of the population */
    const uint8_t *good;                /* rays the model vouches for */
    const uint8_t *sure;                /* good rays on which nearly every head has bone: a hole's size is counted on
                                           these; NULL: on all good ones */
    const uint8_t *met; /* rays that meet bone, though not where the head's should be: they may belong to a
                           hole (a strap above it), but do not make one; NULL: none */
};
enum status hole_find(struct hole *ret, const struct hole_given *given, const struct hole_config *config,
                      struct error *error);
void hole_done(struct hole *hole);

#endif
