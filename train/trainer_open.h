/* trainer_open.h - a run from its recipe, new or gone on with; for trainer.c and tests. */
#ifndef CALVARIA_TRAIN_TRAINER_OPEN_H
#define CALVARIA_TRAIN_TRAINER_OPEN_H

#include "train/history.h"
#include "train/trainer.h"

struct trainer {
    struct arena arena;
    struct replicas *replicas; /* NULL: alone */
    struct recipe recipe;
    struct run run; /* folder NULL: there is none yet, or another process writes it */
    struct train_step train_step;
    struct validator *validator; /* NULL: nothing is validated, or another process does it */
    struct history history;
    struct run_state state;
    char *defects;      /* text of the defects file, resolved; NULL: stored implants */
    char metrics[2048]; /* of the last validation, for the model files; "" before */
    int64_t saved_step; /* in last.h5 */
    bool dirty;         /* something happened since */
    bool stop;          /* several processes: the first had a request to stop during a validation */
};

/* On failure what was made is left for trainer_close; a run folder is made only when the recipe, the data and the
 * memory are in order. */
enum status trainer_create(struct trainer *trainer, const struct trainer_request *request, struct error *error);
enum status trainer_reopen(struct trainer *trainer, const char *folder, int n_sets, char *const *sets,
                           struct error *error);
/* This process writes the run folder and validates: the only one, or the first. */
bool trainer_leads(const struct trainer *trainer);
void trainer_close(struct trainer *trainer);

#endif
