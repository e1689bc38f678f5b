/* Synthetic defects: valid, reproducible, with the published proportions. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "data/defects/defect.h"
#include "skulls.h"
#include "tests/check.h"

static const int64_t skull_dim[3] = {96, 112, 84};
static const double skull_mm[3] = {1.8, 1.8, 2.0};

/* Binds a mixture written as YAML. */
static void defects_bind(struct defects_config *ret, struct arena *arena, const char *yaml)
{
    struct error error = {0};
    const char *path = check_path("defects.yaml");
    text_put(path, yaml);
    CHECK_OK(defects_read(ret, path, arena, &error), &error);
}

/* A volume that is bone everywhere: the implant is the region itself. */
static void block_make(struct volume *ret, const int64_t dim[3], const double mm[3])
{
    struct error error = {0};
    const struct grid grid = grid_make(dim, mm);
    CHECK_OK(volume_new(ret, &grid, VOXEL_U8, &error), &error);
    memset(ret->data, 1, (size_t)grid_voxels(&grid));
}

static struct region draw(const struct volume *skull, const struct defects_config *config, int64_t number)
{
    struct error error = {0};
    struct region region = {0};
    CHECK_OK(defect_draw(&region, NULL, skull, box_of_mask(skull->data, skull->grid.dim), config,
                         rng_make(7, (uint64_t)number), &error),
             &error);
    return region;
}

static int64_t size_of(const struct region *region, int a)
{
    return region->box.hi[a] - region->box.lo[a];
}

static const struct {
    const char *file, *type; /* NULL: several */
} shipped[] = {{"cube", "cube"},      {"sphere", "sphere"}, {"craniotomy", "craniotomy"}, {"blobs", "blobs"},
               {"regions", "region"}, {"mixed", NULL},      {"realistic", NULL}};

static void test_valid(void)
{
    struct volume skull;
    struct error error = {0};

    skull_make(&skull, skull_dim, skull_mm, 0);
    const int64_t n = grid_voxels(&skull.grid);
    uint8_t *implant = memory_alloc((size_t)n, 1);

    for (size_t s = 0; s < sizeof shipped / sizeof *shipped; s++) {
        struct arena arena = {0};
        struct defects_config config;
        char path[64];
        snprintf(path, sizeof path, "configs/defects/%s.yaml", shipped[s].file);
        CHECK_OK(defects_read(&config, path, &arena, &error), &error);
        for (uint64_t number = 0; number < 12; number++) {
            struct box box, tight;
            const char *type = NULL;
            int64_t outside = 0, removed = 0;
            memset(implant, 9, (size_t)n);
            CHECK_OK(defect_inject(implant, &box, &type, &skull, &config, rng_make(1, number), &error), &error);
            for (int64_t v = 0; v < n; v++) {
                outside += implant[v] > 1 || (implant[v] && !((uint8_t *)skull.data)[v]);
                removed += implant[v];
            }
            tight = box_of_mask(implant, skull.grid.dim);
            CHECK_INT(outside, 0);
            CHECK((double)removed * grid_voxel_ml(&skull.grid) >= 2);
            CHECK(removed < mask_count(skull.data, n));
            CHECK(memcmp(&box, &tight, sizeof box) == 0);
            CHECK(type && (!shipped[s].type || strcmp(type, shipped[s].type) == 0));
        }
        arena_done(&arena);
    }

    memory_free(implant);
    volume_done(&skull);
}

