/* test_phantom.c - procedural skulls: the same bytes on any thread count, one closed piece, measures within those of
 * real skulls. */
#include "data/phantom/phantom.h"

#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "data/mask/morphology.h"
#include "tests/check.h"

static const struct phantom_config coarse = {.spacing_mm = {2.5, 2.5, 2.5}};

static struct volume make(uint64_t seed, int64_t index)
{
    struct volume skull = {0};
    struct error error = {0};
    CHECK_OK(phantom_skull(&skull, &coarse, seed, index, &error), &error);
    return skull;
}

static bool same(const struct volume *a, const struct volume *b)
{
    return grid_same(&a->grid, &b->grid, 0) && memcmp(a->data, b->data, (size_t)grid_voxels(&a->grid)) == 0;
}

static void test_same_bytes_on_any_thread_count(void)
{
    const int threads = parallel_threads();
    parallel_set_threads(1);
    struct volume one = make(1, 0);
    parallel_set_threads(3);
    struct volume three = make(1, 0), other = make(1, 1), seed = make(2, 0);
    parallel_set_threads(threads);
    CHECK(same(&one, &three));
    CHECK(!same(&one, &other));
    CHECK(!same(&one, &seed));
    volume_done(&one);
    volume_done(&three);
    volume_done(&other);
    volume_done(&seed);
}

/* Millimetres of bone's box along an axis, above the slice z0. */
static double extent_mm(const struct volume *skull, int64_t z0, int axis)
{
    const int64_t slice = skull->grid.dim[0] * skull->grid.dim[1];
    const int64_t dim[3] = {skull->grid.dim[0], skull->grid.dim[1], skull->grid.dim[2] - z0};
    const struct box box = box_of_mask((const uint8_t *)skull->data + z0 * slice, dim);
    return (double)(box.hi[axis] - box.lo[axis]) * skull->grid.axis[axis][axis];
}

static void test_measures_are_a_skulls(void)
{
    for (int64_t i = 0; i < 6; i++) {
        struct volume skull = make(7, i);
        int64_t *sizes = NULL, n = 0;
        struct error error = {0};
        const int64_t voxels = grid_voxels(&skull.grid);
        int32_t *labels = memory_alloc((size_t)voxels, sizeof *labels);
        CHECK_OK(mask_components(labels, &sizes, &n, skull.data, skull.grid.dim, 6, &error), &error);
        CHECK_INT(n, 1);
        /* above the widest slice, which the phantom puts at world z = 0 */
        const int64_t z0 = (int64_t)(-skull.grid.origin[2] / skull.grid.axis[2][2]);
        const double breadth = extent_mm(&skull, z0, 0), length = extent_mm(&skull, z0, 1),
                     height = extent_mm(&skull, z0, 2);
        CHECK(breadth > 118 && breadth < 152);
        CHECK(length > 147 && length < 203);
        CHECK(height > 42 && height < 95);
        const double bone_ml = (double)mask_count(skull.data, voxels) * grid_voxel_ml(&skull.grid);
        CHECK(bone_ml > 300 && bone_ml < 1100);
        memory_free(sizes);
        memory_free(labels);
        volume_done(&skull);
    }
}

/* Water poured into the brain must not find a way out through the vault: filled above the base, closed from below. */
static void test_vault_is_closed(void)
{
    for (int64_t i = 0; i < 4; i++) {
        struct volume skull = make(11, i);
        struct error error = {0};
        const int64_t slice = skull.grid.dim[0] * skull.grid.dim[1];
        const int64_t z0 = (int64_t)((-skull.grid.origin[2] - 5) / skull.grid.axis[2][2]);
        uint8_t *vault = (uint8_t *)skull.data + z0 * slice;
        const int64_t dim[3] = {skull.grid.dim[0], skull.grid.dim[1], skull.grid.dim[2] - z0};
        memset(vault, 1, (size_t)slice); /* a lid below */
        const int64_t before = mask_count(vault, slice * dim[2]);
        CHECK_OK(mask_fill_holes(vault, dim, &error), &error);
        const double brain_ml = (double)(mask_count(vault, slice * dim[2]) - before) * grid_voxel_ml(&skull.grid);
        CHECK(brain_ml > 400);
        volume_done(&skull);
    }
}

static void test_dims_and_spacing_are_kept(void)
{
    const struct phantom_config config = {.spacing_mm = {3, 2.5, 4}, .dim = {70, 90, 50}};
    struct volume skull = {0};
    struct error error = {0};
    if (!CHECK_OK(phantom_skull(&skull, &config, 1, 0, &error), &error))
        return;
    for (int a = 0; a < 3; a++) {
        CHECK_INT(skull.grid.dim[a], config.dim[a]);
        CHECK_NEAR(grid_spacing_mm(&skull.grid, a), config.spacing_mm[a], 1e-12);
    }
    volume_done(&skull);
}

static enum status make_and_free(void *unused, struct error *error)
{
    (void)unused;
    struct volume skull = {0};
    const enum status status = phantom_skull(&skull, &coarse, 1, 0, error);
    CHECK(!status || skull.data == NULL);
    volume_done(&skull);
    return status;
}

static void test_memory_runs_out(void)
{
    check_allocation_failures(make_and_free, NULL, 1);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"same_bytes_on_any_thread_count", test_same_bytes_on_any_thread_count},
                                       {"measures_are_a_skulls", test_measures_are_a_skulls},
                                       {"vault_is_closed", test_vault_is_closed},
                                       {"dims_and_spacing_are_kept", test_dims_and_spacing_are_kept},
                                       {"memory_runs_out", test_memory_runs_out},
                                       {0}};
    return check_main(argc, argv, tests);
}
