/* region_class.c - a part of the vault taken out along an irregular smooth outline, at right angles to the bone:
 * SkullBreak's five classes (Kodym et al., "SkullBreak / SkullFix", Data in Brief 35, 2021), placed by the anatomy
 * found in the skull.
 *
 * Around a spot of the outer surface with normal n and radius of curvature R, each voxel is projected from the centre
 * of curvature onto the tangent plane; inside is who lies within the outline rho(theta): an ellipse with smooth lobes
 * and a rough edge. The walls so follow the local normals of the bone; a bevel lets the outline grow outward.
 * Test: tests/data/test_defect.c. */
#include <math.h>
#include <stddef.h>

#include "data/defects/patch.h"
#include "data/defects/region.h"

static const double PI = 3.14159265358979323846;
enum { OUTLINE = 1024, LOBES = 4, TEETH_FIRST = 7, TEETH_LAST = 24, BURR_MAX = 12 };

/* Where a class stands and how large it is: azimuth and elevation in degrees (either side), full length and width in mm
 * on a 145 mm wide head. */
static const struct place {
    const char *name;
    double azimuth[2], elevation[2], length_mm[2], width_frac[2],
        floor_below_deg; /* may go this far below the vault's floor */
} places[] = {
    {"bilateral", {-10, 10}, {38, 85}, {95, 150}, {0.5, 0.8}, 0},
    {"frontoorbital", {18, 42}, {-8, 8}, {55, 90}, {0.65, 0.95}, 13},
    {"parietotemporal", {75, 120}, {8, 30}, {80, 130}, {0.65, 0.95}, 0},
    {"random_1", {0, 180}, {5, 80}, {40, 80}, {0.6, 1.0}, 0},
    {"random_2", {0, 180}, {15, 80}, {70, 120}, {0.55, 1.0}, 0},
};
static const char *const class_names[] = {"bilateral", "frontoorbital", "parietotemporal",
                                          "random_1",  "random_2",      NULL};
enum side { SIDE_EITHER, SIDE_LEFT, SIDE_RIGHT };
static const char *const side_names[] = {"either", "left", "right", NULL};

struct class_config {
    struct defect_config base;
    int class, side;
    double length_mm[2], width_frac[2], lobes_frac, roughness_mm, bevel_deg[2], burr_holes[2], burr_radius_mm[2];
};

#define OFFSET(member) offsetof(struct class_config, member)
/* clang-format off */
static const struct config_field class_fields[] = {
    {.key = "class", .type = CONFIG_ENUM, .offset = OFFSET(class), .text = "random_1", .names = class_names,
     .help = "where on the skull, and how large"},
    {.key = "side", .type = CONFIG_ENUM, .offset = OFFSET(side), .text = "either", .names = side_names,
     .help = "of the patient; bilateral stands in the middle"},
    {.key = "length_mm", .type = CONFIG_RANGE, .offset = OFFSET(length_mm), .text = "[0, 0]", .unit = "mm", .min = 0,
     .max = 300, .help = "of the outline; [0, 0]: the class's own, in proportion to the head"},
    {.key = "width_frac", .type = CONFIG_RANGE, .offset = OFFSET(width_frac), .text = "[0, 0]", .min = 0, .max = 1,
     .help = "width over length; [0, 0]: the class's own"},
    {.key = "lobes_frac", .type = CONFIG_DOUBLE, .offset = OFFSET(lobes_frac), .text = "0.1", .min = 0, .max = 0.5,
     .help = "how far the outline swings around an ellipse"},
    {.key = "roughness_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(roughness_mm), .text = "0.5", .unit = "mm",
     .min = 0, .max = 10, .help = "roughness of the edge"},
    {.key = "bevel_deg", .type = CONFIG_RANGE, .offset = OFFSET(bevel_deg), .text = "[0, 15]", .unit = "degrees",
     .min = 0, .max = 60, .help = "slope of the wall, wider outside"},
    {.key = "burr_holes", .type = CONFIG_RANGE, .offset = OFFSET(burr_holes), .text = "[0, 0]", .min = 0,
     .max = BURR_MAX, .help = "number of burr holes around the outline"},
    {.key = "burr_radius_mm", .type = CONFIG_RANGE, .offset = OFFSET(burr_radius_mm), .text = "[5, 7]", .unit = "mm",
     .min = 0.5, .max = 20, .help = "their radius"},
    {0}};
