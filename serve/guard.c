/* guard.c - access control: the token, its cookie, and the page's own origin; see http.h.
 * Test: tests/serve/test_server.sh, tests/serve/attack.sh */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "serve/server.h"

enum { TOKEN_LEAST = 16, TOKEN_MOST = 512 };

bool guard_equal(const char *given, const char *secret)
{
    size_t n = strlen(secret), m = strlen(given);
    volatile unsigned difference = n != m;
    for (size_t i = 0; i < n; i++)
        difference |= (unsigned)(unsigned char)secret[i] ^ (unsigned)(unsigned char)(i < m ? given[i] : 0);
    return difference == 0;
}

/* Is "HOST:PORT" this machine's loopback by name? A page that resolves to 127.0.0.1 by a name of its own (DNS
 * rebinding) is not. */
static bool guard_host_is_loopback(const char *host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n = strlen(names[i]);
        if (strncasecmp(host, names[i], n) == 0 &&
            (host[n] == '\0' || (host[n] == ':' && strspn(host + n + 1, "0123456789") == strlen(host + n + 1))))
            return true;
    }
    return false;
}

static bool guard_origin_is_own(const char *origin, const char *host)
{
    return (strncmp(origin, "http://", 7) == 0 && strcasecmp(origin + 7, host) == 0) ||
           (strncmp(origin, "https://", 8) == 0 && strcasecmp(origin + 8, host) == 0);
}

/* An origin that --allow-origin names. */
static bool guard_origin_is_allowed(const struct server *server, const char *origin)
{
    for (int64_t i = 0; i < server->config->allow_origin.n; i++)
        if (strcasecmp(server->config->allow_origin.items[i], origin) == 0)
            return true;
    return false;
}

const char *guard_foreign_origin(const struct request *request)
{
    const char *origin = request_header(request, "Origin");
    return origin && guard_origin_is_allowed(request->server, origin) ? origin : NULL;
}

static int guard_refuse(struct request *request, int status, const char *why)
{
    snprintf(request->why, sizeof request->why, "%s", why);
    return status;
}

static bool guard_has_token(const struct request *request)
{
    const struct server *server = request->server;
    const char *authorization = request_header(request, "Authorization");
    const char *cookie = MHD_lookup_connection_value(request->connection, MHD_COOKIE_KIND, "calvaria");
    if (authorization && strncasecmp(authorization, "Bearer ", 7) == 0)
        return guard_equal(authorization + 7, server->token);
    return cookie && guard_equal(cookie, server->session);
}

/* A guess, as opposed to a request that does not know of the token. */
static bool guard_gives_token(const struct request *request)
{
    return request_header(request, "Authorization") ||
           MHD_lookup_connection_value(request->connection, MHD_COOKIE_KIND, "calvaria");
}

int guard_check(struct request *request)
{
    if (request->route->open)
        return 0;
    const char *host = request_header(request, "Host"), *origin = request_header(request, "Origin"),
               *site = request_header(request, "Sec-Fetch-Site");
    if (!host || (!request->server->token && !guard_host_is_loopback(host)))
        return guard_refuse(request, 403,
                            "Host: no name of this machine's loopback (open http://127.0.0.1 or http://localhost)");
    const bool foreign = guard_foreign_origin(request) != NULL;
    if (origin && !foreign && !guard_origin_is_own(origin, host))
        return guard_refuse(request, 403,
                            "Origin: another site's page sent this request (only this server's own page may)");
    if (site && !foreign && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return guard_refuse(request, 403,
                            "Sec-Fetch-Site: another site's page sent this request (only this server's own page may)");
    request->wrong_token = request->server->token && guard_gives_token(request) && !guard_has_token(request);
    if (request->server->token && !guard_has_token(request))
        return guard_refuse(request, 401,
                            "a token is needed (send 'Authorization: Bearer TOKEN', or log in on the page)");

    return 0;
}

/* The cookie's value: random, the same after a restart as long as the token is the same. */
static enum status guard_open_session(struct server *server, struct error *error)
{
    char *path = memory_printf("%s/session", server->state), *text = NULL;
    char line[64], mark[24];
    size_t bytes = 0;
    struct error unreadable = {0};

    if (!path)
        return error_memory(error, 256, "a path");
    snprintf(mark, sizeof mark, " %016" PRIx64 "\n", (uint64_t)XXH64(server->token, strlen(server->token), 0));
    if (file_exists(path) && !file_read(&text, &bytes, path, sizeof line, &unreadable) &&
        bytes == JOB_ID_LENGTH + strlen(mark) && strcmp(text + JOB_ID_LENGTH, mark) == 0) {
        memcpy(server->session, text, JOB_ID_LENGTH);
        server->session[JOB_ID_LENGTH] = '\0';
    }

    memory_free(text);
    enum status status = error_if_memory(error, &unreadable);

    /* A new token, or the first start: a new cookie. */
    if (!status && !job_id_valid(server->session)) {
        status = job_id_make(server->session, error);
        snprintf(line, sizeof line, "%s%s", server->session, mark);
        if (!status)
            status = file_write(path, line, strlen(line), error);
        if (!status && chmod(path, 0600))
            status = error_system(error, errno, "%s: cannot be kept from other users", path);
    }

    memory_free(path);
    return status;
}

enum status guard_open(struct server *server, struct error *error)
{
    const struct serve_config *config = server->config;
    struct stat info;
    char *text = NULL;
    size_t bytes = 0;

    if (!config->token_file) {
        if (guard_host_is_loopback(config->address) || strcmp(config->address, "::1") == 0)
            return STATUS_OK;
        return error_set(error, STATUS_USAGE,
                         "--address %s: others can reach it, so a token is needed (openssl rand -hex 24 > token; "
                         "--token-file token)",
                         config->address);
    }

    if (file_read(&text, &bytes, config->token_file, TOKEN_MOST, error))
        return error_while(error, "reading --token-file");
    text[strcspn(text, "\r\n")] = '\0';
    server->token = text;

    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c > '~')
            return error_set(
                error, STATUS_USAGE,
                "--token-file %s: the token holds a space or a character beyond ASCII (openssl rand -hex 24)",
                config->token_file);

    if (strlen(text) < TOKEN_LEAST)
        return error_set(
            error, STATUS_USAGE,
            "--token-file %s: a token of %zu characters can be guessed (at least %d: openssl rand -hex 24)",
            config->token_file, strlen(text), TOKEN_LEAST);

    if (stat(config->token_file, &info) == 0 && (info.st_mode & (S_IRWXG | S_IRWXO)))
        log_warn("--token-file %s: other users of this machine can read it (chmod 600 %s)", config->token_file,
                 config->token_file);

    return guard_open_session(server, error);
}
