/* The engine's convolutions, every pass against one naive double loop over many shapes; see conv_reference below. */
#include "nn/engine/engine.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "tests/check.h"

struct conv_case {
    int64_t n, src_c, dst_c, size[3], kernel[3], stride[3], pad_before[3], pad_after[3], scale;
    bool transposed;
};

#define CUBE(k) \
    {           \
        k, k, k \
    }
enum { WINOGRAD_CASES = 18 }; /* the last ones of cases */

/* D, H, W all differ; channels off the block; even and odd sizes under stride 2; asymmetric padding; N = 2. */
static const struct conv_case cases[] = {
    /* stride 1 */
    {1, 16, 16, {5, 7, 9}, CUBE(3), CUBE(1), CUBE(1), CUBE(1), 1, false},
    {2, 17, 33, {4, 6, 5}, CUBE(3), CUBE(1), CUBE(1), CUBE(1), 1, false},
    {1, 8, 24, {6, 5, 13}, {1, 3, 5}, CUBE(1), {0, 1, 2}, {0, 1, 2}, 1, false},
    {1, 33, 17, {4, 5, 6}, CUBE(1), CUBE(1), CUBE(0), CUBE(0), 1, false},
    {1, 16, 40, {7, 6, 8}, CUBE(5), CUBE(1), CUBE(2), CUBE(2), 1, false},
    {2, 12, 20, {6, 7, 21}, CUBE(4), CUBE(1), CUBE(1), CUBE(2), 1, false},
    {1, 32, 32, {3, 4, 30}, CUBE(3), CUBE(1), CUBE(0), CUBE(0), 1, false},
    {1, 32, 48, {2, 2, 1}, CUBE(3), CUBE(1), CUBE(1), CUBE(1), 1, false},
    {1, 16, 16, {2, 1, 3}, CUBE(5), CUBE(1), CUBE(2), CUBE(2), 1, false},
    /* few channels */
    {2, 1, 16, {5, 6, 17}, CUBE(3), CUBE(1), CUBE(1), CUBE(1), 1, false},
    {1, 2, 17, {5, 6, 7}, CUBE(3), CUBE(1), CUBE(1), CUBE(1), 1, false},
    {1, 5, 9, {5, 6, 7}, CUBE(3), CUBE(1), CUBE(1), CUBE(1), 1, false},
    {1, 16, 1, {5, 6, 18}, CUBE(1), CUBE(1), CUBE(0), CUBE(0), 1, false},
    {2, 33, 2, {5, 6, 11}, CUBE(3), CUBE(1), CUBE(1), CUBE(1), 1, false},
    {1, 64, 1, {5, 6, 9}, CUBE(5), CUBE(1), CUBE(2), CUBE(2), 1, false},
    {1, 1, 1, {5, 6, 19}, CUBE(5), CUBE(1), CUBE(2), CUBE(2), 1, false},
    {2, 2, 3, {5, 4, 6}, CUBE(3), CUBE(1), CUBE(1), CUBE(1), 1, false},
    {1, 7, 7, {5, 4, 6}, CUBE(3), CUBE(1), CUBE(1), CUBE(1), 1, false},
    /* stride 2 and 3, 'same' at even and odd sizes */
    {1, 16, 32, {8, 6, 10}, CUBE(5), CUBE(2), CUBE(1), CUBE(2), 1, false},
    {2, 17, 24, {7, 5, 9}, CUBE(5), CUBE(2), CUBE(2), CUBE(2), 1, false},
    {1, 1, 32, {8, 6, 20}, CUBE(5), CUBE(2), CUBE(1), CUBE(2), 1, false},
    {1, 16, 16, {8, 6, 10}, CUBE(3), CUBE(2), CUBE(0), CUBE(1), 1, false},
    {1, 16, 16, {7, 5, 9}, CUBE(3), CUBE(2), CUBE(1), CUBE(1), 1, false},
    {1, 32, 64, {8, 6, 4}, CUBE(1), CUBE(2), CUBE(0), CUBE(0), 1, false},
    {1, 16, 17, {8, 6, 10}, CUBE(2), CUBE(2), CUBE(0), CUBE(0), 1, false},
    {1, 16, 8, {8, 6, 10}, CUBE(4), CUBE(2), CUBE(1), CUBE(1), 1, false},
    {1, 8, 16, {9, 10, 11}, CUBE(3), CUBE(3), CUBE(1), CUBE(1), 1, false},
    {1, 8, 16, {9, 10, 11}, {3, 1, 2}, {1, 2, 3}, {1, 0, 0}, {1, 0, 1}, 1, false},
    {2, 1, 1, {8, 6, 10}, CUBE(5), CUBE(2), CUBE(1), CUBE(2), 1, false},
    {1, 16, 2, {8, 6, 10}, CUBE(3), CUBE(2), CUBE(1), CUBE(1), 1, false},
    {1, 9, 9, {10, 10, 10}, CUBE(3), CUBE(2), CUBE(0), CUBE(0), 1, false},
    /* transposed */
    {1, 32, 16, {4, 3, 5}, CUBE(2), CUBE(2), CUBE(0), CUBE(0), 1, true},
    {2, 17, 33, {4, 3, 5}, CUBE(2), CUBE(2), CUBE(0), CUBE(0), 1, true},
    {1, 24, 16, {4, 3, 5}, CUBE(4), CUBE(2), CUBE(1), CUBE(1), 1, true},
    {1, 16, 8, {4, 3, 5}, CUBE(3), CUBE(2), CUBE(0), CUBE(1), 1, true},
    {1, 16, 24, {4, 3, 5}, CUBE(5), CUBE(1), CUBE(2), CUBE(2), 1, true},
    {1, 16, 1, {4, 3, 5}, CUBE(2), CUBE(2), CUBE(0), CUBE(0), 1, true},
    {1, 1, 16, {4, 3, 5}, CUBE(4), CUBE(2), CUBE(1), CUBE(1), 1, true},
    {1, 16, 16, {4, 3, 5}, CUBE(1), CUBE(2), CUBE(0), CUBE(-1), 1, true},
    {1, 16, 16, {4, 3, 5}, CUBE(2), CUBE(2), CUBE(1), CUBE(0), 1, true},
    {1, 16, 16, {4, 3, 5}, CUBE(2), CUBE(2), CUBE(0), CUBE(1), 1, true},
    /* behind an absorbed upsampling */
    {1, 32, 16, {4, 3, 5}, CUBE(5), CUBE(1), CUBE(2), CUBE(2), 2, false},
    {2, 17, 33, {4, 3, 5}, CUBE(3), CUBE(1), CUBE(1), CUBE(1), 2, false},
    {1, 16, 16, {4, 3, 5}, CUBE(1), CUBE(1), CUBE(0), CUBE(0), 2, false},
    {1, 16, 24, {4, 3, 5}, CUBE(4), CUBE(1), CUBE(1), CUBE(2), 2, false},
    {1, 16, 24, {4, 3, 5}, CUBE(3), CUBE(1), CUBE(0), CUBE(0), 2, false},
    {1, 64, 1, {4, 3, 5}, CUBE(5), CUBE(1), CUBE(2), CUBE(2), 2, false},
    {2, 1, 1, {4, 3, 9}, CUBE(5), CUBE(1), CUBE(2), CUBE(2), 2, false},
    {1, 16, 2, {4, 3, 5}, CUBE(3), CUBE(1), CUBE(1), CUBE(1), 2, false},
    {1, 32, 16, {4, 3, 5}, CUBE(5), CUBE(1), CUBE(2), CUBE(2), 2, true},
    {1, 17, 16, {4, 3, 5}, CUBE(4), CUBE(1), CUBE(1), CUBE(2), 2, true},
    {1, 64, 1, {4, 3, 5}, CUBE(5), CUBE(1), CUBE(2), CUBE(2), 2, true},
    {1, 1, 1, {4, 3, 5}, CUBE(5), CUBE(1), CUBE(2), CUBE(2), 2, true},
    /* transposed with kernel = stride = 2: one kernel for all phases, from a dozen voxels along x */
    {2, 17, 33, {4, 3, 13}, CUBE(2), CUBE(2), CUBE(0), CUBE(0), 1, true},
    {1, 32, 16, {3, 2, 12}, CUBE(2), CUBE(2), CUBE(0), CUBE(0), 1, true},
    /* large enough for Winograd: sizes that are whole tiles or not, with and without padding, kernels 3 and 5 */
    {1, 32, 32, {8, 8, 12}, CUBE(3), CUBE(1), CUBE(1), CUBE(1), 1, false},
    {2, 33, 49, {11, 7, 13}, CUBE(3), CUBE(1), CUBE(1), CUBE(1), 1, false},
    {1, 32, 32, {6, 8, 12}, CUBE(3), CUBE(1), CUBE(1), CUBE(1), 1, false},
    {2, 33, 49, {5, 7, 13}, CUBE(3), CUBE(1), CUBE(1), CUBE(1), 1, false},
    {1, 40, 33, {7, 14, 10}, CUBE(3), CUBE(1), CUBE(0), CUBE(0), 1, false},
    /* one block of channels, where 16 lie together */
    {1, 16, 16, {8, 9, 13}, CUBE(3), CUBE(1), CUBE(1), CUBE(1), 1, false},
    {2, 16, 40, {5, 8, 12}, CUBE(3), CUBE(1), CUBE(1), CUBE(0), 1, false},
    {1, 32, 16, {12, 8, 9}, CUBE(3), CUBE(1), CUBE(0), CUBE(1), 1, false},
    {1, 32, 40, {4, 15, 16}, CUBE(3), CUBE(1), {0, 2, 1}, {1, 0, 2}, 1, false},
    {1, 36, 34, {8, 8, 10}, CUBE(5), CUBE(1), CUBE(2), CUBE(2), 1, true},
    {1, 32, 32, {6, 16, 15}, {1, 3, 3}, CUBE(1), {0, 1, 1}, {0, 1, 1}, 1, false},
    {1, 32, 33, {3, 12, 12}, {2, 5, 5}, CUBE(1), {1, 2, 2}, {0, 2, 2}, 1, false},
    {1, 32, 32, {4, 8, 8}, CUBE(5), CUBE(1), CUBE(2), CUBE(2), 2, false},
    /* too many weights to keep them transformed */
    {2, 272, 272, {4, 8, 4}, CUBE(3), CUBE(1), CUBE(1), CUBE(1), 1, false},
    /* and for it behind a split by parity */
    {1, 32, 32, {8, 16, 16}, CUBE(5), CUBE(2), CUBE(1), CUBE(2), 1, false},
    {2, 32, 48, {8, 12, 20}, CUBE(6), CUBE(2), CUBE(2), CUBE(2), 1, false},
    {1, 48, 32, {12, 16, 16}, CUBE(5), CUBE(2), CUBE(2), CUBE(1), 1, false},
    {1, 32, 32, {4, 8, 10}, CUBE(6), CUBE(2), CUBE(2), CUBE(2), 1, true},
};

