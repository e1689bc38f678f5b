/* test_radial_map.c - rays through balls of bone whose radii are known. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "shape/radial_map.h"
#include "tests/check.h"

static struct disc disc;

/* A shell of bone about a point off the volume's middle, oblique voxels that are no cubes. */
static const double middle[3] = {3, -5, 7};

static struct volume shell_make(double inner_mm, double outer_mm)
{
    struct error error = {0};
    struct volume volume = {0};
    const int64_t dim[3] = {150, 160, 120};
    const double spacing[3] = {1.1, 1.0, 1.4};
    struct grid grid = grid_make(dim, spacing);
    const double turn[3] = {0.1, -0.2, 0.3};
    double r[3][3];
    pose_rotation(r, turn);
    for (int a = 0; a < 3; a++) {
        const double old[3] = {grid.axis[a][0], grid.axis[a][1], grid.axis[a][2]};
        for (int i = 0; i < 3; i++)
            grid.axis[a][i] = r[i][0] * old[0] + r[i][1] * old[1] + r[i][2] * old[2];
    }
    const double centre[3] = {75, 80, 60};
    double at[3];
    memset(grid.origin, 0, sizeof grid.origin);
    grid_to_world(&grid, centre, at);
    for (int i = 0; i < 3; i++)
        grid.origin[i] = middle[i] - at[i];
    CHECK_OK(volume_new(&volume, &grid, VOXEL_U8, &error), &error);
    for (int64_t i = 0; i < grid_voxels(&grid); i++) {
        const double index[3] = {(double)(i % 150), (double)(i / 150 % 160), (double)(i / 150 / 160)};
        grid_to_world(&grid, index, at);
        const double d = hypot(hypot(at[0] - middle[0], at[1] - middle[1]), at[2] - middle[2]);
        ((uint8_t *)volume.data)[i] = d > inner_mm && d < outer_mm;
    }
    return volume;
}

static struct pose pose_upright(void)
{
    struct pose pose = {.rotation = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, .scale = {1, 1, 1}};
    memcpy(pose.centre, middle, sizeof middle);
    return pose;
}

static struct radial_map map_of(const struct volume *volume, const struct pose *pose)
{
    struct error error = {0};
    struct radial_map map = {0};
    CHECK_OK(radial_map_new(&map, disc.n_rays, &error), &error);
    radial_map_trace(&map, volume, pose, &disc, 0.4);
    return map;
}

static void test_shell(void)
{
    struct volume shell = shell_make(50, 58);
    struct pose pose = pose_upright();
    struct radial_map map = map_of(&shell, &pose);
    double off = 0, worst = 0;
    for (int64_t k = 0; k < disc.n_rays; k++) {
        off += fabs((double)map.inner[k] - 50) + fabs((double)map.outer[k] - 58);
        worst = fmax(worst, fmax(fabs((double)map.inner[k] - 50), fabs((double)map.outer[k] - 58)));
    }
    CHECK_NEAR(off / (double)(2 * disc.n_rays), 0, 0.2); /* a fifth of a voxel */
    CHECK_NEAR(worst, 0, 1);

    /* scales stretch what is measured: a ball becomes an ellipsoid */
    pose.scale[2] = 1.2;
    struct radial_map stretched = map_of(&shell, &pose);
    const int32_t vertex = disc.ray_at[disc.n / 2 * disc.n + disc.n / 2];
    CHECK_NEAR(stretched.outer[vertex], 1.2 * 58, 0.8);
    radial_map_done(&stretched);

    /* the same bits on one thread */
    pose.scale[2] = 1;
    const int threads = parallel_threads();
    parallel_set_threads(1);
    struct radial_map alone = map_of(&shell, &pose);
    parallel_set_threads(threads);
    CHECK(memcmp(alone.inner, map.inner, (size_t)disc.n_rays * RADIAL_MAP_PLANES * sizeof(float)) == 0);
    radial_map_done(&alone);
    radial_map_done(&map);
    volume_done(&shell);
}

