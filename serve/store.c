/* store.c - the table of jobs and its folder; see store.h. Test: tests/serve/test_server.sh */
#include "serve/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/folder.h"

static const int64_t DISK_MARGIN_BYTES = (int64_t)256
                                         << 20; /* free in addition to what an upload and its results may take */
/* STORE_NAMES: more than the longest name below the folder of all jobs. */
enum { RESULTS_PER_UPLOAD = 4, RETRY_S = 15, STORE_NAMES = 128 };

struct store {
    pthread_mutex_t mutex;
    pthread_cond_t queued;
    char *folder; /* STATE/jobs */
    int lock;
    struct store_limits limits;
    void (*changed)(void *context);
    void *context;
    struct job **jobs; /* in the order they came */
    int64_t n, room, uploading;
    uint64_t version;
    struct store_count count;
    bool stopping;
};

static int64_t store_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct job *store_find(const struct store *store, const char *id)
{
    for (int64_t i = 0; i < store->n; i++)
        if (!store->jobs[i]->removed && strcmp(store->jobs[i]->id, id) == 0)
            return store->jobs[i];
    return NULL;
}

/* A file of a job, or with name "" its folder. */
static struct job_path store_path(const struct store *store, const char *id, const char *name)
{
    const struct job_path folder = job_path(store->folder, id);
    return *name ? job_path(folder.text, name) : folder;
}

static char *store_folder(const struct store *store, const char *id)
{
    return memory_strdup(store_path(store, id, "").text);
}

static void store_touch(struct store *store, struct job *job)
{
    job->version = ++store->version;
}

static int64_t store_queued(const struct store *store)
{
    int64_t n = 0;
    for (int64_t i = 0; i < store->n; i++)
        n += store->jobs[i]->state == JOB_QUEUED && !store->jobs[i]->removed;
    return n;
}

/* Others move up in the queue: they have changed, too. */
static void store_touch_queued(struct store *store)
{
    for (int64_t i = 0; i < store->n; i++)
        if (store->jobs[i]->state == JOB_QUEUED)
            store_touch(store, store->jobs[i]);
}

static enum status store_put(struct store *store, struct job *job, struct error *error)
{
    if (store->n == store->room) {
        int64_t room = store->room ? 2 * store->room : 64;
        struct job **grown =
            memory_resize(store->jobs, (size_t)store->room * sizeof *grown, (size_t)room * sizeof *grown);
        if (!grown)
            return error_memory(error, (size_t)room * sizeof *grown, "the table of jobs");
        store->jobs = grown;
        store->room = room;
    }

    struct job *copy = memory_alloc(1, sizeof *copy);
    if (!copy)
        return error_memory(error, sizeof *copy, "a job");
    *copy = *job;
    store->jobs[store->n++] = copy;
    store_touch(store, copy);

    return STATUS_OK;
}

/* Takes it out of the table; its folder stays. */
static void store_drop(struct store *store, struct job *job)
{
    for (int64_t i = 0; i < store->n; i++)
        if (store->jobs[i] == job) {
            memmove(store->jobs + i, store->jobs + i + 1, (size_t)(store->n - i - 1) * sizeof *store->jobs);
            store->n--;
            break;
        }
    job_done(job);
    memory_free(job);
}

/* --- start and end --- */

static enum status store_lock(struct store *store, const char *folder, struct error *error)
{
    char *path = memory_printf("%s/lock", folder);
    store->lock = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    memory_free(path);
    if (store->lock < 0)
        return error_system(error, errno, "--state %s: cannot be locked", folder);
    if (flock(store->lock, LOCK_EX | LOCK_NB))
        return error_set(error, STATUS_FAILED, "--state %s: another server uses it (give this one a folder of its own)",
                         folder);
    return STATUS_OK;
}

/* What was not finished returns to the queue. */
static enum status store_recover_job(struct store *store, struct job *job, const char *folder, struct error *error)
{
    struct error unwritten = {0};
    const bool gave_up = job->state == JOB_RUNNING && job->attempts >= STORE_ATTEMPTS;
    if (gave_up) {
        job->finished_ms = store_now_ms();
        job_end(job, JOB_FAILED,
                "the server stopped each of the three times it worked on this (is the volume too large for it?)");
    } else if (job->state == JOB_RUNNING) {
        job->state = JOB_QUEUED;
    }
    job->final_s = log_clock_s() - 1e-3 * (double)(store_now_ms() - job->finished_ms);
    if (job_collect(job, folder, error) || store_put(store, job, error)) {
        job_done(job);
        return error->status;
    }
    if (gave_up && job_write(folder, job, &unwritten))
        log_warn("%s", unwritten.text);
    return STATUS_OK;
}

