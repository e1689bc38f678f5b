/* server.h - what the server's parts share. Private to serve/. */
#ifndef CALVARIA_SERVE_SERVER_H
#define CALVARIA_SERVE_SERVER_H

#include <pthread.h>
#include <stdatomic.h>

#include "serve/http.h"
#include "serve/models.h"
#include "serve/runner.h"
#include "serve/serve.h"
#include "serve/store.h"

struct watch;  /* watch.c */
struct stream; /* events.c */
struct page_file;

struct server {
    const struct serve_config *config;
    const char *version;
    char *state; /* --state, or where such things go */
    int64_t max_upload_bytes, max_voxels;
    struct served_models models;
    char *token; /* NULL: none wanted */
    char session[JOB_ID_LENGTH + 1];
    struct store *store;
    struct runners *runners;
    struct MHD_Daemon *daemon;
    int port; /* the one really listened on */
    atomic_bool draining;

    pthread_mutex_t watch_mutex; /* connections and when they must be done */
    struct watch *watches;
    struct request *delayed;      /* with a wrong token */
    pthread_mutex_t stream_mutex; /* event streams */
    struct stream *streams;
    int64_t n_streams;

    struct page_file *files;
    int64_t n_files;

    /* For /metrics. */
    atomic_llong responses[6], wrong_tokens, upload_bytes, undocumented, connections, reaped;
    double begin_s;
};

#endif
