/* test_batch.c - inputs to files: what is written, in which format, and what is refused before any work. */
#include "infer/batch.h"

#include <string.h>

#include "base/file.h"
#include "tests/check.h"
#include "tests/infer/fixture.h"

/* A defective skull as a file. */
static const char *write_skull(const char *name, bool healthy)
{
    struct error error = {0};
    struct volume skull = fixture_volume(44, 46, 40, 2, 2, 2);
    fixture_skull(&skull, 8);
    if (!healthy)
        fixture_box(&skull, (struct box){{2, 16, 24}, {16, 32, 40}}, 0);
    const char *path = check_path(name);
    CHECK_OK(volume_write(path, &skull, &error), &error);
    volume_done(&skull);
    return path;
}

static enum status run(const char *out, int n, const char *const *inputs, const char *model, int format, struct error *error)
{
    /* pictures take longest: two cases have them */
    struct batch_config config = {.model = model, .out = out, .format = format, .ply = true, .keep_raw = true, .no_picture = n != 2};
    return batch_run(&config, n, (char *const *)inputs, stdout, error);
}

static bool written(const char *out, const char *name)
{
    struct arena arena = {0};
    bool exists = file_exists(file_join(&arena, out, name));
    arena_done(&arena);
    return exists;
}

static void test_every_output_is_written(void)
{
    struct error error = {0};
    const char *inputs[] = {write_skull("a_defective.nrrd", false), write_skull("b.nii.gz", false)},
               *out = check_path("out/deep");
    CHECK_OK(run(out, 2, inputs, "builtin:mirror", 0, &error), &error);
    const char *names[] = {"a_completed.nrrd", "a_implant.nrrd", "a_raw.nrrd",         "a_implant.stl",    "a_implant.ply",
                           "a_implant.png",    "a_report.json",  "b_completed.nii.gz", "b_implant.nii.gz", "b_implant.stl"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        CHECK(written(out, names[i]));
    struct config_strings all;
    struct arena arena = {0};
    CHECK_OK(file_list(&all, out, &arena, &error), &error);
    CHECK_INT(all.n, 14); /* and no part left over */
    struct volume implant, skull, completed;
    CHECK_OK(volume_read(&implant, file_join(&arena, out, "a_implant.nrrd"), &error), &error);
    CHECK_OK(volume_read(&completed, file_join(&arena, out, "a_completed.nrrd"), &error), &error);
    CHECK_OK(volume_read(&skull, inputs[0], &error), &error);
    CHECK(grid_same(&implant.grid, &skull.grid, 1e-6));
    int64_t n = grid_voxels(&skull.grid);
    CHECK(mask_count(implant.data, n) > 200);
    CHECK_INT(mask_count(implant.data, n) + mask_count(skull.data, n), mask_count(completed.data, n));
    volume_done(&implant);
    volume_done(&completed);
    volume_done(&skull);
    arena_done(&arena);
}

static void test_healthy_skull_gives_an_empty_implant(void)
{
    struct error error = {0};
    const char *inputs[] = {write_skull("whole.nrrd", true)}, *out = check_path("healthy");
    char *text = NULL;
    size_t bytes;
    struct arena arena = {0};
    CHECK_OK(run(out, 1, inputs, "builtin:nothing", 1 + VOLUME_NIFTI, &error), &error);
    CHECK(written(out, "whole_implant.nii"));
    CHECK_OK(file_read(&text, &bytes, file_join(&arena, out, "whole_implant.stl"), 1000, &error), &error);
    CHECK_INT((int64_t)bytes, 84);
    memory_free(text);
    CHECK_OK(file_read(&text, &bytes, file_join(&arena, out, "whole_report.json"), 100000, &error), &error);
    CHECK_CONTAINS(text, "Nothing is missing");
    memory_free(text);
    arena_done(&arena);
}

static void test_one_bad_case_does_not_stop_the_rest(void)
{
    struct error error = {0}, alone = {0};
    const char *bad = check_path("bad.nrrd");
    CHECK_OK(file_write(bad, "NRRD0004\nnot really\n", 20, &error), &error);
    const char *inputs[] = {write_skull("first.nrrd", false), bad, write_skull("last.nrrd", false)}, *out = check_path("some");
    CHECK_FAILS(run(out, 3, inputs, "builtin:nothing", 0, &error), &error, STATUS_FAILED, "1 of 3 cases failed");
    CHECK_CONTAINS(error.text, "bad.nrrd");
    CHECK(written(out, "first_report.json"));
    CHECK(written(out, "last_report.json"));
    CHECK(!written(out, "bad_report.json"));
    CHECK_FAILS(run(out, 1, &bad, "builtin:nothing", 0, &alone), &alone, STATUS_FAILED, "bad.nrrd");
}

static void test_refused_before_any_work(void)
{
    struct error names = {0}, folder = {0}, model = {0}, none = {0};
    const char *one = write_skull("case_defective.nrrd", false);
    const char *twice[] = {one, write_skull("case_complete.nii", false)}, *out = check_path("refused");
    CHECK_FAILS(run(out, 2, twice, "builtin:nothing", 0, &names), &names, STATUS_USAGE, "case_complete.nii");
    CHECK(!file_exists(out));
    CHECK_FAILS(run(check_folder(), 1, &one, "builtin:nothing", 0, &folder), &folder, STATUS_USAGE, "--out");
    CHECK_FAILS(run(out, 1, &one, "/no/such/model.h5", 0, &model), &model, STATUS_FAILED, "/no/such/model.h5");
    CHECK_FAILS(run(out, 0, NULL, "builtin:nothing", 0, &none), &none, STATUS_USAGE, "no input");
    CHECK(!written(out, "case_implant.nrrd"));
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"every_output_is_written", test_every_output_is_written},
        {"healthy_skull_gives_an_empty_implant", test_healthy_skull_gives_an_empty_implant},
        {"one_bad_case_does_not_stop_the_rest", test_one_bad_case_does_not_stop_the_rest},
        {"refused_before_any_work", test_refused_before_any_work},
        {0},
    };
    return check_main(argc, argv, tests);
}
