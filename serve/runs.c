/* runs.c - the live page of trainings (`calvaria serve --runs DIR`), read only: the run folders below DIR, their
 * curves, their pictures of validation; see http.h. A run is named by its path below DIR, which must be in the list
 * that was just read: no name a client sends becomes a path. Test: tests/serve/test_runs.sh */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/yaml.h"
#include "serve/server.h"

enum { RUNS_MAX = 500, FOLDERS_MAX = 5000, DEPTH_MAX = 4, PICTURES_MAX = 500, ROWS_MAX = 2000 };
enum { METRICS_MAX_BYTES = 256 << 20 };
enum { RUNS_ABSENT = -1, RUNS_SHORT = -2 }; /* in place of a handle */

/* The run folders below DIR, as paths from there; "" is DIR itself. */
struct runs {
    const char *folder;
    int n, n_folders;
    const char *name[RUNS_MAX];
    bool short_of_memory; /* some may be left out */
    struct arena arena;
};

static const char *runs_path(struct runs *runs, const char *folder, const char *name)
{
    const char *path = file_join(&runs->arena, folder, name);
    runs->short_of_memory |= !path;
    return path;
}

static bool runs_has(struct runs *runs, const char *folder, const char *name)
{
    const char *path = runs_path(runs, folder, name);
    return path && file_exists(path);
}

static void runs_scan(struct runs *runs, const char *folder, const char *name, int depth)
{
    struct error unreadable = {0};
    struct config_strings entries = {0};
    if (runs->n == RUNS_MAX || runs->n_folders++ >= FOLDERS_MAX)
        return;
    if (runs_has(runs, folder, "STATUS") && runs_has(runs, folder, "metrics.tsv")) {
        runs->name[runs->n++] = name;
        return; /* a run's own folders hold none */
    }

    if (depth == DEPTH_MAX)
        return;
    if (file_list(&entries, folder, &runs->arena, &unreadable)) {
        runs->short_of_memory |= unreadable.no_memory;
        return;
    }
    for (int64_t i = 0; i < entries.n; i++) {
        const char *path = entries.items[i][0] == '.' ? NULL : runs_path(runs, folder, entries.items[i]);
        const char *longer = path ? runs_path(runs, name, entries.items[i]) : NULL;
        if (longer && file_is_folder(path))
            runs_scan(runs, path, longer, depth + 1);
    }
}

static void runs_open(struct runs *runs, const struct request *request)
{
    *runs = (struct runs){.folder = request->server->config->runs};
    runs_scan(runs, runs->folder, "", 0);
}

/* handle: what runs_open_file gave. */
static enum MHD_Result runs_refuse(struct request *request, int handle)
{
    if (handle == RUNS_SHORT)
        return respond_error(request, 503, "out of memory (try again)");
    return respond_error(request, 404, "no such run, or no such picture of it (/api/runs lists them)");
}

/* --- the list --- */

static const char *runs_text(const struct yaml_node *map, const char *key)
{
    const struct yaml_node *node = map && map->kind == YAML_MAP ? yaml_get(map, key) : NULL;
    return node && node->kind == YAML_SCALAR ? node->text : NULL;
}

static bool runs_add_text(cJSON *object, const char *key, const char *text)
{
    return text ? cJSON_AddStringToObject(object, key, text) != NULL : cJSON_AddNullToObject(object, key) != NULL;
}

static bool runs_add_number(cJSON *object, const char *key, const char *text)
{
    char *end = NULL;
    const double value = text ? strtod(text, &end) : 0;
    return text && *text && !*end && value - value == 0 ? cJSON_AddNumberToObject(object, key, value) != NULL
                                                        : cJSON_AddNullToObject(object, key) != NULL;
}

static bool runs_is_picture(const char *name)
{
    return name[0] != '.' && file_has_suffix(name, ".png");
}

