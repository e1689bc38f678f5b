/* insertion.c - see insertion.h. Test: tests/infer/test_insertion.c */
#include "infer/insertion.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/mask/distance.h"
#include "data/picture/render.h"
#include "infer/pieces.h"

enum { CANDIDATES = 240, RING = 12, RINGS = 3, CONNECTIVITY = 6, BLOCK = 4 /* cells */, FAR = 64 /* blocks */ };
static const double CONE_COS = 0.342 /* 70 degrees */, COARSE_MM = 1.5, REACH_MM = 40, SOLID = 0.8, EQUAL = 1.12,
                    EQUAL_FRAC = 0.01, PI = 3.14159265358979;

/* A piece and the bone round it on one grid: shares of bone, 0 to 255. */
struct insertion_field {
    struct grid grid;
    struct box box; /* of the piece, within the field */
    uint8_t *piece, *bone;
    int64_t block_dim[3];
    uint8_t *away; /* of each block: blocks to the nearest in which a ray can meet bone (Chebyshev), at most FAR */
};

static void insertion_field_done(struct insertion_field *field)
{
    memory_free(field->piece);
    memory_free(field->bone);
    memory_free(field->away);
}

static int64_t insertion_at(const struct grid *grid, int64_t x, int64_t y, int64_t z)
{
    return (z * grid->dim[1] + y) * grid->dim[0] + x;
}

/* A trilinear value reaches SOLID only where a corner does: blocks without one can be skipped. A block holds the cells
 * whose lower corner lies in it, so a solid corner counts in the blocks before it as well. */
static enum status insertion_blocks(struct insertion_field *field, struct error *error)
{
    const int64_t *dim = field->grid.dim;
    for (int a = 0; a < 3; a++)
        field->block_dim[a] = (dim[a] + BLOCK - 1) / BLOCK;
    const int64_t *blocks = field->block_dim, n = blocks[0] * blocks[1] * blocks[2];
    field->away = memory_alloc((size_t)n, 1);
    if (!field->away)
        return error_memory(error, (size_t)n, "the way of the implant");
    memset(field->away, FAR, (size_t)n);

    for (int64_t z = 0; z < dim[2]; z++)
        for (int64_t y = 0; y < dim[1]; y++) {
            const uint8_t *row = field->bone + insertion_at(&field->grid, 0, y, z);
            for (int64_t x = 0; x < dim[0]; x++) {
                if ((double)row[x] < SOLID * 255)
                    continue;
                for (int c = 0; c < 8; c++) {
                    const int64_t bx = (x - (c & 1)) / BLOCK, by = (y - (c >> 1 & 1)) / BLOCK,
                                  bz = (z - (c >> 2)) / BLOCK;
                    field->away[(bz * blocks[1] + by) * blocks[0] + bx] = 0;
                }
            }
        }
    distance_chebyshev(field->away, blocks);
    return STATUS_OK;
}

/* Voxels of each kind in a cell; at most factor^3, which 16 bits hold. */
static void insertion_count_cells(uint16_t *count, const struct insertion_field *field, const struct crop *piece,
                                  const struct volume *skull, struct box box, const int64_t factor[3])
{
    const int64_t *dim = skull->grid.dim, *own = piece->dim;
    for (int64_t z = box.lo[2]; z < box.hi[2]; z++)
        for (int64_t y = box.lo[1]; y < box.hi[1]; y++) {
            const uint8_t *bone = (const uint8_t *)skull->data + (z * dim[1] + y) * dim[0];
            uint16_t *row =
                count + 2 * insertion_at(&field->grid, 0, (y - box.lo[1]) / factor[1], (z - box.lo[2]) / factor[2]);
            for (int64_t x = box.lo[0], part = 0; x < box.hi[0]; x++) {
                row[1] = (uint16_t)(row[1] + (bone[x] != 0));
                part = part + 1 < factor[0] ? part + 1 : 0;
                row += part == 0 ? 2 : 0;
            }
        }

    for (int64_t z = 0, i = 0; z < own[2]; z++)
        for (int64_t y = 0; y < own[1]; y++)
            for (int64_t x = 0; x < own[0]; x++, i++) {
                const int64_t at = insertion_at(&field->grid, (piece->box.lo[0] + x - box.lo[0]) / factor[0],
                                                (piece->box.lo[1] + y - box.lo[1]) / factor[1],
                                                (piece->box.lo[2] + z - box.lo[2]) / factor[2]);
                count[2 * at] = (uint16_t)(count[2 * at] + (piece->mask[i] != 0));
            }
}

