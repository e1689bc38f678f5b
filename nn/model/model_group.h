/* model_group.h - private to nn/model/: a model as an HDF5 group, at the root of a model file or inside an ensemble.
 * The caller holds hdf5_lock. */
#ifndef CALVARIA_NN_MODEL_MODEL_GROUP_H
#define CALVARIA_NN_MODEL_MODEL_GROUP_H

#include "base/hdf5.h"
#include "nn/model/model_file.h"

/* A new file, of the version that has checksums; path: for messages. -1: failed. */
hid_t model_create_file(const char *part, const char *path, struct error *error);
/* An existing one; refuses formats of HDF5 without checksums. -1: failed. */
hid_t model_open_file(const char *path, struct error *error);
enum status model_write_group(hid_t group, const struct model *model, const char *path, struct error *error);
/* With its coarse stage or shape model. The caller's model_done, also after a failure. */
enum status model_read_group(struct model *model, hid_t group, const char *path, bool with_state, struct error *error);
/* Every attribute but the version, as texts of the model. */
enum status model_read_texts(struct model *model, hid_t group, const char *path, struct error *error);

#endif
