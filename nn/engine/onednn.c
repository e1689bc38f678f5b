/* onednn.c - the only file that includes oneDNN. Test: tests/nn/test_engine.c */
#include "nn/engine/onednn.h"

#include <inttypes.h>
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdio.h>

#include "base/memory.h"
#include "nn/engine/cpu.h"
#include "nn/engine/engine.h"

struct onednn_conv {
    dnnl_stream_t stream; /* each convolution its own: nothing is shared between threads */
    dnnl_primitive_t primitive;
    dnnl_memory_t src, w, b, dst, scratchpad;
    size_t scratch_bytes;
    bool has_bias;
    dnnl_status_t failed; /* the first failure of a run */
    char name[48];
};

static dnnl_engine_t onednn_engine_shared;
static pthread_once_t onednn_once = PTHREAD_ONCE_INIT;

static void onednn_start(void)
{
    if (dnnl_engine_create(&onednn_engine_shared, dnnl_cpu, 0) != dnnl_success)
        onednn_engine_shared = NULL;
}

static dnnl_engine_t onednn_engine(void)
{
    pthread_once(&onednn_once, onednn_start);
    return onednn_engine_shared;
}

const char *engine_version(void)
{
    static char text[64];
    const dnnl_version_t *version = dnnl_version();
    snprintf(text, sizeof text, "oneDNN %d.%d.%d, %s", version->major, version->minor, version->patch,
             cpu_isa_name(cpu_isa()));
    return text;
}

/* ---- what differs between oneDNN 2 and 3: memory descriptors and primitive descriptors ---- */

struct onednn_problem {
    dnnl_dims_t src, w, b, dst, stride, pad_before, pad_after;
    dnnl_format_tag_t src_tag, w_tag, dst_tag;
};

#if DNNL_VERSION_MAJOR >= 3

typedef dnnl_memory_desc_t onednn_desc;

static dnnl_status_t onednn_desc_init(onednn_desc *desc, int n_dims, const dnnl_dims_t dims, dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_create_with_tag(desc, n_dims, dims, dnnl_f32, tag);
}

static void onednn_desc_done(onednn_desc *desc)
{
    if (*desc)
        dnnl_memory_desc_destroy(*desc);
}

static dnnl_status_t onednn_primitive_desc(dnnl_primitive_desc_t *ret, const struct onednn_problem *problem,
                                           const onednn_desc desc[4], bool has_bias, dnnl_primitive_attr_t attr)
{
    return dnnl_convolution_forward_primitive_desc_create(
        ret, onednn_engine(), dnnl_forward_training, dnnl_convolution_direct, desc[0], desc[1],
        has_bias ? desc[2] : NULL, desc[3], problem->stride, NULL, problem->pad_before, problem->pad_after, attr);
}

static dnnl_status_t onednn_memory(dnnl_memory_t *ret, const onednn_desc *desc)
{
    return dnnl_memory_create(ret, *desc, onednn_engine(), DNNL_MEMORY_NONE);
}

static size_t onednn_scratchpad(const_dnnl_primitive_desc_t desc, dnnl_memory_t *ret)
{
    const_dnnl_memory_desc_t pad = dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
    size_t bytes = pad ? dnnl_memory_desc_get_size(pad) : 0;
    if (bytes && dnnl_memory_create(ret, pad, onednn_engine(), DNNL_MEMORY_NONE) != dnnl_success)
        *ret = NULL;
    return bytes;
}

#else

typedef dnnl_memory_desc_t onednn_desc;

static dnnl_status_t onednn_desc_init(onednn_desc *desc, int n_dims, const dnnl_dims_t dims, dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_init_by_tag(desc, n_dims, dims, dnnl_f32, tag);
}

static void onednn_desc_done(onednn_desc *desc)
{
    (void)desc; /* a plain struct in oneDNN 2 */
}

static dnnl_status_t onednn_primitive_desc(dnnl_primitive_desc_t *ret, const struct onednn_problem *problem,
                                           const onednn_desc desc[4], bool has_bias, dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t conv;
    dnnl_status_t status = dnnl_convolution_forward_desc_init(&conv, dnnl_forward_training, dnnl_convolution_direct,
                                                              &desc[0], &desc[1], has_bias ? &desc[2] : NULL, &desc[3],
                                                              problem->stride, problem->pad_before, problem->pad_after);
    return status == dnnl_success ? dnnl_primitive_desc_create(ret, &conv, attr, onednn_engine(), NULL) : status;
}

static dnnl_status_t onednn_memory(dnnl_memory_t *ret, const onednn_desc *desc)
{
    return dnnl_memory_create(ret, desc, onednn_engine(), DNNL_MEMORY_NONE);
}

