/* restore.c - the restoration itself; see restore.h.
 *
 * The network's values never stand in memory as a whole native volume: each block is compared with the threshold at once. On a
 * working grid they do (it is the coarser one), and are brought back a few native slices at a time. */
#include "infer/restore.h"

#include <math.h>
#include <string.h>

#include "data/resample.h"
#include "infer/mirror.h"
#include "infer/restorer.h"

/* Where finished values go. */
struct taking {
    struct restoration *result;
    const struct volume *skull;
    float threshold;
    bool completion;
};

/* A window_sink: raw = p > threshold, implant = raw and no bone. */
static void take_block(void *context, const struct window_block *block)
{
    const struct taking *taking = context;
    const int64_t *dim = taking->skull->grid.dim;
    uint8_t *implant = taking->result->implant.data, *raw = taking->result->raw.data;
    int64_t changed = 0;
#pragma omp parallel for schedule(static) reduction(+ : changed)
    for (int64_t z = block->box.lo[2]; z < block->box.hi[2]; z++)
        for (int64_t y = block->box.lo[1]; y < block->box.hi[1]; y++) {
            const float *p = block->p + (z - block->box.lo[2]) * block->stride_z + (y - block->box.lo[1]) * block->stride_y;
            int64_t at = (z * dim[1] + y) * dim[0] + block->box.lo[0], n = block->box.hi[0] - block->box.lo[0];
            const uint8_t *bone = (const uint8_t *)taking->skull->data + at;
            for (int64_t x = 0; x < n; x++) {
                uint8_t is = p[x] > taking->threshold, was = bone[x] != 0;
                changed += taking->completion ? is != was : is;
                implant[at + x] = is && !was;
                if (raw)
                    raw[at + x] = is;
            }
        }
    taking->result->changed_vox += changed;
}

bool restorer_working_grid(const struct restorer *restorer, const struct grid *native, struct grid *ret)
{
    const struct restore_config *config = &restorer->config;
    *ret = *native;
    if (config->working_spacing_mm[0] > 0)
        *ret = resample_grid(native, config->working_spacing_mm);
    else if (config->window.scan == SCAN_WHOLE)
        for (int a = 0; a < 3; a++) { /* the same field of view in patch_vox voxels */
            double scale = (double)native->dim[a] / (double)config->window.patch_vox[a];
            ret->dim[a] = config->window.patch_vox[a];
            for (int k = 0; k < 3; k++) {
                ret->origin[k] += 0.5 * (scale - 1) * native->axis[a][k];
                ret->axis[a][k] *= scale;
            }
        }
    return !grid_same(ret, native, 1e-9);
}

/* A window_sink: into a volume of floats. */
static void keep_block(void *context, const struct window_block *block)
{
    struct volume *p = context;
    for (int64_t z = block->box.lo[2]; z < block->box.hi[2]; z++)
        for (int64_t y = block->box.lo[1]; y < block->box.hi[1]; y++)
            memcpy((float *)p->data + (z * p->grid.dim[1] + y) * p->grid.dim[0] + block->box.lo[0],
                   block->p + (z - block->box.lo[2]) * block->stride_z + (y - block->box.lo[1]) * block->stride_y,
                   (size_t)(block->box.hi[0] - block->box.lo[0]) * sizeof(float));
}

/* The working grid's values, linearly interpolated, to the native one. */
static enum status bring_back(struct taking *taking, const struct volume *p, struct error *error)
{
    const struct grid *native = &taking->skull->grid;
    for (int64_t z = 0; z < native->dim[2]; z += RESTORE_SLAB) {
        struct grid slab = *native;
        slab.dim[2] = z + RESTORE_SLAB < native->dim[2] ? RESTORE_SLAB : native->dim[2] - z;
        for (int k = 0; k < 3; k++)
            slab.origin[k] += (double)z * native->axis[2][k];
        struct volume values;
        if (resample_volume(&values, p, &slab, RESAMPLE_LINEAR, error))
            return error->status;
        take_block(taking, &(struct window_block){.box = {{0, 0, z}, {slab.dim[0], slab.dim[1], z + slab.dim[2]}},
                                                  .p = values.data,
                                                  .stride_y = slab.dim[0],
                                                  .stride_z = slab.dim[0] * slab.dim[1]});
        volume_done(&values);
    }
    return STATUS_OK;
}

