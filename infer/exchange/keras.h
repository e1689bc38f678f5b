/* keras.h - a model from Keras' .h5 files: written by `save` (with its architecture) or `save_weights`, by Keras 2,
 * tf.keras and Keras 3; also
 * `.weights.h5` of Keras 3. See docs/deployment.md.
 *
 * Weights are matched by name, never by position. With an architecture in the file, a weight belongs to the layer that
 * its path names. With weights alone, `network` names the architecture: a Keras layer of the same name as the
 * network's, else Keras' own numbering of its kind (conv3d, conv3d_1, ... conv3d_10), which is the order of creation.
 * With both, they are compared, and the network's names are taken.
 *
 * Keras' arrays are X,Y,Z,C, so kernel axis 0 is x: kernels (x,y,z,I,O) and transposed ones (x,y,z,O,I) become
 * O,I,z,y,x and I,O,z,y,x by reversing all axes; a dense layer behind a flatten has its inputs in the order x,y,z,c
 * there, c,z,y,x here. */
#ifndef CALVARIA_INFER_EXCHANGE_KERAS_H
#define CALVARIA_INFER_EXCHANGE_KERAS_H

#include "nn/model/model_file.h"

struct keras_options {
    const char *network;           /* a network YAML, or NULL: the file's own architecture */
    int64_t patch_vox[3];          /* x, y, z, where the file leaves the size open; 0: 128 */
    struct config_strings restore; /* KEY=VALUE over the published pipeline */
    const char *licence;           /* a note written into the model, or NULL */
};

/* STATUS_FAILED: the file is damaged, or is another network's: the first mismatch is named. STATUS_USAGE: network or
 * restore are wrong. */
enum status keras_import(struct model *ret, const char *path, const struct keras_options *options, struct error *error);

#endif
