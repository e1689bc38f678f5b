/* perforate.h - round holes through an implant: a pattern over it (drainage, ingrowth), and a row along its rim for
 * screws. Cut on the field of cuts, so the surface stays closed and the holes are round between the voxels. */
#ifndef CALVARIA_INFER_PERFORATE_H
#define CALVARIA_INFER_PERFORATE_H

#include "base/config.h"
#include "infer/insertion.h"
#include "infer/mesh/mesh.h"

struct perforation {
    double hole_mm, hole_spacing_mm;   /* diameter, 0: none; between the middles, on a grid of equal triangles */
    double screw_mm, screw_spacing_mm; /* the same for the row along the rim */
    double edge_mm;                    /* bone left between a hole and the rim, and between two holes */
};
extern const struct config_table perforation_table;

/* Holes through the largest piece, along its local normal; placed as seen along its direction of insertion. The mask
 * follows the field. *ret_n: holes made. */
enum status perforate(int64_t *ret_n, struct mesh_field *field, struct volume *implant,
                      const struct insertion *insertion, const struct perforation *perforation, struct error *error);

#endif