static struct conv_shape case_shape(const struct conv_case *c)
{
    struct conv_shape shape = {.src = {c->n, c->src_c, c->size[0], c->size[1], c->size[2]},
                               .dst = {c->n, c->dst_c, 0, 0, 0},
                               .scale = c->scale,
                               .has_bias = true,
                               .transposed = c->transposed,
                               .training = true,
                               .needs_d_src = true};
    int64_t *dst[3] = {&shape.dst.d, &shape.dst.h, &shape.dst.w};

    for (int a = 0; a < 3; a++) {
        int64_t up = c->size[a] * c->scale, pads = c->pad_before[a] + c->pad_after[a];
        shape.kernel[a] = c->kernel[a];
        shape.stride[a] = c->stride[a];
        shape.pad_before[a] = c->pad_before[a];
        shape.pad_after[a] = c->pad_after[a];
        *dst[a] = c->transposed ? (up - 1) * c->stride[a] + c->kernel[a] - pads
                                : (up + pads - c->kernel[a]) / c->stride[a] + 1;
    }

    return shape;
}

/* ---- the naive reference: every product of the convolution is visited once ---- */

struct reference {
    struct conv_shape shape;
    double *src, *w, *b, *d_dst; /* plain */
    double *dst, *d_src, *d_w, *d_b;
    int64_t n_src, n_w, n_dst;
    int64_t terms_dst, terms_src, terms_w;
};

