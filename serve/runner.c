/* runner.c - a child process for each job; see runner.h. Test: tests/serve/test_server.sh */
#define _GNU_SOURCE /* posix_spawn_file_actions_addclosefrom_np */
#include "serve/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"

struct runners {
    struct store *store;
    struct runner_config config;
    int64_t n;
    pthread_t *threads;
    atomic_long ended;
    atomic_bool killed; /* the drain is over: jobs whose children end now return to the queue */
};

/* Where a stage begins and ends in the whole job, per cent. */
static const struct {
    const char *name;
    double begin, end;
} stages[] = {{"starting", 0, 1},    {"example", 1, 5},     {"segmenting", 2, 9}, {"reading", 9, 12},
              {"restoring", 12, 78}, {"measuring", 78, 85}, {"writing", 85, 92},  {"meshing", 92, 100}};
enum { STAGES = sizeof stages / sizeof *stages };

/* The progress that a child reported so far. */
struct child_progress {
    struct runners *runners;
    struct store *store;
    struct job *job;
    int stage;
    char line[JOB_TEXT_BYTES];
    size_t used;
};

static void child_progress_line(struct child_progress *progress)
{
    int64_t done = 0, total = 0;
    const char *line = progress->line;
    if (strncmp(line, "error ", 6) == 0) {
        job_error_set(progress->job, line + 6);
    } else if (strncmp(line, "stage ", 6) == 0) {
        for (int i = 0; i < STAGES; i++)
            if (strcmp(stages[i].name, line + 6) == 0)
                progress->stage = i;
        store_progress(progress->store, progress->job->id, stages[progress->stage].name, stages[progress->stage].begin);
    } else if (sscanf(line, "part %" SCNd64 " %" SCNd64, &done, &total) == 2 && done >= 0 && done <= total &&
               total > 0) {
        double begin = stages[progress->stage].begin, end = stages[progress->stage].end;
        store_progress(progress->store, progress->job->id, stages[progress->stage].name,
                       begin + (end - begin) * (double)done / (double)total);
    } else if (strncmp(line, "segment ", 8) == 0) {
        progress->job->segment = strcmp(line + 8, "true") == 0 ? SEGMENT_YES : SEGMENT_NO;
    } else if (strncmp(line, "mesh_grid_mm ", 13) == 0) {
        double mm = strtod(line + 13, NULL);
        progress->job->mesh_grid_mm = isfinite(mm) && mm > 0 ? mm : 0;
    }
}

/* Longer lines are cut. */
static void child_progress_add(struct child_progress *progress, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\n') {
            progress->line[progress->used] = '\0';
            child_progress_line(progress);
            progress->used = 0;
        } else if (progress->used + 1 < sizeof progress->line) {
            progress->line[progress->used++] = text[i];
        }
    }
}

/* The child's command line. */
struct command {
    char *words[64];
    int n;
    bool failed;
};

static void command_add(struct command *command, char *word)
{
    command->failed |= !word || command->n + 1 >= (int)(sizeof command->words / sizeof *command->words);
    if (!command->failed)
        command->words[command->n++] = word;
    else
        memory_free(word);
}

static struct command command_make(const struct runner_config *config, const struct served_model *model,
                                   const struct job *job, const char *folder)
{
    struct command command = {0};
    command_add(&command, memory_strdup("calvaria"));
    command_add(&command, memory_strdup("serve-job"));
    command_add(&command, memory_printf("--folder=%s", folder));
    if (model->path)
        command_add(&command, memory_printf("--model=%s", model->path));
    command_add(&command, memory_printf("--threads=%" PRId64, config->threads));
    command_add(&command, memory_printf("--max-voxels=%" PRId64, config->max_voxels));
    command_add(&command, memory_printf("--max-memory-bytes=%" PRId64, config->max_memory_bytes));
    if (config->no_picture)
        command_add(&command, memory_strdup("--no-picture"));
    if (job->example)
        command_add(&command, memory_strdup("--example"));
    command_add(&command, memory_printf("--kind=%s", job->segment == SEGMENT_AUTO  ? "auto"
                                                     : job->segment == SEGMENT_YES ? "ct"
                                                                                   : "mask"));
    if (!isnan(job->threshold_hu))
        command_add(&command, memory_printf("--threshold-hu=%.17g", job->threshold_hu));
    for (int64_t i = 0; i < config->set->n; i++)
        command_add(&command, memory_printf("--set=%s", config->set->items[i]));
    if (!isnan(job->threshold))
        command_add(&command, memory_printf("--set=threshold=%.17g", job->threshold));

    return command;
}

