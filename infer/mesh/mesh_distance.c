/* mesh_distance.c - see mesh_distance.h. The regions of a triangle's corners, edges and inside are told apart by the
 * barycentric coordinates of the foot of the point (Ericson, "Real-Time Collision Detection", 2005, section 5.1.5).
 * Test: tests/infer/test_clearance.c */
#include "infer/mesh/mesh_distance.h"

static double distance_dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* Squared distance of the tip of ap from a + v ab + w ac. */
static double distance_to(const double ap[3], const double ab[3], const double ac[3], double v, double w)
{
    double sum = 0;
    for (int k = 0; k < 3; k++) {
        const double off = ap[k] - v * ab[k] - w * ac[k];
        sum += off * off;
    }
    return sum;
}

double mesh_triangle_distance2(const double p[3], const double a[3], const double b[3], const double c[3])
{
    double ab[3], ac[3], ap[3], bp[3], cp[3];
    for (int k = 0; k < 3; k++) {
        ab[k] = b[k] - a[k];
        ac[k] = c[k] - a[k];
        ap[k] = p[k] - a[k];
        bp[k] = p[k] - b[k];
        cp[k] = p[k] - c[k];
    }

    /* Beyond a corner. */
    const double d1 = distance_dot(ab, ap), d2 = distance_dot(ac, ap);
    if (d1 <= 0 && d2 <= 0)
        return distance_to(ap, ab, ac, 0, 0);
    const double d3 = distance_dot(ab, bp), d4 = distance_dot(ac, bp);
    if (d3 >= 0 && d4 <= d3)
        return distance_to(ap, ab, ac, 1, 0);
    const double d5 = distance_dot(ab, cp), d6 = distance_dot(ac, cp);
    if (d6 >= 0 && d5 <= d6)
        return distance_to(ap, ab, ac, 0, 1);

    /* Beyond an edge. */
    const double vc = d1 * d4 - d3 * d2, vb = d5 * d2 - d1 * d6, va = d3 * d6 - d5 * d4;
    if (vc <= 0 && d1 >= 0 && d3 <= 0 && d1 > d3)
        return distance_to(ap, ab, ac, d1 / (d1 - d3), 0);
    if (vb <= 0 && d2 >= 0 && d6 <= 0 && d2 > d6)
        return distance_to(ap, ab, ac, 0, d2 / (d2 - d6));
    if (va <= 0 && d4 >= d3 && d5 >= d6 && d4 - d3 + d5 - d6 > 0) {
        const double w = (d4 - d3) / (d4 - d3 + d5 - d6);
        return distance_to(ap, ab, ac, 1 - w, w);
    }

    const double sum = va + vb + vc;
    return sum > 0 ? distance_to(ap, ab, ac, vb / sum, vc / sum) : distance_to(ap, ab, ac, 0, 0);
}
