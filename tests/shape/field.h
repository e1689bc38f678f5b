/* field.h - a known random field on a small disc, to draw heads from: what a fit must find again. */
#ifndef CALVARIA_TESTS_SHAPE_FIELD_H
#define CALVARIA_TESTS_SHAPE_FIELD_H

#include "shape/population.h"

/* Heads of a Gaussian field: a sphere of 80 and 87 mm with FIELD_MODES smooth modes that move both surfaces, and white
 * noise of noise_mm. Head h of a seed is always the same. Every head is its own group. */
enum { FIELD_MODES = 8 };
struct field {
    struct disc disc;
    struct heads heads;
};
void field_make(struct field *ret, int64_t disc_n, int64_t n_heads, double noise_mm, uint64_t seed);
void field_done(struct field *field);
/* Head h as a radial map (to be freed). */
struct radial_map field_map(const struct field *field, int64_t h);
/* Covariance of two radii of the field (2 * ray + surface), without noise; mirrored too, as a population is. */
double field_covariance(const struct field *field, int64_t i, int64_t j);
double field_mean(int surface);
/* Marks rays within `reach` of the direction (x, y, z) (not normalised). */
void field_cap(uint8_t *marked, const struct disc *disc, const double direction[3], double reach);

#endif
