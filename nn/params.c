/* params.c - the table of parameters and their first values; see params.h. Test: tests/nn/test_optimizer.c,
 * tests/nn/test_golden.c */
#include "nn/params.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static bool params_grow(struct params *params)
{
    if (params->n & (params->n - 1)) /* grows at powers of two: 1, 2, 4 ... */
        return true;
    size_t old = (size_t)params->n * sizeof *params->items;
    size_t grown = params->n ? 2 * old : sizeof *params->items;
    struct param *items = memory_resize(params->items, old, grown);
    if (!items)
        return false;
    params->items = items;
    return true;
}

struct param *params_add(struct params *params, const char *name, int n_dims, const int64_t *dim, bool trainable,
                         enum param_init init)
{
    assert(!params->value && n_dims > 0 && n_dims <= PARAM_MAX_DIMS);
    int64_t count = 1;
    for (int i = 0; i < n_dims; i++)
        if (dim[i] < 1 || __builtin_mul_overflow(count, dim[i], &count))
            return NULL;
    char *own_name = arena_strdup(&params->arena, name);
    if (!own_name || !params_grow(params))
        return NULL;
    struct param *param = &params->items[params->n++];
    *param = (struct param){.name = own_name, .n_dims = n_dims, .count = count, .trainable = trainable, .init = init};
    memcpy(param->dim, dim, (size_t)n_dims * sizeof *dim);
    int64_t field = n_dims > 1 ? param->count / (dim[0] * dim[1]) : 1; /* kernel voxels */
    param->fan_in = field * (n_dims > 1 ? dim[1] : dim[0]);
    param->fan_out = field * dim[0];
    param->terms = param->fan_in;
    return param;
}

/* Stable: trainable entries first, each group in the order it was declared. */
static enum status params_sort(struct params *params, struct error *error)
{
    size_t bytes = (size_t)params->n * sizeof *params->items;
    struct param *sorted = memory_alloc((size_t)params->n, sizeof *sorted);
    if (!sorted)
        return error_memory(error, bytes, "parameter table");
    int64_t n = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < params->n; i++)
            if (params->items[i].trainable == (pass == 0))
                sorted[n++] = params->items[i];
    memory_free(params->items);
    params->items = sorted;
    return STATUS_OK;
}

enum status params_allocate(struct params *params, bool training, struct error *error)
{
    assert(!params->value);
    if (params_sort(params, error))
        return error->status;
    params->n_trainable = params->n_floats = 0;

    for (int64_t i = 0; i < params->n; i++) {
        params->items[i].offset = params->n_floats;
        if (__builtin_add_overflow(params->n_floats, params->items[i].count, &params->n_floats))
            return error_set(error, STATUS_FAILED, "network parameters: their number overflows 63 bits");
        if (params->items[i].trainable)
            params->n_trainable = params->n_floats;
    }

    params->value = memory_zalloc((size_t)params->n_floats, sizeof *params->value);
    if (!params->value)
        return error_memory(error, (size_t)params->n_floats * sizeof *params->value, "network parameters");
    if (!training)
        return STATUS_OK;
    params->grad = memory_zalloc((size_t)params->n_trainable, sizeof *params->grad);
    if (!params->grad)
        return error_memory(error, (size_t)params->n_trainable * sizeof *params->grad, "parameter gradients");

    return STATUS_OK;
}

/* FNV-1a, 64 bits. */
static uint64_t params_hash(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash;
}

static void param_draw(const struct param *param, float *value, uint64_t seed)
{
    struct rng rng = rng_make(seed, params_hash(param->name));
    double limit = sqrt(6.0 / (double)(param->fan_in + param->fan_out)); /* Glorot and Bengio 2010 */
    double sd = sqrt(2.0 / (double)param->terms);                        /* He et al. 2015 */
    for (int64_t i = 0; i < param->count; i++) {
        if (param->init == PARAM_GLOROT_UNIFORM)
            value[i] = (float)rng_uniform(&rng, -limit, limit);
        else if (param->init == PARAM_HE_NORMAL)
            value[i] = (float)rng_normal(&rng, 0, sd);
        else
            value[i] = param->init == PARAM_ONES ? 1.0F : 0.0F;
    }
}

void params_initialise(struct params *params, uint64_t seed)
{
    for (int64_t i = 0; i < params->n; i++)
        param_draw(&params->items[i], params->value + params->items[i].offset, seed);
}

struct param *params_find(const struct params *params, const char *name)
{
    for (int64_t i = 0; i < params->n; i++)
        if (strcmp(params->items[i].name, name) == 0)
            return &params->items[i];
    return NULL;
}

bool param_same_shape(const struct param *param, int n_dims, const int64_t *dim)
{
    return param->n_dims == n_dims && memcmp(param->dim, dim, (size_t)n_dims * sizeof *dim) == 0;
}

char *param_shape_text(char text[PARAM_SHAPE_TEXT], int n_dims, const int64_t *dim)
{
    int length = 0;
    text[0] = '\0';
    for (int i = 0; i < n_dims; i++)
        length += snprintf(text + length, (size_t)(PARAM_SHAPE_TEXT - length), "%s%" PRId64, i ? "x" : "", dim[i]);
    return text;
}

enum status params_copy(struct params *dst, const struct params *src, int64_t *ret_n_copied, struct error *error)
{
    int64_t n_copied = 0;
    for (int64_t i = 0; i < src->n; i++) {
        const struct param *from = &src->items[i], *to = params_find(dst, from->name);
        if (!to)
            continue;
        if (!param_same_shape(to, from->n_dims, from->dim)) {
            char a[PARAM_SHAPE_TEXT], b[PARAM_SHAPE_TEXT];
            return error_set(error, STATUS_FAILED,
                             "%s: shape is %s in the model, %s in the network (rename the layer to start it anew)",
                             from->name, param_shape_text(a, from->n_dims, from->dim),
                             param_shape_text(b, to->n_dims, to->dim));
        }
        memcpy(dst->value + to->offset, src->value + from->offset, (size_t)from->count * sizeof *dst->value);
        n_copied++;
    }

    if (ret_n_copied)
        *ret_n_copied = n_copied;
    return STATUS_OK;
}

void params_done(struct params *params)
{
    memory_free(params->items);
    memory_free(params->value);
    memory_free(params->grad);
    arena_done(&params->arena);
    *params = (struct params){0};
}
