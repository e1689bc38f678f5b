/* restore.c - the restoration itself; see restore.h. Test: tests/infer/test_restore.c
 *
 * The network's values never stand in memory as a whole native volume: each block is compared with the threshold at
 * once. On a working grid they do (it is the coarser one), and are brought back a few native slices at a time. */
#include "infer/restore.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/watch.h"
#include "data/volume/resample.h"
#include "data/volume/turn.h"
#include "infer/beside.h"
#include "infer/ensemble.h"
#include "infer/mirror.h"
#include "infer/restorer.h"
#include "shape/prior.h"

/* Where finished values go. */
struct threshold_sink {
    struct restoration *result;
    const struct volume *skull;
    float threshold;
    bool completion;
};

/* A window_sink: raw = p > threshold, implant = raw and no bone. */
static void threshold_sink_block(void *context, const struct window_block *block)
{
    const struct threshold_sink *sink = context;
    const int64_t *dim = sink->skull->grid.dim;
    uint8_t *implant = sink->result->implant.data, *raw = sink->result->raw.data;
    int64_t changed = 0;

#pragma omp parallel for schedule(static) reduction(+ : changed)
    for (int64_t z = block->box.lo[2]; z < block->box.hi[2]; z++)
        for (int64_t y = block->box.lo[1]; y < block->box.hi[1]; y++) {
            const float *p =
                block->p + (z - block->box.lo[2]) * block->stride_z + (y - block->box.lo[1]) * block->stride_y;
            int64_t at = (z * dim[1] + y) * dim[0] + block->box.lo[0], n = block->box.hi[0] - block->box.lo[0];
            const uint8_t *bone = (const uint8_t *)sink->skull->data + at;
            for (int64_t x = 0; x < n; x++) {
                uint8_t is = p[x] > sink->threshold, was = bone[x] != 0;
                changed += sink->completion ? is != was : is;
                implant[at + x] = is && !was;
                if (raw)
                    raw[at + x] = is;
            }
        }

    sink->result->changed_vox += changed;
}

bool restorer_working_grid(const struct restorer *restorer, const struct grid *native, struct grid *ret)
{
    const struct restore_config *config = &restorer->config;
    *ret = *native;
    if (config->working_spacing_mm[0] > 0)
        *ret = resample_grid(native, config->working_spacing_mm);
    else if (config->window.scan == SCAN_WHOLE)
        *ret = resample_fit(native, config->window.patch_vox);
    const bool framed =
        config->window.scan == SCAN_WHOLE && config->working_spacing_mm[0] > 0; /* also where it has that spacing */
    return framed || !grid_same(ret, native, 1e-9);
}

/* A volume of floats, and where the scanned volume lies on it. */
struct volume_sink {
    struct volume *p;
    int64_t lo[3];
    const struct volume
        *bone; /* the scanned volume: only what the prediction adds to it is kept; NULL: the prediction itself */
};

static void volume_sink_row(float *dst, const float *p, const float *bone, int64_t n)
{
    if (bone)
        for (int64_t i = 0; i < n; i++)
            dst[i] = fmaxf(p[i] - bone[i], 0);
    else
        memcpy(dst, p, (size_t)n * sizeof *dst);
}

/* A window_sink: into a volume of floats, as far as it reaches. */
static void volume_sink_block(void *context, const struct window_block *block)
{
    const struct volume_sink *sink = context;
    struct volume *p = sink->p;
    const int64_t *dim = p->grid.dim, *from = sink->bone ? sink->bone->grid.dim : dim;
    const int64_t first = sink->lo[0] + block->box.lo[0] < 0 ? -sink->lo[0] : block->box.lo[0];
    const int64_t end = sink->lo[0] + block->box.hi[0] > dim[0] ? dim[0] - sink->lo[0] : block->box.hi[0];

    for (int64_t z = block->box.lo[2]; z < block->box.hi[2]; z++)
        for (int64_t y = block->box.lo[1]; y < block->box.hi[1]; y++) {
            const int64_t to_y = y + sink->lo[1], to_z = z + sink->lo[2];
            if (end > first && to_y >= 0 && to_y < dim[1] && to_z >= 0 && to_z < dim[2])
                volume_sink_row((float *)p->data + (to_z * dim[1] + to_y) * dim[0] + sink->lo[0] + first,
                                block->p + (z - block->box.lo[2]) * block->stride_z +
                                    (y - block->box.lo[1]) * block->stride_y + first - block->box.lo[0],
                                sink->bone ? (const float *)sink->bone->data + (z * from[1] + y) * from[0] + first
                                           : NULL,
                                end - first);
        }
}

