/* metrics.c - counters of the server in the format of Prometheus; see http.h. Test: tests/serve/test_server.sh */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "serve/server.h"

/* Now, not the highest. */
static int64_t metrics_resident_bytes(void)
{
    char text[128];
    long long pages = 0;
    const int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    const ssize_t n = file < 0 ? 0 : read(file, text, sizeof text - 1);
    if (file >= 0)
        close(file);
    text[n > 0 ? n : 0] = '\0';
    if (sscanf(text, "%*d %lld", &pages) != 1)
        pages = 0;
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

struct sheet {
    char text[6144];
    size_t used;
};

static void metrics_add(struct sheet *sheet, const char *name, const char *type, const char *help, double value)
{
    int n = snprintf(sheet->text + sheet->used, sizeof sheet->text - sheet->used,
                     "# HELP calvaria_%s %s\n# TYPE calvaria_%s %s\ncalvaria_%s %.15g\n", name, help, name, type, name,
                     value);
    if (n > 0 && (size_t)n < sizeof sheet->text - sheet->used)
        sheet->used += (size_t)n;
    else
        sheet->text[sheet->used] = '\0';
}

enum MHD_Result metrics_respond(struct request *request)
{
    struct server *server = request->server;
    struct store_count count = store_count(server->store);
    struct sheet sheet = {.used = 0};

    metrics_add(&sheet, "jobs_queued", "gauge", "jobs that wait", (double)count.queued);
    metrics_add(&sheet, "jobs_running", "gauge", "jobs worked on", (double)count.running);
    metrics_add(&sheet, "jobs_kept", "gauge", "ended jobs whose files are kept", (double)count.kept);
    metrics_add(&sheet, "uploads_running", "gauge", "uploads on their way", (double)count.uploading);
    metrics_add(&sheet, "jobs_accepted_total", "counter", "jobs queued since the start", (double)count.accepted);
    metrics_add(&sheet, "jobs_refused_total", "counter", "uploads refused for want of room", (double)count.refused);
    metrics_add(&sheet, "jobs_done_total", "counter", "jobs that ended well", (double)count.done);
    metrics_add(&sheet, "jobs_failed_total", "counter", "jobs that failed", (double)count.failed);
    metrics_add(&sheet, "jobs_cancelled_total", "counter", "jobs that were cancelled", (double)count.cancelled);
    metrics_add(&sheet, "work_seconds_total", "counter", "time spent on ended jobs", count.work_s);
    metrics_add(&sheet, "upload_bytes_total", "counter", "bytes of uploads written", (double)server->upload_bytes);

    for (int i = 2; i < 6; i++) {
        char name[32], help[48];
        snprintf(name, sizeof name, "answers_%dxx_total", i);
        snprintf(help, sizeof help, "responses with status %dxx", i);
        metrics_add(&sheet, name, "counter", help, (double)server->responses[i]);
    }

    metrics_add(&sheet, "answers_undocumented_total", "counter", "responses that docs/openapi.yaml does not list",
                (double)server->undocumented);
    metrics_add(&sheet, "wrong_tokens_total", "counter", "requests with a wrong token", (double)server->wrong_tokens);
    metrics_add(&sheet, "connections_total", "counter", "connections taken", (double)server->connections);
    metrics_add(&sheet, "connections_reaped_total", "counter", "connections ended for being too slow",
                (double)server->reaped);
    pthread_mutex_lock(&server->stream_mutex);
    const int64_t n_streams = server->n_streams;
    pthread_mutex_unlock(&server->stream_mutex);
    metrics_add(&sheet, "event_streams", "gauge", "event streams open", (double)n_streams);
    metrics_add(&sheet, "resident_bytes", "gauge", "memory of the server itself", (double)metrics_resident_bytes());
    metrics_add(&sheet, "uptime_seconds", "gauge", "since the start", log_clock_s() - server->begin_s);

    return respond_text(request, sheet.text);
}
