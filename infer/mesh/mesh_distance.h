/* mesh_distance.h - private to infer/: how far a point is from a triangle. */
#ifndef CALVARIA_INFER_MESH_MESH_DISTANCE_H
#define CALVARIA_INFER_MESH_MESH_DISTANCE_H

/* The squared distance of p from the nearest point of the triangle a b c, which may be degenerate. */
double mesh_triangle_distance2(const double p[3], const double a[3], const double b[3], const double c[3]);

#endif