/* On the volume's own voxels: a row of bone is copied, the piece set into its place. */
static void insertion_copy_cells(struct insertion_field *field, const struct crop *piece, const struct volume *skull,
                                 struct box box)
{
    const int64_t *dim = skull->grid.dim, *own = piece->dim;
    for (int64_t z = box.lo[2]; z < box.hi[2]; z++)
        for (int64_t y = box.lo[1]; y < box.hi[1]; y++) {
            const uint8_t *bone = (const uint8_t *)skull->data + (z * dim[1] + y) * dim[0] + box.lo[0];
            uint8_t *to = field->bone + insertion_at(&field->grid, 0, y - box.lo[1], z - box.lo[2]);
            for (int64_t x = 0; x < box.hi[0] - box.lo[0]; x++)
                to[x] = bone[x] ? 255 : 0;
        }
    for (int64_t z = 0; z < own[2]; z++)
        for (int64_t y = 0; y < own[1]; y++)
            memcpy(field->piece + insertion_at(&field->grid, piece->box.lo[0] - box.lo[0],
                                               piece->box.lo[1] + y - box.lo[1], piece->box.lo[2] + z - box.lo[2]),
                   piece->mask + (z * own[1] + y) * own[0], (size_t)own[0]);
}

/* The voxels of piece and bone, `factor` to one along each axis. box: of the volume, around the piece's crop. */
static enum status insertion_field_make(struct insertion_field *ret, const struct crop *piece,
                                        const struct volume *skull, struct box box, const int64_t factor[3],
                                        struct error *error)
{
    struct insertion_field field = {.grid = skull->grid};
    for (int a = 0; a < 3; a++) {
        field.grid.dim[a] = (box.hi[a] - box.lo[a] + factor[a] - 1) / factor[a];
        for (int k = 0; k < 3; k++) {
            field.grid.origin[k] += ((double)box.lo[a] + 0.5 * (double)(factor[a] - 1)) * skull->grid.axis[a][k];
            field.grid.axis[a][k] *= (double)factor[a];
        }
    }

    const int64_t n = grid_voxels(&field.grid), whole = factor[0] * factor[1] * factor[2];
    uint16_t *count = whole > 1 ? memory_zalloc((size_t)n, 2 * sizeof *count) : NULL;
    field.piece = memory_zalloc((size_t)n, 1);
    field.bone = memory_alloc((size_t)n, 1);
    if ((whole > 1 && !count) || !field.piece || !field.bone) {
        memory_free(count);
        insertion_field_done(&field);
        return error_memory(error, (whole > 1 ? 6 : 2) * (size_t)n, "the way of the implant");
    }

    if (count)
        insertion_count_cells(count, &field, piece, skull, box, factor);
    else
        insertion_copy_cells(&field, piece, skull, box);
    for (int64_t i = 0; count && i < n; i++) {
        field.piece[i] = 2 * count[2 * i] >= whole;
        field.bone[i] = (uint8_t)(255 * count[2 * i + 1] / whole);
    }
    memory_free(count);

    if (insertion_blocks(&field, error)) {
        insertion_field_done(&field);
        return error->status;
    }
    field.box = box_of_mask(field.piece, field.grid.dim);
    *ret = field;
    return STATUS_OK;
}

