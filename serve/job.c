/* job.c - the record of a job; see job.h. Test: tests/serve/test_route.c, tests/serve/test_server.sh */
#include "serve/job.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

const char *const job_state_names[] = {"queued", "running", "done", "failed", "cancelled", NULL};

/* The child's names: serve/work.c. */
const struct artefact artefacts[ARTEFACTS] = {
    {"input", NULL, JOB_UPLOAD, "application/octet-stream", "", false},
    {"skull", "nii.gz", "out/skull.nii.gz", "application/gzip", "_skull.nii.gz", false},
    {"skull", "nrrd", "out/skull.nrrd", "application/octet-stream", "_skull.nrrd", false},
    {"completed", "nii.gz", "out/skull_completed.nii.gz", "application/gzip", "_completed.nii.gz", false},
    {"completed", "nrrd", "out/skull_completed.nrrd", "application/octet-stream", "_completed.nrrd", false},
    {"implant", "nii.gz", "out/skull_implant.nii.gz", "application/gzip", "_implant.nii.gz", false},
    {"implant", "nrrd", "out/skull_implant.nrrd", "application/octet-stream", "_implant.nrrd", false},
    {"implant.stl", NULL, "out/skull_implant.stl", "model/stl", "_implant.stl", false},
    {"skull.ply", NULL, "out/skull.ply", "application/octet-stream", "_skull.ply", false},
    {"completed.ply", NULL, "out/completed.ply", "application/octet-stream", "_completed.ply", false},
    {"implant.ply", NULL, "out/implant.ply", "application/octet-stream", "_implant.ply", false},
    {"report.json", NULL, "out/skull_report.json", "application/json", "_report.json", true},
    {"report.html", NULL, "out/skull_report.html", "text/html; charset=utf-8", "_report.html", true},
    {"preview.png", NULL, "out/skull_implant.png", "image/png", "_implant.png", true},
    {"implant.3mf", NULL, "out/skull_implant.3mf", "model/3mf", "_implant.3mf", false},
    {"edit", NULL, JOB_EDIT, "application/gzip", "_edit.nii.gz", false},
    {"ct", NULL, "out/ct.nii.gz", "application/gzip", "_ct.nii.gz", false},
};

enum {
    ARTEFACT_STL = 7,
    ARTEFACT_IMPLANT_PLY = 10,
    ARTEFACT_REPORT = 11,
    ARTEFACT_3MF = 14,
    REPORT_MAX_BYTES = 1 << 20,
    JOB_FILE_MAX_BYTES = 1 << 16
};

int artefact_find(const char *name, const char *format)
{
    int found = -1;
    for (int i = 0; i < ARTEFACTS; i++) {
        if (strcmp(artefacts[i].name, name) != 0)
            continue;
        if (!format || (artefacts[i].format && strcmp(artefacts[i].format, format) == 0))
            return i;
        found = -2;
    }
    return found;
}

bool job_id_valid(const char *id)
{
    return strlen(id) == JOB_ID_LENGTH && strspn(id, "0123456789abcdef") == JOB_ID_LENGTH;
}

bool job_is_final(const struct job *job)
{
    return job->state == JOB_DONE || job->state == JOB_FAILED || job->state == JOB_CANCELLED;
}

enum status job_id_make(char id[JOB_ID_LENGTH + 1], struct error *error)
{
    uint8_t bytes[JOB_ID_LENGTH / 2];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return error_system(error, errno, "getrandom: no random bytes");
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(id + 2 * i, 3, "%02x", bytes[i]);
    return STATUS_OK;
}

/* Bytes of the UTF-8 character at `text`, 0 where there is none: overlong forms, surrogates and control characters are
 * none. */
static int job_utf8_length(const unsigned char *text)
{
    if (text[0] < 0x80)
        return text[0] >= 0x20 && text[0] != 0x7f;
    int n = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    if (text[0] < 0xc2 || text[0] > 0xf4)
        return 0;
    uint32_t value = text[0] & (0xffu >> (n + 1));

    for (int i = 1; i < n; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (text[i] & 0x3fu);
    }

    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    bool control = value < 0xa0 || (value >= 0x200b && value <= 0x200f) || (value >= 0x2028 && value <= 0x202e) ||
                   (value >= 0x2066 && value <= 0x2069) || value == 0xfeff;

    return value < least[n] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff) || control ? 0 : n;
}

