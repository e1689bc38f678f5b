/* outcome.c - see outcome.h. Test: tests/infer/test_batch.c, tests/lib/test_library.c */
#include "infer/outcome.h"

#include <math.h>

#include "data/mask/distance.h"
#include "infer/report/report.h"
#include "infer/report/report_prediction.h"
#include "shape/restore.h"

enum { SMOOTHING = 15 };
static const double SMOOTHING_SHIFT = 0.45; /* of a voxel's shortest side: less than half */
static const double FIELD_REACH_MM = 5;

static double outcome_finest_mm(const struct grid *grid)
{
    return fmin(grid_spacing_mm(grid, 0), fmin(grid_spacing_mm(grid, 1), grid_spacing_mm(grid, 2)));
}

/* ---- rules ---- */

#define OFFSET(member) offsetof(struct outcome_rules, member)
/* clang-format off */
static const struct config_field outcome_rules_fields[] = {
    {.key = "clearance_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(clearance.gap_mm), .text = "0", .min = 0,
     .max = 20, .unit = "mm", .help = "gap kept between implant and bone, after the model's own rules"},
    {.key = "bevel_deg", .type = CONFIG_DOUBLE, .offset = OFFSET(clearance.bevel_deg), .text = "0", .min = 0,
     .max = 45, .unit = "degrees",
     .help = "the gap widens inwards at this angle, so that the implant rests on its outer rim"},
    {.key = "min_thickness_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(min_thickness_mm), .text = "0", .min = 0,
     .max = 20, .unit = "mm", .help = "thinner parts of the implant are thickened to this, before the gap is cut"},
    {.key = "insertable", .type = CONFIG_BOOL, .offset = OFFSET(insertable), .text = "false",
     .help = "trim what cannot pass when the implant is moved straight into the hole; the report states the volume"},
    {0},
};
/* clang-format on */
#undef OFFSET
const struct config_table outcome_rules_table = {
    .help = "Rules after the model's own", .size = sizeof(struct outcome_rules), .fields = outcome_rules_fields};

enum status outcome_apply_rules(struct restoration *result, const struct volume *skull,
                                const struct outcome_rules *wanted, int64_t max_bytes, const char *name,
                                struct error *error)
{
    struct postprocess_rule rule = {.min_thickness_mm = wanted->min_thickness_mm};
    struct config_item item = {.table = &postprocess_table, .value = &rule};
    const struct config_list list = {.n = rule.min_thickness_mm > 0, .items = &item};
    if (list.n == 0 && part_cut_bytes(&wanted->clearance, 1) == 0)
        return STATUS_OK;

    /* Only the implant's box and what the rules reach around it is copied and changed. */
    const struct box box = box_of_mask(result->implant.data, skull->grid.dim);
    const double margin_mm = 2 * (wanted->min_thickness_mm + 2);
    struct grid grown = skull->grid;

    for (int a = 0; a < 3; a++) {
        const int64_t side = box.hi[a] - box.lo[a] + (int64_t)ceil(margin_mm / grid_spacing_mm(&skull->grid, a)) + 4;
        grown.dim[a] = side < skull->grid.dim[a] ? side : skull->grid.dim[a];
    }

    part_begin(&result->cuts, &result->implant, &wanted->clearance);
    if (postprocess_bytes(&list, &grown) > max_bytes ||
        part_cut_bytes(&wanted->clearance, box_voxels(result->cuts.box)) > max_bytes)
        return error_set(error, STATUS_FAILED,
                         "%s: the implant's box is of %.0f million voxels: --clearance-mm and --min-thickness-mm take "
                         "more memory on it than the "
                         "bound allows (leave them out, or give more --max-memory)",
                         name, (double)grid_voxels(&grown) / 1e6);

    if (postprocess_run(&result->implant, skull, &(struct postprocess_config){.rules = &list}, error))
        return error->status;
    part_begin(&result->cuts, &result->implant, &wanted->clearance); /* it may be thicker */
    if (clearance_cut(&result->cuts, &result->implant, skull, &wanted->clearance, error))
        return error->status;
    restoration_complete(result, skull);

    return STATUS_OK;
}

enum status outcome_check_pose(const struct restoration *result, struct warnings *warnings, bool strict,
                               const char *path, struct error *error)
{
    if (!result->shape)
        return STATUS_OK;
    report_pose_warnings(warnings, &result->shape->pose);
    return skull_strict(warnings, strict, path, error);
}

enum status outcome_insertion(struct insertion *ret, struct restoration *result, const struct volume *skull, bool trim,
                              struct error *error)
{
    if (insertion_find(ret, &result->implant, skull, error))
        return error->status;
    if (trim) {
        insertion_trim(&result->implant, ret);
        restoration_complete(result, skull);
    }
    return STATUS_OK;
}

/* ---- surfaces ---- */

enum status outcome_intervals(struct mesh *mesh, const struct restoration *result, const struct restorer *restorer,
                              struct error *error)
{
    if (!result->shape && !result->spread.data)
        return STATUS_OK;
    memory_free(mesh->value);
    mesh->value = memory_alloc((size_t)mesh->n_points, sizeof *mesh->value);
    if (!mesh->value)
        return error_memory(error, (size_t)mesh->n_points * sizeof *mesh->value, "the surface's colours");
    mesh->value_most = 4;
    for (int64_t i = 0; i < mesh->n_points; i++) {
        const double mm = restoration_interval_mm(result, restorer, mesh->point[i]);
        mesh->value[i] = isfinite(mm) ? (float)mm : 0; /* on the rim, beyond the rays filled: measured */
    }
    return STATUS_OK;
}

