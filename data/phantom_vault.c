/* phantom_vault.c - the braincase: outer surface from a midsagittal outline and boxy cross-sections, thickness map, skull base.
 */
#include "data/phantom_shape.h"

#include <math.h>

#include "data/phantom_solid.h"

static const double pi = 3.14159265358979323846;

double phantom_waves(const struct phantom_wave *wave, int n, const double p[3])
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += wave[i].amplitude * sin(wave[i].k[0] * p[0] + wave[i].k[1] * p[1] + wave[i].k[2] * p[2] + wave[i].phase);
    return sum;
}

/* ---- outer surface ---- */

static double profile_radius(const struct phantom_shape *shape, double y, double z)
{
    const double at = (atan2(z, y) + pi) / (2 * pi) * PHANTOM_PROFILE;
    const int i = (int)at;
    const double f = at - i;
    return shape->profile[i % PHANTOM_PROFILE] * (1 - f) + shape->profile[(i + 1) % PHANTOM_PROFILE] * f;
}

double vault_level(const struct phantom_shape *shape, const double p[3])
{
    const double x = p[0] + shape->skew_x * p[1] + shape->lean * p[2];
    const double y = p[1] - PHANTOM_VAULT_Y + shape->skew_y * p[0], z = p[2] - PHANTOM_VAULT_Z;
    const double r2 = y * y + z * z, steep = z > 0 ? z * z / (r2 + 200) : 0;
    double half = 0.5 * shape->breadth * (0.97 + 0.03 * solid_step(-40, 25, y));
    half *= 1 - shape->front_narrow * solid_step(5, -85, y) - shape->back_narrow * solid_step(45, 85, y);
    half *= 1 - solid_step(5, -65, z) * (shape->low_narrow * solid_step(30, -20, y) + 0.10 * solid_step(15, 50, y));
    const double e = shape->box_axial + (shape->box_coronal - shape->box_axial) * steep + 0.35 * solid_step(-10, -70, y);
    const double along = r2 > 0 ? pow(sqrt(r2) / profile_radius(shape, y, z), e) : 0;
    return pow(along + pow(fabs(x) / half, e), 1 / e);
}

/* Bosses and hollows, in mm outwards. */
static double vault_relief(const struct phantom_shape *shape, const double p[3])
{
    const double side = fabs(p[0]), l = 0.5 * shape->length, b = 0.5 * shape->breadth;
    double out = phantom_waves(shape->wave, PHANTOM_WAVES, p);
    if (p[1] < -0.3 * l) {
        out += shape->glabella * solid_bump(side, 14) * solid_bump(p[2] - 1, 9) * solid_step(-0.6 * l, -0.85 * l, p[1]);
        out += shape->brow * solid_bump(side - 22, 15) * solid_bump(p[2] - 3 - 0.12 * side, 7) *
               solid_step(-0.5 * l, -0.8 * l, p[1]);
        out += shape->eminence_front * solid_bump(side - 30, 22) * solid_bump(p[2] - 42, 22);
    }
    out += shape->eminence_side * solid_bump(p[1] - 28, 30) * solid_bump(p[2] - 52, 28) * solid_step(0.4 * b, 0.85 * b, side);
    const double temple = solid_bump(p[1] + 0.52 * l, 24) * solid_bump(p[2] + 10, 26) * solid_step(0.3 * b, 0.6 * b, side);
    out -= shape->temple * temple;
    if (p[1] > 0.5 * l) {
        out += shape->inion * solid_bump(side, 12) * solid_bump(p[2] + 22, 7);
        out += 0.35 * shape->inion * solid_bump(p[2] + 20 + 0.004 * side * side, 5) * solid_step(55, 30, side); /* nuchal line */
        out -= 1.5 * solid_bump(side - 24, 14) * solid_bump(p[2] + 38, 10);
    }
    return out;
}

