/* weights_pack.h - private: weights between the caller's plain block and a kernel's layout. */
#ifndef CALVARIA_NN_ENGINE_WEIGHTS_PACK_H
#define CALVARIA_NN_ENGINE_WEIGHTS_PACK_H

#include "nn/engine/direct_conv.h"

/* The caller's plain weights seen as w[s][l][tap]. */
struct weights_view {
    int64_t n_small, n_large, small_step,
        large_step;    /* channels; floats between neighbouring ones. Taps are contiguous */
    int64_t kernel[3]; /* of the plain weights */
    bool flip, fold;   /* taps in reverse; folded to kernel + 1 */
};

/* A kernel's packed weights: tap j of it is tap `tap[j]` of the view, zero where that is -1. */
struct weights_target {
    struct direct_layout layout;
    int64_t n_taps, first_o, first_i; /* output, input channels start here: merged phases, parities */
    const int32_t *tap;
    bool pairs;      /* of bfloat16: [o/block_o][i/block_i][tap][pair of i][block_o] words (pairs.h) */
    bool o_is_large; /* scatter: output channels are those of the large grid */
    int64_t offset;  /* floats into the packed block */
};

int64_t weights_floats(const struct direct_layout *layout, int64_t n_taps);
/* packed must be zero where there is padding. */
void weights_pack(const struct weights_view *view, const float *w, int64_t n_targets,
                  const struct weights_target *targets, float *packed);
/* The adjoint for targets that hold every tap once: d_w = '='. */
void weights_unpack(const struct weights_view *view, int64_t n_targets, const struct weights_target *targets,
                    const float *packed, float *d_w);

#endif
