/* Augmentation: nothing where it is off, exact where it can be, the same for any worker, and defective = complete -
 * implant always. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/log.h"
#include "base/memory.h"
#include "data/sample/loader.h"
#include "skulls.h"
#include "tests/check.h"

/* ---- one skull, whole ---- */

static const int64_t dim[3] = {61, 70, 54};
static const double mm[3] = {2, 1.5, 2.5};
enum { N = 61 * 70 * 54 };

static uint8_t codes[N], out[N], again[N];

/* A shell (or a solid) with a missing box. */
static struct grid skull_codes(bool solid)
{
    struct volume skull;
    skull_make(&skull, dim, mm, 2);
    const struct grid grid = skull.grid;
    for (int64_t v = 0; v < N; v++) {
        const int64_t x = v % dim[0], y = v / dim[0] % dim[1], z = v / dim[0] / dim[1];
        double r = pow((double)(x - 28) / 17, 2) + pow((double)(y - 36) / 20, 2) + pow((double)(z - 25) / 14, 2);
        codes[v] = solid ? r <= 1 : ((uint8_t *)skull.data)[v];
        if (codes[v] && x > 35 && z > 25 && y > 20 && y < 50)
            codes[v] |= CODE_MISSING;
    }
    volume_done(&skull);
    return grid;
}

static struct augment_config config_of(const char *text)
{
    struct error error = {0};
    struct arena arena = {0};
    struct yaml_node *node;
    struct augment_config config = {0};
    CHECK_OK(yaml_read_text(&node, text, "augment", &arena, &error), &error);
    CHECK_OK(config_bind(&augment_table, node, &config, &arena, &error), &error);
    arena_done(&arena);
    return config;
}

static struct augment augment_of(const char *text, const struct grid *grid, uint64_t seed)
{
    struct error error = {0};
    struct augment augment = {0};
    const struct augment_config config = config_of(text);
    const struct box bone = box_of_mask(codes, dim);
    CHECK_OK(augment_draw(&augment, &config, grid, bone, rng_make(seed, 3), &error), &error);
    return augment;
}

static void cut_box(uint8_t *to, const struct augment *augment, const int64_t lo[3], const int64_t size[3])
{
    struct error error = {0};
    struct augment_patch patch = {.step = {1, 1, 1}};
    for (int a = 0; a < 3; a++) {
        patch.lo[a] = (double)lo[a];
        patch.size[a] = size[a];
    }
    CHECK_OK(augment_cut(to, augment, codes, &patch, &error), &error);
}

static void cut_all(uint8_t *to, const struct augment *augment)
{
    const int64_t zero[3] = {0};
    cut_box(to, augment, zero, dim);
}

static int64_t count_bits(const uint8_t *of, int bit)
{
    int64_t n = 0;
    for (int64_t v = 0; v < N; v++)
        n += (of[v] & bit) != 0;
    return n;
}

static void check_codes(const uint8_t *of)
{
    int64_t odd = 0;
    for (int64_t v = 0; v < N; v++)
        odd += of[v] != 0 && of[v] != CODE_BONE && of[v] != (CODE_BONE | CODE_MISSING);
    CHECK_INT(odd, 0); /* what is missing is bone of the complete skull */
}

static void test_flips(void)
{
    const struct grid grid = skull_codes(false);
    const char *const keys[] = {"flip_x: 1", "flip_y: 1", "flip_z: 1", "{flip_x: 1, flip_z: 1}"};

    for (int k = 0; k < 4; k++) {
        struct augment augment = augment_of(keys[k], &grid, 1);
        CHECK(augment.moved);
        cut_all(out, &augment);
        int64_t wrong = 0;
        for (int64_t v = 0; v < N; v++) {
            int64_t at[3] = {v % dim[0], v / dim[0] % dim[1], v / dim[0] / dim[1]};
            for (int a = 0; a < 3; a++)
                at[a] = k == a || (k == 3 && a != 1) ? dim[a] - 1 - at[a] : at[a];
            wrong += out[v] != codes[(at[2] * dim[1] + at[1]) * dim[0] + at[0]];
        }
        CHECK_INT(wrong, 0);
        CHECK(memcmp(out, codes, N) != 0);
        augment_done(&augment);
    }
}