/* Grooves of the coronal, sagittal and lambdoid sutures, zigzag in their toothed parts; 0 to 1. */
static double vault_suture(const struct phantom_shape *shape, const double p[3])
{
    const double side = fabs(p[0]), up = p[2] / shape->height, width = 0.9, phase = shape->suture_phase;
    if (up < 0.1)
        return 0;
    const double bregma = -0.17 * shape->length, lambda = 0.40 * shape->length;
    const double tooth = 1.6 * sin(0.55 * side + phase) + 0.9 * sin(1.45 * side + 2 * phase);
    double near = fabs(p[1] - (bregma - 0.0045 * side * side + tooth));
    if (p[1] > bregma && p[1] < lambda && up > 0.5)
        near = fmin(near, fabs(p[0] + 1.5 * sin(0.5 * p[1] + phase) + 1.1 * sin(1.3 * p[1])));
    if (p[1] > 0.2 * shape->length)
        near = fmin(near, 0.7 * fabs(p[2] - (0.58 * shape->height - 0.95 * side + 1.4 * tooth)));
    return solid_bump(near, width);
}

double vault_depth(const struct phantom_shape *shape, const double p[3], double level)
{
    const double h = 0.5;
    double gradient2 = 0;
    for (int i = 0; i < 3; i++) {
        double q[3] = {p[0], p[1], p[2]};
        q[i] += h;
        const double d = (vault_level(shape, q) - level) / h;
        gradient2 += d * d;
    }
    double depth = (1 - level) / sqrt(fmax(gradient2, 1e-8));
    if (depth < -8 || depth > 30)
        return depth;
    depth += vault_relief(shape, p);
    return depth - (fabs(depth) < 3 ? shape->suture * vault_suture(shape, p) : 0);
}

/* ---- walls ---- */

static double vault_thickness(const struct phantom_shape *shape, const double p[3])
{
    const double side = fabs(p[0]), l = 0.5 * shape->length, b = 0.5 * shape->breadth, y = p[1], z = p[2];
    double factor = 1 + (shape->thick_front - 1) * solid_step(-0.35 * l, -0.8 * l, y);
    factor *= 1 + (shape->thick_back - 1) * solid_step(0.4 * l, 0.85 * l, y);
    factor *= 1 - (1 - shape->thick_side) * solid_step(0.5 * b, 0.85 * b, side) * solid_step(40, 5, z) * solid_bump(y + 12, 48);
    if (y > 0.3 * l) /* thin over the cerebellum */
        factor *= 1 - 0.45 * solid_bump(side - 28, 18) * solid_bump(z + 38, 13);
    double t = shape->thickness * factor * (1 + phantom_waves(shape->thick_wave, PHANTOM_WAVES, p));
    if (y > 0.5 * l) /* cruciate eminence: ridges inside the occiput */
        t += 3.5 * solid_bump(side, 9) * solid_bump(z + 14, 9) + 1.6 * solid_bump(side, 5) +
             1.4 * solid_bump(z + 14, 5) * solid_step(55, 40, side);
    else if (y < -0.5 * l) /* frontal crest; the brows are solid */
        t += 2.5 * solid_bump(side, 4) * solid_step(45, 5, z) + 3.5 * solid_bump(z - 1, 12) * solid_step(48, 25, side);
    if (z > 0.4 * shape->height) /* groove of the sagittal sinus between low ridges */
        t += 0.9 * solid_bump(side - 9, 5) - 0.9 * solid_bump(side, 5);
    return fmax(t, shape->wall_min);
}

/* Where the middle and the posterior fossa meet: the petrous ridge's crest runs outwards and back. */
static double petrous_behind(const double p[3])
{
    return p[1] + 16 - 0.62 * fabs(p[0]);
}

