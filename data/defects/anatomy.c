/* anatomy.c - left, back and up of a skull, its widest slice and its orbital rims, from bone alone. See anatomy.h.
 * Test: tests/data/test_anatomy.c. */
#include "data/defects/anatomy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static const double DEG = 3.14159265358979323846 / 180;
static const double HEAD_WIDTH_MM = 145, MIDDLE_DEPTH_MM = 75, WIDTH_LEVEL_MM = 65;
static const double RAY_FIRST_MM = 25, RAY_LAST_MM = 140, RAY_STEP_MM = 1, RAY_GAP_MM = 5;
static const double YAW_MAX_DEG = 20, PITCH_MAX_DEG = 25, RIM_DROP_MM = 10;

/* ---- the coarse mask ---- */

static enum status anatomy_coarsen(struct anatomy *anatomy, const struct volume *skull, struct box box,
                                   struct error *error)
{
    const int64_t *dim = skull->grid.dim;
    int64_t n = 1, *cell_x = memory_alloc((size_t)dim[0], sizeof *cell_x);

    for (int a = 0; a < 3; a++) {
        anatomy->spacing_mm[a] = grid_spacing_mm(&skull->grid, a);
        anatomy->size[a] = (int64_t)((double)dim[a] * anatomy->spacing_mm[a] / ANATOMY_CELL_MM) + 1;
        n *= anatomy->size[a];
    }

    anatomy->bone = memory_zalloc((size_t)n, 1);
    if (!cell_x || !anatomy->bone) {
        memory_free(cell_x);
        return error_memory(error, (size_t)n, "the skull's anatomy");
    }

    for (int64_t x = 0; x < dim[0]; x++)
        cell_x[x] = (int64_t)((double)x * anatomy->spacing_mm[0] / ANATOMY_CELL_MM);

    /* A cell is bone where any of its voxels is */
    for (int64_t z = box.lo[2]; z < box.hi[2]; z++)
        for (int64_t y = box.lo[1]; y < box.hi[1]; y++) {
            const uint8_t *row = (const uint8_t *)skull->data + (z * dim[1] + y) * dim[0];
            uint8_t *cells =
                anatomy->bone + ((int64_t)((double)z * anatomy->spacing_mm[2] / ANATOMY_CELL_MM) * anatomy->size[1] +
                                 (int64_t)((double)y * anatomy->spacing_mm[1] / ANATOMY_CELL_MM)) *
                                    anatomy->size[0];
            for (int64_t x = box.lo[0]; x < box.hi[0]; x++)
                if (row[x])
                    cells[cell_x[x]] = 1;
        }

    memory_free(cell_x);
    return STATUS_OK;
}

static bool anatomy_bone_at(const struct anatomy *anatomy, const double point_mm[3])
{
    int64_t cell[3];
    for (int a = 0; a < 3; a++) {
        cell[a] = (int64_t)floor(point_mm[a] / ANATOMY_CELL_MM);
        if (cell[a] < 0 || cell[a] >= anatomy->size[a])
            return false;
    }
    return anatomy->bone[(cell[2] * anatomy->size[1] + cell[1]) * anatomy->size[0] + cell[0]] != 0;
}

/* ---- rays ---- */

void anatomy_direction(const struct anatomy *anatomy, double azimuth, double elevation, double direction[3])
{
    const double part[3] = {cos(elevation * DEG) * sin(azimuth * DEG), -cos(elevation * DEG) * cos(azimuth * DEG),
                            sin(elevation * DEG)};
    for (int k = 0; k < 3; k++)
        direction[k] = part[0] * anatomy->frame[0][k] + part[1] * anatomy->frame[1][k] + part[2] * anatomy->frame[2][k];
}

void anatomy_angles(const struct anatomy *anatomy, const double point_mm[3], double *ret_azimuth, double *ret_elevation)
{
    double part[3] = {0};
    for (int a = 0; a < 3; a++)
        for (int k = 0; k < 3; k++)
            part[a] += (point_mm[k] - anatomy->middle_mm[k]) * anatomy->frame[a][k];
    *ret_azimuth = atan2(part[0], -part[1]) / DEG;
    *ret_elevation = atan2(part[2], hypot(part[0], part[1])) / DEG;
}

/* Distance to the end of the first run of bone from inside (gaps of a few mm belong to it), or 0. */
static double anatomy_reach(const struct anatomy *anatomy, double azimuth, double elevation)
{
    double direction[3], point[3], reach = 0;
    anatomy_direction(anatomy, azimuth, elevation, direction);
    for (double r = RAY_FIRST_MM * anatomy->scale; r < RAY_LAST_MM * anatomy->scale; r += RAY_STEP_MM) {
        for (int k = 0; k < 3; k++)
            point[k] = anatomy->middle_mm[k] + r * direction[k];
        if (anatomy_bone_at(anatomy, point))
            reach = r;
        else if (reach > 0 && r > reach + RAY_GAP_MM)
            break;
    }
    return reach;
}

bool anatomy_surface(const struct anatomy *anatomy, double azimuth, double elevation, double point_mm[3])
{
    double direction[3];
    const double reach = anatomy_reach(anatomy, azimuth, elevation);
    anatomy_direction(anatomy, azimuth, elevation, direction);
    for (int k = 0; k < 3; k++)
        point_mm[k] = anatomy->middle_mm[k] + reach * direction[k];
    return reach > 0;
}

