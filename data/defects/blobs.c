/* blobs.c - a large ball with smaller ones on its surface, warped: O. Kodym, M. Spanel, A. Herout, "Skull shape
 * reconstruction using cascaded convolutional networks" (Computers in Biology and Medicine 123, 2020) and the public
 * generate_defects.py of OldaKodym/BUT_autoimplant_public, with its voxels as 0.4 mm: primary radius N(70, 20), 0 to 7
 * secondary balls of one radius N(40, 10) centred on its surface, union, elastic deformation, centred on a random bone
 * voxel with a jitter of 32 voxels. Their opening by 5 voxels is left out: a union of balls larger than that is open
 * already. Their two 2D deformations are one smooth 3D warp of the same size (2 mm) here.
 * Test: tests/data/test_defect.c. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/memory.h"
#include "data/defects/anatomy.h"
#include "data/defects/region.h"

enum { BALLS_MAX = 32 };

struct blobs_config {
    struct defect_config base;
    double radius_mm, radius_sd_mm, small_radius_mm, small_radius_sd_mm, balls[2], jitter_mm, warp_mm, warp_length_mm;
};

#define OFFSET(member) offsetof(struct blobs_config, member)
/* clang-format off */
static const struct config_field blobs_fields[] = {
    {.key = "radius_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(radius_mm), .text = "28", .unit = "mm", .min = 1,
     .max = 200, .help = "mean radius of the large ball"},
    {.key = "radius_sd_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(radius_sd_mm), .text = "8", .unit = "mm",
     .min = 0, .max = 100, .help = "its standard deviation"},
    {.key = "small_radius_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(small_radius_mm), .text = "16", .unit = "mm",
     .min = 1, .max = 200, .help = "mean radius of the small balls, one for all of a defect"},
    {.key = "small_radius_sd_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(small_radius_sd_mm), .text = "4",
     .unit = "mm", .min = 0, .max = 100, .help = "its standard deviation"},
    {.key = "balls", .type = CONFIG_RANGE, .offset = OFFSET(balls), .text = "[0, 7]", .min = 0, .max = BALLS_MAX - 1,
     .help = "number of small balls"},
    {.key = "jitter_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(jitter_mm), .text = "12.8", .unit = "mm", .min = 0,
     .max = 100, .help = "the centre is a vault voxel moved by up to this much along each axis"},
    {.key = "warp_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(warp_mm), .text = "2", .unit = "mm", .min = 0, .max = 30,
     .help = "standard deviation of the warp"},
    {.key = "warp_length_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(warp_length_mm), .text = "8", .unit = "mm",
     .min = 2, .max = 100, .help = "over which length the warp changes"},
    {0}};
/* clang-format on */

struct blobs {
    int n;
    double centre[BALLS_MAX][3], radius[BALLS_MAX]; /* mm */
};

/* A smooth displacement: normal numbers on a lattice over the region's box, linear in between. */
struct warp {
    double origin_mm[3], step_mm;
    int64_t size[3];
    float *node; /* 3 per lattice point */
};

static void blobs_random_direction(struct rng *rng, double out[3])
{
    double length;
    do {
        for (int k = 0; k < 3; k++)
            out[k] = rng_normal(rng, 0, 1);
        length = sqrt(out[0] * out[0] + out[1] * out[1] + out[2] * out[2]);
    } while (length < 1e-6);
    for (int k = 0; k < 3; k++)
        out[k] /= length;
}

/* The centre: a point of the vault's outer surface, uniform over directions above the vault's floor. */
static bool blobs_centre(const struct anatomy *anatomy, struct rng *rng, double centre[3])
{
    const double deg = 180 / 3.14159265358979323846;
    for (int try = 0; try < 50; try++) {
        const double azimuth = rng_uniform(rng, -180, 180), elevation = asin(rng_uniform(rng, -0.4, 1)) * deg;
        if (elevation >= anatomy_vault_floor(azimuth) + 8 && anatomy_surface(anatomy, azimuth, elevation, centre))
            return true;
    }
    return false;
}

static bool blobs_draw_balls(struct blobs *blobs, const struct blobs_config *config, const struct anatomy *anatomy,
                             struct rng *rng)
{
    double direction[3];
    if (!blobs_centre(anatomy, rng, blobs->centre[0]))
        return false;
    for (int k = 0; k < 3; k++)
        blobs->centre[0][k] += rng_uniform(rng, -config->jitter_mm, config->jitter_mm);
    blobs->radius[0] = fmax(rng_normal(rng, config->radius_mm, config->radius_sd_mm), 5);
    blobs->n = 1 + (int)rng_range_int(config->balls, rng);
    const double small = fmax(rng_normal(rng, config->small_radius_mm, config->small_radius_sd_mm), 3);
    for (int i = 1; i < blobs->n; i++) {
        blobs_random_direction(rng, direction);
        blobs->radius[i] = small;
        for (int k = 0; k < 3; k++)
            blobs->centre[i][k] = blobs->centre[0][k] + blobs->radius[0] * direction[k];
    }
    return true;
}

