/* test_window.c - the scan: tiles, identity, the stitch's rule against a naive loop, empty patches, borders, bad
 * shapes. */
#include "infer/window.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tests/check.h"
#include "tests/infer/fixture.h"

/* Its answer depends on where in the patch a voxel lies: zeros beyond the patch's border come in. */
static const char *const BLUR =
    "{patch_vox: [12, 10, 8], layers: [{type: conv, filters: 2, kernel: 3}, {type: leaky_relu}, "
    "{type: conv, filters: 1, kernel: 3}]}";
static const char *const SOFTMAX =
    "{patch_vox: [8, 8, 8], layers: [{type: conv, filters: 2, kernel: 3}, {type: softmax}]}";

struct gathered {
    struct volume p;
    uint8_t *times; /* a voxel was given */
    int64_t blocks;
};

static void gather(void *context, const struct window_block *block)
{
    struct gathered *g = context;
    const int64_t *dim = g->p.grid.dim;
    g->blocks++;
    for (int64_t z = block->box.lo[2]; z < block->box.hi[2]; z++)
        for (int64_t y = block->box.lo[1]; y < block->box.hi[1]; y++)
            for (int64_t x = block->box.lo[0]; x < block->box.hi[0]; x++) {
                int64_t i = (z * dim[1] + y) * dim[0] + x;
                ((float *)g->p.data)[i] = block->p[(z - block->box.lo[2]) * block->stride_z +
                                                   (y - block->box.lo[1]) * block->stride_y + x - block->box.lo[0]];
                g->times[i]++;
            }
}

static struct network *build(struct fixture_network *fixture, const struct window_config *config)
{
    struct error error = {0};
    struct network *network = NULL;
    struct shape shape = {config->batch, 1, config->patch_vox[2], config->patch_vox[1], config->patch_vox[0]};
    CHECK_OK(network_new(&network, &fixture->config, &fixture->params, shape, NETWORK_INFER, &error), &error);
    return network;
}

static struct window_stats scan(struct gathered *ret, struct fixture_network *fixture,
                                const struct window_config *config, const struct volume *src)
{
    struct error error = {0};
    struct window_stats stats = {0};
    struct network *network = build(fixture, config);
    memset(ret, 0, sizeof *ret);
    CHECK_OK(volume_new(&ret->p, &src->grid, VOXEL_F32, &error), &error);
    ret->times = memory_zalloc((size_t)grid_voxels(&src->grid), 1);
    CHECK_OK(window_scan(&stats, network, config, &(struct window_source){.skull = src}, gather, ret, NULL, &error),
             &error);
    network_free(network);
    return stats;
}

static void gathered_done(struct gathered *g)
{
    volume_done(&g->p);
    memory_free(g->times);
}

