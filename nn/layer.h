/* layer.h - what a layer is: one const descriptor per type, one file per family in nn/layers/, one line in
 * nn/registry.c.
 *
 * Life of a layer:
 *   shape     pure arithmetic, before any allocation: a patch that does not fit dies in the first second;
 *   declare   names its parameters with layer_param (all a describing network needs);
 *   init      states kept_bytes and scratch_bytes; creates the engine's primitives, once;
 *   forward   src -> dst;      backward  d_dst (and what was kept) -> d_src, gradients.
 *     No malloc, no look-up, no log.
 *   done      frees what init made.
 * Gradient rule: layers write '='; the network sums where a tensor fans out. */
#ifndef CALVARIA_NN_LAYER_H
#define CALVARIA_NN_LAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "base/error.h"
#include "base/rng.h"
#include "nn/params.h"
#include "nn/tensor.h"

enum { LAYER_MAX_SRC = 8, LAYER_MAX_PARAMS = 6 };

/* What backward still reads; the network keeps those buffers alive. SRC_TO_LEARN: src, for the parameters' gradients
 * alone, so that a frozen layer does not keep it. */
enum layer_keeps { LAYER_KEEPS_NOTHING = 0, LAYER_KEEPS_SRC = 1, LAYER_KEEPS_DST = 2, LAYER_KEEPS_SRC_TO_LEARN = 4 };

/* When dst may be src[0]'s buffer (and d_src[0] d_dst's). In training backward then reads dst, never src. */
enum layer_in_place { LAYER_IN_PLACE_NEVER, LAYER_IN_PLACE_INFER, LAYER_IN_PLACE_ALWAYS };

/* Several processes that hold a part of one batch each: of its samples process `rank` has rank, rank + n, rank + 2 n
 * ... */
struct pass_replicas {
    int64_t rank, n;
    /* Replaces each value by its mean over the processes, the same bits in all of them: batch norm's statistics are
     * then those of the whole batch. NULL: each process has its own. Every process must call it alike. */
    void (*average)(void *context, double *values, int64_t n_values);
    void *context;
};

/* How a layer meets tensors of bfloat16 values. STAGED: the network converts them for each call, whole.
 * ELEMENTWISE: dst[i] depends on the sources' [i] alone, so that it converts a few thousand at a time. NATIVE: the
 * layer reads and writes them, and where it cannot it sets `staged` in init. */
enum layer_bfloat16 { LAYER_BFLOAT16_STAGED, LAYER_BFLOAT16_ELEMENTWISE, LAYER_BFLOAT16_NATIVE };

/* One forward or forward+backward pass. */
struct pass {
    bool training;  /* dropout draws, batch norm uses batch statistics */
    bool recompute; /* a forward repeated for backward: the same values, and moving statistics stay */
    uint64_t seed,
        step; /* dropout masks are a pure function of (seed, step, layer index, sample of the whole step, element) */
    int64_t sample; /* number, within this process' part of the step, of the batch's first sample */
    const struct pass_replicas *replicas; /* NULL: this process has the whole batch */
};

/* The number in the whole step, over all processes, of sample n of this batch. */
static inline int64_t pass_sample(const struct pass *pass, int64_t n)
{
    n += pass->sample;
    return pass->replicas ? n * pass->replicas->n + pass->replicas->rank : n;
}

struct layer;

/* The keys every layer has; the first member of every layer's config struct. */
struct layer_config {
    const char *name;           /* default: type and index */
    struct config_strings from; /* sources by name; default: the layer before. "input" is the network's input */
};
extern const struct config_table layer_base_table;

/* Multiply-adds really done, and the kernels that do them. */
struct layer_work {
    int64_t forward, backward;
    const char *kernels;
};