/* The voxels whose value can be above the threshold: those near a working voxel that is. All of them where 0 is above
 * it, or where the rest counts too. */
static struct box threshold_sink_box(const struct threshold_sink *sink, const struct volume *p)
{
    const struct grid *native = &sink->skull->grid, *working = &p->grid;
    const int64_t *dim = working->dim;
    struct box box = {.lo = {dim[0], dim[1], dim[2]}}, whole = {.hi = {native->dim[0], native->dim[1], native->dim[2]}};
    double origin[3];

    if (sink->completion || sink->threshold < 0)
        return whole;

    /* The working voxels above the threshold. */
    for (int64_t z = 0, i = 0; z < dim[2]; z++)
        for (int64_t y = 0; y < dim[1]; y++)
            for (int64_t x = 0; x < dim[0]; x++, i++) {
                const int64_t at[3] = {x, y, z};
                for (int a = 0; a < 3 && ((const float *)p->data)[i] > sink->threshold; a++) {
                    box.lo[a] = at[a] < box.lo[a] ? at[a] : box.lo[a];
                    box.hi[a] = at[a] + 1 > box.hi[a] ? at[a] + 1 : box.hi[a];
                }
            }

    /* Two voxels wider on each side: the spline reaches that far. */
    grid_to_index(working, native->origin, origin);
    for (int a = 0; a < 3 && !box_empty(box); a++) {
        const double step = grid_spacing_mm(native, a) / grid_spacing_mm(working, a);
        const int64_t lo = (int64_t)floor(((double)box.lo[a] - 2 - origin[a]) / step),
                      hi = (int64_t)ceil(((double)box.hi[a] + 1 - origin[a]) / step) + 1;
        box.lo[a] = lo < 0 ? 0 : lo;
        box.hi[a] = hi > native->dim[a] ? native->dim[a] : hi;
    }

    return box;
}

/* The part of a grid in a box. */
static struct grid restore_grid_of(const struct grid *whole, const struct box *box)
{
    struct grid grid = *whole;
    for (int a = 0; a < 3; a++) {
        grid.dim[a] = box_size(*box, a);
        for (int k = 0; k < 3; k++)
            grid.origin[k] += (double)box->lo[a] * whole->axis[a][k];
    }
    return grid;
}

enum status prediction_values(float *out, const struct grid *native, struct box box, const struct volume *p,
                              struct error *error)
{
    const int64_t size[3] = {box_size(box, 0), box_size(box, 1), box_size(box, 2)};
    double at[3], step[3];
    grid_to_index(&p->grid, native->origin, at);
    for (int a = 0; a < 3; a++) { /* the axes are parallel */
        step[a] = grid_spacing_mm(native, a) / grid_spacing_mm(&p->grid, a);
        at[a] += (double)box.lo[a] * step[a];
    }
    return resample_lattice_smooth(out, size, p->data, p->grid.dim, at, step, error);
}

/* The working grid's values, smoothly interpolated, to the native one. */
static enum status restore_resample_to_native(struct threshold_sink *sink, const struct volume *p, struct error *error)
{
    const struct grid *native = &sink->skull->grid;
    const struct box box = threshold_sink_box(sink, p);

    const int64_t width = box_size(box, 0), slice = width * box_size(box, 1);
    if (box_empty(box))
        return STATUS_OK;
    float *values = memory_alloc((size_t)slice, RESTORE_SLAB * sizeof *values);
    enum status status = values ? STATUS_OK
                                : error_memory(error, (size_t)slice * RESTORE_SLAB * sizeof *values,
                                               "the prediction on the skull's own grid");

    /* A few native slices at a time. */
    for (int64_t z = box.lo[2]; !status && z < box.hi[2]; z += RESTORE_SLAB) {
        const int64_t end = z + RESTORE_SLAB < box.hi[2] ? z + RESTORE_SLAB : box.hi[2];
        const struct box slab = {{box.lo[0], box.lo[1], z}, {box.hi[0], box.hi[1], end}};
        status = prediction_values(values, native, slab, p, error);
        if (!status)
            threshold_sink_block(
                sink, &(struct window_block){.box = slab, .p = values, .stride_y = width, .stride_z = slice});
    }

