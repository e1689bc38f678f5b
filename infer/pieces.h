/* pieces.h - which pieces of an implant stay. A skull may have several holes, so the largest piece alone is not the
 * implant: every piece that closes a hole stays, and what goes is recorded.
 *
 *     postprocess rule keep_largest: K    the K largest pieces stay
 *     pieces: by_size (the default)       and so does every further one of at least PIECE_LEAST_ML and PIECE_LEAST_FRAC
 *                                         of the largest that closes a hole
 *
 * A piece closes a hole where it meets bone along its rim (PIECE_RIM_FRAC of its surface lies within PIECE_REACH_MM of
 * bone) and most of it has no bone in front of or behind it, seen from the skull's centre. */
#ifndef CALVARIA_INFER_PIECES_H
#define CALVARIA_INFER_PIECES_H

#include "infer/crop.h"

enum pieces_rule { PIECES_BY_SIZE, PIECES_BY_RULE };
extern const char *const pieces_rule_names[]; /* "by_size", "by_rule", NULL */

extern const double PIECE_LEAST_ML, PIECE_LEAST_FRAC, PIECE_REACH_MM, PIECE_RIM_FRAC, PIECE_OVER_FRAC;

/* What the rules removed, for the report. */
struct pieces_removed {
    int64_t n;         /* pieces */
    double volume_ml;  /* of all of them */
    double largest_ml; /* of the largest */
    int64_t n_large;   /* of PIECE_LEAST_ML or more */
};

/* Changes the crop's mask; adds to *removed (may be NULL). The crop has the volume's bone around it: PIECE_REACH_MM. */
enum status pieces_keep(struct crop *crop, const struct volume *defective, int64_t keep_largest, enum pieces_rule rule,
                        struct pieces_removed *removed, struct error *error);
/* Removes pieces below min_voxels; adds to *removed. */
enum status pieces_remove_small(struct crop *crop, const struct volume *defective, int64_t min_voxels,
                                struct pieces_removed *removed, struct error *error);

/* The middle of the bone, in voxels; every fourth voxel along each axis counts. */
void bone_centre(const struct volume *bone, double ret[3]);
/* Is there bone on the ray from the centre through the voxel, within reach_mm of it? */
bool bone_lies_on_ray(const struct volume *bone, const double centre[3], const int64_t at[3], double reach_mm);

#endif
