/* test_postprocess.c - the rules, one by one and in order, and what the recipe may say of them. */
#include "infer/postprocess.h"

#include <malloc.h>
#include <math.h>
#include <string.h>

#include "infer/restore.h"
#include "base/memory.h"
#include "tests/check.h"
#include "tests/infer/fixture.h"

static enum status read_rules(struct restore_config *ret, const char *yaml, struct arena *arena, struct error *error)
{
    struct yaml_node *root;
    if (yaml_read_text(&root, yaml, "rules.yaml", arena, error))
        return error->status;
    return config_bind(&restore_table, root, ret, arena, error);
}

static enum status run_rules(struct volume *implant, const struct volume *defective, const char *yaml,
                             struct error *error)
{
    struct arena arena = {0};
    struct restore_config config;
    enum status status = read_rules(&config, yaml, &arena, error);
    if (!status)
        status = postprocess_run(implant, defective, &(struct postprocess_config){.rules = &config.postprocess}, error);
    arena_done(&arena);
    return status;
}

static int64_t count(const struct volume *mask)
{
    return mask_count(mask->data, grid_voxels(&mask->grid));
}

static void test_opening_and_largest(void)
{
    struct error error = {0};
    struct volume implant = fixture_volume(30, 30, 30, 1, 1, 1), bone = fixture_volume(30, 30, 30, 1, 1, 1);
    fixture_box(&implant, (struct box){{2, 2, 2}, {10, 10, 10}}, 1);    /* stays */
    fixture_box(&implant, (struct box){{15, 15, 15}, {20, 20, 20}}, 1); /* smaller: goes */
    fixture_box(&implant, (struct box){{10, 5, 5}, {16, 6, 30}}, 1);    /* a sheet one voxel thin: goes */
    CHECK_OK(run_rules(&implant, &bone, "postprocess: [{open: 1}, {keep_largest: 1}]", &error), &error);
    CHECK_INT(fixture_at(&implant, 5, 5, 5), 1);
    CHECK_INT(fixture_at(&implant, 2, 5, 5), 1);
    CHECK_INT(fixture_at(&implant, 17, 17, 17), 0);
    CHECK_INT(fixture_at(&implant, 12, 5, 20), 0);
    CHECK(count(&implant) > 8 * 8 * 8 - 100 && count(&implant) <= 8 * 8 * 8);
    volume_done(&implant);
    volume_done(&bone);
}

/* The order is the recipe's: the sheet holds both boxes together until it is opened away. */
static void test_order_matters(void)
{
    for (int open_first = 0; open_first < 2; open_first++) {
        struct error error = {0};
        struct volume implant = fixture_volume(30, 12, 12, 1, 1, 1), bone = fixture_volume(30, 12, 12, 1, 1, 1);
        fixture_box(&implant, (struct box){{2, 2, 2}, {8, 8, 8}}, 1);
        fixture_box(&implant, (struct box){{18, 2, 2}, {25, 8, 8}}, 1);
        fixture_box(&implant, (struct box){{8, 4, 4}, {18, 8, 5}}, 1);
        CHECK_OK(run_rules(&implant, &bone,
                           open_first ? "postprocess: [{open: 1}, {keep_largest: 1}]"
                                      : "postprocess: [{keep_largest: 1}, {open: 1}]",
                           &error),
                 &error);
        CHECK_INT(fixture_at(&implant, 4, 4, 4), open_first ? 0 : 1);
        CHECK_INT(fixture_at(&implant, 20, 4, 4), 1);
        volume_done(&implant);
        volume_done(&bone);
    }
}

