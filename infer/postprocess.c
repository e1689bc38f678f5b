/* postprocess.c - see postprocess.h. Every rule works on a copy of the implant's box.
 * Test: tests/infer/test_postprocess.c */
#include "infer/postprocess.h"

#include <math.h>

#include "data/mask/distance.h"
#include "data/mask/morphology.h"
#include "infer/crop.h"
#include "infer/report/report_shape.h"

#define OFFSET(member) offsetof(struct postprocess_rule, member)
/* clang-format off */
static const struct config_field postprocess_fields[] = {
    {.key = "open", .type = CONFIG_INT, .offset = OFFSET(open), .text = "0", .min = 0, .max = 64, .unit = "voxels",
     .help = "morphological opening: thin sheets and whiskers go"},
    {.key = "close", .type = CONFIG_INT, .offset = OFFSET(close), .text = "0", .min = 0, .max = 64, .unit = "voxels",
     .help = "morphological closing: cracks are filled"},
    {.key = "keep_largest", .type = CONFIG_INT, .offset = OFFSET(keep_largest), .text = "0", .min = 0, .max = 1000,
     .help = "keep this many of the largest pieces, and with pieces: by_size every further one that closes a hole"},
    {.key = "min_volume_ml", .type = CONFIG_DOUBLE, .offset = OFFSET(min_volume_ml), .text = "0", .min = 0, .max = 1000,
     .unit = "ml", .help = "smaller pieces go"},
    {.key = "fill_holes", .type = CONFIG_BOOL, .offset = OFFSET(fill_holes), .text = "false",
     .help = "fill enclosed hollows"},
    {.key = "close_rim_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(close_rim_mm), .text = "0", .min = 0, .max = 20,
     .unit = "mm", .help = "gaps between implant and bone that a ball of this radius cannot enter are filled; "
             "give it before clearance_mm"},
    {.key = "clearance_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(clearance_mm), .text = "0", .min = 0, .max = 20,
     .unit = "mm", .help = "gap kept to the bone"},
    {.key = "min_thickness_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(min_thickness_mm), .text = "0", .min = 0,
     .max = 20, .unit = "mm", .help = "parts thinner than this are thickened, inward and outward alike; give it "
             "before clearance_mm"},
    {0},
};
/* clang-format on */

static enum status postprocess_check(const void *value, const struct yaml_node *node, struct error *error)
{
    const struct postprocess_rule *rule = value;
    int given = (rule->open > 0) + (rule->close > 0) + (rule->keep_largest > 0) + (rule->min_volume_ml > 0) +
                rule->fill_holes + (rule->close_rim_mm > 0) + (rule->clearance_mm > 0) + (rule->min_thickness_mm > 0);
    if (given == 1)
        return STATUS_OK;
    return yaml_error(
        error, node,
        "postprocess: a rule with %d steps: exactly one is needed (as [ { open: 1 }, { keep_largest: 1 } ]; the steps "
        "are open, close, keep_largest, min_volume_ml, fill_holes, close_rim_mm, clearance_mm, "
        "min_thickness_mm)",
        given);
}

const struct config_table postprocess_table = {.help = "One step of cleaning the implant; exactly one key each",
                                               .size = sizeof(struct postprocess_rule),
                                               .fields = postprocess_fields,
                                               .sparse = true,
                                               .check = postprocess_check};

/* mask or one of its neighbours, along one axis: n voxels `step` apart. */
static void postprocess_dilate_line(uint8_t *line, int64_t n, int64_t step)
{
    uint8_t before = 0;
    for (int64_t i = 0; i < n; i++) {
        const uint8_t own = line[i * step], after = i + 1 < n ? line[(i + 1) * step] : 0;
        line[i * step] = before || own || after;
        before = own;
    }
}

/* By one voxel on all sides, corners included: the gap between two voxels' faces is the distance of one from the
 * other's dilation. */
static void postprocess_dilate(struct crop *crop)
{
    const int64_t *dim = crop->dim, step[3] = {1, dim[0], dim[0] * dim[1]};
    for (int a = 0; a < 3; a++) {
        const int64_t b = (a + 1) % 3, c = (a + 2) % 3;
        for (int64_t i = 0; i < dim[b]; i++)
            for (int64_t j = 0; j < dim[c]; j++)
                postprocess_dilate_line(crop->mask + i * step[b] + j * step[c], dim[a], step[a]);
    }
}

