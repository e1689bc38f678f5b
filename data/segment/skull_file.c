/* skull_file.c - see skull_file.h. Test: tests/data/test_segment.c. */
#include "data/segment/skull_file.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "data/segment/hounsfield.h"

#define OFFSET(member) offsetof(struct skull_options, member)
/* clang-format off */
static const struct config_field skull_fields[] = {
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(mask), .table = &mask_table},
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(segment), .table = &segment_table},
    {.key = "series", .type = CONFIG_STRING, .offset = OFFSET(series),
     .help = "DICOM folder or zip: the series, by number or a part of its description; else the CT of most slices"},
    {.key = "strict", .type = CONFIG_BOOL, .offset = OFFSET(strict), .text = "false",
     .help = "warnings about the input are errors"},
    {0},
};
/* clang-format on */
const struct config_table skull_table = {
    .help = "a skull from a mask or a CT", .size = sizeof(struct skull_options), .fields = skull_fields};

/* ---- the check of a mask, on cells of 2 mm ---- */

static const double CELL_MM = 2, OUTLYING_MM = 6;

struct cells {
    struct grid grid;
    double per_voxel[3];
    uint8_t *bone;
    int32_t *label;
};

static void cells_done(struct cells *cells)
{
    memory_free(cells->bone);
    memory_free(cells->label);
}

/* Cells per voxel along an axis: at most one, so that no cell between voxels stays empty. */
static enum status cells_make(struct cells *ret, const struct volume *skull, struct error *error)
{
    const double cell[3] = {CELL_MM, CELL_MM, CELL_MM};
    struct cells cells = {{{0}, {{0}}, {0}}, {0}, NULL, NULL};
    int64_t dim[3];
    double mm[3];
    for (int a = 0; a < 3; a++) {
        mm[a] = fmax(cell[a], grid_spacing_mm(&skull->grid, a));
        cells.per_voxel[a] = grid_spacing_mm(&skull->grid, a) / mm[a];
        dim[a] = (int64_t)((double)(skull->grid.dim[a] - 1) * cells.per_voxel[a]) + 1;
    }
    cells.grid = grid_make(dim, mm);
    const size_t n = (size_t)grid_voxels(&cells.grid);
    cells.bone = memory_zalloc(n, 1);
    cells.label = memory_alloc(n, sizeof *cells.label);
    *ret = cells;
    return cells.bone && cells.label ? STATUS_OK : error_memory(error, 5 * n, "the check of a skull");
}

static int64_t cells_row(const struct cells *cells, int64_t y, int64_t z)
{
    return ((int64_t)((double)z * cells->per_voxel[2]) * cells->grid.dim[1] +
            (int64_t)((double)y * cells->per_voxel[1])) *
           cells->grid.dim[0];
}

static void cells_fill(struct cells *cells, const struct volume *skull)
{
    const int64_t *dim = skull->grid.dim;
    for (int64_t z = 0; z < dim[2]; z++)
        for (int64_t y = 0; y < dim[1]; y++) {
            const uint8_t *row = (const uint8_t *)skull->data + (z * dim[1] + y) * dim[0];
            uint8_t *out = cells->bone + cells_row(cells, y, z);
            for (int64_t x = 0; x < dim[0]; x++)
                if (row[x])
                    out[(int64_t)((double)x * cells->per_voxel[0])] = 1;
        }
}

/* A piece that stands out of the main one's box to a side, to the front, to the back or above moves the middle of the
 * bone, on which the network's field of view is centred. What lies below does not: the field of view begins at the top.
 */
static bool skull_is_outlying(const struct piece *piece, const struct box *main, const struct grid *cells)
{
    for (int a = 0; a < 3; a++) {
        const int64_t margin = (int64_t)ceil(OUTLYING_MM / grid_spacing_mm(cells, a));
        if (piece->box.hi[a] > main->hi[a] + margin || (a < 2 && piece->box.lo[a] < main->lo[a] - margin))
            return true;
    }
    return false;
}

/* Millilitres of true voxels in each of the ranked pieces, and in all of them. */
static void skull_measure_pieces(struct pieces *pieces, const struct cells *cells, const struct volume *skull,
                                 const uint8_t *rank)
{
    const int64_t *dim = skull->grid.dim;
    int64_t count[PIECES_MAX + 1] = {0};
    for (int64_t z = 0; z < dim[2]; z++)
        for (int64_t y = 0; y < dim[1]; y++) {
            const uint8_t *row = (const uint8_t *)skull->data + (z * dim[1] + y) * dim[0];
            const int32_t *label = cells->label + cells_row(cells, y, z);
            for (int64_t x = 0; x < dim[0]; x++)
                if (row[x])
                    count[rank[label[(int64_t)((double)x * cells->per_voxel[0])]]]++;
        }
    for (int i = 0; i < pieces->n; i++) {
        pieces->of[i].n = count[i + 1];
        pieces->of[i].ml = (double)count[i + 1] * grid_voxel_ml(&skull->grid);
    }
}

