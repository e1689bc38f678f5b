/* part.h - the implant as a part to be made: its surface between the voxels, and what is cut from it.
 *
 *     struct mesh_field field;
 *     part_begin(&field, &implant, &clearance);
 *     clearance_cut(&field, &implant, &skull, &clearance, &error); // the gap; the implant's mask follows
 *     part_surface(&field, &restoration, &error);                  // where the prediction crosses its threshold
 *     mesh_from_field(&mesh, &implant, &field, &error);
 *     mesh_field_done(&field);
 */
#ifndef CALVARIA_INFER_PART_H
#define CALVARIA_INFER_PART_H

#include "infer/clearance.h"
#include "infer/restore.h"

/* The box that all steps work in, around the implant's mask. */
void part_begin(struct mesh_field *ret, const struct volume *implant, const struct clearance *clearance);
/* Bytes that clearance_cut takes at most for a box of so many voxels, without the bone's surface; 0 where nothing is
 * cut. */
int64_t part_cut_bytes(const struct clearance *clearance, int64_t voxels);
/* field->value: a shape model's depth, or a network's prediction less its threshold; NULL stays where the restoration
 * has neither (a network on the skull's own grid, builtin:mirror). */
enum status part_surface(struct mesh_field *field, const struct restoration *restoration, struct error *error);

#endif
