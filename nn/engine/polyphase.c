/* polyphase.c - gather and scatter as lists of direct convolutions.
 *
 * Scatter: the voxels Z of the large grid with Z = y*stride + a ("phase a") meet only the taps t = q + stride*m, q = (a
 * + pad) mod stride, of the small voxels y + (a + pad - q)/stride - m. So phase a is a stride-1 convolution of the
 * small grid with every stride-th tap, reversed. Phases with equal windows (all eight of a folded k5) are merged: one
 * convolution with as many times the channels. Phases without taps (kernel < stride) are the bias alone. Where a gather
 * is run by parity (space_to_depth.c) its scatter has one window for all phases, which are one convolution then. With
 * kernel = stride = 2 each phase is one tap of one voxel, and conv_transpose_2x2x2.c makes all eight where they belong.
 * The phases of one "pencil" (equal along z and y) make whole rows of the large grid; they are interleaved together.
 *
 * Test: tests/nn/test_engine.c */
#include "nn/engine/polyphase.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "nn/engine/conv_transpose_2x2x2.h"
#include "nn/engine/direct.h"
#include "nn/engine/kernels.h"
#include "nn/engine/pairs.h"
#include "nn/engine/space_to_depth.h"

/* One direct convolution and the phases that it computes. */
struct phase_group {
    struct direct_conv conv;
    struct direct_forward *forward; /* NULL: no taps */
    bool straight;                  /* conv.dst is the result itself: nothing to interleave */
    bool has_padding;               /* channels that no phase's weights fill */
    bool ends_pencil;               /* its last phase is the last of a pencil: what is pending can be interleaved */
    int64_t first, n;               /* phases */
    int64_t weights_floats, packed_floats,
        temp_floats; /* as packed; with what prepare makes of them; waiting for interleaving */
};

struct phase {
    int64_t start[3]; /* a */
    int64_t first_c;  /* its channels in the group's dst */
    int64_t extra[3]; /* zero taps in front, where the window would start beyond the voxel itself */
    struct direct_conv conv;
    struct weights_target target;
    struct shape temp_shape; /* while running: where its values wait; NULL: bias alone */
    const float *temp;
};

struct polyphase {
    struct shape dst;
    int64_t stride[3];
    int64_t n_groups, n_phases;
    struct phase_group *groups;
    struct phase *phases;
    struct weights_target *targets; /* of the phases that have taps */
    int64_t n_targets, packed_floats, temp_floats, bias_floats;
    struct direct_conv grid;
    bool split;      /* by parity: a gather reads the large grid so, a scatter's phases are merged */
    bool transposes; /* a scatter: n_groups is 0 */
    int64_t split_floats;
    size_t scratch; /* the largest a group needs */
    char name[64];
    struct arena arena;
};

/* ---- the window of one axis ---- */

static void polyphase_axis(const struct direct_conv *grid, int axis, struct phase *phase)
{
    const int64_t large[3] = {grid->src.d, grid->src.h, grid->src.w},
                  small[3] = {grid->dst.d, grid->dst.h, grid->dst.w};
    int64_t s = grid->stride[axis], a = phase->start[axis], q = (a + grid->pad[axis]) % s,
            offset = (a + grid->pad[axis] - q) / s;
    int64_t taps = grid->kernel[axis] > q ? (grid->kernel[axis] - q + s - 1) / s : 0;
    int64_t size = large[axis] > a ? (large[axis] - a + s - 1) / s : 0, pad = taps - 1 - offset;
    int64_t *dst = axis == 0 ? &phase->conv.dst.d : axis == 1 ? &phase->conv.dst.h : &phase->conv.dst.w;

    *dst = size;
    phase->conv.stride[axis] = 1;
    phase->conv.kernel[axis] = taps;
    phase->conv.pad[axis] = pad;

    if (taps == 0)
        return;
    if (pad < 0) { /* read further right: zero taps in front */
        phase->extra[axis] = -pad;
        phase->conv.kernel[axis] += -pad;
        phase->conv.pad[axis] = 0;
    }

    /* The window must reach the end of the small grid: zero taps behind. */
    int64_t short_by = small[axis] - (size - 1 + phase->conv.kernel[axis] - phase->conv.pad[axis]);
    if (short_by > 0)
        phase->conv.kernel[axis] += short_by;
}