    memory_free(values);
    return status;
}

/* The frame of a whole skull, cut from its volume src. */
static enum status restore_frame(struct volume *ret, int64_t lo[3], const struct volume *src, const int64_t size[3],
                                 struct error *error)
{
    struct grid grid = src->grid;
    memcpy(grid.dim, size, sizeof grid.dim);
    skull_crop(lo, src->data, src->grid.dim, size);
    for (int k = 0; k < 3; k++)
        for (int a = 0; a < 3; a++)
            grid.origin[k] += (double)lo[a] * grid.axis[a][k];
    if (volume_new(ret, &grid, VOXEL_F32, error))
        return error->status;
    resample_crop(ret->data, size, src->data, src->grid.dim, lo);
    return STATUS_OK;
}

/* The network's values on its working grid. */
static enum status restore_predict_resampled(struct volume *ret, struct window_stats *stats, struct restorer *restorer,
                                             const struct grid *working, const struct window_source *native,
                                             struct progress *progress, struct error *error)
{
    struct window_config window = restorer->config.window;
    struct volume src = {0}, p = {0}, frame = {0};
    const bool missing =
        restorer->config.task == TASK_COMPLETION && !native->keep; /* a coarse stage: what is missing */
    struct window_source source = *native;
    struct volume_sink sink = {.p = &p};

    if (restorer->config.correction) /* weighed where it is added */
        window.prior_weight = 0;
    source.skull = &src;
    enum status status = resample_volume(&src, native->skull, working, RESAMPLE_AREA, error);
    if (!status)
        status = volume_new(&p, working, VOXEL_F32, error);
    if (!status && native->keep) /* what is not scanned stays as it is */
        memcpy(p.data, src.data, (size_t)grid_voxels(working) * sizeof(float));

    /* A whole scan at a working spacing sees one frame, centred on the bone. */
    if (!status && window.scan == SCAN_WHOLE && restorer->config.working_spacing_mm[0] > 0) {
        status = restore_frame(&frame, sink.lo, &src, window.patch_vox, error);
        source.skull = &frame;
    }
    sink.bone = missing ? source.skull : NULL;

    if (!status)
        status = window_scan(stats, restorer->network, &window, &source, volume_sink_block, &sink, progress, error);
    volume_done(&src);
    volume_done(&frame);
    if (status)
        volume_done(&p);
    else
        *ret = p;
    return status;
}

static void restore_add_stats(struct window_stats *sum, const struct window_stats *more)
{
    sum->n_tiles += more->n_tiles;
    sum->n_empty += more->n_empty;
    sum->n_skipped += more->n_skipped;
    sum->network_s += more->network_s;
}

/* The missing part as the coarse stage predicts it for the whole skull; of completion: what it adds to the skull. */
static enum status restore_predict_coarse(struct volume *ret, struct window_stats *stats, struct restorer *coarse,
                                          const struct volume *skull, struct error *error)
{
    const struct window_source source = {.skull = skull};
    struct grid working;
    restorer_working_grid(coarse, &skull->grid, &working);
    return restore_predict_resampled(ret, stats, coarse, &working, &source, NULL, error)
               ? error_while(error, "running the coarse stage")
               : STATUS_OK;
}

static enum status restore_scan(struct threshold_sink *sink, struct restorer *restorer,
                                const struct window_source *source, struct window_stats *stats,
                                struct progress *progress, struct error *error)
{
    struct grid working;
    struct volume p;
    if (!restorer_working_grid(restorer, &sink->skull->grid, &working))
        return window_scan(stats, restorer->network, &restorer->config.window, source, threshold_sink_block, sink,
                           progress, error);
    if (restore_predict_resampled(&p, stats, restorer, &working, source, progress, error))
        return error->status;
    enum status status = restore_resample_to_native(sink, &p, error);
    if (status || !restorer->keep_prediction)
        volume_done(&p);
    sink->result->prediction = p;
    sink->result->threshold = restorer->config.threshold;
    return status;
}

