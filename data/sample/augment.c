/* augment.c - what is drawn for one skull: its keys, its transformation, its elastic lattice, its noise.
 * Test: tests/data/test_augment.c. */
#include "data/sample/augment.h"

#include <math.h>
#include <stddef.h>

#include "base/memory.h"
#include "data/defects/region.h"

#define OFFSET(member) offsetof(struct augment_config, member)
/* clang-format off */
static const struct config_field augment_fields[] = {
    {.key = "probability", .type = CONFIG_DOUBLE, .offset = OFFSET(probability), .text = "1", .min = 0, .max = 1,
     .help = "share of drawn skulls that any of this happens to"},
    {.key = "flip_x", .type = CONFIG_DOUBLE, .offset = OFFSET(flip_x), .text = "0", .min = 0, .max = 1,
     .help = "probability of left becoming right"},
    {.key = "flip_y", .type = CONFIG_DOUBLE, .offset = OFFSET(flip_y), .text = "0", .min = 0, .max = 1,
     .help = "probability of front becoming back"},
    {.key = "flip_z", .type = CONFIG_DOUBLE, .offset = OFFSET(flip_z), .text = "0", .min = 0, .max = 1,
     .help = "probability of top becoming bottom"},
    {.key = "rotate_deg", .type = CONFIG_DOUBLE3, .offset = OFFSET(rotate_deg), .text = "[0, 0, 0]",
     .unit = "degrees", .min = 0, .max = 180,
     .help = "turned about x (nodding), y (leaning) and z (shaking the head) by up to this much either way"},
    {.key = "scale", .type = CONFIG_RANGE, .offset = OFFSET(scale), .text = "[1, 1]", .min = 0.5, .max = 2,
     .help = "stretched by a factor drawn for each axis of the skull"},
    {.key = "elastic_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(elastic_mm), .text = "0", .unit = "mm", .min = 0,
     .max = 50, .help = "warped by a smooth random field: its control points move up to this much along each axis"},
    {.key = "elastic_grid_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(elastic_grid_mm), .text = "32", .unit = "mm",
     .min = 5, .max = 500, .help = "distance of the control points (cubic B-splines)"},
    {.key = "slice_mm", .type = CONFIG_RANGE, .offset = OFFSET(slice_mm), .text = "[0, 0]", .unit = "mm", .min = 0,
     .max = 20, .help = "resampled as a scan of this slice spacing would be, in steps; no effect below the skull's own "
             "spacing"},
    {.key = "noise_surface", .type = CONFIG_RANGE, .offset = OFFSET(noise_surface), .text = "[0, 0]", .min = 0,
     .max = 0.5, .help = "share of the bone's surface where a voxel of bone or air becomes the other, in source "
             "and target alike"},
    {.key = "noise_bits", .type = CONFIG_RANGE, .offset = OFFSET(noise_bits), .text = "[0, 0]", .min = 0, .max = 0.5,
     .help = "share of all voxels that become the other, in source and target alike"},
    {.key = "crop", .type = CONFIG_DOUBLE, .offset = OFFSET(crop), .text = "0", .min = 0, .max = 1,
     .help = "probability of a field of view that ends too early"},
    {.key = "crop_below", .type = CONFIG_RANGE, .offset = OFFSET(crop_below), .text = "[0, 0.3]", .min = 0, .max = 0.9,
     .help = "crop: share of the bone's height that is missing below"},
    {.key = "crop_top", .type = CONFIG_RANGE, .offset = OFFSET(crop_top), .text = "[0, 0]", .min = 0, .max = 0.9,
     .help = "crop: share of the bone's height that is missing above"},
    {.key = "crop_top_mm", .old_key = "frame_up_mm",
     .type = CONFIG_RANGE, .offset = OFFSET(crop_top_mm), .text = "[0, 0]", .unit = "mm", .min = 0, .max = 100,
     .help = "the crop of a whole skull ends this much higher above the highest bone, so that its top does not give "
             "the vault's height away"},
    {.key = "warp_shape", .type = CONFIG_DOUBLE, .offset = OFFSET(warp_shape), .text = "0", .min = 0, .max = 2,
     .help = "given the shape of another head of warp_model: a share of the way, drawn from 0 to this"},
    {.key = "warp_model", .type = CONFIG_PATH, .offset = OFFSET(warp_model),
     .help = "the shape model; skulls that are none of its heads keep their shape"},
    {0}};
/* clang-format on */

/* A field of uniform cubic B-splines folds where its coefficients exceed 1/2.48 of their distance (Choi and Lee,
 * "Injectivity conditions of 2D and 3D uniform cubic B-spline functions", Graphical Models 62, 2000). */