/* A folder of an earlier run. Only one without a record, or of another name than its job's, is removed: where a record
 * cannot be read, this time, the server does not start. */
static enum status store_recover(struct store *store, const char *name, struct error *error)
{
    struct job job;
    bool valid = false;
    const struct job_path folder = store_path(store, name, ""), record = store_path(store, name, "job.json");
    struct stat info;
    if (!job_id_valid(name) || (stat(record.text, &info) != 0 && (errno == ENOENT || errno == ENOTDIR))) {
        folder_remove(folder.text); /* an upload that never ended */
        return STATUS_OK;
    }

    enum status status = job_read(&job, &valid, folder.text, error);
    if (!status && !valid)
        log_warn("%s: no record of a job: it stays as it is (remove its folder by hand)", record.text);
    else if (!status && strcmp(job.id, name) != 0)
        folder_remove(folder.text);
    else if (!status)
        status = store_recover_job(store, &job, folder.text, error);
    return status;
}

static void store_sort(struct store *store)
{
    for (int64_t i = 1; i < store->n; i++)
        for (int64_t j = i; j > 0 && store->jobs[j]->created_ms < store->jobs[j - 1]->created_ms; j--) {
            struct job *swap = store->jobs[j];
            store->jobs[j] = store->jobs[j - 1];
            store->jobs[j - 1] = swap;
        }
}

enum status store_open(struct store **ret, const char *folder, const struct store_limits *limits,
                       void (*changed)(void *context), void *context, struct error *error)
{
    struct arena arena = {0};
    struct config_strings names = {0};
    struct store *store = memory_zalloc(1, sizeof *store);

    if (!store)
        return error_memory(error, sizeof *store, "the table of jobs");
    *store = (struct store){.lock = -1, .limits = *limits, .changed = changed, .context = context};
    pthread_mutex_init(&store->mutex, NULL);
    pthread_cond_init(&store->queued, NULL);
    store->folder = memory_printf("%s/jobs", folder);

    enum status status =
        store->folder ? file_make_folders(store->folder, error) : error_memory(error, strlen(folder), "a path");
    if (!status && strlen(store->folder) + STORE_NAMES >= PATH_MAX)
        status = error_set(error, STATUS_FAILED, "--state %s: too long a path", folder);
    if (!status && (chmod(folder, 0700) || chmod(store->folder, 0700)))
        status = error_system(error, errno, "--state %s: cannot be kept from other users", folder);
    if (!status)
        status = store_lock(store, folder, error);
    if (!status)
        status = file_list(&names, store->folder, &arena, error);

    /* Jobs of earlier runs, oldest first. */
    for (int64_t i = 0; !status && i < names.n; i++)
        status = store_recover(store, names.items[i], error);
    arena_done(&arena);
    if (status) {
        store_close(store);
        return status;
    }
    store_sort(store);
    *ret = store;

    return STATUS_OK;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    while (store->n)
        store_drop(store, store->jobs[store->n - 1]);
    memory_free(store->jobs);
    memory_free(store->folder);
    if (store->lock >= 0)
        close(store->lock);
    pthread_cond_destroy(&store->queued);
    pthread_mutex_destroy(&store->mutex);
    memory_free(store);
}

/* --- new jobs --- */

static int64_t store_free_bytes(const struct store *store)
{
    struct statvfs info;
    return statvfs(store->folder, &info) ? 0 : (int64_t)info.f_bavail * (int64_t)info.f_frsize;
}

