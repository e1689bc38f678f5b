/* http.c - requests, responses and connections over libmicrohttpd; see http.h. Test: tests/serve/test_server.sh */
#include "serve/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "serve/server.h"

enum { THREADS = 4, CONNECTIONS = 512, CONNECTION_BYTES = 64 << 10, IDLE_S = 60 };
enum {
    DRAIN_BYTES = 16 << 20
}; /* a refused body up to this size is read to its end, so that the client reads the response */

/* --- responses --- */

static const char policy[] = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' "
                             "'unsafe-inline'; img-src 'self' data: blob:; "
                             "font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
                             "object-src 'none'; base-uri 'none'; "
                             "form-action 'self'; frame-ancestors 'none'";

void response_header(struct MHD_Response **response, const char *name, const char *value)
{
    if (!*response || MHD_get_response_header(*response, name) ||
        MHD_add_response_header(*response, name, value) == MHD_YES)
        return;
    MHD_destroy_response(*response);
    *response = NULL;
}

static void http_add_safety_headers(struct MHD_Response **response)
{
    response_header(response, "Content-Security-Policy", policy);
    response_header(response, "X-Content-Type-Options", "nosniff");
    response_header(response, "X-Frame-Options", "DENY");
    response_header(response, "Referrer-Policy", "no-referrer");
    response_header(response, "Cross-Origin-Opener-Policy", "same-origin");
    response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
    response_header(response, "Cache-Control", "no-store");
}

static bool http_route_documents(const struct route *route, int status)
{
    for (int i = 0; i < ROUTE_STATUSES; i++)
        if (route->statuses[i] == status)
            return true;
    return false;
}

/* For pages of another origin that --allow-origin names (Fetch standard, 3.2). */
static void http_add_origin(const struct request *request, struct MHD_Response **response)
{
    const char *origin = guard_foreign_origin(request);
    if (request->server->config->allow_origin.n > 0)
        response_header(response, "Vary", "Origin");
    if (!origin)
        return;
    response_header(response, "Access-Control-Allow-Origin", origin);
    response_header(response, "Access-Control-Expose-Headers",
                    "Content-Disposition, Content-Range, ETag, Location, Retry-After");
    response_header(response, "Cross-Origin-Resource-Policy", "cross-origin");
}

/* A text that needs no memory of ours. */
static enum MHD_Result http_respond_no_memory(struct MHD_Connection *connection)
{
    static char text[] = "{\"error\": \"" SERVER_NO_MEMORY "\"}";
    struct MHD_Response *response = MHD_create_response_from_buffer(sizeof text - 1, text, MHD_RESPMEM_PERSISTENT);
    response_header(&response, "Content-Type", "application/json");
    response_header(&response, "Retry-After", "15");
    http_add_safety_headers(&response);
    if (!response)
        return MHD_NO;
    const enum MHD_Result result = MHD_queue_response(connection, 503, response);
    MHD_destroy_response(response);
    return result;
}

/* A preflight request of such a page, which carries no token. */
static enum MHD_Result http_respond_preflight(struct request *request)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    response_header(&response, "Access-Control-Allow-Methods", "GET, HEAD, POST, DELETE");
    response_header(&response, "Access-Control-Allow-Headers",
                    "Authorization, Content-Type, If-None-Match, If-Range, Range");
    response_header(&response, "Access-Control-Max-Age", "600");
    return respond(request, 204, response);
}

enum MHD_Result respond(struct request *request, int status, struct MHD_Response *response)
{
    struct server *server = request->server;
    http_add_origin(request, &response);
    http_add_safety_headers(&response);
    if (!response && request->reserve) {
        response = request->reserve;
        status = request->reserve_status;
        request->reserve = NULL;
    }
    if (request->route && response && !http_route_documents(request->route, status)) {
        server->undocumented++;
        log_warn("%s %s: responded with %d, which docs/openapi.yaml does not list", request->route->method,
                 request->route->path, status);
    }

