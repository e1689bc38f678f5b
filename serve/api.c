/* api.c - the short responses of the API; see http.h. Test: tests/serve/test_server.sh */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "nn/engine/engine.h"
#include "serve/server.h"

enum { EXAMPLE_BYTES = 4 << 20 }; /* what it takes at most */

enum MHD_Result api_health(struct request *request)
{
    return respond_text(request, request->server->draining ? "draining\n" : "ok\n");
}

enum MHD_Result api_info(struct request *request)
{
    const struct server *server = request->server;
    const struct serve_config *config = server->config;
    struct store_count count = store_count(server->store);
    cJSON *object = cJSON_CreateObject();
    bool ok = cJSON_AddStringToObject(object, "name", "calvaria") &&
              cJSON_AddStringToObject(object, "version", server->version) &&
              cJSON_AddStringToObject(object, "engine", engine_version()) &&
              cJSON_AddStringToObject(object, "notice", "Research software: not for clinical use.") &&
              cJSON_AddBoolToObject(object, "token", server->token != NULL) &&
              cJSON_AddBoolToObject(object, "runs", config->runs != NULL) &&
              cJSON_AddRawToObject(object, "model", server->models.item[0].info);
    cJSON *models = cJSON_AddArrayToObject(object, "models");
    for (int i = 0; ok && i < server->models.n; i++) {
        cJSON *model = cJSON_CreateRaw(server->models.item[i].info);
        ok = model && cJSON_AddItemToArray(models, model);
        if (!ok)
            cJSON_Delete(model);
    }
    cJSON *limits = cJSON_AddObjectToObject(object, "limits"), *load = cJSON_AddObjectToObject(object, "load");

    ok = ok && cJSON_AddNumberToObject(limits, "max_upload_bytes", (double)server->max_upload_bytes) &&
         cJSON_AddNumberToObject(limits, "max_voxels", (double)server->max_voxels) &&
         cJSON_AddNumberToObject(limits, "queue", (double)config->queue) &&
         cJSON_AddNumberToObject(limits, "workers", (double)config->workers) &&
         cJSON_AddNumberToObject(limits, "keep_hours", config->keep_hours) &&
         cJSON_AddNumberToObject(load, "queued", (double)count.queued) &&
         cJSON_AddNumberToObject(load, "running", (double)count.running) &&
         cJSON_AddBoolToObject(load, "draining", server->draining);
    char *text = ok ? cJSON_PrintUnformatted(object) : NULL;
    cJSON_Delete(object);
    return respond_json(request, 200, text);
}

enum MHD_Result api_session(struct request *request)
{
    char cookie[128];
    snprintf(cookie, sizeof cookie, "calvaria=%s; HttpOnly; SameSite=Strict; Path=/; Max-Age=2592000",
             request->server->session);
    return respond_nothing(request, request->server->token ? cookie : NULL);
}

enum MHD_Result api_session_end(struct request *request)
{
    return respond_nothing(request, "calvaria=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
}

enum MHD_Result api_example(struct request *request)
{
    struct store *store = request->server->store;
    struct job job = {.example = true, .segment = SEGMENT_NO, .threshold_hu = NAN, .threshold = NAN};
    struct error error = {0};
    char why[JOB_TEXT_BYTES], *folder = NULL;
    int status = store_reserve(store, EXAMPLE_BYTES, why);

    if (status)
        return respond_error(request, status, "%s", why);
    job_name_set(&job, "example");
    snprintf(job.model, sizeof job.model, "%s", request->server->models.item[0].name);
    enum status made = store_begin(store, &job, &folder, &error);
    if (!made) {
        made = respond_reserve(request, 201, job.id) ? store_add(store, &job, &error)
                                                     : error_memory(&error, 0, "the response");
        if (made)
            store_abandon(store, &job);
    }

    memory_free(folder);
    if (!made)
        return respond_job(request, 201, job.id);
    store_release(store);

