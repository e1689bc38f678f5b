/* clearance.h - a gap of a given width between implant and bone, exact between the voxels.
 *
 *     struct mesh_field field = {.box = clearance_box(&implant, reach)};
 *     clearance_cut(&field, &implant, &skull, &(struct clearance){.gap_mm = 0.4}, &error);
 *     mesh_from_field(&mesh, &implant, &field, &error);        // its surface keeps 0.4 mm
 *
 * The bone's surface is that of its mask, smoothed (mesh_smooth); the distance of a voxel from it is that from the
 * nearest triangle. The field is distance - gap, the implant's mask what of it is positive. */
#ifndef CALVARIA_INFER_CLEARANCE_H
#define CALVARIA_INFER_CLEARANCE_H

#include "infer/mesh/mesh.h"

struct clearance {
    double gap_mm;    /* at the outer surface */
    double bevel_deg; /* the gap grows by the tangent of this per mm below the outer surface */
};

/* The implant's box, and what a cut of it must see around. Empty for an empty implant. */
struct box clearance_box(const struct volume *implant, const struct clearance *clearance);
/* Bytes that clearance_cut takes at most for a box of so many voxels, without the bone's surface. */
int64_t clearance_bytes(int64_t voxels);
/* Cuts the gap: the implant's mask loses what is nearer to bone, field->cut (of field->box, made where it is NULL)
 * becomes the smaller of what it was and of distance - gap, in mm. Nothing to cut: all stays as it is. */
enum status clearance_cut(struct mesh_field *field, struct volume *implant, const struct volume *skull,
                          const struct clearance *clearance, struct error *error);
/* Makes field->cut where it is NULL: positive everywhere. */
enum status clearance_field(struct mesh_field *field, struct error *error);
/* Takes from the implant's mask what the cut does not leave, and chips that the cut parts from it: pieces of less than
 * 0.05 ml, but never the largest piece. */
enum status clearance_apply(const struct mesh_field *field, struct volume *implant, struct error *error);

#endif