/* clang-format on */

/* One drawn cut, in the tangent plane of its patch. */
struct cut {
    struct vault_patch patch;
    double rho_mm[OUTLINE], largest_mm, slope;
    int n_burrs;
    double burr[BURR_MAX][2], burr_mm, floor_below_deg;
};

static void region_class_cut_outline(struct cut *cut, const struct class_config *config, double length_mm,
                                     double width_frac, struct rng *rng)
{
    double lobe[LOBES], lobe_at[LOBES], tooth[TEETH_LAST], tooth_at[TEETH_LAST];
    const double tilt = rng_uniform(rng, -0.4, 0.4), tooth_mm = config->roughness_mm * 1.84;
    for (int k = 0; k < LOBES; k++) {
        lobe[k] = rng_normal(rng, 0, config->lobes_frac / (k + 1));
        lobe_at[k] = rng_uniform(rng, 0, 2 * PI);
    }
    for (int k = TEETH_FIRST; k < TEETH_LAST; k++) {
        tooth[k] = rng_normal(rng, 0, tooth_mm / (k - TEETH_FIRST + 2)); /* falling off: a saw's hand, not a gear; 1.84
                                                                            makes the sum's deviation roughness_mm */
        tooth_at[k] = rng_uniform(rng, 0, 2 * PI);
    }
    const double a = length_mm / 2, b = a * width_frac;
    cut->largest_mm = 0;
    for (int i = 0; i < OUTLINE; i++) {
        const double theta = 2 * PI * i / OUTLINE;
        double rho = a * b / hypot(b * cos(theta - tilt), a * sin(theta - tilt)), swing = 1, rough = 0;
        for (int k = 0; k < LOBES; k++)
            swing += lobe[k] * cos((k + 2) * theta + lobe_at[k]);
        for (int k = TEETH_FIRST; k < TEETH_LAST; k++)
            rough += tooth[k] * cos(k * theta + tooth_at[k]);
        rho = fmax(rho * fmax(swing, 0.4) + rough, 1);
        cut->rho_mm[i] = rho;
        cut->largest_mm = fmax(cut->largest_mm, rho);
    }
}

static bool region_class_cut_draw(struct cut *cut, const struct class_config *config, const struct anatomy *anatomy,
                                  struct rng *rng)
{
    const struct place *place = &places[config->class];
    double azimuth = rng_uniform(rng, place->azimuth[0], place->azimuth[1]);
    const double elevation = rng_uniform(rng, place->elevation[0], place->elevation[1]), coin = rng_uniform(rng, 0, 1);
    if (config->side == SIDE_RIGHT || (config->side == SIDE_EITHER && coin < 0.5))
        azimuth = -azimuth;
    const double length_mm = range_given(config->length_mm) ? rng_range(config->length_mm, rng)
                                                            : rng_range(place->length_mm, rng) * anatomy->scale;
    const double width_frac = rng_range(range_given(config->width_frac) ? config->width_frac : place->width_frac, rng);
    region_class_cut_outline(cut, config, length_mm, width_frac, rng);
    cut->slope = tan(rng_range(config->bevel_deg, rng) * PI / 180);
    cut->n_burrs = (int)rng_range_int(config->burr_holes, rng);
    cut->burr_mm = rng_range(config->burr_radius_mm, rng);
    const double first = rng_uniform(rng, 0, 1);
    for (int i = 0; i < cut->n_burrs; i++) {
        const double turn = (i + first) / cut->n_burrs;
        const double rho = cut->rho_mm[(int)(turn * OUTLINE) % OUTLINE];
        cut->burr[i][0] = rho * cos(2 * PI * turn);
        cut->burr[i][1] = rho * sin(2 * PI * turn);
    }
    cut->floor_below_deg = place->floor_below_deg;
    return vault_patch_find(&cut->patch, anatomy, azimuth, elevation, fmin(length_mm / 2, 35 * anatomy->scale));
}