static void test_identity(void)
{
    const struct grid grid = skull_codes(false);
    struct augment augment = augment_of("probability: 1", &grid, 1);
    CHECK(!augment.moved);
    augment_done(&augment);
    augment = augment_of("{probability: 0, flip_x: 1, rotate_deg: 10, noise_bits: 0.1}", &grid, 1);
    CHECK(!augment.moved && augment.noise_bits == 0);
    augment_done(&augment);
    augment = augment_of("flip_x: 1", &grid, 1);
    augment.flip[0] = false; /* the machinery with the identity */
    cut_all(out, &augment);
    CHECK(memcmp(out, codes, N) == 0);
    augment_done(&augment);
}

/* Rotations keep the volume, and what is missing lands where augment_place puts it. */
static void test_rotation(void)
{
    const struct grid grid = skull_codes(true);
    const double bone = (double)count_bits(codes, CODE_BONE), missing = (double)count_bits(codes, CODE_MISSING);
    int changed = 0;

    for (uint64_t seed = 0; seed < 12; seed++) {
        struct augment augment = augment_of("{rotate_deg: [15, 10, 40], flip_x: 0.5}", &grid, seed);
        double before[3] = {0}, after[3] = {0};
        cut_all(out, &augment);
        check_codes(out);
        const double shown = (double)count_bits(out, CODE_MISSING);
        CHECK_NEAR((double)count_bits(out, CODE_BONE) / bone, 1, 0.01);
        CHECK_NEAR(shown / missing, 1, 0.03);
        for (int64_t v = 0; v < N; v++) {
            const double at[3] = {(double)(v % dim[0]), (double)(v / dim[0] % dim[1]), (double)(v / dim[0] / dim[1])};
            for (int a = 0; a < 3; a++) {
                before[a] += codes[v] & CODE_MISSING ? at[a] / missing : 0;
                after[a] += out[v] & CODE_MISSING ? at[a] / shown : 0;
            }
        }
        augment_place(&augment, before);
        for (int a = 0; a < 3; a++)
            CHECK_NEAR(after[a], before[a], 0.2);
        changed += memcmp(out, codes, N) != 0;
        augment_done(&augment);
    }

    CHECK_INT(changed, 12);
}

/* The solid is centred on a voxel, so whole layers come and go together: single draws are off by more than their mean.
 */
static void test_scale(void)
{
    const struct grid grid = skull_codes(true);
    double mean = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct augment augment = augment_of("scale: [0.8, 1.15]", &grid, seed);
        cut_all(out, &augment);
        const double factor = augment.back[0][0] * augment.back[1][1] * augment.back[2][2];
        const double ratio = (double)count_bits(out, CODE_BONE) / (double)count_bits(codes, CODE_BONE) / factor;
        CHECK(augment.back[0][0] != augment.back[1][1]);
        CHECK_NEAR(ratio, 1, 0.04);
        mean += ratio / 20;
        augment_done(&augment);
    }
    CHECK_NEAR(mean, 1, 0.01);
}

static void test_elastic(void)
{
    const struct grid grid = skull_codes(true);
    struct augment augment = augment_of("{elastic_mm: 6, elastic_grid_mm: 20}", &grid, 4);

    cut_all(out, &augment);
    check_codes(out);
    int64_t differ = 0;
    for (int64_t v = 0; v < N; v++)
        differ += (out[v] ^ codes[v]) & CODE_BONE;
    const double bone = (double)count_bits(codes, CODE_BONE);
    CHECK((double)differ > 0.01 * bone && (double)differ < 0.3 * bone);
    CHECK_NEAR((double)count_bits(out, CODE_BONE) / bone, 1, 0.1);

    /* one field for the whole skull: patches are pieces of it */
    const int64_t lo[3] = {16, 24, 8}, size[3] = {20, 17, 30};
    cut_box(again, &augment, lo, size);
    int64_t wrong = 0;

    for (int64_t v = 0; v < size[0] * size[1] * size[2]; v++) {
        const int64_t x = lo[0] + v % size[0], y = lo[1] + v / size[0] % size[1], z = lo[2] + v / size[0] / size[1];
        wrong += again[v] != out[(z * dim[1] + y) * dim[0] + x];
    }

    CHECK_INT(wrong, 0);
    augment_done(&augment);
}