/* Copies what can be shown; a line's end becomes a space. Returns the bytes. */
static size_t job_clean_text(char *to, size_t size, int most_chars, const char *text)
{
    size_t used = 0;
    const unsigned char *at = (const unsigned char *)text;

    for (int chars = 0; *at && chars < most_chars; chars++) {
        int n = job_utf8_length(at);
        if (used + (n > 0 ? (size_t)n : 1) >= size)
            break;

        /* Invalid bytes and control characters are dropped. */
        if (n > 0 && !(used == 0 && *at == ' '))
            for (int i = 0; i < n; i++)
                to[used++] = (char)at[i];
        else if (*at == '\n' && at[1])
            to[used++] = ' ';
        at += n > 0 ? n : 1;
    }

    to[used] = '\0';
    return used;
}

bool job_name_set(struct job *job, const char *text)
{
    return job_clean_text(job->name, sizeof job->name, JOB_NAME_CHARS, text) > 0;
}

void job_error_set(struct job *job, const char *text)
{
    job_clean_text(job->error, sizeof job->error, JOB_TEXT_BYTES, text);
}

void job_end(struct job *job, enum job_state state, const char *why)
{
    job_error_set(job, why);
    if (!job->revising) {
        job->state = state;
        return;
    }

    /* A revision: the results of before stay where the new ones were not made. */
    if (state == JOB_DONE)
        job->settings = job->wanted;
    job->wanted = job->settings;
    job->revising = false;
    job->state = JOB_DONE;
}

void job_download_name(char *text, size_t size, const struct job *job, int artefact)
{
    enum { MOST = 60 };
    static const char *const suffixes[] = {".nii.gz", ".nii", ".nrrd", ".nhdr"};
    char name[JOB_NAME_BYTES];
    size_t used = 0;

    snprintf(name, sizeof name, "%s", job->name);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (file_has_suffix(name, suffixes[i])) {
            name[strlen(name) - strlen(suffixes[i])] = '\0';
            break;
        }

    for (const char *at = name; *at && used < MOST && used + 1 < size; at++) {
        bool plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9') ||
                     *at == '-' || *at == '_' || (*at == '.' && used > 0);
        if (plain || (used > 0 && text[used - 1] != '_'))
            text[used++] = plain ? *at : '_';
    }

    /* No trailing underscore; an empty name becomes "skull". */
    while (used > 0 && text[used - 1] == '_')
        used--;
    text[used] = '\0';
    if (used == 0)
        snprintf(text, size, "skull");
    strncat(text, artefacts[artefact].ending, size - strlen(text) - 1);
}

