/* field.h - the field of view: the part of a volume in which bone could be seen. */
#ifndef CALVARIA_SHAPE_FIELD_H
#define CALVARIA_SHAPE_FIELD_H

#include <stdbool.h>

#include "data/mask/morphology.h"
#include "data/volume/volume.h"

struct field {
    struct box box;               /* the whole volume, but where bone ends in a plane */
    bool end_low[3], end_high[3]; /* it does, across this axis: what was scanned ends there, padded with zeros or not */
};
struct field field_of_view(const struct volume *skull);

#endif