/* A few slices of a crop with their surroundings: voxels from <= i < end are computed. */
struct slab {
    uint8_t *mask;        /* the implant; 2: taken in by this rule */
    const uint8_t *other; /* the bone, in the form that the rule needs */
    uint8_t *work;        /* room for two masks */
    int64_t dim[3], n, from, end;
    double spacing[3];
};

typedef enum status slab_rule(const struct slab *slab, double mm, struct error *error);

enum { SLAB_VOXELS = 4000000, SLAB_BYTES = 6 /* two masks, and a distance in the making */ };

static int64_t slab_reach(double reach_mm, double spacing_mm)
{
    return (int64_t)ceil(reach_mm / spacing_mm) + 1;
}

/* A rule that sees no farther than reach_mm, slab by slab: the same result as in one piece, in less memory. */
static enum status postprocess_slabs(struct crop *crop, const uint8_t *other, const struct grid *grid, slab_rule *rule,
                                     double mm, double reach_mm, struct error *error)
{
    const int64_t area = crop->dim[0] * crop->dim[1], depth = crop->dim[2],
                  reach = slab_reach(reach_mm, grid_spacing_mm(grid, 2));
    const int64_t slices = SLAB_VOXELS / area + 1, most = slices + 2 * reach < depth ? slices + 2 * reach : depth;
    struct slab slab = {.dim = {crop->dim[0], crop->dim[1]}, .work = memory_alloc((size_t)(area * most), 2)};
    enum status status =
        slab.work ? STATUS_OK : error_memory(error, (size_t)(2 * area * most), "the implant next to the bone");

    for (int a = 0; a < 3; a++)
        slab.spacing[a] = grid_spacing_mm(grid, a);
    for (int64_t z = 0; !status && z < depth; z += slices) {
        /* A slab is extended by the rule's reach, so that its own slices see what they would see in the whole. */
        const int64_t first = z > reach ? z - reach : 0, end = z + slices < depth ? z + slices : depth;
        const int64_t last = end + reach < depth ? end + reach : depth;
        slab.dim[2] = last - first;
        slab.n = area * slab.dim[2];
        slab.mask = crop->mask + first * area;
        slab.other = other + first * area;
        slab.from = (z - first) * area;
        slab.end = (end - first) * area;
        status = rule(&slab, mm, error);
    }

    memory_free(slab.work);
    return status;
}

/* other: the bone, dilated by one voxel. */
static enum status slab_clear(const struct slab *slab, double clearance_mm, struct error *error)
{
    if (distance_within(slab->work, slab->other, slab->dim, slab->spacing, clearance_mm * (1 - 1e-6), error))
        return error->status;
    for (int64_t i = slab->from; i < slab->end; i++)
        slab->mask[i] = slab->mask[i] && !slab->work[i];
    return STATUS_OK;
}

static enum status postprocess_clear(struct crop *crop, const struct volume *defective, double clearance_mm,
                                     struct error *error)
{
    struct crop bone = {0};
    if (crop_take(&bone, defective, crop->box, error))
        return error->status;
    postprocess_dilate(&bone);
    enum status status =
        postprocess_slabs(crop, bone.mask, &defective->grid, slab_clear, clearance_mm, clearance_mm, error);
    crop_done(&bone);
    return status;
}

/* other: implant and bone. What no ball enters that stays out of them, next to the implant. */
static enum status slab_close_rim(const struct slab *slab, double radius_mm, struct error *error)
{
    uint8_t *near = slab->work, *grown = near + slab->n, *mask = slab->mask;
    if (distance_within(near, slab->other, slab->dim, slab->spacing, radius_mm, error))
        return error->status;

    /* near: voxels farther than the radius from implant and bone, where the ball's centre may lie. */
    for (int64_t i = 0; i < slab->n; i++)
        near[i] = !near[i];
    if (distance_within(grown, near, slab->dim, slab->spacing, radius_mm, error))
        return error->status;

    /* Closing: what the dilated complement does not reach is filled, provisionally as 2. */
    for (int64_t i = slab->from; i < slab->end; i++)
        if (!grown[i] && !slab->other[i])
            mask[i] = 2;
    for (int64_t i = 0; i < slab->n; i++)

        /* Filled voxels farther than the radius from the implant are bone's own gaps: they go. */
        grown[i] = mask[i] == 1;
    if (distance_within(near, grown, slab->dim, slab->spacing, radius_mm, error))
        return error->status;
    for (int64_t i = slab->from; i < slab->end; i++)
        if (mask[i] == 2 && !near[i])
            mask[i] = 0;