static void test_closing_never_takes_bone(void)
{
    struct error error = {0};
    struct volume implant = fixture_volume(20, 20, 20, 1, 1, 1), bone = fixture_volume(20, 20, 20, 1, 1, 1);
    fixture_box(&implant, (struct box){{4, 4, 4}, {9, 16, 16}}, 1);
    fixture_box(&implant, (struct box){{11, 4, 4}, {16, 16, 16}}, 1); /* a crack of two voxels */
    fixture_box(&bone, (struct box){{9, 4, 4}, {10, 16, 10}}, 1);     /* half of it is bone */
    CHECK_OK(run_rules(&implant, &bone, "postprocess: [{close: 2}]", &error), &error);
    CHECK_INT(fixture_at(&implant, 9, 10, 13), 1);
    CHECK_INT(fixture_at(&implant, 10, 10, 13), 1);
    CHECK_INT(fixture_at(&implant, 9, 10, 7), 0);
    CHECK_INT(fixture_at(&implant, 3, 10, 10), 0);
    volume_done(&implant);
    volume_done(&bone);
}

static void test_small_pieces_and_hollows(void)
{
    struct error error = {0};
    struct volume implant = fixture_volume(20, 20, 20, 2, 2, 2), bone = fixture_volume(20, 20, 20, 2, 2, 2);
    fixture_box(&implant, (struct box){{1, 1, 1}, {8, 8, 8}}, 1);
    fixture_box(&implant, (struct box){{3, 3, 3}, {5, 5, 5}}, 0);
    fixture_box(&implant, (struct box){{12, 12, 12}, {15, 15, 15}}, 1); /* 27 * 8 mm3 = 0.216 ml */
    fixture_box(&implant, (struct box){{10, 2, 2}, {13, 5, 4}}, 1);     /* 18 * 8 mm3 = 0.144 ml */
    CHECK_OK(run_rules(&implant, &bone, "postprocess: [{min_volume_ml: 0.2}, {fill_holes: true}]", &error), &error);
    CHECK_INT(count(&implant), 7 * 7 * 7 + 27);
    volume_done(&implant);
    volume_done(&bone);
}

static void test_clearance(void)
{
    struct error error = {0};
    struct volume implant = fixture_volume(30, 8, 8, 0.5, 0.5, 0.5), bone = fixture_volume(30, 8, 8, 0.5, 0.5, 0.5);
    fixture_box(&bone, (struct box){{0, 0, 0}, {5, 8, 8}}, 1);
    fixture_box(&implant, (struct box){{5, 0, 0}, {20, 8, 8}}, 1);
    CHECK_OK(run_rules(&implant, &bone, "postprocess: [{clearance_mm: 1}]", &error), &error);
    CHECK_INT(fixture_at(&implant, 5, 4, 4), 0);
    CHECK_INT(fixture_at(&implant, 6, 4, 4), 0);
    CHECK_INT(fixture_at(&implant, 7, 4, 4), 1); /* two voxels of 0.5 mm lie free between */
    CHECK_INT(fixture_at(&implant, 19, 4, 4), 1);
    volume_done(&implant);
    volume_done(&bone);
}

/* Thick slices: the gap is between faces, along every axis; at a corner it is the straight way from edge to edge. */
static void test_clearance_between_thick_slices(void)
{
    struct error error = {0};
    struct volume implant = fixture_volume(20, 20, 8, 0.5, 0.5, 3), bone = fixture_volume(20, 20, 8, 0.5, 0.5, 3);
    fixture_box(&bone, (struct box){{8, 8, 3}, {12, 12, 4}}, 1);
    fixture_box(&implant, (struct box){{0, 0, 0}, {20, 20, 8}}, 1);
    CHECK_OK(run_rules(&implant, &bone, "postprocess: [{clearance_mm: 1}]", &error), &error);
    CHECK_INT(fixture_at(&implant, 10, 10, 4), 0);
    CHECK_INT(fixture_at(&implant, 10, 10, 5), 1); /* one slice of 3 mm lies free between */
    CHECK_INT(fixture_at(&implant, 13, 10, 3), 0);
    CHECK_INT(fixture_at(&implant, 14, 10, 3), 1); /* 12 and 13 lie free */
    CHECK_INT(fixture_at(&implant, 13, 13, 3), 0); /* 0.5 and 0.5: 0.71 mm */
    CHECK_INT(fixture_at(&implant, 14, 13, 3), 1); /* 1.0 and 0.5: 1.12 mm */
    volume_done(&implant);
    volume_done(&bone);
}

