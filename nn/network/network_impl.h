/* network_impl.h - inside of a network; for nn/network/ and its tests.
 *
 * Value 0 is the input, value i + 1 is what layer i makes. A node is a layer with the values it reads. */
#ifndef CALVARIA_NN_NETWORK_NETWORK_IMPL_H
#define CALVARIA_NN_NETWORK_NETWORK_IMPL_H

#include "base/memory.h"
#include "nn/network/arena_plan.h"
#include "nn/network/network.h"

/* One read of a value by a layer. */
struct node_src {
    int64_t value;
    /* Backward: a value read more than once is given its gradient by its last reader; the others write here, and it is
     * added. */
    void *sum;
};

struct node {
    struct layer layer;
    bool skipped; /* an upsampling that its consumer absorbed, an activation that its maker did */
    struct node_src src[LAYER_MAX_SRC];
    struct shape written_src[LAYER_MAX_SRC]; /* as written, before absorption: for the table */
    int64_t first_param;                     /* its index in the table, while that grows */
    int64_t n_written_params;                /* floats */
    double macs;                             /* as written */
    /* When it is recomputed and when its backward runs, in memory_plan.c's steps; -1: never. */
    int64_t recompute_step, backward_step;
    int64_t stats_reader, affine_reader; /* the last node that reads what this one leaves beside its values; 0: none */
    void *scratch_forward, *scratch_recompute, *scratch_backward;
};

struct value {
    struct tensor data, grad;
    float *backward_data; /* where backward finds the data: data.data, or where it was recomputed */
    bool dropped;         /* not kept from forward to backward; said of the value whose buffers it shares */
    bool scheduled;       /* its recomputation is in the order already; used while planning */
    int64_t n_uses;       /* reads by layers that run */
    int64_t shares;  /* the value whose buffers it uses: itself, the source of an in-place layer, or the concat that it
                        is a part of */
    int64_t part;    /* floats from the start of those buffers */
    bool wants_grad; /* something that learns lies before it */
    bool has_writer; /* of its gradient; used while planning */
};

/* One step of the backward pass. */
struct backward_step {
    int64_t node;
    bool recompute; /* the forward pass once more, else backward */
};

/* For tests: the same results must come out without these. */
struct network_options {
    bool no_reuse, no_in_place, no_absorb;
};

struct network {
    struct arena arena;
    const struct network_config *config;
    struct params *params;
    enum network_mode mode;
    struct network_options options;
    int64_t n_layers;
    struct node *nodes;
    struct value *values; /* n_layers + 1 */
    int64_t n_backward_steps;
    struct backward_step *backward_steps; /* at most 2 n_layers */
    int64_t bytes;
    char *memory;
    void *dst_plain; /* NULL where the last value lies plain already */
};

/* graph.c: names, sources and shapes; parameters are declared into (or found in) params. */
enum status network_graph(struct network *network, const struct network_config *config, struct params *params,
                          struct shape src, enum network_mode mode, struct error *error);
/* Absorbs upsamplings and activations, marks which values want a gradient, shares buffers in place. */
void network_graph_simplify(struct network *network);
/* Once the layers have chosen their kernels: who leaves sums or factors for whom. */
void network_graph_pair(struct network *network);
extern const char *const network_recompute_names[];
/* recompute.c: which values are dropped (finding them by planning the memory, where the mode says so), then the order
 * of the backward pass. */
enum status network_recompute(struct network *network, enum network_recompute mode, struct error *error);
/* precision.c: which values have 16 bits, from who shares whose buffers, before init. */
void network_precision_assign(struct network *network);
/* Float32 copies that a staged layer needs behind its scratch. */
size_t network_staging_bytes(const struct layer *layer, bool backward);
/* forward or backward of a layer, whatever its tensors' values are. */
void network_run_layer(struct layer *layer, const struct pass *pass, bool backward);
/* dst += src, both of one kind. */
void network_add_tensor(struct tensor dst, struct tensor src);
/* Points a layer's data at forward's buffers or at backward's. */
void network_point(struct network *network, struct node *node, bool backward);
/* memory_plan.c: lifetimes and the arena's size; with `allocate` also the arena and every pointer into it. */
enum status network_plan(struct network *network, bool allocate, struct error *error);
/* network.c: graph, simplify, init of every layer, recomputation, plan. On failure call network_done all the same. */
enum status network_build(struct network *network, const struct network_config *config, struct params *params,
                          struct shape src, enum network_mode mode, bool allocate, struct error *error);
void network_done(struct network *network);
/* network_new with options. */
enum status network_new_with(struct network **ret, const struct network_config *config, struct params *params,
                             struct shape src, enum network_mode mode, const struct network_options *options,
                             struct error *error);

#endif