static void test_slices_and_crop(void)
{
    const struct grid grid = skull_codes(true);
    struct augment augment = augment_of("slice_mm: 7.5", &grid, 1); /* three of its slices */

    cut_all(out, &augment);
    int changes = 0;
    const int64_t slice = dim[0] * dim[1];
    for (int64_t z = 1; z < dim[2]; z++)
        changes += memcmp(out + z * slice, out + (z - 1) * slice, (size_t)slice) != 0;
    CHECK(changes >= 8 && changes <= 12); /* 28 slices of bone in steps of 3 */
    CHECK_NEAR((double)count_bits(out, CODE_BONE) / (double)count_bits(codes, CODE_BONE), 1, 0.1);
    augment_done(&augment);
    augment = augment_of("slice_mm: 2", &grid, 1);
    CHECK(!augment.moved); /* finer than the scan */
    augment_done(&augment);

    augment = augment_of("{crop: 1, crop_below: 0.25, crop_top: 0.1}", &grid, 1);
    cut_all(out, &augment);
    const struct box bone = box_of_mask(codes, dim), left = box_of_mask(out, dim);
    const double height = (double)(bone.hi[2] - bone.lo[2]);
    CHECK_NEAR((double)(left.lo[2] - bone.lo[2]), 0.25 * height, 1);
    CHECK_NEAR((double)(bone.hi[2] - left.hi[2]), 0.1 * height, 1);
    CHECK(memcmp(out + left.lo[2] * slice, codes + left.lo[2] * slice, (size_t)((left.hi[2] - left.lo[2]) * slice)) ==
          0);
    augment_done(&augment);
}

static void test_noise(void)
{
    const struct grid grid = skull_codes(true);
    int64_t faces = 0, changed = 0, inner = 0;
    struct augment augment = augment_of("noise_surface: 0.05", &grid, 1);

    CHECK(!augment.moved);
    memcpy(out, codes, N);
    augment_noise(out, &augment, dim, rng_make(1, 1));
    memcpy(again, codes, N);
    augment_noise(again, &augment, dim, rng_make(1, 1));
    CHECK(memcmp(out, again, N) == 0);
    check_codes(out);
    const int64_t step[3] = {1, dim[0], dim[0] * dim[1]};

    for (int64_t v = step[2]; v < N - step[2]; v++) {
        int here = 0;
        for (int a = 0; a < 3; a++) {
            faces += ((codes[v] ^ codes[v + step[a]]) & CODE_BONE) != 0;
            here += ((codes[v] ^ codes[v + step[a]]) & CODE_BONE) || ((codes[v] ^ codes[v - step[a]]) & CODE_BONE);
        }
        changed += out[v] != codes[v];
        inner += out[v] != codes[v] && here == 0;
        CHECK((out[v] & CODE_MISSING) == (codes[v] & CODE_MISSING));
    }

    CHECK_INT(inner, 0);
    CHECK((double)changed > 0.03 * (double)faces && (double)changed < 0.055 * (double)faces);
    augment_done(&augment);

    augment = augment_of("noise_bits: 0.01", &grid, 1);
    memcpy(out, codes, N);
    augment_noise(out, &augment, dim, rng_make(1, 2));
    changed = 0;
    for (int64_t v = 0; v < N; v++)
        changed += out[v] != codes[v];
    CHECK_NEAR((double)changed, 0.01 * (double)(N - count_bits(codes, CODE_MISSING)), 0.1 * 0.01 * N);
    check_codes(out);
    augment_done(&augment);
}