static void test_empty_implant_stays_empty(void)
{
    struct error error = {0};
    struct volume implant = fixture_volume(6, 6, 6, 1, 1, 1), bone = fixture_volume(6, 6, 6, 1, 1, 1);
    CHECK_OK(run_rules(&implant, &bone,
                       "postprocess: [{open: 1}, {close: 3}, {keep_largest: 1}, {clearance_mm: 1}, {fill_holes: true}]",
                       &error),
             &error);
    CHECK_INT(count(&implant), 0);
    volume_done(&implant);
    volume_done(&bone);
}

static void test_bad_rules_are_refused_with_their_place(void)
{
    struct volume implant = fixture_volume(4, 4, 4, 1, 1, 1), bone = fixture_volume(4, 4, 4, 1, 1, 1);
    struct error both = {0}, none = {0}, unknown = {0}, negative = {0};
    CHECK_FAILS(run_rules(&implant, &bone, "postprocess:\n  - {open: 1}\n  - {close: 1, open: 2}\n", &both), &both,
                STATUS_USAGE, "rules.yaml:3:");
    CHECK_CONTAINS(both.text, "exactly one");
    CHECK_FAILS(run_rules(&implant, &bone, "postprocess: [{}]", &none), &none, STATUS_USAGE, "exactly one");
    CHECK_FAILS(run_rules(&implant, &bone, "postprocess: [{opne: 1}]", &unknown), &unknown, STATUS_USAGE,
                "did you mean 'open'");
    CHECK_FAILS(run_rules(&implant, &bone, "postprocess: [{close: -1}]", &negative), &negative, STATUS_USAGE, "close");
    static const char *const bad_radii[] = {"-1", "21", "nan", "inf", "wide"};
    for (int i = 0; i < 5; i++) {
        struct error error = {0};
        char yaml[80];
        snprintf(yaml, sizeof yaml, "postprocess: [{close_rim_mm: %s}]", bad_radii[i]);
        CHECK_FAILS(run_rules(&implant, &bone, yaml, &error), &error, STATUS_USAGE, "close_rim_mm");
    }
    volume_done(&implant);
    volume_done(&bone);
}

static void test_pipeline_dump_reads_back(void)
{
    struct error error = {0};
    struct arena arena = {0};
    struct yaml_node *root;
    struct restore_config config;
    CHECK_OK(yaml_read_text(&root,
                            "{scan: overlap, threshold: 0.25, top_vox: 128, postprocess: [{close: 2}, {fill_holes: "
                            "true}, {keep_largest: 3}]}",
                            "a.yaml", &arena, &error),
             &error);
    CHECK_OK(config_bind(&restore_table, root, &config, &arena, &error), &error);
    char *first = config_dump_text(&restore_table, &config);
    CHECK_CONTAINS(first, "overlap");
    CHECK_OK(yaml_read_text(&root, first, "b.yaml", &arena, &error), &error);
    CHECK_OK(config_bind(&restore_table, root, &config, &arena, &error), &error);
    CHECK_INT(config.postprocess.n, 3);
    char *second = config_dump_text(&restore_table, &config);
    CHECK_TEXT(second, first);
    memory_free(first);
    memory_free(second);
    arena_done(&arena);
}

static void test_failing_memory_is_an_error(void)
{
    bool done = false;
    int64_t n;
    for (n = 1; !done && n < 200; n++) {
        struct error error = {0};
        struct volume implant = fixture_volume(14, 14, 14, 1, 1, 1), bone = fixture_volume(14, 14, 14, 1, 1, 1);
        struct postprocess_rule open = {.open = 1}, largest = {.keep_largest = 1}, clear = {.clearance_mm = 1},
                                fill = {.fill_holes = true};
        struct config_item items[] = {{&postprocess_table, &open, NULL},
                                      {&postprocess_table, &largest, NULL},
                                      {&postprocess_table, &clear, NULL},
                                      {&postprocess_table, &fill, NULL}};
        struct config_list rules = {4, items};
        fixture_box(&implant, (struct box){{3, 3, 3}, {11, 11, 11}}, 1);
        fixture_box(&bone, (struct box){{0, 0, 0}, {3, 14, 14}}, 1);
        memory_fail_at(n);
        done = postprocess_run(&implant, &bone, &(struct postprocess_config){.rules = &rules}, &error) == STATUS_OK;
        memory_fail_at(0);
        CHECK(done || error.status == STATUS_FAILED);
        volume_done(&implant);
        volume_done(&bone);
    }
    CHECK(done);
    CHECK(n > 5);
}

