#include <math.h>

#include "base/memory.h"
#include "data/resample.h"
#include "tests/check.h"

static const int64_t dim[3] = {9, 8, 7};
static const double spacing[3] = {0.5, 0.7, 1.2};

/* A linear function of the world, which linear interpolation gives back exactly. */
static double plane(const double world[3])
{
    return 3 + 2 * world[0] - 0.5 * world[1] + world[2];
}

static struct volume volume_plane(struct grid grid)
{
    struct volume volume;
    struct error error = {0};
    CHECK_OK(volume_new(&volume, &grid, VOXEL_F32, &error), &error);
    for (int64_t i = 0; i < grid_voxels(&grid); i++) {
        const double index[3] = {(double)(i % grid.dim[0]), (double)(i / grid.dim[0] % grid.dim[1]),
                                 (double)(i / grid.dim[0] / grid.dim[1])};
        double world[3];
        grid_to_world(&grid, index, world);
        ((float *)volume.data)[i] = (float)plane(world);
    }
    return volume;
}

/* oblique: an axis out of line; else the way by tables */
static void check_linear(bool oblique)
{
    struct error error = {0};
    struct grid grid = grid_make(dim, spacing);
    grid.axis[0][1] = oblique ? 0.1 : 0;
    struct volume src = volume_plane(grid), dst;
    const int64_t small[3] = {4, 5, 3};
    const double fine[3] = {0.3, 0.3, 0.3};
    struct grid to = grid_make(small, fine);
    to.axis[2][0] = oblique ? 0.05 : 0;
    to.axis[1][1] = oblique ? 0.3 : -0.3;
    to.origin[1] = oblique ? to.origin[1] : 0.6;
    if (CHECK_OK(resample_volume(&dst, &src, &to, RESAMPLE_LINEAR, &error), &error)) {
        CHECK_INT(dst.type, VOXEL_F32);
        int64_t wrong = 0;
        for (int64_t i = 0; i < grid_voxels(&to); i++) {
            const double index[3] = {(double)(i % small[0]), (double)(i / small[0] % small[1]),
                                     (double)(i / small[0] / small[1])};
            double world[3];
            grid_to_world(&to, index, world);
            wrong += fabs(((float *)dst.data)[i] - plane(world)) > 1e-5;
        }
        CHECK_INT(wrong, 0);
        volume_done(&dst);
    }
    volume_done(&src);
}

static void test_linear(void)
{
    check_linear(true);
    check_linear(false);
}

static void test_nearest(void)
{
    struct error error = {0};
    struct grid grid = grid_make(dim, spacing);
    struct volume src, dst, back;
    CHECK_OK(volume_new(&src, &grid, VOXEL_U8, &error), &error);
    for (int64_t i = 0; i < grid_voxels(&grid); i++)
        ((uint8_t *)src.data)[i] = (uint8_t)(i % 251);
    const double half[3] = {0.25, 0.35, 0.6};
    struct grid fine = resample_grid(&grid, half);
    for (int a = 0; a < 3; a++)
        CHECK_INT(fine.dim[a], 2 * dim[a]);
    if (CHECK_OK(resample_volume(&dst, &src, &fine, RESAMPLE_NEAREST, &error), &error)) {
        CHECK_INT(dst.type, VOXEL_U8);
        int64_t wrong = 0;
        for (int64_t i = 0; i < grid_voxels(&fine); i++) {
            int64_t x = i % fine.dim[0] / 2, y = i / fine.dim[0] % fine.dim[1] / 2, z = i / fine.dim[0] / fine.dim[1] / 2;
            wrong += ((uint8_t *)dst.data)[i] != ((uint8_t *)src.data)[(z * dim[1] + y) * dim[0] + x];
        }
        CHECK_INT(wrong, 0);
        if (CHECK_OK(resample_volume(&back, &dst, &grid, RESAMPLE_NEAREST, &error), &error)) {
            wrong = 0;
            for (int64_t i = 0; i < grid_voxels(&grid); i++)
                wrong += ((uint8_t *)back.data)[i] != ((uint8_t *)src.data)[i];
            CHECK_INT(wrong, 0);
            volume_done(&back);
        }
        volume_done(&dst);
    }
    volume_done(&src);
}

/* Same extent, same centre; nothing of the old field of view is lost; outside is 0. */
static void test_grid(void)
{
    struct error error = {0};
    struct grid grid = grid_make(dim, spacing);
    const double coarse[3] = {2, 2, 2};
    struct grid to = resample_grid(&grid, coarse);
    const int64_t expected[3] = {3, 3, 5}; /* 4.5, 5.6 and 8.4 mm */
    double middle[3] = {0}, index[3];
    for (int a = 0; a < 3; a++) {
        CHECK_INT(to.dim[a], expected[a]);
        CHECK_NEAR(grid_spacing_mm(&to, a), 2, 1e-12);
        index[a] = 0.5 * (double)(to.dim[a] - 1);
    }
    grid_to_world(&to, index, middle);
    for (int a = 0; a < 3; a++)
        CHECK_NEAR(middle[a], 0, 1e-12);
    struct volume src = volume_plane(grid), dst;
    to.origin[0] += 100;
    if (CHECK_OK(resample_volume(&dst, &src, &to, RESAMPLE_LINEAR, &error), &error)) {
        CHECK(((float *)dst.data)[0] == 0);
        volume_done(&dst);
    }
    volume_done(&src);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"linear", test_linear}, {"nearest", test_nearest}, {"grid", test_grid}, {0}};
    return check_main(argc, argv, tests);
}
