/* weights_pack.c - weights between the caller's plain block and the kernels' layouts: flipped, folded, split into
 * phases. Test: tests/nn/test_engine.c */
#include "nn/engine/weights_pack.h"

#include <string.h>

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

/* Where tap 0 of the pair lies in the packed block; the next taps follow block_i * block_o floats apart. */
static int64_t weights_target_at(const struct weights_target *target, int64_t s, int64_t f)
{
    const struct direct_layout *layout = &target->layout;
    int64_t o = target->first_o + (target->o_is_large ? f : s), i = target->first_i + (target->o_is_large ? s : f);
    int64_t block = o / layout->block_o * (layout->src_c / layout->block_i) + i / layout->block_i;
    return target->offset + (block * target->n_taps * layout->block_i + i % layout->block_i) * layout->block_o +
           o % layout->block_o;
}

/* Channel pairs are visited in tiles of this edge, so that threads write to separate blocks. */
enum { PACK_TILE = 16 };

void weights_pack(const struct weights_view *view, const float *w, int64_t n_targets,
                  const struct weights_target *targets, float *packed)
{
    int64_t tiles_s = (view->n_small + PACK_TILE - 1) / PACK_TILE,
            tiles_f = (view->n_large + PACK_TILE - 1) / PACK_TILE;
#pragma omp parallel for schedule(static)
    for (int64_t tile = 0; tile < tiles_s * tiles_f; tile++) {
        float a[CONV_TAPS_MAX], b[CONV_TAPS_MAX];
        for (int64_t pair = 0; pair < PACK_TILE * PACK_TILE; pair++) {
            int64_t s = tile / tiles_f * PACK_TILE + pair / PACK_TILE,
                    f = tile % tiles_f * PACK_TILE + pair % PACK_TILE;
            if (s >= view->n_small || f >= view->n_large)
                continue;
            const float *taps = weights_read(view, w, s, f, a, b);
            for (const struct weights_target *target = targets; target < targets + n_targets; target++) {
                float *to = packed + weights_target_at(target, s, f);
                int64_t step = target->layout.block_i * target->layout.block_o;
                for (int64_t j = 0; j < target->n_taps; j++)
                    to[j * step] = target->tap[j] < 0 ? 0.0f : taps[target->tap[j]];
            }
        }
    }
}

void weights_unpack(const struct weights_view *view, int64_t n_targets, const struct weights_target *targets,
                    const float *packed, float *d_w)
{
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t s = 0; s < view->n_small; s++)
        for (int64_t f = 0; f < view->n_large; f++) {
            float a[CONV_TAPS_MAX], b[CONV_TAPS_MAX];
            for (const struct weights_target *target = targets; target < targets + n_targets; target++) {
                const float *from = packed + weights_target_at(target, s, f);
                int64_t step = target->layout.block_i * target->layout.block_o;
                for (int64_t j = 0; j < target->n_taps; j++)
                    if (target->tap[j] >= 0)
                        a[target->tap[j]] = from[j * step];
            }
            weights_write(view, d_w, s, f, a, b);
        }
}
