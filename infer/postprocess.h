/* postprocess.h - what is done to a raw implant mask: an ordered list of rules in the model, as
 *     [ { open: 1 }, { keep_largest: 1 } ] */
#ifndef CALVARIA_INFER_POSTPROCESS_H
#define CALVARIA_INFER_POSTPROCESS_H

#include "base/config.h"
#include "data/volume/volume.h"
#include "infer/pieces.h"

/* One rule: exactly one key is given. Pieces are 6-connected: voxels that meet only at an edge would break apart when
 * printed. */
struct postprocess_rule {
    int64_t open, close;     /* steps of the 6-connected cross */
    int64_t keep_largest;    /* pieces kept */
    double min_volume_ml;    /* smaller pieces go */
    bool fill_holes;         /* hollows without a way out */
    double close_rim_mm;     /* gaps along the bone's rim that a ball of this radius cannot enter */
    double clearance_mm;     /* gap kept to the defective skull, between the faces of voxels */
    double min_thickness_mm; /* thinner parts grow to this around their middle, edges left as they are; before
                                clearance_mm */
};
extern const struct config_table postprocess_table;

struct postprocess_config {
    const struct config_list *rules; /* struct postprocess_rule each */
    enum pieces_rule pieces;
    struct pieces_removed *removed; /* is added to; may be NULL */
};
/* Bytes that the rules take at most in addition to the masks, for any implant within a volume of this grid. */
int64_t postprocess_bytes(const struct config_list *rules, const struct grid *grid);

/* Changes `implant` (u8 mask on defective's grid) in place, rule by rule, never onto the defective skull. Works inside
 * the implant's box. */
enum status postprocess_run(struct volume *implant, const struct volume *defective,
                            const struct postprocess_config *config, struct error *error);

#endif
