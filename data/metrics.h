/* metrics.h - how well a predicted implant matches the true one (agrees with OldaKodym/evaluation_metrics to 1e-6 when
 * spacing is passed). */
#ifndef CALVARIA_DATA_METRICS_H
#define CALVARIA_DATA_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct metrics {
    double dsc;            /* 2 |P and T| / (|P| + |T|)                                                     */
    double bdsc_mm;        /* the same within 10 mm of the defective skull                                  */
    double bdsc_vox;       /* within 10 voxels (published numbers mix both)                                 */
    double hd95_mm;        /* 95th percentile (linear) of the pooled two-way surface distances              */
    double hd_mm, assd_mm; /* their maximum, their mean                                                  */
    double nsd_1mm;        /* share of surface voxels within 1 mm of the other surface                      */
    double volume_error;   /* (|P| - |T|) / |T|                                                            */
    double precision, recall;
    int64_t truth_vox, predicted_vox;
    bool both_empty; /* DSC 1, distances 0 */
    bool failed;     /* exactly one is empty: DSC 0, distances NaN */
};

/* Masks u8 of one grid. defective may be NULL: then bDSC is NaN. Spacing in mm, x, y, z. */
enum status metrics_compare(struct metrics *ret, const uint8_t *truth, const uint8_t *predicted,
                            const uint8_t *defective, const int64_t dim[3], const double spacing_mm[3],
                            struct error *error);

/* A restoration that counts as failed, in every table: DSC below 0.7, which one that is empty has, too. */
#define METRICS_FAILURE_DSC 0.7
bool metrics_is_failure(const struct metrics *metrics);

/* Table columns: name (the field of the struct), unit and value of each metric, in order. name is NULL past the last.
 */
struct metrics_column {
    const char *name, *unit;
    double (*value)(const struct metrics *metrics);
    int sign; /* +1: larger is better, -1: smaller is; 0: nearer to zero is */
};
extern const struct metrics_column metrics_columns[];

#endif
