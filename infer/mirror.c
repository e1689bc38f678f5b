/* mirror.c - see mirror.h. A plane is scored on a coarse grid of bone fractions f by
 *     sum f(c) f(c mirrored) / sum f(c)^2, at most 1.
 * Test: tests/infer/test_mirror.c */
#include "infer/mirror.h"

#include <math.h>
#include <string.h>

#include "data/mask/morphology.h"

static const double RADIANS = 3.14159265358979323846 / 180;
enum { SEARCH_ANGLES = 9, SEARCH_OFFSETS = 13 };
static const double SEARCH_CELL_MM = 5, REFINE_CELL_MM = 2, SEARCH_STEP = 4 /* degrees, mm */, REFINE_STEP = 2,
                    REFINE_END = 0.05;

/* The skull on coarse cells. */
struct fractions {
    struct grid grid;
    float *value;
    double square_sum, centre[3]; /* centre of the bone, world */
};

/* A plane by yaw and roll in degrees and its distance from the bone's centre in mm. */
struct tilt {
    double at[3];
};

static enum status fractions_make(struct fractions *ret, const struct volume *skull, double cell_mm,
                                  struct error *error)
{
    const struct grid *fine = &skull->grid;
    struct fractions f = {.grid = *fine};
    int64_t factor[3];

    for (int a = 0; a < 3; a++) {
        factor[a] = llround(cell_mm / grid_spacing_mm(fine, a));
        factor[a] = factor[a] < 1 ? 1 : factor[a];
        f.grid.dim[a] = (fine->dim[a] + factor[a] - 1) / factor[a];
        for (int k = 0; k < 3; k++) {
            f.grid.axis[a][k] *= (double)factor[a];
            f.grid.origin[k] += 0.5 * (double)(factor[a] - 1) * fine->axis[a][k];
        }
    }

    int64_t n = grid_voxels(&f.grid);
    f.value = memory_zalloc((size_t)n, sizeof *f.value);
    if (!f.value)
        return error_memory(error, (size_t)n * sizeof *f.value, "the search for the symmetry plane");

    /* Each voxel of bone adds its share of a cell's volume. */
    float share = 1.0f / (float)(factor[0] * factor[1] * factor[2]);

#pragma omp parallel for schedule(static)
    for (int64_t cz = 0; cz < f.grid.dim[2]; cz++)
        for (int64_t z = cz * factor[2]; z < (cz + 1) * factor[2] && z < fine->dim[2]; z++)
            for (int64_t y = 0; y < fine->dim[1]; y++) {
                const uint8_t *row = (const uint8_t *)skull->data + (z * fine->dim[1] + y) * fine->dim[0];
                float *cells = f.value + (cz * f.grid.dim[1] + y / factor[1]) * f.grid.dim[0];
                for (int64_t x = 0; x < fine->dim[0]; x++)
                    if (row[x])
                        cells[x / factor[0]] += share;
            }

    *ret = f;

    return STATUS_OK;
}

static enum status fractions_centre(struct fractions *f, struct error *error)
{
    double sum = 0, index[3] = {0};
    for (int64_t i = 0; i < grid_voxels(&f->grid); i++) {
        const int64_t x = i % f->grid.dim[0], y = i / f->grid.dim[0] % f->grid.dim[1],
                      z = i / f->grid.dim[0] / f->grid.dim[1];
        double value = (double)f->value[i];
        sum += value;
        f->square_sum += value * value;
        index[0] += value * (double)x;
        index[1] += value * (double)y;
        index[2] += value * (double)z;
    }

    if (sum <= 0)
        return error_set(error, STATUS_FAILED, "symmetry plane: the skull is empty (a mask of bone is needed)");
    for (int a = 0; a < 3; a++)
        index[a] /= sum;
    grid_to_world(&f->grid, index, f->centre);

    return STATUS_OK;
}

static struct mirror_plane tilt_plane(const struct tilt *tilt, const double centre[3])
{
    double yaw = tilt->at[0] * RADIANS, roll = tilt->at[1] * RADIANS;
    struct mirror_plane plane = {.normal = {cos(roll) * cos(yaw), cos(roll) * sin(yaw), sin(roll)},
                                 .offset_mm = tilt->at[2]};
    for (int k = 0; k < 3; k++)
        plane.offset_mm += plane.normal[k] * centre[k];
    return plane;
}

