/* weights_pack.c - weights between the caller's plain block and the kernels' layouts: flipped, folded, split into
 * phases. Test: tests/nn/test_engine.c */
#include "nn/engine/weights_pack.h"

#include <string.h>

#include "nn/engine/bfloat16.h"

int64_t weights_floats(const struct direct_layout *layout, int64_t n_taps)
{
    return layout->src_c * layout->dst_c * n_taps;
}

/* The lines of n floats in reverse order. */
static void weights_reverse(float *taps, int64_t n_taps, int64_t n)
{
    for (int64_t i = 0; i < n_taps / 2; i++)
        for (int64_t c = 0; c < n; c++) {
            float *first = taps + i * n + c, *last = taps + (n_taps - 1 - i) * n + c, swap = *first;
            *first = *last;
            *last = swap;
        }
}

/* One axis of the fold: dst[T] = src[T] + src[T-1], T = 0..k; `outer` lines, taps `inner` apart. */
static void weights_fold_axis(float *dst, const float *src, int64_t outer, int64_t k, int64_t inner)
{
    for (int64_t o = 0; o < outer; o++, src += k * inner, dst += (k + 1) * inner) {
        memcpy(dst, src, (size_t)(k * inner) * sizeof *dst);
        memset(dst + k * inner, 0, (size_t)inner * sizeof *dst);
        for (int64_t i = 0; i < k * inner; i++)
            dst[inner + i] += src[i];
    }
}

/* Its adjoint: dst[u] = src[u] + src[u+1]. */
static void weights_unfold_axis(float *dst, const float *src, int64_t outer, int64_t k, int64_t inner)
{
    for (int64_t o = 0; o < outer; o++, src += (k + 1) * inner, dst += k * inner)
        for (int64_t i = 0; i < k * inner; i++)
            dst[i] = src[i] + src[inner + i];
}

/* Output channels first .. first + n - 1 of one input channel: their taps lie as [tap][channel], so that loops over
 * channels are vector code. */
struct weights_lanes {
    const struct weights_view *view;
    bool o_is_large;
    int64_t first, n, i;
};

/* Floats from the plain block to channel c of the lanes, and taps of the view. */
static int64_t weights_lane_at(const struct weights_lanes *lanes, int64_t c)
{
    const int64_t o = lanes->first + c, s = lanes->o_is_large ? lanes->i : o, l = lanes->o_is_large ? o : lanes->i;
    return s * lanes->view->small_step + l * lanes->view->large_step;
}

/* The result lies in a or b. An input channel behind the last has zeros. */
static const float *weights_read(const struct weights_lanes *lanes, const float *w, float *a, float *b)
{
    const struct weights_view *view = lanes->view;
    const int64_t *k = view->kernel, plain = k[0] * k[1] * k[2], n = lanes->n;
    const bool inside = lanes->i < (lanes->o_is_large ? view->n_small : view->n_large);
    for (int64_t c = 0; c < n; c++) {
        const float *from = inside ? w + weights_lane_at(lanes, c) : NULL;
        for (int64_t t = 0; t < plain; t++)
            a[t * n + c] = from ? from[t] : 0.0f;
    }
    if (view->flip)
        weights_reverse(a, plain, n);
    if (!view->fold)
        return a;
    weights_fold_axis(b, a, 1, k[0], k[1] * k[2] * n);
    weights_fold_axis(a, b, k[0] + 1, k[1], k[2] * n);
    weights_fold_axis(b, a, (k[0] + 1) * (k[1] + 1), k[2], n);
    return b;
}

/* The adjoint of weights_read: taps come in a. */
static void weights_write(const struct weights_lanes *lanes, float *d_w, float *a, float *b)
{
    const struct weights_view *view = lanes->view;
    const int64_t *k = view->kernel, plain = k[0] * k[1] * k[2], n = lanes->n;
    float *taps = a;
    if (view->fold) {
        weights_unfold_axis(b, a, (k[0] + 1) * (k[1] + 1), k[2], n);
        weights_unfold_axis(a, b, k[0] + 1, k[1], k[2] * n);
        weights_unfold_axis(b, a, 1, k[0], k[1] * k[2] * n);
        taps = b;
    }
    if (view->flip)
        weights_reverse(taps, plain, n);
    for (int64_t c = 0; c < n; c++) {
        float *to = d_w + weights_lane_at(lanes, c);
        for (int64_t t = 0; t < plain; t++)
            to[t] = taps[t * n + c];
    }
}

/* Where tap 0 of the pair lies in the packed block; the next taps follow block_i * block_o floats (of pairs: half as
 * many words) apart. */
static int64_t weights_target_at(const struct weights_target *target, int64_t s, int64_t f)
{
    const struct direct_layout *layout = &target->layout;
    int64_t o = target->first_o + (target->o_is_large ? f : s), i = target->first_i + (target->o_is_large ? s : f);
    int64_t block = o / layout->block_o * (layout->src_c / layout->block_i) + i / layout->block_i;
    const int64_t rows = block * target->n_taps * layout->block_i + i % layout->block_i;
    return target->offset + (target->pairs ? rows / 2 : rows) * layout->block_o + o % layout->block_o;
}