static int64_t polyphase_n_taps(const struct phase *phase)
{
    return phase->conv.kernel[0] * phase->conv.kernel[1] * phase->conv.kernel[2];
}

/* tap[j] for the direct convolution's tap j. */
static void polyphase_taps(const struct direct_conv *grid, const struct phase *phase, int32_t *tap)
{
    const int64_t *kernel = phase->conv.kernel;
    for (int64_t i = 0; i < kernel[0]; i++)
        for (int64_t j = 0; j < kernel[1]; j++)
            for (int64_t k = 0; k < kernel[2]; k++) {
                const int64_t at[3] = {i, j, k};
                int64_t index = 0;
                bool inside = true;
                for (int axis = 0; axis < 3; axis++) {
                    int64_t s = grid->stride[axis], q = (phase->start[axis] + grid->pad[axis]) % s;
                    int64_t taps = (grid->kernel[axis] - q + s - 1) / s, m = taps - 1 - (at[axis] - phase->extra[axis]);
                    inside = inside && m >= 0 && m < taps;
                    index = index * grid->kernel[axis] + q + s * m;
                }
                *tap++ = inside ? (int32_t)index : -1;
            }
}

static bool polyphase_same_window(const struct phase *a, const struct phase *b)
{
    return memcmp(a->conv.kernel, b->conv.kernel, sizeof a->conv.kernel) == 0 &&
           memcmp(a->conv.pad, b->conv.pad, sizeof a->conv.pad) == 0 && shape_equal(a->conv.dst, b->conv.dst);
}

/* ---- building ---- */

static enum status polyphase_finish_group(struct polyphase *phases, struct phase_group *group, bool has_bias,
                                          struct error *error)
{
    struct direct_layout layout;

    if (direct_forward_new(&group->forward, &group->conv, has_bias, error))
        return error->status;
    layout = direct_forward_layout(group->forward);
    for (int64_t p = group->first; p < group->first + group->n; p++) {
        struct phase *phase = &phases->phases[p];
        phase->target.layout = layout;
        phase->target.pairs = direct_forward_packs_pairs(group->forward);
        phase->target.first_o = phase->first_c;
        phase->target.offset = phases->packed_floats;
        phases->targets[phases->n_targets++] = phase->target;
    }

    group->weights_floats = weights_floats(&layout, polyphase_n_taps(&phases->phases[group->first])) /
                            (direct_forward_packs_pairs(group->forward) ? 2 : 1);
    group->packed_floats = direct_forward_packed_floats(group->forward);
    group->has_padding = layout.src_c * layout.dst_c != group->n * phases->grid.src.c * phases->grid.dst.c;
    phases->packed_floats += group->packed_floats;
    if (has_bias && layout.dst_c > phases->bias_floats)
        phases->bias_floats = layout.dst_c;
    group->temp_floats = group->straight ? 0 : tensor_floats(group->conv.dst) / (group->conv.bfloat16 ? 2 : 1);

    if (direct_forward_scratch_bytes(group->forward) > phases->scratch)
        phases->scratch = direct_forward_scratch_bytes(group->forward);
    return STATUS_OK;
}

static struct polyphase *polyphase_alloc(int64_t n_phases)
{
    struct polyphase *made = memory_zalloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->groups = arena_alloc(&made->arena, (size_t)n_phases, sizeof *made->groups);
    made->phases = arena_alloc(&made->arena, (size_t)n_phases, sizeof *made->phases);
    made->targets = arena_alloc(&made->arena, (size_t)n_phases, sizeof *made->targets);
    if (made->groups && made->phases && made->targets)
        return made;
    polyphase_free(made);
    return NULL;
}