/* index' = map[a][0..2] . index + map[a][3]: the mirror image of a voxel, in voxels. */
static void mirror_index_map(const struct mirror_plane *plane, const struct grid *grid, double map[3][4])
{
    double image[4][3]; /* of the indices 0,0,0 and the three units */
    for (int i = 0; i < 4; i++) {
        double index[3] = {i == 0, i == 1, i == 2}, world[3], distance = -plane->offset_mm;
        if (i == 3)
            memset(index, 0, sizeof index);
        grid_to_world(grid, index, world);
        for (int k = 0; k < 3; k++)
            distance += plane->normal[k] * world[k];
        for (int k = 0; k < 3; k++)
            world[k] -= 2 * distance * plane->normal[k];
        grid_to_index(grid, world, image[i]);
    }

    /* Column i is the image of unit i minus the image of the origin; the last column is the image of the origin. */
    for (int a = 0; a < 3; a++) {
        for (int i = 0; i < 3; i++)
            map[a][i] = image[i][a] - image[3][a];
        map[a][3] = image[3][a];
    }
}

/* Trilinear, all eight corners within: the same sum as below, in the same order. */
static double fractions_within(const float *value, int64_t dx, int64_t dxy, const double part[3])
{
    const double x[2] = {1 - part[0], part[0]}, y[2] = {1 - part[1], part[1]}, z[2] = {1 - part[2], part[2]};
    double sum = 0;
    for (int corner = 0; corner < 8; corner++)
        sum += x[corner & 1] * y[corner >> 1 & 1] * z[corner >> 2] *
               (double)value[(corner & 1) + (corner >> 1 & 1) * dx + (corner >> 2) * dxy];
    return sum;
}

/* Trilinear; zero beyond the grid. */
static double fractions_at(const struct fractions *f, const double index[3])
{
    const int64_t *dim = f->grid.dim;
    int64_t low[3];
    double part[3], sum = 0;
    bool within = true;

    for (int a = 0; a < 3; a++) {
        if (!(index[a] > -1 && index[a] < (double)dim[a]))
            return 0;
        low[a] = (int64_t)(index[a] + 1) - 1; /* floor, for what is above -1 */
        part[a] = index[a] - (double)low[a];
        within &= low[a] >= 0 && low[a] + 1 < dim[a];
    }

    /* Most cells lie inside: the shorter sum. */
    if (within)
        return fractions_within(f->value + (low[2] * dim[1] + low[1]) * dim[0] + low[0], dim[0], dim[0] * dim[1], part);
    for (int corner = 0; corner < 8; corner++) {
        int64_t at[3];
        double weight = 1;
        for (int a = 0; a < 3; a++) {
            at[a] = low[a] + (corner >> a & 1);
            weight *= corner >> a & 1 ? part[a] : 1 - part[a];
            if (at[a] < 0 || at[a] >= dim[a])
                weight = 0;
        }
        if (weight > 0)
            sum += weight * (double)f->value[(at[2] * dim[1] + at[1]) * dim[0] + at[0]];
    }

    return sum;
}

static double fractions_score(const struct fractions *f, const struct mirror_plane *plane)
{
    double map[3][4], sum = 0;
    mirror_index_map(plane, &f->grid, map);
    int64_t i = 0;

    for (int64_t z = 0; z < f->grid.dim[2]; z++)
        for (int64_t y = 0; y < f->grid.dim[1]; y++)
            for (int64_t x = 0; x < f->grid.dim[0]; x++, i++) {
                if (f->value[i] == 0)
                    continue;
                double image[3];
                for (int a = 0; a < 3; a++)
                    image[a] = map[a][0] * (double)x + map[a][1] * (double)y + map[a][2] * (double)z + map[a][3];
                sum += (double)f->value[i] * fractions_at(f, image);
            }

    return sum / f->square_sum;
}

static enum status mirror_search(struct tilt *ret, const struct volume *skull, struct error *error)
{
    enum { N = SEARCH_ANGLES * SEARCH_ANGLES * SEARCH_OFFSETS };
    struct fractions f = {0};
    double score[N];
    struct tilt tilt[N];
    enum status status = fractions_make(&f, skull, SEARCH_CELL_MM, error);

