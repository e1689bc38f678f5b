/* phantom_shape.c - the implicit function of a skull, from a handful of solids: vault shell, cranial base, facial
 * skeleton, zygomatic arches.
 *
 * Solids are functions that are > 0 inside, about the depth in millimetres near the surface; unions are smooth maxima,
 * cavities are cut by (smooth) minima. Frame and measures: phantom_shape.h. Test: tests/data/test_phantom.c. */
#include "data/phantom/phantom_shape.h"

#include <math.h>

static double phantom_square(double v)
{
    return v * v;
}

static double phantom_clamp(double v, double lo, double hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* 0 below a, 1 above b, smooth between. */
static double phantom_smooth_step(double a, double b, double v)
{
    const double t = phantom_clamp((v - a) / (b - a), 0, 1);
    return t * t * (3 - 2 * t);
}

/* Polynomial smooth maximum, blending within k (Quilez). */
static double phantom_smooth_max(double a, double b, double k)
{
    const double h = phantom_clamp(0.5 + 0.5 * (a - b) / k, 0, 1);
    return b + (a - b) * h + k * h * (1 - h);
}

static double phantom_smooth_min(double a, double b, double k)
{
    return -phantom_smooth_max(-a, -b, k);
}

/* Depth inside an ellipsoid (first order). */
static double phantom_ellipsoid(const double p[3], double cx, double cy, double cz, double rx, double ry, double rz)
{
    const double x = (p[0] - cx) / rx, y = (p[1] - cy) / ry, z = (p[2] - cz) / rz;
    const double f = sqrt(x * x + y * y + z * z);
    const double gradient =
        sqrt(phantom_square(x / rx) + phantom_square(y / ry) + phantom_square(z / rz)) / fmax(f, 1e-9);
    return (1 - f) / fmax(gradient, 1e-9);
}

/* Depth inside a rounded rod from a to b. */
static double phantom_rod(const double p[3], const double a[3], const double b[3], double radius)
{
    double along = 0, length2 = 0, distance2 = 0;
    for (int i = 0; i < 3; i++) {
        along += (p[i] - a[i]) * (b[i] - a[i]);
        length2 += phantom_square(b[i] - a[i]);
    }
    const double t = phantom_clamp(along / length2, 0, 1);
    for (int i = 0; i < 3; i++)
        distance2 += phantom_square(p[i] - a[i] - t * (b[i] - a[i]));
    return radius - sqrt(distance2);
}

static double phantom_waves(const struct phantom_shape *shape, const double p[3])
{
    double sum = 0;
    for (int i = 0; i < PHANTOM_WAVES; i++)
        sum += shape->wave[i].amplitude * sin(shape->wave[i].k[0] * p[0] + shape->wave[i].k[1] * p[1] +
                                              shape->wave[i].k[2] * p[2] + shape->wave[i].phase);
    return sum;
}

/* ---- the vault ---- */

/* 1 on the outer surface, homogeneous in p up to the shaping factors. */
static double phantom_vault_level(const struct phantom_shape *shape, const double p[3])
{
    const double x = p[0] + shape->skew_x * p[1], y = p[1] + shape->skew_y * p[0];
    const double along = phantom_clamp(y / (0.5 * shape->length), -1.2, 1.2); /* -1 forehead, 1 occiput */
    /* widest behind the middle; temples narrow towards the front and below */
    double half_w = 0.5 * shape->breadth * (1 - shape->front_narrow * phantom_square(fmax(0, 0.25 - along)));
    half_w *= 1 - 0.16 * phantom_smooth_step(0, 60, -p[2]) * phantom_smooth_step(0.6, -0.4, along);
    double half_l = 0.5 * shape->length;
    half_l *= along < 0 ? 1 + shape->forehead * phantom_smooth_step(60, 10, p[2])
                        : 1 + shape->occiput * phantom_smooth_step(35, -15, fabs(p[2] + 5));
    const double half_h = p[2] > 0 ? shape->height * (1 - 0.10 * phantom_square(fmin(0, along + 0.1))) : 78;
    const double e = shape->exponent;
    return pow(pow(fabs(x) / half_w, e) + pow(fabs(y) / half_l, e) + pow(fabs(p[2]) / half_h, e), 1 / e);
}

/* Signed depth below the outer surface: (1 - level) / |gradient|, exact to first order. */
static double phantom_vault_depth(const struct phantom_shape *shape, const double p[3], double level)
{
    const double h = 0.5;
    double gradient2 = 0;
    for (int i = 0; i < 3; i++) {
        double q[3] = {p[0], p[1], p[2]};
        q[i] += h;
        gradient2 += phantom_square((phantom_vault_level(shape, q) - level) / h);
    }
    return (1 - level) / sqrt(fmax(gradient2, 1e-8)) + phantom_waves(shape, p);
}

/* Local thickness: thick occiput and frontal midline, thin temporal squama, slow waves. */
static double phantom_vault_thickness(const struct phantom_shape *shape, const double p[3])
{
    const double r = sqrt(phantom_square(p[0]) + phantom_square(p[1]) + phantom_square(p[2])) + 1e-9;
    const double x = p[0] / r, y = p[1] / r, z = p[2] / r;
    double t = shape->thickness;
    t *= 1 + (shape->thick_back - 1) * phantom_smooth_step(0.55, 0.95, y) +
         (shape->thick_front - 1) * phantom_smooth_step(0.55, 0.95, -y);
    t *= 1 - (1 - shape->thick_side) * phantom_smooth_step(0.7, 0.95, fabs(x)) * phantom_smooth_step(0.35, -0.1, z);
    t += 2.5 * phantom_smooth_step(0.10, 0, fabs(x)) * phantom_smooth_step(0.80, 0.95, y) *
         phantom_smooth_step(0.25, 0.0, fabs(z + 0.1)); /* inion */
    double slow = 0;
    for (int i = 0; i < PHANTOM_WAVES / 2; i++)
        slow +=
            shape->thick_wave[i].amplitude *
            sin(40 * (shape->thick_wave[i].k[0] * x + shape->thick_wave[i].k[1] * y + shape->thick_wave[i].k[2] * z) +
                shape->thick_wave[i].phase);
    return fmax(2.0, t * (1 + slow));
}

/* Height of the inner skull floor: anterior, middle and posterior fossa, with petrous ridges between the last two. */
static double phantom_base_floor(const struct phantom_shape *shape, const double p[3])
{
    const double y = p[1], side = fabs(p[0]);
    double floor = shape->floor_front;
    floor += (shape->floor_middle - shape->floor_front) * phantom_smooth_step(-28, -14, y) *
             phantom_smooth_step(4, 22, side);
    floor += 0.45 * (shape->floor_middle - shape->floor_front) * phantom_smooth_step(-28, -10, y) *
             phantom_smooth_step(22, 4, side); /* sella and clivus */
    floor += (shape->floor_back - floor) * phantom_smooth_step(4, 26, y - 0.25 * side);
    const double ridge = exp(-phantom_square((y - 14 + 0.55 * (side - 30)) / 7)) * phantom_smooth_step(6, 18, side);
    return floor + 12 * ridge + 2.0 * sin(0.16 * p[0]) * sin(0.13 * y);
}

/* Depth of the groove between two bones at p: coronal, sagittal and lambdoid sutures, wavy lines 1 mm wide. */
static double phantom_suture_groove(const struct phantom_shape *shape, const double p[3])
{
    if (p[2] < 0)
        return 0;
    const double coronal_y = -0.12 * shape->length - 0.12 * fabs(p[0]), lambda_y = 0.30 * shape->length;
    const double coronal = fabs(p[1] - coronal_y + 1.5 * sin(0.9 * p[0]));
    const double sagittal = p[1] > coronal_y && p[1] < lambda_y ? fabs(p[0] + 1.5 * sin(0.9 * p[1])) : 9;
    const double lambdoid = fabs(p[1] - lambda_y - 0.45 * fabs(p[0]) * 0.5 + 2 * sin(0.8 * p[0]));
    return 2.0 * phantom_smooth_step(1.0, 0.3, fmin(coronal, fmin(sagittal, lambdoid)));
}

/* > 0 in the pores of the spongy layer between the two tables of a bone of this thickness, about 3 mm apart. */
static double phantom_diploe_pore(const double p[3], double depth, double thickness)
{
    const double layer = fmin(depth - 0.3 * thickness, 0.7 * thickness - depth);
    const double pore = sin(2.1 * p[0]) * sin(1.9 * p[1] + 0.4 * p[2]) * sin(2.2 * p[2] - 0.3 * p[0]) - 0.35;
    return fmin(layer, 2 * pore);
}

/* Shell of the vault and floor of the base around the brain's cavity, with the foramen magnum. */
static double phantom_cranium(const struct phantom_shape *shape, const double p[3], double depth)
{
    const double thickness = phantom_vault_thickness(shape, p), floor = phantom_base_floor(shape, p);
    if (shape->sutures)
        depth -= phantom_suture_groove(shape, p);
    const double cavity = phantom_smooth_min(depth - thickness, p[2] - floor, 6);
    const double base_thickness = 6 + 5 * phantom_smooth_step(10, 40, fabs(p[0])) * phantom_smooth_step(-10, 10, p[1]);
    double bone =
        fmin(depth, p[2] - (floor - base_thickness)); /* what is inside the vault and above the base's lower side ... */
    bone = phantom_smooth_min(bone, -cavity, 1.5);    /* ... but not brain */
    const double foramen = fmin(phantom_ellipsoid(p, 0, 34, p[2], 15, 18, 1e3), 40 - fabs(p[2] - shape->floor_back));
    bone = fmin(bone, -foramen);
    return shape->diploe ? fmin(bone, -phantom_diploe_pore(p, depth, thickness)) : bone;
}

/* ---- the face ---- */

/* Cheek and upper jaw as one block that narrows downwards, hollowed by temporal fossa, orbits, nose and sinuses. */
static double phantom_face(const struct phantom_shape *shape, const double p[3])
{
    const double front = -0.5 * shape->length;
    const double eye_z = shape->floor_front - 20, eye_x = shape->orbit_gap + shape->orbit_w;
    const double q[3] = {fabs(p[0]), p[1], p[2]};
    const double width = shape->face_w * (1 - 0.38 * phantom_smooth_step(eye_z - 8, eye_z - 55, p[2]));
    double bone = phantom_ellipsoid(q, 0, front + 44, eye_z - 14, width, shape->face_depth, 62);

    bone = phantom_smooth_min(bone, p[1] - (front + 1 + 0.006 * phantom_square(q[0]) + 0.10 * fmax(0, p[2] - eye_z)),
                              6); /* the face is rather flat */
    bone = phantom_smooth_min(bone, front + 56 - 0.45 * fmax(0, eye_z - p[2]) - p[1], 4);
    bone = phantom_smooth_min(bone, -phantom_ellipsoid(q, shape->face_w + 4, front + 54, eye_z - 2, 24, 32, 36),
                              3); /* temporal fossa */

    /* orbits: wide at the rim, a cone towards the back and the middle */
    const double deep = phantom_clamp((p[1] - front - 2) / 46, 0, 1), open = 1.02 - 0.86 * deep * deep;
    const double orbit = phantom_ellipsoid(q, eye_x - 12 * deep, p[1], eye_z + 2 * deep, shape->orbit_w * open, 1e3,
                                           shape->orbit_h * open);
    bone = phantom_smooth_min(bone, -fmin(orbit, front + 48 - p[1]), 2);

    /* nose: a pear-shaped opening and the airways behind it */
    const double pear = 4 + 9 * phantom_smooth_step(eye_z - 2, eye_z - 28, p[2]);
    const double nose = fmin(pear - q[0], fmin(eye_z - 2 - p[2], p[2] - (eye_z - 38)));
    bone = phantom_smooth_min(bone, -fmin(nose, front + 70 - p[1]), 2);
    bone = phantom_smooth_min(bone, -phantom_ellipsoid(q, 26, front + 32, eye_z - 30, 11, 15, 12),
                              2); /* maxillary sinus */
    bone = phantom_smooth_min(bone, -phantom_ellipsoid(q, 8, front + 11, shape->floor_front + 6, 9, 4, 7),
                              1); /* frontal sinus */
    return phantom_smooth_min(bone, -phantom_ellipsoid(q, 0, front + 38, eye_z - 1, 11, 26, 13),
                              1.5); /* ethmoid cells */
}

/* Brow ridges; cheekbone to temple, standing off the temporal fossa; mastoid behind the ear. */
static double phantom_arches(const struct phantom_shape *shape, const double p[3])
{
    const double front = -0.5 * shape->length, z = shape->floor_front - 36;
    const double q[3] = {fabs(p[0]), p[1], p[2]};
    const double glabella[3] = {9, front + 7, shape->floor_front - 1},
                 brow[3] = {30, front + 10, shape->floor_front + 3};
    const double corner[3] = {shape->face_w - 9, front + 25, shape->floor_front - 5};
    const double cheek[3] = {shape->face_w - 13, front + 23, z - 2}, middle[3] = {shape->arch_w, front + 48, z + 2};
    const double ear[3] = {shape->arch_w - 4, front + 74, z + 4}, root[3] = {shape->arch_w - 20, front + 92, z + 14};
    double bone = phantom_smooth_max(phantom_rod(q, glabella, brow, 5), phantom_rod(q, brow, corner, 4.5), 5);
    bone = phantom_smooth_max(bone, phantom_rod(q, corner, cheek, 4.6), 4);
    bone = phantom_smooth_max(
        bone, phantom_smooth_max(phantom_rod(q, cheek, middle, 4.4), phantom_rod(q, middle, ear, 3.4), 3), 4);
    bone = phantom_smooth_max(bone, phantom_rod(q, ear, root, 6), 4);
    return phantom_smooth_max(bone, phantom_ellipsoid(q, 47, 16, shape->floor_back + 6, 10, 13, 17), 8);
}

double phantom_bone(const struct phantom_shape *shape, const double p[3])
{
    enum { FACE_TOP = 20 };
    const double level = phantom_vault_level(shape, p), nothing = -10;
    const bool may_be_face = p[2]<FACE_TOP, above_floor = p[2]> shape->floor_front + 22;
    if (above_floor && level < 0.72)
        return nothing; /* brain */
    if (!may_be_face && level > 1.08)
        return nothing; /* air */
    double bone = nothing, depth = nothing;
    if (level < 1.1) {
        depth = phantom_vault_depth(shape, p, level);
        bone = phantom_cranium(shape, p, depth);
    }

    if (may_be_face) {
        double outside = phantom_smooth_max(phantom_face(shape, p), phantom_arches(shape, p), 3);
        if (level < 1.1) /* never into the brain */
            outside = fmin(outside,
                           -fmin(depth - 0.6 * phantom_vault_thickness(shape, p), p[2] - phantom_base_floor(shape, p)));
        bone = phantom_smooth_max(bone, outside, 2);
    }

    return bone;
}
