/* phantom.c - draws a skull from the population and samples it on a grid. Test: tests/data/test_phantom.c. */
#include "data/phantom/phantom.h"

#include <math.h>
#include <string.h>

#include "data/mask/morphology.h"
#include "data/phantom/phantom_shape.h"

/* clang-format off */
static const struct config_field phantom_fields[] = {
    {.key = "spacing_mm", .type = CONFIG_DOUBLE3, .offset = offsetof(struct phantom_config, spacing_mm),
     .text = "1.5", .min = 0.2, .max = 10, .unit = "mm", .help = "voxel size x,y,z"},
    {.key = "dims", .type = CONFIG_INT3, .offset = offsetof(struct phantom_config, dim), .text = "0", .min = 0,
     .max = 4096, .unit = "voxels", .help = "volume size x,y,z; 0: as large as the skull needs"},
    {.key = "sutures", .type = CONFIG_BOOL, .offset = offsetof(struct phantom_config, sutures), .text = "false",
     .help = "grooves between the bones of the vault"},
    {.key = "diploe", .type = CONFIG_BOOL, .offset = offsetof(struct phantom_config, diploe), .text = "false",
     .help = "pores between the inner and outer table of the vault's bone"},
    {0},
};
/* clang-format on */
const struct config_table phantom_table = {
    .help = "procedural skulls", .size = sizeof(struct phantom_config), .fields = phantom_fields};

/* How a skull lies in its scan. */
struct pose {
    double rotation[3][3]; /* columns: the skull's axes in the world */
    double below_mm;       /* the scan ends this far below the widest slice */
};

/* Ranges: docs/phantom.md, measured on real skulls. */
static void phantom_draw_shape(struct phantom_shape *shape, struct rng *rng)
{
    memset(shape, 0, sizeof *shape);

    /* Millimetres and shares; the ranges are those of measured adult skulls (scripts/measure_skulls.py) */
    shape->length = fmin(fmax(rng_normal(rng, 174, 11), 152), 198);
    shape->breadth = fmin(fmax(rng_normal(rng, 137, 5.5), 123), 148);
    shape->height = fmin(fmax(rng_normal(rng, 74, 9), 56), 96);
    shape->exponent = rng_uniform(rng, 2.25, 2.6);
    shape->front_narrow = rng_uniform(rng, 0.02, 0.07);
    shape->forehead = rng_uniform(rng, 0.0, 0.05);
    shape->occiput = rng_uniform(rng, 0.0, 0.05);
    shape->skew_y = rng_normal(rng, 0, 0.02);
    shape->skew_x = rng_normal(rng, 0, 0.012);
    shape->thickness = fmin(fmax(rng_normal(rng, 7.0, 1.2), 4.8), 10.5);
    shape->thick_back = rng_uniform(rng, 1.0, 1.25);
    shape->thick_front = rng_uniform(rng, 0.95, 1.3);
    shape->thick_side = rng_uniform(rng, 0.45, 0.75);
    shape->floor_front = rng_uniform(rng, -30, -24);
    shape->floor_middle = shape->floor_front - rng_uniform(rng, 18, 24);
    shape->floor_back = shape->floor_front - rng_uniform(rng, 32, 40);
    shape->orbit_w = rng_uniform(rng, 18, 21);
    shape->orbit_h = rng_uniform(rng, 16, 18.5);
    shape->orbit_gap = rng_uniform(rng, 11, 14);
    shape->face_w = rng_uniform(rng, 56, 62);
    shape->face_depth = rng_uniform(rng, 46, 52);
    shape->arch_w = shape->face_w + rng_uniform(rng, 4, 9);

    /* Random plane waves: surfaces without them are smoother than any bone */
    for (int i = 0; i < PHANTOM_WAVES; i++) {
        const double wavelength = rng_uniform(rng, 12, 70);
        for (int a = 0; a < 3; a++)
            shape->wave[i].k[a] = rng_normal(rng, 0, 1) * 2 * 3.14159265358979 / wavelength * 0.577;
        shape->wave[i].phase = rng_uniform(rng, 0, 6.2831853);
        shape->wave[i].amplitude = 0.004 * wavelength * rng_uniform(rng, 0.3, 1);
    }

    for (int i = 0; i < PHANTOM_WAVES / 2; i++) {
        for (int a = 0; a < 3; a++)
            shape->thick_wave[i].k[a] = rng_normal(rng, 0, 0.08);
        shape->thick_wave[i].phase = rng_uniform(rng, 0, 6.2831853);
        shape->thick_wave[i].amplitude = rng_uniform(rng, 0.01, 0.05);
    }
}