/* Along one axis: the (up-scaled) src index that dst index `at` meets through tap t, or -1. Transposed: the roles
 * exchanged. */
static int64_t reference_meets(const struct conv_shape *shape, int axis, int64_t at, int64_t t, int64_t src_size)
{
    int64_t s = shape->stride[axis], u;
    if (shape->transposed) {
        u = at + shape->pad_before[axis] - t;
        if (u < 0 || u % s != 0)
            return -1;
        u /= s;
    } else {
        u = at * s - shape->pad_before[axis] + t;
    }
    return u >= 0 && u < src_size * shape->scale ? u / shape->scale : -1;
}

static void reference_voxel(struct reference *r, int64_t n, int64_t z, int64_t y, int64_t x)
{
    const struct conv_shape *s = &r->shape;
    const int64_t taps = s->kernel[0] * s->kernel[1] * s->kernel[2];
    const int64_t dst_voxels = shape_voxels(s->dst), src_voxels = shape_voxels(s->src),
                  at = (z * s->dst.h + y) * s->dst.w + x;

    for (int64_t t = 0; t < taps; t++) {
        int64_t u = reference_meets(s, 0, z, t / (s->kernel[1] * s->kernel[2]), s->src.d);
        int64_t v = reference_meets(s, 1, y, t / s->kernel[2] % s->kernel[1], s->src.h);
        int64_t q = reference_meets(s, 2, x, t % s->kernel[2], s->src.w);
        if (u < 0 || v < 0 || q < 0)
            continue;
        for (int64_t o = 0; o < s->dst.c; o++)
            for (int64_t c = 0; c < s->src.c; c++) {
                int64_t i_dst = (n * s->dst.c + o) * dst_voxels + at;
                int64_t i_src = (n * s->src.c + c) * src_voxels + (u * s->src.h + v) * s->src.w + q;
                int64_t i_w = (s->transposed ? c * s->dst.c + o : o * s->src.c + c) * taps + t;
                r->dst[i_dst] += r->w[i_w] * r->src[i_src];
                r->d_src[i_src] += r->w[i_w] * r->d_dst[i_dst];
                r->d_w[i_w] += r->src[i_src] * r->d_dst[i_dst];
            }
    }
}