    request->responded = response ? status : 503;
    server->responses[request->responded / 100 % 6]++;
    if (!response)
        return http_respond_no_memory(request->connection);
    enum MHD_Result result = MHD_queue_response(request->connection, (unsigned)status, response);
    MHD_destroy_response(response);

    return result;
}

bool respond_reserve(struct request *request, int status, const char *id)
{
    char text[64] = "", location[64];
    snprintf(location, sizeof location, "/api/jobs/%s", id ? id : "");
    if (id)
        snprintf(text, sizeof text, "{\"id\":\"%s\"}", id);
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY);
    if (id)
        response_header(&response, "Content-Type", "application/json");
    if (status == 201)
        response_header(&response, "Location", location);
    http_add_origin(request, &response);
    http_add_safety_headers(&response);
    request->reserve = response;
    request->reserve_status = status;
    return response != NULL;
}

/* Takes the text, cJSON's; NULL: memory is out, or it was NULL. */
static struct MHD_Response *http_json(char *text)
{
    struct MHD_Response *response =
        text ? MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE) : NULL;
    if (!response)
        cJSON_free(text);
    response_header(&response, "Content-Type", "application/json");
    return response;
}

enum MHD_Result respond_json(struct request *request, int status, char *text)
{
    return respond(request, status, http_json(text));
}

static enum MHD_Result http_respond_failure(struct request *request, int status, const char *why)
{
    if (request->reserve) /* what it was for was not done */
        MHD_destroy_response(request->reserve);
    request->reserve = NULL;
    cJSON *object = cJSON_CreateObject();
    char *text = cJSON_AddStringToObject(object, "error", why) ? cJSON_PrintUnformatted(object) : NULL;
    cJSON_Delete(object);
    struct MHD_Response *response = http_json(text);
    if (status == 503)
        response_header(&response, "Retry-After", "15");
    if (status == 401)
        response_header(&response, "WWW-Authenticate", "Bearer realm=\"calvaria\"");
    if (request->allow && status == 405)
        response_header(&response, "Allow", request->allow);

    return respond(request, status, response);
}

enum MHD_Result respond_error(struct request *request, int status, const char *format, ...)
{
    char why[JOB_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    return http_respond_failure(request, status, why);
}

enum MHD_Result respond_unstored(struct request *request, const struct error *error)
{
    return error->no_memory ? respond_error(request, 503, SERVER_NO_MEMORY)
                            : respond_error(request, 507, "the server cannot store the job (contact its operator)");
}

enum MHD_Result respond_absent(struct request *request)
{
    return respond_error(request, 404, "%s: no such job (deleted, or older than %g hours)", request->id,
                         request->server->config->keep_hours);
}

enum MHD_Result respond_job(struct request *request, int status, const char *id)
{
    uint64_t version;
    bool final;
    char *text = store_json(request->server->store, id, &version, &final), location[64];

    if (!text && store_version(request->server->store, id) > 0)
        return respond_json(request, status, NULL);
    if (!text)
        return respond_error(request, 404, "%s: no such job (it was deleted, or kept for %g hours)", id,
                             request->server->config->keep_hours);
    struct MHD_Response *response = http_json(text);
    snprintf(location, sizeof location, "/api/jobs/%s", id);
    if (status == 201)
        response_header(&response, "Location", location);

    return respond(request, status, response);
}

enum MHD_Result respond_text(struct request *request, const char *text)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    response_header(&response, "Content-Type", "text/plain; charset=utf-8");
    return respond(request, 200, response);
}

enum MHD_Result respond_nothing(struct request *request, const char *cookie)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (cookie)
        response_header(&response, "Set-Cookie", cookie);
    return respond(request, 204, response);
}

/* --- headers --- */

