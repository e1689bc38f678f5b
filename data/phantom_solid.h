/* phantom_solid.h - the solids a phantom is made of. Private to the phantom.
 *
 * A solid is a function of the point that is > 0 inside, about the depth in millimetres near its surface. Unions are maxima, cuts
 * are minima with the negated tool; the smooth ones blend within k millimetres (Quilez, "Smooth minimum", 2013). */
#ifndef CALVARIA_DATA_PHANTOM_SOLID_H
#define CALVARIA_DATA_PHANTOM_SOLID_H

double solid_clamp(double v, double lo, double hi);
double solid_step(double a, double b, double v);  /* 0 at a, 1 at b (a > b is allowed), smooth between */
double solid_bump(double distance, double width); /* 1 at 0, falls like a bell: exp(-(distance / width)^2) */
double solid_union(double a, double b, double k);
double solid_cut(double a, double tool, double k);
double solid_both(double a, double b, double k);

/* Depth inside an ellipsoid, to first order; p relative to its centre. */
double solid_ellipsoid(double x, double y, double z, double rx, double ry, double rz);
/* Depth inside a rod from a to b of radius ra at a and rb at b, rounded at the ends; flat < 1 flattens it along x. */
double solid_rod(const double p[3], const double a[3], const double b[3], double ra, double rb, double flat);

#endif
