/* claim.h - work that several processes share through one folder: each takes what no other one holds.
 *
 * A claim is a lock (flock) on a file of the folder. It ends with its process, however that ends: what a killed process
 * had begun is free for the others. On a cluster the folder's file system must have locks that all nodes see (NFS 4,
 * Lustre with -o flock, GPFS).
 *
 *     const struct claim_work work = {.n = 5, .name = fold_name, .run = fold_run, .context = &folds};
 *     if (claim_each(&work, "runs/x/claims", &n_elsewhere, error)) ...      // n_elsewhere: held by others to the end
 */
#ifndef CALVARIA_BASE_CLAIM_H
#define CALVARIA_BASE_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct claim {
    int file; /* -1: none */
};

/* `wait`: until it is free; else *ret_taken is false where another process holds it. */
enum status claim_take(struct claim *ret, bool *ret_taken, const char *path, bool wait, struct error *error);
void claim_drop(struct claim *claim);

struct claim_work {
    int64_t n;
    /* The claim's file name; NULL: memory is out. */
    const char *(*name)(void *context, int64_t i);
    /* Does piece i, or sees that it is done. Called with the claim held. */
    enum status (*run)(void *context, int64_t i, struct error *error);
    void *context;
};

/* Every piece in order, those that others hold once more at the end. Stops at the first status that is not OK. The
 * folder is made. The last process to end has run every piece, or seen it done. */
enum status claim_each(const struct claim_work *work, const char *folder, int64_t *ret_elsewhere, struct error *error);

#endif