bool http_tag_matches(const char *list, const char *tag)
{
    for (const char *at = list; at && *at;) {
        at += strspn(at, " \t,");
        if (*at == '*')
            return true;
        if (strncmp(at, "W/", 2) == 0)
            at += 2;
        if (*at != '"')
            return false;
        const char *end = strchr(at + 1, '"');
        if (!end)
            return false;
        if ((size_t)(end + 1 - at) == strlen(tag) && strncmp(at, tag, strlen(tag)) == 0)
            return true;
        at = end + 1;
    }
    return false;
}

/* Digits alone; -1: none, or too many. */
static int64_t http_digits(const char **at)
{
    const size_t n = strspn(*at, "0123456789");
    const int64_t value = n > 0 && n < 19 ? (int64_t)strtoll(*at, NULL, 10) : -1;
    *at += n;
    return value;
}

int http_range(const char *header, int64_t bytes, int64_t *ret_first, int64_t *ret_last)
{
    if (!header || strncasecmp(header, "bytes=", 6) != 0)
        return 0;
    const char *at = header + 6;
    int64_t first = http_digits(&at), last = -1;
    if (*at++ != '-')
        return 0;
    last = http_digits(&at);
    if (*at || (first < 0 && last < 0) || (first >= 0 && last >= 0 && last < first))
        return 0;

    /* "-500" is the last 500 bytes. */
    if (first < 0) {
        first = last < bytes ? bytes - last : 0;
        last = last > 0 ? bytes - 1 : -2;
    }
    if (last == -1 || last >= bytes)
        last = bytes - 1;
    if (first >= bytes || last < first)
        return 416;
    *ret_first = first;
    *ret_last = last;
    return 206;
}

/* --- requests --- */

