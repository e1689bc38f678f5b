/* layer_harness.c - see layer_harness.h. */
#include "tests/nn/layer_harness.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/engine/bfloat16.h"
#include "nn/network/network_impl.h"
#include "tests/check.h"

enum {
    GUARD = 64,     /* bytes on both sides of a buffer */
    SAMPLES = 48,   /* elements of each tensor whose gradient is checked one by one */
    DIRECTIONS = 2, /* random directions of each tensor */
    MAX_BUFFERS = 2 * LAYER_MAX_SRC + 2 * LAYER_MAX_PARAMS + 6,
};
static const double STEP = 1e-4; /* of the central differences: error O(STEP^2) */
static const double MARGIN = 8;  /* c of the tolerance c * FLT_EPSILON * sqrt(terms) * magnitude */

struct buffer {
    char *raw;
    size_t bytes;
};

struct bench {
    const struct layer_case *is;
    struct arena arena;
    struct params params;
    struct layer layer;
    struct pass pass;
    double *src[LAYER_MAX_SRC], *param[LAYER_MAX_PARAMS], *dst, *upstream; /* plain, double */
    int n_buffers;
    struct buffer buffers[MAX_BUFFERS];
    char failure[512];
};

static bool bench_fail(struct bench *bench, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Keeps the first failure. Always false. */
static bool bench_fail(struct bench *bench, const char *format, ...)
{
    if (bench->failure[0])
        return false;
    int length = snprintf(bench->failure, sizeof bench->failure, "%.120s: ", bench->is->yaml);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(bench->failure + length, sizeof bench->failure - (size_t)length, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- memory: outside the project's allocator, whose counter must stand still ---- */

static void *bench_plain(struct bench *bench, size_t n, size_t size)
{
    (void)bench;
    void *memory = calloc(n ? n : 1, size);
    if (!memory)
        abort();
    return memory;
}

/* A buffer between two guards, filled with NaNs. */
static void *bench_guarded(struct bench *bench, size_t bytes)
{
    if (bench->n_buffers == MAX_BUFFERS)
        abort();
    struct buffer *buffer = &bench->buffers[bench->n_buffers++];
    buffer->bytes = bytes;
    size_t whole = (bytes + 2 * GUARD + 63) / 64 * 64;
    buffer->raw = aligned_alloc(64, whole);
    if (!buffer->raw)
        abort();
    memset(buffer->raw, 0xC5, whole);
    memset(buffer->raw + GUARD, 0xFF, bytes);
    return buffer->raw + GUARD;
}

static bool bench_guards_stand(struct bench *bench)
{
    for (int i = 0; i < bench->n_buffers; i++) {
        const struct buffer *buffer = &bench->buffers[i];
        for (size_t k = 0; k < GUARD; k++)
            if ((unsigned char)buffer->raw[k] != 0xC5 || (unsigned char)buffer->raw[GUARD + buffer->bytes + k] != 0xC5)
                return bench_fail(bench, "writes outside a buffer of %zu bytes", buffer->bytes);
    }
    return true;
}

/* ---- the layer ---- */

static bool bench_configure(struct bench *bench, struct error *error)
{
    struct layer *layer = &bench->layer;
    struct yaml_node *node;
    if (yaml_read_text(&node, bench->is->yaml, "case", &bench->arena, error))
        return bench_fail(bench, "%s", error->text);
    const struct yaml_node *type = yaml_get(node, "type");
    layer->ops = bench->is->ops ? bench->is->ops : layer_ops_find(type->text);
    if (!layer->ops)
        return bench_fail(bench, "no such layer");
    void *config = arena_alloc(&bench->arena, 1, layer->ops->config.size);
    if (config_bind(&layer->ops->config, node, config, &bench->arena, error))
        return bench_fail(bench, "%s", error->text);
    layer->name = layer->ops->config.type;
    layer->index = 3;
    layer->node = node;
    layer->config = config;
    layer->state = arena_alloc(&bench->arena, 1, layer->ops->state_size + 1);
    layer->params = &bench->params;
    layer->n_src = bench->is->n_src;
    return true;
}

static bool bench_open(struct bench *bench, bool needs_d_src)
{
    struct layer *layer = &bench->layer;
    struct error error = {0};
    if (!bench_configure(bench, &error))
        return false;
    layer->training = true;
    layer->src_scale = bench->is->src_scale ? bench->is->src_scale : 1;
    for (int k = 0; k < layer->n_src; k++) {
        layer->src[k].shape = layer->d_src[k].shape = bench->is->src[k];
        layer->needs_d_src[k] = needs_d_src;
    }
    if (layer->ops->shape(layer, &layer->dst.shape, &error) ||
        (layer->ops->declare && layer->ops->declare(layer, &error)))
        return bench_fail(bench, "%s", error.text);
    for (int k = 0; k < layer->n_params; k++)
        layer->param[k] = &bench->params.items[k]; /* the table moved while it grew */
    layer->d_dst.shape = layer->dst.shape;
    layer->frozen = bench->is->frozen;
    for (int k = 0; k < layer->n_src; k++)
        layer->src[k].bfloat16 = layer->d_src[k].bfloat16 = bench->is->bfloat16;
    layer->dst.bfloat16 = layer->d_dst.bfloat16 = bench->is->bfloat16;
    layer->staged = bench->is->bfloat16 && layer->ops->bfloat16 == LAYER_BFLOAT16_STAGED;
    if (layer->ops->init && layer->ops->init(layer, &error))
        return bench_fail(bench, "%s", error.text);
    return true;
}

/* The layer's own, and the float32 copies behind it that a staged layer needs. */
static size_t bench_scratch_bytes(const struct layer *layer)
{
    const size_t forward = network_staging_bytes(layer, false), backward = network_staging_bytes(layer, true);
    const size_t staging = forward > backward ? forward : backward;
    return staging ? (layer->scratch_bytes + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN + staging : layer->scratch_bytes;
}

static void bench_allocate(struct bench *bench, bool needs_d_src)
{
    struct layer *layer = &bench->layer;
    for (int k = 0; k < layer->n_src; k++) {
        layer->src[k].data = bench_guarded(bench, tensor_bytes(layer->src[k]));
        layer->d_src[k].data = needs_d_src ? bench_guarded(bench, tensor_bytes(layer->src[k])) : NULL;
    }
    layer->dst.data = bench_guarded(bench, tensor_bytes(layer->dst));
    layer->d_dst.data = bench_guarded(bench, tensor_bytes(layer->dst));
    for (int k = 0; k < layer->n_params; k++) {
        size_t bytes = (size_t)layer->param[k]->count * sizeof(float);
        layer->value[k] = bench_guarded(bench, bytes);
        layer->grad[k] = layer->param[k]->trainable && !layer->frozen ? bench_guarded(bench, bytes) : NULL;
    }
    layer->kept = bench_guarded(bench, layer->kept_bytes);
    layer->scratch = bench_guarded(bench, bench_scratch_bytes(layer));
}

static void bench_close(struct bench *bench)
{
    if (bench->layer.ops && bench->layer.ops->done && bench->layer.state)
        bench->layer.ops->done(&bench->layer);
    for (int i = 0; i < bench->n_buffers; i++)
        free(bench->buffers[i].raw);
    for (int k = 0; k < LAYER_MAX_SRC; k++)
        free(bench->src[k]);
    for (int k = 0; k < LAYER_MAX_PARAMS; k++)
        free(bench->param[k]);
    free(bench->dst);
    free(bench->upstream);
    params_done(&bench->params);
    arena_done(&bench->arena);
}

/* ---- values: floats drawn once, so that float and double see the same numbers ---- */

static double draw(struct rng *rng, double keep_away)
{
    double value = rng_uniform(rng, keep_away, 1);
    return (double)(float)(rng_u32(rng) & 1 ? value : -value);
}

/* So that a tensor of the case's kind holds the values exactly. */
static void bench_round(const struct bench *bench, double *values, int64_t n)
{
    for (int64_t i = 0; i < n && bench->is->bfloat16; i++)
        values[i] = (double)bfloat16_to_float(bfloat16_from_float((float)values[i]));
}

static double *draw_many(struct bench *bench, int64_t n, uint64_t stream, double keep_away)
{
    struct rng rng = rng_make(7, stream);
    double *values = bench_plain(bench, (size_t)n, sizeof *values);
    for (int64_t i = 0; i < n; i++)
        values[i] = draw(&rng, keep_away);
    return values;
}

/* A random order of values 1e-3 apart. */
static void draw_distinct(double *values, int64_t n)
{
    struct rng rng = rng_make(13, 0);
    for (int64_t i = 0; i < n; i++) {
        int64_t k = rng_below(&rng, i + 1);
        values[i] = values[k];
        values[k] = (double)(float)(1e-3 * (double)(i - n / 2));
    }
}

/* Variances must be positive, whatever else is drawn. */
static void bench_draw(struct bench *bench)
{
    struct layer *layer = &bench->layer;
    for (int k = 0; k < layer->n_src; k++) {
        bench->src[k] = draw_many(bench, shape_count(layer->src[k].shape), (uint64_t)k, bench->is->keep_away);
        if (bench->is->distinct)
            draw_distinct(bench->src[k], shape_count(layer->src[k].shape));
        bench_round(bench, bench->src[k], shape_count(layer->src[k].shape));
    }
    for (int k = 0; k < layer->n_params; k++) {
        bench->param[k] = draw_many(bench, layer->param[k]->count, 20 + (uint64_t)k, 0);
        for (int64_t i = 0; i < layer->param[k]->count && strstr(layer->param[k]->name, "variance"); i++)
            bench->param[k][i] = fabs(bench->param[k][i]) + 0.5;
    }
    bench->dst = bench_plain(bench, (size_t)shape_count(layer->dst.shape), sizeof(double));
    bench->upstream = draw_many(bench, shape_count(layer->dst.shape), 40, 0);
    bench_round(bench, bench->upstream, shape_count(layer->dst.shape));
}

static void put_tensor(struct tensor tensor, const double *values)
{
    int64_t n = shape_count(tensor.shape);
    float *plain = malloc((size_t)n * sizeof *plain);
    if (!plain)
        abort();
    for (int64_t i = 0; i < n; i++)
        plain[i] = (float)values[i];
    float *floats = malloc((size_t)tensor_floats(tensor.shape) * sizeof *floats);
    if (!floats)
        abort();
    tensor_from_plain((struct tensor){.shape = tensor.shape, .data = floats}, plain);
    tensor_store(tensor, 0, floats, tensor_floats(tensor.shape));
    free(floats);
    free(plain);
}

/* Everything the layer may read gets its value, everything it must write becomes NaN. */
static void bench_fill(struct bench *bench)
{
    struct layer *layer = &bench->layer;
    for (int i = 0; i < bench->n_buffers; i++)
        memset(bench->buffers[i].raw + GUARD, 0xFF, bench->buffers[i].bytes);
    for (int k = 0; k < layer->n_src; k++)
        put_tensor(layer->src[k], bench->src[k]);
    put_tensor(layer->d_dst, bench->upstream);
    for (int k = 0; k < layer->n_params; k++)
        for (int64_t i = 0; i < layer->param[k]->count; i++)
            layer->value[k][i] = (float)bench->param[k][i];
}

/* ---- comparisons ---- */

static double bench_max(const double *values, int64_t n)
{
    double largest = 0;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(values[i]));
    return largest;
}

/* Of one value, relative to the largest: float32 sums, and where tensors are bfloat16 their own rounding (2^-9), twice
 * where backward reads a rounded dst. */
static double bench_roundoff(const struct bench *bench)
{
    const double terms = bench->is->terms ? (double)bench->is->terms : 1;
    return MARGIN * (double)FLT_EPSILON * sqrt(terms) + (bench->is->bfloat16 ? 0x1p-7 : 0);
}

static bool bench_compare(struct bench *bench, const char *what, const float *got, const double *expected, int64_t n)
{
    double tolerance = bench_roundoff(bench) * bench_max(expected, n);
    double allowed = bench->is->max_zero_frac > 0 ? bench->is->max_zero_frac : 0.3;
    int64_t zeros = 0;
    for (int64_t i = 0; i < n; i++) {
        zeros += expected[i] == 0;
        if (!(fabs((double)got[i] - expected[i]) <= tolerance))
            return bench_fail(bench, "%s: [%" PRId64 "] is %.9g, expected %.9g within %.3g", what, i, (double)got[i],
                              expected[i], tolerance);
    }
    if (n > 3 && (double)zeros > allowed * (double)n)
        return bench_fail(bench, "%s: %" PRId64 " of %" PRId64 " expected values are zero: nothing is compared", what,
                          zeros, n);
    return true;
}

/* Plain copy of a tensor; its padding must be zero. */
static float *bench_read(struct bench *bench, const char *what, struct tensor tensor)
{
    float *plain = bench_plain(bench, (size_t)shape_count(tensor.shape), sizeof *plain);
    float *again = bench_plain(bench, (size_t)tensor_floats(tensor.shape), sizeof *again);
    float *floats = bench_plain(bench, (size_t)tensor_floats(tensor.shape), sizeof *floats);
    tensor_load(floats, tensor, 0, tensor_floats(tensor.shape));
    tensor = (struct tensor){.shape = tensor.shape, .data = floats};
    tensor_to_plain(plain, tensor);
    tensor_from_plain((struct tensor){.shape = tensor.shape, .data = again}, plain);
    for (int64_t i = 0; i < tensor_floats(tensor.shape); i++)
        if (tensor.data[i] != again[i] && !isnan(again[i])) {
            bench_fail(bench, "%s: a padding channel is %g, must be 0", what, (double)tensor.data[i]);
            break;
        }
    free(again);
    free(floats);
    return plain;
}

static void bench_reference(struct bench *bench)
{
    struct reference reference = {.layer = &bench->layer, .pass = &bench->pass, .dst = bench->dst};
    for (int k = 0; k < LAYER_MAX_SRC; k++)
        reference.src[k] = bench->src[k];
    for (int k = 0; k < LAYER_MAX_PARAMS; k++)
        reference.param[k] = bench->param[k];
    memset(bench->dst, 0, (size_t)shape_count(bench->layer.dst.shape) * sizeof *bench->dst);
    bench->is->reference(&reference);
}

/* The scalar whose gradient is taken: upstream . dst */
static double bench_scalar(struct bench *bench)
{
    double sum = 0;
    bench_reference(bench);
    for (int64_t i = 0; i < shape_count(bench->layer.dst.shape); i++)
        sum += bench->upstream[i] * bench->dst[i];
    return sum;
}

/* values + step * direction; direction NULL: element `at` alone. */
static void bench_move(double *values, int64_t n, const double *direction, int64_t at, double step)
{
    if (!direction)
        values[at] += step;
    for (int64_t i = 0; direction && i < n; i++)
        values[i] += step * direction[i];
}

static double bench_slope(struct bench *bench, double *values, int64_t n, const double *direction, int64_t at)
{
    double *saved = bench_plain(bench, (size_t)n, sizeof *saved);
    memcpy(saved, values, (size_t)n * sizeof *saved);
    bench_move(values, n, direction, at, STEP);
    double above = bench_scalar(bench);
    memcpy(values, saved, (size_t)n * sizeof *saved);
    bench_move(values, n, direction, at, -STEP);
    double below = bench_scalar(bench);
    memcpy(values, saved, (size_t)n * sizeof *saved);
    free(saved);
    return (above - below) / (2 * STEP);
}

/* Along random directions, of which no element is longer than 1. */
static bool bench_check_directions(struct bench *bench, const char *what, double *values, const float *got, int64_t n)
{
    double largest = 0;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)got[i]));
    for (int d = 0; d < DIRECTIONS; d++) {
        double *direction = draw_many(bench, n, 60 + (uint64_t)d, 0), along = 0;
        for (int64_t i = 0; i < n; i++)
            along += direction[i] * (double)got[i];
        double slope = bench_slope(bench, values, n, direction, 0);
        double tolerance = bench_roundoff(bench) * sqrt((double)n) * largest + 1e-7 * fabs(slope);
        free(direction);
        if (!(fabs(along - slope) <= tolerance))
            return bench_fail(bench, "%s: along random direction %d it is %.9g, expected %.9g within %.3g", what, d,
                              along, slope, tolerance);
    }
    return true;
}

