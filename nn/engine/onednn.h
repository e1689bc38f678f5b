/* onednn.h - private: the raw life cycle of oneDNN's primitives, hidden here once (2.6 and 3.x differ). */
#ifndef CALVARIA_NN_ENGINE_ONEDNN_H
#define CALVARIA_NN_ENGINE_ONEDNN_H

#include "nn/engine/direct.h"

/* What this processor, or ONEDNN_MAX_CPU_ISA, allows. */
enum isa { ISA_PLAIN, ISA_AVX2, ISA_AVX512 };
enum isa onednn_isa(void);
int64_t onednn_lane(void); /* floats per block: 8, or 16 with AVX-512 */

struct onednn_conv;

/* conv.src, conv.dst lie as `layout` says: blocked by the block_c, or src plain with layout.src_c < block_c channels.
 */
enum status onednn_conv_new(struct onednn_conv **ret, const struct direct_conv *conv,
                            const struct direct_layout *layout, bool has_bias, struct error *error);
void onednn_conv_free(struct onednn_conv *conv);
size_t onednn_conv_scratch_bytes(const struct onednn_conv *conv);
const char *onednn_conv_name(const struct onednn_conv *conv); /* "jit:avx2" */
void onednn_conv_run(struct onednn_conv *conv, const float *src, const float *w, const float *b, float *dst,
                     void *scratch);

#endif
