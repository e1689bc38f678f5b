/* layer_harness.h - the one check that every layer passes, at every shape.
 *
 * A case names a layer in YAML, its sources' shapes and a naive reference in double. The harness compares
 *   forward            with the reference;
 *   backward           with the numeric gradient OF THE REFERENCE (central differences) under a random upstream
 *                      gradient: at sampled elements, and along random directions that touch all of them;
 * and requires: nothing read that was not written, nothing written outside its buffer, padding channels zero, inputs
 * left alone, the same bits in a second run, in place, and without the gradients nobody asked for; no allocation.
 * Comparisons of which most are zero against zero are refused. Every case runs in float32 and with bfloat16 tensors. */
#ifndef CALVARIA_TESTS_NN_LAYER_HARNESS_H
#define CALVARIA_TESTS_NN_LAYER_HARNESS_H

#include "nn/layer.h"

/* What a reference computes from: plain NCDHW, parameters in the order the layer declares them. */
struct reference {
    const struct layer *layer; /* for its configuration, shapes, param tables */
    const struct pass *pass;
    const double *src[LAYER_MAX_SRC], *param[LAYER_MAX_PARAMS];
    double *dst;
};
typedef void layer_reference(const struct reference *reference);

struct layer_case {
    const char *yaml; /* "{ type: conv, filters: 17 }" */
    layer_reference *reference;
    int n_src;
    struct shape src[LAYER_MAX_SRC];
    int64_t terms;        /* longest sum behind one value; the tolerance grows with its root */
    int64_t src_scale;    /* absorbed upsampling; 0: 1 */
    double keep_away;     /* source values stay this far from 0 (kinks) */
    bool distinct;        /* source values differ by at least 1e-3 (no ties) */
    double max_zero_frac; /* 0: the default, 0.3 */
    int samples;          /* elements of each tensor checked one by one; 0: 48 */
    bool testing, frozen;
    bool bfloat16;               /* its tensors, as with `precision: bfloat16`; check_layer runs every case both ways */
    const struct layer_ops *ops; /* NULL: the registered one (the harness' own tests put broken ones here) */
};

/* NULL when the layer passes, else what failed: "conv: d_w: [12] is 0.5, expected -0.5 ...". The text lives until the
 * next call. */
const char *layer_check(const struct layer_case *layer_case);
/* Fails the running test unless the layer passes. */
void check_layer(const struct layer_case *layer_case);

#endif