/* Sampled elements; the first and the last are among them. */
static bool bench_check_gradient(struct bench *bench, const char *what, double *values, const float *got, int64_t n)
{
    double expected[SAMPLES];
    float sampled[SAMPLES];
    struct rng rng = rng_make(11, 0);
    int64_t most = bench->is->samples ? bench->is->samples : SAMPLES, n_samples = n < most ? n : most;
    for (int64_t i = 0; i < n_samples; i++) {
        int64_t at = n <= most ? i : i == 0 ? 0 : i == 1 ? n - 1 : rng_below(&rng, n);
        sampled[i] = got[at];
        expected[i] = bench_slope(bench, values, n, NULL, at);
        if (fabs(expected[i]) < 1e-10) /* the rounding of the differences themselves */
            expected[i] = 0;
    }
    return bench_compare(bench, what, sampled, expected, n_samples) &&
           bench_check_directions(bench, what, values, got, n);
}

/* ---- the checks ---- */

static bool bench_run(struct bench *bench)
{
    struct layer *layer = &bench->layer;
    bench_fill(bench);
    int64_t allocations = memory_alloc_count();
    network_run_layer(layer, &bench->pass, false);
    if (bench_scratch_bytes(layer))
        memset(layer->scratch, 0xFF, bench_scratch_bytes(layer)); /* scratch lives for one call */
    network_run_layer(layer, &bench->pass, true);
    if (memory_alloc_count() != allocations)
        return bench_fail(bench, "forward or backward allocates");
    return bench_guards_stand(bench);
}

