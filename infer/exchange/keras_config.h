/* keras_config.h - private to infer/keras*: the network that a Keras model_config describes. */
#ifndef CALVARIA_INFER_EXCHANGE_KERAS_CONFIG_H
#define CALVARIA_INFER_EXCHANGE_KERAS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"

/* One of our layers and the Keras layer it comes from. An activation written inside a Keras layer is a layer of ours.
 */
struct keras_layer {
    const char *name, *type, *keras;
    bool no_gamma, no_beta; /* a batch norm without scale or centre: 1 and 0 */
};

struct keras_network {
    const char *yaml; /* as in configs/networks, without the `network:` above it */
    int64_t n_layers;
    struct keras_layer *layers;
};

/* json: model_config; version: keras_version. patch_vox (x, y, z) where the file leaves the size open. Everything in
 * arena. STATUS_FAILED names the first Keras layer that has no counterpart. */
enum status keras_network_derive(struct keras_network *ret, const char *json, const char *version,
                                 const int64_t patch_vox[3], const char *path, struct arena *arena,
                                 struct error *error);

#endif
