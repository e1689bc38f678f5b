/* test_part.c - an implant's surface from a prediction on a coarser grid lies where the prediction crosses its
 * threshold, not on the voxels' steps. */
#include "infer/part.h"

#include <math.h>

#include "tests/check.h"
#include "tests/infer/fixture.h"

enum { SIDE = 60, COARSE = 32 };
static const double FINE_MM = 0.5, COARSE_MM = 1.25, RADIUS_MM = 10;

static double from_middle(const struct grid *grid, int64_t i)
{
    const double index[3] = {(double)(i % grid->dim[0]), (double)(i / grid->dim[0] % grid->dim[1]),
                             (double)(i / grid->dim[0] / grid->dim[1])};
    double world[3];
    grid_to_world(grid, index, world);
    return sqrt(world[0] * world[0] + world[1] * world[1] + world[2] * world[2]);
}

/* How far the points of a ball's surface are from it, at most. */
static double worst_radius(const struct mesh *mesh)
{
    double worst = 0;
    for (int64_t i = 0; i < mesh->n_points; i++) {
        const double *p = mesh->point[i];
        worst = fmax(worst, fabs(sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]) - RADIUS_MM));
    }
    return worst;
}

static void test_prediction(void)
{
    struct error error = {0};
    struct restoration restoration = {.threshold = 0.5};
    const int64_t fine_dim[3] = {SIDE, SIDE, SIDE}, coarse_dim[3] = {COARSE, COARSE, COARSE};
    const double fine_mm[3] = {FINE_MM, FINE_MM, FINE_MM}, coarse_mm[3] = {COARSE_MM, COARSE_MM, COARSE_MM};
    const struct grid fine = grid_make(fine_dim, fine_mm), coarse = grid_make(coarse_dim, coarse_mm);
    CHECK_OK(volume_new(&restoration.implant, &fine, VOXEL_U8, &error), &error);
    CHECK_OK(volume_new(&restoration.prediction, &coarse, VOXEL_F32, &error), &error);
    for (int64_t i = 0; i < grid_voxels(&coarse); i++) /* a soft ball, as networks predict */
        ((float *)restoration.prediction.data)[i] = (float)(1 / (1 + exp(1.5 * (from_middle(&coarse, i) - RADIUS_MM))));
    float *value = memory_alloc((size_t)grid_voxels(&fine), sizeof *value);
    CHECK_OK(prediction_values(value, &fine, box_of_grid(&fine), &restoration.prediction, &error), &error);
    for (int64_t i = 0; i < grid_voxels(&fine); i++)
        ((uint8_t *)restoration.implant.data)[i] = value[i] > 0.5f;
    memory_free(value);

    struct mesh stepped = {0}, smooth = {0};
    struct mesh_field field;
    part_begin(&field, &restoration.implant, &(struct clearance){0});
    CHECK_OK(part_surface(&field, &restoration, &error), &error);
    CHECK_OK(mesh_from_field(&smooth, &restoration.implant, &field, &error), &error);
    CHECK_OK(mesh_from_mask(&stepped, &restoration.implant, &error), &error);
    CHECK_INT(smooth.n_points, stepped.n_points);
    printf("farthest from the ball: %.3f mm on the steps, %.3f mm by the prediction\n", worst_radius(&stepped),
           worst_radius(&smooth));
    CHECK(worst_radius(&stepped) > 0.2);
    CHECK(worst_radius(&smooth) < 0.1);

    mesh_done(&stepped);
    mesh_done(&smooth);
    mesh_field_done(&field);
    volume_done(&restoration.implant);
    volume_done(&restoration.prediction);
}

/* Neither depth nor prediction, or no implant: no field, and no failure. */
static void test_nothing_known(void)
{
    struct error error = {0};
    struct restoration restoration = {.implant = fixture_volume(8, 8, 8, 1, 1, 1)};
    struct mesh_field field;
    part_begin(&field, &restoration.implant, &(struct clearance){.gap_mm = 1});
    CHECK(box_empty(field.box));
    CHECK_OK(part_surface(&field, &restoration, &error), &error);
    ((uint8_t *)restoration.implant.data)[100] = 1;
    part_begin(&field, &restoration.implant, &(struct clearance){.gap_mm = 1});
    CHECK_OK(part_surface(&field, &restoration, &error), &error);
    CHECK(!field.value && !field.cut);
    volume_done(&restoration.implant);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"prediction", test_prediction}, {"nothing_known", test_nothing_known}, {0}};
    return check_main(argc, argv, tests);
}
