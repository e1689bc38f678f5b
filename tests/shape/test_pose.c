/* test_pose.c - frames, the fit, and the search for a head that lies in any way. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "shape/pose_search.h"
#include "tests/check.h"
#include "tests/shape/phantoms.h"

static struct disc disc;
static struct volume head;    /* phantom 0, upright */
static struct pose head_pose; /* its pose, by which the template was made */
static float *template;

static void make_head(void)
{
    struct error error = {0};
    if (template)
        return;
    CHECK_OK(disc_init(&disc, DISC_TEMPLATE_N, DISC_TEMPLATE_REACH, &error), &error);
    phantom_make(&head, 0, 1.5);
    template = phantom_template(&head_pose, &head, &disc);
}

static struct volume head_copy(void)
{
    struct error error = {0};
    struct volume copy = {0};
    CHECK_OK(volume_new(&copy, &head.grid, VOXEL_U8, &error), &error);
    memcpy(copy.data, head.data, (size_t)grid_voxels(&head.grid));
    return copy;
}

static void test_frames(void)
{
    struct pose pose = {.centre = {10, -20, 30}, .scale = {1.1, 0.9, 1.05}};
    const double w[3] = {0.3, -0.5, 0.8}, p[3] = {17, 4, -9};
    double q[3], back[3], worst = 0;
    pose_rotation(pose.rotation, w);
    pose_canonical(&pose, p, q);
    pose_world(&pose, q, back);
    for (int a = 0; a < 3; a++)
        worst = fmax(worst, fabs(back[a] - p[a]));
    CHECK_NEAR(worst, 0, 1e-12);

    const double quarter[3] = {0, 0, acos(-1) / 2};
    pose_rotation(pose.rotation, quarter);
    CHECK_NEAR(pose.rotation[1][0], 1, 1e-12); /* x goes to y */
    CHECK_NEAR(pose.rotation[0][1], -1, 1e-12);

    struct pose other = pose;
    other.centre[2] += 2;
    CHECK_NEAR(pose_compare(&pose, &other).centre_mm, 2, 1e-12);
    CHECK_NEAR(pose_compare(&pose, &other).surface_mm, 2, 1e-12);
    CHECK_NEAR(pose_compare(&pose, &other).rotation_deg, 0, 1e-5);
}

/* The right pose of a turned head: first turned back. */
static struct pose turned_pose(double x_deg, double y_deg, double z_deg)
{
    struct volume frame = {.grid = {.axis = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
                                    .origin = {head_pose.centre[0], head_pose.centre[1], head_pose.centre[2]}}};
    struct pose pose = head_pose;
    phantom_turn(&frame, x_deg, y_deg, z_deg);
    memcpy(pose.centre, frame.grid.origin, sizeof pose.centre);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            pose.rotation[i][j] = frame.grid.axis[i][j]; /* R = N': its rows are N's columns */
    return pose;
}

static void test_fit(void)
{
    struct error error = {0};
    struct cloud cloud = {0}, thin = {0};
    double loss;
    make_head();
    struct volume turned = head_copy();
    phantom_turn(&turned, 12, -8, 10);
    struct pose start, pose;
    CHECK_OK(pose_initial(&start, &turned, &error), &error);
    CHECK_OK(cloud_trace(&cloud, &turned, &start, &disc, POSE_STEP_MM, &error), &error);
    CHECK_OK(cloud_thin(&thin, &cloud, 3, &error), &error);
    CHECK_INT(thin.n, (cloud.n + 2) / 3);
    CHECK_OK(pose_best(&pose, &loss, &thin, &disc, template, &start, &pose_fit_new_skull, &error), &error);
    const struct pose right = turned_pose(12, -8, 10);
    const struct pose_difference away = pose_compare(&pose, &right);
    CHECK_NEAR(away.rotation_deg, 0, 0.5);
    CHECK_NEAR(away.surface_mm, 0, 0.5);
    CHECK(loss < 0.05);

    struct pose same;
    const int threads = parallel_threads();
    parallel_set_threads(1);
    CHECK_OK(pose_best(&same, &loss, &thin, &disc, template, &start, &pose_fit_new_skull, &error), &error);
    parallel_set_threads(threads);
    CHECK(memcmp(&same, &pose, sizeof pose) == 0);
    cloud_done(&thin);
    cloud_done(&cloud);
    volume_done(&turned);
}

