/* events.c - progress as server-sent events; see http.h. Test: tests/serve/test_server.sh
 *
 * A stream with nothing to send is suspended; a change, a heartbeat or the end of the server resumes it. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "serve/server.h"

enum { STREAMS = 128, BLOCK_BYTES = 4096 };
static const double BEAT_S = 15;

struct stream {
    struct server *server;
    struct MHD_Connection *connection;
    char id[JOB_ID_LENGTH + 1];
    uint64_t version; /* last sent */
    char *text;       /* on its way */
    size_t length, sent;
    double sent_s; /* under stream_mutex: events_beat reads it from another thread */
    bool over;
    bool suspended, woken; /* under stream_mutex; woken: check once more before suspending */
    struct stream *next, **link;
};

static bool stream_is_idle(struct stream *stream)
{
    pthread_mutex_lock(&stream->server->stream_mutex);
    const bool idle = log_clock_s() - stream->sent_s >= BEAT_S;
    pthread_mutex_unlock(&stream->server->stream_mutex);
    return idle;
}

/* The next event, or none. */
static void stream_fill(struct stream *stream)
{
    uint64_t version = store_version(stream->server->store, stream->id);
    bool final = false;

    memory_free(stream->text);
    stream->text = NULL;
    stream->sent = stream->length = 0;

    if (version == 0) {
        stream->text = memory_strdup("event: gone\ndata: {}\n\n");
        stream->over = stream->text != NULL;
    } else if (version != stream->version) {
        char *json = store_json(stream->server->store, stream->id, &version, &final);
        stream->text = json ? memory_printf("event: job\ndata: %s\n\n", json) : NULL;
        stream->version = stream->text ? version : stream->version; /* without memory: tried again at the next beat */
        stream->over = stream->text && final;
        cJSON_free(json);
    } else if (stream_is_idle(stream)) {
        stream->text = memory_strdup(": \n\n");
    }

    if (stream->text) {
        stream->length = strlen(stream->text);
        pthread_mutex_lock(&stream->server->stream_mutex);
        stream->sent_s = log_clock_s();
        pthread_mutex_unlock(&stream->server->stream_mutex);
    }
}

static ssize_t stream_read(void *context, uint64_t position, char *buffer, size_t most)
{
    struct stream *stream = context;
    struct server *server = stream->server;

    (void)position;
    while (stream->sent == stream->length) {
        if (stream->over || server->draining)
            return MHD_CONTENT_READER_END_OF_STREAM;
        stream_fill(stream);
        if (stream->length > 0)
            break;

        /* Under the lock: a wake-up between the check and the suspension must not be lost. */
        pthread_mutex_lock(&server->stream_mutex);
        if (!stream->woken && !server->draining) {
            stream->suspended = true;
            MHD_suspend_connection(stream->connection);
        }
        stream->woken = false;
        bool suspended = stream->suspended;
        pthread_mutex_unlock(&server->stream_mutex);
        if (suspended)
            return 0;
    }

    size_t n = stream->length - stream->sent < most ? stream->length - stream->sent : most;
    memcpy(buffer, stream->text + stream->sent, n);
    stream->sent += n;

    return (ssize_t)n;
}

static void stream_free(void *context)
{
    struct stream *stream = context;
    pthread_mutex_lock(&stream->server->stream_mutex);
    *stream->link = stream->next;
    if (stream->next)
        stream->next->link = stream->link;
    stream->server->n_streams--;
    pthread_mutex_unlock(&stream->server->stream_mutex);
    memory_free(stream->text);
    memory_free(stream);
}

static void stream_wake(struct stream *stream)
{
    stream->woken = true;
    if (!stream->suspended)
        return;
    stream->suspended = false;
    MHD_resume_connection(stream->connection);
}

void events_wake(struct server *server)
{
    pthread_mutex_lock(&server->stream_mutex);
    for (struct stream *stream = server->streams; stream; stream = stream->next)
        stream_wake(stream);
    pthread_mutex_unlock(&server->stream_mutex);
}

void events_beat(struct server *server)
{
    double now_s = log_clock_s();
    pthread_mutex_lock(&server->stream_mutex);
    for (struct stream *stream = server->streams; stream; stream = stream->next)
        if (now_s - stream->sent_s >= BEAT_S)
            stream_wake(stream);
    pthread_mutex_unlock(&server->stream_mutex);
}

static bool stream_enter(struct server *server, struct stream *stream)
{
    pthread_mutex_lock(&server->stream_mutex);
    bool room = server->n_streams < STREAMS;
    if (room) {
        stream->next = server->streams;
        stream->link = &server->streams;
        if (stream->next)
            stream->next->link = &stream->next;
        server->streams = stream;
        server->n_streams++;
    }
    pthread_mutex_unlock(&server->stream_mutex);
    return room;
}

enum MHD_Result events_respond(struct request *request)
{
    struct server *server = request->server;
    if (store_version(server->store, request->id) == 0)
        return respond_absent(request);
    struct stream *stream = memory_zalloc(1, sizeof *stream);
    if (!stream)
        return respond(request, 503, NULL);
    *stream = (struct stream){.server = server, .connection = request->connection, .sent_s = log_clock_s()};
    memcpy(stream->id, request->id, sizeof stream->id);
    if (server->draining || !stream_enter(server, stream)) {
        memory_free(stream);
        return respond_error(request, 503, "events: too many streams are open (use GET /api/jobs/%s instead)",
                             request->id);
    }

    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, stream_read, stream, stream_free);
    if (!response)
        stream_free(stream);
    response_header(&response, "Content-Type", "text/event-stream");
    response_header(&response, "X-Accel-Buffering", "no");
    respond_within(request, 0);

    return respond(request, 200, response);
}
