/* edit.c - see edit.h. Test: tests/infer/test_edit.c */
#include "infer/edit.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "data/mask/morphology.h"
#include "data/volume/formats.h"

/* One label of a volume, as seen from the implant's voxels. */
struct edit_view {
    const struct volume *labels;
    uint8_t label;
    double start[3],
        step[3][3]; /* index in the labels' grid of the implant's voxel 0,0,0, and per step along an axis */
};

static bool edit_has(const struct edit_view *view, int64_t x, int64_t y, int64_t z)
{
    const int64_t *dim = view->labels->grid.dim;
    return x >= 0 && y >= 0 && z >= 0 && x < dim[0] && y < dim[1] && z < dim[2] &&
           ((const uint8_t *)view->labels->data)[(z * dim[1] + y) * dim[0] + x] == view->label;
}

/* The share of the label at a voxel of the implant, between the centres of the labels' voxels, is half or more. */
static bool edit_covers(const struct edit_view *view, const int64_t at[3])
{
    const double TINY = 1e-6; /* centres that coincide but for rounding */
    int64_t lo[3];
    double part[3], share = 0;
    for (int k = 0; k < 3; k++) {
        const double i = view->start[k] + (double)at[0] * view->step[0][k] + (double)at[1] * view->step[1][k] +
                         (double)at[2] * view->step[2][k];
        lo[k] = (int64_t)floor(i + TINY);
        part[k] = fmax(0, i - (double)lo[k]);
    }

    for (int corner = 0; corner < 8; corner++) {
        double weight = 1;
        int64_t c[3];
        for (int k = 0; k < 3; k++) {
            const int up = corner >> k & 1;
            c[k] = lo[k] + up;
            weight *= up ? part[k] : 1 - part[k];
        }
        if (weight > 0 && edit_has(view, c[0], c[1], c[2]))
            share += weight;
    }
    return share >= 0.5 - TINY;
}

static struct box edit_box(const struct volume *labels, uint8_t label)
{
    const int64_t *dim = labels->grid.dim;
    struct box box = {.lo = {dim[0], dim[1], dim[2]}};
    for (int64_t z = 0, i = 0; z < dim[2]; z++)
        for (int64_t y = 0; y < dim[1]; y++)
            for (int64_t x = 0; x < dim[0]; x++, i++) {
                if (((const uint8_t *)labels->data)[i] != label)
                    continue;
                const int64_t at[3] = {x, y, z};
                for (int a = 0; a < 3; a++) {
                    box.lo[a] = at[a] < box.lo[a] ? at[a] : box.lo[a];
                    box.hi[a] = at[a] + 1 > box.hi[a] ? at[a] + 1 : box.hi[a];
                }
            }
    return box;
}

/* The implant's voxels that the label can reach: those between the corners of its box. */
static struct box edit_reach(const struct grid *native, const struct grid *grid, const struct box *box)
{
    struct box reach = {.lo = {native->dim[0], native->dim[1], native->dim[2]}};
    for (int corner = 0; corner < 8; corner++) {
        double index[3], world[3];
        for (int a = 0; a < 3; a++)
            index[a] = corner >> a & 1 ? (double)box->hi[a] : (double)box->lo[a] - 1;
        grid_to_world(grid, index, world);
        grid_to_index(native, world, index);
        for (int a = 0; a < 3; a++) {
            const double lo = fmax(0, floor(index[a])), hi = fmin((double)native->dim[a], ceil(index[a]) + 1);
            reach.lo[a] = lo < (double)reach.lo[a] ? (int64_t)lo : reach.lo[a];
            reach.hi[a] = hi > (double)reach.hi[a] ? (int64_t)hi : reach.hi[a];
        }
    }
    return reach;
}