static int64_t skull_remove(struct volume *skull, const struct cells *cells, const bool *drop)
{
    const int64_t *dim = skull->grid.dim;
    int64_t n = 0;
    for (int64_t z = 0; z < dim[2]; z++)
        for (int64_t y = 0; y < dim[1]; y++) {
            uint8_t *row = (uint8_t *)skull->data + (z * dim[1] + y) * dim[0];
            const int32_t *label = cells->label + cells_row(cells, y, z);
            for (int64_t x = 0; x < dim[0]; x++)
                if (row[x] && drop[label[(int64_t)((double)x * cells->per_voxel[0])]]) {
                    row[x] = 0;
                    n++;
                }
        }
    return n;
}

/* Specks are too small to be ranked; those outside the main piece's box go with the outlying pieces. */
static void skull_mark_specks(bool *drop, const uint8_t *rank, const struct cells *cells, const struct box *main)
{
    const int64_t *dim = cells->grid.dim;
    const int64_t margin = (int64_t)ceil(OUTLYING_MM / CELL_MM);
    for (int64_t z = 0; z < dim[2]; z++)
        for (int64_t y = 0; y < dim[1]; y++)
            for (int64_t x = 0; x < dim[0]; x++) {
                const int32_t label = cells->label[(z * dim[1] + y) * dim[0] + x];
                const bool inside = x >= main->lo[0] - margin && x < main->hi[0] + margin &&
                                    y >= main->lo[1] - margin && y < main->hi[1] + margin && z < main->hi[2] + margin;
                if (label && !rank[label] && !inside)
                    drop[label] = true;
            }
}

enum status skull_check(struct volume *skull, struct skull_report *report, struct error *error)
{
    struct cells cells = {{{0}, {{0}}, {0}}, {0}, NULL, NULL};
    struct pieces *pieces = memory_zalloc(1, sizeof *pieces);
    uint8_t *rank = NULL;
    bool *drop = NULL;
    enum status status = pieces ? cells_make(&cells, skull, error) : error_memory(error, sizeof *pieces, "pieces");

    if (!status) {
        cells_fill(&cells, skull);
        status = pieces_find(pieces, cells.label, cells.bone, &cells.grid, error);
    }
    if (!status) {
        rank = memory_zalloc((size_t)pieces->n_all + 1, 1);
        drop = memory_zalloc((size_t)pieces->n_all + 1, sizeof *drop);
        if (!rank || !drop)
            status = error_memory(error, (size_t)pieces->n_all, "pieces");
    }
    if (!status && pieces->n > 0) {
        const struct box main = pieces->of[0].box;
        for (int i = 0; i < pieces->n; i++)
            rank[pieces->of[i].label] = (uint8_t)(i + 1);
        skull_measure_pieces(pieces, &cells, skull, rank);
        for (int i = 1; i < pieces->n; i++)
            drop[pieces->of[i].label] = !pieces->of[i].near && skull_is_outlying(&pieces->of[i], &main, &cells.grid);
        skull_mark_specks(drop, rank, &cells, &main);
        report->n_outlying = skull_remove(skull, &cells, drop);

        if (report->n_outlying > 0)
            warnings_add(
                &report->warnings,
                "%.2f ml of bone-like matter outside the head left out (specks, a table or tubes): the head is "
                "placed by its largest piece",
                (double)report->n_outlying * grid_voxel_ml(&skull->grid));
        int left = 1;
        for (int i = 1; i < pieces->n; i++)
            if (!drop[pieces->of[i].label])
                pieces->of[left++] = pieces->of[i];
        pieces->n = left;
        plausible_check_header(&report->warnings, skull);
        plausible_check(&report->warnings, skull, pieces, false);
    }

    memory_free(drop);
    memory_free(rank);
    memory_free(pieces);
    cells_done(&cells);
    return status;
}

/* ---- a volume in memory ---- */

enum status skull_strict(const struct warnings *warnings, bool strict, const char *path, struct error *error)
{
    for (int i = 0; strict && i < warnings->n; i++)
        error_add(error, STATUS_FAILED, "%s: %s (--strict)", path, warnings->text[i]);
    return error->status;
}

enum status skull_from_volume(struct volume *ret, struct skull_report *report, struct volume *volume, const char *path,
                              const struct skull_options *options, struct error *error)
{
    const bool chosen = options->mask.label || options->mask.threshold != 0;
    struct volume skull = {0};
    enum status status = STATUS_OK;
    memset(report, 0, sizeof *report);

    /* A choice of a label means a mask; else the values decide */
    report->segmented = !chosen && volume->type != VOXEL_U8 && hounsfield_looks_like_ct(volume);
    if (report->segmented) {
        progress_stage("segmenting");
        status = segment_skull(&skull, &report->segment, volume, &options->segment, path, error);
        report->warnings = report->segment.warnings;
        volume_done(volume);
    } else {
        skull = *volume;
        *volume = (struct volume){0};
        status = volume_to_mask(&skull, path, chosen ? &options->mask : NULL, error);
        if (!status)
            status = skull_check(&skull, report, error);
    }

    if (!status)
        status = skull_strict(&report->warnings, options->strict, path, error);
    if (status)
        volume_done(&skull);
    else
        *ret = skull;
    return status;
}
