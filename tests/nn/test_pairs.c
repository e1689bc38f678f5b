/* Products of pairs of bfloat16 values: the instruction against what pairs.h says of it, every instruction set against
 * the plain code bit for bit, and the convolutions against the engine's in float32. */
#include "nn/engine/pairs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "nn/engine/bfloat16.h"
#include "nn/engine/cpu.h"
#include "nn/engine/kernels/pairs_tables.h"
#include "tests/check.h"
#include "tests/nn/conv_cases.h"

/* ---- convolutions ---- */

static const struct same_case pairs_cases[] = {
    {17, 40, 3, 2, 1, false, {2, 0, 7, 9, 27}},  {64, 33, 3, 2, 1, false, {1, 0, 6, 5, 26}},
    {16, 16, 5, 1, 1, false, {1, 0, 5, 6, 31}},  {48, 80, 5, 2, 1, false, {1, 0, 9, 8, 13}},
    {32, 16, 2, 2, 1, true, {2, 0, 3, 4, 13}},   {20, 70, 3, 2, 1, true, {1, 0, 4, 5, 6}},
    {24, 32, 3, 1, 2, false, {1, 0, 4, 3, 7}},   {33, 17, 5, 1, 2, true, {1, 0, 3, 4, 5}},
    {272, 18, 1, 1, 1, false, {1, 0, 3, 5, 25}}, {16, 64, 4, 3, 1, false, {1, 0, 9, 7, 10}},
    {16, 24, 1, 2, 1, false, {1, 0, 5, 6, 7}},   {40, 16, 2, 2, 1, true, {1, 0, 2, 3, 4}},
    {16, 16, 3, 1, 1, false, {2, 0, 5, 6, 27}},  {33, 40, 3, 1, 1, false, {1, 0, 4, 7, 25}},
    {20, 48, 3, 1, 1, true, {1, 0, 6, 3, 50}},
};
enum { PAIRS_CASES = sizeof pairs_cases / sizeof *pairs_cases };

static struct conv_shape pairs_shape(const struct same_case *is, bool bfloat16)
{
    struct conv_shape shape = same_shape(is);
    shape.winograd = is->kernel == 3;
    shape.bfloat16 = bfloat16;
    return shape;
}

/* What a convolution's passes give, plain: dst, d_src, d_w, d_b. */
struct pairs_results {
    int64_t n[4];
    float *values[4];
};

static struct tensor pairs_tensor(struct shape shape, bool bfloat16, const float *plain)
{
    struct tensor whole = {.shape = shape, .data = memory_zalloc((size_t)tensor_floats(shape), sizeof(float))};
    if (plain)
        tensor_from_plain(whole, plain);
    if (!bfloat16)
        return whole;
    const struct tensor half = same_halved(whole);
    memory_free(whole.data);
    return half;
}

/* Frees the tensor. */
static float *pairs_plain(struct tensor tensor)
{
    const int64_t n = tensor_floats(tensor.shape);
    struct tensor whole = {.shape = tensor.shape, .data = memory_alloc((size_t)n, sizeof(float))};
    float *plain = memory_alloc((size_t)shape_count(tensor.shape), sizeof *plain);
    tensor_load(whole.data, tensor, 0, n);
    tensor_to_plain(plain, whole);
    memory_free(whole.data);
    memory_free(tensor.data);
    return plain;
}

static struct pairs_results pairs_passes(const struct same_case *is, bool bfloat16)
{
    const struct conv_shape shape = pairs_shape(is, bfloat16);
    const int64_t n_w = is->c * is->filters * is->kernel * is->kernel * is->kernel;
    struct pairs_results made = {.n = {shape_count(shape.dst), shape_count(shape.src), n_w, is->filters}};
    float *src_plain = same_draw(made.n[1], 9, 1), *d_dst_plain = same_draw(made.n[0], 9, 2), *w = same_draw(n_w, 9, 3),
          *b = same_draw(is->filters, 9, 4);
    struct tensor src = pairs_tensor(shape.src, bfloat16, src_plain),
                  d_dst = pairs_tensor(shape.dst, bfloat16, d_dst_plain), dst = pairs_tensor(shape.dst, bfloat16, NULL),
                  d_src = pairs_tensor(shape.src, bfloat16, NULL);
    struct engine_conv *conv;
    struct error error = {0};
    size_t bytes;

