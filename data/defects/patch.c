/* patch.c - a patch of the vault in its own coordinates: along, across, and depth below the outer surface. See
 * patch.h. Test: tests/data/test_anatomy.c. */
#include "data/defects/patch.h"

#include <math.h>
#include <string.h>

static const double RADIUS_MIN_MM = 45, RADIUS_USUAL_MM = 80, RADIUS_MAX_MM = 140;
enum { RINGS = 6, SPOKES = 16, SAMPLES = RINGS * SPOKES };

static double patch_dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void patch_cross(const double a[3], const double b[3], double out[3])
{
    for (int k = 0; k < 3; k++)
        out[k] = a[(k + 1) % 3] * b[(k + 2) % 3] - a[(k + 2) % 3] * b[(k + 1) % 3];
}

static bool patch_normalise(double v[3])
{
    const double length = sqrt(patch_dot(v, v));
    for (int k = 0; k < 3; k++)
        v[k] /= length > 0 ? length : 1;
    return length > 1e-9;
}

/* Tangents for a normal: across is horizontal. */
static void patch_tangents(struct vault_patch *patch, const struct anatomy *anatomy)
{
    patch_cross(anatomy->frame[2], patch->normal, patch->across);
    if (!patch_normalise(patch->across))
        memcpy(patch->across, anatomy->frame[0], sizeof patch->across);
    patch_cross(patch->normal, patch->across, patch->along);
}

/* The mean normal of the facets of a fan around the point: each spoke's steps cross the next spoke's. */
static void patch_normal(struct vault_patch *patch, double (*sample)[3], const bool *found)
{
    double sum[3] = {0}, facet[3], a[3], b[3];

    for (int i = 0; i < SAMPLES; i++) {
        const int next = i / SPOKES * SPOKES + (i + 1) % SPOKES;
        if (!found[i] || !found[next])
            continue;
        for (int k = 0; k < 3; k++) {
            a[k] = sample[i][k] - patch->point_mm[k];
            b[k] = sample[next][k] - patch->point_mm[k];
        }
        patch_cross(a, b, facet);
        const double sign = patch_dot(facet, patch->normal) < 0 ? -1 : 1;
        for (int k = 0; k < 3; k++)
            sum[k] += sign * facet[k];
    }

    if (patch_normalise(sum))
        memcpy(patch->normal, sum, sizeof sum);
}

/* Least squares of depth = t^2 / (2 radius) over the samples, which the cells make uncertain, held with equal weight to
 * a vault's usual radius. */
static void patch_curvature(struct vault_patch *patch, double (*sample)[3], const bool *found, double usual_mm)
{
    double depth_t2 = 0, t4 = 0, d[3];
    for (int i = 0; i < SAMPLES; i++) {
        if (!found[i])
            continue;
        for (int k = 0; k < 3; k++)
            d[k] = sample[i][k] - patch->point_mm[k];
        const double depth = -patch_dot(d, patch->normal), t2 = patch_dot(d, d) - depth * depth;
        depth_t2 += depth * t2;
        t4 += t2 * t2;
    }
    const double curvature = t4 > 0 ? depth_t2 / t4 + 1 / (2 * usual_mm) : 1 / usual_mm; /* twice 1 / (2 radius) */
    const double radius = curvature > 0 ? 1 / curvature : RADIUS_MAX_MM;
    patch->radius_mm = fmin(fmax(radius, RADIUS_MIN_MM), RADIUS_MAX_MM);
}

bool vault_patch_find(struct vault_patch *ret, const struct anatomy *anatomy, double azimuth, double elevation,
                      double reach_mm)
{
    double sample[SAMPLES][3], from[3], to[3], toward[3];
    bool found[SAMPLES];
    if (!anatomy_surface(anatomy, azimuth, elevation, ret->point_mm))
        return false;
    anatomy_direction(anatomy, azimuth, elevation, ret->normal);
    patch_tangents(ret, anatomy);
    const double pi = 3.14159265358979323846;
    for (int i = 0; i < SAMPLES; i++) {
        const int ring = 1 + i / SPOKES, spoke = i % SPOKES;
        const double step = reach_mm * ring / RINGS, turn = 2 * pi * spoke / SPOKES;
        double to_azimuth, to_elevation;
        for (int k = 0; k < 3; k++) {
            toward[k] = cos(turn) * ret->across[k] + sin(turn) * ret->along[k];
            from[k] = ret->point_mm[k] + step * toward[k];
        }
        anatomy_angles(anatomy, from, &to_azimuth, &to_elevation);
        found[i] = anatomy_surface(anatomy, to_azimuth, to_elevation, to);
        memcpy(sample[i], to, sizeof to);
    }
    patch_normal(ret, sample, found);
    patch_tangents(ret, anatomy);
    patch_curvature(ret, sample, found, RADIUS_USUAL_MM * anatomy->scale);
    return true;
}