/* Trilinear share of bone; 0 beyond the field. */
static double insertion_bone(const struct insertion_field *field, const double at[3])
{
    const int64_t *dim = field->grid.dim;
    int64_t low[3];
    double part[3], sum = 0;
    for (int a = 0; a < 3; a++) {
        if (!(at[a] >= 0 && at[a] < (double)(dim[a] - 1)))
            return 0;
        low[a] = (int64_t)at[a];
        part[a] = at[a] - (double)low[a];
    }

    const uint8_t *corner = field->bone + insertion_at(&field->grid, low[0], low[1], low[2]);
    for (int c = 0; c < 8; c++)
        sum += ((c & 1) ? part[0] : 1 - part[0]) * ((c & 2) ? part[1] : 1 - part[1]) *
               ((c & 4) ? part[2] : 1 - part[2]) *
               (double)corner[(c & 1) + (c >> 1 & 1) * dim[0] + (c >> 2) * dim[0] * dim[1]];
    return sum / 255;
}

/* A step of half the finest voxel side along `out` (world), in indices of the field. */
static void insertion_step(const struct grid *grid, const double out[3], double step[3])
{
    double finest = INFINITY, from[3], to[3], world[3];
    for (int a = 0; a < 3; a++)
        finest = fmin(finest, grid_spacing_mm(grid, a));
    for (int k = 0; k < 3; k++)
        world[k] = grid->origin[k] + 0.5 * finest * out[k];
    grid_to_index(grid, grid->origin, from);
    grid_to_index(grid, world, to);
    for (int a = 0; a < 3; a++)
        step[a] = to[a] - from[a];
}

/* Does the ray from a voxel along `step` meet bone before it leaves the field? Where no bone is within some blocks, the
 * ray goes on to their end at once. longest: of a step's components. */
static bool insertion_blocked(const struct insertion_field *field, const int64_t voxel[3], const double step[3],
                              double longest)
{
    for (int64_t k = 1;;) {
        double at[3];
        int64_t block[3];
        for (int a = 0; a < 3; a++) {
            at[a] = (double)voxel[a] + (double)k * step[a];
            if (!(at[a] > -1 && at[a] < (double)field->grid.dim[a]))
                return false;
            block[a] = at[a] > 0 ? (int64_t)at[a] / BLOCK : 0;
        }

        const int away = field->away[(block[2] * field->block_dim[1] + block[1]) * field->block_dim[0] + block[0]];
        if (away == 0 && insertion_bone(field, at) >= SOLID)
            return true;
        k += away > 1 ? 1 + (int64_t)((double)((away - 1) * BLOCK) / longest) : 1;
    }
}

/* Voxels of the piece that do not pass along -out; marks them in `undercut` (field-sized) where it is not NULL. */
static int64_t insertion_count(const struct insertion_field *field, const double out[3], uint8_t *undercut)
{
    const struct box *box = &field->box;
    int64_t n = 0;
    double step[3];
    insertion_step(&field->grid, out, step);
    const double longest = fmax(fabs(step[0]), fmax(fabs(step[1]), fabs(step[2])));
    for (int64_t z = box->lo[2]; z < box->hi[2]; z++)
        for (int64_t y = box->lo[1]; y < box->hi[1]; y++)
            for (int64_t x = box->lo[0]; x < box->hi[0]; x++) {
                const int64_t i = insertion_at(&field->grid, x, y, z);
                const bool blocked =
                    field->piece[i] && insertion_blocked(field, (const int64_t[3]){x, y, z}, step, longest);
                n += blocked;
                if (undercut)
                    undercut[i] = blocked;
            }
    return n;
}

static void insertion_normalise(double v[3])
{
    const double length = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    for (int k = 0; k < 3; k++)
        v[k] = length > 0 ? v[k] / length : k == 2;
}

