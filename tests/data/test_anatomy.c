/* Front, left and up found on a skull that lies askew, and defects that land where their class belongs. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "data/defects/anatomy.h"
#include "data/defects/patch.h"
#include "data/defects/region.h"
#include "skulls.h"
#include "tests/check.h"

static const double DEG = 3.14159265358979323846 / 180;

/* Unit vectors left, back, up of a head turned by yaw about z, then by pitch about its own left. */
static void head_frame(double frame[3][3], double yaw, double pitch)
{
    const double cy = cos(yaw * DEG), sy = sin(yaw * DEG), cp = cos(pitch * DEG), sp = sin(pitch * DEG);
    const double axes[3][3] = {{cy, sy, 0}, {-sy * cp, cy * cp, sp}, {sy * sp, -cy * sp, cp}};
    memcpy(frame, axes, sizeof axes);
}

/* A shell 145 x 184 x 170 mm with two orbits, open below. */
static void head_make(struct volume *ret, const int64_t dim[3], const double mm[3], double frame[3][3])
{
    struct error error = {0};
    const struct grid grid = grid_make(dim, mm);

    CHECK_OK(volume_new(ret, &grid, VOXEL_U8, &error), &error);
    uint8_t *mask = ret->data;
    const double half[3] = {72.5, 92, 85}, inner[3] = {65.5, 85, 78};

    for (int64_t z = 0; z < dim[2]; z++)
        for (int64_t y = 0; y < dim[1]; y++)
            for (int64_t x = 0; x < dim[0]; x++, mask++) {
                const double index[3] = {(double)x, (double)y, (double)z};
                double world[3], p[3] = {0}, out = 0, in = 0, orbit = INFINITY;
                grid_to_world(&grid, index, world);
                for (int a = 0; a < 3; a++) {
                    for (int k = 0; k < 3; k++)
                        p[a] += world[k] * frame[a][k];
                    out += p[a] * p[a] / half[a] / half[a];
                    in += p[a] * p[a] / inner[a] / inner[a];
                }
                for (int side = -1; side <= 1; side += 2)
                    orbit = fmin(orbit, hypot(hypot(p[0] - side * 33, p[1] + 78), p[2] + 38));
                *mask = out <= 1 && in > 1 && orbit > 20 && p[2] > -62;
            }
}

static double angle_between(const double a[3], const double b[3])
{
    const double cosine = a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    return acos(fmin(fmax(cosine, -1), 1)) / DEG;
}

static const int64_t dim[3] = {150, 110, 190};
static const double mm[3] = {1.3, 2, 1.1};

static void test_frame(void)
{
    const double poses[][2] = {{0, 0}, {8, 0}, {-10, 0}, {0, 12}, {0, -12}, {9, 10}};
    double level_deg = NAN;

    for (size_t i = 0; i < sizeof poses / sizeof *poses; i++) {
        struct volume skull;
        struct anatomy anatomy;
        struct error error = {0};
        double frame[3][3];
        head_frame(frame, poses[i][0], poses[i][1]);
        head_make(&skull, dim, mm, frame);
        CHECK_OK(anatomy_find(&anatomy, &skull, box_of_mask(skull.data, dim), &error), &error);
        CHECK(anatomy.rim_found);
        CHECK_NEAR(anatomy.scale, 1, 0.08);
        CHECK(angle_between(anatomy.frame[0], frame[0]) < 5);
        if (i == 0)
            level_deg = atan2(anatomy.frame[1][2], anatomy.frame[1][1]) /
                        DEG; /* this head's own rims against the canonical level */
        const double pitch_deg = asin(anatomy.frame[1][2]) / DEG - level_deg;
        CHECK_NEAR(pitch_deg, poses[i][1], 5);
        anatomy_done(&anatomy);
        volume_done(&skull);
    }
}

