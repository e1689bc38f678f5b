/* segment.h - from a head CT in Hounsfield units to the binary skull: threshold, then the one large connected piece of
 * bone, so that table, headrest, straps and tubes, which air or skin separates from the skull, fall away. */
#ifndef CALVARIA_DATA_SEGMENT_SEGMENT_H
#define CALVARIA_DATA_SEGMENT_SEGMENT_H

#include "base/config.h"
#include "data/segment/plausible.h"
#include "data/volume/volume.h"

struct segment_config {
    double threshold_hu; /* bone from here up */
    bool auto_threshold; /* Otsu's threshold between soft tissue and bone instead (Otsu, IEEE Trans. SMC 9, 1979), over
                            60 .. 1500 HU */
    double min_bone_ml;  /* less bone is not a skull */
    double hu_offset;    /* added to every value first, where the rescale intercept is missing */
    double metal_hu;     /* bone up to here: what is above is metal; 0: no limit */
    double keep_near_ml; /* pieces of this size near the skull are kept: parietals of an infant; 0: the largest alone */
    bool force;          /* a scan whose values are not those of a head is segmented all the same */
};
extern const struct config_table segment_table;

struct segment_report {
    double threshold_hu;        /* the one used */
    double bone_ml, removed_ml; /* the skull; other pieces above the threshold */
    int64_t n_removed, n_kept;  /* how many pieces */
    double metal_ml;            /* above 3071 HU or the scanner's ceiling: implants, clips, fillings */
    struct box metal_box;       /* voxels; empty: none */
    struct warnings warnings;   /* in plain words */
};

/* ct: Hounsfield units, padding recognised. *ret_skull: u8 0/1 on its grid with its storage. Refuses, STATUS_FAILED
 * with the reason, what is not a CT of a head (unless config->force): no air, no soft tissue or no bone in the values,
 * or too little bone. `name` starts the messages. */
enum status segment_skull(struct volume *ret_skull, struct segment_report *report, const struct volume *ct,
                          const struct segment_config *config, const char *name, struct error *error);

#endif