static void reference_run(struct reference *r)
{
    const struct shape dst = r->shape.dst;
    for (int64_t n = 0; n < dst.n; n++)
        for (int64_t z = 0; z < dst.d; z++)
            for (int64_t y = 0; y < dst.h; y++)
                for (int64_t x = 0; x < dst.w; x++)
                    reference_voxel(r, n, z, y, x);
    for (int64_t i = 0; i < r->n_dst; i++) {
        int64_t o = i / shape_voxels(dst) % dst.c;
        r->dst[i] += r->b[o];
        r->d_b[o] += r->d_dst[i];
    }
}

static double *doubles(int64_t n, struct rng *rng)
{
    double *made = memory_zalloc((size_t)n, sizeof *made);
    for (int64_t i = 0; rng && i < n; i++)
        made[i] = (double)(float)rng_uniform(rng, -1, 1);
    return made;
}

/* With nothing computed yet. */
static struct reference reference_draw(const struct conv_case *c)
{
    struct reference r = {.shape = case_shape(c)};
    struct rng rng = rng_make(7, (uint64_t)(c - cases));
    int64_t taps = c->kernel[0] * c->kernel[1] * c->kernel[2];

    r.n_src = shape_count(r.shape.src);
    r.n_dst = shape_count(r.shape.dst);
    r.n_w = c->src_c * c->dst_c * taps;
    r.terms_dst = c->src_c * taps;
    r.terms_src = c->dst_c * taps * c->scale * c->scale * c->scale;
    r.terms_w = c->n * (shape_voxels(r.shape.dst) > shape_voxels(r.shape.src) ? shape_voxels(r.shape.dst)
                                                                              : shape_voxels(r.shape.src));
    r.src = doubles(r.n_src, &rng);
    r.w = doubles(r.n_w, &rng);
    r.b = doubles(c->dst_c, &rng);
    r.d_dst = doubles(r.n_dst, &rng);
    r.dst = doubles(r.n_dst, NULL);
    r.d_src = doubles(r.n_src, NULL);
    r.d_w = doubles(r.n_w, NULL);
    r.d_b = doubles(c->dst_c, NULL);

    return r;
}

static struct reference reference_new(const struct conv_case *c)
{
    struct reference r = reference_draw(c);
    reference_run(&r);
    return r;
}

static void reference_done(struct reference *r)
{
    double *all[] = {r->src, r->w, r->b, r->d_dst, r->dst, r->d_src, r->d_w, r->d_b};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        memory_free(all[i]);
}

/* ---- the engine beside it ---- */

enum { CANARY = 64 };

static float *floats(int64_t n)
{
    float *made = memory_alloc((size_t)(n + CANARY), sizeof *made);
    for (int64_t i = 0; i < n + CANARY; i++)
        made[i] = 12345.0f; /* results must be written, not added */
    return made;
}

static bool canary_alive(const float *data, int64_t n)
{
    for (int64_t i = n; i < n + CANARY; i++)
        if (data[i] != 12345.0f)
            return false;
    return true;
}

static float *plain_floats(const double *from, int64_t n)
{
    float *made = floats(n);
    for (int64_t i = 0; i < n; i++)
        made[i] = (float)from[i];
    return made;
}

static struct tensor tensor_of(struct shape shape, const double *from)
{
    struct tensor tensor = {.shape = shape, .data = floats(tensor_floats(shape))};
    if (from) {
        float *plain = plain_floats(from, shape_count(shape));
        tensor_from_plain(tensor, plain);
        memory_free(plain);
    }
    return tensor;
}

