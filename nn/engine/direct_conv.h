/* direct_conv.h - private: what every part of the engine knows of a direct convolution, and scratch memory.
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
#ifndef CALVARIA_NN_ENGINE_DIRECT_CONV_H
#define CALVARIA_NN_ENGINE_DIRECT_CONV_H

#include "nn/engine/engine.h"

enum { CONV_TAPS_MAX = (CONV_KERNEL_MAX + 1) * (CONV_KERNEL_MAX + 1) * (CONV_KERNEL_MAX + 1) };

/* dst[o,z] = b[o] + sum_{c,t} w[o,c,t] * src[c, z*stride - pad + t], zero outside; tensors lie as tensor.h says. */
struct direct_conv {
    struct shape src, dst;
    int64_t kernel[3], stride[3], pad[3];
    bool winograd; /* allowed where it pays (winograd.h) */
    bool bfloat16; /* src and dst lie so, and products are of pairs (pairs.h) */
};
/* Multiply-adds, borders counted in full. */
int64_t direct_conv_macs(const struct direct_conv *conv);

/* How tensors and weights of a direct convolution lie for the kernel that runs it. Weights:
 * [o/block_o][i/block_i][tap][block_i][block_o]. */
struct direct_layout {
    int64_t src_c, dst_c;     /* stored channels: multiples of the blocks */
    int64_t block_i, block_o; /* block_i = src_c where src lies plain */
};

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
