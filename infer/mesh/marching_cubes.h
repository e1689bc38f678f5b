/* marching_cubes.h - the 256 cases of marching cubes (Lorensen and Cline, SIGGRAPH 1987), derived instead of typed in.
 *
 * Corner c of the unit cube stands at x = c & 1, y = c >> 1 & 1, z = c >> 2. Edge e runs along axis e / 4 from corner
 * marching_edge_corner(e). On a face with two inside corners across a diagonal the corners are always kept apart; the
 * rule looks at the face alone, so both cubes of a face agree and the surface has no holes (the ambiguity of the 1987
 * table; Montani, Scateni and Scopigno, "A modified look-up table for implicit disambiguation of marching cubes", The
 * Visual Computer 1994). No triangle has an inner edge in a face of its cube, so every edge of the surface belongs to
 * exactly two triangles. */
#ifndef CALVARIA_INFER_MESH_MARCHING_CUBES_H
#define CALVARIA_INFER_MESH_MARCHING_CUBES_H

#include <stdint.h>

enum { MARCHING_MAX_TRIANGLES = 5 };

struct marching_case {
    int8_t n;
    int8_t edge[MARCHING_MAX_TRIANGLES][3]; /* counter-clockwise from outside */
};

/* cases[bits]: bit c is set where corner c is inside. */
void marching_cases(struct marching_case cases[256]);
/* The corner of edge e with the smaller coordinate along its axis; the other is that + (1 << e / 4). */
int marching_edge_corner(int e);

#endif
