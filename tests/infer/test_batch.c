/* test_batch.c - inputs to files: what is written, in which format, and what is refused before any work. */
#include "infer/batch.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "tests/check.h"
#include "tests/infer/fixture.h"
#include "data/volume/formats.h"

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

static enum status run(const char *out, int n, const char *const *inputs, const char *model, int format,
                       struct error *error)
{
    /* pictures take longest: two cases have them */
    struct batch_config config = {.model = model,
                                  .out = out,
                                  .format = format,
                                  .mesh_format = BATCH_STL_AND_PLY,
                                  .keep_raw = true,
                                  .no_picture = n != 2};
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
    const char *names[] = {"a_completed.nrrd", "a_implant.nrrd", "a_raw.nrrd",    "a_implant.stl",
                           "a_implant.ply",    "a_implant.png",  "a_report.json", "b_completed.nii.gz",
                           "b_implant.nii.gz", "b_implant.stl",  "a_report.html", "a_thickness.png",
                           "a_insertion.png"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        CHECK(written(out, names[i]));
    struct config_strings all;
    struct arena arena = {0};
    CHECK_OK(file_list(&all, out, &arena, &error), &error);
    CHECK_INT(all.n, 20); /* and no part left over */
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
    const char *inputs[] = {write_skull("first.nrrd", false), bad, write_skull("last.nrrd", false)},
               *out = check_path("some");
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

/* An oblique affine with uneven spacing, as scanners tilt their gantries. */
static void grid_tilt(struct grid *grid, double degrees)
{
    const double c = cos(degrees * 3.14159265358979 / 180), s = sin(degrees * 3.14159265358979 / 180);
    for (int a = 0; a < 3; a++) {
        double y = grid->axis[a][1], z = grid->axis[a][2];
        grid->axis[a][1] = c * y - s * z;
        grid->axis[a][2] = s * y + c * z;
    }
    grid->origin[0] = 12.25;
    grid->origin[1] = -81.5;
}

static void check_same_place(const char *input, const char *output)
{
    struct error error = {0};
    struct volume in, out;
    CHECK_OK(volume_read_header(&in, input, &error), &error);
    CHECK_OK(volume_read_header(&out, output, &error), &error);
    CHECK(memcmp(&in.storage.grid, &out.storage.grid, sizeof in.storage.grid) ==
          0); /* the file's own numbers, to the last bit */
    CHECK_INT(in.storage.format, out.storage.format);
    for (int a = 0; a < 3; a++)
        CHECK(in.storage.axis[a] == out.storage.axis[a] && in.storage.flip[a] == out.storage.flip[a]);
    volume_done(&in);
    volume_done(&out);
}

/* Thick slices, many slices, a tilted gantry, a field of view that cuts the head: results lie where the input lies. */
static void test_outputs_lie_on_the_inputs_grid(void)
{
    static const struct {
        int64_t dim[3];
        double spacing[3], tilt;
        const char *suffix;
    } cases[] = {{{44, 46, 12}, {2, 2, 6}, 0, ".nii.gz"},
                 {{40, 44, 90}, {2.1, 2.1, 0.9}, 17, ".nrrd"},
                 {{44, 46, 40}, {2, 2.2, 1.9}, -24, ".nii"},
                 {{60, 30, 30}, {1.2, 2.5, 2.5}, 9, ".nhdr"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {0};
        struct arena arena = {0};
        const int64_t *dim = cases[i].dim;
        struct volume skull =
            fixture_volume(dim[0], dim[1], dim[2], cases[i].spacing[0], cases[i].spacing[1], cases[i].spacing[2]);
        fixture_skull(&skull, 10);
        fixture_box(&skull, (struct box){{2, dim[1] / 3, dim[2] / 2}, {dim[0] / 3, 2 * dim[1] / 3, dim[2]}}, 0);
        grid_tilt(&skull.grid, cases[i].tilt);
        const char *path = check_path(arena_printf(&arena, "place%d%s", (int)i, cases[i].suffix)),
                   *out = check_path("place");
        CHECK_OK(volume_write(path, &skull, &error), &error);
        struct batch_config config = {.model = "builtin:mirror", .out = out, .no_picture = true};
        CHECK_OK(batch_run(&config, 1, (char *const *)&path, stdout, &error), &error);
        check_same_place(path,
                         file_join(&arena, out, arena_printf(&arena, "place%d_implant%s", (int)i, cases[i].suffix)));
        check_same_place(path,
                         file_join(&arena, out, arena_printf(&arena, "place%d_completed%s", (int)i, cases[i].suffix)));
        volume_done(&skull);
        arena_done(&arena);
    }
}

static struct volume implant_with(const char *out, const char *input, double clearance_mm, double min_thickness_mm)
{
    struct error error = {0};
    struct arena arena = {0};
    struct volume implant = {0};
    struct batch_config config = {
        .model = "builtin:mirror",
        .out = check_path(out),
        .rules = {.clearance = {.gap_mm = clearance_mm}, .min_thickness_mm = min_thickness_mm},
        .no_mesh = true,
        .no_picture = true};
    CHECK_OK(batch_run(&config, 1, (char *const *)&input, stdout, &error), &error);
    CHECK_OK(volume_read(&implant, file_join(&arena, config.out, "ruled_implant.nrrd"), &error), &error);
    arena_done(&arena);
    return implant;
}

static void test_clearance_and_thickness_are_options(void)
{
    const char *input = write_skull("ruled.nrrd", false);
    struct volume plain = implant_with("r0", input, 0, 0), clear = implant_with("r1", input, 2, 0),
                  thick = implant_with("r2", input, 0, 14);
    int64_t n = grid_voxels(&plain.grid), n_plain = mask_count(plain.data, n), n_thick = mask_count(thick.data, n),
            lost = 0;
    CHECK(mask_count(clear.data, n) < n_plain);
    CHECK(n_thick > n_plain + n_plain / 4);
    for (int64_t i = 0; i < n; i++)
        lost += ((const uint8_t *)plain.data)[i] && !((const uint8_t *)thick.data)[i];
    CHECK_INT(lost, 0);
    volume_done(&plain);
    volume_done(&clear);
    volume_done(&thick);
}

static void test_memory_limit(void)
{
    struct error error = {0};
    const char *input = write_skull("tight.nrrd", false);
    struct batch_config config = {.model = "builtin:mirror", .out = check_path("tight"), .max_memory = "20M"};
    CHECK_FAILS(batch_run(&config, 1, (char *const *)&input, stdout, &error), &error, STATUS_FAILED,
                "--max-memory: 20 MB");
    error = (struct error){0};
    config.max_memory = "1.5 bananas";
    CHECK_FAILS(batch_run(&config, 1, (char *const *)&input, stdout, &error), &error, STATUS_USAGE, "no size");
    error = (struct error){0};
    config.max_memory = "200M";
    CHECK_OK(batch_run(&config, 1, (char *const *)&input, stdout, &error), &error);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"every_output_is_written", test_every_output_is_written},
        {"healthy_skull_gives_an_empty_implant", test_healthy_skull_gives_an_empty_implant},
        {"one_bad_case_does_not_stop_the_rest", test_one_bad_case_does_not_stop_the_rest},
        {"refused_before_any_work", test_refused_before_any_work},
        {"outputs_lie_on_the_inputs_grid", test_outputs_lie_on_the_inputs_grid},
        {"clearance_and_thickness_are_options", test_clearance_and_thickness_are_options},
        {"memory_limit", test_memory_limit},
        {0},
    };
    return check_main(argc, argv, tests);
}