void job_time_text(char text[32], int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    text[0] = '\0';
    if (gmtime_r(&seconds, &utc))
        strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

/* --- JSON --- */

static bool job_add_time(cJSON *object, const char *key, int64_t ms)
{
    char text[32];
    job_time_text(text, ms);
    return ms ? cJSON_AddStringToObject(object, key, text) != NULL : cJSON_AddNullToObject(object, key) != NULL;
}

static bool job_add_copy(cJSON *object, const char *key, const cJSON *item, bool list)
{
    cJSON *copy = item ? cJSON_Duplicate(item, true) : list ? cJSON_CreateArray() : cJSON_CreateNull();
    if (copy && cJSON_AddItemToObject(object, key, copy))
        return true;
    cJSON_Delete(copy);
    return false;
}

static bool job_add_files(cJSON *object, const struct job *job)
{
    cJSON *list = cJSON_AddArrayToObject(object, "files");
    bool ok = list != NULL;

    for (int i = 0; ok && i < ARTEFACTS; i++) {
        if (job->bytes[i] < 0)
            continue;
        const struct artefact *artefact = &artefacts[i];
        const char *format = artefact->format;
        char name[64], url[128];
        snprintf(name, sizeof name, "%s%s%s", artefact->name, format ? "." : "", format ? format : "");
        snprintf(url, sizeof url, "/api/jobs/%s/%s%s%s", job->id, artefact->name, format ? "?format=" : "",
                 format ? format : "");
        cJSON *file = cJSON_CreateObject();
        ok = cJSON_AddStringToObject(file, "name", name) && cJSON_AddStringToObject(file, "url", url) &&
             cJSON_AddStringToObject(file, "type", artefact->type) &&
             cJSON_AddNumberToObject(file, "bytes", (double)job->bytes[i]);
        if (!cJSON_AddItemToArray(list, file)) {
            cJSON_Delete(file);
            ok = false;
        }
    }

    return ok;
}

/* The rows of outcome_rules_table, numbers and flags. */
static bool job_add_settings(cJSON *parent, const char *key, const struct job_settings *settings)
{
    cJSON *object = cJSON_AddObjectToObject(parent, key);
    bool ok = object != NULL;
    for (const struct config_field *row = outcome_rules_table.fields; ok && row->key; row++) {
        const void *at = (const char *)&settings->rules + row->offset;
        ok = row->type == CONFIG_BOOL ? cJSON_AddBoolToObject(object, row->key, *(const bool *)at) != NULL
                                      : cJSON_AddNumberToObject(object, row->key, *(const double *)at) != NULL;
    }
    return ok && cJSON_AddBoolToObject(object, "edited", settings->edited);
}

cJSON *job_json(const struct job *job, int64_t place, double keep_hours)
{
    cJSON *object = cJSON_CreateObject();
    bool running = job->state == JOB_RUNNING;
    int64_t keep_ms = (int64_t)(keep_hours * 3600e3);
    bool ok =
        cJSON_AddStringToObject(object, "id", job->id) && cJSON_AddStringToObject(object, "name", job->name) &&
        cJSON_AddStringToObject(object, "state", job_state_names[job->state]) &&
        (place > 0 ? cJSON_AddNumberToObject(object, "queue_place", (double)place)
                   : cJSON_AddNullToObject(object, "queue_place")) &&
        (running ? cJSON_AddStringToObject(object, "stage", job->stage) : cJSON_AddNullToObject(object, "stage")) &&
        cJSON_AddNumberToObject(object, "percent", job->state == JOB_DONE ? 100 : floor(job->percent * 10) / 10) &&
        job_add_time(object, "created", job->created_ms) && job_add_time(object, "started", job->started_ms) &&
        job_add_time(object, "finished", job->finished_ms) &&
        job_add_time(object, "expires", job->finished_ms ? job->finished_ms + keep_ms : 0) &&
        cJSON_AddBoolToObject(object, "example", job->example) &&
        (job->segment == SEGMENT_AUTO ? cJSON_AddNullToObject(object, "segment")
                                      : cJSON_AddBoolToObject(object, "segment", job->segment == SEGMENT_YES)) &&
        cJSON_AddStringToObject(object, "model", job->model) && job_add_settings(object, "settings", &job->settings) &&
        cJSON_AddBoolToObject(object, "revising", job->revising) &&
        cJSON_AddNumberToObject(object, "revision", (double)job->revision) &&
        cJSON_AddNumberToObject(object, "input_bytes", (double)(job->bytes[0] > 0 ? job->bytes[0] : 0)) &&
        (job->error[0] ? cJSON_AddStringToObject(object, "error", job->error)
                       : cJSON_AddNullToObject(object, "error")) &&
        job_add_copy(object, "warnings", job->warnings, true) && job_add_copy(object, "summary", job->summary, false) &&
        job_add_files(object, job) &&
        (job->mesh_grid_mm > 0 ? cJSON_AddNumberToObject(object, "mesh_grid_mm", job->mesh_grid_mm)
                               : cJSON_AddNullToObject(object, "mesh_grid_mm"));

    if (ok)
        return object;
    cJSON_Delete(object);
    return NULL;
}

/* --- the file --- */

enum status job_write(const char *folder, const struct job *job, struct error *error)
{
    cJSON *object = cJSON_CreateObject();
    bool ok =
        cJSON_AddNumberToObject(object, "format_version", 1) && cJSON_AddStringToObject(object, "id", job->id) &&
        cJSON_AddStringToObject(object, "name", job->name) &&
        cJSON_AddStringToObject(object, "state", job_state_names[job->state]) &&
        cJSON_AddBoolToObject(object, "example", job->example) &&
        (job->segment == SEGMENT_AUTO ? cJSON_AddStringToObject(object, "segment", "auto")
                                      : cJSON_AddBoolToObject(object, "segment", job->segment == SEGMENT_YES)) &&
        (isnan(job->threshold_hu) || cJSON_AddNumberToObject(object, "threshold_hu", job->threshold_hu)) &&
        (isnan(job->threshold) || cJSON_AddNumberToObject(object, "threshold", job->threshold)) &&
        cJSON_AddStringToObject(object, "model", job->model) && job_add_settings(object, "settings", &job->settings) &&
        job_add_settings(object, "wanted", &job->wanted) && cJSON_AddBoolToObject(object, "revising", job->revising) &&
        cJSON_AddNumberToObject(object, "revision", (double)job->revision) &&
        cJSON_AddNumberToObject(object, "attempts", job->attempts) &&
        cJSON_AddNumberToObject(object, "created_ms", (double)job->created_ms) &&
        cJSON_AddNumberToObject(object, "started_ms", (double)job->started_ms) &&
        cJSON_AddNumberToObject(object, "finished_ms", (double)job->finished_ms) &&
        cJSON_AddNumberToObject(object, "mesh_grid_mm", job->mesh_grid_mm) &&
        cJSON_AddStringToObject(object, "error", job->error);
    char *text = ok ? cJSON_Print(object) : NULL;
    char *path = memory_printf("%s/job.json", folder);
    enum status status = text && path ? file_write(path, text, strlen(text), error)
                                      : error_memory(error, JOB_FILE_MAX_BYTES, "a job's record");

    memory_free(path);
    cJSON_free(text);
    cJSON_Delete(object);
    return status;
}

static double job_number(const cJSON *object, const char *key, double otherwise)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

/* 0 where it is none; what no record of ours holds becomes the nearest that can be held. */
static int64_t job_whole(const cJSON *object, const char *key)
{
    const double value = job_number(object, key, 0), most = 9007199254740992.0; /* 2^53 */
    return (int64_t)fmin(most, fmax(-most, value));
}

static const char *job_text(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return text ? text : "";
}

static struct job_settings job_read_settings(const cJSON *parent, const char *key)
{
    struct job_settings settings = {0};
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(parent, key);
    for (const struct config_field *row = outcome_rules_table.fields; row->key; row++) {
        void *at = (char *)&settings.rules + row->offset;
        if (row->type == CONFIG_BOOL)
            *(bool *)at = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, row->key));
        else
            *(double *)at = fmin(row->max, fmax(row->min, job_number(object, row->key, 0)));
    }
    settings.edited = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "edited"));
    return settings;
}

