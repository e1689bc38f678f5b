/* Packing folders, reading, unpacking, checking. Hostile files: test_dataset_bad.c. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/dataset/dataset.h"
#include "data/dataset/layout.h"
#include "data/volume/formats.h"
#include "skulls.h"
#include "tests/check.h"

static const struct pack_config at_random = {.split_frac = {0.8, 0.1, 0.1}, .seed = 1};
static const int64_t dim[3] = {70, 66, 130}; /* off the chunks of 64 */
static const double mm[3] = {2, 2.5, 1};
static const int64_t lo[3] = {20, 20, 90}, hi[3] = {50, 45, 130}, lo2[3] = {0, 20, 40}, hi2[3] = {12, 50, 100};

/* The skull turned a little, so that its affine is oblique. */
static void skull_oblique(struct volume *ret, int kind)
{
    skull_make(ret, dim, mm, kind);
    const double turned[3][3] = {{1.96, 0.4, 0}, {-0.5, 2.44, 0.1}, {0, -0.04, 0.999}};
    memcpy(ret->grid.axis, turned, sizeof turned);
    ret->grid.origin[1] = -17.25;
}

static void put_triplet(const char *folder, const char *name, int kind, const char *ending, bool with_defective)
{
    struct volume skull, implant;
    char file[128];
    skull_oblique(&skull, kind);
    implant_make(&implant, &skull, lo, hi);
    snprintf(file, sizeof file, "%s_complete%s", name, ending);
    volume_put(folder, file, &skull);
    snprintf(file, sizeof file, "%s_implant%s", name, ending);
    volume_put(folder, file, &implant);
    mask_minus(&skull, &implant);
    snprintf(file, sizeof file, "%s_defective%s", name, ending);
    if (with_defective)
        volume_put(folder, file, &skull);
    volume_done(&skull);
    volume_done(&implant);
}

static struct dataset *packed(const char *folder, const char *name, const struct pack_config *config)
{
    struct error error = {0};
    struct dataset *set = NULL;
    CHECK_OK(dataset_pack(check_path(folder), check_path(name), config, &error), &error);
    CHECK_OK(dataset_open(&set, check_path(name), &error), &error);
    return set;
}

static void check_same(const struct volume *a, const struct volume *b)
{
    CHECK(grid_same(&a->grid, &b->grid, 1e-4));
    CHECK(memcmp(a->data, b->data, (size_t)grid_voxels(&a->grid)) == 0);
}

static void test_round_trip(void)
{
    struct error error = {0};
    struct volume skull, got, implant;
    const char *const endings[] = {".nrrd", ".nii.gz"}, *const folders[] = {"flat_nrrd", "flat_nifti"},
                      *const outs[] = {"out_nrrd", "out_nifti"};

    for (int e = 0; e < 2; e++) {
        char file[64];
        put_triplet(folders[e], "007", 0, endings[e], e == 0);
        put_triplet(folders[e], "head_two", 1, endings[e], true);
        struct dataset *set = packed(folders[e], "flat.h5", &at_random);
        CHECK_INT(dataset_n_cases(set), 2);
        CHECK_TEXT(dataset_case(set, 1)->name, "head_two");
        CHECK_INT(dataset_case(set, 0)->n_implants, 1);
        CHECK_TEXT(dataset_case(set, 0)->implant_names[0], "d00");
        skull_oblique(&skull, 0);
        implant_make(&implant, &skull, lo, hi);
        CHECK_OK(dataset_read_skull(&got, set, 0, &error), &error);
        check_same(&got, &skull);
        volume_done(&got);
        CHECK_OK(dataset_read_implant(&got, set, 0, 0, &error), &error);
        check_same(&got, &implant);
        volume_done(&got);
        const struct box box = box_of_mask(implant.data, dim), bone = box_of_mask(skull.data, dim);
        CHECK(memcmp(&box, &dataset_case(set, 0)->implant_boxes[0], sizeof box) == 0);
        CHECK(memcmp(&bone, &dataset_case(set, 0)->box, sizeof bone) == 0);
        dataset_close(set);

        CHECK_OK(dataset_unpack(check_path("flat.h5"), SPLIT_N, check_path(outs[e]), -1, true, &error), &error);
        snprintf(file, sizeof file, "%s/007_complete%s", outs[e], endings[e]);
        CHECK_OK(volume_read_mask(&got, check_path(file), &error), &error);
        check_same(&got, &skull);
        volume_done(&got);
        snprintf(file, sizeof file, "%s/007_d00_implant%s", outs[e], endings[e]);
        CHECK_OK(volume_read_mask(&got, check_path(file), &error), &error);
        check_same(&got, &implant);
        volume_done(&got);
        snprintf(file, sizeof file, "%s/007_d00_defective%s", outs[e], endings[e]);
        CHECK_OK(volume_read_mask(&got, check_path(file), &error), &error);
        mask_minus(&skull, &implant);
        check_same(&got, &skull);
        volume_done(&got);
        volume_done(&skull);
        volume_done(&implant);
    }

    /* what was unpacked is packed again: one set */
    struct dataset *first = packed("flat_nrrd", "flat.h5", &at_random),
                   *again = packed("out_nrrd", "again.h5", &at_random);
    CHECK(dataset_hash(first) == dataset_hash(again));
    dataset_close(first);
    dataset_close(again);
}