/* A plate thick in one half and thin in the other: the thin half grows to what is wanted, the thick one stays, edges
 * and all. */
static void test_minimum_thickness(void)
{
    struct error error = {0};
    struct volume implant = fixture_volume(60, 40, 30, 1, 1, 1), bone = fixture_volume(60, 40, 30, 1, 1, 1);
    fixture_box(&implant, (struct box){{5, 8, 12}, {30, 32, 18}}, 1);  /* 6 mm */
    fixture_box(&implant, (struct box){{30, 8, 14}, {55, 32, 16}}, 1); /* 2 mm */
    fixture_box(&bone, (struct box){{45, 8, 16}, {55, 32, 20}}, 1);
    CHECK_OK(run_rules(&implant, &bone, "postprocess: [{min_thickness_mm: 5}]", &error), &error);
    int64_t thin = 0, thick = 0, beside_bone = 0;
    for (int64_t z = 0; z < 30; z++) {
        thin += fixture_at(&implant, 40, 20, z);
        thick += fixture_at(&implant, 15, 20, z);
        beside_bone += fixture_at(&implant, 50, 20, z);
        CHECK(!fixture_at(&implant, 5, 6, z)); /* a corner of the thick half */
        CHECK(!fixture_at(&implant, 50, 20, z) || !fixture_at(&bone, 50, 20, z));
    }
    CHECK(thin >= 5 && thin <= 6);
    CHECK_INT(thick, 6);
    CHECK(beside_bone > 2 && beside_bone < 5);
    volume_done(&implant);
    volume_done(&bone);
}

static double apart_mm(const struct volume *volume, const int64_t a[3], const int64_t b[3])
{
    double square = 0;
    for (int i = 0; i < 3; i++)
        square += pow((double)(a[i] - b[i]) * grid_spacing_mm(&volume->grid, i), 2);
    return sqrt(square);
}

/* Does a ball of this radius cover (x, y, z) without touching `mask`? Its centre may lie on any voxel of the volume. */
static bool ball_fits(const struct volume *mask, int64_t x, int64_t y, int64_t z, double radius_mm)
{
    const int64_t *dim = mask->grid.dim;
    for (int64_t c = 0; c < grid_voxels(&mask->grid); c++) {
        const int64_t centre[3] = {c % dim[0], c / dim[0] % dim[1], c / (dim[0] * dim[1])};
        bool fits = apart_mm(mask, centre, (const int64_t[3]){x, y, z}) <= radius_mm;
        for (int64_t i = 0; fits && i < grid_voxels(&mask->grid); i++)
            fits = !((const uint8_t *)mask->data)[i] ||
                   apart_mm(mask, centre, (const int64_t[3]){i % dim[0], i / dim[0] % dim[1], i / (dim[0] * dim[1])}) >
                       radius_mm;
        if (fits)
            return true;
    }
    return false;
}

/* Against the definition, voxel by voxel: what no ball outside implant and bone reaches is filled, as far as a radius
 * from the implant. */
