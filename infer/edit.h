/* edit.h - an implant changed by hand: labels painted on slices (the page of `calvaria serve`, 3D Slicer, any program
 * that writes a volume of labels) are applied to the implant before clearance, thickness and mesh.
 *
 * Labels lie anywhere in the world, on a grid of their own. A voxel of the implant's grid has a label where the label,
 * trilinearly interpolated, is at least half. In this order:
 *   EDIT_ALLOW    where this label exists at all, the implant is kept inside it alone
 *   EDIT_EXCLUDE  no implant here
 *   EDIT_REMOVE   no implant here
 *   EDIT_ADD      implant here, unless there is bone
 * Exclude and remove do the same; the report counts them apart: a region and a stroke of the eraser. */
#ifndef CALVARIA_INFER_EDIT_H
#define CALVARIA_INFER_EDIT_H

#include "data/volume/volume.h"

enum edit_label { EDIT_NONE, EDIT_ADD, EDIT_REMOVE, EDIT_ALLOW, EDIT_EXCLUDE, EDIT_LABELS };

struct edit_report {
    bool made;
    double added_ml, removed_ml; /* by EDIT_ADD, by EDIT_REMOVE */
    double excluded_ml;          /* by EDIT_ALLOW and EDIT_EXCLUDE */
    bool restricted;             /* EDIT_ALLOW was there */
};

/* implant, skull: u8 on one grid. STATUS_FAILED: labels that are no bytes of 0 to 4; `name` starts the message. */
enum status edit_apply(struct volume *implant, struct edit_report *ret, const struct volume *labels,
                       const struct volume *skull, const char *name, struct error *error);
/* The same, of a file; at most max_voxels (0: any). */
enum status edit_apply_file(struct volume *implant, struct edit_report *ret, const char *path, int64_t max_voxels,
                            const struct volume *skull, struct error *error);

#endif