/* On a sphere, the patch's normal is the radius and its curvature the sphere's. */
static void test_patch(void)
{
    const int64_t cube[3] = {100, 100, 100};
    const double even[3] = {2, 2, 2}, middle[3] = {99, 99, 99};
    struct volume ball;
    struct anatomy anatomy;
    struct vault_patch patch;
    struct error error = {0};
    const struct grid grid = grid_make(cube, even);

    CHECK_OK(volume_new(&ball, &grid, VOXEL_U8, &error), &error);

    for (int64_t v = 0; v < 1000000; v++) {
        const double r =
            2 * hypot(hypot((double)(v % 100) - 49.5, (double)(v / 100 % 100) - 49.5), (double)(v / 10000) - 49.5);
        ((uint8_t *)ball.data)[v] = r <= 80 && r > 72;
    }

    CHECK_OK(anatomy_find(&anatomy, &ball, box_of_mask(ball.data, cube), &error), &error);

    for (int azimuth = -150; azimuth < 180; azimuth += 50) {
        double radius[3], length = 0;
        CHECK(vault_patch_find(&patch, &anatomy, azimuth, 30, 30));
        for (int k = 0; k < 3; k++) {
            radius[k] = patch.point_mm[k] - middle[k];
            length += radius[k] * radius[k];
        }
        for (int k = 0; k < 3; k++)
            radius[k] /= sqrt(length);
        CHECK_NEAR(sqrt(length), 80, 4);
        CHECK(angle_between(radius, patch.normal) < 4);
        CHECK_NEAR(patch.radius_mm, 80, 20); /* cells of 3 mm */
    }

    anatomy_done(&anatomy);
    volume_done(&ball);
}

/* Mean direction of an implant as seen from the middle of the vault. */
static void implant_angles(const struct region *implant, const struct anatomy *anatomy, double *azimuth,
                           double *elevation)
{
    double sum[3] = {0};
    int64_t n = 0, v = 0;
    const struct box b = implant->box;
    for (int64_t z = b.lo[2]; z < b.hi[2]; z++)
        for (int64_t y = b.lo[1]; y < b.hi[1]; y++)
            for (int64_t x = b.lo[0]; x < b.hi[0]; x++)
                if (implant->mask[v++]) {
                    sum[0] += (double)x * mm[0];
                    sum[1] += (double)y * mm[1];
                    sum[2] += (double)z * mm[2];
                    n++;
                }
    for (int k = 0; k < 3; k++)
        sum[k] /= (double)n;
    anatomy_angles(anatomy, sum, azimuth, elevation);
}

static int64_t pieces(const struct region *implant)
{
    struct error error = {0};
    const int64_t size[3] = {box_size(implant->box, 0), box_size(implant->box, 1), box_size(implant->box, 2)};
    int64_t *sizes = NULL, n = 0;
    int32_t *labels = memory_alloc((size_t)box_voxels(implant->box), sizeof *labels);
    CHECK_OK(mask_components(labels, &sizes, &n, implant->mask, size, 26, &error), &error);
    memory_free(labels);
    memory_free(sizes);
    return n;
}

static void test_classes(void)
{
    const struct {
        const char *yaml;
        double azimuth[2], elevation[2]; /* |azimuth| */
    } classes[] = {
        {"defects: [{type: region, class: bilateral}]\n", {0, 180}, {30, 90}},
        {"defects: [{type: region, class: frontoorbital, side: left}]\n", {10, 55}, {-25, 20}},
        {"defects: [{type: region, class: parietotemporal, side: right}]\n", {65, 130}, {0, 45}},
        {"defects: [{type: region, class: random_2, burr_holes: [3, 5]}]\n", {0, 180}, {-5, 90}},
        {"defects: [{type: blobs}]\n", {0, 180}, {-20, 90}},
    };
    struct volume skull;
    struct anatomy anatomy;
    struct error error = {0};
    double frame[3][3];

    head_frame(frame, 7, -9); /* askew */
    head_make(&skull, dim, mm, frame);
    const struct box box = box_of_mask(skull.data, dim);
    CHECK_OK(anatomy_find(&anatomy, &skull, box, &error), &error);

    for (size_t c = 0; c < sizeof classes / sizeof *classes; c++) {
        struct arena arena = {0};
        struct defects_config config;
        text_put(check_path("class.yaml"), classes[c].yaml);
        CHECK_OK(defects_read(&config, check_path("class.yaml"), &arena, &error), &error);
        for (uint64_t number = 0; number < 15; number++) {
            struct region implant;
            double azimuth, elevation;
            CHECK_OK(defect_draw(&implant, NULL, &skull, box, &config, rng_make(2, number), &error), &error);
            implant_angles(&implant, &anatomy, &azimuth, &elevation);
            CHECK(fabs(azimuth) >= classes[c].azimuth[0] && fabs(azimuth) <= classes[c].azimuth[1]);
            CHECK(elevation >= classes[c].elevation[0] && elevation <= classes[c].elevation[1]);
            CHECK(c == 1 ? azimuth > 0 : c == 2 ? azimuth < 0 : true);
            CHECK_INT(pieces(&implant), 1);
            region_done(&implant);
        }
        arena_done(&arena);
    }

    anatomy_done(&anatomy);
    volume_done(&skull);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"frame", test_frame}, {"patch", test_patch}, {"classes", test_classes}, {0}};
    return check_main(argc, argv, tests);
}