static void test_starts(void)
{
    struct error error = {0};
    const struct {
        int64_t size, patch, step, n, start[5];
    } rows[] = {
        {512, 128, 128, 4, {0, 128, 256, 384}},
        {337, 128, 128, 3, {0, 128, 209}},
        {100, 128, 128, 1, {0}},
        {128, 128, 128, 1, {0}},
        {129, 128, 128, 2, {0, 1}},
        {20, 8, 4, 4, {0, 4, 8, 12}},
        {21, 8, 4, 5, {0, 4, 8, 12, 13}},
        {1, 1, 1, 1, {0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t *starts, n;
        CHECK_OK(window_starts(&starts, &n, rows[i].size, rows[i].patch, rows[i].step, &error), &error);
        CHECK_INT(n, rows[i].n);
        for (int64_t k = 0; k < n && n == rows[i].n; k++)
            CHECK_INT(starts[k], rows[i].start[k]);
        memory_free(starts);
    }
    int64_t *starts, n;
    CHECK_FAILS(window_starts(&starts, &n, 10, 4, 0, &error), &error, STATUS_USAGE, "step 0");
}

/* Every scan, sizes that are no multiples, volumes smaller than a patch, batches: the identity network gives back its
 * input, exactly. */
static void test_identity_returns_its_input(void)
{
    const int64_t sizes[][3] = {{24, 20, 16}, {29, 23, 19}, {5, 30, 7}, {8, 8, 8}, {3, 3, 3}};
    for (int mode = SCAN_GRID; mode <= SCAN_OVERLAP; mode++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            for (int64_t batch = 1; batch <= 3; batch += 2) {
                struct window_config config = {
                    .scan = mode, .overlap_frac = 0.6, .patch_vox = {8, 9, 10}, .batch = batch};
                struct fixture_network identity;
                struct volume src = fixture_volume(sizes[i][0], sizes[i][1], sizes[i][2], 1, 1, 1);
                struct gathered g;
                int64_t wrong = 0, not_once = 0;
                fixture_identity(&identity, 8, 9, 10);
                fixture_noise(&src, 5, 0.3);
                struct window_stats stats = scan(&g, &identity, &config, &src);
                for (int64_t k = 0; k < grid_voxels(&src.grid); k++) {
                    wrong += ((float *)g.p.data)[k] != (float)((uint8_t *)src.data)[k];
                    not_once += g.times[k] != 1;
                }
                CHECK_INT(wrong, 0);
                CHECK_INT(not_once, 0);
                CHECK(mask_count(src.data, grid_voxels(&src.grid)) > 5);
                CHECK(stats.n_tiles >= 1);
                gathered_done(&g);
                volume_done(&src);
                fixture_network_done(&identity);
            }
}

/* The network's answer to the patch at start, by itself. */
static const float *answer(struct network *network, const struct volume *src, const int64_t start[3],
                           const int64_t patch[3], float *in)
{
    const struct pass pass = {.training = false};
    for (int64_t z = 0; z < patch[2]; z++)
        for (int64_t y = 0; y < patch[1]; y++)
            for (int64_t x = 0; x < patch[0]; x++) {
                bool inside = start[0] + x < src->grid.dim[0] && start[1] + y < src->grid.dim[1] &&
                              start[2] + z < src->grid.dim[2];
                in[(z * patch[1] + y) * patch[0] + x] =
                    inside ? (float)fixture_at(src, start[0] + x, start[1] + y, start[2] + z) : 0;
            }
    return network_forward(network, in, &pass);
}

/* grid: tiles in order, later over earlier, voxel by voxel. */
static void test_grid_matches_a_naive_stitch(void)
{
    const struct window_config config = {.scan = SCAN_GRID, .patch_vox = {12, 10, 8}, .batch = 1};
    const int64_t *patch = config.patch_vox, dim[3] = {31, 17, 21};
    const int64_t starts[3][3] = {{0, 12, 19}, {0, 7, 0}, {0, 8, 13}}, n[3] = {3, 2, 3};
    struct fixture_network blur;
    struct gathered g;
    struct volume src = fixture_volume(dim[0], dim[1], dim[2], 1, 1, 1);
    fixture_noise(&src, 9, 0.4);
    fixture_network(&blur, BLUR, 3);
    scan(&g, &blur, &config, &src);
    struct network *network = build(&blur, &config);
    float *expected = calloc((size_t)(dim[0] * dim[1] * dim[2]), sizeof *expected),
          *in = malloc(12 * 10 * 8 * sizeof *in);
    for (int64_t t = 0; t < n[0] * n[1] * n[2]; t++) {
        const int64_t start[3] = {starts[0][t % n[0]], starts[1][t / n[0] % n[1]], starts[2][t / n[0] / n[1]]};
        const float *p = answer(network, &src, start, patch, in);
        for (int64_t i = 0; i < patch[0] * patch[1] * patch[2]; i++) {
            int64_t x = start[0] + i % patch[0], y = start[1] + i / patch[0] % patch[1],
                    z = start[2] + i / patch[0] / patch[1];
            expected[(z * dim[1] + y) * dim[0] + x] = p[i];
        }
    }
    int64_t wrong = 0, distinct = 0;
    for (int64_t i = 0; i < dim[0] * dim[1] * dim[2]; i++) {
        wrong += ((float *)g.p.data)[i] != expected[i];
        distinct += expected[i] != expected[0];
    }
    CHECK_INT(wrong, 0);
    CHECK(distinct > 1000);
    free(expected);
    free(in);
    network_free(network);
    gathered_done(&g);
    volume_done(&src);
    fixture_network_done(&blur);
}

static double gauss(int64_t i, int64_t patch)
{
    double d = ((double)i - 0.5 * (double)(patch - 1)) / ((double)patch / 8);
    return fmax(1, round(63 * exp(-0.5 * d * d)));
}

/* overlap: the weighted mean over all tiles, in double. */
static void test_overlap_matches_a_naive_mean(void)
{
    const struct window_config config = {
        .scan = SCAN_OVERLAP, .overlap_frac = 0.5, .patch_vox = {12, 10, 8}, .batch = 2};
    const int64_t *patch = config.patch_vox, dim[3] = {21, 17, 13};
    const int64_t starts[3][4] = {{0, 6, 9}, {0, 5, 7}, {0, 4, 5}}, n[3] = {3, 3, 3};
    struct window_config alone = config;
    struct fixture_network blur;
    struct gathered g;
    struct volume src = fixture_volume(dim[0], dim[1], dim[2], 1, 1, 1);
    int64_t voxels = dim[0] * dim[1] * dim[2];
    fixture_noise(&src, 10, 0.4);
    fixture_network(&blur, BLUR, 4);
    scan(&g, &blur, &config, &src);
    alone.batch = 1;
    struct network *network = build(&blur, &alone);
    double *sum = calloc((size_t)voxels, sizeof *sum), *weights = calloc((size_t)voxels, sizeof *weights), most = 0,
           size = 0;
    float *in = malloc(12 * 10 * 8 * sizeof *in);
    for (int64_t t = 0; t < n[0] * n[1] * n[2]; t++) {
        const int64_t start[3] = {starts[0][t % n[0]], starts[1][t / n[0] % n[1]], starts[2][t / n[0] / n[1]]};
        const float *p = answer(network, &src, start, patch, in);
        for (int64_t i = 0; i < patch[0] * patch[1] * patch[2]; i++) {
            int64_t at[3] = {i % patch[0], i / patch[0] % patch[1], i / patch[0] / patch[1]};
            double w = gauss(at[0], patch[0]) * gauss(at[1], patch[1]) * gauss(at[2], patch[2]);
            int64_t k = ((start[2] + at[2]) * dim[1] + start[1] + at[1]) * dim[0] + start[0] + at[0];
            sum[k] += w * (double)p[i];
            weights[k] += w;
        }
    }
    for (int64_t i = 0; i < voxels; i++) {
        most = fmax(most, fabs(sum[i] / weights[i] - (double)((float *)g.p.data)[i]));
        size = fmax(size, fabs(sum[i] / weights[i]));
    }
    CHECK(size > 0.05);
    CHECK(most < 1e-5 * size);
    free(sum);
    free(weights);
    free(in);
    network_free(network);
    gathered_done(&g);
    volume_done(&src);
    fixture_network_done(&blur);
}

/* Empty patches: counted, computed once, and exactly what the network says of nothing. */
static void test_empty_patches_are_reused(void)
{
    struct window_config config = {.scan = SCAN_GRID, .patch_vox = {12, 10, 8}, .batch = 2};
    struct fixture_network blur;
    struct gathered g;
    struct volume src = fixture_volume(48, 40, 32, 1, 1, 1);
    fixture_box(&src, (struct box){{13, 11, 9}, {20, 18, 14}}, 1);
    fixture_network(&blur, BLUR, 6);
    for (int64_t i = 0; i < blur.params.n; i++) /* biases, so that nothing is answered by something */
        if (strstr(blur.params.items[i].name, ".b"))
            blur.params.value[blur.params.items[i].offset] = 0.25f;
    struct window_stats stats = scan(&g, &blur, &config, &src);
    CHECK_INT(stats.n_tiles, 64);
    CHECK_INT(stats.n_empty, 63);
    struct volume nothing = fixture_volume(12, 10, 8, 1, 1, 1);
    float *in = malloc(12 * 10 * 8 * sizeof *in);
    config.batch = 1;
    struct network *network = build(&blur, &config);
    const int64_t zero[3] = {0};
    const float *p = answer(network, &nothing, zero, config.patch_vox, in), *got = g.p.data;
    int64_t wrong = 0;
    for (int64_t i = 0; i < 12 * 10 * 8; i++)
        wrong += got[((24 + i / 120) * 40 + 30 + i / 12 % 10) * 48 + 36 + i % 12] != p[i];
    CHECK_INT(wrong, 0);
    CHECK(fabsf(p[500]) > 0.01f);
    free(in);
    network_free(network);
    gathered_done(&g);
    volume_done(&src);
    volume_done(&nothing);
    fixture_network_done(&blur);
}

static void test_top_slices_alone(void)
{
    for (int mode = SCAN_GRID; mode <= SCAN_OVERLAP; mode++) {
        const struct window_config config = {
            .scan = mode, .overlap_frac = 0.5, .patch_vox = {8, 8, 8}, .top_vox = 11, .batch = 1};
        struct fixture_network identity;
        struct gathered g;
        struct volume src = fixture_volume(10, 9, 30, 1, 1, 1);
        fixture_noise(&src, 2, 0.5);
        fixture_identity(&identity, 8, 8, 8);
        scan(&g, &identity, &config, &src);
        int64_t wrong = 0;
        for (int64_t i = 0; i < 10 * 9 * 30; i++) {
            bool top = i / 90 >= 19;
            wrong += g.times[i] != (top ? 1 : 0) || (top && ((float *)g.p.data)[i] != (float)((uint8_t *)src.data)[i]);
        }
        CHECK_INT(wrong, 0);
        gathered_done(&g);
        volume_done(&src);
        fixture_network_done(&identity);
    }
}

static void test_softmax_gives_its_last_channel(void)
{
    const struct window_config config = {.scan = SCAN_GRID, .patch_vox = {8, 8, 8}, .batch = 1};
    struct fixture_network softmax;
    struct gathered g;
    struct volume src = fixture_volume(8, 8, 8, 1, 1, 1);
    float in[512];
    fixture_noise(&src, 2, 0.5);
    fixture_network(&softmax, SOFTMAX, 5);
    scan(&g, &softmax, &config, &src);
    struct network *network = build(&softmax, &config);
    const int64_t zero[3] = {0};
    const float *p = answer(network, &src, zero, config.patch_vox, in);
    CHECK(memcmp(g.p.data, p + 512, 512 * sizeof *p) == 0);
    CHECK(memcmp(g.p.data, p, 512 * sizeof *p) != 0);
    network_free(network);
    gathered_done(&g);
    volume_done(&src);
    fixture_network_done(&softmax);
}

static void test_wrong_shapes_are_refused(void)
{
    struct window_config config = {.scan = SCAN_GRID, .patch_vox = {8, 8, 8}, .batch = 1};
    struct fixture_network identity, shrinking;
    struct volume src = fixture_volume(16, 16, 16, 1, 1, 1);
    struct gathered g = {0};
    struct window_stats stats;
    struct error patch = {0}, answer_size = {0}, whole = {0};
    fixture_identity(&identity, 8, 8, 8);
    fixture_network(&shrinking, "{patch_vox: 8, layers: [{type: conv, filters: 1, kernel: 3, stride: 2}]}", 1);
    struct network *network = build(&identity, &config), *small = build(&shrinking, &config);
    CHECK_FAILS(
        window_scan(&stats, small, &config, &(struct window_source){.skull = &src}, gather, &g, NULL, &answer_size),
        &answer_size, STATUS_USAGE, "1x1x4x4x4");
    config.patch_vox[1] = 16;
    CHECK_FAILS(window_scan(&stats, network, &config, &(struct window_source){.skull = &src}, gather, &g, NULL, &patch),
                &patch, STATUS_USAGE, "8x16x8");
    config.patch_vox[1] = 8;
    config.scan = SCAN_WHOLE;
    CHECK_FAILS(window_scan(&stats, network, &config, &(struct window_source){.skull = &src}, gather, &g, NULL, &whole),
                &whole, STATUS_USAGE, "whole");
    CHECK_INT(g.blocks, 0);
    network_free(network);
    network_free(small);
    volume_done(&src);
    fixture_network_done(&identity);
    fixture_network_done(&shrinking);
}

/* A tile is looked at where the coarse answer lies in the part of it that its answer decides, and not for a voxel at
 * its border, of which the neighbours have all but a few hundredths of the say. */
static void test_tiles_are_chosen_by_the_coarse_answer(void)
{
    static const char second[] =
        "input_channels: 2\npatch_vox: 8\nlayers: [ { name: pick, type: conv, filters: 1, kernel: 1 } ]\n";
    const struct window_config config = {
        .scan = SCAN_OVERLAP, .overlap_frac = 0.5, .patch_vox = {8, 8, 8}, .batch = 2, .min_prior = 0.5};
    const struct box box = {{7, 7, 7}, {13, 13, 13}};
    struct error error = {0};
    struct fixture_network pick;
    struct network *network = NULL;
    struct window_stats stats = {0};
    struct volume src = fixture_volume(24, 24, 24, 1, 1, 1), prior = {0};
    struct gathered g = {.times = memory_zalloc(24 * 24 * 24, 1)};
    fixture_network(&pick, second, 1);
    memcpy(params_find(&pick.params, "pick.w")->offset + pick.params.value, (const float[]){0, 1}, 2 * sizeof(float));
    CHECK_OK(network_new(&network, &pick.config, &pick.params, (struct shape){2, 2, 8, 8, 8}, NETWORK_INFER, &error),
             &error);
    CHECK_OK(volume_new(&prior, &src.grid, VOXEL_F32, &error), &error);
    CHECK_OK(volume_new(&g.p, &src.grid, VOXEL_F32, &error), &error);
    fixture_box(&src, box, 1);
    for (int64_t i = 0; i < grid_voxels(&src.grid); i++)
        ((float *)prior.data)[i] = (float)((uint8_t *)src.data)[i];
    const struct window_source source = {.skull = &src, .prior = &prior, .prior_channels = 1};
    CHECK_OK(window_scan(&stats, network, &config, &source, gather, &g, NULL, &error), &error);
    CHECK_INT(stats.n_tiles, 5 * 5 * 5);
    CHECK_INT(stats.n_skipped, 5 * 5 * 5 - 2 * 2 * 2); /* 4 x 4 x 4 of them touch the box */
    for (int64_t i = 0; i < grid_voxels(&src.grid); i++) {
        const float is = ((float *)prior.data)[i], p = ((float *)g.p.data)[i];
        if (g.times[i] != 1 || p > is || p < 0.94F * is) {
            CHECK_INT(g.times[i], 1);
            CHECK_NEAR(p, is, 0.06);
            break;
        }
    }
    gathered_done(&g);
    volume_done(&prior);
    volume_done(&src);
    network_free(network);
    fixture_network_done(&pick);
}

/* prior_weight: the coarse answer's share, where it is, whether patches are mirrored as well or not. */
static void test_prior_weighs(void)
{
    static const char second[] =
        "input_channels: 2\npatch_vox: 8\nlayers: [ { name: pick, type: conv, filters: 1, kernel: 1 } ]\n";
    struct error error = {0};
    struct fixture_network pick;
    struct network *network = NULL;
    struct volume src = fixture_volume(24, 20, 16, 1, 1, 1), prior = {0};
    fixture_network(&pick, second, 1);
    memcpy(params_find(&pick.params, "pick.w")->offset + pick.params.value, (const float[]){0.5F, 0},
           2 * sizeof(float));
    CHECK_OK(network_new(&network, &pick.config, &pick.params, (struct shape){2, 2, 8, 8, 8}, NETWORK_INFER, &error),
             &error);
    CHECK_OK(volume_new(&prior, &src.grid, VOXEL_F32, &error), &error);
    fixture_box(&src, (struct box){{2, 7, 7}, {13, 13, 13}}, 1);
    for (int64_t i = 0; i < grid_voxels(&src.grid); i++)
        ((float *)prior.data)[i] = 0.1F + (float)(i % 7) / 10;
    for (int flip = 0; flip < 2; flip++) {
        const struct window_config config = {.scan = SCAN_OVERLAP,
                                             .overlap_frac = 0.5,
                                             .patch_vox = {8, 8, 8},
                                             .batch = 2,
                                             .flip_average = flip,
                                             .prior_weight = 0.75};
        const struct window_source source = {.skull = &src, .prior = &prior, .prior_channels = 1};
        struct window_stats stats = {0};
        struct gathered g = {.times = memory_zalloc(24 * 20 * 16, 1)};
        float worst = 0;
        CHECK_OK(volume_new(&g.p, &src.grid, VOXEL_F32, &error), &error);
        CHECK_OK(window_scan(&stats, network, &config, &source, gather, &g, NULL, &error), &error);
        for (int64_t i = 0; i < grid_voxels(&src.grid); i++)
            worst = fmaxf(worst, fabsf(((float *)g.p.data)[i] - 0.125F * (float)((uint8_t *)src.data)[i] -
                                       0.75F * ((float *)prior.data)[i]));
        CHECK_NEAR(worst, 0, 1e-5);
        gathered_done(&g);
    }
    volume_done(&prior);
    volume_done(&src);
    network_free(network);
    fixture_network_done(&pick);
}

static void test_promise_counts_intact_tiles(void)
{
    struct error error = {0};
    const struct window_config config = {.scan = SCAN_GRID, .patch_vox = {8, 8, 8}, .batch = 1};
    struct volume input = fixture_volume(16, 16, 20, 1, 1, 1), raw = fixture_volume(16, 16, 20, 1, 1, 1),
                  truth = fixture_volume(16, 16, 20, 1, 1, 1);
    struct intact_patches promise;
    fixture_box(&input, (struct box){{0, 0, 0}, {16, 16, 10}}, 1);
    fixture_box(&raw, (struct box){{0, 0, 0}, {16, 16, 10}}, 1);
    fixture_box(&truth, (struct box){{9, 9, 13}, {12, 12, 16}},
                1); /* tile 1,1 of the middle and of the shifted top row see it */
    fixture_box(&raw, (struct box){{9, 9, 13}, {12, 12, 16}},
                1);                                           /* filled as it should be: no change of an intact tile */
    fixture_box(&raw, (struct box){{0, 0, 0}, {2, 1, 1}}, 0); /* removed */
    fixture_box(&raw, (struct box){{3, 3, 17}, {6, 4, 18}}, 1); /* added */
    CHECK_OK(intact_patches(&promise, &config, raw.data, input.data, truth.data, input.grid.dim, &error), &error);
    CHECK_INT(promise.n_tiles, 12);
    CHECK_INT(promise.n_intact, 10);
    CHECK_INT(promise.removed_vox, 2);
    CHECK_INT(promise.added_vox, 3);
    CHECK_INT(promise.n_changed, 2);
    CHECK_INT(promise.intact_vox, 16 * 16 * 20 - 8 * 8 * 12); /* tile 1,1: rows 8 to 20 */
    volume_done(&input);
    volume_done(&raw);
    volume_done(&truth);
}

static void test_failing_memory_is_an_error(void)
{
    const struct window_config config = {.scan = SCAN_OVERLAP, .overlap_frac = 0.5, .patch_vox = {8, 8, 8}, .batch = 1};
    struct fixture_network identity;
    struct volume src = fixture_volume(12, 12, 12, 1, 1, 1);
    fixture_identity(&identity, 8, 8, 8);
    struct network *network = build(&identity, &config);
    struct gathered g = {.p = fixture_volume(12, 12, 12, 1, 1, 1)};
    struct volume p;
    struct error making = {0};
    CHECK_OK(volume_new(&p, &src.grid, VOXEL_F32, &making), &making);
    volume_done(&g.p);
    g = (struct gathered){.p = p, .times = memory_zalloc(12 * 12 * 12, 1)};
    bool done = false;
    int64_t n;
    for (n = 1; !done && n < 100; n++) {
        struct error error = {0};
        struct window_stats stats;
        memory_fail_at(n);
        done = window_scan(&stats, network, &config, &(struct window_source){.skull = &src}, gather, &g, NULL,
                           &error) == STATUS_OK;
        memory_fail_at(0);
        CHECK(done || error.status == STATUS_FAILED);
    }
    CHECK(done);
    CHECK(n > 10);
    gathered_done(&g);
    network_free(network);
    volume_done(&src);
    fixture_network_done(&identity);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"starts", test_starts},
        {"identity_returns_its_input", test_identity_returns_its_input},
        {"grid_matches_a_naive_stitch", test_grid_matches_a_naive_stitch},
        {"overlap_matches_a_naive_mean", test_overlap_matches_a_naive_mean},
        {"empty_patches_are_reused", test_empty_patches_are_reused},
        {"top_slices_alone", test_top_slices_alone},
        {"softmax_gives_its_last_channel", test_softmax_gives_its_last_channel},
        {"wrong_shapes_are_refused", test_wrong_shapes_are_refused},
        {"tiles_are_chosen_by_the_coarse_answer", test_tiles_are_chosen_by_the_coarse_answer},
        {"prior_weighs", test_prior_weighs},
        {"promise_counts_intact_tiles", test_promise_counts_intact_tiles},
        {"failing_memory_is_an_error", test_failing_memory_is_an_error},
        {0},
    };
    return check_main(argc, argv, tests);
}