    return STATUS_OK;
}

/* The seam that a threshold between coarse voxels leaves along the rim. */
static enum status postprocess_close_rim(struct crop *crop, const struct volume *defective, double radius_mm,
                                         struct error *error)
{
    struct crop whole = {0};
    if (crop_take(&whole, defective, crop->box, error))
        return error->status;
    for (int64_t i = 0; i < crop_voxels(crop); i++) {
        crop->mask[i] = crop->mask[i] != 0;
        whole.mask[i] |= crop->mask[i];
    }
    enum status status =
        postprocess_slabs(crop, whole.mask, &defective->grid, slab_close_rim, radius_mm, 2 * radius_mm, error);
    crop_done(&whole);
    return status;
}

/* From the centre of voxel i to its face on the way that `distance` comes from: thick slices are longer across. Nothing
 * along an axis on which the voxel behind is as deep: the middle is the face between them. */
static double postprocess_half_voxel(const float *distance, const int64_t dim[3], const double spacing[3], int64_t i)
{
    const int64_t at[3] = {i % dim[0], i / dim[0] % dim[1], i / dim[0] / dim[1]},
                  step[3] = {1, dim[0], dim[0] * dim[1]};
    double slopes = 0, across = 0;
    for (int a = 0; a < 3; a++) {
        const double before = at[a] > 0 ? (double)(distance[i] - distance[i - step[a]]) / spacing[a] : -1,
                     after = at[a] + 1 < dim[a] ? (double)(distance[i] - distance[i + step[a]]) / spacing[a] : -1,
                     slope = fmax(0, fmax(before, after));
        slopes += slope * slope;
        if (fabs(fmin(before, after)) > 1e-6)
            across += slope * slope * spacing[a] * spacing[a];
    }
    return slopes > 0 ? sqrt(across / slopes) / 2 : 0;
}

/* What an opening by a ball of the wanted thickness takes away is thin; what of it lies near the rest is only an edge
 * or a corner. Balls of that size around the middle of the thin parts are added. work: distance; seed: room for a mask.
 */
static enum status postprocess_thicken_with(struct crop *crop, const double spacing[3], double radius_mm, float *work,
                                            uint8_t *seed, struct error *error)
{
    const double EDGE = 0.8; /* corners of a plate reach 0.73 radii */
    int64_t n = crop_voxels(crop);

    for (int64_t i = 0; i < n; i++)

        /* Depth: distance of each voxel from the outside. */
        seed[i] = !crop->mask[i];
    if (distance_to_mask(work, seed, crop->dim, spacing, error))
        return error->status;
    uint8_t *thick = memory_alloc((size_t)n, 1);
    if (!thick)
        return error_memory(error, (size_t)n, "the implant's thin parts");

    for (int64_t i = 0; i < n; i++) {
        /* Thick: a ball of the wanted radius fits around the voxel. Seeds: the medial voxels of the rest. */
        thick[i] = (double)work[i] - postprocess_half_voxel(work, crop->dim, spacing, i) / 2 >= radius_mm;
        seed[i] = crop->mask[i] && !thick[i] && shape_on_ridge(work, crop->dim, spacing, i);
    }

    /* Seeds near a thick part are only its edges. */
    enum status status = distance_to_mask(work, thick, crop->dim, spacing, error);
    for (int64_t i = 0; !status && i < n; i++)
        seed[i] = seed[i] && (double)work[i] > radius_mm * (1 + EDGE);

    /* Balls of the wanted radius around the remaining seeds. */
    bool any = !status && mask_count(seed, n) > 0;
    if (any)
        status = distance_to_mask(work, seed, crop->dim, spacing, error);
    for (int64_t i = 0; !status && any && i < n; i++)
        crop->mask[i] =
            crop->mask[i] || (double)work[i] <= radius_mm + 0.999 * postprocess_half_voxel(work, crop->dim, spacing, i);

    memory_free(thick);
    return status;
}

static enum status postprocess_thicken(struct crop *crop, const struct grid *grid, double thickness_mm,
                                       struct error *error)
{
    const double spacing[3] = {grid_spacing_mm(grid, 0), grid_spacing_mm(grid, 1), grid_spacing_mm(grid, 2)};
    size_t n = (size_t)crop_voxels(crop);
    float *work = memory_alloc(n, sizeof *work);
    uint8_t *seed = memory_alloc(n, 1);
    enum status status = work && seed ? postprocess_thicken_with(crop, spacing, thickness_mm / 2, work, seed, error)
                                      : error_memory(error, n * (1 + sizeof *work), "the implant's thin parts");
    memory_free(work);
    memory_free(seed);
    return status;
}

