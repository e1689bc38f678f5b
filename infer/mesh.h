/* mesh.h - the surface of a mask: marching cubes (watertight, 2-manifold, consistently oriented outward), smoothing that keeps the volume,
 * STL and PLY in world millimetres. */
#ifndef CALVARIA_INFER_MESH_H
#define CALVARIA_INFER_MESH_H

#include "data/volume.h"

struct mesh {
    int64_t n_points, n_triangles;
    double (*point)[3];      /* LPS mm */
    int64_t (*triangle)[3];  /* counter-clockwise from outside */
};

enum mesh_space { MESH_LPS, MESH_RAS };

struct mesh_check {
    bool watertight, manifold, oriented;
    double volume_ml;
};

/* Empty mask: an empty mesh. */
enum status mesh_from_mask(struct mesh *ret, const struct volume *mask, struct error *error);
/* Taubin smoothing (Taubin, SIGGRAPH 1995), then scaled about its centroid to the volume it had. max_shift_mm bounds each vertex. */
enum status mesh_smooth(struct mesh *mesh, int iterations, double max_shift_mm, struct error *error);
enum status mesh_verify(struct mesh_check *ret, const struct mesh *mesh, struct error *error);
enum status mesh_write_stl(const char *path, const struct mesh *mesh, enum mesh_space space, struct error *error);
enum status mesh_write_ply(const char *path, const struct mesh *mesh, enum mesh_space space, struct error *error);
void mesh_done(struct mesh *mesh);

#endif
