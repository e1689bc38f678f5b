/* onednn.h - private: the raw life cycle of oneDNN's primitives, hidden here once (2.6 and 3.x differ). */
#ifndef CALVARIA_NN_ENGINE_ONEDNN_H
#define CALVARIA_NN_ENGINE_ONEDNN_H

#include "nn/engine/direct_conv.h"

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
/* STATUS_FAILED once a run has failed: dst was not computed, then or since. */
enum status onednn_conv_status(const struct onednn_conv *conv, struct error *error);

#endif