/* Voxels beyond the implant's box that the rule must see. */
static int64_t postprocess_margin(const struct postprocess_rule *rule, const struct grid *grid)
{
    if (rule->close)
        return rule->close;
    if (rule->keep_largest) /* the bone around a piece is needed to judge it */
        return (int64_t)ceil(PIECE_REACH_MM /
                             fmin(grid_spacing_mm(grid, 0), fmin(grid_spacing_mm(grid, 1), grid_spacing_mm(grid, 2)))) +
               1;
    double smallest = fmin(grid_spacing_mm(grid, 0), fmin(grid_spacing_mm(grid, 1), grid_spacing_mm(grid, 2)));
    double reach_mm = fmax(3 * rule->close_rim_mm, fmax(rule->clearance_mm, rule->min_thickness_mm));
    return reach_mm > 0 ? (int64_t)ceil(reach_mm / smallest) + 2 : 0;
}

static enum status postprocess_apply(const struct postprocess_rule *rule, const struct postprocess_config *config,
                                     struct crop *crop, const struct volume *defective, struct error *error)
{
    if (rule->open)
        return mask_open(crop->mask, crop->dim, (int)rule->open, error);
    if (rule->close)
        return mask_close(crop->mask, crop->dim, (int)rule->close, error);
    if (rule->keep_largest)
        return pieces_keep(crop, defective, rule->keep_largest, config->pieces, config->removed, error);
    if (rule->min_volume_ml > 0)
        return pieces_remove_small(crop, defective,
                                   (int64_t)ceil(rule->min_volume_ml / grid_voxel_ml(&defective->grid)),
                                   config->removed, error);
    if (rule->close_rim_mm > 0)
        return postprocess_close_rim(crop, defective, rule->close_rim_mm, error);
    if (rule->clearance_mm > 0)
        return postprocess_clear(crop, defective, rule->clearance_mm, error);
    if (rule->min_thickness_mm > 0)
        return postprocess_thicken(crop, &defective->grid, rule->min_thickness_mm, error);

    return mask_fill_holes(crop->mask, crop->dim, error);
}

int64_t postprocess_bytes(const struct config_list *rules, const struct grid *grid)
{
    enum {
        ANY_RULE = 2 /* the implant's box, and another mask or bits */,
        PIECES = 5 /* ranks, bone, what lies near it */,
        THICKEN = 7
    };
    const int64_t voxels = grid_voxels(grid), area = grid->dim[0] * grid->dim[1];
    int64_t most = rules->n > 0 ? ANY_RULE * voxels : 0;

    for (int64_t i = 0; i < rules->n; i++) {
        const struct postprocess_rule *rule = rules->items[i].value;
        const double reach_mm = fmax(2 * rule->close_rim_mm, rule->clearance_mm);
        const int64_t slab = SLAB_VOXELS + area * (1 + 2 * slab_reach(reach_mm, grid_spacing_mm(grid, 2)));
        int64_t bytes = ANY_RULE * voxels + (reach_mm > 0 ? SLAB_BYTES * (slab < voxels ? slab : voxels) : 0);
        if (rule->keep_largest)
            bytes = PIECES * voxels;
        if (rule->min_thickness_mm > 0)
            bytes = THICKEN * voxels;
        most = bytes > most ? bytes : most;
    }

    return most;
}

enum status postprocess_run(struct volume *implant, const struct volume *defective,
                            const struct postprocess_config *config, struct error *error)
{
    const struct config_list *rules = config->rules;
    for (int64_t i = 0; i < rules->n; i++) {
        const struct postprocess_rule *rule = rules->items[i].value;
        struct box box = box_of_mask(implant->data, implant->grid.dim);
        if (box_empty(box))
            return STATUS_OK;
        struct crop crop = {0};
        enum status status = crop_take(
            &crop, implant, box_grow(box, postprocess_margin(rule, &implant->grid), implant->grid.dim), error);
        if (!status)
            status = postprocess_apply(rule, config, &crop, defective, error);
        if (!status)
            crop_put(&crop, implant, defective);
        crop_done(&crop);
        if (status)
            return error_while(error, "postprocessing the implant");
    }

    return STATUS_OK;
}