static size_t onednn_scratchpad(const_dnnl_primitive_desc_t desc, dnnl_memory_t *ret)
{
    const dnnl_memory_desc_t *pad = dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
    size_t bytes = pad ? dnnl_memory_desc_get_size(pad) : 0;
    if (bytes && dnnl_memory_create(ret, pad, onednn_engine(), DNNL_MEMORY_NONE) != dnnl_success)
        *ret = NULL;
    return bytes;
}

#endif

/* ---- the same for both ---- */

static struct onednn_problem onednn_describe(const struct direct_conv *conv, const struct direct_layout *layout)
{
    bool wide = layout->block_o == 16;
    dnnl_format_tag_t blocked = wide ? dnnl_aBcde16b : dnnl_aBcde8b;
    bool plain_src = layout->block_i != layout->block_o;
    struct onednn_problem problem = {
        .src = {conv->src.n, layout->src_c, conv->src.d, conv->src.h, conv->src.w},
        .w = {layout->dst_c, layout->src_c, conv->kernel[0], conv->kernel[1], conv->kernel[2]},
        .b = {layout->dst_c},
        .dst = {conv->dst.n, layout->dst_c, conv->dst.d, conv->dst.h, conv->dst.w},
        .src_tag = plain_src ? dnnl_abcde : blocked,
        .dst_tag = blocked,
        .w_tag = plain_src ? (wide ? dnnl_Acdeb16a : dnnl_Acdeb8a) : (wide ? dnnl_ABcde16b16a : dnnl_ABcde8b8a),
    };

    for (int a = 0; a < 3; a++) {
        int64_t after =
            (problem.dst[a + 2] - 1) * conv->stride[a] + conv->kernel[a] - problem.src[a + 2] - conv->pad[a];
        problem.stride[a] = conv->stride[a];
        problem.pad_before[a] = conv->pad[a];
        problem.pad_after[a] = after > 0 ? after : 0;
    }

    return problem;
}

static dnnl_status_t onednn_build(struct onednn_conv *conv, const struct onednn_problem *problem)
{
    onednn_desc desc[4] = {0};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t primitive_desc = NULL;
    const char *name = NULL;
    dnnl_status_t status = dnnl_stream_create(&conv->stream, onednn_engine(), dnnl_stream_default_flags);

    if (status == dnnl_success)
        status = dnnl_primitive_attr_create(&attr);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);

    if (status == dnnl_success)
        status = onednn_desc_init(&desc[0], 5, problem->src, problem->src_tag);
    if (status == dnnl_success)
        status = onednn_desc_init(&desc[1], 5, problem->w, problem->w_tag);

    if (status == dnnl_success)
        status = onednn_desc_init(&desc[2], 1, problem->b, dnnl_a);
    if (status == dnnl_success)
        status = onednn_desc_init(&desc[3], 5, problem->dst, problem->dst_tag);

    if (status == dnnl_success)
        status = onednn_primitive_desc(&primitive_desc, problem, desc, conv->has_bias, attr);
    if (status == dnnl_success)
        status = dnnl_primitive_create(&conv->primitive, primitive_desc);

    if (status == dnnl_success)
        status = onednn_memory(&conv->src, &desc[0]);
    if (status == dnnl_success)
        status = onednn_memory(&conv->w, &desc[1]);

    if (status == dnnl_success)
        status = onednn_memory(&conv->b, &desc[2]);
    if (status == dnnl_success)
        status = onednn_memory(&conv->dst, &desc[3]);

    if (status == dnnl_success) {
        conv->scratch_bytes = onednn_scratchpad(primitive_desc, &conv->scratchpad);
        if (dnnl_primitive_desc_query(primitive_desc, dnnl_query_impl_info_str, 0, (void *)&name) == dnnl_success &&
            name)
            snprintf(conv->name, sizeof conv->name, "%s", name);
        if (conv->scratch_bytes && !conv->scratchpad)
            status = dnnl_out_of_memory;
    }

    if (primitive_desc)
        dnnl_primitive_desc_destroy(primitive_desc);
    if (attr)
        dnnl_primitive_attr_destroy(attr);

    for (int i = 0; i < 4; i++)
        onednn_desc_done(&desc[i]);
    return status;
}

