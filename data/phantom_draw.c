/* phantom_draw.c - one skull of the population: its measures, drawn from ranges that docs/phantom.md compares with real skulls.
 */
#include "data/phantom_shape.h"

#include <math.h>
#include <string.h>

#include "data/phantom_solid.h"

static const double pi = 3.14159265358979323846;

static double draw_normal(struct rng *rng, double mean, double sd, double lo, double hi)
{
    return solid_clamp(rng_normal(rng, mean, sd), lo, hi);
}

/* The midsagittal outline of a skull of 175 mm length and 95 mm height, from the glabella over the vertex round to the nasion. */
enum { OUTLINE_BROW = 1, OUTLINE_BREGMA = 5, OUTLINE_OBELION = 8, OUTLINE_OCCIPUT = 10, OUTLINE_INION = 12, OUTLINE_POINTS = 20 };
static const double outline_standard[OUTLINE_POINTS][2] = {
    {-87.0, 0}, {-86.5, 14}, {-84, 31}, {-76, 52}, {-58, 73}, {-32, 88.5}, {-4, 95},   {24, 94},   {50, 83},   {71, 62},
    {83.5, 35}, {88, 10},    {85, -14}, {74, -36}, {52, -52}, {20, -59},   {-12, -58}, {-45, -46}, {-70, -30}, {-83, -13},
};

/* The way back from one angle to another, 0 to 2 pi: the points run that way round. */
static double angle_between(double from, double to)
{
    return fmod(from - to + 4 * pi, 2 * pi);
}

/* Periodic Catmull-Rom between the points. */
static double outline_radius(const double *angle, const double *radius, double at)
{
    const int n = OUTLINE_POINTS;
    for (int i = 0; i < n; i++) {
        const int before = (i + n - 1) % n, next = (i + 1) % n, after = (i + 2) % n;
        const double span = angle_between(angle[i], angle[next]), into = angle_between(angle[i], at);
        if (into > span)
            continue;
        const double m0 = (radius[next] - radius[before]) / (angle_between(angle[before], angle[i]) + span) * span;
        const double m1 = (radius[after] - radius[i]) / (span + angle_between(angle[next], angle[after])) * span;
        const double t = into / span, t2 = t * t, t3 = t2 * t;
        return (2 * t3 - 3 * t2 + 1) * radius[i] + (t3 - 2 * t2 + t) * m0 + (3 * t2 - 2 * t3) * radius[next] + (t3 - t2) * m1;
    }
    return radius[0];
}

static void profile_blur(double *profile, int reach)
{
    const int n = PHANTOM_PROFILE;
    double blurred[PHANTOM_PROFILE];
    for (int k = 0; k < n; k++) {
        blurred[k] = 0;
        for (int j = -reach; j <= reach; j++)
            blurred[k] += profile[(k + j + n) % n] / (2 * reach + 1);
    }
    memcpy(profile, blurred, sizeof blurred);
}

/* The outline with its own forehead, vertex and occiput, as radius by angle. */
static void draw_profile(struct phantom_shape *shape, struct rng *rng)
{
    double angle[OUTLINE_POINTS], radius[OUTLINE_POINTS], drift = 0;
    const double slope = rng_normal(rng, 0, 0.035), bun = rng_normal(rng, 0, 0.02), flat = rng_normal(rng, 0, 0.02);
    const double tip = rng_normal(rng, 0, 0.02); /* the vertex further back or in front */
    for (int i = 0; i < OUTLINE_POINTS; i++) {
        double y = outline_standard[i][0] * shape->length / 175, z = outline_standard[i][1];
        z *= z > 0 ? shape->height / 95 * (1 + tip * solid_clamp(y / 60, -1, 1)) : 1;
        const double up = solid_clamp(z / shape->height, 0, 1);
        y -= PHANTOM_VAULT_Y;
        z -= PHANTOM_VAULT_Z;
        drift = 0.5 * drift + rng_normal(rng, 0, 0.005);
        angle[i] = atan2(z, y);
        radius[i] = sqrt(y * y + z * z) * (1 + drift);
        if (i >= OUTLINE_BROW && i <= OUTLINE_BREGMA)
            radius[i] *= 1 - slope * sin(pi * up); /* steep or sloping forehead */
        if (i >= OUTLINE_OBELION && i <= OUTLINE_OCCIPUT)
            radius[i] *= 1 - flat * sin(pi * up); /* flat or full about the lambda */
        if (i >= OUTLINE_OCCIPUT && i <= OUTLINE_INION)
            radius[i] *= 1 + bun;
    }
    for (int k = 0; k < PHANTOM_PROFILE; k++)
        shape->profile[k] = outline_radius(angle, radius, -pi + 2 * pi * k / PHANTOM_PROFILE);
    for (int pass = 0; pass < 3; pass++)
        profile_blur(shape->profile, 9);
}

