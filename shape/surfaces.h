/* surfaces.h - both surfaces of a posed skull as they are measured, what of them is missing, and what it is predicted
 * to be.
 *
 * 1. Rays are traced; where the bone ends in a plane (a field of view padded with zeros), the volume ends for them too.
 * 2. A ray whose bone lies farther from the mean than heads differ is traced again near the mean: straps, tubes, tables
 * and loose pieces are not the head's, and a ray that meets nothing else is missing.
 * 3. Holes are found; rays near them that lack bone on one side (a brow whose front is gone, a roof of the orbit seen
 *    through the hole) are predicted from all others, and join the hole where what is measured lies too deep for it.
 * 4. The rays of the holes are predicted. */
#ifndef CALVARIA_SHAPE_SURFACES_H
#define CALVARIA_SHAPE_SURFACES_H

#include "shape/hole.h"
#include "shape/model.h"

struct surfaces_request {
    const struct shape_model *model;
    const struct population *population; /* the model's, or that of some of its heads */
    const struct volume *skull;          /* u8, bone is not 0 */
    const struct pose *pose;
};

struct surfaces_notes {
    bool end_low[3], end_high[3]; /* the bone ends in a plane across this axis: the field of view's end */
    int64_t n_retraced;           /* rays whose first bone was not the head's */
    int64_t n_joined;             /* rays that joined a hole in the second look */
};

/* map: as measured; filled: with the holes filled; sd (NULL: not wanted): of what was filled, NaN elsewhere. All are
 * made here; on failure all are empty. */
struct surfaces {
    struct radial_map map, filled, sd;
    struct hole hole;
    struct box field; /* of the volume: where bone could be seen */
    struct surfaces_notes notes;
};
enum status surfaces_find(struct surfaces *ret, const struct surfaces_request *request, bool with_sd,
                          struct error *error);
void surfaces_done(struct surfaces *surfaces);

/* The box of the volume in which bone can be seen: whole but where bone ends in a plane, see surfaces_notes. */
struct box surfaces_field(struct surfaces_notes *ret_notes, const struct volume *skull);

#endif