static bool bench_check_forward(struct bench *bench)
{
    bench_reference(bench);
    float *dst = bench_read(bench, "dst", bench->layer.dst);
    bool ok = bench_compare(bench, "dst", dst, bench->dst, shape_count(bench->layer.dst.shape));
    free(dst);
    return ok;
}

static bool bench_check_backward(struct bench *bench)
{
    struct layer *layer = &bench->layer;
    char what[64];
    for (int k = 0; k < layer->n_src; k++) {
        snprintf(what, sizeof what, "d_src[%d]", k);
        float *d_src = bench_read(bench, what, layer->d_src[k]);
        bool ok = bench_check_gradient(bench, what, bench->src[k], d_src, shape_count(layer->src[k].shape));
        free(d_src);
        if (!ok)
            return false;
    }
    for (int k = 0; k < layer->n_params; k++) {
        snprintf(what, sizeof what, "d_%.48s", strchr(layer->param[k]->name, '.') + 1);
        if (layer->grad[k] &&
            !bench_check_gradient(bench, what, bench->param[k], layer->grad[k], layer->param[k]->count))
            return false;
    }
    return true;
}

/* What went in must still be there. */
static bool bench_check_inputs(struct bench *bench)
{
    struct layer *layer = &bench->layer;
    for (int k = 0; k < layer->n_src; k++) {
        float *src = bench_read(bench, "src", layer->src[k]);
        for (int64_t i = 0; i < shape_count(layer->src[k].shape); i++)
            if (src[i] != (float)bench->src[k][i])
                bench_fail(bench, "src[%d] was changed", k);
        free(src);
    }
    for (int k = 0; k < layer->n_params; k++)
        for (int64_t i = 0; i < layer->param[k]->count && layer->param[k]->trainable; i++)
            if (layer->value[k][i] != (float)bench->param[k][i])
                return bench_fail(bench, "%s was changed", layer->param[k]->name);
    return !bench->failure[0];
}