struct layer_ops {
    struct config_table config; /* .type is the layer's name in YAML, .base = &layer_base_table, .fields its own keys */
    size_t state_size;
    int min_src, max_src;
    int keeps;            /* enum layer_keeps, or'ed */
    int in_place;         /* enum layer_in_place */
    int bfloat16;         /* enum layer_bfloat16 */
    bool concat_in_place; /* dst is the sources' channels behind each other: each may lie there already (and d_src in
                             d_dst) */
    /* Absorbing a nearest upsampling: `scale` is its factor (1 or NULL: the layer is none); a convolution that
     * `can_fuse_upsample` then sees the upsampling's source and src_scale instead, and the upsampling itself is never
     * run. */
    int64_t (*scale)(const struct layer *layer);
    bool (*can_fuse_upsample)(const struct layer *layer, int64_t scale); /* NULL: never */
    /* A layer that `can_fuse_activation` does a (leaky) ReLU behind it in the same pass, and that one is never run. */
    double (*slope)(const struct layer *layer); /* its factor of negative values; NULL: it is no (leaky) ReLU */
    bool (*can_fuse_activation)(const struct layer *layer); /* NULL: never */
    /* What layers do for their neighbours, once init has chosen kernels (graph.c). A layer with `stats_bytes` leaves
     * the sums of dst in dst_stats, which takes that room (0 or NULL: it does not), for one that `needs_src_stats` src
     * (NULL: it is no norm). In inference a norm leaves its factors in dst_affine, and dst as it is, where the only
     * reader `can_fuse_norm`. */
    size_t (*stats_bytes)(const struct layer *layer);
    bool (*needs_src_stats)(const struct layer *layer);
    bool (*can_fuse_norm)(const struct layer *layer);
    /* dst's shape from the sources'. Errors name key and value by yaml_error(error, layer->node, ...). */
    enum status (*shape)(const struct layer *layer, struct shape *ret_dst, struct error *error);
    enum status (*declare)(struct layer *layer, struct error *error); /* may be NULL: no parameters */
    enum status (*init)(struct layer *layer, struct error *error);    /* may be NULL */
    void (*forward)(struct layer *layer, const struct pass *pass);
    void (*backward)(struct layer *layer, const struct pass *pass);
    enum status (*status)(const struct layer *layer, struct error *error); /* of the passes so far; NULL: cannot fail */
    void (*params_changed)(struct layer *layer); /* may be NULL; inference only: prepared weights are stale */
    void (*done)(struct layer *layer);           /* may be NULL; called on half-built layers too */
    /* Multiply-adds of a forward pass, for the table; NULL: none worth counting. They pass 2^63 where the values still
     * fit. */
    double (*macs)(const struct layer *layer);
    /* What is really done, once init has chosen how, for benches; NULL: as macs says, and nothing to choose. */
    struct layer_work (*work)(const struct layer *layer);
};

struct layer {
    const struct layer_ops *ops;
    const char *name;
    int64_t index;
    const struct yaml_node *node; /* where it was written */
    const void *config;
    void *state; /* state_size bytes, zeroed before init */

    int n_src;
    struct tensor src[LAYER_MAX_SRC], d_src[LAYER_MAX_SRC]; /* shapes are set before init, data before each call */
    struct tensor dst, d_dst;
    bool training; /* built for training: backward will be called */
    bool frozen;   /* parameters do not learn: their grad is NULL, batch norm uses moving statistics */
    bool winograd; /* the network allows minimal filtering (engine.h) */
    bool staged;   /* in init: converts no bfloat16 itself after all; later: its tensors are float32 copies */
    bool needs_d_src[LAYER_MAX_SRC]; /* known before init; false: d_src[i].data will be NULL */
    /* Absorbed nearest upsampling: convolutions see src scaled by this factor (1: none). */
    int64_t src_scale;
    const struct layer *activation; /* absorbed, on dst; NULL: none */
    /* Beside the values: sums and sums of squares, per sample and stored channel; how they are to be read. NULL: not
     * agreed on. */
    double *dst_stats;
    const double *src_stats;
    struct tensor_affine dst_affine, src_affine;

    /* Parameters, in the order they were declared. value and grad point into the flat blocks from network build on. */
    int n_params;
    struct param *param[LAYER_MAX_PARAMS];
    float *value[LAYER_MAX_PARAMS], *grad[LAYER_MAX_PARAMS];

    /* Memory declared by init, pointers set by the network before the first forward. */
    size_t kept_bytes, scratch_bytes; /* kept: lives from forward to backward; scratch: one call */
    void *kept, *scratch;

    struct params *params; /* where layer_param adds, or looks up once the values are allocated */
};

/* For declare: a parameter "LAYER.suffix". Its index is the order of the calls. */
enum status layer_param(struct layer *layer, const char *suffix, int n_dims, const int64_t *dim, bool trainable,
                        enum param_init init, struct error *error);

/* Whether backward will read its sources, its output. */
bool layer_reads_src(const struct layer *layer);
bool layer_reads_dst(const struct layer *layer);

/* Sets value, grad and frozen from the declared parameters, once they are allocated (network and tests). */
void layer_attach(struct layer *layer);

/* nn/registry.c: the one list of layer types. NULL past the last. */
const struct layer_ops *layer_ops_at(int index);
const struct layer_ops *layer_ops_find(const char *type);

#endif
