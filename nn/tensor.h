/* tensor.h - shapes, and the one rule of how a tensor lies in memory.
 *
 * Order of values: N C D H W (D = z, H = y, W = x, fastest). Layout follows from the number of channels alone, so no
 * layer negotiates layouts and almost no reorder is ever needed: C <  block : plain NCDHW; C >= block : channel-blocked
 * N (C/block) D H W block, C padded up with channels that are always zero, where block = tensor_block() is what the
 * engine computes with at a time (8 or 16 floats). */
#ifndef CALVARIA_NN_TENSOR_H
#define CALVARIA_NN_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct shape {
    int64_t n, c, d, h, w;
};

struct tensor {
    struct shape shape;
    float *data;   /* tensor_floats(shape) values */
    bool bfloat16; /* of 16 bits: data points at uint16_t (engine/bfloat16.h) */
};

/* Values that their reader takes as scale * x + shift, and `slope` times that below zero (0 to 1; 1: no leaky ReLU).
 * Factors per sample and stored channel, 0 for padding; scale NULL: the values are as they lie. */
struct tensor_affine {
    float *scale, *shift;
    float slope;
};

int64_t tensor_block(void);
/* Channels per block of a tensor with c channels: 1 when it lies plain. */
int64_t tensor_channel_block(int64_t c);
/* Channels stored: c, or c padded up to whole blocks. */
int64_t tensor_stored_channels(int64_t c);
int64_t shape_voxels(struct shape shape); /* d * h * w */
int64_t shape_count(struct shape shape);  /* n * c * d * h * w: values that mean something */
bool shape_equal(struct shape a, struct shape b);
/* Floats in memory, padding included; -1 when that overflows 64 bits. */
int64_t tensor_floats(struct shape shape);
/* Offset of value (n, c, z, y, x). */
int64_t tensor_at(struct shape shape, int64_t n, int64_t c, int64_t z, int64_t y, int64_t x);
/* Of a tensor's values in memory, padding included. */
size_t tensor_bytes(struct tensor tensor);
/* n values from offset `at` on, as float32. Done by the calling thread alone. */
void tensor_load(float *dst, struct tensor src, int64_t at, int64_t n);
void tensor_store(struct tensor dst, int64_t at, const float *src, int64_t n);
/* The tensor from offset `at` on. */
struct tensor tensor_offset(struct tensor tensor, int64_t at);
/* Between plain NCDHW and the tensor's own layout, float32; padding channels become zero. */
void tensor_from_plain(struct tensor dst, const float *src);
void tensor_to_plain(float *dst, struct tensor src);
/* The same for any block_c (1: a copy): plain NCDHW <-> N (C/block_c) D H W block_c, padding zero. */
void tensor_pack_blocks(float *dst, const float *src, struct shape shape, int64_t block_c);
void tensor_unpack_blocks(float *dst, const float *src, struct shape shape, int64_t block_c);
/* "1x32x64x64x64" for messages and tables, into text; returns text. */
enum { SHAPE_TEXT = 112 };
char *shape_text(char text[SHAPE_TEXT], struct shape shape);

#endif
