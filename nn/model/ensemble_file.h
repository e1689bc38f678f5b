/* ensemble_file.h - several models of one network in one file, whose predictions are averaged.
 *
 *   /                attributes: format "calvaria-ensemble", format_version 1, members, "network", and the texts of the
 *                    whole ("restore", "metrics", "licence" ...)
 *   /members/1 ...   each as a model file is (model_file.h), without training state
 *
 * All members have one network and one pipeline; each has its own weights, and its own coarse stage or shape model.
 * Members are read one at a time: a program needs memory for one. */
#ifndef CALVARIA_NN_MODEL_ENSEMBLE_FILE_H
#define CALVARIA_NN_MODEL_ENSEMBLE_FILE_H

#include "nn/model/model_file.h"

enum { ENSEMBLE_MAX = 1000 };

/* Fills *ret with member 1 ... n; it is freed by model_done. */
struct ensemble_source {
    enum status (*read)(void *context, int64_t member, struct model *ret, struct error *error);
    void *context;
};

/* texts: of the whole; "restore" is the members'. STATUS_FAILED where members differ in network or pipeline. Atomic. */
enum status ensemble_write(const char *path, int64_t n, const struct ensemble_source *source,
                           const struct model_text *texts, int64_t n_texts, struct error *error);
/* How many members; 0: no ensemble. */
int64_t ensemble_members(const char *path);
/* Member 1 ... as it was alone. */
enum status ensemble_read_member(struct model *ret, const char *path, int64_t member, struct error *error);
/* Its weights under the texts of the whole. */
enum status ensemble_read(struct model *ret, const char *path, int64_t member, struct error *error);

#endif
