/* test_depth.c - a shell of bone with holes, its surfaces known: the implant is what was cut out. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "shape/depth.h"
#include "tests/check.h"
#include "tests/shape/phantoms.h"

static struct disc disc;
static struct pose pose = {
    .rotation = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, .centre = {2, -3, -20}, .scale = {1.05, 0.9, 1}};

static const double cuts[2][3] = {{0, 0.8, 0.6}, {0.6, -0.48, 0.64}};
static const double widths_deg[2] = {20, 9};

static struct volume shell_make(void)
{
    struct volume volume;
    phantom_shell(&volume, (const int64_t[3]){160, 190, 120}, &pose);
    return volume;
}

/* Bone in every head changes no bit. Where the middle half of the shell is empty in most heads there is a gap. */
static void check_occupancy(const float *depth, const struct grid *grid, const struct box *box,
                            const struct shell *shell)
{
    struct error error = {0};
    const int64_t n = box_voxels(*box), rays = shell->disc->n_rays, width = box_size(*box, 0),
                  height = box_size(*box, 1);
    uint8_t *share = memory_alloc((size_t)rays, OCCUPANCY_STEPS);
    float *other = memory_alloc((size_t)n, sizeof *other);
    struct shell hollow = *shell;
    hollow.occupancy = share;
    memset(share, 255, (size_t)rays * OCCUPANCY_STEPS);
    CHECK_OK(depth_field(other, NULL, grid, box, &hollow, &error), &error);
    CHECK(memcmp(other, depth, (size_t)n * sizeof *depth) == 0);

    for (int64_t k = 0; k < rays; k++)
        if (shell->disc->ray[k][0] > 0)
            memset(share + k * OCCUPANCY_STEPS + 4, 60, 8); /* from 71.5 to 74.5 mm */
    CHECK_OK(depth_field(other, NULL, grid, box, &hollow, &error), &error);
    int64_t emptied = 0, wrong = 0;
    for (int64_t v = 0; v < n; v++) {
        const double index[3] = {(double)(box->lo[0] + v % width), (double)(box->lo[1] + v / width % height),
                                 (double)(box->lo[2] + v / (width * height))};
        double world[3], q[3];
        grid_to_world(grid, index, world);
        pose_canonical(shell->pose, world, q);
        const double r = sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]);
        emptied += depth[v] > 0 && other[v] <= 0;
        if (q[0] < -3 || depth[v] <= 0)
            wrong += other[v] != depth[v];
        else if (q[0] > 3 && r > 70 && r < 76)
            wrong += fabs(r - 73) < 1.2 ? other[v] > 0 : fabs(r - 73) > 1.8 && other[v] <= 0;
    }
    CHECK(emptied > 1000);
    CHECK_INT(wrong, 0);
    memory_free(other);
    memory_free(share);
}

static void test_implant(void)
{
    struct error error = {0};
    struct volume whole = shell_make(), skull = shell_make();
    struct radial_map map = {0}, filled = {0}, sd = {0};
    struct hole hole = {0};
    uint8_t *good = memory_alloc((size_t)disc.n_rays, 1);
    memset(good, 1, (size_t)disc.n_rays);
    for (int i = 0; i < 2; i++)
        phantom_cut(&skull, &pose, cuts[i], widths_deg[i]);
    CHECK_OK(radial_map_new(&map, disc.n_rays, &error), &error);
    CHECK_OK(radial_map_new(&filled, disc.n_rays, &error), &error);
    CHECK_OK(radial_map_new(&sd, disc.n_rays, &error), &error);
    radial_map_trace(&map, &skull, &pose, &disc, 0.4);
    for (int64_t k = 0; k < disc.n_rays; k++) {
        filled.inner[k] = 70;
        filled.outer[k] = 76;
        sd.inner[k] = sd.outer[k] = 1;
    }
    const struct hole_given given = {.disc = &disc, .map = &map, .mean = &filled, .sd = &sd, .good = good};
    CHECK_OK(hole_find(&hole, &given, &hole_default, &error), &error);
    CHECK_INT(hole.n_parts, 2);

    const struct shell shell = {.disc = &disc, .pose = &pose, .filled = &filled, .hole = &hole};
    const struct box box = depth_box(&skull.grid, &shell);
    const int64_t n = box_voxels(box), voxels = grid_voxels(&skull.grid);
    CHECK(n > 0 && n < voxels / 2);
    float *depth = memory_alloc((size_t)n, sizeof *depth), *again = memory_alloc((size_t)n, sizeof *again);
    uint8_t *in_hole = memory_alloc((size_t)n, 1), *implant = memory_alloc((size_t)voxels, 1);
    CHECK_OK(depth_field(depth, in_hole, &skull.grid, &box, &shell, &error), &error);
    const int threads = parallel_threads();
    parallel_set_threads(1);
    CHECK_OK(depth_field(again, NULL, &skull.grid, &box, &shell, &error), &error);
    parallel_set_threads(threads);
    CHECK(memcmp(again, depth, (size_t)n * sizeof *depth) == 0);
    CHECK_OK(depth_implant(implant, &skull, &box, depth, in_hole, &implant_default, &error), &error);
    check_occupancy(depth, &skull.grid, &box, &shell);

    int64_t both = 0, truth = 0, predicted = 0, overlap = 0, *sizes = NULL, pieces = 0;
    for (int64_t i = 0; i < voxels; i++) {
        const bool was = ((const uint8_t *)whole.data)[i], is = ((const uint8_t *)skull.data)[i];
        truth += was && !is;
        predicted += implant[i];
        both += was && !is && implant[i];
        overlap += is && implant[i];
    }
    CHECK(truth > 10000);
    CHECK_INT(overlap, 0);
    CHECK(2.0 * (double)both / (double)(truth + predicted) > 0.98);
    CHECK_OK(mask_components(NULL, &sizes, &pieces, implant, skull.grid.dim, 6, &error), &error);
    CHECK_INT(pieces, 2);

    const struct box none = {{0}, {0}};
    CHECK_OK(depth_implant(implant, &skull, &none, NULL, NULL, &implant_default, &error), &error);
    CHECK_INT(mask_count(implant, voxels), 0);
    memory_free(sizes);
    memory_free(implant);
    memory_free(in_hole);
    memory_free(again);
    memory_free(depth);
    memory_free(good);
    hole_done(&hole);
    radial_map_done(&sd);
    radial_map_done(&filled);
    radial_map_done(&map);
    volume_done(&skull);
    volume_done(&whole);
}

int main(int argc, char **argv)
{
    struct error error = {0};
    CHECK_OK(disc_init(&disc, DISC_MAP_N, DISC_MAP_REACH, &error), &error);
    const struct check_test tests[] = {{"implant", test_implant}, {0}};
    const int rc = check_main(argc, argv, tests);
    disc_done(&disc);
    return rc;
}
