/* postprocess.h - what is done to a raw implant mask, as an ordered list of rules in the model: [ { open: 1 }, { keep_largest: 1 } ]. */
#ifndef CALVARIA_INFER_POSTPROCESS_H
#define CALVARIA_INFER_POSTPROCESS_H

#include "base/config.h"
#include "data/volume.h"

/* One rule: exactly one key is given. */
struct postprocess_rule {
    int64_t open, close;      /* voxels */
    int64_t keep_largest;     /* components kept */
    double min_volume_ml;     /* smaller components go */
    bool fill_holes;
    double clearance_mm;      /* distance kept to the defective skull */
};
extern const struct config_table postprocess_table;

/* Changes `implant` (u8 mask on defective's grid) in place. */
enum status postprocess_run(struct volume *implant, const struct volume *defective, const struct config_list *rules, struct error *error);

#endif