int store_reserve(struct store *store, int64_t bytes, char why[JOB_TEXT_BYTES])
{
    int status = 0;
    pthread_mutex_lock(&store->mutex);
    int64_t waiting = store_queued(store) + store->uploading;

    if (store->stopping) {
        status = 503;
        snprintf(why, JOB_TEXT_BYTES, "the server is stopping (try in a minute)");
    } else if (waiting >= store->limits.queue) {
        status = 503;
        snprintf(why, JOB_TEXT_BYTES, "queue: %" PRId64 " jobs wait already (try in %d s)", waiting, RETRY_S);
    } else if (store->n + store->uploading >= STORE_JOBS) {
        status = 503;
        snprintf(why, JOB_TEXT_BYTES, "%d jobs are kept already (delete finished ones, or try later)", STORE_JOBS);
    } else if (store_free_bytes(store) < DISK_MARGIN_BYTES + (1 + RESULTS_PER_UPLOAD) * bytes) {
        status = 507;
        snprintf(why, JOB_TEXT_BYTES, "the server's disk is full (delete finished jobs, or contact its operator)");
    } else {
        store->uploading++;
    }

    store->count.refused += status != 0;
    pthread_mutex_unlock(&store->mutex);
    return status;
}

void store_release(struct store *store)
{
    pthread_mutex_lock(&store->mutex);
    store->uploading--;
    pthread_mutex_unlock(&store->mutex);
}

enum status store_begin(struct store *store, struct job *job, char **ret_folder, struct error *error)
{
    static const char *const parts[] = {"", "/in", "/work", "/out"};
    if (job_id_make(job->id, error))
        return error->status;
    job->created_ms = store_now_ms();
    char *folder = store_folder(store, job->id);
    if (!folder)
        return error_memory(error, 256, "a path");

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char *path = memory_printf("%s%s", folder, parts[i]);
        bool ok = path && mkdir(path, 0700) == 0;
        memory_free(path);
        if (!ok) {
            error_system(error, errno, "%s: cannot be made", folder);
            folder_remove(folder);
            memory_free(folder);
            return error->status;
        }
    }

    *ret_folder = folder;

    return STATUS_OK;
}

/* A power loss takes none of a new job's names: the upload's, what lies beside the record, the folder's own. */
static enum status store_write_first(const struct store *store, const struct job *job, struct error *error)
{
    const struct job_path folder = store_path(store, job->id, ""), upload = store_path(store, job->id, JOB_UPLOAD);
    int number = file_sync_entry(upload.text);
    enum status status = number ? STATUS_OK : job_write(folder.text, job, error);
    if (!number && !status)
        number = file_sync_entry(folder.text);
    return number ? error_system(error, number, "%s: cannot be kept", folder.text) : status;
}

enum status store_add(struct store *store, struct job *job, struct error *error)
{
    const struct job_path folder = store_path(store, job->id, "");
    job->state = JOB_QUEUED;
    enum status status = job_collect(job, folder.text, error);
    if (!status)
        status = store_write_first(store, job, error);
    if (!status) {
        pthread_mutex_lock(&store->mutex);
        status = store_put(store, job, error);
        if (!status) {
            store->uploading--;
            store->count.accepted++;
            pthread_cond_signal(&store->queued);
        }
        pthread_mutex_unlock(&store->mutex);
    }

    return status;
}

void store_abandon(struct store *store, const struct job *job)
{
    folder_remove(store_path(store, job->id, "").text);
}

/* 0, or why it cannot be revised. */
static int store_check_revision(const struct store *store, const struct job *job, char *why)
{
    int status = 0;
    if (store->stopping) {
        status = 503;
        snprintf(why, JOB_TEXT_BYTES, "the server is stopping (try in a minute)");
    } else if (job->state != JOB_DONE) {
        status = 409;
        snprintf(why, JOB_TEXT_BYTES, "%s: is %s (only a job that is done can be revised)", job->id,
                 job_state_names[job->state]);
    } else if (!file_exists(store_path(store, job->id, JOB_RESULT).text)) {
        status = 409;
        snprintf(why, JOB_TEXT_BYTES, "%s: its restoration was not kept (upload the file again)", job->id);
    }
    return status;
}

/* The files first: a record that wants an edit must find it. */
static bool store_move_edit(const struct store *store, const char *id, const char *edit)
{
    const struct job_path to = store_path(store, id, JOB_EDIT_NEW);
    return edit ? file_rename(edit, to.text) == 0 : unlink(to.text) == 0 || errno == ENOENT;
}

