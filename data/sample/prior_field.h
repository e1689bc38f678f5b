/* prior_field.h - a prediction at a skull's own voxels, further channels of a network's source. */
#ifndef CALVARIA_DATA_SAMPLE_PRIOR_FIELD_H
#define CALVARIA_DATA_SAMPLE_PRIOR_FIELD_H

#include "data/volume/box.h"

/* `channels` values at each voxel of a box, x fastest; 0 outside the box. */
struct prior_field {
    struct box box;
    int64_t channels;
    float *value; /* channels x box; memory_free */
};

#endif