/* Each box of the volume, also where it leaves it, is the same as in the whole. */
static void test_boxes(void)
{
    struct error error = {0};
    struct volume whole;
    const struct box boxes[] = {{{0, 0, 0}, {70, 66, 130}},
                                {{-9, 60, 100}, {20, 80, 140}},
                                {{63, 1, 64}, {65, 3, 129}},
                                {{80, 0, 0}, {90, 5, 5}},
                                {{-5, -5, -5}, {75, 71, 135}}};

    put_triplet("boxes", "a", 0, ".nrrd", false);
    struct dataset *set = packed("boxes", "boxes.h5", &at_random);
    CHECK_OK(dataset_read_skull(&whole, set, 0, &error), &error);

    for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++) {
        const struct box b = boxes[i];
        const int64_t w = b.hi[0] - b.lo[0], h = b.hi[1] - b.lo[1], n = w * h * (b.hi[2] - b.lo[2]);
        uint8_t *got = memory_alloc((size_t)n, 1);
        memset(got, 7, (size_t)n);
        CHECK_OK(dataset_read_box(got, set, 0, -1, b, &error), &error);
        int64_t wrong = 0;
        for (int64_t v = 0; v < n; v++) {
            const int64_t x = b.lo[0] + v % w, y = b.lo[1] + v / w % h, z = b.lo[2] + v / w / h;
            const bool inside = x >= 0 && y >= 0 && z >= 0 && x < dim[0] && y < dim[1] && z < dim[2];
            wrong += got[v] != (inside ? ((uint8_t *)whole.data)[(z * dim[1] + y) * dim[0] + x] : 0);
        }
        CHECK_INT(wrong, 0);
        memory_free(got);
    }

    volume_done(&whole);
    dataset_close(set);
}

/* ---- layouts ---- */

static void test_layout_folders(void)
{
    struct volume skull, a, b;

    skull_make(&skull, dim, mm, 2);
    implant_make(&a, &skull, lo, hi);
    implant_make(&b, &skull, lo2, hi2);
    volume_put("break/complete_skull", "004.nrrd", &skull);
    volume_put("break/implant/bilateral", "004.nrrd", &a);
    volume_put("break/implant/random_1", "004.nrrd", &b);
    struct volume defective;
    skull_make(&defective, dim, mm, 2);
    mask_minus(&defective, &a);
    volume_put("break/defective_skull/bilateral", "004.nrrd", &defective);
    struct dataset *set = packed("break", "break.h5", &at_random);
    CHECK_INT(dataset_n_cases(set), 1);
    CHECK_INT(dataset_case(set, 0)->n_implants, 2);
    CHECK_TEXT(dataset_case(set, 0)->implant_names[0], "bilateral");
    CHECK_TEXT(dataset_case(set, 0)->implant_names[1], "random_1");
    dataset_close(set);

    volume_put("fix/complete_skull", "010.nrrd", &skull); /* SkullFix: no classes */
    volume_put("fix/defective_skull", "010.nrrd", &defective);
    set = packed("fix", "fix.h5", &at_random); /* the implant is what is missing */
    CHECK_INT(dataset_case(set, 0)->n_implants, 1);
    struct error error = {0};
    struct volume got;
    CHECK_OK(dataset_read_implant(&got, set, 0, 0, &error), &error);
    check_same(&got, &a);
    volume_done(&got);
    dataset_close(set);
    volume_done(&skull);
    volume_done(&defective);
    volume_done(&a);
    volume_done(&b);
}