/* Copies of all that the layer has written. */
struct outcome {
    float *dst, *d_src[LAYER_MAX_SRC], *grad[LAYER_MAX_PARAMS];
};

static void *outcome_copy(struct bench *bench, const void *data, size_t bytes)
{
    void *copy = data ? bench_plain(bench, 1, bytes) : NULL;
    return data ? memcpy(copy, data, bytes) : NULL;
}

static struct outcome outcome_take(struct bench *bench)
{
    const struct layer *layer = &bench->layer;
    struct outcome outcome = {.dst = outcome_copy(bench, layer->dst.data, tensor_bytes(layer->dst))};
    for (int k = 0; k < layer->n_src; k++)
        outcome.d_src[k] = outcome_copy(bench, layer->d_src[k].data, tensor_bytes(layer->src[k]));
    for (int k = 0; k < layer->n_params; k++)
        outcome.grad[k] = outcome_copy(bench, layer->grad[k], (size_t)layer->param[k]->count * sizeof(float));
    return outcome;
}

static void outcome_done(struct outcome *outcome)
{
    free(outcome->dst);
    for (int k = 0; k < LAYER_MAX_SRC; k++)
        free(outcome->d_src[k]);
    for (int k = 0; k < LAYER_MAX_PARAMS; k++)
        free(outcome->grad[k]);
}

