/* upload.c - POST /api/jobs: a skull becomes a job; see http.h. Test: tests/serve/test_server.sh */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "serve/form.h"
#include "serve/server.h"

static const char *const upload_names[] = {"name", "segment", "threshold_hu", "threshold", "model", NULL};

struct upload {
    struct form form;
    struct job job;
    char *folder;
    bool begun, queued;
};

int upload_begin(struct request *request)
{
    struct server *server = request->server;
    struct error error = {0};
    int status = form_check(request);
    if (status)
        return status;

    /* A place in the queue is taken before the body is read. */
    status = store_reserve(server->store, request->body_bytes, request->why);
    if (status)
        return status;
    struct upload *upload = memory_zalloc(1, sizeof *upload);
    if (!upload) {
        store_release(server->store);
        snprintf(request->why, sizeof request->why, SERVER_NO_MEMORY);
        return 503;
    }

    request->upload = upload;
    upload->job = (struct job){.threshold_hu = NAN, .threshold = NAN};
    upload->form.handle = -1;
    upload->begun = !store_begin(server->store, &upload->job, &upload->folder, &error);
    char *path = upload->begun ? memory_printf("%s/%s", upload->folder, JOB_UPLOAD) : NULL;
    status = form_open(&upload->form, request, upload_names, "file", path);
    memory_free(path);
    return status;
}

bool upload_take(struct request *request, const char *data, size_t bytes)
{
    struct upload *upload = request->upload;
    form_take(&upload->form, data, bytes);
    return true; /* after a fault the rest is read, so that the client receives the message */
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
    struct form *form = &upload->form;
    struct job *job = &upload->job;
    const char *segment = form_text(form, "segment"), *name = form_text(form, "name");

    job->segment = SEGMENT_AUTO;
    if (segment && strcmp(segment, "true") == 0)
        job->segment = SEGMENT_YES;
    else if (segment && strcmp(segment, "false") == 0)
        job->segment = SEGMENT_NO;
    else if (segment && strcmp(segment, "auto") != 0)
        form_fault(form, 400, "segment: '%.40s': expected true, false or auto", segment);
    form_number(form, "threshold_hu", -1000, 3000, &job->threshold_hu);
    form_number(form, "threshold", 0, 1, &job->threshold);
    form_settings(form, &job->settings);
    job->wanted = job->settings;

    const struct served_model *model = models_find(&form->request->server->models, form_text(form, "model"));
    if (model)
        snprintf(job->model, sizeof job->model, "%s", model->name);
    else
        form_fault(form, 400, "model: '%.40s': not on this server (/api/info lists its models)",
                   form_text(form, "model"));

    /* The whole file name: "000_defective" and "000_complete" are two skulls. */
    if (!job_name_set(job, name ? name : upload_base(form->file_name)))
        job_name_set(job, "skull");
}

/* What it must begin with, whatever its name; the readers see the rest when its turn comes. */
static bool upload_is_volume(const uint8_t head[FORM_HEAD_BYTES])
{
    uint32_t little = (uint32_t)head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 24;
    uint32_t big = (uint32_t)head[3] | (uint32_t)head[2] << 8 | (uint32_t)head[1] << 16 | (uint32_t)head[0] << 24;
    return memcmp(head, "NRRD", 4) == 0 || memcmp(head, "PK\3\4", 4) == 0 || (head[0] == 0x1f && head[1] == 0x8b) ||
           little == 348 || little == 540 || big == 348 || big == 540;
}

enum MHD_Result upload_respond(struct request *request)
{
    struct upload *upload = request->upload;
    struct form *form = &upload->form;
    struct error error = {0};

    if (!form->has_file || form->bytes == 0)
        form_fault(form, 400, form->has_file ? "file: is empty" : "file: is missing (curl -F file=@skull.nrrd)");
    if (form->bytes > 0 && !upload_is_volume(form->head))
        form_fault(
            form, 400,
            "file: neither NIfTI nor NRRD, nor a zip of DICOM files (write .nii.gz or .nrrd, or zip the series)");
    upload_fields(upload);

    if (!form_end(form) && !respond_reserve(request, 201, upload->job.id))
        form_fault(form, 503, SERVER_NO_MEMORY);
    if (!form->status && store_add(request->server->store, &upload->job, &error))
        form_fault(form, error.no_memory ? 503 : 507,
                   error.no_memory ? SERVER_NO_MEMORY : "the server cannot store the job (contact its operator)");
    if (form->status)
        return respond_error(request, form->status, "%s", form->why);
    upload->queued = true;

    return respond_job(request, 201, upload->job.id);
}

void upload_end(struct request *request)
{
    struct upload *upload = request->upload;
    if (!upload)
        return;
    form_close(&upload->form);
    if (upload->begun && !upload->queued)
        store_abandon(request->server->store, &upload->job);
    if (!upload->queued)
        store_release(request->server->store);
    memory_free(upload->folder);
    memory_free(upload);
    request->upload = NULL;
}