static void compare(const char *what, const struct conv_case *c, const float *got, const double *expected, int64_t n,
                    int64_t terms)
{
    double worst = 0, magnitude = 0;
    int64_t zeros = 0;
    for (int64_t i = 0; i < n; i++) {
        double difference = fabs((double)got[i] - expected[i]);
        worst = difference > worst || isnan(difference) ? difference : worst;
        magnitude = fabs(expected[i]) > magnitude ? fabs(expected[i]) : magnitude;
        zeros += expected[i] == 0;
    }
    double tolerance = 4 * (double)FLT_EPSILON * sqrt((double)terms) * magnitude;
    if (!(worst <= tolerance) || zeros > n * 9 / 10)
        printf("    case %td %s: worst %g, tolerance %g, magnitude %g, %" PRId64 " of %" PRId64 " zero\n", c - cases,
               what, worst, tolerance, magnitude, zeros, n);
    CHECK(worst <= tolerance);
    CHECK(zeros <= n * 9 / 10);
}

static void compare_tensor(const char *what, const struct conv_case *c, struct tensor got, const double *expected,
                           int64_t terms)
{
    float *plain = floats(shape_count(got.shape));
    double padding = 0, values = 0;
    tensor_to_plain(plain, got);
    compare(what, c, plain, expected, shape_count(got.shape), terms);
    for (int64_t i = 0; i < tensor_floats(got.shape); i++)
        padding += fabs((double)got.data[i]);
    for (int64_t i = 0; i < shape_count(got.shape); i++)
        values += fabs((double)plain[i]);
    CHECK_NEAR(padding, values, 1e-9 * values); /* padding channels are zero */
    CHECK(canary_alive(got.data, tensor_floats(got.shape)));
    memory_free(plain);
}

static void run_case(const struct conv_case *c, bool winograd)
{
    struct error error = {0};
    struct reference r = reference_new(c);
    struct engine_conv *conv = NULL;
    size_t bytes = 0;

    r.shape.winograd = winograd;
    if (!CHECK_OK(engine_conv_new(&conv, &r.shape, &bytes, &error), &error)) {
        reference_done(&r);
        return;
    }

    struct tensor src = tensor_of(r.shape.src, r.src), d_dst = tensor_of(r.shape.dst, r.d_dst);
    struct tensor dst = tensor_of(r.shape.dst, NULL), d_src = tensor_of(r.shape.src, NULL);
    float *w = plain_floats(r.w, r.n_w), *b = plain_floats(r.b, c->dst_c), *d_w = floats(r.n_w),
          *d_b = floats(c->dst_c);
    float *scratch = floats((int64_t)(bytes / sizeof(float)));
    int64_t allocations = memory_alloc_count();
    engine_conv_forward(conv, src.data, w, b, NULL, dst.data, scratch);
    engine_conv_backward_data(conv, d_dst.data, w, d_src.data, scratch);
    engine_conv_backward_weights(conv, src.data, d_dst.data, d_w, d_b, scratch);
    CHECK_INT(memory_alloc_count(), allocations);
    compare_tensor("dst", c, dst, r.dst, r.terms_dst);
    compare_tensor("d_src", c, d_src, r.d_src, r.terms_src);
    compare("d_w", c, d_w, r.d_w, r.n_w, r.terms_w);
    compare("d_b", c, d_b, r.d_b, c->dst_c, r.terms_w);
    CHECK(canary_alive(scratch, (int64_t)(bytes / sizeof(float))));
    CHECK(canary_alive(d_w, r.n_w));
    CHECK(canary_alive(d_b, c->dst_c));
    float *all[] = {src.data, d_dst.data, dst.data, d_src.data, w, b, d_w, d_b, scratch};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        memory_free(all[i]);
    engine_conv_free(conv);
    reference_done(&r);
}

static void test_passes(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases - WINOGRAD_CASES; i++)
        run_case(&cases[i], false);
}

/* The cases that Winograd takes, and that it takes them. */
static void test_winograd(void)
{
    for (const struct conv_case *c = cases + sizeof cases / sizeof *cases - WINOGRAD_CASES;
         c < cases + sizeof cases / sizeof *cases; c++) {
        struct error error = {0};
        struct conv_shape shape = case_shape(c);
        struct engine_conv *conv = NULL;
        size_t bytes;
        shape.winograd = true;
        if (!CHECK_OK(engine_conv_new(&conv, &shape, &bytes, &error), &error))
            return;
        if (!CHECK(strstr(engine_conv_describe(conv), "winograd") != NULL))
            printf("    case %td: %s\n", c - cases, engine_conv_describe(conv));
        if (c->stride[0] == 2)
            CHECK(strstr(engine_conv_describe(conv), "by parity") != NULL);
        engine_conv_free(conv);
        run_case(c, true);
    }
}