/* NAME_d00_*, NAME_d01_*: with and without a complete skull. */
static void test_layout_injected(void)
{
    struct error error = {0};
    struct volume skull, implant, defective, got;
    const char *const folders[] = {"with", "without"};

    for (int f = 0; f < 2; f++) {
        skull_make(&skull, dim, mm, 3);
        if (f == 0)
            volume_put(folders[f], "phantom_003.nii.gz", &skull);
        for (int d = 0; d < 2; d++) {
            char file[64];
            implant_make(&implant, &skull, d ? lo2 : lo, d ? hi2 : hi);
            skull_make(&defective, dim, mm, 3);
            mask_minus(&defective, &implant);
            snprintf(file, sizeof file, "phantom_003_d%02d_implant.nii.gz", d);
            volume_put(folders[f], file, &implant);
            snprintf(file, sizeof file, "phantom_003_d%02d_defective.nii.gz", d);
            volume_put(folders[f], file, &defective);
            volume_done(&implant);
            volume_done(&defective);
        }
        struct dataset *set = packed(folders[f], "injected.h5", &at_random);
        CHECK_INT(dataset_n_cases(set), 1);
        CHECK_TEXT(dataset_case(set, 0)->name, "phantom_003");
        CHECK_INT(dataset_case(set, 0)->n_implants, 2);
        CHECK_TEXT(dataset_case(set, 0)->implant_names[1], "d01");
        CHECK_OK(dataset_read_skull(&got, set, 0, &error), &error);
        check_same(&got, &skull);
        volume_done(&got);
        dataset_close(set);
        volume_done(&skull);
    }
}

static void test_layout_unmatched(void)
{
    struct error error = {0};
    struct arena arena = {0};
    struct layout layout;
    struct volume skull, implant;

    skull_make(&skull, dim, mm, 0);
    implant_make(&implant, &skull, lo, hi);
    volume_put("odd", "lonely_implant.nrrd", &implant);
    text_put(path_in("odd", "README.txt"), "hello");
    CHECK_FAILS(layout_find(&layout, check_path("odd"), NULL, &arena, &error), &error, STATUS_FAILED, "no skull found");
    CHECK_CONTAINS(error.text, "lonely_implant.nrrd");
    CHECK_CONTAINS(error.text, "README.txt");
    volume_put("odd", "healthy.nii.gz", &skull);
    volume_put("odd", "healthy.nrrd", &skull); /* twice: NRRD is used */
    volume_put("odd", "a_1_complete.nrrd", &skull);
    volume_put("odd", "a_complete.nrrd", &skull);
    volume_put("odd", "a_1_implant.nrrd", &implant);
    volume_put("odd", "a_left_implant.nrrd", &implant);
    error = (struct error){0};
    CHECK_OK(layout_find(&layout, check_path("odd"), NULL, &arena, &error), &error);
    CHECK_INT(layout.n_cases, 3);
    CHECK_TEXT(layout.cases[0].name, "a");
    CHECK_TEXT(layout.cases[0].defects[0].name, "left");
    CHECK_TEXT(layout.cases[1].name, "a_1");
    CHECK_TEXT(layout.cases[1].defects[0].name, "d00");
    CHECK(file_has_suffix(layout.cases[2].complete, "healthy.nrrd"));
    CHECK_INT(layout.unmatched.n, 3);
    CHECK_FAILS(layout_find(&layout, check_path("nowhere"), NULL, &arena, &error), &error, STATUS_FAILED,
                "no such folder");
    arena_done(&arena);
    volume_done(&skull);
    volume_done(&implant);
}

/* A defective skull without anything else is kept apart: who asks for the cases never gets it, a group is remembered.
 */