static void test_bad_keys(void)
{
    const struct {
        const char *text, *says;
    } bad[] = {{"elastic_mm: 20", "folds a field"}, {"{crop_below: 0.6, crop_top: 0.5}", "nothing of the skull"},
               {"scale: [1.2, 1.1]", "scale"},      {"rotate: 10", "unknown key"},
               {"warp_shape: 1", "no warp_model"},  {"flip_x: 2", "flip_x"}};

    for (int k = 0; k < 6; k++) {
        struct error error = {0};
        struct arena arena = {0};
        struct yaml_node *node;
        struct augment_config config;
        CHECK_OK(yaml_read_text(&node, bad[k].text, "bad", &arena, &error), &error);
        CHECK_FAILS(config_bind(&augment_table, node, &config, &arena, &error), &error, STATUS_USAGE, bad[k].says);
        arena_done(&arena);
    }
}

/* ---- through the loader ---- */

static const char everything[] =
    "{probability: 0.8, flip_x: 0.5, rotate_deg: 12, scale: [0.9, 1.1], elastic_mm: 4, slice_mm: [0, 9], "
    "noise_surface: [0, 0.05], noise_bits: [0, 0.001], crop: 0.4, crop_top: [0, 0.1], warp_shape: 1, warp_model: a.h5}";
static const int64_t lo[3] = {10, 10, 20}, hi[3] = {30, 30, 30};

static const char *set_path(void)
{
    static bool made;
    struct error error = {0};
    if (made)
        return check_path("set.h5");

    for (int kind = 0; kind < 4; kind++) {
        const int64_t size[3] = {48 + kind, 50 - kind, 45 + 2 * kind};
        const double spacing[3] = {4, 4, 4};
        struct volume skull, implant;
        char file[32];
        skull_make(&skull, size, spacing, kind);
        implant_make(&implant, &skull, lo, hi);
        snprintf(file, sizeof file, "s%d_complete.nrrd", kind);
        volume_put("skulls", file, &skull);
        snprintf(file, sizeof file, "s%d_implant.nrrd", kind);
        volume_put("skulls", file, &implant);
        volume_done(&skull);
        volume_done(&implant);
    }

    text_put(check_path("split.tsv"), "s0\ttrain\ns1\ttrain\ns2\ttrain\ns3\tval\n");
    const struct pack_config config = {.split_frac = {0.8, 0.1, 0.1}, .split_file = check_path("split.tsv")};
    CHECK_OK(dataset_pack(check_path("skulls"), check_path("set.h5"), &config, &error), &error);
    made = true;
    return check_path("set.h5");
}

/* In place of a model of heads: a smooth wave along x, for two skulls of three. */
struct bend {
    struct augment_warp base;
    double mm;
};
static int64_t bends;

static void bend_place(const struct augment_warp *warp, double at[3])
{
    at[0] += ((const struct bend *)warp)->mm * sin(at[2] / 10);
}

static void bend_free(struct augment_warp *warp)
{
    memory_free(warp);
}

static enum status bend_draw(void *context, struct augment_warp **ret, const struct dataset_case *item, double share,
                             struct rng rng, struct error *error)
{
    (void)error;
    CHECK(share > 0 && share <= 1);
    __atomic_fetch_add((int64_t *)context, 1, __ATOMIC_RELAXED);
    *ret = NULL;
    if (strcmp(item->name, "s1") == 0)
        return STATUS_OK;
    struct bend *bend = memory_alloc(1, sizeof *bend);
    *bend = (struct bend){{bend_place, bend_free}, share * rng_uniform(&rng, 20, 30)};
    *ret = &bend->base;
    return STATUS_OK;
}

static struct loader_config loader_config_of(int sampler, const char *augment)
{
    struct loader_config config = {.set = set_path(),
                                   .defects = "configs/defects/mixed.yaml",
                                   .sampler = sampler,
                                   .patch_vox = {24, 26, 21},
                                   .patches_per_skull = 3,
                                   .defect_ratio = 0.5,
                                   .workers = 1,
                                   .queue = 2};
    if (augment)
        config.augment = config_of(augment);
    config.warp = (struct loader_warp){.draw = bend_draw, .context = &bends};
    return config;
}

enum { STEPS = 36, PATCH = 24 * 26 * 21 };

