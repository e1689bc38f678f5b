/* postprocess.c - see postprocess.h. Every rule works on a copy of the implant's box alone. */
#include "infer/postprocess.h"

#include <math.h>

#include "data/distance.h"
#include "data/morphology.h"
#include "infer/crop.h"

#define OFFSET(member) offsetof(struct postprocess_rule, member)
static const struct config_field postprocess_fields[] = {
    {.key = "open", .type = CONFIG_INT, .offset = OFFSET(open), .text = "0", .min = 0, .max = 64, .unit = "voxels",
     .help = "morphological opening: thin sheets and whiskers go"},
    {.key = "close", .type = CONFIG_INT, .offset = OFFSET(close), .text = "0", .min = 0, .max = 64, .unit = "voxels",
     .help = "morphological closing: cracks are filled"},
    {.key = "keep_largest", .type = CONFIG_INT, .offset = OFFSET(keep_largest), .text = "0", .min = 0, .max = 1000,
     .help = "keep this many of the largest pieces"},
    {.key = "min_volume_ml", .type = CONFIG_DOUBLE, .offset = OFFSET(min_volume_ml), .text = "0", .min = 0, .max = 1000,
     .unit = "ml", .help = "smaller pieces go"},
    {.key = "fill_holes", .type = CONFIG_BOOL, .offset = OFFSET(fill_holes), .text = "false", .help = "fill enclosed hollows"},
    {.key = "clearance_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(clearance_mm), .text = "0", .min = 0, .max = 20, .unit = "mm",
     .help = "gap kept to the bone"},
    {0},
};

static enum status postprocess_check(const void *value, const struct yaml_node *node, struct error *error)
{
    const struct postprocess_rule *rule = value;
    int given = (rule->open > 0) + (rule->close > 0) + (rule->keep_largest > 0) + (rule->min_volume_ml > 0) + rule->fill_holes +
                (rule->clearance_mm > 0);
    if (given == 1)
        return STATUS_OK;
    return config_error(
        error, node,
        "postprocess: a rule with %d steps: exactly one is needed (as [ { open: 1 }, { keep_largest: 1 } ]; the steps "
        "are open, close, keep_largest, min_volume_ml, fill_holes, clearance_mm)",
        given);
}

const struct config_table postprocess_table = {.help = "One step of cleaning the implant; exactly one key each",
                                               .size = sizeof(struct postprocess_rule),
                                               .fields = postprocess_fields,
                                               .sparse = true,
                                               .check = postprocess_check};

/* Centres of face neighbours are one voxel apart and leave no gap, hence the voxel added. */
static enum status crop_clear(struct crop *crop, const struct volume *defective, double clearance_mm, struct error *error)
{
    const double spacing[3] = {grid_spacing_mm(&defective->grid, 0), grid_spacing_mm(&defective->grid, 1),
                               grid_spacing_mm(&defective->grid, 2)};
    double nearest_mm = clearance_mm + (spacing[0] + spacing[1] + spacing[2]) / 3;
    struct crop bone = {0};
    if (crop_take(&bone, defective, crop->box, error))
        return error->status;
    int64_t n = crop_voxels(crop);
    float *distance = memory_alloc((size_t)n, sizeof *distance);
    enum status status = distance ? distance_to_mask(distance, bone.mask, crop->dim, spacing, error)
                                  : error_memory(error, (size_t)n * sizeof *distance, "the clearance to the bone");
    for (int64_t i = 0; !status && i < n; i++)
        crop->mask[i] = crop->mask[i] && (double)distance[i] >= nearest_mm * (1 - 1e-6);
    memory_free(distance);
    crop_done(&bone);
    return status;
}

/* Voxels beyond the implant's box that the rule must see. */
static int64_t rule_margin(const struct postprocess_rule *rule, const struct grid *grid)
{
    if (rule->close)
        return rule->close;
    double smallest = fmin(grid_spacing_mm(grid, 0), fmin(grid_spacing_mm(grid, 1), grid_spacing_mm(grid, 2)));
    return rule->clearance_mm > 0 ? (int64_t)ceil(rule->clearance_mm / smallest) + 2 : 0;
}

static enum status rule_apply(const struct postprocess_rule *rule, struct crop *crop, const struct volume *defective,
                              struct error *error)
{
    enum { PIECES = 6 };
    if (rule->open)
        return mask_open(crop->mask, crop->dim, (int)rule->open, error);
    if (rule->close)
        return mask_close(crop->mask, crop->dim, (int)rule->close, error);
    if (rule->keep_largest)
        return mask_keep_largest(crop->mask, crop->dim, rule->keep_largest, PIECES, error);
    if (rule->min_volume_ml > 0)
        return mask_remove_small(crop->mask, crop->dim, (int64_t)ceil(rule->min_volume_ml / grid_voxel_ml(&defective->grid)),
                                 PIECES, error);
    if (rule->clearance_mm > 0)
        return crop_clear(crop, defective, rule->clearance_mm, error);
    return mask_fill_holes(crop->mask, crop->dim, error);
}

enum status postprocess_run(struct volume *implant, const struct volume *defective, const struct config_list *rules,
                            struct error *error)
{
    for (int64_t i = 0; i < rules->n; i++) {
        const struct postprocess_rule *rule = rules->items[i].value;
        struct box box = box_of_mask(implant->data, implant->grid.dim);
        if (box_empty(box))
            return STATUS_OK;
        struct crop crop = {0};
        enum status status =
            crop_take(&crop, implant, box_grow(box, rule_margin(rule, &implant->grid), implant->grid.dim), error);
        if (!status)
            status = rule_apply(rule, &crop, defective, error);
        if (!status)
            crop_put(&crop, implant, defective);
        crop_done(&crop);
        if (status)
            return error_while(error, "postprocessing the implant");
    }
    return STATUS_OK;
}