/* The gather's targets: one for all channels, or one for each parity of the large grid. */
static enum status polyphase_gather_targets(struct polyphase *phases, const struct direct_conv *grid,
                                            struct error *error)
{
    const struct direct_conv conv = phases->split ? space_to_depth_conv(grid) : *grid;
    const int64_t n_taps = conv.kernel[0] * conv.kernel[1] * conv.kernel[2];
    int32_t *tap = arena_alloc(&phases->arena, (size_t)(phases->n_phases * n_taps), sizeof *tap);
    if (!tap)
        return error_memory(error, (size_t)(phases->n_phases * n_taps) * sizeof *tap, "convolution");
    for (int64_t p = 0; p < phases->n_phases; p++, tap += n_taps) {
        for (int64_t i = 0; i < n_taps && !phases->split; i++)
            tap[i] = (int32_t)i;
        if (phases->split)
            space_to_depth_taps(grid, p, false, tap);
        phases->phases[p] =
            (struct phase){.conv = conv, .target = {.n_taps = n_taps, .tap = tap, .first_i = p * grid->src.c}};
    }
    phases->groups[0] = (struct phase_group){.conv = conv, .straight = true, .n = phases->n_phases};
    return STATUS_OK;
}

enum status polyphase_new_gather(struct polyphase **ret, const struct direct_conv *grid, bool has_bias,
                                 struct error *error)
{
    const bool split = space_to_depth_supports(grid);
    struct polyphase *made = polyphase_alloc(split ? PARITIES : 1);

    if (!made)
        return error_memory(error, sizeof *made, "convolution");
    made->grid = *grid;
    made->split = split;
    made->split_floats = split ? space_to_depth_floats(grid) : 0;
    made->dst = grid->dst;
    made->n_groups = 1;
    made->n_phases = split ? PARITIES : 1;

    if (polyphase_gather_targets(made, grid, error) ||
        polyphase_finish_group(made, &made->groups[0], has_bias, error)) {
        polyphase_free(made);
        return error->status;
    }

    snprintf(made->name, sizeof made->name, split ? "%s, by parity" : "%s",
             direct_forward_name(made->groups[0].forward));
    *ret = made;
    return STATUS_OK;
}

/* Pencils are merged only while what waits for interleaving stays in the cache. */
enum { PHASES_MERGE_BYTES = 8 << 20 };

static bool polyphase_same_pencil(const struct phase *a, const struct phase *b)
{
    return a->start[0] == b->start[0] && a->start[1] == b->start[1];
}

static bool polyphase_may_merge(const struct polyphase *phases, const struct phase *first, const struct phase *phase)
{
    if (polyphase_n_taps(phase) == 0 || !polyphase_same_window(first, phase))
        return false;
    bool small = tensor_floats(phases->dst) * (int64_t)sizeof(float) <= PHASES_MERGE_BYTES ||
                 tensor_channel_block(phases->dst.c) == 1;
    return phases->split || polyphase_same_pencil(first, phase) || (small && first->start[2] == 0);
}

/* Puts phase p, the last one, into a group with its equals, or into a new one. */
static void polyphase_group(struct polyphase *phases, int64_t p)
{
    struct phase *phase = &phases->phases[p];
    const int64_t last = phases->n_groups - 1;
    if (last < 0 || !polyphase_may_merge(phases, &phases->phases[phases->groups[last].first], phase))
        phases->groups[phases->n_groups++] = (struct phase_group){.conv = phase->conv, .first = p};
    phases->groups[phases->n_groups - 1].n++;
}

/* Channels of a merged group: each phase its own blocks; a few plain channels share one. */
static void polyphase_merge(struct polyphase *phases, struct phase_group *group)
{
    int64_t each = tensor_stored_channels(phases->dst.c), block = tensor_block();
    if (group->n == 1)
        return;
    for (int64_t i = 0; i < group->n; i++)
        phases->phases[group->first + i].first_c = i * each;
    group->conv.dst.c = (group->n * each + block - 1) / block * block;
}

static enum status polyphase_add(struct polyphase *phases, const struct direct_conv *grid, const int64_t start[3],
                                 struct error *error)
{
    struct phase *phase = &phases->phases[phases->n_phases];

    *phase = (struct phase){
        .start = {start[0], start[1], start[2]},
        .conv = {.src = grid->dst, .dst = grid->src, .winograd = grid->winograd, .bfloat16 = grid->bfloat16}};
    int32_t *tap;
    for (int axis = 0; axis < 3; axis++)
        polyphase_axis(grid, axis, phase);