/* r's src becomes what a reader makes of it by the affine. */
static void reference_apply_affine(struct reference *r, const struct tensor_affine *affine)
{
    const int64_t stored = tensor_stored_channels(r->shape.src.c), voxels = shape_voxels(r->shape.src);
    for (int64_t i = 0; i < r->n_src; i++) {
        int64_t row = i / voxels, at = row / r->shape.src.c * stored + row % r->shape.src.c;
        double value = (double)affine->scale[at] * r->src[i] + (double)affine->shift[at];
        r->src[i] = value > 0 ? value : (double)affine->slope * value;
    }
}

/* Factors of both signs, 0 for padding channels. */
static struct tensor_affine affine_new(struct shape shape, struct rng *rng)
{
    const int64_t stored = tensor_stored_channels(shape.c);
    struct tensor_affine affine = {.scale = floats(2 * shape.n * stored), .slope = 0.25f};
    affine.shift = affine.scale + shape.n * stored;
    for (int64_t i = 0; i < shape.n * stored; i++) {
        bool padding = i % stored >= shape.c;
        affine.scale[i] = padding ? 0 : (float)rng_uniform(rng, -2, 2);
        affine.shift[i] = padding ? 0 : (float)rng_uniform(rng, -1, 1);
    }
    return affine;
}

/* sums[2][sample][stored channel]: no worse than the values they are of. */
static void compare_stats(const struct reference *r, const double *sums)
{
    const struct shape dst = r->shape.dst;
    const int64_t stored = tensor_stored_channels(dst.c), voxels = shape_voxels(dst);
    for (int64_t row = 0; row < dst.n * dst.c; row++) {
        int64_t at = row / dst.c * stored + row % dst.c;
        double sum = 0, square = 0, size = 0;
        for (int64_t i = row * voxels; i < (row + 1) * voxels; i++) {
            sum += r->dst[i];
            square += r->dst[i] * r->dst[i];
            size += fabs(r->dst[i]);
        }
        CHECK_NEAR(sums[at], sum, 16 * (double)FLT_EPSILON * size);
        CHECK_NEAR(sums[dst.n * stored + at], square, 32 * (double)FLT_EPSILON * square);
    }
}

/* A convolution that reads through an affine or sums on its way, where it does either; *ret says which. */
static void run_fused(const struct conv_case *c, bool ret[2])
{
    struct error error = {0};
    struct conv_shape shape = case_shape(c);
    struct engine_conv *conv = NULL;
    size_t bytes = 0;

    shape.training = shape.needs_d_src = false;
    shape.winograd = true;
    ret[0] = ret[1] = false;
    if (!CHECK_OK(engine_conv_new(&conv, &shape, &bytes, &error), &error))
        return;
    ret[0] = engine_conv_can_fuse_norm(conv);
    ret[1] = engine_conv_stats(conv) > 0;

    if (ret[0] || ret[1]) {
        struct rng rng = rng_make(11, (uint64_t)(c - cases));
        struct reference r = reference_draw(c);
        struct tensor_affine affine = affine_new(shape.src, &rng);
        struct tensor src = tensor_of(shape.src, r.src), dst = tensor_of(shape.dst, NULL);
        float *w = plain_floats(r.w, r.n_w), *b = plain_floats(r.b, c->dst_c),
              *scratch = floats((int64_t)(bytes / sizeof(float)));
        float *sums = floats(2 * engine_conv_stats(conv));
        const struct conv_fusion fusion = {.affine = ret[0] ? &affine : NULL,
                                           .stats = ret[1] ? (double *)(void *)sums : NULL};
        if (ret[0])
            reference_apply_affine(&r, &affine);
        reference_run(&r);
        engine_conv_forward(conv, src.data, w, b, &fusion, dst.data, scratch);
        compare_tensor("dst", c, dst, r.dst, r.terms_dst);
        if (ret[1])
            compare_stats(&r, fusion.stats);
        CHECK(canary_alive(scratch, (int64_t)(bytes / sizeof(float))) &&
              canary_alive(sums, 2 * engine_conv_stats(conv)));
        float *all[] = {src.data, dst.data, w, b, scratch, sums, affine.scale};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            memory_free(all[i]);
        reference_done(&r);
    }

    engine_conv_free(conv);
}