/* implant: NULL where a network is to make it. */
static enum status restore_shape(struct restoration *result, const struct restorer *restorer,
                                 const struct volume *skull, uint8_t *implant, bool with_depth, struct error *error)
{
    const struct shape_options options = {.with_sd = true, .with_depth = with_depth};
    const double begin = log_clock_s();
    result->shape = memory_zalloc(1, sizeof *result->shape);
    if (!result->shape)
        return error_memory(error, sizeof *result->shape, "a restoration");
    if (shape_restore(implant, result->shape, &restorer->shape, skull, &options, "the skull", error))
        return error->status;
    result->network_s = log_clock_s() - begin;
    return STATUS_OK;
}

/* The shape model's prediction on a skull's grid, as a volume of the network's further channels. */
static enum status restore_shape_prior(struct volume *ret, const struct restoration *result,
                                       const struct restorer *coarse, const struct volume *skull, int64_t channels,
                                       struct error *error)
{
    const struct shape_prior prior = {.model = &coarse->shape, .clip_mm = SHAPE_PRIOR_CLIP_MM, .with_sd = channels > 1};
    struct prior_field field = {0};
    if (shape_prior_of(&field, &prior, result->shape, &skull->grid, error))
        return error->status;
    *ret = (struct volume){.grid = restore_grid_of(&skull->grid, &field.box), .type = VOXEL_F32, .data = field.value};
    return STATUS_OK;
}

/* The coarse stage's prediction as the network's further channels: of result->shape, or of a coarse network. */
static enum status restore_prior(struct volume *prior, struct window_source *source, const struct restoration *result,
                                 struct restorer *restorer, const struct volume *skull, struct window_stats *stats,
                                 struct error *error)
{
    enum status status = STATUS_OK;
    if (result->shape) {
        const int64_t channels = restorer->network_config->input_channels - 1;
        status = restore_shape_prior(prior, result, restorer->coarse, skull, channels, error);
        source->prior = prior;
        source->prior_channels = channels;
    } else if (restorer->coarse) {
        status = restore_predict_coarse(prior, stats, restorer->coarse, skull, error);
        source->prior = prior;
        source->prior_channels = 1;
    }
    return status;
}

/* --- an ensemble --- */

/* A network's values on the grid it works on, which may be the skull's own. */
static enum status restore_predict(struct volume *ret, struct window_stats *stats, struct restorer *restorer,
                                   const struct window_source *source, struct progress *progress, struct error *error)
{
    struct grid working;
    struct volume p;
    if (restorer_working_grid(restorer, &source->skull->grid, &working))
        return restore_predict_resampled(ret, stats, restorer, &working, source, progress, error);
    if (volume_new(&p, &working, VOXEL_F32, error))
        return error->status;
    const int64_t n = grid_voxels(&working);
    for (int64_t i = 0; source->keep && i < n; i++) /* what is not scanned stays as it is */
        ((float *)p.data)[i] = ((const uint8_t *)source->skull->data)[i] != 0;
    struct volume_sink sink = {.p = &p};
    const enum status status = window_scan(stats, restorer->network, &restorer->config.window, source,
                                           volume_sink_block, &sink, progress, error);
    if (status)
        volume_done(&p);
    else
        *ret = p;
    return status;
}

/* One member's field. The first one's shape model, where there is one, is in result->shape already; another member's
 * finds the hole anew. */
static enum status restore_member(struct volume *ret, struct restoration *result, struct restorer *restorer,
                                  int64_t member, const struct volume *skull, struct progress *progress,
                                  struct error *error)
{
    struct window_source source = {.skull = skull, .keep = restorer->config.task == TASK_COMPLETION};
    struct window_stats stats = {0}, coarse = {0};
    struct volume prior = {0};
    struct restoration own = {.shape = result->shape};
    const bool anew = member > 1 && restorer->coarse && restorer->coarse->has_shape;
    enum status status = restorer_take_member(restorer, member, error);
    if (!status && anew) {
        own.shape = NULL;
        status = volume_new(&own.implant, &skull->grid, VOXEL_U8, error);
        if (!status)
            status = restore_shape(&own, restorer->coarse, skull, NULL, false, error);
    }
    if (!status)
        status = restore_prior(&prior, &source, &own, restorer, skull, &coarse, error);
    if (!status)
        status = restore_predict(ret, &stats, restorer, &source, progress, error);
    restore_add_stats(&result->stats, &stats);
    restore_add_stats(&result->stats, &coarse);
    volume_done(&prior);
    if (anew)
        restoration_done(&own);
    return status;
}