/* Height of the inner skull floor. */
static double base_floor(const struct phantom_shape *shape, const double p[3])
{
    const double side = fabs(p[0]), y = p[1], behind = petrous_behind(p);
    double front = shape->floor_front + 7 * solid_bump(side - 29, 16) * solid_step(-30, -45, y); /* orbital roofs */
    front -= 5 * solid_bump(side, 6) * solid_step(-35, -50, y);                                  /* cribriform plate */
    const double middle = shape->floor_middle + 5 * solid_step(35, 55, side);
    /* sella, its back, and the clivus down to the foramen */
    double centre = front - 4 - 6 * solid_bump(y + 25, 6);
    centre += (shape->floor_back - centre) * solid_step(-17, 12, y);
    const double wing = y + 27 + 0.42 * side; /* > 0: behind the lesser wing of the sphenoid */
    double floor = front + (middle - front) * solid_step(-2, 9, wing) * solid_step(9, 19, side);
    floor += (centre - floor) * solid_step(17, 8, side) * solid_step(-32, -24, y);
    const double bowl = 0.0045 * (side * side + 0.6 * (y - 24) * (y - 24));
    floor += (shape->floor_back + bowl - floor) * solid_step(-3, 12, behind) * solid_step(-14, 2, y);
    const double crest = solid_bump(behind, 9) * solid_step(7, 16, side);
    return floor + crest * (shape->floor_front - 13 - floor) * 0.9;
}

static double base_thickness(const struct phantom_shape *shape, const double p[3])
{
    const double side = fabs(p[0]), y = p[1];
    double t = 3.2 + 14 * solid_bump(side, 15) * solid_bump(y + 24, 18); /* sphenoid body */
    t += 12 * solid_bump(side, 15) * solid_bump(y + 6, 12);              /* clivus: steep, so measured upwards it is long */
    t += 9 * solid_bump(petrous_behind(p), 12) * solid_step(8, 18, side);
    t += 4 * solid_bump(side - 16, 8) * solid_bump(y - 14, 14); /* condyles */
    return fmax(t + 2 * solid_step(-20, 20, y), shape->wall_min);
}

double vault_cavity(const struct phantom_shape *shape, const double p[3], double depth)
{
    return solid_both(depth - vault_thickness(shape, p), p[2] - base_floor(shape, p), 7);
}

/* Pores of the spongy layer; both tables stay whole. */
static double vault_pores(const struct phantom_shape *shape, const double p[3], double depth, double cavity)
{
    const double wall = depth - cavity, inside = fmin(depth, -cavity) - fmax(1.5, 0.3 * wall);
    return inside > 0 ? fmin(inside, phantom_waves(shape->pore_wave, PHANTOM_WAVES, p) - 2.2) : inside;
}

static double frontal_sinus(const struct phantom_shape *shape, const double p[3], double depth, double cavity)
{
    const double w = shape->sinus[p[0] > 0 ? 0 : 1];
    if (w <= 0 || p[1] > -0.5 * shape->length)
        return -10;
    const double x = fabs(p[0]) - 1.2 - 0.5 * w;
    const double room = fmin(depth - 2.2, -cavity - 2.0);
    return fmin(room, solid_ellipsoid(x, 0, p[2] - 2 - 0.35 * shape->sinus_h, 0.5 * w + 2, 20, shape->sinus_h));
}

double vault_bone(const struct phantom_shape *shape, const double p[3], double depth, double cavity)
{
    const double floor = base_floor(shape, p), y = p[1];
    double bone = solid_both(depth, p[2] - floor + base_thickness(shape, p), 6);
    bone = solid_cut(bone, cavity, 1.5);
    if (p[2] < -20) { /* foramen magnum */
        const double foramen = solid_ellipsoid(p[0], y - 24, 0, 15.5, 18.5, 1e3);
        bone = solid_cut(bone, foramen, 2);
    }
    bone = fmin(bone, -solid_ellipsoid(p[0], y + 27, p[2] - shape->floor_front + 20, 11, 13, 7)); /* sphenoid sinus */
    bone = fmin(bone, -frontal_sinus(shape, p, depth, cavity));
    if (shape->diploe)
        bone = fmin(bone, -vault_pores(shape, p, depth, cavity));
    return bone;
}
