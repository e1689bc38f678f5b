/* surfaces.h - both surfaces of a posed skull as they are measured, what of them is missing, and what it is predicted
 * to be.
 *
 * 1. Rays are traced; where the bone ends in a plane (a field of view padded with zeros), the volume ends for them too.
 * 2. A ray whose bone lies farther from the mean than heads differ is traced again near the mean: straps, tubes, tables
 * and loose pieces are not the head's, and a ray that meets nothing else is missing.
 * 3. Holes are found, and their rays are predicted. */
#ifndef CALVARIA_SHAPE_SURFACES_H
#define CALVARIA_SHAPE_SURFACES_H

#include "shape/field.h"
#include "shape/hole.h"
#include "shape/model.h"

struct surfaces_request {
    const struct shape_model *model;
    const struct population *population; /* the model's, or that of some of its heads */
    const struct volume *skull;          /* u8, bone is not 0 */
    const struct pose *pose;
};

/* map: as measured; filled: with the holes filled; sd (NULL: not wanted): of what was filled, NaN elsewhere. All are
 * made here; on failure all are empty. */
struct surfaces {
    struct radial_map map, filled, sd;
    struct hole hole;
    struct field field; /* of the volume: where bone could be seen */
    int64_t n_retraced; /* rays whose first look met what is not the head's */
};
enum status surfaces_find(struct surfaces *ret, const struct surfaces_request *request, bool with_sd,
                          struct error *error);
void surfaces_done(struct surfaces *surfaces);

#endif