/* Is the point (from the centre of curvature) inside the outline or a burr hole? */
static bool region_class_cut_inside(const struct cut *cut, const double from[3])
{
    const struct vault_patch *patch = &cut->patch;
    double w = 0, u = 0, v = 0;

    for (int k = 0; k < 3; k++) {
        w += from[k] * patch->normal[k];
        u += from[k] * patch->across[k];
        v += from[k] * patch->along[k];
    }

    const double height = sqrt(w * w + u * u + v * v) - patch->radius_mm; /* over the surface */
    if (w <= 0 || fabs(height) > 30)
        return false;
    u *= patch->radius_mm / w;
    v *= patch->radius_mm / w;
    const double rho = hypot(u, v);
    if (rho > cut->largest_mm + 30 * cut->slope + cut->burr_mm)
        return false;
    const int turn = (int)((atan2(v, u) / (2 * PI) + 1) * OUTLINE) % OUTLINE;
    if (rho <= cut->rho_mm[turn] + height * cut->slope)
        return true;

    for (int i = 0; i < cut->n_burrs; i++)
        if (hypot(u - cut->burr[i][0], v - cut->burr[i][1]) <= cut->burr_mm)
            return true;
    return false;
}

static struct box region_class_cut_box(const struct cut *cut, const struct anatomy *anatomy, struct box skull_box)
{
    const double reach = cut->largest_mm * 1.35 + cut->burr_mm + 25;
    struct box box;
    for (int a = 0; a < 3; a++) {
        box.lo[a] = (int64_t)floor((cut->patch.point_mm[a] - reach) / anatomy->spacing_mm[a]);
        box.hi[a] = (int64_t)ceil((cut->patch.point_mm[a] + reach) / anatomy->spacing_mm[a]) + 1;
    }
    return box_meet(box, skull_box);
}

/* Marks the bone that is cut out. */
static void region_class_cut_mark(struct region *region, const struct cut *cut, const struct anatomy *anatomy,
                                  const struct volume *skull)
{
    const struct box box = region->box;
    const uint8_t *bone = skull->data;
    uint8_t *out = region->mask;
    for (int64_t z = box.lo[2]; z < box.hi[2]; z++)
        for (int64_t y = box.lo[1]; y < box.hi[1]; y++)
            for (int64_t x = box.lo[0]; x < box.hi[0]; x++, out++) {
                if (!bone[(z * skull->grid.dim[1] + y) * skull->grid.dim[0] + x])
                    continue;
                const double at[3] = {(double)x * anatomy->spacing_mm[0], (double)y * anatomy->spacing_mm[1],
                                      (double)z * anatomy->spacing_mm[2]};
                double from[3], azimuth, elevation;
                for (int k = 0; k < 3; k++)
                    from[k] = at[k] - cut->patch.point_mm[k] + cut->patch.radius_mm * cut->patch.normal[k];
                if (!region_class_cut_inside(cut, from))
                    continue;
                anatomy_angles(anatomy, at, &azimuth, &elevation);
                *out = elevation >= anatomy_vault_floor(azimuth) - cut->floor_below_deg;
            }
}

static enum status region_class_draw(const void *config, const struct volume *skull, struct box skull_box,
                                     struct rng *rng, struct region *ret, struct error *error)
{
    struct anatomy anatomy;
    struct cut cut;
    if (anatomy_find(&anatomy, skull, skull_box, error))
        return error->status;
    enum status status = STATUS_OK;
    if (region_class_cut_draw(&cut, config, &anatomy, rng) &&
        !(status = region_new(ret, region_class_cut_box(&cut, &anatomy, skull_box), error)) && ret->mask) {
        const int64_t size[3] = {box_size(ret->box, 0), box_size(ret->box, 1), box_size(ret->box, 2)};
        region_class_cut_mark(ret, &cut, &anatomy, skull);
        status = mask_keep_largest(ret->mask, size, 1, 26, error); /* one piece: crumbs beside it stay bone */
    }
    anatomy_done(&anatomy);
    return status;
}

/* clang-format off */
const struct defect_ops defect_region = {
    .config = {.type = "region",
               .help = "a part of the vault along an irregular outline, placed by anatomy (SkullBreak's classes)",
               .size = sizeof(struct class_config),
               .base = &defect_base_table,
               .fields = class_fields},
    .draw = region_class_draw,
};
/* clang-format on */
