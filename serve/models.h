/* models.h - the models of one server, each with a name that users choose it by. Private to serve/. */
#ifndef CALVARIA_SERVE_MODELS_H
#define CALVARIA_SERVE_MODELS_H

#include "serve/job.h"

enum { MODELS_MAX = 8 };

struct served_model {
    char name[JOB_MODEL_BYTES]; /* of its file or run folder: "skullfix", "first"; "mirror" of builtin:mirror */
    char *path;                 /* absolute, or builtin:...; NULL: the shipped one */
    char *info;                 /* what never changes of it: JSON */
};

struct served_models {
    int n; /* the first is the default */
    struct served_model item[MODELS_MAX];
};

/* Each is opened once, so that a wrong one stops the server and not its first user. paths->n 0: the shipped model.
 * STATUS_USAGE: too many, two of one name. */
enum status models_open(struct served_models *ret, const struct config_strings *paths, const struct config_strings *set,
                        struct error *error);
/* NULL or "": the default. NULL: there is none of this name. */
const struct served_model *models_find(const struct served_models *models, const char *name);
void models_done(struct served_models *models);

#endif
