/* form.c - see form.h. Test: tests/serve/test_server.sh */
#include "serve/form.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "serve/server.h"

enum { PARSER_BYTES = 64 << 10, OVERHEAD_BYTES = 64 << 10 };

void form_fault(struct form *form, int status, const char *format, ...)
{
    va_list args;
    if (form->status)
        return;
    form->status = status;
    va_start(args, format);
    vsnprintf(form->why, sizeof form->why, format, args);
    va_end(args);
}

/* --- the parts --- */

static void form_file(struct form *form, const char *name, const char *data, uint64_t offset, size_t bytes)
{
    const struct server *server = form->request->server;
    if (offset == 0 && form->has_file && form->bytes > 0)
        form_fault(form, 400, "%s: sent twice (one volume per job)", form->file_key);
    if (!form->has_file)
        snprintf(form->file_name, sizeof form->file_name, "%s", name ? name : "");
    form->has_file = true;
    if (form->bytes + (int64_t)bytes > server->max_upload_bytes)
        form_fault(form, 413, "%s: larger than %" PRId64 " bytes (crop it, or save it compressed)", form->file_key,
                   server->max_upload_bytes);

    for (size_t done = 0; !form->status && done < bytes;) {
        ssize_t n = write(form->handle, data + done, bytes - done);
        if (n < 0 && errno != EINTR)
            form_fault(form, 507, "the server cannot store the file: %s (contact its operator)", strerror(errno));
        for (ssize_t i = 0; i < n && form->bytes + i < FORM_HEAD_BYTES; i++)
            form->head[form->bytes + i] = (uint8_t)data[done + (size_t)i];
        if (n > 0) {
            done += (size_t)n;
            form->bytes += n;
        }
    }
}

static void form_unknown(struct form *form, const char *key)
{
    char known[FORM_TEXT_BYTES];
    int used = snprintf(known, sizeof known, "%s", form->file_key);
    for (int i = 0; i < form->n_fields && used >= 0 && used < (int)sizeof known; i++)
        used += snprintf(known + used, sizeof known - (size_t)used, ", %s", form->field[i].name);
    form_fault(form, 400, "%.60s: unknown field (known: %s)", key ? key : "(no name)", known);
}

static enum MHD_Result form_part(void *context, enum MHD_ValueKind kind, const char *key, const char *file_name,
                                 const char *type, const char *encoding, const char *data, uint64_t offset,
                                 size_t bytes)
{
    struct form *form = context;
    (void)kind, (void)type, (void)encoding;
    if (errno == ENOMEM) /* see form_take */
        form_fault(form, 503, SERVER_NO_MEMORY);
    if (key && strcmp(key, form->file_key) == 0) {
        form_file(form, file_name, data, offset, bytes);
        return MHD_YES;
    }

    for (int i = 0; key && i < form->n_fields; i++) {
        struct form_field *field = &form->field[i];
        if (strcmp(key, field->name) != 0)
            continue;
        if (offset == 0 && field->given && field->text[0])
            form_fault(form, 400, "%s: given twice", key);
        field->given = true;
        if (offset + bytes >= FORM_TEXT_BYTES)
            form_fault(form, 400, "%s: longer than %d bytes", key, FORM_TEXT_BYTES - 1);
        else if (bytes > 0) {
            memcpy(field->text + offset, data, bytes);
            field->text[offset + bytes] = '\0';
        }
        return MHD_YES;
    }

    form_unknown(form, key);
    return MHD_YES;
}

/* --- begin and end --- */

int form_check(struct request *request)
{
    const int64_t most = request->server->max_upload_bytes;
    const char *type = request_header(request, "Content-Type");

    if (!type || strncasecmp(type, "multipart/form-data", 19) != 0 || !strstr(type, "boundary=")) {
        snprintf(request->why, sizeof request->why,
                 "Content-Type: expected multipart/form-data (curl -F file=@skull.nrrd)");
        return 415;
    }
    if (request->body_bytes < 0) {
        snprintf(request->why, sizeof request->why, "Content-Length: missing (uploads need their size)");
        return 411;
    }
    if (request->body_bytes > most + OVERHEAD_BYTES) {
        snprintf(request->why, sizeof request->why,
                 "file: larger than %" PRId64 " bytes (crop it, or save it compressed)", most);
        return 413;
    }
    return 0;
}