/* Where the ray leaves the volume; what is cut off there is not bone beyond. */
static void test_limits(void)
{
    struct volume shell = shell_make(50, 58);
    const struct pose pose = pose_upright();
    struct radial_map map = map_of(&shell, &pose);
    int64_t wrong = 0;
    for (int64_t k = 0; k < disc.n_rays; k++)
        wrong += map.enter[k] != 0 || !(map.leave[k] > 75 && map.leave[k] <= 135);
    CHECK_INT(wrong, 0);

    const struct box half = {{0, 0, 0}, {150, 160, 66}};
    radial_map_crop(&map, &shell, &pose, &disc, &half);
    double least = 1e9;
    for (int64_t k = 0; k < disc.n_rays; k++)
        least = fmin(least, (double)map.leave[k]);
    CHECK_NEAR(least, 5.5 * 1.4, 0.05); /* from slice 60 to the face of slice 65 */

    struct pose outside = pose; /* a centre beyond the volume: most rays miss it */
    outside.centre[2] += 300;
    struct radial_map none = map_of(&shell, &outside);
    for (int64_t k = 0; k < disc.n_rays; k++)
        wrong += isfinite(none.outer[k]) && none.leave[k] < none.enter[k];
    const int32_t vertex = disc.ray_at[disc.n / 2 * disc.n + disc.n / 2];
    CHECK(isnan(none.outer[vertex]));
    CHECK_INT(wrong, 0);
    radial_map_done(&none);
    radial_map_done(&map);
    volume_done(&shell);
}

/* A second shell about the first, as a strap: seen by the first look, not by one up to it. */
static void test_retrace(void)
{
    struct error error = {0};
    struct volume shell = shell_make(50, 58), strap = shell_make(66, 68);
    for (int64_t i = 0; i < grid_voxels(&shell.grid); i++)
        ((uint8_t *)shell.data)[i] |= ((const uint8_t *)strap.data)[i];
    const struct pose pose = pose_upright();
    struct radial_map map = map_of(&shell, &pose), window = {0};
    CHECK_NEAR(map.outer[100], 68, 1);
    uint8_t *marked = memory_zalloc((size_t)disc.n_rays, 1);
    CHECK_OK(radial_map_new(&window, disc.n_rays, &error), &error);
    for (int64_t k = 0; k < disc.n_rays; k++) {
        marked[k] = k % 2 == 0;
        window.inner[k] = 40;
        window.outer[k] = k % 4 == 0 ? 62 : 45;
    }
    radial_map_retrace(&map, &shell, &pose, &disc, &(struct radial_window){marked, window.inner, window.outer}, 0.4);
    CHECK_NEAR(map.outer[100], 58, 1);
    CHECK_NEAR(map.inner[100], 50, 1);
    CHECK(isnan(map.outer[102]));
    CHECK_NEAR(map.outer[101], 68, 1);
    memory_free(marked);
    radial_map_done(&window);
    radial_map_done(&map);
    volume_done(&strap);
    volume_done(&shell);
}

/* Sixteen steps of 1 mm; the upper half of the shell is hollow from the 6th to the 10th. */
static void test_occupied(void)
{
    struct volume volume = shell_make(60, 76), hollow = shell_make(66, 70);
    const struct pose pose = pose_upright();
    for (int64_t i = 0; i < grid_voxels(&volume.grid); i++) {
        const double index[3] = {(double)(i % 150), (double)(i / 150 % 160), (double)(i / 150 / 160)};
        double at[3];
        grid_to_world(&volume.grid, index, at);
        if (at[2] > middle[2] && ((const uint8_t *)hollow.data)[i])
            ((uint8_t *)volume.data)[i] = 0;
    }
    struct radial_map map = map_of(&volume, &pose);
    uint16_t *bone = memory_alloc((size_t)disc.n_rays, sizeof *bone);
    map.inner[0] = map.outer[0] = NAN;
    radial_map_occupied(bone, &map, &volume, &pose, &disc);
    CHECK_INT(bone[0], 0);
    int64_t upper = 0, lower = 0;
    for (int64_t k = 1; k < disc.n_rays; k++) {
        if (!(map.outer[k] - map.inner[k] > 15))
            continue;
        upper += disc.ray[k][2] > 0.1;
        lower += disc.ray[k][2] < -0.1;
        if (disc.ray[k][2] > 0.1) /* a voxel is as large as a step: the first and the last may be either */
            CHECK_INT(bone[k] & 0xF99F, 0xF81F);
        else if (disc.ray[k][2] < -0.1)
            CHECK_INT(bone[k], 0xFFFF);
    }
    CHECK(upper > 1000 && lower > 200);
    memory_free(bone);
    radial_map_done(&map);
    volume_done(&hollow);
    volume_done(&volume);
}

int main(int argc, char **argv)
{
    struct error error = {0};
    CHECK_OK(disc_init(&disc, 61, DISC_MAP_REACH, &error), &error);
    const struct check_test tests[] = {
        {"shell", test_shell}, {"limits", test_limits}, {"retrace", test_retrace}, {"occupied", test_occupied}, {0}};
    const int rc = check_main(argc, argv, tests);
    disc_done(&disc);
    return rc;
}
