/* disc.h - a raster of directions about the vertex, on which every map of the shape model lives.
 *
 * Lambert's azimuthal equal-area disc: (u, v) = 2 sin(theta / 2) (cos phi, sin phi), theta the angle from +z (the
 * vertex). The rays are the pixels of an n x n raster with |(u, v)| <= reach, in raster order, u slow and v fast; +u is
 * patient left, +v posterior. A pixel is DISC_HEAD_RADIUS_MM * step mm wide on a head of that radius. */
#ifndef CALVARIA_SHAPE_DISC_H
#define CALVARIA_SHAPE_DISC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define DISC_HEAD_RADIUS_MM 85.0 /* sphere on which distances between rays are measured */

enum { DISC_MAP_N = 141, DISC_TEMPLATE_N = 113 };
#define DISC_MAP_REACH 1.75      /* maps: 122 degrees from the vertex, 2.1 mm a pixel, 15365 rays */
#define DISC_TEMPLATE_REACH 1.80 /* the template of the pose: 128 degrees */

struct disc {
    int64_t n; /* raster n x n */
    double reach, step;
    int64_t n_rays;
    double (*ray)[3]; /* n_rays unit vectors */
    int32_t *pixel;   /* n_rays: index in the raster, i_u * n + i_v */
    int32_t *ray_at;  /* n*n: the ray at a pixel, -1 outside the disc */
    int32_t *mirror;  /* n_rays: the ray with -u, the other side of the head */
};

enum status disc_init(struct disc *ret, int64_t n, double reach, struct error *error);
void disc_done(struct disc *disc);

/* Raster coordinates (fractional pixels, u and v) of a unit vector. */
void disc_locate(const struct disc *disc, const double direction[3], double at[2]);
/* The ray of the nearest pixel; -1 where it lies outside the disc. */
int32_t disc_nearest(const struct disc *disc, const double at[2]);
/* Bilinear value of an n*n image; beyond its edge that of the nearest pixel. */
double disc_sample(const struct disc *disc, const float *image, const double at[2]);

/* image (n*n) from values (n_rays); pixels without a finite value take the nearest one; all NaN where there is none. */
enum status disc_image(float *image, const struct disc *disc, const float *values, struct error *error);
/* The same in place on an image. */
enum status disc_fill_nearest(float *image, const struct disc *disc, struct error *error);
/* away[k] = mm from ray k to the nearest marked ray; +INFINITY where none is marked. */
enum status disc_distance(float *away, const struct disc *disc, const uint8_t *marked, struct error *error);
/* grown[k] = 1 where that distance is at most mm. grown may be marked. */
enum status disc_grow(uint8_t *grown, const struct disc *disc, const uint8_t *marked, double mm, struct error *error);
/* Separable Gaussian of sigma pixels (edge: reflected), in place. */
enum status disc_smooth(float *image, const struct disc *disc, double sigma, struct error *error);
/* label[k] = 0 where not marked, else the number of its 4-connected part, from 1 in raster order. */
enum status disc_components(int32_t *label, int64_t *ret_n, const struct disc *disc, const uint8_t *marked,
                            struct error *error);

#endif