static void command_done(struct command *command)
{
    for (int i = 0; i < command->n; i++)
        memory_free(command->words[i]);
}

/* The server's own environment; where OMP_WAIT_POLICY is not set, threads that sleep while they wait: jobs share the
 * machine with each other and the server. Free the array by memory_free, not its strings. */
static char **runner_child_environment(void)
{
    static char passive[] = "OMP_WAIT_POLICY=passive";
    extern char **environ;
    size_t n = 0, added = getenv("OMP_WAIT_POLICY") == NULL;
    while (environ[n])
        n++;

    char **copy = memory_alloc(n + added + 1, sizeof *copy);
    if (!copy)
        return NULL;
    memcpy(copy, environ, n * sizeof *copy);
    if (added)
        copy[n] = passive;
    copy[n + added] = NULL;

    return copy;
}

/* 0, or errno. The child: no signal blocked, a group of its own, no handle of ours but the pipe. */
static int runner_spawn(pid_t *ret_pid, struct command *command, const char *log, int out)
{
    char **environment = runner_child_environment();
    if (!environment)
        return ENOMEM;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);

    /* Standard input is empty, output is the pipe, errors go to the job's log; no other handle survives. */
    int number = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!number)
        number = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (!number)
        number = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (!number)
        number = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    if (!number)
        number = posix_spawn(ret_pid, "/proc/self/exe", &actions, &attributes, command->words, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);

    memory_free(environment);
    return number;
}

/* Reads the pipe to its end, then waits; a child that takes too long is ended (*ret_late). Returns the status of
 * waitpid. */
static int runner_follow(struct child_progress *progress, pid_t pid, int in, double max_s, bool *ret_late)
{
    double begin_s = log_clock_s();
    int status = 0;
    bool open = true;

    *ret_late = false;
    for (;;) {
        struct pollfd waiting = {.fd = open ? in : -1, .events = POLLIN};
        poll(&waiting, 1, open ? 500 : 10);
        if (open && waiting.revents) {
            char text[4096];
            ssize_t n = read(in, text, sizeof text);
            if (n > 0)
                child_progress_add(progress, text, (size_t)n);
            else if (n == 0 || errno != EINTR)
                open = false;
        }

        /* The pipe is closed: the child ends. Its number is taken out first, so that no signal hits a stranger. */
        if (!open) {
            store_child(progress->store, progress->job->id, 0); /* not to be signalled once it is waited for */
            if (waitpid(pid, &status, WNOHANG) == pid)
                return status;
        }
        if (log_clock_s() - begin_s > max_s ||
            (!open && (progress->runners->killed || store_unwanted(progress->store, progress->job->id)))) {
            *ret_late = log_clock_s() - begin_s > max_s;
            kill(pid, SIGKILL);
        }
    }
}

static void runner_end_job(struct runners *runners, struct job *job, int status, bool late)
{
    char text[256];
    if (store_unwanted(runners->store, job->id)) {
        job_end(job, JOB_CANCELLED, "");
    } else if (late) {
        snprintf(text, sizeof text, "the restoration took longer than %.0f minutes (a smaller volume would work)",
                 runners->config.max_s / 60);
        job_end(job, JOB_FAILED, text);
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        job_end(job, JOB_DONE, "");
    } else if (WIFSIGNALED(status) && runners->killed) {
        job->state = JOB_QUEUED;
        job->attempts--; /* the server's doing, not the job's */
        job->started_ms = 0;
        job->percent = 0;
    } else if (WIFSIGNALED(status)) {
        snprintf(text, sizeof text,
                 "the restoration was ended by signal %d: out of memory, or a file that crashes its reader "
                 "(a smaller volume, or the file saved anew by another program, would work)",
                 WTERMSIG(status));
        job_end(job, JOB_FAILED, text);
    } else {
        char why[JOB_TEXT_BYTES];
        snprintf(why, sizeof why, "%s", job->error);
        job_end(job, JOB_FAILED, why[0] ? why : "the restoration failed without a message (see the server's log)");
    }
}