static void test_rim_is_closed_as_by_a_ball(void)
{
    struct error error = {0};
    const double radius_mm = 1.6;
    struct volume implant = fixture_volume(14, 12, 9, 0.8, 0.7, 1.3), bone = fixture_volume(14, 12, 9, 0.8, 0.7, 1.3);
    fixture_box(&bone, (struct box){{0, 3, 2}, {4, 8, 7}}, 1);
    fixture_box(&bone, (struct box){{9, 2, 2}, {14, 8, 6}}, 1);
    fixture_box(&bone, (struct box){{12, 3, 3}, {13, 4, 4}}, 0);  /* a pore far from the implant stays open */
    fixture_box(&implant, (struct box){{5, 4, 2}, {8, 8, 6}}, 1); /* a gap of one voxel on either side */
    fixture_box(&implant, (struct box){{6, 4, 2}, {7, 5, 6}}, 0); /* and a notch */
    struct volume before = fixture_volume(14, 12, 9, 0.8, 0.7, 1.3), whole = fixture_volume(14, 12, 9, 0.8, 0.7, 1.3);
    const int64_t n = grid_voxels(&implant.grid), *dim = implant.grid.dim;
    memcpy(before.data, implant.data, (size_t)n);
    for (int64_t i = 0; i < n; i++)
        ((uint8_t *)whole.data)[i] = ((uint8_t *)bone.data)[i] || ((uint8_t *)implant.data)[i];
    CHECK_OK(run_rules(&implant, &bone, "postprocess: [{close_rim_mm: 1.6}]", &error), &error);
    int64_t added = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t at[3] = {i % dim[0], i / dim[0] % dim[1], i / (dim[0] * dim[1])};
        bool near = false;
        for (int64_t j = 0; j < n && !near; j++)
            near = ((uint8_t *)before.data)[j] &&
                   apart_mm(&before, at, (const int64_t[3]){j % dim[0], j / dim[0] % dim[1], j / (dim[0] * dim[1])}) <=
                       radius_mm;
        const bool fill = near && !((uint8_t *)whole.data)[i] && !ball_fits(&whole, at[0], at[1], at[2], radius_mm);
        CHECK_INT(((uint8_t *)implant.data)[i], ((uint8_t *)before.data)[i] || fill);
        added += fill;
    }
    CHECK(added > 20);
    CHECK_INT(fixture_at(&implant, 12, 3, 3), 0);
    CHECK_OK(run_rules(&implant, &bone, "postprocess: [{clearance_mm: 1}]", &error), &error);
    CHECK_INT(fixture_at(&implant, 4, 5, 3), 0); /* the gap asked for is kept afterwards */
    volume_done(&implant);
    volume_done(&bone);
    volume_done(&before);
    volume_done(&whole);
}