/* Two unit vectors across n. */
static void insertion_across(const double n[3], double u[3], double v[3])
{
    const int least = fabs(n[0]) < fabs(n[1]) ? (fabs(n[0]) < fabs(n[2]) ? 0 : 2) : fabs(n[1]) < fabs(n[2]) ? 1 : 2;
    double e[3] = {0};
    e[least] = 1;
    for (int k = 0; k < 3; k++)
        u[k] = n[(k + 1) % 3] * e[(k + 2) % 3] - n[(k + 2) % 3] * e[(k + 1) % 3];
    insertion_normalise(u);
    for (int k = 0; k < 3; k++)
        v[k] = n[(k + 1) % 3] * u[(k + 2) % 3] - n[(k + 2) % 3] * u[(k + 1) % 3];
}

/* The best of n ways out. Where several are nearly equal (a hole that widens inwards all round), their mean is taken if
 * it is as good: the way that stays farthest from all walls. */
static int64_t insertion_best(const struct insertion_field *field, const double (*way)[3], int n, double best[3])
{
    int64_t score[CANDIDATES], least = INT64_MAX;
    double mean[3] = {0};
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < n; i++)
        score[i] = insertion_count(field, way[i], NULL);

    for (int i = n - 1; i >= 0; i--)
        if (score[i] <= least) {
            least = score[i];
            memcpy(best, way[i], sizeof way[i]);
        }

    const double enough =
        EQUAL * (double)least + EQUAL_FRAC * (double)mask_count(field->piece, grid_voxels(&field->grid));
    for (int i = 0; i < n; i++)
        for (int k = 0; k < 3 && (double)score[i] <= enough; k++)
            mean[k] += way[i][k];
    insertion_normalise(mean);
    if ((double)insertion_count(field, mean, NULL) <= enough)
        memcpy(best, mean, sizeof mean);
    return least;
}

/* The way out of the piece: a spiral over the cone round `normal`, then rings of 6, 3 and 1.5 degrees round the best.
 */
static void insertion_search(const struct insertion_field *field, const double normal[3], double out[3])
{
    const double GOLDEN = PI * (3 - sqrt(5));
    double way[CANDIDATES][3], u[3], v[3];
    insertion_across(normal, u, v);
    for (int i = 0; i < CANDIDATES; i++) {
        const double c = 1 - (1 - CONE_COS) * (double)i / (CANDIDATES - 1), s = sqrt(1 - c * c), angle = GOLDEN * i;
        for (int k = 0; k < 3; k++)
            way[i][k] = c * normal[k] + s * (cos(angle) * u[k] + sin(angle) * v[k]);
    }
    insertion_best(field, (const double(*)[3])way, CANDIDATES, out);

    double radius = 6 * PI / 180;
    for (int ring = 0; ring < RINGS; ring++, radius /= 2) {
        insertion_across(out, u, v);
        memcpy(way[0], out, sizeof way[0]);
        for (int i = 0; i < RING; i++)
            for (int k = 0; k < 3; k++)
                way[1 + i][k] = cos(radius) * out[k] +
                                sin(radius) * (cos(2 * PI * i / RING) * u[k] + sin(2 * PI * i / RING) * v[k]);
        insertion_best(field, (const double(*)[3])way, RING + 1, out);
    }
}

/* The piece's middle, and the way to it from the head's centre. */
static void insertion_place(struct insertion_piece *ret, const struct crop *piece, const struct volume *skull,
                            double normal[3])
{
    double sum[3] = {0}, index[3], centre[3], world[3];
    int64_t n = 0;
    for (int64_t z = 0, i = 0; z < piece->dim[2]; z++)
        for (int64_t y = 0; y < piece->dim[1]; y++)
            for (int64_t x = 0; x < piece->dim[0]; x++, i++)
                if (piece->mask[i]) {
                    sum[0] += (double)(piece->box.lo[0] + x);
                    sum[1] += (double)(piece->box.lo[1] + y);
                    sum[2] += (double)(piece->box.lo[2] + z);
                    n++;
                }
    for (int a = 0; a < 3; a++)
        index[a] = sum[a] / (double)n;
    grid_to_world(&skull->grid, index, ret->middle_mm);

    bone_centre(skull, centre);
    grid_to_world(&skull->grid, centre, world);
    for (int k = 0; k < 3; k++) {
        normal[k] = ret->middle_mm[k] - world[k];
        const double half = 0.5 * (double)piece->dim[k] * grid_spacing_mm(&skull->grid, k);
        ret->extent_mm = fmax(ret->extent_mm, half);
    }
    insertion_normalise(normal);
    ret->volume_ml = (double)n * grid_voxel_ml(&skull->grid);
}

