/* params.h - all the parameters of a network: ONE flat block with a table of names, shapes and offsets, so that
 * clipping, Adam, EMA, checkpoints and all-reduce are each one loop.
 *
 * Order: trainable entries first, then the rest (batch norm's moving statistics). Values lie plain: conv weights
 * O,I,D,H,W; conv_transpose weights I,O,D,H,W (as PyTorch); dense O,I; vectors. Entry names are "layer.w", "layer.b",
 * "layer.gamma" ... */
#ifndef CALVARIA_NN_PARAMS_H
#define CALVARIA_NN_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"

enum param_init { PARAM_ZEROS, PARAM_ONES, PARAM_GLOROT_UNIFORM, PARAM_HE_NORMAL };

enum { PARAM_MAX_DIMS = 5 };

struct param {
    const char *name; /* "enc1.w" */
    int n_dims;
    int64_t dim[PARAM_MAX_DIMS];
    int64_t offset, count; /* in floats, within the flat block */
    bool trainable;        /* false: a statistic, never touched by optimizers */
    bool frozen;           /* true: a trainable that this run leaves alone    */
    enum param_init init;
    int64_t fan_in, fan_out; /* of Glorot's initialiser: kernel voxels times channels */
    int64_t terms;           /* of He's: products behind one output value; fan_in unless the layer says otherwise */
};

struct params {
    int64_t n;
    struct param *items;
    int64_t n_trainable; /* floats in the trainable part (a prefix of the block) */
    int64_t n_floats;    /* floats in all; 'total parameters' */
    float *value;        /* n_floats, 64-byte aligned; NULL while only described */
    float *grad;         /* n_trainable; NULL when not training */
    struct arena arena;
};

/* Adds an entry while a network is being described. Valid until the next addition; NULL when memory is out or the
 * count overflows. */
struct param *params_add(struct params *params, const char *name, int n_dims, const int64_t *dim, bool trainable,
                         enum param_init init);
/* Lays the entries out (trainable first) and allocates value, and grad when training. */
enum status params_allocate(struct params *params, bool training, struct error *error);
/* Draws initial values: a pure function of seed and entry name. Keras' Glorot uniform: limit sqrt(6/(fan_in+fan_out)).
 */
void params_initialise(struct params *params, uint64_t seed);
/* The entry called `name`, or NULL. */
struct param *params_find(const struct params *params, const char *name);
/* Copies every entry of src with the same name and shape; *ret_n_copied may be NULL. Entries that differ in shape are
 * errors. */
enum status params_copy(struct params *dst, const struct params *src, int64_t *ret_n_copied, struct error *error);
bool param_same_shape(const struct param *param, int n_dims, const int64_t *dim);
/* "32x1x5x5x5", into text; returns text. */
enum { PARAM_SHAPE_TEXT = 112 };
char *param_shape_text(char text[PARAM_SHAPE_TEXT], int n_dims, const int64_t *dim);
void params_done(struct params *params);

#endif
