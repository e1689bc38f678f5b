/* test_infer_real.c - a real skull, when it is there: as NIfTI and as NRRD it gets the same implant in world space. */
#include "infer/restore.h"

#include <math.h>
#include <string.h>

#include "infer/mesh/mesh.h"
#include "tests/check.h"
#include "tests/infer/fixture.h"
#include "data/volume/formats.h"

static struct volume read_real(const char *name)
{
    struct error error = {0};
    struct arena arena = {0};
    struct volume volume = {0};
    char *path = arena_printf(&arena, "%s/skullfix/%s", check_real_data(), name);
    CHECK_OK(volume_read_mask(&volume, path, &error), &error);
    arena_done(&arena);
    return volume;
}

/* Voxels of a that are not set at the same place of the world in b. */
static int64_t differing(const struct volume *a, const struct volume *b)
{
    int64_t count = 0;
    for (int64_t i = 0; i < grid_voxels(&a->grid); i++) {
        const int64_t *dim = a->grid.dim;
        double index[3] = {(double)(i % dim[0]), (double)(i / dim[0] % dim[1]), (double)(i / dim[0] / dim[1])},
               world[3];
        if (!((const uint8_t *)a->data)[i])
            continue;
        grid_to_world(&a->grid, index, world);
        grid_to_index(&b->grid, world, index);
        int64_t at[3];
        bool inside = true;
        for (int k = 0; k < 3; k++) {
            at[k] = llround(index[k]);
            inside &= at[k] >= 0 && at[k] < b->grid.dim[k];
        }
        count += !inside || !fixture_at(b, at[0], at[1], at[2]);
    }
    return count;
}

static void check_same_implant(struct restorer *restorer, int64_t tolerated)
{
    struct error error = {0};
    struct volume nifti = read_real("002_complete.nii.gz"), nrrd = read_real("002_complete.nrrd");
    struct restoration a = {0}, b = {0};
    if (nifti.data && nrrd.data) {
        fixture_box(&nifti, (struct box){{300, 150, 200}, {460, 330, nifti.grid.dim[2]}}, 0);
        fixture_box(&nrrd, (struct box){{300, 150, 200}, {460, 330, nrrd.grid.dim[2]}}, 0);
        CHECK(memcmp(nifti.data, nrrd.data, (size_t)grid_voxels(&nrrd.grid)) == 0);
        CHECK_OK(restorer_run(&a, restorer, &nifti, NULL, &error), &error);
        CHECK_OK(restorer_run(&b, restorer, &nrrd, NULL, &error), &error);
        int64_t voxels = mask_count(a.implant.data, grid_voxels(&a.implant.grid));
        CHECK(voxels > 10000);
        CHECK(differing(&a.implant, &b.implant) <= tolerated);
        CHECK(differing(&b.implant, &a.implant) <= tolerated);
    }
    restoration_done(&a);
    restoration_done(&b);
    volume_done(&nifti);
    volume_done(&nrrd);
}

static void test_nifti_and_nrrd_by_mirror(void)
{
    struct error error = {0};
    struct restorer *restorer = NULL;
    if (!check_real_data()) {
        check_skip("no real skulls here");
        return;
    }
    CHECK_OK(restorer_open(&restorer, "builtin:mirror", NULL, &error), &error);
    check_same_implant(restorer,
                       20); /* the plane is sought in world space: headers rounded to float move it by nanometres */
    restorer_free(restorer);
}

static void test_nifti_and_nrrd_by_network(void)
{
    struct error error = {0};
    struct restorer *restorer = NULL;
    struct fixture_network network;
    if (!check_real_data()) {
        check_skip("no real skulls here");
        return;
    }
    fixture_network(&network, "{patch_vox: 64, layers: [{type: conv, filters: 1, kernel: 5}]}", 11);
    for (int64_t i = 0; i < network.params.n; i++) /* thickens: a dilation by weights */
        for (int64_t k = 0; k < network.params.items[i].count; k++)
            network.params.value[network.params.items[i].offset + k] =
                strstr(network.params.items[i].name, ".w") ? 1 : 0;
    struct restore_config config = {
        .task = TASK_COMPLETION,
        .window = {.scan = SCAN_GRID, .patch_vox = {64, 64, 64}, .top_vox = 128, .batch = 1},
        .threshold = 40};
    CHECK_OK(restorer_new(&restorer, &network.config, &network.params, &config, NULL, &error), &error);
    check_same_implant(restorer, 0);
    restorer_free(restorer);
    fixture_network_done(&network);
}

/* A true implant's surface: sound, its volume the mask's, moved by less than half a voxel. */
static void test_surface_of_a_true_implant(void)
{
    struct error error = {0};
    if (!check_real_data()) {
        check_skip("no real skulls here");
        return;
    }
    struct volume implant = read_real("000_implant.nrrd");
    struct mesh mesh = {0};
    struct mesh_check check = {0};
    double volume_ml = (double)mask_count(implant.data, grid_voxels(&implant.grid)) * grid_voxel_ml(&implant.grid);
    double finest = fmin(grid_spacing_mm(&implant.grid, 0), grid_spacing_mm(&implant.grid, 2));
    CHECK_OK(mesh_from_mask(&mesh, &implant, &error), &error);
    CHECK_OK(mesh_smooth(&mesh, 15, 0.45 * finest, volume_ml, &error), &error);
    CHECK_OK(mesh_verify(&check, &mesh, &error), &error);
    CHECK(check.watertight && check.manifold && check.oriented);
    CHECK_NEAR(check.volume_ml / volume_ml, 1, 0.001);
    CHECK(mesh.n_triangles > 100000);
    mesh_done(&mesh);
    volume_done(&implant);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"nifti_and_nrrd_by_mirror", test_nifti_and_nrrd_by_mirror},
        {"nifti_and_nrrd_by_network", test_nifti_and_nrrd_by_network},
        {"surface_of_a_true_implant", test_surface_of_a_true_implant},
        {0},
    };
    return check_main(argc, argv, tests);
}
