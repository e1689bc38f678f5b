/* form.h - multipart/form-data: the text fields that are known into memory, one file straight to disk. Private to
 * serve/.
 *
 *     status = form_check(request, max_bytes);                      // before the body, by its headers
 *     status = form_open(&form, request, names, "file", path);
 *     form_take(&form, data, bytes);                                // each part of the body
 *     status = form_end(&form);                                     // the file is on disk
 *     form_close(&form);
 *
 * The first fault is kept (form->status, form->why); the rest of the body is read, so that the client receives it. */
#ifndef CALVARIA_SERVE_FORM_H
#define CALVARIA_SERVE_FORM_H

#include "serve/http.h"

enum { FORM_TEXT_BYTES = 512, FORM_HEAD_BYTES = 4, FORM_FIELDS = 16 };

struct form_field {
    const char *name;
    char text[FORM_TEXT_BYTES];
    bool given;
};

struct form {
    struct request *request;
    struct MHD_PostProcessor *parser;
    const char *file_key;
    int handle; /* -1: the file is closed */
    bool has_file;
    int64_t bytes;                 /* of the file */
    uint8_t head[FORM_HEAD_BYTES]; /* its first bytes */
    char file_name[FORM_TEXT_BYTES];
    int n_fields;
    struct form_field field[FORM_FIELDS];
    int status; /* of the first fault; 0: none */
    char why[JOB_TEXT_BYTES];
};

/* 0, or 411, 413, 415 with request->why. */
int form_check(struct request *request);
/* names end with NULL; the rows of outcome_rules_table are known as well. 0, or 415, 507 with request->why. `path`:
 * made here, absent before. */
int form_open(struct form *form, struct request *request, const char *const *names, const char *file_key,
              const char *path);
void form_take(struct form *form, const char *data, size_t bytes);
void form_fault(struct form *form, int status, const char *format, ...) ERROR_PRINTF(3, 4);
/* 0, or the status of the first fault with form->why. */
int form_end(struct form *form);
/* NULL: not given, or empty. */
const char *form_text(const struct form *form, const char *name);
/* A number of the whole text in [least, most]; *ret stays where it was not given. */
void form_number(struct form *form, const char *name, double least, double most, double *ret);
/* The rows of outcome_rules_table that were given; the others stay. */
void form_settings(struct form *form, struct job_settings *settings);
void form_close(struct form *form);

#endif
