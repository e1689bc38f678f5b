/* test_warp.c - a head given another's shape: the same bits when that is its own, surfaces where they are to be,
 * nothing beyond the rays that are good. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "shape/radial_map.h"
#include "shape/warp.h"
#include "tests/check.h"
#include "tests/shape/models.h"
#include "tests/shape/phantoms.h"

static struct disc disc;
static const struct pose pose = {
    .rotation = {{0.96, 0.28, 0}, {-0.28, 0.96, 0}, {0, 0, 1}}, .centre = {2, -3, -20}, .scale = {1.05, 0.9, 1}};

static struct volume shell_make(void)
{
    struct volume volume;
    phantom_shell(&volume, (const int64_t[3]){180, 200, 140}, &pose);
    return volume;
}

/* The whole volume through a warp. */
static struct volume warped(const struct volume *skull, struct augment_warp *warp)
{
    struct error error = {0};
    struct volume out = {0};
    const struct augment augment = {.moved = true,
                                    .grid = skull->grid,
                                    .to_skull = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
                                    .back = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
                                    .z_lo = -INFINITY,
                                    .z_hi = INFINITY,
                                    .warp = warp};
    struct augment_patch patch = {.step = {1, 1, 1}, .samples = 1};
    memcpy(patch.size, skull->grid.dim, sizeof patch.size);
    CHECK_OK(volume_new(&out, &skull->grid, VOXEL_U8, &error), &error);
    CHECK_OK(augment_cut(out.data, &augment, skull->data, &patch, &error), &error);
    return out;
}

/* Maps of constant radii, 70 and 76 here, and rays good down to a height. */
static struct augment_warp *warp_make(const struct volume *skull, double inner, double outer, double share)
{
    struct error error = {0};
    struct augment_warp *warp = NULL;
    const size_t n = (size_t)disc.n_rays;
    float *maps = memory_alloc(n, 4 * sizeof *maps);
    uint8_t *good = memory_alloc(n, 1);
    for (size_t k = 0; k < n; k++) {
        const float from[2] = {70, 76}, to[2] = {(float)inner, (float)outer};
        memcpy(maps + 2 * k, from, sizeof from);
        memcpy(maps + 2 * (n + k), to, sizeof to);
        good[k] = disc.ray[k][2] > -0.1;
        if (!good[k])
            maps[2 * k] = maps[2 * (n + k)] = NAN;
    }
    const struct shape_warp_request request = {.disc = &disc,
                                               .grid = &skull->grid,
                                               .pose = &pose,
                                               .good = good,
                                               .from = maps,
                                               .to = maps + 2 * n,
                                               .share = share};
    CHECK_OK(shape_warp_new(&warp, &request, &error), &error);
    memory_free(maps);
    memory_free(good);
    return warp;
}

static void test_identity(void)
{
    struct volume skull = shell_make();
    struct augment_warp *warp = warp_make(&skull, 70, 76, 1);
    struct volume same = warped(&skull, warp);
    CHECK(mask_count(skull.data, grid_voxels(&skull.grid)) > 10000);
    CHECK(memcmp(same.data, skull.data, (size_t)grid_voxels(&skull.grid)) == 0);
    warp->free(warp);
    volume_done(&same);
    volume_done(&skull);
}

/* Half way to 78 and 88: both radii stand at 74 and 82 where shifts are whole, and at 70 and 76 where nothing is good.
 */