    CHECK(!bfloat16 || engine_conv_supports_bfloat16(&shape));
    if (CHECK_OK(engine_conv_new(&conv, &shape, &bytes, &error), &error)) {
        void *scratch = memory_alloc(1, bytes);
        made.values[2] = memory_alloc((size_t)n_w, sizeof(float));
        made.values[3] = memory_alloc((size_t)is->filters, sizeof(float));
        engine_conv_forward(conv, src.data, w, b, NULL, dst.data, scratch);
        engine_conv_backward_data(conv, d_dst.data, w, d_src.data, scratch);
        engine_conv_backward_weights(conv, src.data, d_dst.data, made.values[2], made.values[3], scratch);
        memory_free(scratch);
        engine_conv_free(conv);
    }

    made.values[0] = pairs_plain(dst);
    made.values[1] = pairs_plain(d_src);
    float *const all[] = {src_plain, d_dst_plain, w, b, src.data, d_dst.data};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        memory_free(all[i]);
    return made;
}

static void pairs_results_free(struct pairs_results *results)
{
    for (int i = 0; i < 4; i++)
        memory_free(results->values[i]);
}

static const char *const pairs_names[] = {"dst", "d_src", "d_w", "d_b"};

/* dst and d_src are rounded once, and d_w is a sum of exact products; with minimal filtering what is multiplied is
 * rounded too. */
static void test_beside_float32(void)
{
    static const double tolerance[] = {0x1p-8, 0x1p-8, 2e-5, 2e-5};
    cpu_set_pairs(CPU_PAIRS_ALWAYS);
    for (int i = 0; i < PAIRS_CASES; i++) {
        struct pairs_results whole = pairs_passes(&pairs_cases[i], false), half = pairs_passes(&pairs_cases[i], true);
        for (int k = 0; k < 4; k++) {
            double worst = 0, largest = 0;
            for (int64_t at = 0; at < whole.n[k]; at++) {
                worst = fmax(worst, fabs((double)half.values[k][at] - (double)whole.values[k][at]));
                largest = fmax(largest, fabs((double)whole.values[k][at]));
            }
            const bool filtered = pairs_cases[i].kernel == 3 && pairs_cases[i].stride * pairs_cases[i].scale == 1;
            const double allowed = filtered && k < 3 ? 0x1p-7 : tolerance[k];
            if (!CHECK(largest > 0 && worst <= allowed * largest))
                printf("    case %d, %s: off by %g of %g\n", i, pairs_names[k], worst, largest);
        }
        pairs_results_free(&whole);
        pairs_results_free(&half);
    }
    cpu_set_pairs(CPU_PAIRS_FAST);
}

/* Each instruction set that runs here, and any number of threads, against the plain code. */
static void test_same_bits(void)
{
    cpu_set_pairs(CPU_PAIRS_ALWAYS);
    for (int i = 0; i < PAIRS_CASES; i++) {
        cpu_set_max_isa(CPU_PLAIN);
        struct pairs_results plain = pairs_passes(&pairs_cases[i], true);
        for (int isa = CPU_AVX2; isa <= CPU_AVX512; isa++) {
            cpu_set_max_isa((enum cpu_isa)isa);
            parallel_set_threads(isa == CPU_AVX2 ? 1 : 3);
            struct pairs_results fast = pairs_passes(&pairs_cases[i], true);
            parallel_set_threads(0);
            for (int k = 0; k < 4; k++)
                if (!CHECK(memcmp(fast.values[k], plain.values[k], (size_t)plain.n[k] * sizeof(float)) == 0))
                    printf("    case %d, %s under %s\n", i, pairs_names[k], cpu_isa_name(cpu_isa()));
            pairs_results_free(&fast);
        }
        pairs_results_free(&plain);
    }
    cpu_set_pairs(CPU_PAIRS_FAST);
    cpu_set_max_isa(CPU_AVX512);
}

