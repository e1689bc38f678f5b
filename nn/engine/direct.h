/* direct.h - private: one direct convolution, run by the fastest kernel that supports it. */
#ifndef CALVARIA_NN_ENGINE_DIRECT_H
#define CALVARIA_NN_ENGINE_DIRECT_H

#include "nn/engine/direct_conv.h"

struct direct_forward;
enum status direct_forward_new(struct direct_forward **ret, const struct direct_conv *conv, bool has_bias,
                               struct error *error);
void direct_forward_free(struct direct_forward *forward);
size_t direct_forward_scratch_bytes(const struct direct_forward *forward);
struct direct_layout direct_forward_layout(const struct direct_forward *forward);
enum status direct_forward_status(const struct direct_forward *forward, struct error *error);
const char *direct_forward_name(const struct direct_forward *forward);
int64_t direct_forward_macs(const struct direct_forward *forward);
/* Floats that weights take: in the layout, and what prepare makes of them behind. Prepare after every packing. */
int64_t direct_forward_packed_floats(const struct direct_forward *forward);
void direct_forward_prepare(const struct direct_forward *forward, float *packed);
/* Whether weights are packed as pairs of bfloat16 (weights_pack.h). */
bool direct_forward_packs_pairs(const struct direct_forward *forward);
/* src and dst are bfloat16 where the convolution says so. b: layout.dst_c values, or NULL when built without bias. */
void direct_forward_run(struct direct_forward *forward, const float *src, const float *packed, const float *b,
                        const struct conv_fusion *fusion, float *dst, void *scratch);
/* As engine_conv_stats and engine_conv_can_fuse_norm. */
int64_t direct_forward_stats(const struct direct_forward *forward);
bool direct_forward_can_fuse_norm(const struct direct_forward *forward);

#endif