const char *request_header(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *request_argument(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

/* -1: not given, or no number (libmicrohttpd refuses those itself). */
static int64_t http_content_length(const struct request *request)
{
    const char *text = request_header(request, "Content-Length");
    char *end = NULL;
    errno = 0;
    long long value = text && *text >= '0' && *text <= '9' ? strtoll(text, &end, 10) : -1;
    return end && !*end && errno == 0 ? value : -1;
}

static void request_refuse(struct request *request)
{
    request->body_bytes = http_content_length(request);
    if (page_has(request->server, request->path)) { /* no secret in it */
        if (strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0)
            return;
        request->refusal = 405;
        request->allow = "GET, HEAD";
        snprintf(request->why, sizeof request->why, "%.20s: not served here (allowed: GET, HEAD)", request->method);
        return;
    }

    if (strcmp(request->method, "OPTIONS") == 0 && guard_foreign_origin(request)) {
        request->preflight = true;
        return;
    }
    route_match(request);
    if (!request->refusal)
        request->refusal = guard_check(request);
    if (!request->refusal && request->route->begin)
        request->refusal = request->route->begin(request);
}

static enum MHD_Result request_begin(struct server *server, struct MHD_Connection *connection, const char *path,
                                     const char *method, void **context)
{
    struct request *request = memory_zalloc(1, sizeof *request);
    if (!request)
        return http_respond_no_memory(connection); /* there is no request to respond to */
    *request =
        (struct request){.server = server, .connection = connection, .path = path, .method = method, .artefact = -1};
    *context = request;
    request_refuse(request);
    watch_request(request);

    /* A large refused body is not read: the response goes out at once. */
    bool chunked = request_header(request, "Transfer-Encoding") != NULL;
    if (request->refusal && (chunked || request->body_bytes > DRAIN_BYTES || request_header(request, "Expect")))
        return http_respond_failure(request, request->refusal, request->why);
    return MHD_YES;
}

static enum MHD_Result request_handle(void *context, struct MHD_Connection *connection, const char *path,
                                      const char *method, const char *version, const char *data, size_t *bytes,
                                      void **request_context)
{
    (void)version;
    struct request *request = *request_context;
    if (!request)
        return request_begin(context, connection, path, method, request_context);

    if (*bytes > 0) {
        request->read_bytes += (int64_t)*bytes;
        watch_body(request, *bytes);
        bool ok = request->refusal || !request->route || !request->route->take
                      ? request->read_bytes <= DRAIN_BYTES
                      : request->route->take(request, data, *bytes);
        *bytes = 0;
        return ok ? MHD_YES : MHD_NO;
    }

    if (request->wrong_token && !request->delayed && !request->server->draining) {
        watch_delay(request); /* this function runs once more when the request is resumed */
        return MHD_YES;
    }
    if (request->refusal)
        return http_respond_failure(request, request->refusal, request->why);
    if (request->preflight)
        return http_respond_preflight(request);
    return request->route ? request->route->respond(request) : page_respond(request);
}

static void request_completed(void *context, struct MHD_Connection *connection, void **request_context,
                              enum MHD_RequestTerminationCode code)
{
    (void)context, (void)connection, (void)code;
    struct request *request = *request_context;
    if (!request)
        return;
    if (request->route && request->route->end)
        request->route->end(request);
    watch_request_end(request);
    if (request->reserve)
        MHD_destroy_response(request->reserve);
    memory_free(request);
    *request_context = NULL;
}

/* --- the daemon --- */

/* Paths and arguments stay as they were sent: nothing of ours needs an escape, and none then means two things. */
static size_t http_keep_escapes(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context, (void)connection;
    return strlen(text);
}

static void http_log(void *context, const char *format, va_list args)
{
    char text[256];
    (void)context;
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    log_debug("http: %s", text);
}

static int http_listen(const char *address, int port, int *ret_port, struct error *error)
{
    char service[16];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;

    snprintf(service, sizeof service, "%d", port);
    int number = getaddrinfo(address, service, &hints, &found);
    if (number == EAI_MEMORY || (number == EAI_SYSTEM && errno == ENOMEM)) {
        error_memory(error, 0, "the address");
        return -1;
    }
    if (number) {
        error_set(error, STATUS_USAGE, "--address %s: %s (127.0.0.1 is this machine alone, 0.0.0.0 every network)",
                  address, gai_strerror(number));
        return -1;
    }

    int handle = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } name = {0};
    socklen_t length = sizeof name;
    bool ok = handle >= 0 && setsockopt(handle, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
              bind(handle, found->ai_addr, found->ai_addrlen) == 0 && listen(handle, 128) == 0 &&
              getsockname(handle, &name.any, &length) == 0;
    number = errno;
    freeaddrinfo(found);

    if (!ok) {
        error_set(error, STATUS_FAILED, "--port %d on %s: %s%s", port, address, strerror(number),
                  number == EADDRINUSE ? " (give another --port; 0 takes a free one)" : "");
        if (handle >= 0)
            close(handle);
        return -1;
    }

    *ret_port = ntohs(name.any.sa_family == AF_INET6 ? name.v6.sin6_port : name.v4.sin_port);

    return handle;
}

enum status http_start(struct server *server, struct error *error)
{
    int handle = http_listen(server->config->address, (int)server->config->port, &server->port, error);
    if (handle < 0)
        return error->status;

    /* Escapes stay as sent, so that no path has two spellings. */
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, request_handle,
        server, MHD_OPTION_EXTERNAL_LOGGER, http_log, NULL, MHD_OPTION_LISTEN_SOCKET, handle,
        MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
        MHD_OPTION_NOTIFY_COMPLETED, request_completed, NULL, MHD_OPTION_NOTIFY_CONNECTION, watch_connection, server,
        MHD_OPTION_UNESCAPE_CALLBACK, http_keep_escapes, NULL, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    if (!server->daemon)
        return error_set(error, STATUS_FAILED, "the HTTP library cannot start (too few file handles or threads?)");

    return STATUS_OK;
}

void http_stop(struct server *server)
{
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    server->daemon = NULL;
}
