/* How the cases of a folder or a table are found: subfolders, patterns, BIDS, tables. Names alone; the volumes are
 * empty files. What is packed from them: test_dataset.c. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/dataset/dataset.h"
#include "data/dataset/layout.h"
#include "skulls.h"
#include "tests/check.h"

static struct arena arena;

static void put(const char *folder, const char *file, const char *text)
{
    struct error error = {0};
    const char *path = check_path(arena_printf(&arena, "%s/%s", folder, file));
    CHECK_OK(file_make_folders(file_folder(&arena, path), &error), &error);
    CHECK_OK(file_write(path, text, strlen(text), &error), &error);
}

static void put_all(const char *folder, const char *const *files)
{
    for (; *files; files++)
        put(folder, *files, "");
}

static struct layout found(const char *path, const struct layout_options *options)
{
    struct error error = {0};
    struct layout layout = {0};
    CHECK_OK(layout_find(&layout, check_path(path), options, &arena, &error), &error);
    return layout;
}

/* "NAME[group]:complete,implant d00,..." of every case, in one text. */
static const char *layout_text(const struct layout *layout)
{
    char *text = arena_printf(&arena, "%s", "");
    for (int64_t i = 0; i < layout->n_cases; i++) {
        const struct layout_case *c = &layout->cases[i];
        text = arena_printf(&arena, "%s%s%s%s%s%s%s:%s", text, i ? " " : "", c->name, c->group ? "[" : "",
                            c->group ? c->group : "", c->group ? "]" : "",
                            c->split == LAYOUT_SPLIT_NONE ? "" : dataset_split_names[c->split],
                            c->complete    ? "skull"
                            : c->defective ? "hole"
                                           : "");
        for (int64_t j = 0; j < c->n_defects; j++)
            text = arena_printf(&arena, "%s,%s%s%s", text, c->defects[j].name, c->defects[j].implant ? "+" : "",
                                c->defects[j].defective ? "-" : "");
    }
    return text;
}

static void test_subfolders(void)
{
    const char *const files[] = {"001/complete.nii.gz",      "001/implant_d00.nrrd",   "001/implant_d01.nrrd",
                                 "002/002_complete.nii.gz",  "002/002_implant.nii.gz", "siteA/003.nrrd",
                                 "siteA/004/defective.nrrd", "siteA/004/implant.nrrd", "siteA/004/notes.txt",
                                 ".hidden/x_complete.nrrd",  "005_complete.nrrd",      NULL};
    put_all("sub", files);
    struct layout layout = found("sub", NULL);
    CHECK_TEXT(layout_text(&layout), "001:skull,d00+,d01+ 002:skull,d00+ 005:skull siteA_003:skull siteA_004:,d00+-");
    CHECK_INT(layout.unmatched.n, 1);
    CHECK_CONTAINS(layout.unmatched.items[0], "notes.txt");
}

static void test_patterns(void)
{
    const char *const files[] = {"p7/scan/bone.nii.gz",
                                 "p7/plan/flap_left.nii.gz",
                                 "p7/plan/flap_right.nii.gz",
                                 "p8/scan/bone.nii.gz",
                                 "p8/scan/brain.nii.gz",
                                 "p8/plan/flap_.nii.gz",
                                 NULL};
    const char *patterns[] = {"{case}/*/bone.*", "implant={case}/plan/flap_{defect}.nii.gz"};
    const struct layout_options options = {.patterns = {2, patterns}};
    put_all("lab", files);
    struct layout layout = found("lab", &options);
    CHECK_TEXT(layout_text(&layout), "p7:skull,left+,right+ p8:skull");
    CHECK_INT(layout.unmatched.n, 2);

    /* The same name twice must be the same text */
    const char *const twice[] = {"a/a_skull.nrrd", "b/a_skull.nrrd", NULL};
    const char *same[] = {"complete={case}/{case}_skull.nrrd"};
    const struct layout_options named = {.patterns = {1, same}};
    put_all("twice", twice);
    layout = found("twice", &named);
    CHECK_TEXT(layout_text(&layout), "a:skull");
    CHECK_INT(layout.unmatched.n, 1);
}

static void test_bad_patterns(void)
{
    static const char *const bad[][2] = {{"skull={case}.nrrd", "none of complete, defective, implant"},
                                         {"complete=*.nrrd", "no {case}"},
                                         {"{case}_{side}.nrrd", "unknown placeholder at '{side}"},
                                         {"{case}_{defect}.nrrd", "a complete skull has no {defect}"},
                                         {"/data/{case}.nrrd", "below the folder"},
                                         {"{case}*********.nrrd", "at most"}};
    put("bad_patterns", "a.nrrd", "");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error error = {0};
        struct layout layout;
        const char *patterns[] = {bad[i][0]};
        const struct layout_options options = {.patterns = {1, patterns}};
        CHECK_FAILS(layout_find(&layout, check_path("bad_patterns"), &options, &arena, &error), &error, STATUS_USAGE,
                    bad[i][1]);
    }
}