    if (phases->split) {
        const struct direct_conv gather = space_to_depth_conv(grid);
        for (int axis = 0; axis < 3; axis++) {
            phase->conv.kernel[axis] = gather.kernel[axis];
            phase->conv.pad[axis] = gather.kernel[axis] - 1 - gather.pad[axis];
        }
    }

    if (shape_voxels(phase->conv.dst) == 0)
        return STATUS_OK;
    tap = arena_alloc(&phases->arena, (size_t)polyphase_n_taps(phase), sizeof *tap);
    if (!tap)
        return error_memory(error, (size_t)polyphase_n_taps(phase) * sizeof *tap, "convolution");

    if (phases->split)
        space_to_depth_taps(grid, phases->n_phases, true, tap);
    else
        polyphase_taps(grid, phase, tap);
    phase->target = (struct weights_target){.n_taps = polyphase_n_taps(phase), .tap = tap, .o_is_large = true};
    polyphase_group(phases, phases->n_phases++);

    return STATUS_OK;
}

/* Marks where pencils end, and how much waits until then. */
static void polyphase_close_pencils(struct polyphase *phases)
{
    int64_t pending = 0;
    for (int64_t g = 0; g < phases->n_groups; g++) {
        struct phase_group *group = &phases->groups[g];
        int64_t end = group->first + group->n;
        group->ends_pencil =
            end == phases->n_phases || !polyphase_same_pencil(&phases->phases[end - 1], &phases->phases[end]);
        pending += group->temp_floats;
        phases->temp_floats = pending > phases->temp_floats ? pending : phases->temp_floats;
        if (group->ends_pencil)
            pending = 0;
    }
}

static enum status polyphase_new_transpose(struct polyphase **ret, const struct direct_conv *grid, bool has_bias,
                                           struct error *error)
{
    static const int32_t tap[PARITIES] = {0, 1, 2, 3, 4, 5, 6, 7};
    struct polyphase *made = polyphase_alloc(PARITIES);

    if (!made)
        return error_memory(error, sizeof *made, "convolution");
    const int64_t block_c = tensor_block();
    const struct direct_layout layout = {tensor_stored_channels(grid->dst.c), tensor_stored_channels(grid->src.c),
                                         block_c, block_c};

    const int64_t floats = weights_floats(&layout, 1) / (grid->bfloat16 ? 2 : 1);
    made->grid = *grid;
    made->transposes = true;
    made->dst = grid->src;
    made->n_targets = PARITIES;
    made->packed_floats = PARITIES * floats;
    made->bias_floats = has_bias ? layout.dst_c : 0;

    for (int64_t p = 0; p < PARITIES; p++)
        made->targets[p] = (struct weights_target){.layout = layout,
                                                   .n_taps = 1,
                                                   .tap = tap + p,
                                                   .pairs = grid->bfloat16,
                                                   .o_is_large = true,
                                                   .offset = p * floats};
    snprintf(made->name, sizeof made->name, "transpose:%s",
             grid->bfloat16 ? pairs_kernels()->name : engine_kernels()->name);
    *ret = made;
    return STATUS_OK;
}

enum status polyphase_new_scatter(struct polyphase **ret, const struct direct_conv *grid, bool has_bias,
                                  struct error *error)
{
    const int64_t *stride = grid->stride, n = stride[0] * stride[1] * stride[2];

    if (conv_transpose_2x2x2_supports(grid))
        return polyphase_new_transpose(ret, grid, has_bias, error);
    struct polyphase *made = polyphase_alloc(n);
    enum status status = made ? STATUS_OK : error_memory(error, (size_t)n * sizeof *made->phases, "convolution");

    if (!made)
        return status;
    made->grid = *grid;
    made->split = space_to_depth_supports(grid);
    made->dst = grid->src;
    memcpy(made->stride, stride, sizeof made->stride);

    for (int64_t i = 0; i < n && !status; i++) {
        const int64_t start[3] = {i / (stride[1] * stride[2]), i / stride[2] % stride[1], i % stride[2]};
        status = polyphase_add(made, grid, start, error);
    }

