/* test_shape_restore.c - a head that the model has not seen, with holes, turned, cropped, with a strap. */
#include <math.h>
#include <string.h>

#include "base/parallel.h"
#include "shape/restore.h"
#include "tests/check.h"
#include "tests/shape/models.h"
#include "tests/shape/phantoms.h"

static struct shape_model model;
static struct volume head;
static struct pose head_pose;

static void make_all(void)
{
    struct error error = {0};
    struct pose_found found;
    if (head.data)
        return;
    model_make(&model, 10);
    phantom_make(&head, 12, 1.5);
    CHECK_OK(pose_search(&found, &head, &model.template_disc, model.template, "head", &error), &error);
    head_pose = found.pose;
}

static struct volume head_copy(void)
{
    struct error error = {0};
    struct volume copy = {0};
    CHECK_OK(volume_new(&copy, &head.grid, VOXEL_U8, &error), &error);
    memcpy(copy.data, head.data, (size_t)grid_voxels(&head.grid));
    return copy;
}

/* Dice of the implant and what was cut from the head; the overlap with bone has to be none. */
static double overlap_with_cut(const struct volume *skull, const uint8_t *implant)
{
    int64_t both = 0, sum = 0, on_bone = 0;
    for (int64_t i = 0; i < grid_voxels(&skull->grid); i++) {
        const bool cut = ((const uint8_t *)head.data)[i] && !((const uint8_t *)skull->data)[i];
        both += cut && implant[i];
        sum += cut + implant[i];
        on_bone += implant[i] && ((const uint8_t *)skull->data)[i];
    }
    CHECK_INT(on_bone, 0);
    return sum ? 2.0 * (double)both / (double)sum : 1;
}

static uint8_t *restore(struct shape_restoration *ret, const struct volume *skull)
{
    struct error error = {0};
    uint8_t *implant = memory_alloc((size_t)grid_voxels(&skull->grid), 1);
    CHECK_OK(shape_restore(implant, ret, &model, skull, &(struct shape_options){true, true}, "head.nrrd", &error),
             &error);
    return implant;
}

static const double back[3] = {0.1, 0.75, 0.654}, left[3] = {0.8, 0, 0.6};

static void test_holes(void)
{
    make_all();
    struct volume skull = head_copy();
    struct shape_restoration result, again;
    uint8_t *implant = restore(&result, &skull);
    CHECK_INT(mask_count(implant, grid_voxels(&skull.grid)), 0); /* a healthy head */
    CHECK_INT(result.surfaces.hole.n_parts, 0);
    memory_free(implant);
    shape_restoration_done(&result);

    phantom_cut(&skull, &head_pose, back, 22);
    implant = restore(&result, &skull);
    CHECK_INT(result.surfaces.hole.n_parts, 1);
    CHECK(overlap_with_cut(&skull, implant) > 0.85);
    CHECK(result.hole_cm2 > 30 && result.hole_cm2 < 60);

    /* how sure, where: in the middle of the hole, not elsewhere */
    double world[3];
    const double r = 85, middle[3] = {r * back[0], r * back[1], r * back[2]}, off[3] = {0, -r, 0};
    pose_world(&result.pose.pose, middle, world);
    const double interval = shape_restoration_interval_mm(&result, &model, world);
    CHECK(interval > 0.2 && interval < 10);
    pose_world(&result.pose.pose, off, world);
    CHECK(isnan(shape_restoration_interval_mm(&result, &model, world)));

    const int threads = parallel_threads();
    parallel_set_threads(1);
    uint8_t *alone = restore(&again, &skull);
    parallel_set_threads(threads);
    CHECK(memcmp(alone, implant, (size_t)grid_voxels(&skull.grid)) == 0);
    memory_free(alone);
    memory_free(implant);
    shape_restoration_done(&again);
    shape_restoration_done(&result);

    phantom_cut(&skull, &head_pose, left, 10);
    implant = restore(&result, &skull);
    CHECK_INT(result.surfaces.hole.n_parts, 2);
    CHECK(overlap_with_cut(&skull, implant) > 0.8);
    memory_free(implant);
    shape_restoration_done(&result);
    volume_done(&skull);
}

/* Upside down and turned: the same implant. */
static void test_turned(void)
{
    make_all();
    struct volume skull = head_copy();
    struct shape_restoration result;
    phantom_cut(&skull, &head_pose, back, 22);
    phantom_turn(&skull, 170, 10, 60);
    uint8_t *implant = restore(&result, &skull);
    CHECK(result.pose.upside_down);
    CHECK_INT(result.surfaces.hole.n_parts, 1);
    CHECK(overlap_with_cut(&skull, implant) > 0.83);
    memory_free(implant);
    shape_restoration_done(&result);
    volume_done(&skull);
}