/* Nodding, leaning and turning, with a hole of 40 degrees in the back of the vault. */
static void test_search(void)
{
    static const double turns[][3] = {{40, 0, 0},    {-40, 10, 0}, {0, 30, 180},
                                      {5, -30, -90}, {180, 0, 0},  {160, 20, 150}};
    const double back[3] = {0.2, 0.8, 0.5657};
    struct error error = {0};
    make_head();
    for (size_t i = 0; i < sizeof turns / sizeof *turns; i++) {
        struct volume turned = head_copy();
        struct pose_found found = {0};
        phantom_cut(&turned, &head_pose, back, 20);
        phantom_turn(&turned, turns[i][0], turns[i][1], turns[i][2]);
        CHECK_OK(pose_search(&found, &turned, &disc, template, "turned", &error), &error);
        const struct pose right = turned_pose(turns[i][0], turns[i][1], turns[i][2]);
        const struct pose_difference away = pose_compare(&found.pose, &right);
        const bool near = CHECK_NEAR(away.rotation_deg, 0, 1);
        if (!CHECK_NEAR(away.surface_mm, 0, 1) || !near)
            fprintf(stderr, "  of the turn %g %g %g: loss %.3f, found %.1f %.1f %.1f\n", turns[i][0], turns[i][1],
                    turns[i][2], found.loss, found.pitch_deg, found.roll_deg, found.yaw_deg);
        CHECK_INT(found.upside_down, i >= 4);
        volume_done(&turned);
    }
}

/* What is found is put into angles. */
static void test_angles(void)
{
    struct error error = {0};
    struct pose_found found = {0};
    make_head();
    struct volume turned = head_copy();
    phantom_turn(&turned, 25, 0, 0);
    CHECK_OK(pose_search(&found, &turned, &disc, template, "turned", &error), &error);
    CHECK_NEAR(found.pitch_deg, 25, 1);
    CHECK_NEAR(found.roll_deg, 0, 1);
    CHECK_NEAR(found.yaw_deg, 0, 1);
    phantom_turn(&turned, 0, 0, 120);
    CHECK_OK(pose_search(&found, &turned, &disc, template, "turned", &error), &error);
    CHECK_NEAR(found.pitch_deg, 25, 1);
    CHECK_NEAR(found.yaw_deg, 120, 1);
    CHECK(!found.upside_down);
    volume_done(&turned);
}

/* A ball of bone, a shell without features. */
static struct volume ball_make(double inner_mm, double outer_mm)
{
    struct error error = {0};
    struct volume ball = {0};
    const int64_t dim[3] = {120, 120, 120};
    const double spacing[3] = {2, 2, 2};
    const struct grid grid = grid_make(dim, spacing);
    CHECK_OK(volume_new(&ball, &grid, VOXEL_U8, &error), &error);
    for (int64_t i = 0; i < grid_voxels(&grid); i++) {
        const double x = (double)(i % 120) - 59.5, y = (double)(i / 120 % 120) - 59.5, z = (double)(i / 14400) - 59.5;
        const double r = 2 * sqrt(x * x + y * y + z * z);
        ((uint8_t *)ball.data)[i] = r > inner_mm && r < outer_mm;
    }
    return ball;
}

/* What is no head is said to be none, in words. */
static void test_no_head(void)
{
    struct error error = {0};
    struct pose_found found;
    make_head();
    const int64_t n = grid_voxels(&head.grid), *dim = head.grid.dim;

    struct volume bad = head_copy();
    memset(bad.data, 0, (size_t)n);
    CHECK_FAILS(pose_search(&found, &bad, &disc, template, "empty.nrrd", &error), &error, STATUS_FAILED,
                "empty.nrrd: no head: hardly any bone");
    for (int64_t i = 0; i < n; i++)
        ((uint8_t *)bad.data)[i] = !((const uint8_t *)head.data)[i];
    CHECK_FAILS(pose_search(&found, &bad, &disc, template, "inverted.nrrd", &error), &error, STATUS_FAILED,
                "inside out");
    for (int64_t i = 0; i < n; i++) /* the left third alone */
        ((uint8_t *)bad.data)[i] = ((const uint8_t *)head.data)[i] && i % dim[0] > 2 * dim[0] / 3;
    CHECK_FAILS(pose_search(&found, &bad, &disc, template, "third.nrrd", &error), &error, STATUS_FAILED,
                "third.nrrd: ");
    volume_done(&bad);

    struct volume shell = ball_make(40, 46);
    CHECK_FAILS(pose_search(&found, &shell, &disc, template, "ball.nrrd", &error), &error, STATUS_FAILED,
                "ball.nrrd: no head: nothing in it fits a vault");
    volume_done(&shell);

    struct volume two = {0}; /* one beside the other */
    struct grid wide = head.grid;
    wide.dim[0] *= 2;
    CHECK_OK(volume_new(&two, &wide, VOXEL_U8, &error), &error);
    for (int64_t i = 0; i < n; i++) {
        const int64_t row = i / dim[0], x = i % dim[0];
        ((uint8_t *)two.data)[row * wide.dim[0] + x] = ((const uint8_t *)head.data)[i];
        ((uint8_t *)two.data)[row * wide.dim[0] + dim[0] + x] = ((const uint8_t *)head.data)[i];
    }
    CHECK_FAILS(pose_search(&found, &two, &disc, template, "two.nrrd", &error), &error, STATUS_FAILED, "two heads?");
    volume_done(&two);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"frames", test_frames}, {"fit", test_fit},         {"search", test_search},
                                       {"angles", test_angles}, {"no_head", test_no_head}, {0}};
    const int rc = check_main(argc, argv, tests);
    memory_free(template);
    volume_done(&head);
    disc_done(&disc);
    return rc;
}