    for (int64_t g = 0; g < made->n_groups && !status; g++) {
        struct phase_group *group = &made->groups[g];
        if (polyphase_n_taps(&made->phases[group->first]) == 0)
            continue;
        group->straight = n == 1;
        polyphase_merge(made, group);
        status = polyphase_finish_group(made, group, has_bias, error);
        if (!status && made->name[0] == '\0')
            snprintf(made->name, sizeof made->name, n == 1 ? "%s" : "%s, %d phase%s in %d",
                     direct_forward_name(group->forward), (int)n, "s", (int)made->n_groups);
    }

    if (status) {
        polyphase_free(made);
        return status;
    }

    polyphase_close_pencils(made);
    *ret = made;
    return STATUS_OK;
}

void polyphase_free(struct polyphase *phases)
{
    if (!phases)
        return;
    for (int64_t g = 0; g < phases->n_groups; g++)
        direct_forward_free(phases->groups[g].forward);
    arena_done(&phases->arena);
    memory_free(phases);
}

int64_t polyphase_packed_floats(const struct polyphase *phases)
{
    return phases->packed_floats;
}

size_t polyphase_scratch_bytes(const struct polyphase *phases)
{
    return scratch_bytes(phases->bias_floats) + scratch_bytes(phases->temp_floats) +
           scratch_bytes(phases->split_floats) + phases->scratch;
}

int64_t polyphase_macs(const struct polyphase *phases)
{
    int64_t macs = phases->transposes ? direct_conv_macs(&phases->grid) : 0;
    for (int64_t g = 0; g < phases->n_groups; g++)
        macs += phases->groups[g].forward ? direct_forward_macs(phases->groups[g].forward) : 0;
    return macs;
}

enum status polyphase_status(const struct polyphase *phases, struct error *error)
{
    for (int64_t g = 0; g < phases->n_groups; g++)
        if (phases->groups[g].forward && direct_forward_status(phases->groups[g].forward, error))
            return error->status;
    return STATUS_OK;
}

const char *polyphase_name(const struct polyphase *phases)
{
    return phases->name;
}

/* ---- running ---- */

void polyphase_pack(const struct polyphase *phases, const struct weights_view *view, const float *w, float *packed)
{
    for (const struct phase_group *group = phases->groups; group < phases->groups + phases->n_groups; group++)
        if (group->forward && group->has_padding)
            memset(packed + phases->phases[group->first].target.offset, 0,
                   (size_t)group->weights_floats * sizeof *packed);
    if (phases->transposes)
        memset(packed, 0, (size_t)phases->packed_floats * sizeof *packed);
    weights_pack(view, w, phases->n_targets, phases->targets, packed);
    for (struct phase_group *group = phases->groups; group < phases->groups + phases->n_groups;
         packed += group++->packed_floats)
        if (group->forward)
            direct_forward_prepare(group->forward, packed);
}

/* A line of a phase into its row of the large grid: `block_c` floats per voxel (a block of bfloat16 is half as many),
 * `skip` voxels from one to the next. */
static void polyphase_line(float *dst, const float *src, int64_t n, int64_t skip, int64_t block_c, int64_t src_block)
{
    if (block_c == 1) {
        for (int64_t x = 0; x < n; x++)
            dst[x * skip] = src[x * src_block];
    } else if (block_c == 8) {
        for (int64_t x = 0; x < n; x++)
            memcpy(dst + x * skip * 8, src + x * 8, 8 * sizeof *dst);
    } else {
        for (int64_t x = 0; x < n; x++)
            memcpy(dst + x * skip * block_c, src + x * block_c, (size_t)block_c * sizeof *dst);
    }
}

/* A line of a phase without taps: the bias, or zero. */
static void polyphase_fill(struct tensor dst, int64_t at, int64_t n, int64_t skip, const float *b, int64_t n_b)
{
    const int64_t block_c = tensor_channel_block(dst.shape.c);
    for (int64_t x = 0; x < n; x++)
        for (int64_t c = 0; c < block_c; c++)
            tensor_store(dst, at + x * skip * block_c + c, b && c < n_b ? b + c : &(float){0}, 1);
}

