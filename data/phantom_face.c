/* phantom_face.c - the facial skeleton, simplified: orbits with walls and rims, nose, upper jaw, cheekbones and arches, mastoids,
 * pterygoid plates.
 *
 * Coordinates here, q: side (distance from the midline), back from the glabella, height above it, in millimetres of a face of
 * standard size. */
#include "data/phantom_shape.h"

#include <math.h>

#include "data/phantom_solid.h"

static const double nothing = -10;

/* Depth of the orbit's cavity, a boxy cone from rim to apex. *ret_along: 0 at the apex, 1 at the rim. */
static double orbit_cavity(const struct phantom_shape *shape, const double q[3], double *ret_along)
{
    static const double apex[3] = {13, 49, -12}, axis[3] = {19.5, -38, -8};
    const double length2 = axis[0] * axis[0] + axis[1] * axis[1] + axis[2] * axis[2];
    double along = 0;
    for (int i = 0; i < 3; i++)
        along += (q[i] - apex[i]) * axis[i];
    along /= length2;
    const double t = solid_clamp(along, 0.001, 1), grown = pow(t, 0.62);
    /* across the axis: u outwards, v upwards, turned by the tilt of the eyebrow line */
    const double u0 = q[0] - apex[0] - along * axis[0] + 0.5 * (q[1] - apex[1] - along * axis[1]);
    const double v0 = q[2] - apex[2] - along * axis[2];
    const double u = u0 + shape->orbit_tilt * v0, v = v0 - shape->orbit_tilt * u0;
    const double ru = 3.5 + (shape->orbit_w - 3.5) * grown, rv = 3.5 + (shape->orbit_h - 3.5) * grown;
    const double level = pow(pow(fabs(u) / ru, 2.6) + pow(fabs(v) / rv, 2.6), 1 / 2.6);
    *ret_along = along;
    return fmin((1 - level) * fmin(ru, rv), along * 43);
}

/* Superior orbital fissure and optic canal, as one slit at the apex. */
static double orbit_fissure(const double q[3])
{
    return solid_ellipsoid(q[0] - 18, q[1] - 50, q[2] + 11 - 0.35 * (q[0] - 18), 7.5, 9, 2.4);
}

/* Front of the face at this place: the orbit's rim lies further back at the side. */
static double rim_front(const double q[3])
{
    return 4.5 + 0.0068 * q[0] * q[0] + 0.04 * fmax(0, -10 - q[2]);
}

/* Walls around the orbit, thin behind, a strong rim in front. */
static double orbit_walls(const double q[3], double cavity, double along)
{
    const double wall = 2.4 + 4.2 * solid_step(0.72, 1.0, along);
    return solid_both(cavity + wall, q[1] - rim_front(q), 2.5);
}

static double nose_bones(const struct phantom_shape *shape, const double q[3])
{
    /* the bridge: a roof whose ridge runs forwards and down from the nasion, flaring into the frontal processes of the maxilla */
    const double down = solid_clamp((-8 - q[2]) / 24, 0, 1.6), ridge = 5.5 - shape->nose_out * fmin(down, 1);
    const double slope = 1.25 - 0.25 * down, surface = (q[1] - ridge - slope * fmax(0, q[0] - 1.5)) / sqrt(1 + slope * slope);
    const double roof = fmin(fmin(surface, 3.0 - surface), fmin(-4 - q[2], 15 + 3 * down - q[0]));
    static const double inner[3] = {9.5, 8.5, -6}, outer[3] = {17.5, 15, -47}; /* frontal process of the maxilla */
    const double edge = q[2] + 33 + fmax(0, q[0] - 4) * 0.6;                   /* the aperture's upper edge */
    return solid_union(fmin(roof, edge), solid_rod(q, inner, outer, 4.8, 5, 0.8), 4);
}

/* Pear-shaped opening and the airway behind it. */
static double nose_cavity(const struct phantom_shape *shape, const double q[3])
{
    const double low = solid_step(-28, -50, q[2]);
    const double half = (4.5 + (shape->nose_w - 4.5) * low) * (1 - 0.25 * solid_step(-52, -60, q[2]));
    return solid_both(half - q[0], fmin(-16 - q[2], fmin(q[2] + 60, 56 - q[1])), 2);
}

