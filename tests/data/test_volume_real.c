/* Real skulls: one skull in two formats is one volume in memory, and what is written overlays what was read. */
#include <string.h>

#include "base/memory.h"
#include "data/volume/formats.h"
#include "tests/check.h"

static char *real_path(struct arena *arena, const char *name)
{
    const char *folder = check_real_data();
    if (!folder)
        check_skip("no real skulls here (CALVARIA_DATA)");
    return folder ? arena_printf(arena, "%s/%s", folder, name) : NULL;
}

static void test_formats_agree(void)
{
    struct arena arena = {0};
    struct error error = {0};
    struct volume nrrd = {0}, nifti = {0};
    const char *a = real_path(&arena, "skullfix/002_complete.nrrd"),
               *b = real_path(&arena, "skullfix/002_complete.nii.gz");

    if (a && b && CHECK_OK(volume_read_mask(&nrrd, a, &error), &error) &&
        CHECK_OK(volume_read_mask(&nifti, b, &error), &error)) {
        CHECK(grid_same(&nrrd.grid, &nifti.grid, 1e-3)); /* NIfTI-1 keeps floats */
        CHECK_INT(grid_voxels(&nrrd.grid), 512 * 512 * 337);
        CHECK_INT(nrrd.storage.flip[0], false);
        CHECK_INT(nifti.storage.flip[0], true);
        CHECK_INT(memcmp(nrrd.data, nifti.data, (size_t)grid_voxels(&nrrd.grid)), 0);
        CHECK_TEXT(nrrd.storage.file_type, "int32");
    }

    volume_done(&nrrd);
    volume_done(&nifti);
    arena_done(&arena);
}

static void test_round_trip(void)
{
    static const char *const names[] = {"skullfix/000_defective.nrrd", "ct/keinos_ct.nii.gz",
                                        "other/arothron_dry_skull.nii.gz"};

    for (int i = 0; i < 3; i++) {
        struct arena arena = {0};
        struct error error = {0};
        struct volume in = {0}, out = {0};
        const char *path = real_path(&arena, names[i]);
        if (path && CHECK_OK(volume_read(&in, path, &error), &error)) {
            const char *copy = check_path(arena_printf(&arena, "copy_%d%s", i, volume_suffix(in.storage.format)));
            CHECK_OK(volume_write(copy, &in, &error), &error);
            if (CHECK_OK(volume_read(&out, copy, &error), &error)) {
                CHECK_INT(memcmp(&in.grid, &out.grid, sizeof in.grid), 0);
                CHECK_INT(memcmp(&in.storage.grid, &out.storage.grid, sizeof in.storage.grid), 0);
                CHECK_INT(out.type, in.type);
                CHECK_INT(memcmp(in.data, out.data, (size_t)grid_voxels(&in.grid) * voxel_bytes(in.type)), 0);
            }
        }
        volume_done(&in);
        volume_done(&out);
        arena_done(&arena);
    }
}

/* Header, then the voxels in slabs: the whole file as it is on disk, 353 MB here, is never in memory. */
static void test_memory(void)
{
    struct arena arena = {0};
    struct error error = {0};
    struct volume skull = {0};
    const char *path = real_path(&arena, "skullfix/002_complete.nrrd");
    int64_t before = memory_peak_bytes();
    if (path && CHECK_OK(volume_read_mask(&skull, path, &error), &error) && before < 120 << 20)
        CHECK(memory_peak_bytes() < (140 << 20)); /* 88 MB of u8 */
    volume_done(&skull);
    arena_done(&arena);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"memory", test_memory}, {"formats_agree", test_formats_agree}, {"round_trip", test_round_trip}, {0}};
    return check_main(argc, argv, tests);
}
