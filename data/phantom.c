/* phantom.c - draws a skull from the population and samples it on a grid. */
#include "data/phantom.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "data/morphology.h"
#include "data/phantom_shape.h"

static const struct config_field phantom_fields[] = {
    {.key = "spacing_mm",
     .type = CONFIG_DOUBLE3,
     .offset = offsetof(struct phantom_config, spacing_mm),
     .text = "1.5",
     .min = 0.2,
     .max = 10,
     .unit = "mm",
     .help = "voxel size x,y,z"},
    {.key = "dims",
     .type = CONFIG_INT3,
     .offset = offsetof(struct phantom_config, dim),
     .text = "0",
     .min = 0,
     .max = 4096,
     .unit = "voxels",
     .help = "volume size x,y,z; 0: as large as the skull needs"},
    {.key = "sutures",
     .type = CONFIG_BOOL,
     .offset = offsetof(struct phantom_config, sutures),
     .text = "false",
     .help = "grooves between the bones of the vault"},
    {.key = "diploe",
     .type = CONFIG_BOOL,
     .offset = offsetof(struct phantom_config, diploe),
     .text = "false",
     .help = "pores between the inner and outer table of the vault's bone"},
    {0},
};
const struct config_table phantom_table = {
    .help = "procedural skulls", .size = sizeof(struct phantom_config), .fields = phantom_fields};

/* How a skull lies in its scan. The world's origin is the vault's middle, in about its widest slice. */
struct pose {
    double rotation[3][3]; /* columns: the skull's axes in the world */
    double lowest_mm;      /* the scan's lowest slice, in the world */
};

static const double pose_centre[3] = {0, PHANTOM_VAULT_Y, PHANTOM_VAULT_Z}; /* of the rotation, in the skull's frame */

static void draw_pose(struct pose *pose, struct rng *rng)
{
    const double degree = 3.14159265358979323846 / 180;
    const double pitch = rng_normal(rng, 0, 8) * degree, roll = rng_normal(rng, 0, 2.5) * degree,
                 yaw = rng_normal(rng, 0, 3) * degree;
    const double cp = cos(pitch), sp = sin(pitch), cr = cos(roll), sr = sin(roll), cy = cos(yaw), sy = sin(yaw);
    const double rotation[3][3] = {{cy * cr, -sy * cp + cy * sr * sp, sy * sp + cy * sr * cp},
                                   {sy * cr, cy * cp + sy * sr * sp, -cy * sp + sy * sr * cp},
                                   {-sr, cr * sp, cr * cp}};
    memcpy(pose->rotation, rotation, sizeof rotation);
    pose->lowest_mm = -fmin(fmax(rng_normal(rng, 79, 13), 54), 108);
}

/* Holds the skull with a margin, or is as asked, centred on it; the lowest slice cuts the face, as scans of the head do. */
static struct grid phantom_grid(const struct phantom_config *config, const struct phantom_shape *shape, const struct pose *pose)
{
    const double top_mm = 1.06 * (shape->height - PHANTOM_VAULT_Z) + 0.06 * shape->length;
    const double extent_mm[3] = {shape->breadth * 1.12 + 6, shape->length * 1.12 + 12, top_mm - pose->lowest_mm};
    int64_t dim[3];
    for (int a = 0; a < 3; a++)
        dim[a] = config->dim[a] ? config->dim[a] : (int64_t)ceil(extent_mm[a] / config->spacing_mm[a]) + 4;
    struct grid grid = grid_make(dim, config->spacing_mm);
    /* too few slices asked for: the vertex stays inside, less of the face is seen */
    const double room = top_mm - (double)dim[2] * config->spacing_mm[2];
    grid.origin[2] = config->dim[2] ? fmax(pose->lowest_mm, room) : pose->lowest_mm;
    return grid;
}

static void sample_bone(uint8_t *mask, const struct grid *grid, const struct phantom_shape *shape, const struct pose *pose)
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
                    p[a] = pose_centre[a] + pose->rotation[0][a] * world[0] + pose->rotation[1][a] * world[1] +
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
    const double coarsest = fmax(config->spacing_mm[0], fmax(config->spacing_mm[1], config->spacing_mm[2]));
    phantom_draw(&shape, &rng, 1.75 * coarsest, config->sutures, config->diploe);
    draw_pose(&pose, &rng);
    const struct grid grid = phantom_grid(config, &shape, &pose);
    struct volume skull = {0};
    enum status status = volume_new(&skull, &grid, VOXEL_U8, error);
    if (!status) {
        sample_bone(skull.data, &grid, &shape, &pose);
        status = mask_keep_largest(skull.data, grid.dim, 1, 6, error);
    }
    if (status) {
        volume_done(&skull);
        return error_while(error, "making phantom skull %" PRId64, index);
    }
    *ret = skull;
    return STATUS_OK;
}
