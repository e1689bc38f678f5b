/* test_geometry_golden.c - rays and a pose against the Python reference's numbers (scripts/golden/shape_geometry.py).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "shape/pose_search.h"
#include "tests/check.h"
#include "tests/shape/phantoms.h"

enum { RAYS_MAX = 400 };

struct golden {
    double centre[2][3];
    int n_rays, ray[RAYS_MAX];
    double inner[RAYS_MAX], outer[RAYS_MAX];
    struct pose pose;
    double loss;
};

static bool golden_read(struct golden *golden)
{
    FILE *file = fopen("tests/shape/golden/geometry.txt", "r");
    char line[512];
    int head;
    double v[16];
    memset(golden, 0, sizeof *golden);
    if (!CHECK(file != NULL))
        return false;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "centre %d %lf %lf %lf", &head, v, v + 1, v + 2) == 4)
            memcpy(golden->centre[head & 1], v, sizeof golden->centre[0]);
        else if (golden->n_rays < RAYS_MAX && sscanf(line, "ray %d %lf %lf", &head, v, v + 1) == 3) {
            golden->ray[golden->n_rays] = head;
            golden->inner[golden->n_rays] = v[0];
            golden->outer[golden->n_rays++] = v[1];
        } else if (sscanf(line, "pose %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf", v, v + 1, v + 2,
                          v + 3, v + 4, v + 5, v + 6, v + 7, v + 8, v + 9, v + 10, v + 11, v + 12, v + 13, v + 14,
                          v + 15) == 16) {
            memcpy(golden->pose.rotation, v, sizeof golden->pose.rotation);
            memcpy(golden->pose.centre, v + 9, sizeof golden->pose.centre);
            memcpy(golden->pose.scale, v + 12, sizeof golden->pose.scale);
            golden->loss = v[15];
        }
    }
    fclose(file);
    return CHECK(golden->n_rays > 100 && golden->loss > 0);
}

static void test_rays(void)
{
    struct golden golden;
    struct error error = {0};
    struct volume head = {0};
    struct disc disc = {0};
    struct radial_map map = {0};
    const double turn[3] = {0.1, -0.2, 0.3};
    if (!golden_read(&golden))
        return;
    phantom_make(&head, 0, 2);
    CHECK_OK(disc_init(&disc, DISC_MAP_N, DISC_MAP_REACH, &error), &error);
    CHECK_OK(radial_map_new(&map, disc.n_rays, &error), &error);
    struct pose pose = {.scale = {1.05, 0.95, 1.02}};
    pose_rotation(pose.rotation, turn);
    memcpy(pose.centre, golden.centre[0], sizeof pose.centre);
    radial_map_trace(&map, &head, &pose, &disc, 0.4);
    int met = 0;
    for (int i = 0; i < golden.n_rays; i++) {
        const int k = golden.ray[i];
        if (isnan(golden.outer[i])) {
            CHECK(isnan(map.outer[k]));
            continue;
        }
        met++;
        CHECK_NEAR(map.inner[k], golden.inner[i], 0.005);
        CHECK_NEAR(map.outer[k], golden.outer[i], 0.005);
    }
    CHECK(met > 100);
    radial_map_done(&map);
    disc_done(&disc);
    volume_done(&head);
}

/* The outer surface of a head seen from a centre, as a map of the template's disc. */
static struct radial_map surface(const struct volume *head, const double centre[3], const struct disc *disc,
                                 struct pose *ret_pose)
{
    struct error error = {0};
    struct radial_map map = {0};
    *ret_pose = (struct pose){.rotation = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, .scale = {1, 1, 1}};
    memcpy(ret_pose->centre, centre, sizeof ret_pose->centre);
    CHECK_OK(radial_map_new(&map, disc->n_rays, &error), &error);
    radial_map_trace(&map, head, ret_pose, disc, 0.5);
    return map;
}

static void test_pose(void)
{
    struct golden golden;
    struct error error = {0};
    struct volume heads[2] = {{.data = NULL}, {.data = NULL}};
    struct disc disc = {0};
    struct pose start, pose;
    struct cloud cloud = {0};
    double loss;
    if (!golden_read(&golden))
        return;
    CHECK_OK(disc_init(&disc, DISC_TEMPLATE_N, DISC_TEMPLATE_REACH, &error), &error);
    for (int h = 0; h < 2; h++)
        phantom_make(&heads[h], h, 2);
    float *template = memory_alloc((size_t)(disc.n * disc.n), sizeof *template);
    struct radial_map map = surface(&heads[0], golden.centre[0], &disc, &start);
    CHECK_OK(disc_image(template, &disc, map.outer, &error), &error);
    CHECK_OK(disc_smooth(template, &disc, 1, &error), &error);
    radial_map_done(&map);

    map = surface(&heads[1], golden.centre[1], &disc, &start);
    CHECK_OK(cloud_from_map(&cloud, &map, &start, &disc, &error), &error);
    CHECK_OK(pose_best(&pose, &loss, &cloud, &disc, template, &start, &pose_fit_training, &error), &error);
    const struct pose_difference away = pose_compare(&pose, &golden.pose);
    /* the template is float here, double there, and pixels as near to two others may be filled from either */
    CHECK_NEAR(away.rotation_deg, 0, 0.05);
    CHECK_NEAR(away.surface_mm, 0, 0.05);
    CHECK_NEAR(loss, golden.loss, 1e-3);
    cloud_done(&cloud);
    radial_map_done(&map);
    memory_free(template);
    disc_done(&disc);
    volume_done(&heads[0]);
    volume_done(&heads[1]);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"rays", test_rays}, {"pose", test_pose}, {0}};
    return check_main(argc, argv, tests);
}
