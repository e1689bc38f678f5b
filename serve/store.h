/* store.h - every job of the server: in memory for the requests, in STATE/jobs for the next start. Private to serve/.
 *
 * All functions are safe from any thread. A job is changed by its runner alone while it runs, under the store's lock.
 */
#ifndef CALVARIA_SERVE_STORE_H
#define CALVARIA_SERVE_STORE_H

#include "serve/job.h"

struct store;

struct store_limits {
    int64_t queue;     /* jobs that may wait, uploads on their way included */
    double keep_hours; /* finished jobs go after */
};
struct store_count {
    int64_t queued, running, kept, uploading;           /* now */
    int64_t accepted, done, failed, cancelled, refused; /* since the start */
    double work_s;                                      /* of finished jobs */
};

/* Takes STATE for this process alone (a lock file), reads the jobs of earlier runs: finished ones stay, the others are
 * returned to the queue, one that was started `STORE_ATTEMPTS` times in vain has failed. *changed is called, without
 * the lock, after every change a user would see. */
enum { STORE_ATTEMPTS = 3, STORE_JOBS = 4096 };
enum status store_open(struct store **ret, const char *folder, const struct store_limits *limits,
                       void (*changed)(void *context), void *context, struct error *error);
void store_close(struct store *store);

/* A place in the queue for an upload of `bytes` on its way; 0, or the HTTP status (503, 507) with *ret_why. */
int store_reserve(struct store *store, int64_t bytes, char why[JOB_TEXT_BYTES]);
void store_release(struct store *store);
/* A new job's folder with in/, work/ and out/: *ret_folder (memory_free). Fills id and created_ms. */
enum status store_begin(struct store *store, struct job *job, char **ret_folder, struct error *error);
/* Queues the job for which a place was reserved; it is on disk when this returns. */
enum status store_add(struct store *store, struct job *job, struct error *error);
void store_abandon(struct store *store,
                   const struct job *job); /* after store_begin, in place of store_add: removes the folder */

/* Queues a job that is done once more, with other settings; a place was reserved. edit: a file that becomes the job's
 * edit (moved); NULL: no new one. 0, or 404, 409, 503, 507 with *ret_why. */
int store_revise(struct store *store, const char *id, const struct job_settings *wanted, const char *edit,
                 char why[JOB_TEXT_BYTES]);
/* The job's record as it is now, without summary and warnings, and its folder (memory_free). 0; 404: there is none;
 * 503: no memory. */
int store_copy(struct store *store, const char *id, struct job *ret, char **ret_folder);

/* The job as JSON (cJSON_free), or NULL where there is none. */
char *store_json(struct store *store, const char *id, uint64_t *ret_version, bool *ret_final);
/* The version alone; 0 where there is none. */
uint64_t store_version(struct store *store, const char *id);
/* An open file of a job. */
struct store_file {
    int handle;
    int64_t bytes;
    char name[128]; /* as it is saved */
    char tag[40];   /* an entity tag: changes with the content */
};
/* 0; 404: no such job or file; 503: it is there and cannot be opened now (open files, memory, the disk). */
int store_open_file(struct store *store, const char *id, int artefact, struct store_file *ret);
/* 0, 404, or 409 where it has ended. */
int store_cancel(struct store *store, const char *id);
int store_remove(struct store *store, const char *id);
void store_expire(struct store *store); /* removes what was kept long enough */
struct store_count store_count(struct store *store);

/* For the runners. */
/* The next queued job, now running: a copy, and its folder (memory_free). Waits; false when store_stop was called. */
bool store_take(struct store *store, struct job *ret, char **ret_folder);
void store_child(struct store *store, const char *id, pid_t pid); /* 0: it is gone */
bool store_unwanted(struct store *store, const char *id);         /* cancelled or removed meanwhile */
void store_progress(struct store *store, const char *id, const char *stage, double percent);
/* job->state is how it ended; JOB_QUEUED puts it back. */
void store_finish(struct store *store, struct job *job);
void store_stop(struct store *store); /* no job is taken or accepted any more */
void store_kill(struct store *store); /* ends the children that still run */

#endif