static void runner_work(struct runners *runners, struct job *job, const char *folder)
{
    struct child_progress progress = {.runners = runners, .store = runners->store, .job = job};
    const struct served_model *model = models_find(runners->config.models, job->model);
    if (!model) {
        job_end(job, JOB_FAILED, "its model is not on this server any more (upload the file again)");
        return;
    }

    job->error[0] = '\0';
    struct command command = command_make(&runners->config, model, job, folder);
    char *log = memory_printf("%s/log.txt", folder);
    int ends[2] = {-1, -1}, status = 0;
    pid_t pid = 0;
    bool late = false;
    int number = command.failed || !log   ? ENOMEM
                 : pipe2(ends, O_CLOEXEC) ? errno
                                          : runner_spawn(&pid, &command, log, ends[1]);

    if (ends[1] >= 0)
        close(ends[1]);
    if (number) {
        job_end(job, JOB_FAILED, "the server cannot start another process (try later)");
        log_warn("%s: no child process: %s", job->id, strerror(number));
    } else {
        store_child(runners->store, job->id, pid);
        status = runner_follow(&progress, pid, ends[0], runners->config.max_s, &late);
        runner_end_job(runners, job, status, late);
    }

    if (ends[0] >= 0)
        close(ends[0]);
    memory_free(log);
    command_done(&command);
    log_info("job %.8s: %s%s%s", job->id, job_state_names[job->state], job->error[0] ? ": " : "", job->error);
}

static void *runner_run(void *context)
{
    struct runners *runners = context;
    struct job job;
    char *folder = NULL;

    while (store_take(runners->store, &job, &folder)) {
        if (folder)
            runner_work(runners, &job, folder);
        else
            job_end(&job, JOB_FAILED, "the server is out of memory (try later)");
        memory_free(folder);
        store_finish(runners->store, &job);
    }

    runners->ended++;
    return NULL;
}

enum status runners_start(struct runners **ret, struct store *store, const struct runner_config *config, int64_t n,
                          struct error *error)
{
    struct runners *runners = memory_zalloc(1, sizeof *runners);
    pthread_t *threads = memory_zalloc((size_t)n, sizeof *threads);

    if (!runners || !threads) {
        memory_free(runners);
        memory_free(threads);
        return error_memory(error, (size_t)n * sizeof *threads, "the runners");
    }

    *runners = (struct runners){.store = store, .config = *config, .threads = threads};
    for (; runners->n < n; runners->n++) {
        int number = pthread_create(&threads[runners->n], NULL, runner_run, runners);
        if (number) {
            error_system(error, number, "--workers %" PRId64 ": no thread", n);
            store_stop(store);
            runners_stop(runners, 0, NULL, NULL);
            return STATUS_FAILED;
        }
    }

    *ret = runners;

    return STATUS_OK;
}

void runners_stop(struct runners *runners, double drain_s, bool (*tick)(void *context), void *context)
{
    if (!runners)
        return;
    double begin_s = log_clock_s();
    while (runners->ended < runners->n && log_clock_s() - begin_s < drain_s && !(tick && tick(context)))
        poll(NULL, 0, 50);

    /* The time is up: children end, their jobs return to the queue. */
    runners->killed = true;

    while (runners->ended < runners->n) {
        store_kill(runners->store);
        poll(NULL, 0, 20);
    }

    for (int64_t i = 0; i < runners->n; i++)
        pthread_join(runners->threads[i], NULL);

    memory_free(runners->threads);
    memory_free(runners);
}