/* Output channels whose taps are brought together before they are written (or read) as whole vectors: as many as fill
 * this many floats, which stay in the caches. */
enum { PACK_FLOATS = 8192, PACK_CHANNELS = 16 };

static int64_t weights_view_taps(const struct weights_view *view)
{
    const int64_t *k = view->kernel, more = view->fold;
    return (k[0] + more) * (k[1] + more) * (k[2] + more);
}

static int64_t weights_channels_together(int64_t n_taps)
{
    int64_t n = PACK_FLOATS / n_taps;
    return n < 1 ? 1 : n > PACK_CHANNELS ? PACK_CHANNELS : n;
}

/* Of n output channels from o on: how many lie next to each other in the target. */
static int64_t weights_run(const struct weights_target *target, int64_t o, int64_t n)
{
    int64_t left = target->layout.block_o - (target->first_o + o) % target->layout.block_o;
    return left < n ? left : n;
}

/* The lanes' taps into a target: of words where it has pairs, whose first input channel the lanes name. */
static void weights_pack_target(const struct weights_target *target, const struct weights_lanes *lanes,
                                const float *taps, float *packed)
{
    const int64_t step = target->layout.block_i * target->layout.block_o / (target->pairs ? 2 : 1);
    for (int64_t first = 0, run; first < lanes->n; first += run) {
        const int64_t o = lanes->first + first;
        float *to = packed + (target->o_is_large ? weights_target_at(target, lanes->i, o)
                                                 : weights_target_at(target, o, lanes->i));
        run = weights_run(target, o, lanes->n - first);
        for (int64_t j = 0; j < target->n_taps; j++, to += step) {
            const float *from = taps + target->tap[j] * lanes->n + first;
            if (target->tap[j] < 0)
                memset(to, 0, (size_t)run * sizeof *to);
            else
                memcpy(to, from, (size_t)run * sizeof *to);
        }
    }
}

static void weights_unpack_target(const struct weights_target *target, const struct weights_lanes *lanes,
                                  const float *packed, float *taps)
{
    const int64_t step = target->layout.block_i * target->layout.block_o;
    for (int64_t first = 0, run; first < lanes->n; first += run) {
        const int64_t o = lanes->first + first;
        const float *from = packed + (target->o_is_large ? weights_target_at(target, lanes->i, o)
                                                         : weights_target_at(target, o, lanes->i));
        run = weights_run(target, o, lanes->n - first);
        for (int64_t j = 0; j < target->n_taps; j++, from += step)
            if (target->tap[j] >= 0)
                memcpy(taps + target->tap[j] * lanes->n + first, from, (size_t)run * sizeof *taps);
    }
}

/* Floats of two input channels to words of bfloat16. */
static void weights_to_pairs(const float *low, const float *high, int64_t n, float *words)
{
    for (int64_t i = 0; i < n; i++) {
        const uint32_t word = (uint32_t)bfloat16_from_float(low[i]) | (uint32_t)bfloat16_from_float(high[i]) << 16;
        memcpy(words + i, &word, sizeof word);
    }
}

void weights_pack(const struct weights_view *view, const float *w, int64_t n_targets,
                  const struct weights_target *targets, float *packed)
{
    const bool o_is_large = targets->o_is_large, pairs = targets->pairs;
    const int64_t n_o = o_is_large ? view->n_large : view->n_small, n_i = o_is_large ? view->n_small : view->n_large;
    const int64_t n_taps = weights_view_taps(view), together = weights_channels_together(n_taps);

#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t first = 0; first < n_o; first += together)
        for (int64_t i = 0; i < n_i; i += pairs ? 2 : 1) {
            struct weights_lanes lanes = {view, o_is_large, first, first + together < n_o ? together : n_o - first, i};
            float a[2][PACK_FLOATS], b[2][PACK_FLOATS];
            const float *taps = weights_read(&lanes, w, a[0], b[0]);

            if (pairs) {
                float *words = taps == a[0] ? b[0] : a[0];
                lanes.i = i + 1;
                weights_to_pairs(taps, weights_read(&lanes, w, a[1], b[1]), lanes.n * n_taps, words);
                lanes.i = i;
                taps = words;
            }
            for (const struct weights_target *target = targets; target < targets + n_targets; target++)
                weights_pack_target(target, &lanes, taps, packed);
        }
}

void weights_unpack(const struct weights_view *view, int64_t n_targets, const struct weights_target *targets,
                    const float *packed, float *d_w)
{
    const bool o_is_large = targets->o_is_large;
    const int64_t n_o = o_is_large ? view->n_large : view->n_small, n_i = o_is_large ? view->n_small : view->n_large;
    const int64_t together = weights_channels_together(weights_view_taps(view));

#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t first = 0; first < n_o; first += together)
        for (int64_t i = 0; i < n_i; i++) {
            const struct weights_lanes lanes = {view, o_is_large, first,
                                                first + together < n_o ? together : n_o - first, i};
            float a[PACK_FLOATS], b[PACK_FLOATS];

            for (const struct weights_target *target = targets; target < targets + n_targets; target++)
                weights_unpack_target(target, &lanes, packed, a);
            weights_write(&lanes, d_w, a, b);
        }
}