/* A vertex that was not scanned, its slices padded with zeros, is no hole; a real hole beside it is. */
static void test_cropped(void)
{
    make_all();
    struct volume skull = head_copy();
    struct shape_restoration result;
    phantom_cut(&skull, &head_pose, left, 14);
    const int64_t *dim = head.grid.dim, top = box_of_mask(head.data, dim).hi[2] - 14;
    memset((uint8_t *)skull.data + top * dim[0] * dim[1], 0, (size_t)((dim[2] - top) * dim[0] * dim[1]));
    uint8_t *implant = restore(&result, &skull);
    CHECK(result.surfaces.field.end_high[2]);
    CHECK_INT(result.surfaces.hole.n_parts, 1);
    const int64_t above = mask_count(implant + (top + 1) * dim[0] * dim[1], (dim[2] - top - 1) * dim[0] * dim[1]);
    CHECK_INT(above, 0);
    CHECK(mask_count(implant, grid_voxels(&skull.grid)) > 500);
    memory_free(implant);
    shape_restoration_done(&result);
    volume_done(&skull);
}

/* One head of few was not scanned to its vertex: a hole there is a hole. */
static void test_unscanned_head(void)
{
    make_all();
    struct volume skull = head_copy();
    struct shape_restoration result;
    static const double vertex[3] = {0, 0, 1};
    phantom_cut(&skull, &head_pose, vertex, 18);
    uint8_t *kept = memory_alloc((size_t)model.disc.n_rays, 1);
    memcpy(kept, model.missing, (size_t)model.disc.n_rays);
    const double middle = (double)(model.disc.n - 1) / 2;
    int64_t n_near = 0;
    for (int64_t k = 0; k < model.disc.n_rays; k++) {
        const int64_t p = model.disc.pixel[k];
        const double u = (double)(p / model.disc.n) - middle, v = (double)(p % model.disc.n) - middle;
        const bool near = u * u + v * v < 20 * 20; /* 43 mm */
        model.missing[k] |= near;                  /* of the first head */
        n_near += near && model.good[k];
    }
    CHECK(n_near > 1000);
    uint8_t *implant = restore(&result, &skull);
    CHECK_INT(result.surfaces.hole.n_parts, 1);
    CHECK(overlap_with_cut(&skull, implant) > 0.85);
    memcpy(model.missing, kept, (size_t)model.disc.n_rays);
    memory_free(kept);
    memory_free(implant);
    shape_restoration_done(&result);
    volume_done(&skull);
}

/* A plate 14 mm off the forehead, over a part of it, is not the head's. */
static void test_strap(void)
{
    make_all();
    struct volume skull = head_copy();
    struct shape_restoration result;
    phantom_cut(&skull, &head_pose, back, 18);
    const struct volume before = skull;
    struct volume strapped = {0};
    struct error error = {0};
    CHECK_OK(volume_new(&strapped, &head.grid, VOXEL_U8, &error), &error);
    for (int64_t i = 0; i < grid_voxels(&head.grid); i++) {
        double q[3];
        const double r = phantom_canonical(q, &head.grid, &head_pose, i);
        const bool strap = r > 112 && r < 116 && q[1] < -0.5 * r && fabs(q[2]) < 0.3 * r;
        ((uint8_t *)strapped.data)[i] = ((const uint8_t *)before.data)[i] || strap;
    }
    uint8_t *implant = restore(&result, &strapped);
    CHECK(result.surfaces.n_retraced > 50);
    CHECK_INT(result.surfaces.hole.n_parts, 1);
    CHECK(overlap_with_cut(&skull, implant) > 0.8);
    memory_free(implant);
    shape_restoration_done(&result);
    volume_done(&strapped);
    volume_done(&skull);
}

/* A wide plate 10 mm off the forehead pulls the pose, which then fits badly: it is fitted again, to the filled head. */
static void test_again(void)
{
    make_all();
    struct volume skull = head_copy();
    struct shape_restoration result;
    phantom_cut(&skull, &head_pose, back, 25);
    for (int64_t i = 0; i < grid_voxels(&head.grid); i++) {
        double q[3];
        const double r = phantom_canonical(q, &head.grid, &head_pose, i);
        if (r > 100 && r < 105 && q[1] < -0.1 * r && fabs(q[2]) < 0.6 * r && q[0] > -0.3 * r)
            ((uint8_t *)skull.data)[i] = 1;
    }
    uint8_t *implant = restore(&result, &skull);
    CHECK(result.pose.loss > 0.2);
    CHECK(pose_compare(&result.pose.pose, &head_pose).surface_mm < 3.5); /* 4.4 where it is fitted once */
    CHECK_INT(result.surfaces.hole.n_parts, 1);
    CHECK(overlap_with_cut(&skull, implant) > 0.9);
    memory_free(implant);
    shape_restoration_done(&result);
    volume_done(&skull);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"holes", test_holes},
                                       {"turned", test_turned},
                                       {"cropped", test_cropped},
                                       {"unscanned_head", test_unscanned_head},
                                       {"strap", test_strap},
                                       {"again", test_again},
                                       {0}};
    const int rc = check_main(argc, argv, tests);
    if (head.data)
        shape_model_done(&model);
    volume_done(&head);
    return rc;
}