enum status outcome_mesh(struct mesh *ret, struct restoration *result, const struct restorer *restorer,
                         int64_t max_voxels, struct error *error)
{
    const struct volume *implant = &result->implant;
    const struct grid *grid = &implant->grid;
    const double volume_ml = (double)mask_count(implant->data, grid_voxels(grid)) * grid_voxel_ml(grid);
    enum status status = STATUS_OK;
    if (box_empty(result->cuts.box))
        part_begin(&result->cuts, implant, &(struct clearance){0});
    if (box_voxels(result->cuts.box) <= max_voxels)
        status = part_surface(&result->cuts, result, error);
    if (!status)
        status = mesh_from_field(ret, implant, &result->cuts, error);
    memory_free(result->cuts.value); /* a change of the implant may come */
    result->cuts.value = NULL;

    if (!status)
        status = mesh_smooth(ret, SMOOTHING, SMOOTHING_SHIFT * outcome_finest_mm(grid), volume_ml, error);
    if (!status)
        status = outcome_intervals(ret, result, restorer, error);
    return status;
}

enum status outcome_skull_mesh(struct mesh *ret, const struct volume *mask, struct error *error)
{
    enum status status = mesh_from_mask(ret, mask, error);
    return status ? status : mesh_smooth(ret, SMOOTHING, SMOOTHING_SHIFT * outcome_finest_mm(&mask->grid), 0, error);
}

/* ---- field ---- */

/* A shape model's depth is in its own millimetres: a ray is longer in the world by |p - c| / |q|. */
static enum status outcome_field_of_shape(struct outcome_field *field, const struct shape_restoration *shape,
                                          const struct grid *grid, struct error *error)
{
    const struct pose *pose = &shape->pose.pose;
    const struct box *box = &shape->box;
    const int64_t wide = box_size(*box, 0), slice = wide * box_size(*box, 1);
    field->box = *box;
    field->value = memory_alloc((size_t)box_voxels(*box), sizeof *field->value);
    if (!field->value)
        return error_memory(error, (size_t)box_voxels(*box) * sizeof *field->value, "the field");

#pragma omp parallel for schedule(static)
    for (int64_t z = box->lo[2]; z < box->hi[2]; z++)
        for (int64_t y = box->lo[1]; y < box->hi[1]; y++)
            for (int64_t x = box->lo[0]; x < box->hi[0]; x++) {
                const int64_t i = (z - box->lo[2]) * slice + (y - box->lo[1]) * wide + x - box->lo[0];
                const double index[3] = {(double)x, (double)y, (double)z};
                double world[3], q[3], apart = 0;
                grid_to_world(grid, index, world);
                pose_canonical(pose, world, q);
                for (int a = 0; a < 3; a++)
                    apart += (world[a] - pose->centre[a]) * (world[a] - pose->centre[a]);
                const double r = sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]);
                field->value[i] = (float)((double)shape->depth[i] * sqrt(apart) / fmax(r, 1e-9));
            }
    return STATUS_OK;
}

/* Of a mask: the distance from a voxel to the nearest of the other kind, less half a voxel. */
static enum status outcome_field_of_mask(struct outcome_field *field, const struct volume *implant, struct error *error)
{
    const struct grid *grid = &implant->grid;
    const double spacing[3] = {grid_spacing_mm(grid, 0), grid_spacing_mm(grid, 1), grid_spacing_mm(grid, 2)};
    const double half = outcome_finest_mm(grid) / 2;
    struct crop crop = {0};
    field->box = box_grow(box_of_mask(implant->data, grid->dim), (int64_t)ceil(FIELD_REACH_MM / (2 * half)), grid->dim);
    const size_t n = (size_t)box_voxels(field->box);
    float *outward = memory_alloc(n, sizeof *outward);
    field->value = memory_alloc(n, sizeof *field->value);
    enum status status =
        outward && field->value ? STATUS_OK : error_memory(error, 2 * n * sizeof *outward, "the field");

    if (!status)
        status = crop_take(&crop, implant, field->box, error);
    if (!status)
        status = distance_to_mask(outward, crop.mask, crop.dim, spacing, error);
    for (size_t i = 0; !status && i < n; i++)
        crop.mask[i] = !crop.mask[i];
    if (!status)
        status = distance_to_mask(field->value, crop.mask, crop.dim, spacing, error);
    for (size_t i = 0; !status && i < n; i++)
        field->value[i] = (float)(crop.mask[i] ? half - (double)outward[i] : (double)field->value[i] - half);

    memory_free(outward);
    crop_done(&crop);
    return status;
}

enum status outcome_field(struct outcome_field *ret, const struct restoration *result, struct error *error)
{
    struct outcome_field field = {.value = NULL};
    enum status status = STATUS_OK;
    const struct box box = box_of_mask(result->implant.data, result->implant.grid.dim);
    if (box_empty(box))
        field.box = (struct box){{0}, {0}};
    else if (result->shape && result->shape->depth)
        status = outcome_field_of_shape(&field, result->shape, &result->implant.grid, error);
    else
        status = outcome_field_of_mask(&field, &result->implant, error);
    if (status)
        memory_free(field.value);
    else
        *ret = field;
    return status;
}