static enum status scan_resampled(struct taking *taking, struct restorer *restorer, const struct grid *working,
                                  struct progress *progress, struct error *error)
{
    struct volume src = {0}, p = {0};
    enum status status = resample_volume(&src, taking->skull, working, RESAMPLE_LINEAR, error);
    if (!status)
        status = volume_new(&p, working, VOXEL_F32, error);
    if (!status && taking->completion) /* what is not scanned stays as it is */
        memcpy(p.data, src.data, (size_t)grid_voxels(working) * sizeof(float));
    if (!status)
        status = window_scan(&taking->result->stats, restorer->network, &restorer->config.window, &src, keep_block, &p, progress,
                             error);
    volume_done(&src);
    if (!status)
        status = bring_back(taking, &p, error);
    volume_done(&p);
    return status;
}

static enum status run_network(struct restoration *result, struct restorer *restorer, const struct volume *skull,
                               struct progress *progress, struct error *error)
{
    struct taking taking = {.result = result,
                            .skull = skull,
                            .threshold = (float)restorer->config.threshold,
                            .completion = restorer->config.task == RESTORE_COMPLETION};
    struct grid working;
    if (result->raw.data && taking.completion)
        memcpy(result->raw.data, skull->data, (size_t)grid_voxels(&skull->grid));
    enum status status = restorer_working_grid(restorer, &skull->grid, &working)
                             ? scan_resampled(&taking, restorer, &working, progress, error)
                             : window_scan(&result->stats, restorer->network, &restorer->config.window, skull, take_block,
                                           &taking, progress, error);
    result->network_s = result->stats.network_s;
    return status;
}

static enum status run_mirror(struct restoration *result, const struct volume *skull, struct error *error)
{
    struct mirror_plane plane;
    if (mirror_find(&plane, skull, error))
        return error->status;
    mirror_fill(result->implant.data, skull, &plane);
    result->changed_vox = mask_count(result->implant.data, grid_voxels(&skull->grid));
    return STATUS_OK;
}

static enum status new_mask(struct volume *ret, const struct volume *like, struct error *error)
{
    if (volume_new(ret, &like->grid, VOXEL_U8, error))
        return error->status;
    ret->storage = like->storage;
    return STATUS_OK;
}

static void mask_unite(struct volume *ret, const struct volume *a, const struct volume *b)
{
    uint8_t *out = ret->data;
    const uint8_t *from = a->data, *with = b->data;
    int64_t n = grid_voxels(&ret->grid);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++)
        out[i] = from[i] || with[i];
}

static enum status restore_masks(struct restoration *result, struct restorer *restorer, const struct volume *skull,
                                 struct progress *progress, struct error *error)
{
    enum status status = new_mask(&result->implant, skull, error);
    if (!status && restorer->keep_raw)
        status = new_mask(&result->raw, skull, error);
    if (!status && restorer->kind == RESTORER_NETWORK)
        status = run_network(result, restorer, skull, progress, error);
    else if (!status && restorer->kind == RESTORER_MIRROR)
        status = run_mirror(result, skull, error);
    if (!status && result->raw.data && restorer->kind != RESTORER_NETWORK)
        mask_unite(&result->raw, skull, &result->implant);
    double begin = log_clock_s();
    if (!status)
        status = postprocess_run(&result->implant, skull, &restorer->config.postprocess, error);
    result->postprocess_s = log_clock_s() - begin;
    if (!status)
        status = new_mask(&result->completed, skull, error);
    if (!status)
        mask_unite(&result->completed, skull, &result->implant);
    return status;
}

enum status restorer_run(struct restoration *ret, struct restorer *restorer, const struct volume *skull,
                         struct progress *progress, struct error *error)
{
    struct restoration result = {0};
    double begin = log_clock_s();
    if (skull->type != VOXEL_U8)
        return error_set(error, STATUS_FAILED, "restore: the skull is no mask (values of 0 and 1 are needed)");
    if (restore_masks(&result, restorer, skull, progress, error)) {
        restoration_done(&result);
        return error_while(error, "restoring the skull");
    }
    result.total_s = log_clock_s() - begin;
    result.peak_bytes = memory_peak_bytes();
    *ret = result;
    return STATUS_OK;
}

void restoration_done(struct restoration *restoration)
{
    volume_done(&restoration->completed);
    volume_done(&restoration->implant);
    volume_done(&restoration->raw);
    *restoration = (struct restoration){0};
}
