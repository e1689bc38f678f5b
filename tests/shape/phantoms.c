/* phantoms.c - see phantoms.h. */
#include "tests/shape/phantoms.h"

#include <math.h>
#include <string.h>

#include "data/phantom/phantom.h"
#include "tests/check.h"

double phantom_canonical(double q[3], const struct grid *grid, const struct pose *pose, int64_t i)
{
    const int64_t *dim = grid->dim;
    const double index[3] = {(double)(i % dim[0]), (double)(i / dim[0] % dim[1]), (double)(i / dim[0] / dim[1])};
    double world[3];
    grid_to_world(grid, index, world);
    pose_canonical(pose, world, q);
    return sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]);
}

void phantom_shell(struct volume *ret, const int64_t dim[3], const struct pose *pose)
{
    struct error error = {0};
    const struct grid grid = grid_make(dim, (const double[3]){1, 1, 1.3});
    *ret = (struct volume){0};
    CHECK_OK(volume_new(ret, &grid, VOXEL_U8, &error), &error);
    for (int64_t i = 0; i < grid_voxels(&grid); i++) {
        double q[3];
        const double r = phantom_canonical(q, &grid, pose, i);
        ((uint8_t *)ret->data)[i] = r > 70 && r < 76;
    }
}

void phantom_make(struct volume *ret, int64_t index, double spacing_mm)
{
    struct error error = {0};
    const struct phantom_config config = {.spacing_mm = {spacing_mm, spacing_mm, spacing_mm}};
    CHECK_OK(phantom_skull(ret, &config, 15, index, &error), &error);
}

static void turn_vector(double v[3], const double vector_rad[3])
{
    double r[3][3], old[3] = {v[0], v[1], v[2]};
    pose_rotation(r, vector_rad);
    for (int i = 0; i < 3; i++)
        v[i] = r[i][0] * old[0] + r[i][1] * old[1] + r[i][2] * old[2];
}

void phantom_turn(struct volume *volume, double x_deg, double y_deg, double z_deg)
{
    const double degree = acos(-1) / 180;
    const double turns[3][3] = {{x_deg * degree, 0, 0}, {0, y_deg * degree, 0}, {0, 0, z_deg * degree}};
    for (int t = 0; t < 3; t++) {
        for (int a = 0; a < 3; a++)
            turn_vector(volume->grid.axis[a], turns[t]);
        turn_vector(volume->grid.origin, turns[t]);
    }
}

void phantom_cut(struct volume *volume, const struct pose *pose, const double direction[3], double half_deg)
{
    uint8_t *mask = volume->data;
    const double least = cos(half_deg * acos(-1) / 180);
    for (int64_t i = 0; i < grid_voxels(&volume->grid); i++) {
        double q[3];
        const double r = phantom_canonical(q, &volume->grid, pose, i);
        if (q[0] * direction[0] + q[1] * direction[1] + q[2] * direction[2] >= least * r)
            mask[i] = 0;
    }
}

float *phantom_template(struct pose *ret_pose, const struct volume *skull, const struct disc *disc)
{
    struct error error = {0};
    struct radial_map map = {0};
    float *image = memory_alloc((size_t)(disc->n * disc->n), sizeof *image);
    CHECK(image != NULL);
    CHECK_OK(pose_initial(ret_pose, skull, &error), &error);
    CHECK_OK(radial_map_new(&map, disc->n_rays, &error), &error);
    radial_map_trace(&map, skull, ret_pose, disc, 0.5);
    CHECK_OK(disc_image(image, disc, map.outer, &error), &error);
    CHECK_OK(disc_smooth(image, disc, 1, &error), &error);
    radial_map_done(&map);
    return image;
}
