/* serve.h - `calvaria serve`: the restoration as a web application.
 *
 *     serve_run(&config, "0.1.0", &error);    // until SIGTERM or SIGINT
 *
 * Uploads become jobs in a bounded queue, each worked on by a child process (work.h); docs/openapi.yaml is the
 * API, docs/serve.md the manual. */
#ifndef CALVARIA_SERVE_SERVE_H
#define CALVARIA_SERVE_SERVE_H

#include "base/config.h"

struct serve_config {
    const char *address, *token_file, *max_upload, *state, *web, *runs;
    int64_t port, workers, queue;
    double keep_hours, max_memory_gb, max_minutes, drain_s;
    double max_voxels_million;
    bool no_picture;
    struct config_strings model, set, allow_origin; /* set: over the models' restorations */
};
extern const struct config_table serve_table; /* also the command's options */

/* STATUS_USAGE: an address beyond loopback without a token, sizes that are none, a token that is too short.
 * STATUS_FAILED: a model that cannot be read, a port that is taken, a state folder another server uses. */
enum status serve_run(const struct serve_config *config, const char *version, struct error *error);

#endif