static void run(uint64_t hashes[STEPS], struct loader_position positions[STEPS], const struct loader_config *config,
                enum dataset_split split, struct loader_position start)
{
    struct error error = {0};
    float *src = memory_alloc(PATCH, 2 * sizeof *src);
    struct loader *loader = NULL;
    CHECK_OK(loader_new(&loader, config, TASK_COMPLETION, split, 5, start, &error), &error);
    for (int i = 0; i < STEPS; i++) {
        CHECK_OK(loader_next(loader, 1, src, src + PATCH, NULL, &positions[i], &error), &error);
        hashes[i] = XXH64(src, PATCH * 2 * sizeof *src, 0);
    }
    loader_free(loader);
    memory_free(src);
}

static void test_off(void)
{
    for (int sampler = SAMPLER_GRID; sampler <= SAMPLER_WHOLE; sampler++) {
        uint64_t plain[STEPS], off[STEPS], on[STEPS];
        struct loader_position positions[STEPS];
        const struct loader_position zero = {0};
        struct loader_config config = loader_config_of(sampler, NULL);
        run(plain, positions, &config, SPLIT_TRAIN, zero);
        config = loader_config_of(sampler, "{}");
        run(off, positions, &config, SPLIT_TRAIN, zero);
        CHECK(memcmp(plain, off, sizeof plain) == 0);
        config = loader_config_of(sampler, everything);
        run(on, positions, &config, SPLIT_TRAIN, zero);
        CHECK(memcmp(plain, on, sizeof plain) != 0);
        config = loader_config_of(sampler, NULL); /* what is validated on stays as it is */
        run(plain, positions, &config, SPLIT_VAL, zero);
        config = loader_config_of(sampler, everything);
        run(on, positions, &config, SPLIT_VAL, zero);
        CHECK(memcmp(plain, on, sizeof plain) == 0);
    }
}

/* A warp alone: the skull that has none stays as it is, to the bit; the others do not. Without a model it is an error.
 */
static void test_warp(void)
{
    struct error error = {0};
    const struct loader_position zero = {0};
    struct loader_config config = loader_config_of(SAMPLER_RANDOM, NULL), none;
    uint64_t plain[STEPS], warped[STEPS];
    struct loader_position positions[STEPS];
    int64_t same = 0;
    bends = 0;
    run(plain, positions, &config, SPLIT_TRAIN, zero);
    CHECK_INT(bends, 0);
    config = loader_config_of(SAMPLER_RANDOM, "{warp_shape: 1, warp_model: a.h5}");
    run(warped, positions, &config, SPLIT_TRAIN, zero);
    CHECK(bends >= STEPS / 3);
    for (int i = 0; i < STEPS; i++)
        same += plain[i] == warped[i];
    CHECK_INT(same, STEPS / 3);

    struct loader *loader = NULL;
    float *src = memory_alloc(PATCH, 2 * sizeof *src);
    none = config;
    none.warp.draw = NULL;
    CHECK_OK(loader_new(&loader, &none, TASK_COMPLETION, SPLIT_TRAIN, 5, zero, &error), &error);
    CHECK_FAILS(loader_next(loader, 1, src, src + PATCH, NULL, &positions[0], &error), &error, STATUS_FAILED,
                "no model of heads");
    loader_free(loader);
    memory_free(src);
}

static void test_workers_and_resume(void)
{
    for (int sampler = SAMPLER_GRID; sampler <= SAMPLER_WHOLE; sampler++) {
        uint64_t hashes[3][STEPS], resumed[STEPS];
        struct loader_position positions[STEPS], after[STEPS];
        struct loader_config config = loader_config_of(sampler, everything);
        for (int w = 0; w < 3; w++) {
            config.workers = 1 + 2 * w;
            config.queue = 5 - w;
            run(hashes[w], positions, &config, SPLIT_TRAIN, (struct loader_position){0});
            CHECK(memcmp(hashes[0], hashes[w], sizeof hashes[0]) == 0);
        }
        for (int i = 0; i < STEPS - 1; i += 7) {
            run(resumed, after, &config, SPLIT_TRAIN, positions[i]);
            CHECK(memcmp(resumed, hashes[0] + i + 1, (size_t)(STEPS - 1 - i) * sizeof *resumed) == 0);
        }
    }
}

