/* revise.c - a job that is done, once more: with other settings or an edit (POST .../revise, without the network), or
 * by another model (POST .../copy); see http.h. Test: tests/serve/test_revise.sh */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "serve/form.h"
#include "serve/server.h"

struct revise {
    struct form form;
    struct job job; /* as it was when the request began */
    char *path;     /* of the edit, until the store takes it */
    bool moved;
};

int revise_begin(struct request *request)
{
    static const char *const names[] = {"drop_edit", NULL};
    struct store *store = request->server->store;
    struct error error = {0};
    char *folder = NULL, unique[JOB_ID_LENGTH + 1];
    int status = form_check(request);
    if (status)
        return status;
    struct revise *revise = memory_zalloc(1, sizeof *revise);
    if (!revise || job_id_make(unique, &error)) {
        memory_free(revise);
        snprintf(request->why, sizeof request->why, SERVER_NO_MEMORY);
        return 503;
    }
    status = store_copy(store, request->id, &revise->job, &folder);
    if (status) {
        memory_free(revise);
        if (status == 404)
            snprintf(request->why, sizeof request->why, "%s: no such job (deleted, or older than %g hours)",
                     request->id, request->server->config->keep_hours);
        else
            snprintf(request->why, sizeof request->why, SERVER_NO_MEMORY);
        return status;
    }
    status = store_reserve(store, request->body_bytes, request->why);
    if (status) {
        memory_free(folder);
        memory_free(revise);
        return status;
    }

    request->upload = revise;
    revise->form.handle = -1;
    revise->path = memory_printf("%s/in/edit.%s", folder, unique);
    memory_free(folder);
    return form_open(&revise->form, request, names, "edit", revise->path);
}

bool revise_take(struct request *request, const char *data, size_t bytes)
{
    struct revise *revise = request->upload;
    form_take(&revise->form, data, bytes);
    return true;
}

enum MHD_Result revise_respond(struct request *request)
{
    struct revise *revise = request->upload;
    struct form *form = &revise->form;
    struct job_settings wanted = revise->job.settings; /* what is not sent stays as it is */
    const char *drop = form_text(form, "drop_edit");
    char why[JOB_TEXT_BYTES];

    form_settings(form, &wanted);
    if (drop && strcmp(drop, "true") != 0 && strcmp(drop, "false") != 0)
        form_fault(form, 400, "drop_edit: '%.40s': expected true or false", drop);
    if (form->has_file && !(form->bytes > 2 && form->head[0] == 0x1f && form->head[1] == 0x8b))
        form_fault(form, 400, "edit: no .nii.gz (labels 1 add, 2 erase, 3 allow, 4 exclude as bytes)");
    if (form->has_file)
        wanted.edited = true;
    else if (drop && strcmp(drop, "true") == 0)
        wanted.edited = false;
    if (form_end(form))
        return respond_error(request, form->status, "%s", form->why);

    if (!respond_reserve(request, 202, request->id))
        return respond_error(request, 503, SERVER_NO_MEMORY);
    int status = store_revise(request->server->store, request->id, &wanted, form->has_file ? revise->path : NULL, why);
    if (status)
        return status == 404 ? respond_absent(request) : respond_error(request, status, "%s", why);
    revise->moved = true;
    if (!form->has_file)
        unlink(revise->path);
    return respond_job(request, 202, request->id);
}

void revise_end(struct request *request)
{
    struct revise *revise = request->upload;
    if (!revise)
        return;
    form_close(&revise->form);
    if (!revise->moved) {
        if (revise->path)
            unlink(revise->path);
        store_release(request->server->store);
    }
    memory_free(revise->path);
    memory_free(revise);
    request->upload = NULL;
}

/* --- by another model --- */

/* The same upload as a job of its own: both files are one on the disk. */
static enum status copy_make(struct request *request, struct job *job, const char *from, struct error *error)
{
    struct store *store = request->server->store;
    char *folder = NULL;
    if (store_begin(store, job, &folder, error))
        return error->status;
    char *source = memory_printf("%s/%s", from, JOB_UPLOAD), *target = memory_printf("%s/%s", folder, JOB_UPLOAD);
    enum status status = STATUS_OK;
    if (!source || !target || (!job->example && link(source, target))) /* an example is made anew */
        status = error_system(error, errno, "%s: cannot be linked", job->id);
    if (!status && !respond_reserve(request, 201, job->id))
        status = error_memory(error, 0, "the response");
    if (!status)
        status = store_add(store, job, error);
    if (status)
        store_abandon(store, job);
    memory_free(source);
    memory_free(target);
    memory_free(folder);
    return status;
}

enum MHD_Result copy_respond(struct request *request)
{
    struct server *server = request->server;
    const char *name = request_argument(request, "model");
    const struct served_model *model = models_find(&server->models, name);
    struct error error = {0};
    struct job from;
    char *folder = NULL, why[JOB_TEXT_BYTES];

    if (!model)
        return respond_error(request, 400, "model: '%.40s': not on this server (/api/info lists its models)", name);
    int status = store_copy(server->store, request->id, &from, &folder);
    if (status)
        return status == 404 ? respond_absent(request) : respond_error(request, status, SERVER_NO_MEMORY);
    status = store_reserve(server->store, from.bytes[0] > 0 ? from.bytes[0] : 0, why);
    if (status) {
        memory_free(folder);
        return respond_error(request, status, "%s", why);
    }

    /* Settings come along, an edit does not: it belongs to the other implant. */
    struct job job = {.example = from.example,
                      .segment = from.segment,
                      .threshold_hu = from.threshold_hu,
                      .threshold = from.threshold,
                      .settings = from.settings};
    job.settings.edited = false;
    job.wanted = job.settings;
    memcpy(job.name, from.name, sizeof job.name);
    snprintf(job.model, sizeof job.model, "%s", model->name);
    enum status made = copy_make(request, &job, folder, &error);
    memory_free(folder);
    if (!made)
        return respond_job(request, 201, job.id);
    store_release(server->store);
    return respond_unstored(request, &error);
}
