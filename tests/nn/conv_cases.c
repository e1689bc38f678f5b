/* conv_cases.c - see conv_cases.h. */
#include "tests/nn/conv_cases.h"

#include "base/memory.h"
#include "base/rng.h"
#include "nn/engine/bfloat16.h"

struct conv_shape same_shape(const struct same_case *is)
{
    struct conv_shape shape = {.src = is->src,
                               .scale = is->scale,
                               .has_bias = true,
                               .transposed = is->transposed,
                               .training = true,
                               .needs_d_src = true};
    const int64_t in[3] = {is->src.d, is->src.h, is->src.w};
    int64_t out[3];
    for (int a = 0; a < 3; a++) {
        const int64_t n = in[a] * is->scale, s = is->stride, k = is->kernel;
        out[a] = is->transposed ? n * s : (n + s - 1) / s;
        int64_t total = is->transposed ? k - s : (out[a] - 1) * s + k - n;
        total = total < 0 ? 0 : total;
        shape.kernel[a] = k;
        shape.stride[a] = s;
        shape.pad_before[a] = total / 2;
        shape.pad_after[a] = total - total / 2;
    }
    shape.src.c = is->c;
    shape.dst = (struct shape){is->src.n, is->filters, out[0], out[1], out[2]};
    return shape;
}

float *same_draw(int64_t n, uint64_t seed, uint64_t stream)
{
    struct rng rng = rng_make(seed, stream);
    float *values = memory_alloc((size_t)n, sizeof *values);
    for (int64_t i = 0; values && i < n; i++)
        values[i] = bfloat16_to_float(bfloat16_from_float((float)rng_uniform(&rng, -1, 1)));
    return values;
}

struct tensor same_halved(struct tensor tensor)
{
    struct tensor halved = {.shape = tensor.shape, .bfloat16 = true};
    halved.data = memory_alloc(1, tensor_bytes(halved));
    tensor_store(halved, 0, tensor.data, tensor_floats(tensor.shape));
    return halved;
}