static bool job_parse(struct job *job, const cJSON *object)
{
    const char *id = job_text(object, "id"), *state = job_text(object, "state");
    if (!job_id_valid(id) || job_number(object, "format_version", 0) != 1 ||
        !job_name_set(job, job_text(object, "name")))
        return false;
    memcpy(job->id, id, sizeof job->id);
    int found = -1;
    for (int i = 0; job_state_names[i]; i++)
        if (strcmp(job_state_names[i], state) == 0)
            found = i;
    if (found < 0)
        return false;
    job->state = (enum job_state)found;
    job->example = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "example"));
    job->segment = strcmp(job_text(object, "segment"), "auto") == 0                    ? SEGMENT_AUTO
                   : cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "segment")) ? SEGMENT_YES
                                                                                       : SEGMENT_NO;
    job->threshold_hu = job_number(object, "threshold_hu", NAN);
    job->threshold = job_number(object, "threshold", NAN);
    snprintf(job->model, sizeof job->model, "%s", job_text(object, "model"));
    job->settings = job_read_settings(object, "settings");
    job->wanted = job_read_settings(object, "wanted");
    job->revising = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "revising"));
    job->revision = job_whole(object, "revision");
    job->attempts = (int)fmax(0, fmin(INT_MAX, (double)job_whole(object, "attempts")));
    job->created_ms = job_whole(object, "created_ms");
    job->started_ms = job_whole(object, "started_ms");
    job->finished_ms = job_whole(object, "finished_ms");
    job->mesh_grid_mm = job_number(object, "mesh_grid_mm", 0);
    job_error_set(job, job_text(object, "error"));

    return true;
}

/* *ret: NULL where the file cannot be read, or holds no JSON. */
static enum status job_read_json(cJSON **ret, const char *folder, const char *name, size_t max_bytes,
                                 struct error *error)
{
    char *text = NULL, *path = memory_printf("%s/%s", folder, name);
    size_t bytes = 0;
    const enum status status =
        path ? file_read(&text, &bytes, path, max_bytes, error) : error_memory(error, 256, "a path");
    struct error no_json = {0};
    *ret = NULL;
    if (!status)
        json_parse(ret, text, path, &no_json);
    memory_free(text);
    memory_free(path);
    return error_if_memory(error, &no_json) ? STATUS_FAILED : status;
}

