/* server.c - options, start, signals, end; see serve.h. Test: tests/serve/test_server.sh */
#define _GNU_SOURCE /* pipe2 */
#include "serve/server.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/parallel.h"

#define OFFSET(member) offsetof(struct serve_config, member)
/* clang-format off */
static const struct config_field serve_fields[] = {
    {.key = "model", .type = CONFIG_STRINGS, .offset = OFFSET(model),
     .help = "model file or run folder; default: the shipped one; builtin:mirror needs no network; repeated: users "
             "choose and compare"},
    {.key = "port", .type = CONFIG_INT, .offset = OFFSET(port), .text = "8080", .min = 0, .max = 65535,
     .help = "0: a free one"},
    {.key = "address", .type = CONFIG_STRING, .offset = OFFSET(address), .text = "127.0.0.1",
     .help = "to listen on; any but this machine's own wants --token-file"},
    {.key = "token_file", .type = CONFIG_STRING, .offset = OFFSET(token_file),
     .help = "its first line is the token users must know"},
    {.key = "max_upload", .type = CONFIG_STRING, .offset = OFFSET(max_upload), .text = "512M",
     .help = "bytes of an upload, with K, M or G"},
    {.key = "max_voxels_million", .type = CONFIG_DOUBLE, .offset = OFFSET(max_voxels_million), .text = "300",
     .min = 0.001, .max = 1e6, .help = "larger volumes are refused by their header"},
    {.key = "workers", .type = CONFIG_INT, .offset = OFFSET(workers), .text = "1", .min = 1, .max = 64,
     .help = "jobs at once; they share --threads"},
    {.key = "queue", .type = CONFIG_INT, .offset = OFFSET(queue), .text = "20", .min = 1, .max = 1000,
     .help = "jobs that may wait"},
    {.key = "keep_hours", .type = CONFIG_DOUBLE, .offset = OFFSET(keep_hours), .text = "24", .min = 0.001,
     .max = 87600, .unit = "h", .help = "results are removed after"},
    {.key = "state", .type = CONFIG_PATH, .offset = OFFSET(state),
     .help = "folder for uploads and results (default: calvaria/serve in $XDG_STATE_HOME or ~/.local/state)"},
    {.key = "web", .type = CONFIG_PATH, .offset = OFFSET(web),
     .help = "folder of the page (default: the build's or the installed one)"},
    {.key = "runs", .type = CONFIG_PATH, .offset = OFFSET(runs),
     .help = "folder of training runs: /runs.html shows their states, curves and pictures while they go"},
    {.key = "max_memory_gb", .type = CONFIG_DOUBLE, .offset = OFFSET(max_memory_gb), .text = "16", .min = 0,
     .max = 1e5, .unit = "GB", .help = "address space of one job; 0: any"},
    {.key = "max_minutes", .type = CONFIG_DOUBLE, .offset = OFFSET(max_minutes), .text = "60", .min = 0.01,
     .max = 1e5, .unit = "min", .help = "a job that takes longer is ended"},
    {.key = "no_picture", .type = CONFIG_BOOL, .offset = OFFSET(no_picture), .text = "false",
     .help = "make no preview.png: seconds less per job"},
    {.key = "set", .type = CONFIG_STRINGS, .offset = OFFSET(set),
     .help = "KEY=VALUE over the model's restoration, as infer takes it"},
    {.key = "allow_origin", .type = CONFIG_STRINGS, .offset = OFFSET(allow_origin),
     .help = "ORIGIN (as https://viewer.example) whose pages may use the API too; may be repeated"},
    {.key = "drain_s", .type = CONFIG_DOUBLE, .offset = OFFSET(drain_s), .text = "30", .min = 0, .max = 86400,
     .unit = "s", .help = "after SIGTERM running jobs may end for so long; then they are queued for the next start"},
    {0},
};
/* clang-format on */
const struct config_table serve_table = {
    .help = "The web application", .size = sizeof(struct serve_config), .fields = serve_fields};

/* "512M" */
static enum status server_parse_size(int64_t *ret, const char *text, struct error *error)
{
    char *end = NULL;
    double value = strtod(text, &end);
    const char *units = "KMG", *unit = *end ? strchr(units, *end) : NULL;
    if (unit)
        end++;
    for (const char *u = units; unit && u <= unit; u++)
        value *= 1024;
    if (*end || end == text || !(value >= 1024 && value <= 1e15))
        return error_set(error, STATUS_USAGE, "--max-upload: '%s' is no size of 1K or more (512M or 2G would work)",
                         text);
    *ret = (int64_t)value;
    return STATUS_OK;
}

static enum status server_state_folder(struct server *server, struct error *error)
{
    const char *home = getenv("HOME"), *xdg = getenv("XDG_STATE_HOME");
    if (server->config->state)
        server->state = memory_strdup(server->config->state);
    else if (xdg && *xdg == '/')
        server->state = memory_printf("%s/calvaria/serve", xdg);
    else if (home && *home == '/')
        server->state = memory_printf("%s/.local/state/calvaria/serve", home);
    else
        return error_set(error, STATUS_USAGE,
                         "--state: is missing, and there is no $HOME to put it in (--state /var/lib/calvaria)");
    return server->state ? file_make_folders(server->state, error) : error_memory(error, 256, "a path");
}

