/* mesh_tangle.h - private to infer/: triangles that pass through one another. */
#ifndef CALVARIA_INFER_MESH_MESH_TANGLE_H
#define CALVARIA_INFER_MESH_MESH_TANGLE_H

#include "infer/mesh/mesh.h"

/* tangled (n_triangles, may be NULL) = 1 for each triangle that another one, which shares no point with it, passes
 * through; *ret_n counts them. Triangles that share a point are not compared. */
enum status mesh_tangled(uint8_t *tangled, int64_t *ret_n, const struct mesh *mesh, struct error *error);

#endif
