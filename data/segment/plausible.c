/* plausible.c - see plausible.h. Test: tests/data/test_segment.c. */
#include "data/segment/plausible.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "data/mask/distance.h"

const double plausible_bone_min_ml = 150, plausible_bone_max_ml = 2500;
const double piece_reach_mm = 8, piece_speck_ml = 0.2;

/* The bone of a head within this height below its top, in mm: infants have 80 x 100, the largest adults 190 x 240. */
static const double HEAD_MM = 120, WIDTH_MIN_MM = 80, WIDTH_MAX_MM = 200, DEPTH_MIN_MM = 100, DEPTH_MAX_MM = 245;
static const double NEAR_WARN_ML = 2, FAR_WARN_ML = 20, MISSING_VAULT = 0.45, CELL_MM = 2;
enum { MANY_PIECES = 1000 };

void warnings_add(struct warnings *warnings, const char *format, ...)
{
    va_list args;
    if (warnings->n == WARNINGS_MAX)
        return;
    va_start(args, format);
    vsnprintf(warnings->text[warnings->n++], WARNING_BYTES, format, args);
    va_end(args);
}

/* ---- pieces ---- */

/* A mask on cells of 2 mm: which cells hold bone of the main piece, and which lie within reach of it. */
struct reach {
    int64_t dim[3];
    double step[3]; /* cells per voxel */
    uint8_t *near;
};

static int64_t pieces_cell(const struct reach *reach, int64_t x, int64_t y, int64_t z)
{
    const int64_t cx = (int64_t)((double)x * reach->step[0]), cy = (int64_t)((double)y * reach->step[1]),
                  cz = (int64_t)((double)z * reach->step[2]);
    return (cz * reach->dim[1] + cy) * reach->dim[0] + cx;
}

static enum status pieces_reach(struct reach *ret, const int32_t *labels, int32_t main, const struct grid *grid,
                                struct error *error)
{
    static const double cell[3] = {CELL_MM, CELL_MM, CELL_MM};
    struct reach reach = {{0}, {0}, NULL};
    for (int a = 0; a < 3; a++) {
        reach.step[a] = grid_spacing_mm(grid, a) / CELL_MM;
        reach.dim[a] = (int64_t)((double)(grid->dim[a] - 1) * reach.step[a]) + 1;
    }
    const size_t n = (size_t)(reach.dim[0] * reach.dim[1] * reach.dim[2]);
    uint8_t *main_cells = memory_zalloc(n, 1);
    reach.near = memory_zalloc(n, 1);
    enum status status = main_cells && reach.near ? STATUS_OK : error_memory(error, n, "pieces of bone");

    for (int64_t z = 0; !status && z < grid->dim[2]; z++)
        for (int64_t y = 0; y < grid->dim[1]; y++) {
            const int32_t *row = labels + (z * grid->dim[1] + y) * grid->dim[0];
            for (int64_t x = 0; x < grid->dim[0]; x++)
                if (row[x] == main)
                    main_cells[pieces_cell(&reach, x, y, z)] = 1;
        }

    if (!status)
        status = distance_within(reach.near, main_cells, reach.dim, cell, piece_reach_mm, error);
    memory_free(main_cells);
    if (status) {
        memory_free(reach.near);
        return status;
    }
    *ret = reach;
    return STATUS_OK;
}

/* The largest piece first, then by falling size, down to specks. */
static void pieces_rank(struct pieces *pieces, const int64_t *sizes, const struct grid *grid)
{
    const double voxel_ml = grid_voxel_ml(grid);
    for (int64_t i = 0; i < pieces->n_all; i++) {
        const double ml = (double)sizes[i] * voxel_ml;
        int at = pieces->n;
        pieces->all_ml += ml;
        while (at > 0 && sizes[i] > pieces->of[at - 1].n)
            at--;
        if (at == PIECES_MAX || (ml < piece_speck_ml && at > 0))
            continue;
        const int last = pieces->n < PIECES_MAX ? pieces->n++ : PIECES_MAX - 1;
        memmove(&pieces->of[at + 1], &pieces->of[at], (size_t)(last - at) * sizeof pieces->of[0]);
        pieces->of[at] = (struct piece){.label = (int32_t)(i + 1), .n = sizes[i], .ml = ml};
    }
    while (pieces->n > 1 && pieces->of[pieces->n - 1].ml < piece_speck_ml)
        pieces->n--;
}