/* The same bytes for the same number, on any thread count; others for another number. */
static void test_reproducible(void)
{
    struct volume skull;
    struct arena arena = {0};
    struct defects_config config;
    struct error error = {0};
    int different = 0;

    skull_make(&skull, skull_dim, skull_mm, 1);
    CHECK_OK(defects_read(&config, "configs/defects/realistic.yaml", &arena, &error), &error);

    for (int64_t number = 0; number < 10; number++) {
        parallel_set_threads(1);
        struct region one = draw(&skull, &config, number);
        parallel_set_threads(2);
        struct region two = draw(&skull, &config, number), next = draw(&skull, &config, number + 1);
        const size_t bytes = (size_t)(size_of(&one, 0) * size_of(&one, 1) * size_of(&one, 2));
        CHECK(memcmp(&one.box, &two.box, sizeof one.box) == 0 && memcmp(one.mask, two.mask, bytes) == 0);
        different += memcmp(&one.box, &next.box, sizeof one.box) != 0;
        region_done(&one);
        region_done(&two);
        region_done(&next);
    }

    CHECK(different >= 9);
    arena_done(&arena);
    volume_done(&skull);
}

static void test_cube_proportions(void)
{
    const int64_t dim[3] = {200, 150, 81};
    const double mm[3] = {0.5, 1, 2};
    struct volume block;
    struct arena arena = {0};
    struct defects_config vox, millimetres;

    block_make(&block, dim, mm);
    defects_bind(&vox, &arena, "defects: [{type: cube, edge_vox: 64}]\n");
    defects_bind(&millimetres, &arena, "defects: [{type: cube, edge_mm: 40}]\n");
    int64_t lowest = dim[0], highest = 0;

    for (int64_t number = 0; number < 60; number++) {
        struct region a = draw(&block, &vox, number), b = draw(&block, &millimetres, number);
        CHECK_INT(size_of(&a, 0), 64);
        CHECK_INT(size_of(&a, 1), 64);
        CHECK_INT(a.box.lo[2], 60); /* int(81 * 3 / 4) */
        CHECK_INT(a.box.hi[2], 81);
        CHECK_INT(mask_count(a.mask, 64 * 64 * 21), 64 * 64 * 21);
        CHECK_INT(size_of(&b, 0), 80);
        CHECK_INT(size_of(&b, 1), 40);
        lowest = a.box.lo[0] < lowest ? a.box.lo[0] : lowest;
        highest = a.box.lo[0] > highest ? a.box.lo[0] : highest;
        region_done(&a);
        region_done(&b);
    }

    CHECK(lowest < 20 && highest > 116); /* spread over 0 .. 136 */
    arena_done(&arena);
    volume_done(&block);
}

/* Voxels of a ball of radius r (voxels, or mm with spacing) around centre, cut by the volume: counted one by one. */
static int64_t ball_count(const int64_t dim[3], const double centre[3], const double radius[3])
{
    int64_t n = 0;
    for (int64_t z = 0; z < dim[2]; z++)
        for (int64_t y = 0; y < dim[1]; y++)
            for (int64_t x = 0; x < dim[0]; x++) {
                const double d[3] = {((double)x - centre[0]) / radius[0], ((double)y - centre[1]) / radius[1],
                                     ((double)z - centre[2]) / radius[2]};
                n += d[0] * d[0] + d[1] * d[1] + d[2] * d[2] <= 1 + 1e-12;
            }
    return n;
}

static void test_sphere_proportions(void)
{
    const int64_t dim[3] = {130, 120, 80};
    const double mm[3] = {1, 0.5, 2};
    struct volume block;
    struct arena arena = {0};
    struct defects_config vox, millimetres;

    block_make(&block, dim, mm);
    defects_bind(&vox, &arena, "defects: [{type: sphere, extra_vox: 15}]\n");
    defects_bind(&millimetres, &arena, "defects: [{type: sphere, radius_mm: 24}]\n");
    struct region a = draw(&block, &vox, 3), b = draw(&block, &millimetres, 3);

    /* radius 80 - 60 + 15 = 35 voxels around z = 60 */
    const double expected[3] = {35, 35, 35}, ellipsoid[3] = {24, 48, 12};
    CHECK_INT(a.box.lo[2], 60 - 35);
    CHECK_INT(a.box.hi[2], 80);
    CHECK(a.box.lo[0] >= 0 && size_of(&a, 0) >= 70 && size_of(&a, 0) <= 71);
    CHECK_INT(b.box.lo[2], 48);
    CHECK_INT(b.box.hi[2], 73);
    const int64_t n_a = mask_count(a.mask, size_of(&a, 0) * size_of(&a, 1) * size_of(&a, 2));
    const int64_t n_b = mask_count(b.mask, size_of(&b, 0) * size_of(&b, 1) * size_of(&b, 2));
    const double near_a[3] = {65, 60, 60}, near_b[3] = {65, 60, 60};
    CHECK_INT(n_a, ball_count(dim, near_a, expected));
    CHECK_INT(n_b, ball_count(dim, near_b, ellipsoid));
    region_done(&a);
    region_done(&b);
    arena_done(&arena);
    volume_done(&block);
}