/* Mean and spread of all members' fields; then as one network's. */
static enum status restore_ensemble(struct threshold_sink *sink, struct restoration *result, struct restorer *restorer,
                                    const struct volume *skull, struct progress *progress, struct error *error)
{
    struct ensemble_field field = {0};
    const double begin_s = log_clock_s();
    enum status status = STATUS_OK;
    assert(restorer->n_members > 0);
    for (int64_t member = 1; member <= restorer->n_members && !status; member++) {
        struct volume p = {0};
        status = restore_member(&p, result, restorer, member, skull, progress, error);
        if (!status)
            status = ensemble_add(&field, &p, error);
        volume_done(&p);
        if (!status && member == 1)
            log_info("an ensemble of %d: its members run one after the other, %.1f s each", (int)restorer->n_members,
                     log_clock_s() - begin_s);
    }

    /* On the skull's own grid: the mean is compared with the threshold, as a network's prediction is. */
    struct grid working;
    const bool resampled = restorer_working_grid(restorer, &skull->grid, &working);
    if (!status && resampled)
        status = restore_resample_to_native(sink, &field.mean, error);
    else if (!status)
        threshold_sink_block(
            sink, &(struct window_block){.box = {{0}, {skull->grid.dim[0], skull->grid.dim[1], skull->grid.dim[2]}},
                                         .p = field.mean.data,
                                         .stride_y = skull->grid.dim[0],
                                         .stride_z = skull->grid.dim[0] * skull->grid.dim[1]});
    if (!status) {
        ensemble_spread(&field, sink->threshold);
        result->spread = field.spread;
        field.spread = (struct volume){0};
    }
    if (!status && resampled && restorer->keep_prediction) {
        result->prediction = field.mean;
        result->threshold = restorer->config.threshold;
        field.mean = (struct volume){0};
    }
    ensemble_done(&field);
    return status;
}

/* Scan of a skull that stands upright in its volume; result->shape, where the coarse stage is a shape model, is there.
 * A network that corrects it fills `correction` instead of the masks. */
static enum status restore_network_upright(struct restoration *result, struct restorer *restorer,
                                           const struct volume *skull, struct volume *correction,
                                           struct progress *progress, struct error *error)
{
    struct threshold_sink sink = {.result = result,
                                  .skull = skull,
                                  .threshold = (float)restorer->config.threshold,
                                  .completion = restorer->config.task == TASK_COMPLETION};
    struct window_source source = {.skull = skull, .keep = sink.completion};
    struct window_stats coarse = {0};
    struct volume prior = {0};
    enum status status = STATUS_OK;

    if (result->raw.data && sink.completion)
        memcpy(result->raw.data, skull->data, (size_t)grid_voxels(&skull->grid));

    if (restorer->n_members && !restorer->config.correction) {
        status = restore_ensemble(&sink, result, restorer, skull, progress, error);
    } else {
        struct grid working;
        status = restore_prior(&prior, &source, result, restorer, skull, &coarse, error);
        restorer_working_grid(restorer, &skull->grid, &working);
        if (!status && restorer->config.correction)
            status =
                restore_predict_resampled(correction, &result->stats, restorer, &working, &source, progress, error);
        else if (!status)
            status = restore_scan(&sink, restorer, &source, &result->stats, progress, error);
    }
    restore_add_stats(&result->stats, &coarse);
    result->network_s = result->stats.network_s;

    volume_done(&prior);
    return status;
}

/* What was predicted for the turned skull, in the order of the skull as it is. */
static enum status restore_turn_back(struct volume *mask, const struct volume *turned, struct error *error)
{
    struct volume back;
    if (!turned->data)
        return STATUS_OK;
    if (turn_volume(&back, turned, turn_lps, error))
        return error->status;
    memcpy(mask->data, back.data, (size_t)grid_voxels(&mask->grid));
    volume_done(&back);
    return STATUS_OK;
}

