/* shape_pose.c - how far the pose found on a damaged, turned or cropped skull is from that of the complete one.
 *
 *     bench_shape_pose MODEL.h5 COMPLETE.nrrd IMPLANT.nrrd [COMPLETE IMPLANT ...]
 *
 * A table for experiments/shape/README.md: mean and largest of the rotation, the shift of the centre, and the mean
 * distance between where the two poses take the upper half of a sphere of 85 mm. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "data/volume/formats.h"
#include "shape/model.h"
#include "shape/pose_search.h"

struct condition {
    const char *name;
    double turn_deg[3];
    double cut_top_mm, cut_bottom_frac; /* slices emptied: of the vertex; the lower part of the bone's height */
    bool strap, table, tube;
};

static const struct condition conditions[] = {
    {.name = "hole"},
    {.name = "nodding +40", .turn_deg = {40, 0, 0}},
    {.name = "nodding -40", .turn_deg = {-40, 0, 0}},
    {.name = "rolled +30", .turn_deg = {0, 30, 0}},
    {.name = "rolled -30", .turn_deg = {0, -30, 0}},
    {.name = "turned 90", .turn_deg = {0, 0, 90}},
    {.name = "turned 180", .turn_deg = {0, 0, 180}},
    {.name = "upside down", .turn_deg = {180, 0, 0}},
    {.name = "upside down, 30 30 150", .turn_deg = {210, 30, 150}},
    {.name = "vertex cut by 20 mm", .cut_top_mm = 20},
    {.name = "lower half not scanned", .cut_bottom_frac = 0.5},
    {.name = "strap", .strap = true},
    {.name = "table", .table = true},
    {.name = "tube", .tube = true},
};
enum { CONDITIONS = sizeof conditions / sizeof *conditions };

struct sums {
    double rotation, centre, surface, loss, worst_rotation, worst_surface;
    int n, failed;
};

static void turn_vector(double v[3], const double r[3][3])
{
    const double old[3] = {v[0], v[1], v[2]};
    for (int i = 0; i < 3; i++)
        v[i] = r[i][0] * old[0] + r[i][1] * old[1] + r[i][2] * old[2];
}

/* The volume and the right pose, turned about the world's x, then y, then z. */
static void turn(struct grid *grid, struct pose *pose, const double deg[3])
{
    for (int t = 0; t < 3; t++) {
        double vector[3] = {0}, r[3][3];
        vector[t] = deg[t] * acos(-1) / 180;
        pose_rotation(r, vector);
        for (int a = 0; a < 3; a++) {
            turn_vector(grid->axis[a], (const double(*)[3])r);
            turn_vector(pose->rotation[a], (const double(*)[3])r); /* rows of R are turned as the head's axes are */
        }
        turn_vector(grid->origin, (const double(*)[3])r);
        turn_vector(pose->centre, (const double(*)[3])r);
    }
}

/* Adds and removes what a condition says, in the right pose's frame (canonical mm). */
static void change(struct volume *skull, const struct pose *pose, const struct condition *condition)
{
    uint8_t *mask = skull->data;
    const int64_t *dim = skull->grid.dim;
    const struct box bone = box_of_mask(mask, dim);
    const int64_t top = bone.hi[2] - (int64_t)(condition->cut_top_mm / grid_spacing_mm(&skull->grid, 2));
    const int64_t bottom = bone.lo[2] + (int64_t)(condition->cut_bottom_frac * (double)(bone.hi[2] - bone.lo[2]));
    const bool adds = condition->strap || condition->table || condition->tube;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < grid_voxels(&skull->grid); i++) {
        const int64_t z = i / dim[0] / dim[1];
        if (z >= top || z < bottom)
            mask[i] = 0;
        if (!adds)
            continue;
        const double index[3] = {(double)(i % dim[0]), (double)(i / dim[0] % dim[1]), (double)z};
        double world[3], q[3];
        grid_to_world(&skull->grid, index, world);
        pose_canonical(pose, world, q);
        const double r = sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]);
        const bool strap = condition->strap && r > 97 && r < 99 && q[1] < 0 && fabs(q[2] - 20) < 20;
        const bool table = condition->table && q[1] > 112 && q[1] < 117;
        const bool tube = condition->tube && hypot(q[0] - 95, q[1]) < 5;
        mask[i] |= strap || table || tube;
    }
}

static enum status measure(struct sums *sums, const struct shape_model *model, const char *complete,
                           const char *implant, struct error *error)
{
    struct volume whole = {0}, truth = {0}, skull = {0};
    struct pose_found right, found;
    enum status status = volume_read_mask(&whole, complete, error);
    if (!status)
        status = volume_read_mask(&truth, implant, error);
    if (!status)
        status = pose_search(&right, &whole, &model->template_disc, model->template, complete, error);
    for (int c = 0; c < CONDITIONS && !status; c++) {
        status = volume_new(&skull, &whole.grid, VOXEL_U8, error);
        if (status)
            break;
        for (int64_t i = 0; i < grid_voxels(&whole.grid); i++)
            ((uint8_t *)skull.data)[i] = ((uint8_t *)whole.data)[i] && !((uint8_t *)truth.data)[i];
        struct pose pose = right.pose;
        struct error none = {0};
        change(&skull, &pose, &conditions[c]);
        turn(&skull.grid, &pose, conditions[c].turn_deg);
        if (pose_search(&found, &skull, &model->template_disc, model->template, conditions[c].name, &none)) {
            log_warn("%s: %s: %s", complete, conditions[c].name, none.text);
            sums[c].failed++;
        } else {
            const struct pose_difference away = pose_compare(&found.pose, &pose);
            sums[c].rotation += away.rotation_deg;
            sums[c].centre += away.centre_mm;
            sums[c].surface += away.surface_mm;
            sums[c].loss += found.loss;
            sums[c].worst_rotation = fmax(sums[c].worst_rotation, away.rotation_deg);
            sums[c].worst_surface = fmax(sums[c].worst_surface, away.surface_mm);
            sums[c].n++;
        }
        volume_done(&skull);
    }
    volume_done(&whole);
    volume_done(&truth);
    return status;
}

int main(int argc, char **argv)
{
    struct error error = {0};
    struct shape_model model = {0};
    struct sums sums[CONDITIONS] = {{0}};
    if (argc < 4 || argc % 2) {
        fputs("usage: bench_shape_pose MODEL.h5 COMPLETE.nrrd IMPLANT.nrrd ...\n", stderr);
        return STATUS_USAGE;
    }
    enum status status = shape_model_read(&model, argv[1], &error);
    for (int i = 2; i + 1 < argc && !status; i += 2)
        status = measure(sums, &model, argv[i], argv[i + 1], &error);
    if (!status)
        shape_model_done(&model);
    if (status) {
        error_print(stderr, &error);
        return (int)status;
    }

    puts("| skull | n | rotation, deg | largest | centre, mm | surface, mm | largest | loss | refused |");
    puts("|---|---|---|---|---|---|---|---|---|");
    for (int c = 0; c < CONDITIONS; c++) {
        const double n = sums[c].n ? sums[c].n : 1;
        printf("| %s | %d | %.2f | %.2f | %.2f | %.2f | %.2f | %.3f | %d |\n", conditions[c].name, sums[c].n,
               sums[c].rotation / n, sums[c].worst_rotation, sums[c].centre / n, sums[c].surface / n,
               sums[c].worst_surface, sums[c].loss / n, sums[c].failed);
    }
    return 0;
}