/* Against the published construction, voxel by voxel: generate_real_hole of generate_batch_data_pairs.py. */
static bool craniotomy_inside(const int64_t at[3], const int64_t m[3], double radius)
{
    const double core_lo[2] = {floor((double)m[0] / 6), floor((double)m[1] / 6)};
    const double core_hi[2] = {floor((double)m[0] * 5 / 6), floor((double)m[1] * 5 / 6)};
    const double p[2] = {(double)at[0], (double)at[1]};
    if (p[0] >= core_lo[0] && p[0] < core_hi[0] && p[1] >= core_lo[1] && p[1] < core_hi[1])
        return true;
    for (int corner = 0; corner < 4; corner++) {
        const double cx = (double)(m[0] - 1) * (corner & 1 ? 5.0 / 6 : 1.0 / 6),
                     cy = (double)(m[1] - 1) * (corner & 2 ? 5.0 / 6 : 1.0 / 6);
        if ((p[0] - cx) * (p[0] - cx) + (p[1] - cy) * (p[1] - cy) <= radius * radius)
            return true;
    }
    return false;
}

static void test_craniotomy_proportions(void)
{
    const int64_t dim[3] = {240, 210, 75}, m[3] = {80, 70, 25};
    const double mm[3] = {1, 1, 1}, xs[] = {60, 120, 30, 60, 80}, ys[] = {105, 26, 52, 105};
    struct volume block;
    struct arena arena = {0};
    struct defects_config config;

    block_make(&block, dim, mm);
    defects_bind(&config, &arena, "defects: [{type: craniotomy, burr_radius_vox: 9}]\n");

    for (int64_t number = 0; number < 20; number++) {
        struct region region = draw(&block, &config, number);
        /* the tight box is the core widened by the burr holes: radius 9 around 79/6 = 13.17 leaves 5 voxels free */
        const int64_t start[2] = {region.box.lo[0] - 5, region.box.lo[1] - 3};
        bool x_known = false, y_known = false;
        for (size_t i = 0; i < sizeof xs / sizeof *xs; i++)
            x_known |= start[0] == (int64_t)xs[i];
        for (size_t i = 0; i < sizeof ys / sizeof *ys; i++)
            y_known |= start[1] == (int64_t)ys[i];
        CHECK(x_known && y_known);
        CHECK_INT(region.box.lo[2], 50);
        CHECK_INT(region.box.hi[2], 75);
        int64_t wrong = 0, n = 0;
        for (int64_t z = 0; z < size_of(&region, 2); z++)
            for (int64_t y = 0; y < size_of(&region, 1); y++)
                for (int64_t x = 0; x < size_of(&region, 0); x++) {
                    const int64_t at[3] = {x + 5, y + 3, z};
                    const bool inside = craniotomy_inside(at, m, 9);
                    wrong += inside != region.mask[(z * size_of(&region, 1) + y) * size_of(&region, 0) + x];
                    n += inside;
                }
        CHECK_INT(wrong, 0);
        CHECK(n > 53 * 46 * 25);
        region_done(&region);
    }

    arena_done(&arena);
    volume_done(&block);
}