/* A head that does not stand upright: its volume is turned by quarter turns, scanned, and turned back. */
static enum status restore_network_turned(struct restoration *result, struct restorer *restorer,
                                          const struct volume *skull, struct volume *correction,
                                          struct progress *progress, struct error *error)
{
    const double(*head)[3] = (const double(*)[3])result->shape->pose.pose.rotation;
    struct restoration turned = {.shape = result->shape};
    struct volume upright = {0};

    enum status status = turn_volume(&upright, skull, head, error);
    if (!status)
        status = volume_new(&turned.implant, &upright.grid, VOXEL_U8, error);
    if (!status && result->raw.data)
        status = volume_new(&turned.raw, &upright.grid, VOXEL_U8, error);
    if (!status)
        status = restore_network_upright(&turned, restorer, &upright, correction, progress, error);
    volume_done(&upright);

    if (!status)
        status = restore_turn_back(&result->implant, &turned.implant, error);
    if (!status)
        status = restore_turn_back(&result->raw, &turned.raw, error);
    if (!status && turned.prediction.data) /* its axes along the skull's once more: the surface is made from it */
        status = turn_volume(&result->prediction, &turned.prediction, turn_lps, error);
    result->threshold = turned.threshold;
    result->stats = turned.stats;
    result->spread = turned.spread; /* of the turned volume: its grid says where it lies */
    result->network_s = turned.network_s;
    result->changed_vox = turned.changed_vox;
    volume_done(&turned.implant);
    volume_done(&turned.raw);
    volume_done(&turned.prediction);
    return status;
}

/* depth += share * correction, linear between the voxels of its grid; then the shape model's implant of it. */
static enum status restore_correct(struct restoration *result, const struct volume *skull,
                                   const struct volume *correction, float share, struct error *error)
{
    const struct shape_restoration *shape = result->shape;
    const struct box *box = &shape->box;
    const int64_t slice = box_size(*box, 0) * box_size(*box, 1);

    for (int64_t z = box->lo[2]; z < box->hi[2]; z += RESTORE_SLAB) {
        const int64_t n = box->hi[2] - z < RESTORE_SLAB ? box->hi[2] - z : RESTORE_SLAB;
        const struct box slab = {{box->lo[0], box->lo[1], z}, {box->hi[0], box->hi[1], z + n}};
        const struct grid grid = restore_grid_of(&skull->grid, &slab);
        float *depth = shape->depth + (z - box->lo[2]) * slice;
        struct volume values;
        if (resample_volume(&values, correction, &grid, RESAMPLE_LINEAR, error))
            return error->status;
#pragma omp parallel for schedule(static)
        for (int64_t v = 0; v < n * slice; v++)
            depth[v] += share * ((const float *)values.data)[v];
        volume_done(&values);
    }

    return shape_restoration_implant(result->implant.data, shape, skull, error);
}

/* One network, or of an ensemble the member that is in place. */
static enum status restore_one(struct restoration *result, struct restorer *restorer, const struct volume *skull,
                               struct progress *progress, struct error *error)
{
    const bool corrects = restorer->config.correction != NULL;
    struct volume correction = {0};
    if (!restorer->coarse || !restorer->coarse->has_shape)
        return restore_network_upright(result, restorer, skull, NULL, progress, error);

    /* The shape model finds the head whichever way it lies; the network has seen upright heads alone. */
    if (restore_shape(result, restorer->coarse, skull, NULL, corrects, error))
        return error->status;
    if (corrects && box_empty(result->shape->box)) /* no hole */
        return STATUS_OK;
    enum status status = turn_is_needed(&skull->grid, (const double(*)[3])result->shape->pose.pose.rotation)
                             ? restore_network_turned(result, restorer, skull, &correction, progress, error)
                             : restore_network_upright(result, restorer, skull, &correction, progress, error);
    if (!status && corrects)
        status = restore_correct(result, skull, &correction, (float)(1 - restorer->config.window.prior_weight), error);
    volume_done(&correction);
    return status;
}

