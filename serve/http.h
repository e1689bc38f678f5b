/* http.h - requests and responses over libmicrohttpd: one route is matched, guarded, given its body, and responded to
 * once. Private to serve/. */
#ifndef CALVARIA_SERVE_HTTP_H
#define CALVARIA_SERVE_HTTP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <microhttpd.h>

#include "serve/job.h"

#define SERVER_NO_MEMORY "the server is out of memory (try later)" /* of 503 */

enum { ROUTE_PARTS = 4, ROUTE_STATUSES = 12, HEADER_BYTES = 256 };

struct request;

/* One row of the API; docs/openapi.yaml has the same (tested). */
struct route {
    const char *method, *path;    /* {id} and {file} stand for a job's id and an artefact's name */
    bool open;                    /* needs no token */
    int statuses[ROUTE_STATUSES]; /* all it may respond with */
    enum MHD_Result (*respond)(struct request *request);
    /* Routes with an upload; NULL: a body is read and forgotten. begin: 0, or the status of a refusal with
     * request->why. */
    int (*begin)(struct request *request);
    bool (*take)(struct request *request, const char *data, size_t bytes);
    void (*end)(struct request *request); /* always, also when the client went away */
};
extern const struct route routes[];
extern const int n_routes;

struct server;

struct request {
    struct server *server;
    struct MHD_Connection *connection;
    const char *method, *path;
    const struct route *route; /* NULL: none, or the page */
    char id[JOB_ID_LENGTH + 1];
    int artefact;
    int64_t body_bytes; /* announced; -1: not */
    int64_t read_bytes;
    int refusal;              /* status; 0: none yet */
    char why[JOB_TEXT_BYTES]; /* of the refusal */
    const char *allow;        /* of a 405 */
    void *upload;
    bool wrong_token, delayed; /* delayed: by watch_delay */
    double resume_s;
    struct request *next, **link; /* of the delayed ones; under watch_mutex */
    bool preflight;               /* OPTIONS of a page that --allow-origin names */
    int responded;                /* status */
    struct MHD_Response *reserve; /* by respond_reserve; NULL: none, or sent */
    int reserve_status;
};

/* Finds the route of method and path; fills route, id, artefact, or refusal and why. */
void route_match(struct request *request);

const char *request_header(const struct request *request, const char *name);
const char *request_argument(const struct request *request, const char *name);

/* Adds a header, unless the response has one of this name. NULL from then on: memory is out; respond then says so. */
void response_header(struct MHD_Response **response, const char *name, const char *value);

/* Before something is done that a client would do twice: takes the memory of the response `status`, {"id": ...}
 * (nothing where id is NULL), which is sent where that of the full one is out. false: memory is out already. */
bool respond_reserve(struct request *request, int status, const char *id);

/* Each responds once; the result is what libmicrohttpd's handler returns. */
enum MHD_Result respond(struct request *request, int status, struct MHD_Response *response); /* takes the response */
enum MHD_Result respond_error(struct request *request, int status, const char *format, ...) ERROR_PRINTF(3, 4);
enum MHD_Result respond_unstored(struct request *request, const struct error *error); /* 503 or 507 */
enum MHD_Result respond_absent(struct request *request); /* 404: there is no job of the request's id */
enum MHD_Result respond_json(struct request *request, int status,
                             char *text); /* takes text (cJSON's); NULL: 503, out of memory */
enum MHD_Result respond_job(struct request *request, int status, const char *id);
enum MHD_Result respond_text(struct request *request, const char *text);      /* copies */
enum MHD_Result respond_nothing(struct request *request, const char *cookie); /* 204; cookie may be NULL */

/* From now on the connection has so long; 0: no limit. */
void respond_within(struct request *request, double seconds);
/* Does If-None-Match (a list, or *) name this entity tag? Weak comparison (RFC 9110, 8.8.3.2). */
bool http_tag_matches(const char *list, const char *tag);
/* One range of a Range header, bytes first to last of `bytes`: 0 where the header is to be ignored (several ranges,
 * other units, malformed), 206 with the range, 416 where it lies beyond the end (RFC 9110, 14.2). */
int http_range(const char *header, int64_t bytes, int64_t *ret_first, int64_t *ret_last);
double http_time_s(int64_t bytes); /* what the slowest accepted client needs for so many */

enum status http_start(struct server *server, struct error *error);
void http_stop(struct server *server);

/* watch.c: the time a connection may take. */
void watch_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                      enum MHD_ConnectionNotificationCode code);
void watch_request(struct request *request); /* its head was read, its body comes */
void watch_body(struct request *request, size_t bytes);
void watch_request_end(struct request *request);
const char *watch_address(const struct request *request); /* "127.0.0.1" */
/* Ends connections that are past their time, and resumes delayed ones. Once a second. */
void watch_reap(struct server *server);
/* A wrong token: the response waits, so that guessing is slow. */
void watch_delay(struct request *request);

/* guard.c: 0, or the status of a refusal with request->why. */
int guard_check(struct request *request);
/* The request's origin where --allow-origin names it, else NULL. */
const char *guard_foreign_origin(const struct request *request);
enum status guard_open(struct server *server, struct error *error); /* reads the token, makes or reads the session */
/* Same time whatever the difference. */
bool guard_equal(const char *given, const char *secret);

/* page.c */
enum status page_open(struct server *server, struct error *error);
bool page_has(const struct server *server, const char *path);
enum MHD_Result page_respond(struct request *request);
void page_close(struct server *server);

/* events.c */
enum MHD_Result events_respond(struct request *request);
void events_wake(struct server *server); /* every stream checks for news */
void events_beat(struct server *server); /* a heartbeat to idle streams */

/* metrics.c */
enum MHD_Result metrics_respond(struct request *request);

/* upload.c */
int upload_begin(struct request *request);
bool upload_take(struct request *request, const char *data, size_t bytes);
enum MHD_Result upload_respond(struct request *request);
void upload_end(struct request *request);

/* revise.c */
int revise_begin(struct request *request);
bool revise_take(struct request *request, const char *data, size_t bytes);
enum MHD_Result revise_respond(struct request *request);
void revise_end(struct request *request);
enum MHD_Result copy_respond(struct request *request);

/* runs.c */
enum MHD_Result runs_respond(struct request *request);
enum MHD_Result runs_respond_metrics(struct request *request);
enum MHD_Result runs_respond_picture(struct request *request);

/* api.c */
enum MHD_Result api_health(struct request *request);
enum MHD_Result api_info(struct request *request);
enum MHD_Result api_session(struct request *request);
enum MHD_Result api_session_end(struct request *request);
enum MHD_Result api_example(struct request *request);
enum MHD_Result api_job(struct request *request);
enum MHD_Result api_remove(struct request *request);
enum MHD_Result api_cancel(struct request *request);
enum MHD_Result api_file(struct request *request);

#endif