/* In slices of 2.8 mm a plate across them is measured by its own fine voxels, one along them by whole slices. */
static void test_minimum_thickness_of_thick_slices(void)
{
    static const struct {
        struct box plate;
        const char *rule;
        int axis;
        int64_t least, most;
    } cases[] = {{{{20, 10, 6}, {24, 50, 16}}, "postprocess: [{min_thickness_mm: 4}]", 0, 9, 10},
                 {{{20, 10, 6}, {29, 50, 16}}, "postprocess: [{min_thickness_mm: 4}]", 0, 9, 9},
                 {{{10, 10, 10}, {50, 50, 11}}, "postprocess: [{min_thickness_mm: 4.5}]", 2, 3, 3},
                 {{{10, 10, 10}, {50, 50, 12}}, "postprocess: [{min_thickness_mm: 4.5}]", 2, 2, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {0};
        struct volume implant = fixture_volume(60, 60, 22, 0.45, 0.45, 2.8),
                      bone = fixture_volume(60, 60, 22, 0.45, 0.45, 2.8);
        int64_t at[3] = {30, 30, 11}, thick = 0;
        fixture_box(&implant, cases[i].plate, 1);
        CHECK_OK(run_rules(&implant, &bone, cases[i].rule, &error), &error);
        for (at[cases[i].axis] = 0; at[cases[i].axis] < implant.grid.dim[cases[i].axis]; at[cases[i].axis]++)
            thick += fixture_at(&implant, at[0], at[1], at[2]);
        if (!CHECK(thick >= cases[i].least && thick <= cases[i].most))
            printf("    case %zu: %d voxels thick\n", i, (int)thick);
        volume_done(&implant);
        volume_done(&bone);
    }
}

/* The first test, while the process has been no larger: rules on an implant all over the volume, the hungriest last. */
static void test_memory_promised_is_kept(void)
{
    const char *const rules[] = {"postprocess: [{keep_largest: 1}, {clearance_mm: 1}]",
                                 "postprocess: [{close_rim_mm: 1.6}]", "postprocess: [{min_thickness_mm: 3}]"};
    struct volume implant = fixture_volume(256, 256, 160, 1, 1, 1), bone = fixture_volume(256, 256, 160, 1, 1, 1);
    mallopt(M_MMAP_THRESHOLD, 1 << 20); /* what is freed is given back: the peak is what was in use */
    fixture_box(&implant, (struct box){{0, 0, 0}, {256, 256, 160}}, 1);
    fixture_box(&bone, (struct box){{0, 0, 0}, {256, 256, 160}}, 0);
    fixture_box(&bone, (struct box){{60, 60, 60}, {70, 70, 70}}, 1);
    enum { THREADS_BYTES = 4 << 20 };
    const int64_t before = memory_peak_bytes();
    for (int k = 0; k < 3; k++) {
        struct error error = {0};
        struct arena arena = {0};
        struct restore_config config;
        fixture_box(&implant, (struct box){{1, 1, 1}, {255, 255, 159}}, 1);
        fixture_box(&implant, (struct box){{60, 60, 60}, {70, 70, 70}}, 0);
        CHECK_OK(read_rules(&config, rules[k], &arena, &error), &error);
        CHECK_OK(postprocess_run(&implant, &bone, &(struct postprocess_config){.rules = &config.postprocess}, &error),
                 &error);
        const int64_t took = memory_peak_bytes() - before,
                      promised = postprocess_bytes(&config.postprocess, &implant.grid);
#ifndef __SANITIZE_ADDRESS__
        CHECK(took < promised + THREADS_BYTES);
        CHECK(took > promised / 4 * 3);
#endif
        CHECK(took >= 0 && promised > grid_voxels(&implant.grid));
        arena_done(&arena);
    }
    volume_done(&implant);
    volume_done(&bone);
}

/* More slices than are worked on at once, of noise, are as a few around a joint alone. */
static void test_slabs_join_without_a_trace(void)
{
    const char *const rules[] = {"postprocess: [{close_rim_mm: 2.5}]", "postprocess: [{clearance_mm: 3}]"};
    const int64_t area = 256 * 256, depth = 75, lo = 45, part = 30, edge = 8; /* the joint is at 62 */
    for (int k = 0; k < 2; k++) {
        struct error error = {0};
        struct volume implant = fixture_volume(256, 256, depth, 1, 0.9, 0.8),
                      bone = fixture_volume(256, 256, depth, 1, 0.9, 0.8);
        struct volume few = fixture_volume(256, 256, part, 1, 0.9, 0.8),
                      few_bone = fixture_volume(256, 256, part, 1, 0.9, 0.8);
        fixture_noise(&implant, 1, 0.005);
        fixture_noise(&bone, 2, 0.005);
        for (int64_t i = 0; i < area * depth; i++)
            ((uint8_t *)implant.data)[i] &= !((uint8_t *)bone.data)[i];
        memcpy(few.data, (uint8_t *)implant.data + lo * area, (size_t)(part * area));
        memcpy(few_bone.data, (uint8_t *)bone.data + lo * area, (size_t)(part * area));
        const int64_t before = count(&implant);
        CHECK_OK(run_rules(&implant, &bone, rules[k], &error), &error);
        CHECK_OK(run_rules(&few, &few_bone, rules[k], &error), &error);
        CHECK(count(&implant) != before);
        CHECK(memcmp((uint8_t *)few.data + edge * area, (uint8_t *)implant.data + (lo + edge) * area,
                     (size_t)((part - 2 * edge) * area)) == 0);
        volume_done(&implant);
        volume_done(&bone);
        volume_done(&few);
        volume_done(&few_bone);
    }
}

/* A round skull of radius 22 to 26 with a hole on either side, and an implant of both plugs, a ball in the middle of
 * the head, a cap that lies on the bone, and a speck. */
static void fill_two_holes(struct volume *bone, struct volume *implant)
{
    const int64_t *dim = bone->grid.dim;
    for (int64_t z = 0, i = 0; z < dim[2]; z++)
        for (int64_t y = 0; y < dim[1]; y++)
            for (int64_t x = 0; x < dim[0]; x++, i++) {
                const double dx = (double)x - 35, dy = (double)y - 35, dz = (double)z - 35,
                             r = sqrt(dx * dx + dy * dy + dz * dz);
                const bool shell = r >= 22 && r <= 26, left = dx<-18, right = dx> 19, lies = r > 27 && r < 31;
                ((uint8_t *)bone->data)[i] = shell && !left && !right;
                ((uint8_t *)implant->data)[i] =
                    (shell && (left || right)) || r < 6 || (lies && dz > 26) || (x == 2 && y == 2 && z == 2);
            }
}

static void test_each_hole_keeps_its_piece(void)
{
    static const struct {
        const char *yaml;
        int64_t right, left, removed;
    } cases[] = {{"postprocess: [{keep_largest: 1}]", 1, 1, 3},
                 {"postprocess: [{keep_largest: 1}]\npieces: by_rule", 0, 1, 4},
                 {"postprocess: [{min_volume_ml: 0.1}, {keep_largest: 1}]", 1, 1, 3},
                 {"postprocess: [{keep_largest: 4}]", 1, 1, 1}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct error error = {0};
        struct arena arena = {0};
        struct restore_config config;
        struct pieces_removed removed = {0};
        struct volume bone = fixture_volume(70, 70, 70, 1, 1, 1), implant = fixture_volume(70, 70, 70, 1, 1, 1);
        fill_two_holes(&bone, &implant);
        const int64_t before = count(&implant);
        CHECK_OK(read_rules(&config, cases[k].yaml, &arena, &error), &error);
        const struct postprocess_config rules = {
            .rules = &config.postprocess, .pieces = (enum pieces_rule)config.pieces, .removed = &removed};
        CHECK_OK(postprocess_run(&implant, &bone, &rules, &error), &error);
        CHECK_INT(fixture_at(&implant, 35 - 24, 35, 35), cases[k].left);
        CHECK_INT(fixture_at(&implant, 35 + 24, 35, 35), cases[k].right);
        CHECK_INT(fixture_at(&implant, 2, 2, 2), 0);
        CHECK_INT(removed.n, cases[k].removed);
        CHECK_NEAR(removed.volume_ml, 1e-3 * (double)(before - count(&implant)), 1e-9);
        arena_done(&arena);
        volume_done(&implant);
        volume_done(&bone);
    }
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"each_hole_keeps_its_piece", test_each_hole_keeps_its_piece},
        {"memory_promised_is_kept", test_memory_promised_is_kept},
        {"opening_and_largest", test_opening_and_largest},
        {"order_matters", test_order_matters},
        {"closing_never_takes_bone", test_closing_never_takes_bone},
        {"small_pieces_and_hollows", test_small_pieces_and_hollows},
        {"clearance", test_clearance},
        {"clearance_between_thick_slices", test_clearance_between_thick_slices},
        {"minimum_thickness", test_minimum_thickness},
        {"minimum_thickness_of_thick_slices", test_minimum_thickness_of_thick_slices},
        {"rim_is_closed_as_by_a_ball", test_rim_is_closed_as_by_a_ball},
        {"slabs_join_without_a_trace", test_slabs_join_without_a_trace},
        {"empty_implant_stays_empty", test_empty_implant_stays_empty},
        {"bad_rules_are_refused_with_their_place", test_bad_rules_are_refused_with_their_place},
        {"pipeline_dump_reads_back", test_pipeline_dump_reads_back},
        {"failing_memory_is_an_error", test_failing_memory_is_an_error},
        {0},
    };
    return check_main(argc, argv, tests);
}