static void test_defective_alone(void)
{
    struct error error = {0};
    struct volume skull, implant, got;
    skull_oblique(&skull, 0);
    implant_make(&implant, &skull, lo, hi);
    volume_put("alone", "healthy_complete.nrrd", &skull);
    mask_minus(&skull, &implant);
    volume_put("alone", "patient_defective.nrrd", &skull);
    volume_put("alone", "other_d01_defective.nrrd", &skull); /* a second one of a head of which no more is known */
    ((uint8_t *)skull.data)[0] = 1;                          /* another skull */
    volume_put("alone", "other_d00_defective.nrrd", &skull);
    ((uint8_t *)skull.data)[0] = 0;

    text_put(path_in("", "alone.tsv"), "healthy\ttrain\tA\npatient\ttrain\tA\nother\tval\n");
    const struct pack_config config = {.split_frac = {0.8, 0.1, 0.1}, .seed = 1, .split_file = check_path("alone.tsv")};
    struct dataset *set = packed("alone", "alone.h5", &config);
    CHECK_INT(dataset_n_cases(set), 1);
    CHECK_INT(dataset_n_defective(set), 2);
    CHECK_TEXT(dataset_case(set, 0)->name, "healthy");
    CHECK(!dataset_case(set, 0)->defective);
    CHECK_TEXT(dataset_case(set, 0)->group, "A");
    CHECK_TEXT(dataset_case(set, 1)->name, "other");
    CHECK(dataset_case(set, 1)->defective && !dataset_case(set, 1)->group);
    CHECK_INT(dataset_case(set, 1)->split, SPLIT_VAL);
    CHECK_TEXT(dataset_case(set, 2)->name, "patient");
    CHECK_TEXT(dataset_case(set, 2)->group, "A");
    CHECK_OK(dataset_read_skull(&got, set, 2, &error), &error);
    check_same(&got, &skull);
    volume_done(&got);
    dataset_close(set);

    /* a set of such skulls alone holds no case for training */
    volume_put("alone2", "p_defective.nrrd", &skull);
    set = packed("alone2", "alone2.h5", &at_random);
    CHECK_INT(dataset_n_cases(set), 0);
    CHECK_INT(dataset_n_defective(set), 1);
    dataset_close(set);
    volume_done(&skull);
    volume_done(&implant);
}

/* Triplets that do not fit each other are refused, naming the file, and leave no dataset behind. */
static void test_bad_triplets(void)
{
    struct error error = {0};
    struct volume skull, implant, other;

    skull_make(&skull, dim, mm, 0);
    skull_make(&other, dim, mm, 1);
    implant_make(&implant, &other, lo, hi); /* of another skull */
    volume_put("alien", "x_complete.nrrd", &skull);
    volume_put("alien", "x_implant.nrrd", &implant);
    CHECK_FAILS(dataset_pack(check_path("alien"), check_path("alien.h5"), &at_random, &error), &error, STATUS_FAILED,
                "outside the skull");
    CHECK_CONTAINS(error.text, "x_implant.nrrd");
    CHECK(!file_exists(check_path("alien.h5")));

    struct volume right;
    implant_make(&right, &skull, lo, hi);
    right.grid.origin[0] += 5;
    volume_put("moved", "x_complete.nrrd", &skull);
    volume_put("moved", "x_implant.nrrd", &right);
    CHECK_FAILS(dataset_pack(check_path("moved"), check_path("moved.h5"), &at_random, &error), &error, STATUS_FAILED,
                "grid");

    right.grid.origin[0] -= 5;
    volume_put("uncut", "x_complete.nrrd", &skull);
    volume_put("uncut", "x_implant.nrrd", &right);
    volume_put("uncut", "x_defective.nrrd", &skull);
    CHECK_FAILS(dataset_pack(check_path("uncut"), check_path("uncut.h5"), &at_random, &error), &error, STATUS_FAILED,
                "do not make the skull");
    volume_done(&right);

    memset(implant.data, 0, (size_t)grid_voxels(&implant.grid));
    volume_put("empty", "x.nrrd", &implant);
    CHECK_FAILS(dataset_pack(check_path("empty"), check_path("empty.h5"), &at_random, &error), &error, STATUS_FAILED,
                "x.nrrd");
    CHECK_FAILS(dataset_pack(check_path("uncut"), "/nowhere/at/all.h5", &at_random, &error), &error, STATUS_FAILED,
                "/nowhere");
    volume_done(&skull);
    volume_done(&implant);
    volume_done(&other);
}

