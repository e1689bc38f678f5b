/* test_resample.c - resampling against plain loops, and where a crop of the skull lies. */
#include <math.h>

#include "base/memory.h"
#include "base/rng.h"
#include "data/volume/resample.h"
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
            int64_t x = i % fine.dim[0] / 2, y = i / fine.dim[0] % fine.dim[1] / 2,
                    z = i / fine.dim[0] / fine.dim[1] / 2;
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

static struct volume volume_noise(struct grid grid)
{
    struct volume volume;
    struct error error = {0};
    struct rng rng = rng_make(3, 0);
    CHECK_OK(volume_new(&volume, &grid, VOXEL_U8, &error), &error);
    for (int64_t i = 0; i < grid_voxels(&grid); i++)
        ((uint8_t *)volume.data)[i] = rng_uniform(&rng, 0, 1) < 0.4;
    return volume;
}

/* The share of `src` in a voxel's box, by brute force along each axis. */
static double box_share(const struct volume *src, const double lo[3], const double hi[3])
{
    const int64_t *d = src->grid.dim;
    double sum = 0, volume = 1;
    for (int64_t z = 0; z < d[2]; z++)
        for (int64_t y = 0; y < d[1]; y++)
            for (int64_t x = 0; x < d[0]; x++) {
                const int64_t at[3] = {x, y, z};
                double part = ((const uint8_t *)src->data)[(z * d[1] + y) * d[0] + x];
                for (int a = 0; a < 3; a++)
                    part *= fmax(0, fmin(hi[a], (double)at[a] + 0.5) - fmax(lo[a], (double)at[a] - 0.5));
                sum += part;
            }
    for (int a = 0; a < 3; a++)
        volume *= hi[a] - lo[a];
    return sum / volume;
}

/* Coarser voxels hold exactly the bone of their boxes, wherever the edges fall; all of it together is what there was.
 */
static void test_area(void)
{
    struct error error = {0};
    const double coarse[3] = {1.3, 1.3, 2.9};
    struct volume src = volume_noise(grid_make(dim, spacing)), dst;
    const struct grid to = resample_grid(&src.grid, coarse);
    double bone = 0, kept = 0, worst = 0;

    if (!CHECK_OK(resample_volume(&dst, &src, &to, RESAMPLE_AREA, &error), &error))
        return;

    for (int64_t i = 0; i < grid_voxels(&to); i++) {
        const int64_t at[3] = {i % to.dim[0], i / to.dim[0] % to.dim[1], i / to.dim[0] / to.dim[1]};
        double lo[3], hi[3];
        for (int a = 0; a < 3; a++) {
            const double step = coarse[a] / spacing[a],
                         middle = 0.5 * (double)(dim[a] - 1) + ((double)at[a] - 0.5 * (double)(to.dim[a] - 1)) * step;
            lo[a] = middle - 0.5 * step;
            hi[a] = middle + 0.5 * step;
        }
        worst = fmax(worst, fabs(((float *)dst.data)[i] - box_share(&src, lo, hi)));
        kept += ((float *)dst.data)[i];
    }

    for (int64_t i = 0; i < grid_voxels(&src.grid); i++)
        bone += ((uint8_t *)src.data)[i];
    CHECK_NEAR(worst, 0, 1e-6);
    CHECK_NEAR(kept * grid_voxel_ml(&to), bone * grid_voxel_ml(&src.grid), 1e-5);
    volume_done(&dst);
    volume_done(&src);
}