static void test_mixture(void)
{
    struct volume skull;
    struct arena arena = {0};
    struct defects_config config;
    struct error error = {0};
    int cubes = 0, spheres = 0, others = 0;
    const int64_t dim[3] = {40, 44, 36};
    const double mm[3] = {4, 4, 4};

    skull_make(&skull, dim, mm, 0);
    defects_bind(&config, &arena,
                 "defects:\n- {type: cube, weight: 3, edge_mm: 60}\n- {type: craniotomy, weight: 0}\n- {type: sphere, "
                 "weight: 1, "
                 "radius_mm: 40}\n");

    for (uint64_t number = 0; number < 400; number++) {
        struct region region;
        const char *type;
        CHECK_OK(
            defect_draw(&region, &type, &skull, box_of_mask(skull.data, dim), &config, rng_make(3, number), &error),
            &error);
        cubes += strcmp(type, "cube") == 0;
        spheres += strcmp(type, "sphere") == 0;
        others += strcmp(type, "craniotomy") == 0;
        region_done(&region);
    }

    CHECK_INT(cubes + spheres, 400);
    CHECK_INT(others, 0);
    CHECK_NEAR(cubes, 300, 40); /* 4.6 standard deviations */
    arena_done(&arena);
    volume_done(&skull);
}

/* A generator that must try often still gives the defects asked for. */
static void test_tries(void)
{
    struct volume skull;
    struct arena arena = {0};
    struct defects_config config;
    struct error error = {0};
    struct region region;

    skull_make(&skull, skull_dim, skull_mm, 0);
    const struct box box = box_of_mask(skull.data, skull_dim);
    defects_bind(&config, &arena, "defects: [{type: cube, edge_mm: 30, min_volume_ml: 2000}]\nmax_tries: 5\n");
    CHECK_FAILS(defect_draw(&region, NULL, &skull, box, &config, rng_make(1, 1), &error), &error, STATUS_FAILED,
                "none of 5 draws removed 2000 ml");
    CHECK(region.mask == NULL);
    defects_bind(&config, &arena, "defects: [{type: cube, edge_mm: 30, min_volume_ml: 7.7}]\n");

    for (uint64_t number = 0; number < 30; number++) {
        CHECK_OK(defect_draw(&region, NULL, &skull, box, &config, rng_make(1, number), &error), &error);
        region_done(&region);
    }

    memset(skull.data, 0, (size_t)grid_voxels(&skull.grid));
    CHECK_FAILS(defect_draw(&region, NULL, &skull, box_of_mask(skull.data, skull_dim), &config, rng_make(1, 1), &error),
                &error, STATUS_FAILED, "the skull is empty");
    arena_done(&arena);
    volume_done(&skull);
}

static void test_bad_configs(void)
{
    const struct {
        const char *yaml, *message;
    } cases[] = {
        {"defects: []\n", "the list is empty"},
        {"defects: [{type: cube, weight: 0}]\n", "every weight is 0"},
        {"defects: [{type: cobe}]\n", "cube"},
        {"defects:\n- type: cube\n  edge: 3\n", ":3:3"},
        {"defects: [{type: cube, edge_mm: [9, 3]}]\n", "edge_mm"},
        {"defects: [{type: sphere, radius_mm: -2}]\n", "radius_mm"},
        {"max_tries: 3\n", "defects"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena arena = {0};
        struct defects_config config;
        struct error error = {0};
        text_put(check_path("bad.yaml"), cases[i].yaml);
        CHECK_FAILS(defects_read(&config, check_path("bad.yaml"), &arena, &error), &error, STATUS_USAGE,
                    cases[i].message);
        arena_done(&arena);
    }
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"valid", test_valid},
                                       {"reproducible", test_reproducible},
                                       {"cube_proportions", test_cube_proportions},
                                       {"sphere_proportions", test_sphere_proportions},
                                       {"craniotomy_proportions", test_craniotomy_proportions},
                                       {"mixture", test_mixture},
                                       {"tries", test_tries},
                                       {"bad_configs", test_bad_configs},
                                       {0}};
    return check_main(argc, argv, tests);
}