/* How far the undercut (field-sized) reaches from what passes; computed in the piece's own box. */
static enum status insertion_interference(double *ret_mm, const struct insertion_field *field, const uint8_t *undercut,
                                          struct error *error)
{
    const struct box *box = &field->box;
    double spacing[3];
    int64_t dim[3];
    for (int a = 0; a < 3; a++) {
        spacing[a] = grid_spacing_mm(&field->grid, a);
        dim[a] = box->hi[a] - box->lo[a];
    }
    const int64_t n = dim[0] * dim[1] * dim[2];
    uint8_t *passes = memory_alloc((size_t)n, 2), *blocked = passes ? passes + n : NULL;
    float *distance = memory_alloc((size_t)n, sizeof *distance);
    enum status status = passes && distance ? STATUS_OK : error_memory(error, 6 * (size_t)n, "the undercut");

    for (int64_t z = 0, i = 0; !status && z < dim[2]; z++)
        for (int64_t y = 0; y < dim[1]; y++)
            for (int64_t x = 0; x < dim[0]; x++, i++) {
                const int64_t at = insertion_at(&field->grid, box->lo[0] + x, box->lo[1] + y, box->lo[2] + z);
                blocked[i] = undercut[at];
                passes[i] = field->piece[at] && !undercut[at];
            }
    if (!status)
        status = distance_to_mask(distance, passes, dim, spacing, error);
    *ret_mm = 0;
    for (int64_t i = 0; !status && i < n; i++)
        if (blocked[i] && isfinite(distance[i]))
            *ret_mm = fmax(*ret_mm, (double)distance[i]);
    memory_free(passes);
    memory_free(distance);
    return status;
}

/* On the voxels themselves, between the way out that was found and the one straight out: of those that are nearly as
 * good the straightest. Where a hole widens inwards all round, a tilted way has no less undercut, only more on one
 * side. */
static void insertion_straighten(const struct insertion_field *field, const double normal[3], double out[3])
{
    enum { STEPS = 5 };
    double way[STEPS][3];
    int64_t score[STEPS], least = INT64_MAX;
    for (int i = 0; i < STEPS; i++) {
        for (int k = 0; k < 3; k++)
            way[i][k] = out[k] + (normal[k] - out[k]) * (double)i / (STEPS - 1);
        insertion_normalise(way[i]);
    }
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < STEPS; i++)
        score[i] = insertion_count(field, way[i], NULL);

    for (int i = 0; i < STEPS; i++)
        least = score[i] < least ? score[i] : least;
    const double enough = EQUAL * (double)least;
    for (int i = 0; i < STEPS; i++)
        if ((double)score[i] <= enough)
            memcpy(out, way[i], sizeof way[i]);
}

/* The undercut of one piece along piece->direction, added to the crop `undercut`. */
static enum status insertion_measure(struct insertion_piece *ret, struct crop *undercut, const struct crop *piece,
                                     const struct volume *skull, struct box box, const double normal[3],
                                     struct error *error)
{
    struct insertion_field field = {0};
    double out[3] = {-ret->direction[0], -ret->direction[1], -ret->direction[2]};
    if (insertion_field_make(&field, piece, skull, box, (const int64_t[3]){1, 1, 1}, error))
        return error->status;
    const int64_t n = grid_voxels(&field.grid);
    uint8_t *marks = memory_zalloc((size_t)n, 1);
    enum status status = marks ? STATUS_OK : error_memory(error, (size_t)n, "the undercut");

