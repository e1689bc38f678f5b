/* job.h - one restoration: its options, its progress, its files. Private to serve/.
 *
 * A job's folder, STATE/jobs/ID/:  job.json (written by the server, atomically), in/upload (as it came), in/edit (what
 * was painted by hand), work/ (the child's own, the kept restoration among it), out/ (results), log.txt (standard error
 * of the child). No name in it comes from a user.
 *
 * A job that is done may be revised: other settings or another edit, without the network. It is queued once more, its
 * results stay until the new ones take their place (out.new becomes out), and they stay for good where that fails. */
#ifndef CALVARIA_SERVE_JOB_H
#define CALVARIA_SERVE_JOB_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <cjson/cJSON.h>

#include "base/config.h"
#include "base/error.h"
#include "infer/outcome.h"

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_DONE, JOB_FAILED, JOB_CANCELLED };
extern const char *const job_state_names[];

/* Is the upload a CT? AUTO: its values decide, which the child reports. */
enum job_segment { SEGMENT_NO, SEGMENT_YES, SEGMENT_AUTO };

enum {
    JOB_ID_LENGTH = 32,
    JOB_NAME_CHARS = 100,
    JOB_NAME_BYTES = 4 * JOB_NAME_CHARS + 1,
    JOB_TEXT_BYTES = 2048,
    JOB_STAGE_BYTES = 16,
    JOB_MODEL_BYTES = 64
};

/* What of a job can be changed once it is done. */
struct job_settings {
    struct outcome_rules rules; /* outcome_rules_table has the keys, limits, help */
    bool edited;                /* by in/edit */
};

/* Names in a job's folder that more than one part of the server uses. */
#define JOB_UPLOAD "in/upload"
#define JOB_EDIT "in/edit"         /* of the results */
#define JOB_EDIT_NEW "in/edit.new" /* of the revision under way */
#define JOB_RESULT "work/restoration"
#define JOB_OUT "out"
#define JOB_OUT_OLD "out.old" /* while a revision puts its own results in place */

/* A file a job may have. */
struct artefact {
    const char *name, *format; /* as in the URL; format NULL: takes none. Of several formats the first is the default */
    const char *path;          /* in the job's folder */
    const char *type, *ending; /* content type; "_implant.stl" as it follows the job's name when saved */
    bool shown;                /* inline, not as a download */
};
enum { ARTEFACTS = 17 };
extern const struct artefact artefacts[ARTEFACTS];
/* -1: no such name, -2: no such format of it. format may be NULL. */
int artefact_find(const char *name, const char *format);

struct job {
    char id[JOB_ID_LENGTH + 1], name[JOB_NAME_BYTES];
    char model[JOB_MODEL_BYTES]; /* its name on this server */
    enum job_state state;
    bool example;
    enum job_segment segment;
    double threshold_hu, threshold;              /* NaN: the default */
    struct job_settings settings, wanted;        /* of the results; of the revision under way */
    bool revising;                               /* queued or running once more: the results of before are there */
    int64_t revision;                            /* times it was revised */
    int attempts;                                /* times it was started */
    int64_t created_ms, started_ms, finished_ms; /* since 1970; 0: not yet */
    char error[JOB_TEXT_BYTES];                  /* of a job that is done: why its last revision was not made */
    double mesh_grid_mm;                         /* 0: not known */
    int64_t bytes[ARTEFACTS];                    /* -1: not there */
    cJSON *summary, *warnings;                   /* of the report; NULL before; owned */

    /* While the server runs. */
    double final_s; /* log_clock_s() when it ended, or where an earlier run ended it: its age does not follow the wall
                       clock */
    char stage[JOB_STAGE_BYTES];
    double percent;
    uint64_t version; /* changes whenever a user would see a change */
    pid_t pid;        /* of its child; 0: none */
    bool cancel, removed;
};

bool job_id_valid(const char *id); /* 32 lower-case hexadecimal digits */
bool job_is_final(const struct job *job);
/* 128 random bits. */
enum status job_id_make(char id[JOB_ID_LENGTH + 1], struct error *error);
/* Makes a name fit to be shown: valid UTF-8, no control characters, at most JOB_NAME_CHARS; false where nothing is
 * left. */
bool job_name_set(struct job *job, const char *text);
void job_error_set(struct job *job, const char *text); /* likewise */
/* The job ended: by `state`, or, of a revision that came to nothing, with the results it had. */
void job_end(struct job *job, enum job_state state, const char *why);
/* The name a file is saved under: letters, digits, dots, dashes and underscores, then the artefact's ending. */
void job_download_name(char *text, size_t size, const struct job *job, int artefact);

/* As the API returns it; NULL when memory is out. place 0: not queued. */
cJSON *job_json(const struct job *job, int64_t place, double keep_hours);
enum status job_write(const char *folder, const struct job *job, struct error *error); /* FOLDER/job.json */
/* STATUS_FAILED: it cannot be read. *ret_valid false: what was read is no record of a job. */
enum status job_read(struct job *ret, bool *ret_valid, const char *folder, struct error *error);
/* FOLDER/name, with no memory to run out of. */
struct job_path {
    char text[PATH_MAX];
};
struct job_path job_path(const char *folder, const char *name);
/* Where a revision ended before its results were in place, those of before return. Whether there are any. */
bool job_return_results(const char *folder);
/* Returns the results of before, finds the files that exist and reads the report. STATUS_FAILED: memory is out, and no
 * result is offered. */
enum status job_collect(struct job *job, const char *folder, struct error *error);
void job_done(struct job *job);
void job_time_text(char text[32], int64_t ms); /* 2026-01-02T03:04:05Z */

#endif