/* Copies the phases first..last of one pencil to where they belong. */
static void polyphase_interleave(const struct polyphase *phases, const struct phase *first, const struct phase *last,
                                 const float *b, float *dst)
{
    const struct shape whole = phases->dst;
    const int64_t block_c = tensor_channel_block(whole.c), planes = tensor_stored_channels(whole.c) / block_c,
                  *stride = phases->stride, per = phases->grid.bfloat16 ? 2 : 1; /* values per float */

#pragma omp parallel for collapse(3) schedule(static)
    for (int64_t n = 0; n < whole.n; n++)
        for (int64_t plane = 0; plane < planes; plane++)
            for (int64_t z = 0; z < first->conv.dst.d; z++)
                for (int64_t y = 0; y < first->conv.dst.h; y++)
                    for (const struct phase *phase = first; phase < last; phase++) {
                        const int64_t row = tensor_at(whole, n, plane * block_c, phase->start[0] + z * stride[0],
                                                      phase->start[1] + y * stride[1], phase->start[2]);
                        int64_t width = phase->conv.dst.w;
                        if (!phase->temp)
                            polyphase_fill((struct tensor){whole, dst, phases->grid.bfloat16}, row, width, stride[2],
                                           b ? b + plane * block_c : NULL, whole.c - plane * block_c);
                        else
                            polyphase_line(
                                dst + row / per,
                                phase->temp +
                                    tensor_at(phase->temp_shape, n, phase->first_c + plane * block_c, z, y, 0) / per,
                                width, stride[2], block_c / per, tensor_channel_block(phase->temp_shape.c) / per);
                    }
}

/* b for each of the group's channels. */
static void polyphase_bias(const struct polyphase *phases, const struct phase_group *group, const float *b, float *ret)
{
    memset(ret, 0, (size_t)phases->bias_floats * sizeof *ret);
    for (int64_t p = group->first; p < group->first + group->n; p++)
        memcpy(ret + phases->phases[p].first_c, b, (size_t)phases->dst.c * sizeof *ret);
}

/* The only convolution, where it makes dst itself; else NULL. */
static const struct direct_forward *polyphase_only(const struct polyphase *phases)
{
    return phases->n_groups == 1 && phases->groups[0].straight ? phases->groups[0].forward : NULL;
}

int64_t polyphase_stats(const struct polyphase *phases)
{
    return polyphase_only(phases) ? direct_forward_stats(polyphase_only(phases)) : 0;
}

bool polyphase_can_fuse_norm(const struct polyphase *phases)
{
    return polyphase_only(phases) && !phases->split && direct_forward_can_fuse_norm(polyphase_only(phases));
}

void polyphase_run(struct polyphase *phases, const float *src, const float *packed, const float *b,
                   const struct conv_fusion *fusion, float *dst, void *scratch)
{
    char *at = scratch;
    float *bias = scratch_take(&at, phases->bias_floats), *temp = scratch_take(&at, phases->temp_floats), *next = temp;
    float *split = scratch_take(&at, phases->split_floats);
    struct phase *pending = phases->phases;

    if (phases->transposes) {
        conv_transpose_2x2x2_run(&phases->grid, src, packed, b, dst, bias);
        return;
    }

    if (phases->split_floats)
        space_to_depth_split(&phases->grid, src, split);
    src = phases->split_floats ? split : src;
    for (struct phase_group *group = phases->groups; group < phases->groups + phases->n_groups; group++) {
        struct phase *last = phases->phases + group->first + group->n;
        if (group->forward) {
            if (b)
                polyphase_bias(phases, group, b, bias);
            direct_forward_run(group->forward, src, packed, b ? bias : NULL, fusion, group->straight ? dst : next, at);
        }
        for (struct phase *phase = phases->phases + group->first; phase < last; phase++) {
            phase->temp = group->forward ? next : NULL;
            phase->temp_shape = group->conv.dst;
        }
        packed += group->packed_floats;
        next += group->temp_floats;
        if (group->straight || !group->ends_pencil)
            continue;
        for (struct phase *end = pending; pending < last; pending = end) {
            while (end < last && polyphase_same_pencil(end, pending))
                end++;
            polyphase_interleave(phases, pending, end, b, dst);
        }
        next = temp;
    }
}