    if (!status) {
        insertion_straighten(&field, normal, out);
        for (int k = 0; k < 3; k++)
            ret->direction[k] = -out[k];
        ret->undercut_ml = (double)insertion_count(&field, out, marks) * grid_voxel_ml(&skull->grid);
        status = insertion_interference(&ret->interference_mm, &field, marks, error);
    }
    for (int64_t z = 0, i = 0; !status && z < piece->dim[2]; z++)
        for (int64_t y = 0; y < piece->dim[1]; y++)
            for (int64_t x = 0; x < piece->dim[0]; x++, i++)
                undercut->mask[i] |=
                    marks[insertion_at(&field.grid, piece->box.lo[0] + x - box.lo[0], piece->box.lo[1] + y - box.lo[1],
                                       piece->box.lo[2] + z - box.lo[2])];

    memory_free(marks);
    insertion_field_done(&field);
    return status;
}

/* piece: the size of the implant's crop. */
static enum status insertion_piece(struct insertion_piece *ret, struct crop *undercut, const struct crop *piece,
                                   const struct volume *skull, struct error *error)
{
    struct box box = piece->box;
    int64_t factor[3];
    double normal[3], out[3];
    for (int a = 0; a < 3; a++) {
        const double spacing = grid_spacing_mm(&skull->grid, a);
        const int64_t reach = (int64_t)ceil(REACH_MM / spacing);
        box.lo[a] = box.lo[a] > reach ? box.lo[a] - reach : 0;
        box.hi[a] = box.hi[a] + reach < skull->grid.dim[a] ? box.hi[a] + reach : skull->grid.dim[a];
        factor[a] = (int64_t)fmax(1, floor(COARSE_MM / spacing + 0.5));
    }

    /* On a coarse grid first: hundreds of directions, each a ray for every cell. */
    struct insertion_field field = {0};
    insertion_place(ret, piece, skull, normal);
    if (insertion_field_make(&field, piece, skull, box, factor, error))
        return error->status;
    insertion_search(&field, normal, out);
    for (int k = 0; k < 3; k++)
        ret->direction[k] = -out[k];
    insertion_field_done(&field);
    return insertion_measure(ret, undercut, piece, skull, box, normal, error);
}

/* Piece k of the implant's crop, the largest first; false: there is none of 0.5 ml. */
static enum status insertion_take_piece(struct crop *ret, bool *ret_found, const struct crop *implant, int k,
                                        double voxel_ml, struct error *error)
{
    const int64_t n = crop_voxels(implant);
    struct crop larger = *implant;
    *ret = *implant;
    ret->mask = memory_alloc((size_t)n, 1);
    larger.mask = memory_alloc((size_t)n, 1);
    enum status status =
        ret->mask && larger.mask ? STATUS_OK : error_memory(error, 2 * (size_t)n, "the implant's pieces");
    if (!status) {
        memcpy(ret->mask, implant->mask, (size_t)n);
        memcpy(larger.mask, implant->mask, (size_t)n);
        status = mask_keep_largest(ret->mask, ret->dim, k + 1, CONNECTIVITY, error);
    }
    if (!status)
        status = mask_keep_largest(larger.mask, larger.dim, k, CONNECTIVITY, error);
    for (int64_t i = 0; !status && i < n; i++)
        ret->mask[i] = ret->mask[i] && !larger.mask[i];
    *ret_found = !status && (double)mask_count(ret->mask, n) * voxel_ml >= PIECE_LEAST_ML;
    memory_free(larger.mask);
    return status;
}

