/* keras_file.h - private to infer/keras*: the contents of a Keras .h5 file.
 *
 * Such files carry no checksums, and Debian's HDF5 1.10 follows damaged ones into wild memory (their texts of variable
 * length most of all). So a child process reads them and hands over, through a pipe, what this file describes; when it
 * dies of the file, or takes longer than any file does, that is an error like any other. The parent believes no length
 * it is told. */
#ifndef CALVARIA_INFER_EXCHANGE_KERAS_FILE_H
#define CALVARIA_INFER_EXCHANGE_KERAS_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"

enum { KERAS_MAX_DIMS = 5 };

/* A float dataset under the file's weights: its path ("sequential/conv3d/kernel:0") and shape in Keras' order. */
struct keras_weight {
    const char *path;
    int n_dims;
    int64_t dim[KERAS_MAX_DIMS], count;
    float *values;
    bool used;
};

struct keras_file {
    struct arena arena;
    const char *config;  /* model_config, JSON; NULL: weights alone */
    const char *version; /* keras_version, or "" */
    int64_t n_weights;
    struct keras_weight *weights;
};

enum status keras_file_read(struct keras_file *ret, const char *path, struct error *error);
void keras_file_done(struct keras_file *file);

/* keras_h5.c, in the child: sends the file's contents to `pipe`. Returns whether all of it could be written. */
struct keras_record { /* one per text or dataset, its bytes behind it; ends with KERAS_END */
    int32_t kind, n_dims;
    int64_t dim[KERAS_MAX_DIMS], text_bytes, data_bytes;
};
enum keras_record_kind { KERAS_END, KERAS_ERROR, KERAS_CONFIG, KERAS_VERSION, KERAS_WEIGHT };
bool keras_h5_send(const char *path, int pipe);

#endif