/* ---- the instruction itself ---- */

/* Bits that make interesting values: of moderate size, denormal, and any but infinite ones. */
static uint16_t pairs_bits(struct rng *rng, int kind)
{
    const uint16_t bits = (uint16_t)rng_u32(rng);
    if (kind == 0)
        return (uint16_t)((bits & 0x807F) | (120 + bits / 128 % 16) << 7);
    if (kind == 1)
        return bits & 0xA0FF;
    return (bits & 0x7F80) == 0x7F80 ? bits & 0xBFFF : bits;
}

enum { EDGE = 12 };

/* A 1x1x1 convolution of one block by a processor's kernels. */
static void pairs_run_kernel(const struct pairs_kernels *kernels, const uint16_t *src, const uint32_t *w,
                             const float *b, uint16_t *dst, float *d_w)
{
    const struct direct_conv conv = {
        .src = {1, 16, 1, 1, EDGE}, .dst = {1, 16, 1, 1, EDGE}, .kernel = {1, 1, 1}, .stride = {1, 1, 1}};
    static uint32_t pairs[4096];
    const struct pairs_tile tile = {
        .conv = &conv, .src = src, .w = w, .b = b, .dst = dst, .blocks = 1, .src_blocks = 1, .unit = 1, .last = 1};
    const struct pairs_gradient gradient = {
        .conv = &conv, .large = src, .small = {src, NULL}, .d_w = {d_w, NULL}, .last = 1, .pairs = pairs};
    kernels->forward(&tile);
    kernels->gradient(&gradient);
}

/* VDPBF16PS against two multiply-adds. */
static void test_instruction(void)
{
#if defined(__x86_64__)
    struct rng rng = rng_make(10, 0);
    int64_t other = 0;
    if (!cpu_has_bf16()) {
        check_skip("this processor has no VDPBF16PS");
        return;
    }
    for (int i = 0; i < 30000; i++) {
        uint16_t src[16 * EDGE], dst[2][16 * EDGE];
        uint32_t w[8 * 16];
        float b[16], d_w[2][256];
        for (int k = 0; k < 16 * EDGE; k++)
            src[k] = pairs_bits(&rng, i % 3);
        for (int k = 0; k < 8 * 16; k++)
            w[k] = (uint32_t)pairs_bits(&rng, i % 3) << 16 | pairs_bits(&rng, i % 3);
        for (int k = 0; k < 16; k++)
            b[k] = bfloat16_to_float(pairs_bits(&rng, i % 2));
        for (int k = 0; k < 256; k++)
            d_w[0][k] = d_w[1][k] = bfloat16_to_float(pairs_bits(&rng, i % 2));
        pairs_run_kernel(&pairs_kernels_bf16, src, w, b, dst[0], d_w[0]);
        pairs_run_kernel(&pairs_kernels_avx512, src, w, b, dst[1], d_w[1]);
        for (int k = 0; k < 256; k++) /* infinity less infinity: no number, of either sign */
            other += (!isnan(d_w[0][k]) || !isnan(d_w[1][k])) && memcmp(&d_w[0][k], &d_w[1][k], sizeof(float)) != 0;
        for (int k = 0; k < 16 * EDGE; k++)
            other += ((dst[0][k] & 0x7FFF) <= 0x7F80 || (dst[1][k] & 0x7FFF) <= 0x7F80) && dst[0][k] != dst[1][k];
    }
    CHECK_INT(other, 0);
#else
    check_skip("no x86");
#endif
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"beside_float32", test_beside_float32}, {"same_bits", test_same_bits}, {"instruction", test_instruction}, {0}};
    return check_main(argc, argv, tests);
}