static enum status insertion_run(struct insertion *insertion, const struct volume *implant, const struct volume *skull,
                                 struct error *error)
{
    const struct box box = box_of_mask(implant->data, implant->grid.dim);
    struct crop whole = {0};
    if (box_empty(box))
        return STATUS_OK;
    if (crop_take(&whole, implant, box, error))
        return error->status;
    crop_done(&insertion->undercut);
    enum status status = crop_take(&insertion->undercut, implant, box, error);
    if (!status)
        memset(insertion->undercut.mask, 0, (size_t)crop_voxels(&insertion->undercut));

    bool found = true;
    for (int k = 0; !status && found && k < INSERTION_PIECES; k++) {
        struct crop piece = {0};
        status = insertion_take_piece(&piece, &found, &whole, k, grid_voxel_ml(&implant->grid), error);
        if (!status && found) {
            insertion->n = k + 1;
            status = insertion_piece(&insertion->piece[k], &insertion->undercut, &piece, skull, error);
        }
        crop_done(&piece);
    }
    crop_done(&whole);
    return status ? error_while(error, "finding the way of the implant into the hole") : STATUS_OK;
}

enum status insertion_find(struct insertion *ret, const struct volume *implant, const struct volume *skull,
                           struct error *error)
{
    struct insertion insertion = {0};
    if (insertion_run(&insertion, implant, skull, error)) {
        insertion_done(&insertion);
        return error->status;
    }
    *ret = insertion;
    return STATUS_OK;
}

void insertion_trim(struct volume *implant, struct insertion *insertion)
{
    const struct crop *undercut = &insertion->undercut;
    const int64_t *dim = implant->grid.dim;
    if (insertion->n == 0)
        return;
    for (int64_t z = 0, i = 0; z < undercut->dim[2]; z++)
        for (int64_t y = 0; y < undercut->dim[1]; y++)
            for (int64_t x = 0; x < undercut->dim[0]; x++, i++)
                if (undercut->mask[i])
                    ((uint8_t *)implant->data)[((undercut->box.lo[2] + z) * dim[1] + undercut->box.lo[1] + y) * dim[0] +
                                               undercut->box.lo[0] + x] = 0;

    /* Every voxel that is left had a free way; trimming takes nothing from it. */
    for (int k = 0; k < insertion->n; k++) {
        struct insertion_piece *piece = &insertion->piece[k];
        piece->trimmed_ml = piece->undercut_ml;
        piece->volume_ml -= piece->undercut_ml;
        piece->undercut_ml = piece->interference_mm = 0;
    }
    memset(undercut->mask, 0, (size_t)crop_voxels(undercut));
}

int64_t insertion_bytes(const struct volume *implant)
{
    enum { FIELD = 3 /* piece, bone, marks */, PIECE = 10 /* pieces, undercut, distance */ };
    const struct grid *grid = &implant->grid;
    const struct box box = box_of_mask(implant->data, grid->dim);
    double grown = 1, own = 1;
    if (box_empty(box))
        return 0;
    for (int a = 0; a < 3; a++) {
        const double extent = (double)(box.hi[a] - box.lo[a]);
        own *= extent;
        grown *= fmin((double)grid->dim[a], extent + 2 * REACH_MM / grid_spacing_mm(grid, a) + 2);
    }
    return (int64_t)(FIELD * grown + PIECE * own);
}

void insertion_done(struct insertion *insertion)
{
    crop_done(&insertion->undercut);
    insertion->n = 0;
}

/* --- the picture --- */

/* A rod of 3 mm with a head, from outside down to the piece's middle. */
enum { ARROW_MM = 45 };

static double insertion_arrow_tip(const struct insertion_piece *piece)
{
    return piece->extent_mm > 20 ? 12 : 8;
}

