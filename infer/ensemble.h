/* ensemble.h - private to infer/: mean and spread of several networks' fields, added one at a time.
 *
 * Mean and sum of squares by Welford's recurrence (Technometrics 4, 1962): equal fields give exactly that field, and a
 * spread of exactly 0. From voxel to voxel nothing is summed: the same bits for any number of threads. */
#ifndef CALVARIA_INFER_ENSEMBLE_H
#define CALVARIA_INFER_ENSEMBLE_H

#include "data/volume/volume.h"

struct ensemble_field {
    int64_t n;
    struct volume mean, spread; /* f32, one grid; spread: the sum of squared differences, until ensemble_spread */
};

/* p: f32; every one on the same grid, else STATUS_FAILED. */
enum status ensemble_add(struct ensemble_field *field, const struct volume *p, struct error *error);
/* At voxels where the mean crosses the threshold (a neighbour lies on its other side): half the width, mm, of the
 * interval that holds the surface with a probability of 90 %, if the members were a sample of a normal distribution:
 * 1.645 sd(p) / |grad p|, how far the surface moves when p changes by that much; 20 mm at most. NaN elsewhere. */
void ensemble_spread(struct ensemble_field *field, float threshold);
void ensemble_done(struct ensemble_field *field);

#endif