static void draw_waves(struct phantom_wave *wave, struct rng *rng, double shortest_mm, double longest_mm, double amplitude_per_mm)
{
    for (int i = 0; i < PHANTOM_WAVES; i++) {
        const double length = shortest_mm * pow(longest_mm / shortest_mm, (i + rng_uniform(rng, 0, 1)) / PHANTOM_WAVES);
        double norm = 0;
        for (int a = 0; a < 3; a++) {
            wave[i].k[a] = rng_normal(rng, 0, 1);
            norm += wave[i].k[a] * wave[i].k[a];
        }
        for (int a = 0; a < 3; a++)
            wave[i].k[a] *= 2 * pi / length / sqrt(fmax(norm, 1e-6));
        wave[i].phase = rng_uniform(rng, 0, 2 * pi);
        wave[i].amplitude = amplitude_per_mm * length * rng_uniform(rng, 0.3, 1);
    }
}

static void draw_vault(struct phantom_shape *shape, struct rng *rng)
{
    shape->length = draw_normal(rng, 177, 10, 153, 200);
    shape->breadth = draw_normal(rng, 137 + 0.15 * (shape->length - 177), 5.5, 123, 149);
    shape->height = draw_normal(rng, 95, 6, 82, 109);
    shape->front_narrow = rng_uniform(rng, 0.01, 0.08);
    shape->back_narrow = rng_uniform(rng, 0.0, 0.06);
    shape->low_narrow = rng_uniform(rng, 0.08, 0.16);
    shape->box_axial = rng_uniform(rng, 2.1, 2.3);
    shape->box_coronal = rng_uniform(rng, 2.35, 2.75);
    shape->skew_y = draw_normal(rng, 0, 0.03, -0.08, 0.08);
    shape->skew_x = draw_normal(rng, 0, 0.012, -0.03, 0.03);
    shape->lean = draw_normal(rng, 0, 0.012, -0.03, 0.03);
    shape->glabella = rng_uniform(rng, 0.5, 3);
    shape->brow = rng_uniform(rng, 0.5, 3.2);
    shape->temple = rng_uniform(rng, 2.5, 5.5);
    shape->eminence_front = rng_uniform(rng, 0, 1.5);
    shape->eminence_side = rng_uniform(rng, 0, 2.5);
    shape->inion = rng_uniform(rng, 0, 3.5);
    shape->suture = rng_uniform(rng, 0.7, 1.6);
    shape->suture_phase = rng_uniform(rng, 0, 2 * pi);
    draw_profile(shape, rng);
    draw_waves(shape->wave, rng, 16, 100, 0.0065);
}

static void draw_walls(struct phantom_shape *shape, struct rng *rng)
{
    shape->thickness = draw_normal(rng, 7.3, 1.3, 4.6, 10.5);
    shape->thick_front = rng_uniform(rng, 0.85, 1.4);
    shape->thick_back = rng_uniform(rng, 0.95, 1.25);
    shape->thick_side = rng_uniform(rng, 0.35, 0.70);
    draw_waves(shape->thick_wave, rng, 12, 80, 0.0015);
    const double any = rng_uniform(rng, 0, 1) < 0.85;
    for (int i = 0; i < 2; i++)
        shape->sinus[i] = rng_uniform(rng, 3, 24) * any;
    shape->sinus_h = rng_uniform(rng, 7, 17);
    draw_waves(shape->pore_wave, rng, 3, 6, 0.25);
}

static void draw_face(struct phantom_shape *shape, struct rng *rng)
{
    shape->floor_front = rng_uniform(rng, -8, -3);
    shape->floor_middle = rng_uniform(rng, -33, -27);
    shape->floor_back = rng_uniform(rng, -50, -43);
    shape->wide = shape->breadth / 137 * 0.5 + 0.5 * rng_uniform(rng, 0.94, 1.05);
    shape->tall = rng_uniform(rng, 0.92, 1.08);
    shape->deep = shape->length / 175 * 0.6 + 0.4 * rng_uniform(rng, 0.95, 1.05);
    shape->orbit_w = rng_uniform(rng, 18.5, 20.5);
    shape->orbit_h = rng_uniform(rng, 15.5, 18.5);
    shape->orbit_tilt = rng_uniform(rng, 0.05, 0.22);
    shape->cheek = rng_uniform(rng, 6, 8.5);
    shape->arch = rng_uniform(rng, 0.435, 0.465);
    shape->nose_w = rng_uniform(rng, 10.5, 13.5);
    shape->nose_out = rng_uniform(rng, 7, 15);
    shape->septum = rng_uniform(rng, -3, 3);
}

void phantom_draw(struct phantom_shape *shape, struct rng *rng, double wall_min_mm, bool sutures, bool diploe)
{
    memset(shape, 0, sizeof *shape);
    draw_vault(shape, rng);
    draw_walls(shape, rng);
    draw_face(shape, rng);
    shape->wall_min = fmax(2.0, wall_min_mm);
    shape->suture *= sutures;
    shape->diploe = diploe;
}
