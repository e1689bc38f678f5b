/* view.c - meshes small enough for a phone; see work.h. Test: tests/serve/test_server.sh, tests/browser */
#include <math.h>
#include <string.h>

#include "data/mask/morphology.h"
#include "data/volume/formats.h"
#include "infer/mesh/mesh.h"
#include "serve/work.h"

enum { VIEW_SMOOTHING = 15 };
static const double VIEW_SHIFT = 0.45; /* of a voxel's shortest side */

static int64_t view_count_block(const struct volume *mask, const int64_t at[3], const int64_t factor[3])
{
    const uint8_t *voxels = mask->data;
    const int64_t *dim = mask->grid.dim;
    int64_t n = 0;
    for (int64_t z = at[2] * factor[2]; z < (at[2] + 1) * factor[2] && z < dim[2]; z++)
        for (int64_t y = at[1] * factor[1]; y < (at[1] + 1) * factor[1] && y < dim[1]; y++)
            for (int64_t x = at[0] * factor[0]; x < (at[0] + 1) * factor[0] && x < dim[0]; x++)
                n += voxels[(z * dim[1] + y) * dim[0] + x] != 0;
    return n;
}

/* factor voxels become one, whose centre is theirs. */
static void view_thin_grid(struct grid *grid, const int64_t factor[3])
{
    for (int a = 0; a < 3; a++) {
        grid->dim[a] = (grid->dim[a] + factor[a] - 1) / factor[a];
        for (int k = 0; k < 3; k++) {
            grid->origin[k] += 0.5 * (double)(factor[a] - 1) * grid->axis[a][k];
            grid->axis[a][k] *= (double)factor[a];
        }
    }
}

static enum status view_coarsen(struct volume *ret, const struct volume *mask, const int64_t factor[3],
                                struct error *error)
{
    struct grid grid = mask->grid;
    view_thin_grid(&grid, factor);
    if (volume_new(ret, &grid, VOXEL_U8, error))
        return error->status;
    uint8_t *coarse = ret->data;
    int64_t whole = factor[0] * factor[1] * factor[2];

#pragma omp parallel for schedule(static)
    for (int64_t z = 0; z < grid.dim[2]; z++)
        for (int64_t y = 0; y < grid.dim[1]; y++)
            for (int64_t x = 0; x < grid.dim[0]; x++)
                coarse[(z * grid.dim[1] + y) * grid.dim[0] + x] =
                    2 * view_count_block(mask, (int64_t[]){x, y, z}, factor) >= whole;

    return STATUS_OK;
}

/* The mean of each voxel's 27 neighbours, less a half: the surface stands where it is 0, between the steps of voxels.
 */
static float *view_field(const struct volume *mask)
{
    const int64_t *dim = mask->grid.dim, n = grid_voxels(&mask->grid);
    const int64_t step[3] = {1, dim[0], dim[0] * dim[1]};
    float *field = memory_alloc((size_t)n, 2 * sizeof *field);
    if (!field)
        return NULL;
    float *from = field, *to = field + n;
    for (int64_t i = 0; i < n; i++)
        from[i] = ((const uint8_t *)mask->data)[i] != 0;

    /* Along one axis after the other; nothing lies beyond the volume. */
    for (int a = 0; a < 3; a++) {
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < n; i++) {
            const int64_t at = i / step[a] % dim[a];
            to[i] = (from[i] + (at > 0 ? from[i - step[a]] : 0) + (at + 1 < dim[a] ? from[i + step[a]] : 0)) / 3;
        }
        float *swap = from;
        from = to;
        to = swap;
    }
    if (from != field)
        memcpy(field, from, (size_t)n * sizeof *field);
    for (int64_t i = 0; i < n; i++)
        field[i] -= 0.5F;
    return field;
}

/* The mean of a block, from -32768 to 32767. */
static double view_mean_block(const struct volume *ct, const int64_t at[3], int64_t factor)
{
    const int64_t *dim = ct->grid.dim;
    double sum = 0;
    int64_t n = 0;
    for (int64_t z = at[2] * factor; z < (at[2] + 1) * factor && z < dim[2]; z++)
        for (int64_t y = at[1] * factor; y < (at[1] + 1) * factor && y < dim[1]; y++)
            for (int64_t x = at[0] * factor; x < (at[0] + 1) * factor && x < dim[0]; x++, n++) {
                const int64_t i = (z * dim[1] + y) * dim[0] + x;
                const double value = ct->type == VOXEL_U8    ? (double)((const uint8_t *)ct->data)[i]
                                     : ct->type == VOXEL_I16 ? (double)((const int16_t *)ct->data)[i]
                                                             : (double)((const float *)ct->data)[i];
                sum += isfinite(value) ? value : -1000;
            }
    return fmin(32767, fmax(-32768, sum / (double)n));
}

enum status view_write_ct(const char *path, const struct volume *ct, struct error *error)
{
    struct grid grid = ct->grid;
    struct volume thin = {0};
    int64_t factor = 0, voxels = INT64_MAX;
    while (voxels > VIEW_MOST_VOXELS) {
        factor++;
        voxels = 1;
        for (int a = 0; a < 3; a++)
            voxels *= (ct->grid.dim[a] + factor - 1) / factor;
    }
    view_thin_grid(&grid, (int64_t[]){factor, factor, factor});

    if (volume_new(&thin, &grid, VOXEL_I16, error))
        return error->status;
    int16_t *values = thin.data;
#pragma omp parallel for schedule(static)
    for (int64_t z = 0; z < grid.dim[2]; z++)
        for (int64_t y = 0; y < grid.dim[1]; y++)
            for (int64_t x = 0; x < grid.dim[0]; x++)
                values[(z * grid.dim[1] + y) * grid.dim[0] + x] =
                    (int16_t)lround(view_mean_block(ct, (int64_t[]){x, y, z}, factor));

    enum status status = volume_write(path, &thin, error);
    volume_done(&thin);
    return status;
}

enum status view_write(const char *path, const struct volume *mask, double target_mm, double *ret_mm,
                       struct error *error)
{
    struct volume coarse = {0};
    struct mesh mesh = {0};
    int64_t factor[3];

    for (int a = 0; a < 3; a++)
        factor[a] = (int64_t)fmax(1, floor(target_mm / grid_spacing_mm(&mask->grid, a) + 0.5));
    enum status status = view_coarsen(&coarse, mask, factor, error);
    if (!status) {
        const struct grid *grid = &coarse.grid;
        double finest = INFINITY, widest = 0;
        for (int a = 0; a < 3; a++) {
            finest = fmin(finest, grid_spacing_mm(grid, a));
            widest = fmax(widest, grid_spacing_mm(grid, a));
        }
        if (ret_mm)
            *ret_mm = widest;
        double volume_ml = (double)mask_count(coarse.data, grid_voxels(grid)) * grid_voxel_ml(grid);
        float *value = view_field(&coarse);
        const struct mesh_field field = {{{0, 0, 0}, {grid->dim[0], grid->dim[1], grid->dim[2]}}, value, NULL};
        status = value ? mesh_from_field(&mesh, &coarse, &field, error)
                       : error_memory(error, (size_t)grid_voxels(grid) * 2 * sizeof *value, "a surface to view");
        memory_free(value);
        if (!status)
            status = mesh_smooth(&mesh, VIEW_SMOOTHING, VIEW_SHIFT * finest, volume_ml, error);
    }

    if (!status)
        status = mesh_write_ply(path, &mesh, MESH_RAS, error);
    mesh_done(&mesh);
    volume_done(&coarse);
    return status;
}
