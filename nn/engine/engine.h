/* engine.h - convolutions, fast, on a CPU.
 *
 * A convolution is described once, its primitives are created once, and run many times:
 *
 *     dst[n,o,z,y,x] = b[o] + sum_{c,i,j,k} w[o,c,i,j,k] * up(src)[n, c, z*s-p+i, y*s-p+j, x*s-p+k]
 *
 * where up() repeats every voxel `scale` times along each axis (nearest upsampling; 1 = none) and values outside are
 * zero. Transposed convolution is the same with the roles of forward and backward-data exchanged. Weights are plain
 * O,C,D,H,W in the caller's flat block; src and dst lie as tensor.h says. Work-arounds for slow cases live here, never
 * in layers.
 *
 * From here down: conv.c turns a convolution into gather, scatter and weights' gradient (direct_conv.h has their
 * formulas). polyphase.c, space_to_depth.c, conv_transpose_2x2x2.c and weights_pack.c turn those into direct
 * convolutions with stride 1 and bring the weights along. direct.c and weight_gradient.c give each to the fastest
 * kernel that supports it: onednn.c, winograd.c, or one of kernels/, which are compiled once per instruction set (cpu.h
 * picks). Only these files know oneDNN and the processor's instructions.
 *
 * A second engine, for a GPU, would have to provide more than this header. Layers read and write float pointers
 * directly: norms, activations, pooling, concatenation, losses and optimizers are loops with OpenMP. It would need
 *   - buffers: base/memory.h and network/arena_plan.c hand out host pointers, and tensor_from_plain and tensor_to_plain
 *     would become transfers;
 *   - convolutions and engine_matmul, as below;
 *   - element-wise kernels and per-channel sums for nn/layers, nn/losses and nn/optimizers (the loops over `rows` of
 *     nn/layers/rows.h);
 *   - a fixed order of summation in each of them, for the same bits in every run. */
#ifndef CALVARIA_NN_ENGINE_ENGINE_H
#define CALVARIA_NN_ENGINE_ENGINE_H

#include "nn/tensor.h"

enum { CONV_KERNEL_MAX = 15, CONV_STRIDE_MAX = 8 };

struct conv_shape {
    struct shape src, dst;               /* src before up-scaling */
    int64_t kernel[3], stride[3];        /* d, h, w */
    int64_t pad_before[3], pad_after[3]; /* d, h, w */
    int64_t scale;                       /* nearest upsampling of src in front: 1 or 2 */
    bool has_bias;
    bool transposed;  /* forward is the backward-data of the convolution dst -> src; weights plain C,O,D,H,W (src
                         channels first) */
    bool training;    /* backward passes will be run */
    bool needs_d_src; /* false for the first layer: no backward-data is prepared */
    bool winograd;    /* minimal filtering where it pays: winograd.h states its error */
    bool frozen;      /* no gradient of the weights is prepared */
    bool bfloat16; /* src, dst and their gradients are bfloat16, data points at uint16_t; engine_conv_supports_bfloat16
                    */
    bool slabs;    /* one of several calls per pass, all with the same scratch: weights packed by the first one stay
                      until engine_conv_weights_changed */
};

struct engine_conv;

/* Whether the engine multiplies in bfloat16 here; elsewhere slab_conv.h takes its place. */
bool engine_conv_supports_bfloat16(const struct conv_shape *shape);

/* What forward does on its way, where the convolution can. */
struct conv_fusion {
    const struct tensor_affine *affine; /* of src; engine_conv_can_fuse_norm */
    double *stats; /* engine_conv_stats of them: of dst, then of its squares, per sample and stored channel; what is
                     behind is scratch. NULL: none */
};

/* *ret_scratch_bytes: what every call needs as scratch. */
enum status engine_conv_new(struct engine_conv **ret, const struct conv_shape *shape, size_t *ret_scratch_bytes,
                            struct error *error);
void engine_conv_free(struct engine_conv *conv);
/* fusion NULL: nothing. */
void engine_conv_forward(struct engine_conv *conv, const float *src, const float *w, const float *b,
                         const struct conv_fusion *fusion, float *dst, void *scratch);
int64_t engine_conv_stats(const struct engine_conv *conv); /* 0: it does not sum */
bool engine_conv_can_fuse_norm(const struct engine_conv *conv);
void engine_conv_backward_data(struct engine_conv *conv, const float *d_dst, const float *w, float *d_src,
                               void *scratch);
/* d_w, d_b: '='. d_b NULL without bias. */
void engine_conv_backward_weights(struct engine_conv *conv, const float *src, const float *d_dst, float *d_w,
                                  float *d_b, void *scratch);
/* STATUS_FAILED once a library's kernel has failed while running (of memory, for instance): what the passes left is not
 * valid. The passes themselves return nothing; callers check after a whole one. */
enum status engine_conv_status(const struct engine_conv *conv, struct error *error);
/* Inference reuses prepared weights until told that they changed; training prepares them every time. */
void engine_conv_weights_changed(struct engine_conv *conv);
/* The implementations picked, "forward | backward data | backward weights", for benches and info. */
const char *engine_conv_describe(const struct engine_conv *conv);
/* Multiply-adds as they are really computed (after folding an upsampling into the kernel, or minimal filtering's
 * products alone), borders counted in full; backward: of the passes that it was built for. */
int64_t engine_conv_forward_macs(const struct engine_conv *conv);
int64_t engine_conv_backward_macs(const struct engine_conv *conv);

/* A matrix as it lies: row-major, or stored transposed. */
struct matrix {
    const float *data;
    bool transposed;
};
/* dst (m x n, row-major) = a (m x k) * b (k x n). accumulate: dst +=. */
void engine_matmul(int64_t m, int64_t n, int64_t k, struct matrix a, struct matrix b, float *dst, bool accumulate);

/* "oneDNN 2.6.3, AVX2" */
const char *engine_version(void);

#endif