    return respond_unstored(request, &error);
}

enum MHD_Result api_job(struct request *request)
{
    return respond_job(request, 200, request->id);
}

enum MHD_Result api_remove(struct request *request)
{
    if (!respond_reserve(request, 204, NULL))
        return respond_error(request, 503, SERVER_NO_MEMORY);
    return store_remove(request->server->store, request->id) ? respond_absent(request) : respond_nothing(request, NULL);
}

enum MHD_Result api_cancel(struct request *request)
{
    if (!respond_reserve(request, 200, request->id))
        return respond_error(request, 503, SERVER_NO_MEMORY);
    int status = store_cancel(request->server->store, request->id);
    if (status == 409)
        return respond_error(request, 409, "%s: has ended already (DELETE removes it)", request->id);
    if (status == 503)
        return respond_error(request, 503, "%s: the server cannot store it now (try later)", request->id);
    return status ? respond_absent(request) : respond_job(request, 200, request->id);
}

/* Headers of a file, whole or in part. */
static void api_describe_file(struct MHD_Response **response, int artefact, const char *name, const char *tag)
{
    char disposition[HEADER_BYTES];
    snprintf(disposition, sizeof disposition, "%s; filename=\"%s\"",
             artefacts[artefact].shown ? "inline" : "attachment", name);
    response_header(response, "Content-Type", artefacts[artefact].type);
    response_header(response, "Content-Disposition", disposition);
    response_header(response, "Accept-Ranges", "bytes");
    response_header(response, "ETag", tag);
    response_header(response, "Cache-Control", "private, no-cache");
    if (strncmp(artefacts[artefact].type, "text/html", 9) == 0) { /* a report needs no script and no other file */
        response_header(
            response, "Content-Security-Policy",
            "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox");
        response_header(response, "X-Frame-Options", "SAMEORIGIN");
    }
}

static enum MHD_Result api_respond_file(struct request *request, const struct store_file *file, int artefact)
{
    const char *range = request_header(request, "Range"), *match = request_header(request, "If-Range");
    const bool same = http_tag_matches(request_header(request, "If-None-Match"), file->tag);
    int64_t first = 0, last = file->bytes - 1;
    int status = same ? 304 : 200;

    /* If-Range: the part fits only to the file that the client has already. */
    if (!same && range && (!match || strcmp(match, file->tag) == 0)) {
        const int part = http_range(range, file->bytes, &first, &last);
        status = part ? part : status;
    }

    const bool body = status == 200 || status == 206;
    struct MHD_Response *response =
        body ? MHD_create_response_from_fd_at_offset64((uint64_t)(last + 1 - first), file->handle, (uint64_t)first)
             : MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (!body || !response)
        close(file->handle);

    api_describe_file(&response, artefact, file->name, file->tag);
    char part[64];
    if (status == 206)
        snprintf(part, sizeof part, "bytes %" PRId64 "-%" PRId64 "/%" PRId64, first, last, file->bytes);
    else
        snprintf(part, sizeof part, "bytes */%" PRId64, file->bytes);
    if (status == 206 || status == 416)
        response_header(&response, "Content-Range", part);
    respond_within(request, http_time_s(body ? last + 1 - first : 0));
    return respond(request, status, response);
}

enum MHD_Result api_file(struct request *request)
{
    const char *format = request_argument(request, "format"), *name = artefacts[request->artefact].name;
    struct store_file file;
    int artefact = artefact_find(name, format);

    if (artefact < 0)
        return artefacts[request->artefact].format
                   ? respond_error(request, 400, "format: '%.20s': expected nii.gz or nrrd", format)
                   : respond_error(request, 400, "format: '%.20s': %s has one format alone", format, name);
    const int status = store_open_file(request->server->store, request->id, artefact, &file);
    if (status == 0)
        return api_respond_file(request, &file, artefact);
    if (status == 503)
        return respond_error(request, status, "%s: the server cannot open it now (try later)", name);
    if (store_version(request->server->store, request->id) == 0)
        return respond_absent(request);

    return respond_error(request, 404, "%s: not there (the job's \"files\" lists what is)", name);
}