/* Completion's target is source and implant together, disjoint; values 0 or 1 (whole: shares); defect: missing bone is
 * found when asked for. */
static void test_invariants(void)
{
    float *a = memory_alloc(PATCH, 4 * sizeof *a), *whole = a + PATCH, *b = a + 2 * PATCH, *implant = a + 3 * PATCH;

    for (int sampler = SAMPLER_GRID; sampler <= SAMPLER_WHOLE; sampler++) {
        struct error error = {0};
        struct loader_config config = loader_config_of(sampler, everything);
        struct loader *completion = NULL, *direct = NULL;
        struct loader_position position;
        int64_t wrong = 0, defects = 0, bone = 0;
        config.defect_ratio = 1;
        config.augment.crop =
            sampler == SAMPLER_DEFECT ? 0 : config.augment.crop; /* else the defect may be out of view */
        CHECK_OK(loader_new(&completion, &config, TASK_COMPLETION, SPLIT_TRAIN, 5, (struct loader_position){0}, &error),
                 &error);
        CHECK_OK(loader_new(&direct, &config, TASK_IMPLANT, SPLIT_TRAIN, 5, (struct loader_position){0}, &error),
                 &error);
        for (int i = 0; i < STEPS; i++) {
            CHECK_OK(loader_next(completion, 1, a, whole, NULL, &position, &error), &error);
            CHECK_OK(loader_next(direct, 1, b, implant, NULL, &position, &error), &error);
            bool missing = false;
            for (int64_t v = 0; v < PATCH; v++) {
                if (sampler == SAMPLER_WHOLE)
                    wrong += a[v] != b[v] || fabsf(whole[v] - a[v] - implant[v]) > 1e-6F ||
                             !(a[v] >= 0 && implant[v] >= 0 && whole[v] <= 1.000001F);
                else
                    wrong += a[v] != b[v] || whole[v] != a[v] + implant[v] || (whole[v] != 0 && whole[v] != 1);
                missing |= implant[v] > 0;
                bone += whole[v] > 0;
            }
            defects += missing;
        }
        CHECK_INT(wrong, 0);
        CHECK(bone > STEPS * 100);
        CHECK(sampler == SAMPLER_DEFECT ? defects == STEPS : defects > 0);
        loader_free(completion);
        loader_free(direct);
    }

    memory_free(a);
}

/* Each failing allocation is an error, and nothing hangs or leaks. */
static void test_no_memory(void)
{
    struct loader_config config = loader_config_of(SAMPLER_DEFECT, everything);
    float *src = memory_alloc(PATCH, 2 * sizeof *src);
    int failed = 0;

    for (int64_t nth = 1; nth < 130; nth++) {
        struct error error = {0};
        struct loader *loader;
        struct loader_position position;
        memory_fail_at(nth);
        enum status status =
            loader_new(&loader, &config, TASK_IMPLANT, SPLIT_TRAIN, 1, (struct loader_position){0}, &error);
        if (!status) {
            for (int i = 0; !status && i < 4; i++)
                status = loader_next(loader, 1, src, src + PATCH, NULL, &position, &error);
            loader_free(loader);
        }
        memory_fail_at(0);
        CHECK(status == STATUS_OK || error.length > 0);
        failed += status != STATUS_OK;
    }

    CHECK(failed > 10);
    memory_free(src);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"identity", test_identity},
                                       {"flips", test_flips},
                                       {"rotation", test_rotation},
                                       {"scale", test_scale},
                                       {"elastic", test_elastic},
                                       {"slices_and_crop", test_slices_and_crop},
                                       {"noise", test_noise},
                                       {"bad_keys", test_bad_keys},
                                       {"off", test_off},
                                       {"warp", test_warp},
                                       {"workers_and_resume", test_workers_and_resume},
                                       {"invariants", test_invariants},
                                       {"no_memory", test_no_memory},
                                       {0}};
    log_set_level(LOG_QUIET);
    return check_main(argc, argv, tests);
}