/* Two voxels above the bone, its middle in the middle; half a voxel to the lower side where it cannot be. */
static void test_frame(void)
{
    enum { N = 20 };
    const int64_t all[3] = {N, N, N}, crop[3] = {8, 30, 9};
    float *bone = memory_zalloc(N * N * N, sizeof *bone), *cut = memory_alloc(8 * 30 * 9, sizeof *cut);
    int64_t lo[3];

    for (int64_t z = 5; z < 12; z++)
        for (int64_t y = 2; y < 17; y++)
            for (int64_t x = 9; x < 15; x++)
                bone[(z * N + y) * N + x] = (float)(1 + x);
    bone[(19 * N + 19) * N + 19] = 0.2F; /* too little to be looked at */
    skull_crop(lo, bone, all, crop);
    CHECK_INT(lo[0], 8);  /* 9 .. 15 in the middle of 8 */
    CHECK_INT(lo[1], -6); /* 2 .. 17 in the middle of 30: 9.5 - 15, rounded down */
    CHECK_INT(lo[2], 5);  /* ends at 12 + 2 */
    resample_crop(cut, crop, bone, all, lo);
    double sum = 0, expected = 0;
    for (int64_t i = 0; i < 8 * 30 * 9; i++)
        sum += cut[i];
    for (int64_t x = 9; x < 15; x++)
        expected += 7.0 * 15 * (double)(1 + x);
    CHECK_NEAR(sum, expected, 1e-6);
    CHECK_NEAR(cut[(0 * 30 + 8) * 8 + 1], 10, 0); /* x 9, y 2, z 5 */
    memory_free(bone);
    memory_free(cut);
}

/* As resample_volume has it, to the last bits; beyond the last voxels a line to 0. */
static void test_lattice(void)
{
    const int64_t size[3] = {5, 4, 3};
    const double at[3] = {0.25, 1.5, 2}, step[3] = {1.1, 0.5, 0.75};
    struct volume src = volume_plane(grid_make(dim, spacing));
    float out[60], beyond[60];

    resample_lattice(out, size, src.data, dim, at, step);
    double worst = 0;

    for (int64_t i = 0; i < 60; i++) {
        const double index[3] = {at[0] + (double)(i % 5) * step[0], at[1] + (double)(i / 5 % 4) * step[1],
                                 at[2] + (double)(i / 20) * step[2]};
        double world[3];
        grid_to_world(&src.grid, index, world);
        worst = fmax(worst, fabs(out[i] - plane(world)));
    }

    CHECK_NEAR(worst, 0, 1e-5);
    resample_lattice(beyond, size, src.data, dim, (const double[3]){-0.5, 0, 0}, (const double[3]){-1, 1, 1});
    CHECK_NEAR(beyond[0], 0.5 * ((float *)src.data)[0], 1e-6);
    CHECK(beyond[1] == 0);
    volume_done(&src);
}

/* The spline keeps constants and lines, never leaves the range of its values, and blurs a step: 1/6, 1/2, 5/6. */
static void test_lattice_smooth(void)
{
    enum { N = 12 };
    const int64_t size[3] = {5, 1, 1};
    struct error error = {0};
    float src[N * N * N], out[5];
    for (int64_t i = 0; i < N * N * N; i++)
        src[i] = 3 + 2 * (float)(i % N) - (float)(i / N % N) + 0.5f * (float)(i / N / N);
    CHECK_OK(resample_lattice_smooth(out, size, src, (const int64_t[3]){N, N, N}, (const double[3]){2.3, 4.1, 5.6},
                                     (const double[3]){1.2, 1, 1}, &error),
             &error);
    for (int x = 0; x < 5; x++)
        CHECK_NEAR(out[x], 3 + 2 * (2.3 + 1.2 * x) - 4.1 + 0.5 * 5.6, 1e-5);

    for (int64_t i = 0; i < N * N * N; i++)
        src[i] = i % N >= 6;
    CHECK_OK(resample_lattice_smooth(out, size, src, (const int64_t[3]){N, N, N}, (const double[3]){4, 5, 5},
                                     (const double[3]){0.5, 1, 1}, &error),
             &error);
    CHECK_NEAR(out[0], 0, 1e-6);
    CHECK_NEAR(out[2], 1.0 / 6, 1e-6);
    CHECK_NEAR(out[3], 0.5, 1e-6);
    CHECK_NEAR(out[4], 5.0 / 6, 1e-6);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"linear", test_linear},
                                       {"nearest", test_nearest},
                                       {"grid", test_grid},
                                       {"area", test_area},
                                       {"crop", test_frame},
                                       {"lattice", test_lattice},
                                       {"lattice_smooth", test_lattice_smooth},
                                       {0}};
    return check_main(argc, argv, tests);
}
