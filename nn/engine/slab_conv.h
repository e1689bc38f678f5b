/* slab_conv.h - engine.h's convolution over tensors of bfloat16 values: a few planes at a time.
 *
 * The engine's kernels read and write float32. A slab of planes of src is converted (and normalised, where the layer
 * before left factors), convolved and converted back while it lies in the caches; only one slab of float32 values
 * exists at a time. Products are those of the engine in float32: a product of two bfloat16 values is exact there.
 * Parameters stay float32. Each pass is cut along z alone, into slabs that depend on the shape alone: any number of
 * threads gives the same bits. */
#ifndef CALVARIA_NN_ENGINE_SLAB_CONV_H
#define CALVARIA_NN_ENGINE_SLAB_CONV_H

#include "nn/engine/engine.h"

struct slab_conv;

/* Of a slab by default: stays in the last cache. */
enum { SLAB_CONV_BYTES = 12 << 20 };

/* Whether a convolution can be cut into slabs (all but a few odd ones: kernel smaller than stride, a transposed one
 * behind an upsampling). */
bool slab_conv_supports(const struct conv_shape *shape);
/* bytes: of one slab's float32 values, where planes are small enough. */
enum status slab_conv_new(struct slab_conv **ret, const struct conv_shape *shape, int64_t bytes,
                          size_t *ret_scratch_bytes, struct error *error);
void slab_conv_free(struct slab_conv *conv);
void slab_conv_weights_changed(struct slab_conv *conv);

/* As engine_conv_*; src and dst may each be float32 or bfloat16. */
void slab_conv_forward(struct slab_conv *conv, struct tensor src, const float *w, const float *b,
                       const struct conv_fusion *fusion, struct tensor dst, void *scratch);
void slab_conv_backward_data(struct slab_conv *conv, struct tensor d_dst, const float *w, struct tensor d_src,
                             void *scratch);
void slab_conv_backward_weights(struct slab_conv *conv, struct tensor src, struct tensor d_dst, float *d_w, float *d_b,
                                void *scratch);
/* As engine_conv_status. */
enum status slab_conv_status(const struct slab_conv *conv, struct error *error);
/* Doubles of fusion->stats. */
int64_t slab_conv_stats(const struct slab_conv *conv);
int64_t slab_conv_forward_macs(const struct slab_conv *conv);
int64_t slab_conv_backward_macs(const struct slab_conv *conv);
const char *slab_conv_describe(const struct slab_conv *conv);

#endif
