/* direct.h - private to nn/engine*.c: the pieces that the public convolution is put together from.
 *
 * Every convolution of engine.h links a large grid L and a small grid S by one formula,
 *     S[s, z] = sum_{l,t} w[s,l,t] * L[l, z*stride - pad + t]
 *       ("gather")
 * and three passes follow from it:
 *     gather    L -> S     forward of a convolution, backward-data of a transposed or upsampling one;
 *     scatter   S -> L     the adjoint: one stride-1 convolution per output parity ("phase"), then interleaved;
 *     weights   L, S -> w  the gradient of the weights.
 * Nearest upsampling x2 followed by a stride-1 convolution of kernel k is a scatter with stride 2 and kernel k+1 whose
 * taps are sums of neighbouring taps of the original ("fold"): exact, zero borders included, with 4-5 times less
 * arithmetic. So only two kinds of kernels are needed: direct convolutions, and their weights' gradients. */
#ifndef CALVARIA_NN_ENGINE_DIRECT_H
#define CALVARIA_NN_ENGINE_DIRECT_H

#include "nn/engine/engine.h"

enum { CONV_TAPS_MAX = (CONV_KERNEL_MAX + 1) * (CONV_KERNEL_MAX + 1) * (CONV_KERNEL_MAX + 1) };

/* dst[o,z] = b[o] + sum_{c,t} w[o,c,t] * src[c, z*stride - pad + t], zero outside; tensors lie as tensor.h says. */
struct direct_conv {
    struct shape src, dst;
    int64_t kernel[3], stride[3], pad[3];
    bool winograd; /* allowed where it pays (winograd.h) */
};
/* Multiply-adds, borders counted in full. */
int64_t direct_conv_macs(const struct direct_conv *conv);

/* How tensors and weights of a direct convolution lie for the kernel that runs it. Weights:
 * [o/block_o][i/block_i][tap][block_i][block_o]. */
struct direct_layout {
    int64_t src_c, dst_c;     /* stored channels: multiples of the blocks */
    int64_t block_i, block_o; /* block_i = src_c where src lies plain */
};

/* ---- weights_pack.c: weights between the caller's plain block and a kernel's layout ---- */

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

/* ---- direct.c: one direct convolution, run by the fastest kernel that takes it ---- */

struct direct_forward;
enum status direct_forward_new(struct direct_forward **ret, const struct direct_conv *conv, bool has_bias,
                               struct error *error);
void direct_forward_free(struct direct_forward *forward);
size_t direct_forward_scratch_bytes(const struct direct_forward *forward);
struct direct_layout direct_forward_layout(const struct direct_forward *forward);
const char *direct_forward_name(const struct direct_forward *forward);
int64_t direct_forward_macs(const struct direct_forward *forward);
/* Floats that weights take: in the layout, and what prepare makes of them behind. Prepare after every packing. */
int64_t direct_forward_packed_floats(const struct direct_forward *forward);
void direct_forward_prepare(const struct direct_forward *forward, float *packed);
/* b: layout.dst_c values, or NULL when built without bias. */
void direct_forward_run(struct direct_forward *forward, const float *src, const float *packed, const float *b,
                        const struct conv_fusion *fusion, float *dst, void *scratch);
/* As engine_conv_stats and engine_conv_can_fuse_norm. */
int64_t direct_forward_stats(const struct direct_forward *forward);
bool direct_forward_can_fuse_norm(const struct direct_forward *forward);

/* The gradient of the weights, in layout order. */
struct direct_weights;
enum status direct_weights_new(struct direct_weights **ret, const struct direct_conv *conv, struct error *error);
void direct_weights_free(struct direct_weights *weights);
size_t direct_weights_scratch_bytes(const struct direct_weights *weights);
struct direct_layout direct_weights_layout(const struct direct_weights *weights);
const char *direct_weights_name(const struct direct_weights *weights);
int64_t direct_weights_macs(const struct direct_weights *weights);
void direct_weights_run(struct direct_weights *weights, const float *src, const float *d_dst, float *d_packed,
                        void *scratch);

/* ---- space_to_depth.c: a gather with stride 2 as a convolution with stride 1 of eight times the channels ---- */

enum { PARITIES = 8 };
bool space_to_depth_supports(const struct direct_conv *grid);
struct direct_conv space_to_depth_conv(
    const struct direct_conv *grid); /* its src: channel f of parity q is q * C + f */
/* Tap j of that for the channels of one parity: a tap of the grid, or -1. reversed: of its adjoint. */
void space_to_depth_taps(const struct direct_conv *grid, int64_t parity, bool reversed, int32_t *tap);
int64_t space_to_depth_floats(const struct direct_conv *grid);
void space_to_depth_split(const struct direct_conv *grid, const float *src, float *dst);

/* ---- conv_transpose_2x2x2.c: a scatter with kernel = stride = 2 ---- */

bool conv_transpose_2x2x2_supports(const struct direct_conv *grid);
/* packed: 8 phases in the layout of direct convolutions of 1x1x1; bias: room for dst's stored channels. */
void conv_transpose_2x2x2_run(const struct direct_conv *grid, const float *src, const float *packed, const float *b,
                              float *dst, float *bias);

/* ---- polyphase.c: gather and scatter, as a list of direct convolutions ---- */

struct polyphase;
enum status polyphase_new_gather(struct polyphase **ret, const struct direct_conv *grid, bool has_bias,
                                 struct error *error);
enum status polyphase_new_scatter(struct polyphase **ret, const struct direct_conv *grid, bool has_bias,
                                  struct error *error);
void polyphase_free(struct polyphase *phases);
int64_t polyphase_packed_floats(const struct polyphase *phases);
size_t polyphase_scratch_bytes(const struct polyphase *phases);
const char *polyphase_name(const struct polyphase *phases);
int64_t polyphase_macs(const struct polyphase *phases);
void polyphase_pack(const struct polyphase *phases, const struct weights_view *view, const float *w, float *packed);
void polyphase_run(struct polyphase *phases, const float *src, const float *packed, const float *b,
                   const struct conv_fusion *fusion, float *dst, void *scratch);
int64_t polyphase_stats(const struct polyphase *phases);
bool polyphase_can_fuse_norm(const struct polyphase *phases);

/* Scratch is carved in 64-byte steps. */
static inline size_t scratch_bytes(int64_t floats)
{
    return ((size_t)floats * sizeof(float) + 63) / 64 * 64;
}
static inline float *scratch_take(char **at, int64_t floats)
{
    float *taken = (float *)(void *)*at;
    *at += scratch_bytes(floats);
    return taken;
}

#endif