static void test_known(void)
{
    struct error error = {0};
    struct volume skull = shell_make();
    struct augment_warp *warp = warp_make(&skull, 78, 88, 0.5);
    struct volume moved = warped(&skull, warp);
    struct radial_map map;
    double worst[2] = {0}, off[2] = {0}, base[2] = {0};
    int64_t whole = 0, still = 0;
    CHECK_OK(radial_map_new(&map, disc.n_rays, &error), &error);
    radial_map_trace(&map, &moved, &pose, &disc, 0.4);
    for (int64_t k = 0; k < disc.n_rays; k++) {
        const double radii[2] = {(double)map.inner[k], (double)map.outer[k]};
        for (int s = 0; s < 2; s++) {
            if (disc.ray[k][2] > 0.4) {
                worst[s] = fmax(worst[s], fabs(radii[s] - (s ? 82 : 74)));
                off[s] += radii[s] - (s ? 82 : 74);
            }
            if (disc.ray[k][2] < -0.4 && isfinite(map.leave[k]) && map.leave[k] > 80)
                base[s] = fmax(base[s], fabs(radii[s] - (s ? 76 : 70)));
        }
        whole += disc.ray[k][2] > 0.4;
        still += disc.ray[k][2] < -0.4 && map.leave[k] > 80;
    }
    CHECK(whole > 3000 && still > 300);
    for (int s = 0; s < 2; s++) {
        CHECK_NEAR(off[s] / (double)whole, 0, 0.25);
        CHECK(worst[s] < 1.4); /* voxels of 1.3 mm, twice, and nodes of 2.6 */
        CHECK(base[s] < 1);
    }

    /* thinner than bone may become: it keeps two fifths */
    struct augment_warp *thin = warp_make(&skull, 76, 70, 1);
    struct volume thinned = warped(&skull, thin);
    radial_map_trace(&map, &thinned, &pose, &disc, 0.4);
    double mean = 0;
    for (int64_t k = 0; k < disc.n_rays; k++)
        mean += disc.ray[k][2] > 0.4 ? (double)(map.outer[k] - map.inner[k]) / (double)whole : 0;
    CHECK(mean > 2 && mean < 3.3);
    warp->free(warp);
    thin->free(thin);
    radial_map_done(&map);
    volume_done(&thinned);
    volume_done(&moved);
    volume_done(&skull);
}

/* The same stream draws the same head; another one another; a stranger keeps its shape. */
static void test_draw(void)
{
    struct error error = {0};
    struct shape_model model;
    struct volume skull = {0};
    struct augment_warp *warp = NULL;
    model_make(&model, 4);
    phantom_make(&skull, 0, 2);
    model.heads.group[3] = model.heads.group[0]; /* never drawn for head 0 */
    memcpy(model.heads.map + 3 * model.disc.n_rays * 2, model.heads.map, (size_t)model.disc.n_rays * 2 * sizeof(float));

    CHECK_OK(shape_warp_draw(&warp, &model, &skull.grid, "nobody", 77, 1, rng_make(1, 1), &error), &error);
    CHECK(warp == NULL);
    double seen[8][3];
    int64_t different = 0;
    for (int i = 0; i < 8; i++) {
        double again[3] = {60, 60, 80};
        memcpy(seen[i], again, sizeof again);
        for (int twice = 0; twice < 2; twice++) {
            CHECK_OK(shape_warp_draw(&warp, &model, &skull.grid, "phantom_00", 77, 1, rng_make((uint64_t)i, 1), &error),
                     &error);
            CHECK(warp != NULL);
            warp->place(warp, twice ? again : seen[i]);
            warp->free(warp);
        }
        CHECK(memcmp(again, seen[i], sizeof again) == 0);
        CHECK(seen[i][2] != 80); /* another shape */
        different += i > 0 && memcmp(seen[i], seen[0], sizeof again) != 0;
    }
    CHECK(different >= 3);

    for (int h = 0; h < 4; h++) /* one group: there is no other head */
        model.heads.group[h] = 0;
    CHECK_OK(shape_warp_draw(&warp, &model, &skull.grid, "phantom_00", 77, 1, rng_make(1, 1), &error), &error);
    CHECK(warp == NULL);
    volume_done(&skull);
    shape_model_done(&model);
}

int main(int argc, char **argv)
{
    struct error error = {0};
    CHECK_OK(disc_init(&disc, DISC_MAP_N, DISC_MAP_REACH, &error), &error);
    const struct check_test tests[] = {{"identity", test_identity}, {"known", test_known}, {"draw", test_draw}, {0}};
    const int rc = check_main(argc, argv, tests);
    disc_done(&disc);
    return rc;
}
