/* phantom_solid.c - solids by signed depth. */
#include "data/phantom_solid.h"

#include <math.h>

double solid_clamp(double v, double lo, double hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

double solid_step(double a, double b, double v)
{
    const double t = solid_clamp((v - a) / (b - a), 0, 1);
    return t * t * (3 - 2 * t);
}

double solid_bump(double distance, double width)
{
    const double t = distance / width;
    return t * t < 16 ? exp(-t * t) : 0;
}

double solid_union(double a, double b, double k)
{
    const double h = solid_clamp(0.5 + 0.5 * (a - b) / k, 0, 1);
    return b + (a - b) * h + k * h * (1 - h);
}

double solid_both(double a, double b, double k)
{
    return -solid_union(-a, -b, k);
}

double solid_cut(double a, double tool, double k)
{
    return -solid_union(-a, tool, k);
}

double solid_ellipsoid(double x, double y, double z, double rx, double ry, double rz)
{
    x /= rx;
    y /= ry;
    z /= rz;
    const double f = sqrt(x * x + y * y + z * z);
    if (f < 1e-6)
        return fmin(rx, fmin(ry, rz));
    const double gx = x / rx, gy = y / ry, gz = z / rz;
    return (1 - f) * f / sqrt(gx * gx + gy * gy + gz * gz);
}

double solid_rod(const double p[3], const double a[3], const double b[3], double ra, double rb, double flat)
{
    double along = 0, length2 = 0, distance2 = 0;
    for (int i = 0; i < 3; i++) {
        along += (p[i] - a[i]) * (b[i] - a[i]);
        length2 += (b[i] - a[i]) * (b[i] - a[i]);
    }
    const double t = solid_clamp(along / length2, 0, 1);
    for (int i = 0; i < 3; i++) {
        const double d = (p[i] - a[i] - t * (b[i] - a[i])) / (i == 0 ? flat : 1);
        distance2 += d * d;
    }
    return ra + t * (rb - ra) - sqrt(distance2);
}
