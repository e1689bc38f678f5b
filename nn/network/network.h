/* network.h - a network: a list of layers in YAML, built for one input shape, with forward, backward and planned
 * memory.
 *
 *     struct network_config config;                          // from YAML by config_bind(&network_table, ...)
 *     struct params params = {0};
 *     network_describe(&params, &config, &error);            // names and shapes of all parameters
 *     params_allocate(&params, true, &error); params_initialise(&params, seed);
 *     struct network *net;
 *     network_new(&net, &config, &params, (struct shape){1, 1, 128, 128, 128}, NETWORK_TRAIN, &error);
 *     const float *p = network_forward(net, src, &pass);     // plain NCDHW in and out
 *     network_backward(net, d_p, NULL, &pass);               // params.grad = gradients ('=', not '+=')
 *
 * Several networks (another patch size, inference beside training) may share one params block. */
#ifndef CALVARIA_NN_NETWORK_NETWORK_H
#define CALVARIA_NN_NETWORK_NETWORK_H

#include <stdio.h>

#include "nn/layer.h"

/* Which layers' outputs are recomputed in backward instead of kept: the same bits, less memory, more time. */
enum network_recompute {
    RECOMPUTE_NOTHING,
    RECOMPUTE_CHEAP, /* all but those of convolutions and dense layers: a few percent of a step's time */
    RECOMPUTE_MOST,  /* convolutions' too, wherever that lowers the memory: up to one more forward pass */
    RECOMPUTE_MODES
};

/* Of the values between layers. */
enum network_precision { PRECISION_FLOAT32, PRECISION_BFLOAT16 };
extern const char *const network_precision_names[];

struct network_config {
    const char *name;
    int64_t input_channels;
    int recompute;             /* enum network_recompute */
    int precision;             /* enum network_precision */
    int64_t patch_vox[3];      /* x, y, z: the shape `info` prints for and training defaults to */
    bool winograd;             /* convolutions by minimal filtering where it pays: winograd.h states the error */
    struct config_list layers; /* items' tables are the layer_ops' config tables */
};
extern const struct config_table network_table;

enum network_mode {
    NETWORK_INFER,
    NETWORK_TRAIN,     /* backward gives the gradients of the parameters        */
    NETWORK_TRAIN_SRC, /* and the one by the input (a discriminator's, a study's) */
};

struct network;

/* Adds every parameter the layers declare (no values). */
enum status network_describe(struct params *params, const struct network_config *config, struct error *error);

/* Shapes, then primitives, then one arena planned from lifetimes. config and params must be allocated and outlive the
 * network; entries of params that are frozen must be marked before. STATUS_USAGE when the shape does not fit the layers
 * (the message names file, line, key), STATUS_FAILED when memory is out. */
enum status network_new(struct network **ret, const struct network_config *config, struct params *params,
                        struct shape src, enum network_mode mode, struct error *error);
void network_free(struct network *network);

/* src: plain NCDHW of the shape given at build. Returns dst, plain, valid until the next call. */
const float *network_forward(struct network *network, const float *src, const struct pass *pass);
/* d_dst: gradient of the loss by dst, plain. Writes params->grad ('=', zeros for frozen entries), and the gradient by
 * src where d_src is not NULL (NETWORK_TRAIN_SRC only). The values and gradients of the last forward are used up. */
void network_backward(struct network *network, const float *d_dst, float *d_src, const struct pass *pass);
/* STATUS_FAILED once a pass has failed (memory of a library's kernel): its values are not valid. Check after passes. */
enum status network_status(const struct network *network, struct error *error);
/* To be called when parameter values changed: inference networks prepare their weights from the new ones. */
void network_params_changed(struct network *network);

struct shape network_src_shape(const struct network *network);
struct shape network_dst_shape(const struct network *network);
int64_t network_n_layers(const struct network *network);
const struct layer *network_layer(const struct network *network, int64_t index);
/* What layer `index` reads as its k-th source: the network's input (-1), or the layer of that index. */
int64_t network_layer_src(const struct network *network, int64_t index, int k);
/* The graph alone, over allocated parameters: every layer's name, shapes, keys and values as written; nothing to run.
 */
enum status network_trace(struct network **ret, const struct network_config *config, struct params *params,
                          struct shape src, struct error *error);
/* Bytes of the planned arena. Parameters, and what the engine prepares of them, come on top. */
int64_t network_bytes(const struct network *network);

/* What `network_new` would need, before anything is allocated; src.n etc. may be huge (64-bit, checked). */
struct network_cost {
    int64_t n_params, n_trainable;
    double macs; /* forward, as written: no phase-wise or sparse savings counted */
    int64_t infer_bytes,
        train_bytes;  /* activations and scratch; parameters, gradients and optimizer state come on top */
    struct shape dst; /* what a forward pass gives */
};
enum status network_cost(struct network_cost *ret, const struct network_config *config, struct shape src,
                         struct error *error);
/* train_bytes in every mode of recomputation, whatever the configuration says. */
enum status network_cost_recompute(int64_t ret_bytes[RECOMPUTE_MODES], const struct network_config *config,
                                   struct shape src, struct error *error);
/* The one-line-per-layer table: index, name, type, source shapes -> shape, parameters, GMAC; totals below. */
enum status network_print(FILE *file, const struct network_config *config, struct shape src, struct error *error);

#endif