enum status job_read(struct job *ret, bool *ret_valid, const char *folder, struct error *error)
{
    struct job job = {0};
    cJSON *object;
    const enum status status = job_read_json(&object, folder, "job.json", JOB_FILE_MAX_BYTES, error);
    *ret_valid = object && job_parse(&job, object);
    if (*ret_valid)
        *ret = job;
    cJSON_Delete(object);
    return status;
}

/* A report without an implant has none. */
static enum status job_summary(struct job *job, const cJSON *report, struct error *error)
{
    static const char *const keys[] = {"volume_ml",        "extent_mm",      "thickness_mean_mm",
                                       "thickness_max_mm", "rim_gap_mm",     "rim_contact_frac",
                                       "components",       "removed_pieces", "removed_ml"};
    const cJSON *implant = cJSON_GetObjectItemCaseSensitive(report, "implant");
    const cJSON *mesh = cJSON_GetObjectItemCaseSensitive(report, "mesh");
    const cJSON *warnings = cJSON_GetObjectItemCaseSensitive(report, "warnings");
    cJSON_Delete(job->summary);
    cJSON_Delete(job->warnings);
    job->summary = job->warnings = NULL;
    if (!implant)
        return STATUS_OK;
    cJSON *summary = cJSON_CreateObject();
    bool ok = summary != NULL;

    for (size_t i = 0; ok && i < sizeof keys / sizeof *keys; i++)
        ok = job_add_copy(summary, keys[i], cJSON_GetObjectItemCaseSensitive(implant, keys[i]), false);
    ok = ok && job_add_copy(summary, "area_cm2", cJSON_GetObjectItemCaseSensitive(mesh, "area_cm2"), false) &&
         cJSON_AddBoolToObject(summary, "watertight",
                               cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(mesh, "watertight")));
    if (!ok)
        cJSON_Delete(summary);
    else
        job->summary = summary;
    if (ok && cJSON_IsArray(warnings))
        ok = (job->warnings = cJSON_Duplicate(warnings, true)) != NULL;
    return ok ? STATUS_OK : error_memory(error, REPORT_MAX_BYTES, "a job's summary");
}

struct job_path job_path(const char *folder, const char *name)
{
    struct job_path path;
    snprintf(path.text, sizeof path.text, "%s/%s", folder, name);
    return path;
}

bool job_return_results(const char *folder)
{
    const struct job_path out = job_path(folder, JOB_OUT);
    return file_exists(out.text) || rename(job_path(folder, JOB_OUT_OLD).text, out.text) == 0;
}

enum status job_collect(struct job *job, const char *folder, struct error *error)
{
    job_return_results(folder);
    for (int i = 0; i < ARTEFACTS; i++) {
        struct stat info;
        bool there = (i == 0 || job->state == JOB_DONE || job->revising) &&
                     stat(job_path(folder, artefacts[i].path).text, &info) == 0 && S_ISREG(info.st_mode);
        job->bytes[i] = there ? (int64_t)info.st_size : -1;
    }

    struct error unreadable = {0};
    cJSON *report = NULL;
    if (job->bytes[ARTEFACT_REPORT] > 0)
        job_read_json(&report, folder, artefacts[ARTEFACT_REPORT].path, REPORT_MAX_BYTES, &unreadable);
    enum status status = error_if_memory(error, &unreadable) ? STATUS_FAILED : STATUS_OK;
    if (!status && report)
        status = job_summary(job, report, error);
    cJSON_Delete(report);
    for (int i = 1; status && i < ARTEFACTS; i++)
        job->bytes[i] = -1;

    /* An empty implant has nothing to print. */
    if (job->summary && job_number(job->summary, "components", 1) == 0)
        job->bytes[ARTEFACT_STL] = job->bytes[ARTEFACT_3MF] = job->bytes[ARTEFACT_IMPLANT_PLY] = -1;
    return status;
}

void job_done(struct job *job)
{
    cJSON_Delete(job->summary);
    cJSON_Delete(job->warnings);
    job->summary = job->warnings = NULL;
}