static bool same_bits(struct bench *bench, const char *how, const char *what, const float *a, const float *b,
                      size_t bytes)
{
    return !a || !b || memcmp(a, b, bytes) == 0 ? true : bench_fail(bench, "%s: %s has other bits", how, what);
}

/* Runs again and compares with what came out before. Only what both runs have written; `dst` may be over-written in
 * place. */
static bool bench_check_again(struct bench *bench, const struct outcome *before, const char *how)
{
    const struct layer *layer = &bench->layer;
    if (!bench_run(bench))
        return false;
    struct outcome now = outcome_take(bench);
    bool ok = same_bits(bench, how, "dst", now.dst, before->dst, tensor_bytes(layer->dst));
    for (int k = 0; k < layer->n_src && ok; k++)
        ok = same_bits(bench, how, "d_src", now.d_src[k], before->d_src[k], tensor_bytes(layer->src[k]));
    for (int k = 0; k < layer->n_params && ok; k++)
        ok = same_bits(bench, how, layer->param[k]->name, now.grad[k], before->grad[k],
                       (size_t)layer->param[k]->count * sizeof(float));
    outcome_done(&now);
    return ok;
}

/* dst in src[0]'s buffer, d_src[0] in d_dst's. */
static bool bench_check_in_place(struct bench *bench, const struct outcome *before)
{
    struct layer *layer = &bench->layer;
    if (layer->ops->in_place != LAYER_IN_PLACE_ALWAYS)
        return true;
    layer->dst.data = layer->src[0].data;
    layer->d_src[0].data = layer->d_dst.data;
    return bench_check_again(bench, before, "in place");
}