static enum status augment_check(const void *value, const struct yaml_node *node, struct error *error)
{
    const struct augment_config *config = value;
    if (config->elastic_mm * 2.48 > config->elastic_grid_mm)
        return yaml_error(error, yaml_get(node, "elastic_mm"),
                          "elastic_mm: %g mm folds a field of control points %g mm apart (at most %.3g)",
                          config->elastic_mm, config->elastic_grid_mm, config->elastic_grid_mm / 2.48);
    if (config->warp_shape > 0 && !config->warp_model)
        return yaml_error(error, yaml_get(node, "warp_shape"),
                          "warp_shape: %g, but no warp_model is given (a shape model made by `calvaria shape`)",
                          config->warp_shape);
    if (config->crop_below[1] + config->crop_top[1] >= 1)
        return yaml_error(error, yaml_get(node, "crop_top"),
                          "crop_below and crop_top together may leave nothing of the skull (keep their sum below 1)");
    return STATUS_OK;
}

const struct config_table augment_table = {.help = "augmentation of training pairs; everything is off by default",
                                           .size = sizeof(struct augment_config),
                                           .fields = augment_fields,
                                           .check = augment_check};

/* Each has a stream of its own: switching one on leaves the others as they were. */
enum {
    CHILD_ANY,
    CHILD_FLIP,
    CHILD_ROTATE,
    CHILD_SCALE,
    CHILD_ELASTIC,
    CHILD_SLICE,
    CHILD_NOISE,
    CHILD_CROP,
    CHILD_CROP_TOP,
    CHILD_WARP
};

/* Turned about x, then y, then z. */
static void augment_draw_rotation(double rotation[3][3], const double most_deg[3], struct rng rng)
{
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            rotation[i][j] = i == j;
    for (int a = 0; a < 3; a++) {
        const double angle = rng_uniform(&rng, -most_deg[a], most_deg[a]) * 3.14159265358979323846 / 180,
                     c = cos(angle), s = sin(angle);
        double *u = rotation[(a + 1) % 3], *v = rotation[(a + 2) % 3];
        for (int j = 0; j < 3; j++) {
            const double from_u = u[j], from_v = v[j];
            u[j] = c * from_u - s * from_v;
            v[j] = s * from_u + c * from_v;
        }
    }
}

/* In mm: shown = R diag(scale) skull; in voxels of spacing S: to_skull = S^-1 diag(1/scale) R^T S, back = S^-1 R
 * diag(scale) S.
 */
static void augment_draw_linear(struct augment *augment, const struct augment_config *config, const struct rng *rng)
{
    double rotation[3][3], spacing[3], scale[3];
    struct rng scaling = rng_child(rng, CHILD_SCALE);
    augment_draw_rotation(rotation, config->rotate_deg, rng_child(rng, CHILD_ROTATE));
    for (int a = 0; a < 3; a++) {
        spacing[a] = grid_spacing_mm(&augment->grid, a);
        scale[a] = rng_range(config->scale, &scaling);
    }
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            augment->to_skull[i][j] = rotation[j][i] / scale[i] * (spacing[j] / spacing[i]);
            augment->back[i][j] = rotation[i][j] * scale[j] * (spacing[j] / spacing[i]);
            augment->moved |= augment->back[i][j] != (i == j);
        }
}

/* A lattice over the bone with one more point on either side, which cubic B-splines need. */
static enum status augment_draw_elastic(struct augment *augment, const struct augment_config *config, struct box bone,
                                        struct rng rng, struct error *error)
{
    int64_t n = 3;
    if (config->elastic_mm <= 0)
        return STATUS_OK;
    for (int a = 0; a < 3; a++) {
        augment->lattice_vox[a] = config->elastic_grid_mm / grid_spacing_mm(&augment->grid, a);
        augment->lattice_lo[a] = (double)bone.lo[a];
        augment->n[a] = (int64_t)ceil((double)box_size(bone, a) / augment->lattice_vox[a]) + 3;
        n *= augment->n[a];
    }
    augment->lattice = memory_alloc((size_t)n, sizeof *augment->lattice);
    if (!augment->lattice)
        return error_memory(error, (size_t)n * sizeof *augment->lattice, "an elastic field");
    for (int64_t i = 0; i < n; i++)
        augment->lattice[i] = (float)rng_uniform(&rng, -config->elastic_mm, config->elastic_mm);
    augment->moved = true;
    return STATUS_OK;
}

/* The ends of the field of view, from where the turned skull's bone begins and ends along z (its own height, not that
 * of its turned box). */
static void augment_draw_crop(struct augment *augment, const struct augment_config *config, struct box bone,
                              struct rng rng)
{
    if (rng_uniform(&rng, 0, 1) >= config->crop)
        return;
    double middle[3], height = (double)box_size(bone, 2) * augment->back[2][2];
    for (int a = 0; a < 3; a++)
        middle[a] = augment->centre[a];
    augment_place(augment, middle);
    const double below = rng_range(config->crop_below, &rng), top = rng_range(config->crop_top, &rng);
    augment->z_lo = middle[2] - 0.5 * height + below * height;
    augment->z_hi = middle[2] + 0.5 * height - top * height;
    if (below == 0)
        augment->z_lo = -INFINITY;
    if (top == 0)
        augment->z_hi = INFINITY;
    augment->moved |= below > 0 || top > 0;
}

