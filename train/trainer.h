/* trainer.h - the training loop: loader -> forward -> loss -> backward -> optimizer, with validation by the deployed
 * restoration. */
#ifndef CALVARIA_TRAIN_TRAINER_H
#define CALVARIA_TRAIN_TRAINER_H

#include "train/recipe.h"
#include "train/replicas.h"
#include "train/run.h"

struct trainer_request {
    const char *recipe;        /* a new run ...                                            */
    const struct recipe *read; /* ... or its recipe, read already: it lives on, and the sets are in it */
    const char *resume;        /* ... or on with this folder; one of the two               */
    const char *folder;        /* of a new run; NULL: runs/NAME-YYYYmmdd-HHMMSS            */
    const char *init;          /* start from this model's weights; NULL: none              */
    int n_sets;
    char *const *sets;         /* key=value over the recipe                                */
    struct replicas *replicas; /* train together; NULL: alone. The first one writes the run folder */
    bool join;                 /* folds: on in a folder that is there, together with other processes */
    FILE *table;               /* folds: where the table goes too; NULL: nowhere */
    bool watch;                /* a window with the curves as they grow */
};

/* trainer_start or trainer_resume, as requested. With several processes: replicas->together is true when
 * they end alike. */
enum status trainer_run(const struct trainer_request *request, struct error *error);

/* Trains in a fresh run folder (`folder` NULL: runs/NAME-YYYYmmdd-HHMMSS), from random weights or from the model `init`
 * (NULL: none; layers are matched by name). SIGINT/SIGTERM: finishes the step, saves, STATUS_STOPPED. */
enum status trainer_start(const char *recipe_path, int n_sets, char *const *sets, const char *folder, const char *init,
                          struct error *error);
/* Goes on in a run folder to the same bits as if it had never stopped. n_sets overrides: only train.steps may grow. */
enum status trainer_resume(const char *folder, int n_sets, char *const *sets, struct error *error);

#endif
