/* test_template.c - clouds of one surface under known poses: the template and the poses are found again. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "shape/template.h"
#include "tests/check.h"

enum { HEADS = 5, DISC_N = 49 };

/* A head-like surface: longer than wide, with ridges that hold a pose. */
static double surface(const double d[3])
{
    return 85 + 8 * d[1] * d[1] - 6 * d[0] * d[0] + 4 * d[1] * d[2] + 3 * sin(6 * d[1]) + 2.5 * sin(7 * d[2]) +
           2 * cos(8 * d[0]);
}

/* Its points in the world under a pose; ray_disc gives the directions. */
static void cloud_of(struct cloud *ret, const struct disc *disc, const struct pose *pose)
{
    struct error error = {0};
    CHECK_OK(cloud_new(ret, disc->n_rays, &error), &error);
    for (int64_t ray = 0; ray < disc->n_rays; ray++) {
        double q[3];
        for (int a = 0; a < 3; a++)
            q[a] = surface(disc->ray[ray]) * disc->ray[ray][a];
        pose_world(pose, q, ret->point[ray]);
    }
}

static struct pose pose_some(int64_t h)
{
    struct rng rng = rng_make(21, (uint64_t)h);
    struct pose pose;
    double turn[3];
    for (int a = 0; a < 3; a++) {
        turn[a] = rng_uniform(&rng, -0.08, 0.08);
        pose.centre[a] = rng_uniform(&rng, -6, 6);
        pose.scale[a] = rng_uniform(&rng, 0.96, 1.04);
    }
    pose_rotation(pose.rotation, turn);
    return pose;
}

static void fit(float *template, struct pose poses[HEADS], double losses[HEADS], const struct disc *disc)
{
    struct error error = {0};
    struct cloud clouds[HEADS];
    struct disc rays;
    CHECK_OK(disc_init(&rays, 61, 1.8, &error), &error);
    for (int64_t h = 0; h < HEADS; h++) {
        const struct pose pose = pose_some(h);
        cloud_of(&clouds[h], &rays, &pose);
        poses[h] = (struct pose){.rotation = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, .scale = {1, 1, 1}};
    }
    struct template_heads heads = {.n = HEADS, .clouds = clouds, .poses = poses, .losses = losses};
    CHECK_OK(template_fit(template, disc, &heads, NULL, &error), &error);
    for (int64_t h = 0; h < HEADS; h++)
        cloud_done(&clouds[h]);
    disc_done(&rays);
}

static void test_recovers(void)
{
    struct error error = {0};
    struct disc disc;
    static float template[DISC_N * DISC_N], other[DISC_N * DISC_N];
    struct pose poses[HEADS], others[HEADS];
    double losses[HEADS];
    CHECK_OK(disc_init(&disc, DISC_N, 1.8, &error), &error);
    const int threads = parallel_threads();
    fit(template, poses, losses, &disc);

    /* Every head is the same surface: under the poses found, the clouds lie on each other. */
    double scale[3] = {1, 1, 1}, worst = 0, apart = 0;
    for (int64_t h = 0; h < HEADS; h++) {
        const struct pose pose = pose_some(h);
        CHECK(losses[h] < 0.05);
        for (int a = 0; a < 3; a++)
            scale[a] *= poses[h].scale[a];
        for (int64_t ray = 0; ray < disc.n_rays; ray += 7) {
            double q[3], world[3], back[3], first[3];
            for (int a = 0; a < 3; a++)
                q[a] = surface(disc.ray[ray]) * disc.ray[ray][a];
            pose_world(&pose, q, world);
            pose_canonical(&poses[h], world, back);
            const struct pose zero = pose_some(0);
            pose_world(&zero, q, world);
            pose_canonical(&poses[0], world, first);
            const double off =
                sqrt(pow(back[0] - first[0], 2) + pow(back[1] - first[1], 2) + pow(back[2] - first[2], 2));
            worst = fmax(worst, disc.ray[ray][2] > 0 ? off : 0);
            apart = fmax(apart, fabs(pose.centre[0] - zero.centre[0]));
        }
    }
    CHECK(apart > 3);
    CHECK_NEAR(worst, 0, 1.2);
    for (int a = 0; a < 3; a++)
        CHECK_NEAR(scale[a], 1, 1e-9);
    for (int i = 0; i < DISC_N; i++)
        CHECK(memcmp(template + i * DISC_N, template + (DISC_N - 1 - i) * DISC_N, DISC_N * sizeof(float)) == 0);

    parallel_set_threads(threads == 1 ? 3 : 1);
    fit(other, others, losses, &disc);
    parallel_set_threads(threads);
    CHECK(memcmp(template, other, sizeof template) == 0);
    CHECK(memcmp(poses, others, sizeof poses) == 0);
    disc_done(&disc);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"recovers", test_recovers}, {0}};
    return check_main(argc, argv, tests);
}