/* What one label does to the implant; returns the voxels changed. */
static int64_t edit_paint(struct volume *implant, const struct edit_view *view, const struct box *reach,
                          const struct volume *skull)
{
    const int64_t *dim = implant->grid.dim;
    const bool add = view->label == EDIT_ADD, keep = view->label == EDIT_ALLOW;
    const struct box box = keep ? (struct box){{0, 0, 0}, {dim[0], dim[1], dim[2]}} : *reach;
    int64_t changed = 0;

#pragma omp parallel for schedule(static) reduction(+ : changed)
    for (int64_t z = box.lo[2]; z < box.hi[2]; z++)
        for (int64_t y = box.lo[1]; y < box.hi[1]; y++)
            for (int64_t x = box.lo[0]; x < box.hi[0]; x++) {
                const int64_t i = (z * dim[1] + y) * dim[0] + x;
                uint8_t *voxel = (uint8_t *)implant->data + i;
                const bool bone = ((const uint8_t *)skull->data)[i] != 0;
                if (add ? *voxel || bone : !*voxel)
                    continue;
                if (edit_covers(view, (int64_t[]){x, y, z}) == keep)
                    continue;
                *voxel = add;
                changed++;
            }
    return changed;
}

static enum status edit_check(const struct volume *labels, const char *name, struct error *error)
{
    const int64_t n = grid_voxels(&labels->grid);
    for (int64_t i = 0; i < n && labels->type == VOXEL_U8; i++)
        if (((const uint8_t *)labels->data)[i] >= EDIT_LABELS)
            return error_set(error, STATUS_FAILED, "%s: a label %d (0 to 4 are known: add, remove, allow, exclude)",
                             name, ((const uint8_t *)labels->data)[i]);
    return labels->type == VOXEL_U8
               ? STATUS_OK
               : error_set(error, STATUS_FAILED, "%s: values that are no bytes (labels 0 to 4 are needed)", name);
}

enum status edit_apply(struct volume *implant, struct edit_report *ret, const struct volume *labels,
                       const struct volume *skull, const char *name, struct error *error)
{
    static const uint8_t order[] = {EDIT_ALLOW, EDIT_EXCLUDE, EDIT_REMOVE, EDIT_ADD};
    const double ml = grid_voxel_ml(&implant->grid), zero[3] = {0, 0, 0};
    struct edit_report report = {.made = true};
    struct edit_view view = {.labels = labels};
    double world[3];

    if (edit_check(labels, name, error))
        return error->status;
    grid_to_world(&implant->grid, zero, world);
    grid_to_index(&labels->grid, world, view.start);
    for (int a = 0; a < 3; a++) {
        double at[3] = {0, 0, 0};
        at[a] = 1;
        grid_to_world(&implant->grid, at, world);
        grid_to_index(&labels->grid, world, view.step[a]);
        for (int k = 0; k < 3; k++)
            view.step[a][k] -= view.start[k];
    }

    for (size_t i = 0; i < sizeof order; i++) {
        const struct box box = edit_box(labels, order[i]);
        if (box_empty(box))
            continue;
        const struct box reach = edit_reach(&implant->grid, &labels->grid, &box);
        view.label = order[i];
        const double changed_ml = ml * (double)edit_paint(implant, &view, &reach, skull);
        double *sum = order[i] == EDIT_ADD      ? &report.added_ml
                      : order[i] == EDIT_REMOVE ? &report.removed_ml
                                                : &report.excluded_ml;
        *sum += changed_ml;
        report.restricted = report.restricted || order[i] == EDIT_ALLOW;
    }
    *ret = report;
    return STATUS_OK;
}

enum status edit_apply_file(struct volume *implant, struct edit_report *ret, const char *path, int64_t max_voxels,
                            const struct volume *skull, struct error *error)
{
    struct volume labels = {0};
    if (volume_read_header(&labels, path, error))
        return error->status;
    const int64_t voxels = grid_voxels(&labels.grid);
    volume_done(&labels);
    if (max_voxels > 0 && voxels > max_voxels)
        return error_set(error, STATUS_FAILED,
                         "%s: %" PRId64 " million voxels: more than the %" PRId64
                         " million allowed (a grid as coarse as the page's would do)",
                         path, voxels / 1000000, max_voxels / 1000000);
    if (volume_read(&labels, path, error))
        return error->status;
    enum status status = edit_apply(implant, ret, &labels, skull, path, error);
    volume_done(&labels);
    return status;
}