/* Names of the pictures in validation/; the last PICTURES_MAX of them. */
static bool runs_add_pictures(cJSON *object, const char *folder, struct arena *arena)
{
    struct error unreadable = {0};
    struct config_strings names = {0};
    cJSON *list = cJSON_AddArrayToObject(object, "pictures");
    const char *path = file_join(arena, folder, "validation");
    bool ok = list && path;
    if (!ok || !file_is_folder(path) || file_list(&names, path, arena, &unreadable))
        return ok && !unreadable.no_memory;
    for (int64_t i = names.n > PICTURES_MAX ? names.n - PICTURES_MAX : 0; ok && i < names.n; i++)
        if (runs_is_picture(names.items[i])) {
            cJSON *name = cJSON_CreateString(names.items[i]);
            ok = name && cJSON_AddItemToArray(list, name);
        }
    return ok;
}

static bool runs_add(cJSON *list, struct runs *runs, int i)
{
    struct error unreadable = {0};
    struct yaml_node *root = NULL;
    struct stat info;
    const char *folder = file_join(&runs->arena, runs->folder, runs->name[i]);
    const char *status = folder ? file_join(&runs->arena, folder, "STATUS") : NULL;
    const char *metrics = folder ? file_join(&runs->arena, folder, "metrics.tsv") : NULL;
    cJSON *object = cJSON_CreateObject();
    char changed[32] = "";
    if (!cJSON_AddItemToArray(list, object) || !status || !metrics)
        return false;
    if (yaml_read_file(&root, status, &runs->arena, &unreadable))
        root = NULL; /* being written, or not ours: the row stays, without numbers */
    if (unreadable.no_memory)
        return false;
    if (stat(metrics, &info) == 0)
        job_time_text(changed, (int64_t)info.st_mtim.tv_sec * 1000);

    const struct yaml_node *best = root && root->kind == YAML_MAP ? yaml_get(root, "best") : NULL;
    bool ok = cJSON_AddStringToObject(object, "name", runs->name[i]) &&
              runs_add_text(object, "state", runs_text(root, "state")) &&
              runs_add_number(object, "step", runs_text(root, "step")) &&
              runs_add_number(object, "steps", runs_text(root, "steps")) &&
              runs_add_text(object, "changed", changed[0] ? changed : NULL) &&
              runs_add_text(object, "note", runs_text(root, "note"));
    cJSON *top = ok ? cJSON_AddObjectToObject(object, "best") : NULL;
    return top && runs_add_text(top, "metric", runs_text(best, "metric")) &&
           runs_add_number(top, "value", runs_text(best, "value")) &&
           runs_add_number(top, "step", runs_text(best, "step")) && runs_add_pictures(object, folder, &runs->arena);
}

enum MHD_Result runs_respond(struct request *request)
{
    if (!request->server->config->runs)
        return respond_error(request, 404, "no runs are shown here (calvaria serve --runs DIR)");
    struct runs runs;
    cJSON *object = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(object, "runs");
    runs_open(&runs, request);
    bool ok = list && !runs.short_of_memory;
    for (int i = 0; ok && i < runs.n; i++)
        ok = runs_add(list, &runs, i);
    char *text = ok ? cJSON_PrintUnformatted(object) : NULL;
    cJSON_Delete(object);
    arena_done(&runs.arena);
    return text ? respond_json(request, 200, text) : runs_refuse(request, RUNS_SHORT);
}

/* --- files of one run --- */

/* An open file of the run that the request names: FOLDER/part, or of several the one named. RUNS_ABSENT, RUNS_SHORT. */
static int runs_open_file(struct request *request, const char *part, const char *file, struct stat *ret_info)
{
    const char *wanted = request_argument(request, "run");
    struct runs runs;
    int handle = RUNS_ABSENT;
    if (!request->server->config->runs || !wanted)
        return handle;
    runs_open(&runs, request);
    for (int i = 0; i < runs.n && handle < 0; i++) {
        if (strcmp(runs.name[i], wanted) != 0)
            continue;
        const char *folder = runs_path(&runs, runs.folder, runs.name[i]);
        const char *path = folder ? runs_path(&runs, folder, part) : NULL;
        struct config_strings names = {0};
        struct error unreadable = {0};

        /* A picture must be one of those listed. */
        bool listed = !file;
        if (path && file && !file_list(&names, path, &runs.arena, &unreadable))
            for (int64_t k = 0; k < names.n && !listed; k++)
                listed = runs_is_picture(file) && strcmp(names.items[k], file) == 0;
        if (path && listed && file)
            path = runs_path(&runs, path, file);
        runs.short_of_memory |= unreadable.no_memory;
        handle = path && listed ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : RUNS_ABSENT;
    }
    arena_done(&runs.arena);
    if (handle < 0 && runs.short_of_memory)
        return RUNS_SHORT;

    if (handle >= 0 && (fstat(handle, ret_info) || !S_ISREG(ret_info->st_mode))) {
        close(handle);
        handle = RUNS_ABSENT;
    }
    return handle;
}

