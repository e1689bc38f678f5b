/* hounsfield.h - what the values of a CT are: Hounsfield units, padding, or something else. */
#ifndef CALVARIA_DATA_SEGMENT_HOUNSFIELD_H
#define CALVARIA_DATA_SEGMENT_HOUNSFIELD_H

#include <stdbool.h>

#include "data/volume/volume.h"

enum { HU_LOW = -1100, HU_HIGH = 3100, HU_BINS = HU_HIGH - HU_LOW, HU_AIR = -1000 };

/* value in HU = stored value + offset_hu; a stored value of `padding` is not a measurement and counts as air. */
struct hounsfield {
    double offset_hu;
    bool padded;
    double padding;
    double padding_frac;    /* share of the voxels */
    int64_t n;              /* voxels other than padding */
    int64_t count[HU_BINS]; /* of them, by whole HU; what is beyond the ends is in the end bins */
    double air_peak_hu;     /* the most frequent value below -300, other than the smallest; NaN: hardly any air */
};

/* Recognises padding first: one value far below air (-2000, -3024, -32768) or above any metal (-2000 read as unsigned:
 * 63536) that half a percent of the voxels or more have. Then counts the others. */
void hounsfield_count(struct hounsfield *ret, const struct volume *ct, double offset_hu);
/* Voxels with lo <= HU < hi. */
int64_t hounsfield_between(const struct hounsfield *hounsfield, int lo, int hi);
/* STATUS_FAILED with the reason where the values are not those of a head CT: no air, no soft tissue, no bone, or an
 * offset that was not applied (the message names the --hu-offset that would fit). `name` starts the message. */
enum status hounsfield_check(const struct hounsfield *hounsfield, const char *name, struct error *error);
double hounsfield_at(const struct hounsfield *hounsfield, const struct volume *ct, int64_t i);
/* The values are a CT's by their range, as those of a mask or of a label map are not. */
bool hounsfield_looks_like_ct(const struct volume *volume);

#endif