/* Septum, turbinates, lying free in the airway. x is signed. */
static double nose_inside(const struct phantom_shape *shape, const double q[3], double x)
{
    if (q[1] < 9 || q[1] > 55 || q[2] < -61 || q[2] > -12 || q[0] > 14)
        return nothing;
    const double bent = shape->septum * sin((q[2] + 60) * 0.07);
    const double septum = fmin(1.3 - fabs(x - bent), q[1] - 13 - 0.25 * (q[2] + 60));
    static const double low_a[3] = {10, 16, -50}, low_b[3] = {9, 46, -49}, mid_a[3] = {8.5, 24, -37}, mid_b[3] = {8, 48, -36};
    return fmax(septum, fmax(solid_rod(q, low_a, low_b, 3, 3, 0.8), solid_rod(q, mid_a, mid_b, 2.4, 2.4, 0.8)));
}

/* Upper jaw: body, hollow; alveolar arch with teeth; palate. */
static double jaw(const double q[3])
{
    if (q[1] > 60 || q[2] > -20)
        return nothing;
    const double high = solid_step(-66, -36, q[2]), front = 8.5 + 0.0085 * q[0] * q[0] - 2 * solid_step(-50, -66, q[2]);
    const double fossa = 3.5 * solid_bump(q[0] - 24, 8) * solid_bump(q[2] + 47, 9); /* canine fossa */
    double bone = solid_both(30 + 12 * high - 0.12 * fmax(0, q[1] - 25) - q[0], q[1] - front - fossa, 8);
    bone = solid_both(bone, fmin(52 - q[1], fmin(q[2] + 66, -28 - q[2])), 4);
    bone = solid_cut(bone, solid_ellipsoid(q[0] - 24, q[1] - 35, q[2] + 46, 9.5, 13, 12.5), 1.5); /* maxillary sinus */
    /* the arch: a band around a half ellipse */
    const double a = 24.5, b = 36, y = q[1] - 43.5, r = sqrt(q[0] * q[0] / (a * a) + y * y / (b * b));
    const double across = fabs(r - 1) * (r > 0.2 ? sqrt(q[0] * q[0] + y * y) / r : a);
    const double angle = atan2(q[0] / a, -y / b), teeth = q[2] < -76 ? 0.8 * cos(angle * 2 * 8.4 * 0.6366) : 0;
    double arch = solid_both(5.4 + teeth - across, fmin(q[2] + 84, -58 - q[2]), 2);
    arch = solid_both(arch, 54 - q[1], 3);
    const double palate = fmin(fmin(1 - r, 0.1) * 20, fmin(2 - fabs(q[2] + 62), fmin(54 - q[1], q[1] - 8)));
    static const double spine_a[3] = {0, 9, -60}, spine_b[3] = {0, 2, -59};
    bone = solid_union(bone, arch, 8);
    return fmax(solid_union(bone, solid_rod(q, spine_a, spine_b, 3, 1.2, 1), 3), palate);
}

/* Cheekbone with its frontal process, and the arch to the ear standing off the temporal fossa. */
static double cheek(const struct phantom_shape *shape, const double q[3])
{
    const double out = shape->arch * shape->breadth / shape->wide, body = shape->cheek;
    const double corner[3] = {47, 19, -4}, side[3] = {48, 21.5, -18}, low[3] = {45.5, 19, -37}, rim[3] = {27, 11, -38};
    const double temple[3] = {43, 27, 13}, brow[3] = {30, 10, 1.5}, back[3] = {50, 29, -40}, jugal[3] = {36, 21, -50};
    double bone = solid_union(solid_rod(q, corner, side, 5.2, 4.6, 0.75), solid_rod(q, side, low, 4.6, body, 0.85), 4);
    bone = solid_union(bone, solid_rod(q, corner, temple, 5, 3, 0.8), 5);
    bone = solid_union(bone, solid_rod(q, corner, brow, 4.6, 4.6, 1), 4);
    bone = solid_union(bone, solid_ellipsoid(q[0] - 43, q[1] - 19.5, q[2] + 42, 12, 6.5, 8 + 0.5 * body), 5); /* malar surface */
    bone = solid_union(bone, solid_rod(q, low, rim, body - 1.5, 4, 1), 4);
    bone = solid_union(bone, solid_rod(q, low, jugal, body - 1, 5, 1), 5);
    const double bend[3] = {out - 4.5, 44, -38}, middle[3] = {out, 62, -35}, behind[3] = {out - 1.5, 80, -32},
                 root[3] = {out - 4, 97, -30};
    double arch = solid_union(solid_rod(q, back, bend, body, 5.6, 0.55), solid_rod(q, bend, middle, 5.6, 4.4, 0.5), 4);
    arch = solid_union(arch,
                       solid_union(solid_rod(q, middle, behind, 4.4, 4.4, 0.55), solid_rod(q, behind, root, 4.8, 6, 0.9), 3), 3);
    return solid_union(bone, arch, 4);
}