    if (!status)
        status = fractions_centre(&f, error);
    if (!status) {
#pragma omp parallel for schedule(static)
        for (int i = 0; i < N; i++) {
            const int steps[] = {i % SEARCH_ANGLES - SEARCH_ANGLES / 2,
                                 i / SEARCH_ANGLES % SEARCH_ANGLES - SEARCH_ANGLES / 2,
                                 i / (SEARCH_ANGLES * SEARCH_ANGLES) - SEARCH_OFFSETS / 2};
            for (int a = 0; a < 3; a++)
                tilt[i].at[a] = SEARCH_STEP * steps[a];
            struct mirror_plane plane = tilt_plane(&tilt[i], f.centre);
            score[i] = fractions_score(&f, &plane);
        }

        /* The first maximum, so that the result does not depend on the thread count. */
        int best = 0;
        for (int i = 1; i < N; i++)
            best = score[i] > score[best] ? i : best;
        *ret = tilt[best];
    }

    memory_free(f.value);
    return status;
}

/* Climbs one step along every axis while that helps, then halves the step. */
static void mirror_refine(struct mirror_plane *ret, struct tilt tilt, const struct fractions *f)
{
    struct mirror_plane best = tilt_plane(&tilt, f->centre);
    best.overlap_frac = fractions_score(f, &best);
    for (double step = REFINE_STEP; step > REFINE_END;) {
        double score[6];
#pragma omp parallel for schedule(static)
        for (int i = 0; i < 6; i++) {
            struct tilt near = tilt;
            near.at[i / 2] += i % 2 ? step : -step;
            struct mirror_plane plane = tilt_plane(&near, f->centre);
            score[i] = fractions_score(f, &plane);
        }

        /* A step that does not improve the score is halved. */
        int up = 0;
        for (int i = 1; i < 6; i++)
            up = score[i] > score[up] ? i : up;
        if (score[up] <= best.overlap_frac) {
            step /= 2;
            continue;
        }
        tilt.at[up / 2] += up % 2 ? step : -step;
        best = tilt_plane(&tilt, f->centre);
        best.overlap_frac = score[up];
    }
    *ret = best;
}

enum status mirror_find(struct mirror_plane *ret, const struct volume *skull, struct error *error)
{
    struct tilt tilt;
    struct fractions f = {0};
    enum status status = mirror_search(&tilt, skull, error);
    if (!status)
        status = fractions_make(&f, skull, REFINE_CELL_MM, error);
    if (!status)
        status = fractions_centre(&f, error);
    if (!status)
        mirror_refine(ret, tilt, &f);
    memory_free(f.value);
    return status;
}

void mirror_box(uint8_t *out, const struct volume *skull, const struct mirror_plane *plane, struct box box)
{
    const int64_t *dim = skull->grid.dim, w = box.hi[0] - box.lo[0], h = box.hi[1] - box.lo[1];
    const uint8_t *bone = skull->data;
    double map[3][4];

    mirror_index_map(plane, &skull->grid, map);
#pragma omp parallel for schedule(static)
    for (int64_t z = box.lo[2]; z < box.hi[2]; z++)
        for (int64_t y = box.lo[1]; y < box.hi[1]; y++)
            for (int64_t x = box.lo[0]; x < box.hi[0]; x++) {
                int64_t at[3];
                bool inside = true;
                for (int a = 0; a < 3 && inside; a++) {
                    double image =
                        map[a][0] * (double)x + map[a][1] * (double)y + map[a][2] * (double)z + map[a][3] + 0.5;
                    inside = image >= 0 && image < (double)dim[a];
                    at[a] = inside ? (int64_t)image : 0; /* rounded to the nearest */
                }
                out[((z - box.lo[2]) * h + y - box.lo[1]) * w + x - box.lo[0]] =
                    inside && bone[(at[2] * dim[1] + at[1]) * dim[0] + at[0]];
            }
}

void mirror_fill(uint8_t *implant, const struct volume *skull, const struct mirror_plane *plane)
{
    const int64_t *dim = skull->grid.dim, n = grid_voxels(&skull->grid);
    const uint8_t *bone = skull->data;
    mirror_box(implant, skull, plane, (struct box){.hi = {dim[0], dim[1], dim[2]}});
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++)
        implant[i] = implant[i] && !bone[i];
}
