/* upload.c - POST /api/jobs: multipart/form-data, the file straight to disk; see http.h. Test:
 * tests/serve/test_server.sh */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/memory.h"
#include "data/volume/formats.h"
#include "serve/server.h"

enum { PARSER_BYTES = 64 << 10, OVERHEAD_BYTES = 64 << 10, FIELD_BYTES = 512, HEAD_BYTES = 4 };

enum field { FIELD_NAME, FIELD_SEGMENT, FIELD_THRESHOLD_HU, FIELD_THRESHOLD, FIELDS };
static const char *const field_names[FIELDS] = {"name", "segment", "threshold_hu", "threshold"};

struct upload {
    struct request *request;
    struct MHD_PostProcessor *parser;
    struct job job;
    char *folder;
    int handle;
    bool reserved, begun, queued;
    bool has_file, has_field[FIELDS];
    int64_t bytes;
    uint8_t head[HEAD_BYTES];
    char file_name[FIELD_BYTES], field[FIELDS][FIELD_BYTES];
    int status; /* of the first fault; 0: none */
    char why[JOB_TEXT_BYTES];
};

static void upload_fault(struct upload *upload, int status, const char *format, ...) ERROR_PRINTF(3, 4);
static void upload_fault(struct upload *upload, int status, const char *format, ...)
{
    va_list args;
    if (upload->status)
        return;
    upload->status = status;
    va_start(args, format);
    vsnprintf(upload->why, sizeof upload->why, format, args);
    va_end(args);
}

/* --- the parts --- */

static void upload_file(struct upload *upload, const char *name, const char *data, uint64_t offset, size_t bytes)
{
    const struct server *server = upload->request->server;
    if (offset == 0 && upload->has_file && upload->bytes > 0)
        upload_fault(upload, 400, "file: sent twice (one volume per job)");
    if (!upload->has_file)
        snprintf(upload->file_name, sizeof upload->file_name, "%s", name ? name : "");
    upload->has_file = true;
    if (upload->bytes + (int64_t)bytes > server->max_upload_bytes)
        upload_fault(upload, 413, "file: larger than %" PRId64 " bytes (crop it, or save it compressed)",
                     server->max_upload_bytes);

    for (size_t done = 0; !upload->status && done < bytes;) {
        ssize_t n = write(upload->handle, data + done, bytes - done);
        if (n < 0 && errno != EINTR)
            upload_fault(upload, 507, "the server cannot store the file: %s (contact its operator)", strerror(errno));
        for (ssize_t i = 0; i < n && upload->bytes + i < HEAD_BYTES; i++)
            upload->head[upload->bytes + i] = (uint8_t)data[done + (size_t)i];
        if (n > 0) {
            done += (size_t)n;
            upload->bytes += n;
        }
    }
}

static enum MHD_Result upload_part(void *context, enum MHD_ValueKind kind, const char *key, const char *file_name,
                                   const char *type, const char *encoding, const char *data, uint64_t offset,
                                   size_t bytes)
{
    struct upload *upload = context;
    (void)kind, (void)type, (void)encoding;
    if (key && strcmp(key, "file") == 0) {
        upload_file(upload, file_name, data, offset, bytes);
        return MHD_YES;
    }

    for (int i = 0; key && i < FIELDS; i++) {
        if (strcmp(key, field_names[i]) != 0)
            continue;
        if (offset == 0 && upload->has_field[i] && upload->field[i][0])
            upload_fault(upload, 400, "%s: given twice", key);
        upload->has_field[i] = true;
        if (offset + bytes >= FIELD_BYTES)
            upload_fault(upload, 400, "%s: longer than %d bytes", key, FIELD_BYTES - 1);
        else if (bytes > 0) {
            memcpy(upload->field[i] + offset, data, bytes);
            upload->field[i][offset + bytes] = '\0';
        }
        return MHD_YES;
    }

    upload_fault(upload, 400, "%.60s: unknown field (file, name, segment, threshold_hu and threshold are known)",
                 key ? key : "(no name)");

    return MHD_YES;
}

/* --- the request --- */

int upload_begin(struct request *request)
{
    struct server *server = request->server;
    const char *type = request_header(request, "Content-Type");
    struct error error = {0};

    if (!type || strncasecmp(type, "multipart/form-data", 19) != 0 || !strstr(type, "boundary=")) {
        snprintf(request->why, sizeof request->why,
                 "Content-Type: expected multipart/form-data (curl -F file=@skull.nrrd)");
        return 415;
    }

    if (request->body_bytes < 0) {
        snprintf(request->why, sizeof request->why, "Content-Length: missing (uploads need their size)");
        return 411;
    }
    if (request->body_bytes > server->max_upload_bytes + OVERHEAD_BYTES) {
        snprintf(request->why, sizeof request->why,
                 "file: larger than %" PRId64 " bytes (crop it, or save it compressed)", server->max_upload_bytes);
        return 413;
    }

    /* A place in the queue is taken before the body is read. */
    int status = store_reserve(server->store, request->body_bytes, request->why);
    if (status)
        return status;
    struct upload *upload = memory_zalloc(1, sizeof *upload);
    if (!upload) {
        store_release(server->store);
        snprintf(request->why, sizeof request->why, "the server is out of memory (try later)");
        return 503;
    }

    request->upload = upload;
    *upload = (struct upload){
        .request = request, .handle = -1, .reserved = true, .job = {.threshold_hu = NAN, .threshold = NAN}};
    upload->begun = !store_begin(server->store, &upload->job, &upload->folder, &error);
    char *path = upload->begun ? memory_printf("%s/%s", upload->folder, artefacts[0].path) : NULL;
    upload->handle = path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    memory_free(path);
    if (upload->handle < 0) {
        snprintf(request->why, sizeof request->why, "the server cannot store the file (contact its operator)");
        return 507;
    }
    upload->parser = MHD_create_post_processor(request->connection, PARSER_BYTES, upload_part, upload);
    if (!upload->parser) {
        snprintf(request->why, sizeof request->why, "Content-Type: no usable boundary (curl -F file=@skull.nrrd)");
        return 415;
    }

    return 0;
}

