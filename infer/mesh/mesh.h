/* mesh.h - the surface of a mask: marching cubes (watertight, 2-manifold, consistently oriented outward), smoothing
 * that keeps the volume, STL and PLY in world millimetres. */
#ifndef CALVARIA_INFER_MESH_MESH_H
#define CALVARIA_INFER_MESH_MESH_H

#include "base/config.h"
#include "data/mask/morphology.h"
#include "data/volume/volume.h"

struct mesh {
    int64_t n_points, n_triangles;
    double (*point)[3];     /* LPS mm */
    int64_t (*triangle)[3]; /* counter-clockwise from outside */
    float *value;           /* n_points, of a PLY's property "quality" and its colours; NULL: none */
    double value_most;      /* the value of the last colour */
    double deviation_mm;    /* from the surface before it was decimated; 0: it was not */
    uint8_t *fixed;         /* n_points, 1: smoothing leaves the point where it is; NULL: none */
};

enum mesh_space { MESH_LPS, MESH_RAS };
extern const char *const mesh_space_names[]; /* "lps", "ras", NULL */

struct mesh_check {
    bool watertight;     /* every edge of every triangle is met by another */
    bool manifold;       /* every edge by exactly one other, and the triangles round every point form one ring */
    bool oriented;       /* that other runs along the edge the opposite way */
    int64_t n_triangles; /* and how far decimation took the surface from what it was, 0: not at all */
    double deviation_mm;
    int64_t n_crossing; /* triangles that another, which shares no point with them, passes through */
    double volume_ml, area_cm2;
};

/* Where voxels meet only at an edge or a corner their surfaces stay apart (6-connected bone), so no edge has more than
 * two triangles; at the volume's border the surface closes. Empty mask: an empty mesh. Points lie midway between a
 * voxel and its neighbour outside. */
enum status mesh_from_mask(struct mesh *ret, const struct volume *mask, struct error *error);
/* As mesh_from_mask, with the points where a field crosses zero: the field places the point between a voxel of the mask
 * and its neighbour outside. Where it does not change sign there (a face that another rule has cut), and outside the
 * box: midway. */
struct mesh_field {
    struct box box;
    float *value; /* of the prediction, positive inside, voxels of the box, x fastest; NULL: none. Points stay a tenth
                     of the way from either voxel */
    float *cut; /* mm, positive where a cut leaves the implant, in the same order; NULL: none. Its points are exact, and
                   fixed; where both change sign the nearer point counts */
};
void mesh_field_done(struct mesh_field *field);
enum status mesh_from_field(struct mesh *ret, const struct volume *mask, const struct mesh_field *field,
                            struct error *error);
/* Taubin smoothing (Taubin, "A signal processing approach to fair surface design", SIGGRAPH 1995), then moved along the
 * normals to volume_ml (<= 0: the volume it had). No point ends farther than max_shift_mm from where it was; that bound
 * goes before the volume. Where triangles came to pass through one another, their points go back to where they were. */
enum status mesh_smooth(struct mesh *mesh, int iterations, double max_shift_mm, double volume_ml, struct error *error);
/* Fewer triangles (Garland and Heckbert, SIGGRAPH 1997): down to most_triangles (0: as few as the tolerance allows), as
 * long as no point of the surface before, nor the middle of a triangle, is farther than tolerance_mm from the surface
 * after, nor the other way round (<= 0: any distance). A
 * closed, oriented 2-manifold stays one; no triangle turns over. Serial: the same bits on any thread count. Values are
 * dropped. *ret_deviation_mm: the greatest of those distances, as measured on the way. After STATUS_FAILED (memory) the
 * mesh can only be freed. */
enum status mesh_decimate(struct mesh *mesh, int64_t most_triangles, double tolerance_mm, double *ret_deviation_mm,
                          struct error *error);
struct mesh_reduction {
    int64_t faces;       /* 0: no bound */
    double tolerance_mm; /* 0: no bound */
};
extern const struct config_table mesh_reduction_table; /* options mesh_faces, mesh_tolerance_mm */
/* Decimates where either is given, and logs what came of it; `name` starts the messages. */
enum status mesh_reduce(struct mesh *mesh, const struct mesh_reduction *reduction, const char *name,
                        struct error *error);
/* The cross product of two sides of triangle t: its outward normal, twice its area long. */
void mesh_cross(const struct mesh *mesh, int64_t t, double cross[3]);
/* Volume within (negative when inside out) and area. */
void mesh_measure(const struct mesh *mesh, double *ret_volume_mm3, double *ret_area_mm2);
/* Connected piece k of a mesh, by falling number of triangles; *ret_n is how many there are. Values go with their
 * points. */
enum status mesh_piece(struct mesh *ret, int64_t *ret_n, const struct mesh *mesh, int64_t k, struct error *error);
enum status mesh_verify(struct mesh_check *ret, const struct mesh *mesh, struct error *error);
/* Binary, atomic. The STL header and a PLY comment say SPACE=LPS or SPACE=RAS, as 3D Slicer does. No triangles: a
 * valid, empty file. */
enum status mesh_write_stl(const char *path, const struct mesh *mesh, enum mesh_space space, struct error *error);
/* 3MF: the unit stands in the file; SPACE in its description. Values are not written. */
enum status mesh_write_3mf(const char *path, const struct mesh *mesh, enum mesh_space space, struct error *error);
enum status mesh_write_ply(const char *path, const struct mesh *mesh, enum mesh_space space, struct error *error);
/* In the format of the path's ending: .stl, .ply or .3mf. STATUS_USAGE for another. */
enum status mesh_write_file(const char *path, const struct mesh *mesh, enum mesh_space space, struct error *error);
bool mesh_path_is_known(const char *path);
void mesh_done(struct mesh *mesh);

#endif
