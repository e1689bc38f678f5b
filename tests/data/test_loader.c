/* Training pairs: the same batches for any number of workers and after a resume, and the right voxels in each. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/log.h"
#include "base/memory.h"
#include "data/mask/distance.h"
#include "data/sample/loader.h"
#include "skulls.h"
#include "tests/check.h"

static const int64_t dims[4][3] = {{48, 50, 45}, {40, 64, 30}, {52, 44, 60}, {33, 35, 37}};
static const double mm[3] = {4, 4, 4};
static const int64_t lo[3] = {10, 10, 20}, hi[3] = {30, 30, 30};

/* Four skulls of different sizes, one defect each; three to train on. */
static const char *set_path(void)
{
    static bool made;
    struct error error = {0};
    if (made)
        return check_path("set.h5");

    for (int kind = 0; kind < 4; kind++) {
        struct volume skull, implant;
        char file[32];
        skull_make(&skull, dims[kind], mm, kind);
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

static struct loader_config base_config(int sampler, int64_t patch)
{
    return (struct loader_config){.set = set_path(),
                                  .defects = "configs/defects/mixed.yaml",
                                  .sampler = sampler,
                                  .patch_vox = {patch, patch + 2, patch - 3},
                                  .patches_per_skull = 3,
                                  .defect_ratio = 0.5,
                                  .workers = 1,
                                  .queue = 2};
}

static struct loader *loader_of(const struct loader_config *config, enum task task, struct loader_position start)
{
    struct error error = {0};
    struct loader *loader = NULL;
    CHECK_OK(loader_new(&loader, config, task, SPLIT_TRAIN, 5, start, &error), &error);
    return loader;
}

enum { STEPS = 40 };

/* Hashes of STEPS batches from a position, and the positions after each. */
static void run(uint64_t hashes[STEPS], struct loader_position positions[STEPS], const struct loader_config *config,
                int64_t batch, struct loader_position start, int n)
{
    struct error error = {0};
    const int64_t size = batch * config->patch_vox[0] * config->patch_vox[1] * config->patch_vox[2];
    float *src = memory_alloc((size_t)size, 2 * sizeof *src), *target = src + size;
    struct loader *loader = loader_of(config, TASK_COMPLETION, start);
    for (int i = 0; i < n; i++) {
        CHECK_OK(loader_next(loader, batch, src, target, NULL, &positions[i], &error), &error);
        hashes[i] = XXH64(src, (size_t)size * 2 * sizeof *src, 0);
    }
    loader_free(loader);
    memory_free(src);
}

static void test_workers(void)
{
    const int64_t workers[] = {1, 3, 5}, queues[] = {2, 4, 1};

    for (int sampler = SAMPLER_GRID; sampler <= SAMPLER_WHOLE; sampler++) {
        uint64_t hashes[3][STEPS];
        struct loader_position positions[STEPS];
        for (int w = 0; w < 3; w++) {
            struct loader_config config = base_config(sampler, 24);
            config.workers = workers[w];
            config.queue = queues[w];
            run(hashes[w], positions, &config, 2, (struct loader_position){0}, STEPS);
        }
        CHECK(memcmp(hashes[0], hashes[1], sizeof hashes[0]) == 0);
        CHECK(memcmp(hashes[0], hashes[2], sizeof hashes[0]) == 0);
        int distinct = 0;
        for (int i = 1; i < STEPS; i++)
            distinct += hashes[0][i] != hashes[0][i - 1];
        CHECK(distinct > STEPS * 3 / 4);
    }
}

/* From every position on, the same batches as without a stop. */
static void test_resume(void)
{
    for (int sampler = SAMPLER_GRID; sampler <= SAMPLER_DEFECT; sampler++) {
        uint64_t straight[STEPS], resumed[STEPS];
        struct loader_position positions[STEPS], after[STEPS];
        struct loader_config config = base_config(sampler, 24);
        config.workers = 2;
        run(straight, positions, &config, 1, (struct loader_position){0}, STEPS);
        for (int i = 0; i < STEPS - 1; i += 3) {
            run(resumed, after, &config, 1, positions[i], STEPS - 1 - i);
            CHECK(memcmp(resumed, straight + i + 1, (size_t)(STEPS - 1 - i) * sizeof *resumed) == 0);
            CHECK(memcmp(after, positions + i + 1, (size_t)(STEPS - 1 - i) * sizeof *after) == 0);
        }
        bool inside = false; /* some position was in the middle of a draw */
        for (int i = 0; i < STEPS; i++)
            inside |= positions[i].patch > 0;
        CHECK(inside);
    }
}

/* Each epoch draws every skull once. The stored defects identify the skulls by size. */
/* Three loaders that share a sequence give, in turns, the patches of one that has it alone, at the same positions, also
 * from the middle on. */
static void test_shares(void)
{
    enum { SHARES = 3, BATCH = 2 };
    struct error error = {0};
    struct loader_config config = base_config(SAMPLER_DEFECT, 16);
    config.patches_per_skull = 4;
    const int64_t n = config.patch_vox[0] * config.patch_vox[1] * config.patch_vox[2], all = BATCH * SHARES * n;
    float *src = memory_alloc((size_t)all, 4 * sizeof *src), *target = src + all, *part = target + all,
          *part_target = part + all;
    struct loader_position position = {0}, shared = {0}, start = {0};

    for (int round = 0; round < 2; round++) {
        struct loader *alone = loader_of(&config, TASK_COMPLETION, start), *sharing[SHARES];
        for (int r = 0; r < SHARES; r++) {
            struct loader_config one = config;
            one.share = r;
            one.shares = SHARES;
            one.workers = 1 + r;
            sharing[r] = loader_of(&one, TASK_COMPLETION, start);
        }
        for (int i = 0; i < 5; i++) {
            CHECK_OK(loader_next(alone, BATCH * SHARES, src, target, NULL, &position, &error), &error);
            for (int r = 0; r < SHARES; r++) {
                CHECK_OK(loader_next(sharing[r], BATCH, part, part_target, NULL, &shared, &error), &error);
                CHECK(shared.sample == position.sample && shared.patch == position.patch);
                for (int b = 0; b < BATCH; b++) {
                    CHECK(memcmp(part + b * n, src + (b * SHARES + r) * n, (size_t)n * sizeof *src) == 0);
                    CHECK(memcmp(part_target + b * n, target + (b * SHARES + r) * n, (size_t)n * sizeof *src) == 0);
                }
                CHECK(memcmp(part, part + n, (size_t)n * sizeof *part) !=
                      0); /* patches that differ: the comparison can fail */
            }
        }
        CHECK(round > 0 || position.patch > 0); /* goes on inside a drawn skull */
        start = position;
        loader_free(alone);
        for (int r = 0; r < SHARES; r++)
            loader_free(sharing[r]);
    }

    memory_free(src);
}

static void test_epochs(void)
{
    struct error error = {0};
    struct loader_config config = base_config(SAMPLER_WHOLE, 24);

    config.defects = NULL;
    const int64_t n = 24 * 26 * 21;
    float *src = memory_alloc((size_t)n, 2 * sizeof *src);
    uint64_t seen[24];
    struct loader_position position;
    struct loader *loader = loader_of(&config, TASK_IMPLANT, (struct loader_position){0});

    for (int i = 0; i < 24; i++) {
        CHECK_OK(loader_next(loader, 1, src, src + n, NULL, &position, &error), &error);
        seen[i] = XXH64(src, (size_t)n * sizeof *src, 0);
        CHECK_INT(position.sample, i + 1);
    }

    int orders = 0;

    for (int epoch = 0; epoch < 8; epoch++) {
        const uint64_t *e = seen + (ptrdiff_t)3 * epoch;
        CHECK(e[0] != e[1] && e[1] != e[2] && e[0] != e[2]);
        CHECK(e[0] + e[1] + e[2] == seen[0] + seen[1] + seen[2]);
        orders += memcmp(e, seen, 3 * sizeof *e) != 0;
    }

    CHECK(orders >= 3);
    loader_free(loader);
    memory_free(src);
}

/* The tiles of the grid put together again are the skull, and target minus source is the stored implant. */
static void test_grid_coverage(void)
{
    const int64_t patches[] = {16, 25, 70}, tops[] = {0, 20};
    struct error error = {0};
    struct dataset *set;

    CHECK_OK(dataset_open(&set, set_path(), &error), &error);

    for (int k = 0; k < 6; k++) {
        struct loader_config config = base_config(SAMPLER_GRID, patches[k % 3]);
        config.defects = NULL;
        config.top_vox = tops[k / 3];
        const int64_t *p = config.patch_vox, n = p[0] * p[1] * p[2];
        float *src = memory_alloc((size_t)n, 2 * sizeof *src), *target = src + n;
        struct loader *loader = NULL;
        struct volume skull, implant;
        CHECK_OK(loader_new(&loader, &config, TASK_COMPLETION, SPLIT_VAL, 1, (struct loader_position){0}, &error),
                 &error);
        CHECK_OK(dataset_read_skull(&skull, set, 3, &error), &error);
        CHECK_OK(dataset_read_implant(&implant, set, 3, 0, &error), &error);
        const int64_t *dim = dims[3], first = config.top_vox ? dim[2] - config.top_vox : 0,
                      size[3] = {dim[0], dim[1], dim[2] - first};
        uint8_t *seen = memory_zalloc((size_t)(dim[0] * dim[1] * dim[2]), 1);
        int64_t wrong = 0, tiles[3], start[3];
        for (int a = 0; a < 3; a++)
            tiles[a] = (size[a] + p[a] - 1) / p[a];
        for (int64_t t = 0; t < tiles[0] * tiles[1] * tiles[2]; t++) {
            struct loader_position position;
            CHECK_OK(loader_next(loader, 1, src, target, NULL, &position, &error), &error);
            const int64_t tile[3] = {t / tiles[2] / tiles[1], t / tiles[2] % tiles[1], t % tiles[2]};
            for (int a = 0; a < 3; a++) {
                start[a] = tile[a] * p[a] + p[a] > size[a] ? size[a] - p[a] : tile[a] * p[a];
                start[a] = (start[a] < 0 ? 0 : start[a]) + (a == 2 ? first : 0);
            }
            for (int64_t v = 0; v < n; v++) {
                const int64_t x = start[0] + v % p[0], y = start[1] + v / p[0] % p[1], z = start[2] + v / p[0] / p[1];
                const bool inside = x < dim[0] && y < dim[1] && z < dim[2];
                const int64_t i = inside ? (z * dim[1] + y) * dim[0] + x : 0;
                const int bone = inside && ((uint8_t *)skull.data)[i], missing = inside && ((uint8_t *)implant.data)[i];
                wrong += target[v] != (float)bone || src[v] != (float)(bone - missing);
                if (inside)
                    seen[i] = 1;
            }
            CHECK(t + 1 < tiles[0] * tiles[1] * tiles[2] ? position.patch == t + 1
                                                         : position.sample == 1 && position.patch == 0);
        }
        CHECK_INT(wrong, 0);
        CHECK_INT(mask_count(seen, dim[0] * dim[1] * dim[2]), size[0] * size[1] * size[2]);
        volume_done(&skull);
        volume_done(&implant);
        memory_free(seen);
        memory_free(src);
        loader_free(loader);
    }

    dataset_close(set);
}

/* Pairs of both tasks: completion's target is source and implant together, disjoint; values 0 or 1. */
static void test_tasks(void)
{
    struct error error = {0};
    struct loader_config config = base_config(SAMPLER_DEFECT, 24);

    config.defect_ratio = 1;
    const int64_t n = 24 * 26 * 21;
    float *a = memory_alloc((size_t)n, 4 * sizeof *a), *whole = a + n, *b = a + 2 * n, *implant = a + 3 * n;
    struct loader *completion = loader_of(&config, TASK_COMPLETION, (struct loader_position){0});
    struct loader *direct = loader_of(&config, TASK_IMPLANT, (struct loader_position){0});
    struct loader_position position;
    int64_t wrong = 0, defects = 0;

    for (int i = 0; i < 30; i++) {
        CHECK_OK(loader_next(completion, 1, a, whole, NULL, &position, &error), &error);
        CHECK_OK(loader_next(direct, 1, b, implant, NULL, &position, &error), &error);
        double missing = 0;
        for (int64_t v = 0; v < n; v++) {
            wrong += a[v] != b[v] || whole[v] != a[v] + implant[v] || (whole[v] != 0 && whole[v] != 1);
            missing += (double)implant[v];
        }
        defects += missing > 0;
    }

    CHECK_INT(wrong, 0);
    CHECK_INT(defects, 30); /* ratio 1: each patch is centred on a missing voxel */
    loader_free(completion);
    loader_free(direct);
    memory_free(a);
}

/* whole: bone is conserved by the resampling, and an equal size is taken as it is. */
static void test_whole(void)
{
    struct error error = {0};
    struct loader_config config = base_config(SAMPLER_WHOLE, 24);
    const int64_t sizes[2][3] = {{33, 35, 37}, {20, 20, 18}};
    double bone[2], missing[2];

    config.defects = NULL;

    for (int k = 0; k < 2; k++) {
        memcpy(config.patch_vox, sizes[k], sizeof sizes[k]);
        const int64_t n = sizes[k][0] * sizes[k][1] * sizes[k][2];
        float *src = memory_alloc((size_t)n, 2 * sizeof *src), *target = src + n;
        struct loader *loader = NULL;
        struct loader_position position;
        CHECK_OK(loader_new(&loader, &config, TASK_IMPLANT, SPLIT_VAL, 1, (struct loader_position){0}, &error), &error);
        CHECK_OK(loader_next(loader, 1, src, target, NULL, &position, &error), &error);
        bone[k] = missing[k] = 0;
        int64_t soft = 0;
        for (int64_t v = 0; v < n; v++) {
            bone[k] += (double)src[v] / (double)n;
            missing[k] += (double)target[v] / (double)n;
            soft += src[v] > 0.01F && src[v] < 0.99F;
            CHECK(src[v] >= -1e-6F && src[v] + target[v] <= 1.00001F);
        }
        CHECK(k == 0 ? soft == 0 : soft > 100);
        loader_free(loader);
        memory_free(src);
    }

    CHECK_NEAR(bone[1] / bone[0], 1, 0.06);
    CHECK_NEAR(missing[1] / missing[0], 1, 0.12); /* a thin shell met by few sample points */
}

static void test_errors(void)
{
    struct error error = {0};
    struct loader *loader = NULL;
    struct loader_config config = base_config(SAMPLER_GRID, 24);
    const struct loader_position zero = {0}, beyond = {0, 100000}, negative = {-1, 0};

    CHECK_FAILS(loader_new(&loader, &config, TASK_IMPLANT, SPLIT_TEST, 1, zero, &error), &error, STATUS_FAILED,
                "the split 'test' holds no case");
    CHECK_FAILS(loader_new(&loader, &config, TASK_IMPLANT, SPLIT_TRAIN, 1, beyond, &error), &error, STATUS_FAILED,
                "no position");
    CHECK_FAILS(loader_new(&loader, &config, TASK_IMPLANT, SPLIT_TRAIN, 1, negative, &error), &error, STATUS_FAILED,
                "no position");
    config.defects = check_path("none.yaml");
    CHECK_FAILS(loader_new(&loader, &config, TASK_IMPLANT, SPLIT_TRAIN, 1, zero, &error), &error, STATUS_USAGE,
                "none.yaml");
    config.set = check_path("none.h5");
    CHECK_FAILS(loader_new(&loader, &config, TASK_IMPLANT, SPLIT_TRAIN, 1, zero, &error), &error, STATUS_FAILED,
                "none.h5");

    const struct pack_config all = {.split_frac = {1, 0, 0}}; /* healthy skulls, no generator */
    struct volume skull;
    skull_make(&skull, dims[0], mm, 0);
    volume_put("healthy", "h.nrrd", &skull);
    volume_done(&skull);
    error = (struct error){0};
    CHECK_OK(dataset_pack(check_path("healthy"), check_path("healthy.h5"), &all, &error), &error);
    config.set = check_path("healthy.h5");
    config.defects = NULL;
    CHECK_FAILS(loader_new(&loader, &config, TASK_IMPLANT, SPLIT_TRAIN, 1, zero, &error), &error, STATUS_FAILED,
                "'h' holds no defect");

    /* a worker's error reaches the caller, at each call */
    text_put(check_path("impossible.yaml"), "max_tries: 3\ndefects: [{type: cube, min_volume_ml: 2000}]\n");
    config.defects = check_path("impossible.yaml");
    config.workers = 3;
    error = (struct error){0};
    CHECK_OK(loader_new(&loader, &config, TASK_IMPLANT, SPLIT_TRAIN, 1, zero, &error), &error);
    float *src = memory_alloc(24 * 26 * 21, 2 * sizeof *src);
    struct loader_position position;

    for (int i = 0; i < 2; i++) {
        CHECK_FAILS(loader_next(loader, 1, src, src + 24 * 26 * 21, NULL, &position, &error), &error, STATUS_FAILED,
                    "none of 3 draws");
        CHECK_CONTAINS(error.text, "case 'h'");
    }

    loader_free(loader);
    memory_free(src);
}

/* Each failing allocation is an error of loader_new or loader_next, and nothing hangs or leaks. */
static void test_no_memory(void)
{
    struct loader_config config = base_config(SAMPLER_DEFECT, 24);
    const int64_t n = 24 * 26 * 21;
    float *src = memory_alloc((size_t)n, 2 * sizeof *src);
    int failed = 0;

    for (int64_t nth = 1; nth < 120; nth++) {
        struct error error = {0};
        struct loader *loader;
        struct loader_position position;
        memory_fail_at(nth);
        enum status status =
            loader_new(&loader, &config, TASK_IMPLANT, SPLIT_TRAIN, 1, (struct loader_position){0}, &error);
        if (!status) {
            for (int i = 0; !status && i < 4; i++)
                status = loader_next(loader, 1, src, src + n, NULL, &position, &error);
            loader_free(loader);
        }
        memory_fail_at(0);
        CHECK(status == STATUS_OK || error.length > 0);
        failed += status != STATUS_OK;
    }

    CHECK(failed > 10);
    memory_free(src);
}

/* The distances given with the targets are those of the targets, whichever way these were made, also from the middle
 * of a draw. */
static void test_distance(void)
{
    enum { N = 24 * 26 * 21 };
    struct error error = {0};
    float *src = memory_alloc(N, 4 * sizeof *src), *target = src + N, *distance = target + N, *expected = distance + N;
    uint8_t *mask = memory_alloc(N, 1);
    struct loader_position position;

    for (int k = 0; k < 4; k++) {
        const enum task task = k % 2 ? TASK_IMPLANT : TASK_COMPLETION;
        struct loader_config config = base_config(k / 2 ? SAMPLER_WHOLE : SAMPLER_DEFECT, 24);
        const struct loader_position start = {.sample = 1, .patch = k / 2 ? 0 : 1};
        int n_near = 0;
        config.distance = true;
        struct loader *loader = loader_of(&config, task, start);
        for (int i = 0; i < 5; i++) {
            CHECK_OK(loader_next(loader, 1, src, target, distance, &position, &error), &error);
            for (int64_t v = 0; v < N; v++) {
                mask[v] = target[v] > 0.5F;
                n_near += distance[v] > 0 && distance[v] < 3;
            }
            CHECK_OK(distance_signed(expected, mask, config.patch_vox, &error), &error);
            CHECK(memcmp(distance, expected, N * sizeof *distance) == 0);
        }
        CHECK(n_near > 0);
        loader_free(loader);
    }

    memory_free(mask);
    memory_free(src);
}

/* ---- patches at another spacing, and a prior ---- */

/* The crop itself: at the loader's own spacing the second channel is then the first. */
static enum status predict_itself(void *context, const float *src, float *p, struct error *error)
{
    int64_t *n_asked = context;
    (void)error;
    ++*n_asked;
    memcpy(p, src, 60 * 62 * 64 * sizeof *p);
    return STATUS_OK;
}

static struct loader_config soft_config(int sampler, int64_t *n_asked)
{
    struct loader_config config = base_config(sampler, 24);
    config.spacing_mm = 5;
    config.prior = (struct loader_prior){
        .spacing_mm = 5, .patch_vox = {60, 62, 64}, .predict = predict_itself, .context = n_asked};
    return config;
}

/* A field that is the defective skull itself, and its half as the second channel. */
static enum status field_itself(void *context, struct prior_field *ret, const struct dataset_case *item,
                                const struct volume *defective, struct error *error)
{
    const int64_t n = grid_voxels(&defective->grid);
    *ret = (struct prior_field){.box = box_of_grid(&item->grid), .channels = 2};
    ret->value = memory_alloc((size_t)n, 2 * sizeof *ret->value);
    if (!ret->value)
        return error_memory(error, (size_t)n, "a field");
    for (int64_t v = 0; v < n; v++) {
        ret->value[v] = ((const uint8_t *)defective->data)[v];
        ret->value[n + v] = 0.5F * ret->value[v];
    }
    __atomic_fetch_add((int64_t *)context, 1, __ATOMIC_RELAXED);
    return STATUS_OK;
}

/* A field moves with the bone: under every augmentation it is the skull, at voxels as fine as the skull's. */
static void test_field(void)
{
    struct error error = {0};
    int64_t n_asked = 0, between = 0;
    struct loader_config config = soft_config(SAMPLER_RANDOM, &n_asked);
    config.spacing_mm = 4; /* as the skulls have it: one sample a voxel */
    config.workers = 2;
    config.augment = (struct augment_config){.probability = 1,
                                             .flip_x = 0.5,
                                             .rotate_deg = {10, 10, 10},
                                             .scale = {0.95, 1.05},
                                             .elastic_mm = 2,
                                             .elastic_grid_mm = 32};
    config.prior = (struct loader_prior){.field = field_itself, .field_channels = 2, .context = &n_asked};
    CHECK_INT(loader_prior_channels(&config.prior), 2);
    struct loader *loader = loader_of(&config, TASK_IMPLANT, (struct loader_position){0});
    const int64_t n = config.patch_vox[0] * config.patch_vox[1] * config.patch_vox[2];
    float *src = memory_alloc((size_t)n, 4 * sizeof *src), *target = src + 3 * n;
    struct loader_position position;
    double worst = 0, worst_half = 0;
    for (int i = 0; i < 12; i++) {
        CHECK_OK(loader_next(loader, 1, src, target, NULL, &position, &error), &error);
        for (int64_t v = 0; v < n; v++) {
            between += src[v] > 0.01F && src[v] < 0.99F;
            worst = fmax(worst, fabs((double)(src[v] - src[n + v])));
            worst_half = fmax(worst_half, fabs((double)(src[n + v] - 2 * src[2 * n + v])));
        }
    }
    CHECK(between > 100);
    CHECK_NEAR(worst, 0, 1e-5);
    CHECK_NEAR(worst_half, 0, 1e-5);
    loader_free(loader); /* its workers ask for fields until then */
    CHECK(n_asked >= 4);
    memory_free(src);
}

/* Shares in [0, 1]; what is missing is not there; the coarse prediction stands where its voxels are; computed once for
 * each skull. */
static void test_spacing(void)
{
    struct error error = {0};

    for (int sampler = SAMPLER_RANDOM; sampler <= SAMPLER_WHOLE; sampler++) {
        int64_t n_asked = 0, between = 0, missing = 0;
        struct loader_config config = soft_config(sampler, &n_asked);
        struct loader *loader = loader_of(&config, TASK_IMPLANT, (struct loader_position){0});
        const int64_t n = 24 * 26 * 21;
        float *src = memory_alloc((size_t)n, 3 * sizeof *src), *target = src + 2 * n;
        struct loader_position position;
        double worst = 0;
        for (int i = 0; i < 12; i++) {
            CHECK_OK(loader_next(loader, 1, src, target, NULL, &position, &error), &error);
            for (int64_t v = 0; v < n; v++) {
                CHECK(src[v] >= -1e-6F && target[v] >= 0 && src[v] + target[v] <= 1 + 1e-5F);
                between += src[v] > 0.01F && src[v] < 0.99F;
                missing += target[v] > 0.5F;
                worst = fmax(worst, fabs((double)(src[v] - src[n + v])));
            }
        }
        CHECK(between > 100);
        CHECK(missing > 100);
        CHECK_NEAR(worst, 0, 1e-5);
        CHECK_INT(n_asked, sampler == SAMPLER_WHOLE ? 12 : 4);
        loader_free(loader);
        memory_free(src);
    }
}

/* crop_top_mm: the crop ends higher on the same skull: its slices are those of the other, shifted, and nothing is
 * above. */
static void test_frame_up(void)
{
    struct error error = {0};
    int64_t n_asked = 0, slices = 2, wrong = 0, bone = 0;
    struct loader_config config = soft_config(SAMPLER_WHOLE, &n_asked), higher = config;

    higher.augment = (struct augment_config){.probability = 1, .scale = {1, 1}};
    higher.augment.crop_top_mm[0] = higher.augment.crop_top_mm[1] =
        12; /* two voxels of 5 mm, and no voxel of the implant is left */
    struct loader *at_rest = loader_of(&config, TASK_IMPLANT, (struct loader_position){0});
    struct loader *shifted = loader_of(&higher, TASK_IMPLANT, (struct loader_position){0});
    const int64_t slice = 24 * 26, n = slice * 21;
    float *src = memory_alloc((size_t)n, 6 * sizeof *src), *up = src + 3 * n;
    struct loader_position position;

    for (int i = 0; i < 4; i++) {
        CHECK_OK(loader_next(at_rest, 1, src, src + 2 * n, NULL, &position, &error), &error);
        CHECK_OK(loader_next(shifted, 1, up, up + 2 * n, NULL, &position, &error), &error);
        for (int channel = 0; channel < 3; channel += 2) /* the skull and what is missing */
            for (int64_t v = 0; v < n - slices * slice; v++) {
                wrong += up[channel * n + v] != src[channel * n + v + slices * slice];
                bone += up[channel * n + v] > 0.5F;
            }
        for (int64_t v = n - slices * slice; v < n; v++)
            wrong += up[v] > 0.25F;
    }

    CHECK_INT(wrong, 0);
    CHECK(bone > 100);
    loader_free(at_rest);
    loader_free(shifted);
    memory_free(src);
}

/* One sequence for any number of workers, and from any position on. */
static void test_spacing_resumes(void)
{
    struct error error = {0};

    enum { STEPS_SOFT = 9 };
    const int64_t n = 24 * 26 * 21;
    float *src = memory_alloc((size_t)n, 3 * sizeof *src);
    uint64_t straight[STEPS_SOFT];
    struct loader_position positions[STEPS_SOFT], position;

    for (int from = -1; from < STEPS_SOFT - 1; from += 2) {
        int64_t n_asked = 0;
        struct loader_config config = soft_config(SAMPLER_DEFECT, &n_asked);
        config.workers = from < 0 ? 1 : 3;
        config.augment =
            (struct augment_config){.probability = 1, .flip_x = 0.5, .rotate_deg = {15, 5, 5}, .scale = {0.9, 1.1}};
        config.healthy_frac = 0.3;
        struct loader *loader =
            loader_of(&config, TASK_IMPLANT, from < 0 ? (struct loader_position){0} : positions[from]);
        for (int i = from + 1; i < STEPS_SOFT; i++) {
            CHECK_OK(loader_next(loader, 1, src, src + 2 * n, NULL, &position, &error), &error);
            const uint64_t hash = XXH64(src, (size_t)n * 3 * sizeof *src, 0);
            if (from < 0) {
                straight[i] = hash;
                positions[i] = position;
            }
            CHECK(hash == straight[i]);
        }
        loader_free(loader);
    }

    memory_free(src);
}

/* healthy_frac: nothing is missing. stored_frac: the implant of the set, not the generator's. */
static void test_kinds(void)
{
    struct error error = {0};
    struct loader_position position;
    struct loader_config config = base_config(SAMPLER_WHOLE, 24), stored = config;
    const int64_t n = 24 * 26 * 21;
    float *a = memory_alloc((size_t)n, 4 * sizeof *a), *b = a + 2 * n;

    config.healthy_frac = 1;
    struct loader *loader = loader_of(&config, TASK_IMPLANT, (struct loader_position){0});

    for (int i = 0; i < 6; i++) {
        CHECK_OK(loader_next(loader, 1, a, a + n, NULL, &position, &error), &error);
        for (int64_t v = 0; v < n; v++)
            CHECK(a[n + v] == 0);
    }

    loader_free(loader);
    config = stored;
    config.stored_frac = 1;
    stored.defects = NULL;
    struct loader *mixed = loader_of(&config, TASK_IMPLANT, (struct loader_position){0});
    struct loader *own = loader_of(&stored, TASK_IMPLANT, (struct loader_position){0});

    for (int i = 0; i < 6; i++) {
        CHECK_OK(loader_next(mixed, 1, a, a + n, NULL, &position, &error), &error);
        CHECK_OK(loader_next(own, 1, b, b + n, NULL, &position, &error), &error);
        CHECK(memcmp(a, b, (size_t)n * 2 * sizeof *a) == 0);
    }

    loader_free(mixed);
    loader_free(own);
    memory_free(a);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"workers", test_workers},
                                       {"resume", test_resume},
                                       {"shares", test_shares},
                                       {"epochs", test_epochs},
                                       {"grid_coverage", test_grid_coverage},
                                       {"tasks", test_tasks},
                                       {"distance", test_distance},
                                       {"whole", test_whole},
                                       {"field", test_field},
                                       {"spacing", test_spacing},
                                       {"frame_up", test_frame_up},
                                       {"spacing_resumes", test_spacing_resumes},
                                       {"kinds", test_kinds},
                                       {"errors", test_errors},
                                       {"no_memory", test_no_memory},
                                       {0}};

    log_set_level(LOG_QUIET);
    return check_main(argc, argv, tests);
}
