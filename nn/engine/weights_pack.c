/* weights_pack.c - weights between the caller's plain block and the kernels' layouts: flipped, folded, split into
 * phases. Test: tests/nn/test_engine.c */
#include "nn/engine/weights_pack.h"

#include <string.h>

#include "nn/engine/bfloat16.h"

int64_t weights_floats(const struct direct_layout *layout, int64_t n_taps)
{
    return layout->src_c * layout->dst_c * n_taps;
}

static void weights_reverse(float *taps, int64_t n)
{
    for (int64_t i = 0; i < n / 2; i++) {
        float swap = taps[i];
        taps[i] = taps[n - 1 - i];
        taps[n - 1 - i] = swap;
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

/* The taps of one pair of channels; the result lies in a or b. */
static const float *weights_read(const struct weights_view *view, const float *w, int64_t s, int64_t f, float *a,
                                 float *b)
{
    const int64_t *k = view->kernel, n = k[0] * k[1] * k[2];
    const float *pair = w + s * view->small_step + f * view->large_step;
    if (!view->flip && !view->fold)
        return pair;
    memcpy(a, pair, (size_t)n * sizeof *a);
    if (view->flip)
        weights_reverse(a, n);
    if (!view->fold)
        return a;
    weights_fold_axis(b, a, 1, k[0], k[1] * k[2]);
    weights_fold_axis(a, b, k[0] + 1, k[1], k[2]);
    weights_fold_axis(b, a, (k[0] + 1) * (k[1] + 1), k[2], 1);
    return b;
}

/* The adjoint of weights_read: taps come in a. */
static void weights_write(const struct weights_view *view, float *d_w, int64_t s, int64_t f, float *a, float *b)
{
    const int64_t *k = view->kernel, n = k[0] * k[1] * k[2];
    float *pair = d_w + s * view->small_step + f * view->large_step;
    float *taps = a;
    if (view->fold) {
        weights_unfold_axis(b, a, (k[0] + 1) * (k[1] + 1), k[2], 1);
        weights_unfold_axis(a, b, k[0] + 1, k[1], k[2]);
        weights_unfold_axis(b, a, 1, k[0], k[1] * k[2]);
        taps = b;
    }
    if (view->flip)
        weights_reverse(taps, n);
    memcpy(pair, taps, (size_t)n * sizeof *pair);
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
 * this many floats, which stay in the first cache. */
enum { PACK_FLOATS = 8192, PACK_CHANNELS = 16 };

static int64_t weights_view_taps(const struct weights_view *view)
{
    const int64_t *k = view->kernel, more = view->fold;
    return (k[0] + more) * (k[1] + more) * (k[2] + more);
}

/* inputs: how many input channels are taken at a time. */
static int64_t weights_channels_together(int64_t n_taps, int64_t inputs)
{
    int64_t n = PACK_FLOATS / (n_taps * inputs);
    return n < 1 ? 1 : n > PACK_CHANNELS ? PACK_CHANNELS : n;
}

/* Of n output channels from o on: how many lie next to each other in the target. */
static int64_t weights_run(const struct weights_target *target, int64_t o, int64_t n)
{
    int64_t left = target->layout.block_o - (target->first_o + o) % target->layout.block_o;
    return left < n ? left : n;
}

/* Taps [channel][n_taps] of n output channels from o on and one input channel into a target. */
static void weights_pack_target(const struct weights_target *target, const float *taps, int64_t n_taps, int64_t o,
                                int64_t n, int64_t i, float *packed)
{
    const int64_t step = target->layout.block_i * target->layout.block_o;
    for (int64_t first = 0, run; first < n; first += run) {
        float *to = packed + (target->o_is_large ? weights_target_at(target, i, o + first)
                                                 : weights_target_at(target, o + first, i));
        run = weights_run(target, o + first, n - first);
        for (int64_t j = 0; j < target->n_taps; j++, to += step) {
            const float *from = taps + first * n_taps + target->tap[j];
            for (int64_t c = 0; c < run; c++)
                to[c] = target->tap[j] < 0 ? 0.0f : from[c * n_taps];
        }
    }
}

/* The same for words [channel][n_taps], of input channels i and i + 1. */
static void weights_pack_pairs(const struct weights_target *target, const uint32_t *words, int64_t n_taps, int64_t o,
                               int64_t n, int64_t i, uint32_t *packed)
{
    const int64_t step = target->layout.block_i / 2 * target->layout.block_o;
    for (int64_t first = 0, run; first < n; first += run) {
        uint32_t *to = packed + (target->o_is_large ? weights_target_at(target, i, o + first)
                                                    : weights_target_at(target, o + first, i));
        run = weights_run(target, o + first, n - first);
        for (int64_t j = 0; j < target->n_taps; j++, to += step) {
            const uint32_t *from = words + first * n_taps + target->tap[j];
            if (target->tap[j] < 0)
                memset(to, 0, (size_t)run * sizeof *to);
            for (int64_t c = 0; c < run && target->tap[j] >= 0; c++)
                to[c] = from[c * n_taps];
        }
    }
}

static void weights_unpack_target(const struct weights_target *target, const float *packed, int64_t n_taps, int64_t o,
                                  int64_t n, int64_t i, float *taps)
{
    const int64_t step = target->layout.block_i * target->layout.block_o;
    for (int64_t first = 0, run; first < n; first += run) {
        const float *from = packed + (target->o_is_large ? weights_target_at(target, i, o + first)
                                                         : weights_target_at(target, o + first, i));
        run = weights_run(target, o + first, n - first);
        for (int64_t j = 0; j < target->n_taps; j++, from += step)
            for (int64_t c = 0; c < run && target->tap[j] >= 0; c++)
                taps[(first + c) * n_taps + target->tap[j]] = from[c];
    }
}

/* The taps of output channels first .. first + n - 1 and one input channel; of none: zeros. */
static void weights_gather(const struct weights_view *view, const float *w, bool o_is_large, int64_t first, int64_t n,
                           int64_t i, float *taps)
{
    const int64_t n_taps = weights_view_taps(view);
    float a[CONV_TAPS_MAX], b[CONV_TAPS_MAX];
    for (int64_t c = 0; c < n; c++, taps += n_taps)
        if (i < (o_is_large ? view->n_small : view->n_large))
            memcpy(taps, weights_read(view, w, o_is_large ? i : first + c, o_is_large ? first + c : i, a, b),
                   (size_t)n_taps * sizeof *taps);
        else
            memset(taps, 0, (size_t)n_taps * sizeof *taps);
}

void weights_pack(const struct weights_view *view, const float *w, int64_t n_targets,
                  const struct weights_target *targets, float *packed)
{
    const bool o_is_large = targets->o_is_large;
    const int64_t n_o = o_is_large ? view->n_large : view->n_small, n_i = o_is_large ? view->n_small : view->n_large;
    const int64_t n_taps = weights_view_taps(view), inputs = targets->pairs ? 2 : 1,
                  together = weights_channels_together(n_taps, inputs);

#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t first = 0; first < n_o; first += together)
        for (int64_t i = 0; i < n_i; i += inputs) {
            const int64_t n = first + together < n_o ? together : n_o - first;
            float taps[PACK_FLOATS];
            uint32_t words[PACK_FLOATS / 2];

            for (int64_t k = 0; k < inputs; k++)
                weights_gather(view, w, o_is_large, first, n, i + k, taps + k * n * n_taps);
            for (int64_t k = 0; k < n * n_taps && targets->pairs; k++)
                words[k] = (uint32_t)bfloat16_from_float(taps[k]) | (uint32_t)bfloat16_from_float(taps[n * n_taps + k])
                                                                        << 16;
            for (const struct weights_target *target = targets; target < targets + n_targets; target++) {
                if (target->pairs)
                    weights_pack_pairs(target, words, n_taps, first, n, i, (uint32_t *)(void *)packed);
                else
                    weights_pack_target(target, taps, n_taps, first, n, i, packed);
            }
        }
}

void weights_unpack(const struct weights_view *view, int64_t n_targets, const struct weights_target *targets,
                    const float *packed, float *d_w)
{
    const bool o_is_large = targets->o_is_large;
    const int64_t n_o = o_is_large ? view->n_large : view->n_small, n_i = o_is_large ? view->n_small : view->n_large;
    const int64_t n_taps = weights_view_taps(view), together = weights_channels_together(n_taps, 1);

#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t first = 0; first < n_o; first += together)
        for (int64_t i = 0; i < n_i; i++) {
            const int64_t n = first + together < n_o ? together : n_o - first;
            float a[CONV_TAPS_MAX], b[CONV_TAPS_MAX], taps[PACK_FLOATS];

            for (const struct weights_target *target = targets; target < targets + n_targets; target++)
                weights_unpack_target(target, packed, n_taps, first, n, i, taps);
            for (int64_t c = 0; c < n; c++) {
                memcpy(a, taps + c * n_taps, (size_t)n_taps * sizeof *a);
                weights_write(view, d_w, o_is_large ? i : first + c, o_is_large ? first + c : i, a, b);
            }
        }
}
