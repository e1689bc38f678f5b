/* beside.c - see beside.h. Test: tests/infer/test_shape.c */
#include "infer/beside.h"

#include "base/memory.h"
#include "data/mask/morphology.h"
#include "data/volume/turn.h"
#include "infer/restorer.h"

enum beside_voxel { BESIDE_NOTHING, BESIDE_OFFERED, BESIDE_TAKEN };

/* Offered voxels beside one that is taken are taken; returns how many. Forward and backward by turns, so that a piece
 * is taken in a few passes. */
static int64_t beside_pass(uint8_t *state, const int64_t size[3], bool forward)
{
    const int64_t step[3] = {1, size[0], size[0] * size[1]}, n = step[2] * size[2];
    int64_t taken = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t v = forward ? i : n - 1 - i;
        if (state[v] != BESIDE_OFFERED)
            continue;
        const int64_t at[3] = {v % size[0], v / size[0] % size[1], v / step[2]};
        bool beside = false;
        for (int a = 0; a < 3; a++)
            beside = beside || (at[a] > 0 && state[v - step[a]] == BESIDE_TAKEN) ||
                     (at[a] + 1 < size[a] && state[v + step[a]] == BESIDE_TAKEN);
        if (beside) {
            state[v] = BESIDE_TAKEN;
            taken++;
        }
    }
    return taken;
}

/* Voxel v of the box, in the volume. */
static int64_t beside_at(const struct box *box, const int64_t dim[3], int64_t v)
{
    const int64_t width = box_size(*box, 0), height = box_size(*box, 1);
    const int64_t x = v % width, y = v / width % height, z = v / (width * height);
    return ((box->lo[2] + z) * dim[1] + box->lo[1] + y) * dim[0] + box->lo[0] + x;
}

int64_t beside_add(struct volume *implant, const struct volume *network, const struct shape_restoration *restoration)
{
    const struct box *box = &restoration->box;
    const int64_t *dim = implant->grid.dim, n = box_voxels(*box);
    const int64_t size[3] = {box_size(*box, 0), box_size(*box, 1), box_size(*box, 2)};
    uint8_t *out = implant->data, *state = memory_alloc((size_t)n, 1);
    const uint8_t *offered = network->data;
    int64_t added = 0, taken = 1;
    if (!state)
        return -1;

    for (int64_t v = 0; v < n; v++) {
        const int64_t at = beside_at(box, dim, v);
        state[v] = out[at] ? BESIDE_TAKEN : offered[at] && !restoration->in_hole[v] ? BESIDE_OFFERED : BESIDE_NOTHING;
    }
    while (taken > 0) {
        taken = beside_pass(state, size, true) + beside_pass(state, size, false);
        added += taken;
    }
    for (int64_t v = 0; v < n; v++)
        if (state[v] == BESIDE_TAKEN)
            out[beside_at(box, dim, v)] = 1;
    memory_free(state);
    return added;
}

/* The networks alone, with their rules; then those rules over the sum. */
static enum status beside_networks(struct restoration *result, struct restorer *restorer, const struct volume *skull,
                                   struct progress *progress, struct error *error)
{
    struct restorer *const shape = restorer->beside;
    const struct postprocess_config rules = {.rules = &restorer->config.postprocess,
                                             .pieces = (enum pieces_rule)restorer->config.pieces,
                                             .removed = &result->removed};
    struct restoration network = {0};
    restorer->beside = NULL;
    enum status status = restorer_run(&network, restorer, skull, progress, error);
    restorer->beside = shape;
    if (status)
        return status;

    const int64_t added = beside_add(&result->implant, &network.implant, result->shape);
    result->stats = network.stats;
    result->network_s += network.network_s;
    restoration_done(&network);
    if (added < 0)
        return error_memory(error, (size_t)box_voxels(result->shape->box), "the implant of two models");
    return postprocess_run(&result->implant, skull, &rules, error);
}

enum status beside_run(struct restoration *ret, struct restorer *restorer, const struct volume *skull,
                       struct progress *progress, struct error *error)
{
    struct restoration result;
    const double begin = log_clock_s();
    restorer_keep_raw(restorer->beside, restorer->keep_raw);
    if (restorer_run(&result, restorer->beside, skull, NULL, error))
        return error->status;
    if (!box_empty(result.shape->box) &&
        !turn_is_needed(&skull->grid, (const double(*)[3])result.shape->pose.pose.rotation) &&
        beside_networks(&result, restorer, skull, progress, error)) {
        restoration_done(&result);
        return error_while(error, "restoring beside the shape model");
    }

    const int64_t n = grid_voxels(&skull->grid);
    uint8_t *raw = result.raw.data;
    const uint8_t *implant = result.implant.data;
    for (int64_t v = 0; v < n && raw; v++)
        raw[v] = raw[v] || implant[v];
    restoration_complete(&result, skull);
    result.changed_vox = mask_count(implant, n);
    result.total_s = log_clock_s() - begin;
    result.peak_bytes = memory_peak_bytes();
    *ret = result;
    return STATUS_OK;
}