/* A member's corrected depth on the first one's box; beyond its own box nothing is missing. */
static void restore_depth_on(struct volume *ret, const struct box *box, const struct shape_restoration *shape)
{
    float *dst = ret->data;
    for (int64_t z = box->lo[2], i = 0; z < box->hi[2]; z++)
        for (int64_t y = box->lo[1]; y < box->hi[1]; y++)
            for (int64_t x = box->lo[0]; x < box->hi[0]; x++, i++) {
                const struct box *own = &shape->box;
                const bool in = shape->depth && x >= own->lo[0] && x < own->hi[0] && y >= own->lo[1] &&
                                y < own->hi[1] && z >= own->lo[2] && z < own->hi[2];
                const int64_t at =
                    ((z - own->lo[2]) * box_size(*own, 1) + y - own->lo[1]) * box_size(*own, 0) + x - own->lo[0];
                dst[i] = in ? shape->depth[at] : -(float)SHAPE_PRIOR_CLIP_MM;
            }
}

/* One member with its own shape model: what it adds to the mean of the corrected depths. */
static enum status restore_add_corrected(struct ensemble_field *field, struct restoration *result,
                                         struct restorer *restorer, int64_t member, const struct volume *skull,
                                         struct progress *progress, struct error *error)
{
    struct restoration own = {0};
    struct volume p = {0};
    enum status status = restorer_take_member(restorer, member, error);
    if (!status)
        status = volume_new(&own.implant, &skull->grid, VOXEL_U8, error);
    if (!status)
        status = restore_one(&own, restorer, skull, progress, error);
    restore_add_stats(&result->stats, &own.stats);
    result->network_s += own.network_s;

    /* The first one's box and holes are the whole's. */
    if (!status && member == 1) {
        result->shape = own.shape;
        own.shape = NULL;
    }
    if (!status && !box_empty(result->shape->box)) {
        const struct grid grid = restore_grid_of(&skull->grid, &result->shape->box);
        status = volume_new(&p, &grid, VOXEL_F32, error);
        if (!status) {
            restore_depth_on(&p, &result->shape->box, own.shape ? own.shape : result->shape);
            status = ensemble_add(field, &p, error);
        }
    }
    volume_done(&p);
    restoration_done(&own);
    return status;
}

/* Of networks that correct their shape models: the mean of the corrected depths, then the shape model's rules. */
static enum status restore_corrected(struct restoration *result, struct restorer *restorer, const struct volume *skull,
                                     struct progress *progress, struct error *error)
{
    struct ensemble_field field = {0};
    enum status status = STATUS_OK;
    for (int64_t member = 1; member <= restorer->n_members && !status; member++)
        status = restore_add_corrected(&field, result, restorer, member, skull, progress, error);
    if (!status && field.n > 0) {
        memcpy(result->shape->depth, field.mean.data, (size_t)grid_voxels(&field.mean.grid) * sizeof(float));
        ensemble_spread(&field, 0);
        result->spread = field.spread;
        field.spread = (struct volume){0};
        status = shape_restoration_implant(result->implant.data, result->shape, skull, error);
    }
    ensemble_done(&field);
    return status;
}

static enum status restore_network(struct restoration *result, struct restorer *restorer, const struct volume *skull,
                                   struct progress *progress, struct error *error)
{
    if (!restorer->n_members)
        return restore_one(result, restorer, skull, progress, error);
    if (restorer->config.correction)
        return restore_corrected(result, restorer, skull, progress, error);
    const enum status status = restorer_take_member(restorer, 1, error);
    return status ? status : restore_one(result, restorer, skull, progress, error);
}

enum status restorer_predict(float *p, struct restorer *restorer, const float *frame, struct error *error)
{
    const struct window_config *window = &restorer->config.window;
    struct volume src = {.type = VOXEL_F32, .data = (void *)(uintptr_t)frame}, dst = {.type = VOXEL_F32, .data = p};
    struct volume_sink sink = {.p = &dst, .bone = restorer->config.task == TASK_COMPLETION ? &src : NULL};
    struct window_stats stats;
    src.grid = dst.grid = grid_make(window->patch_vox, restorer->config.working_spacing_mm);
    return window_scan(&stats, restorer->network, window, &(struct window_source){.skull = &src}, volume_sink_block,
                       &sink, NULL, error);
}

static enum status restore_mirror(struct restoration *result, const struct volume *skull, struct error *error)
{
    struct mirror_plane plane;
    if (mirror_find(&plane, skull, error))
        return error->status;
    mirror_fill(result->implant.data, skull, &plane);
    result->changed_vox = mask_count(result->implant.data, grid_voxels(&skull->grid));
    return STATUS_OK;
}