/* No gradient by the sources wanted: those of the parameters must come out the same. */
static bool bench_check_without_d_src(struct bench *bench, const struct outcome *before)
{
    struct bench *other = bench_plain(bench, 1, sizeof *other);
    *other = (struct bench){.is = bench->is, .pass = bench->pass};
    bool ok = bench_open(other, false);
    if (ok) {
        bench_allocate(other, false);
        bench_draw(other);
        ok = bench_check_again(other, before, "without d_src");
    }
    bench_close(other);
    if (!ok)
        memcpy(bench->failure, other->failure, sizeof bench->failure);
    free(other);
    return ok;
}

static void bench_check(struct bench *bench)
{
    if (!bench_open(bench, true))
        return;
    bench_allocate(bench, true);
    bench_draw(bench);
    if (!bench_run(bench) || !bench_check_forward(bench) || !bench_check_backward(bench) || !bench_check_inputs(bench))
        return;
    struct outcome outcome = outcome_take(bench);
    if (bench_check_again(bench, &outcome, "second run") && bench_check_without_d_src(bench, &outcome))
        bench_check_in_place(bench, &outcome);
    outcome_done(&outcome);
}

const char *layer_check(const struct layer_case *layer_case)
{
    static char failure[512];
    struct bench *bench = calloc(1, sizeof *bench);
    if (!bench)
        abort();
    bench->is = layer_case;
    bench->pass = (struct pass){.training = !layer_case->testing, .seed = 5, .step = 9};
    bench_check(bench);
    memcpy(failure, bench->failure, sizeof failure);
    bench_close(bench);
    free(bench);
    return failure[0] ? failure : NULL;
}

static void check_layer_once(const struct layer_case *layer_case)
{
    const char *failure = layer_check(layer_case);
    if (failure)
        fprintf(stderr, "%s%s\n", layer_case->bfloat16 ? "bfloat16: " : "", failure);
    CHECK(failure == NULL);
}

void check_layer(const struct layer_case *layer_case)
{
    struct layer_case halved = *layer_case;
    halved.bfloat16 = true;
    check_layer_once(layer_case);
    if (!layer_case->distinct) /* rounding would make ties */
        check_layer_once(&halved);
}