bool upload_take(struct request *request, const char *data, size_t bytes)
{
    struct upload *upload = request->upload;
    if (!upload->status && MHD_post_process(upload->parser, data, bytes) != MHD_YES)
        upload_fault(upload, 400, "body: no well-formed multipart/form-data (curl -F file=@skull.nrrd)");
    request->server->upload_bytes += (long long)bytes;
    return true; /* after a fault the rest is read, so that the client receives the message */
}

/* A number of the whole text in [least, most]. */
static void upload_number(struct upload *upload, enum field field, double least, double most, double *ret)
{
    if (!upload->has_field[field] || !upload->field[field][0])
        return;
    char *end = NULL;
    double value = strtod(upload->field[field], &end);
    if (*end || !(value >= least && value <= most))
        upload_fault(upload, 400, "%s: '%.40s': expected a number from %g to %g", field_names[field],
                     upload->field[field], least, most);
    else
        *ret = value;
}

/* Without folders, whichever way they are written. */
static const char *upload_base(const char *path)
{
    const char *base = path;
    for (const char *at = path; *at; at++)
        if (*at == '/' || *at == '\\')
            base = at + 1;
    return base;
}

static void upload_fields(struct upload *upload)
{
    struct job *job = &upload->job;
    const char *segment = upload->field[FIELD_SEGMENT];
    job->segment = strcmp(segment, "true") == 0    ? SEGMENT_YES
                   : strcmp(segment, "false") == 0 ? SEGMENT_NO
                                                   : SEGMENT_AUTO;
    if (*segment && job->segment == SEGMENT_AUTO && strcmp(segment, "auto") != 0)
        upload_fault(upload, 400, "segment: '%.40s': expected true, false or auto", segment);
    upload_number(upload, FIELD_THRESHOLD_HU, -1000, 3000, &job->threshold_hu);
    upload_number(upload, FIELD_THRESHOLD, 0, 1, &job->threshold);
    /* The whole file name: "000_defective" and "000_complete" are two skulls. */
    const char *name = upload->field[FIELD_NAME][0] ? upload->field[FIELD_NAME] : upload_base(upload->file_name);
    if (!job_name_set(job, name))
        job_name_set(job, "skull");
}

/* What it must begin with, whatever its name; the readers see the rest when its turn comes. */
static bool upload_is_volume(const uint8_t head[HEAD_BYTES])
{
    uint32_t little = (uint32_t)head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 24;
    uint32_t big = (uint32_t)head[3] | (uint32_t)head[2] << 8 | (uint32_t)head[1] << 16 | (uint32_t)head[0] << 24;
    return memcmp(head, "NRRD", 4) == 0 || (head[0] == 0x1f && head[1] == 0x8b) || little == 348 || little == 540 ||
           big == 348 || big == 540;
}

enum MHD_Result upload_respond(struct request *request)
{
    struct upload *upload = request->upload;
    struct error error = {0};
    enum MHD_Result complete = MHD_destroy_post_processor(upload->parser);

    upload->parser = NULL;
    if (complete != MHD_YES)
        upload_fault(upload, 400, "body: multipart/form-data that does not end (a broken upload?)");
    if (!upload->has_file || upload->bytes == 0)
        upload_fault(upload, 400, upload->has_file ? "file: is empty" : "file: is missing (curl -F file=@skull.nrrd)");
    if (upload->bytes > 0 && !upload_is_volume(upload->head))
        upload_fault(upload, 400, "file: neither NIfTI nor NRRD (of a DICOM series 'dcm2niix' makes NIfTI)");
    upload_fields(upload);

    /* On disk before the client receives the job's number. */
    bool stored = upload->status || fsync(upload->handle) == 0;
    if (!stored || close(upload->handle))
        upload_fault(upload, 507, "the server cannot store the file: %s (contact its operator)", strerror(errno));
    upload->handle = -1;
    if (!upload->status && store_add(request->server->store, &upload->job, &error))
        upload_fault(upload, 507, "the server cannot store the job (contact its operator)");
    if (upload->status)
        return respond_error(request, upload->status, "%s", upload->why);
    upload->queued = true;

    return respond_job(request, 201, upload->job.id);
}

void upload_end(struct request *request)
{
    struct upload *upload = request->upload;
    if (!upload)
        return;
    if (upload->parser)
        MHD_destroy_post_processor(upload->parser);
    if (upload->handle >= 0)
        close(upload->handle);
    if (upload->begun && !upload->queued)
        store_abandon(request->server->store, &upload->job);
    if (!upload->queued)
        store_release(request->server->store);
    memory_free(upload->folder);
    memory_free(upload);
    request->upload = NULL;
}