static enum status restore_new_mask(struct volume *ret, const struct volume *like, struct error *error)
{
    if (volume_new(ret, &like->grid, VOXEL_U8, error))
        return error->status;
    ret->storage = like->storage;
    return STATUS_OK;
}

static void restore_unite(struct volume *ret, const struct volume *a, const struct volume *b)
{
    uint8_t *out = ret->data;
    const uint8_t *from = a->data, *with = b->data;
    int64_t n = grid_voxels(&ret->grid);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++)
        out[i] = from[i] || with[i];
}

void restoration_complete(struct restoration *restoration, const struct volume *skull)
{
    restore_unite(&restoration->completed, skull, &restoration->implant);
}

static enum status restore_masks(struct restoration *result, struct restorer *restorer, const struct volume *skull,
                                 struct progress *progress, struct error *error)
{
    enum status status = restore_new_mask(&result->implant, skull, error);
    if (!status && restorer->keep_raw)
        status = restore_new_mask(&result->raw, skull, error);
    if (!status && restorer->kind == RESTORER_NETWORK)
        status = restore_network(result, restorer, skull, progress, error);
    else if (!status && restorer->kind == RESTORER_MIRROR)
        status = restore_mirror(result, skull, error);
    else if (!status && restorer->kind == RESTORER_SHAPE)
        status = restore_shape(result, restorer, skull, result->implant.data, true, error);
    if (!status && result->raw.data && (restorer->kind != RESTORER_NETWORK || restorer->config.correction))
        restore_unite(&result->raw, skull, &result->implant);
    if (!status && result->shape && result->shape->depth) /* depth decided, no threshold */
        result->changed_vox = mask_count(result->implant.data, grid_voxels(&skull->grid));

    /* The model's rules, then the completed skull. */
    double begin = log_clock_s();
    if (!status)
        status = watch_check(error);
    if (!status)
        status = postprocess_run(&result->implant, skull,
                                 &(struct postprocess_config){.rules = &restorer->config.postprocess,
                                                              .pieces = (enum pieces_rule)restorer->config.pieces,
                                                              .removed = &result->removed},
                                 error);
    result->postprocess_s = log_clock_s() - begin;

    if (!status)
        status = restore_new_mask(&result->completed, skull, error);
    if (!status)
        restoration_complete(result, skull);
    return status;
}

enum status restorer_run(struct restoration *ret, struct restorer *restorer, const struct volume *skull,
                         struct progress *progress, struct error *error)
{
    struct restoration result = {0};
    double begin = log_clock_s();
    if (skull->type != VOXEL_U8)
        return error_set(error, STATUS_FAILED, "restore: the skull is no mask (values of 0 and 1 are needed)");
    if (restorer->beside)
        return beside_run(ret, restorer, skull, progress, error);
    if (restore_masks(&result, restorer, skull, progress, error)) {
        restoration_done(&result);
        return error_while(error, "restoring the skull");
    }
    result.total_s = log_clock_s() - begin;
    result.peak_bytes = memory_peak_bytes();
    *ret = result;
    return STATUS_OK;
}

double restoration_interval_mm(const struct restoration *restoration, const struct restorer *restorer,
                               const double world[3])
{
    const struct volume *spread = &restoration->spread;
    double index[3];
    int64_t at[3];
    if (!spread->data)
        return restoration->shape ? shape_restoration_interval_mm(restoration->shape, restorer_shape(restorer), world)
                                  : NAN;
    grid_to_index(&spread->grid, world, index);
    for (int a = 0; a < 3; a++) {
        at[a] = (int64_t)floor(index[a] + 0.5);
        if (at[a] < 0 || at[a] >= spread->grid.dim[a])
            return NAN;
    }
    return (double)((const float *)spread->data)[(at[2] * spread->grid.dim[1] + at[1]) * spread->grid.dim[0] + at[0]];
}

void restoration_done(struct restoration *restoration)
{
    volume_done(&restoration->completed);
    volume_done(&restoration->implant);
    volume_done(&restoration->raw);
    volume_done(&restoration->prediction);
    mesh_field_done(&restoration->cuts);
    volume_done(&restoration->spread);
    if (restoration->shape)
        shape_restoration_done(restoration->shape);
    memory_free(restoration->shape);
    *restoration = (struct restoration){0};
}