/* ---- splits ---- */

/* n tiny skulls c0 .. c9; `twin` is a copy of c0. */
static void put_tiny(const char *folder, int n, bool twin)
{
    const int64_t tiny[3] = {14, 13, 12};
    const double wide[3] = {9, 9, 9};
    for (int i = 0; i <= n; i++) {
        struct volume skull;
        char file[32];
        skull_make(&skull, tiny, wide, 0);
        ((uint8_t *)skull.data)[i % n] = 1; /* each another */
        snprintf(file, sizeof file, i == n ? "twin.nrrd" : "c%d.nrrd", i);
        if (i < n || twin)
            volume_put(folder, file, &skull);
        volume_done(&skull);
    }
}

static void count_splits(const struct dataset *set, int64_t counts[SPLIT_N])
{
    memset(counts, 0, SPLIT_N * sizeof *counts);
    for (int64_t i = 0; i < dataset_n_cases(set); i++)
        counts[dataset_case(set, i)->split]++;
}

static void test_split_random(void)
{
    struct error error = {0};
    int64_t counts[SPLIT_N];
    uint64_t hashes[3];

    put_tiny("ten", 10, true);

    for (int seed = 0; seed < 3; seed++) {
        struct pack_config config = at_random;
        config.seed = seed / 2; /* 0 0 1 */
        struct dataset *set = packed("ten", "ten.h5", &config);
        hashes[seed] = dataset_hash(set);
        count_splits(set, counts);
        CHECK_INT(counts[SPLIT_TRAIN] + counts[SPLIT_VAL] + counts[SPLIT_TEST], 11);
        CHECK(counts[SPLIT_VAL] >= 1 && counts[SPLIT_TEST] >= 1 && counts[SPLIT_TRAIN] >= 8);
        CHECK(dataset_case(set, 0)->split == dataset_case(set, 10)->split); /* c0 and its twin */
        CHECK(dataset_case(set, 0)->content_hash == dataset_case(set, 10)->content_hash);
        dataset_close(set);
    }

    CHECK(hashes[0] == hashes[1] && hashes[0] != hashes[2]);
    const struct pack_config half = {.split_frac = {0.5, 0.2, 0.2}};
    CHECK_FAILS(dataset_pack(check_path("ten"), check_path("t.h5"), &half, &error), &error, STATUS_USAGE,
                "add up to 1");
    put_tiny("three", 3, false);
    struct dataset *set = packed("three", "three.h5", &at_random);
    count_splits(set, counts);
    CHECK(counts[0] == 1 && counts[1] == 1 && counts[2] == 1);
    dataset_close(set);
}

