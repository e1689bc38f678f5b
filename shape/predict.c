/* predict.c - see predict.h. Test: tests/shape/test_gaussian.c */
#include "shape/predict.h"

#include <math.h>
#include <string.h>

enum status shape_predict(struct radial_map *filled, struct radial_map *sd, const struct population *population,
                          const struct covariance_params *params, const struct radial_map *map, const struct hole *hole,
                          struct error *error)
{
    const struct gaussian_given given = {.map = map,
                                         .seen = hole->seen,
                                         .n_seen = hole->n_seen,
                                         .unseen = hole->unseen,
                                         .n_unseen = hole->n_unseen,
                                         .with_sd = sd != NULL,
                                         .rim = &gaussian_rim_default};
    struct gaussian gaussian;
    if (gaussian_condition(&gaussian, &given, population, params, error))
        return error->status;
    memcpy(filled->inner, map->inner, (size_t)map->n_rays * RADIAL_MAP_PLANES * sizeof *map->inner);
    for (int64_t k = 0; sd && k < RADIAL_MAP_PLANES * sd->n_rays; k++)
        sd->inner[k] = NAN;
    for (int64_t k = 0; k < hole->n_unseen; k++) {
        const int32_t ray = hole->unseen[k];
        filled->inner[ray] = gaussian.mean[2 * k];
        filled->outer[ray] = gaussian.mean[2 * k + 1];
        if (sd) {
            sd->inner[ray] = gaussian.sd[2 * k] * population->scale[2 * ray];
            sd->outer[ray] = gaussian.sd[2 * k + 1] * population->scale[2 * ray + 1];
        }
    }
    gaussian_done(&gaussian);
    return STATUS_OK;
}
