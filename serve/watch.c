/* watch.c - every connection and the time it may take: slow heads, bodies that crawl, clients that do not read, and
 * addresses that hold many connections without a request; see http.h. Test: tests/serve/attack.sh
 *
 *     waiting   no request under way          20 s for the first head, 60 s between requests; 64 for each address
 *     body      a request is being read       32 KiB/s on average, after 20 s of grace
 *     response  it is being answered          what its size needs at 32 KiB/s, and 60 s more */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/memory.h"
#include "serve/server.h"

enum { WAITING_PER_ADDRESS = 64, ADDRESS_BYTES = 64, IDLE_S = 60 };
static const double HEADER_S = 20, RESPONSE_S = 60, GRACE_S = 20, SLOWEST_BYTES_PER_S = 32 << 10, WRONG_TOKEN_S = 0.5;

enum watch_phase { WATCH_WAITING, WATCH_BODY, WATCH_RESPONSE };

/* One connection, from its first byte to its end. */
struct watch {
    int handle;
    char address[ADDRESS_BYTES];
    enum watch_phase phase;
    double since_s, deadline_s; /* since: of the phase; deadline 0: none */
    int64_t body_bytes;
    struct watch *next, **link;
};

double http_time_s(int64_t bytes)
{
    return RESPONSE_S + (bytes > 0 ? (double)bytes / SLOWEST_BYTES_PER_S : 0);
}

static struct watch *watch_of(const struct request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void watch_enter(struct request *request, enum watch_phase phase, double seconds)
{
    struct watch *watch = watch_of(request);
    const double now_s = log_clock_s();
    if (!watch)
        return;
    pthread_mutex_lock(&request->server->watch_mutex);
    watch->phase = phase;
    watch->since_s = now_s;
    watch->deadline_s = seconds > 0 ? now_s + seconds : 0;
    watch->body_bytes = 0;
    pthread_mutex_unlock(&request->server->watch_mutex);
}

void respond_within(struct request *request, double seconds)
{
    watch_enter(request, WATCH_RESPONSE, seconds);
}

void watch_request(struct request *request)
{
    watch_enter(request, WATCH_BODY, http_time_s(request->body_bytes));
}

void watch_body(struct request *request, size_t bytes)
{
    struct watch *watch = watch_of(request);
    if (!watch)
        return;
    pthread_mutex_lock(&request->server->watch_mutex);
    watch->body_bytes += (int64_t)bytes;
    pthread_mutex_unlock(&request->server->watch_mutex);
}

void watch_request_end(struct request *request)
{
    watch_enter(request, WATCH_WAITING, IDLE_S);
}

const char *watch_address(const struct request *request)
{
    const struct watch *watch = watch_of(request);
    return watch ? watch->address : "?";
}

static void watch_end(struct server *server, struct watch *watch)
{
    shutdown(watch->handle, SHUT_RDWR); /* libmicrohttpd sees the end and tidies up */
    watch->deadline_s = 0;
    watch->phase = WATCH_RESPONSE;
    server->reaped++;
}

/* One address must not take all connections: the one that waited longest makes room. */
static void watch_limit_address(struct server *server, const struct watch *fresh)
{
    struct watch *oldest = NULL;
    int n = 0;
    for (struct watch *watch = server->watches; watch; watch = watch->next) {
        if (watch->phase != WATCH_WAITING || strcmp(watch->address, fresh->address) != 0)
            continue;
        n++;
        if (watch != fresh && (!oldest || watch->since_s < oldest->since_s))
            oldest = watch;
    }
    if (n > WAITING_PER_ADDRESS && oldest)
        watch_end(server, oldest);
}

static void watch_begin(struct server *server, struct watch *watch, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const double now_s = log_clock_s();
    *watch = (struct watch){.handle = info ? info->connect_fd : -1, .since_s = now_s, .deadline_s = now_s + HEADER_S};

    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const socklen_t length =
        info && info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (!info || getnameinfo(info->client_addr, length, watch->address, ADDRESS_BYTES, NULL, 0, NI_NUMERICHOST))
        snprintf(watch->address, ADDRESS_BYTES, "?");

    server->connections++;
    pthread_mutex_lock(&server->watch_mutex);
    watch->next = server->watches;
    watch->link = &server->watches;
    if (watch->next)
        watch->next->link = &watch->next;
    server->watches = watch;
    watch_limit_address(server, watch);
    pthread_mutex_unlock(&server->watch_mutex);
}

void watch_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                      enum MHD_ConnectionNotificationCode code)
{
    struct server *server = context;
    struct watch *watch = *socket_context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        watch = memory_zalloc(1, sizeof *watch);
        if (watch)
            watch_begin(server, watch, connection);
        *socket_context = watch;
    } else if (watch) {
        pthread_mutex_lock(&server->watch_mutex);
        *watch->link = watch->next;
        if (watch->next)
            watch->next->link = watch->link;
        pthread_mutex_unlock(&server->watch_mutex);
        memory_free(watch);
        *socket_context = NULL;
    }
}

void watch_reap(struct server *server)
{
    const double now_s = log_clock_s();
    pthread_mutex_lock(&server->watch_mutex);
    for (struct watch *watch = server->watches; watch; watch = watch->next) {
        const double read_s = now_s - watch->since_s - GRACE_S;
        const bool late = watch->deadline_s > 0 && watch->deadline_s < now_s;
        const bool crawls =
            watch->phase == WATCH_BODY && read_s > 0 && (double)watch->body_bytes < read_s * SLOWEST_BYTES_PER_S;
        if (late || crawls)
            watch_end(server, watch);
    }

    /* Requests with a wrong token get their response now. */
    for (struct request *request = server->delayed; request;) {
        struct request *next = request->next;
        if (now_s >= request->resume_s || server->draining) {
            *request->link = next;
            if (next)
                next->link = request->link;
            request->link = NULL;
            MHD_resume_connection(request->connection);
        }
        request = next;
    }
    pthread_mutex_unlock(&server->watch_mutex);
}

void watch_delay(struct request *request)
{
    struct server *server = request->server;
    pthread_mutex_lock(&server->watch_mutex);
    request->delayed = true;
    request->resume_s = log_clock_s() + WRONG_TOKEN_S;
    request->next = server->delayed;
    request->link = &server->delayed;
    if (request->next)
        request->next->link = &request->next;
    server->delayed = request;
    MHD_suspend_connection(request->connection);
    pthread_mutex_unlock(&server->watch_mutex);

    /* The 1st, 2nd, 4th, 8th ... of all is logged: enough to notice, too few to fill a disk. */
    const long long n = ++server->wrong_tokens;
    if ((n & (n - 1)) == 0)
        log_warn("a wrong token from %s (%lld since the start)", watch_address(request), n);
}