/* The voxels that an arrow can reach. */
static struct box insertion_arrow_box(const struct grid *grid, const struct insertion_piece *piece)
{
    const double tip_mm = insertion_arrow_tip(piece), ROUND_MM = 6;
    double end[2][3];
    struct box box;
    for (int e = 0; e < 2; e++) {
        double world[3];
        for (int k = 0; k < 3; k++)
            world[k] = piece->middle_mm[k] - (tip_mm + e * ARROW_MM) * piece->direction[k];
        grid_to_index(grid, world, end[e]);
    }
    for (int a = 0; a < 3; a++) {
        const double round = ROUND_MM / grid_spacing_mm(grid, a) + 1;
        box.lo[a] = (int64_t)fmax(0, floor(fmin(end[0][a], end[1][a]) - round));
        box.hi[a] = (int64_t)fmin((double)grid->dim[a], ceil(fmax(end[0][a], end[1][a]) + round));
    }
    return box_empty(box) ? (struct box){{0}, {0}} : box;
}

static void insertion_draw_arrow(struct crop *arrow, const struct grid *grid, const struct insertion_piece *piece)
{
    const double ROD_MM = 1.5, HEAD_MM = 10, HEAD_RADIUS_MM = 4.5, tip_mm = insertion_arrow_tip(piece);
    for (int64_t z = arrow->box.lo[2], i = 0; z < arrow->box.hi[2]; z++)
        for (int64_t y = arrow->box.lo[1]; y < arrow->box.hi[1]; y++)
            for (int64_t x = arrow->box.lo[0]; x < arrow->box.hi[0]; x++, i++) {
                const double index[3] = {(double)x, (double)y, (double)z};
                double world[3], along = 0, across = 0;
                grid_to_world(grid, index, world);
                for (int k = 0; k < 3; k++)
                    along -= (world[k] - piece->middle_mm[k]) * piece->direction[k];
                if (along < tip_mm || along > tip_mm + ARROW_MM)
                    continue;
                for (int k = 0; k < 3; k++) {
                    const double off = world[k] - piece->middle_mm[k] + along * piece->direction[k];
                    across += off * off;
                }
                const double from_tip = along - tip_mm,
                             radius = from_tip < HEAD_MM ? HEAD_RADIUS_MM * from_tip / HEAD_MM : ROD_MM;
                arrow->mask[i] |= across <= radius * radius;
            }
}

/* All arrows, in the box that holds them. */
static enum status insertion_arrows(struct crop *ret, const struct grid *grid, const struct insertion *insertion,
                                    struct error *error)
{
    struct crop arrow = {0};
    for (int k = 0; k < insertion->n; k++)
        arrow.box = box_join(arrow.box, insertion_arrow_box(grid, &insertion->piece[k]));
    for (int a = 0; a < 3; a++)
        arrow.dim[a] = box_size(arrow.box, a);
    arrow.mask = memory_zalloc((size_t)crop_voxels(&arrow), 1);
    if (!arrow.mask)
        return error_memory(error, (size_t)crop_voxels(&arrow), "the picture of the insertion");
    for (int k = 0; k < insertion->n; k++)
        insertion_draw_arrow(&arrow, grid, &insertion->piece[k]);
    *ret = arrow;
    return STATUS_OK;
}

enum status insertion_picture(const char *path, const struct insertion *insertion, const struct volume *implant,
                              const struct volume *skull, const char *title, struct error *error)
{
    const struct crop *undercut = &insertion->undercut;
    struct crop arrow = {0};
    if (insertion_arrows(&arrow, &implant->grid, insertion, error))
        return error->status;

    const struct render_layer layers[] = {
        {.mask = undercut->mask, .rgb = COLOUR_EXTRA, .name = "undercut", .within = &undercut->box},
        {.mask = arrow.mask, .rgb = COLOUR_NOTE, .name = "direction", .is_mark = true, .within = &arrow.box},
        {.mask = implant->data, .rgb = COLOUR_IMPLANT, .name = "implant"},
        {.mask = skull->data, .rgb = COLOUR_BONE, .name = "skull"}};
    enum status status = render_sheet(path, &implant->grid, layers, 4, 2, title, error);
    crop_done(&arrow);
    return status;
}