static void runs_tag(char tag[64], const struct stat *info)
{
    snprintf(tag, 64, "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 "\"", (uint64_t)info->st_size,
             (uint64_t)info->st_mtim.tv_sec, (uint64_t)info->st_mtim.tv_nsec);
}

/* Takes the handle's or the buffer's response; 304 where the client has it. */
static enum MHD_Result runs_respond_content(struct request *request, struct MHD_Response *response, const char *type,
                                            const char *tag)
{
    const bool same = http_tag_matches(request_header(request, "If-None-Match"), tag);
    if (same) {
        if (response)
            MHD_destroy_response(response);
        response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    }
    response_header(&response, "Content-Type", type);
    response_header(&response, "ETag", tag);
    response_header(&response, "Cache-Control", "private, no-cache");
    return respond(request, same ? 304 : 200, response);
}

enum MHD_Result runs_respond_picture(struct request *request)
{
    const char *name = request_argument(request, "picture");
    struct stat info;
    char tag[64];
    int handle = name ? runs_open_file(request, "validation", name, &info) : RUNS_ABSENT;
    if (handle < 0)
        return runs_refuse(request, handle);
    runs_tag(tag, &info);
    struct MHD_Response *response = MHD_create_response_from_fd((size_t)info.st_size, handle);
    if (!response)
        close(handle);
    return runs_respond_content(request, response, "image/png", tag);
}

/* Of many rows a part: every row of a validation, which begins with an empty cell behind its step, and training rows
 * at equal distances. In place; returns the length. The last row may be half written: it goes. */
static size_t runs_thin(char *text, size_t length)
{
    size_t rows = 0, used = 0, row = 0;
    for (size_t i = 0; i < length; i++)
        rows += text[i] == '\n';
    const size_t stride = rows / ROWS_MAX + 1;

    for (size_t at = 0; at < length;) {
        const char *end = memchr(text + at, '\n', length - at);
        if (!end)
            break;
        const size_t n = (size_t)(end - (text + at)) + 1;
        const char *tab = memchr(text + at, '\t', n);
        const bool validation = tab && tab[1] == '\t';
        if (row == 0 || validation || row % stride == 0) {
            memmove(text + used, text + at, n);
            used += n;
        }
        row++;
        at += n;
    }
    return used;
}

enum MHD_Result runs_respond_metrics(struct request *request)
{
    struct stat info;
    char tag[64];
    int handle = runs_open_file(request, "metrics.tsv", NULL, &info);
    if (handle < 0)
        return runs_refuse(request, handle);
    runs_tag(tag, &info);

    const size_t most = (size_t)info.st_size < METRICS_MAX_BYTES ? (size_t)info.st_size : METRICS_MAX_BYTES;
    char *text = memory_alloc(most + 1, 1);
    size_t length = 0;
    for (ssize_t n = 1; text && n > 0 && length<most; length += n> 0 ? (size_t)n : 0)
        n = read(handle, text + length, most - length);
    close(handle);
    length = text ? runs_thin(text, length) : 0;
    struct MHD_Response *response = text ? MHD_create_response_from_buffer(length, text, MHD_RESPMEM_MUST_COPY) : NULL;
    memory_free(text);
    return runs_respond_content(request, response, "text/tab-separated-values; charset=utf-8", tag);
}