static void test_split_file(void)
{
    struct error error = {0};

    put_tiny("four", 4, true);
    const char *file = check_path("split.tsv"), *folder = check_path("four"), *out = check_path("four.h5");
    struct pack_config config = at_random;
    config.split_file = file;
    const struct {
        const char *text, *message;
    } bad[] = {
        {"c0\ttrain\nc1\tval\nc2\ttest\nc3\ttrain\ntwin\ttrain\nc33\tval\n",
         "split.tsv:6: no case 'c33' (did you mean 'c3'?)"},
        {"c0\ttrain\nc1\tval\nc2\ttest\ntwin\ttrain\n", "case 'c3' is missing"},
        {"c0\ttrain\nc0\tval\nc1\ttrain\nc2\ttest\nc3\ttrain\ntwin\ttrain\n", "split.tsv:2: case 'c0' is listed twice"},
        {"c0\ttrian\nc1\tval\nc2\ttest\nc3\ttrain\ntwin\ttrain\n", "split 'trian' is none of"},
        {"c0 train\nc1\tval\nc2\ttest\nc3\ttrain\ntwin\ttrain\n", "no split"},
        {"c0\ttrain\tg\nc1\tval\tg\nc2\ttest\nc3\ttrain\ntwin\ttrain\n", "one group"},
        {"c0\ttrain\nc1\tval\nc2\ttest\nc3\ttrain\ntwin\ttest\n", "the same skull, voxel by voxel"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        error = (struct error){0};
        text_put(file, bad[i].text);
        CHECK_FAILS(dataset_pack(folder, out, &config, &error), &error, STATUS_USAGE, bad[i].message);
        CHECK(!file_exists(out));
    }

    text_put(file, "# four skulls\r\nc0\ttest\r\n\nc1\t-\thead\nc2\t-\thead\nc3\tval\ntwin\t-");
    error = (struct error){0};
    struct dataset *set = packed("four", "four.h5", &config);
    CHECK_INT(dataset_case(set, 0)->split, SPLIT_TEST);
    CHECK(dataset_case(set, 1)->split == dataset_case(set, 2)->split);
    CHECK_INT(dataset_case(set, 3)->split, SPLIT_VAL);
    CHECK_INT(dataset_case(set, 4)->split, SPLIT_TEST); /* follows its twin */
    dataset_close(set);
}

/* ---- check ---- */

static char *check_text_of(const char *path, struct check_report *report)
{
    struct error error = {0};
    char *text = NULL;
    size_t bytes;
    report->out = fopen(check_path("report.txt"), "w");
    CHECK_OK(dataset_check(path, report, &error), &error);
    fclose(report->out);
    CHECK_OK(file_read(&text, &bytes, check_path("report.txt"), 1 << 20, &error), &error);
    return text;
}

static void test_check(void)
{
    struct check_report report = {0};

    put_triplet("good", "a", 0, ".nrrd", true);
    put_triplet("good", "b", 1, ".nrrd", false);
    dataset_close(packed("good", "good.h5", &at_random));
    const char *const paths[] = {"good", "good.h5"};

    for (int i = 0; i < 2; i++) {
        char *text = check_text_of(check_path(paths[i]), &report);
        CHECK_INT(report.n_cases, 2);
        CHECK_INT(report.n_bad, 0);
        CHECK_CONTAINS(text, "ok    a: 70x66x130");
        memory_free(text);
    }

    struct volume skull, other;
    skull_make(&skull, dim, mm, 0);
    ((uint8_t *)skull.data)[5] = 3;
    volume_put("sick", "three_values.nrrd", &skull);
    volume_done(&skull);
    skull_make(&skull, dim, mm, 0);
    for (int64_t v = 0; v < dim[0] * dim[1] * 30; v++) /* a second large piece */
        ((uint8_t *)skull.data)[v] = v % dim[0] < 9;
    volume_put("sick", "two_pieces.nrrd", &skull);
    volume_done(&skull);
    skull_make(&skull, dim, mm, 0);
    for (int a = 0; a < 3; a++)
        skull.grid.axis[2][a] *= 9;
    volume_put("sick", "wide.nrrd", &skull);
    volume_done(&skull);
    skull_make(&skull, dim, mm, 0);
    skull_make(&other, dim, mm, 1);
    volume_put("sick", "y_complete.nrrd", &skull);
    volume_put("sick", "y_implant.nrrd", &other);
    volume_put("sick", "fine.nrrd", &skull);
    volume_done(&skull);
    volume_done(&other);
    char *text = check_text_of(check_path("sick"), &report);
    CHECK_INT(report.n_cases, 5);
    CHECK_INT(report.n_bad, 4);
    CHECK_CONTAINS(text, "bad   three_values:");
    CHECK_CONTAINS(text, "bad   two_pieces: 2 pieces");
    CHECK_CONTAINS(text, "bad   wide: spacing of z is 9 mm");
    CHECK_CONTAINS(text, "bad   y:");
    CHECK_CONTAINS(text, "ok    fine:");
    memory_free(text);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"round_trip", test_round_trip},
                                       {"boxes", test_boxes},
                                       {"layout_folders", test_layout_folders},
                                       {"layout_injected", test_layout_injected},
                                       {"layout_unmatched", test_layout_unmatched},
                                       {"defective_alone", test_defective_alone},
                                       {"bad_triplets", test_bad_triplets},
                                       {"split_random", test_split_random},
                                       {"split_file", test_split_file},
                                       {"check", test_check},
                                       {0}};
    log_set_level(LOG_QUIET);
    return check_main(argc, argv, tests);
}
