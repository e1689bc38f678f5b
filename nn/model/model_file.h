/* model_file.h - model.h5: a network with its weights, its restoration pipeline and where it came from, readable with
 * h5py.
 *
 *   /                attributes: format "calvaria-model", format_version 1, and every text of `texts`
 *                    ("network" = network YAML, "restore" = restoration YAML, "recipe", "dataset_hash", "metrics",
 *                      "licence" ...)
 *   /weights/NAME    one float32 dataset per parameter, in its plain shape; attribute trainable
 *   /state/NAME      training state (optimizer slots, sampler position ...): flat arrays of float32 or int64
 *   /coarse          of a fine stage: the coarse stage's model, with attributes and weights as above
 *   /shape           of a fine stage on a shape model: the bytes of that model's file (shape/model.h)
 * A model alone can infer: nothing but this file is read. Written atomically; see docs/model_file.md. */
#ifndef CALVARIA_NN_MODEL_MODEL_FILE_H
#define CALVARIA_NN_MODEL_MODEL_FILE_H

#include "base/error.h"
#include "nn/network/network.h"
#include "nn/params.h"

struct model_text {
    const char *key, *value;
};

struct model_block { /* exactly one of floats, ints */
    const char *name;
    int64_t count;
    float *floats;
    int64_t *ints;
};

struct model {
    struct arena arena;
    struct network_config network; /* bound from the text "network" */
    struct params params;
    int64_t n_texts, n_blocks;
    struct model_text *texts;
    struct model_block *blocks;
    struct model *coarse; /* whose prediction is this network's second channel; NULL: there is none */
    const void *shape;    /* a shape model's file, whose prediction it is; NULL: there is none. In arena once read */
    int64_t shape_bytes;
};

/* network YAML is dumped from model->network; texts and blocks are written as they are. */
enum status model_write(const char *path, const struct model *model, struct error *error);
/* with_state: also reads /state. A coarse stage has no state, and no coarse stage of its own. Refuses another format
 * version, missing, extra or misshapen weights, non-finite values. */
enum status model_read(struct model *ret, const char *path, bool with_state, struct error *error);
/* The same from the file's bytes, without state; path: for messages. */
enum status model_read_image(struct model *ret, const void *bytes, size_t n, const char *path, struct error *error);
void model_done(struct model *model);
/* The model as it is passed on, its coarse stage with it: without training state, with another licence note (NULL: its
 * own), and of the paths in its recipe the last part alone. Points into model and arena; not to be given to model_done.
 */
enum status model_portable(struct model *ret, const struct model *model, const char *licence, struct arena *arena,
                           struct error *error);
/* The text under key, or NULL. */
const char *model_text(const struct model *model, const char *key);
const struct model_block *model_block(const struct model *model, const char *name);

#endif