/* Boxes of the ranked pieces, and which of them come near the main one. */
static enum status pieces_place(struct pieces *pieces, const int32_t *labels, const struct grid *grid,
                                struct error *error)
{
    struct reach reach = {{0}, {0}, NULL};
    uint8_t *rank = memory_zalloc((size_t)pieces->n_all + 1, 1); /* 1 + place in pieces->of; 0: a speck */
    if (!rank)
        return error_memory(error, (size_t)pieces->n_all, "pieces of bone");
    if (pieces->n > 1 && pieces_reach(&reach, labels, pieces->of[0].label, grid, error)) {
        memory_free(rank);
        return error->status;
    }
    for (int i = 0; i < pieces->n; i++) {
        rank[pieces->of[i].label] = (uint8_t)(i + 1);
        pieces->of[i].box = (struct box){.lo = {grid->dim[0], grid->dim[1], grid->dim[2]}};
    }

    for (int64_t z = 0; z < grid->dim[2]; z++)
        for (int64_t y = 0; y < grid->dim[1]; y++) {
            const int32_t *row = labels + (z * grid->dim[1] + y) * grid->dim[0];
            for (int64_t x = 0; x < grid->dim[0]; x++) {
                if (row[x] == 0 || rank[row[x]] == 0)
                    continue;
                struct piece *piece = &pieces->of[rank[row[x]] - 1];
                const int64_t at[3] = {x, y, z};
                for (int a = 0; a < 3; a++) {
                    piece->box.lo[a] = at[a] < piece->box.lo[a] ? at[a] : piece->box.lo[a];
                    piece->box.hi[a] = at[a] + 1 > piece->box.hi[a] ? at[a] + 1 : piece->box.hi[a];
                }
                if (reach.near && !piece->near && reach.near[pieces_cell(&reach, x, y, z)])
                    piece->near = true;
            }
        }

    memory_free(reach.near);
    memory_free(rank);
    return STATUS_OK;
}

enum status pieces_find(struct pieces *ret, int32_t *labels, const uint8_t *mask, const struct grid *grid,
                        struct error *error)
{
    int64_t *sizes = NULL;
    memset(ret, 0, sizeof *ret);
    enum status status = mask_components(labels, &sizes, &ret->n_all, mask, grid->dim, 6, error);
    if (!status) {
        pieces_rank(ret, sizes, grid);
        status = ret->n > 0 ? pieces_place(ret, labels, grid, error) : STATUS_OK;
    }
    memory_free(sizes);
    return status;
}

/* ---- the vault ---- */

enum { VAULT_RAYS = 2000 };
static const double VAULT_LOWEST = 0.4226; /* sin 25 degrees */

static bool plausible_ray_meets_bone(const struct volume *skull, const double from_mm[3], const double direction[3])
{
    const struct grid *grid = &skull->grid;
    double spacing[3], step_mm = INFINITY;

    for (int a = 0; a < 3; a++) {
        spacing[a] = grid_spacing_mm(grid, a);
        step_mm = fmin(step_mm, 0.7 * spacing[a]);
    }

    for (double t = 0;; t += step_mm) {
        int64_t i[3];
        for (int a = 0; a < 3; a++) {
            i[a] = (int64_t)floor((from_mm[a] + t * direction[a]) / spacing[a]);
            if (i[a] < 0 || i[a] >= grid->dim[a])
                return false;
        }
        if (((const uint8_t *)skull->data)[(i[2] * grid->dim[1] + i[1]) * grid->dim[0] + i[0]])
            return true;
    }
}

/* Directions on a golden spiral: equal areas. */
double plausible_vault_open_frac(const struct volume *skull, struct box box)
{
    int open = 0;
    double from_mm[3];
    for (int a = 0; a < 3; a++)
        from_mm[a] = 0.5 * (double)(box.lo[a] + box.hi[a]) * grid_spacing_mm(&skull->grid, a);

    for (int k = 0; k < VAULT_RAYS; k++) {
        const double z = VAULT_LOWEST + (1 - VAULT_LOWEST) * (k + 0.5) / VAULT_RAYS, r = sqrt(1 - z * z),
                     angle = 2.39996322972865332 * k;
        const double direction[3] = {r * cos(angle), r * sin(angle), z};
        open += !plausible_ray_meets_bone(skull, from_mm, direction);
    }

    return (double)open / VAULT_RAYS;
}

/* ---- checks ---- */

