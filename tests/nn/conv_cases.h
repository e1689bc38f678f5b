/* conv_cases.h - convolutions of `padding: same` for the tests of tensors in bfloat16. */
#ifndef CALVARIA_TESTS_NN_CONV_CASES_H
#define CALVARIA_TESTS_NN_CONV_CASES_H

#include "nn/engine/engine.h"

struct same_case {
    int64_t c, filters, kernel, stride, scale;
    bool transposed;
    struct shape src; /* channels: c */
};

/* As nn/layers/conv.c; with a bias, for training, float32. */
struct conv_shape same_shape(const struct same_case *is);
/* Values in -1 .. 1 that bfloat16 has; memory_free. */
float *same_draw(int64_t n, uint64_t seed, uint64_t stream);
/* A tensor of bfloat16 with the same values; memory_free its data. */
struct tensor same_halved(struct tensor tensor);

#endif
