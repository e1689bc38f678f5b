/* outcome.h - from a restoration to what is made of it: the caller's rules, the way into the hole, surface, field. For
 * files (batch.c), a caller's memory (lib/) and 3D Slicer (slicer.c) alike. */
#ifndef CALVARIA_INFER_OUTCOME_H
#define CALVARIA_INFER_OUTCOME_H

#include "data/segment/skull_file.h"
#include "infer/insertion.h"
#include "infer/mesh/mesh.h"
#include "infer/part.h"

/* What a caller adds after the model's rules; 0: none. */
struct outcome_rules {
    double min_thickness_mm;
    struct clearance clearance;
    bool insertable; /* of outcome_insertion: trim */
};
extern const struct config_table outcome_rules_table; /* its rows are options of every way to restore */

/* Thickness first, so that the gap stays; then the completed skull follows. STATUS_FAILED where that takes more than
 * max_bytes; `name` starts the message. */
enum status outcome_apply_rules(struct restoration *result, const struct volume *skull,
                                const struct outcome_rules *rules, int64_t max_bytes, const char *name,
                                struct error *error);
/* How the head lies is known once a shape model has found it: adds its warnings; with `strict` they are errors. */
enum status outcome_check_pose(const struct restoration *result, struct warnings *warnings, bool strict,
                               const char *path, struct error *error);
/* trim: what cannot pass is cut off, and the completed skull follows. */
enum status outcome_insertion(struct insertion *ret, struct restoration *result, const struct volume *skull, bool trim,
                              struct error *error);
/* The implant's surface between the voxels (part.h), smoothed; of a shape model with the 90 % interval of every point
 * as its values. max_voxels: a larger box has no room for the field; its points then stand midway between voxels. */
enum status outcome_mesh(struct mesh *ret, struct restoration *result, const struct restorer *restorer,
                         int64_t max_voxels, struct error *error);
/* How sure a shape model or an ensemble is of every point, as the mesh's values; nothing for another restorer. */
enum status outcome_intervals(struct mesh *mesh, const struct restoration *result, const struct restorer *restorer,
                              struct error *error);
/* A whole mask's surface, for a test print. */
enum status outcome_skull_mesh(struct mesh *ret, const struct volume *mask, struct error *error);

/* Millimetres to the implant's surface, positive inside. Of a shape model along the ray from the head's centre, before
 * any rule; else the Euclidean distance to the voxels' border, to 5 mm outside. An empty implant: an empty box. */
struct outcome_field {
    struct box box; /* of the skull's grid */
    float *value;   /* of the box, x fastest; memory_free */
};
enum status outcome_field(struct outcome_field *ret, const struct restoration *result, struct error *error);

#endif