static void server_changed(void *context)
{
    events_wake(context);
}

static enum status server_open(struct server *server, struct error *error)
{
    const struct serve_config *config = server->config;
    const struct store_limits limits = {.queue = config->queue, .keep_hours = config->keep_hours};
    int64_t threads = parallel_threads() / config->workers;
    struct runner_config runner = {.models = &server->models,
                                   .set = &config->set,
                                   .threads = threads > 0 ? threads : 1,
                                   .max_voxels = server->max_voxels,
                                   .max_memory_bytes = (int64_t)(config->max_memory_gb * 1e9),
                                   .no_picture = config->no_picture,
                                   .max_s = 60 * config->max_minutes};
    enum status status = server_state_folder(server, error);

    if (!status)
        status = guard_open(server, error);
    if (!status)
        status = models_open(&server->models, &config->model, &config->set, error);
    if (!status)
        status = page_open(server, error);
    if (!status)
        status = store_open(&server->store, server->state, &limits, server_changed, server, error);
    if (!status)
        status = http_start(server, error);
    if (!status)
        status = runners_start(&server->runners, server->store, &runner, config->workers, error);
    return status;
}

/* SIGTERM and SIGINT arrive as bytes in this pipe, whichever thread takes them: threads of OpenMP may exist already,
 * and a mask set now does not reach them. */
static int server_pipe[2] = {-1, -1};

static void server_take_signal(int number)
{
    const int kept = errno;
    const char byte = (char)number;
    (void)!write(server_pipe[1], &byte, 1);
    errno = kept;
}

/* Once a second, or sooner where a signal ends the wait. Returns whether one came. */
static bool server_tick(struct server *server, double seconds)
{
    struct pollfd waiting = {.fd = server_pipe[0], .events = POLLIN};
    char byte;
    bool signalled = poll(&waiting, 1, (int)(1e3 * seconds)) > 0 && read(server_pipe[0], &byte, 1) == 1;

    watch_reap(server);
    events_beat(server);
    store_expire(server->store);
    return signalled;
}

static bool server_hurried(void *context)
{
    return server_tick(context, 0.01);
}

static void server_close(struct server *server)
{
    const int64_t streams_wait_ms = 2000;
    server->draining = true;
    if (server->store)
        store_stop(server->store);
    runners_stop(server->runners, server->config->drain_s, server_hurried, server);

    for (int64_t ms = 0; server->daemon && ms < streams_wait_ms;
         ms += 20) { /* none may be suspended when the daemon stops */
        events_wake(server);
        watch_reap(server);
        pthread_mutex_lock(&server->stream_mutex);
        bool open = server->n_streams > 0;
        pthread_mutex_unlock(&server->stream_mutex);
        if (!open)
            break;
        nanosleep(&(const struct timespec){0, 20000000}, NULL);
    }

    watch_reap(server);
    http_stop(server);
    store_close(server->store);
    page_close(server);
    models_done(&server->models);
    memory_free(server->token);
    memory_free(server->state);
    pthread_mutex_destroy(&server->watch_mutex);
    pthread_mutex_destroy(&server->stream_mutex);
}

/* Writing to a client that left is an error, not a signal. */
static enum status server_signals(struct error *error)
{
    struct sigaction action = {.sa_handler = server_take_signal, .sa_flags = SA_RESTART};
    if (pipe2(server_pipe, O_CLOEXEC | O_NONBLOCK))
        return error_system(error, errno, "serve: no pipe for signals");

    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    return STATUS_OK;
}

enum status serve_run(const struct serve_config *config, const char *version, struct error *error)
{
    enum { HANDLES = 4096 };
    struct rlimit handles;
    struct server server = {.config = config,
                            .version = version,
                            .begin_s = log_clock_s(),
                            .max_voxels = (int64_t)(1e6 * config->max_voxels_million)};
    enum status status = server_parse_size(&server.max_upload_bytes, config->max_upload, error);

    if (!status && config->runs && !file_is_folder(config->runs))
        status =
            error_set(error, STATUS_USAGE, "--runs %s: no folder (the one that holds the run folders)", config->runs);
    if (status)
        return status;

    /* Each connection and each file needs a handle. */
    if (getrlimit(RLIMIT_NOFILE, &handles) == 0 && handles.rlim_cur < HANDLES) {
        handles.rlim_cur = handles.rlim_max < HANDLES ? handles.rlim_max : HANDLES;
        setrlimit(RLIMIT_NOFILE, &handles);
    }
    pthread_mutex_init(&server.watch_mutex, NULL);
    pthread_mutex_init(&server.stream_mutex, NULL);
    status = server_signals(error);
    if (!status)
        status = server_open(&server, error);

    if (!status) {
        bool v6 = strchr(config->address, ':') != NULL;
        log_info("calvaria serve: open http://%s%s%s:%d/ (research software, not for clinical use); Ctrl-C ends it",
                 v6 ? "[" : "", config->address, v6 ? "]" : "", server.port);
        while (!server_tick(&server, 1))
            continue;
        log_info("stopping: running jobs may end for %.0f s (once more: at once)", config->drain_s);
    }

    server_close(&server);

    return status;
}
