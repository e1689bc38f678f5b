/* phantoms.h - procedural heads for the tests of shape/: one head's template, a head turned in its volume, a hole cut
 * into it. */
#ifndef CALVARIA_TESTS_SHAPE_PHANTOMS_H
#define CALVARIA_TESTS_SHAPE_PHANTOMS_H

#include "data/volume/volume.h"
#include "shape/pose_search.h"

/* The canonical position of voxel i, mm; returns its radius. */
double phantom_canonical(double q[3], const struct grid *grid, const struct pose *pose, int64_t i);
/* A shell of bone between 70 and 76 canonical mm, in voxels of 1 x 1 x 1.3 mm. */
void phantom_shell(struct volume *ret, const int64_t dim[3], const struct pose *pose);
/* Head number `index` of the tests' population, of cubic voxels. */
void phantom_make(struct volume *ret, int64_t index, double spacing_mm);
/* The volume turned about the world's axes by degrees: first about x (nodding), then y (leaning), then z (turning).
 * Voxels stay as they are. */
void phantom_turn(struct volume *volume, double x_deg, double y_deg, double z_deg);
/* Empties a cone of half_deg degrees about a canonical direction seen from the pose's centre: a round hole. */
void phantom_cut(struct volume *volume, const struct pose *pose, const double direction[3], double half_deg);
/* The outer radius of one head at its initial pose, as a template: n x n of the template disc (memory_free). *ret_pose:
 * that pose. */
float *phantom_template(struct pose *ret_pose, const struct volume *skull, const struct disc *template_disc);

#endif
