/* polyphase.h - private: gather and scatter (direct_conv.h), each as a list of direct convolutions. */
#ifndef CALVARIA_NN_ENGINE_POLYPHASE_H
#define CALVARIA_NN_ENGINE_POLYPHASE_H

#include "nn/engine/weights_pack.h"

struct polyphase;
enum status polyphase_new_gather(struct polyphase **ret, const struct direct_conv *grid, bool has_bias,
                                 struct error *error);
enum status polyphase_new_scatter(struct polyphase **ret, const struct direct_conv *grid, bool has_bias,
                                  struct error *error);
void polyphase_free(struct polyphase *phases);
int64_t polyphase_packed_floats(const struct polyphase *phases);
size_t polyphase_scratch_bytes(const struct polyphase *phases);
enum status polyphase_status(const struct polyphase *phases, struct error *error);
const char *polyphase_name(const struct polyphase *phases);
int64_t polyphase_macs(const struct polyphase *phases);
void polyphase_pack(const struct polyphase *phases, const struct weights_view *view, const float *w, float *packed);
void polyphase_run(struct polyphase *phases, const float *src, const float *packed, const float *b,
                   const struct conv_fusion *fusion, float *dst, void *scratch);
int64_t polyphase_stats(const struct polyphase *phases);
bool polyphase_can_fuse_norm(const struct polyphase *phases);

#endif