double anatomy_vault_floor(double azimuth)
{
    /* front, 45, side, 135, back */
    static const double floor_deg[] = {ANATOMY_RIM_DEG + 7, ANATOMY_RIM_DEG + 5, -20, -22, -25};
    const double at = fabs(remainder(azimuth, 360)) / 45;
    const int i = at < 3 ? (int)at : 3;
    return floor_deg[i] + (at - i) * (floor_deg[i + 1] - floor_deg[i]);
}

/* ---- the frame ---- */

/* The middle: halfway between the outermost bone on a level below the top, and below the top itself. */
static void anatomy_place(struct anatomy *anatomy)
{
    const int64_t *size = anatomy->size;
    int64_t top = size[2] - 1, lo[2] = {size[0], size[1]}, hi[2] = {0, 0};

    while (top > 0 && !memchr(anatomy->bone + top * size[0] * size[1], 1, (size_t)(size[0] * size[1])))
        top--;
    int64_t level = top - (int64_t)(WIDTH_LEVEL_MM / ANATOMY_CELL_MM);
    level = level > 0 ? level : 0;

    for (int64_t i = 0; i < size[0] * size[1]; i++)
        if (anatomy->bone[level * size[0] * size[1] + i]) {
            const int64_t at[2] = {i % size[0], i / size[0]};
            for (int a = 0; a < 2; a++) {
                lo[a] = at[a] < lo[a] ? at[a] : lo[a];
                hi[a] = at[a] + 1 > hi[a] ? at[a] + 1 : hi[a];
            }
        }
    const double width = (double)(hi[0] - lo[0]) * ANATOMY_CELL_MM / HEAD_WIDTH_MM;
    anatomy->scale = width > 0.5 && width < 1.6 ? width : 1;

    for (int a = 0; a < 2; a++)
        anatomy->middle_mm[a] =
            hi[a] > lo[a] ? (double)(lo[a] + hi[a]) * ANATOMY_CELL_MM / 2 : (double)size[a] * ANATOMY_CELL_MM / 2;
    anatomy->middle_mm[2] = (double)(top + 1) * ANATOMY_CELL_MM - MIDDLE_DEPTH_MM * anatomy->scale;
}

/* Turns two axes of the frame by `deg` in their plane, first towards second. */
static void anatomy_turn(struct anatomy *anatomy, int first, int second, double deg)
{
    for (int k = 0; k < 3; k++) {
        const double p = anatomy->frame[first][k], q = anatomy->frame[second][k];
        anatomy->frame[first][k] = cos(deg * DEG) * p + sin(deg * DEG) * q;
        anatomy->frame[second][k] = cos(deg * DEG) * q - sin(deg * DEG) * p;
    }
}

/* The vault is longer than wide: its outline's main axis runs from front to back. */
static void anatomy_yaw(struct anatomy *anatomy)
{
    double sum[3] = {0}, point[3];
    for (int azimuth = 0; azimuth < 360; azimuth += 4)
        for (int elevation = 12; elevation <= 40; elevation += 7)
            if (anatomy_surface(anatomy, azimuth, elevation, point)) {
                const double x = point[0] - anatomy->middle_mm[0], y = point[1] - anatomy->middle_mm[1];
                sum[0] += x * x;
                sum[1] += x * y;
                sum[2] += y * y;
            }
    const double yaw = 0.5 * atan2(2 * sum[1], sum[2] - sum[0]) / DEG; /* of the main axis, from y towards x */
    if (fabs(yaw) <= YAW_MAX_DEG)
        anatomy_turn(anatomy, 0, 1, -yaw);
}

static int anatomy_compare(const void *a, const void *b)
{
    const double p = *(const double *)a, q = *(const double *)b;
    return (p > q) - (p < q);
}

/* Elevation where the outer surface at this azimuth breaks off, or NAN. */
static double anatomy_rim(const struct anatomy *anatomy, double azimuth)
{
    double most = 0;
    for (double elevation = 35; elevation > -45; elevation -= 1) {
        const double reach = anatomy_reach(anatomy, azimuth, elevation);
        if (most > 0 && reach < most - RIM_DROP_MM * anatomy->scale)
            return elevation;
        most = fmax(reach, most - 1.5);
    }
    return NAN;
}

static void anatomy_pitch(struct anatomy *anatomy)
{
    double rims[16];
    int n = 0;
    for (int side = -1; side <= 1; side += 2)
        for (int azimuth = 12; azimuth <= 30; azimuth += 3) {
            const double rim = anatomy_rim(anatomy, side * azimuth);
            if (isfinite(rim))
                rims[n++] = rim;
        }
    if (n < 7)
        return;
    qsort(rims, (size_t)n, sizeof *rims, anatomy_compare);
    anatomy->rim_deg = rims[n / 2];
    anatomy->rim_found = fabs(anatomy->rim_deg - ANATOMY_RIM_DEG) <= PITCH_MAX_DEG;
    if (anatomy->rim_found) /* rim too high: the frame's front goes up, so its back goes down */
        anatomy_turn(anatomy, 1, 2, ANATOMY_RIM_DEG - anatomy->rim_deg);
}

enum status anatomy_find(struct anatomy *ret, const struct volume *skull, struct box skull_box, struct error *error)
{
    *ret = (struct anatomy){.frame = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
    if (anatomy_coarsen(ret, skull, skull_box, error)) {
        anatomy_done(ret);
        return error->status;
    }
    anatomy_place(ret);
    anatomy_yaw(ret);
    anatomy_pitch(ret);
    return STATUS_OK;
}

void anatomy_done(struct anatomy *anatomy)
{
    memory_free(anatomy->bone);
    anatomy->bone = NULL;
}