static struct box blobs_box(const struct blobs *blobs, const struct anatomy *anatomy, double margin_mm,
                            struct box skull_box)
{
    struct box box;
    for (int a = 0; a < 3; a++) {
        double lo = INFINITY, hi = -INFINITY;
        for (int i = 0; i < blobs->n; i++) {
            lo = fmin(lo, blobs->centre[i][a] - blobs->radius[i] - margin_mm);
            hi = fmax(hi, blobs->centre[i][a] + blobs->radius[i] + margin_mm);
        }
        box.lo[a] = (int64_t)floor(lo / anatomy->spacing_mm[a]);
        box.hi[a] = (int64_t)ceil(hi / anatomy->spacing_mm[a]) + 1;
    }
    return box_meet(box, skull_box);
}

static enum status blobs_warp_init(struct warp *warp, const struct blobs_config *config, struct box box,
                                   const double spacing_mm[3], struct rng *rng, struct error *error)
{
    int64_t n = 3;
    warp->step_mm = config->warp_length_mm;
    for (int a = 0; a < 3; a++) {
        warp->origin_mm[a] = (double)box.lo[a] * spacing_mm[a];
        warp->size[a] = (int64_t)((double)box_size(box, a) * spacing_mm[a] / warp->step_mm) + 2;
        n *= warp->size[a];
    }
    if (!(warp->node = memory_alloc((size_t)n, sizeof *warp->node)))
        return error_memory(error, (size_t)n * sizeof *warp->node, "a defect's warp");
    for (int64_t i = 0; i < n; i++)
        warp->node[i] = (float)rng_normal(rng, 0, config->warp_mm);
    return STATUS_OK;
}

/* point += displacement there */
static void blobs_warp_apply(const struct warp *warp, double point[3])
{
    int64_t cell[3];
    double part[3], moved[3] = {0};

    for (int a = 0; a < 3; a++) {
        const double at = (point[a] - warp->origin_mm[a]) / warp->step_mm;
        cell[a] = (int64_t)at;
        cell[a] = cell[a] > warp->size[a] - 2 ? warp->size[a] - 2 : cell[a];
        part[a] = at - (double)cell[a];
    }

    for (int corner = 0; corner < 8; corner++) {
        double weight = 1;
        int64_t at[3];
        for (int a = 0; a < 3; a++) {
            const int up = corner >> a & 1;
            weight *= up ? part[a] : 1 - part[a];
            at[a] = cell[a] + up;
        }
        const float *node = warp->node + 3 * ((at[2] * warp->size[1] + at[1]) * warp->size[0] + at[0]);
        for (int k = 0; k < 3; k++)
            moved[k] += weight * (double)node[k];
    }

    for (int k = 0; k < 3; k++)
        point[k] += moved[k];
}

static bool blobs_inside(const struct blobs *blobs, const double point[3])
{
    for (int i = 0; i < blobs->n; i++) {
        double d2 = 0;
        for (int k = 0; k < 3; k++)
            d2 += (point[k] - blobs->centre[i][k]) * (point[k] - blobs->centre[i][k]);
        if (d2 < blobs->radius[i] * blobs->radius[i])
            return true;
    }
    return false;
}

/* Marks bone of the vault inside the warped balls. */
static void blobs_mark(struct region *region, const struct blobs *blobs, const struct warp *warp,
                       const struct anatomy *anatomy, const struct volume *skull)
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
                double point[3] = {at[0], at[1], at[2]}, azimuth, elevation;
                blobs_warp_apply(warp, point);
                if (!blobs_inside(blobs, point))
                    continue;
                anatomy_angles(anatomy, at, &azimuth, &elevation);
                *out = elevation >= anatomy_vault_floor(azimuth);
            }
}

static enum status blobs_draw(const void *config, const struct volume *skull, struct box skull_box, struct rng *rng,
                              struct region *ret, struct error *error)
{
    const struct blobs_config *wanted = config;
    struct anatomy anatomy;
    struct blobs blobs;
    struct warp warp = {0};
    if (anatomy_find(&anatomy, skull, skull_box, error))
        return error->status;
    enum status status = STATUS_OK;
    if (blobs_draw_balls(&blobs, wanted, &anatomy, rng) &&
        !(status = region_new(ret, blobs_box(&blobs, &anatomy, 3 * wanted->warp_mm, skull_box), error)) && ret->mask &&
        !(status = blobs_warp_init(&warp, wanted, ret->box, anatomy.spacing_mm, rng, error))) {
        const int64_t size[3] = {box_size(ret->box, 0), box_size(ret->box, 1), box_size(ret->box, 2)};
        blobs_mark(ret, &blobs, &warp, &anatomy, skull);
        status = mask_keep_largest(ret->mask, size, 1, 26, error);
    }
    memory_free(warp.node);
    anatomy_done(&anatomy);
    return status;
}

/* clang-format off */
const struct defect_ops defect_blobs = {
    .config = {.type = "blobs",
               .help = "a large ball with smaller ones on it, warped, anywhere on the vault (Kodym et al. 2020)",
               .size = sizeof(struct blobs_config),
               .base = &defect_base_table,
               .fields = blobs_fields},
    .draw = blobs_draw,
};
/* clang-format on */