enum status onednn_conv_new(struct onednn_conv **ret, const struct direct_conv *conv,
                            const struct direct_layout *layout, bool has_bias, struct error *error)
{
    struct onednn_problem problem = onednn_describe(conv, layout);
    struct onednn_conv *made = memory_zalloc(1, sizeof *made);
    char src[SHAPE_TEXT], dst[SHAPE_TEXT];
    dnnl_status_t status;

    if (!made)
        return error_memory(error, sizeof *made, "convolution");
    made->has_bias = has_bias;
    status = onednn_engine() ? onednn_build(made, &problem) : dnnl_runtime_error;

    if (status != dnnl_success) {
        onednn_conv_free(made);
        return error_set(error, STATUS_FAILED,
                         "convolution %s -> %s, kernel %" PRId64 "x%" PRId64 "x%" PRId64
                         ": oneDNN refused it (status %d)",
                         shape_text(src, conv->src), shape_text(dst, conv->dst), conv->kernel[0], conv->kernel[1],
                         conv->kernel[2], (int)status);
    }

    *ret = made;
    return STATUS_OK;
}

void onednn_conv_free(struct onednn_conv *conv)
{
    if (!conv)
        return;
    dnnl_memory_t memories[] = {conv->src, conv->w, conv->b, conv->dst, conv->scratchpad};
    for (size_t i = 0; i < sizeof memories / sizeof *memories; i++)
        if (memories[i])
            dnnl_memory_destroy(memories[i]);
    if (conv->primitive)
        dnnl_primitive_destroy(conv->primitive);
    if (conv->stream)
        dnnl_stream_destroy(conv->stream);
    memory_free(conv);
}

size_t onednn_conv_scratch_bytes(const struct onednn_conv *conv)
{
    return (conv->scratch_bytes + 63) / 64 * 64;
}

const char *onednn_conv_name(const struct onednn_conv *conv)
{
    return conv->name;
}

static dnnl_status_t onednn_set(dnnl_memory_t memory, const void *data)
{
    return dnnl_memory_set_data_handle(memory, (void *)(uintptr_t)data);
}

static dnnl_status_t onednn_execute(struct onednn_conv *conv, const float *src, const float *w, const float *b,
                                    float *dst, void *scratch)
{
    dnnl_exec_arg_t args[5] = {{DNNL_ARG_SRC, conv->src}, {DNNL_ARG_WEIGHTS, conv->w}, {DNNL_ARG_DST, conv->dst}};
    int n = 3;
    dnnl_status_t status = onednn_set(conv->src, src);

    if (status == dnnl_success)
        status = onednn_set(conv->w, w);
    if (status == dnnl_success)
        status = onednn_set(conv->dst, dst);

    if (status == dnnl_success && conv->has_bias) {
        status = onednn_set(conv->b, b);
        args[n++] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, conv->b};
    }

    if (status == dnnl_success && conv->scratch_bytes) {
        status = onednn_set(conv->scratchpad, scratch);
        args[n++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, conv->scratchpad};
    }

    if (status == dnnl_success)
        status = dnnl_primitive_execute(conv->primitive, conv->stream, n, args);
    return status == dnnl_success ? dnnl_stream_wait(conv->stream) : status;
}

void onednn_conv_run(struct onednn_conv *conv, const float *src, const float *w, const float *b, float *dst,
                     void *scratch)
{
    if (conv->failed == dnnl_success)
        conv->failed = onednn_execute(conv, src, w, b, dst, scratch);
}

enum status onednn_conv_status(const struct onednn_conv *conv, struct error *error)
{
    if (conv->failed == dnnl_success)
        return STATUS_OK;
    if (conv->failed == dnnl_out_of_memory)
        return error_memory(error, 0, conv->name);
    return error_set(error, STATUS_FAILED, "convolution: oneDNN's kernel %s failed while running (status %d)",
                     conv->name, (int)conv->failed);
}

/* What oneDNN refuses, which needs no speed. */
static void onednn_matmul_plain(int64_t m, int64_t n, int64_t k, struct matrix a, struct matrix b, float *dst,
                                bool accumulate)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = accumulate ? (double)dst[i * n + j] : 0;
            for (int64_t l = 0; l < k; l++)
                sum += (double)a.data[a.transposed ? l * m + i : i * k + l] *
                       (double)b.data[b.transposed ? j * k + l : l * n + j];
            dst[i * n + j] = (float)sum;
        }
}

void engine_matmul(int64_t m, int64_t n, int64_t k, struct matrix a, struct matrix b, float *dst, bool accumulate)
{
    dnnl_status_t status =
        dnnl_sgemm(a.transposed ? 'T' : 'N', b.transposed ? 'T' : 'N', m, n, k, 1.0f, a.data, a.transposed ? m : k,
                   b.data, b.transposed ? k : n, accumulate ? 1.0f : 0.0f, dst, n);
    if (status != dnnl_success)
        onednn_matmul_plain(m, n, k, a, b, dst, accumulate);
}