/* Winograd sums wherever its dst is the result, and fuses an affine with the kernels of few output channels. */
static void test_fusion(void)
{
    int fuses = 0, sums = 0;
    for (const struct conv_case *c = cases; c < cases + sizeof cases / sizeof *cases; c++) {
        bool does[2];
        run_fused(c, does);
        fuses += does[0];
        sums += does[1];
    }
    CHECK(fuses >= 10);
    CHECK(sums >= 12);
}

/* Every pass of the first Winograd case gives the same bits on one thread and on three. */
static void test_threads(void)
{
    struct error error = {0};
    const struct conv_case *c = cases + sizeof cases / sizeof *cases - WINOGRAD_CASES;
    struct reference r = reference_new(c);
    struct tensor src = tensor_of(r.shape.src, r.src), d_dst = tensor_of(r.shape.dst, r.d_dst);
    float *w = plain_floats(r.w, r.n_w), *b = plain_floats(r.b, c->dst_c), *d_w[2];
    struct tensor dst[2], d_src[2];
    float *sums[2];
    int64_t n_sums = 4 * c->n * tensor_stored_channels(c->dst_c);
    int before = parallel_threads();

    r.shape.winograd = true;
    for (int i = 0; i < 2; i++) {
        struct engine_conv *conv = NULL;
        size_t bytes = 0;
        dst[i] = tensor_of(r.shape.dst, NULL);
        d_src[i] = tensor_of(r.shape.src, NULL);
        d_w[i] = floats(r.n_w);
        parallel_set_threads(i ? 3 : 1);
        if (!CHECK_OK(engine_conv_new(&conv, &r.shape, &bytes, &error), &error))
            return;
        float *scratch = floats((int64_t)(bytes / sizeof(float)));
        sums[i] = floats(2 * engine_conv_stats(conv));
        engine_conv_forward(conv, src.data, w, b, &(struct conv_fusion){.stats = (double *)(void *)sums[i]},
                            dst[i].data, scratch);
        engine_conv_backward_data(conv, d_dst.data, w, d_src[i].data, scratch);
        engine_conv_backward_weights(conv, src.data, d_dst.data, d_w[i], NULL, scratch);
        CHECK(canary_alive(scratch, (int64_t)(bytes / sizeof(float))));
        memory_free(scratch);
        engine_conv_free(conv);
    }

    parallel_set_threads(before);
    CHECK(memcmp(dst[0].data, dst[1].data, (size_t)tensor_floats(r.shape.dst) * sizeof(float)) == 0);
    CHECK(memcmp(d_src[0].data, d_src[1].data, (size_t)tensor_floats(r.shape.src) * sizeof(float)) == 0);
    CHECK(memcmp(sums[0], sums[1], (size_t)n_sums * sizeof(float)) == 0);
    CHECK(memcmp(d_w[0], d_w[1], (size_t)r.n_w * sizeof(float)) == 0);
    float *all[] = {src.data,      d_dst.data,    w,      b,      dst[0].data, dst[1].data,
                    d_src[0].data, d_src[1].data, d_w[0], d_w[1], sums[0],     sums[1]};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        memory_free(all[i]);
    reference_done(&r);
}

/* Inference: weights are prepared once, until told. A second run gives the same bits. */
static void test_cached_weights(void)
{
    struct error error = {0};
    struct conv_shape shape = case_shape(&cases[0]);
    struct engine_conv *conv = NULL;
    size_t bytes = 0;
    struct reference r = reference_new(&cases[0]);

    shape.training = shape.needs_d_src = false;
    if (!CHECK_OK(engine_conv_new(&conv, &shape, &bytes, &error), &error))
        return;
    struct tensor src = tensor_of(shape.src, r.src), first = tensor_of(shape.dst, NULL),
                  second = tensor_of(shape.dst, NULL);
    float *w = plain_floats(r.w, r.n_w), *b = plain_floats(r.b, shape.dst.c), *scratch = floats((int64_t)bytes);
    engine_conv_forward(conv, src.data, w, b, NULL, first.data, scratch);
    memset(w, 0, (size_t)r.n_w * sizeof *w);
    engine_conv_forward(conv, src.data, w, b, NULL, second.data, scratch);
    CHECK(memcmp(first.data, second.data, (size_t)tensor_floats(shape.dst) * sizeof(float)) == 0);
    compare_tensor("dst", &cases[0], second, r.dst, r.terms_dst);
    engine_conv_weights_changed(conv);
    engine_conv_forward(conv, src.data, w, b, NULL, second.data, scratch);
    CHECK_NEAR((double)second.data[tensor_at(shape.dst, 0, 3, 1, 1, 1)], r.b[3], 0);
    float *all[] = {src.data, first.data, second.data, w, b, scratch};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        memory_free(all[i]);
    engine_conv_free(conv);
    reference_done(&r);
}