int store_revise(struct store *store, const char *id, const struct job_settings *wanted, const char *edit,
                 char why[JOB_TEXT_BYTES])
{
    struct error error = {0};
    pthread_mutex_lock(&store->mutex);
    struct job *job = store_find(store, id);
    int status = job ? store_check_revision(store, job, why) : 404;

    if (!status && !store_move_edit(store, id, edit)) {
        status = 507;
        snprintf(why, JOB_TEXT_BYTES, "the server cannot store the edit (contact its operator)");
    }
    if (!status) {
        const struct job before = *job;
        job->wanted = *wanted;
        job->revising = true;
        job->revision++;
        job->attempts = 0;
        job->error[0] = '\0';
        job->percent = 0;
        job->state = JOB_QUEUED;
        if (job_write(store_path(store, id, "").text, job, &error)) {
            *job = before;
            unlink(store_path(store, id, JOB_EDIT_NEW).text);
            status = 507;
            snprintf(why, JOB_TEXT_BYTES, "the server cannot store the job (contact its operator)");
        }
    }
    if (!status) {
        store->uploading--;
        store->count.accepted++;
        store_touch_queued(store);
        pthread_cond_signal(&store->queued);
    }
    pthread_mutex_unlock(&store->mutex);
    if (!status)
        store->changed(store->context);
    return status;
}

/* --- queries --- */

int store_copy(struct store *store, const char *id, struct job *ret, char **ret_folder)
{
    pthread_mutex_lock(&store->mutex);
    const struct job *job = store_find(store, id);
    char *folder = job ? store_folder(store, id) : NULL;
    const int status = folder ? 0 : job ? 503 : 404;
    if (folder) {
        *ret = *job;
        ret->summary = ret->warnings = NULL;
    }
    pthread_mutex_unlock(&store->mutex);
    *ret_folder = folder;
    return status;
}

char *store_json(struct store *store, const char *id, uint64_t *ret_version, bool *ret_final)
{
    char *text = NULL;
    pthread_mutex_lock(&store->mutex);
    const struct job *job = store_find(store, id);

    if (job) {
        /* Its place: the queued jobs up to and including it. */
        int64_t place = 0;
        for (int64_t i = 0; job->state == JOB_QUEUED && i < store->n && (i == 0 || store->jobs[i - 1] != job); i++)
            place += store->jobs[i]->state == JOB_QUEUED && !store->jobs[i]->removed;
        cJSON *object = job_json(job, place, store->limits.keep_hours);
        text = object ? cJSON_PrintUnformatted(object) : NULL;
        cJSON_Delete(object);
        *ret_version = job->version;
        *ret_final = job_is_final(job);
    }

    pthread_mutex_unlock(&store->mutex);
    return text;
}

uint64_t store_version(struct store *store, const char *id)
{
    pthread_mutex_lock(&store->mutex);
    const struct job *job = store_find(store, id);
    uint64_t version = job ? job->version : 0;
    pthread_mutex_unlock(&store->mutex);
    return version;
}

/* The input's ending, by its first bytes. */
static const char *store_input_suffix(int handle)
{
    unsigned char head[4] = {0};
    if (pread(handle, head, sizeof head, 0) != (ssize_t)sizeof head)
        return "";
    return head[0] == 0x1f && head[1] == 0x8b ? ".nii.gz" : memcmp(head, "NRRD", 4) == 0 ? ".nrrd" : ".nii";
}