static void phantom_draw_pose(struct pose *pose, struct rng *rng)
{
    const double pitch = rng_normal(rng, 0, 5) * 3.14159265358979 / 180,
                 roll = rng_normal(rng, 0, 2.5) * 3.14159265358979 / 180;
    const double yaw = rng_normal(rng, 0, 3) * 3.14159265358979 / 180;
    const double cp = cos(pitch), sp = sin(pitch), cr = cos(roll), sr = sin(roll), cy = cos(yaw), sy = sin(yaw);
    const double rotation[3][3] = {{cy * cr, -sy * cp + cy * sr * sp, sy * sp + cy * sr * cp},
                                   {sy * cr, cy * cp + sy * sr * sp, -cy * sp + sy * sr * cp},
                                   {-sr, cr * sp, cr * cp}};
    memcpy(pose->rotation, rotation, sizeof rotation);
    pose->below_mm = fmin(fmax(rng_normal(rng, 86, 12), 62), 112);
}

/* Holds the whole skull with a margin of two voxels, or has the given size, centred on it. */
static struct grid phantom_grid(const struct phantom_config *config, const struct phantom_shape *shape,
                                const struct pose *pose)
{
    const double extent_mm[3] = {shape->breadth + 26, shape->length + 34, shape->height + pose->below_mm + 8};
    int64_t dim[3];
    for (int a = 0; a < 3; a++)
        dim[a] = config->dim[a] ? config->dim[a] : (int64_t)ceil(extent_mm[a] / config->spacing_mm[a]) + 4;
    struct grid grid = grid_make(dim, config->spacing_mm);
    grid.origin[2] = -pose->below_mm; /* the scan's lowest slice; the vertex has air above it */
    return grid;
}

static void phantom_sample_bone(uint8_t *mask, const struct grid *grid, const struct phantom_shape *shape,
                                const struct pose *pose)
{
    const int64_t nx = grid->dim[0], ny = grid->dim[1], nz = grid->dim[2];
#pragma omp parallel for schedule(dynamic)
    for (int64_t z = 0; z < nz; z++)
        for (int64_t y = 0; y < ny; y++)
            for (int64_t x = 0; x < nx; x++) {
                const double index[3] = {(double)x, (double)y, (double)z};
                double world[3], p[3];
                grid_to_world(grid, index, world);
                for (int a = 0; a < 3; a++) /* into the skull's frame: the transposed rotation */
                    p[a] = pose->rotation[0][a] * world[0] + pose->rotation[1][a] * world[1] +
                           pose->rotation[2][a] * world[2];
                mask[(z * ny + y) * nx + x] = phantom_bone(shape, p) > 0;
            }
}

enum status phantom_skull(struct volume *ret, const struct phantom_config *config, uint64_t seed, int64_t index,
                          struct error *error)
{
    struct rng rng = rng_make(seed, (uint64_t)index);
    struct phantom_shape shape;
    struct pose pose;
    phantom_draw_shape(&shape, &rng);
    shape.sutures = config->sutures;
    shape.diploe = config->diploe;
    phantom_draw_pose(&pose, &rng);
    const struct grid grid = phantom_grid(config, &shape, &pose);
    struct volume skull = {0};
    enum status status = volume_new(&skull, &grid, VOXEL_U8, error);
    if (!status) {
        phantom_sample_bone(skull.data, &grid, &shape, &pose);
        status = mask_keep_largest(skull.data, grid.dim, 1, 6, error);
    }
    if (status)
        volume_done(&skull);
    else
        *ret = skull;
    return status ? error_while(error, "making phantom skull %lld", (long long)index) : STATUS_OK;
}
