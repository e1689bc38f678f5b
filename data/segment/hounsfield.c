/* hounsfield.c - see hounsfield.h. Test: tests/data/test_segment.c. */
#include "data/segment/hounsfield.h"

#include <math.h>
#include <string.h>

enum { AIR_HU = -300, TISSUE_LOW_HU = -50, TISSUE_HIGH_HU = 100, BONE_HU = 300, PADDING_HIGH = 31000 };
static const double PADDING_MIN_FRAC = 0.005;

static double hounsfield_stored(const struct volume *ct, int64_t i)
{
    return ct->type == VOXEL_U8    ? ((const uint8_t *)ct->data)[i]
           : ct->type == VOXEL_I16 ? (double)((const int16_t *)ct->data)[i]
                                   : (double)((const float *)ct->data)[i];
}

double hounsfield_at(const struct hounsfield *hounsfield, const struct volume *ct, int64_t i)
{
    const double stored = hounsfield_stored(ct, i);
    return hounsfield->padded && stored == hounsfield->padding ? HU_AIR : stored + hounsfield->offset_hu;
}

/* The smallest and the largest value, and how many voxels have each. */
struct extremes {
    double lowest, highest;
    int64_t n_lowest, n_highest;
};

static struct extremes hounsfield_extremes(const struct volume *ct)
{
    const int64_t n = grid_voxels(&ct->grid);
    struct extremes e = {INFINITY, -INFINITY, 0, 0};
    for (int64_t i = 0; i < n; i++) {
        const double value = hounsfield_stored(ct, i);
        if (value < e.lowest) {
            e.lowest = value;
            e.n_lowest = 0;
        }
        if (value > e.highest) {
            e.highest = value;
            e.n_highest = 0;
        }
        e.n_lowest += value == e.lowest;
        e.n_highest += value == e.highest;
    }
    return e;
}

void hounsfield_count(struct hounsfield *ret, const struct volume *ct, double offset_hu)
{
    const int64_t n = grid_voxels(&ct->grid);
    const struct extremes e = hounsfield_extremes(ct);
    memset(ret, 0, sizeof *ret);
    ret->offset_hu = offset_hu;

    /* Padding is outside the range of any measurement, and frequent */
    if (e.lowest < HU_LOW && (double)e.n_lowest > PADDING_MIN_FRAC * (double)n) {
        ret->padded = true;
        ret->padding = e.lowest;
        ret->padding_frac = (double)e.n_lowest / (double)n;
    } else if (e.highest > PADDING_HIGH && (double)e.n_highest > PADDING_MIN_FRAC * (double)n) {
        ret->padded = true;
        ret->padding = e.highest;
        ret->padding_frac = (double)e.n_highest / (double)n;
    }

    for (int64_t i = 0; i < n; i++) {
        const double stored = hounsfield_stored(ct, i), hu = stored + offset_hu;
        if (ret->padded && stored == ret->padding)
            continue;
        const double bin = hu >= HU_HIGH ? HU_BINS - 1 : hu > HU_LOW ? floor(hu) - HU_LOW : 0; /* NaN: air */
        ret->count[(int64_t)bin]++;
        ret->n++;
    }

    /* Scanners cut values at -1024: the smallest value may be frequent without being that of air */
    int64_t most = ret->n / 1000;
    const int smallest = ret->padded ? HU_LOW : (int)fmax(HU_LOW, fmin(HU_HIGH, floor(e.lowest + offset_hu)));
    ret->air_peak_hu = NAN;
    for (int hu = HU_LOW + 1; hu < AIR_HU; hu++)
        if (hu != smallest && ret->count[hu - HU_LOW] > most) {
            most = ret->count[hu - HU_LOW];
            ret->air_peak_hu = hu;
        }
}

int64_t hounsfield_between(const struct hounsfield *hounsfield, int lo, int hi)
{
    int64_t n = 0;
    for (int hu = lo; hu < hi; hu++)
        n += hounsfield->count[hu - HU_LOW];
    return n;
}

/* Values as the scanner stored them, 1024 (or 1000) above Hounsfield units: hardly anything lies between the smallest
 * value and 0, and soft tissue makes a peak that no bone has. */
static bool hounsfield_is_unshifted(const struct hounsfield *h)
{
    const int64_t dense = hounsfield_between(h, 974, 1125), spongy = hounsfield_between(h, 300, 600);
    return isnan(h->air_peak_hu) && dense > 2 * spongy && (double)dense > 0.03 * (double)h->n;
}

enum status hounsfield_check(const struct hounsfield *h, const char *name, struct error *error)
{
    const double n = h->n > 0 ? (double)h->n : 1;
    const double air = (double)hounsfield_between(h, HU_LOW, AIR_HU) / n;
    const double tissue = (double)hounsfield_between(h, TISSUE_LOW_HU, TISSUE_HIGH_HU) / n;
    const double bone = (double)hounsfield_between(h, BONE_HU, HU_HIGH) / n;

    if (hounsfield_is_unshifted(h))
        return error_set(error, STATUS_FAILED,
                         "%s: the values are not Hounsfield units: soft tissue lies near 1060 (expected 40), so the "
                         "rescale intercept was not applied (--hu-offset -1024 would fit)",
                         name);
    /* Padding counts as air: the field of view of a padded scan may hold little of it */
    const double all_air = air * (1 - h->padding_frac) + h->padding_frac;
    const char *missing = all_air < 0.02  ? "air (below -300)"
                          : tissue < 0.02 ? "soft tissue (-50 to 100)"
                          : bone < 0.002  ? "bone (300 and more)"
                                          : NULL;
    if (!missing)
        return STATUS_OK;
    return error_set(error, STATUS_FAILED,
                     "%s: not a head CT in Hounsfield units: hardly any %s among its values: air %.1f %%, soft tissue "
                     "%.1f %%, bone %.1f %% (%s)",
                     name, missing, 100 * all_air, 100 * tissue, 100 * bone,
                     tissue < 0.02 && bone >= 0.002 && all_air >= 0.02
                         ? "a dry skull or a head without soft tissue: --force segments it"
                         : "was the rescale slope and intercept of the DICOM series applied? --hu-offset adds one");
}

bool hounsfield_looks_like_ct(const struct volume *volume)
{
    enum { DISTINCT_MIN = 256, SPAN_MIN = 500, SLOTS = 1 << 16 };
    if (volume->type == VOXEL_U8)
        return false;
    const struct extremes e = hounsfield_extremes(volume);
    if (e.lowest < -500 && e.highest > BONE_HU) /* air and bone */
        return true;
    if (!(e.highest - e.lowest > SPAN_MIN))
        return false;

    /* Label maps have few values, a CT has thousands */
    uint8_t seen[SLOTS / 8] = {0};
    const int64_t n = grid_voxels(&volume->grid);
    int n_distinct = 0;
    for (int64_t i = 0; i < n && n_distinct <= DISTINCT_MIN; i++) {
        const double slot = fmin(hounsfield_stored(volume, i) - e.lowest, SLOTS - 1);
        if (!(slot >= 0) || seen[(int64_t)slot / 8] >> (int64_t)slot % 8 & 1)
            continue;
        seen[(int64_t)slot / 8] |= (uint8_t)(1 << (int64_t)slot % 8);
        n_distinct++;
    }

    return n_distinct > DISTINCT_MIN;
}
