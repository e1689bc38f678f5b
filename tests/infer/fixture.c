/* fixture.c - see fixture.h. */
#include "tests/infer/fixture.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

static void must(enum status status, const struct error *error)
{
    if (status) {
        error_print(stderr, error);
        abort();
    }
}

struct volume fixture_volume(int64_t x, int64_t y, int64_t z, double sx, double sy, double sz)
{
    struct error error = {0};
    struct volume volume;
    const int64_t dim[3] = {x, y, z};
    const double spacing[3] = {sx, sy, sz};
    struct grid grid = grid_make(dim, spacing);
    must(volume_new(&volume, &grid, VOXEL_U8, &error), &error);
    return volume;
}

void fixture_noise(struct volume *volume, uint64_t seed, double share)
{
    struct rng rng = rng_make(seed, 0);
    uint8_t *mask = volume->data;
    for (int64_t i = 0; i < grid_voxels(&volume->grid); i++)
        mask[i] = rng_uniform(&rng, 0, 1) < share;
}

void fixture_box(struct volume *volume, struct box box, uint8_t value)
{
    const int64_t *dim = volume->grid.dim;
    for (int64_t z = box.lo[2]; z < box.hi[2]; z++)
        for (int64_t y = box.lo[1]; y < box.hi[1]; y++)
            memset((uint8_t *)volume->data + (z * dim[1] + y) * dim[0] + box.lo[0], value,
                   (size_t)(box.hi[0] - box.lo[0]));
}

void fixture_skull(struct volume *volume, double thickness_mm)
{
    const int64_t *dim = volume->grid.dim;
    double radius[3], least = INFINITY;
    for (int a = 0; a < 3; a++) {
        radius[a] = 0.42 * (double)dim[a] * grid_spacing_mm(&volume->grid, a);
        least = fmin(least, radius[a]);
    }
    for (int64_t i = 0; i < grid_voxels(&volume->grid); i++) {
        const int64_t at[3] = {i % dim[0], i / dim[0] % dim[1], i / dim[0] / dim[1]};
        double r = 0;
        for (int a = 0; a < 3; a++) {
            double mm = ((double)at[a] - 0.5 * (double)(dim[a] - 1)) * grid_spacing_mm(&volume->grid, a) / radius[a];
            r += mm * mm;
        }
        r = sqrt(r);
        ((uint8_t *)volume->data)[i] = r <= 1 && r >= 1 - thickness_mm / least && at[2] > dim[2] / 5;
    }
}

uint8_t fixture_at(const struct volume *volume, int64_t x, int64_t y, int64_t z)
{
    return ((const uint8_t *)volume->data)[(z * volume->grid.dim[1] + y) * volume->grid.dim[0] + x];
}

void fixture_network(struct fixture_network *ret, const char *yaml, uint64_t seed)
{
    struct error error = {0};
    struct yaml_node *root;
    memset(ret, 0, sizeof *ret);
    must(yaml_read_text(&root, yaml, "fixture.yaml", &ret->arena, &error), &error);
    must(config_bind(&network_table, root, &ret->config, &ret->arena, &error), &error);
    must(network_describe(&ret->params, &ret->config, &error), &error);
    must(params_allocate(&ret->params, false, &error), &error);
    params_initialise(&ret->params, seed);
}

void fixture_identity(struct fixture_network *ret, int64_t px, int64_t py, int64_t pz)
{
    char yaml[256];
    snprintf(yaml, sizeof yaml,
             "{patch_vox: [%" PRId64 ", %" PRId64 ", %" PRId64 "], layers: [{type: conv, filters: 1, kernel: 1}]}", px,
             py, pz);
    fixture_network(ret, yaml, 1);
    for (int64_t i = 0; i < ret->params.n; i++) {
        const struct param *param = &ret->params.items[i];
        ret->params.value[param->offset] = strstr(param->name, ".w") ? 1 : 0;
    }
}

void fixture_network_done(struct fixture_network *network)
{
    params_done(&network->params);
    arena_done(&network->arena);
}
