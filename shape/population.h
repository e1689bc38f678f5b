/* population.h - the heads as samples of a random field: mean, spread, and the rows whose products are the empirical
 * covariance.
 *
 * Values of the field stand ray by ray, inner surface first: element 2 * ray + surface. Every head counts twice, as it
 * is and mirrored. */
#ifndef CALVARIA_SHAPE_POPULATION_H
#define CALVARIA_SHAPE_POPULATION_H

#include "shape/disc.h"
#include "shape/radial_map.h"

/* The heads' maps, complete (gaps filled, see impute.h). Each head belongs to a group (copies or scans of one person).
 */
struct heads {
    int64_t n, n_rays;
    float *map;     /* n x n_rays x 2, mm: inner, outer */
    int32_t *group; /* n */
    /* n: 1 where a head belongs to the centre, whose mean is the population's; the others (phantoms beside real heads)
     * add the deviations from their own mean. NULL: all are the centre. */
    uint8_t *centre;
    /* Uncertainty of the filled gaps: rows whose products, divided by n - 1, are added to the covariance; n_spread x
     * n_rays x 2, or NULL. */
    int64_t n_spread;
    float *spread;
    /* Roughness of the surfaces, n_rays x 2, mm: what a smoothed map misses; NULL: not measured, 0. */
    float *rough;
    /* n_rays x 2: by how much the sd of a prediction is to be multiplied there, from skulls left out; NULL: by 1. */
    float *scale;
    /* n_rays x OCCUPANCY_STEPS: share of the heads, times 255, that have bone at each of these steps from the inner
     * surface to the outer one (a frontal sinus has none in its middle); NULL: all have it. */
    uint8_t *occupancy;
};
enum { OCCUPANCY_STEPS = 16 };

enum { POSE_MODES = 9 };

struct population {
    const struct disc *disc;
    int64_t n_heads; /* counted in */
    int64_t n_mean;  /* of them in the mean: the centre's */
    int64_t n_factors;
    float *factor; /* n_rays x 2 x n_factors, mm: E_ij = sum_m factor[i][m] factor[j][m] */
    float *mode;   /* n_rays x 2 x POSE_MODES, mm: change of the mean under 1 degree, 1 mm, 1 % of scale about and along
                      each axis */
    float *rough;  /* n_rays x 2, mm */
    float *scale;  /* n_rays x 2: of a predicted sd */
    struct radial_map mean, sd; /* mm */
    /* sd of another head's radius about the mean. Few heads know neither their mean nor their spread:
     * (4 s0^2 + (n - 1) sd^2) / (3 + n) (1 + 1 / n), n: n_mean, s0: what many heads show. What lies many of these from
     * the mean is not the head's. */
    struct radial_map predictive;
};

/* Is head h one of the centre? */
static inline bool heads_in_centre(const struct heads *heads, int64_t h)
{
    return !heads->centre || heads->centre[h];
}
int64_t heads_n_centre(const struct heads *heads);

/* Over all heads but those of the group `without` (-1: none): what it returns does not depend on their maps.
 * STATUS_FAILED: fewer than 2 heads are left, or none of the centre. */
enum status population_new(struct population *ret, const struct disc *disc, const struct heads *heads, int32_t without,
                           struct error *error);
/* Sets heads->rough (memory_free): the root mean square over the heads, where they were measured (missing: n x rays),
 * of a map minus itself smoothed by a Gaussian of 2 pixels over the good rays; the same on both sides, smoothed by 1.5.
 */
enum status heads_measure_roughness(struct heads *heads, const uint8_t *missing, const uint8_t *good,
                                    const struct disc *disc, struct error *error);
/* Sets heads->occupancy (memory_free) from each head's (n x n_rays, radial_map_occupied): the share of the centre's
 * heads, where they were measured, the same on both sides. Fewer than 8 heads do not show it: NULL. */
enum status heads_measure_occupancy(struct heads *heads, const uint16_t *bone, const uint8_t *missing,
                                    const struct disc *disc, struct error *error);
void population_done(struct population *population);

#endif
