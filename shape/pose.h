/* pose.h - where a head lies: canonical q = S R (p - c), mm, +z to the vertex, +x patient left, +y posterior.
 *
 * A cloud of points on the outer surface is fitted to a template T(d), the radius over the direction (an image of the
 * template disc): minimise sum_k Tukey(e_k), e = f / max(|grad f|, 0.4), f(q) = |q| - T(q / |q|), by Gauss-Newton over
 * rotation, shift and log scales. */
#ifndef CALVARIA_SHAPE_POSE_H
#define CALVARIA_SHAPE_POSE_H

#include "shape/disc.h"

struct pose {
    double rotation[3][3]; /* R */
    double centre[3];      /* c, LPS mm */
    double scale[3];       /* diagonal of S */
};

void pose_rotation(double ret[3][3], const double vector_rad[3]); /* Rodrigues: about the vector, by its length */
void pose_canonical(const struct pose *pose, const double world[3], double canonical[3]);
void pose_world(const struct pose *pose, const double canonical[3], double world[3]);
/* Degrees between the rotations, mm between the centres, and the mean distance in mm of where the two take the sphere
 * of 85 mm. */
struct pose_difference {
    double rotation_deg, centre_mm, surface_mm;
};
struct pose_difference pose_compare(const struct pose *a, const struct pose *b);

struct cloud {
    int64_t n;
    double (*point)[3]; /* LPS mm */
};
enum status cloud_new(struct cloud *ret, int64_t n, struct error *error);
void cloud_done(struct cloud *cloud);
/* Every k-th point. */
enum status cloud_thin(struct cloud *ret, const struct cloud *cloud, int64_t k, struct error *error);

struct pose_fit {
    int64_t iterations;        /* 40 for a new skull, 30 in fitting a model */
    double wide_mm, narrow_mm; /* Tukey's cutoff: from wide to narrow over the first 60 % of the iterations */
    double scale_prior;        /* width of the prior on the log scales */
};
extern const struct pose_fit pose_fit_new_skull, pose_fit_training,
    pose_fit_refine; /* {40,20,7} {30,20,7} {30,8,7}, prior .05 */

/* In place, from the pose given. *ret_loss: the mean Tukey loss, 0..1, of the points up to 105 degrees from the vertex.
 * One thread, no allocation: the same bits anywhere. STATUS_FAILED says of the points that they hold no
 * pose: both stay as they were. */
enum status pose_refine(struct pose *pose, double *ret_loss, const struct cloud *cloud, const struct disc *disc,
                        const float *template, const struct pose_fit *fit, struct error *error);
/* From five starts, `start` nodding by -20 .. 20 degrees, over threads; the smallest loss wins. No allocation. */
enum status pose_best(struct pose *ret, double *ret_loss, const struct cloud *cloud, const struct disc *disc,
                      const float *template, const struct pose *start, const struct pose_fit *fit, struct error *error);

#endif