/* Mastoid, ear canal, condyle's socket, pterygoid plates, styloid. p in the skull's own frame, but for the side. */
static double below(const struct phantom_shape *shape, const double q[3], const double p[3])
{
    const double side = fabs(p[0]), half = 0.5 * shape->breadth - 14;
    const double top[3] = {half - 1, 25, shape->floor_back + 18}, tip[3] = {half - 4, 15, shape->floor_back - 2};
    const double s[3] = {side, p[1], p[2]};
    double bone = solid_union(solid_rod(s, top, tip, 14, 7.5, 0.7),
                              solid_ellipsoid(side - half + 3, p[1] - 4, p[2] - shape->floor_back - 17, 11, 16, 9), 6);
    bone = solid_cut(bone,
                     solid_rod(s, (const double[3]){half + 12, 3, shape->floor_back + 14},
                               (const double[3]){half - 14, 0, shape->floor_back + 15}, 3.6, 2.6, 1),
                     1.5);
    const double condyle = solid_ellipsoid(side - 15, p[1] - 13, p[2] - shape->floor_back + 6, 6, 11, 6);
    static const double plate_top[3] = {12, 58, -28}, inner[3] = {12.5, 57, -58}, outer[3] = {19, 64, -54};
    const double plates =
        solid_union(solid_rod(q, plate_top, inner, 4.5, 2.2, 0.7), solid_rod(q, plate_top, outer, 4.5, 2, 0.7), 3);
    return fmax(bone, fmax(condyle, plates));
}

static double face_bone(const struct phantom_shape *shape, const double q[3], const double p[3])
{
    double bone = below(shape, q, p);
    if (q[1] > 106 || q[0] > 80)
        return bone;
    bone = solid_union(bone, cheek(shape, q), 3);
    if (q[1] < 62 && q[0] < 62) {
        double along;
        const double orbit = orbit_cavity(shape, q, &along);
        bone = solid_union(bone, orbit_walls(q, orbit, along), 3);
        bone = solid_union(bone, jaw(q), 4);
        bone = solid_cut(bone, nose_cavity(shape, q), 1.5);
        bone = solid_union(bone, nose_bones(shape, q), 2);
        bone = solid_cut(bone, fmin(orbit, 60 - q[1]), 1.5);
        bone = solid_cut(bone, orbit_fissure(q), 1);
        bone = fmax(bone, nose_inside(shape, q, p[0] / shape->wide));
    }
    return bone;
}

/* Well inside the brain: the cheap test that spares most of the volume. */
static bool deep_in_brain(const struct phantom_shape *shape, const double p[3])
{
    const double x = p[0] / (0.28 * shape->breadth), y = (p[1] - PHANTOM_VAULT_Y) / (0.31 * shape->length);
    const double z = (p[2] - PHANTOM_VAULT_Z) / (0.5 * (shape->height - PHANTOM_VAULT_Z));
    return x * x + y * y + z * z < 1 && p[2] > shape->floor_front + 12;
}

double phantom_bone(const struct phantom_shape *shape, const double p[3])
{
    const bool may_be_face = p[2] < 12 && p[1] < 45;
    if (deep_in_brain(shape, p))
        return nothing;
    const double level = vault_level(shape, p);
    if (level < 0.66 && p[2] > shape->floor_front + 12)
        return nothing;
    if (!may_be_face && level > 1.1)
        return nothing; /* air */
    double bone = nothing, cavity = nothing;
    if (level < 1.15) {
        const double depth = vault_depth(shape, p, level);
        if (depth > 20 && p[2] > shape->floor_front + 12)
            return nothing;
        cavity = vault_cavity(shape, p, depth);
        bone = vault_bone(shape, p, depth, cavity);
    }
    if (!may_be_face)
        return bone;
    const double q[3] = {fabs(p[0]) / shape->wide, (p[1] + 0.5 * shape->length) / shape->deep, p[2] / shape->tall};
    if (q[1] < 62 && q[0] < 62) { /* orbits hollow the braincase from below, but leave their roof */
        double along;
        bone = solid_cut(bone, fmin(orbit_cavity(shape, q, &along), -cavity - fmax(2, shape->wall_min)), 1.5);
        bone = q[0] < 30 ? solid_cut(bone, orbit_fissure(q), 1) : bone;
    }
    return solid_union(bone, fmin(face_bone(shape, q, p), -cavity - 1), 2.5); /* never in the brain */
}
