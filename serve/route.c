/* route.c - the API's table; docs/openapi.yaml documents every row and every status (tests/serve/test_route.c). */
#include <stdio.h>
#include <string.h>

#include "serve/http.h"

/* clang-format off */
const struct route routes[] = {
    {.method = "GET", .path = "/healthz", .open = true, .statuses = {200, 503}, .respond = api_health},
    {.method = "GET", .path = "/metrics", .statuses = {200, 401, 403, 503}, .respond = metrics_respond},
    {.method = "GET", .path = "/api/info", .statuses = {200, 401, 403, 503}, .respond = api_info},
    {.method = "GET", .path = "/api/runs", .statuses = {200, 401, 403, 404, 503}, .respond = runs_respond},
    {.method = "GET",
     .path = "/api/runs/metrics",
     .statuses = {200, 304, 401, 403, 404, 503},
     .respond = runs_respond_metrics},
    {.method = "GET",
     .path = "/api/runs/picture",
     .statuses = {200, 304, 401, 403, 404, 503},
     .respond = runs_respond_picture},
    {.method = "POST", .path = "/api/session", .statuses = {204, 401, 403, 503}, .respond = api_session},
    {.method = "DELETE", .path = "/api/session", .statuses = {204, 401, 403, 503}, .respond = api_session_end},
    {.method = "POST",
     .path = "/api/jobs",
     .statuses = {201, 400, 401, 403, 411, 413, 415, 503, 507},
     .respond = upload_respond,
     .begin = upload_begin,
     .take = upload_take,
     .end = upload_end},
    {.method = "POST", .path = "/api/example", .statuses = {201, 401, 403, 503, 507}, .respond = api_example},
    {.method = "GET", .path = "/api/jobs/{id}", .statuses = {200, 401, 403, 404, 503}, .respond = api_job},
    {.method = "DELETE", .path = "/api/jobs/{id}", .statuses = {204, 401, 403, 404, 503}, .respond = api_remove},
    {.method = "POST",
     .path = "/api/jobs/{id}/cancel",
     .statuses = {200, 401, 403, 404, 409, 503},
     .respond = api_cancel},
    {.method = "POST",
     .path = "/api/jobs/{id}/revise",
     .statuses = {202, 400, 401, 403, 404, 409, 411, 413, 415, 503, 507},
     .respond = revise_respond,
     .begin = revise_begin,
     .take = revise_take,
     .end = revise_end},
    {.method = "POST",
     .path = "/api/jobs/{id}/copy",
     .statuses = {201, 400, 401, 403, 404, 503, 507},
     .respond = copy_respond},
    {.method = "GET",
     .path = "/api/jobs/{id}/events",
     .statuses = {200, 401, 403, 404, 503},
     .respond = events_respond},
    {.method = "GET", .path = "/api/jobs/{id}/{file}",
     .statuses = {200, 206, 304, 400, 401, 403, 404, 416, 503}, .respond = api_file},
};
/* clang-format on */
const int n_routes = sizeof routes / sizeof *routes;

/* Bytes up to the next '/' or the end. */
static size_t route_part_length(const char *at)
{
    return strcspn(at, "/");
}

/* Does the path fit the route's? Fills id and artefact on the way. */
static bool route_fits(const struct route *route, struct request *request)
{
    const char *pattern = route->path, *path = request->path;
    request->id[0] = '\0';
    request->artefact = -1;

    while (*pattern == '/' && *path == '/') {
        size_t n = route_part_length(++pattern), m = route_part_length(++path);
        if (n == 4 && strncmp(pattern, "{id}", n) == 0) {
            if (m != JOB_ID_LENGTH)
                return false;
            memcpy(request->id, path, m);
            request->id[m] = '\0';
            if (!job_id_valid(request->id))
                return false;
        } else if (n == 6 && strncmp(pattern, "{file}", n) == 0) {
            request->artefact = artefact_find(path, NULL); /* the path's last part */
            if (request->artefact < 0)
                return false;
        } else if (n != m || strncmp(pattern, path, n) != 0) {
            return false;
        }
        pattern += n;
        path += m;
    }

    return !*pattern && !*path;
}

void route_match(struct request *request)
{
    const char *method = strcmp(request->method, "HEAD") == 0 ? "GET" : request->method;
    static const char *const allowed[] = {"GET, HEAD", "POST", "DELETE"};
    const char *allow = NULL;
    bool several = false;

    for (int i = 0; i < n_routes; i++) {
        if (!route_fits(&routes[i], request))
            continue;
        if (strcmp(routes[i].method, method) == 0) {
            request->route = &routes[i];
            return;
        }
        several = allow != NULL;
        allow = routes[i].method[0] == 'G' ? allowed[0] : routes[i].method[0] == 'P' ? allowed[1] : allowed[2];
    }

    request->refusal = allow ? 405 : 404;
    request->allow =
        several ? (strncmp(request->path, "/api/jobs/", 10) == 0 ? "GET, HEAD, DELETE" : "POST, DELETE") : allow;
    snprintf(request->why, sizeof request->why,
             allow ? "%.100s: not served here (allowed: %s)" : "%.100s: no such page (see docs/openapi.yaml)",
             allow ? request->method : request->path, request->allow ? request->allow : "");
}
