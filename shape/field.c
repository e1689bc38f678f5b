/* field.c - see field.h. Test: tests/shape/test_shape_restore.c (cropped) */
#include "shape/field.h"

#include <math.h>

/* Voxels of bone in a slice across `axis`. */
static int64_t field_area(const struct volume *skull, int axis, int64_t at)
{
    const int64_t *dim = skull->grid.dim;
    const uint8_t *mask = skull->data;
    const int64_t step[3] = {1, dim[0], dim[0] * dim[1]};
    const int u = axis == 0 ? 1 : 0, v = axis == 2 ? 1 : 2;
    int64_t n = 0;
    for (int64_t j = 0; j < dim[v]; j++)
        for (int64_t i = 0; i < dim[u]; i++)
            n += mask[at * step[axis] + j * step[v] + i * step[u]] != 0;
    return n;
}

/* A vault ends in a cap: its last slice holds a small part of the bone of the slice 8 mm (two slices at least) inside.
 * A cut one ends in a ring of the same size. */
static bool field_is_cut(const struct volume *skull, int axis, int64_t last, int64_t inward)
{
    const double spacing = grid_spacing_mm(&skull->grid, axis),
                 pixel_mm2 = grid_voxel_ml(&skull->grid) * 1000 / spacing;
    const int64_t deep = (int64_t)fmax(2, ceil(8 / spacing)), other = last + inward * deep;
    if (other < 0 || other >= skull->grid.dim[axis])
        return false;
    const double edge = (double)field_area(skull, axis, last), inside = (double)field_area(skull, axis, other);
    return edge * pixel_mm2 > 400 && edge > 0.7 * inside;
}

struct field field_of_view(const struct volume *skull)
{
    const struct box bone = box_of_mask(skull->data, skull->grid.dim);
    struct field field = {.box = {{0, 0, 0}, {skull->grid.dim[0], skull->grid.dim[1], skull->grid.dim[2]}}};
    for (int a = 0; a < 3 && !box_empty(bone); a++) {
        field.end_low[a] = field_is_cut(skull, a, bone.lo[a], 1);
        field.end_high[a] = field_is_cut(skull, a, bone.hi[a] - 1, -1);
        field.box.lo[a] = field.end_low[a] ? bone.lo[a] : field.box.lo[a];
        field.box.hi[a] = field.end_high[a] ? bone.hi[a] : field.box.hi[a];
    }
    return field;
}
