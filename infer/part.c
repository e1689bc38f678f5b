/* part.c - see part.h. Test: tests/infer/test_part.c */
#include "infer/part.h"

#include <math.h>
#include <string.h>

#include "shape/restore.h"

void part_begin(struct mesh_field *ret, const struct volume *implant, const struct clearance *clearance)
{
    *ret = (struct mesh_field){.box = clearance_box(implant, clearance)};
}

int64_t part_cut_bytes(const struct clearance *clearance, int64_t voxels)
{
    return clearance->gap_mm + clearance->bevel_deg > 0 ? clearance_bytes(voxels) : 0;
}

/* A shape model's depth, where it reaches; beyond it nothing is known. */
static void part_copy_depth(float *value, const struct box *box, const struct shape_restoration *shape)
{
    const struct box *from = &shape->box, common = box_meet(*box, *from);
    for (int64_t i = 0; i < box_voxels(*box); i++)
        value[i] = NAN;
    for (int64_t z = common.lo[2]; z < common.hi[2]; z++)
        for (int64_t y = common.lo[1]; y < common.hi[1]; y++) {
            const float *row = shape->depth +
                               ((z - from->lo[2]) * box_size(*from, 1) + y - from->lo[1]) * box_size(*from, 0) +
                               common.lo[0] - from->lo[0];
            float *to = value + ((z - box->lo[2]) * box_size(*box, 1) + y - box->lo[1]) * box_size(*box, 0) +
                        common.lo[0] - box->lo[0];
            memcpy(to, row, (size_t)box_size(common, 0) * sizeof *to);
        }
}

enum status part_surface(struct mesh_field *field, const struct restoration *restoration, struct error *error)
{
    const struct shape_restoration *shape = restoration->shape;
    const int64_t n = box_voxels(field->box);
    const bool has_depth = shape && shape->depth;
    if (box_empty(field->box) || (!has_depth && !restoration->prediction.data))
        return STATUS_OK;
    field->value = memory_alloc((size_t)n, sizeof *field->value);
    if (!field->value)
        return error_memory(error, (size_t)n * sizeof *field->value, "the implant's surface");
    if (has_depth) {
        part_copy_depth(field->value, &field->box, shape);
        return STATUS_OK;
    }

    const float threshold = (float)restoration->threshold;
    if (prediction_values(field->value, &restoration->implant.grid, field->box, &restoration->prediction, error))
        return error->status;
    for (int64_t i = 0; i < n; i++)
        field->value[i] -= threshold;
    return STATUS_OK;
}
