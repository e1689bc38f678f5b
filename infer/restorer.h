/* restorer.h - private to infer/: what a restorer is made of. */
#ifndef CALVARIA_INFER_RESTORER_H
#define CALVARIA_INFER_RESTORER_H

#include "infer/restore.h"
#include "shape/restore.h"

enum restorer_kind { RESTORER_NETWORK, RESTORER_NOTHING, RESTORER_MIRROR, RESTORER_SHAPE };

enum { RESTORE_SLAB = 16 }; /* native slices brought back at a time from a working grid */

struct restorer {
    enum restorer_kind kind;
    struct restore_config config;
    struct network *network; /* NULL: builtin */
    const struct network_config *network_config;
    struct network_config precise; /* the model's, with another precision where the configuration says so */
    struct params *params;
    struct model model;
    struct shape_model shape; /* RESTORER_SHAPE */
    char *shape_file;         /* its file's bytes, for the models that it becomes a part of; NULL: not kept */
    int64_t shape_file_bytes;
    bool has_model, has_shape, keep_raw, keep_prediction, has_hash;
    uint64_t hash;     /* of the bytes, where it was not opened from a file */
    const void *image; /* those bytes, while it is being opened; NULL: from a file */
    size_t image_bytes;
    int64_t n_members, member; /* of an ensemble: how many, and whose weights are in place; else 0 */
    struct restorer *coarse;   /* NULL: one stage */
    bool owns_coarse;
    struct restorer *beside; /* a shape model that restores where its rays find holes (beside.h); NULL: there is none */
    char *path;
    struct arena arena; /* of the configuration */
};

/* Puts a member's weights, and what it builds on, in the place of the last one's: memory holds one at a time. */
enum status restorer_take_member(struct restorer *restorer, int64_t member, struct error *error);

/* The grid the network's patches are cut from; false where they are cut from the skull as it is. */
bool restorer_working_grid(const struct restorer *restorer, const struct grid *native, struct grid *ret);

#endif
