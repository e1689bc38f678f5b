/* runner.h - threads that each take one job after the other and let a child process do it. Private to serve/.
 *
 * The child is this very program (/proc/self/exe serve-job FOLDER ...), so results are those of `calvaria infer`, and a
 * crash or a lack of memory ends one job, not the server. It reports its progress on its standard output, see
 * serve/work.h. */
#ifndef CALVARIA_SERVE_RUNNER_H
#define CALVARIA_SERVE_RUNNER_H

#include "base/config.h"
#include "serve/models.h"
#include "serve/store.h"

struct runner_config {
    const struct served_models *models;
    const struct config_strings *set;
    int64_t threads; /* of each child */
    int64_t max_voxels, max_memory_bytes;
    bool no_picture;
    double max_s; /* a job that takes longer is ended */
};

struct runners;
enum status runners_start(struct runners **ret, struct store *store, const struct runner_config *config, int64_t n,
                          struct error *error);
/* After store_stop: lets running jobs end for up to drain_s, then ends their children and puts them back in the queue.
 * tick (may be NULL) is called meanwhile, twenty times a second; true: do not wait. */
void runners_stop(struct runners *runners, double drain_s, bool (*tick)(void *context), void *context);

#endif