/* Direct sums of 512 channels, 13,824 terms, in two levels: one accumulator for all would be 1.9e-6 off. */
static void test_many_channels(void)
{
    const struct conv_case c = {1, 512, 32, {4, 5, 6}, CUBE(3), CUBE(1), CUBE(1), CUBE(1), 1, false};
    struct error error = {0};
    struct reference r = reference_new(&c);
    struct engine_conv *conv = NULL;
    size_t bytes = 0;

    if (!CHECK_OK(engine_conv_new(&conv, &r.shape, &bytes, &error), &error)) {
        reference_done(&r);
        return;
    }

    struct tensor src = tensor_of(r.shape.src, r.src), dst = tensor_of(r.shape.dst, NULL);
    float *w = plain_floats(r.w, r.n_w), *b = plain_floats(r.b, c.dst_c),
          *scratch = floats((int64_t)(bytes / sizeof(float)));
    float *plain = floats(shape_count(r.shape.dst));
    engine_conv_forward(conv, src.data, w, b, NULL, dst.data, scratch);
    tensor_to_plain(plain, dst);

    double error_sum = 0, sum = 0;
    for (int64_t i = 0; i < shape_count(r.shape.dst); i++) {
        error_sum += ((double)plain[i] - r.dst[i]) * ((double)plain[i] - r.dst[i]);
        sum += r.dst[i] * r.dst[i];
    }

    if (strncmp(engine_conv_describe(conv), "own:avx512", 10) == 0)
        CHECK(sqrt(error_sum / sum) < 6e-7);
    CHECK(sqrt(error_sum / sum) < 4e-6);

    float *all[] = {src.data, dst.data, w, b, scratch, plain};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        memory_free(all[i]);
    engine_conv_free(conv);
    reference_done(&r);
}

static void test_refusals(void)
{
    struct error error = {0};
    struct engine_conv *conv = NULL;
    size_t bytes;
    struct conv_shape shape = case_shape(&cases[0]);

    shape.dst.w++;
    CHECK_FAILS(engine_conv_new(&conv, &shape, &bytes, &error), &error, STATUS_USAGE, "do not fit together");
    shape = case_shape(&cases[0]);
    shape.scale = 3;
    CHECK_FAILS(engine_conv_new(&conv, &shape, &bytes, &error), &error, STATUS_USAGE, "upsampling by 2");
    shape = case_shape(&cases[0]);
    shape.kernel[1] = 17;
    CHECK_FAILS(engine_conv_new(&conv, &shape, &bytes, &error), &error, STATUS_USAGE, "kernel must be");
    shape = case_shape(&cases[0]);
    shape.src.d = shape.dst.d = INT64_C(1) << 60;
    CHECK_FAILS(engine_conv_new(&conv, &shape, &bytes, &error), &error, STATUS_USAGE, "64 bits");
    CHECK(conv == NULL);
}

static void test_matmul(void)
{
    enum { M = 3, N = 5, K = 7 };
    struct rng rng = rng_make(3, 0);
    float a[M * K], at[K * M], b[K * N], bt[N * K], dst[M * N];

    for (int i = 0; i < M * K; i++)
        at[i % K * M + i / K] = a[i] = (float)rng_uniform(&rng, -1, 1);
    for (int i = 0; i < K * N; i++)
        bt[i % N * K + i / N] = b[i] = (float)rng_uniform(&rng, -1, 1);

    for (int variant = 0; variant < 8; variant++) {
        bool accumulate = variant & 4;
        for (int i = 0; i < M * N; i++)
            dst[i] = 2.0f;
        const struct matrix left = {variant & 1 ? at : a, variant & 1}, right = {variant & 2 ? bt : b, variant & 2};
        engine_matmul(M, N, K, left, right, dst, accumulate);
        for (int m = 0; m < M; m++)
            for (int n = 0; n < N; n++) {
                double sum = accumulate ? 2.0 : 0.0;
                for (int k = 0; k < K; k++)
                    sum += (double)a[m * K + k] * (double)b[k * N + n];
                CHECK_NEAR((double)dst[m * N + n], sum, 4 * (double)FLT_EPSILON * K);
            }
    }
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"passes", test_passes},
                                       {"winograd", test_winograd},
                                       {"fusion", test_fusion},
                                       {"threads", test_threads},
                                       {"cached_weights", test_cached_weights},
                                       {"many_channels", test_many_channels},
                                       {"refusals", test_refusals},
                                       {"matmul", test_matmul},
                                       {0}};
    return check_main(argc, argv, tests);
}