static void plausible_check_measures(struct warnings *warnings, const struct volume *skull, struct box box)
{
    const struct grid *grid = &skull->grid;
    const int64_t slice = grid->dim[0] * grid->dim[1];
    const double height_mm = (double)box_size(box, 2) * grid_spacing_mm(grid, 2);
    const int64_t top = (int64_t)ceil(HEAD_MM / grid_spacing_mm(grid, 2));
    const int64_t from = box.hi[2] - top > box.lo[2] ? box.hi[2] - top : box.lo[2];
    const int64_t upper_dim[3] = {grid->dim[0], grid->dim[1], box.hi[2] - from};
    const struct box upper = box_of_mask((const uint8_t *)skull->data + from * slice, upper_dim);
    const double width_mm = (double)box_size(upper, 0) * grid_spacing_mm(grid, 0),
                 depth_mm = (double)box_size(upper, 1) * grid_spacing_mm(grid, 1);

    if (height_mm < 80)
        warnings_add(warnings, "less than 80 mm of skull from bottom to top: part of the vault is outside the scan");
    else if (width_mm > WIDTH_MAX_MM || depth_mm > DEPTH_MAX_MM)
        warnings_add(
            warnings,
            "the bone is %.0f mm wide and %.0f mm deep at the head (a head has at most %.0f by %.0f): a couch, "
            "a headrest or a frame is part of it",
            width_mm, depth_mm, WIDTH_MAX_MM, DEPTH_MAX_MM);
    else if (width_mm < WIDTH_MIN_MM || depth_mm < DEPTH_MIN_MM)
        warnings_add(warnings,
                     "the bone is only %.0f mm wide and %.0f mm deep (a head has at least %.0f by %.0f): not a whole "
                     "head, or the spacing is wrong",
                     width_mm, depth_mm, WIDTH_MIN_MM, DEPTH_MIN_MM);
    if (height_mm >= 80 && plausible_vault_open_frac(skull, box) > MISSING_VAULT)
        warnings_add(warnings, "most of the vault is missing: the scan is upside down or cut, or not of a head");
}

static void plausible_check_pieces(struct warnings *warnings, const struct pieces *pieces, bool removed)
{
    double near_ml = 0, far_ml = 0, largest_ml = 0;
    int n_near = 0;
    for (int i = 1; i < pieces->n; i++) {
        near_ml += pieces->of[i].near ? pieces->of[i].ml : 0;
        far_ml += pieces->of[i].near ? 0 : pieces->of[i].ml;
        n_near += pieces->of[i].near;
        if (pieces->of[i].near && pieces->of[i].ml > largest_ml)
            largest_ml = pieces->of[i].ml;
    }

    if (pieces->n_all > MANY_PIECES)
        warnings_add(warnings, "%" PRId64 " pieces: noise, streaks of metal, or a threshold that does not fit",
                     pieces->n_all);
    if (largest_ml >= NEAR_WARN_ML)
        warnings_add(
            warnings,
            "%d piece%s of bone (%.0f ml, the largest %.0f ml) within %.0f mm of the skull %s: parietals of an "
            "infant, a replaced bone flap, or a headrest (%s)",
            n_near, n_near == 1 ? "" : "s", near_ml, largest_ml, piece_reach_mm,
            removed ? "removed" : "not joined to it",
            removed ? "--keep-near-ml keeps such pieces" : "see the pictures");
    if (far_ml >= FAR_WARN_ML && !removed)
        warnings_add(warnings, "%.0f ml of bone-like matter away from the skull: a couch, a headrest or a frame",
                     far_ml);
}

void plausible_check(struct warnings *warnings, const struct volume *skull, const struct pieces *pieces, bool removed)
{
    const struct grid *grid = &skull->grid;
    const struct box box = box_of_mask(skull->data, grid->dim);
    const double ml = (double)mask_count(skull->data, grid_voxels(grid)) * grid_voxel_ml(grid);
    if (box_empty(box))
        return;

    if (ml < plausible_bone_min_ml || ml > plausible_bone_max_ml)
        warnings_add(warnings, "%.0f ml of bone: a skull has %.0f to %.0f", ml, plausible_bone_min_ml,
                     plausible_bone_max_ml);
    plausible_check_measures(warnings, skull, box);
    plausible_check_pieces(warnings, pieces, removed);
}

void plausible_check_header(struct warnings *warnings, const struct volume *volume)
{
    for (int i = 0; i < VOLUME_DOUBTS; i++)
        if (volume->storage.doubts >> i & 1)
            warnings_add(warnings, "%s", volume_doubt_texts[i]);
}
