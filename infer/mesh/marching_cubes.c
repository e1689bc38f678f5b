/* marching_cubes.c - see marching_cubes.h. Test: tests/infer/test_mesh.c
 *
 * On each face, walked counter-clockwise from outside the cube, every run of inside corners is entered across one edge
 * and left across another: that is a piece of the outline. Each cut edge is entered on one of its two faces and left on
 * the other, so `next` is a permutation of the cut edges and its cycles are the polygons of the surface. */
#include "infer/mesh/marching_cubes.h"

#include <stdbool.h>
#include <string.h>

enum { N_EDGES = 12 };

int marching_edge_corner(int e)
{
    int axis = e / 4, k = e % 4;
    return (k & 1) << (axis + 1) % 3 | (k >> 1) << (axis + 2) % 3;
}

static int marching_edge_between(int corner_a, int corner_b)
{
    int low = corner_a & corner_b, axis = (corner_a ^ corner_b) == 1 ? 0 : (corner_a ^ corner_b) == 2 ? 1 : 2;
    return axis * 4 + ((low >> (axis + 1) % 3 & 1) | (low >> (axis + 2) % 3 & 1) << 1);
}

/* The i-th corner of face (axis, side), counter-clockwise from outside. */
static int marching_face_corner(int axis, int side, int i)
{
    static const int around[4][2] = {{0, 0}, {1, 0}, {1, 1}, {0, 1}};
    const int *at = around[side ? i % 4 : (4 - i % 4) % 4];
    return side << axis | at[0] << (axis + 1) % 3 | at[1] << (axis + 2) % 3;
}

static bool marching_edges_share_face(int e, int f)
{
    int a = marching_edge_corner(e), b = a + (1 << e / 4), c = marching_edge_corner(f), d = c + (1 << f / 4);
    int same_as_ones = a & b & c & d, same_as_zeros = ~(a | b | c | d) & 7;
    return same_as_ones || same_as_zeros;
}

static void marching_link_face(int bits, int axis, int side, int next[N_EDGES])
{
    for (int i = 0; i < 4; i++) {
        int before = marching_face_corner(axis, side, i + 3), first = marching_face_corner(axis, side, i);
        if ((bits >> before & 1) || !(bits >> first & 1))
            continue;
        int j = i;
        while (bits >> marching_face_corner(axis, side, j + 1) & 1)
            j++;
        next[marching_edge_between(before, first)] =
            marching_edge_between(marching_face_corner(axis, side, j), marching_face_corner(axis, side, j + 1));
    }
}

/* Cuts ears whose diagonal stays off the faces, with backtracking (polygons have at most 12 corners). */
static bool marching_triangulate(struct marching_case *out, const int *polygon, int n)
{
    if (n == 3) {
        for (int i = 0; i < 3; i++)
            out->edge[out->n][i] = (int8_t)polygon[i];
        out->n++;
        return true;
    }

    for (int ear = 0; ear < n; ear++) {
        int before = polygon[(ear + n - 1) % n], after = polygon[(ear + 1) % n], rest[N_EDGES];
        if (marching_edges_share_face(before, after))
            continue;
        const int8_t n_before = out->n;
        const int triangle[3] = {before, polygon[ear], after};
        marching_triangulate(out, triangle, 3);
        for (int i = 0; i < n - 1; i++)
            rest[i] = polygon[(ear + 1 + i) % n];
        if (marching_triangulate(out, rest, n - 1))
            return true;
        out->n = n_before;
    }

    return false;
}

void marching_cases(struct marching_case cases[256])
{
    for (int bits = 0; bits < 256; bits++) {
        int next[N_EDGES];
        memset(next, -1, sizeof next);
        memset(&cases[bits], 0, sizeof cases[bits]);
        for (int face = 0; face < 6; face++)
            marching_link_face(bits, face / 2, face % 2, next);
        for (int start = 0; start < N_EDGES; start++) {
            int polygon[N_EDGES], n = 0;
            for (int e = start; next[e] >= 0;) {
                polygon[n++] = e;
                int following = next[e];
                next[e] = -1;
                e = following;
            }
            if (n)
                marching_triangulate(&cases[bits], polygon, n);
        }
    }
}