int store_open_file(struct store *store, const char *id, int artefact, struct store_file *ret)
{
    struct store_file file = {.handle = -1};
    struct job_path path = {""};
    pthread_mutex_lock(&store->mutex);
    const struct job *job = store_find(store, id);
    if (job && job->bytes[artefact] >= 0) {
        path = store_path(store, job->id, artefacts[artefact].path);
        job_download_name(file.name, sizeof file.name, job, artefact);
    }
    pthread_mutex_unlock(&store->mutex);

    /* Outside the lock: opening may wait for a disk. */
    struct stat info;
    file.handle = *path.text ? open(path.text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (file.handle < 0)
        return !*path.text || errno == ENOENT || errno == ELOOP ? 404 : 503;
    if (fstat(file.handle, &info) || !S_ISREG(info.st_mode)) {
        close(file.handle);
        return 404;
    }

    file.bytes = info.st_size;
    if (artefact == 0)
        strncat(file.name, store_input_suffix(file.handle), sizeof file.name - strlen(file.name) - 1);
    snprintf(file.tag, sizeof file.tag, "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 "\"", (uint64_t)file.bytes,
             (uint64_t)info.st_mtim.tv_sec, (uint64_t)info.st_mtim.tv_nsec);
    *ret = file;
    return 0;
}

struct store_count store_count(struct store *store)
{
    pthread_mutex_lock(&store->mutex);
    struct store_count count = store->count;
    for (int64_t i = 0; i < store->n; i++) {
        count.queued += store->jobs[i]->state == JOB_QUEUED;
        count.running += store->jobs[i]->state == JOB_RUNNING;
        count.kept += job_is_final(store->jobs[i]);
    }
    count.uploading = store->uploading;
    pthread_mutex_unlock(&store->mutex);
    return count;
}

/* --- cancelling and removing --- */

static void store_count_final(struct store *store, const struct job *job)
{
    store->count.done += job->state == JOB_DONE;
    store->count.failed += job->state == JOB_FAILED;
    store->count.cancelled += job->state == JOB_CANCELLED;
}

int store_cancel(struct store *store, const char *id)
{
    struct error error = {0};
    pthread_mutex_lock(&store->mutex);
    struct job *job = store_find(store, id);
    int status = !job ? 404 : job_is_final(job) ? 409 : 0;

    if (!status && job->state == JOB_QUEUED) {
        const struct job before = *job;
        job_end(job, JOB_CANCELLED, "");
        job->finished_ms = store_now_ms();
        job->final_s = log_clock_s();
        /* Under the lock: a removal must not come between */
        if (job_write(store_path(store, id, "").text, job, &error)) {
            *job = before;
            status = 503;
        } else {
            store_count_final(store, job);
            store_touch(store, job);
            store_touch_queued(store);
        }
    } else if (!status) { /* its runner sees to the rest */
        job->cancel = true;
        if (job->pid > 0)
            kill(job->pid, SIGKILL);
    }

    pthread_mutex_unlock(&store->mutex);
    store->changed(store->context);

    return status;
}

/* The record goes first: a folder without one is removed at the next start. */
static void store_unlink(const struct store *store, const char *id, bool whole)
{
    const struct job_path record = store_path(store, id, "job.json");
    if (unlink(record.text) == 0)
        file_sync_entry(record.text); /* what was deleted does not come back after a power loss */
    if (whole)
        folder_remove(store_path(store, id, "").text);
}

int store_remove(struct store *store, const char *id)
{
    char removed[JOB_ID_LENGTH + 1] = "";
    pthread_mutex_lock(&store->mutex);
    struct job *job = store_find(store, id);
    int status = job ? 0 : 404;
    bool running = job && job->state == JOB_RUNNING;

    if (job) {
        memcpy(removed, job->id, sizeof removed);
        job->removed = job->cancel = true;
        if (job->pid > 0)
            kill(job->pid, SIGKILL);
        if (!running)
            store_drop(store, job);
        store_touch_queued(store);
    }

    pthread_mutex_unlock(&store->mutex);
    if (!status) {
        store_unlink(store, removed, !running); /* of a running one the runner removes the rest */
        store->changed(store->context);
    }

    return status;
}

void store_expire(struct store *store)
{
    const double oldest_s = log_clock_s() - store->limits.keep_hours * 3600;
    for (;;) {
        char id[JOB_ID_LENGTH + 1] = "";
        pthread_mutex_lock(&store->mutex);
        for (int64_t i = 0; i < store->n && !*id; i++)
            if (job_is_final(store->jobs[i]) && store->jobs[i]->final_s < oldest_s)
                memcpy(id, store->jobs[i]->id, sizeof id);
        pthread_mutex_unlock(&store->mutex);
        if (!*id)
            return;
        store_remove(store, id);
    }
}

/* --- for the runners --- */

bool store_take(struct store *store, struct job *ret, char **ret_folder)
{
    struct error error = {0};
    struct job *job = NULL;
    pthread_mutex_lock(&store->mutex);

    while (!store->stopping && !job) {
        /* First come, first served. */
        for (int64_t i = 0; i < store->n && !job; i++)
            if (store->jobs[i]->state == JOB_QUEUED)
                job = store->jobs[i];
        if (!job)
            pthread_cond_wait(&store->queued, &store->mutex);
    }

    if (store->stopping)
        job = NULL;
    if (job) {
        job->state = JOB_RUNNING;
        job->attempts++;
        job->started_ms = store_now_ms();
        job->percent = 0;
        snprintf(job->stage, sizeof job->stage, "starting");
        store_touch(store, job);
        store_touch_queued(store);
        *ret = *job;
        ret->summary = ret->warnings = NULL;
    }

    pthread_mutex_unlock(&store->mutex);
    if (!job)
        return false;
    *ret_folder = store_folder(store, ret->id);
    if (!*ret_folder || job_write(*ret_folder, ret, &error))
        log_warn("%s: started, but the record could not be written", ret->id);
    store->changed(store->context);

    return true;
}

/* A running job stays in the table until its runner is done with it, removed or not. */
static struct job *store_find_running(const struct store *store, const char *id)
{
    for (int64_t i = 0; i < store->n; i++)
        if (strcmp(store->jobs[i]->id, id) == 0)
            return store->jobs[i];
    return NULL;
}

void store_child(struct store *store, const char *id, pid_t pid)
{
    pthread_mutex_lock(&store->mutex);
    struct job *job = store_find_running(store, id);
    if (job) {
        job->pid = pid;
        if (pid > 0 && job->cancel)
            kill(pid, SIGKILL);
    }
    pthread_mutex_unlock(&store->mutex);
}

bool store_unwanted(struct store *store, const char *id)
{
    pthread_mutex_lock(&store->mutex);
    const struct job *job = store_find_running(store, id);
    bool unwanted = !job || job->cancel || job->removed;
    pthread_mutex_unlock(&store->mutex);
    return unwanted;
}

void store_progress(struct store *store, const char *id, const char *stage, double percent)
{
    pthread_mutex_lock(&store->mutex);
    struct job *job = store_find_running(store, id);
    bool changed = job && (percent > job->percent || strcmp(job->stage, stage) != 0);
    if (changed) {
        snprintf(job->stage, sizeof job->stage, "%s", stage);
        job->percent = percent > job->percent ? percent : job->percent;
        store_touch(store, job);
    }
    pthread_mutex_unlock(&store->mutex);
    if (changed)
        store->changed(store->context);
}

void store_finish(struct store *store, struct job *ended)
{
    struct error error = {0};
    const struct job_path folder = store_path(store, ended->id, "");

    if (job_is_final(ended)) {
        ended->finished_ms = store_now_ms();
        ended->final_s = log_clock_s();
    }
    if (job_collect(ended, folder.text, &error))
        job_end(ended, JOB_FAILED, error.text);
    if (job_write(folder.text, ended, &error)) /* before anyone may remove it: `removed` is seen below */
        log_warn("%s: ended, but the record could not be written", ended->id);

    /* The job may have been removed meanwhile: then only its folder is left to remove. */
    pthread_mutex_lock(&store->mutex);
    struct job *job = store_find_running(store, ended->id);
    bool removed = job->removed;

    if (removed) {
        store_drop(store, job);
    } else {
        job_done(job);
        ended->version = job->version;
        *job = *ended; /* its JSON is the table's now */
        job->pid = 0;
        job->cancel = false;
        store_count_final(store, job);
        if (job_is_final(job))
            store->count.work_s += 1e-3 * (double)(job->finished_ms - job->started_ms);
        else
            store_touch_queued(store);
        store_touch(store, job);
    }

    pthread_mutex_unlock(&store->mutex);
    if (removed) {
        store_unlink(store, ended->id, true);
        job_done(ended);
    }
    store->changed(store->context);
}

void store_stop(struct store *store)
{
    pthread_mutex_lock(&store->mutex);
    store->stopping = true;
    pthread_cond_broadcast(&store->queued);
    pthread_mutex_unlock(&store->mutex);
}

void store_kill(struct store *store)
{
    pthread_mutex_lock(&store->mutex);
    for (int64_t i = 0; i < store->n; i++)
        if (store->jobs[i]->pid > 0)
            kill(store->jobs[i]->pid, SIGKILL);
    pthread_mutex_unlock(&store->mutex);
}
