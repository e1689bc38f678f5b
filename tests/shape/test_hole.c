/* test_hole.c - what rays are: observed, doubtful, a hole's, beyond the field of view. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "shape/hole.h"
#include "tests/check.h"

static struct disc disc;
static struct radial_map mean, sd, map;
static uint8_t *good;

/* A head as the mean is, seen whole. */
static void make_head(void)
{
    for (int64_t k = 0; k < disc.n_rays; k++) {
        mean.inner[k] = map.inner[k] = 70;
        mean.outer[k] = map.outer[k] = 77;
        sd.inner[k] = sd.outer[k] = 1;
        map.enter[k] = 0;
        map.leave[k] = 120;
        good[k] = 1;
    }
}

/* Rays within mm of a pixel lose their bone. */
static int64_t cut(int64_t i, int64_t j, double mm)
{
    int64_t n = 0;
    const double pixel = DISC_HEAD_RADIUS_MM * disc.step;
    for (int64_t k = 0; k < disc.n_rays; k++) {
        const double u = (double)(disc.pixel[k] / disc.n - i), v = (double)(disc.pixel[k] % disc.n - j);
        if (hypot(u, v) * pixel > mm)
            continue;
        map.inner[k] = map.outer[k] = NAN;
        n++;
    }
    return n;
}

static struct hole find_with(const uint8_t *sure, const uint8_t *met)
{
    struct error error = {0};
    struct hole hole = {0};
    const struct hole_given given = {
        .disc = &disc, .map = &map, .mean = &mean, .sd = &sd, .good = good, .sure = sure, .met = met};
    CHECK_OK(hole_find(&hole, &given, &hole_default, &error), &error);
    return hole;
}

static struct hole find(void)
{
    return find_with(NULL, NULL);
}

static int64_t count(const struct hole *hole, enum ray_class class)
{
    int64_t n = 0;
    for (int64_t k = 0; k < hole->n_rays; k++)
        n += hole->class[k] == class;
    return n;
}

static int32_t ray_at(int64_t i, int64_t j)
{
    return disc.ray_at[i * disc.n + j];
}

static void test_none(void)
{
    make_head();
    struct hole hole = find();
    CHECK_INT(hole.n_parts, 0);
    CHECK_INT(hole.n_unseen, 0);
    CHECK_INT(count(&hole, RAY_OBSERVED), disc.n_rays);
    CHECK(hole.n_seen > disc.n_rays / 18 && hole.n_seen < disc.n_rays / 14); /* one in sixteen */
    hole_done(&hole);
}

static void test_several(void)
{
    make_head();
    const int64_t small = cut(40, 70, 12), large = cut(100, 70, 25), speck = cut(70, 40, 3);
    struct hole hole = find();
    CHECK(speck > 0 && small > speck);
    CHECK_INT(hole.n_parts, 2); /* the speck is a suture or noise */
    CHECK_INT(hole.part[ray_at(100, 70)], 1);
    CHECK_INT(hole.part[ray_at(40, 70)], 2);
    CHECK_INT(hole.class[ray_at(70, 40)], RAY_DOUBTFUL);
    CHECK_INT(hole.class[ray_at(100, 70)], RAY_HOLE);
    /* grown by 6 mm, that is 2.8 pixels, in whole ones: 25 and 12 mm become about 29.5 and 16.5 */
    const double ratio = (double)(hole.n_unseen) / (double)(small + large);
    CHECK_NEAR(ratio, 1.5, 0.1);
    int64_t wrong = 0;
    for (int64_t i = 0; i < hole.n_seen; i++)
        wrong += hole.class[hole.seen[i]] != RAY_OBSERVED || (i > 0 && hole.seen[i] <= hole.seen[i - 1]);
    for (int64_t i = 0; i < hole.n_unseen; i++)
        wrong += hole.class[hole.unseen[i]] != RAY_HOLE || hole.part[hole.unseen[i]] == 0;
    CHECK_INT(wrong, 0);
    hole_done(&hole);
}

/* A cut vertex is no hole; metal is not believed; rays without a say stay unknown. */
static void test_classes(void)
{
    make_head();
    cut(70, 70, 20);
    for (int64_t k = 0; k < disc.n_rays; k++)
        if (isnan(map.outer[k]))
            map.leave[k] = 60;
    map.outer[ray_at(100, 40)] = 95;
    good[ray_at(20, 70)] = 0;
    struct hole hole = find();
    CHECK_INT(hole.n_parts, 0);
    CHECK_INT(hole.class[ray_at(70, 70)], RAY_OUTSIDE);
    CHECK_INT(hole.class[ray_at(100, 40)], RAY_DOUBTFUL);
    CHECK_INT(hole.class[ray_at(20, 70)], RAY_UNKNOWN);
    hole_done(&hole);
}

/* Rays that meet bone elsewhere make no hole; they belong to one where enough others meet none. The same for rays on
 * which heads may lack bone. */
static void test_met(void)
{
    make_head();
    cut(100, 70, 25);
    uint8_t *met = memory_zalloc((size_t)disc.n_rays, 1), *sure = memory_alloc((size_t)disc.n_rays, 1);
    memset(sure, 1, (size_t)disc.n_rays);
    for (int64_t k = 0; k < disc.n_rays; k++)
        met[k] = (uint8_t)(isnan(map.outer[k]) != 0);
    struct hole hole = find_with(sure, met);
    CHECK_INT(hole.n_parts, 0);
    CHECK_INT(hole.class[ray_at(100, 70)], RAY_DOUBTFUL);
    hole_done(&hole);

    for (int64_t k = 0; k < disc.n_rays; k++)
        met[k] = (uint8_t)(met[k] && disc.pixel[k] / disc.n < 100); /* a strap over one half */
    hole = find_with(sure, met);
    CHECK_INT(hole.n_parts, 1);
    CHECK_INT(hole.class[ray_at(95, 70)], RAY_HOLE);
    hole_done(&hole);

    memset(sure, 0, (size_t)disc.n_rays);
    hole = find_with(sure, NULL);
    CHECK_INT(hole.n_parts, 0);
    hole_done(&hole);
    memory_free(met);
    memory_free(sure);
}

int main(int argc, char **argv)
{
    struct error error = {0};
    CHECK_OK(disc_init(&disc, DISC_MAP_N, DISC_MAP_REACH, &error), &error);
    CHECK_OK(radial_map_new(&mean, disc.n_rays, &error), &error);
    CHECK_OK(radial_map_new(&sd, disc.n_rays, &error), &error);
    CHECK_OK(radial_map_new(&map, disc.n_rays, &error), &error);
    good = memory_alloc((size_t)disc.n_rays, 1);
    const struct check_test tests[] = {
        {"none", test_none}, {"several", test_several}, {"classes", test_classes}, {"met", test_met}, {0}};
    const int rc = check_main(argc, argv, tests);
    memory_free(good);
    radial_map_done(&map);
    radial_map_done(&sd);
    radial_map_done(&mean);
    disc_done(&disc);
    return rc;
}
