/* augment.h - a drawn pair made another: mirrored, turned, stretched, warped, seen in thicker slices, cropped, noisy.
 *
 * One transformation per drawn skull, a pure function of its random stream. Skull and implant are sampled together, so
 * that defective = complete - implant holds voxel for voxel whatever was done. Nothing but the voxels of the patches is
 * computed: a patch is filled by looking up where each of its voxels comes from. "Augmented" coordinates are voxel
 * indices of the volume that the network gets; it has the skull's own dims and spacing. */
#ifndef CALVARIA_DATA_SAMPLE_AUGMENT_H
#define CALVARIA_DATA_SAMPLE_AUGMENT_H

#include <stdbool.h>

#include "base/config.h"
#include "base/rng.h"
#include "data/mask/morphology.h"
#include "data/sample/prior_field.h"
#include "data/volume/volume.h"

struct augment_config {
    double probability;            /* share of drawn skulls that are augmented at all */
    double flip_x, flip_y, flip_z; /* probabilities */
    double rotate_deg[3];          /* about x, y, z: uniform in +-this */
    double scale[2];               /* drawn for each axis by itself */
    double elastic_mm, elastic_grid_mm;
    double slice_mm[2];
    double noise_surface[2], noise_bits[2]; /* shares of voxels that change */
    double crop;                            /* probability */
    double crop_below[2], crop_top[2];      /* shares of the bone's height */
    double crop_top_mm[2];
    double warp_shape; /* with struct loader_warp */
    const char *warp_model;
};
extern const struct config_table augment_table; /* every default is off */

/* What a voxel of a drawn pair is. */
enum { CODE_BONE = 1, CODE_MISSING = 2 /* and bone in the complete skull */ };

/* One head made another, by a model of heads (shape/warp.h). */
struct augment_warp {
    /* In place: where a point of the other head comes from. Both in voxels of the skull's grid. */
    void (*place)(const struct augment_warp *warp, double at[3]);
    void (*free)(struct augment_warp *warp);
};

/* What one draw got. */
struct augment {
    bool moved; /* false: every voxel stays where it is */
    struct grid grid;
    bool flip[3];
    double centre[3];                  /* of the turning, on the skull */
    double to_skull[3][3], back[3][3]; /* about the centre, in voxels */
    double slice_vox, slice_phase;     /* 0: slices as they are */
    double z_lo, z_hi;                 /* the field of view, augmented slices [lo, hi) */
    double noise_surface, noise_bits;
    double crop_top_mm; /* a crop of the whole skull ends this much higher than at inference */
    /* Displacements at the points of a lattice over the bone, mm; n[0] = 0: none. */
    int64_t n[3];
    double lattice_vox[3], lattice_lo[3];
    float *lattice;            /* x, y, z of each point */
    double warp_share;         /* of the way to another head, 0: none is drawn */
    struct augment_warp *warp; /* set by who draws the head; NULL: the head as it is */
};

enum status augment_draw(struct augment *ret, const struct augment_config *config, const struct grid *grid,
                         struct box bone, struct rng rng, struct error *error);
void augment_done(struct augment *augment);
/* Where a point of the skull is in augmented coordinates (without elastic and shape warps, which are small). */
void augment_place(const struct augment *augment, double at[3]);

/* Voxel i of a patch stands at lo + i * step, augmented coordinates. */
struct augment_patch {
    double lo[3], step[3];
    int64_t size[3];
    int64_t
        samples; /* soft cuts: each value is the mean over samples^3 points of its voxel's box; 0 as 1: its middle */
};
/* Fills a patch. codes: the whole skull, CODE_BONE and CODE_MISSING; trilinear shares above one half become bone, and
 * missing where most of that bone is. */
enum status augment_cut(uint8_t *out, const struct augment *augment, const uint8_t *codes,
                        const struct augment_patch *patch, struct error *error);
/* The same with the shares themselves, of bone and of missing bone. */
enum status augment_cut_fraction(float *skull, float *implant, const struct augment *augment, const uint8_t *codes,
                                 const struct augment_patch *patch, struct error *error);
/* A field on the skull's own voxels at a patch's: channel by channel, trilinear, 0 outside its box and the field of
 * view. Samples are the middles of voxels. */
enum status augment_cut_field(float *out, const struct augment *augment, const struct prior_field *field,
                              const struct augment_patch *patch, struct error *error);
/* Flips bone and air in a cut patch: at the bone's surface, and anywhere. What is missing stays. */
void augment_noise(uint8_t *codes, const struct augment *augment, const int64_t size[3], struct rng rng);

#endif