static void test_bids(void)
{
    const char *const files[] = {"dataset_description.json",
                                 "participants.tsv",
                                 "sub-01/anat/sub-01_ct.nii.gz",
                                 "derivatives/calvaria/sub-01/anat/sub-01_desc-complete_mask.nii.gz",
                                 "derivatives/calvaria/sub-01/anat/sub-01_desc-implant_mask.nii.gz",
                                 "derivatives/calvaria/sub-02/ses-1/anat/sub-02_ses-1_label-bone_dseg.nii.gz",
                                 "derivatives/calvaria/sub-02/ses-2/anat/sub-02_ses-2_mask.nii.gz",
                                 "derivatives/calvaria/sub-02/ses-2/anat/sub-02_ses-2_run-1_desc-implant_mask.nii.gz",
                                 "derivatives/calvaria/sub-03/anat/sub-03_desc-brain_mask.nii.gz",
                                 NULL};
    put_all("bids", files);
    struct layout layout = found("bids", NULL);
    CHECK_TEXT(layout_text(&layout),
               "sub-01[sub-01]:skull,d00+ sub-02_ses-1[sub-02]:skull sub-02_ses-2[sub-02]:skull,run-1+");
    CHECK_INT(layout.unmatched.n, 2);
}

static void test_table(void)
{
    const char *const files[] = {"data/a.nrrd", "data/a_hole.nrrd", "data/a_plug.nrrd", "data/b.nii.gz", NULL};
    put_all("table", files);
    put("table", "cases.tsv",
        "# of our clinic\ncase\tage\tcomplete\timplant\tdefective\tdefect\thead\tsplit\r\n"
        "a\t40\tdata/a.nrrd\tdata/a_plug.nrrd\tn/a\tleft\th1\ttrain\n"
        "a\t40\tdata/a.nrrd\t\tdata/a_hole.nrrd\tright\th1\t-\n\nb\t31\tdata/b.nii.gz\n");
    struct layout layout = found("table/cases.tsv", &(struct layout_options){.group_column = "head"});
    CHECK_TEXT(layout_text(&layout), "a[h1]train:skull,left+,right- b:skull");
    CHECK_INT(layout.unmatched.n, 0);
}

static void test_bad_tables(void)
{
    static const char *const bad[][2] = {{"case,complete\na,a.nrrd\n", "not commas"},
                                         {"name\tcomplete\na\ta.nrrd\n", "must name the columns"},
                                         {"case\tcomplete\na\tgone.nrrd\nb\tgone.nrrd\n", "cases.tsv:3"},
                                         {"case\tcomplete\tsplit\na\ta.nrrd\tdev\n", "split 'dev' is none of"},
                                         {"case\tcomplete\na\n", "case 'a' has no file"},
                                         {"case\tcomplete\n\ta.nrrd\n", "no case"},
                                         {"case\tcomplete\tgroup\na\ta.nrrd\tx\na\ta.nrrd\ty\n", "name two groups"},
                                         {"case\tcomplete\na\tcases.tsv\n", "no volume"},
                                         {"", "no skull found"}};
    put("bad_tables", "a.nrrd", "");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error error = {0};
        struct layout layout;
        put("bad_tables", "cases.tsv", bad[i][0]);
        const enum status expected = bad[i][0][0] ? STATUS_USAGE : STATUS_FAILED;
        CHECK_FAILS(layout_find(&layout, check_path("bad_tables/cases.tsv"), NULL, &arena, &error), &error, expected,
                    bad[i][1]);
    }
    struct error error = {0};
    struct layout layout;
    put("bad_tables", "cases.tsv", "case\tcomplete\na\ta.nrrd\n");
    CHECK_FAILS(layout_find(&layout, check_path("bad_tables/cases.tsv"),
                            &(struct layout_options){.group_column = "head"}, &arena, &error),
                &error, STATUS_USAGE, "no column 'head'");
}

/* A table's split and group reach the dataset; scans of one head stay on one side. */
static void test_packed_from_table(void)
{
    static const int64_t dim[3] = {40, 40, 40};
    static const double mm[3] = {4, 4, 4};
    struct error error = {0};
    struct dataset *set = NULL;
    for (int i = 0; i < 3; i++) {
        struct volume skull;
        skull_make(&skull, dim, mm, i);
        volume_put("heads", arena_printf(&arena, "s%d.nrrd", i), &skull);
        volume_done(&skull);
    }
    put("heads", "cases.tsv", "case\tcomplete\tsplit\tgroup\nx\ts0.nrrd\ttest\tA\ny\ts1.nrrd\t-\tA\nz\ts2.nrrd\tval\n");
    const struct pack_config config = {.split_frac = {0.8, 0.1, 0.1}, .seed = 1};
    CHECK_OK(dataset_pack(check_path("heads/cases.tsv"), check_path("heads.h5"), &config, &error), &error);
    CHECK_OK(dataset_open(&set, check_path("heads.h5"), &error), &error);
    CHECK_INT(dataset_n_cases(set), 3);
    CHECK_INT(dataset_case(set, 0)->split, SPLIT_TEST);
    CHECK_INT(dataset_case(set, 1)->split, SPLIT_TEST);
    CHECK_INT(dataset_case(set, 2)->split, SPLIT_VAL);
    CHECK_TEXT(dataset_case(set, 1)->group, "A");
    dataset_close(set);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"subfolders", test_subfolders},
                                       {"patterns", test_patterns},
                                       {"bad_patterns", test_bad_patterns},
                                       {"bids", test_bids},
                                       {"table", test_table},
                                       {"bad_tables", test_bad_tables},
                                       {"packed_from_table", test_packed_from_table},
                                       {0}};
    log_set_level(LOG_QUIET);
    const int failed = check_main(argc, argv, tests);
    arena_done(&arena);
    return failed;
}