static void augment_draw_rest(struct augment *augment, const struct augment_config *config, const struct rng *rng)
{
    struct rng slice = rng_child(rng, CHILD_SLICE), noise = rng_child(rng, CHILD_NOISE),
               crop_top = rng_child(rng, CHILD_CROP_TOP), warp = rng_child(rng, CHILD_WARP);
    const double slice_vox = rng_range(config->slice_mm, &slice) / grid_spacing_mm(&augment->grid, 2);
    if (slice_vox > 1) {
        augment->slice_vox = slice_vox;
        augment->slice_phase = rng_uniform(&slice, 0, slice_vox);
        augment->moved = true;
    }
    augment->noise_surface = rng_range(config->noise_surface, &noise);
    augment->noise_bits = rng_range(config->noise_bits, &noise);
    augment->crop_top_mm = rng_range(config->crop_top_mm, &crop_top);
    augment->warp_share = rng_uniform(&warp, 0, config->warp_shape);
}

enum status augment_draw(struct augment *ret, const struct augment_config *config, const struct grid *grid,
                         struct box bone, struct rng rng, struct error *error)
{
    const double flips[3] = {config->flip_x, config->flip_y, config->flip_z};
    struct rng any = rng_child(&rng, CHILD_ANY), flip = rng_child(&rng, CHILD_FLIP);
    *ret = (struct augment){.grid = *grid, .z_lo = -INFINITY, .z_hi = INFINITY};
    for (int a = 0; a < 3; a++)
        ret->to_skull[a][a] = ret->back[a][a] = 1;
    if (rng_uniform(&any, 0, 1) >= config->probability)
        return STATUS_OK;
    for (int a = 0; a < 3; a++) {
        ret->flip[a] = rng_uniform(&flip, 0, 1) < flips[a];
        ret->moved |= ret->flip[a];
        ret->centre[a] = 0.5 * (double)(bone.lo[a] + bone.hi[a] - 1);
    }
    augment_draw_linear(ret, config, &rng);
    augment_draw_crop(ret, config, bone, rng_child(&rng, CHILD_CROP));
    augment_draw_rest(ret, config, &rng);
    return augment_draw_elastic(ret, config, bone, rng_child(&rng, CHILD_ELASTIC), error);
}

void augment_done(struct augment *augment)
{
    memory_free(augment->lattice);
    if (augment->warp)
        augment->warp->free(augment->warp);
    *augment = (struct augment){0};
}

void augment_place(const struct augment *augment, double at[3])
{
    double off[3];
    if (!augment->moved)
        return;
    for (int a = 0; a < 3; a++)
        off[a] = at[a] - augment->centre[a];
    for (int a = 0; a < 3; a++) {
        at[a] = augment->centre[a] + augment->back[a][0] * off[0] + augment->back[a][1] * off[1] +
                augment->back[a][2] * off[2];
        if (augment->flip[a])
            at[a] = (double)(augment->grid.dim[a] - 1) - at[a];
    }
}

/* ---- noise ---- */

enum { CODE_CHANGES = 4 };

/* How many are passed over before the next one of a share p is met. */
static int64_t augment_noise_gap(double p, struct rng *rng)
{
    const double gap = log(1 - rng_uniform(rng, 0, 1)) / log1p(-p);
    return gap < 1e15 ? (int64_t)gap : (int64_t)1e15;
}

/* Marks one voxel of a share p of the faces between bone and air across one axis. */
static void augment_noise_mark_faces(uint8_t *codes, const int64_t size[3], int axis, double p, struct rng *rng)
{
    const int64_t step = axis == 0 ? 1 : axis == 1 ? size[0] : size[0] * size[1];
    const int64_t end[3] = {size[0] - (axis == 0), size[1] - (axis == 1), size[2] - (axis == 2)};
    int64_t gap = augment_noise_gap(p, rng);
    for (int64_t z = 0; z < end[2]; z++)
        for (int64_t y = 0; y < end[1]; y++) {
            uint8_t *row = codes + (z * size[1] + y) * size[0];
            for (int64_t x = 0; x < end[0]; x++)
                if (((row[x] ^ row[x + step]) & CODE_BONE) && gap-- == 0) {
                    row[x + (rng_u32(rng) & 1 ? step : 0)] |= CODE_CHANGES;
                    gap = augment_noise_gap(p, rng);
                }
        }
}

void augment_noise(uint8_t *codes, const struct augment *augment, const int64_t size[3], struct rng rng)
{
    const int64_t n = size[0] * size[1] * size[2];
    if (augment->noise_surface <= 0 && augment->noise_bits <= 0)
        return;
    for (int a = 0; a < 3 && augment->noise_surface > 0; a++)
        augment_noise_mark_faces(codes, size, a, augment->noise_surface, &rng);
    if (augment->noise_bits > 0)
        for (int64_t v = augment_noise_gap(augment->noise_bits, &rng); v < n;
             v += 1 + augment_noise_gap(augment->noise_bits, &rng))
            codes[v] |= CODE_CHANGES;
    for (int64_t v = 0; v < n; v++)
        if (codes[v] & CODE_CHANGES)
            codes[v] =
                (uint8_t)(codes[v] & CODE_MISSING ? codes[v] & ~CODE_CHANGES : (codes[v] ^ CODE_BONE) & ~CODE_CHANGES);
}
