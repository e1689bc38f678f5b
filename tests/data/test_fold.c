/* test_fold.c - folds: every head is held out once, scans of one head together, test heads never; the same for a seed.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "data/dataset/fold.h"
#include "data/volume/formats.h"
#include "tests/check.h"

/* a and b are scans of one head by their group, c and d by their voxels; t is for testing. */
static const char split[] = "a\ttrain\tone\nb\ttrain\tone\nc\tval\nd\tval\ne\ttrain\nf\ttrain\ng\tval\nh\ttrain\n"
                            "i\ttrain\nt\ttest\n";
enum { N_CASES = 10, N_TEST = 1, N_HEADS = 7 };

static const char *fold_set(void)
{
    static const char *set;
    struct error error = {0};
    const struct pack_config config = {.split_frac = {1, 0, 0}, .seed = 1, .split_file = check_path("split.tsv")};
    if (set)
        return set;
    if (!CHECK_OK(file_make_folders(check_path("heads"), &error), &error) ||
        !CHECK_OK(file_write(config.split_file, split, strlen(split), &error), &error))
        return NULL;
    for (int i = 0; i < N_CASES; i++) {
        struct volume volume;
        const int64_t dim[3] = {12, 12, 12};
        const struct grid grid = grid_make(dim, (const double[3]){1, 1, 1});
        char name[32];
        snprintf(name, sizeof name, "heads/%c.nii.gz", i + 1 < N_CASES ? 'a' + i : 't');
        if (!CHECK_OK(volume_new(&volume, &grid, VOXEL_U8, &error), &error))
            return NULL;
        memset(volume.data, 1, (size_t)(i == 3 ? 202 : 200 + i)); /* d has the voxels of c */
        CHECK_OK(volume_write(check_path(name), &volume, &error), &error);
        volume_done(&volume);
    }
    if (CHECK_OK(dataset_pack(check_path("heads"), check_path("set.h5"), &config, &error), &error))
        set = check_path("set.h5");
    return set;
}

static void test_held_out_once(void)
{
    struct error error = {0};
    int held[N_CASES] = {0};
    enum { FOLDS = 3 };
    for (int64_t f = 1; f <= FOLDS; f++) {
        struct dataset *set;
        int64_t n = 0;
        const struct fold fold = {.number = FOLDS, .held_out = f, .seed = 1};
        if (!fold_set() || !CHECK_OK(dataset_open_fold(&set, fold_set(), &fold, &error), &error))
            return;
        for (int64_t i = 0; i < N_CASES; i++) {
            const struct dataset_case *item = dataset_case(set, i);
            held[i] += item->split == SPLIT_VAL;
            n += item->split == SPLIT_VAL;
            CHECK((item->split == SPLIT_TEST) == (strcmp(item->name, "t") == 0));
        }
        CHECK(n >= 2 && n <= 4); /* 9 cases in 3 folds, heads of 1, 2 and 2 */
        CHECK_INT(dataset_case(set, 0)->split, dataset_case(set, 1)->split);
        CHECK_INT(dataset_case(set, 2)->split, dataset_case(set, 3)->split);
        dataset_close(set);
    }
    for (int i = 0; i < N_CASES; i++)
        CHECK_INT(held[i], i + 1 < N_CASES);
}

static uint64_t hash_of(int64_t number, int64_t held_out, int64_t seed)
{
    struct error error = {0};
    struct dataset *set;
    const struct fold fold = {.number = number, .held_out = held_out, .seed = seed};
    if (!CHECK_OK(dataset_open_fold(&set, fold_set(), &fold, &error), &error))
        return 0;
    const uint64_t hash = dataset_hash(set);
    dataset_close(set);
    return hash;
}

static void test_same_for_a_seed(void)
{
    if (!fold_set())
        return;
    CHECK(hash_of(3, 1, 1) == hash_of(3, 1, 1));
    CHECK(hash_of(3, 1, 1) != hash_of(3, 2, 1));
    CHECK(hash_of(3, 1, 1) != hash_of(3, 1, 2) || hash_of(3, 2, 1) != hash_of(3, 2, 2));
    CHECK(hash_of(0, 0, 1) != hash_of(3, 1, 1));
    CHECK(hash_of(3, 0, 1) == hash_of(5, 0, 2)); /* none held out: whatever the folds */
}

static void test_refuses(void)
{
    struct error one = {0}, past = {0}, many = {0}, absent = {0};
    struct dataset *set;
    if (!fold_set())
        return;
    CHECK_FAILS(dataset_open_fold(&set, fold_set(), &(struct fold){.number = 1, .held_out = 1}, &one), &one,
                STATUS_USAGE, "2 folds or more");
    CHECK_FAILS(dataset_open_fold(&set, fold_set(), &(struct fold){.number = 3, .held_out = 4}, &past), &past,
                STATUS_USAGE, "4 of data.folds.number: 3");
    CHECK_FAILS(dataset_open_fold(&set, fold_set(), &(struct fold){.number = 8, .held_out = 1}, &many), &many,
                STATUS_USAGE, "holds 7 heads");
    CHECK_FAILS(dataset_open_fold(&set, check_path("absent.h5"), &(struct fold){.number = 3}, &absent), &absent,
                STATUS_FAILED, "no such file");
    CHECK_INT(N_HEADS, 7);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"held_out_once", test_held_out_once},
                                       {"same_for_a_seed", test_same_for_a_seed},
                                       {"refuses", test_refuses},
                                       {0}};
    log_set_level(LOG_QUIET);
    return check_main(argc, argv, tests);
}