int form_open(struct form *form, struct request *request, const char *const *names, const char *file_key,
              const char *path)
{
    *form = (struct form){.request = request, .handle = -1, .file_key = file_key};
    for (; names[form->n_fields] && form->n_fields < FORM_FIELDS; form->n_fields++)
        form->field[form->n_fields].name = names[form->n_fields];
    for (const struct config_field *row = outcome_rules_table.fields; row->key && form->n_fields < FORM_FIELDS; row++)
        form->field[form->n_fields++].name = row->key;

    form->handle = path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    if (form->handle < 0) {
        snprintf(request->why, sizeof request->why, "the server cannot store the file (contact its operator)");
        return 507;
    }
    errno = 0;
    form->parser = MHD_create_post_processor(request->connection, PARSER_BYTES, form_part, form);
    if (!form->parser && errno == ENOMEM) {
        snprintf(request->why, sizeof request->why, SERVER_NO_MEMORY);
        return 503;
    }
    if (!form->parser) {
        snprintf(request->why, sizeof request->why, "Content-Type: no usable boundary (curl -F file=@skull.nrrd)");
        return 415;
    }
    return 0;
}

void form_take(struct form *form, const char *data, size_t bytes)
{
    errno = 0;
    const bool well_formed = form->status || MHD_post_process(form->parser, data, bytes) == MHD_YES;
    if (errno == ENOMEM) /* a part's name or the file's is missing then, which libmicrohttpd does not tell */
        form_fault(form, 503, SERVER_NO_MEMORY);
    if (!well_formed)
        form_fault(form, 400, "body: no well-formed multipart/form-data (curl -F file=@skull.nrrd)");
    form->request->server->upload_bytes += (long long)bytes;
}

int form_end(struct form *form)
{
    errno = 0;
    enum MHD_Result complete = MHD_destroy_post_processor(form->parser);
    form->parser = NULL;
    if (complete != MHD_YES)
        form_fault(form, 400, "body: multipart/form-data that does not end (a broken upload?)");

    /* On disk before the client receives the response. */
    bool stored = form->status || fsync(form->handle) == 0;
    if (close(form->handle) || !stored)
        form_fault(form, 507, "the server cannot store the file: %s (contact its operator)", strerror(errno));
    form->handle = -1;
    return form->status;
}

void form_close(struct form *form)
{
    if (form->parser)
        MHD_destroy_post_processor(form->parser);
    if (form->handle >= 0)
        close(form->handle);
    form->parser = NULL;
    form->handle = -1;
}

/* --- the fields --- */

const char *form_text(const struct form *form, const char *name)
{
    for (int i = 0; i < form->n_fields; i++)
        if (strcmp(form->field[i].name, name) == 0)
            return form->field[i].text[0] ? form->field[i].text : NULL;
    return NULL;
}

void form_number(struct form *form, const char *name, double least, double most, double *ret)
{
    const char *text = form_text(form, name);
    char *end = NULL;
    if (!text)
        return;
    double value = strtod(text, &end);
    if (*end || !(value >= least && value <= most))
        form_fault(form, 400, "%s: '%.40s': expected a number from %g to %g", name, text, least, most);
    else
        *ret = value;
}

void form_settings(struct form *form, struct job_settings *settings)
{
    struct arena arena = {0};
    struct error error = {0};
    for (const struct config_field *field = outcome_rules_table.fields; field->key; field++) {
        const char *text = form_text(form, field->key);
        if (text && config_set_text(field, &settings->rules, text, field->key, &arena, &error))
            form_fault(form, error.status == STATUS_USAGE ? 400 : 503, "%.*s", (int)strcspn(error.text, "\n"),
                       error.text);
    }
    arena_done(&arena);
}
